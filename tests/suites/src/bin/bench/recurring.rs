//! What monitors cost that run every second: the CPU of Pacemaker itself for each of them, and that of
//! our agents.

use std::path::Path;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::scenario::{self, Changes, Example};

use crate::moves::{agent_that_does_nothing, settled};
use crate::report::Report;

/// Resources with a monitor every second.
const RESOURCES: usize = 10;
/// How long their CPU is counted.
const SPAN: Duration = Duration::from_secs(30);
/// The daemons of Pacemaker and Corosync.
const DAEMONS: [&str; 8] = [
    "corosync",
    "pacemakerd",
    "pacemaker-based",
    "pacemaker-fenced",
    "pacemaker-execd",
    "pacemaker-attrd",
    "pacemaker-schedulerd",
    "pacemaker-controld",
];

/// CPU of the daemons of a node, and of all that they have started and waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    daemons: Duration,
    children: Duration,
}

impl Spent {
    /// Both, as a share of one core.
    pub(crate) fn share(self) -> String {
        let all = self.daemons + self.children;
        format!("{:.1} %", all.as_secs_f64() / SPAN.as_secs_f64() * 100.0)
    }
}

/// Measures a cluster at rest, with monitors of an agent that does nothing, and with those of ours.
pub(crate) fn measure(agents: &Path, report: &mut Report) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let daemon = Daemon::stand_in(beside.parent().ok_or("no directory")?)
        .ok_or("the stand-in is missing: build with `make bench`")?;
    let changes = Changes { binds: vec![agent_that_does_nothing()?], ..Changes::default() };
    let (example, name) = (Example::ActiveStandby, "bench-monitors");
    let lab = scenario::up_with(example, name, agents, &daemon, 10_000, changes)?;
    scenario::run(&lab, "node1", &["pcs", "property", "set", "stonith-enabled=false"])?;
    let rest = spent(&lab)?;
    let nothing = with(&lab, "nothing", |_| vec!["ocf:suites:nothing".to_owned()])?;
    let ours = with(&lab, "vip", |number| {
        let ip = format!("ip=192.0.2.{}", 100 + number);
        ["ocf:smartvox:opensips-vip", &ip, "nic=eth0"].map(str::to_owned).to_vec()
    })?;
    report.section("Monitors every second");
    report.line(format!(
        "CPU on the node that runs {RESOURCES} resources, each with `op monitor interval=1s`, in {} s; as \
         a share of one core,\nfor one resource. \"At rest\": the same cluster without them.\n",
        SPAN.as_secs()
    ));
    let share = |cpu: Duration, of: usize| {
        let of = u32::try_from(of).unwrap_or(1);
        format!("{:.2} %", (cpu / of).as_secs_f64() / SPAN.as_secs_f64() * 100.0)
    };
    let row = |name: &str, with: Spent| {
        let daemons = with.daemons.saturating_sub(rest.daemons);
        let children = with.children.saturating_sub(rest.children);
        vec![name.to_owned(), share(daemons, RESOURCES), share(children, RESOURCES)]
    };
    let head = ["", "Pacemaker and Corosync", "agents"];
    report.table(
        &head,
        &[
            vec!["at rest, in all".into(), share(rest.daemons, 1), share(rest.children, 1)],
            row("an agent that does nothing", nothing),
            row("opensips-vip", ours),
        ],
    );
    Ok(())
}

/// The same with resources on node1, which are gone afterwards.
fn with(lab: &Lab, name: &str, agent: impl Fn(usize) -> Vec<String>) -> Result<Spent, String> {
    let ids: Vec<String> = (0..RESOURCES).map(|number| format!("{name}{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let agent = agent(number);
        let mut create = vec!["pcs", "resource", "create", id.as_str()];
        create.extend(agent.iter().map(String::as_str));
        create.extend(["op", "monitor", "interval=1s", "timeout=20s"]);
        scenario::run(lab, "node1", &create)?;
        scenario::run(lab, "node1", &["pcs", "constraint", "location", id, "prefers", "node1"])?;
    }
    for id in &ids {
        settled(lab, id, |node| node == "node1")?;
    }
    let spent = spent(lab)?;
    for id in &ids {
        scenario::run(lab, "node1", &["pcs", "resource", "delete", id])?;
    }
    Ok(spent)
}

/// What is spent on node1 in [`SPAN`], once nothing is going on.
pub(crate) fn spent(lab: &Lab) -> Result<Spent, String> {
    scenario::run(lab, "node1", &["crm_resource", "--wait", "--timeout=200"])?;
    // Announcements, statistics and transitions that began before have ended.
    std::thread::sleep(Duration::from_secs(15));
    let before = count(lab)?;
    let begun = Instant::now();
    std::thread::sleep(SPAN);
    let after = count(lab)?;
    let scale = SPAN.as_secs_f64() / begun.elapsed().as_secs_f64();
    Ok(Spent {
        daemons: (after.daemons - before.daemons).mul_f64(scale),
        children: (after.children - before.children).mul_f64(scale),
    })
}

/// proc(5), `/proc/PID/stat`: utime, stime, cutime, cstime are the fields 14 to 17, in hundredths of a
/// second on every architecture that Linux shows to user space (USER_HZ).
fn count(lab: &Lab) -> Result<Spent, String> {
    let text =
        scenario::run(lab, "node1", &["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || :"])?;
    let mut spent = Spent { daemons: Duration::ZERO, children: Duration::ZERO };
    for line in text.lines() {
        let Some((head, tail)) = line.rsplit_once(") ") else { continue };
        // The kernel keeps 15 characters of a name.
        let name = head.split_once('(').map(|(_, name)| name).unwrap_or_default();
        if !DAEMONS.iter().any(|daemon| daemon.get(..15).unwrap_or(daemon) == name) {
            continue;
        }
        let ticks: Vec<u64> =
            tail.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
        let [user, system, child_user, child_system] = ticks.as_slice() else { continue };
        spent.daemons += Duration::from_millis((user + system) * 10);
        spent.children += Duration::from_millis((child_user + child_system) * 10);
    }
    Ok(spent)
}
