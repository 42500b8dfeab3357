//! The table of limits, the same for every language: what each violation becomes, and
//! that the function goes on afterwards.
//!
//! Owns nothing.

use host::account::LOG_LINES_BURST;
use host::fault::{Fault, ReplyFault};
use host::reply::Handled;

use crate::guests::{self, Guest};
use crate::stage::{Stage, data, emitted, wide};

/// Keys that a channel's memory holds.
const KEYS_MAX: u32 = 256;

/// Every row but that of what is remembered; `order` writes an action and its number as the language's probe reads it.
async fn check(language: &str, wasm: &[u8], order: fn(&str, u32) -> String) {
    let stage = Stage::new(wasm, wide());
    obeyed(&stage, order).await;
    ended(language, &stage, order).await;
    tenth(&stage, order).await;
    large(language, &stage, order).await;
    flooded(&stage, order).await;
}

/// Only what the guest reports as its own may pass.
async fn obeyed(stage: &Stage, order: fn(&str, u32) -> String) {
    let handled = stage.one(order("pass", 1)).await;
    assert_eq!(data(&handled), [order("pass", 1)]);
    let handled = stage.one(order("emit", 3)).await;
    assert_eq!(emitted(&handled).len(), 3);
}

/// What never returns, takes memory or calls itself without end.
async fn ended(language: &str, stage: &Stage, order: fn(&str, u32) -> String) {
    let fault = |handled| match handled {
        Handled::Fault(fault) => fault,
        other => panic!("{language}: {other:?}"),
    };
    let looped = fault(stage.one(order("loop", 1)).await);
    assert_eq!(looped, Fault::Deadline { limit_ms: 1_000 }, "{language}");
    let filled = fault(stage.one(order("memory", 1)).await);
    assert!(
        matches!(filled, Fault::Memory { .. }),
        "{language}: {filled}"
    );
    let deep = fault(stage.one(order("stack", 1)).await);
    assert!(matches!(deep, Fault::Trap(_)), "{language}: {deep}");
    println!("{language}: loop: {looped}; memory: {filled}; stack: {deep}");
}

/// Traps cost the events that cause them, and no others.
async fn tenth(stage: &Stage, order: fn(&str, u32) -> String) {
    let action = |n| if n % 10 == 0 { "trap" } else { "pass" };
    let orders: Vec<String> = (1..=60).map(|n| order(action(n), 1)).collect();
    let handled = stage.run(&orders).await;
    for (n, handled) in (1..).zip(handled) {
        let trapped = matches!(handled, Handled::Fault(Fault::Trap(_)));
        assert_eq!(trapped, n % 10 == 0, "event {n}: {handled:?}");
    }
}

/// More than an emission, an event or a call may have.
async fn large(language: &str, stage: &Stage, order: fn(&str, u32) -> String) {
    let many = stage.one(order("emit", 65)).await;
    let huge = stage.one(order("huge", 2)).await;
    let beyond = stage.one(order("huge", 13)).await;
    println!("{language}: {many:?}; 2 MiB: {huge:?}; 13 MiB: {beyond:?}");
    let limit = |handled: &Handled| match handled {
        Handled::Fault(Fault::Reply(ReplyFault::Limit { field, .. })) => *field,
        other => panic!("{language}: {other:?}"),
    };
    assert_eq!(limit(&many), "emissions of one event");
    assert_eq!(limit(&huge), "bytes of one emission");
    // The host does not even take it in; an interpreter may run out of memory before.
    assert!(
        matches!(
            beyond,
            Handled::Fault(Fault::Trap(_) | Fault::Memory { .. })
        ),
        "{language}: {beyond:?}"
    );
}

/// Floods cost nobody but the log itself.
async fn flooded(stage: &Stage, order: fn(&str, u32) -> String) {
    for action in ["log", "metrics"] {
        stage.lines();
        let handled = stage.one(order(action, 500)).await;
        assert_eq!(emitted(&handled).len(), 1);
        let texts = stage.texts();
        // What a busy machine lets pass while the budget fills again is not asserted.
        assert!(texts.len() < 400, "{} lines of {action}", texts.len());
        let missing = texts
            .iter()
            .any(|text| text.contains("lines of this log are missing"));
        assert_eq!(
            missing,
            action == "log",
            "{LOG_LINES_BURST} lines are allowed"
        );
    }
}

/// A memory that is full says so, and what was written until then was never written.
async fn remembered(language: &str, wasm: &[u8], order: fn(&str, u32) -> String) {
    let stage = Stage::new(wasm, wide());
    let handled = stage.one(order("state", KEYS_MAX)).await;
    assert_eq!(emitted(&handled).len(), 1, "{language}");
    let full = stage.one(order("state", KEYS_MAX + 1)).await;
    println!("{language}: {full:?}");
    let Handled::Reject(reason) = &full else {
        panic!("{language}: {full:?}");
    };
    assert!(
        reason.to_lowercase().contains("full"),
        "{language}: {reason}"
    );
}

fn json(action: &str, times: u32) -> String {
    format!(r#"{{"do":"{action}","times":{times}}}"#)
}

async fn check_built(guest: &Guest) {
    if let Some(wasm) = guests::build(guest).await {
        check(guest.language, &wasm, json).await;
        remembered(guest.language, &wasm, json).await;
    }
}

#[tokio::test]
async fn rust_on_packed_batches() {
    check("rust", &guests::own("probe"), json).await;
    remembered("rust", &guests::own("probe"), json).await;
}

/// It asks for nothing that is remembered, so that it may be asked about ephemeral events.
#[tokio::test]
async fn rust_on_single_events() {
    let order = |action: &str, number: u32| match action {
        "pass" | "trap" => action.to_owned(),
        action => format!("{action} {number}"),
    };
    check("single", &guests::own("single"), order).await;
}

#[tokio::test]
async fn javascript() {
    check_built(&guests::JAVASCRIPT).await;
}

#[tokio::test]
async fn python() {
    check_built(&guests::PYTHON).await;
}

#[tokio::test]
async fn go() {
    check_built(&guests::GO).await;
}

#[tokio::test]
async fn c() {
    check_built(&guests::C).await;
}
