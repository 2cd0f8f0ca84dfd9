//! Whose a daemon is: this resource's, another resource's, or that of a systemd unit. Merely defining a
//! resource makes Pacemaker probe it, and stop what the probe finds: so a probe must not find the daemon
//! of another one.

use hostproc::{ProcFs, Process, Result, RunDirectory, Stat};
use ocf::InstanceName;

use super::files::Files;
use super::state::State;
use crate::process::inspect::{is_process_of_unit, resource_of};
use crate::process::survey::Starter;

/// What is known about the starter of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This resource has started it.
    Ours,
    /// It belongs to another resource or to a unit.
    Foreign(Starter),
    /// Nothing tells: its arguments decide.
    Unclaimed,
}

/// By what a process is told from those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Without the number of a clone's instance: all numbers are the same resource.
    resource: String,
    unit: Option<String>,
    others: Vec<Other>,
}

/// A main process that another resource remembers, and the session that it has made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Other {
    resource: String,
    main: Process,
    session: i32,
}

impl Claims {
    /// Reads what the other resources remember.
    pub(super) fn read(
        run: &RunDirectory,
        files: &Files,
        instance: &InstanceName,
        unit: Option<&str>,
    ) -> Self {
        let resource = instance.without_clone_number().as_str().to_owned();
        let other = |(resource, file): (String, String)| {
            let State { main, session, .. } = State::load(run, &file)?;
            Some(Other { resource, main, session })
        };
        let others = files.states_of_others().into_iter().filter_map(other).collect();
        Self { resource, unit: unit.map(str::to_owned), others }
    }

    /// Whether a remembered main process is alive and belongs to another resource or to a unit. One that can't be
    /// looked at stays remembered: every survey looks at it again, and fails if it can't.
    pub(super) fn is_foreign(&self, proc: &ProcFs, main: Process) -> bool {
        let stat = proc.stat(main.pid).ok().flatten().filter(|stat| stat.process == main);
        stat.is_some_and(|stat| {
            matches!(self.standing(proc, &stat, true), Ok(Standing::Foreign(_)))
        })
    }

    /// Whether another resource remembers it or the unit runs it, which no user of the host can pretend.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(super) fn vouch_for(&self, proc: &ProcFs, stat: &Stat) -> Result<bool> {
        Ok(self.others.iter().any(|other| other.claims(stat))
            || self.unit_of(proc, stat)?.is_some())
    }

    /// The unit, if it runs this process.
    fn unit_of(&self, proc: &ProcFs, stat: &Stat) -> Result<Option<&String>> {
        let Some(unit) = &self.unit else { return Ok(None) };
        Ok(is_process_of_unit(unit, proc, stat.process.pid)?.then_some(unit))
    }

    /// Judges a process; `remembered` if this resource remembers it as its main process. A process that
    /// systemd runs is not the resource's, even if an older version of this agent has adopted it.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(super) fn standing(
        &self,
        proc: &ProcFs,
        stat: &Stat,
        remembered: bool,
    ) -> Result<Standing> {
        if let Some(unit) = self.unit_of(proc, stat)? {
            return Ok(Standing::Foreign(Starter::Unit(unit.clone())));
        }
        match resource_of(proc, stat.process.pid)? {
            Some(resource) if resource == self.resource => return Ok(Standing::Ours),
            Some(resource) => return Ok(Standing::Foreign(Starter::Resource(resource))),
            None => {}
        }
        // Started by a version of this agent that did not name the resource, or past the agent.
        if remembered {
            return Ok(Standing::Unclaimed);
        }
        let claiming = self.others.iter().find(|other| other.claims(stat));
        Ok(claiming.map_or(Standing::Unclaimed, |other| {
            Standing::Foreign(Starter::Resource(other.resource.clone()))
        }))
    }
}

impl Other {
    /// The main process and what is in its session, orphans included.
    fn claims(&self, stat: &Stat) -> bool {
        stat.process == self.main
            || (stat.session == self.session && stat.process.start_time >= self.main.start_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::Pid;

    #[test]
    fn another_resource_claims_its_main_process_and_its_orphans() {
        let process = |pid, start_time| Process { pid: Pid::new(pid).unwrap(), start_time };
        let stat = |pid, session, start_time| Stat {
            process: process(pid, start_time),
            state: hostproc::State::Alive,
            parent: Pid::new(1),
            group: session,
            session,
        };
        let other = Other { resource: "sip".into(), main: process(11, 5), session: 10 };
        assert!(other.claims(&stat(11, 10, 5)));
        assert!(other.claims(&stat(12, 10, 6)));
        // The same number, another process; a process that is older than the daemon.
        assert!(!other.claims(&stat(11, 20, 6)));
        assert!(!other.claims(&stat(12, 10, 4)));
    }
}
