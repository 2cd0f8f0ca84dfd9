//! From ocf:heartbeat:IPaddr2 to our agent on a live cluster, by `pcs-examples/migrate-from-IPaddr2.sh`
//! as it stands, while a client asks the address all the time.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::document;
use suites::probe::{Prober, Question};
use suites::scenario;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Generous: nothing here is a measurement.
const PATIENCE: Duration = Duration::from_secs(240);

fn settled(lab: &Lab, fits: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(node) = lab.resource_location("vip").filter(|node| fits(node)) {
            return node;
        }
        assert!(Instant::now() < end, "the address does not settle\n{}", scenario::status(lab));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn answers(client: &Prober) {
    let since = Instant::now();
    while !client.answered_since(since) {
        assert!(since.elapsed() < PATIENCE, "the address does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_an_outage() {
    if !nix::unistd::geteuid().is_root() {
        testnet::skipped("without_an_outage", "needs root");
        return;
    }
    if !std::path::Path::new("/usr/lib/ocf/resource.d/heartbeat/IPaddr2").exists() {
        testnet::skipped("without_an_outage", "needs resource-agents");
        return;
    }
    let built = &scenario::programs();
    let daemon = Daemon::stand_in_for_suite();
    let lab = scenario::up("migration", built, &daemon, 10_000).unwrap_or_else(|e| panic!("{e}"));
    let run = |node: &str, command: &[&str]| {
        scenario::run(&lab, node, command).unwrap_or_else(|error| panic!("{error}"))
    };
    run("node1", &["pcs", "property", "set", "stonith-enabled=false"]);
    run(
        "node1",
        &[
            "pcs",
            "resource",
            "create",
            "vip",
            "ocf:heartbeat:IPaddr2",
            "ip=192.0.2.10",
            "cidr_netmask=24",
            "nic=eth0",
            "arp_count=3",
            "arp_interval=300",
            "lvs_support=false",
            "op",
            "monitor",
            "interval=5s",
        ],
    );
    let node = settled(&lab, |_| true);
    let netns = lab.netns_path("client").unwrap();
    let client = Prober::start(&netns, Question::Echo(VIP), Duration::from_millis(10)).unwrap();
    answers(&client);

    // The commands of docs/migrating-from-IPaddr2.md, as they stand there.
    for block in document::to_run("migration").unwrap() {
        let typed = |line: &str| scenario::typed(&lab, &node, line);
        block.run_with(typed, || false).unwrap_or_else(|error| panic!("{error}"));
    }
    answers(&client);
    let xml = run(&node, &["crm_resource", "-r", "vip", "--query-xml"]);
    assert!(xml.contains("type=\"opensips-vip\""), "{xml}");
    assert_eq!(settled(&lab, |_| true), node);
    // The new agent's recurring monitor.
    let history = run(&node, &["crm_mon", "-1", "--output-as=xml", "--include=operations"]);
    assert!(!history.contains("IPaddr2"), "{history}");
    answers(&client);
    let record = client.finish();
    assert!(record.longest_outage().is_none(), "{:?}", record.longest_outage());

    // Again is told, and does nothing; and the new agent takes the address elsewhere.
    let script = "/usr/share/doc/resource-agents-smartvox/examples/migrate-from-IPaddr2.sh";
    assert!(scenario::run(&lab, &node, &[script, "vip"]).is_err());
    let peer = scenario::peer(&node);
    run(&node, &["crm_resource", "--move", "-r", "vip", "-N", peer]);
    settled(&lab, |now| now == peer);
    let owners = scenario::answering_owners(&lab, PATIENCE).unwrap();
    assert_eq!(owners.len(), 1, "{owners:?}");

    // An address with nothing of its network beside it looks like the node's own one.
    run(
        "node1",
        &[
            "pcs",
            "resource",
            "create",
            "alone",
            "ocf:heartbeat:IPaddr2",
            "ip=203.0.113.10",
            "cidr_netmask=24",
            "nic=eth0",
        ],
    );
    run("node1", &["crm_resource", "--wait", "--timeout=100"]);
    let node = lab.resource_location("alone").unwrap();
    run(&node, &[script, "alone"]);
    assert_eq!(lab.resource_location("alone").as_ref(), Some(&node));
    let has_it = || run(&node, &["ip", "-o", "address"]).contains("203.0.113.10/24");
    assert!(has_it());
    run("node1", &["pcs", "resource", "disable", "alone", "--wait=100"]);
    assert!(!has_it());
    lab.down().unwrap();
}
