//! As much of JSON Schema (2020-12) as the OpenAPI document uses. A keyword that is not
//! known here is an error: a schema that is not looked at would check nothing.

use serde_json::Value;

/// Keywords that say nothing about a value, or are looked at beside another.
const SILENT: [&str; 5] = [
    "description",
    "default",
    "items",
    "additionalProperties",
    "properties",
];

/// Whether a value fits a schema of a document, or why not.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return Err(format!("no schema: {schema}"));
    };
    let number = |limit: &Value| limit.as_u64().expect("limits are numbers");
    let length = || match value {
        Value::String(text) => Some(text.chars().count() as u64),
        Value::Array(items) => Some(items.len() as u64),
        Value::Object(fields) => Some(fields.len() as u64),
        _ => None,
    };
    for (keyword, argument) in keywords {
        let holds = match keyword.as_str() {
            "$ref" => {
                let pointer = argument.as_str().and_then(|text| text.strip_prefix('#'));
                let schema = pointer.and_then(|pointer| document.pointer(pointer));
                fits(document, schema.ok_or("a reference leads nowhere")?, value)?;
                true
            }
            "oneOf" => {
                let schemas = argument.as_array().ok_or("oneOf has no list")?;
                let fit = schemas.iter().map(|schema| fits(document, schema, value));
                fit.filter(Result::is_ok).count() == 1
            }
            "type" => is(argument.as_str().unwrap_or_default(), value),
            "enum" => argument.as_array().is_some_and(|list| list.contains(value)),
            "minimum" => value.as_u64().is_none_or(|have| have >= number(argument)),
            "minLength" | "minItems" => length().is_none_or(|have| have >= number(argument)),
            "maxLength" | "maxItems" | "maxProperties" => {
                length().is_none_or(|have| have <= number(argument))
            }
            "required" => {
                let names = argument.as_array().into_iter().flatten();
                names
                    .filter_map(Value::as_str)
                    .all(|name| value.get(name).is_some())
            }
            silent if SILENT.contains(&silent) => true,
            other => return Err(format!("the keyword {other} is not known here")),
        };
        if !holds {
            return Err(format!("{keyword} {argument} does not hold for {value}"));
        }
    }
    inside(document, schema, value)
}

/// The parts of a value, each by its own schema.
fn inside(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        list.iter()
            .try_for_each(|item| fits(document, items, item))?;
    }
    let known = schema.get("properties");
    for (name, part) in value.as_object().into_iter().flatten() {
        match (
            known.and_then(|known| known.get(name)),
            schema.get("additionalProperties"),
        ) {
            (Some(schema), _) => fits(document, schema, part)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is not known")),
            (None, Some(schema)) if schema.is_object() => fits(document, schema, part)?,
            (None, _) => {}
        }
    }
    Ok(())
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => false,
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let document = serde_json::json!({"components": {"schemas": {"A": {
        "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": {"n": {"type": "integer", "minimum": 2}, "l": {"type": "array", "items": {"enum": ["x"]}}}
    }}}});
    let schema = serde_json::json!({"$ref": "#/components/schemas/A"});
    let check = |text: &str, good: bool| {
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(fits(&document, &schema, &value).is_ok(), good, "{text}");
    };
    check(r#"{"n":2,"l":["x"]}"#, true);
    for text in [
        "1",
        "{}",
        r#"{"n":1}"#,
        r#"{"n":"2"}"#,
        r#"{"n":2,"m":1}"#,
        r#"{"n":2,"l":["y"]}"#,
    ] {
        check(text, false);
    }
    let unknown = serde_json::json!({"patern": "x"});
    assert!(fits(&document, &unknown, &Value::Null).is_err());
}
