//! Many addresses and instances of OpenSIPS on a pair: how long the node in standby, and the other one after a
//! power cut, leave the last of them without service. Not part of the whole report.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Example, peer};

use crate::figures::{Samples, ms};
use crate::recurring::{Spent, spent};
use crate::report::Report;

/// Addresses, and how many of them have an OpenSIPS.
const SIZES: [(u8, u8); 3] = [(1, 1), (10, 5), (20, 10)];
const AGENTS: [&str; 2] = ["ocf:smartvox:opensips-vip", "ocf:heartbeat:IPaddr2"];
/// The first address is 192.0.2.20.
const FIRST: u8 = 20;
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

/// Prints the table; standbys `rounds` times, a power cut once.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(beside.parent()?))
        .ok_or("no OpenSIPS and no stand-in: build with `make bench`")?;
    report.section("Many addresses and instances on a pair");
    report.line(format!(
        "A node goes into standby ({rounds} times), or loses power (once, with fencing, token {TOKEN} ms). Each \
         address is asked every\n{} ms: those with an OpenSIPS behind them for OPTIONS, the others by ICMP. \
         \"Without service\": of each address the longest\ntime without an answer; the median of all of them, \
         and the last. {daemon}.\n",
        PACE.as_millis()
    ));
    let mut rows = Vec::new();
    for (addresses, instances) in SIZES {
        for agent in AGENTS {
            // One after the other: what a cluster had before is not part of what is measured.
            let lab =
                scenario::up_for(Example::ActiveStandby, "bench-scale", agents, &daemon, TOKEN)?;
            configure(&lab, agent, addresses, instances)?;
            let cpu = spent(&lab)?;
            let row = play(&lab, addresses, instances, rounds)?;
            rows.push(row.cells(addresses, instances, agent, cpu));
        }
    }
    let head = [
        "addresses, with OpenSIPS",
        "agent of the addresses",
        "monitors, of one core",
        "standby: address ms, median / last",
        "standby: SIP ms, median / last",
        "power cut: address ms, median / last",
        "power cut: SIP ms, median / last",
    ];
    report.table(&head, &rows);
    Ok(())
}

impl Row {
    fn cells(&self, addresses: u8, instances: u8, agent: &str, cpu: Spent) -> Vec<String> {
        let agent = agent.rsplit(':').next().unwrap_or(agent);
        let shown = |samples: &Samples| match samples.len() {
            0 => String::new(),
            _ => format!("{} / {}", ms(samples.median()), ms(samples.max())),
        };
        vec![
            format!("{addresses}, {instances}"),
            agent.to_owned(),
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
fn configure(lab: &Lab, agent: &str, addresses: u8, instances: u8) -> Result<(), String> {
    let sed = |number: u8| {
        format!(
            "sed 's/opensips_fifo/sip{number}_fifo/; s/192\\.0\\.2\\.10:/{}:/' /etc/opensips/opensips.cfg \
             > /etc/opensips/sip{number}.cfg",
            address(number)
        )
    };
    let files: Vec<String> = (0..instances).map(sed).collect();
    for node in ["node1", "node2"] {
        scenario::run(lab, node, &["sh", "-ec", &files.join("\n")])?;
    }
    let mut script = String::from(
        "pcs cluster cib /root/before.xml; cp /root/before.xml /root/cib.xml\n\
         cib() { pcs -f /root/cib.xml \"$@\"; }\n\
         cib resource defaults update resource-stickiness=100 failure-timeout=60s\n\
         cib property set load-threshold=1000%\n\
         cib stonith create fence fence_lab pcmk_host_list='node1 node2'\n",
    );
    for number in 0..addresses {
        let ip = address(number);
        let _ = writeln!(
            script,
            "cib resource create vip{number} {agent} ip={ip} cidr_netmask=24 nic=eth0 op start timeout=60s \
             op stop timeout=60s op monitor interval=2s timeout=20s --group g{number}"
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

fn play(lab: &Lab, addresses: u8, instances: u8, rounds: usize) -> Result<Row, String> {
    let mut row = Row::default();
    let mut active = "node1";
    for _ in 0..rounds {
        let clients = Clients::start(lab, addresses, instances)?;
        scenario::run(lab, active, &["pcs", "node", "standby", active])?;
        clients.finish(&mut row.standby_address, &mut row.standby_sip)?;
        wait(lab)?;
        scenario::run(lab, active, &["pcs", "node", "unstandby", active])?;
        wait(lab)?;
        active = peer(active);
    }
    let clients = Clients::start(lab, addresses, instances)?;
    lab.kill(active).map_err(|error| error.to_string())?;
    clients.finish(&mut row.cut_address, &mut row.cut_sip)?;
    Ok(row)
}

/// One for each address.
struct Clients {
    addresses: Vec<Prober>,
    sip: Vec<Prober>,
}

impl Clients {
    /// Starts them; returns when all are answered.
    fn start(lab: &Lab, addresses: u8, instances: u8) -> Result<Self, String> {
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let mut clients = Self { addresses: Vec::new(), sip: Vec::new() };
        for number in 0..addresses {
            let ip = address(number);
            let (of, question) = if number < instances {
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

    /// Waits until each was unanswered, and is answered again.
    fn finish(self, addresses: &mut Samples, sip: &mut Samples) -> Result<(), String> {
        let begun = Instant::now();
        let moved = |client: &Prober| client.so_far().longest_outage().is_some();
        while !self.all().all(moved) {
            if begun.elapsed() > PATIENCE {
                return Err("an address has not moved, or not come back".to_owned());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        self.answered()?;
        for (clients, samples) in [(self.addresses, addresses), (self.sip, sip)] {
            let outages = clients.into_iter().filter_map(|client| client.finish().longest_outage());
            outages.for_each(|outage| samples.add(outage.length()));
        }
        Ok(())
    }
}
