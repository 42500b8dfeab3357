//! One channel to a thousand connections: what a delivery costs the edge node, beside
//! what it costs to write the same bytes to as many sockets, one write each.

use std::io::Write;
use std::net::TcpStream as Plain;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use bytes::Bytes;
use client::{Client, Draft};
use harness::{Deployment, wait};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::crowd::{self, Crowd};
use crate::options::Options;
use crate::table::{Row, median};
use crate::world;

/// Connections.
const CONNECTIONS: usize = 1_000;
/// Events of a round.
const EVENTS: usize = 1_000;
/// Size of an event's data, bytes.
const BYTES: usize = 128;
/// The channel.
const CHANNEL: &str = "chat.crowd";

async fn all_received(what: &str, received: impl Fn() -> u64, wanted: u64) -> anyhow::Result<()> {
    let arrived = wait::look(what, world::DEADLINE, async || match received() {
        enough if enough >= wanted => Ok(()),
        few => Err(format!("{few} of {wanted}")),
    });
    arrived.await.map_err(anyhow::Error::msg)
}

/// Deliveries per second of the node's processor time.
async fn ours(
    pid: u32,
    client: &Client,
    crowd: &Crowd,
    events: usize,
    data: &Bytes,
) -> anyhow::Result<f64> {
    let wanted = crowd.received() + (events * CONNECTIONS) as u64;
    let before = world::process_seconds(pid)?;
    let mut acks = Vec::with_capacity(events);
    for _ in 0..events {
        acks.push(
            client
                .publish_start(Draft::json(CHANNEL, data.clone()))
                .await?,
        );
    }
    for ack in acks {
        ack.await?;
    }
    all_received("every delivery", || crowd.received(), wanted).await?;
    Ok((events * CONNECTIONS) as f64 / (world::process_seconds(pid)? - before))
}

/// Sockets of the yardstick, and a count of what their other ends have read.
struct Sockets {
    writers: Vec<Plain>,
    received: Arc<AtomicU64>,
    _readers: JoinSet<()>,
}

async fn sockets() -> anyhow::Result<Sockets> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (mut writers, mut readers, received) =
        (Vec::new(), JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for _ in 0..CONNECTIONS {
        let writer = Plain::connect(address)?;
        writer.set_nodelay(true)?;
        writers.push(writer);
        readers.spawn(crowd::drain(
            listener.accept().await?.0,
            Arc::clone(&received),
        ));
    }
    Ok(Sockets {
        writers,
        received,
        _readers: readers,
    })
}

/// Deliveries per second of the writing thread's processor time.
async fn theirs(sockets: &mut Sockets, events: usize, frame: Vec<u8>) -> anyhow::Result<f64> {
    let wanted = sockets.received.load(Ordering::Relaxed) + (events * CONNECTIONS) as u64;
    let mut writers = std::mem::take(&mut sockets.writers);
    let written = tokio::task::spawn_blocking(move || {
        let before = world::thread_seconds()?;
        for _ in 0..events {
            for writer in &mut writers {
                writer.write_all(&frame)?;
            }
        }
        anyhow::Ok((writers, world::thread_seconds()? - before))
    });
    let (writers, seconds) = written.await??;
    sockets.writers = writers;
    all_received(
        "every write",
        || sockets.received.load(Ordering::Relaxed),
        wanted,
    )
    .await?;
    Ok((events * CONNECTIONS) as f64 / seconds)
}

/// A frame as the node sends it, of the same length as those that are measured.
async fn frame(
    deployment: &mut Deployment,
    client: &Client,
    data: &Bytes,
) -> anyhow::Result<Vec<u8>> {
    let reader = deployment
        .follow(
            &[0],
            "reader",
            CHANNEL,
            client::Start::Named(client::Named::Now),
        )
        .await;
    client.publish(Draft::json(CHANNEL, data.clone())).await?;
    reader.received(1).await;
    let event = reader.events().remove(0);
    let payload = serde_json::to_vec(&serde_json::json!({ "event": event }))?;
    ensure!(
        (126..65_536).contains(&payload.len()),
        "the head of the frame has another form"
    );
    let mut frame = vec![0x81, 126];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend(payload);
    Ok(frame)
}

/// Measures.
///
/// # Errors
/// The servers are not here, or a delivery does not come.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut deployment = world::start(world::builder().processes()).await?;
    let (address, pid, data) = (
        deployment.edges[0].address(),
        deployment.edges[0].pid(),
        world::text(BYTES),
    );
    let client = Client::connect(deployment.client_options(&[0], "writer")).await?;
    let frame = frame(&mut deployment, &client, &data).await?;
    let mut crowd = Crowd::new();
    crowd
        .join(address, &deployment.token("crowd"), CHANNEL, CONNECTIONS)
        .await?;
    let mut sockets = sockets().await?;
    let events = options.count(EVENTS);
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds() {
        figures[0].push(ours(pid, &client, &crowd, events, &data).await?);
        figures[1].push(theirs(&mut sockets, events, frame.clone()).await?);
    }
    drop(crowd);
    deployment.stop().await;
    let [ours, bare] = figures.map(median);
    Ok(vec![Row {
        what: format!("fan-out of one channel to {CONNECTIONS} connections, {BYTES} B"),
        unit: "deliveries per CPU second",
        ours,
        bare: Some(bare),
        note: format!(
            "the node's whole CPU time, reading from NATS and encoding included; events come as \
             fast as acks allow, so that several deliveries share a write; yardstick: one write \
             per delivery of the same {} bytes to as many loopback sockets, CPU time of that \
             thread; target at full optimisation: 600,000",
            frame.len()
        ),
    }])
}
