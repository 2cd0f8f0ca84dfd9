//! Pairs under Pacemaker: both examples with our agents, and the one of active/standby with IPaddr2 and
//! OpenSIPS as a service in their place.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::Lab;
use nix::sys::signal::Signal;
use suites::calls::parts;
use suites::daemon::Daemon;
use suites::scenario;
use suites::site::Site;
use suites::site::setup::{self, Configuration, Setup};
use suites::site::up::{Means, served, wait_served};
use suites::site::watch::Watch;

use super::{Contender, Fault, PATIENCE, Parts};

/// Corosync's own default.
const TOKEN: u32 = 3_000;
/// For servers and switches that never stand still for a second.
const SHORT_TOKEN: u32 = 1_000;

struct Cluster {
    name: &'static str,
    token: u32,
    // Before the site: it ends first.
    watch: Watch,
    site: Site,
}

pub(super) fn hot_standby(agents: &Path, daemon: &Daemon) -> Result<Box<dyn Contender>, String> {
    let setup = Setup::fenced(Configuration::HotStandby);
    up("ours, hot standby", TOKEN, setup, setup::Contender::Ours, agents, daemon)
}

/// The same with a shorter token; only what waits for it differs.
pub(super) fn tuned(agents: &Path, daemon: &Daemon) -> Result<Box<dyn Contender>, String> {
    let setup = Setup::fenced(Configuration::HotStandby);
    let name = "ours, hot standby, token of 1 s";
    up(name, SHORT_TOKEN, setup, setup::Contender::Ours, agents, daemon)
}

pub(super) fn active_standby(agents: &Path, daemon: &Daemon) -> Result<Box<dyn Contender>, String> {
    let setup = Setup::fenced(Configuration::ActiveStandby);
    up("ours, active/standby", TOKEN, setup, setup::Contender::Ours, agents, daemon)
}

pub(super) fn peer(agents: &Path, daemon: &Daemon) -> Result<Box<dyn Contender>, String> {
    let setup = Setup::fenced(Configuration::ActiveStandby);
    let name = "IPaddr2, OpenSIPS as a service";
    up(name, TOKEN, setup, setup::Contender::Peer, agents, daemon)
}

fn up(
    name: &'static str,
    token: u32,
    setup: Setup,
    contender: setup::Contender,
    agents: &Path,
    daemon: &Daemon,
) -> Result<Box<dyn Contender>, String> {
    let (agents, daemon) = (agents.to_owned(), daemon.clone());
    let means = Means { agents, daemon, token, details: None };
    let (site, watch) = served(setup, contender, &means, "bench-failover")?;
    Ok(Box::new(Cluster { name, token, watch, site }))
}

impl Contender for Cluster {
    fn name(&self) -> &str {
        self.name
    }

    fn lab(&self) -> &Lab {
        &self.site.lab
    }

    fn ready(&self) -> Result<String, String> {
        wait_served(&self.site, &self.watch)?;
        Ok(self.site.active())
    }

    fn has(&self, fault: Fault) -> bool {
        self.token == TOKEN || fault == Fault::PowerCut
    }

    fn strike(&self, fault: Fault, active: &str) -> Result<(), String> {
        match fault {
            Fault::Standby => drop(self.site.run(active, &["pcs", "node", "standby", active])?),
            Fault::Cable => self.site.carrier(active, false)?,
            Fault::Kill => {
                self.site.daemon(active).iter().for_each(|process| process.signal(Signal::SIGKILL));
            }
            Fault::PowerCut => self.site.lab.kill(active).map_err(|error| error.to_string())?,
        }
        Ok(())
    }

    fn moments(&self, since: SystemTime, survivor: &str) -> Result<Parts, String> {
        let zone = self.site.run(survivor, &["date", "+%z"])?;
        let log = self.site.run(survivor, &["cat", "/var/log/pacemaker/pacemaker.log"])?;
        let told = parts::Parts::parse(&log, zone.trim(), since);
        let zero = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let after = |at: Duration| at.saturating_sub(zero);
        let mut parts = Parts::default();
        if let Some(at) = told.lost {
            parts.add("noticed and agreed", after(at));
        }
        if let Some(at) = told.fenced {
            parts.add("fenced", after(at));
        }
        let start = told.runs.iter().find(|run| run.what == "vip start");
        if let Some(run) = start {
            parts.add("Pacemaker decides", after(run.ended.saturating_sub(run.took)));
        }
        Ok(parts)
    }

    fn mend(&self, fault: Fault, active: &str) -> Result<(), String> {
        let other = scenario::peer(active);
        match fault {
            Fault::Standby => drop(self.site.run(other, &["pcs", "node", "unstandby", active])?),
            Fault::Cable => self.site.carrier(active, true)?,
            Fault::Kill => {}
            // Fencing has switched it on again.
            Fault::PowerCut => {
                let whole = || self.site.lab.powered_nodes().is_ok_and(|nodes| nodes.len() == 2);
                self.site.wait("both nodes have power", whole)?;
                self.site.lab.wait_online(PATIENCE).map_err(|error| error.to_string())?;
            }
        }
        scenario::clean_up(&self.site.lab, other)
    }
}
