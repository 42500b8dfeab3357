//! `eddyline dev` when things go wrong beneath it: servers killed again while they are
//! being started again, two of it at once, lines that cannot be published.
//!
//! Owns the processes. The state of a `dev` that somebody runs here is left alone.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use devstack::ServerProcess;
use harness::{KafkaChoice, Servers, environment, wait};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::run::{cache_in, family, nothing_is_left, ready};

/// Exit codes of the command line.
const FAILED: i32 = 1;
const SETTINGS: i32 = 64;

pub(super) fn dev(cache: &Path, log: &str) -> ServerProcess {
    let mut command = Command::new(environment::program("eddyline"));
    command
        .args(["dev", "--json", "--port", "0", "--grpc-port", "0"])
        .env("EDDYLINE_CACHE", cache);
    ServerProcess::start("eddyline", command, &cache.join(log)).unwrap()
}

/// Runs the command line from another folder than `dev`.
pub(super) async fn eddyline(cache: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = tokio::process::Command::new(environment::program("eddyline"));
    command
        .args(arguments)
        .env("EDDYLINE_CACHE", cache)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    wait::within("the command ends", child.wait_with_output())
        .await
        .unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success(), "{signal} to process {pid}");
}

fn kill(pid: u32) {
    send("-KILL", pid);
}

/// Waits until `dev` has said a thing so many times.
pub(super) async fn says(dev: &mut ServerProcess, what: &str, times: usize) {
    harness::until(&format!("dev says {what:?}"), async || {
        let log = dev.log_text();
        assert!(dev.exit_status().is_none(), "it has ended:\n{log}");
        if log.matches(what).count() >= times {
            Ok(())
        } else {
            Err(dev.log_tail())
        }
    })
    .await;
}

/// An event goes in and comes out of the mirror.
async fn serves(cache: &Path, channel: &str) {
    let stored = eddyline(cache, &["pub", channel, "{}"], b"").await;
    assert!(stored.status.success(), "{}", text(&stored.stderr));
    let replay = ["replay", channel, "--live", "--count", "1"];
    let kept = eddyline(cache, &replay, b"").await;
    assert!(
        text(&kept.stdout).contains(channel),
        "{}",
        text(&kept.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_again_while_they_start_come_back_each_on_its_own() {
    if !cfg!(target_os = "linux") || Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let mut dev = dev(folder.path(), "log");
    let told = ready(&mut dev).await;
    let pid = |server: usize| told["processes"][server].as_u64().unwrap() as u32;
    let before = family(dev.pid());
    kill(pid(1));
    // The new Kafka, long before it serves.
    let started = harness::until("kafka is started again", async || {
        let now = family(dev.pid());
        let new = now.into_iter().find(|process| !before.contains(process));
        new.ok_or_else(|| dev.log_tail())
    })
    .await;
    kill(started);
    says(&mut dev, "kafka does not start, next try in", 1).await;
    kill(pid(0));
    says(&mut dev, "nats-server runs again", 1).await;
    says(&mut dev, "kafka runs again", 1).await;
    serves(folder.path(), "chat.after").await;
    let family = family(dev.pid());
    drop(dev);
    nothing_is_left(&family).await;
}

/// One bad line is told by its number; its neighbours are stored.
async fn bad_lines(cache: &Path, name: &str) {
    let mut input = b"{\"a\":1}\ncaf\xe9\n{\"b\":2}\n\"".to_vec();
    input.extend_from_slice(&[b'x'; 200_000]);
    input.extend_from_slice(b"\"\n{\"c\":3}\n");
    let published = eddyline(cache, &["pub", "chat.lines", "--dev", name], &input).await;
    let (told, errors) = (text(&published.stdout), text(&published.stderr));
    assert_eq!(published.status.code(), Some(FAILED), "{told}{errors}");
    assert_eq!(told.matches("stored at").count(), 3, "{told}{errors}");
    assert!(
        errors.contains("line 2 was not published: it is not UTF-8"),
        "{errors}"
    );
    assert!(errors.contains("line 4 was not published"), "{errors}");
    assert!(errors.contains("2 lines were not published"), "{errors}");
    let read = [
        "sub",
        "chat.lines",
        "--from",
        "earliest",
        "--count",
        "3",
        "--dev",
        name,
    ];
    let read = text(&eddyline(cache, &read, b"").await.stdout);
    for data in [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#] {
        assert!(read.contains(data), "{read}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_are_told_apart() {
    if Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    cache_in(cache);
    let (mut one, mut two) = (dev(cache, "one.log"), dev(cache, "two.log"));
    let (first, second) = tokio::join!(ready(&mut one), ready(&mut two));
    let names = [&first, &second].map(|ready| ready["name"].as_str().unwrap().to_owned());
    assert_ne!(names[0], names[1]);
    for told in [&first, &second] {
        let metrics = told["metrics"][0].as_str().unwrap();
        let address = metrics.strip_prefix("http://").unwrap();
        let (address, path) = address.split_once('/').unwrap();
        let shown = harness::instance::get(address.parse().unwrap(), &format!("/{path}")).await;
        let shown = shown.unwrap();
        // Nobody has connected: what a node counts is there all the same.
        for name in ["nats_connected", "edge_connections 0", "edge_gaps_total 0"] {
            assert!(shown.contains(name), "{name} of {metrics}:\n{shown}");
        }
    }
    let unclear = eddyline(cache, &["pub", "chat.which", "{}"], b"").await;
    let errors = text(&unclear.stderr);
    assert_eq!(unclear.status.code(), Some(SETTINGS), "{errors}");
    assert!(
        names.iter().all(|name| errors.contains(name.as_str())),
        "{errors}"
    );
    // By its name, and by its address.
    bad_lines(cache, &names[0]).await;
    let address = |ready: &Value| ready["edges"][0].as_str().unwrap().to_owned();
    let edge = address(&second);
    let stored = eddyline(cache, &["pub", "chat.which", "{}", "--edge", &edge], b"").await;
    assert!(stored.status.success(), "{}", text(&stored.stderr));
    drop(one);
    serves(cache, "chat.alone").await;
    drop(two);
}
