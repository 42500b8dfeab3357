//! Specs: what was stored before is read, limits hold.

use super::*;
use crate::class::{Class, Classes};

/// As they were written before versions were counted.
const OLD: &str = r#"{"name":"gate","store":"main","trigger":"gate","digest":
    "0000000000000000000000000000000000000000000000000000000000000000"}"#;

#[test]
fn specs_that_were_stored_before_stay_readable() {
    let spec: FunctionSpec = serde_json::from_str(OLD).unwrap();
    assert_eq!((spec.version, spec.incarnation), (0, 0));
    assert!(spec.paused.is_none() && spec.deployed.is_none() && !spec.loops);
    assert!(spec.canary.is_none() && spec.then.is_empty());
    let old = r#"{"name":"chat","store":"main","path":"direct"}"#;
    let spec: NamespaceSpec = serde_json::from_str(old).unwrap();
    assert_eq!(spec.written, None);
    assert_eq!(spec.classes, Classes::DURABLE);
    assert!(!serde_json::to_string(&spec).unwrap().contains("classes"));
}

#[test]
fn a_namespace_says_which_classes_it_allows() {
    let text = |classes: &str| {
        format!(r#"{{"name":"cursor","store":"main","path":"direct","classes":{classes}}}"#)
    };
    let spec: NamespaceSpec = serde_json::from_str(&text(r#"["ephemeral"]"#)).unwrap();
    assert!(spec.allows(Class::Ephemeral) && !spec.allows(Class::Durable));
    assert!(serde_json::from_str::<NamespaceSpec>(&text("[]")).is_err());
}

#[test]
fn ephemeral_events_alone_are_conflated_by_a_header_that_may_be() {
    let spec = |classes: &str, header: &str| {
        let text = format!(
            r#"{{"name":"cursor","store":"main","path":"direct","classes":["{classes}"],"conflate":"{header}"}}"#
        );
        serde_json::from_str::<NamespaceSpec>(&text).unwrap()
    };
    assert_eq!(spec("ephemeral", "player-1").check(), Ok(()));
    for (classes, header) in [
        ("durable", "player"),
        ("ephemeral", "Player"),
        ("ephemeral", ""),
    ] {
        assert_eq!(spec(classes, header).check().unwrap_err().field, "conflate");
    }
}

#[test]
fn lists_and_settings_within_and_beyond_their_limits() {
    let fine: FunctionSpec = serde_json::from_str(OLD).unwrap();
    let pattern = ChannelPattern::parse("chat.>").unwrap();
    let full = vec![pattern.clone(); PATTERNS_MAX];
    let mut most = fine.clone();
    most.config
        .insert("a".into(), "x".repeat(CONFIG_BYTES_MAX - 1));
    (most.emits, most.trigger) = (full.clone(), Trigger::Reactive(full));
    assert_eq!(most.check(), Ok(()));
    let refused = |change: &dyn Fn(&mut FunctionSpec)| {
        let mut spec = most.clone();
        change(&mut spec);
        spec.check().unwrap_err().field
    };
    let setting = |spec: &mut FunctionSpec| drop(spec.config.insert("b".into(), "".into()));
    assert_eq!(refused(&setting), "config");
    assert_eq!(refused(&|spec| spec.emits.push(pattern.clone())), "emits");
    let over = vec![pattern.clone(); PATTERNS_MAX + 1];
    let over = |spec: &mut FunctionSpec| spec.trigger = Trigger::Reactive(over.clone());
    assert_eq!(refused(&over), "trigger");
    most.headers.demand("room", "blue");
    assert_eq!(most.check(), Ok(()));
    most.headers.demand("Room", "blue");
    assert_eq!(most.check().unwrap_err().field, "headers");
    let mut gate = fine;
    gate.headers.demand("room", "blue");
    assert_eq!(gate.check().unwrap_err().field, "headers");
}

#[test]
fn the_key_of_a_version_is_no_name() {
    let name = FunctionName::parse("gate").unwrap();
    let key = key::version(&name, 12);
    assert!(FunctionName::parse(&key).is_err());
    assert_eq!(key::parse_version(&key), Some((name, 12)));
    for other in ["gate", "gate.", "gate.x", ".1"] {
        assert_eq!(key::parse_version(other), None, "{other}");
    }
}

#[test]
fn a_reactive_function_handles_lifecycle_channels_that_it_names() {
    let reactive = |pattern: &str| {
        let pattern = ChannelPattern::parse(pattern).unwrap();
        let spec: FunctionSpec = serde_json::from_str(OLD).unwrap();
        FunctionSpec {
            trigger: Trigger::Reactive(vec![pattern]),
            ..spec
        }
    };
    let told = Channel::parse("_lifecycle.room.7").unwrap();
    let handles = |pattern: &str| reactive(pattern).handles(&told, &Headers::new());
    assert!(handles("_lifecycle.room.>"));
    assert!(!handles("room.>") && !handles(">"));
}
