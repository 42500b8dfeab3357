//! NATS subjects: the only place where they are built, and taken apart.
//!
//! `{kind}.{store}.{lane}.{tenant}.{channel}` for events,
//! `ck.{store}.{lane}.{function}` for checkpoints,
//! `rej.{store}.{lane}.{function}` for dead letters,
//! `st.{store}.{lane}.{function}.{incarnation}.{tenant}.{channel}` for what a function
//! remembers of a channel, `fence.{store}.{lane}.{function}.{incarnation}` for who may
//! write that,
//! `log.{store}.{function}` for the logs of functions,
//! `pres.` and a key of the bucket `PRESENCE` for what is stored there (`presence`).
//! Every part is a checked name, so no text of a client can add a token or a
//! wildcard.

use std::fmt;

use crate::lane::Lane;
use crate::name::{Channel, ChannelPattern, FunctionName, NameError, StoreName, Tenant};

pub mod presence;

/// The first token of an event's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Raw input of a function namespace, stored in INGRESS.
    In,
    /// A stored event, in EVENTS.
    Ev,
    /// What the server republishes of `ev`; the only kind that edges subscribe to.
    Fan,
    /// An ephemeral event, never stored.
    Eph,
    /// A request to a gate for an ephemeral event.
    Req,
}

impl Kind {
    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Ev => "ev",
            Self::Fan => "fan",
            Self::Eph => "eph",
            Self::Req => "req",
        }
    }

    fn parse(token: &str) -> Option<Self> {
        [Self::In, Self::Ev, Self::Fan, Self::Eph, Self::Req]
            .into_iter()
            .find(|kind| kind.as_str() == token)
    }
}

/// A subject, or a subject filter, built from checked parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Box<str>);

impl Subject {
    /// The subject of an event.
    pub fn event(
        kind: Kind,
        store: &StoreName,
        lane: Lane,
        tenant: &Tenant,
        channel: &Channel,
    ) -> Self {
        Self(format!("{}.{store}.{lane}.{tenant}.{channel}", kind.as_str()).into())
    }

    /// Where a function's checkpoints of one lane go.
    pub fn checkpoint(store: &StoreName, lane: Lane, function: &FunctionName) -> Self {
        Self(format!("ck.{store}.{lane}.{function}").into())
    }

    /// Where a function's dead letters of one lane go.
    pub fn dead_letter(store: &StoreName, lane: Lane, function: &FunctionName) -> Self {
        Self(format!("rej.{store}.{lane}.{function}").into())
    }

    /// What a function remembers of a channel, in one of its lives.
    pub fn state(
        store: &StoreName,
        lane: Lane,
        (function, incarnation): (&FunctionName, u64),
        tenant: &Tenant,
        channel: &Channel,
    ) -> Self {
        Self(format!("st.{store}.{lane}.{function}.{incarnation}.{tenant}.{channel}").into())
    }

    /// Guards what a function remembers on one lane, in one of its lives.
    pub fn fence(
        store: &StoreName,
        lane: Lane,
        (function, incarnation): (&FunctionName, u64),
    ) -> Self {
        Self(format!("fence.{store}.{lane}.{function}.{incarnation}").into())
    }

    /// Everything of one kind in one lane.
    pub fn lane_filter(kind: Kind, store: &StoreName, lane: Lane) -> Self {
        Self(format!("{}.{store}.{lane}.>", kind.as_str()).into())
    }

    /// Everything of one kind and one tenant in one lane.
    pub fn tenant_filter(kind: Kind, store: &StoreName, lane: Lane, tenant: &Tenant) -> Self {
        Self(format!("{}.{store}.{lane}.{tenant}.>", kind.as_str()).into())
    }

    /// Everything of one kind in a store.
    pub fn store_filter(kind: Kind, store: &StoreName) -> Self {
        Self(format!("{}.{store}.>", kind.as_str()).into())
    }

    /// What a pattern of channels covers, in every lane.
    pub fn pattern_filter(
        kind: Kind,
        store: &StoreName,
        tenant: &Tenant,
        channels: &ChannelPattern,
    ) -> Self {
        let (kind, channels) = (kind.as_str(), channels.as_str());
        Self(format!("{kind}.{store}.*.{tenant}.{channels}").into())
    }

    /// Every checkpoint of a store.
    pub fn checkpoint_filter(store: &StoreName) -> Self {
        Self(format!("ck.{store}.>").into())
    }

    /// Where a function's log goes.
    pub fn log(store: &StoreName, function: &FunctionName) -> Self {
        Self(format!("log.{store}.{function}").into())
    }

    /// The logs of all functions of a store.
    pub fn log_filter(store: &StoreName) -> Self {
        Self(format!("log.{store}.>").into())
    }

    /// Every dead letter of a store.
    pub fn dead_letter_filter(store: &StoreName) -> Self {
        Self(format!("rej.{store}.>").into())
    }

    /// Everything that functions remember in a store.
    pub fn state_filter(store: &StoreName) -> Self {
        Self(format!("st.{store}.>").into())
    }

    /// Every fence of a store.
    pub fn fence_filter(store: &StoreName) -> Self {
        Self(format!("fence.{store}.>").into())
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a subject says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// An event of some kind.
    Event {
        /// Kind.
        kind: Kind,
        /// Store.
        store: StoreName,
        /// Lane.
        lane: Lane,
        /// Tenant.
        tenant: Tenant,
        /// Channel.
        channel: Channel,
    },
    /// A function's checkpoint.
    Checkpoint {
        /// Store.
        store: StoreName,
        /// Lane.
        lane: Lane,
        /// Function.
        function: FunctionName,
    },
    /// A function's dead letter.
    DeadLetter {
        /// Store.
        store: StoreName,
        /// Lane.
        lane: Lane,
        /// Function.
        function: FunctionName,
    },
}

/// Why a text is not one of our subjects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The first token is none of ours, or parts are missing.
    #[error("{subject:?} is not a subject of Eddyline")]
    Foreign {
        /// The text.
        subject: String,
    },
    /// One part is not a valid name.
    #[error("in subject {subject:?}: {source}")]
    Name {
        /// The text.
        subject: String,
        /// What is wrong.
        source: NameError,
    },
}

impl Parsed {
    /// Takes a subject apart.
    ///
    /// # Errors
    /// [`SubjectError`] for anything that no constructor of [`Subject`] builds.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let foreign = || SubjectError::Foreign {
            subject: text.into(),
        };
        let name = |source| SubjectError::Name {
            subject: text.into(),
            source,
        };
        let mut parts = text.splitn(4, '.');
        let (kind, store, lane, rest) = (
            parts.next().ok_or_else(foreign)?,
            parts.next().ok_or_else(foreign)?,
            parts.next().ok_or_else(foreign)?,
            parts.next().ok_or_else(foreign)?,
        );
        let store = StoreName::parse(store).map_err(name)?;
        let lane = parse_lane(lane).ok_or_else(foreign)?;
        match kind {
            "ck" => Ok(Self::Checkpoint {
                store,
                lane,
                function: FunctionName::parse(rest).map_err(name)?,
            }),
            "rej" => Ok(Self::DeadLetter {
                store,
                lane,
                function: FunctionName::parse(rest).map_err(name)?,
            }),
            _ => {
                let kind = Kind::parse(kind).ok_or_else(foreign)?;
                let (tenant, channel) = rest.split_once('.').ok_or_else(foreign)?;
                let tenant = Tenant::parse(tenant).map_err(name)?;
                Ok(Self::Event {
                    kind,
                    store,
                    lane,
                    tenant,
                    channel: Channel::parse(channel).map_err(name)?,
                })
            }
        }
    }
}

/// A lane as this module writes it: decimal, no sign, no leading zero.
fn parse_lane(text: &str) -> Option<Lane> {
    let number: u16 = text.parse().ok()?;
    (number.to_string() == text).then_some(Lane(number))
}

#[cfg(test)]
mod tests;
