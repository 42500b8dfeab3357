//! Values as MessagePack, in the form in which Terraform sends them: what is unknown is an
//! extension, numbers come in any form, sets are arrays.
//!
//! Owns nothing.

use std::io::Cursor;

use rmpv::Value as Wire;

use super::{Object, Value};

/// Deepest nesting that is read: more than any schema has, and far from the end of a stack.
const DEPTH_MAX: usize = 64;

/// Why bytes are no value.
#[derive(Debug, thiserror::Error)]
pub enum MsgpackError {
    /// They are no MessagePack.
    #[error("what Terraform sent is no MessagePack")]
    Wire(#[from] rmpv::decode::Error),
    /// They are, and no value that a schema can have.
    #[error("what Terraform sent is no value: {0}")]
    Value(&'static str),
}

/// Reads a value.
///
/// # Errors
/// [`MsgpackError`].
pub fn decode(bytes: &[u8]) -> Result<Value, MsgpackError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let mut rest = Cursor::new(bytes);
    let wire = rmpv::decode::read_value_with_max_depth(&mut rest, DEPTH_MAX)?;
    if rest.position() != bytes.len() as u64 {
        return Err(MsgpackError::Value("bytes are left over"));
    }
    read(wire)
}

/// Writes a value.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &write(value)).expect("a vector takes all bytes");
    bytes
}

fn read(wire: Wire) -> Result<Value, MsgpackError> {
    Ok(match wire {
        Wire::Nil => Value::Null,
        Wire::Ext(..) => Value::Unknown,
        Wire::Boolean(flag) => Value::Bool(flag),
        Wire::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number.into()),
            (None, Some(number)) => Value::Int(number.into()),
            (None, None) => return Err(MsgpackError::Value("a number out of range")),
        },
        Wire::F32(number) => number_of(number.into()),
        Wire::F64(number) => number_of(number),
        Wire::String(text) => Value::Text(
            text.into_str()
                .ok_or(MsgpackError::Value("a text that is not UTF-8"))?,
        ),
        Wire::Binary(_) => return Err(MsgpackError::Value("bytes")),
        Wire::Array(all) => {
            let all = all.into_iter().map(read);
            Value::List(all.collect::<Result<_, _>>()?)
        }
        Wire::Map(all) => {
            let all = all.into_iter().map(|(key, value)| {
                let Wire::String(key) = key else {
                    return Err(MsgpackError::Value("a key that is no text"));
                };
                let key = key.into_str();
                let key = key.ok_or(MsgpackError::Value("a key that is not UTF-8"))?;
                Ok((key, read(value)?))
            });
            Value::Map(all.collect::<Result<Object, _>>()?)
        }
    })
}

/// A number that is whole is one, in whatever form it came: 50 and 50.0 are the same to
/// Terraform.
pub(super) fn number_of(number: f64) -> Value {
    /// Beyond, not every whole number has a form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.fract() == 0.0 && number.abs() <= EXACT {
        true => Value::Int(number as i128),
        false => Value::Float(number),
    }
}

/// The number that a text stands for, which is how Terraform sends what fits no other form.
pub fn number_in(text: &str) -> Option<Value> {
    let whole = text.parse::<i128>().ok().map(Value::Int);
    whole.or_else(|| text.parse().ok().map(number_of))
}

fn write(value: &Value) -> Wire {
    match value {
        Value::Null => Wire::Nil,
        Value::Unknown => Wire::Ext(0, vec![0]),
        Value::Bool(flag) => Wire::Boolean(*flag),
        Value::Int(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => Wire::from(number),
            (_, Ok(number)) => Wire::from(number),
            // As Terraform itself writes what fits no integer of MessagePack.
            _ => Wire::from(number.to_string()),
        },
        Value::Float(number) => Wire::F64(*number),
        Value::Text(text) => Wire::from(text.as_str()),
        Value::List(all) => Wire::Array(all.iter().map(write).collect()),
        Value::Map(all) => {
            let all = all.iter();
            Wire::Map(
                all.map(|(key, value)| (Wire::from(key.as_str()), write(value)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(Value::Unknown),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| Value::Int(number.into())),
            any::<u64>().prop_map(Value::from),
            (-1e6..1e6f64).prop_map(number_of),
            ".{0,12}".prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                proptest::collection::btree_map("[a-z_]{1,6}", inner, 0..5).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in values()) {
            prop_assert_eq!(decode(&encode(&value)).unwrap(), value);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn unknown_is_any_extension_and_numbers_come_in_any_form() {
        for refined in [vec![0xd4, 0, 0], vec![0xc7, 2, 12, 1, 2]] {
            assert_eq!(decode(&refined).unwrap(), Value::Unknown);
        }
        assert_eq!(
            decode(&[0xcb, 0x40, 0x49, 0, 0, 0, 0, 0, 0]).unwrap(),
            Value::Int(50)
        );
        assert_eq!(number_in("50"), Some(Value::Int(50)));
        assert_eq!(number_in("0.5"), Some(Value::Float(0.5)));
        assert_eq!(number_in("x"), None);
        assert_eq!(decode(&[]).unwrap(), Value::Null);
        assert!(decode(&[0xc0, 0xc0]).is_err(), "bytes are left over");
    }
}
