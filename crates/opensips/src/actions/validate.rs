//! validate-all: the parameters alone, and from check level 10 on the host.

use std::path::Path;

use deadline::Deadline;
use hostfs::{is_writable_for, obstacle_to};
use ocf::{Exit, Finding, LogLine, Request};

use crate::daemon::release::{OLDEST, Release};
use crate::daemon::{self, account, check, defaults, prerequisites, systemd_unit};
use crate::error::{Error, Result};
use crate::instance::{self, Instance, refuse_elsewhere};
use crate::mi::{self, Endpoint, misplaced, unsafe_directory};
use crate::params::{Names, NonlocalBind, Params};
use crate::process::survey::{Elsewhere, Starter};
use crate::promotion;
use crate::promotion::tags::{refuse_declared_active, refuse_undeclared};
use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind::{self, on_absent_addresses};
use crate::sockets::obstacles::{foreign, unsupported};
use crate::sockets::owner::inodes_of_all;
use crate::sockets::virtual_address::gaps;

/// From this check level on the host is looked at.
const HOST_LEVEL: u32 = 10;

pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values, &request.instance) {
        Err(findings) => findings.into_vec(),
        Ok(mut params) if request.check_level >= HOST_LEVEL => {
            defaults::complete(&mut params);
            HostCheck { request, params: &params }.findings()
        }
        Ok(_) => Vec::new(),
    }
}

struct HostCheck<'a> {
    request: &'a Request,
    params: &'a Params,
}

impl HostCheck<'_> {
    fn findings(&self) -> Vec<Finding> {
        let Self { params, .. } = self;
        let missing = prerequisites::missing(params, self.deadline());
        let no_binary = missing.iter().any(|error| match error {
            daemon::Error::OutOfReach { path, .. } => *path == params.binary,
            daemon::Error::BinaryMissing { .. }
            | daemon::Error::BinaryNotExecutable { .. }
            | daemon::Error::BinaryIsScript { .. } => true,
            _ => false,
        });
        let no_config = missing.iter().any(|error| match error {
            daemon::Error::OutOfReach { path, .. } => *path == params.config,
            daemon::Error::ConfigUnreadable { .. } => true,
            _ => false,
        });
        let mut findings = to_findings(missing);
        findings.extend(self.directory_findings());
        if !no_binary {
            findings.extend(self.daemon_findings(no_config));
        }
        findings.extend(to_findings(refuse_declared_active(params).err()));
        // One that can't be read is a finding of its own.
        if !no_config {
            findings.extend(self.undeclared_tag());
        }
        findings.extend(to_findings(self.unit_errors()));
        findings.extend(to_findings(self.mi_error()));
        findings
    }

    fn deadline(&self) -> Deadline {
        self.request.deadline
    }

    /// A sharing tag that the configuration does not declare. That it is not known is none: the daemon may read what
    /// the agent can't, and otherwise its own check fails.
    fn undeclared_tag(&self) -> Vec<Finding> {
        match refuse_undeclared(self.params) {
            Ok(()) => Vec::new(),
            Err(error @ promotion::Error::DeclarationUnknown { .. }) => {
                log::warn!("{}", LogLine::of(self.request.action).note(error));
                Vec::new()
            }
            Err(error) => to_findings([error]),
        }
    }

    /// What the daemon itself tells: its version, and the sockets of its configuration.
    fn daemon_findings(&self, no_config: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        match check::version(&self.params.binary, self.deadline()) {
            Ok(version) => {
                findings.extend(to_findings(version_error(self.params, version.as_deref())));
            }
            // The check would report the same.
            Err(error @ daemon::Error::Execute { .. }) => return to_findings([error]),
            Err(error) => findings.extend(to_findings([error])),
        }
        if no_config {
            return findings;
        }
        match check::config(self.params, self.deadline()) {
            Ok(checked) => {
                if let Some(unknown) = check::unknown_sockets(&checked.declared, self.params) {
                    log::warn!("{}", LogLine::of(self.request.action).note(unknown));
                }
                findings.extend(to_findings(self.socket_errors(&checked.declared.listeners)));
                findings.extend(to_findings(checked.complete().err()));
            }
            Err(error) => findings.extend(to_findings([error])),
        }
        findings
    }

    /// What prevents the daemon from opening these sockets on this host; what only should be known is
    /// logged.
    fn socket_errors(&self, listeners: &[Listener]) -> Vec<Error> {
        // The daemon runs nevertheless, and this may be intended.
        for gap in gaps(&self.params.vips, listeners) {
            log::warn!("{}", LogLine::of(self.request.action).note(gap));
        }
        let mut errors: Vec<Error> = unsupported(listeners).into_iter().map(Error::from).collect();
        match nonlocal_bind::read(listeners, self.deadline()) {
            Ok(local) if self.params.nonlocal_bind == NonlocalBind::Check => {
                // On a node without the address this is normal, if OpenSIPS is ordered after it.
                for listener in on_absent_addresses(listeners, &local) {
                    let line = LogLine::of(self.request.action).field("listener", listener);
                    log::info!("{}", line.note("its address is not on this host now"));
                }
            }
            Ok(_) => {}
            Err(error) => errors.push(error.into()),
        }
        errors.extend(self.foreign_sockets(listeners).unwrap_or_else(|error| vec![error]));
        errors
    }

    /// The sockets that are neither free nor held by this instance.
    fn foreign_sockets(&self, listeners: &[Listener]) -> Result<Vec<Error>> {
        let instance = match Instance::load(self.request, &Names::from(self.params)) {
            Ok(instance) => instance,
            Err(instance::Error::NotRoot { .. }) => {
                let line = LogLine::of(self.request.action);
                log::warn!("{}", line.note("not root: cannot check whether the sockets are free"));
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let survey = instance.survey()?;
        match survey.elsewhere.as_ref().filter(|_| survey.is_empty()) {
            // A finding of its own, whatever the configuration of the unit is.
            Some(Elsewhere { starter: Starter::Unit(_), .. }) => return Ok(Vec::new()),
            Some(_) => refuse_elsewhere(&survey)?,
            None => {}
        }
        let own = inodes_of_all(&instance.proc, survey.members.iter().map(|stat| stat.process.pid));
        let found = foreign(&instance.proc, listeners, &own, self.deadline())?;
        Ok(found.into_iter().map(Error::from).collect())
    }

    fn unit_errors(&self) -> Vec<daemon::Error> {
        let mut errors = Vec::from_iter(systemd_unit::refuse_enabled(self.params).err());
        // The processes of others are hidden from a user that is not root.
        if let Ok(instance) = Instance::load(self.request, &Names::from(self.params)) {
            let Instance { proc, identity, .. } = &instance;
            errors.extend(systemd_unit::refuse_active(self.params, proc, identity).err());
        }
        errors
    }

    /// Something else is in the place of the daemon's FIFO or socket, or others could read or forge its
    /// replies.
    fn mi_error(&self) -> Option<mi::Error> {
        match self.params.mi.as_ref()? {
            Endpoint::Fifo(path) => misplaced(path, "FIFO").or_else(|| {
                let (daemon, _) = account::user(&self.params.user, self.deadline()).ok()?;
                unsafe_directory(&self.params.mi_reply_dir, daemon)
            }),
            Endpoint::UnixDatagram(path) => misplaced(path, "socket"),
            Endpoint::Datagram(_) | Endpoint::Http { .. } => None,
        }
    }

    /// The directories that start creates, and those in which the daemon creates its FIFO or socket.
    fn directory_findings(&self) -> Vec<Finding> {
        let Self { params, .. } = self;
        let mut findings = Vec::new();
        let mut look = |parameter: &str, directory: &Path| {
            let finding = |why| Finding::new(Exit::Args, format!("{parameter}: {why}"));
            findings.extend(obstacle_to(directory).map(finding));
        };
        let run = params.pidfile.parent();
        if let Some(run) = run {
            look("pidfile", run);
        }
        let of_daemon = match &params.mi {
            Some(Endpoint::Fifo(path)) => {
                look("mi_reply_dir", &params.mi_reply_dir);
                path.parent()
            }
            Some(Endpoint::UnixDatagram(path)) => path.parent(),
            Some(Endpoint::Datagram(_) | Endpoint::Http { .. }) | None => None,
        };
        // The daemon dies of it a moment after its start.
        if let Some(missing) = of_daemon.filter(|path| Some(*path) != run && !path.exists()) {
            let sentence = format!("mi: there is no directory {}: create it", missing.display());
            findings.push(Finding::new(Exit::Args, sentence));
        }
        self.remark_on_owners(run.into_iter().chain(of_daemon));
        findings
    }

    fn remark_on_owners<'p>(&self, directories: impl Iterator<Item = &'p Path>) {
        let Self { params, .. } = self;
        let user = account::user(&params.user, self.deadline());
        let group = account::group(&params.group, self.deadline());
        // That there is no such account is a finding of its own.
        let (Ok((user, _)), Ok(group)) = (user, group) else { return };
        let mut told = None;
        for directory in directories {
            if told.replace(directory) != Some(directory)
                && is_writable_for(directory, user, group) == Some(false)
            {
                let line = LogLine::of(self.request.action)
                    .field("directory", directory.display())
                    .field("user", &params.user);
                log::warn!(
                    "{}",
                    line.note(
                        "OpenSIPS can't write there: it creates no FIFO, and its pid file stays when \
                         it ends"
                    )
                );
            }
        }
    }
}

fn to_findings<E: Into<Error>>(errors: impl IntoIterator<Item = E>) -> Vec<Finding> {
    errors.into_iter().flat_map(|error| error.into().into_findings()).collect()
}

/// What can't work with this version. A version that is only older than those that are tested is
/// logged.
fn version_error(params: &Params, version: Option<&str>) -> Option<daemon::Error> {
    let line = LogLine::new().field("binary", params.binary.display());
    let Some(version) = version else {
        log::warn!("{}", line.note("does not print its version"));
        return None;
    };
    log::info!("{}", line.clone().field("version", version));
    let release = Release::of(version)?;
    if release < OLDEST {
        let line = line.field("version", release);
        log::warn!("{}", line.note(format!("not tested: older than {OLDEST}")));
    }
    check::refuse_old_mi(params, Some(release)).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    #[test]
    fn versions() {
        let old = "opensips 2.4.11 (x86_64/linux)";
        let told = |pairs: &[(&str, &str)], version| {
            let values = pairs.iter().copied().collect();
            let params = Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap();
            version_error(&params, version).map(|error| error.to_string())
        };
        let mi = [("mi", "datagram:127.0.0.1:8080")];
        assert_eq!(told(&[], Some(old)), None);
        assert_eq!(told(&mi, Some("opensips 3.6.8 (x86_64/linux)")), None);
        assert_eq!(told(&mi, None), None);
        let sentence = told(&mi, Some(old)).unwrap();
        assert!(sentence.contains("is OpenSIPS 2.4, whose MI has no JSON-RPC: use 3.0"));
    }
}
