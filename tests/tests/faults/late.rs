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
/// Lanes, so many that hardly two channels share one: each hands over its first event by
/// itself, and what comes meanwhile waits behind it.
const LANES: u16 = 1_024;
/// Writers.
const WRITERS: usize = 64;
/// Channels of each. Their first events alone, which are handed to the connection beside
/// each other, are more than the buffers between node and proxy: some 4 MB.
const CHANNELS: usize = 4;
/// Events of each writer.
const EVENTS: usize = 2 * CHANNELS;
/// Data of an event.
const DATA_BYTES: usize = 60_000;

/// Two edge nodes over one server, the first of them with a proxy behind it and one
/// before it, for its clients.
async fn between_proxies(seed: u64) -> Option<(Deployment, Proxy, Proxy)> {
    let servers = Servers::start(KafkaChoice::None).await?;
    let proxy = Proxy::to(servers.nats_url().trim_start_matches("nats://")).await;
    let url = format!("nats://{}", proxy.address());
    let builder = Deployment::builder()
        .seed(seed)
        .without_mirror()
        .functions(&[])
        .workers(0)
        .store(|store| {
            store.lanes = LANES;
            store.duplicate_window_events = WINDOW;
        })
        .edge_config(move |index, config| {
            if index == 0 {
                config.nats.url = url.clone();
            }
        });
    let deployment = builder.start_on(servers).await;
    let door = Proxy::to(deployment.edges[0].address().to_string()).await;
    Some((deployment, door, proxy))
}

/// Writers that hand everything over to the first node, and know the other one.
async fn busy_writers(deployment: &Deployment, door: &Proxy) -> Vec<Writer> {
    let fill = "x".repeat(DATA_BYTES);
    let mut writers = Vec::with_capacity(WRITERS);
    for index in 0..WRITERS {
        let user = format!("ann{index}");
        let mut options = deployment.client_options(&[0, 1], &user);
        options.edges[0] = door.address();
        let mut writer = deployment.writer_with(options, &user).await;
        for n in 0..EVENTS {
            let data = format!(r#"{{"writer":{index},"note":{n},"fill":"{fill}"}}"#);
            let channel = format!("chat.{index}.{}", n % CHANNELS);
            let started = writer.start(&channel, data).await;
            started.expect("the session lasts");
        }
        writers.push(writer);
    }
    let all = (WRITERS * EVENTS * DATA_BYTES) as u64;
    until("the node has taken everything", async || {
        match door.passed(Direction::ToTarget) {
            enough if enough >= all => Ok(()),
            few => Err(format!("{few} of {all} bytes have passed")),
        }
    })
    .await;
    writers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_a_broken_connection_is_never_sent() {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let Some((mut deployment, door, proxy)) = between_proxies(seed).await else {
        return;
    };
    let follower = deployment.follow(&[1], "bob", "chat.0.0", EARLIEST).await;
    proxy.hold(&Direction::BOTH);
    let mut writers = busy_writers(&deployment, &door).await;
    door.cut();
    for writer in &mut writers {
        writer.settle_all().await;
    }
    // What has left the node is lost. A new connection is made at once, but nothing passes.
    proxy.reset();
    // Not to let somebody get ready: that time passes is what the test is about.
    tokio::time::sleep(2 * WINDOW).await;
    proxy.heal();
    // As long again for what must not come.
    deployment.edges[0].ready().await;
    tokio::time::sleep(WINDOW).await;
    let mut last = deployment.writer(&[0], "zoe").await;
    let data = r#"{"note":"last"}"#;
    last.publish("chat.0.0", data).await.expect("it is stored");
    let report = deployment.check().await;
    assert!(report.counts.deliveries_owed > 0, "{report}");
    drop(follower);
}
