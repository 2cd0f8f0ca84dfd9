//! Constraints.

use roxmltree::Node as Xml;

use super::{Cib, Colocation, INFINITY, Location, Order, Role, Score, score};

/// Reads the element `constraints`.
pub(super) fn read(constraints: Xml<'_, '_>, cib: &mut Cib) {
    for constraint in constraints.children().filter(Xml::is_element) {
        match constraint.tag_name().name() {
            "rsc_colocation" => colocation(constraint, cib),
            "rsc_order" => order(constraint, cib),
            "rsc_location" => location(constraint, cib),
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

fn location(constraint: Xml<'_, '_>, cib: &mut Cib) {
    let id = constraint.attribute("id").unwrap_or_default().to_owned();
    let mut resources: Vec<&str> = members(constraint).into_iter().map(|(id, _)| id).collect();
    resources.extend(constraint.attribute("rsc"));
    let rules: Vec<Xml<'_, '_>> =
        constraint.children().filter(|xml| xml.has_tag_name("rule")).collect();
    for resource in resources {
        let location = |score: Option<Score>, attributes: Vec<String>| Location {
            id: id.clone(),
            resource: resource.to_owned(),
            score: score.unwrap_or(0),
            attributes,
        };
        if rules.is_empty() {
            cib.locations.push(location(score_of(constraint), Vec::new()));
        }
        for rule in &rules {
            let names = rule.descendants().filter(|xml| xml.has_tag_name("expression"));
            let names = names.filter_map(|xml| xml.attribute("attribute")).map(str::to_owned);
            cib.locations.push(location(score_of(*rule), names.collect()));
        }
    }
}
