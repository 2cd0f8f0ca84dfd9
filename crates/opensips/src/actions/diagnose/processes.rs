//! The processes of the instance, as `/proc` and the daemon show them.

use hostproc::{Stat, State};
use ocf::{Diagnosis, Value};

use super::management::Answers;
use crate::async_monitor;
use crate::instance::{Instance, Result};
use crate::process::survey::{Elsewhere, Starter, Survey};

/// All of them, with their work as far as the MI tells.
pub(super) fn shown(survey: &Result<Survey>, answers: &Answers<'_>) -> Value {
    let survey = match survey {
        Ok(survey) => survey,
        Err(error) => return Value::Unknown(error.to_string()),
    };
    let process = |stat: &Stat| {
        let listed = answers.processes.iter().find(|one| one.pid == Some(stat.process.pid));
        let role = match listed {
            Some(listed) => listed.role.clone(),
            None => role_of(survey, stat).to_owned(),
        };
        let busy = listed.and_then(|one| one.busy(&answers.statistics));
        Diagnosis::default()
            .with("pid", i64::from(stat.process.pid.get()))
            .with("role", role)
            .with("state", state(stat.state))
            .with("busy_percent", busy.and_then(|percent| i64::try_from(percent).ok()))
    };
    survey.members.iter().map(process).collect::<Vec<_>>().into()
}

fn role_of(survey: &Survey, stat: &Stat) -> &'static str {
    match survey.main {
        Some(main) if main.process == stat.process => "main process",
        Some(_) => "worker",
        None => "orphan",
    }
}

fn state(state: State) -> Value {
    match state {
        State::Alive => "alive".into(),
        State::Uninterruptible => Value::told("uninterruptible sleep", "uninterruptible"),
        State::Stopped => Value::told("stopped (SIGSTOP)", "stopped"),
        State::Ended => "ended".into(),
    }
}

/// The process that tells Pacemaker of the end of the main process.
pub(super) fn async_monitor(instance: &Instance<'_>) -> Value {
    match async_monitor::process(instance) {
        Ok(Some(process)) => {
            let pid = process.pid;
            Value::told(format!("process {pid}"), i64::from(pid.get()))
        }
        Ok(None) => Value::None,
        Err(error) => Value::Unknown(error.to_string()),
    }
}

/// A daemon with this configuration that this resource has not started.
pub(super) fn elsewhere(survey: &Result<Survey>) -> Value {
    let elsewhere = survey.as_ref().ok().and_then(|survey| survey.elsewhere.as_ref());
    elsewhere
        .map(|Elsewhere { pid, pidfile, starter }| {
            let starter = match starter {
                Starter::Resource(name) => Some(format!("resource {name}")),
                Starter::Unit(unit) => Some(unit.clone()),
                Starter::Unknown => None,
            };
            Diagnosis::default()
                .with("pid", i64::from(pid.get()))
                .with("pid_file", pidfile.as_ref().map(|path| path.display().to_string()))
                .with("started_by", starter)
        })
        .map_or(Value::None, Value::from)
}
