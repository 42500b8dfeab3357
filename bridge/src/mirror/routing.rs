//! Which topic and which key a stored event's record has. Pure but for a cache of
//! topic names; knows nothing of partitions.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::bus::Stored;
use protocol::outcome::dead_letter;
use protocol::record::topic;
use protocol::subject::{Parsed, SubjectError};

/// Where a record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its key: the channel. `None` for a dead letter that names no channel.
    pub key: Option<Key>,
}

/// A record's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The subject from this byte on.
    InSubject(usize),
    /// The channel of the event that became a dead letter.
    Own(String),
}

impl Route {
    /// The key's text.
    pub(crate) fn key<'a>(&'a self, event: &'a Stored) -> Option<&'a str> {
        match self.key.as_ref()? {
            Key::InSubject(at) => event.subject.get(*at..),
            Key::Own(channel) => Some(channel),
        }
    }
}

/// Finds routes.
#[derive(Debug)]
pub(crate) struct Router {
    prefix: String,
    /// Bounded by the topics that there are.
    names: HashMap<String, Arc<str>>,
}

impl Router {
    /// A router for topics that begin with `prefix`.
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            names: HashMap::new(),
        }
    }

    /// Where an event goes; `None` for what is not mirrored: checkpoints.
    ///
    /// # Errors
    /// [`SubjectError`] for a subject that is none of ours: somebody else writes into
    /// the stream.
    pub(crate) fn route(&mut self, event: &Stored) -> Result<Option<Route>, SubjectError> {
        let parsed = Parsed::parse(&event.subject)?;
        let Some(name) = topic(&self.prefix, &parsed) else {
            return Ok(None);
        };
        let key = match &parsed {
            Parsed::Event { channel, .. } => {
                Some(Key::InSubject(event.subject.len() - channel.as_str().len()))
            }
            _ => original_channel(event).map(Key::Own),
        };
        let topic = match self.names.get(&name) {
            Some(known) => known.clone(),
            None => self
                .names
                .entry(name.clone())
                .or_insert_with(|| name.into())
                .clone(),
        };
        Ok(Some(Route { topic, key }))
    }
}

fn original_channel(event: &Stored) -> Option<String> {
    match Parsed::parse(event.headers.get(dead_letter::SUBJECT)?).ok()? {
        Parsed::Event { channel, .. } => Some(channel.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::header::Headers;

    use super::*;

    fn stored(subject: &str, headers: Headers) -> Stored {
        Stored {
            seq: 1,
            time_us: 1,
            subject: subject.into(),
            headers,
            payload: Bytes::new(),
        }
    }

    fn check(subject: &str, headers: Headers) -> Option<(String, Option<String>)> {
        let event = stored(subject, headers);
        let route = Router::new("eddyline").route(&event).unwrap()?;
        Some((
            route.topic.to_string(),
            route.key(&event).map(str::to_owned),
        ))
    }

    #[test]
    fn events_go_by_kind_tenant_and_namespace() {
        assert_eq!(
            check("ev.main.3.ac_me.doc.1", Headers::new()),
            Some(("eddyline.ev.ac__me.doc".into(), Some("doc.1".into())))
        );
        assert_eq!(
            check("in.main.3.acme.doc.1.b", Headers::new()),
            Some(("eddyline.in.acme.doc".into(), Some("doc.1.b".into())))
        );
        assert_eq!(check("ck.main.3.gate", Headers::new()), None);
        assert!(
            Router::new("eddyline")
                .route(&stored("other.subject", Headers::new()))
                .is_err()
        );
    }

    #[test]
    fn dead_letters_keep_the_key_of_their_input() {
        let mut headers = Headers::new();
        assert_eq!(
            check("rej.main.3.gate", headers.clone()),
            Some(("eddyline.rej.main.gate".into(), None))
        );
        headers.push(dead_letter::SUBJECT, "in.main.3.acme.doc.1");
        assert_eq!(
            check("rej.main.3.gate", headers),
            Some(("eddyline.rej.main.gate".into(), Some("doc.1".into())))
        );
    }
}
