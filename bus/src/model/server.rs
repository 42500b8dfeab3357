//! All streams and objects of a model: which stream takes a subject, what goes from
//! one to another, what is republished. Pure; owns the streams.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::config::StreamConfig;
use super::message::Message;
use super::pattern;
use super::stream::{Machine, Streams, Taken};
use crate::details::StreamDetails;
use crate::error::BusError;
use protocol::bus::Republished;

/// The server's code for a name that is taken by another configuration.
const NAME_IN_USE: u64 = 10_058;

/// What a publish leads to beside its answer.
#[derive(Debug)]
pub(super) enum Effect {
    /// A stream has something new.
    Stored(String),
    /// Whoever subscribes to the subject gets this.
    Core(String, Message, Option<Republished>),
}

/// The answer to a publish: stream, sequence, duplicate, how many were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ack {
    pub stream: String,
    pub seq: u64,
    pub duplicate: bool,
    pub count: usize,
}

/// The streams and objects.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub streams: Streams,
    pub objects: BTreeMap<(String, String), Bytes>,
}

impl Server {
    /// Which stream takes a subject.
    pub(super) fn stream_of(&self, subject: &str) -> Option<&str> {
        let mut streams = self.streams.iter();
        streams
            .find(|(_, stream)| {
                let mut filters = stream.config.subjects.iter();
                filters.any(|filter| pattern::matches(filter, subject))
            })
            .map(|(name, _)| name.as_str())
    }

    /// A stream, after age has taken what it takes.
    ///
    /// # Errors
    /// [`BusError::NotFound`].
    pub(super) fn stream(&mut self, name: &str, now_us: u64) -> Result<&mut Machine, BusError> {
        let stream = self.streams.get_mut(name).ok_or(BusError::NotFound)?;
        stream.expire(now_us);
        Ok(stream)
    }

    /// Makes a stream.
    ///
    /// # Errors
    /// [`BusError::Api`] if it is there with other settings, or is of an unknown kind.
    pub(super) fn create(
        &mut self,
        name: &str,
        json: &Map<String, Value>,
        now_us: u64,
    ) -> Result<StreamDetails, BusError> {
        let config = StreamConfig::read(json)?;
        if let Some(there) = self.streams.get(name) {
            if there.config.json != *json {
                let description = "stream name already in use".into();
                return Err(BusError::from_api(NAME_IN_USE, description));
            }
            return Ok(there.details(there.log.last_seq(), now_us));
        }
        let stream = Machine::new(config, now_us);
        let details = stream.details(0, now_us);
        self.streams.insert(name.into(), stream);
        Ok(details)
    }

    /// Gives a stream other settings.
    ///
    /// # Errors
    /// [`BusError::NotFound`]; [`BusError::Api`] for an unknown kind.
    pub(super) fn change(
        &mut self,
        name: &str,
        json: &Map<String, Value>,
        now_us: u64,
    ) -> Result<StreamDetails, BusError> {
        let config = StreamConfig::read(json)?;
        let stream = self.stream(name, now_us)?;
        stream.config = config;
        Ok(stream.details(stream.log.last_seq(), now_us))
    }

    /// Stores one message in a stream.
    ///
    /// # Errors
    /// Those of [`Machine::publish`].
    pub(super) fn publish(
        &mut self,
        name: &str,
        message: Message,
        now_us: u64,
    ) -> Result<(Ack, Vec<Effect>), BusError> {
        let taken = self.stream(name, now_us)?.publish(&message, now_us)?;
        let ack = |seq, duplicate| Ack {
            stream: name.into(),
            seq,
            duplicate,
            count: 1,
        };
        Ok(match taken {
            Taken::Duplicate(seq) => (ack(seq, true), Vec::new()),
            Taken::New(said) => {
                let effects = self.spread(name, vec![(message, said)], now_us);
                (ack(said.stream_seq, false), effects)
            }
        })
    }

    /// Stores a whole batch, of which this is the last message.
    ///
    /// # Errors
    /// Those of [`Machine::commit`].
    pub(super) fn commit(
        &mut self,
        name: &str,
        (id, n): (u128, usize),
        message: Message,
        now_us: u64,
    ) -> Result<(Ack, Vec<Effect>), BusError> {
        let stored = self.stream(name, now_us)?.commit(id, n, message, now_us)?;
        let ack = Ack {
            stream: name.into(),
            seq: stored.last().map_or(0, |(_, said)| said.stream_seq),
            duplicate: false,
            count: stored.len(),
        };
        Ok((ack, self.spread(name, stored, now_us)))
    }

    /// What follows from new events: copies into other streams, republished copies.
    fn spread(
        &mut self,
        name: &str,
        stored: Vec<(Message, Republished)>,
        now_us: u64,
    ) -> Vec<Effect> {
        let mut effects = vec![Effect::Stored(name.into())];
        for (other, stream) in &mut self.streams {
            let sources: Vec<_> = stream.config.sources.clone();
            for (_, filter) in sources.iter().filter(|(source, _)| source == name) {
                for (message, _) in &stored {
                    if pattern::matches(filter, &message.subject) {
                        stream.copy(message, now_us);
                        effects.push(Effect::Stored(other.clone()));
                    }
                }
            }
        }
        let rule = self.streams.get(name);
        let rule = rule.and_then(|stream| stream.config.republish.clone());
        if let Some((source, target)) = rule {
            effects.extend(stored.into_iter().filter_map(|(message, said)| {
                let subject = pattern::mapped(&source, &target, &message.subject)?;
                Some(Effect::Core(subject, message, Some(said)))
            }));
        }
        effects
    }
}
