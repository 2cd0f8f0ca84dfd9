//! The floor: the same example, the same commands and operations, with agents that do nothing. What it takes
//! from the first stop to the last start is what Pacemaker takes.

use std::time::{Duration, Instant};

use suites::calls::fault::Fault;
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::scenario::{self, Example, Fencing, peer};

use super::TOKEN;

const PATIENCE: Duration = Duration::from_secs(240);

/// A pair with agents that do nothing.
pub(super) struct Idle {
    pair: Pair,
    // Removed with the pair.
    _agents: Directory,
}

struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Idle {
    pub(super) fn up(example: Example, daemon: &Daemon) -> Result<Self, String> {
        let beside = std::env::current_exe().map_err(|error| error.to_string())?;
        let nothing = beside.with_file_name("nothing");
        let name = format!("smartvox-idle-{}", std::process::id());
        let agents = Directory(std::env::temp_dir().join(name));
        let text = |error: std::io::Error| format!("{}: {error}", agents.0.display());
        std::fs::create_dir_all(&agents.0).map_err(text)?;
        for agent in ["opensips-vip", "opensips"] {
            std::fs::copy(&nothing, agents.0.join(agent)).map_err(text)?;
        }
        let lab = scenario::up_for(example, "bench-idle", &agents.0, daemon, TOKEN)?;
        scenario::configure_as(example, &lab, Fencing::On)?;
        let idle = Self { pair: Pair::new(lab, example), _agents: agents };
        idle.placed(|_| true)?;
        Ok(idle)
    }

    /// Moves it there as [`suites::calls::case::run`] moves a pair with calls, and makes it well again.
    pub(super) fn took(&self, fault: Fault) -> Result<Duration, String> {
        let active = self.placed(|_| true)?;
        let other = peer(&active);
        fault.strike(&self.pair, &active)?;
        self.placed(|node| node == other)?;
        let (first, last) = match self.pair.example {
            Example::HotStandby => ("vip", "vip"),
            Example::ActiveStandby | Example::ThreeNodes => ("opensips", "opensips"),
        };
        let stopped = self.last(&active, first, "stop")?;
        let started = self.last(other, last, "start")?;
        fault.undo(&self.pair, &active)?;
        self.pair.run(other, &["crm_resource", "--wait", "--timeout=100"])?;
        Ok(started.saturating_sub(stopped))
    }

    /// Waits until the service is on a node that fits, and says which.
    fn placed(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        let role = match self.pair.example {
            Example::ActiveStandby | Example::ThreeNodes => "Started",
            Example::HotStandby => "Promoted",
        };
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.pair.lab.cluster_status().map_err(|error| error.to_string())?;
            let at = |id: &str, role: &str| -> Vec<String> {
                let found = status.resources.iter().filter(|r| r.id == id && r.role == role);
                found.filter(|r| r.pending.is_none()).flat_map(|r| r.nodes.clone()).collect()
            };
            let (vip, opensips) = (at("vip", "Started"), at("opensips", role));
            if let [node] = vip.as_slice()
                && vip == opensips
                && fits(node)
            {
                return Ok(node.clone());
            }
            if Instant::now() > end {
                let status = scenario::status(&self.pair.lab);
                return Err(format!("the floor does not settle\n{status}"));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The time of the last such action on a node, from the agent's record; since the epoch.
    fn last(&self, node: &str, resource: &str, action: &str) -> Result<Duration, String> {
        let record = self.pair.run(node, &["cat", &format!("/run/{resource}.record")])?;
        let found =
            record.lines().rev().find_map(|line| line.strip_prefix(action)?.trim().parse().ok());
        found
            .map(Duration::from_micros)
            .ok_or_else(|| format!("{node}: no {action} of {resource} in\n{record}"))
    }
}
