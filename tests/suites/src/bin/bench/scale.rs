//! Many addresses and instances of OpenSIPS on a pair: how long the node in standby, and the other one after a
//! power cut, leave the last of them without service. Not part of the whole report.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Changes, Example};

use crate::figures::{Samples, ms};
use crate::recurring::{Spent, spent};
use crate::report::Report;

/// Addresses, and how many of them have an OpenSIPS.
const SIZES: [(u8, u8); 3] = [(1, 1), (10, 5), (20, 10)];
const AGENTS: [&str; 2] = ["ocf:smartvox:opensips-vip", "ocf:heartbeat:IPaddr2"];
/// Of clusters with one address and one OpenSIPS.
const NODES: [u8; 3] = [4, 8, 16];
/// The first address is 192.0.2.100.
const FIRST: u8 = 100;
const TOKEN: u32 = 3_000;
const PACE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(240);

/// What one agent for the addresses gives with one size.
#[derive(Default)]
struct Row {
    standby_address: Samples,
    standby_sip: Samples,
    cut_address: Samples,
    cut_sip: Samples,
}

/// What is on the cluster.
#[derive(Clone, Copy)]
struct Size {
    nodes: u8,
    addresses: u8,
    /// How many of the addresses have an OpenSIPS.
    instances: u8,
}

impl Size {
    const fn pair((addresses, instances): (u8, u8)) -> Self {
        Self { nodes: 2, addresses, instances }
    }

    fn nodes(self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("node{number}")).collect()
    }
}

/// Prints both tables; standbys `rounds` times, a power cut once.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(beside.parent()?))
        .ok_or("no OpenSIPS and no stand-in: build with `make bench`")?;
    report.section("Many addresses and instances, and many nodes");
    report.line(format!(
        "The node that has everything goes into standby ({rounds} times), or loses power (once, with fencing, token \
         {TOKEN} ms). Each address is\nasked every {} ms: those with an OpenSIPS behind them for OPTIONS, the others by \
         ICMP. \"Without service\": of each address the longest\ntime without an answer; the median of all of them, \
         and the last. {daemon}.\n",
        PACE.as_millis()
    ));
    let mut rows = Vec::new();
    for size in SIZES.map(Size::pair) {
        for agent in AGENTS {
            rows.push(of_size(size, agent, agents, &daemon, rounds)?);
        }
    }
    for nodes in NODES {
        let size = Size { nodes, ..Size::pair((1, 1)) };
        let row = of_size(size, AGENTS[0], agents, &daemon, rounds);
        // The machine is the limit here: what it can't carry is a row, too.
        rows.push(row.unwrap_or_else(|error| {
            let first = error.lines().next().unwrap_or_default();
            vec![format!("{nodes}, 1, 1"), first.to_owned()]
        }));
    }
    let head = [
        "nodes, addresses, OpenSIPS",
        "agent of the addresses",
        "cluster came up in s",
        "monitors on the node, of one core",
        "standby: address ms, median / last",
        "standby: SIP ms, median / last",
        "power cut: address ms, median / last",
        "power cut: SIP ms, median / last",
    ];
    report.table(&head, &rows);
    Ok(())
}

/// A cluster of its own: what another one had before is not part of what is measured.
fn of_size(
    size: Size,
    agent: &str,
    agents: &Path,
    daemon: &Daemon,
    rounds: usize,
) -> Result<Vec<String>, String> {
    let begun = Instant::now();
    let changes = Changes { nodes: Some(size.nodes), ..Changes::default() };
    let example = Example::ActiveStandby;
    let lab = scenario::up_with(example, "bench-scale", agents, daemon, TOKEN, changes)?;
    let up = begun.elapsed();
    configure(&lab, agent, size)?;
    let cpu = spent(&lab)?;
    Ok(play(&lab, size, rounds)?.cells(size, agent, up, cpu))
}

impl Row {
    fn cells(&self, size: Size, agent: &str, up: Duration, cpu: Spent) -> Vec<String> {
        let Size { nodes, addresses, instances } = size;
        let agent = agent.rsplit(':').next().unwrap_or(agent);
        let shown = |samples: &Samples| match samples.len() {
            0 => String::new(),
            _ => format!("{} / {}", ms(samples.median()), ms(samples.max())),
        };
        vec![
            format!("{nodes}, {addresses}, {instances}"),
            agent.to_owned(),
            format!("{:.0}", up.as_secs_f64()),
            cpu.share(),
            shown(&self.standby_address),
            shown(&self.standby_sip),
            shown(&self.cut_address),
            shown(&self.cut_sip),
        ]
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, FIRST + number)
}

/// Everything on node1, with fencing. An address and its OpenSIPS are a group.
fn configure(lab: &Lab, agent: &str, size: Size) -> Result<(), String> {
    let Size { addresses, instances, .. } = size;
    let sed = |number: u8| {
        format!(
            "sed 's/opensips_fifo/sip{number}_fifo/; s/192\\.0\\.2\\.10:/{}:/' /etc/opensips/opensips.cfg \
             > /etc/opensips/sip{number}.cfg",
            address(number)
        )
    };
    let files: Vec<String> = (0..instances).map(sed).collect();
    for node in size.nodes() {
        scenario::run(lab, &node, &["sh", "-ec", &files.join("\n")])?;
    }
    let all = size.nodes().join(" ");
    let mut script = format!(
        "pcs cluster cib /root/before.xml; cp /root/before.xml /root/cib.xml\n\
         cib() {{ pcs -f /root/cib.xml \"$@\"; }}\n\
         cib resource defaults update resource-stickiness=100 failure-timeout=60s\n\
         cib property set load-threshold=1000%\n\
         cib stonith create fence fence_lab pcmk_host_list='{all}'\n",
    );
    // As in the examples; IPaddr2 has no such monitor.
    let stopped =
        if agent == AGENTS[0] { "op monitor interval=1s timeout=20s role=Stopped" } else { "" };
    for number in 0..addresses {
        let ip = address(number);
        let _ = writeln!(
            script,
            "cib resource create vip{number} {agent} ip={ip} cidr_netmask=24 nic=eth0 op start timeout=60s \
             op stop timeout=60s op monitor interval=2s timeout=20s {stopped} --group g{number}"
        );
        if number < instances {
            let _ = writeln!(
                script,
                "cib resource create sip{number} ocf:smartvox:opensips config=/etc/opensips/sip{number}.cfg \
                 vip={ip} op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s \
                 --group g{number}"
            );
        }
        let _ = writeln!(script, "cib constraint location g{number} prefers node1=10");
    }
    script += "pcs cluster cib-push /root/cib.xml diff-against=/root/before.xml";
    scenario::run(lab, "node1", &["sh", "-ec", &script])?;
    wait(lab)
}

fn wait(lab: &Lab) -> Result<(), String> {
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    scenario::run(lab, "node1", &["crm_resource", "--wait", &timeout]).map(drop)
}

fn play(lab: &Lab, size: Size, rounds: usize) -> Result<Row, String> {
    let mut row = Row::default();
    let active = || lab.resource_location("vip0").ok_or("vip0 is not running");
    for _ in 0..rounds {
        let (node, clients) = (active()?, Clients::start(lab, size)?);
        scenario::run(lab, &node, &["pcs", "node", "standby", &node])?;
        wait(lab)?;
        clients.finish(&mut row.standby_address, &mut row.standby_sip)?;
        scenario::run(lab, &node, &["pcs", "node", "unstandby", &node])?;
        wait(lab)?;
    }
    let (node, clients) = (active()?, Clients::start(lab, size)?);
    lab.kill(&node).map_err(|error| error.to_string())?;
    left(lab, size, &node)?;
    clients.finish(&mut row.cut_address, &mut row.cut_sip)?;
    Ok(row)
}

/// Waits until every address is on another node.
fn left(lab: &Lab, size: Size, node: &str) -> Result<(), String> {
    let begun = Instant::now();
    let elsewhere =
        |number: u8| lab.resource_location(&format!("vip{number}")).is_some_and(|at| at != node);
    while !(0..size.addresses).all(elsewhere) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{node} is not replaced\n{}", scenario::status(lab)));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// One for each address.
struct Clients {
    addresses: Vec<Prober>,
    sip: Vec<Prober>,
}

impl Clients {
    /// Starts them; returns when all are answered.
    fn start(lab: &Lab, size: Size) -> Result<Self, String> {
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let mut clients = Self { addresses: Vec::new(), sip: Vec::new() };
        for number in 0..size.addresses {
            let ip = address(number);
            let (of, question) = if number < size.instances {
                (&mut clients.sip, Question::Sip(SocketAddr::from((ip, 5060))))
            } else {
                (&mut clients.addresses, Question::Echo(ip))
            };
            of.push(Prober::start(&netns, question, PACE).map_err(|error| error.to_string())?);
        }
        clients.answered()?;
        Ok(clients)
    }

    fn all(&self) -> impl Iterator<Item = &Prober> {
        self.addresses.iter().chain(&self.sip)
    }

    fn answered(&self) -> Result<(), String> {
        let begun = Instant::now();
        while !self.all().all(|client| client.answered_since(begun)) {
            if begun.elapsed() > PATIENCE {
                return Err("an address does not answer".to_owned());
            }
            std::thread::sleep(PACE);
        }
        Ok(())
    }

    /// Waits until each is answered again; what is too short for the pace was no time without service.
    fn finish(self, addresses: &mut Samples, sip: &mut Samples) -> Result<(), String> {
        self.answered()?;
        for (clients, samples) in [(self.addresses, addresses), (self.sip, sip)] {
            let outages = clients.into_iter().map(|client| client.finish().longest_outage());
            outages.for_each(|it| samples.add(it.map_or(Duration::ZERO, |it| it.length())));
        }
        Ok(())
    }
}
