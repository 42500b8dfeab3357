//! Looking into a tree, and when two values are the same.

use crate::parse;

use super::*;

fn node(text: &str) -> Node<'_> {
    parse(text.as_bytes()).unwrap()
}

#[test]
fn pointers_find_their_node() {
    let root = node(r#"{"a":[{"b":1}],"x/y":2,"m~n":3,"":4,"0":5}"#);
    for (pointer, found) in [
        ("/a/0/b", Some("1")),
        ("/x~1y", Some("2")),
        ("/m~0n", Some("3")),
        ("/", Some("4")),
        ("/0", Some("5")),
        ("/a/1", None),
        ("/a/00", None),
        ("/a/-", None),
        ("/a/+0", None),
        ("/b", None),
        ("/0/0", None),
        ("a", None),
    ] {
        let node = root.pointer(pointer).and_then(Node::scalar);
        assert_eq!(node, found, "{pointer}");
    }
    assert_eq!(root.pointer(""), Some(&root));
}

#[test]
fn equal_values_share_one_canonical_text_and_others_do_not() {
    let same = |a: &str, b: &str| node(a).canonical() == node(b).canonical();
    assert!(same(r#"{"a":1,"b":[1.0]}"#, r#"{"b":[1],"a":10e-1}"#));
    assert!(same(r#""a""#, r#""\u0061""#));
    for (a, b) in [
        ("1", "\"1\""),
        ("null", "\"n\""),
        ("[]", "{}"),
        ("[[],[]]", "[[[]]]"),
        ("[1,2]", "[12]"),
        (r#"["a","b"]"#, r#"["a\",\"b"]"#),
        (r#"["1:a"]"#, r#"["a"]"#),
        (r#"{"a":{}}"#, r#"{"a":[]}"#),
        ("[1,2]", "[2,1]"),
    ] {
        assert!(!same(a, b), "{a} {b}");
    }
}
