//! `eddyline dev` when a part of it cannot be had: the rest is there, what is wrong is
//! said, and it is tried again; and Ctrl-C while a server does not come back.
//!
//! Owns the processes, and writes what is wrong into a NATS of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::{Bus, Kv};
use devstack::ServerProcess;
use devstack::config::NATS_VARIABLE;
use harness::{KafkaChoice, Servers, environment, until, wait};
use protocol::position::Epoch;
use protocol::spec::{StoreSpec, key};
use protocol::stream::Bucket;
use service::settings::NatsSettings;

use super::dev::{dev, eddyline, says, send, text};
use super::run::{cache_in, family, nothing_is_left, ready};

/// Lanes of the store of `dev`.
const LANES: u16 = 4;
/// What `dev` says once nothing is missing any more.
const COMPLETE: &str = "the store is set up, with everything in it";
/// How soon it must end while Kafka does not start: far less than it waits for Kafka.
const ENDS_WITHOUT_KAFKA: Duration = Duration::from_secs(45);
/// The same while NATS does not start: less than services may drain otherwise.
const ENDS_WITHOUT_NATS: Duration = Duration::from_secs(12);

/// `dev` without mirror, over a NATS that runs already.
fn dev_over(servers: &Servers, cache: &Path, log: &str) -> ServerProcess {
    let mut command = Command::new(environment::program("eddyline"));
    command
        .args(["dev", "--json", "--port", "0", "--without-mirror"])
        .env(NATS_VARIABLE, servers.nats_url())
        .env("EDDYLINE_CACHE", cache);
    ServerProcess::start("eddyline", command, &cache.join(log)).unwrap()
}

/// A store as `dev` makes it, and the bucket that says what it is.
async fn store(servers: &Servers) -> (StoreSpec, Kv) {
    let settings = NatsSettings {
        url: servers.nats_url().to_owned(),
        ..NatsSettings::default()
    };
    let bus = Bus::connect(&settings, "trouble").await.unwrap();
    let wanted = StoreSettings {
        lanes: LANES,
        ..StoreSettings::default()
    };
    let spec = bootstrap(&bus, &wanted).await.unwrap();
    (spec, bus.kv(Bucket::Config).await.unwrap())
}

fn json(spec: &StoreSpec) -> bytes::Bytes {
    serde_json::to_vec(spec).unwrap().into()
}

/// An event is taken, sooner or later.
async fn takes(cache: &Path, channel: &str, data: &str) {
    until("an event is stored", async || {
        let published = eddyline(cache, &["pub", channel, data], b"").await;
        match published.status.success() {
            true => Ok(()),
            false => Err(text(&published.stderr)),
        }
    })
    .await;
}

/// It ends by Ctrl-C and leaves nothing behind.
async fn interrupted(mut dev: ServerProcess, within: Duration) {
    let family = family(dev.pid());
    send("-INT", dev.pid());
    let ended = wait::look("dev ends", within, async || {
        dev.exit_status().ok_or_else(|| dev.log_tail())
    });
    let status = ended.await.unwrap_or_else(|problem| panic!("{problem}"));
    assert!(status.success(), "{status}: {}", dev.log_tail());
    nothing_is_left(&family).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_is_told_and_set_up_once_it_can() {
    let Some(servers) = Servers::start(KafkaChoice::None).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let (spec, config) = store(&servers).await;
    let name = key::store(&spec.name);
    config.put(&name, "{".into()).await.unwrap();
    let mut dev = dev_over(&servers, folder.path(), "log");
    ready(&mut dev).await;
    says(
        &mut dev,
        "not serving: the store is not set up: the spec of the store",
        1,
    )
    .await;

    config.put(&name, json(&spec)).await.unwrap();
    says(&mut dev, COMPLETE, 1).await;
    takes(folder.path(), "chat.a", "{}").await;
    // The functions came later than the worker, and are waited for all the same.
    says(&mut dev, r#""lanes_owned":8,"lanes":8"#, 1).await;
    interrupted(dev, wait::DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_cannot_be_read_keeps_no_other_from_serving() {
    let Some(servers) = Servers::start(KafkaChoice::None).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let (_, config) = store(&servers).await;
    let revision = config.put("namespace.doc", "{".into()).await.unwrap();
    let mut dev = dev_over(&servers, folder.path(), "log");
    ready(&mut dev).await;
    says(&mut dev, "not serving: the namespace doc is not made", 1).await;
    takes(folder.path(), "chat.a", "{}").await;

    config.delete("namespace.doc", revision).await.unwrap();
    says(&mut dev, COMPLETE, 1).await;
    takes(folder.path(), "doc.a", r#"{"txn":1,"update":"AAEC"}"#).await;
    interrupted(dev, wait::DEADLINE).await;
}

/// Its functions have halted, because their progress is that of another store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_functions_have_halted_keeps_nothing_else_from_serving() {
    let Some(servers) = Servers::start(KafkaChoice::None).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let (spec, config) = store(&servers).await;
    let mut first = dev_over(&servers, folder.path(), "first.log");
    ready(&mut first).await;
    takes(folder.path(), "doc.a", r#"{"txn":1,"update":"AAEC"}"#).await;
    let read = ["sub", "doc.a", "--from", "earliest", "--count", "1"];
    let read = eddyline(folder.path(), &read, b"").await;
    assert!(
        text(&read.stdout).contains("AAEC"),
        "{}",
        text(&read.stderr)
    );
    interrupted(first, wait::DEADLINE).await;

    let other = StoreSpec {
        epoch: Epoch::from_random(7),
        ..spec.clone()
    };
    let name = key::store(&spec.name);
    config.put(&name, json(&other)).await.unwrap();
    let mut second = dev_over(&servers, folder.path(), "second.log");
    ready(&mut second).await;
    says(&mut second, "not serving: functions have halted on", 1).await;
    takes(folder.path(), "chat.a", "{}").await;
    interrupted(second, wait::DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_does_not_wait_for_a_kafka_that_does_not_start() {
    if !cfg!(target_os = "linux") || Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let mut dev = dev(folder.path(), "log");
    let told = ready(&mut dev).await;
    let before = family(dev.pid());
    send("-KILL", told["processes"][1].as_u64().unwrap() as u32);
    let started = until("kafka is started again", async || {
        let now = family(dev.pid());
        let new = now.into_iter().find(|process| !before.contains(process));
        new.ok_or_else(|| dev.log_tail())
    })
    .await;
    // It stands still long before it serves.
    send("-STOP", started);
    interrupted(dev, ENDS_WITHOUT_KAFKA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_does_not_wait_for_a_nats_that_does_not_start() {
    if !cfg!(target_os = "linux") || Servers::start(KafkaChoice::None).await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    cache_in(folder.path());
    let mut command = Command::new(environment::program("eddyline"));
    command
        .args(["dev", "--json", "--port", "0", "--without-mirror"])
        .env("EDDYLINE_CACHE", folder.path());
    let log = folder.path().join("log");
    let mut dev = ServerProcess::start("eddyline", command, &log).unwrap();
    let told = ready(&mut dev).await;
    takes(folder.path(), "doc.a", r#"{"txn":1,"update":"AAEC"}"#).await;
    // Its program is gone when it is to be started again.
    let entries = std::fs::read_dir(folder.path())
        .unwrap()
        .map(Result::unwrap);
    let programs = entries.filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with("nats-server-") && !name.ends_with(".lock")
    });
    for program in programs {
        // Links to what is shared.
        std::fs::remove_file(program.path()).unwrap();
    }
    send("-KILL", told["processes"][0].as_u64().unwrap() as u32);
    says(&mut dev, "nats-server does not start, next try in", 1).await;
    interrupted(dev, ENDS_WITHOUT_NATS).await;
}
