//! The gateway that the examples watch: the lab's client, as `ocf:pacemaker:ping` on the nodes sees it.

use std::time::{Duration, Instant};

use lab::Lab;

use crate::scenario::run;

/// Its address, as in the examples.
const GATEWAY: &str = "192.0.2.1";

/// The gateway answers no ping, or does again. It goes on forwarding, as a router does that limits
/// the rate of its answers; and the client behind it goes on asking SIP.
///
/// # Errors
/// As [`run`].
pub fn silent(lab: &Lab, silent: bool) -> Result<(), String> {
    let ignore = format!("net.ipv4.icmp_echo_ignore_all={}", u8::from(silent));
    run(lab, "client", &["sysctl", "-qw", &ignore]).map(drop)
}

/// No ping of this node reaches the gateway, or they do again.
///
/// # Errors
/// As [`run`].
pub fn silent_for(lab: &Lab, node: &str, silent: bool) -> Result<(), String> {
    let verb = if silent { "add" } else { "del" };
    let rule = ["pref", "1", "to", GATEWAY, "ipproto", "icmp", "prohibit"];
    run(lab, node, &[&["ip", "rule", verb][..], &rule].concat()).map(drop)
}

/// Waits until the cluster knows of every node whether they reach the gateway, and has done whatever
/// follows from it.
///
/// # Errors
/// It doesn't by the end of `patience`.
pub fn wait_known(
    lab: &Lab,
    reached: impl Fn(&str) -> bool,
    patience: Duration,
) -> Result<(), String> {
    let begun = Instant::now();
    for node in lab.powered_nodes().map_err(|error| error.to_string())? {
        // As written to the CIB, after `dampen`: what the attribute daemon says would be too early.
        let query =
            ["crm_attribute", "--query", "--quiet", "-n", "pingd", "-N", &node, "-l", "reboot"];
        let expected = if reached(&node) { "1" } else { "0" };
        loop {
            let value = run(lab, "node1", &query);
            if value.as_deref().map(str::trim) == Ok(expected) {
                break;
            }
            if begun.elapsed() > patience {
                return Err(format!("pingd of {node} is not {expected}: {value:?}"));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    let timeout = format!("--timeout={}s", patience.as_secs());
    run(lab, "node1", &["crm_resource", "--wait", &timeout]).map(drop)
}
