//! validate-all: the parameters alone, and from level 10 the host.

use std::time::Instant;

use hostproc::ProcFs;
use ocf::{Exit, Finding, Request};

use crate::context::Context;
use crate::daemon::config;
use crate::error::{Error, Result};
use crate::mi::{Endpoint, MiError, misplaced, unsafe_directory};
use crate::params::{Names, NonlocalBind, Params};
use crate::promotion::declared_tags::declared_active;
use crate::sockets::listener::Listener;
use crate::sockets::nonlocal_bind;
use crate::sockets::nonlocal_bind::on_absent_addresses;
use crate::sockets::table::{Owner, SocketTable, inodes_of_all};
use crate::{host, plan};

/// From this level on the host is looked at.
const HOST_LEVEL: u32 = 10;

pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values, &request.instance) {
        Err(findings) => findings.into_vec(),
        Ok(params) if request.check_level >= HOST_LEVEL => host_findings(request, &params),
        Ok(_) => Vec::new(),
    }
}

fn host_findings(request: &Request, params: &Params) -> Vec<Finding> {
    let mut errors = host::findings(params, request.deadline.instant());
    let runnable = !errors.iter().any(|error| {
        matches!(
            error,
            Error::BinaryMissing { .. }
                | Error::BinaryNotExecutable { .. }
                | Error::BinaryIsScript { .. }
                | Error::BinaryForeign { .. }
                | Error::ConfigUnreadable { .. }
        )
    });
    if runnable {
        match config::version(&params.binary, request.deadline) {
            Ok(Some(version)) => log::info!("version=\"{version}\""),
            Ok(None) => log::warn!("{} does not tell its version", params.binary.display()),
            Err(error) => errors.push(error),
        }
        match config::check(params, request.deadline) {
            Ok(listeners) => errors.extend(socket_errors(request, params, &listeners)),
            Err(error) => errors.push(error),
        }
    }
    if let Some((tag, path)) = declared_active(&params.config, &params.sharing_tags) {
        errors.push(Error::TagDeclaredActive { tag: tag.clone(), path });
    }
    errors.extend(host::refuse_enabled_unit(params).err());
    errors.extend(mi_trouble(params, request.deadline.instant()).map(Error::from));
    let mut findings: Vec<Finding> = errors.into_iter().flat_map(Error::into_findings).collect();
    findings.extend(pid_directory_finding(params));
    findings.extend(memory_finding(params));
    findings
}

/// What stands in the way of these sockets on this host; what is only worth knowing is logged.
fn socket_errors(request: &Request, params: &Params, listeners: &[Listener]) -> Vec<Error> {
    remark_on_addresses(params, listeners);
    let absent = nonlocal_bind::read(listeners, request.deadline.instant()).map(|local| {
        for listener in on_absent_addresses(listeners, &local) {
            // On a node where the address is not, this is as it should be, as long as OpenSIPS
            // is ordered after it.
            if params.nonlocal_bind == NonlocalBind::Check {
                log::info!("listener={listener} note=\"its address is not on this host now\"");
            }
        }
    });
    let free = free_or_ours(request, params, listeners);
    [absent, free].into_iter().filter_map(Result::err).collect()
}

/// A wildcard receives at the virtual address and answers UDP from another one.
fn remark_on_addresses(params: &Params, listeners: &[Listener]) {
    for vip in &params.vips {
        if listeners.iter().any(|listener| listener.local.ip() == *vip) {
            continue;
        }
        let stand_in = listeners
            .iter()
            .find(|listener| !listener.is_explicit() && listener.local.is_ipv4() == vip.is_ipv4());
        match stand_in {
            Some(wildcard) => log::warn!(
                "vip={vip} listener={wildcard} note=\"no socket of its own: UDP answers leave \
                 from another address\""
            ),
            None => log::warn!("vip={vip} note=\"no socket of the configuration serves it\""),
        }
    }
}

/// Whether every socket is free, or held by this instance.
fn free_or_ours(request: &Request, params: &Params, listeners: &[Listener]) -> Result<()> {
    let context = match Context::new(request, &Names::from(params)) {
        Ok(context) => context,
        Err(Error::NotRoot { .. }) => {
            log::warn!("not root: whether the sockets are free was not looked at");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let survey = context.identity.survey(&context.proc)?;
    plan::refuse_elsewhere(&survey)?;
    let own = inodes_of_all(survey.members.iter().map(|stat| stat.process.pid));
    let table = SocketTable::around(listeners, request.deadline.instant())?;
    let foreign = table.find(listeners, |listener, socket| {
        listener.clashes_with(socket) && !own.contains(&socket.inode)
    });
    foreign.map_or(Ok(()), |(listener, socket)| {
        let owner = Owner::of(&ProcFs::default(), socket);
        Err(Error::ForeignSocket { listener: listener.clone(), owner })
    })
}

/// Whether something else is where the daemon's FIFO or socket should be, or others could meddle
/// with its replies.
fn mi_trouble(params: &Params, until: Instant) -> Option<MiError> {
    match params.mi.as_ref()? {
        Endpoint::Fifo(path) => misplaced(path, "FIFO").or_else(|| {
            let daemon = host::user_of(&params.user, until).ok()?.0;
            unsafe_directory(&params.mi_reply_dir, daemon)
        }),
        Endpoint::UnixDatagram(path) => misplaced(path, "socket"),
        Endpoint::Datagram(_) | Endpoint::Http { .. } => None,
    }
}

fn pid_directory_finding(params: &Params) -> Option<Finding> {
    let directory = params.pidfile.parent()?;
    let wrong = directory.exists() && !directory.is_dir();
    wrong.then(|| {
        let sentence = format!("pidfile: {} is not a directory", directory.display());
        Finding::new(Exit::Args, sentence)
    })
}

/// Shared memory is taken as a whole at start.
fn memory_finding(params: &Params) -> Option<Finding> {
    let wanted = u64::from(params.shm_memory?);
    let total = total_memory(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    (wanted > total).then(|| {
        let sentence = format!("shm_memory={wanted}: this host has {total} MB in all");
        Finding::new(Exit::Args, sentence)
    })
}

/// `MemTotal:       16384256 kB`, in MB.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        assert_eq!(total_memory("MemTotal:        2048000 kB\nMemFree: 1 kB\n"), Some(2000));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
        assert_eq!(total_memory("MemTotal: lots\n"), None);
        assert!(total_memory(&std::fs::read_to_string("/proc/meminfo").unwrap()).is_some());
    }
}
