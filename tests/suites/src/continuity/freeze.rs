//! A node that stands still for a time, as a virtual machine does whose host is busy or that is moved.

use std::time::Duration;

use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};

pub(super) const SEQUENCES: &[Sequence] = &[Sequence {
    name: "frozen-10",
    what: "the active node stands still for 10 s, and goes on as if nothing had been",
    setups: &[
        Setup::unfenced(Configuration::QuickStart),
        Setup::unfenced(Configuration::ActiveStandby),
        Setup::fenced(Configuration::ActiveStandby),
        Setup::fenced(Configuration::HotStandby),
    ],
    strike: |site| site.freeze(&site.active()),
    lasts: Duration::from_secs(10),
    mend: |site| site.thaw(&site.active()),
    least: Duration::from_secs(40),
    noise: Duration::from_secs(3),
    ..Sequence::DEFAULT
}];
