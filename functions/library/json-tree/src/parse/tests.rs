//! What is read as JSON is what `serde_json` reads, but for members that come twice.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// Documents, and texts that are nearly such.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just(" ".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        "\"[a-c]?\"",
        r#""(\\u[dD8][0-9a-c]{3}|\\[nux"]|.){0,3}""#,
        r"-?[0-2]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A well-formed document, with every member of an object once.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

fn written(node: &Node<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_document_comes_out_as_it_went_in() {
    let text = r#"{"z":1.00,"a":[-0,1e400,12345678901234567890123,"é\n\u0000\"/"],"":{},"n":null,"t":[true,false,[]]}"#;
    let node = parse(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(written(&node)).unwrap(), text);
    assert_eq!(parse(text.as_bytes()).unwrap().into_owned(), node);
    let spaced = " { \"z\" : [ 1 , 2 ] }\n";
    assert_eq!(
        written(&parse(spaced.as_bytes()).unwrap()),
        b"{\"z\":[1,2]}"
    );
    assert_eq!(parse(br#""\ud83d\ude00\/""#).unwrap().text(), Some("😀/"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, error) in [
        ("", "a value is missing at byte 0"),
        ("[1,]", "no value begins like this at byte 3"),
        ("[1 2]", "`,` or `]` is missing at byte 3"),
        ("{\"a\" 1}", "`:` is missing at byte 5"),
        ("{\"a\":1,}", "the name of a member is missing at byte 7"),
        ("{\"a\":1,\"\\u0061\":2}", "a member comes twice at byte 7"),
        ("{\"a\":1", "`,` or `}` is missing at byte 6"),
        ("\"a", "a string does not end at byte 0"),
        ("\"a\\", "a string does not end at byte 0"),
        ("\"\n\"", "a control character in a string at byte 1"),
        ("\"\\ud800\"", "a string with a wrong escape at byte 0"),
        ("1.", "a digit is missing at byte 2"),
        ("01", "something follows the value at byte 1"),
        ("nul", "no value begins like this at byte 0"),
        ("NaN", "no value begins like this at byte 0"),
    ] {
        assert_eq!(
            parse(text.as_bytes()).unwrap_err().to_string(),
            error,
            "{text}"
        );
    }
    assert_eq!(
        parse(b"\"\xff\"").unwrap_err().to_string(),
        "not utf-8 at byte 1"
    );
}

#[test]
fn members_that_come_twice_are_found_among_many() {
    let object = |names: &[usize]| {
        let members: Vec<_> = names.iter().map(|name| format!("\"{name}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    for count in [1, SET_FROM - 1, SET_FROM, SET_FROM + 1, 100] {
        let mut names: Vec<usize> = (0..count).collect();
        assert!(parse(object(&names).as_bytes()).is_ok(), "{count}");
        for twice in [0, count / 2, count - 1] {
            names.push(twice);
            assert!(parse(object(&names).as_bytes()).is_err(), "{count} {twice}");
            names.pop();
        }
    }
}

#[test]
fn the_deepest_document_is_read_and_one_level_more_is_not() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    let error = parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "over 128 levels at byte 128");
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _either = parse(&data);
    }

    #[test]
    fn it_is_json_where_serde_says_so(text in text()) {
        let ours = parse(text.as_bytes());
        match serde_json::from_str::<&RawValue>(&text) {
            Ok(_) => {
                let twice = matches!(&ours, Err(error) if error.problem.contains("twice"));
                // Of escapes that are skipped, `serde_json` does not look at the pairs.
                let pair = matches!(&ours, Err(error) if error.problem.contains("escape"));
                prop_assert!(ours.is_ok() || twice || pair, "{} {:?}", text, ours);
            }
            Err(error) => prop_assert!(ours.is_err(), "{} {}", text, error),
        }
    }

    #[test]
    fn documents_are_written_as_serde_writes_them(value in document()) {
        let text = serde_json::to_vec(&value).unwrap();
        let node = parse(&text).unwrap();
        prop_assert_eq!(written(&node), text);
    }
}
