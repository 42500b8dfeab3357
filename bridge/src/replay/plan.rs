//! A request, checked: what is read, from where, to where, and for whom.

use std::time::SystemTime;

use auth::Identity;
use protocol::name::{Channel, ChannelPattern, FunctionName, StoreName};
use protocol::position::Epoch;
use protocol::record::topic;

use super::batch::Limits;
use super::fault::ReplayFault;
use super::grant::{Grant, What};
use super::token::{self, Cursor, Target};
use crate::proto::read_request::{End, Start};
use crate::proto::{ReadRequest, StreamKind};

/// Where a read ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Live,
    Snapshot,
    /// With this sequence.
    Last(u64),
}

/// A checked request.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub target: Target,
    pub topic: String,
    pub grant: Grant,
    pub cursor: Cursor,
    /// The start is whatever is kept: what went before it is no gap.
    pub earliest: bool,
    pub until: Until,
    pub limits: Limits,
    pub ends_at: SystemTime,
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
        let what = what(&request)?;
        let channels = ChannelPattern::parse(&request.channels)
            .map_err(|error| wrong("channels", &error.to_string()))?;
        let namespace = channels.as_str().split('.').next().unwrap_or_default();
        let namespace = Channel::for_client(namespace)
            .map_err(|_| wrong("channels", "must begin with the name of a namespace"))?;
        let mut grant = Grant {
            what,
            tenant: identity.tenant.clone(),
            channels: channels.clone(),
            namespace,
            whole: request.whole_namespace,
            scopes: identity.scopes,
            since_ms: 0,
        };
        if let Some(scope) = grant.lacks() {
            return Err(ReplayFault::Scope { scope });
        }
        let target = Target {
            stream: grant.what.stream(&home.store),
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
            Some(Start::TimeUs(time_us)) => Cursor {
                since_ms: time_us / 1_000,
                ..Cursor::default()
            },
            Some(Start::Token(text)) => token::decode(&text, &target)?,
            None => return Err(wrong("start", "is missing")),
        };
        let until = match request.end {
            Some(End::Live(_)) => Until::Live,
            Some(End::Snapshot(_)) => Until::Snapshot,
            Some(End::Last(seq)) => Until::Last(seq),
            None => return Err(wrong("end", "is missing")),
        };
        let limits = Limits::of(request.batch_events_max, request.batch_bytes_max);
        grant.since_ms = cursor.since_ms;
        let topic = topic(&home.topic_prefix, &grant.of_topic(&home.store))
            .expect("what may be asked for is mirrored");
        Ok(Self {
            target,
            topic,
            grant,
            cursor,
            earliest,
            until,
            limits,
            ends_at: identity.ends_at,
        })
    }
}

fn what(request: &ReadRequest) -> Result<What, ReplayFault> {
    match request.kind() {
        StreamKind::Events => Ok(What::Events),
        StreamKind::Ingress => Ok(What::Inputs),
        StreamKind::Outcomes => Ok(What::Outcomes),
        StreamKind::DeadLetters => {
            let function = FunctionName::parse(&request.function);
            let function = function.map_err(|error| wrong("function", &error.to_string()))?;
            Ok(What::DeadLetters(function))
        }
        StreamKind::Unspecified => Err(wrong("kind", "is none that is known")),
    }
}

fn wrong(field: &'static str, problem: &str) -> ReplayFault {
    ReplayFault::Request {
        field,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use auth::Scopes;
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
        let user = User::parse("ann").unwrap();
        let scopes = Scopes::parse(scopes, &user).unwrap();
        let tenant = Tenant::parse("ac_me").unwrap();
        let identity = Identity::new(tenant, user, scopes, SystemTime::now());
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
        let topic_of = |kind: StreamKind| {
            let change = |r: &mut ReadRequest| {
                (r.kind, r.function) = (kind as i32, "my-gate".into());
            };
            plan("doc.>", &["inputs:>"], change).unwrap().topic
        };
        assert_eq!(topic_of(StreamKind::Ingress), "eddyline.in.ac__me.doc");
        assert_eq!(
            topic_of(StreamKind::Outcomes),
            "eddyline.ev.ac__me.__outcome"
        );
        assert_eq!(
            topic_of(StreamKind::DeadLetters),
            "eddyline.rej.main.my-gate"
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
        assert_eq!(
            field(|r| r.kind = StreamKind::DeadLetters as i32),
            "function"
        );
        assert_eq!(field(|r| r.start = None), "start");
        assert_eq!(field(|r| r.end = None), "end");
        assert_eq!(field(|r| r.channels.clear()), "channels");
        assert_eq!(field(|r| r.start = Some(Start::Token("x".into()))), "token");
    }
}
