//! A value made to fit a schema: every attribute is there, numbers are numbers, sets have
//! one order.
//!
//! Owns nothing.

use super::{Attribute, Kind};
use crate::value::msgpack::number_in;
use crate::value::{Object, Value};

/// An object with exactly these attributes; what is not said of one is null. Null and
/// unknown stay what they are.
pub fn object(attributes: &[Attribute], value: Value) -> Value {
    let Value::Map(mut said) = value else {
        return value;
    };
    let all = attributes.iter().map(|attribute| {
        let value = said.remove(attribute.name).unwrap_or(Value::Null);
        (attribute.name.to_owned(), fit(&attribute.kind, value))
    });
    Value::Map(all.collect::<Object>())
}

fn fit(kind: &Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Number, Value::Text(text)) => number_in(&text).unwrap_or(Value::Text(text)),
        (Kind::List(of), Value::List(all)) => each(of, all),
        (Kind::Set(of), Value::List(all)) => {
            let Value::List(mut all) = each(of, all) else {
                return Value::Null;
            };
            all.sort_by_key(|value| format!("{value:?}"));
            Value::List(all)
        }
        (Kind::Map(of), Value::Map(all)) => {
            let all = all.into_iter();
            Value::Map(all.map(|(name, value)| (name, fit(of, value))).collect())
        }
        (Kind::Object(attributes), value @ Value::Map(_)) => object(attributes, value),
        (Kind::Objects(attributes), Value::List(all)) => {
            let all = all.into_iter();
            Value::List(all.map(|value| object(attributes, value)).collect())
        }
        (_, value) => value,
    }
}

fn each(of: &Kind, all: Vec<Value>) -> Value {
    Value::List(all.into_iter().map(|value| fit(of, value)).collect())
}
