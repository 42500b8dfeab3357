//! What a function that abuses its worker costs another one beside it: the gate of
//! documents on INGRESS that was filled before, with and without the abuse.

use bytes::Bytes;
use harness::{Deployment, FunctionChoice};
use protocol::stream::StreamName;
use protocol::subject::Kind;
use tokio::time::Instant;

use crate::bare::Bare;
use crate::options::Options;
use crate::table::{Row, median};
use crate::world;

/// Events of the neighbour in a round.
const EVENTS: usize = 10_000;
/// Channels of each of both, spread over all lanes.
const CHANNELS: usize = 64;

/// An abuse: what it is, what each event tells the probe, of how many events one does so
/// while the others pass, and how many events there are in a round.
type Abuse = (&'static str, &'static str, usize, usize);

const ABUSES: [Abuse; 8] = [
    ("an endless loop", r#"{"do":"loop"}"#, 1, 64),
    ("a memory bomb", r#"{"do":"memory"}"#, 1, 64),
    ("a stack overflow", r#"{"do":"stack"}"#, 1, 64),
    ("a trap on each tenth event", r#"{"do":"trap"}"#, 10, 2_000),
    ("huge outputs", r#"{"do":"huge","times":2}"#, 1, 64),
    ("a log flood", r#"{"do":"log","times":500}"#, 1, 500),
    ("a metric flood", r#"{"do":"metrics","times":500}"#, 1, 500),
    ("a state flood", r#"{"do":"state","times":300}"#, 1, 500),
];
/// What the other events tell the probe.
const FAIR: &str = r#"{"do":"pass"}"#;

/// The neighbour's outputs per second, from its worker's start to the last, while the
/// other function has as many events in either case.
async fn neighbour(
    deployment: &mut Deployment,
    bare: &Bare,
    events: usize,
    (_, order, of, count): &Abuse,
    abuses: bool,
) -> anyhow::Result<f64> {
    let stream = StreamName::events(&deployment.store.name);
    let outputs = format!("ev.*.*.{}.doc.>", deployment.tenant);
    deployment.workers[0].stop().await;
    let before = bare.stored(stream.as_str(), &outputs).await?;
    let lab = world::channels("lab", CHANNELS)?;
    let order = |n: usize| match abuses && n.is_multiple_of(*of) {
        true => Bytes::from(*order),
        false => Bytes::from(FAIR),
    };
    world::fill_each(deployment, Kind::In, &lab, *count, &order).await?;
    let doc = world::channels("doc", CHANNELS)?;
    world::fill(deployment, Kind::In, &doc, events, &world::edit(1)).await?;
    deployment.workers[0].start().await;
    let began = Instant::now();
    loop {
        let done = bare.stored(stream.as_str(), &outputs).await? - before;
        if done >= events {
            return Ok(events as f64 / began.elapsed().as_secs_f64());
        }
        let late = began.elapsed() > world::DEADLINE;
        anyhow::ensure!(!late, "{done} of {events} outputs");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// A row for each abuse; the yardstick is the same neighbour beside a fair function.
///
/// # Errors
/// The servers are not here, or outputs do not come.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for abuse in &ABUSES {
        // What an abuse leaves waiting must not reach the next one.
        let builder = world::builder()
            .processes()
            .functions(&[FunctionChoice::Gate, FunctionChoice::Probe])
            .workers(1)
            .edges(0);
        let mut deployment = world::start(builder).await?;
        let bare = Bare::connect(deployment.servers.nats_url()).await?;
        let events = options.count(EVENTS);
        let mut figures: [Vec<f64>; 2] = Default::default();
        // What is abused goes on in the next round: fair rounds come first.
        for (figures, abuses) in figures.iter_mut().zip([false, true]) {
            for _ in 0..options.rounds() {
                let figure = neighbour(&mut deployment, &bare, events, abuse, abuses).await?;
                figures.push(figure);
            }
        }
        deployment.stop().await;
        let [alone, beside] = figures.map(median);
        rows.push(Row {
            what: format!("a gate beside a function with {}", abuse.0),
            unit: "events/s",
            ours: beside,
            bare: Some(alone),
            note: format!(
                "{events} edits and {} events of the other function on the same lanes and worker, its start \
                 included; yardstick: the same while the other's events pass; target: at least 0.8",
                abuse.3
            ),
        });
    }
    Ok(rows)
}
