//! Whether links have IPv6. Where they don't, the kernel only answers "permission denied".

use hostnet::{Error, Link, LinkName, Sysctl};

/// The least MTU of a link with IPv6 (RFC 8200 section 5, `IPV6_MIN_MTU`).
const MIN_MTU: u32 = 1280;

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoIpv6 {
    #[error("IPv6 is disabled on {link}: set {} to 0", settings.join(" and "))]
    Disabled { link: LinkName, settings: Vec<String> },
    #[error("IPv6 is disabled on every interface of this node: set {} to 0", settings.join(" and "))]
    DisabledEverywhere { settings: Vec<String> },
    #[error("{link} has no IPv6: set its MTU, which is {mtu}, to {MIN_MTU} or more")]
    SmallMtu { link: LinkName, mtu: u32 },
    #[error("the kernel of this node has no IPv6: remove ipv6.disable=1 from its command line")]
    Kernel,
}

impl NoIpv6 {
    /// Returns true if it can change while the kernel runs.
    pub(crate) const fn can_pass(&self) -> bool {
        !matches!(self, Self::Kernel)
    }
}

/// Checks that the link has IPv6.
///
/// # Errors
/// [`NoIpv6`]
pub(crate) fn require(link: &Link) -> Result<(), NoIpv6> {
    let sysctl = Sysctl::default();
    match sysctl.read(path(link.name.as_str())) {
        Ok(value) if value == "0" => Ok(()),
        Ok(_) => {
            let settings = disabled(&sysctl, ["all", "default", link.name.as_str()]);
            Err(NoIpv6::Disabled { link: link.name.clone(), settings })
        }
        Err(Error::SysctlMissing { .. }) if is_missing(&sysctl, "all") => Err(NoIpv6::Kernel),
        Err(Error::SysctlMissing { .. }) if link.mtu < MIN_MTU => {
            Err(NoIpv6::SmallMtu { link: link.name.clone(), mtu: link.mtu })
        }
        // Without /proc/sys, or for a link that is going, the kernel decides.
        Err(_) => Ok(()),
    }
}

/// Checks that any of the links can have IPv6.
///
/// # Errors
/// [`NoIpv6`]
pub(crate) fn require_any(links: &[Link]) -> Result<(), NoIpv6> {
    let found: Vec<_> = links.iter().filter(|link| !link.loopback).map(require).collect();
    let sysctl = Sysctl::default();
    if found.is_empty() || found.iter().any(Result::is_ok) {
        return Ok(());
    }
    if is_missing(&sysctl, "all") {
        return Err(NoIpv6::Kernel);
    }
    let mut settings = disabled(&sysctl, ["all", "default"]);
    let small = found.into_iter().find(|it| matches!(it, Err(NoIpv6::SmallMtu { .. })));
    if let Some(small) = small.filter(|_| settings.is_empty()) {
        return small;
    }
    if settings.is_empty() {
        settings.push(name("INTERFACE"));
    }
    Err(NoIpv6::DisabledEverywhere { settings })
}

/// Those of the settings `disable_ipv6` that are on.
fn disabled<'a>(sysctl: &Sysctl, of: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let is_on = |of: &&str| sysctl.read(path(of)).is_ok_and(|value| value != "0");
    of.into_iter().filter(is_on).map(name).collect()
}

/// Returns true if /proc/sys is there, but not the setting.
fn is_missing(sysctl: &Sysctl, of: &str) -> bool {
    sysctl.read("kernel/ostype").is_ok()
        && matches!(sysctl.read(path(of)), Err(Error::SysctlMissing { .. }))
}

fn path(of: &str) -> String {
    format!("net/ipv6/conf/{of}/disable_ipv6")
}

fn name(of: &str) -> String {
    format!("net.ipv6.conf.{of}.disable_ipv6")
}
