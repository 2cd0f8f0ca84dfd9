//! What a host believes about its neighbours.

use std::net::IpAddr;

use crate::host::Host;

/// An entry of the neighbour cache (ARP cache).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The neighbour's address.
    pub ip: IpAddr,
    /// The interface it is behind.
    pub interface: String,
    /// Its hardware address, as text in lower case; `None` if unknown.
    pub mac: Option<String>,
    /// `REACHABLE`, `STALE`, `FAILED`, ...
    pub state: String,
}

/// The neighbour cache of a host.
///
/// # Panics
/// If `ip` prints what this does not understand.
#[must_use]
pub fn neighbour_cache(host: &Host) -> Vec<Neighbour> {
    host.ip("neigh show").lines().map(parse).collect()
}

/// `192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE`
fn parse(line: &str) -> Neighbour {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| {
        let position = words.iter().position(|word| *word == key)?;
        words.get(position + 1).map(ToString::to_string)
    };
    Neighbour {
        ip: words[0].parse().unwrap_or_else(|_| panic!("no address in {line:?}")),
        interface: after("dev").unwrap_or_else(|| panic!("no interface in {line:?}")),
        mac: after("lladdr"),
        state: words[words.len() - 1].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_iproute2() {
        let known = parse("192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE");
        assert_eq!(known.mac.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!((known.interface.as_str(), known.state.as_str()), ("eth0", "REACHABLE"));
        assert_eq!(parse("192.0.2.9 dev eth0  FAILED ").mac, None);
    }
}
