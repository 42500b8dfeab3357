//! What the replay of functions asks of the Kafka mirror. Owns nothing: whoever has a
//! connection to a bridge answers.

use bytes::Bytes;
use protocol::bus::Stored;
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, ChannelPattern, FunctionName, StoreName, Tenant};
use protocol::record::MirrorGap;
use protocol::subject::{Kind, Subject};

use crate::seam::Place;

/// What kind of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Stored events.
    Events,
    /// What publishers sent.
    Inputs,
    /// What publishers were told of inputs on these channels.
    Outcomes,
    /// The dead letters of a function, of inputs on these channels.
    DeadLetters(FunctionName),
}

/// A part of the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What kind of messages.
    pub asked: Asked,
    /// The channels; their namespace is literal.
    pub channels: ChannelPattern,
    /// The namespace's name is one of the channels too.
    pub whole_namespace: bool,
    pub(crate) store: StoreName,
    pub(crate) lanes: u16,
}

/// A message as the mirror has it.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// Its sequence in its stream.
    pub seq: u64,
    /// When it was stored, microseconds since 1970, cut to milliseconds.
    pub time_us: u64,
    /// Its channel; of a dead letter, that of its input.
    pub channel: Channel,
    /// Its headers.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
}

impl Query {
    /// A message as its stream had it.
    pub(crate) fn stored(&self, tenant: &Tenant, mirrored: Mirrored) -> Stored {
        let (store, channel) = (&self.store, &mirrored.channel);
        let lane = Lane::of(tenant, channel, self.lanes);
        let event = |kind| Subject::event(kind, store, lane, tenant, channel);
        let subject = match &self.asked {
            Asked::Inputs => event(Kind::In),
            Asked::Events | Asked::Outcomes => event(Kind::Ev),
            Asked::DeadLetters(function) => Subject::dead_letter(store, lane, function),
        };
        Stored {
            seq: mirrored.seq,
            time_us: mirrored.time_us,
            subject: subject.as_str().to_owned(),
            headers: mirrored.headers,
            payload: mirrored.payload,
        }
    }
}

/// Why the mirror does not say what it holds.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct MirrorError {
    /// What is wrong.
    pub problem: String,
    /// Whether the same may succeed later.
    pub temporary: bool,
}

/// The mirror, as one tenant may read it.
pub trait Mirror: Sync {
    /// Whose messages it gives.
    fn tenant(&self) -> &Tenant;

    /// Gives what it holds from a place to a sequence, inclusive, in order per channel; the
    /// gaps that it has to tell.
    ///
    /// # Errors
    /// [`MirrorError`].
    fn read(
        &self,
        query: &Query,
        from: Place,
        to: u64,
        take: &mut (dyn FnMut(Mirrored) + Send),
    ) -> impl Future<Output = Result<Vec<MirrorGap>, MirrorError>> + Send;
}
