//! Questions and answers without a stream: at most once, over NATS alone.
//!
//! Owns nothing. The model has none: what is asked there has nobody who answers.

use std::time::Duration;

use bytes::Bytes;

use crate::bus::{Backend, Bus, Source, Subscription};
use crate::error::BusError;
use crate::incoming::ReplyTo;
use protocol::bus::Outgoing;
use protocol::subject::Subject;

impl Bus {
    /// Subscribes to a subject as one of a group: each message comes to one of them.
    /// Otherwise as [`Bus::subscribe`].
    ///
    /// # Errors
    /// [`BusError::Disconnected`] once the connection is closed.
    pub async fn subscribe_shared(
        &self,
        subject: &Subject,
        group: &str,
    ) -> Result<Subscription, BusError> {
        Ok(Subscription(match &self.0 {
            Backend::Nats(bus) => Source::Nats(bus.subscribe_shared(subject, group).await?),
            Backend::Model(bus) => Source::Model(bus.subscribe(subject).await?),
        }))
    }

    /// Asks whoever is subscribed, and waits for the answer. Cancel safe in that nothing
    /// is left behind; whether the question was heard nobody knows then.
    ///
    /// # Errors
    /// [`BusError::NoStream`]: nobody is subscribed, and nothing was heard.
    /// [`BusError::Timeout`]: no answer in time; it may have been heard. Those of
    /// [`Bus::publish_core`].
    pub async fn request(&self, message: Outgoing, wait: Duration) -> Result<Bytes, BusError> {
        match &self.0 {
            Backend::Nats(bus) => bus.request(message, wait).await,
            Backend::Model(_) => Err(BusError::NoStream),
        }
    }

    /// Answers a question: at most once, and without a word whether it arrived.
    ///
    /// # Errors
    /// Those of [`Bus::publish_core`].
    pub async fn respond(&self, to: &ReplyTo, answer: Bytes) -> Result<(), BusError> {
        match &self.0 {
            Backend::Nats(bus) => bus.respond(to, answer).await,
            Backend::Model(_) => Err(BusError::NoStream),
        }
    }
}
