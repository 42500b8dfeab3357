//! JavaScript, TypeScript and Python for real: built by their templates' recipes, run by
//! the host. Skipped with a sentence where the tools have not been fetched.

use std::collections::BTreeMap;

use protocol::spec::FunctionSpec;

use super::guests::{self, JAVASCRIPT, PYTHON_PROBE, TYPESCRIPT};
use super::stage::{Stage, data};
use super::table;
use super::{emitted, item, load_wasm, spec, start, wide};
use crate::fault::{Broken, Fault};
use crate::log::Level;
use crate::remembered::Remembered;
use crate::reply::Handled;

fn order(action: &str, times: u32) -> String {
    format!(r#"{{"do":"{action}","times":{times}}}"#)
}

/// What every interpreted language's SDK must do.
async fn check(language: &str, wasm: &[u8], exception: &str) {
    let stage = Stage::new(wasm, wide());
    let orders = ["pass", "drop", "reject", "retry", "json", "bytes"];
    let handled = stage.run(&orders.map(|action| order(action, 70))).await;
    assert_eq!(data(&handled[0]), [order("pass", 70)]);
    assert_eq!(handled[1], Handled::Drop("dropped as told".into()));
    assert_eq!(handled[2], Handled::Reject("rejected as told".into()));
    let retry = Handled::Retry {
        delay_ms: 70,
        reason: "retried as told".into(),
    };
    assert_eq!(handled[3], retry);
    assert_eq!(data(&handled[4]), [r#"{"text":"größer","n":7}"#]);
    let large = ("kind".to_owned(), "large".to_owned());
    assert_eq!(emitted(&handled[4])[0].headers, [large]);
    assert_eq!(data(&handled[5]), [order("bytes", 70)]);
    assert_eq!(
        stage.one(order("halt", 1)).await,
        Handled::Halt("halted as told".into())
    );

    stage.lines();
    let printed = stage.one(order("print", 1)).await;
    assert_eq!(emitted(&printed), []);
    let lines = stage.lines();
    assert!(
        lines[0].text.starts_with("printed"),
        "{language}: {lines:?}"
    );
    assert_eq!(lines[0].level, Level::Info);

    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("trap", 1)).await else {
        panic!("{language}: it went on");
    };
    assert!(reason.starts_with(exception), "{language}: {reason}");
    let lines = stage.lines();
    let line = lines.iter().find(|line| line.text.starts_with(exception));
    assert_eq!(line.map(|line| line.level), Some(Level::Error), "{lines:?}");
    println!("{language}: {reason}\n{}", line.unwrap().text);

    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("wrong", 1)).await else {
        panic!("{language}: it went on");
    };
    assert!(reason.contains("handle returned"), "{language}: {reason}");
    let Handled::Fault(Fault::Trap(reason)) = stage.one("no JSON").await else {
        panic!("{language}: it went on");
    };
    println!("{language}: {reason}");
    refuses(wasm);
    remembers(language, wasm).await;
}

/// What a handler remembers of a channel: its count, and for a millisecond some KiB.
async fn remembers(language: &str, wasm: &[u8]) {
    let stage = Stage::new(wasm, wide());
    let mut remembered = Remembered::default();
    let long = format!(r#"{{"do":"remember","key":"{}"}}"#, "k".repeat(257));
    let plain = r#"{"do":"remember"}"#;
    // Events have a microsecond for each number.
    let orders = [
        (1, plain, Ok("[1,0]")),
        (2, plain, Ok("[2,0]")),
        (
            3,
            r#"{"do":"remember","then":"reject"}"#,
            Err("rejected as told"),
        ),
        (4, &long, Err("key: the key is not 1 to 256 bytes")),
        (
            5,
            r#"{"do":"remember","times":128}"#,
            Err("full: the channel's memory is full: 256 keys, 128 KiB"),
        ),
        (1_000, r#"{"do":"remember","times":100}"#, Ok("[3,0]")),
        (1_999, plain, Ok("[4,102400]")),
        (2_000, plain, Ok("[5,0]")),
        (2_001, r#"{"do":"forget"}"#, Ok(r#"{"do":"forget"}"#)),
        (2_002, plain, Ok("[1,0]")),
    ];
    for (seq, order, becomes) in orders {
        let mut item = item(seq, "doc.a", order);
        remembered.give(&mut item);
        let handled = stage.hand(vec![item.clone()]).await.remove(0);
        remembered.take(&item, &handled);
        match becomes {
            Ok(text) => assert_eq!(data(&handled), [text], "{language}: {order}"),
            Err(reason) => assert_eq!(handled, Handled::Reject(reason.into()), "{language}"),
        }
    }
    let batch = [("doc.b", 1), ("doc.c", 2), ("doc.b", 3)];
    let batch = batch
        .map(|(channel, seq)| item(seq, channel, plain))
        .to_vec();
    let handled = stage.hand(batch).await;
    let counts: Vec<_> = handled.iter().map(data).collect();
    assert_eq!(counts, [["[1,0]"], ["[1,0]"], ["[2,0]"]], "{language}");
}

/// An exception in `setup` is a faulty deployment, with its text.
fn refuses(wasm: &[u8]) {
    let config = BTreeMap::from([("refuse".to_owned(), "not today".to_owned())]);
    let refusing = FunctionSpec {
        config,
        ..spec(wide())
    };
    let refused = start(&load_wasm(wasm, refusing)).err();
    assert!(
        matches!(&refused, Some(Broken::Init(reason)) if reason.contains("not today")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn javascript_runs_and_what_it_throws_is_seen() {
    let Some(wasm) = guests::build(&JAVASCRIPT) else {
        return;
    };
    check("js", &wasm, "RangeError: trapped as told").await;
    let stage = Stage::new(&wasm, wide());
    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("async", 1)).await else {
        panic!("it went on");
    };
    assert!(reason.contains("must not be async"), "{reason}");
}

#[tokio::test]
async fn the_limits_hold_for_javascript() {
    if let Some(wasm) = guests::build(&JAVASCRIPT) {
        table::check("js", &wasm, order).await;
    }
}

#[tokio::test]
async fn the_template_of_typescript_shouts() {
    if let Some(wasm) = guests::build(&TYPESCRIPT) {
        let stage = Stage::new(&wasm, wide());
        assert_eq!(data(&stage.one("größer 💬").await), ["GRÖSSER 💬"]);
        let long = stage.one("x".repeat(281)).await;
        assert_eq!(long, Handled::Reject("over 280 bytes".into()));
        assert_eq!(stage.texts()[0], "13 bytes on doc.1");
    }
}

#[tokio::test]
async fn python_runs_and_what_it_raises_is_seen() {
    let Some(wasm) = guests::build(&PYTHON_PROBE) else {
        return;
    };
    check("python", &wasm, "RuntimeError: trapped as told").await;
    let stage = Stage::new(&wasm, wide());
    let file = stage.one(order("file", 1)).await;
    assert!(
        matches!(&file, Handled::Reject(reason) if reason.contains("No such file")),
        "{file:?}"
    );
}

#[tokio::test]
async fn the_limits_hold_for_python() {
    if let Some(wasm) = guests::build(&PYTHON_PROBE) {
        table::check("python", &wasm, order).await;
    }
}
