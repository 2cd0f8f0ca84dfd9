//! The hosts of a lab: power and cables.

use std::{collections::BTreeMap, process::Child, thread};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result, at},
    network::{self, Cable, HostNumber, Network},
    processes::PidNamespaces,
    state::{END_DEADLINE, Process},
};

/// Name of the neighbour and router.
pub(crate) const CLIENT: &str = "client";

/// A node or the client.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) number: HostNumber,
    pub(crate) cables: Vec<Cable>,
    pub(crate) power: Power,
}

/// Whether a host runs.
#[derive(Debug)]
pub(crate) enum Power {
    Off,
    On { child: Child, process: Process, booted: bool },
}

/// The hosts. The rack keeps them behind one lock: there is one hand on the power switch at a time.
#[derive(Debug)]
pub(crate) struct Hosts(BTreeMap<String, Host>);

impl Hosts {
    /// The client and the nodes, all off.
    pub(crate) fn new(nodes: impl Iterator<Item = String>) -> Self {
        let host = |number, networks: &[Network]| Host {
            number,
            cables: networks.iter().copied().map(Cable::new).collect(),
            power: Power::Off,
        };
        let mut hosts: BTreeMap<_, _> = nodes
            .zip(1..)
            .map(|(name, number)| (name, host(HostNumber::node(number), &Network::ALL)))
            .collect();
        hosts.insert(CLIENT.to_owned(), host(HostNumber::CLIENT, &[Network::Public]));
        Self(hosts)
    }

    /// A power cut: the links go down, then every process is killed at once; returns when all are
    /// dead. A host that is off stays off.
    pub(crate) fn cut(&mut self, name: &str) -> Result<()> {
        let host = self.get(name)?;
        let Power::On { mut child, process, booted } =
            std::mem::replace(&mut host.power, Power::Off)
        else {
            return Ok(());
        };
        let namespaces = PidNamespaces::of_tree(process.pid);
        let darkened = network::darken(name, &host.cables);
        if let Err(error) = child.kill() {
            host.power = Power::On { child, process, booted };
            return Err(at(format!("first process of {name}"))(error));
        }
        namespaces.wait_until_empty(END_DEADLINE)?;
        // Reaped when everyone else has reaped theirs: nobody waits for that.
        thread::spawn(move || child.wait());
        network::detach(name, &host.cables);
        darkened
    }

    /// Puts a cable as `change` says, also of a host that is off.
    pub(crate) fn rewire(
        &mut self,
        name: &str,
        network: Network,
        change: impl FnOnce(&mut Cable),
    ) -> Result<()> {
        let host = self.get(name)?;
        let on = host.process().is_some();
        let cable = host
            .cables
            .iter_mut()
            .find(|cable| cable.network == network)
            .ok_or_else(|| Error::NoCable { host: name.to_owned(), network: network.name() })?;
        let before = *cable;
        change(cable);
        if on && *cable != before { network::apply(name, *cable) } else { Ok(()) }
    }

    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Host> {
        let known = self.names().collect::<Vec<_>>().join(", ");
        self.0.get_mut(name).ok_or(Error::NoSuchHost { host: name.to_owned(), known })
    }

    /// Kills every process of every host, and waits for none.
    pub(crate) fn kill_all(&mut self) {
        for host in self.0.values_mut() {
            if let Power::On { child, .. } = &mut host.power {
                let _ = child.kill();
            }
        }
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether the host has power.
    pub(crate) fn is_on(&mut self, name: &str) -> Result<bool> {
        Ok(self.get(name)?.process().is_some())
    }

    /// The hosts with their power, first process and cables, for `lab status`.
    pub(crate) fn describe(&mut self) -> Value {
        let hosts = self.0.iter_mut().map(|(name, host)| {
            let process = host.process().map(Process::to_json);
            let power = match host.power {
                Power::On { booted: true, .. } => "on",
                Power::On { booted: false, .. } => "booting",
                Power::Off => "off",
            };
            let cables = host.cables.iter().map(|cable| {
                let network = cable.network;
                json!({
                    "interface": network.interface(),
                    "network": network.name(),
                    "ipv4": network.ipv4(host.number).to_string(),
                    "ipv6": network.ipv6(host.number).to_string(),
                    "mac": network.mac(host.number),
                    "plugged": cable.plugged,
                    "split": cable.split,
                })
            });
            let cables: Vec<_> = cables.collect();
            json!({"name": name, "power": power, "process": process, "cables": cables})
        });
        hosts.collect()
    }
}

impl Host {
    /// Its first process, while it has power. One that ended by itself counts as switched off.
    pub(crate) fn process(&mut self) -> Option<Process> {
        let Power::On { child, process, .. } = &mut self.power else {
            return None;
        };
        if matches!(child.try_wait(), Ok(None)) {
            return Some(*process);
        }
        self.power = Power::Off;
        None
    }
}
