//! The decoders of this crate as targets of a fuzzer (tests/fuzz). A target panics if a decoder does, or if it
//! breaks a promise.

use crate::netlink::fuzzing::{netlink, sock_diag};
use crate::packet::arp::Arp;
use crate::packet::ndisc::NeighborMessage;

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] =
    &[("arp", arp), ("ndisc", ndisc), ("netlink", netlink), ("sock_diag", sock_diag)];

/// What drivers add to a short frame.
const PADDING: [u8; 18] = [0; 18];

fn arp(frame: &[u8]) {
    let Some(arp) = Arp::parse(frame) else { return };
    assert_eq!(Arp::parse(&[frame, &PADDING].concat()), Some(arp), "padding counts");
    assert_eq!(arp.claims(arp.sender_ip), Some(arp.sender_mac));
    assert!(arp.probes(arp.target_ip).is_none_or(|mac| mac == arp.sender_mac));
}

fn ndisc(frame: &[u8]) {
    let Some(message) = NeighborMessage::parse(frame) else { return };
    let padded = NeighborMessage::parse(&[frame, &PADDING].concat());
    assert_eq!(padded, Some(message), "padding counts");
    assert!(!message.target.is_multicast());
    let _ = (message.claims(message.target), message.probes(message.target));
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_was_found_stays_found() {
        testnet::replay(super::TARGETS);
    }
}
