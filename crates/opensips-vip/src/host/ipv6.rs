//! Whether a link has IPv6.

use hostnet::{Error, Link, LinkName, Sysctl};

/// The link has no IPv6.
#[derive(Debug, thiserror::Error)]
#[error("{link} has no IPv6: net.ipv6.conf.{link}.disable_ipv6 is set, or the kernel has none")]
pub(crate) struct NoIpv6 {
    /// The link.
    pub(crate) link: LinkName,
}

/// Whether the link has IPv6, for a VIP that needs it.
///
/// # Errors
/// [`NoIpv6`]: the kernel would only say "permission denied".
pub(crate) fn require(link: &Link) -> Result<(), NoIpv6> {
    let setting = format!("net/ipv6/conf/{}/disable_ipv6", link.name);
    match Sysctl::default().read(setting) {
        Ok(value) if value == "0" => Ok(()),
        Ok(_) | Err(Error::SysctlMissing { .. }) => Err(NoIpv6 { link: link.name.clone() }),
        // Without /proc/sys the kernel decides.
        Err(_) => Ok(()),
    }
}
