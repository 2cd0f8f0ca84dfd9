//! diagnose, for people: everything that is known of the VIP on this host. Changes nothing.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Link, Netlink};
use hostproc::{PidFd, ProcFs};
use ocf::{Diagnosis, Request, Value};

use crate::judge::{self, Shown};
use crate::params::Params;
use crate::question::{self, Asker, Heard, Rivals};
use crate::run_directory::RunDirectory;
use crate::target::Snapshot;
use crate::{announcer, host, managers, plan, routing, source_routing, target};

/// How long the tables may take.
const SETTLING: Duration = Duration::from_secs(5);
/// How long somebody else may take to answer for the VIP.
const ANSWER: Duration = Duration::from_millis(300);

/// Everything.
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
    let netlink = host::enter_where_started(params.namespace.as_ref(), params.ip)
        .and_then(|()| Netlink::open());
    let until = request.deadline.within(SETTLING);
    let looked = netlink.and_then(|netlink| {
        let snapshot = host::snapshot(&netlink, &params, until)?;
        Ok((netlink, snapshot))
    });
    match looked {
        Ok((netlink, snapshot)) => on_host(diagnosis, &params, &netlink, &snapshot, until),
        Err(error) => diagnosis.with("host", Value::Unknown(error.to_string())),
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
        None => target::target(params, snapshot).map(|target| target.link),
    };
    let run = host::run_directory(netlink, params, until).unwrap_or_else(|_| RunDirectory::new());
    let announced = run
        .last_announcement(params.ip)
        .map(|age| Value::Number(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    diagnosis
        .with("monitor", verdict(params, netlink, until))
        .with("addresses", instances.iter().map(address).collect::<Vec<_>>())
        .with(
            "interface",
            match &expected {
                Ok(link) => Value::from(interface(link, snapshot)),
                Err(refusal) => Value::Unknown(refusal.to_string()),
            },
        )
        .with("source_routing", routes(params, netlink, until))
        .with("announcer", announcing(&run, params))
        .with("last_announcement_s_ago", announced)
        .with(
            "other_owner",
            expected.as_ref().map_or(Value::None, |link| other_owner(params, link, snapshot)),
        )
        .with(
            "managed_by_others",
            expected.map_or(Vec::new(), |link| managers::of(&link, params.ip)),
        )
}

/// What monitor says.
fn verdict(params: &Params, netlink: &Netlink, until: Deadline) -> Value {
    let judged = host::sight(netlink, params, until).and_then(|sight| {
        let missing = source_routing::missing(netlink, params, &sight, until)?;
        Ok((sight.judge(params), missing))
    });
    match judged {
        Ok((verdict, missing)) => Diagnosis::from(&verdict).with("missing", missing).into(),
        Err(error) => Value::Unknown(error.to_string()),
    }
}

fn address(address: &Address) -> Value {
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
    Diagnosis::default()
        .with("address", Shown(address).to_string())
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

fn routes(params: &Params, netlink: &Netlink, until: Deadline) -> Value {
    match source_routing::tables(netlink, params.family(), true, until) {
        Ok(tables) => {
            let rules = routing::own_rules(params.ip, &tables).map(ToString::to_string);
            let routes = routing::own_routes(params.ip, &params.source_for, &tables);
            let routes = routes.map(|record| record.route().to_string());
            Value::from(rules.chain(routes).collect::<Vec<_>>())
        }
        Err(error) => Value::Unknown(error.to_string()),
    }
}

fn announcing(run: &RunDirectory, params: &Params) -> Value {
    let lock = run.announcer_lock(params.ip);
    if !lock.exists() {
        return Value::None;
    }
    let holder = announcer::holder(&lock).and_then(|holder| match holder {
        Some(process) => Ok(PidFd::open(&ProcFs::default(), &process)?.map(|_| process)),
        None => Ok(None),
    });
    match holder {
        Ok(Some(process)) => Value::Text(format!("process {}", process.pid)),
        Ok(None) => Value::None,
        Err(error) => Value::Unknown(error.to_string()),
    }
}

/// Who else answers for the VIP on the link.
fn other_owner(params: &Params, link: &Link, snapshot: &Snapshot) -> Value {
    let Some(mac) = link.mac.filter(|_| link.usable() && plan::has_neighbours(link)) else {
        return Value::Unknown(format!("nobody can be asked on {}", link.name));
    };
    let own = snapshot.links.iter().filter_map(|link| link.mac).collect();
    let until = Deadline::after(ANSWER + ANSWER);
    let asker = Asker { ip: params.ip, mac, own };
    let asked = question::socket(link, params.ip)
        .and_then(|mut socket| asker.rival(&mut socket, Rivals::Owners, ANSWER, until));
    match asked {
        Ok(Heard::Rival(mac)) => Value::Text(mac.to_string()),
        Ok(Heard::Nobody | Heard::Unknown) => Value::None,
        Err(error) => Value::Unknown(error.to_string()),
    }
}
