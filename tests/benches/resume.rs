//! A subscriber that missed ten thousand events.

use anyhow::{Context, bail, ensure};
use client::{Client, Delivery, Encoding, Start};
use harness::Deployment;
use protocol::lane::Lane;
use protocol::position::Position;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use tokio::time::Instant;

use crate::bare::Bare;
use crate::options::Options;
use crate::table::{Row, median};
use crate::world;

/// Events that were missed.
const EVENTS: usize = 10_000;
/// Size of an event's data, bytes.
const BYTES: usize = 128;

/// Events per second from the subscribe command to `caught_up`.
async fn ours(deployment: &Deployment, channel: &str, events: usize) -> anyhow::Result<f64> {
    let mut options = deployment.client_options(&[0], "reader");
    options.encoding = Encoding::Msgpack;
    let client = Client::connect(options).await?;
    let start = Start::After(Position {
        epoch: deployment.store.epoch.clone(),
        seq: 0,
        time: None,
    });
    let begun = Instant::now();
    let mut subscription = client.subscribe(channel, start).await?;
    let mut count = 0;
    loop {
        let delivery = tokio::time::timeout(world::DEADLINE, subscription.next())
            .await
            .context("nothing comes")?;
        match delivery.context("the subscription ends")?? {
            Delivery::Event { .. } => count += 1,
            Delivery::CaughtUp { .. } => break,
            Delivery::Ephemeral { .. } | Delivery::Dropped { .. } | Delivery::Presence(_) => {}
            Delivery::Gap(gap) => bail!("a gap: {gap:?}"),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(count == events, "{count} of {events} events");
    client.close().await;
    Ok(events as f64 / seconds)
}

/// Measures.
///
/// # Errors
/// The servers are not here, or an event is missing.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut deployment = world::start(world::builder().processes()).await?;
    let bare = Bare::connect(deployment.servers.nats_url()).await?;
    let channels = world::channels("chat", 1)?;
    world::fill(
        &deployment,
        Kind::Ev,
        &channels,
        EVENTS,
        &world::text(BYTES),
    )
    .await?;
    let lane = Lane::of(&deployment.tenant, &channels[0], deployment.store.lanes);
    let subject = Subject::event(
        Kind::Ev,
        &deployment.store.name,
        lane,
        &deployment.tenant,
        &channels[0],
    );
    let stream = StreamName::events(&deployment.store.name);
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds() {
        figures[0].push(ours(&deployment, channels[0].as_str(), EVENTS).await?);
        figures[1].push(
            bare.ordered(stream.as_str(), subject.as_str(), EVENTS)
                .await?,
        );
    }
    deployment.stop().await;
    let [ours, bare] = figures.map(median);
    Ok(vec![Row {
        what: format!("resume of {EVENTS} missed events"),
        unit: "events/s",
        ours,
        bare: Some(bare),
        note: format!(
            "{:.2} s from the command to caught_up, decoded by the client; yardstick: ordered consumer of async-nats, creation \
             included; target: at least 0.5",
            EVENTS as f64 / ours
        ),
    }])
}
