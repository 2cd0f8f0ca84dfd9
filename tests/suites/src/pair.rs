//! A pair of SIP servers that runs: what it looks like when it is well, by Pacemaker's word and by
//! the daemons' own.

use std::time::{Duration, Instant};

use lab::Lab;
use tempfile::TempPath;

use crate::probe::Prober;
use crate::scenario::{self, Example};

/// A configured pair on its lab.
#[derive(Debug)]
pub struct Pair {
    /// The cluster.
    pub lab: Lab,
    /// How it is configured.
    pub example: Example,
    /// A configuration of OpenSIPS in place of the example's: each boot of a node binds it anew.
    _config: Option<TempPath>,
}

impl Pair {
    /// One on a lab that is up and configured.
    #[must_use]
    pub fn new(lab: Lab, example: Example) -> Self {
        Self { lab, example, _config: None }
    }

    /// The same, with the file that its nodes have as OpenSIPS's configuration.
    #[must_use]
    pub(crate) fn keeping(self, config: Option<TempPath>) -> Self {
        Self { _config: config, ..self }
    }

    /// Runs a command on a node.
    ///
    /// # Errors
    /// As [`scenario::run`].
    pub fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        scenario::run(&self.lab, node, command)
    }

    /// What the daemon of a node answers to a command of its Management Interface; `parameters` is
    /// the JSON of them, or nothing.
    ///
    /// # Errors
    /// It doesn't answer within some seconds.
    pub fn mi(&self, node: &str, method: &str, parameters: &str) -> Result<String, String> {
        mi(&self.lab, node, method, parameters)
    }

    /// What the daemon of a node says about the sharing tag.
    ///
    /// # Errors
    /// It doesn't answer, or something else.
    pub fn tag_is_active(&self, node: &str) -> Result<bool, String> {
        tag_is_active(&self.lab, node)
    }

    /// Calls that the daemon of a node knows as answered and not yet ended.
    ///
    /// # Errors
    /// It doesn't answer, or something else.
    pub fn dialogs(&self, node: &str) -> Result<u64, String> {
        let reply = self.mi(node, "get_statistics", "[[\"active_dialogs\"]]")?;
        serde_json::from_str(&reply)
            .ok()
            .and_then(|reply: serde_json::Value| {
                reply.get("result")?.get("dialog:active_dialogs")?.as_u64()
            })
            .ok_or_else(|| format!("{node}: active_dialogs: {reply:?}"))
    }

    /// The node where the service is, if that is as it should be and the node fits. A hot standby:
    /// one promoted instance, with the address and the sharing tag; the other one, if there is
    /// power, stands by. Otherwise: address and OpenSIPS on one node.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn placed(&self, fits: &dyn Fn(&str) -> bool) -> Result<String, String> {
        let text = |error: lab::Error| error.to_string();
        let nodes = self.lab.powered_nodes().map_err(text)?;
        let status = self.lab.cluster_status().map_err(text)?;
        let of = |id: &str, role: &str| -> Vec<String> {
            let found = status.resources.iter().filter(|r| r.id == id && r.role == role);
            found.filter(|r| r.pending.is_none()).flat_map(|r| r.nodes.clone()).collect()
        };
        let serving = match self.example {
            Example::ActiveStandby | Example::ThreeNodes => "Started",
            Example::HotStandby => "Promoted",
        };
        let (promoted, vip) = (of("opensips", serving), of("vip", "Started"));
        let [node] = promoted.as_slice() else { return Err(format!("{serving}: {promoted:?}")) };
        if vip != promoted || !fits(node) {
            return Err(format!("{serving}: {promoted:?}, vip: {vip:?}"));
        }
        if self.example != Example::HotStandby {
            return Ok(node.clone());
        }
        let standby = of("opensips", "Unpromoted");
        if standby.len() + 1 != nodes.len() {
            return Err(format!("promoted: {promoted:?}, unpromoted: {standby:?}, up: {nodes:?}"));
        }
        for other in &nodes {
            if self.tag_is_active(other)? != (other == node) {
                return Err(format!("the sharing tag on {other}, with {node} promoted"));
            }
        }
        Ok(node.clone())
    }

    /// Waits for that.
    ///
    /// # Errors
    /// As [`Pair::placed`], by the end of `patience`.
    pub fn wait_placed(
        &self,
        patience: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            match self.placed(&fits) {
                Ok(node) => return Ok(node),
                Err(error) if begun.elapsed() > patience => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    /// Waits for that, and proves it from the neighbour's side: SIP answered to a question that the client
    /// asks from now on, one owner in ARP.
    ///
    /// # Errors
    /// What is not as it should be by the end of `patience`.
    pub fn serves(
        &self,
        client: &Prober,
        patience: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let node = self.wait_placed(patience, fits)?;
        let since = Instant::now();
        while !client.answered_since(since) {
            if since.elapsed() > patience {
                return Err("no SIP answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let owners = scenario::answering_owners(&self.lab, patience)?;
        let mac = self.run(&node, &["cat", "/sys/class/net/eth0/address"])?;
        if owners.iter().eq([mac.trim()]) {
            Ok(node)
        } else {
            Err(format!("owners on the wire: {owners:?}, expected {mac} alone ({node})"))
        }
    }

    /// Waits until both nodes have power and are members again.
    ///
    /// # Errors
    /// They are not by the end of `patience`.
    pub fn wait_whole(&self, patience: Duration) -> Result<(), String> {
        let begun = Instant::now();
        while self.lab.powered_nodes().map_err(|error| error.to_string())?.len() < 2 {
            if begun.elapsed() > patience {
                return Err(format!("a node is still without power{}", self.fencing()));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        self.lab.wait_online(patience).map(drop).map_err(|error| error.to_string())
    }

    /// What the power switch and the fencers of the nodes have logged, a line each; for people.
    fn fencing(&self) -> String {
        let rack = std::fs::read_to_string(self.lab.state_directory().join("rack.log"));
        let mut lines: Vec<String> = Vec::new();
        lines.extend(rack.unwrap_or_default().lines().map(|line| format!("rack: {line}")));
        for node in ["node1", "node2"] {
            let log = "grep -F pacemaker-fenced /var/log/pacemaker/pacemaker.log | tail -n 200";
            let log = self.run(node, &["sh", "-c", log]).unwrap_or_default();
            lines.extend(log.lines().map(|line| format!("{node}: {line}")));
        }
        lines.iter().map(|line| format!("\n{line}")).collect()
    }
}

/// What the daemon of a node answers to a command of its Management Interface; `parameters` is the JSON
/// of them, or nothing.
///
/// # Errors
/// It doesn't answer within some seconds.
pub fn mi(lab: &Lab, node: &str, method: &str, parameters: &str) -> Result<String, String> {
    let parameters = match parameters {
        "" => String::new(),
        json => format!(",\"params\":{json}"),
    };
    let request =
        format!(":suite:{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\"{parameters}}}");
    let ask = "cd /run/smartvox/mi && mkfifo -m 666 suite && printf %s \"$1\" \
               > /run/opensips/opensips_fifo; timeout 10 cat suite; rm -f suite";
    scenario::run(lab, node, &["timeout", "20", "sh", "-c", ask, "sh", &request])
}

/// What the daemon of a node says about the sharing tag.
///
/// # Errors
/// It doesn't answer, or something else.
pub fn tag_is_active(lab: &Lab, node: &str) -> Result<bool, String> {
    let reply = mi(lab, node, "clusterer_list_shtags", "")?;
    match (reply.contains("\"active\""), reply.contains("\"backup\"")) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => Err(format!("{node}: sharing tags: {reply:?}")),
    }
}
