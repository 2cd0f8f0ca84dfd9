//! The cluster's configuration for each contender: the README's quick start and the examples as they
//! stand for ours; for IPaddr2 the same text with only the two agents exchanged, so that both have
//! the same defaults, constraints, intervals and time-outs.

use lab::Lab;

use super::setup::{Configuration, Contender, Setup};
use crate::document::{self, Marker};
use crate::scenario::{Example, Fencing, repository, run};

/// The agent that stands for `systemd:opensips`, as it appears in a node.
pub const SERVICE: &str = "/usr/lib/ocf/resource.d/substitute/opensips-service";

/// Where that agent is in the repository.
pub const SERVICE_SOURCE: &str = "tests/suites/src/continuity/opensips-service";

/// The lab's power switch needs milliseconds, not the seconds of a service processor.
const FENCE_DELAY: &str = "1s";

impl Configuration {
    /// The example whose configuration of OpenSIPS the nodes have.
    #[must_use]
    pub fn example(self) -> Example {
        match self {
            Self::HotStandby => Example::HotStandby,
            Self::ThreeNodes => Example::ThreeNodes,
            _ => Example::ActiveStandby,
        }
    }
}

/// Configures the cluster of a lab.
///
/// # Errors
/// What the commands printed, where one failed.
pub fn configure(lab: &Lab, setup: Setup, contender: Contender) -> Result<(), String> {
    let text = match setup.configuration {
        Configuration::QuickStart => quick_start(setup.fencing, true)?,
        Configuration::DefaultOperations => quick_start(setup.fencing, false)?,
        Configuration::ActiveStandby | Configuration::HotStandby | Configuration::ThreeNodes => {
            example(setup.configuration.example())?
        }
    };
    let text = match contender {
        Contender::Ours => text,
        Contender::Peer => exchanged(&text)?,
    };
    let delay = format!("FENCE_DELAY={FENCE_DELAY}");
    let command: &[&str] = match setup.fencing {
        Fencing::On => &["env", "FENCE_AGENT=fence_lab", &delay, "sh", "-euc", &text],
        Fencing::Off => &["sh", "-euc", &text],
    };
    run(lab, "node1", command).map(drop)
}

/// The text of an example.
fn example(example: Example) -> Result<String, String> {
    let path = repository().join(format!("pcs-examples/{}.sh", example.name()));
    std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The commands of the README's quick start, and fencing as its text asks for; on request without the
/// operations that it gives.
fn quick_start(fencing: Fencing, operations: bool) -> Result<String, String> {
    let new_cluster = |marker: &Option<Marker>| matches!(marker, Some(Marker::Run { place, .. }) if place == "new cluster");
    let block = document::blocks(&repository().join("README.md"))?
        .into_iter()
        .find(|block| new_cluster(&block.marker))
        .ok_or("README.md has no commands for a new cluster")?;
    let mut lines = match fencing {
        Fencing::Off => vec!["pcs property set stonith-enabled=false".to_owned()],
        Fencing::On => vec![
            format!(
                "pcs stonith create fence-node1 fence_lab pcmk_host_list=node1 \
                 pcmk_delay_base={FENCE_DELAY}"
            ),
            "pcs stonith create fence-node2 fence_lab pcmk_host_list=node2".to_owned(),
            "pcs property set stonith-enabled=true".to_owned(),
        ],
    };
    for command in block.commands() {
        let words: Vec<&str> = command.line.split_whitespace().collect();
        if words.first() != Some(&"pcs") {
            continue;
        }
        let (given, clauses) = split(&words);
        let options = words.iter().copied().filter(|word| word.starts_with("--"));
        lines.push(match (operations, clauses.is_empty()) {
            (false, false) => given.into_iter().chain(options).collect::<Vec<_>>().join(" "),
            _ => command.line,
        });
    }
    Ok(lines.join("\n"))
}

/// A `pcs resource create`: the words before its first `op`, and the clauses that begin with one.
fn split<'w>(words: &[&'w str]) -> (Vec<&'w str>, Vec<Vec<&'w str>>) {
    let mut given = Vec::new();
    let mut clauses: Vec<Vec<&str>> = Vec::new();
    for word in words {
        match clauses.last_mut() {
            _ if *word == "op" => clauses.push(Vec::new()),
            Some(clause) => clause.push(word),
            None => given.push(*word),
        }
    }
    (given, clauses)
}

/// The same configuration with IPaddr2 and OpenSIPS as a service.
fn exchanged(text: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut exchanged = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut statement = line.to_owned();
        while !line.trim_start().starts_with('#') && statement.ends_with('\\') {
            statement.pop();
            statement.push_str(lines.next().unwrap_or_default());
        }
        let words: Vec<&str> = statement.split_whitespace().collect();
        if words.contains(&"ocf:smartvox:opensips-vip") {
            statement = address(&words);
            exchanged += 1;
        } else if words.contains(&"ocf:smartvox:opensips") {
            statement = service(&words);
            exchanged += 1;
        } else if words.iter().any(|word| word.starts_with("role=Promoted")) {
            // The gateway's rule: where nothing is promoted, it is the address that it attracts.
            statement = statement.replace("location opensips-clone", "location vip");
            statement = statement.replace("role=Promoted ", "");
        } else if words.contains(&"constraint") {
            statement = statement.replace("Promoted opensips-clone", "opensips-clone");
        }
        result.push_str(&statement);
        result.push('\n');
    }
    match exchanged {
        2 => Ok(result),
        _ => Err(format!("{exchanged} resources of ours in a configuration, not 2\n{text}")),
    }
}

/// The address by IPaddr2: it has the same names for what it knows of our parameters.
fn address(words: &[&str]) -> String {
    let (given, clauses) = split(words);
    let known = |word: &&str| {
        !word.contains('=')
            || ["ip=", "cidr_netmask=", "nic=", "${NIC"].iter().any(|name| word.starts_with(name))
    };
    let given: Vec<_> = given.into_iter().filter(known).collect();
    let given = given.join(" ").replace("ocf:smartvox:opensips-vip", "ocf:heartbeat:IPaddr2");
    with_operations(given, &clauses)
}

/// OpenSIPS as a service; where ours is promotable, it runs on every node.
fn service(words: &[&str]) -> String {
    let (given, clauses) = split(words);
    let given: Vec<_> = given.into_iter().filter(|word| !word.contains('=')).collect();
    let promotable = words.contains(&"promotable");
    let given = given.join(" ").replace("ocf:smartvox:opensips", "ocf:substitute:opensips-service");
    let given = if promotable { format!("{given} nonlocal_bind=yes") } else { given };
    let plain = |clause: &Vec<&str>| {
        !matches!(clause.first(), Some(&"promote" | &"demote"))
            && !clause.contains(&"role=Promoted")
    };
    let clauses: Vec<_> = clauses.into_iter().filter(plain).collect();
    let text = with_operations(given, &clauses).replace("promotable", "");
    if promotable { format!("{text} clone") } else { text }
}

fn with_operations(given: String, clauses: &[Vec<&str>]) -> String {
    clauses.iter().fold(given, |text, clause| {
        let words = clause.iter().filter(|word| !word.starts_with("OCF_CHECK_LEVEL"));
        let words: Vec<&str> = words.copied().collect();
        format!("{text} op {}", words.join(" "))
    })
}

/// Whether failures are forgotten by themselves in this cluster.
///
/// # Errors
/// As [`run`].
pub fn failures_expire(lab: &Lab, node: &str) -> Result<bool, String> {
    Ok(run(lab, node, &["cibadmin", "--query"])?.contains("\"failure-timeout\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_has_the_examples_with_two_agents_exchanged() {
        for which in [Example::ActiveStandby, Example::HotStandby] {
            let text = exchanged(&example(which).unwrap()).unwrap();
            let command = |id: &str| {
                let start = format!("cib resource create {id} ");
                text.lines().find(|line| line.starts_with(&start)).unwrap().to_owned()
            };
            let vip = command("vip");
            assert!(vip.contains("ocf:heartbeat:IPaddr2 ip=\"$VIP\" cidr_netmask="), "{vip}");
            assert!(vip.contains("op monitor interval=") && !vip.contains("duplicate"), "{vip}");
            let service = command("opensips");
            assert!(service.contains("ocf:substitute:opensips-service"), "{service}");
            assert!(!service.contains("config=") && !service.contains("promot"), "{service}");
            assert_eq!(service.ends_with(" clone"), which == Example::HotStandby, "{service}");
            let commands = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            assert!(!commands.into_iter().any(|line| line.contains("Promoted")), "{text}");
        }
    }

    #[test]
    fn the_quick_start_is_the_readme_s() {
        let text = quick_start(Fencing::Off, true).unwrap();
        assert!(text.contains("op monitor interval="), "{text}");
        let bare = quick_start(Fencing::On, false).unwrap();
        assert!(!bare.contains("op monitor") && bare.contains("--disabled"), "{bare}");
        let peer = exchanged(&bare).unwrap();
        assert!(peer.contains("ocf:heartbeat:IPaddr2 ip=192.0.2.10 nic=eth0"), "{peer}");
        assert!(peer.contains("ocf:substitute:opensips-service --disabled"), "{peer}");
    }
}
