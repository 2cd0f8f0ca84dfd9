//! The faults of ocf:heartbeat:IPaddr2, each as a scenario that any address agent can be put
//! through: the peer as Debian packages it and ours are judged by the same assertions.
//!
//! A scenario makes hosts of its own, calls the agent as Pacemaker does and keeps a record: the exit
//! codes, what it saw on the host and on the wire, and which assertions did not hold.

// Scenarios are test code: what their fixture refuses ends them, and `put_through` records it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

mod address;
mod announcements;
mod contender;
mod cost;
mod ipv6;
mod link;
pub mod ocft;
mod ocft_cases;
pub mod ocft_tool;
pub mod output;
mod record;
mod routes;
mod site;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub use contender::{Contender, Resource};
pub use record::Record;

/// IPaddr2 as Debian's resource-agents installs it; IPsrcaddr lies beside it.
pub const PEER: &str = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2";

/// One fault, as a scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its number in the list of faults.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// What IPaddr2's development version (August 2026) does.
    pub fault: &'static str,
    run: fn(&Contender, &mut Record),
}

/// All of them, in the order of the list.
pub const SCENARIOS: [Scenario; 15] = [
    Scenario {
        number: 1,
        name: "announcements after stop",
        fault: "stop leaves the announcer running: frames claim the VIP after stop returned 0",
        run: announcements::after_stop,
    },
    Scenario {
        number: 2,
        name: "stop without a connected route",
        fault: "stop returns 0 with the VIP up when interface or mask can't be worked out",
        run: address::stop_without_route,
    },
    Scenario {
        number: 3,
        name: "the same address elsewhere",
        fault: "stop removes only the exact address/prefix: copies with another prefix or on \
                another interface stay",
        run: address::copies,
    },
    Scenario {
        number: 4,
        name: "carrier lost, altname",
        fault: "the link check does nothing on an interface with an altname: no carrier, monitor 0",
        run: link::altname,
    },
    Scenario {
        number: 5,
        name: "IPv6 dadfailed",
        fault: "monitor returns 0 for an address that lost its duplicate address detection",
        run: ipv6::dadfailed,
    },
    Scenario {
        number: 6,
        name: "IPv6 dadfailed sibling",
        fault: "another address of the prefix in dadfailed makes start delete the healthy VIP \
                and fail",
        run: ipv6::sibling,
    },
    Scenario {
        number: 7,
        name: "IPv6 spelling",
        fault: "an address not written canonically, no route yet: start fails and leaves it",
        run: ipv6::spelling,
    },
    Scenario {
        number: 8,
        name: "start without carrier",
        fault: "start fails and leaves the address; the second start returns 5; monitor 7 with \
                the address there",
        run: link::start_without_carrier,
    },
    Scenario {
        number: 9,
        name: "VIP is the primary address",
        fault: "promote_secondaries=0: stop removes every other address of the subnet",
        run: address::primary,
    },
    Scenario {
        number: 10,
        name: "routes with the VIP as source",
        fault: "they vanish on stop, and nothing puts them back on start",
        run: routes::source_of_a_destination,
    },
    Scenario {
        number: 11,
        name: "network namespace missing",
        fault: "stop and probe exit 255",
        run: address::missing_namespace,
    },
    Scenario {
        number: 12,
        name: "source of the default route",
        fault: "IPsrcaddr: stop fails where the interface has primaries in two subnets",
        run: routes::source_of_the_default_route,
    },
    Scenario {
        number: 13,
        name: "processes of a monitor",
        fault: "each monitor starts dozens of processes, about a hundred in the development version",
        run: cost::processes,
    },
    Scenario {
        number: 14,
        name: "IPv6 address labels",
        fault: "start changes source-address selection (addrlabel), a failed start leaks the entry",
        run: ipv6::labels,
    },
    Scenario {
        number: 15,
        name: "interval and result of announcements",
        fault: "arp_interval has no effect with the default sender; a failed announcement is \
                never known",
        run: announcements::interval_and_result,
    },
];

impl Scenario {
    /// Runs the scenario with an agent. What keeps it from being run counts as an assertion that
    /// does not hold.
    #[must_use]
    pub fn put_through(&self, contender: &Contender) -> Record {
        let mut record = Record::default();
        let run = catch_unwind(AssertUnwindSafe(|| (self.run)(contender, &mut record)));
        if let Err(panic) = run {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panicked");
            record.check(&format!("the scenario runs to its end: {words}"), false);
        }
        record
    }
}

/// The awk that the peer's scripts run here (gawk, mawk, ...): what `/usr/bin/awk` leads to.
#[must_use]
pub fn awk() -> String {
    let path = Path::new("/usr/bin/awk").canonicalize().unwrap_or_else(|_| PathBuf::from("none"));
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The version of Debian's package resource-agents.
#[must_use]
pub fn peer_version() -> String {
    let mut query = std::process::Command::new("dpkg-query");
    let output = query.args(["-W", "-f", "${Version}", "resource-agents"]).output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    version.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "of unknown version".to_owned())
}
