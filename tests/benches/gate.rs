//! From a client's publish, through the gate of documents, to another client on another
//! edge node: what three writers of one document wait for, at a steady pace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use client::{Client, Delivery, Draft, Named, Start, Subscription, data_of};
use harness::FunctionChoice;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::bare::Bare;
use crate::latency::Paced;
use crate::options::Options;
use crate::pace::paced;
use crate::table::Row;
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
        .publish_start(Draft::json(CHANNEL, world::edit(txn)))
        .await?
        .await?;
    let delivered = tokio::time::timeout(world::DEADLINE, delivered).await;
    delivered.context("an edit is not delivered")??;
    Ok(())
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
    let (mut rows, mut txn) = (Vec::new(), 0);
    for pace in PACES {
        let gated = Paced {
            what: "publish to delivery through the gate",
            pace,
            seconds: SECONDS,
            data: world::edit(0),
            note: "three writers of one document on one edge node, the reader on another; \
                   yardstick: JetStream publish to ack at the same pace; target at 200/s for \
                   p99: at most 3 times that and 2 ms",
        };
        let ours = async |count, pause| {
            let first = txn;
            txn += count as u64;
            let call = |n: usize| {
                let writer = writers[n % writers.len()].clone();
                pass(writer, board.clone(), first + n as u64)
            };
            paced(count, pause, call).await
        };
        rows.extend(gated.rows(options, &bare, ours).await?);
    }
    reading.abort();
    deployment.stop().await;
    Ok(rows)
}
