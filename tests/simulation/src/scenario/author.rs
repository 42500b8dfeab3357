//! Who writes the events that a scenario needs: one after the other, each until it is
//! stored.
//!
//! Owns the counters. Its connection suffers like any other; the id makes its
//! repetitions harmless, because they follow each other within the duplicate window.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::Bus;
use bytes::Bytes;
use checker::{Acked, Sent};
use protocol::bus::Outgoing;
use protocol::subject::Kind;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::collect::{body, channel};
use crate::world::World;

/// Its name on the network.
pub const NAME: &str = "author";
/// Who it is.
const WRITER: &str = "ann/c";
/// Wait before an event is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// Events that may wait to be written: more than any schedule has steps.
const ORDERS_MAX: usize = 4_096;

/// A writer.
pub struct Author {
    orders: mpsc::Sender<(u64, u32)>,
    open: Arc<AtomicU64>,
    n: u64,
}

impl Author {
    /// Starts one that writes to the stream of this kind.
    pub fn start(world: &World, kind: Kind) -> Self {
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let open = Arc::new(AtomicU64::new(0));
        let bus = world.model.connect(NAME);
        tokio::spawn(write(world.clone(), bus, kind, waiting, open.clone()));
        Self { orders, open, n: 0 }
    }

    /// Writes one event on the channel `doc.{number}`.
    pub fn write(&mut self, number: u32) {
        self.n += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        // Its task ends only with the runtime. One that finds no room stays open, and the
        // run fails for it.
        let _ = self.orders.try_send((self.n, number));
    }

    /// Whether everything is stored.
    pub fn is_done(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }
}

async fn write(
    world: World,
    bus: Bus,
    kind: Kind,
    mut waiting: mpsc::Receiver<(u64, u32)>,
    open: Arc<AtomicU64>,
) {
    let mut seen: HashMap<u64, u64> = HashMap::new();
    while let Some((n, number)) = waiting.recv().await {
        let (subject, mut envelope) = world.event(kind, &format!("doc.{number}"), WRITER, n);
        envelope.receipt = kind == Kind::In && n.is_multiple_of(3);
        let payload = Bytes::from(n.to_string());
        let (publisher, channel) = (format!("acme/{WRITER}"), channel(subject.as_str()));
        world.history.record(Sent {
            publisher: publisher.clone(),
            n,
            channel: channel.clone(),
            body: body(&payload),
            first_us: 0,
        });
        let message = Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload,
            msg_id: Some(envelope.id.clone()),
            expect: None,
        };
        let ack = loop {
            match bus.publish(message.clone()).await {
                Ok(ack) => break ack,
                Err(_) => sleep(AGAIN).await,
            }
        };
        if let Some(before) = seen.insert(ack.seq, n) {
            world.problem(format!("{before} and {n} are both stored at {}", ack.seq));
        }
        world.history.record(Acked {
            publisher,
            n,
            channel,
            stream: ack.stream.to_string(),
            seq: ack.seq,
            duplicate: ack.duplicate,
        });
        open.fetch_sub(1, Ordering::Relaxed);
    }
}
