//! start where another host answers for the VIP, with a cluster of two small programs in place of
//! Pacemaker's tools. (The real ones are asked by the suite `takeover`.)

use testnet::{Agent, Capture, Host, wait_until};

use super::{
    LONG, MAC_B, Site, VIP, announcements, ends, fails, instances, locks, recurring, shell, vip,
};

/// Properties are files; it fails without the directory.
const CRM_ATTRIBUTE: &str = r#"#!/bin/sh
cd /run/cluster || exit 102
for word; do case $word in
--name=*) name=${word#--name=} ;;
--default=*) default=${word#--default=} ;;
--update=*) update=${word#--update=} ;;
esac; done
echo "$*" >>asked
if [ -n "$update" ]; then echo "$update" >"$name"; else cat "$name" 2>/dev/null || echo "$default"; fi
"#;
const CRM_NODE: &str = "#!/bin/sh\ncat /run/cluster/quorum\n";

/// Gives the host tools of a cluster with these properties.
fn cluster(host: &Host, properties: &[(&str, &str)]) {
    host.run(|| {
        std::fs::create_dir_all("/run/cluster").unwrap();
        for (name, program) in [("crm_attribute", CRM_ATTRIBUTE), ("crm_node", CRM_NODE)] {
            testnet::write_program(format!("/run/{name}"), program);
        }
    });
    for tool in ["crm_attribute", "crm_node"] {
        shell(host, &format!("mount --bind /run/{tool} /usr/sbin/{tool}"));
    }
    set(host, "quorum", "1");
    for (name, value) in properties {
        set(host, name, value);
    }
}

fn set(host: &Host, name: &str, value: &str) {
    host.run(|| std::fs::write(format!("/run/cluster/{name}"), format!("{value}\n")).unwrap());
}

fn is_there(host: &Host, file: &str) -> bool {
    host.run(|| std::path::Path::new(file).exists())
}

fn has_tools() -> bool {
    let found = ["/usr/sbin/crm_attribute", "/usr/sbin/crm_node"]
        .iter()
        .all(|tool| std::path::Path::new(tool).exists());
    if !found {
        testnet::skipped("take_over", "needs pacemaker-cli-utils");
    }
    found
}

const HELD: &str = "smartvox-held-192.0.2.10";

fn quick(agent: Agent) -> Agent {
    agent.param("duplicate_wait", "200ms").param("announce_schedule", "0")
}

/// B answers for a node that is off, as a switch does that suppresses ARP.
#[test]
fn a_fenced_owner_whose_address_is_still_answered_for_is_no_obstacle() {
    testnet::root_or_skip!();
    if !has_tools() {
        return;
    }
    let site = Site::new();
    cluster(&site.a, &[(HELD, "1")]);
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let capture = Capture::start(&site.neighbour, "eth0");
    let agent = quick(site.vip());
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    wait_until("it is announced", LONG, || {
        announcements(&capture).iter().any(|arp| arp.sender_mac == [2, 0, 0, 0, 0, 0xa])
    });
    // Every monitor knows.
    let reason =
        format!("was taken over from a fenced node, but {MAC_B} still answers for it on eth0");
    fails(&recurring(&agent), 190, &reason);
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    fails(&recurring(&deep), 190, &reason);
    fails(&recurring(&deep), 190, &reason);
    site.b.ip(&format!("addr del {VIP}/24 dev eth0"));
    ends(&recurring(&agent), 0);
    ends(&recurring(&deep), 0);
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).iter().all(|path| path.to_string_lossy().contains("held-")));
}

#[test]
fn what_may_be_the_living_peer_is_not_taken_over() {
    testnet::root_or_skip!();
    if !has_tools() {
        return;
    }
    let site = Site::new();
    cluster(&site.a, &[(HELD, "1")]);
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let agent = quick(site.vip());
    let in_use = format!(
        "192.0.2.10 is in use by {MAC_B} on eth0: remove it from that host, or set duplicate"
    );
    set(&site.a, "stonith-enabled", "false");
    fails(&agent.action("start"), 1, &in_use);
    set(&site.a, "stonith-enabled", "true");
    set(&site.a, "quorum", "0");
    fails(&agent.action("start"), 1, &in_use);
    set(&site.a, "quorum", "1");
    // By hand nobody has been fenced, and failing can be asked for.
    fails(&agent.clone().env("PCMK_service", "crm_resource").action("start"), 1, &in_use);
    fails(&agent.clone().param("duplicate_action", "fail").action("start"), 1, &in_use);
    // The cluster does not answer.
    shell(&site.a, "mv /run/cluster /run/gone");
    fails(&agent.action("start"), 1, &in_use);
    shell(&site.a, "mv /run/gone /run/cluster");
    assert!(instances(&site.a).is_empty());
    ends(&agent.action("start"), 0);
    ends(&agent.action("stop"), 0);
}

/// A typing error must not take the address of the router.
#[test]
fn an_address_that_the_cluster_has_never_held_is_not_taken_over() {
    testnet::root_or_skip!();
    if !has_tools() {
        return;
    }
    let site = Site::new();
    cluster(&site.a, &[]);
    cluster(&site.b, &[]);
    site.neighbour.ip(&format!("addr add {VIP}/24 dev eth0"));
    let agent = quick(site.vip());
    fails(&agent.action("start"), 1, "on eth0, and this cluster has never held it: correct ip");
    assert!(!is_there(&site.a, &format!("/run/cluster/{HELD}")));
    // A check that was not made proves nothing.
    ends(&agent.clone().param("duplicate_check", "no").action("start"), 0);
    ends(&agent.action("stop"), 0);
    site.neighbour.ip(&format!("addr del {VIP}/24 dev eth0"));
    // By hand, it is not the cluster's.
    ends(&agent.clone().env("PCMK_service", "").action("start"), 0);
    ends(&agent.action("stop"), 0);
    assert!(!is_there(&site.a, &format!("/run/cluster/{HELD}")));
    ends(&agent.action("start"), 0);
    wait_until("the cluster knows", LONG, || is_there(&site.a, &format!("/run/cluster/{HELD}")));
    wait_until("the node knows that", LONG, || {
        locks(&site.a).iter().any(|path| path.to_string_lossy().contains("held-"))
    });
    // It is told once after a boot.
    let asked = || site.a.run(|| std::fs::read_to_string("/run/cluster/asked").unwrap());
    let before = asked();
    ends(&agent.action("stop"), 0);
    ends(&agent.action("start"), 0);
    assert_eq!(asked(), before);
    ends(&agent.action("stop"), 0);
    // An address that is here already is one of the cluster, too.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    ends(&quick(vip(&site.b)).action("start"), 0);
    wait_until("the cluster knows", LONG, || is_there(&site.b, &format!("/run/cluster/{HELD}")));
    ends(&quick(vip(&site.b)).action("stop"), 0);
}

#[test]
fn ipv6_is_taken_over_although_the_kernel_would_find_the_other() {
    testnet::root_or_skip!();
    if !has_tools() {
        return;
    }
    let site = Site::new();
    cluster(&site.a, &[("smartvox-held-2001:db8::10", "1")]);
    for (host, address) in [(&site.a, "2001:db8::1/64"), (&site.b, "2001:db8::10/64")] {
        host.ip(&format!("addr add {address} dev eth0 nodad"));
    }
    super::wait_until_ipv6_is_settled(&site.a);
    let agent = quick(super::plain(&site.a).param("ip", "2001:db8::10"));
    ends(&agent.action("start"), 0);
    fails(&recurring(&agent), 190, "2001:db8::10 was taken over from a fenced node");
    ends(&agent.action("stop"), 0);
}
