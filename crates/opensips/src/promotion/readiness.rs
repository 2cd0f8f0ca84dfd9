//! Whether a standby would serve as well as the active node: its modules have their data, and it is linked to
//! the others. What it lacks lowers its promotion score and never bars it: where no other node is better, it has
//! to serve.

use ocf::LogLine;

use crate::instance::Instance;
use crate::mi::answers::{Neighbour, Unready};
use crate::mi::{self, Client};
use crate::params::{Params, SharingTag};

/// Of the core itself, of which SIP tells more, and of module clusterer, whose capabilities are asked for where
/// sharing tags need them.
const TOLD_ELSEWHERE: [&str; 2] = ["core", "clusterer"];

/// How many parts of modules one reason has room for.
const NAMED: usize = 3;

/// Whether every module says that it is ready; from 3.3 on they say it (status_report.c).
///
/// # Errors
/// Those of the MI.
pub(super) fn is_ready(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
    settled: bool,
    remarks: &mut Vec<String>,
) -> mi::Result<bool> {
    if !params.check_readiness {
        return Ok(true);
    }
    let unready = match client.unready(instance.deadline()) {
        Ok(unready) => lacking(unready),
        // A version without that command refuses it.
        Err(mi::Error::Refused { .. } | mi::Error::UnknownCommand { .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(unready) = unready else { return Ok(true) };
    if settled {
        remarks.push(format!(
            "not ready: {unready}: see opensips-cli -x mi sr_list_status, or set check_readiness=no"
        ));
    } else {
        let line = LogLine::of(instance.action()).field("unready", unready);
        log::info!("{}", line.note("not yet ready"));
    }
    Ok(false)
}

fn lacking(unready: Vec<Unready>) -> Option<String> {
    let ours = unready.into_iter().filter(|one| !TOLD_ELSEWHERE.contains(&one.group.as_str()));
    let names: Vec<String> = ours.map(|one| one.name).take(NAMED).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whether this node is linked to another one of each of the tags' clusters. It is not where it is the last one,
/// nor where it alone sees the link as broken, which it may do for minutes after both have started in the same
/// moment: what it then has of the others' data is old.
///
/// # Errors
/// Those of the MI.
pub(super) fn is_linked(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
) -> mi::Result<bool> {
    let linked = match client.neighbours(instance.deadline()) {
        Ok(neighbours) => is_up(&neighbours, &params.sharing_tags),
        Err(mi::Error::Refused { .. } | mi::Error::UnknownCommand { .. }) => true,
        Err(error) => return Err(error),
    };
    if !linked {
        let line = LogLine::of(instance.action());
        log::info!("{}", line.note("no link to another node of the cluster is up"));
    }
    Ok(linked)
}

/// A cluster in which no other node is known needs no link.
fn is_up(neighbours: &[Neighbour], tags: &[SharingTag]) -> bool {
    tags.iter().all(|tag| {
        let mut of_tag =
            neighbours.iter().filter(|one| one.cluster == u64::from(tag.cluster)).peekable();
        of_tag.peek().is_none() || of_tag.any(|one| one.is_up)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_is_enough() {
        let tags: Vec<SharingTag> = vec!["vip/1".parse().unwrap(), "vip/2".parse().unwrap()];
        let link = |cluster, is_up| Neighbour { cluster, is_up };
        assert!(is_up(&[], &tags));
        assert!(is_up(&[link(1, true), link(1, false), link(3, false)], &tags));
        assert!(!is_up(&[link(1, true), link(2, false)], &tags));
    }

    #[test]
    fn what_is_lacking() {
        let unready = |group: &str, name: &str| Unready { group: group.into(), name: name.into() };
        assert_eq!(lacking(vec![unready("core", "core"), unready("clusterer", "x")]), None);
        let many =
            (0..5).map(|number| unready("drouting", &format!("drouting/{number}"))).collect();
        assert_eq!(lacking(many).unwrap(), "drouting/0, drouting/1, drouting/2");
    }
}
