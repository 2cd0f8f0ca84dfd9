//! The network namespace of the resource.

use std::net::IpAddr;

use hostnet::{NamespaceName, NetworkNamespace, Result};

use super::run_directory::RunDirectory;

/// Moves this process into the network namespace of the resource, before it opens anything.
///
/// # Errors
/// [`Error::NoSuchNamespace`] if there is none of that name, and those of entering it.
pub(crate) fn enter(namespace: Option<&NamespaceName>) -> Result<()> {
    namespace.map_or(Ok(()), |name| NetworkNamespace::open(name)?.enter())
}

/// Moves this process into the network namespace in which start has put the VIP: that of the name, or,
/// where somebody has deleted the name since, the one that lives on with what runs in it.
///
/// # Errors
/// As [`enter`].
pub(crate) fn enter_where_started(namespace: Option<&NamespaceName>, ip: IpAddr) -> Result<()> {
    let Some(name) = namespace else { return Ok(()) };
    let named = NetworkNamespace::open(name);
    let noted = RunDirectory::new().noted_namespace(ip, name);
    let is_named =
        |number| named.as_ref().is_ok_and(|named| named.number().is_ok_and(|it| it == number));
    if let Some(number) = noted.filter(|number| !is_named(*number))
        && let Some(alive) = NetworkNamespace::of_number(number)
    {
        log::warn!("vip={ip} the namespace that was {name} lives on without its name");
        return alive.enter();
    }
    named?.enter()
}
