//! Dead letters: found, handed to their gate again with one effect, dropped.

use bus::Bus;
use client::trace::{TraceQuery, trace};
use control::Deployer;
use futures_util::StreamExt;
use harness::{Deployment, until};
use protocol::outcome::dead_letter;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use protocol::trace::{Handling, Hop};
use serde_json::Value;

use super::common::EARLIEST;
use super::shell::{Shell, module};

/// Fails the first time, for good as long as one attempt is all that it gets.
const SECOND_TIME: &str = r#"{"do":"retry","delay_ms":1,"until_attempt":2}"#;

/// Waits until so many letters are open; they.
async fn open(shell: &Shell, number: usize) -> Vec<Value> {
    until("the dead letters are there", async || {
        let letters = shell.json(&["rejected", "list"]).await;
        match letters.len() == number {
            true => Ok(letters),
            false => Err(format!("{letters:?}")),
        }
    })
    .await
}

/// How many inputs of INGRESS are redriven letters.
async fn redriven(bus: &Bus, deployment: &Deployment) -> usize {
    let (stream, filter) = (
        StreamName::ingress(deployment.store_name()),
        Subject::store_filter(Kind::In, deployment.store_name()),
    );
    let last = bus.stream_state(&stream).await.unwrap().last_seq;
    let inputs = bus.scan(&stream, &filter, 1, last).await;
    let inputs: Vec<_> = inputs.map(Result::unwrap).collect().await;
    let marked = inputs.iter();
    marked
        .filter(|stored| stored.headers.get(dead_letter::REDRIVE).is_some())
        .count()
}

async fn start() -> Option<(Deployment, Shell)> {
    Shell::beside_a_probe(|limits| limits.attempts = 1).await
}

/// Two people redrive a letter at once; one of them at least is told that he has.
async fn redriven_by_two(deployment: &Deployment, number: u64) {
    let store = deployment.store_name();
    let redrive = async |who: &str| {
        let deployer = Deployer::new(&deployment.bus, who);
        let (letter, _) = deployer.letter(store, number).await?;
        deployer.redrive(&letter).await
    };
    let (one, other) = tokio::join!(redrive("ann"), redrive("joe"));
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_redriven_once_and_another_dropped() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    let passed = deployment.follow(&[0], "joe", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    ann.publish("lab.a", SECOND_TIME).await.unwrap();
    ann.publish("lab.a", r#"{"do":"reject"}"#).await.unwrap();
    let letters = open(&shell, 2).await;
    let letter = &letters[0];
    assert_eq!(
        (&letter["function"], &letter["channel"]),
        (&"probe".into(), &"lab.a".into())
    );
    assert_eq!(letter["attempts"], 1, "{letter}");
    let [first, second] = [0, 1].map(|at: usize| letters[at]["seq"].to_string());
    let shown = shell.done(&["rejected", "show", &first]).await;
    assert!(
        shown.contains(SECOND_TIME) && shown.contains("ann/"),
        "{shown}"
    );

    // Mended, and redriven by two people at once, and again.
    let wasm = module("probe");
    let deploy = [
        "function", "deploy", &wasm, "--name", "probe", "--emits", "chat.>",
    ];
    let mended = ["--limit", "attempts=5"];
    shell.done(&[&deploy[..], &mended].concat()).await;
    let number: u64 = first.parse().unwrap();
    redriven_by_two(&deployment, number).await;
    passed.received(1).await;
    let event = passed.events().remove(0);
    assert_eq!(event.user.as_deref(), Some("ann"));
    shell
        .refused(&["rejected", "redrive", &first], "were not redriven")
        .await;
    assert_eq!(redriven(&deployment.bus, &deployment).await, 1);

    shell.done(&["rejected", "drop", &second]).await;
    open(&shell, 0).await;
    let settled = shell.json(&["rejected", "list", "--settled"]).await;
    let ends: Vec<_> = settled
        .iter()
        .map(|letter| &letter["settled"]["end"])
        .collect();
    assert_eq!(ends, ["redriven", "dropped"]);
    assert_eq!(passed.count(), 1);
    deployment.stop().await;
}

/// Counts the events of its channel, and emits the count there.
const REMEMBER: &str = r#"{"do":"remember"}"#;

/// What a function has made of what is seen on a channel.
fn made(seen: &harness::follower::Follower, function: &str) -> Vec<Value> {
    let events = seen.events().into_iter();
    let own = events.filter(|event| event.function.as_deref() == Some(function));
    let data = own.map(|event| client::data_of(&event).unwrap());
    data.map(|data| serde_json::from_slice(&data).unwrap())
        .collect()
}

/// What a function has made of an event of `chat.a`, in both of its lives.
async fn outcomes(deployment: &Deployment, id: &str, function: &str) -> Vec<Handling> {
    let options = deployment.client_options(&[0], "eve");
    let query = TraceQuery {
        id: id.into(),
        channel: "chat.a".into(),
        ..TraceQuery::default()
    };
    let trace = trace(&options, &query).await.unwrap();
    let outcomes = trace.hops.into_iter().filter_map(|hop| match hop {
        Hop::Handled {
            function: of,
            outcome,
            ..
        } => (of == function).then_some(outcome),
        _ => None,
    });
    outcomes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_a_reactive_function_is_that_functions_and_of_its_channel() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    let wasm = module("probe");
    let deploy = async |name: &str, more: &[&str]| {
        let line = [
            "function", "deploy", &wasm, "--name", name, "--on", "chat.>",
        ];
        shell.done(&[&line[..], more].concat()).await;
    };
    deploy("listener", &["--config", "pass_is=reject"]).await;
    let order = r#"order={"do":"emit","channel":"stats.other"}"#;
    deploy("other", &["--emits", "stats.>", "--config", order]).await;
    let seen = deployment.follow(&[0], "joe", "chat.a", EARLIEST).await;
    let others = deployment
        .follow(&[0], "joe", "stats.other", EARLIEST)
        .await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for order in [REMEMBER, REMEMBER, r#"{"do":"pass"}"#] {
        ann.publish("chat.a", order).await.unwrap();
    }
    let letter = open(&shell, 1).await.remove(0);
    assert_eq!(letter["channel"], "chat.a");
    others.received(5).await;

    // Mended, and redriven by two people at once, and again.
    deploy("listener", &["--config", "pass_is=remember"]).await;
    let number = letter["seq"].as_u64().unwrap();
    redriven_by_two(&deployment, number).await;
    seen.received(6).await;
    shell
        .refused(
            &["rejected", "redrive", &number.to_string()],
            "were not redriven",
        )
        .await;
    ann.publish("chat.a", REMEMBER).await.unwrap();
    // What the other has handled: four that were published and four that were made of
    // them, and nothing that was for one function alone.
    others.received(8).await;
    seen.received(8).await;
    let counts: Vec<Value> = (1..=4).map(|n| serde_json::json!({ "count": n })).collect();
    assert_eq!(made(&seen, "listener"), counts, "of one channel, in order");
    assert_eq!((seen.count(), others.count()), (8, 8));
    open(&shell, 0).await;
    let id = letter["id"].as_str().unwrap();
    let outcomes = outcomes(&deployment, id, "listener").await;
    assert_eq!(outcomes, [Handling::Rejected, Handling::Passed]);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_nobody_would_handle_again_is_refused_with_its_reason() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    let wasm = module("probe");
    let deploy = [
        "function", "deploy", &wasm, "--name", "listener", "--on", "chat.>",
    ];
    shell.done(&deploy).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for channel in ["chat.a", "chat.b"] {
        ann.publish(channel, r#"{"do":"reject"}"#).await.unwrap();
    }
    let letters = open(&shell, 2).await;
    shell.done(&["function", "remove", "listener"]).await;
    let number = letters[0]["seq"].to_string();
    let ended = shell.run(&["rejected", "redrive", &number]).await;
    assert!(
        ended.code == 1 && ended.told.contains("is not deployed"),
        "{ended:?}"
    );
    let only = ["rejected", "drop", "--all", "--channel", "chat.a"];
    shell.done(&only).await;
    let left = open(&shell, 1).await;
    assert_eq!(left[0]["channel"], "chat.b");
    deployment.stop().await;
}
