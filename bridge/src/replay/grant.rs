//! Which messages of a stream a read gives, and under which scope. Pure.
//!
//! Events are for who may replay; what publishers sent, and what became of that, is for
//! who may see inputs: a gate may have refused it because nobody should.

use auth::{Action, Scopes};
use protocol::bus::Stored;
use protocol::lane::Lane;
use protocol::name::{
    CHANNEL_TOKENS_MAX, Channel, ChannelPattern, FunctionName, OUTCOME_NAMESPACE, StoreName, Tenant,
};
use protocol::outcome::{OutcomeEvent, dead_letter};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Parsed, Subject};
use rand::Rng;

/// What kind of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Events,
    Inputs,
    /// What publishers were told of inputs.
    Outcomes,
    /// What is kept of the inputs that a function refused or failed on.
    DeadLetters(FunctionName),
}

impl What {
    /// Where they are stored.
    pub(crate) fn stream(&self, store: &StoreName) -> StreamName {
        match self {
            Self::Inputs => StreamName::ingress(store),
            Self::Events | Self::Outcomes | Self::DeadLetters(_) => StreamName::events(store),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Inputs => Kind::In,
            Self::Events | Self::Outcomes | Self::DeadLetters(_) => Kind::Ev,
        }
    }

    fn action(&self) -> Action {
        match self {
            Self::Events => Action::Replay,
            Self::Inputs | Self::Outcomes | Self::DeadLetters(_) => Action::Inputs,
        }
    }
}

/// What a read may give: the pattern that was asked for, within what the token allows.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub what: What,
    pub tenant: Tenant,
    /// The channels, of the inputs where it is about those. Its first token is `namespace`.
    pub channels: ChannelPattern,
    pub namespace: Channel,
    /// The namespace's name is one of the channels too.
    pub whole: bool,
    pub scopes: Scopes,
    /// Nothing that was stored before it, milliseconds since 1970; 0: everything.
    pub since_ms: u64,
}

/// A message of a stream, wherever it was read.
pub(super) struct Found<'a> {
    /// Its channel; of a dead letter, that of its input.
    pub channel: &'a Channel,
    pub time_ms: u64,
    /// Of a dead letter, the subject of its input.
    pub dead_subject: Option<&'a str>,
    pub payload: &'a [u8],
}

impl Grant {
    /// A subject of the one topic that holds them.
    pub(crate) fn of_topic(&self, store: &StoreName) -> Parsed {
        let (store, lane) = (store.clone(), Lane(0));
        let channel = match &self.what {
            What::DeadLetters(function) => {
                return Parsed::DeadLetter {
                    store,
                    lane,
                    function: function.clone(),
                };
            }
            What::Outcomes => {
                Channel::parse(OUTCOME_NAMESPACE).expect("one token is a channel's name")
            }
            What::Events | What::Inputs => self.namespace.clone(),
        };
        Parsed::Event {
            kind: self.what.kind(),
            store,
            lane,
            tenant: self.tenant.clone(),
            channel,
        }
    }

    /// What a reader of the stream is to be given. One channel has a subject of its own; a
    /// pattern has one for all lanes.
    pub(super) fn filter(&self, store: &StoreName, lanes: u16) -> Subject {
        let (kind, tenant) = (self.what.kind(), &self.tenant);
        let pattern = |text: &str| {
            let pattern = ChannelPattern::parse(text).expect("names and wildcards are a pattern");
            Subject::pattern_filter(kind, store, tenant, &pattern)
        };
        match &self.what {
            What::DeadLetters(_) => Subject::dead_letter_filter(store),
            What::Outcomes => pattern(&format!("{OUTCOME_NAMESPACE}.*.*.{}", self.namespace)),
            What::Events | What::Inputs => match Channel::parse(self.channels.as_str()) {
                Ok(channel) => {
                    let lane = Lane::of(tenant, &channel, lanes);
                    Subject::event(kind, store, lane, tenant, &channel)
                }
                // No filter covers both; what is too much is left out.
                Err(_) if self.whole => pattern(">"),
                Err(_) => pattern(self.channels.as_str()),
            },
        }
    }

    /// Whether a record of the topic is given.
    pub(super) fn gives(&self, found: &Found<'_>) -> bool {
        let of_tenant = |subject: &str| match Parsed::parse(subject) {
            Ok(Parsed::Event { tenant, .. }) => tenant == self.tenant,
            _ => false,
        };
        found.time_ms >= self.since_ms
            && match &self.what {
                What::Events | What::Inputs => self.allows(found.channel),
                What::DeadLetters(_) => {
                    found.dead_subject.is_some_and(of_tenant) && self.allows(found.channel)
                }
                What::Outcomes => {
                    let of = found.channel.outcomes_of();
                    of == Some(self.namespace.as_str())
                        && told_of(found.payload).is_some_and(|channel| self.allows(&channel))
                }
            }
    }

    /// The channel of a message of the stream, if it is given.
    pub(super) fn channel(&self, stored: &Stored) -> Option<Channel> {
        let dead_subject = stored.headers.get(dead_letter::SUBJECT);
        let channel = match Parsed::parse(&stored.subject).ok()? {
            Parsed::Event {
                kind,
                tenant,
                channel,
                ..
            } if kind == self.what.kind() && tenant == self.tenant => channel,
            Parsed::DeadLetter { function, .. }
                if self.what == What::DeadLetters(function.clone()) =>
            {
                match Parsed::parse(dead_subject?).ok()? {
                    Parsed::Event { channel, .. } => channel,
                    _ => return None,
                }
            }
            _ => return None,
        };
        let found = Found {
            channel: &channel,
            time_ms: stored.time_us / 1_000,
            dead_subject,
            payload: &stored.payload,
        };
        self.gives(&found).then_some(channel)
    }

    fn allows(&self, channel: &Channel) -> bool {
        let asked = self.channels.matches(channel) || self.whole && *channel == self.namespace;
        asked && self.scopes.allows(self.what.action(), channel)
    }

    /// The scope that would cover what is asked for, if the token's do not. Tried on
    /// channels that stand for all: wildcards become a token that nobody names, `>` every
    /// number of them.
    pub(crate) fn lacks(&self) -> Option<String> {
        let lacks = |channels: &str| Some(format!("{}:{channels}", self.what.action().as_str()));
        if self.whole && self.covers(self.namespace.as_str()) != Some(true) {
            return lacks(self.namespace.as_str());
        }
        match self.is_covered() {
            true => None,
            false => lacks(self.channels.as_str()),
        }
    }

    fn is_covered(&self) -> bool {
        let stand_in = format!("{:06x}", rand::rng().random_range(0..1 << 24));
        let pattern = self.channels.as_str().replace('*', &stand_in);
        let Some(prefix) = pattern.strip_suffix('>') else {
            return self.covers(&pattern) != Some(false);
        };
        let used = prefix.matches('.').count();
        let mut channel = prefix.trim_end_matches('.').to_owned();
        for _ in used..CHANNEL_TOKENS_MAX {
            channel = format!("{channel}.{stand_in}");
            match self.covers(&channel) {
                Some(true) => {}
                Some(false) => return false,
                // Too long for a channel; the check of each event still holds.
                None => break,
            }
        }
        true
    }

    fn covers(&self, channel: &str) -> Option<bool> {
        let channel = Channel::parse(channel).ok()?;
        Some(self.scopes.allows(self.what.action(), &channel))
    }
}

/// The channel that an outcome is about.
fn told_of(payload: &[u8]) -> Option<Channel> {
    let told: OutcomeEvent = serde_json::from_slice(payload).ok()?;
    Channel::parse(&told.channel).ok()
}

#[cfg(test)]
mod tests;
