//! Functions end to end: INGRESS that was filled before, through a gate, into EVENTS.

use bytes::Bytes;
use harness::{Deployment, FunctionChoice};
use protocol::stream::StreamName;
use protocol::subject::Kind;
use tokio::time::Instant;

use crate::bare::Bare;
use crate::options::Options;
use crate::table::{Row, median};
use crate::world;

/// Events of a round.
const EVENTS: usize = 20_000;
/// Channels, spread over all lanes.
const CHANNELS: usize = 64;

/// Outputs per second, from the first that is seen to the last.
async fn ours(
    deployment: &mut Deployment,
    bare: &Bare,
    events: usize,
    data: &Bytes,
) -> anyhow::Result<f64> {
    let stream = StreamName::events(&deployment.store.name);
    deployment.workers[0].stop().await;
    let before = bare.stored(stream.as_str(), "ev.>").await?;
    world::fill(
        deployment,
        Kind::In,
        &world::channels("doc", CHANNELS)?,
        events,
        data,
    )
    .await?;
    deployment.workers[0].start().await;
    let deadline = Instant::now() + world::DEADLINE;
    let mut first = None;
    loop {
        let (done, now) = (
            bare.stored(stream.as_str(), "ev.>").await? - before,
            Instant::now(),
        );
        match first {
            None if done > 0 => first = Some((done, now)),
            Some((begun, since)) if done >= events => {
                return Ok((done - begun) as f64 / (now - since).as_secs_f64());
            }
            _ => anyhow::ensure!(now < deadline, "{done} of {events} outputs"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Measures.
///
/// # Errors
/// The servers are not here, or outputs do not come.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder()
        .processes()
        .functions(&[FunctionChoice::Gate])
        .workers(1)
        .edges(0);
    let mut deployment = world::start(builder).await?;
    let bare = Bare::connect(deployment.servers.nats_url()).await?;
    let (events, data) = (options.count(EVENTS), world::edit(1));
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds() {
        figures[0].push(ours(&mut deployment, &bare, events, &data).await?);
        figures[1].push(bare.pipelined(events, &data).await?);
    }
    deployment.stop().await;
    let [ours, bare] = figures.map(median);
    Ok(vec![Row {
        what: "function lanes, INGRESS to EVENTS, exactly once".into(),
        unit: "events/s",
        ours,
        bare: Some(bare),
        note: format!(
            "{events} edits on {} lanes through the gate of documents, one worker, from the first output to the last; \
             yardstick: pipelined publishes of the same data; target: at least 3",
            deployment.store.lanes
        ),
    }])
}
