//! Fields by pointer and by name, and a walk that takes them out.

use crate::{Node, Then, edit, parse};

use super::*;

fn fields(fields: &[&str]) -> Fields {
    let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
    Fields::new(&fields).unwrap()
}

/// What is left of a document when the fields are taken out, and their places.
fn without(document: &str, fields: &Fields) -> (String, Vec<String>) {
    let mut node = parse(document.as_bytes()).unwrap();
    let mut places = Vec::new();
    edit(&mut node, &mut |place, _| {
        if fields.contain(place) {
            places.push(place.to_string());
            Then::Remove
        } else {
            Then::Descend
        }
    });
    let mut bytes = Vec::new();
    node.write(&mut bytes).unwrap();
    (String::from_utf8(bytes).unwrap(), places)
}

#[test]
fn fields_are_found_where_they_are() {
    let document = r#"{"email":1,"user":{"Email":2,"a/b":3},"list":[{"email":4,"x":5},6,7]}"#;
    for (names, left, places) in [
        (
            &["email"][..],
            r#"{"user":{"a/b":3},"list":[{"x":5},6,7]}"#,
            &["/email", "/user/Email", "/list/0/email"][..],
        ),
        (
            &["/email", "/user/a~1b"],
            r#"{"user":{"Email":2},"list":[{"email":4,"x":5},6,7]}"#,
            &["/email", "/user/a~1b"],
        ),
        (
            &["/list/*/email", "/list/1"],
            r#"{"email":1,"user":{"Email":2,"a/b":3},"list":[{"x":5},7]}"#,
            &["/list/0/email", "/list/1"],
        ),
        (&["/*"], "{}", &["/email", "/user", "/list"]),
        (&["/user/email", "/nobody", "/list/01"], document, &[]),
    ] {
        let (rest, found) = without(document, &fields(names));
        assert_eq!(
            (rest.as_str(), found.as_slice()),
            (
                left,
                &places.iter().map(|&p| p.to_owned()).collect::<Vec<_>>()[..]
            ),
            "{names:?}"
        );
    }
}

#[test]
fn what_is_to_be_left_is_left() {
    let mut node = parse(b"[[1],[2]]").unwrap();
    let mut seen = Vec::new();
    edit(&mut node, &mut |place, node| {
        seen.push(place.to_string());
        match node {
            Node::List(items) if items.len() == 1 => Then::Leave,
            _ => Then::Descend,
        }
    });
    assert_eq!(seen, ["", "/0", "/1"]);
}

#[test]
fn an_empty_field_is_refused() {
    assert_eq!(
        Fields::new(&[String::new()]),
        Err("a field is empty".to_owned())
    );
    assert!(Fields::default().is_empty() && !fields(&["a"]).is_empty());
}
