//! What a deployer does by the command line: namespaces and functions made, changed,
//! paused, taken back and removed, on real servers and under events.

use bus::Bus;
use client::ClientError;
use control::{ControlError, Deployer, FunctionDraft};
use harness::{Deployment, Writer, environment, until};
use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, StoreName};
use protocol::stream::{Bucket, StreamName};
use serde_json::Value;

use super::common::EARLIEST;
use super::shell::{Ended, Shell, is_given_back, keys, module};

/// What the probe passes on.
const PASS: &str = r#"{"do":"pass"}"#;

/// An edge node and a worker, and nothing that is deployed.
async fn start() -> Option<(Deployment, Shell)> {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .edges(1);
    let deployment = builder.start().await?;
    let shell = Shell::new(deployment.servers.nats_url());
    Some((deployment, shell))
}

fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

/// Publishes as soon as the node has heard of the namespace.
async fn publish(writer: &mut Writer, channel: &str, data: &str) {
    let stored = wait_for_namespace(writer, channel, data).await;
    stored.unwrap_or_else(|error| panic!("{channel}: {error}"));
}

async fn wait_for_namespace(
    writer: &mut Writer,
    channel: &str,
    data: &str,
) -> Result<(), ClientError> {
    let deadline = tokio::time::Instant::now() + harness::DEADLINE;
    loop {
        match writer.publish(channel, data.to_owned()).await {
            Err(ClientError::Refused(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            stored => return stored.map(drop),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_deployed_changed_paused_and_taken_back() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    let made = &shell
        .json(&["namespace", "apply", "room", "--gate", "room-gate"])
        .await[0];
    assert_eq!(made["created"], Value::Bool(true), "{made}");
    assert_eq!(
        made["namespace"]["written"]["by"].as_str().unwrap()[..4],
        *"ann@"
    );
    let note = made["notes"][0].as_str().unwrap();
    assert!(note.contains("room-gate is not deployed"), "{note}");

    let wasm = module("probe");
    let deploy = ["function", "deploy", wasm.as_str(), "--name", "room-gate"];
    let step = &shell.json(&deploy).await[0];
    assert_eq!(
        (&step["action"], &step["done"]),
        (&"create".into(), &true.into())
    );
    let told = deployment.follow(&[0], "joe", "room.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    publish(&mut ann, "room.a", PASS).await;
    told.received(1).await;

    // The same again is no new version; another configuration is one.
    let again = shell.run(&deploy).await;
    assert!(again.errors.contains("nothing has changed"), "{again:?}");
    let changed = shell
        .done(&[&deploy[..], &["--config", "a=b"]].concat())
        .await;
    assert!(changed.contains("config.a: - -> b"), "{changed}");
    let listed = &shell.json(&["function", "list"]).await[0];
    assert_eq!(listed["version"], 2, "{listed}");
    assert_eq!(listed["handles"][0], "room", "{listed}");

    // While it is paused, nobody handles what is published.
    shell.done(&["function", "pause", "room-gate"]).await;
    is_given_back(&deployment.bus, &name("room-gate")).await;
    publish(&mut ann, "room.a", PASS).await;
    let events = StreamName::events(deployment.store_name());
    let before = deployment.bus.stream_state(&events).await.unwrap();
    let listed = shell.done(&["function", "list"]).await;
    assert!(listed.contains("paused"), "{listed}");
    let after = deployment.bus.stream_state(&events).await.unwrap();
    assert_eq!(before.last_seq, after.last_seq);
    shell.done(&["function", "resume", "room-gate"]).await;
    told.received(2).await;

    let back = shell.done(&["function", "rollback", "room-gate"]).await;
    assert!(back.contains("version 3 (as 1)"), "{back}");
    publish(&mut ann, "room.a", PASS).await;
    told.received(3).await;
    let shown = &shell.json(&["function", "show", "room-gate"]).await[0];
    assert_eq!(shown["spec"]["config"], serde_json::json!({}));
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    deployment.stop().await;
}

/// Deploys the probe by the command line.
async fn deploy(shell: &Shell, rest: &[&str]) -> Ended {
    let wasm = module("probe");
    let line = ["function", "deploy", wasm.as_str()];
    shell.run(&[&line[..], rest].concat()).await
}

#[track_caller]
fn assert_refused(ended: &Ended, says: &str) {
    assert!(ended.code == 1 && ended.errors.contains(says), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_accepted_changes_nothing() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    for (rest, says) in [
        (
            &["--emits", "nowhere.>"][..],
            "emits: nowhere.>: there is no namespace nowhere",
        ),
        (
            &["--limit", "retry_age_ms=700000000"],
            "limits.retry_age_ms",
        ),
        (&["--limit", "attempts=0"], "limits.attempts"),
        (
            &["--store", "nowhere"],
            "store: nowhere is no store; there are: main",
        ),
        (&["--on", "lab.>"], "on: lab names it as its gate"),
    ] {
        assert_refused(&deploy(&shell, rest).await, says);
    }
    assert_eq!(keys(&deployment.bus, "probe").await, Vec::<String>::new());
    let names = shell.json(&["namespace", "list"]).await.len();
    for (line, says) in [
        (&["apply", "chat", "--gate", "probe"][..], "gate: chat"),
        (&["apply", "lab"], "gate: lab passes probe for good"),
        (&["remove", "nowhere"], "no namespace nowhere"),
    ] {
        shell.refused(&[&["namespace"], line].concat(), says).await;
    }
    assert_eq!(shell.json(&["namespace", "list"]).await.len(), names);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_judged_beside_what_there_is() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    // Functions that would feed one another for ever.
    let there = ["--name", "there", "--on", "chat.>", "--emits", "stats.>"];
    assert_eq!(deploy(&shell, &there).await.code, 0);
    let back = ["--name", "back", "--on", "stats.*", "--emits", "chat.a"];
    assert_refused(&deploy(&shell, &back).await, "back -> there -> back");
    let meant = [&back[..], &["--loops"]].concat();
    assert_eq!(deploy(&shell, &meant).await.code, 0);

    // A gate stays where it is named, a function what it has been, until it begins anew.
    assert_eq!(deploy(&shell, &[]).await.code, 0);
    let remove = ["function", "remove", "probe"];
    shell.refused(&remove, "probe is the gate of lab").await;
    let other = deploy(&shell, &["--name", "there"]).await;
    assert_refused(&other, "on: there has been a reactive function");
    let anew = ["--name", "there", "--restart", "--start", "latest"];
    assert_eq!(deploy(&shell, &anew).await.code, 0);
    let shown = &shell.json(&["function", "show", "there"]).await[0];
    assert_eq!(shown["spec"]["incarnation"], 1, "{shown}");

    let remove = ["namespace", "remove", "chat"];
    shell.refused(&remove, "back may emit to chat").await;
    let missing = ["function", "remove", "nobody"];
    shell.refused(&missing, "no function nobody").await;
    shell.done(&["function", "remove", "back"]).await;
    shell.done(&remove).await;
    deployment.stop().await;
}

async fn is_stored(bus: &Bus, digest: &str) -> bool {
    bus.get_module(&Digest::parse(digest).unwrap())
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_kept_and_collected_with_their_modules() {
    let Some((mut deployment, shell)) = start().await else {
        return;
    };
    let (probe, gate) = (module("probe"), module("document-gate"));
    let deploy = async |wasm: &str, setting: &str| {
        let line = ["function", "deploy", wasm, "--name", "kept", "--keep", "3"];
        let setting = ["--config", setting];
        shell.done(&[&line[..], &setting].concat()).await;
        let shown = shell.json(&["function", "show", "kept"]).await.remove(0);
        shown["spec"]["digest"].as_str().unwrap().to_owned()
    };
    let first = deploy(&gate, "n=1").await;
    for n in 2..=3 {
        deploy(&probe, &format!("n={n}")).await;
    }
    assert_eq!(
        keys(&deployment.bus, "kept").await,
        ["kept", "kept.1", "kept.2"]
    );
    assert!(is_stored(&deployment.bus, &first).await);
    let second = deploy(&probe, "n=4").await;
    assert_eq!(
        keys(&deployment.bus, "kept").await,
        ["kept", "kept.2", "kept.3"]
    );
    assert!(
        !is_stored(&deployment.bus, &first).await,
        "nothing names it"
    );
    assert!(is_stored(&deployment.bus, &second).await);
    shell
        .refused(
            &["function", "rollback", "kept", "--to", "1"],
            "kept are 2, 3",
        )
        .await;

    // What is removed is remembered: its version counts on.
    shell.done(&["function", "remove", "kept"]).await;
    let shown = shell.done(&["function", "show", "kept"]).await;
    assert!(shown.contains("removed; it was version 4"), "{shown}");
    deploy(&gate, "n=5").await;
    let listed = shell.json(&["function", "list"]).await;
    assert_eq!(listed[0]["version"], 5, "{listed:?}");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_deploy_at_once_each_wins_whole_or_is_told() {
    let Some((mut deployment, _)) = start().await else {
        return;
    };
    let store = StoreName::parse("main").unwrap();
    let deploy = async |who: &'static str, n: u32| {
        let mut draft = FunctionDraft::new(name("one"), store.clone(), Vec::new());
        draft.config.insert(who.to_owned(), n.to_string());
        let deployer = Deployer::new(&deployment.bus, who);
        deployer
            .deploy(draft, vec![environment::module("probe")])
            .await
    };
    let mut deployed = 0;
    for n in 0..5 {
        let (ann, joe) = tokio::join!(deploy("ann", n), deploy("joe", n));
        for outcome in [ann, joe] {
            match outcome {
                Ok(_) => deployed += 1,
                Err(ControlError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    let functions = deployment.bus.kv(Bucket::Functions).await.unwrap();
    let (json, _) = functions.get("one").await.unwrap().unwrap();
    let spec: protocol::spec::FunctionSpec = serde_json::from_slice(&json).unwrap();
    assert_eq!(spec.version, deployed);
    assert_eq!(spec.config.len(), 1, "{spec:?}");
    let by = spec.deployed.unwrap().by;
    assert!(spec.config.contains_key(&by));
    // Each version that was replaced is kept, as it was.
    until("every version is kept", async || {
        let kept = keys(&deployment.bus, "one").await.len() as u64;
        (kept == deployed).then_some(()).ok_or(kept.to_string())
    })
    .await;
    deployment.stop().await;
}
