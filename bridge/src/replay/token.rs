//! Resume tokens: where a read goes on. Opaque to clients; JSON in Base64 inside.
//!
//! A token gives no rights: what it names is compared with the request's own token,
//! tenant and pattern.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::name::{ChannelPattern, Tenant};
use protocol::position::Epoch;
use protocol::stream::StreamName;
use serde::{Deserialize, Serialize};

use super::fault::ReplayFault;

/// Version of what is inside.
const VERSION: u8 = 1;
/// Longest token, in bytes: a thousand partitions' offsets and sequences, and the names.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// How far a read is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Nothing up to this sequence is given again.
    pub after: u64,
    /// By partition, the next offset to read; a missing or negative one is the first
    /// one kept.
    pub offsets: Vec<i64>,
    /// Kafka's id of the topic that they are offsets of; empty before the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic_id: String,
    /// By partition, the last sequence that was given of it while a history is under
    /// way: of what is past `after`, it tells what came already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<u64>,
    /// Everything up to `after` was given, so JetStream may go on from there.
    pub complete: bool,
    /// What was stored before is not wanted, milliseconds since 1970; 0: everything is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since_ms: u64,
}

impl Cursor {
    /// Whether an event of this partition came already.
    pub(crate) fn has_given(&self, partition: usize, seq: u64) -> bool {
        let given = self.given.get(partition).copied().unwrap_or(0);
        seq <= self.after.max(given)
    }

    /// Everything up to a sequence is given.
    pub(crate) fn reach(&mut self, seq: u64) {
        self.after = seq;
        if self.given.iter().all(|given| *given <= seq) {
            self.given.clear();
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a read is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub stream: StreamName,
    pub epoch: Epoch,
    pub tenant: Tenant,
    pub channels: ChannelPattern,
}

impl Target {
    /// What the positions of its records begin with: `{stream}@{epoch}:`.
    pub(crate) fn origin(&self) -> String {
        format!("{}@{}:", self.stream, self.epoch)
    }
}

#[derive(Serialize, Deserialize)]
struct Token {
    v: u8,
    #[serde(flatten)]
    target: Target,
    #[serde(flatten)]
    cursor: Cursor,
}

/// Makes a token.
pub(crate) fn encode(target: &Target, cursor: &Cursor) -> String {
    let token = Token {
        v: VERSION,
        target: target.clone(),
        cursor: cursor.clone(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("names and numbers encode"))
}

/// Reads a token that must be of `target`.
///
/// # Errors
/// [`ReplayFault::Request`] if it is no token of ours, [`ReplayFault::Stale`] if it
/// is of something else.
pub(crate) fn decode(text: &str, target: &Target) -> Result<Cursor, ReplayFault> {
    let wrong = |problem: &str| ReplayFault::Request {
        field: "token",
        problem: problem.into(),
    };
    if text.len() > TOKEN_BYTES_MAX {
        return Err(wrong("longer than any token of this service"));
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| wrong("not a token of this service"))?;
    let token: Token =
        serde_json::from_slice(&bytes).map_err(|_| wrong("not a token of this service"))?;
    if token.v != VERSION {
        return Err(wrong("made by another version"));
    }
    let same = |field, found: &str, expected: &str| {
        let stale = || ReplayFault::Stale {
            field,
            found: found.into(),
            expected: expected.into(),
        };
        if found == expected {
            Ok(())
        } else {
            Err(stale())
        }
    };
    same(
        "stream",
        token.target.stream.as_str(),
        target.stream.as_str(),
    )?;
    same("epoch", token.target.epoch.as_str(), target.epoch.as_str())?;
    same(
        "tenant",
        token.target.tenant.as_str(),
        target.tenant.as_str(),
    )?;
    same(
        "pattern",
        token.target.channels.as_str(),
        target.channels.as_str(),
    )?;
    Ok(token.cursor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target() -> Target {
        Target {
            stream: StreamName::parse("EVENTS-main").unwrap(),
            epoch: Epoch::parse("0a1b").unwrap(),
            tenant: Tenant::parse("acme").unwrap(),
            channels: ChannelPattern::parse("doc.>").unwrap(),
        }
    }

    proptest! {
        #[test]
        fn tokens_round_trip(after: u64, offsets in proptest::collection::vec(-1i64..i64::MAX, 0..20), complete: bool) {
            let cursor = Cursor { after, offsets, topic_id: "x".into(), given: vec![after], complete, since_ms: after };
            prop_assert_eq!(decode(&encode(&target(), &cursor), &target()).unwrap(), cursor);
        }

        #[test]
        fn arbitrary_text_is_refused(text in "[ -~]{0,80}") {
            let refused = matches!(decode(&text, &target()), Err(ReplayFault::Request { field: "token", .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn what_a_partition_gave_ahead_of_the_others_is_remembered_until_all_have() {
        let mut cursor = Cursor {
            after: 10,
            given: vec![50, 20],
            ..Cursor::default()
        };
        assert!(cursor.has_given(0, 50) && !cursor.has_given(0, 51));
        assert!(cursor.has_given(1, 20) && !cursor.has_given(1, 21));
        assert!(cursor.has_given(7, 10) && !cursor.has_given(7, 11));
        cursor.reach(40);
        assert!(cursor.has_given(1, 40) && cursor.has_given(0, 50));
        cursor.reach(50);
        assert!(cursor.given.is_empty() && !cursor.has_given(0, 51));
    }

    #[test]
    fn a_token_of_something_else_says_what_differs() {
        let token = encode(&target(), &Cursor::default());
        let check = |change: fn(&mut Target), field: &str| {
            let mut other = target();
            change(&mut other);
            match decode(&token, &other) {
                Err(ReplayFault::Stale { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{other:?}"),
            }
        };
        check(
            |s| s.stream = StreamName::parse("INGRESS-main").unwrap(),
            "stream",
        );
        check(|s| s.epoch = Epoch::parse("ffff").unwrap(), "epoch");
        check(|s| s.tenant = Tenant::parse("other").unwrap(), "tenant");
        check(
            |s| s.channels = ChannelPattern::parse("doc.*").unwrap(),
            "pattern",
        );
    }

    #[test]
    fn tokens_within_and_beyond_the_limit() {
        let most = encode(
            &target(),
            &Cursor {
                offsets: vec![1_000_000_000_000_000; 1_000],
                given: vec![1_000_000_000_000_000; 1_000],
                ..Cursor::default()
            },
        );
        assert!(most.len() <= TOKEN_BYTES_MAX && decode(&most, &target()).is_ok());
        let text = "a".repeat(TOKEN_BYTES_MAX + 1);
        assert!(matches!(
            decode(&text, &target()),
            Err(ReplayFault::Request { .. })
        ));
    }
}
