//! Asks the bridge where the mirror has what a way passes.
//!
//! Owns the ways to the bridges, and no token: it asks with that of whoever wants to know,
//! so nobody learns from a trace what he may not replay.

use std::collections::BTreeMap;
use std::time::Duration;

use client::replay::{ReplayClient, ReplayEnd, ReplayItem, ReplayKind, ReplayRequest, ReplayStart};
use futures_util::StreamExt;
use protocol::name::{ChannelPattern, StoreName};
use protocol::trace::Hop;
use tokio::time::timeout;

use crate::way::Wanted;

/// Places that one answer asks for; each is a read of its own.
pub const WANTED_MAX: usize = 16;
/// How long the bridge may take for all of them. It waits for what is not mirrored yet, and
/// whoever asks can ask again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The bridges of the stores that have one.
#[derive(Debug, Clone, Default)]
pub struct Bridges(BTreeMap<StoreName, ReplayClient>);

impl Bridges {
    /// These; their tokens are not used.
    pub fn new(of: BTreeMap<StoreName, ReplayClient>) -> Self {
        Self(of)
    }

    /// The one that mirrors a store.
    pub fn of(&self, store: &StoreName) -> Option<&ReplayClient> {
        self.0.get(store)
    }
}

/// Where the mirror has each of these; steps that say so, in the same order. Cancel safe.
pub async fn locate(bridge: &ReplayClient, token: &str, wanted: &[Wanted]) -> Vec<Hop> {
    let (mut hops, mut failed) = (Vec::new(), None::<String>);
    let asking = async {
        let client = match bridge.with_token(token) {
            Ok(client) => client,
            Err(error) => {
                failed = Some(error.to_string());
                return;
            }
        };
        for one in &wanted[..wanted.len().min(WANTED_MAX)] {
            hops.push(place(&client, one).await);
        }
    };
    if timeout(ANSWER_TIMEOUT, asking).await.is_err() {
        let seconds = ANSWER_TIMEOUT.as_secs();
        failed = Some(format!(
            "the bridge has not said so within {seconds} s: the mirror may be behind"
        ));
    }
    let reason = failed.unwrap_or_else(|| format!("only {WANTED_MAX} are asked for"));
    let rest = wanted.iter().skip(hops.len());
    let rest = rest.map(|one| absent(one, reason.clone()));
    hops.extend(rest.collect::<Vec<_>>());
    hops
}

/// What to read so that this is given, and nothing else.
fn request(wanted: &Wanted) -> Option<ReplayRequest> {
    let kind = match &wanted.letter_of {
        Some(function) => ReplayKind::DeadLetters(function.clone()),
        None if wanted.stream.is_ingress() => ReplayKind::Ingress,
        None => ReplayKind::Events,
    };
    Some(ReplayRequest {
        kind,
        channels: ChannelPattern::parse(wanted.channel.as_str()).ok()?,
        whole_namespace: false,
        start: ReplayStart::Sequence(wanted.seq),
        end: ReplayEnd::Sequence(wanted.seq),
    })
}

async fn place(client: &ReplayClient, wanted: &Wanted) -> Hop {
    let Some(request) = request(wanted) else {
        return absent(wanted, "its channel cannot be replayed".to_owned());
    };
    let mut items = match client.read(request).await {
        Ok(items) => items,
        Err(error) => return absent(wanted, error.to_string()),
    };
    let mut reason = "the mirror has no record of it".to_owned();
    while let Some(item) = items.next().await {
        match item {
            Ok(ReplayItem::Event(event)) if event.seq == wanted.seq => {
                if event.partition < 0 {
                    reason = "Kafka does not have it, only JetStream".to_owned();
                    continue;
                }
                return Hop::Mirrored {
                    stream: wanted.stream.as_str().to_owned(),
                    seq: wanted.seq,
                    partition: event.partition,
                    offset: event.offset,
                    time: event.time_us,
                };
            }
            Ok(ReplayItem::Gap(gap)) if (gap.from..=gap.to).contains(&wanted.seq) => {
                reason = format!("the mirror has a gap there: {}", gap.reason.as_str());
            }
            Ok(_) => {}
            Err(error) => return absent(wanted, error.to_string()),
        }
    }
    absent(wanted, reason)
}

fn absent(wanted: &Wanted, reason: String) -> Hop {
    Hop::NotMirrored {
        stream: wanted.stream.as_str().to_owned(),
        seq: wanted.seq,
        reason,
    }
}
