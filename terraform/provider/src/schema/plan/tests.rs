use proptest::prelude::*;

use super::*;
use crate::schema::conform;

fn schema() -> Schema {
    let limits = vec![
        Attribute::default("deadline", Kind::Number, 50u64, "How long."),
        Attribute::default("attempts", Kind::Number, 10u64, "How often."),
    ];
    let usual = defaults(&limits);
    Schema {
        description: "For tests.",
        attributes: vec![
            Attribute::required("name", Kind::Text, "Its name.").replaces(),
            Attribute::optional("gate", Kind::Text, "Its gate."),
            Attribute::default("emits", Kind::texts(), Value::List(Vec::new()), "Where to."),
            Attribute::default("limits", Kind::Object(limits), usual, "Its limits."),
            Attribute::write_only("secret", Kind::Text, "Never kept."),
            Attribute::made("epoch", Kind::Text, "Its life."),
            Attribute::changing("revision", Kind::Number, "Its revision."),
        ],
    }
}

fn config(json: serde_json::Value) -> Value {
    conform::object(&schema().attributes, crate::value::json::from_json(&json))
}

/// What is there once a plan has been applied.
fn applied(proposal: &Proposal, revision: u64) -> Value {
    let mut state = proposal.planned.clone();
    for (name, value) in [("epoch", "e".into()), ("revision", revision.into())] {
        if state[name] == Value::Unknown {
            state.insert(name.into(), value);
        }
    }
    Value::Map(state)
}

#[test]
fn what_is_made_and_not_changed_plans_nothing() {
    let wanted = config(serde_json::json!({"name": "a", "secret": "s", "limits": {"attempts": 3}}));
    let first = propose(&schema(), &Value::Null, &wanted);
    assert!(first.changes && first.replaces.is_empty());
    assert_eq!(first.planned["epoch"], Value::Unknown);
    assert_eq!(first.planned["secret"], Value::Null, "write-only");
    assert_eq!(first.planned["limits"].get("deadline"), &Value::Int(50));
    assert_eq!(first.planned["emits"], Value::List(Vec::new()));
    let second = propose(&schema(), &applied(&first, 1), &wanted);
    assert!(!second.changes);
    assert_eq!(second.planned["revision"], Value::Int(1));
}

#[test]
fn a_change_forgets_what_changes_and_keeps_what_is_made() {
    let before = propose(
        &schema(),
        &Value::Null,
        &config(serde_json::json!({"name": "a"})),
    );
    let before = applied(&before, 1);
    let changed = config(serde_json::json!({"name": "a", "gate": "g"}));
    let update = propose(&schema(), &before, &changed);
    assert!(update.changes && update.replaces.is_empty());
    assert_eq!(update.planned["revision"], Value::Unknown);
    assert_eq!(update.planned["epoch"], Value::text("e"));
    let renamed = propose(
        &schema(),
        &before,
        &config(serde_json::json!({"name": "b"})),
    );
    assert_eq!(renamed.replaces, ["name"]);
    let mut drifted = propose(
        &schema(),
        &before,
        &config(serde_json::json!({"name": "a"})),
    );
    assert!(!drifted.changes);
    drifted.changed(&schema());
    assert_eq!(drifted.planned["revision"], Value::Unknown);
}

/// Whether a planned value is one that Terraform takes for this configuration.
fn is_taken(config: &Value, planned: &Value) -> bool {
    match (config, planned) {
        (Value::Null, _) => true,
        (Value::Map(config), Value::Map(planned)) => {
            let mut all = config.iter();
            all.all(|(name, value)| planned.get(name).is_some_and(|is| is_taken(value, is)))
        }
        (config, planned) => config == planned,
    }
}

fn numbers() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::Unknown),
        any::<u32>().prop_map(|number| Value::from(u64::from(number))),
    ]
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::Unknown),
        "[a-z]{0,4}".prop_map(Value::Text),
    ]
}

prop_compose! {
    fn configs()(
        name in "[a-z]{1,4}",
        gate in texts(),
        emits in prop_oneof![
            Just(Value::Null),
            proptest::collection::vec(texts(), 0..3).prop_map(Value::List),
        ],
        limits in prop_oneof![
            Just(Value::Null),
            Just(Value::Unknown),
            (numbers(), numbers()).prop_map(|(deadline, attempts)| Value::Map(
                [("deadline".to_owned(), deadline), ("attempts".to_owned(), attempts)].into()
            )),
        ],
    ) -> Value {
        let all = [("name", Value::Text(name)), ("gate", gate), ("emits", emits), ("limits", limits)];
        let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
        conform::object(&schema().attributes, Value::Map(all.collect()))
    }
}

proptest! {
    #[test]
    fn what_the_configuration_says_is_what_is_planned(one in configs(), other in configs()) {
        let first = propose(&schema(), &Value::Null, &one);
        prop_assert!(is_taken(&one, &Value::Map(first.planned.clone())));
        let second = propose(&schema(), &applied(&first, 1), &other);
        prop_assert!(is_taken(&other, &Value::Map(second.planned)));
        if one.is_known() {
            let again = propose(&schema(), &applied(&first, 1), &one);
            prop_assert!(!again.changes);
        }
    }
}
