//! IP addresses on links, prefixes and networks as values; no effect in here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::link::LinkIndex;
use crate::text::shown;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bits of an address: 32 or 128.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A prefix length, checked against the family it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(u8);

/// A prefix length that the address family does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("prefix length {length} is out of range: {family} has 0 to {}", family.bits())]
pub struct InvalidPrefix {
    /// The length as given.
    pub length: u8,
    /// The family of the address.
    pub family: Family,
}

/// A dotted mask whose one bits are not contiguous.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mask} is not a netmask: its one bits are not contiguous from the left")]
pub struct InvalidNetmask {
    /// The mask as given.
    pub mask: Ipv4Addr,
}

impl Prefix {
    /// `length` bits of `family`: 0 to 32 or 0 to 128.
    ///
    /// # Errors
    /// [`InvalidPrefix`]
    pub fn new(family: Family, length: u8) -> Result<Self, InvalidPrefix> {
        if length <= family.bits() {
            Ok(Self(length))
        } else {
            Err(InvalidPrefix { length, family })
        }
    }

    /// The prefix of a single host: /32 or /128.
    #[must_use]
    pub fn host(family: Family) -> Self {
        Self(family.bits())
    }

    /// From a dotted mask such as 255.255.255.0.
    ///
    /// # Errors
    /// [`InvalidNetmask`]
    pub fn from_netmask(mask: Ipv4Addr) -> Result<Self, InvalidNetmask> {
        let ones = mask.to_bits().leading_ones();
        match u8::try_from(ones) {
            Ok(length) if mask.to_bits().count_ones() == ones => Ok(Self(length)),
            _ => Err(InvalidNetmask { mask }),
        }
    }

    /// Number of bits.
    #[must_use]
    pub fn length(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An IP network; the bits after the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    prefix: Prefix,
}

impl Network {
    /// The network that `ip`/`prefix` is in. A prefix that is longer than the address is cut to its
    /// length.
    #[must_use]
    pub fn of(ip: IpAddr, prefix: Prefix) -> Self {
        let prefix = Prefix(prefix.0.min(Family::of(ip).bits()));
        Self { base: masked(ip, prefix), prefix }
    }

    /// Its first address.
    #[must_use]
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// Its prefix length.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Whether `ip` is in it; false for the other family.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        Family::of(ip) == Family::of(self.base) && masked(ip, self.prefix) == self.base
    }

    /// The directed broadcast address. `None` for IPv6, and for /31 and /32, which have
    /// none (RFC 3021).
    #[must_use]
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.base {
            IpAddr::V4(base) if self.prefix.0 < 31 => {
                let hosts = u32::MAX.checked_shr(u32::from(self.prefix.0)).unwrap_or(0);
                Some(Ipv4Addr::from_bits(base.to_bits() | hosts))
            }
            _ => None,
        }
    }
}

fn masked(ip: IpAddr, prefix: Prefix) -> IpAddr {
    let length = u32::from(prefix.0);
    match ip {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & !hosts))
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !hosts))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// It does not have the form `address/length`.
    #[error("{text:?} is not a network: address/length is expected, as in 192.0.2.0/24")]
    Malformed {
        /// The text as given, shortened for display.
        text: String,
    },
    /// The length is not one of the address's family.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// Reads `address/length`; the address may be any in the network, as in `192.0.2.1/24`.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork::Malformed { text: shown(text) };
        let (ip, length) = text.split_once('/').ok_or_else(invalid)?;
        let ip: IpAddr = ip.parse().map_err(|_| invalid())?;
        if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(invalid());
        }
        let length: u8 = length.parse().map_err(|_| invalid())?;
        Ok(Self::of(ip, Prefix::new(Family::of(ip), length)?))
    }
}

/// Where an address or route is valid (`rtm_scope`, linux/rtnetlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everywhere; `ip` calls it "global".
    #[default]
    Universe,
    /// This site (deprecated in IPv6).
    Site,
    /// This link: the scope of a directly connected network's route.
    Link,
    /// This host.
    Host,
    /// Nowhere: the destination does not exist.
    Nowhere,
    /// Defined by an administrator (1 to 199).
    Other(u8),
}

impl From<u8> for Scope {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Universe,
            200 => Self::Site,
            253 => Self::Link,
            254 => Self::Host,
            255 => Self::Nowhere,
            other => Self::Other(other),
        }
    }
}

impl From<Scope> for u8 {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Universe => 0,
            Scope::Site => 200,
            Scope::Link => 253,
            Scope::Host => 254,
            Scope::Nowhere => 255,
            Scope::Other(other) => other,
        }
    }
}

/// How long an address exists or is preferred (seconds; the kernel's `INFINITY_LIFE_TIME` is all
/// ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// Without end.
    #[default]
    Forever,
    /// Seconds from now.
    Seconds(u32),
}

impl From<u32> for Lifetime {
    fn from(seconds: u32) -> Self {
        if seconds == u32::MAX { Self::Forever } else { Self::Seconds(seconds) }
    }
}

impl From<Lifetime> for u32 {
    fn from(lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Forever => Self::MAX,
            Lifetime::Seconds(seconds) => seconds,
        }
    }
}

/// The flags of an address (`IFA_F_*`, linux/if_addr.h), from the 32-bit `IFA_FLAGS`
/// attribute: the header's field has room for eight only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressFlags {
    /// Duplicate address detection is not finished: not usable yet.
    pub tentative: bool,
    /// Duplicate address detection found another owner: not usable.
    pub dadfailed: bool,
    /// Tentative, yet usable with restrictions (RFC 4429).
    pub optimistic: bool,
    /// IPv4: not the first address of its subnet on the link; deleted together with the first
    /// one, unless `promote_secondaries` is set. IPv6: temporary.
    pub secondary: bool,
    /// Its lifetimes are infinite.
    pub permanent: bool,
    /// The kernel added no connected route for it.
    pub noprefixroute: bool,
    /// Its preferred lifetime is over: it is not used as the source of new connections.
    pub deprecated: bool,
    /// Duplicate address detection is skipped.
    pub nodad: bool,
}

/// One address on one link, as the kernel described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link it is on.
    pub link: LinkIndex,
    /// The address of this host (`IFA_LOCAL`, or `IFA_ADDRESS` if that is missing).
    pub ip: IpAddr,
    /// Its prefix length.
    pub prefix: Prefix,
    /// The other end of a point-to-point address (`IFA_ADDRESS` if it differs from the local
    /// one). The prefix belongs to the peer then.
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 label; by default the link's name.
    pub label: Option<String>,
    /// Its scope.
    pub scope: Scope,
    /// Its flags.
    pub flags: AddressFlags,
    /// How long it may be the source of new connections. For an IPv4 address without an end this
    /// is always [`Lifetime::Forever`]: see [`AddressFlags::deprecated`].
    pub preferred_lft: Lifetime,
    /// How long it exists.
    pub valid_lft: Lifetime,
}

impl Address {
    /// The network it connects this host to.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::of(self.peer.unwrap_or(self.ip), self.prefix)
    }
}

/// An address to be added to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddress {
    /// The link.
    pub link: LinkIndex,
    /// The address.
    pub ip: IpAddr,
    /// Its prefix length.
    pub prefix: Prefix,
    /// IPv4 broadcast address; the kernel has no default.
    pub broadcast: Option<Ipv4Addr>,
    /// IPv4 label: the link's name, or that name followed by `:` and a text; 15 bytes at most.
    pub label: Option<String>,
    /// Its scope.
    pub scope: Scope,
    /// Adds no connected route.
    pub noprefixroute: bool,
    /// IPv6: skips duplicate address detection.
    pub nodad: bool,
    /// How long it may be the source of new connections; 0 seconds means never.
    pub preferred_lft: Lifetime,
    /// How long it exists.
    pub valid_lft: Lifetime,
}

impl NewAddress {
    /// `ip`/`prefix` on `link` without an end, with the broadcast address of its network.
    #[must_use]
    pub fn new(link: LinkIndex, ip: IpAddr, prefix: Prefix) -> Self {
        Self {
            link,
            ip,
            prefix,
            broadcast: Network::of(ip, prefix).broadcast(),
            label: None,
            scope: Scope::Universe,
            noprefixroute: false,
            nodad: false,
            preferred_lft: Lifetime::Forever,
            valid_lft: Lifetime::Forever,
        }
    }
}

#[cfg(test)]
mod tests;
