//! diagnose: all that is known about the VIP on this host, for people. Changes nothing.

use deadline::Deadline;
use hostnet::{Address, Link, Netlink, Result};
use hostproc::{PidFd, ProcFs};
use ocf::{Diagnosis, Exit, Request, Value, Verdict};

use super::budgets;
use crate::decide::names::LinkNames;
use crate::decide::target::Snapshot;
use crate::decide::{judge, plan, routing, target};
use crate::host::run_files::RunFiles;
use crate::host::zone::Zone;
use crate::host::{managers, namespace, source_routing, tables};
use crate::params::Params;
use crate::wire::conflict_probe::{Conflicts, ProbeResult, Prober};
use crate::wire::own_links::OwnLinks;
use crate::wire::{announcer, open_socket};

pub(crate) fn diagnose(request: &Request) -> Diagnosis {
    let params = match Params::read(&request.values) {
        Ok(params) => params,
        Err(findings) => {
            let findings: Vec<_> =
                findings.iter().map(|finding| finding.sentence.clone()).collect();
            return Diagnosis::default().with("findings", findings);
        }
    };
    let namespace = params.namespace.as_ref().map(ToString::to_string);
    let diagnosis = Diagnosis::default()
        .with("vip", params.ip.to_string())
        .with("network_namespace", namespace);
    let netlink = namespace::enter_where_started(params.namespace.as_ref(), params.ip)
        .and_then(|()| Netlink::open());
    let until = budgets::for_tables(request.deadline);
    let looked = netlink.and_then(|netlink| {
        let snapshot = tables::snapshot(&netlink, &params, until)?;
        Ok((netlink, snapshot))
    });
    match looked {
        Ok((netlink, snapshot)) => on_host(diagnosis, &params, &netlink, &snapshot, until),
        Err(error) => diagnosis.with("host", unknown(&error)),
    }
}

fn on_host(
    diagnosis: Diagnosis,
    params: &Params,
    netlink: &Netlink,
    snapshot: &Snapshot,
    until: Deadline,
) -> Diagnosis {
    let instances = judge::instances(params, &snapshot.addresses);
    let expected = match snapshot.expected_link(params, &instances) {
        Some(link) => Ok(link.clone()),
        None => target::choose(params, snapshot).map(|target| target.link),
    };
    let zone = Zone::of(netlink, params.ip, params.nic.as_ref(), until).unwrap_or(Zone::Global);
    let files = RunFiles::of(params.ip, zone.link());
    let announced = files
        .last_announcement()
        .map(|age| Value::Number(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    let names = LinkNames::of(&snapshot.links);
    let judged = judged(params, netlink, until);
    let other = expected.as_ref().map_or(Value::None, |link| other_owner(params, link, snapshot));
    let verdict =
        judged.as_ref().map_or_else(unknown, |(verdict, _)| sentence(verdict, &other).into());
    let monitor = judged.map_or_else(
        |error| unknown(&error),
        |(verdict, fault)| Diagnosis::from(&verdict).with("missing", fault).into(),
    );
    diagnosis
        .with("monitor", monitor)
        .with("addresses", instances.iter().map(|it| address(it, &names)).collect::<Vec<_>>())
        .with(
            "interface",
            match &expected {
                Ok(link) => Value::from(interface(link, snapshot)),
                Err(refusal) => Value::Unknown(refusal.to_string()),
            },
        )
        .with("source_routing", routes(params, netlink, &names, until))
        .with("announcer", announcer_process(&files))
        .with("last_announcement_s_ago", announced)
        .with("other_owner", other)
        .with(
            "managed_by_others",
            expected.map_or(Vec::new(), |link| {
                managers::of(&link, params.ip, params.namespace.is_some())
            }),
        )
        .with("verdict", verdict)
}

/// The verdict of monitor, and what is missing of source routing.
fn judged(
    params: &Params,
    netlink: &Netlink,
    until: Deadline,
) -> Result<(Verdict, Option<String>)> {
    let observation = tables::observe(netlink, params, until)?;
    let fault = source_routing::fault(netlink, params, &observation, until)?;
    Ok((observation.judge(params), fault))
}

/// The verdict in words, for people. monitor asks for another owner every few seconds only, so that is added here.
fn sentence(verdict: &Verdict, other: &Value) -> String {
    let reason = verdict.reason.as_deref().unwrap_or("no reason given");
    let other = if let Value::Text(mac) = other { Some(mac) } else { None };
    let judged = match (verdict.exit, other) {
        (Exit::Success, None) => "the address is on this node".to_owned(),
        (Exit::Success, Some(mac)) => {
            format!("the address is on this node, but {mac} answers for it as well")
        }
        (Exit::NotRunning, None) => "the address is not on this node".to_owned(),
        (Exit::NotRunning, Some(mac)) => format!("the address is not on this node: {mac} has it"),
        (Exit::Degraded, _) => format!("the address is on this node, but: {reason}"),
        _ => format!("it does not serve: {reason}"),
    };
    format!("{judged} (monitor: {} {})", verdict.exit.code(), verdict.exit.name())
}

fn address(address: &Address, names: &LinkNames) -> Value {
    let flags = address.flags;
    let flags = [
        ("secondary", flags.secondary),
        ("tentative", flags.tentative),
        ("dadfailed", flags.dadfailed),
        ("optimistic", flags.optimistic),
        ("deprecated", flags.deprecated),
        ("nodad", flags.nodad),
        ("noprefixroute", flags.noprefixroute),
    ];
    let flags: Vec<&str> = flags.into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
    let parts = Diagnosis::default()
        .with("ip", address.ip.to_string())
        .with("prefix_length", i64::from(address.prefix.length()))
        .with("interface", names.link(address.link));
    Diagnosis::default()
        .with("address", Value::told(names.address(address), parts))
        .with("label", address.label.clone())
        .with("flags", flags)
        .into()
}

fn interface(link: &Link, snapshot: &Snapshot) -> Diagnosis {
    let below = match hostnet::condition(link, &snapshot.links) {
        hostnet::LinkCondition::Usable => Vec::new(),
        hostnet::LinkCondition::Degraded(down) | hostnet::LinkCondition::Unusable(down) => down,
    };
    Diagnosis::default()
        .with("name", link.name.as_str())
        .with("altnames", link.altnames.clone())
        .with("mac", link.mac.map(|mac| mac.to_string()))
        .with("kind", link.kind.clone())
        .with("up", link.admin_up)
        .with("carrier", link.carrier)
        .with("state", link.operstate.to_string())
        .with("down", below.iter().map(hostnet::LinkName::as_str).collect::<Vec<_>>())
}

fn routes(params: &Params, netlink: &Netlink, names: &LinkNames, until: Deadline) -> Value {
    match source_routing::tables(netlink, params.family(), true, until) {
        Ok(tables) => {
            let rules = routing::own_rules(params.ip, &tables).map(ToString::to_string);
            let routes = routing::own_routes(params.ip, &params.source_for, &tables);
            let routes = routes.map(|record| names.route(record.route()));
            Value::from(rules.chain(routes).collect::<Vec<_>>())
        }
        Err(error) => unknown(&error),
    }
}

fn announcer_process(files: &RunFiles) -> Value {
    let lock = files.announcer_lock();
    if !lock.exists() {
        return Value::None;
    }
    let holder = announcer::holder(&lock).and_then(|holder| match holder {
        Some(process) => Ok(PidFd::open(&ProcFs::default(), &process)?.map(|_| process)),
        None => Ok(None),
    });
    match holder {
        Ok(Some(process)) => {
            let pid = process.pid;
            Value::told(format!("process {pid}"), i64::from(pid.get()))
        }
        Ok(None) => Value::None,
        Err(error) => unknown(&error),
    }
}

/// The MAC address of another host that answers for the VIP.
fn other_owner(params: &Params, link: &Link, snapshot: &Snapshot) -> Value {
    let Some(mac) = link.mac.filter(|_| link.usable() && plan::has_neighbours(link)) else {
        return Value::Unknown(format!("{} has no carrier or no neighbours", link.name));
    };
    let own = OwnLinks::of(params.ip, link, &snapshot.links, &snapshot.addresses);
    let timeout = budgets::CONFLICT_ANSWER;
    let until = Deadline::after(timeout + timeout);
    let prober = Prober { ip: params.ip, mac, own };
    let result = open_socket(link, params.ip)
        .and_then(|mut socket| prober.probe(&mut socket, Conflicts::Owners, timeout, until));
    match result {
        Ok(ProbeResult::Conflict(mac)) => Value::Text(mac.to_string()),
        Ok(ProbeResult::Free | ProbeResult::Unknown) => Value::None,
        Err(error) => unknown(&error),
    }
}

fn unknown(error: &impl std::fmt::Display) -> Value {
    Value::Unknown(ocf::cause(error))
}
