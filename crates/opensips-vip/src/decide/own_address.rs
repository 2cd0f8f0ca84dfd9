//! Is an address one that the host has by itself? Such an address is never a VIP. Pure.
//!
//! What this agent has started or adopted is noted, and is a VIP whatever the tables show. Of the others,
//! an address that ocf:heartbeat:IPaddr2 or an administrator has added for a VIP must be told from the
//! host's own one: it stands beside an address of the host in the same network.

use std::net::IpAddr;
use std::path::PathBuf;

use hostnet::{Address, Family, Lifetime, Network, Prefix, Route};

use super::names::LinkNames;
use crate::params::is_link_local;

/// Why an address is the host's own; the message is the exit reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OwnAddress {
    #[error(
        "ip={ip} is an address that Corosync uses, by {}: use one that no node has by itself",
        file.display()
    )]
    Corosync { ip: IpAddr, file: PathBuf },
    /// By DHCP or from a router advertisement (RFC 4862).
    #[error(
        "ip={ip} is this node's own address, with a lifetime as from DHCP: use one that no node has by \
         itself"
    )]
    Leased { ip: IpAddr },
    #[error(
        "ip={ip} is this node's own address, by {}: use another, or remove it there",
        file.display()
    )]
    Configured { ip: IpAddr, file: PathBuf },
    #[error(
        "ip={ip} is this node's own address, the only one in {network} on {link}: use another, or delete \
         it there"
    )]
    Only { ip: IpAddr, network: Network, link: String },
}

/// The host's tables, without what is noted as a VIP.
pub(crate) struct Tables<'a> {
    /// All addresses of the family.
    pub(crate) addresses: &'a [Address],
    /// The VIPs that are noted: they do not show that another address is one, too.
    pub(crate) vips: &'a [IpAddr],
    /// Those of the main table.
    pub(crate) routes: &'a [Route],
    pub(crate) names: &'a LinkNames,
}

/// By the kernel's tables: the first reason of one of these instances of the address.
pub(crate) fn by_tables(instances: &[Address], tables: &Tables<'_>) -> Option<OwnAddress> {
    let leased = instances.iter().find(|it| it.valid_lft != Lifetime::Forever);
    if let Some(Address { ip, .. }) = leased {
        return Some(OwnAddress::Leased { ip: *ip });
    }
    let only = instances.iter().find(|instance| is_only(instance, tables))?;
    let link = tables.names.link(only.link);
    Some(OwnAddress::Only { ip: only.ip, network: only.network(), link })
}

/// Returns true if no other address shows that this one is not the host's own.
fn is_only(instance: &Address, tables: &Tables<'_>) -> bool {
    if instance.peer.is_some() {
        return false;
    }
    let mut others = tables.addresses.iter().filter(|other| {
        other.link == instance.link && other.ip != instance.ip && !tables.vips.contains(&other.ip)
    });
    if instance.prefix == Prefix::host(Family::of(instance.ip)) {
        // The form of most VIPs. It is the host's where the host reaches others by nothing else, as in
        // some clouds.
        return !others.any(|other| is_link_local(other.ip) == is_link_local(instance.ip))
            && tables
                .routes
                .iter()
                .any(|route| route.link == Some(instance.link) && route.gateway.is_some());
    }
    !others.any(|other| stands_beside(instance, other))
}

/// Returns true if the other address can be the host's own in the network of this one. For IPv4 the first
/// address of a network is the primary one: what has come later does not make it a VIP.
fn stands_beside(instance: &Address, other: &Address) -> bool {
    if other.peer.is_some() {
        return false;
    }
    if other.network() == instance.network() {
        return instance.ip.is_ipv6() || instance.flags.secondary;
    }
    other.network().contains(instance.ip)
}

/// Returns true if the text of a configuration file of the host's network gives it this address.
///
/// The files of ifupdown, systemd-networkd, NetworkManager and ifcfg have a key and the address in a line,
/// netplan has lists. A name server, a gateway or the target of a route has another key, and in netplan no
/// prefix.
pub(crate) fn is_configured_in(text: &str, ip: IpAddr) -> bool {
    text.lines().any(|line| {
        let line = line.split(['#', ';']).next().unwrap_or_default().trim();
        let is_separator = |c: char| c.is_ascii_whitespace() || "=,[]\"'{}".contains(c);
        let mut words = line.split(is_separator).filter(|word| !word.is_empty()).peekable();
        let key = words.peek().map(|key| key.trim_end_matches(':').to_ascii_lowercase());
        let Some(key) = key else { return false };
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        let is_key = matches!(stem, "address" | "ipaddr" | "ipv6addr");
        let mut values = words.skip(1).map(|word| {
            let word = word.trim_end_matches(':');
            let (address, prefix) =
                word.split_once('/').map_or((word, false), |(address, _)| (address, true));
            let is_ip = address.parse() == Ok(ip);
            (is_ip, prefix)
        });
        match key.as_str() {
            "addresses" => values.any(|(is_ip, prefix)| is_ip && prefix),
            "-" => values.next().is_some_and(|(is_ip, prefix)| is_ip && prefix),
            // NetworkManager has the gateway behind the address.
            _ => is_key && values.next().is_some_and(|(is_ip, _)| is_ip),
        }
    })
}

/// The addresses of the nodes in the text of corosync.conf(5). `hosts` is the text of hosts(5), for those
/// that are given by name.
pub(crate) fn is_of_corosync(text: &str, hosts: &str, ip: IpAddr) -> bool {
    let addresses = text.lines().filter_map(|line| {
        let (key, value) = line.split('#').next()?.split_once(':')?;
        let key = key.trim();
        (key.starts_with("ring") && key.ends_with("_addr")).then(|| value.trim())
    });
    let is_named = |name: &str| {
        hosts.lines().any(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            words.next().and_then(|address| address.parse().ok()) == Some(ip)
                && words.any(|word| word == name)
        })
    };
    addresses.into_iter().any(|value| match value.parse::<IpAddr>() {
        Ok(address) => address == ip,
        Err(_) => is_named(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{address, connected, link};

    fn own(instances: &[Address], others: &[Address], vips: &[&str]) -> Option<String> {
        let addresses = [instances, others].concat();
        let vips: Vec<_> = vips.iter().map(|ip| ip.parse().unwrap()).collect();
        let default = Route {
            gateway: "192.0.2.254".parse().ok(),
            destination: "0.0.0.0/0".parse().unwrap(),
            ..connected(2, "192.0.2.0/24", None)
        };
        let names = LinkNames::of([&link(2, "eth0"), &link(3, "eth1")]);
        let tables =
            Tables { addresses: &addresses, vips: &vips, routes: &[default], names: &names };
        by_tables(instances, &tables).map(|own| own.to_string())
    }

    fn secondary(text: &str) -> Address {
        let mut address = address(2, text);
        address.flags.secondary = true;
        address
    }

    #[test]
    fn the_only_address_of_a_network_is_the_hosts_own() {
        let only = [address(2, "192.0.2.1/24")];
        let reason = own(&only, &[], &[]).unwrap();
        assert!(reason.starts_with(
            "ip=192.0.2.1 is this node's own address, the only one in 192.0.2.0/24 on eth0: use"
        ));
        // Others are in other networks, on other links, or have come later.
        assert!(
            own(&only, &[address(2, "198.51.100.1/24"), address(3, "192.0.2.2/24")], &[]).is_some()
        );
        assert!(
            own(&only, &[secondary("192.0.2.10/24"), address(2, "192.0.2.10/32")], &[]).is_some()
        );
        let only = [address(2, "2001:db8::1/64")];
        assert!(own(&only, &[address(2, "fe80::1/64")], &[]).is_some());
        assert!(own(&only, &[address(2, "2001:db8::10/64")], &["2001:db8::10"]).is_some());
    }

    #[test]
    fn what_another_agent_has_added_beside_it_is_not() {
        let host = [address(2, "192.0.2.1/24")];
        for vip in
            [secondary("192.0.2.10/24"), address(2, "192.0.2.10/25"), address(2, "192.0.2.10/32")]
        {
            assert_eq!(own(&[vip], &host, &[]), None);
        }
        // A host address beside others, also of another network.
        assert_eq!(own(&[address(2, "203.0.113.10/32")], &host, &[]), None);
        assert_eq!(own(&[address(3, "203.0.113.10/32")], &host, &[]), None);
        let host = [address(2, "2001:db8::1/64")];
        assert_eq!(own(&[address(2, "2001:db8::10/64")], &host, &[]), None);
    }

    #[test]
    fn a_host_address_is_own_where_nothing_else_leads_out() {
        assert!(
            own(&[address(2, "192.0.2.1/32")], &[address(3, "198.51.100.1/24")], &[]).is_some()
        );
    }

    #[test]
    fn a_lease_is_own_beside_others() {
        let leased = Address { valid_lft: Lifetime::Seconds(600), ..secondary("192.0.2.5/24") };
        let reason = own(&[leased], &[address(2, "192.0.2.1/24")], &[]).unwrap();
        assert!(reason.contains("with a lifetime as from DHCP"));
    }

    #[test]
    fn configuration_files() {
        let ip = "192.0.2.1".parse().unwrap();
        for text in [
            "auto eth0\niface eth0 inet static\n  address 192.0.2.1/24\n",
            "iface eth0 inet static\n\taddress 192.0.2.1\n\tnetmask 255.255.255.0\n",
            "[Network]\nAddress=192.0.2.1/24\n",
            "[ipv4]\naddress1=192.0.2.1/24,192.0.2.254\n",
            "IPADDR=\"192.0.2.1\"\n",
            "IPADDR0=192.0.2.1\n",
            "      addresses: [192.0.2.9/24, 192.0.2.1/24]\n",
            "      addresses:\n        - 192.0.2.9/24\n        - \"192.0.2.1/24\"\n",
            "        - 192.0.2.1/24:\n            label: x\n",
        ] {
            assert!(is_configured_in(text, ip), "{text}");
        }
        for text in [
            "",
            "#  address 192.0.2.1/24\n",
            "  gateway 192.0.2.1\n",
            "  address 192.0.2.10/24\n",
            "Gateway=192.0.2.1\nDNS=192.0.2.1\n",
            "address1=192.0.2.9/24,192.0.2.1\n",
            "      nameservers:\n        addresses: [192.0.2.1]\n",
            "      nameservers:\n        addresses:\n          - 192.0.2.1\n",
            "      addresses:\n        - 192.0.2.9/24\n",
            "      routes:\n        - to: 192.0.2.1/32\n          via: 192.0.2.9\n",
            "  up ip route add default via 192.0.2.254 src 192.0.2.1\n",
        ] {
            assert!(!is_configured_in(text, ip), "{text}");
        }
        let ip = "2001:db8::1".parse().unwrap();
        assert!(is_configured_in("  address 2001:DB8:0::1/64\n", ip));
        assert!(is_configured_in("IPV6ADDR=2001:db8::1/64\n", ip));
    }

    #[test]
    fn corosync() {
        let text = "nodelist {\n node {\n  ring0_addr: 198.51.100.11\n  ring1_addr: node1 # x\n }\n}\n\
             ring_of: 192.0.2.7\nquorum_addr: 192.0.2.8\n";
        let hosts = "127.0.0.1 localhost\n192.0.2.1 node1.example node1\n";
        let found = |ip: &str| is_of_corosync(text, hosts, ip.parse().unwrap());
        assert!(found("198.51.100.11") && found("192.0.2.1"));
        assert!(!found("198.51.100.1") && !found("127.0.0.1"));
        // Other keys.
        assert!(!found("192.0.2.7") && !found("192.0.2.8"));
        assert!(!is_of_corosync("#  ring0_addr: 192.0.2.1\n", "", "192.0.2.1".parse().unwrap()));
    }
}
