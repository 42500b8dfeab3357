//! A stored event, taken apart once: the lane decides by it, the host hands it to
//! the guest, the outputs are made from it.
//!
//! Owns nothing. Must not know functions or lanes.

use protocol::bus::Stored;
use protocol::envelope::{Envelope, EnvelopeError};
use protocol::name::{Channel, Tenant};
use protocol::subject::{Parsed, SubjectError};

/// An event that a function may handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its channel.
    pub channel: Channel,
    /// Its headers, typed.
    pub envelope: Envelope,
    /// The event as the stream holds it.
    pub stored: Stored,
}

/// Whose event it is, read from its subject.
///
/// # Errors
/// [`SubjectError`] when the subject is not that of an event.
pub fn address(stored: &Stored) -> Result<(Tenant, Channel), SubjectError> {
    match Parsed::parse(&stored.subject)? {
        Parsed::Event {
            tenant, channel, ..
        } => Ok((tenant, channel)),
        _ => Err(SubjectError::Foreign {
            subject: stored.subject.clone(),
        }),
    }
}

impl Event {
    /// Reads the headers of an event whose subject has been read.
    ///
    /// # Errors
    /// The event itself, and what is wrong with its headers.
    pub fn read(
        tenant: Tenant,
        channel: Channel,
        stored: Stored,
    ) -> Result<Self, Box<(Stored, EnvelopeError)>> {
        match Envelope::from_headers(&stored.headers) {
            Ok(envelope) => Ok(Self {
                tenant,
                channel,
                envelope,
                stored,
            }),
            Err(error) => Err(Box::new((stored, error))),
        }
    }

    /// Its sequence in the input stream.
    pub fn seq(&self) -> u64 {
        self.stored.seq
    }
}
