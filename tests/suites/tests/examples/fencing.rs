//! Who fences whom: the ping before the device, the quorum device, and the devices that no laboratory has.

use crate::site::Site;
use crate::steps::{CONFIG, VIP_AND_OPENSIPS, cables_out, text};

/// What `pcs quorum device add model net host=… algorithm=ffsplit` writes, but for the encryption: its
/// certificates are pcsd's matter.
const DEVICE: &str = "\
    device {
        model: net
        votes: 1
        net {
            host: 192.0.2.1
            algorithm: ffsplit
            tls: off
        }
    }
";

/// node1, which the delay of the fencing spares, loses every cable: it reaches nobody, and fences nobody.
pub(crate) fn ping(site: &Site) -> Result<(), String> {
    site.write(CONFIG, &text("opensips-active-standby.cfg")?)?;
    refused(site)?;
    site.configure("active-standby.sh")?;
    node1_loses_every_cable(site)
}

/// With hosts that never answer nobody would ever be fenced: the example says so and changes nothing.
fn refused(site: &Site) -> Result<(), String> {
    let configuration = || site.run("node1", &["cibadmin", "--query", "--scope", "configuration"]);
    let before = configuration()?;
    let silent = ["FENCE_DELAY=1s", "FENCE_PING=192.0.2.1 192.0.2.250"];
    match site.configure_with("active-standby.sh", &silent) {
        Err(said) if said.contains("FENCE_PING: 192.0.2.250 answers no ping") => {}
        other => return Err(format!("with a host that answers no ping: {other:?}")),
    }
    if configuration()? == before { Ok(()) } else { Err("it has changed the cluster".into()) }
}

fn node1_loses_every_cable(site: &Site) -> Result<(), String> {
    if site.together(VIP_AND_OPENSIPS, |_| true)? != "node1" {
        site.moved("vip", VIP_AND_OPENSIPS)?;
    }
    site.settle()?;
    cables_out(site, VIP_AND_OPENSIPS, "node1")
}

/// The same with the device, and nothing else that decides: no delay, no ping.
pub(crate) fn quorum_device(site: &Site) -> Result<(), String> {
    let have = "command -v corosync-qnetd; command -v corosync-qdevice; true";
    if site.run("client", &["sh", "-c", have])?.lines().count() != 2 {
        testnet::skipped("quorum-device.sh", "needs corosync-qnetd and corosync-qdevice");
        return Ok(());
    }
    add_device(site)?;
    site.write(CONFIG, &text("opensips-active-standby.cfg")?)?;
    site.configure_with("active-standby.sh", &["FENCE_DELAY=0s", "FENCE_PING="])?;
    node1_loses_every_cable(site)
}

/// As the example says: the program on the third host, the section in corosync.conf, the program on the
/// nodes.
fn add_device(site: &Site) -> Result<(), String> {
    let third = "mkdir -p /etc/corosync/qnetd/nssdb /run/corosync-qnetd && corosync-qnetd -s off";
    site.run("client", &["sh", "-ec", third])?;
    let write = "cd /etc/corosync && sed -i '/two_node:/d' corosync.conf && \
                 printf %s \"$1\" > device && \
                 sed -i '/provider: corosync_votequorum/r device' corosync.conf";
    for node in &site.nodes {
        site.run(node, &["sh", "-ec", write, "sh", DEVICE])?;
    }
    site.run("node1", &["corosync-cfgtool", "-R"])?;
    for node in &site.nodes {
        site.run(node, &["sh", "-ec", "mkdir -p /run/corosync-qdevice && corosync-qdevice"])?;
    }
    site.until("both nodes have the device's vote", || {
        let has_vote = |node: &String| {
            let told = site.run(node, &["sh", "-c", "corosync-quorumtool -s || true"])?;
            Ok(told.lines().any(|line| line.starts_with("Total votes:") && line.ends_with('3')))
        };
        site.nodes
            .iter()
            .map(has_vote)
            .try_fold(true, |all, one: Result<bool, String>| Ok(all && one?))
    })
}

/// `fencing-ipmi.sh` and `fencing-sbd.sh` on a copy of the configuration: pcs holds the options to what the
/// fence agents know, Pacemaker judges the whole.
pub(crate) fn judged(site: &Site) -> Result<(), String> {
    let nodes = |device: fn(&str) -> String| {
        ["node1", "node2"].map(|node| {
            let devices = format!("devices=\"fence-ping,{}\"", device(node));
            [format!("target=\"{node}\""), devices]
        })
    };
    for (script, agent, devices, levels) in [
        ("fencing-ipmi.sh", "fence_ipmilan", 2, nodes(|node| format!("fence-{node}"))),
        ("fencing-sbd.sh", "fence_sbd", 1, nodes(|_| "fence-sbd".to_owned())),
    ] {
        let line = format!(
            "cibadmin --query > /root/copy.xml; \
             CIB_file=/root/copy.xml /root/pcs-examples/{script}; \
             crm_verify --xml-file /root/copy.xml; \
             cat /root/copy.xml"
        );
        let copy = site.run("node1", &["sh", "-ec", &line])?;
        let found = copy.matches(&format!("type=\"{agent}\"")).count();
        if found != devices || !copy.contains("name=\"stonith-enabled\" value=\"true\"") {
            return Err(format!("{script}: {found} devices: {copy}"));
        }
        let has_level = |level: &&[String; 2]| {
            let mut lines = copy.lines().filter(|line| line.contains("<fencing-level "));
            lines.any(|line| level.iter().all(|attribute| line.contains(attribute.as_str())))
        };
        if let Some(level) = levels.iter().find(|level| !has_level(level)) {
            return Err(format!("{script}: no level with {level:?}: {copy}"));
        }
        let silent = line.replace("CIB_file=", "FENCE_PING=192.0.2.250 CIB_file=");
        match site.run("node1", &["sh", "-ec", &silent]) {
            Err(said) if said.contains("FENCE_PING: 192.0.2.250 answers no ping") => {}
            other => return Err(format!("{script}, a host that answers no ping: {other:?}")),
        }
        let live = site.run("node1", &["cibadmin", "--query"])?;
        if live.contains(agent) {
            return Err(format!("{script} has changed the cluster"));
        }
    }
    Ok(())
}
