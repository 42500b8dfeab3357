//! A message of a core subscription.

use bytes::Bytes;
use protocol::bus::Republished;
use protocol::header::Headers;

/// Where somebody waits for an answer. It comes with a question, and is made of no text of
/// ours.
#[derive(Debug, Clone)]
pub struct ReplyTo(pub(crate) async_nats::Subject);

/// A message from a core subscription.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub(crate) subject: async_nats::Subject,
    /// Its headers, without `Nats-*`.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
    /// Present on what a stream republished.
    pub republished: Option<Republished>,
    /// Present on a question: where the answer goes.
    pub reply: Option<ReplyTo>,
}

impl Incoming {
    /// The subject it was published to.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}
