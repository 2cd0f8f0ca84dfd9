//! Cables, switches and loss on either network.

use std::time::Duration;

use lab::Network;

use super::fault::{Allowed, Case, Circumstances, Fault, NONE, Role, between};

/// A cable of the public network: the other node, and back from a carrier. Both are promised within 5 s;
/// one that comes back in the middle of a move costs that twice.
const CABLE: Duration = Duration::from_secs(7);

/// What the examples' question for the gateway takes until it counts: an interval of 5 s, three attempts of
/// 2 s, `dampen` of 10 s, and the move.
const GATEWAY: Duration = Duration::from_secs(28);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "cable",
        what: "cable of the public network out of",
        why: "serving node: 7 s: both to the other node and back from a carrier are promised within 5 s",
        lasts: between(500, 20_000),
        strike: |case| plug(case, Network::Public, false),
        mend: |case| plug(case, Network::Public, true),
        least: Duration::from_secs(8),
        allowed: |it| Allowed::silent(it.if_serving(CABLE)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "cable-all",
        what: "cable of the public network out of",
        why: "as long as it lasts, and 7 s",
        roles: &[Role::All],
        lasts: between(500, 20_000),
        strike: |case| plug(case, Network::Public, false),
        mend: |case| plug(case, Network::Public, true),
        least: Duration::from_secs(8),
        allowed: |it| Allowed::silent(it.lasts + CABLE),
        ..Fault::DEFAULT
    },
    Fault {
        name: "cable-flaps",
        what: "cable of the public network out and in, again and again, of",
        why: "serving node: as long as it lasts, and 7 s",
        lasts: between(3_000, 12_000),
        strike: |case| flap(case, Network::Public),
        meanwhile: |case| flap(case, Network::Public),
        mend: |case| plug(case, Network::Public, true),
        least: Duration::from_secs(8),
        allowed: |it| Allowed::silent(it.if_serving(it.lasts + CABLE)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "port",
        what: "the switch of the public network forwards nothing (the carrier stays) for",
        why: "serving node: as long as it lasts and 3 s, at most 28 s: what the example's question for the gateway takes until it counts (interval 5 s, three attempts of 2 s, dampen 10 s), and the move",
        lasts: between(1_000, 40_000),
        strike: |case| part(case, Network::Public),
        mend: heal,
        least: Duration::from_secs(20),
        allowed: |it| {
            Allowed::silent(it.if_serving((it.lasts + Duration::from_millis(3_000)).min(GATEWAY)))
        },
        ..Fault::DEFAULT
    },
    Fault {
        name: "lan-cable",
        what: "cable of the cluster network out of",
        why: "shorter than the token less 1 s: none. Longer: failover. With two nodes it is node2 that is fenced, also where it serves: the example delays the fencing of node1. Two failovers if the cable is back in the moment before the shot",
        lasts: between(500, 12_000),
        strike: |case| plug(case, Network::Lan, false),
        mend: |case| plug(case, Network::Lan, true),
        least: Duration::from_secs(12),
        allowed: parted,
        ..Fault::DEFAULT
    },
    Fault {
        name: "lan-split",
        what: "the nodes lose sight of each other, both keep the public network; parted:",
        why: "as lan-cable",
        lasts: between(500, 12_000),
        strike: |case| part(case, Network::Lan),
        mend: heal,
        least: Duration::from_secs(12),
        allowed: parted,
        ..Fault::DEFAULT
    },
    Fault {
        name: "cables",
        what: "both cables out of",
        why: "serving node: 7 s while it is shorter than the token less 1 s. Longer: failover, and the node without a network is the one that is fenced, for the second opinion asks the gateway. In the moment before the shot either may be, and it may take two failovers",
        lasts: between(500, 20_000),
        strike: |case| BOTH.iter().try_for_each(|network| plug(case, *network, false)),
        mend: |case| BOTH.iter().try_for_each(|network| plug(case, *network, true)),
        least: Duration::from_secs(12),
        allowed: cut_off,
        ..Fault::DEFAULT
    },
    Fault {
        name: "split",
        what: "both switches forward nothing (the carriers stay) for",
        why: "as cables; shorter than the token less 1 s: as long as it lasts, and 3 s",
        lasts: between(500, 20_000),
        strike: |case| BOTH.iter().try_for_each(|network| part(case, *network)),
        mend: heal,
        least: Duration::from_secs(12),
        allowed: cut_off,
        ..Fault::DEFAULT
    },
    Fault {
        name: "lan-flaps",
        what: "cable of the cluster network out and in, again and again, of",
        why: "as long as it lasts, and a failover: a token may be lost by chance",
        lasts: between(3_000, 10_000),
        strike: |case| flap(case, Network::Lan),
        meanwhile: |case| flap(case, Network::Lan),
        mend: |case| plug(case, Network::Lan, true),
        least: Duration::from_secs(12),
        // A token is lost by chance.
        allowed: |it| Allowed::silent(it.lasts + it.failover()).fenced(),
        ..Fault::DEFAULT
    },
    Fault {
        name: "loss",
        what: "packets of the public network are lost by chance on",
        why: "serving node: as long as it lasts, and 7 s",
        lasts: between(3_000, 15_000),
        strike: |case| lose(case, Network::Public),
        mend: |case| lose_none(case, Network::Public),
        // What callers get meanwhile is chance; that it ends well is not.
        allowed: |it| Allowed::silent(it.if_serving(it.lasts + CABLE)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "lan-loss",
        what: "packets of the cluster network are lost by chance on",
        why: "as lan-flaps",
        lasts: between(3_000, 15_000),
        strike: |case| lose(case, Network::Lan),
        mend: |case| lose_none(case, Network::Lan),
        least: Duration::from_secs(12),
        // Corosync sends a token again four times before it counts as lost.
        allowed: |it| Allowed::silent(it.lasts + it.failover()).fenced(),
        ..Fault::DEFAULT
    },
];

/// Whoever is fenced: with the delay of the example it is node2, which may be the one that serves.
fn parted(it: &Circumstances) -> Allowed {
    if it.outlasts_token() {
        Allowed::silent(it.loss_of_contact()).fenced().unless_fenced(it.failover())
    } else {
        Allowed::silent(NONE)
    }
}

/// A node that neither the others nor the gateway hear.
fn cut_off(it: &Circumstances) -> Allowed {
    if it.heard_before_the_shot() {
        // Each has lost the other, and now both may shoot.
        Allowed::silent(it.loss_of_contact()).fenced().unless_fenced(it.if_serving(it.failover()))
    } else if it.outlasts_token() {
        Allowed::silent(it.if_serving(it.failover())).fenced()
    } else {
        Allowed::silent(it.if_serving(CABLE))
    }
}

/// The cluster's first, so that no message tells of the other.
const BOTH: [Network; 2] = [Network::Lan, Network::Public];

fn plug(case: &Case<'_>, network: Network, there: bool) -> Result<(), String> {
    let lab = &case.site.lab;
    case.victims.iter().try_for_each(|node| {
        let done = if there { lab.plug(node, network) } else { lab.unplug(node, network) };
        done.map_err(|error| error.to_string())
    })
}

/// Out, and after a moment in again.
fn flap(case: &Case<'_>, network: Network) -> Result<(), String> {
    let pause =
        || case.dice.borrow_mut().time(Duration::from_millis(100), Duration::from_millis(1_200));
    let (out, in_again) = (pause(), pause());
    plug(case, network, false)?;
    std::thread::sleep(out);
    plug(case, network, true)?;
    std::thread::sleep(in_again);
    Ok(())
}

fn part(case: &Case<'_>, network: Network) -> Result<(), String> {
    case.site.lab.partition(&case.victims, network).map_err(|error| error.to_string())
}

fn heal(case: &Case<'_>) -> Result<(), String> {
    case.site.lab.heal().map_err(|error| error.to_string())
}

/// Random loss without netem, which many kernels for virtual machines leave out: a classic BPF program
/// as the classifier (tc-bpf(8), `direct-action`). It loads the kernel's random number (SKF_AD_OFF +
/// SKF_AD_RANDOM, linux/filter.h), and returns TC_ACT_SHOT for a part of the range, else TC_ACT_UNSPEC.
fn lose(case: &Case<'_>, network: Network) -> Result<(), String> {
    let percent = case.dice.borrow_mut().number(10, 40);
    let limit = u64::from(u32::MAX) / 100 * (100 - percent);
    let program = format!("4,32 0 0 4294963256,37 0 1 {limit},6 0 0 2,6 0 0 4294967295,");
    let nic = network.interface();
    case.on_victims(&format!(
        "tc qdisc add dev {nic} clsact; \
         for way in ingress egress; do \
             tc filter add dev {nic} $way bpf da bytecode '{program}'; \
         done"
    ))
}

/// A node that was fenced meanwhile has lost it with its interface.
fn lose_none(case: &Case<'_>, network: Network) -> Result<(), String> {
    case.on_victims(&format!("tc qdisc del dev {} clsact 2>/dev/null || true", network.interface()))
}
