//! The parameters: what an administrator wrote, as typed values. Pure.

mod compatibility;
mod parse;
mod schedule;
#[cfg(test)]
mod tests;
mod vip;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hostnet::{Family, Lifetime, LinkName, MacAddress, NamespaceName, Network, Prefix};
use ocf::{Findings, Reader, Values};

use crate::description as table;
pub(crate) use parse::parse_nic;
pub(crate) use schedule::Schedule;
pub(crate) use vip::{is_link_local, parse_vip};

/// Longest address label: `IFNAMSIZ` less the terminating zero (linux/if.h). It consists of the
/// link's name, a colon and `iflabel`.
pub(crate) const LONGEST_LABEL: usize = 15;

/// The parameters of one virtual IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// `ip`
    pub(crate) ip: IpAddr,
    /// `nic`; `None`: where the connected network is.
    pub(crate) nic: Option<Nic>,
    /// `cidr_netmask`; `None`: that of the connected network.
    pub(crate) prefix: Option<Prefix>,
    /// `broadcast`
    pub(crate) broadcast: Broadcast,
    /// `iflabel`, the part behind the colon.
    pub(crate) label: Option<String>,
    /// `noprefixroute`
    pub(crate) noprefixroute: bool,
    /// `preferred_lft`
    pub(crate) preferred_lft: Lifetime,
    /// `nodad`
    pub(crate) nodad: Nodad,
    /// `network_namespace`; `None`: that of the caller.
    pub(crate) namespace: Option<NamespaceName>,
    /// `check_link_status`
    pub(crate) link_check: LinkCheck,
    /// `link_wait`
    pub(crate) link_wait: Duration,
    /// `duplicate_check`; `None`: nobody is asked.
    pub(crate) duplicates: Option<DuplicateCheck>,
    /// `announce`; `None`: neighbours are not told.
    pub(crate) announce: Option<Form>,
    /// `announce_schedule`, or `arp_count` and `arp_interval`.
    pub(crate) schedule: Schedule,
    /// `arp_bg`: start does not wait for the end of the schedule.
    pub(crate) in_background: bool,
    /// `arp_count_refresh`
    pub(crate) refresh: u32,
    /// `announce_targets`: who is also told alone.
    pub(crate) targets: Vec<AnnounceTarget>,
    /// `gateway`
    pub(crate) gateway: Option<IpAddr>,
    /// `route_table`; `None`: one is chosen.
    pub(crate) route_table: Option<u32>,
    /// `source_for`
    pub(crate) source_for: Vec<Network>,
    /// What is told about parameters that do nothing.
    pub(crate) remarks: Vec<String>,
}

/// What names the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nic {
    /// Its name or altname.
    Name(LinkName),
    /// Its hardware address.
    Mac(MacAddress),
    /// The one with an address in this network.
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
    /// If our own check has just been done.
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
}

/// Who is told of the VIP alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnnounceTarget {
    /// This host.
    Host(IpAddr),
    /// The default gateway of the VIP's network.
    Gateway,
}

/// How duplicates are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateCheck {
    /// `duplicate_timeout`: silence that counts as free.
    pub(crate) timeout: Duration,
    /// `duplicate_wait`: how long a rival may take to let go.
    pub(crate) wait: Duration,
}

/// The broadcast address that the VIP gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broadcast {
    /// All host bits one, the usual form; none for /31 and /32 (RFC 3021). `+`
    Ones,
    /// All host bits zero, as old BSD hosts want it. `-`
    Zeros,
    /// This one.
    Given(Ipv4Addr),
}

impl Broadcast {
    /// The broadcast address for `ip`/`prefix`.
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

/// What a link without carrier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkCheck {
    /// The VIP does not work: monitor 1.
    Fail,
    /// An operator should look: monitor 190.
    Degrade,
    /// Nothing.
    Ignore,
}

/// The form of an announcement (RFC 5227 section 3 on why requests are the default).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// ARP request, sender = target = VIP.
    Request,
    /// ARP reply nobody asked for.
    Reply,
    /// Both, request first.
    Both,
}

impl Form {
    /// The word of the parameter.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Both => "both",
        }
    }

    /// The form of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Request, Self::Reply, Self::Both].into_iter().find(|form| form.name() == name)
    }
}

impl Params {
    /// Reads and judges all of them.
    ///
    /// # Errors
    /// Every finding, in the order of the table.
    pub(crate) fn read(values: &Values) -> Result<Self, Findings> {
        let mut reader = Reader::new(values);
        let ip = reader.parsed(&table::IP, parse_vip);
        let family = ip.map_or(Family::V4, Family::of);
        let nic = reader.parsed(&table::NIC, parse_nic);
        let prefix = reader.parsed(&table::CIDR_NETMASK, |text| parse::parse_prefix(text, family));
        let broadcast = reader.parsed(&table::BROADCAST, parse::parse_broadcast);
        let label = reader.parsed(&table::IFLABEL, parse::parse_label);
        let noprefixroute = reader.boolean(&table::NOPREFIXROUTE);
        let preferred_lft = reader.parsed(&table::PREFERRED_LFT, parse::parse_lifetime);
        let nodad = reader.parsed(&table::NODAD, parse::parse_nodad);
        let namespace = reader.parsed(&table::NETWORK_NAMESPACE, str::parse::<NamespaceName>);
        let link_check = reader.parsed(&table::CHECK_LINK_STATUS, parse::parse_link_check);
        let link_wait = reader.parsed(&table::LINK_WAIT, parse::parse_link_wait);
        let duplicate_check = reader.boolean(&table::DUPLICATE_CHECK);
        let timeout = reader.duration(
            &table::DUPLICATE_TIMEOUT,
            Duration::from_millis(10)..=Duration::from_secs(10),
        );
        let wait =
            reader.duration(&table::DUPLICATE_WAIT, Duration::ZERO..=Duration::from_secs(60));
        let announce = reader.select(&table::ANNOUNCE);
        let schedule = compatibility::schedule(&mut reader, values);
        let targets =
            reader.parsed(&table::ANNOUNCE_TARGETS, |text| parse::parse_targets(text, family));
        let in_background = reader.boolean(&table::ARP_BG);
        let refresh = reader.integer(&table::ARP_COUNT_REFRESH, 0..=100);
        let gateway = reader.parsed(&table::GATEWAY, |text| parse::parse_gateway(text, family));
        let route_table = reader.parsed(&table::ROUTE_TABLE, parse::parse_table);
        let source_for =
            reader.parsed(&table::SOURCE_FOR, |text| parse::parse_destinations(text, family));
        reader.boolean(&table::CLOSE_CONNECTIONS);
        let remarks = compatibility::read(&mut reader, values, duplicate_check);

        let (nic, nic_label) = nic.map_or((None, None), |(nic, label)| (Some(nic), label));
        if let (Some(one), Some(other)) = (&nic_label, &label)
            && one != other
        {
            reader.reject(&table::NIC, "its label is not that of iflabel: give one of them");
        }
        let label = label.or(nic_label);
        match ip {
            Some(IpAddr::V4(ip)) => {
                let network = prefix.map(|prefix| Network::of(ip.into(), prefix));
                if let Some(network) = network.filter(|it| it.broadcast() == Some(ip)) {
                    reader.reject(&table::IP, format!("it is the broadcast address of {network}"));
                }
            }
            Some(IpAddr::V6(_)) => {
                for (parameter, given) in
                    [(&table::BROADCAST, broadcast.is_some()), (&table::IFLABEL, label.is_some())]
                {
                    if given {
                        reader.reject(parameter, "IPv6 has no such thing: leave it out");
                    }
                }
            }
            None => {}
        }
        if ip.is_some_and(is_link_local) {
            if !matches!(nic, Some(Nic::Name(_))) {
                let why = "a link-local address is another one on every interface: give nic, too, as \
                           the interface's name";
                reader.reject(&table::IP, why);
            }
            for (parameter, given) in
                [(&table::GATEWAY, gateway.is_some()), (&table::SOURCE_FOR, source_for.is_some())]
            {
                if given {
                    reader.reject(
                        parameter,
                        "nothing beyond its link knows a link-local VIP: leave it out",
                    );
                }
            }
        }
        if route_table.is_some() && values.get(table::GATEWAY.name).is_none() {
            reader.reject(&table::ROUTE_TABLE, "it is the table of gateway: give gateway, too");
        }
        let complete = || {
            Some(Self {
                ip: ip?,
                nic,
                prefix,
                broadcast: broadcast.unwrap_or(Broadcast::Ones),
                label,
                noprefixroute,
                preferred_lft: preferred_lft?,
                nodad: nodad?,
                namespace,
                link_check: link_check?,
                link_wait: link_wait?,
                duplicates: match duplicate_check {
                    true => Some(DuplicateCheck { timeout: timeout?, wait: wait? }),
                    false => None,
                },
                announce: announce.and_then(Form::from_name),
                schedule: schedule?,
                in_background,
                targets: targets.unwrap_or_default(),
                refresh: u32::try_from(refresh?).ok()?,
                gateway,
                route_table,
                source_for: source_for.unwrap_or_default(),
                remarks,
            })
        };
        let complete = complete();
        reader.finish(complete)
    }

    /// Of the VIP.
    pub(crate) fn family(&self) -> Family {
        Family::of(self.ip)
    }
}
