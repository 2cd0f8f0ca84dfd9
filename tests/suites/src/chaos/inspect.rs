//! The state after a round: what Pacemaker says, against what the nodes have and what the wire says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::ClusterStatus;

use super::owners::Owners;
use super::record::{Kind, Violation};
use crate::pair;
use crate::scenario::VIP;
use crate::site::{Process, Site};

/// How long the answers on the wire are looked at.
const LATELY: Duration = Duration::from_secs(2);

/// Whether every resource is where it belongs, as Pacemaker says: one address, and with it an OpenSIPS; in
/// a hot standby one on every node.
#[must_use]
pub fn is_placed(site: &Site, status: &ClusterStatus) -> bool {
    let address = placed(status, "vip", &["Started"]);
    if site.is_hot() {
        let running = placed(status, "opensips", &["Promoted", "Unpromoted"]).len();
        address.len() == 1
            && placed(status, "opensips", &["Promoted"]) == address
            && running == site.nodes().len()
    } else {
        address.len() == 1 && placed(status, "opensips", &["Started"]) == address
    }
}

/// Looks until nothing is found, at most for that long: processes take a moment to end, and a busy machine to
/// answer all questions.
#[must_use]
pub fn settled(site: &Site, owners: &Owners, patience: Duration) -> Vec<Violation> {
    let begun = Instant::now();
    loop {
        let found = look(site, owners);
        if found.is_empty() || begun.elapsed() > patience {
            return found;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn look(site: &Site, owners: &Owners) -> Vec<Violation> {
    let powered = site.lab.powered_nodes().unwrap_or_default();
    let status = match site.lab.cluster_status() {
        Ok(status) => status,
        Err(error) => return vec![Violation::new(Kind::NotBack, error.to_string())],
    };
    let mut found = address(site, &status, &powered, owners);
    found.extend(powered.iter().flat_map(|node| daemon(site, &status, node)));
    found.extend(powered.iter().flat_map(|node| attributes(site, node)));
    found
}

/// What the agents have published of a node is where the scheduler reads it: the carrier, in a hot standby
/// the promotion score. Without it the node is no choice when the other one fails.
fn attributes(site: &Site, node: &str) -> Vec<Violation> {
    let score: &[&str] = if site.is_hot() { &["master-opensips"] } else { &[] };
    let names = [&["smartvox-link-vip"][..], score].concat();
    let lost = names.into_iter().filter(|name| {
        let query = ["crm_attribute", "--query", "--quiet", "-n", name, "-N", node, "-l", "reboot"];
        site.run(node, &query).is_err()
    });
    lost.map(|name| Violation::new(Kind::Attribute, format!("{name} of {node}"))).collect()
}

/// The nodes on which a resource has this role, as Pacemaker says.
fn placed<'s>(status: &'s ClusterStatus, id: &str, roles: &[&str]) -> BTreeSet<&'s str> {
    let wanted = status.resources.iter().filter(|resource| resource.id == id);
    let wanted = wanted.filter(|resource| roles.contains(&resource.role.as_str()));
    wanted.flat_map(|resource| resource.nodes.iter().map(String::as_str)).collect()
}

/// The address is where Pacemaker says, nowhere else, and answers there.
fn address(
    site: &Site,
    status: &ClusterStatus,
    powered: &[String],
    owners: &Owners,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let said = placed(status, "vip", &["Started"]);
    if said.len() != 1 {
        found.push(Violation::new(Kind::NotBack, format!("vip is started on {said:?}")));
    }
    let has = |node: &&String| {
        let shown = site.run(node, &["ip", "-4", "-o", "addr", "show"]).unwrap_or_default();
        shown.contains(&format!(" {VIP}/"))
    };
    let have: BTreeSet<&str> = powered.iter().filter(has).map(String::as_str).collect();
    if have != said {
        let text = format!("vip is started on {said:?}, the address is on {have:?}");
        found.push(Violation::new(Kind::Untrue, text));
    }
    let answered = owners.lately(LATELY);
    if !answered.iter().map(String::as_str).eq(said.iter().copied()) {
        let text = format!("vip is started on {said:?}, ARP is answered by {answered:?}");
        found.push(Violation::new(Kind::Owners, text));
    }
    found
}

/// OpenSIPS runs where Pacemaker says, once, and nothing of the agents where it does not.
fn daemon(site: &Site, status: &ClusterStatus, node: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let is = |roles: &[&str]| placed(status, "opensips", roles).contains(node);
    let runs = is(&["Started", "Promoted", "Unpromoted"]);
    let processes = site.processes(node);
    // Not those that check a configuration (-C), by an agent or by a person.
    let mut daemons = site.daemon(node);
    daemons.retain(|process| process.arguments.iter().all(|argument| argument != "-C"));
    let is_root = |process: &&Process| !daemons.iter().any(|parent| parent.pid == process.parent);
    let roots = daemons.iter().filter(is_root).count();
    let mut wrong = |kind, text: String| found.push(Violation::new(kind, text));
    if runs && roots != 1 {
        wrong(Kind::Untrue, format!("opensips is started on {node}, with {roots} main processes"));
    } else if !runs && !daemons.is_empty() {
        wrong(
            Kind::Orphan,
            format!("{} processes of OpenSIPS on {node}, where it is stopped", daemons.len()),
        );
    }
    let with = |word: &str| {
        processes.iter().filter(|process| process.arguments.iter().any(|it| it == word)).count()
    };
    let (watchers, announcers) = (with("--async-monitor"), with("--announcer"));
    if watchers > usize::from(runs) {
        wrong(Kind::Orphan, format!("{watchers} asynchronous monitors on {node}, started: {runs}"));
    }
    if announcers > usize::from(placed(status, "vip", &["Started"]).contains(node)) {
        wrong(Kind::Orphan, format!("{announcers} announcers on {node}"));
    }
    if site.is_hot() {
        found.extend(tag(site, node, is(&["Promoted"]), runs));
    }
    found
}

/// Of a hot standby, the sharing tag is active where OpenSIPS is promoted.
fn tag(site: &Site, node: &str, promoted: bool, runs: bool) -> Option<Violation> {
    if !runs {
        return Some(Violation::new(Kind::NotBack, format!("opensips is not started on {node}")));
    }
    match pair::tag_is_active(&site.lab, node) {
        Ok(active) if active == promoted => None,
        Ok(active) => {
            let text = format!("{node}: promoted: {promoted}, sharing tag active: {active}");
            Some(Violation::new(Kind::Untrue, text))
        }
        Err(error) => Some(Violation::new(Kind::NotBack, error)),
    }
}
