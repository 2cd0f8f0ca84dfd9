//! The table of cases. ocft runs `stop` before each; here each has a host of its own.

use super::ocft::{Case, Deviation, Step};
use Step::{Assigned, Ends, Removed};

const START: &[Step] = &[Ends("start", 0), Assigned];
const STOP: &[Step] = &[Ends("start", 0), Ends("stop", 0), Removed];
const START_TWICE: &[Step] = &[Ends("start", 0), Ends("start", 0)];
const STOP_TWICE: &[Step] = &[Ends("stop", 0), Ends("stop", 0)];
const RUNNING: &[Step] = &[Ends("start", 0), Ends("probe", 0)];
const NOT_RUNNING: &[Step] = &[Ends("probe", 7)];
const CYCLE: &[Step] = &[Ends("start", 0), Assigned, Ends("probe", 0), Ends("stop", 0), Removed];
const SHORT_CYCLE: &[Step] = &[Ends("start", 0), Assigned, Ends("stop", 0), Removed];
const FAILS: &[Step] = &[Ends("start", 1), Removed];
const WRONG_EVERYWHERE: &[Step] = &[Ends("start", 6), Removed];

const LONGER_OR_SHORTER: Option<Deviation> = Some(Deviation {
    steps: CYCLE,
    why: "the mask is given and the network that contains the address names the interface: \
          nothing is left open",
});

const V4: Case = Case {
    file: "IPaddr2v4",
    number: 0,
    title: "",
    base: Some("192.0.2.1/24"),
    ip: "192.0.2.10",
    nic: None,
    mask: None,
    broadcast: None,
    prefix: "24",
    steps: START,
    deviation: None,
};
const V6: Case = Case {
    file: "IPaddr2v6",
    base: Some("2001:db8::1/64"),
    ip: "2001:db8::10",
    prefix: "64",
    ..V4
};

/// All cases.
pub const CASES: [Case; 42] = [
    Case { number: 0, title: "start", ..V4 },
    Case { number: 1, title: "stop", steps: STOP, ..V4 },
    Case { number: 2, title: "start twice", steps: START_TWICE, ..V4 },
    Case { number: 3, title: "stop twice", steps: STOP_TWICE, ..V4 },
    Case { number: 4, title: "monitor, running", steps: RUNNING, ..V4 },
    Case { number: 5, title: "monitor, not running", steps: NOT_RUNNING, ..V4 },
    Case { number: 6, title: "nic given", nic: Some("eth0"), steps: CYCLE, ..V4 },
    Case {
        number: 7,
        title: "nic and mask given",
        nic: Some("eth0"),
        mask: Some("24"),
        steps: CYCLE,
        ..V4
    },
    Case { number: 8, title: "an address of no network", ip: "198.51.100.10", steps: FAILS, ..V4 },
    Case { number: 9, title: "nic without a network", nic: Some("eth1"), steps: FAILS, ..V4 },
    Case {
        number: 10,
        title: "mask shorter than the network",
        mask: Some("16"),
        steps: FAILS,
        deviation: LONGER_OR_SHORTER,
        ..V4
    },
    Case {
        number: 11,
        title: "another nic with a shorter mask",
        nic: Some("eth1"),
        mask: Some("16"),
        steps: STOP,
        ..V4
    },
    Case {
        number: 12,
        title: "nic given, no base address",
        nic: Some("eth0"),
        base: None,
        steps: FAILS,
        ..V4
    },
    Case { number: 13, title: "mask given", mask: Some("24"), steps: CYCLE, ..V4 },
    Case {
        number: 14,
        title: "mask longer than the network",
        mask: Some("28"),
        steps: CYCLE,
        ..V4
    },
    Case {
        number: 15,
        title: "mask given, no base address",
        mask: Some("24"),
        base: None,
        steps: FAILS,
        ..V4
    },
    Case {
        number: 16,
        title: "another nic with a longer mask",
        nic: Some("eth1"),
        mask: Some("28"),
        steps: STOP,
        ..V4
    },
    Case {
        number: 17,
        title: "another nic with a longer mask, no base address",
        nic: Some("eth1"),
        mask: Some("28"),
        base: None,
        steps: STOP,
        ..V4
    },
    Case {
        number: 18,
        title: "broadcast given",
        broadcast: Some("192.0.255.255"),
        steps: CYCLE,
        ..V4
    },
    Case {
        number: 19,
        title: "broadcast given, no base address",
        broadcast: Some("192.0.255.255"),
        base: None,
        steps: FAILS,
        ..V4
    },
    Case {
        number: 20,
        title: "another nic, shorter mask and broadcast",
        nic: Some("eth1"),
        mask: Some("16"),
        broadcast: Some("192.0.255.255"),
        steps: CYCLE,
        ..V4
    },
    Case {
        number: 21,
        title: "another nic, longer mask and broadcast, no base address",
        nic: Some("eth1"),
        mask: Some("28"),
        broadcast: Some("192.0.2.255"),
        base: None,
        steps: CYCLE,
        ..V4
    },
    Case { number: 0, title: "start", ..V6 },
    Case { number: 1, title: "stop", steps: STOP, ..V6 },
    Case { number: 2, title: "start twice", steps: START_TWICE, ..V6 },
    Case { number: 3, title: "stop twice", steps: STOP_TWICE, ..V6 },
    Case { number: 4, title: "monitor, running", steps: RUNNING, ..V6 },
    Case { number: 5, title: "monitor, not running", steps: NOT_RUNNING, ..V6 },
    Case {
        number: 6,
        title: "an address of no network",
        ip: "2001:db8:5678::2",
        steps: FAILS,
        ..V6
    },
    Case {
        number: 7,
        title: "link-local address without nic",
        ip: "fe80::2",
        steps: WRONG_EVERYWHERE,
        ..V6
    },
    Case { number: 8, title: "nic given", nic: Some("eth0"), steps: CYCLE, ..V6 },
    Case {
        number: 9,
        title: "link-local address with nic",
        ip: "fe80::2",
        nic: Some("eth0"),
        steps: SHORT_CYCLE,
        ..V6
    },
    Case {
        number: 10,
        title: "nic given, no base address",
        nic: Some("eth0"),
        base: None,
        steps: FAILS,
        ..V6
    },
    Case { number: 11, title: "nic without a network", nic: Some("eth1"), steps: FAILS, ..V6 },
    Case {
        number: 12,
        title: "mask of the network given",
        mask: Some("64"),
        steps: SHORT_CYCLE,
        ..V6
    },
    Case {
        number: 13,
        title: "mask longer than the network",
        mask: Some("80"),
        steps: FAILS,
        deviation: LONGER_OR_SHORTER,
        ..V6
    },
    Case {
        number: 14,
        title: "mask shorter than the network",
        mask: Some("48"),
        steps: FAILS,
        deviation: LONGER_OR_SHORTER,
        ..V6
    },
    Case {
        number: 15,
        title: "mask given, no base address",
        mask: Some("64"),
        base: None,
        steps: FAILS,
        ..V6
    },
    Case {
        number: 16,
        title: "nic and mask given",
        nic: Some("eth0"),
        mask: Some("64"),
        steps: SHORT_CYCLE,
        ..V6
    },
    Case {
        number: 17,
        title: "another nic with a longer mask",
        nic: Some("eth1"),
        mask: Some("80"),
        steps: SHORT_CYCLE,
        ..V6
    },
    Case {
        number: 18,
        title: "another nic with a shorter mask",
        nic: Some("eth1"),
        mask: Some("48"),
        steps: SHORT_CYCLE,
        ..V6
    },
    Case {
        number: 19,
        title: "another nic with a shorter mask, no base address",
        nic: Some("eth1"),
        mask: Some("48"),
        base: None,
        steps: SHORT_CYCLE,
        ..V6
    },
];
