use nix::libc;
use proptest::prelude::*;

use super::RouteRecord;
use super::message::Object;
use crate::address::Address;
use crate::link::Link;
use crate::neighbour::Neighbour;
use crate::rule::Rule;

fn read(payload: &[u8]) {
    let _ = Link::read(payload);
    let _ = Address::read(payload);
    let _ = Neighbour::read(payload);
    let _ = RouteRecord::read(payload);
    let _ = Rule::read(payload);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        family in prop::sample::select(vec![0, libc::AF_INET, libc::AF_INET6, libc::AF_BRIDGE]),
        mut payload: Vec<u8>,
    ) {
        read(&payload);
        if let Some(first) = payload.first_mut() {
            *first = u8::try_from(family).unwrap();
        }
        read(&payload);
    }
}
