//! Rules in sets of attributes (Pacemaker Explained, chapter "Rules").

use roxmltree::Node as Xml;

use super::{Attributes, time};

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The name of the node.
    pub(super) node: &'a str,
    /// All its attributes.
    pub(super) attributes: &'a Attributes,
    /// Class, provider and agent of the resource.
    pub(super) resource: Option<(&'a str, Option<&'a str>, &'a str)>,
    /// The name of the operation.
    pub(super) operation: Option<&'a str>,
    /// The time of day, in seconds since 1970.
    pub(super) now: i64,
}

/// Whether a rule is true. `Err` with the name of the element that is not understood.
pub(super) fn applies(rule: Xml<'_, '_>, scope: Scope<'_>) -> Result<bool, String> {
    let any = rule.attribute("boolean-op") == Some("or");
    let mut parts = Vec::new();
    for part in rule.children().filter(Xml::is_element) {
        parts.push(holds(part, scope));
    }
    // One part that is known can decide, whatever the others are.
    if parts.contains(&Ok(any)) {
        return Ok(any);
    }
    parts.into_iter().find(Result::is_err).unwrap_or(Ok(!any))
}

fn holds(part: Xml<'_, '_>, scope: Scope<'_>) -> Result<bool, String> {
    match part.tag_name().name() {
        "rule" => applies(part, scope),
        "expression" => expression(part, scope),
        "rsc_expression" => {
            let Some((class, provider, agent)) = scope.resource else { return Ok(false) };
            let fits = |name: &str, value: Option<&str>| {
                part.attribute(name).is_none_or(|wanted| value == Some(wanted))
            };
            Ok(fits("class", Some(class))
                && fits("provider", provider)
                && fits("type", Some(agent)))
        }
        // An interval as well is more than is looked at here.
        "op_expression" if part.attribute("interval").is_none() => {
            Ok(scope.operation.is_some() && scope.operation == part.attribute("name"))
        }
        "date_expression" => date(part, scope.now).ok_or_else(|| "date_expression".to_owned()),
        other => Err(other.to_owned()),
    }
}

/// `None` if it is not understood, such as a duration.
fn date(part: Xml<'_, '_>, now: i64) -> Option<bool> {
    if part.children().any(|xml| xml.is_element()) {
        return None;
    }
    let given = |name: &str| part.attribute(name);
    let is_after = |start: &str| time::point(start).map(|start| now > start);
    let is_before = |end: &str| time::point(end).map(|end| now < end);
    match given("operation")? {
        "gt" => is_after(given("start")?),
        "lt" => is_before(given("end")?),
        "in_range" => {
            let began = given("start").map_or(Some(true), is_after)?;
            Some(began && given("end").map_or(Some(true), is_before)?)
        }
        _ => None,
    }
}

fn expression(part: Xml<'_, '_>, scope: Scope<'_>) -> Result<bool, String> {
    let unknown = || "expression".to_owned();
    let name = part.attribute("attribute").ok_or_else(unknown)?;
    let found = match name {
        "#uname" => Some(scope.node),
        name if name.starts_with('#') => return Err(format!("expression with {name}")),
        name => scope.attributes.get(name).map(String::as_str),
    };
    // The value of another attribute or parameter.
    if part.attribute("value-source").is_some_and(|source| source != "literal") {
        return Err("expression with value-source".to_owned());
    }
    let wanted = part.attribute("value");
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let numbers = found.and_then(number).zip(wanted.and_then(number));
    match part.attribute("operation").ok_or_else(unknown)? {
        "defined" => Ok(found.is_some()),
        "not_defined" => Ok(found.is_none()),
        "eq" => Ok(found.is_some() && found == wanted),
        "ne" => Ok(found != wanted),
        "lt" => Ok(numbers.is_some_and(|(one, other)| one < other)),
        "lte" => Ok(numbers.is_some_and(|(one, other)| one <= other)),
        "gt" => Ok(numbers.is_some_and(|(one, other)| one > other)),
        "gte" => Ok(numbers.is_some_and(|(one, other)| one >= other)),
        other => Err(format!("operation {other}")),
    }
}
