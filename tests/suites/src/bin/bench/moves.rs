//! A planned move of an address on a real cluster, as a client sees it that asks every millisecond.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question};
use suites::scenario;
use suites::witness::Witness;

use crate::figures::{Samples, ms, ratio};

/// A stall of the machine that makes a round worthless.
const STALL: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(240);

struct Contender {
    resource: &'static str,
    agent: &'static str,
    /// Parameters besides the defaults.
    given: &'static [&'static str],
    address: Ipv4Addr,
    outages: Samples,
    stalled: usize,
}

/// Prints the table: `wanted` rounds without a stall for each agent.
pub(crate) fn measure(agents: &Path, wanted: usize) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    // No OpenSIPS runs in this part; the lab's recipe wants one to bind.
    let daemon = Daemon::stand_in(beside.parent().ok_or("no directory")?)
        .ok_or("the stand-in is missing: build with `make bench`")?;
    let lab = scenario::up("bench", agents, &daemon, 10_000)?;
    let mut contenders = [
        ("ours", "ocf:smartvox:opensips-vip", &[][..], Ipv4Addr::new(192, 0, 2, 10)),
        ("theirs", "ocf:heartbeat:IPaddr2", &[], Ipv4Addr::new(192, 0, 2, 20)),
        (
            "unchecked",
            "ocf:smartvox:opensips-vip",
            &["duplicate_check=no"],
            Ipv4Addr::new(192, 0, 2, 30),
        ),
    ]
    .map(|(resource, agent, given, address)| Contender {
        resource,
        agent,
        given,
        address,
        outages: Samples::default(),
        stalled: 0,
    });
    scenario::run(&lab, "node1", &["pcs", "property", "set", "stonith-enabled=false"])?;
    for contender in &contenders {
        let ip = format!("ip={}", contender.address);
        let mut create = vec!["pcs", "resource", "create", contender.resource, contender.agent];
        create.extend([ip.as_str(), "cidr_netmask=24", "nic=eth0"]);
        create.extend(contender.given);
        create.extend(["op", "monitor", "interval=10s", "timeout=20s"]);
        // Else the cluster spreads them over the nodes again, in the middle of a round.
        create.extend(["meta", "resource-stickiness=100"]);
        scenario::run(&lab, "node1", &create)?;
    }
    // At most four times the rounds: a machine that always stalls gets a table that says so.
    for _ in 0..wanted * 4 {
        for contender in &mut contenders {
            if contender.outages.len() < wanted {
                round(&lab, contender)?;
            }
        }
    }
    println!(
        "\n## Planned move of the address, client asks every millisecond (stalled rounds repeated)\n"
    );
    println!("| agent | rounds | stalled | outage ms min / median / max |\n|---|---|---|---|");
    for contender in &contenders {
        let outages = &contender.outages;
        println!(
            "| {} {} | {} | {} | {} / {} / {} |",
            contender.agent,
            contender.given.join(" "),
            outages.len(),
            contender.stalled,
            ms(outages.min()),
            ms(outages.median()),
            ms(outages.max())
        );
    }
    let [ours, theirs, unchecked] = &contenders;
    for (other, outages) in
        [("IPaddr2's", &theirs.outages), ("ours without the check", &unchecked.outages)]
    {
        println!(
            "\nOutage of ours to {other}: {} (median), {} (min)",
            ratio(ours.outages.median(), outages.median()),
            ratio(ours.outages.min(), outages.min())
        );
    }
    Ok(())
}

fn round(lab: &Lab, contender: &mut Contender) -> Result<(), String> {
    let from = settled(lab, contender.resource, |_| true)?;
    let to = scenario::peer(&from);
    let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
    let client = Prober::start(&netns, Question::Echo(contender.address), Duration::from_millis(1))
        .map_err(|error| error.to_string())?;
    answered(&client, Instant::now())?;
    let witness = Witness::start(STALL);
    scenario::run(lab, &from, &["crm_resource", "--move", "-r", contender.resource, "-N", to])?;
    settled(lab, contender.resource, |node| node == to)?;
    answered(&client, Instant::now())?;
    let stalls = witness.finish();
    let record = client.finish();
    scenario::run(lab, to, &["crm_resource", "--clear", "-r", contender.resource])?;
    let outage = record.longest_outage().ok_or("no outage was seen")?;
    let hit = |stall: &suites::witness::Stall| {
        stall.from < outage.to && stall.from + stall.length > outage.from
    };
    if stalls.iter().any(hit) {
        contender.stalled += 1;
    } else {
        contender.outages.add(outage.length());
    }
    Ok(())
}

/// Waits until the resource runs on a node that fits, and says which.
pub(crate) fn settled(
    lab: &Lab,
    resource: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(node) = lab.resource_location(resource).filter(|node| fits(node)) {
            return Ok(node);
        }
        if Instant::now() > end {
            return Err(format!("{resource} doesn't settle\n{}", scenario::status(lab)));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn answered(client: &Prober, since: Instant) -> Result<(), String> {
    while !client.answered_since(since) {
        if since.elapsed() > PATIENCE {
            return Err("the address doesn't answer".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
