//! An ephemeral event that passed every check, ready to be passed on. Plain data.

use bytes::Bytes;
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::header::Headers;
use protocol::name::{FunctionName, Tenant};
use protocol::subject::Subject;

/// An ephemeral event that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct EphemeralDraft {
    /// The writer's counter.
    pub n: u64,
    /// Whose it is.
    pub tenant: Tenant,
    /// What is said of it.
    pub envelope: Envelope,
    /// The same as it is sent.
    pub headers: Headers,
    /// Its data.
    pub payload: Bytes,
    /// Where it goes: to whoever listens, or to the gate.
    pub subject: Subject,
    /// The gate that it passes first.
    pub gate: Option<FunctionName>,
}

impl EphemeralDraft {
    /// What the bus is given.
    pub fn outgoing(&self) -> Outgoing {
        outgoing(
            self.subject.clone(),
            self.headers.clone(),
            self.payload.clone(),
        )
    }

    /// Bytes that it has on its way, its name aside.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.headers.bytes()
    }
}

/// A message that no stream takes.
pub fn outgoing(subject: Subject, headers: Headers, payload: Bytes) -> Outgoing {
    Outgoing {
        subject,
        headers,
        payload,
        msg_id: None,
        expect: None,
    }
}
