//! The host with real guests: each limit is obeyed once and violated once.

mod evict;
mod pipeline;
mod remember;
mod simple;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::bus::Stored;
use protocol::checkpoint::Digest;
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::name::{Channel, ChannelPattern, FunctionName, StoreName, Tenant};
use protocol::spec::{FunctionLimits, FunctionSpec, Trigger};

use xxhash_rust::xxh3::xxh3_128;

use super::abi::Batch;
use super::account::Accounts;
use super::fault::{Broken, Fault, ReplyFault};
use super::instance::Instance;
use super::kept::Kept;
use super::log::ToTracing;
use super::module::{Modules, Program};
use super::pack::Item;
use super::reply::Handled;
use super::{Host, engine};
use crate::event::Event;

/// Data of one emission in these tests, at most.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Where compiled code is kept, so that tests compile each guest once.
pub fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/kept")
}

/// A name for bytes in these tests.
pub fn digest(bytes: &[u8]) -> Digest {
    let hash = xxh3_128(bytes).to_le_bytes();
    let mut twice = [0; 32];
    twice[..16].copy_from_slice(&hash);
    Digest::from_bytes(twice)
}

/// A guest as it was built.
pub fn guest(name: &str) -> Vec<u8> {
    let file = format!(
        "{}/../target/wasm32-wasip2/release/{}.wasm",
        env!("CARGO_MANIFEST_DIR"),
        name.replace('-', "_")
    );
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{file}: {error}: run `make functions` first"))
}

/// An event as a stream holds it, published by alice.
pub fn stored(seq: u64, channel: &str, data: &str) -> Stored {
    let envelope = Envelope {
        id: format!("acme/alice/c1/{seq}"),
        publisher: Publisher::parse("alice/c1").ok(),
        time: Some(seq),
        ..Envelope::default()
    };
    Stored {
        seq,
        time_us: 1_000_000 + seq,
        subject: format!("in.main.0.acme.{channel}"),
        headers: envelope.to_headers(),
        payload: data.to_owned().into(),
    }
}

/// An event for its first attempt.
pub fn item(seq: u64, channel: &str, data: &str) -> Item {
    let (tenant, channel_name) = (
        Tenant::parse("acme").unwrap(),
        Channel::parse(channel).unwrap(),
    );
    let event = Event::read(tenant, channel_name, stored(seq, channel, data)).unwrap();
    Item {
        attempt: 1,
        event: Arc::new(event),
        memory: None,
    }
}

/// A gate for the namespace `doc` that may emit to `side.>`.
pub fn spec(limits: FunctionLimits) -> FunctionSpec {
    let name = FunctionName::parse("probe").unwrap();
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        emits: vec![ChannelPattern::parse("side.>").unwrap()],
        limits,
        ..FunctionSpec::new(name, Digest::from_bytes([7; 32]), store, Trigger::Gate)
    }
}

fn load(name: &str, spec: FunctionSpec) -> Arc<Program> {
    load_wasm(&guest(name), spec)
}

fn load_wasm(wasm: &[u8], spec: FunctionSpec) -> Arc<Program> {
    let kept = Kept::open(&kept()).unwrap();
    let engine = engine::pooled(Some(kept.cache())).unwrap();
    let modules = Modules::keeping(&engine, Some(kept)).unwrap();
    let module = modules.get(&digest(wasm), wasm).unwrap();
    Program::new(Arc::new(spec), vec![module])
}

fn accounts() -> Accounts {
    Accounts::new(Arc::new(ToTracing))
}

/// Limits that a guest in these tests meets only where it means to: the processor
/// time of a whole second.
fn wide() -> FunctionLimits {
    FunctionLimits {
        deadline_ms: 1_000,
        ..FunctionLimits::default()
    }
}

fn start(program: &Program) -> Result<Instance, Broken> {
    Instance::new(program, 0, accounts().of(&program.spec.name))
}

fn handle(limits: FunctionLimits, orders: &[&str]) -> Result<Vec<Handled>, Fault> {
    let items: Vec<Item> = (1..)
        .zip(orders)
        .map(|(seq, order)| item(seq, &format!("doc.{seq}"), order))
        .collect();
    let mut instance = start(&load("probe", spec(limits))).unwrap();
    let called = instance.handle(&items, &mut Arc::new(Batch::default()), EVENT_BYTES_MAX);
    called.fault.map_or(Ok(called.handled), Err)
}

fn emitted(handled: &Handled) -> &[super::reply::Emit] {
    match handled {
        Handled::Ack(done) => &done.emits,
        other => panic!("{other:?}"),
    }
}

#[test]
fn verdicts_come_through_one_for_each_event() {
    let orders = [
        r#"{"do":"pass"}"#,
        r#"{"do":"drop"}"#,
        r#"{"do":"reject"}"#,
        r#"{"do":"retry","delay_ms":70}"#,
        "no",
        r#"{"do":"halt"}"#,
    ];
    let handled = handle(wide(), &orders).unwrap();
    assert_eq!(emitted(&handled[0])[0].data, orders[0].as_bytes());
    assert_eq!(emitted(&handled[0])[0].channel.as_str(), "doc.1");
    assert_eq!(handled[1], Handled::Drop("dropped as told".into()));
    assert_eq!(handled[2], Handled::Reject("rejected as told".into()));
    assert_eq!(
        handled[3],
        Handled::Retry {
            delay_ms: 70,
            reason: "retried as told".into()
        }
    );
    assert_eq!(handled[5], Handled::Halt("halted as told".into()));
    assert!(matches!(&handled[4], Handled::Reject(reason) if reason.starts_with("not an order")));
}

#[test]
fn traps_deadlines_and_memory_are_told_apart() {
    assert!(matches!(
        handle(wide(), &[r#"{"do":"trap"}"#]),
        Err(Fault::Trap(_))
    ));
    let short = FunctionLimits {
        deadline_ms: 20,
        ..wide()
    };
    assert_eq!(
        handle(short.clone(), &[r#"{"do":"loop"}"#]),
        Err(Fault::Deadline { limit_ms: 20 })
    );
    assert!(handle(short, &[r#"{"do":"pass"}"#]).is_ok());
    let small = FunctionLimits {
        memory_bytes: 4 << 20,
        ..wide()
    };
    assert_eq!(
        handle(small.clone(), &[r#"{"do":"memory"}"#]),
        Err(Fault::Memory {
            limit_bytes: 4 << 20
        })
    );
    assert!(handle(small, &[r#"{"do":"pass"}"#]).is_ok());
}

#[test]
fn emissions_are_limited_in_count_and_bytes() {
    let few = FunctionLimits {
        emits_per_event: 3,
        ..wide()
    };
    assert_eq!(
        emitted(&handle(few.clone(), &[r#"{"do":"emit","times":3}"#]).unwrap()[0]).len(),
        3
    );
    let fault = handle(few, &[r#"{"do":"emit","times":4}"#]).unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::Reply(ReplyFault::Limit {
                field: "emissions of one event",
                found: 4,
                max: 3
            })
        ),
        "{fault}"
    );
    // {"n":0,"value":"xxxx.."} has 16 bytes beside the x.
    let emit = |x: usize| format!(r#"{{"do":"emit","times":1,"value":"{}"}}"#, "x".repeat(x));
    let narrow = FunctionLimits {
        output_bytes: 2_048,
        ..wide()
    };
    assert!(handle(narrow.clone(), &[&emit(2_000)]).is_ok());
    let fault = handle(narrow, &[&emit(2_100)]).unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::Reply(ReplyFault::Limit {
                field: "bytes of one batch",
                ..
            })
        ),
        "{fault}"
    );
}

#[test]
fn emissions_go_only_where_they_were_granted() {
    let emit = |channel: &str| {
        handle(
            wide(),
            &[&format!(r#"{{"do":"emit","channel":"{channel}"}}"#)],
        )
    };
    assert_eq!(
        emitted(&emit("side.b").unwrap()[0])[0].channel.as_str(),
        "side.b"
    );
    assert_eq!(
        emitted(&emit("doc.1").unwrap()[0])[0].channel.as_str(),
        "doc.1"
    );
    assert!(matches!(
        emit("other.b"),
        Err(Fault::Reply(ReplyFault::Grant { .. }))
    ));
    for invalid in ["_outcome.alice.c1", "side.>", "side..b", "side b"] {
        assert!(
            matches!(
                emit(invalid),
                Err(Fault::Reply(ReplyFault::Field {
                    field: "channel",
                    ..
                }))
            ),
            "{invalid}"
        );
    }
}

#[test]
fn a_guest_that_refuses_its_configuration_does_not_start() {
    let config = BTreeMap::from([("update_bytes_max".to_owned(), "many".to_owned())]);
    let refusing = FunctionSpec {
        config,
        ..spec(wide())
    };
    let refused = start(&load("document-gate", refusing)).err();
    assert!(
        matches!(&refused, Some(Broken::Init(reason)) if reason.contains("update_bytes_max")),
        "{refused:?}"
    );
    assert!(start(&load("document-gate", spec(wide()))).is_ok());
    assert!(start(&load("document-stats", spec(wide()))).is_ok());
}

#[tokio::test]
async fn a_run_finds_its_culprits_and_goes_on_with_a_fresh_instance() {
    let host = Host::start(1, EVENT_BYTES_MAX, None).unwrap();
    let limits = FunctionLimits {
        deadline_ms: 50,
        ..wide()
    };
    let spec = Arc::new(spec(limits));
    let module = host.compile(&spec.digest, &guest("probe")).unwrap();
    let program = Program::new(spec, vec![module]);
    let lane = host.attach(3);
    let order = |seq| match seq {
        3 => r#"{"do":"trap"}"#,
        6 => r#"{"do":"loop"}"#,
        7 => r#"{"do":"emit","channel":"other"}"#,
        _ => r#"{"do":"pass"}"#,
    };
    let items: Vec<Item> = (1..=8).map(|seq| item(seq, "doc.a", order(seq))).collect();
    // A run ends after two deadlines, whatever is left: here after the loop.
    let mut handled = lane.run(program.clone(), items.clone()).await.unwrap();
    assert_eq!(handled.len(), 6);
    let rest = items[handled.len()..].to_vec();
    handled.extend(lane.run(program.clone(), rest).await.unwrap());
    let blamed: Vec<Option<&str>> = handled
        .iter()
        .map(|handled| {
            if let Handled::Fault(fault) = handled {
                Some(fault.kind())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        blamed,
        [
            None,
            None,
            Some("trap"),
            None,
            None,
            Some("deadline"),
            Some("reply"),
            None
        ]
    );
    let again = lane
        .run(program, vec![item(9, "doc.a", r#"{"do":"pass"}"#)])
        .await
        .unwrap();
    assert_eq!(emitted(&again[0]).len(), 1);
}

/// One function that never returns, on several lanes, and one that does, on one thread.
#[tokio::test]
async fn a_poisonous_function_delays_the_others_by_one_turn() {
    let host = Host::start(1, EVENT_BYTES_MAX, None).unwrap();
    let module = host
        .compile(&Digest::from_bytes([7; 32]), &guest("probe"))
        .unwrap();
    let named = |name: &str| FunctionSpec {
        name: FunctionName::parse(name).unwrap(),
        ..spec(FunctionLimits {
            deadline_ms: 50,
            ..wide()
        })
    };
    let poison = Program::new(Arc::new(named("poison")), vec![module.clone()]);
    let victim = Program::new(Arc::new(named("victim")), vec![module]);
    let (sender, mut order) = tokio::sync::mpsc::channel(8);
    let lanes: Vec<_> = (0..8).map(|lane| Arc::new(host.attach(lane))).collect();
    for (n, lane) in lanes.iter().cloned().enumerate() {
        let last = n == 7;
        let program = if last { victim.clone() } else { poison.clone() };
        let word = if last { "pass" } else { "loop" };
        let items = vec![item(1, "doc.a", &format!(r#"{{"do":"{word}"}}"#))];
        let sender = sender.clone();
        tokio::spawn(async move {
            lane.run(program, items).await.unwrap();
            sender.send(word).await.unwrap();
        });
    }
    let mut before = 0;
    while order.recv().await.unwrap() == "loop" {
        before += 1;
    }
    assert!(before <= 5, "{before} of 7 poisonous calls went before");
}
