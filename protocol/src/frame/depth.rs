//! How deep JSON text is nested, in one pass over its bytes and without a tree.

/// Deepest nesting of JSON data. What is stored is relayed to everybody, inside of a
/// frame with two levels of its own, and the usual parsers follow 127 levels
/// (serde_json) or more: one that gives up loses the whole frame, and meets it again
/// each time it resumes.
pub const JSON_DEPTH_MAX: usize = 120;

/// Levels of arrays and objects in JSON text; 0 for anything else. The text must be
/// valid: of other text the number means nothing.
pub fn json_depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Goes past the end of a string whose first quote has been read.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            r#"[\[\]{}"\\a]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            let key = r#"[\[\]{}"\\a]{0,4}"#;
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    /// The depth of the tree.
    fn levels(value: &Value) -> usize {
        let below = match value {
            Value::Array(list) => list.iter().map(levels).max(),
            Value::Object(map) => map.values().map(levels).max(),
            _ => return 0,
        };
        1 + below.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn bytes_tell_what_a_tree_would(value in value()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(json_depth(text.as_bytes()), levels(&value));
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(json_depth(&bytes) <= bytes.len());
        }
    }

    #[test]
    fn a_frame_around_the_deepest_data_is_followed_by_the_usual_parsers() {
        let data = ["[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX)].concat();
        let frame = format!(r#"{{"event":{{"data":{data}}}}}"#);
        assert!(serde_json::from_str::<Value>(&frame).is_ok());
    }
}
