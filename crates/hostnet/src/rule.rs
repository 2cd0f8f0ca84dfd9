//! Policy routing rules as values; no effect in here.

use std::fmt;

use crate::address::{Family, Network};
use crate::route::{RouteProtocol, TABLE_MAIN};

/// What the kernel does with a packet that matches a rule (`FR_ACT_*`, linux/fib_rules.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// Looks its destination up in this table; if there is no route, the next rule applies.
    Lookup(u32),
    /// Drops it.
    Blackhole,
    /// Drops it, and the sender gets an ICMP error: destination unreachable.
    Unreachable,
    /// Drops it, and the sender gets an ICMP error: administratively prohibited.
    Prohibit,
    /// Anything else, such as goto (2) and nop (3).
    Other(u8),
}

/// The mark of a packet that a rule selects (`FRA_FWMARK`, `FRA_FWMASK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMark {
    /// The value of the masked bits.
    pub value: u32,
    /// The bits that are compared; all ones by default.
    pub mask: u32,
}

/// Selectors of a rule that have no field of their own (ports, users, tunnels), kept as the kernel's
/// attributes, so that such a rule is not equal to one without them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtherSelectors(pub(crate) Vec<u8>);

impl OtherSelectors {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One rule: which packets, and where their route is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Its priority: rules apply from the lowest number to the highest. The kernel's own are 0
    /// (table local), 32766 (main) and 32767 (default).
    pub priority: u32,
    /// The packet's source; `None` for any.
    pub from: Option<Network>,
    /// The packet's destination; `None` for any.
    pub to: Option<Network>,
    /// The link that the packet came in by; `lo` for packets of this host. It is a name, because a
    /// rule outlives its link.
    pub iif: Option<String>,
    /// The link that the sending socket is bound to.
    pub oif: Option<String>,
    /// Its mark; `None` for any.
    pub mark: Option<PacketMark>,
    /// Its type of service; 0 for any.
    pub tos: u8,
    /// The rule matches what the selectors do *not* match (`FIB_RULE_INVERT`).
    pub inverted: bool,
    /// What the kernel does with matching packets.
    pub action: RuleAction,
    /// Routes found by the lookup whose prefix is not longer than this do not count
    /// (`FRA_SUPPRESS_PREFIXLEN`): with 0, default routes.
    pub suppressed_prefix: Option<u32>,
    /// What made it. Kernels before 4.17 don't keep it and report [`RouteProtocol::Other`]`(0)`.
    pub protocol: RouteProtocol,
    /// All other attributes.
    pub others: OtherSelectors,
}

impl Rule {
    /// The rule `from source lookup table` at `priority`, marked with [`RouteProtocol::OWN`].
    #[must_use]
    pub fn from_source(source: Network, table: u32, priority: u32) -> Self {
        Self {
            family: Family::of(source.base()),
            priority,
            from: Some(source),
            to: None,
            iif: None,
            oif: None,
            mark: None,
            tos: 0,
            inverted: false,
            action: RuleAction::Lookup(table),
            suppressed_prefix: None,
            protocol: RouteProtocol::OWN,
            others: OtherSelectors::default(),
        }
    }
}

impl fmt::Display for Rule {
    /// As `ip rule` writes it, with numbers of tables other than `main`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        if self.inverted {
            f.write_str(" not")?;
        }
        match &self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = &self.to {
            write!(f, " to {to}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {:#x}", self.tos)?;
        }
        if let Some(mark) = self.mark {
            write!(f, " fwmark {:#x}/{:#x}", mark.value, mark.mask)?;
        }
        if let Some(iif) = &self.iif {
            write!(f, " iif {iif}")?;
        }
        if let Some(oif) = &self.oif {
            write!(f, " oif {oif}")?;
        }
        if !self.others.is_empty() {
            f.write_str(" ...")?;
        }
        match self.action {
            RuleAction::Lookup(TABLE_MAIN) => f.write_str(" lookup main")?,
            RuleAction::Lookup(table) => write!(f, " lookup {table}")?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
            RuleAction::Other(action) => write!(f, " action {action}")?,
        }
        match self.suppressed_prefix {
            Some(length) => write!(f, " suppress_prefixlength {length}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_resembles_ip_rule() {
        let rule = Rule::from_source("192.0.2.10/32".parse().unwrap(), 100, 1000);
        assert_eq!(rule.to_string(), "1000: from 192.0.2.10/32 lookup 100");
        let rule = Rule { suppressed_prefix: Some(0), ..rule };
        let text = "1000: from 192.0.2.10/32 lookup 100 suppress_prefixlength 0";
        assert_eq!(rule.to_string(), text);
        let rule = Rule {
            suppressed_prefix: None,
            from: None,
            to: Some("2001:db8::/64".parse().unwrap()),
            iif: Some("eth0".to_owned()),
            oif: Some("eth1".to_owned()),
            mark: Some(PacketMark { value: 5, mask: 0xff }),
            tos: 0x10,
            inverted: true,
            action: RuleAction::Prohibit,
            others: OtherSelectors(vec![0]),
            ..rule
        };
        let text = "1000: not from all to 2001:db8::/64 tos 0x10 fwmark 0x5/0xff iif eth0 \
                    oif eth1 ... prohibit";
        assert_eq!(rule.to_string(), text);
    }
}
