//! Whether the nodes serve with the same routes. A standby with others would treat callers otherwise from the
//! moment it is promoted, and nothing shows that before.
//!
//! Each instance publishes a digest of the routes that its daemon has loaded, as a transient node attribute. That
//! the file is another one by now is told elsewhere. The settings differ between the nodes on purpose: each has
//! an address and a number of its own. Nor are the instances of a clone without roles compared: each of them may
//! have work of its own.
//!
//! The standby alone tells: it is the one that can be mended without a risk for calls, and the node that has the
//! calls executes a program only when its routes change.

use hostproc::{Process, Stat};
use ocf::LogLine;

use super::score::attribute_daemon;
use crate::cluster;
use crate::instance::Instance;
use crate::instance::role::Role;
use crate::instance::state::{Comparison, Digests};
use crate::params::Params;

/// From this check level on, the routes are compared.
const LEVEL: u32 = 10;

/// Before the digest in what is published. A digest that is made otherwise gets another number, so that an update
/// of this agent, node by node, reports no difference.
const FORM: &str = "1-";

/// What is published where it is not known what the daemon has loaded: what was published before is not true any
/// more.
const UNKNOWN: &str = "unknown";

/// Publishes what the daemon has loaded, and asks for that of the others. Returns what to keep for the next look,
/// and what an operator should know; `None` where nothing is compared.
pub(crate) fn compare(
    instance: &Instance<'_>,
    params: &Params,
    role: Role,
    main: &Stat,
) -> Option<(Comparison, Option<String>)> {
    let request = instance.request;
    let is_asked = params.compare_routes
        && request.promotable
        && !request.probe
        && request.check_level >= LEVEL;
    let (Some(node), true) = (&request.node, is_asked) else { return None };
    // Without a state nothing can be kept: it would be published again and again.
    let kept = &instance.state_of(main.process)?.kept;
    let own = value_of(kept.loaded.digests);
    let compared = compare_as(instance, node, role, &own, &kept.comparison);
    let (comparison, unlike) = compared.unwrap_or_else(|error| {
        // The nodes serve without it.
        log::debug!("{}", LogLine::of(instance.action()).field("routes", &own).note(error));
        (kept.comparison.clone(), Vec::new())
    });
    let remark = (!unlike.is_empty()).then(|| remark(params, &unlike.join(", ")));
    Some((comparison, remark))
}

/// Returns also the nodes that are to be told.
fn compare_as(
    instance: &Instance<'_>,
    node: &str,
    role: Role,
    own: &str,
    before: &Comparison,
) -> cluster::Result<(Comparison, Vec<String>)> {
    let (attribute, deadline) = (attribute(instance), instance.deadline());
    let mut now = before.clone();
    let daemon = attribute_daemon();
    if is_news(before, own, daemon) {
        cluster::publish(&attribute, own, deadline)?;
        log::info!("{}", LogLine::of(instance.action()).field(&attribute, own));
        now = Comparison { told: Some(own.to_owned()), told_to: daemon, unlike: Vec::new() };
    }
    if role == Role::Promoted || own == UNKNOWN {
        now.unlike.clear();
        return Ok((now, Vec::new()));
    }
    // What was published stays published, whether or not the others can be asked.
    let published = match cluster::published(&attribute, deadline) {
        Ok(published) => published,
        Err(error) => {
            log::debug!("{}", LogLine::of(instance.action()).field("routes", own).note(error));
            return Ok((now, Vec::new()));
        }
    };
    let unlike = unlike(own, node, published);
    let lasting = lasting(&now.unlike, &unlike);
    now.unlike = unlike;
    let told = if lasting.is_empty() { lasting } else { where_active(instance, node, lasting) };
    Ok((now, told))
}

/// Whether Pacemaker has to be told, by what it was told.
fn is_news(before: &Comparison, own: &str, daemon: Option<Process>) -> bool {
    let is_other = before.told_to.is_some() && daemon.is_some() && before.told_to != daemon;
    is_other || before.told.as_deref() != Some(own)
}

fn attribute(instance: &Instance<'_>) -> String {
    format!("smartvox-routes-{}", instance.request.instance.without_clone_number().as_str())
}

fn value_of(loaded: Option<Digests>) -> String {
    loaded.map_or_else(|| UNKNOWN.to_owned(), |digests| format!("{FORM}{:016x}", digests.routes))
}

/// The other nodes whose routes are known and not those of this node.
fn unlike(own: &str, node: &str, published: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_unlike = |other: &str, value: &str| {
        other != node && value != own && value.strip_prefix(FORM).is_some()
    };
    published.into_iter().filter(|(other, value)| is_unlike(other, value)).collect()
}

/// The nodes of which two looks in a row have found the same: while new routes are loaded on one node after the
/// other, they differ for a moment.
fn lasting(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    now.iter().filter(|one| before.contains(one)).map(|(node, _)| node.clone()).collect()
}

/// Those of the nodes on which an instance is active: what was published stays when it is stopped.
fn where_active(instance: &Instance<'_>, node: &str, nodes: Vec<String>) -> Vec<String> {
    match cluster::status(&instance.request.instance, instance.deadline()) {
        Ok(status) => {
            let is_active = |name: &String| status.elsewhere(node).any(|one| one.node == *name);
            nodes.into_iter().filter(is_active).collect()
        }
        Err(error) => {
            log::debug!("{}", LogLine::of(instance.action()).note(error));
            Vec::new()
        }
    }
}

fn remark(params: &Params, nodes: &str) -> String {
    let way_out = if params.mi.is_some() {
        "then give routes_version another value"
    } else {
        "then restart OpenSIPS when calls allow it"
    };
    format!(
        "the routes of {nodes} are not those of this node: copy {} to every node, {way_out} (or set \
         compare_routes=no)",
        params.config.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::Pid;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(node, value)| ((*node).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn whose_routes_differ() {
        let of = |published: &[(&str, &str)]| unlike("1-aa", "node1", pairs(published));
        assert_eq!(of(&[("node1", "1-aa"), ("node2", "1-aa")]), []);
        // What this node had published before.
        assert_eq!(of(&[("node1", "1-bb")]), []);
        let two = [("node2", "1-bb"), ("node3", "1-aa"), ("node4", "1-cc")];
        assert_eq!(of(&two), pairs(&[("node2", "1-bb"), ("node4", "1-cc")]));
        // Deleted, not known, and of another version of this agent.
        assert_eq!(of(&[("node2", ""), ("node3", UNKNOWN), ("node4", "2-bb")]), []);
    }

    #[test]
    fn two_looks_have_to_agree() {
        let before = pairs(&[("node2", "1-bb"), ("node3", "1-cc")]);
        assert_eq!(lasting(&[], &before), [""; 0]);
        assert_eq!(lasting(&before, &before), ["node2", "node3"]);
        assert_eq!(lasting(&before, &pairs(&[("node2", "1-bb"), ("node3", "1-dd")])), ["node2"]);
        assert_eq!(lasting(&before, &[]), [""; 0]);
    }

    #[test]
    fn what_is_published() {
        let value = value_of(Some(Digests { routes: 171, settings: 2 }));
        assert_eq!((value.as_str(), value_of(None).as_str()), ("1-00000000000000ab", UNKNOWN));
        let process = |pid| Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        let told =
            |told_to| Comparison { told: Some("1-aa".into()), told_to, ..Comparison::default() };
        assert!(is_news(&Comparison::default(), "1-aa", None));
        assert!(is_news(&told(None), "1-bb", None));
        assert!(!is_news(&told(Some(process(7))), "1-aa", Some(process(7))));
        assert!(is_news(&told(Some(process(7))), "1-aa", Some(process(8))));
        // A person's monitor knows of no daemon.
        assert!(!is_news(&told(Some(process(7))), "1-aa", None));
        assert!(!is_news(&told(None), "1-aa", Some(process(8))));
    }
}
