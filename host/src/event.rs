//! A stored event, taken apart once: the lane decides by it, the host hands it to
//! the guest, the outputs are made from it.
//!
//! Owns nothing. Must not know functions or lanes.

use protocol::bus::Stored;
use protocol::envelope::{Envelope, EnvelopeError};
use protocol::header;
use protocol::name::{Channel, Tenant};
use protocol::subject::{Parsed, SubjectError};

/// An event that a function may handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its channel: what the guest sees, and what is remembered belongs to.
    pub channel: Channel,
    /// The channel that its subject names: the same, but for one that was redriven for one
    /// function and stands on a channel of its own.
    pub place: Channel,
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
    /// Reads the headers of an event whose subject has been read: `place` is the channel
    /// there.
    ///
    /// # Errors
    /// The event itself, and what is wrong with its headers.
    pub fn read(
        tenant: Tenant,
        place: Channel,
        stored: Stored,
    ) -> Result<Self, Box<(Stored, EnvelopeError)>> {
        let read = Envelope::from_headers(&stored.headers);
        let read = read.and_then(|envelope| Ok((envelope, channel(&place, &stored)?)));
        match read {
            Ok((envelope, channel)) => Ok(Self {
                tenant,
                channel,
                place,
                envelope,
                stored,
            }),
            Err(error) => Err(Box::new((stored, error))),
        }
    }

    /// Whether it was redriven for one function, and stands on a channel of its own.
    pub fn is_redriven(&self) -> bool {
        self.place != self.channel
    }

    /// Its sequence in the input stream.
    pub fn seq(&self) -> u64 {
        self.stored.seq
    }
}

/// The channel of an event that stands at a place.
fn channel(place: &Channel, stored: &Stored) -> Result<Channel, EnvelopeError> {
    if place.redriven_for().is_none() {
        return Ok(place.clone());
    }
    let channel = stored.headers.get(header::CHANNEL).map(Channel::parse);
    let bad = EnvelopeError {
        header: header::CHANNEL,
    };
    channel.and_then(Result::ok).ok_or(bad)
}
