//! Policy routing rules over rtnetlink.

use deadline::Deadline;
use nix::libc;
use rtnetlink::packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL, parse_u8, parse_u32};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::rule::{
    RuleAction as WireAction, RuleAttribute, RuleFlags, RuleHeader, RuleMessage,
};

use super::handle::Netlink;
use super::message::{Object, RawMessage};
use super::wire::{Attribute, address_family, attributes_after, family_of, ip, table_byte, text};
use crate::address::{Family, Network, Prefix};
use crate::error::{Error, Result};
use crate::retry::retry;
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

impl Netlink {
    /// The rules of a family, in the order in which the kernel applies them.
    ///
    /// # Errors
    /// [`Error::DumpInterrupted`], [`Error::DumpIncomplete`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`], for example by a kernel without policy routing.
    pub fn rules(&self, family: Family, until: Deadline) -> Result<Vec<Rule>> {
        // With strict checking the kernel accepts nothing but the family.
        let mut message = RuleMessage::default();
        message.header.family = address_family(family);
        let request = RawMessage::of(&RouteNetlinkMessage::GetRule(message));
        let mut found: Vec<Rule> =
            self.connection.dump("list the routing rules", &request, until)?;
        found.retain(|rule| rule.family == family);
        Ok(found)
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`Error::RuleExists`] if there is one with the same selectors, priority and action, even if
    /// its protocol is another; [`Error::PermissionDenied`], [`Error::NotAcknowledged`],
    /// [`Error::DeadlinePassed`], [`Error::Refused`]
    pub fn add_rule(&self, rule: &Rule, until: Deadline) -> Result<()> {
        let request = RawMessage { kind: libc::RTM_NEWRULE, payload: payload(rule) };
        let operation = format_args!("add the routing rule {rule}");
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let added = retry(until, |may_be_done| {
            match self.connection.change(operation, &request, flags, until) {
                Err(error) if may_be_done && error.errno() == Some(libc::EEXIST) => Ok(()),
                added => added,
            }
        });
        added.map_err(|error| match error.errno() {
            Some(libc::EEXIST) => Error::RuleExists { rule: rule.to_string() },
            _ => error,
        })
    }

    /// Deletes exactly this rule; `Ok(false)` if no rule is equal to it.
    ///
    /// The rules are read first, because to the kernel a selector that is missing from the request
    /// matches any: it may delete another rule of the same priority that has more selectors.
    ///
    /// # Errors
    /// Those of [`Netlink::rules`], [`Error::PermissionDenied`], [`Error::NotAcknowledged`]
    pub fn delete_rule(&self, rule: &Rule, until: Deadline) -> Result<bool> {
        retry(until, |may_be_done| {
            let found = self.delete_equal_rule(rule, until)?;
            Ok(found || may_be_done)
        })
    }

    /// One attempt.
    fn delete_equal_rule(&self, rule: &Rule, until: Deadline) -> Result<bool> {
        if !self.rules(rule.family, until)?.contains(rule) {
            return Ok(false);
        }
        let request = RawMessage { kind: libc::RTM_DELRULE, payload: payload(rule) };
        let operation = format_args!("delete the routing rule {rule}");
        match self.connection.change(operation, &request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `struct fib_rule_hdr`, then attributes `FRA_*`.
fn payload(rule: &Rule) -> Vec<u8> {
    let length = |network: &Option<Network>| network.map_or(0, |network| network.prefix().length());
    let (action, table) = match rule.action {
        RuleAction::Lookup(table) => (WireAction::ToTable, Some(table)),
        RuleAction::Blackhole => (WireAction::Blackhole, None),
        RuleAction::Unreachable => (WireAction::Unreachable, None),
        RuleAction::Prohibit => (WireAction::Prohibit, None),
        RuleAction::Other(action) => (action.into(), None),
    };
    let mut message = RuleMessage::default();
    message.header = RuleHeader {
        family: address_family(rule.family),
        dst_len: length(&rule.to),
        src_len: length(&rule.from),
        tos: rule.tos,
        table: table_byte(table.unwrap_or_default()),
        action,
        flags: if rule.inverted { RuleFlags::Invert } else { RuleFlags::empty() },
    };
    let attributes = [
        Some(RuleAttribute::Priority(rule.priority)),
        rule.to.map(|to| RuleAttribute::Destination(to.base())),
        rule.from.map(|from| RuleAttribute::Source(from.base())),
        rule.iif.clone().map(RuleAttribute::Iifname),
        rule.oif.clone().map(RuleAttribute::Oifname),
        rule.mark.map(|mark| RuleAttribute::FwMark(mark.value)),
        rule.mark.map(|mark| RuleAttribute::FwMask(mark.mask)),
        table.map(RuleAttribute::Table),
        Some(RuleAttribute::Protocol(u8::from(rule.protocol).into())),
    ];
    message.attributes.extend(attributes.into_iter().flatten());
    let mut payload = RawMessage::of(&RouteNetlinkMessage::NewRule(message)).payload;
    if let Some(length) = rule.suppressed_prefix {
        Attribute::new(FRA_SUPPRESS_PREFIXLEN, &length.to_ne_bytes()).push_to(&mut payload);
    }
    payload.extend(&rule.others.0);
    payload
}

impl Object for Rule {
    const KIND: u16 = libc::RTM_NEWRULE;

    /// `struct fib_rule_hdr`, then attributes `FRA_*`.
    fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
        let header = RuleHeader::parse(payload)?;
        let Some(family) = family_of(header.family.into()) else { return Ok(None) };
        let prefix = |length| Prefix::new(family, length).map_err(|error| error.to_string());
        let (to, from) = (prefix(header.dst_len)?, prefix(header.src_len)?);
        let mut table = u32::from(header.table);
        let (mut mark, mut mask) = (0, None);
        let mut rule = Self {
            family,
            // The kernel does not report the priority 0.
            priority: 0,
            from: None,
            to: None,
            iif: None,
            oif: None,
            mark: None,
            tos: header.tos,
            inverted: header.flags.contains(RuleFlags::Invert),
            action: action(header.action, table),
            suppressed_prefix: None,
            protocol: 0.into(),
            others: OtherSelectors::default(),
        };
        for attribute in attributes_after(HEADER_LENGTH, payload) {
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
                // Every rule has it; all ones mean that nothing is suppressed.
                FRA_SUPPRESS_PREFIXLEN => {
                    rule.suppressed_prefix = Some(parse_u32(value)?).filter(|it| *it != u32::MAX);
                }
                _ => attribute.push_to(&mut rule.others.0),
            }
        }
        rule.mark = mask.map(|mask| PacketMark { value: mark, mask });
        rule.action = action(header.action, table);
        Ok(Some(rule))
    }
}

fn action(action: WireAction, table: u32) -> RuleAction {
    match action {
        WireAction::ToTable => RuleAction::Lookup(table),
        WireAction::Blackhole => RuleAction::Blackhole,
        WireAction::Unreachable => RuleAction::Unreachable,
        WireAction::Prohibit => RuleAction::Prohibit,
        other => RuleAction::Other(other.into()),
    }
}
