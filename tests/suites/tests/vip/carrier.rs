//! A carrier that is missing: what the nodes tell each other, and what happens when it comes. The
//! cluster manager is a stand-in: the programs that the agent calls, on files.

use std::time::Duration;

use testnet::{Agent, Capture, Host, resume, suspend, wait_until};

use super::link::finds_a_late_owner;
use super::{
    LONG, MAC_B, Site, VIP, announcements, announcer, ends, fails, files, instances, is_up,
    recurring, shell, vip,
};

const PROGRAMS: &str = r#"
mkdir -p /run/cluster
cat > /run/cluster/program <<'END'
#!/bin/sh
program=${0##*/}
echo "$program $*" >> /run/cluster/calls
case "$program $*" in
*attrd_updater*--query*)
    # As the real one: in the environment of an action, this node alone.
    [ "$OCF_RESKEY_CRM_meta_on_node" ] || cat /run/cluster/attributes ;;
*attrd_updater*--update\ [01]) [ ! -e /run/cluster/refuses ] ;;
attrd_updater\ --refresh) ;;
*cibadmin*transient_attributes*) [ -e /run/cluster/in-cib ] || exit 105 ;;
*cibadmin*) [ -e /run/cluster/rule ] ;;
*crm_resource*) ;;
*) exit 1 ;;
esac
END
chmod 755 /run/cluster/program
: > /run/cluster/calls
: > /run/cluster/attributes
for program in attrd_updater cibadmin crm_resource; do
    cp /run/cluster/program /run/cluster/$program
    mount --bind /run/cluster/$program /usr/sbin/$program
done
"#;

/// A node of a cluster whose other node has published a value.
struct Node<'a> {
    host: &'a Host,
    agent: Agent,
}

impl<'a> Node<'a> {
    /// `None`, and the test counts as skipped, where Pacemaker is not installed.
    fn new(site: &'a Site, name: &str) -> Option<Self> {
        if !std::path::Path::new("/usr/sbin/attrd_updater").exists() {
            testnet::skipped(name, "needs pacemaker-cli-utils");
            return None;
        }
        shell(&site.a, PROGRAMS);
        let agent = vip(&site.a).param("nic", "eth0").param("cidr_netmask", "24");
        let agent = agent.param("link_wait", "0").env("OCF_RESKEY_CRM_meta_on_node", "node1");
        Some(Self { host: &site.a, agent })
    }

    fn peer(&self, value: &str) {
        let line = format!(r#"name="smartvox-link-vip" host="node2" value="{value}""#);
        shell(self.host, &format!("echo '{line}' > /run/cluster/attributes"));
    }

    /// What was executed, but for the looks whether the CIB has the value.
    fn calls(&self) -> Vec<String> {
        let calls = self.host.run(|| std::fs::read_to_string("/run/cluster/calls").unwrap());
        let is_look = |call: &&str| call.contains("transient_attributes");
        calls.lines().filter(|call| !is_look(call)).map(str::to_owned).collect()
    }

    /// The values that it has published since the last call.
    fn published(&self) -> Vec<String> {
        let calls = self.calls();
        shell(self.host, ": > /run/cluster/calls");
        let update = "attrd_updater --name smartvox-link-vip --update ";
        calls.iter().filter_map(|call| Some(call.strip_prefix(update)?.to_owned())).collect()
    }

    fn has_watcher(&self) -> bool {
        files(self.host).iter().any(|path| path.to_string_lossy().contains("/watcher-"))
    }
}

fn unplug(site: &Site) {
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || {
        site.a.ip("link show dev eth0").contains("NO-CARRIER")
    });
}

fn plug(site: &Site) {
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
}

/// The failure of start is cleared when the carrier comes, and the cluster starts the VIP at once: the link looks
/// as if it had been there for long.
#[test]
fn a_start_that_follows_from_the_carrier_is_as_patient() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::a_start_that_follows") else { return };
    let agent = node.agent.clone().param("duplicate_wait", "0");
    node.peer("1");
    let has_found_it = || {
        unplug(&site);
        fails(&agent.action("start"), 1, "eth0 has no carrier");
        ends(&agent.action("stop"), 0);
        shell(&site.a, ": > /run/cluster/calls");
        plug(&site);
        wait_until("the failure is cleared", LONG, || {
            node.calls().iter().any(|call| call.contains("--cleanup"))
        });
        finds_a_late_owner(&site, &agent, VIP)
    };
    // A machine that stands still for half a second shows nothing.
    assert!((0..10).any(|_| has_found_it()));
}

/// monitor with role=Stopped: 7, and the value is published when it changes.
#[test]
fn a_node_without_the_vip_publishes_its_carrier() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::a_node_without_the_vip") else { return };
    ends(&node.agent.action("monitor"), 7);
    assert_eq!(node.published(), ["1"]);
    // A probe tells it again, a recurring monitor does not.
    ends(&node.agent.action("monitor"), 7);
    assert_eq!(node.published(), ["1"]);
    ends(&recurring(&node.agent), 7);
    assert!(node.published().is_empty());
    unplug(&site);
    ends(&recurring(&node.agent), 7);
    assert_eq!(node.published(), ["0"]);
    // Without another monitor.
    assert!(node.has_watcher());
    plug(&site);
    wait_until("the carrier is published", LONG, || !node.has_watcher());
    assert_eq!(node.published(), ["1"]);
    // Without nic the link is found by its network.
    ends(&recurring(&vip(&site.a)), 7);
    assert!(node.published().is_empty());
    // The address where it must not be.
    site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
    ends(&recurring(&node.agent), 0);
}

/// A controller that is restarted alone loses the attribute, and the attribute daemon does not: the probe
/// that follows has it write the value again.
#[test]
fn a_probe_brings_back_an_attribute_that_the_cib_has_lost() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::a_probe_brings_back") else { return };
    let update = "attrd_updater --name smartvox-link-vip --update 1";
    ends(&node.agent.action("monitor"), 7);
    // The first one is news.
    assert_eq!(node.calls(), [update]);
    ends(&node.agent.action("monitor"), 7);
    assert_eq!(node.calls(), [update, update, "attrd_updater --refresh"]);
    ends(&recurring(&node.agent), 7);
    assert_eq!(node.calls().len(), 3);
    // With the VIP, too.
    ends(&node.agent.action("start"), 0);
    ends(&node.agent.action("monitor"), 0);
    assert_eq!(
        node.calls().get(3..),
        Some(&[update.to_owned(), "attrd_updater --refresh".to_owned()][..])
    );
    ends(&node.agent.action("stop"), 0);
}

/// Runs a recurring monitor as Pacemaker does, from its executor, a sibling of a new attribute daemon.
fn under_pacemaker(node: &Node<'_>) -> Option<i32> {
    after_each_under_pacemaker(node, &[":"])
}

/// Runs a recurring monitor after each of these lines of shell, all beside the same attribute daemon; the exit code of the
/// last one.
fn after_each_under_pacemaker(node: &Node<'_>, lines: &[&str]) -> Option<i32> {
    let monitors = lines
        .iter()
        .map(|line| format!("{line}\nsh -c '\"$0\" monitor; exit $?' \"$0\"\ncode=$?\n"));
    let manager = format!(
        "cp /bin/sleep /run/pacemaker-attrd\n\
         /run/pacemaker-attrd 600 &\n\
         # A child that has not yet executed its program is no daemon.\n\
         until readlink /proc/$!/exe | grep -q /pacemaker-attrd; do sleep 0.01; done\n\
         {}kill $!\nwait\nexit $code",
        monitors.collect::<String>()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &manager]).arg(super::program());
    command
        .env("OCF_RESKEY_ip", VIP)
        .env("OCF_RESKEY_nic", "eth0")
        .env("OCF_RESKEY_cidr_netmask", "24");
    command.env("OCF_RESOURCE_INSTANCE", "vip").env("OCF_RESKEY_CRM_meta_interval", "1000");
    command.env("OCF_RESKEY_CRM_meta_on_node", "node1").env("PCMK_service", "pacemaker-execd");
    node.host.output(&mut command).status.code()
}

/// Where the attribute daemon of a node is killed, the others delete what it knew of the node.
#[test]
fn a_new_attribute_daemon_is_told_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::a_new_attribute_daemon") else { return };
    assert_eq!(under_pacemaker(&node), Some(7));
    assert_eq!(node.published(), ["1"]);
    // It is not looked for at each monitor.
    assert_eq!(under_pacemaker(&node), Some(7));
    assert!(node.published().is_empty());
    shell(node.host, "touch -d '1 minute ago' /run/smartvox/smartvox-link-vip.told");
    assert_eq!(under_pacemaker(&node), Some(7));
    assert_eq!(node.calls().last().map(String::as_str), Some("attrd_updater --refresh"));
    assert_eq!(node.published(), ["1"]);
    // Nobody has started it from an executor: nothing is known of a daemon, and nothing is executed.
    shell(node.host, "touch -d '1 minute ago' /run/smartvox/smartvox-link-vip.told");
    ends(&recurring(&node.agent), 7);
    assert!(node.published().is_empty());
}

/// Nodes that lose sight of each other and meet again delete what the CIB has of the others, also what was written again.
#[test]
fn after_a_change_of_the_membership_it_is_told_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::after_a_change_of_the_membership") else { return };
    shell(node.host, "mount -t tmpfs none /var/lib && mkdir /var/lib/corosync");
    let ring = |age: &str| format!("touch -d '{age} ago' /var/lib/corosync/ringid_1");
    let compares = "touch -d '1 minute ago' /run/smartvox/smartvox-link-vip.told";
    let changed = |age: &str, also: &str| format!("{}; {compares}; {also}", ring(age));
    let lines = [
        &ring("1 day"),
        compares,
        &changed("1 hour", ":"),
        compares,
        // Nothing was lost: a refresh would end the dampen of other attributes.
        &changed("50 minutes", ": > /run/cluster/in-cib"),
        compares,
        // One that is refused once is no less lost.
        &changed("40 minutes", "rm /run/cluster/in-cib; : > /run/cluster/refuses"),
        "rm /run/cluster/refuses",
        compares,
        compares,
    ];
    assert_eq!(after_each_under_pacemaker(&node, &lines), Some(7));
    let (update, refresh) =
        ("attrd_updater --name smartvox-link-vip --update 1", "attrd_updater --refresh");
    let expected = [update, update, refresh, update, update, update, update, refresh];
    assert_eq!(node.calls(), expected);
}

/// What the cluster manager did not take is told again; a monitor that never could tell anything executes
/// nothing.
#[test]
fn what_was_not_taken_is_published_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::what_was_not_taken") else { return };
    // An announcer would publish its carrier, too.
    let agent = node.agent.clone().param("announce_schedule", "0");
    shell(&site.a, ": > /run/cluster/refuses");
    ends(&agent.action("start"), 0);
    assert_eq!(node.published(), ["1"]);
    ends(&recurring(&agent), 0);
    assert!(node.published().is_empty());
    // The value of a time without carrier.
    shell(&site.a, "echo 0 > /run/smartvox/smartvox-link-vip");
    for _ in 0..2 {
        ends(&recurring(&agent), 0);
        assert_eq!(node.published(), ["1"]);
    }
    shell(&site.a, "rm /run/cluster/refuses");
    ends(&recurring(&agent), 0);
    assert_eq!(node.published(), ["1"]);
    ends(&recurring(&agent), 0);
    assert!(node.published().is_empty());
    ends(&agent.action("stop"), 0);
}

#[test]
fn without_a_cluster_nothing_is_published() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::without_a_cluster") else { return };
    let by_hand = node.agent.clone().env("OCF_RESOURCE_INSTANCE", "");
    ends(&by_hand.action("start"), 0);
    unplug(&site);
    fails(&recurring(&by_hand), 190, "whether another node has one is unknown");
    assert!(node.calls().is_empty(), "{:?}", node.calls());
    let unchecked = node.agent.clone().param("check_link_status", "no");
    ends(&recurring(&unchecked), 0);
    assert!(node.calls().is_empty(), "{:?}", node.calls());
    ends(&by_hand.action("stop"), 0);
}

#[test]
fn monitor_fails_only_where_another_node_has_a_carrier() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::monitor_fails_only") else { return };
    ends(&node.agent.action("start"), 0);
    assert_eq!(node.published(), ["1"]);
    ends(&recurring(&node.agent), 0);
    assert!(node.published().is_empty());
    unplug(&site);
    node.peer("0");
    let nowhere = "eth0 has no carrier, and no other node has a carrier: check the switch";
    fails(&recurring(&node.agent), 190, nowhere);
    assert_eq!(node.published(), ["0"]);
    fails(&recurring(&node.agent), 190, nowhere);
    assert!(node.published().is_empty());
    // The first to tell that the carrier is back is the announcer.
    assert!(announcer(&site.a).is_some());
    plug(&site);
    wait_until("the carrier is published", LONG, || node.calls().join("").contains("--update 1"));
    ends(&recurring(&node.agent), 0);

    node.peer("1");
    unplug(&site);
    fails(&recurring(&node.agent), 1, "192.0.2.10 is on eth0, but eth0 has no carrier: check");
    // A rule moves it; if it is still here at the next look, the rule does not.
    plug(&site);
    ends(&recurring(&node.agent), 0);
    shell(&site.a, ": > /run/cluster/rule");
    unplug(&site);
    fails(
        &recurring(&node.agent),
        190,
        "eth0 has no carrier: wait for the cluster to move it to n",
    );
    fails(&recurring(&node.agent), 1, "192.0.2.10 is on eth0, but eth0 has no carrier: check");
    // Other values than those of the contract say nothing.
    node.peer("yes");
    fails(&recurring(&node.agent), 190, "whether another node has one is unknown");
    ends(&node.agent.action("stop"), 0);
}

/// When a switch restarts, the other node may not have told yet that it has lost its carrier, too.
#[test]
fn monitor_waits_for_what_the_others_tell() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::monitor_waits") else { return };
    ends(&node.agent.action("start"), 0);
    node.peer("1");
    unplug(&site);
    std::thread::scope(|scope| {
        let monitor = scope.spawn(|| recurring(&node.agent));
        wait_until("it has asked", LONG, || node.calls().join("").contains("--query"));
        node.peer("0");
        fails(&monitor.join().unwrap(), 190, "and no other node has a carrier");
    });
    ends(&node.agent.action("stop"), 0);
}

/// The failure is taken back when the carrier comes, also after the stop that follows it.
#[test]
fn a_start_that_fails_takes_its_failure_back() {
    testnet::root_or_skip!();
    let site = Site::new();
    let Some(node) = Node::new(&site, "carrier::a_start_that_fails") else { return };
    node.peer("1");
    unplug(&site);
    fails(
        &node.agent.action("start"),
        1,
        "eth0 has no carrier, but node2 has one: check the cable",
    );
    assert!(instances(&site.a).is_empty());
    assert_eq!(node.published(), ["0"]);
    ends(&node.agent.action("stop"), 0);
    assert!(node.has_watcher());
    std::thread::sleep(Duration::from_millis(300));
    assert!(node.calls().is_empty(), "{:?}", node.calls());
    plug(&site);
    wait_until("the carrier is published", LONG, || !node.has_watcher());
    assert_eq!(
        node.calls(),
        [
            "crm_resource --cleanup --resource vip --node node1 --operation start --interval 0ms",
            "attrd_updater --name smartvox-link-vip --update 1"
        ]
    );

    // With the failure of the monitor that was before it, and ended by the next start.
    ends(&node.agent.action("start"), 0);
    unplug(&site);
    fails(&recurring(&node.agent), 1, "eth0 has no carrier");
    ends(&node.agent.action("stop"), 0);
    assert!(node.has_watcher());
    fails(&node.agent.action("start"), 1, "but node2 has one");
    ends(&node.agent.action("stop"), 0);
    shell(&site.a, ": > /run/cluster/calls");
    plug(&site);
    wait_until("the carrier is published", LONG, || !node.has_watcher());
    let calls = node.calls().join("\n");
    assert!(calls.contains("--operation start --interval 0ms"), "{calls}");
    assert!(calls.contains("--operation monitor --interval 10000ms"), "{calls}");
    unplug(&site);
    fails(&node.agent.action("start"), 1, "but node2 has one");
    assert!(node.has_watcher());
    node.peer("0");
    ends(&node.agent.action("start"), 0);
    assert!(!node.has_watcher());
    ends(&node.agent.action("stop"), 0);
}

/// RFC 5227 section 2.1: who was away asks before he announces.
#[test]
fn the_announcer_probes_when_the_carrier_comes() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0,50").param("link_wait", "0");
    unplug(&site);
    ends(&agent.action("start"), 0);
    // Another host takes it meanwhile.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let capture = Capture::start(&site.a, "eth0");
    plug(&site);
    wait_until("the conflict is reported", LONG, || recurring(&agent).code == 190);
    fails(&recurring(&agent), 190, &format!("in use by {MAC_B} on eth0, and is not announced"));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(sent_by_a(&capture).is_empty());
    site.b.ip(&format!("addr del {VIP}/24 dev eth0"));
    wait_until("the VIP is announced", LONG, || sent_by_a(&capture).len() == 2);
    wait_until("monitor is content", LONG, || recurring(&agent).code == 0);
    ends(&agent.action("stop"), 0);
}

/// An announcer, or a host, that was stopped for a while does not send what is overdue.
#[test]
fn the_announcer_probes_after_a_pause() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0,4000,4050");
    ends(&agent.action("start"), 0);
    let process = announcer(&site.a).unwrap();
    suspend(process);
    let capture = Capture::start(&site.a, "eth0");
    // Rightfully, as far as the cluster knows.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    std::thread::sleep(Duration::from_millis(6000));
    resume(process);
    wait_until("the conflict is reported", LONG, || recurring(&agent).code == 190);
    assert!(sent_by_a(&capture).is_empty());
    ends(&agent.action("stop"), 0);
    assert!(sent_by_a(&capture).is_empty());
}

fn sent_by_a(capture: &Capture) -> Vec<testnet::ArpFrame> {
    let mut frames = announcements(capture);
    // The answers to the probes of others have a target.
    frames.retain(|frame| {
        frame.direction == testnet::Direction::Sent && frame.sender_ip == frame.target_ip
    });
    frames
}
