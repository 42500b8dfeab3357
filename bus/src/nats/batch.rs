//! Atomic batches: many events stored together or not at all.
//!
//! Messages are staged under a batch id and committed by the last one (ADR-50).
//! Owns no state; how many batches are open is bounded by the connection.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use rand::Rng;
use tokio::time::{Instant, timeout, timeout_at};

use super::api;
use super::connection::Bus;
use super::inbox::OneReply;
use super::wire;
use crate::error::{BusError, stream_name};
use crate::limits::{BATCH_EVENTS_MAX, PUBLISH_TIMEOUT};
use protocol::bus::{BatchAck, Outgoing};
use service::backoff::Backoff;

/// How often a batch is tried when the stream has too many open.
const BUSY_TRIES_MAX: u32 = 8;
/// The first wait before such a try: a batch takes some milliseconds.
const BUSY_WAIT_FIRST: Duration = Duration::from_millis(10);
/// The longest: all tries together stay below the time limit of a publish.
const BUSY_WAIT_LONGEST: Duration = Duration::from_millis(500);

impl Bus {
    /// Stores all events of a batch together, contiguously and in input order, or
    /// none. Conditions are checked for each event, and an id that the stream already
    /// has refuses the whole batch without remembering its other ids.
    ///
    /// # Errors
    /// [`BusError::GuardRefused`], [`BusError::Duplicate`], [`BusError::BatchBusy`],
    /// [`BusError::BatchAbandoned`], [`BusError::BatchSize`], [`BusError::StreamFull`]:
    /// nothing was stored. [`BusError::Timeout`]: the outcome is unknown. Not cancel
    /// safe: cancelled, the outcome is unknown.
    pub async fn commit_batch(&self, batch: Vec<Outgoing>) -> Result<BatchAck, BusError> {
        self.commit(batch, BUSY_TRIES_MAX).await
    }

    /// As [`Self::commit_batch`], but a stream that has too many batches open is not asked
    /// again.
    ///
    /// # Errors
    /// As [`Self::commit_batch`], [`BusError::BatchBusy`] at once.
    pub async fn commit_batch_unless_busy(
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
        if batch.len() == 1 {
            // One message is atomic by itself and costs a quarter of a batch's syncs.
            let message = batch.into_iter().next().expect("the batch has one event");
            let ack = self.publish(message).await?;
            if ack.duplicate {
                return Err(BusError::Duplicate);
            }
            return Ok(BatchAck {
                stream: ack.stream,
                first_seq: ack.seq,
                last_seq: ack.seq,
            });
        }
        let mut backoff = Backoff::new(BUSY_WAIT_FIRST, BUSY_WAIT_LONGEST);
        loop {
            let place = self.inner.batches.take().await;
            let outcome = self.commit_once(&batch).await;
            let busy = matches!(outcome, Err(BusError::BatchBusy));
            place.tell(busy);
            if !busy {
                return outcome;
            }
            metrics::counter!("nats_batch_busy_total").increment(1);
            if backoff.failures() + 1 >= tries {
                return outcome;
            }
            backoff.wait().await;
        }
    }

    async fn commit_once(&self, batch: &[Outgoing]) -> Result<BatchAck, BusError> {
        let (mut first, last) = self.stage(batch).await?;
        let reply = timeout(PUBLISH_TIMEOUT, last)
            .await
            .map_err(|_| BusError::Timeout)??;
        match api::pub_ack(&reply) {
            Ok(ack) => {
                let first_seq = (ack.seq + 1).checked_sub(batch.len() as u64);
                let first_seq = first_seq.filter(|_| ack.count == batch.len() as u64);
                Ok(BatchAck {
                    stream: stream_name(&ack.stream)?,
                    first_seq: first_seq.ok_or(BusError::Malformed {
                        what: "batch count",
                    })?,
                    last_seq: ack.seq,
                })
            }
            // The commit only says that the batch is not there; why it was not taken
            // is in the answer to its first message.
            Err(BusError::BatchAbandoned) => match first.now().map(|reply| api::staged(&reply)) {
                Some(Err(error)) => Err(error),
                _ => Err(BusError::BatchAbandoned),
            },
            Err(error) => Err(error),
        }
    }

    /// Sends every message of the batch. Nothing has been committed when this fails.
    async fn stage(&self, batch: &[Outgoing]) -> Result<(OneReply, OneReply), BusError> {
        let headers = batch_headers(batch)?;
        // Checked before anything is staged: a batch that stops half-way stays open at
        // the server for its ten idle seconds.
        let max = self.max_payload();
        if batch
            .iter()
            .zip(&headers)
            .any(|(message, headers)| wire::size(headers, message.payload.len()) > max)
        {
            return Err(BusError::TooLarge { max });
        }
        let deadline = Instant::now() + PUBLISH_TIMEOUT;
        let turn = timeout_at(deadline, self.turn()).await;
        let _turn = turn.map_err(|_| BusError::Disconnected)??;
        let link = self.inner.writer.link()?;
        let ((first_to, first), (last_to, last)) = (link.inbox.one(), link.inbox.one());
        let client = &link.client;
        for (n, (message, headers)) in batch.iter().zip(headers).enumerate() {
            let (to, payload) = (message.subject.as_str().to_owned(), message.payload.clone());
            let sent = async {
                if n == 0 {
                    client
                        .publish_with_reply_and_headers(to, first_to.clone(), headers, payload)
                        .await
                } else if n + 1 == batch.len() {
                    client
                        .publish_with_reply_and_headers(to, last_to.clone(), headers, payload)
                        .await
                } else {
                    client.publish_with_headers(to, headers, payload).await
                }
            };
            let sent = timeout_at(deadline, sent)
                .await
                .map_err(|_| BusError::Disconnected)?;
            sent.map_err(|error| self.publish_error(&error))?;
        }
        Ok((first, last))
    }
}

fn batch_headers(batch: &[Outgoing]) -> Result<Vec<HeaderMap>, BusError> {
    let id = format!("{:032x}", rand::rng().random::<u128>());
    let mut all = Vec::with_capacity(batch.len());
    for (n, message) in batch.iter().enumerate() {
        let mut headers = wire::outgoing(message)?;
        headers.insert(NATS_BATCH_ID, id.as_str());
        headers.insert(NATS_BATCH_SEQUENCE, (n + 1).to_string());
        if n + 1 == batch.len() {
            headers.insert(NATS_BATCH_COMMIT, "1");
        }
        all.push(headers);
    }
    Ok(all)
}
