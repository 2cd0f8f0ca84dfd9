//! The network namespace of the resource.

use std::net::IpAddr;

use hostnet::{NamespaceName, NetworkNamespace, Result};

use super::run_files::RunFiles;
use crate::log_line::line;

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
    if let Some(number) = noted.filter(|number| !is_named(*number))
        && let Some(alive) = NetworkNamespace::of_number(number)
    {
        let note = "the network namespace has lost its name, but still exists";
        log::warn!("{}", line().field("network_namespace", name).note(note));
        return alive.enter();
    }
    named?.enter()
}
