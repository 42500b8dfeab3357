//! From a client's publish to its ack, through an edge node in a process of its own.

use bytes::Bytes;
use client::{Client, ClientError, Draft};
use harness::Deployment;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bare::Bare;
use crate::latency::Paced;
use crate::options::Options;
use crate::pace::paced;
use crate::table::{Row, median};
use crate::world;

/// Steady paces, events a second: one that a single disk keeps up with event by event,
/// and one at which it has to group them.
const PACES: [usize; 2] = [200, 1_000];
/// How long a pace is kept, seconds.
const PACED_SECONDS: usize = 5;
/// Publishes as fast as they are taken.
const PIPELINED_EVENTS: usize = 20_000;
/// Publishers of the latter.
const PUBLISHERS: usize = 32;
/// Channels of one publisher at a steady pace.
const CHANNELS: usize = 16;
/// Size of an event, bytes.
const BYTES: usize = 128;

async fn publish(client: Client, n: usize, data: Bytes) -> anyhow::Result<()> {
    let draft = Draft::json(format!("chat.c{}", n % CHANNELS), data);
    client.publish_start(draft).await?.await?;
    Ok(())
}

async fn pipelined(clients: &[Client], count: usize, data: &Bytes) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, data, share) = (client.clone(), data.clone(), count / clients.len());
        tasks.spawn(async move {
            let mut acks = Vec::with_capacity(share);
            for _ in 0..share {
                acks.push(
                    client
                        .publish_start(Draft::json(format!("chat.p{index}"), data.clone()))
                        .await?,
                );
            }
            for ack in acks {
                ack.await?;
            }
            Ok::<usize, ClientError>(share)
        });
    }
    let counts: Vec<usize> = tasks
        .join_all()
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    Ok(counts.iter().sum::<usize>() as f64 / begun.elapsed().as_secs_f64())
}

async fn clients(deployment: &Deployment) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(PUBLISHERS);
    for n in 0..PUBLISHERS {
        clients
            .push(Client::connect(deployment.client_options(&[0], &format!("writer{n}"))).await?);
    }
    Ok(clients)
}

/// The row of publishing as fast as acks allow.
async fn rate(
    options: &Options,
    clients: &[Client],
    bare: &Bare,
    data: &Bytes,
) -> anyhow::Result<Row> {
    let count = options.count(PIPELINED_EVENTS);
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds() {
        figures[0].push(pipelined(clients, count, data).await?);
        figures[1].push(bare.pipelined(count, data).await?);
    }
    let [ours, bare] = figures.map(median);
    Ok(Row {
        what: format!("publish, {PUBLISHERS} publishers, as fast as acks allow"),
        unit: "events/s",
        ours,
        bare: Some(bare),
        note: "yardstick: one connection, 1,024 publishes in flight, each synced by itself; \
               ours commits in groups; target: at least 2"
            .into(),
    })
}

/// Measures.
///
/// # Errors
/// The servers are not here, or refuse.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut deployment = world::start(world::builder().processes()).await?;
    let bare = Bare::connect(deployment.servers.nats_url()).await?;
    let (clients, data) = (clients(&deployment).await?, world::text(BYTES));
    let mut rows = Vec::new();
    for pace in PACES {
        let direct = Paced {
            what: "publish to ack, direct",
            pace,
            seconds: PACED_SECONDS,
            data: data.clone(),
            note: "yardstick: JetStream publish to ack by async-nats from the same process, \
                   without the edge in between; target for p50: at most 1.3",
        };
        let ours = async |count, pause| {
            paced(count, pause, |n| {
                publish(clients[0].clone(), n, data.clone())
            })
            .await
        };
        rows.extend(direct.rows(options, &bare, ours).await?);
    }
    rows.push(rate(options, &clients, &bare, &data).await?);
    deployment.stop().await;
    Ok(rows)
}
