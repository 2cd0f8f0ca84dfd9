//! validate-all: the parameters alone, and from level 10 the host.

use std::path::Path;

use deadline::Deadline;
use ocf::{Exit, Finding, Request};

use crate::context::Context;
use crate::daemon::config;
use crate::daemon::release::{OLDEST, Release};
use crate::error::{Error, Result};
use crate::host::{directories, systemd_unit};
use crate::mi::{self, Endpoint, misplaced, unsafe_directory};
use crate::params::{Names, NonlocalBind, Params};
use crate::promotion::declared_tags::declared_active;
use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind;
use crate::sockets::nonlocal_bind::on_absent_addresses;
use crate::sockets::obstacles::{foreign, unsupported};
use crate::sockets::owner::inodes_of_all;
use crate::sockets::virtual_address::gaps;
use crate::{host, plan};

/// From this level on the host is looked at.
const HOST_LEVEL: u32 = 10;

pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values, &request.instance) {
        Err(findings) => findings.into_vec(),
        Ok(mut params) if request.check_level >= HOST_LEVEL => {
            host::defaults::complete(&mut params);
            host_findings(request, &params)
        }
        Ok(_) => Vec::new(),
    }
}

fn host_findings(request: &Request, params: &Params) -> Vec<Finding> {
    let until = request.deadline;
    let missing = host::findings(params, until);
    let mut executable = !missing.iter().any(|error| {
        matches!(
            error,
            Error::BinaryMissing { .. }
                | Error::BinaryNotExecutable { .. }
                | Error::BinaryIsScript { .. }
        )
    });
    let readable = !missing.iter().any(|error| matches!(error, Error::ConfigUnreadable { .. }));
    let mut findings = told(missing);
    findings.extend(directory_findings(params, until));
    if executable {
        match config::version(&params.binary, request.deadline) {
            Ok(version) => {
                findings
                    .extend(told(version_error(params, version.as_deref()).into_iter().collect()));
            }
            Err(error) => {
                executable = !matches!(error, Error::Execute { .. });
                findings.extend(error.into_findings());
            }
        }
    }
    if executable && readable {
        match config::check(params, request.deadline) {
            Ok(listeners) => findings.extend(told(socket_errors(request, params, &listeners))),
            Err(error) => findings.extend(error.into_findings()),
        }
    }
    let mut errors = Vec::new();
    if let Some((tag, path)) = declared_active(&params.config, &params.sharing_tags) {
        errors.push(Error::TagDeclaredActive { tag: tag.clone(), path });
    }
    errors.extend(systemd_unit::refuse_enabled(params).err());
    // Whoever is not root can't see it.
    if let Ok(context) = Context::new(request, &Names::from(params)) {
        let active = systemd_unit::refuse_active(params, &context.proc, &context.identity);
        errors.extend(active.err());
    }
    errors.extend(mi_trouble(params, until).map(Error::from));
    findings.extend(told(errors));
    findings
}

fn told(errors: Vec<Error>) -> Vec<Finding> {
    errors.into_iter().flat_map(Error::into_findings).collect()
}

/// What can't work with this version; one that is only older than what is tested gets a warning.
fn version_error(params: &Params, version: Option<&str>) -> Option<Error> {
    let binary = params.binary.display();
    let Some(version) = version else {
        log::warn!("{binary} does not tell its version");
        return None;
    };
    log::info!("version=\"{version}\"");
    let release = Release::of(version)?;
    if release < OLDEST {
        log::warn!("{binary} is OpenSIPS {release}, older than {OLDEST}: not tested");
    }
    config::refuse_old_mi(params, Some(release)).err()
}

/// What stands in the way of these sockets on this host; what is only worth knowing is logged.
fn socket_errors(request: &Request, params: &Params, listeners: &[Listener]) -> Vec<Error> {
    // The daemon runs all the same; what its administrator means, nobody else can know.
    for gap in gaps(&params.vips, listeners) {
        log::warn!("{gap}");
    }
    let absent = nonlocal_bind::read(listeners, request.deadline).map(|local| {
        for listener in on_absent_addresses(listeners, &local) {
            // On a node where the address is not, this is as it should be, as long as OpenSIPS
            // is ordered after it.
            if params.nonlocal_bind == NonlocalBind::Check {
                log::info!("listener={listener} note=\"its address is not on this host now\"");
            }
        }
    });
    let lacking = unsupported(listeners).into_iter().chain(absent.err());
    let mut errors: Vec<Error> = lacking.map(Error::from).collect();
    errors.extend(free_or_ours(request, params, listeners).unwrap_or_else(|error| vec![error]));
    errors
}

/// The sockets that are neither free nor held by this instance.
fn free_or_ours(request: &Request, params: &Params, listeners: &[Listener]) -> Result<Vec<Error>> {
    let context = match Context::new(request, &Names::from(params)) {
        Ok(context) => context,
        Err(Error::NotRoot { .. }) => {
            log::warn!("not root: whether the sockets are free was not looked at");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let survey = context.identity.survey(&context.proc)?;
    plan::refuse_elsewhere(&survey)?;
    let own = inodes_of_all(&context.proc, survey.members.iter().map(|stat| stat.process.pid));
    let foreign = foreign(&context.proc, listeners, &own, request.deadline)?;
    Ok(foreign.into_iter().map(Error::from).collect())
}

/// Whether something else is where the daemon's FIFO or socket should be, or others could meddle
/// with its replies.
fn mi_trouble(params: &Params, until: Deadline) -> Option<mi::Error> {
    match params.mi.as_ref()? {
        Endpoint::Fifo(path) => misplaced(path, "FIFO").or_else(|| {
            let daemon = host::user_of(&params.user, until).ok()?.0;
            unsafe_directory(&params.mi_reply_dir, daemon)
        }),
        Endpoint::UnixDatagram(path) => misplaced(path, "socket"),
        Endpoint::Datagram(_) | Endpoint::Http { .. } => None,
    }
}

/// The directories that start makes, and those in which the daemon makes its FIFO or socket.
fn directory_findings(params: &Params, until: Deadline) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |parameter: &str, directory: &Path| {
        let finding = |why| Finding::new(Exit::Args, format!("{parameter}: {why}"));
        findings.extend(directories::unusable(directory).map(finding));
    };
    let run = params.pidfile.parent();
    if let Some(run) = run {
        look("pidfile", run);
    }
    let made_by_daemon = match &params.mi {
        Some(Endpoint::Fifo(path)) => {
            look("mi_reply_dir", &params.mi_reply_dir);
            path.parent()
        }
        Some(Endpoint::UnixDatagram(path)) => path.parent(),
        Some(Endpoint::Datagram(_) | Endpoint::Http { .. }) | None => None,
    };
    // The daemon would die of it a moment after its start.
    if let Some(missing) = made_by_daemon.filter(|path| Some(*path) != run && !path.exists()) {
        let sentence = format!("mi: there is no directory {}", missing.display());
        findings.push(Finding::new(Exit::Args, sentence));
    }
    remark_on_owners(params, run.into_iter().chain(made_by_daemon), until);
    findings
}

fn remark_on_owners<'a>(
    params: &Params,
    directories: impl Iterator<Item = &'a Path>,
    until: Deadline,
) {
    let account = host::user_of(&params.user, until).and_then(|(user, _)| {
        let group = host::group_of(&params.group, until)?;
        Ok((user, group))
    });
    // That there is no such account is told elsewhere.
    let Ok((user, group)) = account else { return };
    let mut told = None;
    for directory in directories {
        if told.replace(directory) != Some(directory)
            && directories::is_writable_for(directory, user, group) == Some(false)
        {
            log::warn!(
                "directory={} user={} note=\"OpenSIPS can't write there: it makes no FIFO, and its \
                 pid file stays when it ends\"",
                directory.display(),
                params.user
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let values = pairs.iter().copied().collect();
        Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap()
    }

    #[test]
    fn versions() {
        let old = "opensips 2.4.11 (x86_64/linux)";
        let told = |pairs: &[(&str, &str)], version| {
            version_error(&params(pairs), version).map(|error| error.to_string())
        };
        let mi = [("mi", "datagram:127.0.0.1:8080")];
        assert_eq!(told(&[], Some(old)), None);
        assert_eq!(told(&mi, Some("opensips 3.6.8 (x86_64/linux)")), None);
        assert_eq!(told(&mi, None), None);
        let sentence = told(&mi, Some(old)).unwrap();
        assert!(sentence.contains("is OpenSIPS 2.4, whose MI speaks no JSON-RPC: 3.0 or newer"));
    }
}
