//! Whether a link has IPv6.

use hostnet::{Error, Link, LinkName, Sysctl};

#[derive(Debug, thiserror::Error)]
#[error(
    "{link} has no IPv6: set net.ipv6.conf.{link}.disable_ipv6=0, or enable IPv6 in the kernel"
)]
pub(crate) struct NoIpv6 {
    pub(crate) link: LinkName,
}

/// Checks that the link has IPv6, because the kernel only answers "permission denied".
///
/// # Errors
/// [`NoIpv6`]
pub(crate) fn require(link: &Link) -> Result<(), NoIpv6> {
    let setting = format!("net/ipv6/conf/{}/disable_ipv6", link.name);
    match Sysctl::default().read(setting) {
        Ok(value) if value == "0" => Ok(()),
        Ok(_) | Err(Error::SysctlMissing { .. }) => Err(NoIpv6 { link: link.name.clone() }),
        // Without /proc/sys the kernel decides.
        Err(_) => Ok(()),
    }
}
