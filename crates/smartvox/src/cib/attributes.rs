//! Sets of attributes: by their scores, with rules and references.

use std::cmp::Reverse;
use std::collections::HashMap;

use roxmltree::Node as Xml;

use super::rule::{Scope, applies};
use super::{Attributes, score};

/// The elements by their ids, for references.
pub(super) struct Ids<'a, 'input>(HashMap<&'a str, Xml<'a, 'input>>);

impl<'a, 'input> Ids<'a, 'input> {
    pub(super) fn of(root: Xml<'a, 'input>) -> Self {
        let named = root.descendants().filter_map(|xml| Some((xml.attribute("id")?, xml)));
        Self(named.collect())
    }

    /// The element itself, or the one that it refers to.
    pub(super) fn resolve(&self, xml: Xml<'a, 'input>) -> Option<Xml<'a, 'input>> {
        match xml.attribute("id-ref") {
            Some(id) => self.0.get(id).copied(),
            None => Some(xml),
        }
    }
}

/// The attributes of the sets `tag` below `parent`: of two with the same name that of the set with the
/// higher score. Adds to `found`, and what is not understood to `remarks`.
pub(super) fn read(
    parent: Xml<'_, '_>,
    tag: &str,
    ids: &Ids<'_, '_>,
    scope: Scope<'_>,
    found: &mut Attributes,
    remarks: &mut Vec<String>,
) {
    let mut sets: Vec<Xml<'_, '_>> = Vec::new();
    for set in parent.children().filter(|xml| xml.has_tag_name(tag)) {
        match set.attribute("id-ref").map(|id| ids.0.get(id)) {
            None => sets.push(set),
            Some(Some(set)) => sets.push(*set),
            Some(None) => remarks.push(format!(
                "{tag} refers to {}, which is not there",
                set.attribute("id-ref").unwrap_or_default()
            )),
        }
    }
    sets.sort_by_key(|set| Reverse(set.attribute("score").and_then(score).unwrap_or(0)));
    for set in sets {
        let id = set.attribute("id").unwrap_or(tag);
        for rule in set.children().filter(|xml| xml.has_tag_name("rule")) {
            if let Err(what) = applies(rule, scope) {
                remarks.push(format!("the rule of {id} was not understood ({what}): left out"));
            }
        }
        let mut rules = set.children().filter(|xml| xml.has_tag_name("rule"));
        if !rules.all(|rule| applies(rule, scope) == Ok(true)) {
            continue;
        }
        for pair in set.children().filter(|xml| xml.has_tag_name("nvpair")) {
            add(pair, ids, found, remarks);
        }
    }
}

fn add(pair: Xml<'_, '_>, ids: &Ids<'_, '_>, found: &mut Attributes, remarks: &mut Vec<String>) {
    let referred = pair.attribute("id-ref").map(|id| (id, ids.0.get(id)));
    let source = match referred {
        None => pair,
        Some((_, Some(source))) => *source,
        Some((id, None)) => {
            remarks.push(format!("nvpair refers to {id}, which is not there"));
            return;
        }
    };
    let name = pair.attribute("name").or_else(|| source.attribute("name"));
    if let (Some(name), Some(value)) = (name, source.attribute("value")) {
        found.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
}
