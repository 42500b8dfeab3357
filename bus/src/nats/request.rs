//! Questions and answers over core NATS. Owns nothing.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::api::require_answer;
use super::connection::{Bus, Subscription};
use super::wire;
use crate::error::BusError;
use crate::incoming::ReplyTo;
use protocol::bus::Outgoing;
use protocol::subject::Subject;

impl Bus {
    /// Subscribes as one of a group.
    pub(crate) async fn subscribe_shared(
        &self,
        subject: &Subject,
        group: &str,
    ) -> Result<Subscription, BusError> {
        let (subject, group) = (subject.as_str().to_owned(), group.to_owned());
        let messages = self.inner.client.queue_subscribe(subject, group).await;
        Ok(Subscription::new(
            messages.map_err(|_| BusError::Disconnected)?,
        ))
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn request(
        &self,
        message: Outgoing,
        wait: Duration,
    ) -> Result<Bytes, BusError> {
        self.require_connected()?;
        let headers = wire::outgoing(&message)?;
        let subject = message.subject.as_str().to_owned();
        let (to, reply) = self.inner.inbox.one();
        let exchange = async {
            let client = &self.inner.client;
            let sent = client.publish_with_reply_and_headers(subject, to, headers, message.payload);
            sent.await.map_err(|error| self.publish_error(&error))?;
            reply.await
        };
        let answer = timeout(wait, exchange).await;
        let answer = answer.map_err(|_| BusError::Timeout)??;
        require_answer(&answer)?;
        Ok(answer.payload)
    }

    /// Answers.
    pub(crate) async fn respond(&self, to: &ReplyTo, answer: Bytes) -> Result<(), BusError> {
        self.require_connected()?;
        let sent = self.inner.client.publish(to.0.clone(), answer).await;
        sent.map_err(|error| self.publish_error(&error))
    }
}
