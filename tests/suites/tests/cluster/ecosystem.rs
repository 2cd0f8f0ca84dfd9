//! What other tools make of the agents: pcs beyond the everyday, crmsh, ocf-tester, and what monitoring
//! reads from crm_mon.

use lab::Lab;
use suites::document::Came;
use suites::scenario;

use crate::Cluster;

/// What makes resources of its own.
pub(crate) fn new_cluster(lab: &Lab) -> Result<(), String> {
    pcs(lab)?;
    crmsh(lab)?;
    ocf_tester(lab)
}

/// pcs asks the agent itself about the parameters, and runs it by hand.
fn pcs(lab: &Lab) -> Result<(), String> {
    let pcs = |line: &str| scenario::typed(lab, "node1", &format!("pcs resource {line}"));
    let create = "create --agent-validation t ocf:smartvox:opensips-vip";
    refused(&pcs(&format!("{create} ip=192.0.2.300"))?, "not an IP address")?;
    done(&pcs(&format!("{create} ip=192.0.2.99 --disabled"))?)?;
    done(&pcs("update --agent-validation t nic=eth0")?)?;
    refused(&pcs("update --agent-validation t nic='eth 0'")?, "nic=eth 0")?;
    // Otherwise the monitor with role=Stopped finds the address in a second, and the cluster stops it.
    let maintenance = |on: &str| {
        let line = format!("pcs property set maintenance-mode={on} && crm_resource --wait");
        done(&scenario::typed(lab, "node1", &line)?)
    };
    maintenance("true")?;
    for (action, says) in
        [("start", "ok"), ("monitor", "ok"), ("stop", "ok"), ("monitor", "not running")]
    {
        let came = pcs(&format!("debug-{action} t"))?;
        // Pacemaker 3.0 says "OK" and "Not running".
        if !came.output.to_ascii_lowercase().contains(says) {
            return Err(format!("debug-{action}: {}", came.output));
        }
    }
    let full = pcs("debug-monitor t --full")?;
    if !full.output.contains(": action=monitor ") {
        return Err(format!("debug-monitor --full shows no step: {}", full.output));
    }
    maintenance("false")?;
    done(&pcs("delete t")?)
}

/// The shell of SUSE's clusters, on the same configuration.
fn crmsh(lab: &Lab) -> Result<(), String> {
    // It keeps a history in HOME, and a log in a directory of its package, which a node lacks.
    done(&scenario::typed(lab, "node1", "mkdir -p /var/log/crmsh")?)?;
    let crm = |line: &str| scenario::typed(lab, "node1", &format!("HOME=/tmp crm {line}"));
    if crm("--version")?.exit == Some(127) {
        testnet::skipped("active_standby: crmsh", "needs crmsh");
        return Ok(());
    }
    for (agent, parameter) in [("opensips-vip", "cidr_netmask"), ("opensips", "sip_probe")] {
        let info = crm(&format!("ra info ocf:smartvox:{agent}"))?;
        done(&info)?;
        if !info.output.contains(parameter) || !info.output.contains("Operations' defaults") {
            return Err(format!("crm ra info {agent}: {}", info.output));
        }
    }
    let vip = "configure primitive t-vip ocf:smartvox:opensips-vip";
    refused(&crm(&format!("{vip} params ipp=192.0.2.99"))?, "ipp")?;
    done(&crm(&format!(
        "{vip} params ip=192.0.2.99 op monitor interval=10s timeout=20s meta target-role=Stopped"
    ))?)?;
    done(&crm(
        "configure primitive t-sip ocf:smartvox:opensips op monitor interval=10s timeout=20s \
        op monitor role=Promoted interval=9s timeout=20s op start timeout=60s interval=0 \
        op stop timeout=90s interval=0 meta target-role=Stopped",
    )?)?;
    done(&crm("configure clone t-clone t-sip meta promotable=true target-role=Stopped")?)?;
    let verified = crm("configure verify")?;
    done(&verified)?;
    if verified.output.contains("t-vip") || verified.output.contains("t-sip") {
        return Err(format!("crm configure verify: {}", verified.output));
    }
    done(&crm("configure delete t-clone t-sip t-vip")?)
}

/// The tester of resource-agents. It wants meta-data for its DTD of the OCF RA API 1.0, which knows
/// neither `reloadable` nor `unique-group`: that is the one thing that it may dislike.
fn ocf_tester(lab: &Lab) -> Result<(), String> {
    for (agent, parameters) in [
        ("opensips-vip", "-o ip=192.0.2.99"),
        ("opensips", "-o vip=192.0.2.10 -o nonlocal_bind=ensure"),
    ] {
        let line = format!("ocf-tester -n t {parameters} /usr/lib/ocf/resource.d/smartvox/{agent}");
        let came = scenario::typed(lab, "node1", &line)?;
        if came.exit == Some(127) {
            testnet::skipped("active_standby: ocf-tester", "needs resource-agents");
            return Ok(());
        }
        let wrong: Vec<_> = came.output.lines().filter(|line| line.starts_with("* rc=")).collect();
        if !matches!(wrong[..], [one] if one.ends_with("does not conform to ra-api-1.dtd")) {
            return Err(format!("{line}: {}", came.output));
        }
        if !came.output.contains("failed 1 tests") {
            return Err(format!("{line}: {}", came.output));
        }
    }
    let sysctl = "sysctl -qw net.ipv4.ip_nonlocal_bind=0";
    done(&scenario::typed(lab, "node1", sysctl)?)
}

/// What ha_cluster_exporter makes metrics of is in crm_mon's XML, with the names of docs/monitoring.md.
pub(crate) fn configured(cluster: &Cluster) -> Result<(), String> {
    let node = cluster.active()?;
    let xml = cluster.run(&node, &["crm_mon", "-1", "--output-as=xml"])?;
    let document = roxmltree::Document::parse(&xml).map_err(|error| error.to_string())?;
    for (id, agent) in [("vip", "opensips-vip"), ("opensips", "opensips")] {
        let agent = format!("ocf:smartvox:{agent}");
        let found = document
            .descendants()
            .find(|it| it.has_tag_name("resource") && it.attribute("id") == Some(id));
        let found = found.ok_or_else(|| format!("no resource {id} in\n{xml}"))?;
        let is = |name: &str, value: &str| found.attribute(name) == Some(value);
        let agent_is = is("resource_agent", &agent);
        if !(agent_is && is("role", "Started") && is("active", "true") && is("failed", "false")) {
            return Err(format!("{id}: {found:?}"));
        }
    }
    Ok(())
}

fn done(came: &Came) -> Result<(), String> {
    if came.exit == Some(0) { Ok(()) } else { Err(format!("{came:?}")) }
}

fn refused(came: &Came, because: &str) -> Result<(), String> {
    let refused = came.exit != Some(0) && came.output.contains(because);
    if refused { Ok(()) } else { Err(format!("not refused because of {because}: {came:?}")) }
}
