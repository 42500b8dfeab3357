//! Somebody who is told of everything that the editors send, hear and receive, event
//! by event: tests hold it against what the servers have. Owns nothing.

use std::fmt::Debug;

use protocol::frame::{Event, Published};
use protocol::name::ClientId;

use client::ClientError;

/// Whose events they are, and where.
#[derive(Debug, Clone)]
pub struct Author {
    /// Which editor.
    pub agent: u32,
    /// Its client.
    pub client: ClientId,
    /// The document's channel.
    pub channel: String,
}

/// Looks on. Called from the editors' tasks; must return at once.
pub trait Witness: Debug + Send + Sync {
    /// The editor receives everything on the channel after this sequence.
    fn subscribed(&self, author: &Author, after: u64);

    /// A new event was handed over under this number; a resend is none.
    fn sent(&self, author: &Author, n: u64, data: &[u8]);

    /// The answer to an event, or to a resend of it.
    fn answered(&self, author: &Author, n: u64, answer: &Result<Published, ClientError>);

    /// An event on the document's channel has come.
    fn delivered(&self, author: &Author, event: &Event);
}

/// Nobody looks on.
#[derive(Debug)]
pub struct Nobody;

impl Witness for Nobody {
    fn subscribed(&self, _: &Author, _: u64) {}
    fn sent(&self, _: &Author, _: u64, _: &[u8]) {}
    fn answered(&self, _: &Author, _: u64, _: &Result<Published, ClientError>) {}
    fn delivered(&self, _: &Author, _: &Event) {}
}
