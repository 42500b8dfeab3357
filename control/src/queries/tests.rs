//! Which parts of the mirror a function's history is in.

use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, StoreName};
use protocol::spec::NamespaceSpec;

use super::*;
use crate::landscape::Entry;

fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).unwrap()
}

fn spec(on: &[&str], emits: &[&str]) -> FunctionSpec {
    let trigger = match on {
        [] => Trigger::Gate,
        on => Trigger::Reactive(on.iter().map(|on| pattern(on)).collect()),
    };
    let name = FunctionName::parse("own").unwrap();
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        emits: emits.iter().map(|emits| pattern(emits)).collect(),
        ..FunctionSpec::new(name, Digest::from_bytes([1; 32]), store, trigger)
    }
}

/// Namespaces, of which one is gated by the function, one by another and one is of another
/// store.
fn land() -> Landscape {
    let mut land = Landscape::default();
    for (name, gate, store) in [
        ("doc", Some("own"), "main"),
        ("lab", Some("other"), "main"),
        ("chat", None, "main"),
        ("far", Some("own"), "side"),
    ] {
        let spec = NamespaceSpec {
            name: Namespace::parse(name).unwrap(),
            store: StoreName::parse(store).unwrap(),
            path: gate.map_or(Path::Direct, |gate| {
                Path::Function(FunctionName::parse(gate).unwrap())
            }),
            classes: Default::default(),
            conflate: None,
            batch_ms: 0,
            quota_bytes: None,
            presence: None,
            written: None,
        };
        land.namespaces
            .insert(spec.name.clone(), Entry { spec, revision: 1 });
    }
    land
}

fn told(queries: Vec<Query>) -> Vec<String> {
    let line = |query: Query| {
        let whole = if query.whole_namespace { " whole" } else { "" };
        format!("{:?} {}{whole}", query.asked, query.channels)
    };
    queries.into_iter().map(line).collect()
}

#[test]
fn a_gates_inputs_are_those_of_its_namespaces() {
    let queries = Queries::new(&land(), &spec(&[], &["chat.>"]), None);
    assert_eq!(told(queries.inputs()), ["Inputs doc.> whole"]);
    assert_eq!(
        told(queries.told()),
        [
            "Events chat.> whole",
            "Events doc.> whole",
            "Outcomes doc.> whole"
        ]
    );
    let letters = [r#"DeadLetters("own") doc.> whole"#];
    assert_eq!(told(queries.letters()), letters);
}

#[test]
fn one_that_is_named_is_read_whoever_has_it_now() {
    let wanted = pattern("lab.a");
    let queries = Queries::new(&land(), &spec(&[], &[]), Some(&wanted));
    assert_eq!(told(queries.inputs()), ["Inputs lab.a"]);
    assert_eq!(
        told(queries.told()),
        ["Events lab.> whole", "Outcomes lab.a"]
    );
    let wanted = pattern("*.a");
    let queries = Queries::new(&land(), &spec(&[], &[]), Some(&wanted));
    assert_eq!(told(queries.inputs()), ["Inputs doc.> whole"]);
}

#[test]
fn a_reactive_functions_inputs_are_events() {
    let inputs = |on: &[&str]| told(Queries::new(&land(), &spec(on, &[]), None).inputs());
    assert_eq!(inputs(&["chat.a.*"]), ["Events chat.a.*"]);
    assert_eq!(inputs(&["chat.a", "chat.b"]), ["Events chat.> whole"]);
    assert_eq!(
        inputs(&["*.a"]),
        [
            "Events chat.> whole",
            "Events doc.> whole",
            "Events lab.> whole"
        ]
    );
    let queries = Queries::new(&land(), &spec(&["chat.a"], &["doc.>"]), None);
    assert_eq!(
        told(queries.told()),
        ["Events chat.> whole", "Events doc.> whole"]
    );
}

#[test]
fn outputs_are_where_any_version_could_emit() {
    let mut land = land();
    let entry = Entry {
        spec: spec(&["chat.a"], &["doc.>"]),
        revision: 1,
    };
    land.functions.insert(entry.spec.name.clone(), entry);
    let before = (3, spec(&["chat.a"], &["lab.>"]));
    let name = FunctionName::parse("own").unwrap();
    land.versions.insert(name, [before].into());
    let queries = Queries::new(&land, &spec(&["chat.a"], &[]), None);
    assert_eq!(
        told(queries.told()),
        [
            "Events chat.> whole",
            "Events doc.> whole",
            "Events lab.> whole"
        ]
    );
}
