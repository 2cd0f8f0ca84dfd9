//! A real cluster with fencing: another host answers for the address of the node that has lost power, as a
//! switch with ARP suppression does, and the other node serves all the same; a typing error takes nobody's
//! address, and the node's own one stays.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::scenario;

/// Generous: nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);
const VIP: &str = "192.0.2.10";

fn wait(lab: &Lab, what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}\n{}", scenario::status(lab));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn run(lab: &Lab, host: &str, line: &str) -> String {
    scenario::run(lab, host, &["sh", "-ec", line]).unwrap_or_else(|error| panic!("{error}"))
}

fn resource(lab: &Lab, name: &str, parameters: &str) {
    run(
        lab,
        "node1",
        &format!(
            "pcs resource create {name} ocf:smartvox:opensips-vip {parameters} op monitor interval=3s"
        ),
    );
}

/// What the cluster shows of the last failure of a resource.
fn failure(lab: &Lab, node: &str, name: &str) -> Option<String> {
    let shown = run(lab, node, "crm_mon -1 --show-detail --include=none,failures");
    shown.lines().find(|line| line.contains(&format!("{name}_"))).map(str::to_owned)
}

fn with_fencing(lab: &Lab) {
    for node in ["node1", "node2"] {
        run(
            lab,
            "node1",
            &format!("pcs stonith create fence-{node} fence_lab pcmk_host_list={node}"),
        );
    }
    run(lab, "node1", "pcs property set stonith-enabled=true");
}

fn a_dead_node_is_answered_for(lab: &Lab) {
    resource(lab, "vip", &format!("ip={VIP}"));
    run(lab, "node1", "pcs constraint location vip prefers node1=50");
    wait(lab, "node1 serves", || lab.resource_location("vip").as_deref() == Some("node1"));
    wait(lab, "the cluster knows that it holds the address", || {
        run(lab, "node1", "pcs property").contains(&format!("smartvox-held-{VIP}: 1"))
    });
    // The client's part of the fabric.
    run(lab, "client", &format!("ip address add {VIP}/32 dev eth0"));
    lab.kill("node1").unwrap();
    wait(lab, "node2 serves", || lab.resource_location("vip").as_deref() == Some("node2"));
    let here = run(lab, "node2", "ip -o address show dev eth0");
    assert!(here.contains(&format!("{VIP}/24")), "{here}");
    // It stays, and everybody can see why it is not well.
    wait(lab, "monitor tells", || {
        failure(lab, "node2", "vip").is_some_and(|it| it.contains("answers for its fenced owner"))
    });
    let failures = failure(lab, "node2", "vip").unwrap();
    assert!(failures.contains("DEGRADED") && failures.contains("monitor"), "{failures}");
    run(lab, "client", &format!("ip address del {VIP}/32 dev eth0"));
    wait(lab, "the client reaches node2", || {
        scenario::owners(lab).is_ok_and(|owners| owners.iter().eq(["02:00:00:00:01:0c"]))
    });
    lab.wait_online(PATIENCE).unwrap();
}

fn a_typing_error_takes_nobodys_address(lab: &Lab) {
    let refused = |name: &str, reason: &str| {
        wait(lab, reason, || failure(lab, "node2", name).is_some_and(|it| it.contains(reason)));
        run(lab, "node2", "crm_resource --wait --timeout=100");
        run(lab, "node2", &format!("pcs resource delete {name}"));
    };
    // The router.
    resource(lab, "router", "ip=192.0.2.1");
    refused("router", "this cluster has never held it");
    // The node's own address, also merely defined.
    run(lab, "node2", "pcs resource create own ocf:smartvox:opensips-vip ip=192.0.2.12 --disabled");
    run(lab, "node2", "crm_resource --wait --timeout=100");
    assert!(run(lab, "node2", "ip -o address show dev eth0").contains("192.0.2.12/24"));
    run(lab, "node2", "pcs constraint location own prefers node2=INFINITY");
    run(lab, "node2", "pcs resource enable own");
    refused("own", "this node's own address");
    run(
        lab,
        "node2",
        "ip -o address show dev eth0 | grep -F 192.0.2.12/24; ip route | grep default",
    );
    // Corosync's.
    resource(lab, "ring", "ip=198.51.100.11");
    refused("ring", "is an address that Corosync uses");
    run(lab, "node1", "ip -o address show dev eth1 | grep -F 198.51.100.11/24");
    assert_eq!(lab.resource_location("vip").as_deref(), Some("node2"));
}

#[test]
fn rival() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("rival", "needs root");
        return;
    }
    let daemon = Daemon::stand_in_for_suite();
    let lab = scenario::up("rival", &scenario::programs(), &daemon, 10_000)
        .unwrap_or_else(|error| panic!("{error}"));
    with_fencing(&lab);
    run(&lab, "node1", "pcs resource defaults update resource-stickiness=100");
    a_dead_node_is_answered_for(&lab);
    a_typing_error_takes_nobodys_address(&lab);
    lab.down().unwrap();
}
