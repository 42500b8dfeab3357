//! The world `simple` with a guest that does what it is told, and what a guest finds of
//! WASI.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::spec::{FunctionLimits, FunctionSpec, Isolation};

use super::stage::{Stage, data};
use super::{emitted, guest, item, load, spec, start, wide};
use crate::abi::Batch;
use crate::fault::{Broken, Fault, ReplyFault};
use crate::log::Level;
use crate::module::World;
use crate::reply::Handled;

fn stage(limits: FunctionLimits) -> Stage {
    Stage::new(&guest("single"), limits)
}

fn orders<const N: usize>(orders: [&str; N]) -> [String; N] {
    orders.map(str::to_owned)
}

#[tokio::test]
async fn outcomes_come_through_one_for_each_event() {
    let stage = stage(wide());
    let orders = orders(["pass", "drop", "reject", "retry 70", "side.b", "halt"]);
    let handled = stage.run(&orders).await;
    assert_eq!(data(&handled[0]), ["pass"]);
    assert_eq!(emitted(&handled[0])[0].channel.as_str(), "doc.1");
    assert_eq!(handled[1], Handled::Drop("dropped as told".into()));
    assert_eq!(handled[2], Handled::Reject("rejected as told".into()));
    let retry = Handled::Retry {
        delay_ms: 70,
        reason: "retried as told".into(),
    };
    assert_eq!(handled[3], retry);
    assert_eq!(emitted(&handled[4])[0].channel.as_str(), "side.b");
    assert_eq!(handled[5], Handled::Halt("halted as told".into()));
}

#[tokio::test]
async fn a_channel_that_is_not_granted_is_refused() {
    let stage = stage(wide());
    let refused = stage.one("other.b").await;
    assert!(
        matches!(
            &refused,
            Handled::Fault(Fault::Reply(ReplyFault::Grant { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(data(&stage.one("pass").await), ["pass"]);
}

#[test]
fn later_events_of_a_channel_wait_for_a_retry_and_nothing_follows_a_halt() {
    let mut instance = start(&load("single", spec(wide()))).unwrap();
    let mut buffer = Arc::new(Batch::default());
    let items = [
        item(1, "doc.a", "retry 7"),
        item(2, "doc.a", "pass"),
        item(3, "doc.b", "pass"),
        item(4, "doc.a", "halt"),
        item(5, "doc.b", "halt"),
        item(6, "doc.c", "pass"),
    ];
    let called = instance.handle(&items, &mut buffer, 1 << 20);
    let handled = called.handled;
    assert!(called.over && handled.len() == 5, "{handled:?}");
    assert!(matches!(&handled[1], Handled::Retry { delay_ms: 0, .. }));
    assert_eq!(data(&handled[2]), ["pass"]);
    assert!(matches!(&handled[3], Handled::Retry { .. }));
}

#[test]
fn a_batch_ends_before_the_bytes_that_it_may_cause() {
    let limits = FunctionLimits {
        output_bytes: 3 << 20,
        ..wide()
    };
    let mut instance = start(&load("single", spec(limits))).unwrap();
    let mut buffer = Arc::new(Batch::default());
    let items: Vec<_> = (1..=5).map(|seq| item(seq, "doc.a", "huge 1")).collect();
    let called = instance.handle(&items, &mut buffer, 1 << 20);
    assert!(called.over && called.fault.is_none());
    assert_eq!(called.handled.len(), 3);
}

#[tokio::test]
async fn data_that_is_no_text_arrives_as_bytes() {
    let stage = stage(wide());
    let mut event = item(1, "doc.a", "");
    let inner = Arc::get_mut(&mut event.event).unwrap();
    inner.stored.payload = vec![0xff; 3].into();
    let handled = stage.hand(vec![event]).await;
    assert_eq!(handled[0], Handled::Reject("3 bytes".into()));
}

#[test]
fn settings_are_refused_by_the_guest_with_its_reason() {
    let config = BTreeMap::from([("refuse".to_owned(), "not today".to_owned())]);
    let refusing = FunctionSpec {
        config,
        ..spec(wide())
    };
    let refused = start(&load("single", refusing)).err();
    assert_eq!(refused, Some(Broken::Init("not today".into())));
}

#[tokio::test]
async fn isolation_decides_how_long_an_instance_lives() {
    let cases = [
        (Isolation::Warm, ["1", "2", "3", "4"]),
        (Isolation::FreshPerBatch, ["1", "2", "1", "2"]),
        (Isolation::FreshPerEvent, ["1", "1", "1", "1"]),
    ];
    for (isolation, expected) in cases {
        let stage = stage(FunctionLimits {
            isolation,
            ..wide()
        });
        let mut counts = Vec::new();
        for _ in 0..2 {
            let handled = stage.run(&orders(["count", "count"])).await;
            counts.extend(handled.iter().flat_map(data));
        }
        assert_eq!(counts, expected, "{isolation:?}");
    }
}

#[tokio::test]
async fn isolation_holds_for_packed_batches() {
    let stage = Stage::new(
        &guest("probe"),
        FunctionLimits {
            isolation: Isolation::FreshPerEvent,
            ..wide()
        },
    );
    let count = r#"{"do":"count"}"#.to_owned();
    let handled = stage.run(&[count.clone(), count]).await;
    assert_eq!(
        handled.iter().flat_map(data).collect::<Vec<_>>(),
        ["1", "1"]
    );
}

#[tokio::test]
async fn time_and_randomness_are_the_events_own() {
    let fresh = FunctionLimits {
        isolation: Isolation::FreshPerEvent,
        ..wide()
    };
    let stage = stage(fresh);
    let handled = stage
        .run(&orders(["time", "time", "random", "random"]))
        .await;
    assert_eq!(data(&handled[0]), ["1000001"]);
    assert_eq!(data(&handled[1]), ["1000002"]);
    assert_ne!(data(&handled[2]), data(&handled[3]));
    let again = stage.run(&orders(["time", "time", "random"])).await;
    assert_eq!(again[2], handled[2], "a replay draws the same");
}

#[tokio::test]
async fn nothing_of_the_machine_is_there() {
    let stage = stage(wide());
    let seen = data(&stage.one("outside").await);
    assert_eq!(seen, ["0 variables, file: false, input: Ok(0)"]);
    let Handled::Fault(Fault::Trap(reason)) = stage.one("exit").await else {
        panic!("it went on");
    };
    assert!(reason.contains("wasi:cli/exit"), "{reason}");
}

#[tokio::test]
async fn what_is_printed_is_logged_and_what_was_said_last_is_the_reason() {
    let stage = stage(wide());
    let said = stage.one("print").await;
    let lines = stage.lines();
    assert!(!lines.is_empty(), "{said:?}");
    assert_eq!(
        (&*lines[0].text, lines[0].level),
        ("no line end", Level::Info)
    );
    assert_eq!(lines[0].event_id.as_deref(), Some("acme/alice/c1/1"));
    assert_eq!((lines[0].function.as_str(), lines[0].lane), ("probe", 3));
    let Handled::Fault(Fault::Trap(reason)) = stage.one("wail").await else {
        panic!("it went on");
    };
    assert!(reason == "what went wrong", "{reason}");
    let wail = stage.lines().remove(0);
    assert_eq!((&*wail.text, wail.level), ("what went wrong", Level::Error));
}

#[tokio::test]
async fn a_function_that_traps_has_the_same_log_budget_afterwards() {
    let stage = stage(wide());
    let flood = orders(["log 150", "trap", "log 150", "trap", "log 150"]);
    stage.run(&flood).await;
    let texts = stage.texts();
    let of_guest = texts.iter().filter(|text| text.starts_with("line "));
    assert!(of_guest.count() < 350, "{} lines", texts.len());
    assert!(texts.iter().any(|text| text.contains("are missing")));
}

#[test]
fn a_function_that_traps_invents_no_more_names_of_metrics() {
    let program = load("single", spec(wide()));
    let accounts = super::accounts();
    let account = accounts.of(&program.spec.name);
    let mut buffer = Arc::new(Batch::default());
    for seq in 0..4 {
        let mut instance = super::Instance::new(&program, 0, account.clone()).unwrap();
        let items = [item(seq, "doc.a", "metrics 20"), item(seq, "doc.b", "trap")];
        assert!(
            instance
                .handle(&items, &mut buffer, 1 << 20)
                .fault
                .is_some()
        );
    }
    let admitted = (0..4).flat_map(|seq| (0..20).map(move |n| format!("name_{seq}_{n}")));
    let admitted = admitted.filter(|name| account.meters.has(name)).count();
    assert_eq!(admitted, crate::meters::METRIC_NAMES_MAX);
}

#[test]
fn which_world_a_module_is_of_is_seen_by_its_exports() {
    let world = |name: &str| load(name, spec(wide())).world();
    assert_eq!(world("single"), World::Simple);
    assert_eq!(world("probe"), World::Worker);
    assert_eq!(world("first"), World::Worker);
}

#[tokio::test]
async fn a_module_of_the_first_version_runs() {
    let stage = Stage::new(&guest("first"), wide());
    let handled = stage.run(&orders(["one", "", "three"])).await;
    assert_eq!(data(&handled[0]), ["one"]);
    assert_eq!(handled[1], Handled::Reject(String::new()));
    assert_eq!(data(&handled[2]), ["three"]);
    assert_eq!(stage.texts(), ["the first version"]);
}
