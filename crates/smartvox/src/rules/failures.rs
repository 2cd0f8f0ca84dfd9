//! What Pacemaker makes of failures: timeouts of failures, thresholds, stickiness.

use super::{Found, Pair};
use crate::cib::{Resource, Score};

/// The promotion score of a standby that has just started. A failed instance has 1, and keeps the role if
/// its stickiness adds up to more.
const STANDBY_SCORE: Score = 4000;

/// The promoted instance has 10000.
const ACTIVE_SCORE: Score = 10_000;

pub(super) fn failure_timeout(pair: &Pair<'_>) -> Vec<Found> {
    let unset = |value: &String| value.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
    pair.cib
        .ours()
        .filter(|resource| resource.meta.get("failure-timeout").is_none_or(unset))
        .map(|resource| {
            let id = &resource.id;
            let sentence = format!(
                "{id} has no failure-timeout: a node where its start has failed once is barred \
                 until a cleanup"
            );
            // The default does not count where the resource has a value of its own.
            let command = if resource.meta.contains_key("failure-timeout") {
                format!("pcs resource meta {} failure-timeout=60s", resource.outer())
            } else {
                "pcs resource defaults update failure-timeout=60s".to_owned()
            };
            Found::of(resource, sentence, command)
        })
        .collect()
}

pub(super) fn migration_threshold(pair: &Pair<'_>) -> Vec<Found> {
    let low = |resource: &Resource| {
        resource.score("migration-threshold").filter(|threshold| (1..3).contains(threshold))
    };
    pair.cib
        .ours()
        .filter_map(|resource| Some((resource, low(resource)?)))
        .map(|(resource, threshold)| {
            let id = resource.outer();
            let sentence = format!(
                "migration-threshold={threshold} bars a node for {id} that could serve: with the \
                 other node in standby the service ends"
            );
            Found::of(
                resource,
                sentence,
                format!("pcs resource meta {id} migration-threshold=INFINITY"),
            )
        })
        .collect()
}

/// The stickiness of a resource and of what is colocated with it.
fn stickiness(pair: &Pair<'_>, resource: &Resource) -> Score {
    let own = |one: &Resource| one.score("resource-stickiness").unwrap_or(0);
    let with = pair.cib.ours().filter(|one| {
        one.id != resource.id
            && pair.cib.colocations.iter().any(|colocation| {
                one.is_called(&colocation.dependent) && resource.is_called(&colocation.primary)
            })
    });
    own(resource).saturating_add(with.map(own).sum())
}

pub(super) fn stickiness_too_high(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let sticky = stickiness(pair, resource);
        let id = resource.outer();
        let command = format!("pcs resource meta {id} resource-stickiness=100");
        if resource.promotable() && sticky >= STANDBY_SCORE {
            let sentence = format!(
                "the resource-stickiness of {id} and of what is with it is {sticky}: the role stays \
                 with an instance that fails, whose promotion score is 1"
            );
            let command = format!("pcs resource meta {id} resource-stickiness=0");
            found.push(Found::of(resource, sentence, command));
            continue;
        }
        // What has to be outweighed besides is the difference between two promotion scores.
        let base = if resource.promotable() { ACTIVE_SCORE - 9000 } else { 0 };
        let weak = pair.cib.locations.iter().find(|location| {
            resource.is_called(&location.resource)
                && location.score > 0
                && location.score <= sticky.saturating_add(base)
                && location.attributes.iter().any(|name| is_watched(name))
        });
        if let Some(location) = weak {
            let sentence = format!(
                "the resource-stickiness of {id} and of what is with it is {sticky}, and the rule \
                 of {} has a score of {}: the service stays on a node that it should leave",
                location.id, location.score
            );
            found.push(Found::of(resource, sentence, command));
        }
    }
    found
}

/// The attributes of ocf:smartvox:opensips-vip and ocf:pacemaker:ping.
fn is_watched(attribute: &str) -> bool {
    attribute.starts_with("smartvox-link-") || attribute == "pingd"
}

pub(super) fn stickiness_missing(pair: &Pair<'_>) -> Vec<Found> {
    // A value of 0 is a decision, too.
    let set = |resource: &Resource| resource.meta.contains_key("resource-stickiness");
    if pair.cib.ours().any(|resource| resource.promotable() || set(resource)) {
        return Vec::new();
    }
    pair.cib
        .of_agent("opensips-vip")
        .map(|resource| {
            let sentence = format!(
                "{} has no resource-stickiness: the service can move back to a node that returns",
                resource.id
            );
            Found::of(resource, sentence, "pcs resource defaults update resource-stickiness=100")
        })
        .collect()
}
