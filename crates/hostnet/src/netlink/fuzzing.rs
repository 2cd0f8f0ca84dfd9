//! What the kernel answers as targets of a fuzzer (tests/fuzz).

use bytes::BytesMut;
use nix::libc;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::proto::NetlinkMessageCodec;

use super::message::{Object, RawMessage, WholeDatagrams};
use super::route_record::RouteRecord;
pub(crate) use super::sock_diag::decode as sock_diag;
use crate::address::Address;
use crate::link::Link;
use crate::neighbour::Neighbour;
use crate::rule::Rule;

/// A datagram of rtnetlink, and every object in it.
pub(crate) fn netlink(datagram: &[u8]) {
    let mut left = BytesMut::from(datagram);
    let mut count = 0;
    while let Ok(Some(message)) = WholeDatagrams::decode::<RawMessage>(&mut left) {
        if let NetlinkPayload::InnerMessage(RawMessage { kind, payload }) = message.payload {
            object(kind, &payload);
        }
        count += 1;
        assert!(count <= datagram.len(), "a datagram without an end");
    }
}

fn object(kind: u16, payload: &[u8]) {
    match kind {
        libc::RTM_NEWLINK => drop(Link::read(payload)),
        libc::RTM_NEWADDR => drop(Address::read(payload)),
        libc::RTM_NEWNEIGH => drop(Neighbour::read(payload)),
        libc::RTM_NEWRULE => drop(Rule::read(payload)),
        libc::RTM_NEWROUTE => {
            if let Ok(Some(record)) = RouteRecord::read(payload) {
                route(record);
            }
        }
        _ => {}
    }
}

/// What is asked for is understood as it was read.
fn route(record: RouteRecord) {
    assert!(record.is_same_way(&record.clone()));
    let again = RouteRecord::read(&record.request());
    assert!(matches!(again, Ok(Some(_))), "{again:?}");
    let changed = record.with_metric(7).onlink();
    let again = RouteRecord::read(&changed.request());
    assert!(again.is_ok_and(|again| again.is_some_and(|again| again.route().metric == 7)));
}
