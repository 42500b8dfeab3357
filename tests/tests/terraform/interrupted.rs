//! Runs that are interrupted and providers that are killed, in the middle of what they
//! write: the next apply finds out, and ends it.

use std::process::Command;

use bus::Bus;
use harness::{KafkaChoice, Proxy, Servers, process, wait};
use protocol::name::StoreName;
use protocol::stream::StreamName;
use service::settings::NatsSettings;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Child;

use super::files::{FREE, config, hall};
use super::shell::Terraform;

/// How long each message to and from NATS takes: making a store is dozens of them, so that
/// what happens meanwhile happens in its middle.
const SLOW: std::time::Duration = std::time::Duration::from_millis(60);
/// What Terraform says when it begins to make the store.
const BEGINS: &str = "eddyline_store.side: Creating...";

/// Servers, a slow way to them, and Terraform at its end.
async fn start() -> Option<(Servers, Proxy, Terraform)> {
    let servers = Servers::start(KafkaChoice::None).await?;
    let proxy = Proxy::to(servers.nats_url().trim_start_matches("nats://")).await;
    proxy.delay(SLOW);
    let store = "resource \"eddyline_store\" \"side\" {\n  name = \"side\"\n  replicas = 1\n  \
                 unsafe_single_replica = true\n  deletion_protection = false\n}\n";
    let of_side = "store = eddyline_store.side.name";
    let rest = hall(of_side, &format!("{of_side}\n{FREE}"));
    let url = format!("nats://{}", proxy.address());
    let terraform = Terraform::new(&config(&url, &format!("{store}{rest}"))).await?;
    let terraform = terraform.variable("EDDYLINE_NATS_PASSWORD", "harness");
    Some((servers, proxy, terraform))
}

/// A connection of the test's own, which is not slow.
async fn connect(servers: &Servers) -> Bus {
    let nats = NatsSettings::of_address(servers.nats_url());
    Bus::connect(&nats, "test").await.unwrap()
}

/// Applies until the store is half made; the run, and what it has yet to say.
async fn begin(
    servers: &Servers,
    terraform: &Terraform,
) -> (Child, BufReader<tokio::process::ChildStdout>) {
    let bus = connect(servers).await;
    let mut run = terraform.start(&["apply", "-auto-approve", "-no-color"]);
    let mut out = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        let read = wait::within("it begins", out.read_line(&mut line))
            .await
            .unwrap();
        assert!(read > 0, "it has ended before");
        if line.contains(BEGINS) {
            break;
        }
    }
    let first = StreamName::ingress(&StoreName::parse("side").unwrap());
    harness::until("its first stream is there", async || {
        let state = bus.stream_state(&first).await;
        state.map(drop).map_err(|error| error.to_string())
    })
    .await;
    (run, out)
}

/// Waits for the end of a run; what it said at last.
async fn end(mut run: Child, mut out: BufReader<tokio::process::ChildStdout>) -> (i32, String) {
    let mut told = String::new();
    let mut errors = run.stderr.take().unwrap();
    let read = async {
        let (one, other) = (&mut told, &mut String::new());
        let (out, errors) = tokio::join!(out.read_to_string(one), errors.read_to_string(other));
        out.and(errors).unwrap();
        one.push_str(other);
    };
    wait::within("it has said all", read).await;
    let status = wait::within("it ends", run.wait()).await.unwrap();
    (status.code().unwrap_or(-1), told)
}

fn send(signal: &str, to: &str) {
    let sent = Command::new("kill").args([signal, "--", to]).status();
    assert!(sent.unwrap().success(), "{signal} to {to}");
}

/// The provider of a run.
fn provider(run: u32) -> u32 {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let mut ours = numbers.filter(|pid| process::look(*pid).is_some_and(|seen| seen.parent == run));
    ours.next().expect("the run has a provider")
}

/// Everything is there afterwards, and nothing is left to do.
async fn converges(servers: &Servers, proxy: &Proxy, terraform: &Terraform) {
    proxy.heal();
    terraform.apply().await;
    terraform.is_level().await;
    let bus = connect(servers).await;
    let name = StoreName::parse("side").unwrap();
    let found = bus::bootstrap::find(&bus, &name).await.unwrap();
    assert!(found.is_some());
    terraform
        .done(&["destroy", "-auto-approve", "-no-color"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_ends_what_it_has_begun() {
    let Some((servers, proxy, terraform)) = start().await else {
        return;
    };
    let (run, out) = begin(&servers, &terraform).await;
    // As a terminal does it: to every process of the group.
    let group = format!("-{}", run.id().unwrap());
    send("-INT", &group);
    let (code, told) = end(run, out).await;
    assert_eq!(code, 1, "{told}");
    assert!(!told.contains("did not respond"), "{told}");
    let state = terraform.done(&["state", "list"]).await;
    assert_eq!(
        state.trim(),
        "eddyline_store.side",
        "what was made is known: {told}"
    );
    converges(&servers, &proxy, &terraform).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_provider_leaves_nothing_that_the_next_cannot_end() {
    let Some((servers, proxy, terraform)) = start().await else {
        return;
    };
    let (run, out) = begin(&servers, &terraform).await;
    send("-KILL", &provider(run.id().unwrap()).to_string());
    let (code, told) = end(run, out).await;
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("Plugin did not respond") || told.contains("EOF"),
        "{told}"
    );
    converges(&servers, &proxy, &terraform).await;
}
