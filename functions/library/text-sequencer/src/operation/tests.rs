//! What an edit does, and that two edits at once have one outcome.

use proptest::prelude::*;

use super::*;

fn operation(text: &str) -> Operation {
    Operation::read(&json_tree::parse(text.as_bytes()).unwrap()).unwrap()
}

fn written(operation: &Operation) -> String {
    let mut bytes = Vec::new();
    operation.node().write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn edits(ops: &str, text: &str, edited: Option<&str>) {
    assert_eq!(operation(ops).apply(text).as_deref(), edited, "{ops}");
}

#[test]
fn characters_are_code_points() {
    edits(r#"[1,"ö",-1]"#, "größer", Some("göößer"));
    edits(r#"[1,"👍"]"#, "👩‍👧", Some("👩👍‍👧"));
    edits("[2,-1]", "a💬b", Some("a💬"));
    edits("[3,-1]", "a💬b", None);
    edits("[4]", "a💬b", Some("a💬b"));
    edits(r#"["x"]"#, "", Some("x"));
    assert_eq!(operation("[2,-1]").length_before(2), Some(3));
    assert_eq!(operation(r#"["👩‍👧"]"#).length_before(2), None);
}

#[test]
fn there_is_one_form_of_each_edit() {
    for (ops, form) in [
        ("[1,2]", "[]"),
        (r#"["a","b",1,2,-3,-4,5]"#, r#"["ab",3,-7]"#),
        (r#"[-3,"a"]"#, r#"["a",-3]"#),
        (r#"["a",-3,"b",-1,"c"]"#, r#"["abc",-4]"#),
        (r#"[0,"",-0]"#, "[]"),
    ] {
        assert_eq!(written(&operation(ops)), form, "{ops}");
    }
}

#[test]
fn what_is_no_edit_is_named() {
    for (text, problem) in [
        ("{}", "must be an array"),
        (r#"[1,null]"#, "part 2: "),
        ("[1.0]", "part 1: "),
        ("[1e2]", "part 1: "),
        ("[\"a\",1048577]", "part 2: "),
        ("[-1048577]", "part 1: "),
        ("[99999999999999999999999]", "part 1: "),
    ] {
        let node = json_tree::parse(text.as_bytes()).unwrap();
        let told = Operation::read(&node).unwrap_err();
        assert!(told.starts_with(problem), "{text}: {told}");
    }
    let parts = |count| format!("[{}]", vec!["1"; count].join(","));
    operation(&parts(PARTS_MAX));
    let many = parts(PARTS_MAX + 1);
    let node = json_tree::parse(many.as_bytes()).unwrap();
    assert_eq!(Operation::read(&node).unwrap_err(), "over 1000 parts");
    assert!(Operation::read_kept(&node).is_some());
}

#[test]
fn two_at_one_place_stand_in_the_order_of_the_sides() {
    let (a, b) = (operation(r#"[1,"a"]"#), operation(r#"[1,"b"]"#));
    assert_eq!(written(&a.transform(&b, Side::Before)), r#"[1,"a"]"#);
    assert_eq!(written(&a.transform(&b, Side::Behind)), r#"[2,"a"]"#);
    let (a, b) = (operation("[1,-3]"), operation("[2,-5]"));
    assert_eq!(written(&a.transform(&b, Side::Before)), "[1,-1]");
    assert_eq!(written(&b.transform(&a, Side::Before)), "[1,-3]");
}

/// A text, and edits of it: parts from numbers.
fn edit(length: usize) -> impl Strategy<Value = Operation> {
    let part = (0..3_u8, 0..6_usize, "[aö💬]{1,3}");
    proptest::collection::vec(part, 0..8).prop_map(move |parts| {
        let (mut operation, mut left) = (Operation::default(), length);
        for (kind, count, text) in parts {
            let count = count.min(left);
            operation.push(match kind {
                0 => Part::Insert(text),
                1 => Part::Retain(count),
                _ => Part::Delete(count),
            });
            left -= if kind == 0 { 0 } else { count };
        }
        operation.trimmed()
    })
}

fn two_edits() -> impl Strategy<Value = (String, Operation, Operation)> {
    "[a-zö💬]{0,20}".prop_flat_map(|text| {
        let length = count(&text);
        (Just(text), edit(length), edit(length))
    })
}

proptest! {
    /// The property that is called TP1.
    #[test]
    fn either_first_ends_with_the_same_text((text, a, b) in two_edits()) {
        let a_then_b = a.apply(&text).unwrap();
        let a_then_b = b.transform(&a, Side::Behind).apply(&a_then_b).unwrap();
        let b_then_a = b.apply(&text).unwrap();
        let b_then_a = a.transform(&b, Side::Before).apply(&b_then_a).unwrap();
        prop_assert_eq!(a_then_b, b_then_a);
    }

    #[test]
    fn an_edit_is_read_as_it_is_written((text, a, b) in two_edits()) {
        prop_assert_eq!(&operation(&written(&a)), &a);
        let transformed = a.transform(&b, Side::Behind);
        prop_assert_eq!(&operation(&written(&transformed)), &transformed);
        let edited = a.apply(&text).unwrap();
        prop_assert_eq!(a.length_before(count(&edited)), Some(count(&text)));
        prop_assert!(a.reach() <= count(&text));
    }
}
