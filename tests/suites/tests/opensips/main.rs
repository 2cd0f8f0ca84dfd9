//! Black-box suite of ocf:smartvox:opensips: the built agent with a daemon, on a host of its own
//! (network and mount namespaces), called as Pacemaker calls it. Every test runs against every
//! daemon that is found: the stand-in, and the real ones of `OPENSIPS_BIN` or PATH.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod absent_address;
mod addresses;
mod async_monitor;
mod auto_scaling;
mod busy;
mod busy_port;
mod caller;
mod cluster_programs;
mod compare_routes;
mod configuration;
mod crash;
mod diagnose;
mod examples;
mod faults;
mod files;
mod identity;
mod input;
mod left_out;
mod lifecycle;
mod listeners;
mod management;
mod mi;
mod mi_faults;
mod pid_file;
mod privilege;
mod probe;
mod reasons;
mod reload;
mod resources;
mod roles;
mod routes;
mod scores;
mod site;
mod standby_data;
mod stop;
mod stranger;
mod systemd_unit;
mod tls;
mod transports;
mod validate;
mod virtual_address;

use std::time::Duration;

use site::{Site, ends, every_daemon, every_daemon_with_mi, fails};

/// Long enough for a machine that is stalled; nothing waits that long when all is well.
const LONG: Duration = Duration::from_secs(120);
