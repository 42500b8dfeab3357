//! Publishing one event into a stream, and its acknowledgement.
//!
//! Calls are sent in the order of their first poll: a semaphore of one hands out
//! turns first come, first served. Owns no state of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, timeout};

use super::api;
use super::connection::Bus;
use super::inbox::OneReply;
use super::wire;
use crate::error::{BusError, stream_name};
use crate::limits::PUBLISH_TIMEOUT;
use protocol::bus::{Outgoing, PubAck};

/// Acknowledgements that a connection waits for at a time. Policy: the next publish
/// waits for one of them.
pub(super) const PENDING_ACKS_MAX: usize = 16_384;

/// The acknowledgement of an event that has been handed to the connection. Must be
/// awaited or dropped: while it lives it counts against the connection's bound.
/// Dropping it does not take the event back.
pub struct PendingAck {
    reply: OneReply,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Future for PendingAck {
    type Output = Result<PubAck, BusError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(reply) = Pin::new(&mut self.reply).poll(cx) {
            return Poll::Ready(reply.and_then(|message| read(&message)));
        }
        self.deadline
            .as_mut()
            .poll(cx)
            .map(|()| Err(BusError::Timeout))
    }
}

fn read(message: &async_nats::Message) -> Result<PubAck, BusError> {
    let ack = api::pub_ack(message)?;
    Ok(PubAck {
        stream: stream_name(&ack.stream)?,
        seq: ack.seq,
        duplicate: ack.duplicate,
    })
}

impl Bus {
    /// Hands an event to the connection, in the order of calls, and returns its
    /// acknowledgement to wait for. Cancel safe: cancelled, it has not been sent.
    ///
    /// # Errors
    /// Nothing has been sent when this fails: [`BusError::Disconnected`],
    /// [`BusError::TooLarge`], [`BusError::Header`]. The acknowledgement itself fails
    /// with [`BusError::Timeout`] (outcome unknown), [`BusError::NoStream`],
    /// [`BusError::StreamFull`], [`BusError::GuardRefused`] or [`BusError::Api`].
    pub async fn publish_start(&self, message: Outgoing) -> Result<PendingAck, BusError> {
        let headers = wire::outgoing(&message)?;
        // Bounded as a whole, waiting for the turn included: who waits longer has been
        // told that nothing was sent, and may have sent it elsewhere.
        let handed = timeout(PUBLISH_TIMEOUT, self.hand_over(message, headers));
        let (reply, permit) = handed.await.map_err(|_| BusError::Disconnected)??;
        Ok(PendingAck {
            reply,
            deadline: Box::pin(tokio::time::sleep(PUBLISH_TIMEOUT)),
            _permit: permit,
        })
    }

    /// Publishes an event and waits until the stream has stored it.
    ///
    /// # Errors
    /// As [`Self::publish_start`] and its acknowledgement. Not cancel safe: cancelled,
    /// the outcome is unknown.
    pub async fn publish(&self, message: Outgoing) -> Result<PubAck, BusError> {
        self.publish_start(message).await?.await
    }

    async fn hand_over(
        &self,
        message: Outgoing,
        headers: async_nats::HeaderMap,
    ) -> Result<(OneReply, OwnedSemaphorePermit), BusError> {
        let _turn = self.turn().await?;
        let pending = self.inner.pending.clone().acquire_owned().await;
        let permit = pending.map_err(|_| BusError::Disconnected)?;
        self.require_connected()?;
        let writer = self.inner.writer.client()?;
        let (subject, reply) = self.inner.inbox.one();
        let to = message.subject.as_str().to_owned();
        writer
            .publish_with_reply_and_headers(to, subject, headers, message.payload)
            .await
            .map_err(|error| self.publish_error(&error))?;
        Ok((reply, permit))
    }
}
