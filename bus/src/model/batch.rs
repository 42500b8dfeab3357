//! Atomic batches over a model's connection, with the client's own rules: how many are
//! open at a time, one event goes alone, a busy stream is tried again. Owns no state.

use std::time::Duration;

use tokio::time::timeout;

use super::connection::{Connection, unexpected};
use super::message::{Message, batch_header_bytes};
use super::request::Reply;
use crate::error::{BusError, stream_name};
use crate::limits::{BATCH_EVENTS_MAX, PUBLISH_TIMEOUT};
use protocol::bus::{BatchAck, Outgoing};

/// How often a batch is tried when the stream has too many open.
const BUSY_TRIES_MAX: u32 = 8;
/// The first wait before such a try; doubles, plus up to as much at random.
const BUSY_DELAY: Duration = Duration::from_millis(5);

impl Connection {
    pub(crate) async fn commit_batch(&self, batch: Vec<Outgoing>) -> Result<BatchAck, BusError> {
        self.commit(batch, BUSY_TRIES_MAX).await
    }

    pub(crate) async fn commit_batch_unless_busy(
        &self,
        batch: Vec<Outgoing>,
    ) -> Result<BatchAck, BusError> {
        self.commit(batch, 1).await
    }

    async fn commit(&self, batch: Vec<Outgoing>, tries: u32) -> Result<BatchAck, BusError> {
        if batch.is_empty() || batch.len() > BATCH_EVENTS_MAX {
            return Err(BusError::BatchSize {
                events: batch.len(),
                max: BATCH_EVENTS_MAX,
            });
        }
        let _open = self.batches.acquire().await;
        if batch.len() == 1 {
            return self.publish_alone(batch).await;
        }
        let count = batch.len();
        let messages = (1..).zip(batch);
        let messages: Result<Vec<_>, _> = messages
            .map(|(n, event)| Message::new(event, batch_header_bytes(n, n == count)))
            .collect();
        let messages = messages?;
        let mut delay = BUSY_DELAY;
        for _ in 1..tries {
            match self.commit_once(messages.clone()).await {
                Err(BusError::BatchBusy) => {
                    let most = Duration::ZERO..=delay;
                    let jitter = self.shared.act(|world, _| world.network.dice.micros(&most));
                    tokio::time::sleep(delay + Duration::from_micros(jitter)).await;
                    delay *= 2;
                }
                outcome => return outcome,
            }
        }
        self.commit_once(messages).await
    }

    async fn publish_alone(&self, batch: Vec<Outgoing>) -> Result<BatchAck, BusError> {
        let message = batch.into_iter().next().expect("the batch has one event");
        let ack = self.publish_start(message).await?.await?;
        if ack.duplicate {
            return Err(BusError::Duplicate);
        }
        Ok(BatchAck {
            stream: ack.stream,
            first_seq: ack.seq,
            last_seq: ack.seq,
        })
    }

    async fn commit_once(&self, batch: Vec<Message>) -> Result<BatchAck, BusError> {
        let link = self.link;
        let (first, last, sent) = self.shared.act(|world, now| {
            let (first, last) = (world.ticket(), world.ticket());
            let tickets = (first.0, last.0);
            let sent = world.network.send_batch(now, link, tickets, batch);
            (first, last, sent)
        });
        let mut first = self.waiting(first.0, first.1);
        let last = self.waiting(last.0, last.1);
        sent?;
        let answer = timeout(PUBLISH_TIMEOUT, last)
            .await
            .map_err(|_| BusError::Timeout)?;
        match answer {
            Ok(Reply::Ack(ack)) => Ok(BatchAck {
                stream: stream_name(&ack.stream)?,
                first_seq: ack.seq + 1 - ack.count as u64,
                last_seq: ack.seq,
            }),
            Ok(_) => Err(unexpected()),
            // The commit only says that the batch is not there; why it was not taken
            // is in the answer to its first message.
            Err(BusError::BatchAbandoned) => match first.now() {
                Some(Err(error)) => Err(error),
                _ => Err(BusError::BatchAbandoned),
            },
            Err(error) => Err(error),
        }
    }
}
