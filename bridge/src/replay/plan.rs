//! A request, checked: what is read, from where, to where, and for whom.

use std::time::SystemTime;

use auth::{Action, Identity, Scopes};
use protocol::name::{CHANNEL_TOKENS_MAX, Channel, ChannelPattern, StoreName};
use protocol::position::Epoch;
use protocol::record::topic;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Parsed};
use rand::Rng;

use super::batch::Limits;
use super::fault::ReplayFault;
use super::token::{self, Cursor, Target};
use crate::proto::read_request::{End, Start};
use crate::proto::{ReadRequest, StreamKind};

/// What a read may give: the pattern that was asked for, within what the token allows.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    channels: ChannelPattern,
    scopes: Scopes,
}

impl Grant {
    /// Whether an event on this channel is given.
    pub(crate) fn allows(&self, channel: &Channel) -> bool {
        self.channels.matches(channel) && self.scopes.allows(Action::Replay, channel)
    }

    /// Whether the token's scopes cover the whole pattern. Tried on channels that
    /// stand for all: wildcards become a token that nobody names, `>` every number of
    /// them.
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
        Channel::parse(channel)
            .ok()
            .map(|channel| self.scopes.allows(Action::Replay, &channel))
    }
}

/// Where a read ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Live,
    Snapshot,
}

/// A checked request.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub target: Target,
    pub kind: Kind,
    pub topic: String,
    pub grant: Grant,
    pub cursor: Cursor,
    /// The start is whatever is kept: what went before it is no gap.
    pub earliest: bool,
    pub until: Until,
    pub limits: Limits,
    pub expires_at: SystemTime,
}

/// What requests are checked against.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub store: StoreName,
    pub epoch: Epoch,
    pub topic_prefix: String,
}

impl Plan {
    /// Checks a request.
    ///
    /// # Errors
    /// [`ReplayFault`] names the field.
    pub(crate) fn new(
        request: ReadRequest,
        identity: Identity,
        home: &Home,
    ) -> Result<Self, ReplayFault> {
        let (kind, stream) = match request.kind() {
            StreamKind::Events => (Kind::Ev, StreamName::events(&home.store)),
            StreamKind::Ingress => (Kind::In, StreamName::ingress(&home.store)),
            StreamKind::Unspecified => return Err(wrong("kind", "is neither events nor ingress")),
        };
        let channels = ChannelPattern::parse(&request.channels)
            .map_err(|error| wrong("channels", &error.to_string()))?;
        let topic = topic_of(kind, home, &identity, &channels)?;
        let grant = Grant {
            channels: channels.clone(),
            scopes: identity.scopes,
        };
        if !grant.is_covered() {
            return Err(ReplayFault::Scope {
                channels: channels.as_str().into(),
            });
        }
        let target = Target {
            stream,
            epoch: home.epoch.clone(),
            tenant: identity.tenant,
            channels,
        };
        let earliest = matches!(request.start, Some(Start::Earliest(_)));
        let cursor = match request.start {
            Some(Start::Earliest(_)) => Cursor::default(),
            Some(Start::Sequence(seq)) => Cursor {
                after: seq.saturating_sub(1),
                ..Cursor::default()
            },
            Some(Start::Token(text)) => token::decode(&text, &target)?,
            None => return Err(wrong("start", "is missing")),
        };
        let until = match request.end {
            Some(End::Live(_)) => Until::Live,
            Some(End::Snapshot(_)) => Until::Snapshot,
            None => return Err(wrong("end", "is missing")),
        };
        let limits = Limits::of(request.batch_events_max, request.batch_bytes_max);
        Ok(Self {
            target,
            kind,
            topic,
            grant,
            cursor,
            earliest,
            until,
            limits,
            expires_at: identity.expires_at,
        })
    }

    /// The pattern as a channel, if it has no wildcard.
    pub(crate) fn literal(&self) -> Option<Channel> {
        Channel::parse(self.target.channels.as_str()).ok()
    }
}

/// The one topic that holds the pattern's events: its namespace must be literal.
fn topic_of(
    kind: Kind,
    home: &Home,
    identity: &Identity,
    channels: &ChannelPattern,
) -> Result<String, ReplayFault> {
    let namespace = channels.as_str().split('.').next().unwrap_or_default();
    let channel = Channel::for_client(namespace)
        .map_err(|_| wrong("channels", "must begin with the name of a namespace"))?;
    let parsed = Parsed::Event {
        kind,
        store: home.store.clone(),
        lane: protocol::lane::Lane(0),
        tenant: identity.tenant.clone(),
        channel,
    };
    topic(&home.topic_prefix, &parsed).ok_or_else(|| wrong("kind", "is not mirrored"))
}

fn wrong(field: &'static str, problem: &str) -> ReplayFault {
    ReplayFault::Request {
        field,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::name::{Tenant, User};

    use super::*;
    use crate::proto::{Earliest, Snapshot};

    fn plan(
        channels: &str,
        scopes: &[&str],
        change: impl FnOnce(&mut ReadRequest),
    ) -> Result<Plan, ReplayFault> {
        let mut request = ReadRequest {
            kind: StreamKind::Events as i32,
            channels: channels.into(),
            start: Some(Start::Earliest(Earliest {})),
            end: Some(End::Snapshot(Snapshot {})),
            ..ReadRequest::default()
        };
        change(&mut request);
        let identity = Identity {
            tenant: Tenant::parse("ac_me").unwrap(),
            user: User::parse("ann").unwrap(),
            expires_at: SystemTime::now(),
            scopes: Scopes::parse(scopes).unwrap(),
        };
        let home = Home {
            store: StoreName::parse("main").unwrap(),
            epoch: Epoch::parse("ab").unwrap(),
            topic_prefix: "eddyline".into(),
        };
        Plan::new(request, identity, &home)
    }

    #[test]
    fn scopes_must_cover_the_whole_pattern() {
        let covered = |channels, scopes: &[&str]| plan(channels, scopes, |_| {}).is_ok();
        assert!(covered("doc.1", &["replay:doc.>"]));
        assert!(covered("doc.*", &["replay:doc.>"]));
        assert!(covered("doc.>", &["replay:doc.>"]));
        assert!(covered("doc.>", &["replay:>"]));
        assert!(covered("doc.>", &["replay:doc.*", "replay:doc.*.>"]));
        assert!(!covered("doc.>", &["replay:doc.*"]));
        assert!(!covered("doc.>", &["replay:doc.*", "replay:doc.*.*"]));
        assert!(!covered("doc.*", &["replay:doc.1"]));
        assert!(!covered("doc.1", &["replay:doc.2"]));
        assert!(!covered("doc.1", &["subscribe:doc.>"]));
    }

    #[test]
    fn the_namespace_is_literal_and_names_the_topic() {
        assert_eq!(
            plan("doc.>", &["replay:>"], |_| {}).unwrap().topic,
            "eddyline.ev.ac__me.doc"
        );
        for channels in ["*.1", ">", "_outcome.ann.c"] {
            assert!(
                matches!(
                    plan(channels, &["replay:>"], |_| {}),
                    Err(ReplayFault::Request {
                        field: "channels",
                        ..
                    })
                ),
                "{channels}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let field = |change: fn(&mut ReadRequest)| match plan("doc.1", &["replay:>"], change) {
            Err(ReplayFault::Request { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(|r| r.kind = 0), "kind");
        assert_eq!(field(|r| r.kind = 9), "kind");
        assert_eq!(field(|r| r.start = None), "start");
        assert_eq!(field(|r| r.end = None), "end");
        assert_eq!(field(|r| r.channels.clear()), "channels");
        assert_eq!(field(|r| r.start = Some(Start::Token("x".into()))), "token");
    }
}
