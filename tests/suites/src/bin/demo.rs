//! `make demo`: a real two-node cluster on this machine, configured as the example says; SIP at the
//! virtual IP; a power cut; SIP again, with a timeline in milliseconds.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario::{self, Fencing, VIP};
use suites::timeline::{Timeline, announcements, pacemaker_events};

/// A failover of two SIP servers, on this machine, for real
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Corosync's token timeout in milliseconds, its own default: how long a node may be silent
    /// until the others begin to agree that it is lost, which takes 1.2 times as long again
    #[arg(long, default_value_t = 3_000, value_name = "MS")]
    token: u32,
    /// Leave the cluster up afterwards, to look around with `lab --name demo`
    #[arg(long)]
    keep: bool,
}

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    match demonstrate(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(arguments: &Arguments) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = beside.parent().ok_or("the demo has no directory")?;
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(beside))
        .ok_or("no OpenSIPS and no stand-in: build with `make demo`")?;
    println!("OpenSIPS: {daemon}");
    if daemon.modules.is_none() {
        println!("          (the project's stand-in; name a real one with OPENSIPS_BIN)");
    }

    title("A cluster: node1, node2, a switch, a client; Corosync, Pacemaker");
    let begun = Instant::now();
    let lab = scenario::up("demo", &arguments.agents, &daemon, arguments.token)?;
    println!("up after {} ms", begun.elapsed().as_millis());

    title("pcs-examples/active-standby.sh, as it stands, with the lab's fencing");
    scenario::configure(&lab, Fencing::On)?;
    let active = scenario::wait_running(&lab, PATIENCE)?;
    println!("{}", scenario::run(&lab, &active, &["crm_mon", "-1"])?);

    title("The client asks OPTIONS at the virtual IP, 50 times a second");
    let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
    let client = Prober::start(&netns, Question::Sip(scenario::sip()), Duration::from_millis(20))
        .map_err(|error| error.to_string())?;
    wait_answer(&client, Instant::now(), &lab)?;
    println!("SIP answered at {VIP} by {active}; owner in ARP: {}", owner(&lab)?);

    let survivor = scenario::peer(&active);
    title(&format!("Power cut on {active}"));
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.args(["-i", "eth0", "-tt", "-e", "-n", "-l", "arp"]);
    tcpdump.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut listener = lab.spawn("client", &mut tcpdump).map_err(|error| error.to_string())?;
    let (zero, cut) = (SystemTime::now(), Instant::now());
    lab.kill(&active).map_err(|error| error.to_string())?;
    let waited = wait_answer(&client, cut + Duration::from_millis(1), &lab)
        .and_then(|()| scenario::wait_running_where(&lab, PATIENCE, |node| node == survivor));
    let _ = listener.kill();
    let mut heard = String::new();
    if let Some(mut stdout) = listener.stdout.take() {
        let _ = stdout.read_to_string(&mut heard);
    }
    let _ = listener.wait();
    waited?;

    let record = client.finish();
    let outage = record.longest_outage().ok_or("no outage was seen")?;
    let wall = |instant: Instant| match instant.checked_duration_since(cut) {
        Some(after) => zero + after,
        None => zero - cut.duration_since(instant),
    };
    let mut timeline = Timeline::default();
    timeline.add(zero, format!("power cut on {active}"));
    timeline.add(wall(outage.from), "first OPTIONS that nobody answered");
    if let Some(answered) = record.first_answer_since(outage.to) {
        timeline.add(wall(answered), format!("SIP answered again, by {survivor}"));
    }
    let sender = scenario::run(&lab, survivor, &["cat", "/sys/class/net/eth0/address"])?;
    let frames = announcements(&heard, &VIP.to_string());
    if let Some((at, mac)) = frames.iter().find(|(_, mac)| mac == sender.trim()) {
        timeline.add(*at, format!("first announcement of {VIP} from {survivor} ({mac})"));
    }
    let zone = scenario::run(&lab, survivor, &["date", "+%z"])?;
    let log = scenario::run(&lab, survivor, &["cat", "/var/log/pacemaker/pacemaker.log"])?;
    for (at, event) in pacemaker_events(&log, zone.trim(), zero) {
        timeline.add(at, event);
    }
    print!("{}", timeline.since(zero));
    println!("\n{}", scenario::run(&lab, survivor, &["crm_mon", "-1"])?);
    println!(
        "{} OPTIONS asked; out for {} ms. Most of it is what corosync.conf grants a silent node: a \
         token of {} ms, then 1.2 times that for consensus.",
        record.exchanges().len(),
        outage.length().as_millis(),
        arguments.token
    );
    println!("Owner in ARP now: {}", owner(&lab)?);

    if arguments.keep {
        println!(
            "\nThe lab stays up: target/debug/lab --help; to end it: target/debug/lab down --name demo"
        );
        lab.keep().map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n--- {text}");
}

fn owner(lab: &Lab) -> Result<String, String> {
    let owners = scenario::answering_owners(lab, PATIENCE)?;
    match owners.len() {
        1 => Ok(owners.into_iter().collect()),
        _ => Err(format!("{} owners of {VIP} on the wire: {owners:?}", owners.len())),
    }
}

fn wait_answer(client: &Prober, since: Instant, lab: &Lab) -> Result<(), String> {
    while !client.answered_since(since) {
        if since.elapsed() > PATIENCE {
            return Err(format!("no SIP answer\n{}", scenario::status(lab)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
