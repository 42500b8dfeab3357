//! What the small library of each language must do, and what becomes of what a handler
//! throws, prints and returns.

use std::collections::BTreeMap;

use host::CheckError;
use host::fault::{Broken, Fault};
use host::log::Level;
use host::remembered::Remembered;
use host::reply::Handled;
use protocol::spec::FunctionSpec;

use crate::guests;
use crate::stage::{Stage, data, emitted, item, spec, wide};

fn order(action: &str, times: u32) -> String {
    format!(r#"{{"do":"{action}","times":{times}}}"#)
}

/// What every language's library must do.
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
    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("trap", 1)).await else {
        panic!("{language}: it went on");
    };
    assert!(reason.starts_with(exception), "{language}: {reason}");
    let lines = stage.lines();
    let line = lines.iter().find(|line| line.text.starts_with(exception));
    assert_eq!(line.map(|line| line.level), Some(Level::Error), "{lines:?}");
    println!("{language}: {reason}\n{}", line.unwrap().text);

    refuses(wasm);
    remembers(language, wasm).await;
}

/// What is printed is a line of the log.
async fn prints(language: &str, wasm: &[u8]) {
    let stage = Stage::new(wasm, wide());
    let printed = stage.one(order("print", 1)).await;
    assert_eq!(emitted(&printed), []);
    let lines = stage.lines();
    assert!(
        lines[0].text.starts_with("printed"),
        "{language}: {lines:?}"
    );
    assert_eq!(lines[0].level, Level::Info);
}

/// A language that does not know before whether a handler returns an outcome says so.
async fn interprets(language: &str, wasm: &[u8]) {
    let stage = Stage::new(wasm, wide());
    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("wrong", 1)).await else {
        panic!("{language}: it went on");
    };
    assert!(reason.contains("handle returned"), "{language}: {reason}");
    let Handled::Fault(Fault::Trap(reason)) = stage.one("no JSON").await else {
        panic!("{language}: it went on");
    };
    println!("{language}: {reason}");
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
        (4, &long, Err("key: ")),
        (5, r#"{"do":"remember","times":128}"#, Err("full: ")),
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
            Err(begins) => {
                let refused = matches!(&handled, Handled::Reject(why) if why.starts_with(begins));
                assert!(refused, "{language}: {handled:?}");
            }
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

/// What `setup` refuses is a faulty deployment, with its text.
fn refuses(wasm: &[u8]) {
    let config = BTreeMap::from([("refuse".to_owned(), "not today".to_owned())]);
    let refusing = FunctionSpec {
        config,
        ..spec(wasm, wide())
    };
    let refused = host::check(
        refusing,
        &[wasm.to_vec().into()],
        Some(&guests::folder().join("kept")),
    );
    assert!(
        matches!(&refused, Err(CheckError::Broken(Broken::Init(reason))) if reason.contains("not today")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn javascript_runs_and_what_it_throws_is_seen() {
    let Some(wasm) = guests::build(&guests::JAVASCRIPT).await else {
        return;
    };
    check("js", &wasm, "RangeError: trapped as told").await;
    prints("js", &wasm).await;
    interprets("js", &wasm).await;
    let stage = Stage::new(&wasm, wide());
    let Handled::Fault(Fault::Trap(reason)) = stage.one(order("async", 1)).await else {
        panic!("it went on");
    };
    assert!(reason.contains("must not be async"), "{reason}");
}

#[tokio::test]
async fn the_template_of_typescript_shouts() {
    if let Some(wasm) = guests::build(&guests::TYPESCRIPT).await {
        let stage = Stage::new(&wasm, wide());
        assert_eq!(data(&stage.one("größer 💬").await), ["GRÖSSER 💬"]);
        let long = stage.one("x".repeat(281)).await;
        assert_eq!(long, Handled::Reject("over 280 bytes".into()));
        assert_eq!(stage.texts()[0], "13 bytes on doc.1");
    }
}

#[tokio::test]
async fn python_runs_and_what_it_raises_is_seen() {
    let Some(wasm) = guests::build(&guests::PYTHON).await else {
        return;
    };
    check("python", &wasm, "RuntimeError: trapped as told").await;
    prints("python", &wasm).await;
    interprets("python", &wasm).await;
    let stage = Stage::new(&wasm, wide());
    let file = stage.one(order("file", 1)).await;
    assert!(
        matches!(&file, Handled::Reject(reason) if reason.contains("No such file")),
        "{file:?}"
    );
}

#[tokio::test]
async fn go_runs_and_its_panics_are_seen() {
    if let Some(wasm) = guests::build(&guests::GO).await {
        check("go", &wasm, "panic: trapped as told").await;
    }
}

#[tokio::test]
async fn c_runs_and_what_it_says_last_is_seen() {
    let Some(wasm) = guests::build(&guests::C).await else {
        return;
    };
    check("c", &wasm, "trapped as told").await;
    prints("c", &wasm).await;
    let stage = Stage::new(&wasm, wide());
    assert_eq!(data(&stage.one(order("time", 1)).await), ["1"]);
}

/// What a call takes is given back when it is over: an instance does not grow.
#[tokio::test]
async fn the_memory_of_c_and_go_stays_as_it_is() {
    for guest in [guests::C, guests::GO] {
        let Some(wasm) = guests::build(&guest).await else {
            continue;
        };
        let stage = Stage::new(&wasm, wide());
        let text = "x".repeat(100_000);
        let orders = vec![format!(r#"{{"do":"pass","text":"{text}"}}"#); 500];
        stage.run(&orders).await;
        let before = stage.memory_bytes();
        assert!(before > 0);
        stage.run(&orders).await;
        assert_eq!(stage.memory_bytes(), before, "{}", guest.language);
    }
}
