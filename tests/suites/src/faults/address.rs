//! A virtual IP address with its routes, on a host with a neighbour.

use std::path::{Path, PathBuf};

use testnet::{Agent, Cable, Host, agent, cable};

use super::subject::{Case, State, Subject, cases};

const VIP: &str = "192.0.2.10";

/// A resource of opensips-vip.
pub struct Address {
    node: Host,
    _neighbour: Host,
    _cable: Cable,
    program: PathBuf,
    before: String,
}

impl Address {
    /// With the agent of this directory.
    #[must_use]
    pub fn new(agents: &Path) -> Self {
        let (node, neighbour) = (Host::new("node"), Host::new("neighbour"));
        let (one, other) = ("02:00:00:00:00:0a", "02:00:00:00:00:0e");
        let cable = cable((&node, "eth0", one), (&neighbour, "eth0", other));
        // Without IPv6 the kernel changes no table by itself.
        for host in [&node, &neighbour] {
            host.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
        }
        node.ip("addr add 192.0.2.1/24 dev eth0");
        neighbour.ip("addr add 192.0.2.99/24 dev eth0");
        node.ip("route add default via 192.0.2.99 dev eth0 metric 100");
        let before = everything(&node);
        let program = agents.join("opensips-vip");
        Self { node, _neighbour: neighbour, _cable: cable, program, before }
    }
}

/// Addresses, and routes and rules of all tables.
fn everything(host: &Host) -> String {
    ["-o addr show dev eth0", "route show table all", "rule"].map(|what| host.ip(what)).concat()
}

impl Subject for Address {
    fn name(&self) -> &'static str {
        "opensips-vip"
    }

    fn host(&self) -> &Host {
        &self.node
    }

    fn agent(&self) -> Agent {
        agent(&self.node, &self.program)
            .under_pacemaker("vip")
            .env("PCMK_service", "pacemaker-execd")
            .param("ip", VIP)
            .param("nic", "eth0")
            .param("cidr_netmask", "24")
            .param("gateway", "192.0.2.99")
            .param("source_for", "0.0.0.0/0")
            .param("close_connections", "yes")
            .param("drain", "5ms")
    }

    fn is_alive(&self) -> bool {
        self.node.ip("-o addr show dev eth0").contains(&format!(" {VIP}/"))
    }

    fn left(&self) -> Vec<String> {
        let now = everything(&self.node);
        let known: Vec<&str> = self.before.lines().collect();
        let changed = now.lines().filter(|line| !known.contains(line)).map(str::to_owned);
        let gone = known.iter().filter(|line| !now.lines().any(|it| it == **line));
        let gone = gone.map(|line| format!("missing: {line}"));
        let processes = self.node.processes().into_iter().map(|pid| format!("process {pid}"));
        changed.chain(gone).chain(processes).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let mut all = cases(
            State::Stopped,
            &[("start", "0"), ("monitor", "0"), ("stop", "0"), ("validate-all", "10")],
        );
        all.extend(cases(
            State::Started,
            &[
                ("stop", "0"),
                ("monitor", "0"),
                ("monitor", "10"),
                ("start", "0"),
                ("reload-agent", "0"),
                ("validate-all", "10"),
            ],
        ));
        all
    }
}
