//! Links (network interfaces) as values; no effect in here.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::text::shown;

/// Longest name of a link: `IFNAMSIZ` less the terminating zero (linux/if.h).
const LONGEST_NAME: usize = 15;
/// Longest alternative name of a link: `ALTIFNAMSIZ` less the terminating zero
/// (linux/if.h, since Linux 5.5).
const LONGEST_ALTERNATIVE_NAME: usize = 127;

/// A name of a link: its own (1 to 15 bytes) or one of its alternative names (1 to 127 bytes).
///
/// The rules are the kernel's `dev_valid_name()`: no `/`, no `:`, no white space, not `.`
/// or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(String);

impl LinkName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is longer than any link's own name, so that it can only be an alternative name.
    pub(crate) fn is_alternative_only(&self) -> bool {
        self.0.len() > LONGEST_NAME
    }

    /// A name that the kernel gave, which needs no check.
    pub(crate) fn from_kernel(name: String) -> Self {
        Self(name)
    }
}

/// A text that can't be the name of a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not an interface name: {why}")]
pub struct InvalidLinkName {
    /// The text as given, shortened for display.
    pub name: String,
    /// The rule of the kernel that it breaks.
    pub why: &'static str,
}

impl FromStr for LinkName {
    type Err = InvalidLinkName;

    fn from_str(text: &str) -> Result<Self, InvalidLinkName> {
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST_ALTERNATIVE_NAME {
            "it is longer than 127 bytes"
        } else if text == "." || text == ".." {
            "\".\" and \"..\" are reserved"
        } else if text.contains(['/', ':', '\0']) {
            "'/' and ':' are not allowed"
        } else if text.chars().any(char::is_whitespace) {
            "white space is not allowed"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidLinkName { name: shown(text), why })
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kernel's number of a link, unique in its network namespace and never 0. It stays the
/// same when the link is renamed, and is not used again soon after the link is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkIndex(NonZeroU32);

impl LinkIndex {
    /// `None` for 0, which means "no link" to the kernel.
    #[must_use]
    pub fn new(index: u32) -> Option<Self> {
        NonZeroU32::new(index).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for LinkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 48-bit IEEE 802 hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every host on the Ethernet segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Unknown, as in the target of an ARP request (RFC 826, RFC 5227).
    pub const ZERO: Self = Self([0; 6]);

    /// From exactly six bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; 6]>::try_from(bytes).ok().map(Self)
    }

    /// Whether it is the address of a group, and not of a host.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        let Self([first, ..]) = self;
        first & 1 == 1
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a 48-bit hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a MAC address: six pairs of hexadecimal digits are expected, as in \
     02:00:00:aa:bb:cc"
)]
pub struct InvalidMacAddress {
    /// The text as given, shortened for display.
    pub text: String,
}

impl FromStr for MacAddress {
    type Err = InvalidMacAddress;

    /// Six pairs of hexadecimal digits, separated by `:` or `-`.
    fn from_str(text: &str) -> Result<Self, InvalidMacAddress> {
        let invalid = || InvalidMacAddress { text: shown(text) };
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().ok_or_else(invalid)?;
            // from_str_radix accepts "+f" as well.
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        if pairs.next().is_some() { Err(invalid()) } else { Ok(Self(bytes)) }
    }
}

/// RFC 2863 operational state (`IFLA_OPERSTATE`, linux/if.h `IF_OPER_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationalState {
    /// The driver does not report it; loopback and some virtual links always have this state.
    Unknown,
    /// Some component is missing.
    NotPresent,
    /// No carrier, or administratively down.
    Down,
    /// The link that this one is stacked on is down (VLAN, macvlan).
    LowerLayerDown,
    /// In a test mode.
    Testing,
    /// Waits for an external event, such as 802.1X.
    Dormant,
    /// Ready.
    Up,
    /// A value newer than this crate.
    Other(u8),
}

impl From<u8> for OperationalState {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Unknown,
            1 => Self::NotPresent,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            4 => Self::Testing,
            5 => Self::Dormant,
            6 => Self::Up,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for OperationalState {
    /// As `ip link` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("UNKNOWN"),
            Self::NotPresent => f.write_str("NOTPRESENT"),
            Self::Down => f.write_str("DOWN"),
            Self::LowerLayerDown => f.write_str("LOWERLAYERDOWN"),
            Self::Testing => f.write_str("TESTING"),
            Self::Dormant => f.write_str("DORMANT"),
            Self::Up => f.write_str("UP"),
            Self::Other(value) => value.fmt(f),
        }
    }
}

/// One link, as the kernel described it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: LinkIndex,
    /// Its name.
    pub name: LinkName,
    /// Its alternative names (`IFLA_ALT_IFNAME`).
    pub altnames: Vec<String>,
    /// Its hardware address; `None` if it is not six bytes long (Infiniband, tunnels).
    pub mac: Option<MacAddress>,
    /// Its hardware broadcast address, under the same condition.
    pub broadcast: Option<MacAddress>,
    /// `ARPHRD_ETHER`: frames have Ethernet headers. True for veth, bond, bridge and VLAN, too.
    pub ethernet: bool,
    /// `IFF_UP`: it is administratively up.
    pub admin_up: bool,
    /// `IFF_LOWER_UP`: the driver sees a carrier.
    pub carrier: bool,
    /// How often the carrier was lost since the link was made (`IFLA_CARRIER_DOWN_COUNT`; 0 before
    /// Linux 4.16). It shows a loss that is over when the link is read.
    pub carrier_losses: u32,
    /// RFC 2863 state.
    pub operstate: OperationalState,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// `IFF_NOARP`: the kernel neither sends nor answers ARP requests on it.
    pub noarp: bool,
    /// `IFF_POINTOPOINT`.
    pub point_to_point: bool,
    /// `bond`, `bridge`, `vlan`, `veth`, ...; `None` for hardware.
    pub kind: Option<String>,
    /// The link of this namespace that this one is stacked on (`IFLA_LINK`): a VLAN's parent.
    pub lower: Option<LinkIndex>,
    /// The bond or bridge that this one is a port of (`IFLA_MASTER`).
    pub controller: Option<LinkIndex>,
    /// What that is (`IFLA_INFO_SLAVE_KIND`): `bond`, `bridge`, `team`, `openvswitch`, `vrf`, ...
    pub controller_kind: Option<String>,
    /// Bytes of payload in a frame at most.
    pub mtu: u32,
}

impl Link {
    /// Whether `name` is its name or one of its alternative names.
    #[must_use]
    pub fn is_called(&self, name: &LinkName) -> bool {
        self.name == *name || self.altnames.iter().any(|altname| altname == name.as_str())
    }

    /// Whether it is a port of a bridge, bond or the like, which takes every frame that arrives: then
    /// the addresses of this link are reached by no other host. The links of a VRF keep theirs.
    #[must_use]
    pub fn is_port(&self) -> bool {
        self.controller_kind.as_deref().is_some_and(|kind| kind != "vrf")
    }

    /// Whether frames can leave and arrive: it is administratively up, has a carrier, and no lower
    /// layer is known to be down. `Unknown` counts as usable, because loopback and drivers without
    /// link detection report nothing else.
    #[must_use]
    pub fn usable(&self) -> bool {
        use OperationalState as State;
        self.admin_up
            && self.carrier
            && !matches!(self.operstate, State::Down | State::LowerLayerDown | State::NotPresent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link() -> Link {
        Link {
            index: LinkIndex::new(3).unwrap(),
            name: "eth0".parse().unwrap(),
            altnames: vec!["enp3s0".to_owned()],
            mac: Some(MacAddress([2, 0, 0, 0, 0, 1])),
            broadcast: Some(MacAddress::BROADCAST),
            ethernet: true,
            admin_up: true,
            carrier: true,
            carrier_losses: 0,
            operstate: OperationalState::Up,
            loopback: false,
            noarp: false,
            point_to_point: false,
            kind: None,
            lower: None,
            controller: None,
            controller_kind: None,
            mtu: 1500,
        }
    }

    #[test]
    fn names_follow_the_kernels_rules() {
        for good in ["eth0", "a", "bond0.100", "fifteen-letters", "br-lan", "primary", "...", "é"]
        {
            assert_eq!(good.parse::<LinkName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "eth0:1", "eth 0", "eth\t0", "eth\n", "a\u{a0}b", "a\0"] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad:?}");
        }
        assert!(!"fifteen-letters".parse::<LinkName>().unwrap().is_alternative_only());
        assert!("sixteen-letters-".parse::<LinkName>().unwrap().is_alternative_only());
        let long = "x".repeat(1 << 20);
        let said = long.parse::<LinkName>().unwrap_err().to_string();
        assert!(said.len() < 200 && said.contains("127"), "{said}");
    }

    #[test]
    fn called_by_name_and_altname() {
        assert!(link().is_called(&"eth0".parse().unwrap()));
        assert!(link().is_called(&"enp3s0".parse().unwrap()));
        assert!(!link().is_called(&"eth".parse().unwrap()));
    }

    #[test]
    fn usable_needs_every_layer() {
        assert!(link().usable());
        assert!(Link { operstate: OperationalState::Unknown, ..link() }.usable());
        assert!(!Link { admin_up: false, ..link() }.usable());
        assert!(!Link { carrier: false, ..link() }.usable());
        for state in [OperationalState::Down, OperationalState::LowerLayerDown] {
            assert!(!Link { operstate: state, ..link() }.usable());
        }
    }

    #[test]
    fn mac_addresses_are_strict() {
        let mac: MacAddress = "02:00:00:AA:bb:cc".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:00:aa:bb:cc");
        assert_eq!("02-00-00-aa-bb-cc".parse::<MacAddress>().unwrap(), mac);
        for bad in [
            "",
            "02:00:00:aa:bb",
            "02:00:00:aa:bb:cc:dd",
            "2:0:0:a:b:c",
            "+2:00:00:aa:bb:cc",
            "gg:00:00:aa:bb:cc",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
        }
        assert!(MacAddress::BROADCAST.is_multicast() && !mac.is_multicast());
    }

    proptest! {
        #[test]
        fn mac_text_round_trip(bytes: [u8; 6]) {
            let mac = MacAddress(bytes);
            prop_assert_eq!(mac.to_string().parse::<MacAddress>().unwrap(), mac);
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text: String) {
            let _ = text.parse::<LinkName>();
            let _ = text.parse::<MacAddress>();
        }
    }
}
