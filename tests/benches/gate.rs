//! From a client's publish, through the gate of documents, to another client on another
//! edge node: what three writers of one document wait for, at a steady pace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use client::{Client, Delivery, Draft, Named, Start, Subscription, data_of};
use harness::FunctionChoice;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::bare::Bare;
use crate::options::Options;
use crate::pace::paced;
use crate::table::{Row, median, quantile};
use crate::world;

/// Steady paces, events a second.
const PACES: [usize; 2] = [200, 400];
/// How long a pace is kept, seconds.
const SECONDS: usize = 10;
/// Writers of the document.
const WRITERS: usize = 3;
/// The document's channel.
const CHANNEL: &str = "doc.c0";

/// Who waits for which edit to be delivered.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>);

impl Board {
    fn expect(&self, txn: u64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.insert(txn, sender);
        receiver
    }

    fn delivered(&self, txn: u64) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = board.remove(&txn) {
            // Whoever gave up waiting has said so.
            let _ = waits.send(());
        }
    }
}

/// An edit as editors send them: 72 bytes of update.
fn edit(txn: u64) -> Bytes {
    format!("{{\"txn\":{txn},\"update\":\"{}\"}}", "AAAA".repeat(24)).into()
}

async fn read(mut edits: Subscription, board: Board) {
    while let Some(Ok(delivery)) = edits.next().await {
        let Delivery::Event { event, .. } = delivery else {
            continue;
        };
        let data = data_of(&event);
        let edit: Option<Value> = data.and_then(|data| serde_json::from_slice(&data).ok());
        if let Some(txn) = edit.and_then(|edit| edit["txn"].as_u64()) {
            board.delivered(txn);
        }
    }
}

/// Publishes and waits for the delivery.
async fn pass(client: Client, board: Board, txn: u64) -> anyhow::Result<()> {
    let delivered = board.expect(txn);
    client
        .publish_start(Draft::json(CHANNEL, edit(txn)))
        .await?
        .await?;
    let delivered = tokio::time::timeout(world::DEADLINE, delivered).await;
    delivered.context("an edit is not delivered")??;
    Ok(())
}

async fn latencies(
    pace: usize,
    options: &Options,
    (writers, board): (&[Client], &Board),
    bare: &Bare,
) -> anyhow::Result<[Row; 2]> {
    let (count, pause) = (
        options.count(pace * SECONDS),
        Duration::from_secs(1) / pace as u32,
    );
    let mut figures: [Vec<f64>; 4] = Default::default();
    let mut txn = 0;
    for _ in 0..options.rounds() {
        let mut theirs = bare.paced(count, pause, &edit(0)).await?;
        let first = txn;
        txn += count as u64;
        let mut ours = paced(count, pause, |n| {
            let writer = writers[n % writers.len()].clone();
            pass(writer, board.clone(), first + n as u64)
        })
        .await?;
        let round = [
            quantile(&mut ours, 0.5),
            quantile(&mut theirs, 0.5),
            quantile(&mut ours, 0.99),
            quantile(&mut theirs, 0.99),
        ];
        let lists = figures.iter_mut().zip(round);
        lists.for_each(|(list, figure)| list.push(figure));
    }
    let [ours_50, bare_50, ours_99, bare_99] = figures.map(median);
    let row = |part: &str, ours, bare| Row {
        what: format!("publish to delivery through the gate, {pace}/s, {part}"),
        unit: "ms",
        ours,
        bare: Some(bare),
        note: format!(
            "less is better; {WRITERS} writers of one document on one edge node, the reader on another; \
             yardstick: JetStream publish to ack at the same pace"
        ),
    };
    Ok([row("p50", ours_50, bare_50), row("p99", ours_99, bare_99)])
}

/// Measures.
///
/// # Errors
/// The servers are not here, or an edit is not delivered.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder()
        .processes()
        .functions(&[FunctionChoice::Gate])
        .workers(1)
        .edges(2);
    let mut deployment = world::start(builder).await?;
    let bare = Bare::connect(deployment.servers.nats_url()).await?;
    let reader = Client::connect(deployment.client_options(&[1], "reader")).await?;
    let edits = reader.subscribe(CHANNEL, Start::Named(Named::Now)).await?;
    let board = Board::default();
    let reading = tokio::spawn(read(edits, board.clone()));
    let mut writers = Vec::with_capacity(WRITERS);
    for n in 0..WRITERS {
        let options = deployment.client_options(&[0], &format!("writer{n}"));
        writers.push(Client::connect(options).await?);
    }
    let mut rows = Vec::new();
    for pace in PACES {
        rows.extend(latencies(pace, options, (&writers, &board), &bare).await?);
    }
    reading.abort();
    deployment.stop().await;
    Ok(rows)
}
