//! Plans applied to a simulated kernel: after any sequence of actions and changes by others, the promise
//! of the last action holds, and the addresses of others are unchanged.

use hostnet::{Address, LinkIndex, NewAddress};
use ocf::{Exit, Verdict};
use proptest::prelude::*;

use crate::decide::judge::{self, Observation};
use crate::decide::plan::{self, Deletion, Step};
use crate::decide::target::{Snapshot, needs_routes};
use crate::params::Params;
use crate::testing::fixtures::{address, connected, link, lo, params};

/// A host that treats addresses as Linux does (net/ipv4/devinet.c).
#[derive(Clone, Debug)]
struct Host {
    snapshot: Snapshot,
    promote_secondaries: bool,
}

impl Host {
    fn new() -> Self {
        let own = [
            (2, "192.0.2.1/24"),
            (3, "198.51.100.1/24"),
            (3, "192.0.2.129/25"),
            (2, "2001:db8::1/64"),
            (3, "2001:db8:0:1::1/64"),
        ];
        let mut host = Self {
            snapshot: Snapshot {
                links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
                ..Snapshot::default()
            },
            promote_secondaries: false,
        };
        for (link, text) in own {
            host.insert(address(link, text)).unwrap();
        }
        host
    }

    fn insert(&mut self, mut new: Address) -> Result<(), &'static str> {
        let same_subnet = |other: &Address| {
            other.link == new.link && other.prefix == new.prefix && other.network() == new.network()
        };
        let addresses = &self.snapshot.addresses;
        // IPv6 accepts an address once on a link, whatever its prefix.
        let excludes = |other: &Address| {
            other.ip == new.ip && other.link == new.link && (new.ip.is_ipv6() || same_subnet(other))
        };
        if addresses.iter().any(excludes) {
            return Err("EEXIST");
        }
        new.flags.secondary = new.ip.is_ipv4() && addresses.iter().any(same_subnet);
        self.snapshot.addresses.push(new);
        Ok(())
    }

    fn add(&mut self, new: &NewAddress) {
        let text = format!("{}/{}", new.ip, new.prefix);
        let (label, broadcast) = (new.label.clone(), new.broadcast);
        let (preferred_lft, valid_lft) = (new.preferred_lft, new.valid_lft);
        let address = address(new.link.get(), &text);
        let new = Address { label, broadcast, preferred_lft, valid_lft, ..address };
        self.insert(new).expect("the plan adds what the kernel takes");
    }

    fn set_lifetimes(&mut self, old: &Address, new: &NewAddress) {
        for address in self.snapshot.addresses.iter_mut().filter(|address| *address == old) {
            address.valid_lft = new.valid_lft;
            if address.ip.is_ipv6() {
                address.preferred_lft = new.preferred_lft;
            }
        }
    }

    /// `__inet_del_ifa`: with the primary address it deletes the secondary ones of the subnet, or makes
    /// the first of them the primary one.
    fn remove(&mut self, gone: &Address) {
        let addresses = &mut self.snapshot.addresses;
        let Some(at) = addresses.iter().position(|address| {
            (address.link, address.ip, address.prefix, address.peer)
                == (gone.link, gone.ip, gone.prefix, gone.peer)
        }) else {
            return;
        };
        let gone = addresses.remove(at);
        if gone.flags.secondary {
            return;
        }
        let in_subnet = |other: &Address| {
            other.link == gone.link
                && other.flags.secondary
                && other.prefix == gone.prefix
                && other.network() == gone.network()
        };
        if self.promote_secondaries {
            if let Some(next) = addresses.iter_mut().find(|other| in_subnet(other)) {
                next.flags.secondary = false;
            }
        } else {
            addresses.retain(|other| !in_subnet(other));
        }
    }

    fn delete(&mut self, deletion: &Deletion) {
        let before = self.promote_secondaries;
        self.promote_secondaries |= deletion.keep_siblings;
        self.remove(&deletion.address);
        self.promote_secondaries = before;
    }

    fn set_link(&mut self, index: LinkIndex, up: bool) {
        for link in self.snapshot.links.iter_mut().filter(|link| link.index == index) {
            (link.admin_up, link.carrier) = (up, up);
        }
    }

    /// What start reads: the routes of links that are up, one for each connected network.
    fn seen(&self, params: &Params) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        if needs_routes(params) {
            snapshot.routes = snapshot
                .addresses
                .iter()
                .filter(|address| !address.flags.secondary)
                .filter(|address| snapshot.link(address.link).is_some_and(|link| link.admin_up))
                .map(|address| {
                    let source = address.ip.to_string();
                    let source = address.ip.is_ipv4().then_some(source.as_str());
                    connected(address.link.get(), &address.network().to_string(), source)
                })
                .collect();
        }
        snapshot
    }

    fn start(&mut self, params: &Params) -> Option<()> {
        let plan = plan::start(params, &self.seen(params)).ok()?;
        for step in &plan.steps {
            match step {
                Step::BringUp => self.set_link(plan.target.link.index, true),
                Step::AwaitCarrier { .. }
                | Step::CheckDuplicates
                | Step::AwaitDuplicateDetection
                | Step::AddSourceRouting
                | Step::Announce => {}
                Step::Add => self.add(&plan.target.address),
                Step::SetLifetimes(old) => self.set_lifetimes(old, &plan.target.address),
                Step::AddAgain(old) => {
                    self.delete(&Deletion { address: old.clone(), keep_siblings: true });
                    self.add(&plan.target.address);
                }
                Step::Delete(deletion) => self.delete(deletion),
            }
        }
        Some(())
    }

    fn stop(&mut self, params: &Params) {
        for deletion in plan::stop(params.ip, &self.snapshot.addresses) {
            self.delete(&deletion);
        }
    }

    fn monitor(&self, params: &Params) -> Verdict {
        let instances = judge::instances(params, &self.snapshot.addresses);
        let link = self.seen(params).expected_link(params, &instances).cloned();
        Observation { instances, link, ..Observation::default() }.judge(params)
    }

    /// The addresses of others, sorted.
    fn foreign(&self, params: &Params) -> Vec<String> {
        let addresses = self.snapshot.addresses.iter().filter(|address| address.ip != params.ip);
        let mut shown: Vec<_> = addresses
            .map(|address| format!("{} {}/{}", address.link, address.ip, address.prefix))
            .collect();
        shown.sort();
        shown
    }
}

#[derive(Clone, Debug)]
enum Event {
    Start(Box<Params>),
    Stop,
    Added(Address),
    Removed(usize),
    Link(u32, bool),
    PromoteSecondaries(bool),
}

/// The VIP of the events.
#[derive(Clone, Copy, Debug)]
enum Vip {
    V4,
    V6,
}

impl Vip {
    fn text(self) -> &'static str {
        match self {
            Self::V4 => "192.0.2.10",
            // Not in the spelling of the kernel.
            Self::V6 => "2001:DB8:0::0010",
        }
    }

    fn params(self, given: &[(&str, &str)]) -> Params {
        params(&[given, &[("ip", self.text())]].concat())
    }
}

fn any_params(vip: Vip) -> impl Strategy<Value = Params> {
    let nic = prop_oneof![
        Just(""),
        Just("eth0"),
        Just("eth1"),
        Just("lo"),
        Just("eth9"),
        Just("02:00:00:00:00:03"),
        Just("198.51.100.0/24")
    ];
    let mask = match vip {
        Vip::V4 => prop_oneof![Just(""), Just("24"), Just("25"), Just("32")],
        Vip::V6 => prop_oneof![Just(""), Just("64"), Just("120"), Just("128")],
    };
    let check = prop_oneof![Just("yes"), Just("degraded"), Just("no")];
    (nic, mask, check).prop_map(move |(nic, mask, check)| {
        vip.params(&[("nic", nic), ("cidr_netmask", mask), ("check_link_status", check)])
    })
}

fn any_address(vip: Vip) -> BoxedStrategy<Address> {
    match vip {
        Vip::V4 => any_ipv4_address().boxed(),
        Vip::V6 => any_ipv6_address().boxed(),
    }
}

fn any_ipv6_address() -> impl Strategy<Value = Address> {
    let ip = prop_oneof![3 => Just("2001:db8::10"), 1 => Just("2001:db8::11")];
    (ip, 1u32..=3, prop_oneof![Just(64), Just(120), Just(128)], prop::bool::weighted(0.2)).prop_map(
        |(ip, link, prefix, dadfailed)| {
            let mut address = address(link, &format!("{ip}/{prefix}"));
            (address.flags.dadfailed, address.flags.tentative) = (dadfailed, dadfailed);
            address
        },
    )
}

fn any_ipv4_address() -> impl Strategy<Value = Address> {
    let ip =
        prop_oneof![3 => Just("192.0.2.10"), 1 => Just("192.0.2.11"), 1 => Just("192.0.2.200")];
    let peer =
        prop_oneof![4 => Just(None), 1 => Just(Some("192.0.2.99")), 1 => Just(Some("203.0.113.1"))];
    (ip, 1u32..=3, prop_oneof![Just(24), Just(25), Just(32)], peer).prop_map(
        |(ip, link, mask, peer)| {
            let peer = peer.and_then(|peer| peer.parse().ok());
            Address { peer, ..address(link, &format!("{ip}/{mask}")) }
        },
    )
}

fn any_event(vip: Vip) -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any_params(vip).prop_map(|params| Event::Start(Box::new(params))),
        2 => Just(Event::Stop),
        4 => any_address(vip).prop_map(Event::Added),
        2 => (0usize..8).prop_map(Event::Removed),
        1 => (2u32..=3, any::<bool>()).prop_map(|(link, up)| Event::Link(link, up)),
        1 => any::<bool>().prop_map(Event::PromoteSecondaries),
    ]
}

fn any_events() -> impl Strategy<Value = (Vip, Vec<Event>)> {
    prop_oneof![Just(Vip::V4), Just(Vip::V6)]
        .prop_flat_map(|vip| (Just(vip), prop::collection::vec(any_event(vip), 1..20)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn the_last_action_keeps_its_promise((vip, events) in any_events()) {
        let mut host = Host::new();
        let any = vip.params(&[]);
        for event in events {
            let before = host.clone();
            match event {
                Event::Start(params) => {
                    if host.start(&params).is_some() {
                        let verdict = host.monitor(&params);
                        prop_assert_eq!(verdict.exit, Exit::Success, "{:?}", verdict.reason);
                        let instances = judge::instances(&params, &host.snapshot.addresses);
                        prop_assert_eq!(instances.len(), 1);
                        // A second start changes nothing.
                        let once = host.snapshot.clone();
                        prop_assert!(host.start(&params).is_some());
                        prop_assert_eq!(&host.snapshot, &once);
                    } else {
                        prop_assert_eq!(&host.snapshot, &before.snapshot);
                    }
                    prop_assert_eq!(host.foreign(&any), before.foreign(&any));
                }
                Event::Stop => {
                    host.stop(&any);
                    prop_assert_eq!(host.monitor(&any).exit, Exit::NotRunning);
                    prop_assert_eq!(host.foreign(&any), before.foreign(&any));
                    prop_assert_eq!(host.promote_secondaries, before.promote_secondaries);
                }
                Event::Added(address) => {
                    // EEXIST is an answer to others.
                    let _ = host.insert(address);
                }
                Event::Removed(at) => {
                    if let Some(address) = host.snapshot.addresses.get(at).cloned() {
                        host.remove(&address);
                    }
                }
                Event::Link(index, up) => host.set_link(LinkIndex::new(index).unwrap(), up),
                Event::PromoteSecondaries(on) => host.promote_secondaries = on,
            }
        }
    }
}
