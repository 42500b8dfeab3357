//! Values as JSON: the way into the project's own types and back, and an old state.
//!
//! Owns nothing.

use serde_json::{Map, Number};

use super::Value;
use super::msgpack::number_of;

/// A known value as JSON. What is not said is left out of objects, as all of our types
/// take it; what is not known is not said.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null | Value::Unknown => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => whole(*number).map_or(serde_json::Value::Null, Into::into),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(all) => all.iter().map(to_json).collect::<Vec<_>>().into(),
        Value::Map(all) => {
            let said = all.iter().filter(|(_, value)| !value.is_null());
            let said = said.map(|(name, value)| (name.clone(), to_json(value)));
            said.collect::<Map<_, _>>().into()
        }
    }
}

fn whole(number: i128) -> Option<Number> {
    let small = i64::try_from(number).ok().map(Number::from);
    small.or_else(|| u64::try_from(number).ok().map(Number::from))
}

/// A value from JSON.
pub fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number.into()),
            (_, Some(number)) => Value::Int(number.into()),
            _ => number_of(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(all) => Value::List(all.iter().map(from_json).collect()),
        serde_json::Value::Object(all) => {
            let all = all
                .iter()
                .map(|(name, json)| (name.clone(), from_json(json)));
            Value::Map(all.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_back() {
        let json = serde_json::json!({
            "a": [1, -2, 0.5, u64::MAX], "b": {"c": "d", "e": true}, "f": {}
        });
        assert_eq!(to_json(&from_json(&json)), json);
        let nothing = serde_json::json!({"a": null, "b": {"c": null}});
        assert_eq!(to_json(&from_json(&nothing)), serde_json::json!({"b": {}}));
    }
}
