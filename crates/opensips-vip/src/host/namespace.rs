//! The network namespace of the resource.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error, NamespaceName, Netlink, NetworkNamespace, Result};
use hostproc::{Pid, ProcFs};

use super::run_files::{NotedNamespace, RunFiles};
use crate::log_line::line;

/// How long the kernel has to show the link by which a namespace is recognised.
const PATIENCE: Duration = Duration::from_secs(2);

/// Moves this process into the network namespace of the resource, before it opens anything.
///
/// # Errors
/// [`hostnet::Error::NoSuchNamespace`] if there is none with that name, and those of entering it.
pub(crate) fn enter(name: Option<&NamespaceName>) -> Result<()> {
    name.map_or(Ok(()), |name| NetworkNamespace::open(name)?.enter())
}

/// Moves this process into the network namespace in which start has added the VIP. If the name of that
/// namespace has been deleted since, it still exists as long as a process runs in it.
///
/// # Errors
/// Those of [`enter`].
pub(crate) fn enter_where_started(name: Option<&NamespaceName>, ip: IpAddr) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let named = NetworkNamespace::open(name);
    let noted = RunFiles::of(ip, None).noted_namespace(name);
    let is_named =
        |number| named.as_ref().is_ok_and(|named| named.number().is_ok_and(|it| it == number));
    if let Some(noted) = noted.filter(|noted| !is_named(noted.number))
        && enter_nameless(noted)?
    {
        let note = "the network namespace has lost its name, but still exists";
        log::warn!("{}", line().field("network_namespace", name).note(note));
        return Ok(());
    }
    named?.enter()
}

/// Returns true if the network namespace of this process has lost its name, and no process is in it but
/// those that `is_own` accepts: then it lives only by them, and serves nobody.
pub(crate) fn is_abandoned(name: &NamespaceName, is_own: impl Fn(Pid) -> bool) -> bool {
    let Ok(here) = NetworkNamespace::current().and_then(|here| here.number()) else { return false };
    let named = NetworkNamespace::open(name).and_then(|named| named.number());
    // What can't be told is no reason to end.
    let has_name = match named {
        Ok(number) => number == here,
        Err(error) => !matches!(error, Error::NoSuchNamespace { .. }),
    };
    if has_name {
        return false;
    }
    let Ok(pids) = ProcFs::default().pids() else { return false };
    let may_be_here = |pid: &Pid| {
        let namespace = std::fs::metadata(format!("/proc/{pid}/ns/net"));
        namespace.map_or_else(|error| !is_gone(&error), |it| it.ino() == here)
    };
    pids.into_iter().filter(may_be_here).all(is_own)
}

/// Whether a process has no namespace because it has ended, or is hidden from root (containers, LSM), as it stays: it
/// would keep a namespace for ever. One that can't be looked at for a moment may be anywhere.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(nix::libc::ESRCH)
}

/// Enters a namespace by what is noted of it. Returns false if it does not exist any more: the kernel gives its
/// number to the next namespace at once, which is another program's. Its cookie, which is never given twice
/// (`SO_NETNS_COOKIE`), can't be read without unsafe code; the link of the VIP tells them apart.
fn enter_nameless(noted: NotedNamespace) -> Result<bool> {
    let Some(found) = NetworkNamespace::of_number(noted.number) else { return Ok(false) };
    let here = NetworkNamespace::current()?;
    found.enter()?;
    let is_same = has_link(noted);
    if !matches!(is_same, Ok(true)) {
        here.enter()?;
    }
    is_same
}

fn has_link(noted: NotedNamespace) -> Result<bool> {
    let Some((link, mac)) = noted.link else { return Ok(true) };
    let found = Netlink::open()?.link_by_index(link, Deadline::after(PATIENCE))?;
    Ok(found.is_some_and(|link| link.mac == Some(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn only_a_process_that_has_ended_or_is_hidden_is_nowhere() {
        let is_gone = |errno| is_gone(&io::Error::from_raw_os_error(errno));
        assert!(is_gone(libc::ENOENT) && is_gone(libc::ESRCH) && is_gone(libc::EACCES));
        assert!(!is_gone(libc::ENOMEM) && !is_gone(libc::EMFILE));
    }
}
