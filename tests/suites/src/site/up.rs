//! Brings a cluster up until the service runs on it and a client is answered.

use std::path::PathBuf;
use std::time::Duration;

use lab::{Bind, Lab};

use super::configure::{SERVICE, SERVICE_SOURCE, configure};
use super::setup::{Configuration, Contender, Setup};
use super::watch::Watch;
use super::{PATIENCE, Site};
use crate::daemon::Daemon;
use crate::gateway;
use crate::scenario::{self, Changes, repository};

/// What a run needs.
#[derive(Clone, Debug)]
pub struct Means {
    /// Directory with the built agents.
    pub agents: PathBuf,
    /// Which OpenSIPS.
    pub daemon: Daemon,
    /// Corosync's token timeout in milliseconds.
    pub token: u32,
    /// Where to put what the cluster said, if anywhere.
    pub details: Option<PathBuf>,
}

/// A cluster on which the service runs, and a client that is answered.
///
/// # Errors
/// What kept it from that, as one sentence or with what `crm_mon` shows.
pub fn served(
    setup: Setup,
    contender: Contender,
    means: &Means,
    name: &str,
) -> Result<(Site, Watch), String> {
    let lab = bring_up(setup, contender, means, name)?;
    let site = Site::new(lab, setup, contender);
    configure(&site.lab, setup, contender)?;
    let watch = Watch::start(&site.lab)?;
    wait_served(&site, &watch)?;
    Ok((site, watch))
}

fn bring_up(setup: Setup, contender: Contender, means: &Means, name: &str) -> Result<Lab, String> {
    let mut changes = Changes::default();
    if contender == Contender::Peer {
        let source = repository().join(SERVICE_SOURCE);
        changes.binds.push(Bind { source, destination: PathBuf::from(SERVICE) });
    }
    let example = setup.configuration.example();
    scenario::up_with(example, name, &means.agents, &means.daemon, means.token, changes)
}

/// Waits until SIP is answered without a pause and nothing is going on in the cluster: a cause that
/// came while a gateway is still being asked for the first time would meet a cluster that is busy.
///
/// # Errors
/// It is not so in time.
pub fn wait_served(site: &Site, watch: &Watch) -> Result<(), String> {
    let served = || watch.so_far().steady(Duration::from_secs(3)) && idle(site);
    site.wait("SIP answered and the cluster idle", served)?;
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    site.run("node1", &["crm_resource", "--wait", &timeout])?;
    if watches_gateway(site.setup.configuration) {
        gateway::wait_known(&site.lab, |_| true, PATIENCE)?;
    }
    site.wait("SIP answered and the cluster idle", served)?;
    site.set_active(serving_node(site)?);
    Ok(())
}

/// Whether the configuration has a resource that asks the gateway.
fn watches_gateway(configuration: Configuration) -> bool {
    !matches!(configuration, Configuration::QuickStart | Configuration::DefaultOperations)
}

/// Whether no action is pending, and every node that has power is online.
#[must_use]
pub fn idle(site: &Site) -> bool {
    let Ok(status) = site.lab.cluster_status() else { return false };
    let busy = |resource: &lab::ResourceStatus| resource.pending.is_some();
    status.nodes.iter().all(|node| !node.pending && !node.unclean)
        && !status.resources.iter().any(busy)
}

fn serving_node(site: &Site) -> Result<String, String> {
    site.wait("the address is somewhere", || site.lab.resource_location("vip").is_some())?;
    site.lab.resource_location("vip").ok_or_else(|| "the address has gone".to_owned())
}
