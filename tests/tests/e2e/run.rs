//! What a new user does first: `make run`, a client, Ctrl-C. Nothing may be left.
//!
//! Owns the process of `make`. The servers come from the cache of this checkout, but
//! the state of a `dev` that somebody runs here is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use client::{Client, ClientOptions, Delivery, Draft};
use devstack::{Config, ServerProcess};
use harness::{KafkaChoice, Servers, environment, process, wait};
use serde_json::Value;

use super::common::{EARLIEST, note};

/// How long `make` may take: it finds everything built, and starts two servers.
const RUN_DEADLINE: Duration = Duration::from_secs(120);
/// What `eddyline dev --json` says once it serves.
const READY: &str = r#"{"ready":"#;

/// A cache that holds what this checkout's does, but for the state of a running `dev`.
pub(super) fn cache_in(folder: &Path) {
    let cache = Config::from_env().cache;
    let mut private = fs::DirBuilder::new();
    let private = private.recursive(true).mode(0o700);
    private.create(environment::compiled()).unwrap();
    for entry in fs::read_dir(&cache).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() && entry.file_name() != "dev" {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
}

fn make_run(folder: &Path) -> ServerProcess {
    cache_in(folder);
    let mut command = Command::new("make");
    command
        .args(["run", "ARGS=--json --port 0 --port 0 --grpc-port 0"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("EDDYLINE_CACHE", folder);
    // What cargo tells a test is not for another cargo.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    ServerProcess::start("make", command, &folder.join("log")).unwrap()
}

/// Waits until it says where everything is.
pub(super) async fn ready(make: &mut ServerProcess) -> Value {
    let found = wait::look("`eddyline dev` serves", RUN_DEADLINE, async || {
        let log = make.log_text();
        assert!(make.exit_status().is_none(), "it has ended:\n{log}");
        let line = log.lines().find(|line| line.starts_with(READY));
        line.map(|line| serde_json::from_str::<Value>(line).unwrap()["ready"].clone())
            .ok_or_else(|| make.log_tail())
    });
    found.await.unwrap_or_else(|problem| panic!("{problem}"))
}

/// An event goes in through each edge node and comes out of it.
async fn try_out(ready: &Value) {
    let token = ready["token"].as_str().unwrap();
    let edges = ready["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 2);
    for (n, edge) in edges.iter().enumerate() {
        let options = ClientOptions::new(edge.as_str().unwrap(), token);
        let client = Client::connect(options).await.unwrap();
        let channel = format!("chat.edge{n}");
        let mut events = client.subscribe(&channel, EARLIEST).await.unwrap();
        let draft = Draft::json(channel, note(n as u64));
        let published = client.publish_start(draft).await.unwrap().await.unwrap();
        loop {
            match wait::within("the event comes", events.next()).await {
                Some(Ok(Delivery::Event { event, .. })) => {
                    assert_eq!(event.seq, published.position.seq);
                    break;
                }
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        client.close().await;
    }
}

/// Runs the command line as a second terminal would; what it prints.
async fn eddyline(cache: &Path, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(environment::program("eddyline"));
    command.args(arguments).env("EDDYLINE_CACHE", cache);
    let what = format!("eddyline {}", arguments.join(" "));
    let output = wait::within(&what, command.output()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every command finds the running stack by itself; the demo is told where it is.
async fn try_the_shell(cache: &Path, ready: &Value) {
    let data = r#"{"text":"hello"}"#;
    let stored = eddyline(cache, &["--json", "pub", "chat.shell", data]).await;
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let seq = stored["position"]["seq"].as_u64().unwrap();
    let received = ["sub", "chat.shell", "--from", "earliest", "--count", "1"];
    let replayed = ["replay", "chat.shell"];
    for arguments in [&received[..], &replayed[..]] {
        let line = eddyline(cache, arguments).await;
        assert!(
            line.contains(&seq.to_string()) && line.contains(data),
            "{line}"
        );
    }
    let token = eddyline(
        cache,
        &["token", "--user", "ann", "--scope", "publish:chat.>"],
    )
    .await;
    assert_eq!(token.trim().split('.').count(), 3);
    let edges = ready["edges"].as_array().unwrap().iter().map(Value::as_str);
    let mut demo = vec!["demo", "--txns", "100"];
    demo.extend(edges.flat_map(|edge| ["--edge", edge.unwrap()]));
    demo.extend(["--grpc", ready["grpc"].as_str().unwrap()]);
    let report = eddyline(cache, &demo).await;
    assert!(report.contains("equal three ways: yes"), "{report}");
}

/// Parent of each process that has not ended.
fn processes() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").unwrap().map(Result::unwrap);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, process::look(pid)?)))
        .filter(|(_, seen)| !matches!(seen.state, 'Z' | 'X'))
        .map(|(pid, seen)| (pid, seen.parent))
        .collect()
}

/// A process and everything below it.
pub(super) fn family(root: u32) -> Vec<u32> {
    let parents = processes();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = parents.iter().filter(|(_, of)| **of == parent);
        family.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    family
}

pub(super) async fn nothing_is_left(family: &[u32]) {
    harness::until("every process has ended", async || {
        let now = processes();
        let left: Vec<_> = family.iter().filter(|pid| now.contains_key(pid)).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?} of {family:?} run"))
        }
    })
    .await;
}

/// Starts, uses and ends it in some way. `/proc` tells who is whose child.
async fn runs_and_ends(
    use_it: impl AsyncFnOnce(&Path, &Value),
    end: impl FnOnce(&mut ServerProcess),
) {
    if !cfg!(target_os = "linux") || Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut make = make_run(folder.path());
    let ready = ready(&mut make).await;
    use_it(folder.path(), &ready).await;
    let family = family(make.pid());
    assert!(
        family.len() >= 4,
        "make, eddyline and two servers: {family:?}"
    );
    end(&mut make);
    nothing_is_left(&family).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn make_run_serves_until_ctrl_c() {
    runs_and_ends(try_the_shell, |make| {
        // A terminal sends it to the whole group.
        let group = format!("-{}", make.pid());
        let sent = Command::new("kill").args(["-INT", "--", &group]).status();
        assert!(sent.unwrap().success());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn make_run_ends_when_its_parent_is_killed() {
    runs_and_ends(
        async |_, ready| try_out(ready).await,
        |make| {
            // make alone: what it runs is told nothing.
            let pid = make.pid().to_string();
            let sent = Command::new("kill").args(["-KILL", &pid]).status();
            assert!(sent.unwrap().success());
        },
    )
    .await;
}
