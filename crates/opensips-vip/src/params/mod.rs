//! The parameters as typed values. Pure.

mod compatibility;
mod parse;
mod schedule;
#[cfg(test)]
mod tests;
mod vip;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use hostnet::{Family, Lifetime, LinkName, MacAddress, NamespaceName, Network, Prefix};
use ocf::{Findings, Reader, Values};

use crate::description as table;
pub(crate) use parse::parse_nic;
pub(crate) use schedule::Schedule;
pub(crate) use vip::{is_link_local, is_no_host, parse_vip};

/// The longest address label, which consists of the link's name, a colon and `iflabel`: `IFNAMSIZ`
/// less the terminating zero (linux/if.h).
pub(crate) const MAX_LABEL: usize = 15;

/// The parameters of one virtual IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) ip: IpAddr,
    /// `None`: the interface of the connected network.
    pub(crate) nic: Option<Nic>,
    /// `cidr_netmask`; `None`: that of the connected network.
    pub(crate) prefix: Option<Prefix>,
    pub(crate) broadcast: Broadcast,
    /// `iflabel`, the part after the colon.
    pub(crate) label: Option<String>,
    pub(crate) noprefixroute: bool,
    pub(crate) preferred_lft: Lifetime,
    pub(crate) nodad: Nodad,
    /// `network_namespace`; `None`: that of the caller.
    pub(crate) namespace: Option<NamespaceName>,
    /// `check_link_status`
    pub(crate) link_check: LinkCheck,
    pub(crate) link_wait: Duration,
    /// `None`: `duplicate_check=no`.
    pub(crate) duplicates: Option<DuplicateCheck>,
    /// `None`: `announce=none`.
    pub(crate) announce: Option<Form>,
    /// `announce_schedule`, or `arp_count` and `arp_interval`.
    pub(crate) schedule: Schedule,
    /// `arp_bg`
    pub(crate) in_background: bool,
    /// `arp_count_refresh`
    pub(crate) refresh: u32,
    /// `announce_targets`
    pub(crate) targets: Vec<AnnounceTarget>,
    pub(crate) gateway: Option<IpAddr>,
    /// `None`: the agent chooses one.
    pub(crate) route_table: Option<u32>,
    pub(crate) source_for: Vec<Network>,
    /// What start logs about parameters without effect.
    pub(crate) remarks: Vec<String>,
}

/// What identifies the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nic {
    /// A name or altname.
    Name(LinkName),
    Mac(MacAddress),
    /// The link has an address in this network.
    Network(Network),
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// Whether the kernel's own duplicate address detection is skipped (IPv6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nodad {
    /// If the agent's own check has just found no duplicate.
    Auto,
    Yes,
    No,
}

/// A host that also gets a unicast announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnnounceTarget {
    Host(IpAddr),
    /// The gateway of the VIP's network.
    Gateway,
}

/// How duplicates are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateCheck {
    /// `duplicate_timeout`: without an answer for that long, the address is free.
    pub(crate) timeout: Duration,
    /// `duplicate_check`: `yes` or `calibrated`.
    pub(crate) silence: SilenceOf,
    /// `duplicate_wait`: how long another host may take to release the address.
    pub(crate) wait: Duration,
    /// `duplicate_action`: what the owner does about another host.
    pub(crate) action: DuplicateAction,
}

/// How long start waits for another host to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SilenceOf {
    /// The whole timeout.
    Timeout,
    /// As long as neighbours that are known to answer need for it, and the timeout if none answers.
    Neighbours,
}

/// What the owner does about another host that has the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DuplicateAction {
    Defend,
    Fail,
}

/// The broadcast address that the VIP gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broadcast {
    /// `+`: all host bits one; none for /31 and /32 (RFC 3021).
    Ones,
    /// `-`: all host bits zero, as in old BSD systems.
    Zeros,
    Given(Ipv4Addr),
}

impl Broadcast {
    pub(crate) fn of(self, ip: Ipv4Addr, prefix: Prefix) -> Option<Ipv4Addr> {
        let network = Network::of(ip.into(), prefix);
        match (self, network.base()) {
            (Self::Given(broadcast), _) => Some(broadcast),
            (Self::Ones, _) => network.broadcast(),
            (Self::Zeros, IpAddr::V4(base)) if prefix.length() < 31 => Some(base),
            (Self::Zeros, _) => None,
        }
    }
}

/// What monitor reports for a link without carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkCheck {
    /// `OCF_ERR_GENERIC`
    Fail,
    /// `OCF_DEGRADED`
    Degrade,
    Ignore,
}

/// The form of an announcement. Requests are the default for the reasons in RFC 5227 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// ARP request, sender = target = VIP.
    Request,
    /// Unsolicited ARP reply.
    Reply,
    /// Both, the request first.
    Both,
}

impl Form {
    /// The value of `announce`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Both => "both",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Request, Self::Reply, Self::Both].into_iter().find(|form| form.name() == name)
    }
}

impl Params {
    /// Reads and validates all parameters.
    ///
    /// # Errors
    /// Every finding, in the order of the table.
    pub(crate) fn read(values: &Values) -> Result<Self, Findings> {
        let mut reader = Reader::new(values);
        let ip = reader.parsed(&table::IP, parse_vip);
        let family = ip.map_or(Family::V4, Family::of);
        let address = AddressOptions::read(&mut reader, family);
        let link_check = reader.parsed(&table::CHECK_LINK_STATUS, parse::parse_link_check);
        let link_wait = reader.duration(&table::LINK_WAIT, Duration::ZERO..=MAX_WAIT);
        let silence = reader.parsed(&table::DUPLICATE_CHECK, parse::parse_duplicate_check);
        let duplicates = read_duplicate_check(&mut reader, silence.flatten());
        let duplicate_check = silence.is_none_or(|silence| silence.is_some());
        let announce = reader.select(&table::ANNOUNCE);
        let schedule = compatibility::schedule(&mut reader, values);
        let targets =
            reader.parsed(&table::ANNOUNCE_TARGETS, |text| parse::parse_targets(text, family));
        let in_background = reader.boolean(&table::ARP_BG);
        let refresh = reader.integer(&table::ARP_COUNT_REFRESH, 0..=100);
        let routing = RoutingOptions::read(&mut reader, values, family);
        reader.duration(&table::DRAIN, DRAIN_RANGE);
        reader.boolean(&table::CLOSE_CONNECTIONS);
        let mut remarks = compatibility::read(&mut reader, values, duplicate_check);
        if let (Family::V4, Some(lifetime @ Lifetime::Seconds(_))) = (family, address.preferred_lft)
        {
            remarks.push(remark_on_lifetime(lifetime));
        }
        if let Some(ip) = ip {
            address.check(&mut reader, ip);
            routing.check(&mut reader, ip, address.prefix);
        }
        let complete = || {
            Some(Self {
                ip: ip?,
                nic: address.nic,
                prefix: address.prefix,
                broadcast: address.broadcast.unwrap_or(Broadcast::Ones),
                label: address.label,
                noprefixroute: address.noprefixroute,
                preferred_lft: preferred_lifetime(family, address.preferred_lft),
                nodad: address.nodad?,
                namespace: address.namespace,
                link_check: link_check?,
                link_wait: link_wait?,
                duplicates: if duplicate_check { Some(duplicates?) } else { None },
                announce: announce.and_then(Form::from_name),
                schedule: schedule?,
                in_background,
                refresh: u32::try_from(refresh?).ok()?,
                targets: targets.unwrap_or_default(),
                gateway: routing.gateway,
                route_table: routing.table,
                source_for: routing.source_for.unwrap_or_default(),
                remarks,
            })
        };
        let complete = complete();
        reader.finish(complete)
    }

    /// The family of the VIP.
    pub(crate) fn family(&self) -> Family {
        Family::of(self.ip)
    }
}

/// By default the VIP is no source of the host's own connections. The kernel selects IPv4 addresses by
/// their routes and their order, without a look at their lifetimes (`inet_select_addr`).
fn preferred_lifetime(family: Family, given: Option<Lifetime>) -> Lifetime {
    match family {
        Family::V4 => Lifetime::Forever,
        Family::V6 => given.unwrap_or(Lifetime::Seconds(0)),
    }
}

fn remark_on_lifetime(lifetime: Lifetime) -> String {
    let seconds = u32::from(lifetime);
    format!(
        "preferred_lft={seconds} has no effect on an IPv4 address: the node's own connections leave from its \
         own address, and source_for changes that"
    )
}

/// Limit of `link_wait` and `duplicate_wait`.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Limits of `drain`: stop alone reads it, also where another parameter is wrong.
pub(crate) const DRAIN_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(1);
/// Limits of `duplicate_timeout`.
const MIN_DUPLICATE_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_DUPLICATE_TIMEOUT: Duration = Duration::from_secs(10);

fn read_duplicate_check(
    reader: &mut Reader<'_>,
    silence: Option<SilenceOf>,
) -> Option<DuplicateCheck> {
    let timeout =
        reader.duration(&table::DUPLICATE_TIMEOUT, MIN_DUPLICATE_TIMEOUT..=MAX_DUPLICATE_TIMEOUT);
    let wait = reader.duration(&table::DUPLICATE_WAIT, Duration::ZERO..=MAX_WAIT);
    let action = reader.select(&table::DUPLICATE_ACTION).map(|word| match word {
        "fail" => DuplicateAction::Fail,
        _ => DuplicateAction::Defend,
    });
    Some(DuplicateCheck { timeout: timeout?, silence: silence?, wait: wait?, action: action? })
}

/// The parameters of the address itself; `None` also for one that has a finding.
struct AddressOptions {
    nic: Option<Nic>,
    prefix: Option<Prefix>,
    broadcast: Option<Broadcast>,
    label: Option<String>,
    noprefixroute: bool,
    preferred_lft: Option<Lifetime>,
    nodad: Option<Nodad>,
    namespace: Option<NamespaceName>,
}

impl AddressOptions {
    fn read(reader: &mut Reader<'_>, family: Family) -> Self {
        let nic = reader.parsed(&table::NIC, parse_nic);
        let (nic, nic_label) = nic.map_or((None, None), |(nic, label)| (Some(nic), label));
        let prefix = reader.parsed(&table::CIDR_NETMASK, |text| parse::parse_prefix(text, family));
        let broadcast = reader.parsed(&table::BROADCAST, parse::parse_broadcast);
        let label = reader.parsed(&table::IFLABEL, parse::parse_label);
        if let (Some(one), Some(other)) = (&nic_label, &label)
            && one != other
        {
            reader.reject(&table::NIC, "its label differs from iflabel: set only one of them");
        }
        Self {
            nic,
            prefix,
            broadcast,
            label: label.or(nic_label),
            noprefixroute: reader.boolean(&table::NOPREFIXROUTE),
            preferred_lft: reader.parsed(&table::PREFERRED_LFT, parse::parse_lifetime),
            nodad: reader.parsed(&table::NODAD, parse::parse_nodad),
            namespace: reader.parsed(&table::NETWORK_NAMESPACE, str::parse::<NamespaceName>),
        }
    }

    /// Checks them against the address.
    fn check(&self, reader: &mut Reader<'_>, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => {
                let network = self.prefix.map(|prefix| Network::of(ip.into(), prefix));
                if let Some(network) = network.filter(|it| it.broadcast() == Some(ip)) {
                    let why = format!("the broadcast address of {network}: use another address");
                    reader.reject(&table::IP, why);
                }
            }
            IpAddr::V6(_) => {
                let given = [
                    (&table::BROADCAST, self.broadcast.is_some()),
                    (&table::IFLABEL, self.label.is_some()),
                ];
                for (parameter, _) in given.into_iter().filter(|(_, given)| *given) {
                    reader.reject(parameter, "not valid for an IPv6 address: remove it");
                }
            }
        }
        if is_link_local(ip) && !matches!(self.nic, Some(Nic::Name(_))) {
            let why = "a link-local address also needs nic: set nic to the name of an interface";
            reader.reject(&table::IP, why);
        }
    }
}

/// The parameters of source routing; `None` also for one that has a finding.
struct RoutingOptions {
    gateway: Option<IpAddr>,
    table: Option<u32>,
    source_for: Option<Vec<Network>>,
}

impl RoutingOptions {
    fn read(reader: &mut Reader<'_>, values: &Values, family: Family) -> Self {
        let gateway = reader.parsed(&table::GATEWAY, |text| parse::parse_gateway(text, family));
        let table = reader.parsed(&table::ROUTE_TABLE, parse::parse_table);
        let source_for =
            reader.parsed(&table::SOURCE_FOR, |text| parse::parse_destinations(text, family));
        if table.is_some() && values.get(table::GATEWAY.name).is_none() {
            let why = "used only together with gateway: set gateway too, or remove it";
            reader.reject(&table::ROUTE_TABLE, why);
        }
        Self { gateway, table, source_for }
    }

    /// Checks them against the address.
    fn check(&self, reader: &mut Reader<'_>, ip: IpAddr, prefix: Option<Prefix>) {
        if self.gateway == Some(ip) {
            reader.reject(&table::GATEWAY, "the VIP itself: set gateway to a router");
        }
        if let (Some(gateway), Some(prefix)) = (self.gateway, prefix) {
            let network = Network::of(ip, prefix);
            if is_no_host(gateway, network) {
                let why = format!(
                    "the network or broadcast address of {network}: set gateway to a router"
                );
                reader.reject(&table::GATEWAY, why);
            }
        }
        if !is_link_local(ip) {
            return;
        }
        let given = [
            (&table::GATEWAY, self.gateway.is_some()),
            (&table::SOURCE_FOR, self.source_for.is_some()),
        ];
        for (parameter, _) in given.into_iter().filter(|(_, given)| *given) {
            reader.reject(
                parameter,
                "not valid for a link-local VIP, which is not routed: remove it",
            );
        }
    }
}
