//! The same writes in any order make the same object.

use proptest::prelude::*;

use super::*;

fn stamp(version: u64, user: u8) -> Stamp {
    Stamp {
        version: Decimal::read(&version.to_string()),
        user: format!("user-{user}"),
    }
}

fn members(text: &str) -> Members<'_> {
    match json_tree::parse(text.as_bytes()).unwrap() {
        Node::Object(members) => members,
        other => panic!("{other:?}"),
    }
}

fn shown(merged: &Merged<'_>) -> String {
    String::from_utf8(bytes(&merged.show(Some("v")))).unwrap()
}

#[test]
fn a_field_that_was_taken_away_is_not_brought_back_by_an_older_write() {
    let mut merged = Merged::default();
    merged.write_fields(&stamp(1, 0), members(r#"{"a":1,"b":{"c":1.50}}"#));
    merged.write_fields(&stamp(3, 0), members(r#"{"a":null}"#));
    assert_eq!(shown(&merged), r#"{"v":3,"b":{"c":1.50}}"#);
    let written = merged.write_fields(&stamp(2, 9), members(r#"{"a":2,"b":2}"#));
    assert_eq!((written.fresh, written.stale), (1, 1));
    let newer = "stale: the field \"a\" has the version 3 of user-0";
    assert_eq!(written.newer.as_deref(), Some(newer));
    assert_eq!(shown(&merged), r#"{"v":3,"b":2}"#);
    merged.write_fields(&stamp(4, 0), members(r#"{"a":4}"#));
    assert_eq!(shown(&merged), r#"{"v":4,"a":4,"b":2}"#);
}

#[test]
fn a_whole_object_takes_the_place_of_all_its_fields() {
    let mut merged = Merged::default();
    merged.replace(&stamp(2, 0), members(r#"{"b":2,"a":null}"#));
    assert_eq!(shown(&merged), r#"{"v":2,"a":null,"b":2}"#);
    let written = merged.replace(&stamp(1, 9), members("{}"));
    assert_eq!(
        written.newer.unwrap(),
        "stale: the object has the version 2 of user-0"
    );
    assert_eq!(shown(&merged), r#"{"v":2,"a":null,"b":2}"#);
    merged.replace(&stamp(2, 1), members("{}"));
    assert_eq!(shown(&merged), r#"{"v":2}"#);
    // After a change of the setting: nothing that is older than the whole comes back.
    assert_eq!(
        merged
            .write_fields(&stamp(2, 0), members(r#"{"b":1}"#))
            .stale,
        1
    );
}

#[test]
fn what_was_remembered_and_is_none_is_an_empty_object() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"fields":1}"#,
        r#"{"fields":{"a":[1,2,3]}}"#,
    ] {
        assert_eq!(shown(&Merged::read(text.as_bytes())), "{}", "{text}");
    }
}

/// A write: version, user, and for each of three fields whether it is written, and what.
type Write = (u64, u8, [Option<Option<u8>>; 3]);

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let value = proptest::option::of(proptest::option::of(any::<u8>()));
    let write = (0..6_u64, 0..4_u8, [value.clone(), value.clone(), value]);
    proptest::collection::vec(write, 0..20).prop_map(|mut writes| {
        // One user uses a version once.
        writes.sort_unstable();
        writes.dedup_by_key(|(version, user, _)| (*version, *user));
        writes
    })
}

fn text((_, _, fields): &Write) -> String {
    let named = ["a", "b", "c"].into_iter().zip(fields);
    let written = named.filter_map(|(name, value)| {
        let value = (*value)?.map_or("null".to_owned(), |value| value.to_string());
        Some(format!("\"{name}\":{value}"))
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn in_any_order_the_same_comes_out(
        (writes, other) in writes().prop_flat_map(|writes| (Just(writes.clone()), Just(writes).prop_shuffle())),
        whole: bool,
    ) {
        let run = |writes: &[Write]| {
            let mut kept = Merged::default().write();
            for write in writes {
                let (stamp, text) = (stamp(write.0, write.1), text(write));
                let mut merged = Merged::read(&kept);
                if whole {
                    merged.replace(&stamp, members(&text));
                } else {
                    merged.write_fields(&stamp, members(&text));
                }
                let written = merged.write();
                kept = written;
            }
            shown(&Merged::read(&kept))
        };
        prop_assert_eq!(run(&writes), run(&other));
    }
}
