//! Constraints.

use roxmltree::Node as Xml;

use super::rule::{Scope, applies};
use super::{Cib, Colocation, INFINITY, Location, Node, Order, Role, Score, score};

/// Reads the element `constraints`.
pub(super) fn read(constraints: Xml<'_, '_>, now: i64, cib: &mut Cib) {
    for constraint in constraints.children().filter(Xml::is_element) {
        match constraint.tag_name().name() {
            "rsc_colocation" => colocation(constraint, cib),
            "rsc_order" => order(constraint, cib),
            "rsc_location" => location(constraint, now, cib),
            // Tickets concern no pair.
            _ => {}
        }
    }
}

fn score_of(xml: Xml<'_, '_>) -> Option<Score> {
    xml.attribute("score").and_then(score)
}

/// The members of the sets of a constraint, in their order: the id, and the set.
fn members<'a, 'input>(constraint: Xml<'a, 'input>) -> Vec<(&'a str, Xml<'a, 'input>)> {
    let sets = constraint.children().filter(|xml| xml.has_tag_name("resource_set"));
    sets.flat_map(|set| {
        let references = set.children().filter(|xml| xml.has_tag_name("resource_ref"));
        references.filter_map(move |reference| Some((reference.attribute("id")?, set)))
    })
    .collect()
}

/// Each member with each that comes after it.
fn pairs<T: Copy>(members: &[T]) -> impl Iterator<Item = (T, T)> {
    members
        .iter()
        .enumerate()
        .flat_map(|(at, first)| members.iter().skip(at + 1).map(|second| (*first, *second)))
}

fn colocation(constraint: Xml<'_, '_>, cib: &mut Cib) {
    let score = score_of(constraint).unwrap_or(INFINITY);
    if let (Some(dependent), Some(primary)) =
        (constraint.attribute("rsc"), constraint.attribute("with-rsc"))
    {
        cib.colocations.push(Colocation {
            dependent: dependent.to_owned(),
            dependent_role: Role::of(constraint.attribute("rsc-role")),
            primary: primary.to_owned(),
            primary_role: Role::of(constraint.attribute("with-rsc-role")),
            score,
        });
    }
    let role = |set: Xml<'_, '_>| Role::of(set.attribute("role"));
    // The order within and between sets is not the same in all versions: both directions count.
    for ((one, set), (other, other_set)) in pairs(&members(constraint)) {
        let pair = |dependent: (&str, Role), primary: (&str, Role)| Colocation {
            dependent: dependent.0.to_owned(),
            dependent_role: dependent.1,
            primary: primary.0.to_owned(),
            primary_role: primary.1,
            score,
        };
        let (one, other) = ((one, role(set)), (other, role(other_set)));
        cib.colocations.push(pair(one, other));
        cib.colocations.push(pair(other, one));
    }
}

fn order(constraint: Xml<'_, '_>, cib: &mut Cib) {
    let optional = constraint.attribute("kind") == Some("Optional")
        || constraint.attribute("kind").is_none() && score_of(constraint) == Some(0);
    if optional {
        return;
    }
    let action = |name: &str| constraint.attribute(name);
    if let (Some(first), Some(then)) = (action("first"), action("then")) {
        let first_action = action("first-action").unwrap_or("start");
        cib.orders.push(Order {
            first: first.to_owned(),
            first_action: first_action.to_owned(),
            then: then.to_owned(),
            then_action: action("then-action").unwrap_or(first_action).to_owned(),
        });
    }
    let action = |set: Xml<'_, '_>| set.attribute("action").unwrap_or("start").to_owned();
    for ((first, set), (then, then_set)) in pairs(&members(constraint)) {
        cib.orders.push(Order {
            first: first.to_owned(),
            first_action: action(set),
            then: then.to_owned(),
            then_action: action(then_set),
        });
    }
}

fn location(constraint: Xml<'_, '_>, now: i64, cib: &mut Cib) {
    let mut resources: Vec<&str> = members(constraint).into_iter().map(|(id, _)| id).collect();
    resources.extend(constraint.attribute("rsc"));
    let rules: Vec<Xml<'_, '_>> =
        constraint.children().filter(|xml| xml.has_tag_name("rule")).collect();
    let plain = || Location {
        id: constraint.attribute("id").unwrap_or_default().to_owned(),
        resource: String::new(),
        score: score_of(constraint).unwrap_or(0),
        role: Role::of(constraint.attribute("role")),
        attributes: Vec::new(),
        nodes: Some(constraint.attribute("node").map(str::to_owned).into_iter().collect()),
    };
    let by_rule = |rule: &Xml<'_, '_>| {
        let names = rule.descendants().filter(|xml| xml.has_tag_name("expression"));
        let names = names.filter_map(|xml| xml.attribute("attribute")).map(str::to_owned);
        Location {
            score: score_of(*rule).unwrap_or(0),
            role: Role::of(rule.attribute("role").or(constraint.attribute("role"))),
            attributes: names.collect(),
            nodes: nodes_of(*rule, now, cib),
            ..plain()
        }
    };
    let mut found: Vec<Location> = rules.iter().map(by_rule).collect();
    if found.is_empty() {
        found.push(plain());
    }
    for resource in resources {
        let of = |one: &Location| Location { resource: resource.to_owned(), ..one.clone() };
        cib.locations.extend(found.iter().map(of));
    }
}

/// The nodes for which a rule is true now. `None` if it was not understood.
fn nodes_of(rule: Xml<'_, '_>, now: i64, cib: &Cib) -> Option<Vec<String>> {
    let is_true = |node: &Node| {
        let mut attributes = node.attributes.clone();
        attributes.extend(node.transient.clone());
        let (node, attributes) = (node.name.as_str(), &attributes);
        applies(rule, Scope { node, attributes, resource: None, operation: None, now }).ok()
    };
    let named = cib.nodes.iter().map(|node| Some(is_true(node)?.then(|| node.name.clone())));
    Some(named.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}
