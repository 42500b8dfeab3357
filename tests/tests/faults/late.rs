//! An edge node is cut off from NATS for longer than ids are remembered, while its
//! clients go on elsewhere: what it had taken from them and not sent must never be
//! sent when the connection is back, since it would be stored a second time.
//!
//! Owns nothing beyond the deployment.

use std::time::Duration;

use harness::follower::EARLIEST;
use harness::{Deployment, Direction, KafkaChoice, Proxy, Servers, Writer, until};

/// How long ids are remembered: longer than a request waits for its answer.
const WINDOW: Duration = Duration::from_secs(8);
/// Writers, each with a channel of its own, so that every lane has work.
const WRITERS: usize = 8;
/// Events of each.
const EVENTS: usize = 50;
/// Data of an event: a few of them fill the buffers between node and proxy.
const DATA_BYTES: usize = 40_000;
/// What reaches NATS before the cut; most of what the node holds comes after it.
const BYTES_BEFORE: u64 = 1 << 20;
/// Answers come so late that events gather into large batches.
const DELAY: Duration = Duration::from_millis(300);

/// Two edge nodes over one server, the first of them behind a proxy.
async fn behind_a_proxy(seed: u64) -> Option<(Deployment, Proxy)> {
    let servers = Servers::start(KafkaChoice::None).await?;
    let proxy = Proxy::to(servers.nats_url().trim_start_matches("nats://")).await;
    let url = format!("nats://{}", proxy.address());
    let builder = Deployment::builder()
        .seed(seed)
        .without_mirror()
        .functions(&[])
        .workers(0)
        .store(|store| store.duplicate_window_events = WINDOW)
        .edge_config(move |index, config| {
            if index == 0 {
                config.nats.url = url.clone();
            }
        });
    Some((builder.start_on(servers).await, proxy))
}

/// Writers that have handed over everything to the first node.
async fn busy_writers(deployment: &Deployment) -> Vec<Writer> {
    let fill = "x".repeat(DATA_BYTES);
    let mut writers = Vec::with_capacity(WRITERS);
    for index in 0..WRITERS {
        let mut writer = deployment.writer(&[0, 1], &format!("ann{index}")).await;
        for n in 0..EVENTS {
            let data = format!(r#"{{"writer":{index},"note":{n},"fill":"{fill}"}}"#);
            let started = writer.start(&format!("chat.{index}"), data).await;
            started.expect("the session lasts");
        }
        writers.push(writer);
    }
    writers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_a_broken_connection_is_never_sent() {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let Some((mut deployment, proxy)) = behind_a_proxy(seed).await else {
        return;
    };
    let follower = deployment.follow(&[1], "bob", "chat.0", EARLIEST).await;
    proxy.delay(DELAY);
    let before = proxy.passed(Direction::ToTarget);
    let mut writers = busy_writers(&deployment).await;
    until("the node is in the middle of it", async || {
        match proxy.passed(Direction::ToTarget) - before {
            enough if enough >= BYTES_BEFORE => Ok(()),
            few => Err(format!("{few} bytes have passed")),
        }
    })
    .await;
    proxy.hold(&Direction::BOTH);
    for writer in &mut writers {
        let moved = writer.client().reset().await;
        moved.expect("the session lasts as long as its writer");
    }
    for writer in &mut writers {
        writer.settle_all().await;
    }
    // Not to let somebody get ready: that time passes is what the test is about.
    tokio::time::sleep(2 * WINDOW).await;
    // What has left the node is lost; new connections pass.
    proxy.reset();
    proxy.heal();
    // Stored behind whatever the node sends late.
    let mut last = deployment.writer(&[0], "zoe").await;
    let data = r#"{"note":"last"}"#;
    last.publish("chat.0", data).await.expect("it is stored");
    let report = deployment.check().await;
    assert!(report.counts.deliveries_owed > 0, "{report}");
    drop(follower);
}
