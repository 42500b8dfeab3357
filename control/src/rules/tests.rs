//! What may stand beside what, and what may not.

use protocol::checkpoint::Digest;
use protocol::class::Classes;
use protocol::position::Epoch;
use protocol::spec::StoreSpec;

use super::*;
use crate::landscape::Entry;

fn namespace(spec: &NamespaceSpec, land: &Landscape) -> Result<Vec<String>, SpecError> {
    let before = land.namespaces.get(&spec.name).map(|entry| &entry.spec);
    super::namespace(spec, before, land)
}

fn function(spec: &FunctionSpec, land: &Landscape) -> Result<Vec<String>, SpecError> {
    super::function(spec, land.last(&spec.name), land)
}

fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).unwrap()
}

fn spec(name: &str, on: &[&str], emits: &[&str]) -> FunctionSpec {
    let trigger = match on {
        [] => Trigger::Gate,
        on => Trigger::Reactive(on.iter().map(|on| pattern(on)).collect()),
    };
    let name = FunctionName::parse(name).unwrap();
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        emits: emits.iter().map(|emits| pattern(emits)).collect(),
        ..FunctionSpec::new(name, Digest::from_bytes([1; 32]), store, trigger)
    }
}

fn space(name: &str, gate: Option<&str>) -> NamespaceSpec {
    NamespaceSpec {
        name: Namespace::parse(name).unwrap(),
        store: StoreName::parse("main").unwrap(),
        path: gate.map_or(Path::Direct, |gate| {
            Path::Function(FunctionName::parse(gate).unwrap())
        }),
        classes: Classes::DURABLE,
        conflate: None,
        batch_ms: 0,
        quota_bytes: None,
        presence: None,
        written: None,
    }
}

/// A function whose ticks go to `reports.tick`, unless it is another channel.
fn scheduled(name: &str, channel: &str) -> FunctionSpec {
    let schedule = serde_json::json!({"every": "1m", "tenant": "acme", "channel": channel});
    FunctionSpec {
        trigger: Trigger::Schedule(serde_json::from_value(schedule).unwrap()),
        ..spec(name, &[], &[])
    }
}

#[test]
fn ticks_go_to_a_namespace_of_the_store_and_stay_there() {
    let report = scheduled("report", "reports.tick");
    let field = |spec: &FunctionSpec, land: &Landscape| function(spec, land).unwrap_err().field;
    assert_eq!(field(&report, &land(&[], &[])), "schedule.channel");
    let mut elsewhere = space("reports", None);
    elsewhere.store = StoreName::parse("side").unwrap();
    assert_eq!(field(&report, &land(&[elsewhere], &[])), "schedule.channel");
    let reports = space("reports", None);
    let alone = land(std::slice::from_ref(&reports), &[]);
    assert_eq!(function(&report, &alone), Ok(Vec::new()));
    let deployed = land(
        std::slice::from_ref(&reports),
        std::slice::from_ref(&report),
    );
    let moved = scheduled("report", "reports.other");
    assert_eq!(field(&moved, &deployed), "schedule.channel");
    let anew = FunctionSpec {
        incarnation: 1,
        ..moved
    };
    assert_eq!(function(&anew, &deployed), Ok(Vec::new()));
    let reactive = spec("report", &["reports.>"], &[]);
    assert_eq!(field(&reactive, &deployed), "on", "another kind");
    let removal = removal_of_namespace(&reports.name, &deployed).unwrap_err();
    assert!(removal.problem.contains("ticks of report"), "{removal}");
    // What emits to the channel feeds nobody: only ticks are handled.
    let feeds = spec("other", &["doc.>"], &["reports.>"]);
    let doc = space("doc", None);
    let all = land(&[reports, doc], &[report]);
    assert!(function(&feeds, &all).is_ok());
}

#[test]
fn a_function_on_a_schedule_is_no_gate() {
    let report = scheduled("report", "reports.tick");
    let land = land(&[space("reports", None)], &[report]);
    let gated = space("room", Some("report"));
    let refused = namespace(&gated, &land).unwrap_err();
    assert!(
        refused.field == "gate" && refused.problem.contains("schedule"),
        "{refused}"
    );
}

/// Two stores, and these things in `main`.
fn land(namespaces: &[NamespaceSpec], functions: &[FunctionSpec]) -> Landscape {
    let mut land = Landscape::default();
    for name in ["main", "side"] {
        let name = StoreName::parse(name).unwrap();
        let epoch = Epoch::from_random(1);
        let lanes = 4;
        land.stores
            .insert(name.clone(), StoreSpec { name, lanes, epoch });
    }
    for spec in namespaces.iter().cloned() {
        let entry = Entry { spec, revision: 1 };
        land.namespaces.insert(entry.spec.name.clone(), entry);
    }
    for spec in functions.iter().cloned() {
        let entry = Entry { spec, revision: 1 };
        land.functions.insert(entry.spec.name.clone(), entry);
    }
    land
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, SpecError>, field: &str, says: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.field, field, "{error}");
    assert!(error.problem.contains(says), "{error}");
}

#[test]
fn a_namespace_keeps_its_way() {
    let land = land(&[space("chat", None), space("doc", Some("g"))], &[]);
    assert_eq!(namespace(&space("chat", None), &land), Ok(Vec::new()));
    refused(
        namespace(&space("chat", Some("g")), &land),
        "gate",
        "another name",
    );
    refused(
        namespace(&space("doc", None), &land),
        "gate",
        "another name",
    );
    refused(
        namespace(&space("doc", Some("h")), &land),
        "gate",
        "under the name g",
    );
    for (store, says) in [("side", "for good"), ("nowhere", "main, side")] {
        let mut moved = space("chat", None);
        moved.store = StoreName::parse(store).unwrap();
        refused(namespace(&moved, &land), "store", says);
    }
}

#[test]
fn a_gate_that_is_not_deployed_is_allowed_and_told() {
    let doc = space("doc", Some("g"));
    let told = namespace(&doc, &land(&[], &[])).unwrap();
    assert!(told[0].contains("g is not deployed"), "{told:?}");
    let deployed = land(&[], &[spec("g", &[], &[])]);
    assert_eq!(namespace(&doc, &deployed), Ok(Vec::new()));
    let reactive = land(&[], &[spec("g", &["chat.>"], &[])]);
    refused(namespace(&doc, &reactive), "gate", "reactive");
    let mut elsewhere = spec("g", &[], &[]);
    elsewhere.store = StoreName::parse("side").unwrap();
    let elsewhere = land(&[], &[elsewhere]);
    refused(namespace(&doc, &elsewhere), "gate", "side");
}

#[test]
fn what_others_name_is_not_removed() {
    let all = land(
        &[space("doc", Some("g")), space("chat", None)],
        &[spec("g", &[], &["chat.>"])],
    );
    let name = |text: &str| Namespace::parse(text).unwrap();
    let gate = FunctionName::parse("g").unwrap();
    refused(removal_of_function(&gate, &all), "name", "gate of doc");
    refused(
        removal_of_namespace(&name("chat"), &all),
        "name",
        "g may emit",
    );
    assert_eq!(removal_of_namespace(&name("doc"), &all), Ok(()));
    assert_eq!(removal_of_function(&gate, &land(&[], &[])), Ok(()));
}

#[test]
fn destinations_are_namespaces_of_the_same_store() {
    let mut far = space("far", None);
    far.store = StoreName::parse("side").unwrap();
    let land = land(&[space("chat", None), far], &[]);
    assert!(function(&spec("f", &["chat.>"], &["chat.a"]), &land).is_ok());
    let emits = |to: &str| function(&spec("f", &["chat.>"], &[to]), &land);
    refused(emits("nowhere.a"), "emits", "no namespace nowhere");
    refused(emits(">"), "emits", "begin with a namespace");
    refused(emits("far.a"), "emits", "side");
    refused(function(&spec("f", &["far.>"], &[]), &land), "on", "side");
    let told = function(&spec("f", &["later.>"], &[]), &land).unwrap();
    assert!(told[0].contains("no namespace later yet"), "{told:?}");
}

#[test]
fn a_function_keeps_its_kind_and_its_store_unless_it_begins_anew() {
    let was = spec("f", &["chat.>"], &[]);
    let land = land(&[space("chat", None)], std::slice::from_ref(&was));
    refused(function(&spec("f", &[], &[]), &land), "on", "--restart");
    let mut moved = was.clone();
    moved.store = StoreName::parse("side").unwrap();
    moved.trigger = Trigger::Reactive(vec![pattern("*.a")]);
    refused(function(&moved, &land), "store", "--restart");
    moved.incarnation = 1;
    assert!(function(&moved, &land).is_ok());
    // A removed one is remembered by the versions that are kept of it.
    let mut removed = land.clone();
    removed.functions.clear();
    let kept = [(3, was.clone())].into();
    removed.versions.insert(was.name.clone(), kept);
    refused(function(&spec("f", &[], &[]), &removed), "on", "--restart");
}

#[test]
fn a_gate_of_a_namespace_cannot_become_anything_else() {
    let land = land(&[space("doc", Some("g"))], &[]);
    refused(function(&spec("g", &["doc.>"], &[]), &land), "on", "doc");
    assert_eq!(function(&spec("g", &[], &[]), &land), Ok(Vec::new()));
    let told = function(&spec("h", &[], &[]), &land).unwrap();
    assert!(told[0].contains("--gate h"), "{told:?}");
}

#[test]
fn circles_are_refused_unless_they_are_declared() {
    let spaces = ["a", "b", "c"].map(|name| space(name, None));
    let one = spec("one", &["a.>"], &["b.>"]);
    let two = spec("two", &["b.*"], &["c.x"]);
    let all = land(&spaces, &[one, two]);
    let back = |emits: &str| spec("three", &["c.>"], &[emits]);
    refused(
        function(&back("a.y"), &all),
        "emits",
        "three -> one -> two -> three",
    );
    let mut meant = back("a.y");
    meant.loops = true;
    assert_eq!(function(&meant, &all), Ok(Vec::new()));
    // Its own events it never handles, and a gate handles none that are stored.
    assert_eq!(function(&back("c.z"), &all), Ok(Vec::new()));
    assert!(function(&spec("gate", &[], &["a.>"]), &all).is_ok());
}
