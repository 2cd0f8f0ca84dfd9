//! Policy routing rules over rtnetlink.

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL, parse_u8, parse_u32};

use super::address::ip;
use super::attribute::{Attribute, attributes, octets};
use super::link::text;
use super::message::Request;
use super::{Message, Netlink};
use crate::address::{Family, Network, Prefix};
use crate::error::{Error, Result};
use crate::rule::{OtherSelectors, PacketMark, Rule, RuleAction};

/// `sizeof(struct fib_rule_hdr)`: family, prefix lengths of destination and source, type of
/// service, table, two reserved, action, and one 32-bit word of flags.
const HEADER_LENGTH: usize = 12;

// linux/fib_rules.h
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_BLACKHOLE: u8 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
const FR_ACT_PROHIBIT: u8 = 8;
const FIB_RULE_INVERT: u32 = 2;

impl Netlink {
    /// The rules of a family, in the order in which the kernel asks them.
    ///
    /// # Errors
    /// [`Error::DumpInterrupted`], [`Error::DumpIncomplete`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`], for one by a kernel without policy routing.
    pub fn rules(&self, family: Family, until: Deadline) -> Result<Vec<Rule>> {
        // A strict kernel accepts nothing but the family.
        let mut header = vec![0; HEADER_LENGTH];
        if let Some(first) = header.first_mut() {
            *first = wire_family(family);
        }
        let request = Request::Raw { kind: libc::RTM_GETRULE, payload: header };
        self.dump("list the routing rules", request, until, |message| match message {
            Message::Rule(rule) => Some(*rule).filter(|rule| rule.family == family),
            _ => None,
        })
    }

    /// Adds a rule, acknowledged by the kernel.
    ///
    /// # Errors
    /// [`Error::RuleExists`] if there is one with the same selectors, place and action,
    /// whoever made it; [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn add_rule(&self, rule: &Rule, until: Deadline) -> Result<()> {
        let operation = format!("add the routing rule {rule}");
        let request = Request::Raw { kind: libc::RTM_NEWRULE, payload: message(rule) };
        self.change(&operation, request, NLM_F_CREATE | NLM_F_EXCL, until).map_err(|error| {
            match error.errno() {
                Some(libc::EEXIST) => Error::RuleExists { rule: rule.to_string() },
                _ => error,
            }
        })
    }

    /// Deletes exactly this rule; `Ok(false)` if there is none that is equal to it.
    ///
    /// Looked for first, because for the kernel a selector that is not named fits any: it would
    /// delete another rule at the same place that demands more.
    ///
    /// # Errors
    /// Those of [`Netlink::rules`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`]
    pub fn delete_rule(&self, rule: &Rule, until: Deadline) -> Result<bool> {
        if !self.rules(rule.family, until)?.contains(rule) {
            return Ok(false);
        }
        let operation = format!("delete the routing rule {rule}");
        let request = Request::Raw { kind: libc::RTM_DELRULE, payload: message(rule) };
        match self.change(&operation, request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `AF_INET` or `AF_INET6`, a byte in every header.
pub(super) fn wire_family(family: Family) -> u8 {
    super::address::wire_family(family).into()
}

/// The header's field for a table has room for 255; the attribute counts.
pub(super) fn table_byte(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(libc::RT_TABLE_COMPAT)
}

fn message(rule: &Rule) -> Vec<u8> {
    let length = |network: &Option<Network>| network.map_or(0, |network| network.prefix().length());
    let (action, table) = match rule.action {
        RuleAction::Lookup(table) => (FR_ACT_TO_TBL, Some(table)),
        RuleAction::Blackhole => (FR_ACT_BLACKHOLE, None),
        RuleAction::Unreachable => (FR_ACT_UNREACHABLE, None),
        RuleAction::Prohibit => (FR_ACT_PROHIBIT, None),
        RuleAction::Other(action) => (action, None),
    };
    let mut bytes = vec![
        wire_family(rule.family),
        length(&rule.to),
        length(&rule.from),
        rule.tos,
        table_byte(table.unwrap_or_default()),
        0,
        0,
        action,
    ];
    bytes.extend(if rule.inverted { FIB_RULE_INVERT } else { 0 }.to_ne_bytes());
    let mut push = |kind, value: &[u8]| Attribute::new(kind, value).push_to(&mut bytes);
    push(FRA_PRIORITY, &rule.priority.to_ne_bytes());
    for (kind, network) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some(network) = network {
            push(kind, &octets(network.base()));
        }
    }
    for (kind, name) in [(FRA_IIFNAME, &rule.iif), (FRA_OIFNAME, &rule.oif)] {
        if let Some(name) = name {
            push(kind, &[name.as_bytes(), b"\0"].concat());
        }
    }
    if let Some(mark) = rule.mark {
        push(FRA_FWMARK, &mark.value.to_ne_bytes());
        push(FRA_FWMASK, &mark.mask.to_ne_bytes());
    }
    if let Some(table) = table {
        push(FRA_TABLE, &table.to_ne_bytes());
    }
    push(FRA_PROTOCOL, &[rule.protocol.into()]);
    bytes.extend(&rule.others.0);
    bytes
}

/// `struct fib_rule_hdr`, then attributes `FRA_*`. `None` for families that are not IP.
pub(super) fn read(payload: &[u8]) -> std::result::Result<Option<Rule>, DecodeError> {
    let Some((&[family, to, from, tos, table, _, _, action, a, b, c, d], rest)) =
        payload.split_first_chunk::<HEADER_LENGTH>()
    else {
        return Err("a rule without its header".into());
    };
    let family = match i32::from(family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return Ok(None),
    };
    let prefix = |length| Prefix::new(family, length).map_err(|error| error.to_string());
    let (to, from) = (prefix(to)?, prefix(from)?);
    let mut table = u32::from(table);
    let (mut mark, mut mask) = (0, None);
    let mut rule = Rule {
        family,
        // The kernel does not tell the priority 0.
        priority: 0,
        from: None,
        to: None,
        iif: None,
        oif: None,
        mark: None,
        tos,
        inverted: u32::from_ne_bytes([a, b, c, d]) & FIB_RULE_INVERT != 0,
        action: RuleAction::Other(action),
        protocol: 0.into(),
        others: OtherSelectors::default(),
    };
    for attribute in attributes(rest) {
        let attribute = attribute?;
        let value = attribute.value;
        match attribute.kind {
            FRA_PRIORITY => rule.priority = parse_u32(value)?,
            FRA_DST => rule.to = Some(Network::of(ip(family, value)?, to)),
            FRA_SRC => rule.from = Some(Network::of(ip(family, value)?, from)),
            FRA_IIFNAME => rule.iif = Some(text(value)),
            FRA_OIFNAME => rule.oif = Some(text(value)),
            FRA_FWMARK => mark = parse_u32(value)?,
            FRA_FWMASK => mask = Some(parse_u32(value)?),
            FRA_TABLE => table = parse_u32(value)?,
            FRA_PROTOCOL => rule.protocol = parse_u8(value)?.into(),
            // Said of every rule; all ones: nothing is suppressed.
            FRA_SUPPRESS_PREFIXLEN if parse_u32(value)? == u32::MAX => {}
            _ => attribute.push_to(&mut rule.others.0),
        }
    }
    rule.mark = mask.map(|mask| PacketMark { value: mark, mask });
    rule.action = match action {
        FR_ACT_TO_TBL => RuleAction::Lookup(table),
        FR_ACT_BLACKHOLE => RuleAction::Blackhole,
        FR_ACT_UNREACHABLE => RuleAction::Unreachable,
        FR_ACT_PROHIBIT => RuleAction::Prohibit,
        other => RuleAction::Other(other),
    };
    Ok(Some(rule))
}
