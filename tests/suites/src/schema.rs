//! JSON schemas of `docs/schemas`, as far as they use JSON Schema (draft 2020-12): the keywords that
//! [`violation`] knows. Another keyword in a schema is a violation, too, so that none is ignored.

use serde_json::Value;

use crate::scenario::repository;

/// Whether a value fits the schema `docs/schemas/NAME.json`.
///
/// # Errors
/// The place and the value that does not fit, or why the schema can't be read.
pub fn fits(name: &str, value: &Value) -> Result<(), String> {
    let path = repository().join("docs/schemas").join(format!("{name}.json"));
    let unreadable = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    let schema: Value =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    violation(&schema, &schema, value, "$").map_err(|why| format!("{name}: {why}\n{value}"))
}

/// The first reason why a value does not fit a schema.
///
/// # Errors
/// That reason, with its place.
pub fn violation(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let keywords = schema.as_object().ok_or_else(|| format!("{at}: the schema is no object"))?;
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#'));
                let target = pointer.and_then(|pointer| root.pointer(pointer));
                let target = target.ok_or_else(|| format!("{at}: {wanted} leads nowhere"))?;
                violation(root, target, value, at)?;
            }
            "anyOf" => any_of(root, wanted, value, at)?,
            "enum" if wanted.as_array().is_some_and(|all| all.contains(value)) => {}
            "type" if is_of(wanted, value) => {}
            "enum" | "type" => return Err(format!("{at}: {value} is not {wanted}")),
            "properties" => properties(root, wanted, value, at)?,
            "required" => {
                let names = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
                let mut missing =
                    names.filter(|name| value.is_object() && value.get(name).is_none());
                if let Some(name) = missing.next() {
                    return Err(format!("{at}: {name} is missing"));
                }
            }
            "additionalProperties" if *wanted == Value::Bool(false) => {
                let known = keywords.get("properties").and_then(Value::as_object);
                let mut names = value.as_object().into_iter().flat_map(|object| object.keys());
                let other = names.find(|name| known.is_none_or(|known| !known.contains_key(*name)));
                if let Some(name) = other {
                    return Err(format!("{at}: {name} is not in the schema"));
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    violation(root, wanted, item, &format!("{at}[{number}]"))?;
                }
            }
            other => return Err(format!("{at}: the keyword {other} is not known here")),
        }
    }
    Ok(())
}

fn any_of(root: &Value, schemas: &Value, value: &Value, at: &str) -> Result<(), String> {
    let mut reasons = Vec::new();
    for schema in schemas.as_array().into_iter().flatten() {
        match violation(root, schema, value, at) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    Err(format!("none of: {}", reasons.join("; ")))
}

fn properties(root: &Value, schemas: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            violation(root, schema, value, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

/// Whether a value is of the type, or of one of the types.
fn is_of(wanted: &Value, value: &Value) -> bool {
    let one = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match wanted {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_found() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/text"}]},
                "b": {"type": "array", "items": {"enum": ["x", null]}},
            },
            "required": ["a"],
            "additionalProperties": false,
            "$defs": {"text": {"type": ["string", "null"]}},
        });
        let fits = |value: Value| violation(&schema, &schema, &value, "$");
        for good in [json!({"a": 1}), json!({"a": "t"}), json!({"a": null, "b": ["x", null]})] {
            assert_eq!(fits(good), Ok(()));
        }
        for (bad, why) in [
            (json!([]), "$: [] is not"),
            (json!({}), "$: a is missing"),
            (json!({"a": 1.5}), "$.a: 1.5 is not"),
            (json!({"a": 1, "b": ["y"]}), "$.b[0]: \"y\" is not"),
            (json!({"a": 1, "c": 1}), "$: c is not in the schema"),
        ] {
            assert!(fits(bad).unwrap_err().contains(why), "{why}");
        }
        let odd = json!({"maximum": 3});
        assert!(violation(&odd, &odd, &json!(1), "$").unwrap_err().contains("not known"));
    }
}
