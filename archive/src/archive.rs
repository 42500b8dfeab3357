//! The bridges that have the past of the stores, and what is asked of them.
//!
//! Owns the connections: one for each store, made when it is first needed. Who reads is
//! the caller's to know; to the bridge each page comes as its tenant, for one channel.

use std::collections::BTreeMap;
use std::time::Duration;

use auth::Signer;
use client::replay::{
    ReplayClient, ReplayEnd, ReplayError, ReplayItem, ReplayKind, ReplayRequest, ReplayStart,
};
use futures_util::StreamExt;
use protocol::bus::Stored;
use protocol::frame::GapReason;
use protocol::name::{Channel, ChannelPattern, StoreName, Tenant, User};
use protocol::record::{MirrorGap, MirrorGapReason};
use protocol::subject::Subject;
use tokio::time::Instant;

use crate::downwards::Downwards;
use crate::lacks::{Gather, Lack, Part};
use crate::settings::{MirrorFault, MirrorSettings};
use crate::upwards::Upwards;

/// How long a page's token is good for: longer than any page takes, with clocks that
/// differ.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// No further window of a page is begun after it: what has been gathered is a page too.
const GATHER_TIME: Duration = Duration::from_secs(4);
/// The name under which bridges see an edge node.
const READER: &str = "edge";

/// The past of the stores that have one.
#[derive(Debug, Default)]
pub struct Archive {
    mirrors: BTreeMap<StoreName, Mirror>,
}

/// The past of a store.
#[derive(Debug)]
pub struct Mirror {
    bridge: ReplayClient,
    signer: Signer,
    reader: User,
}

/// Whose past is read, and how much of it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// The channel.
    pub channel: &'a Channel,
    /// Its subject in the store.
    pub subject: &'a Subject,
    /// Most events.
    pub limit: usize,
}

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the mirror, which has what is older, says: {problem}")]
pub struct ArchiveError {
    /// What is wrong.
    pub problem: String,
    /// Whether the same may succeed later.
    pub temporary: bool,
}

impl From<ReplayError> for ArchiveError {
    fn from(error: ReplayError) -> Self {
        let temporary = error.is_temporary();
        let problem = match error {
            ReplayError::Status(status) => status.message().to_owned(),
            error => error.to_string(),
        };
        Self { problem, temporary }
    }
}

impl Archive {
    /// Takes the settings; connects to nothing yet. Needs a runtime.
    ///
    /// # Errors
    /// [`MirrorFault`] names the setting that is not usable.
    pub fn new(settings: &[MirrorSettings]) -> Result<Self, MirrorFault> {
        let mut mirrors = BTreeMap::new();
        for (at, one) in settings.iter().enumerate() {
            let mirror = Mirror {
                bridge: ReplayClient::lazy(&one.grpc, one.roots.as_deref(), "")
                    .map_err(|_| MirrorFault::Grpc { at })?,
                signer: Signer::new(&one.token_secret)
                    .map_err(|source| MirrorFault::Secret { at, source })?,
                reader: User::parse(READER).expect("the reader's name is valid"),
            };
            if mirrors.insert(one.store.clone(), mirror).is_some() {
                let store = one.store.clone();
                return Err(MirrorFault::Twice { at, store });
            }
        }
        Ok(Self { mirrors })
    }

    /// The connections to the bridges, for other questions; they have no token.
    pub fn bridges(&self) -> BTreeMap<StoreName, ReplayClient> {
        let all = self.mirrors.iter();
        all.map(|(store, mirror)| (store.clone(), mirror.bridge.clone()))
            .collect()
    }

    /// Where the past of a channel is; `None`: nowhere. Channels of our own are not given
    /// by bridges.
    pub fn of(&self, store: &StoreName, channel: &Channel) -> Option<&Mirror> {
        Channel::for_client(channel.as_str()).ok()?;
        self.mirrors.get(store)
    }
}

impl Mirror {
    /// A page of what is after a sequence, up to another one that the mirror has. Cancel
    /// safe.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn above(
        &self,
        asked: &Asked<'_>,
        after: u64,
        to: u64,
    ) -> Result<Part, ArchiveError> {
        self.gather(asked, Upwards::new(after, to, asked.limit))
            .await
    }

    /// A page of what is before a sequence. Cancel safe.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn below(&self, asked: &Asked<'_>, before: u64) -> Result<Part, ArchiveError> {
        self.gather(asked, Downwards::new(before, asked.limit))
            .await
    }

    /// The first sequence, up to `to`, of what was stored at a time or later, or may have
    /// been; `None`: there is none. Times are cut to milliseconds here. Cancel safe.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn since(
        &self,
        asked: &Asked<'_>,
        time_us: u64,
        to: u64,
    ) -> Result<Option<u64>, ArchiveError> {
        let mut found = None;
        let first = |item| {
            found = match item {
                Item::Event(event) => Some(event.seq),
                Item::Lack(lack) => Some(lack.from),
            };
            false
        };
        self.read(asked, ReplayStart::Time(time_us), to, first)
            .await?;
        Ok(found.filter(|seq| *seq <= to))
    }

    async fn gather(&self, asked: &Asked<'_>, mut page: impl Gather) -> Result<Part, ArchiveError> {
        let begun = Instant::now();
        let mut first = true;
        while let Some((from, to)) = page.window() {
            if !std::mem::take(&mut first) && begun.elapsed() >= GATHER_TIME {
                break;
            }
            let take = |item| match item {
                Item::Event(event) => page.event(event),
                Item::Lack(lack) => page.lack(lack),
            };
            if self
                .read(asked, ReplayStart::Sequence(from), to, take)
                .await?
            {
                page.close();
            }
        }
        Ok(page.part())
    }

    /// Gives what the mirror has, and what it lacks, until `take` wants no more; whether
    /// everything was given.
    async fn read(
        &self,
        asked: &Asked<'_>,
        start: ReplayStart,
        to: u64,
        mut take: impl FnMut(Item) -> bool,
    ) -> Result<bool, ArchiveError> {
        let scope = format!("replay:{}", asked.channel);
        let token = self
            .signer
            .mint(asked.tenant, &self.reader, &[&scope], TOKEN_TTL);
        let request = ReplayRequest {
            kind: ReplayKind::Events,
            channels: ChannelPattern::parse(asked.channel.as_str())
                .expect("a channel is a pattern of itself"),
            whole_namespace: false,
            start,
            end: ReplayEnd::Sequence(to),
        };
        let mut items = self.bridge.with_token(&token)?.read(request).await?;
        while let Some(item) = items.next().await {
            let wanted = match item? {
                ReplayItem::Event(event) => take(Item::Event(Stored {
                    seq: event.seq,
                    time_us: event.time_us,
                    subject: asked.subject.as_str().to_owned(),
                    headers: event.headers,
                    payload: event.payload,
                })),
                ReplayItem::Gap(gap) => take(Item::Lack(lack(&gap))),
                ReplayItem::End => return Ok(true),
                ReplayItem::Token(_) | ReplayItem::CaughtUp => true,
            };
            if !wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

enum Item {
    Event(Stored),
    Lack(Lack),
}

fn lack(gap: &MirrorGap) -> Lack {
    Lack {
        from: gap.from,
        to: gap.to,
        reason: match gap.reason {
            MirrorGapReason::Retention => GapReason::Retention,
            MirrorGapReason::Hole
            | MirrorGapReason::Topic
            | MirrorGapReason::TooLarge
            | MirrorGapReason::Unreadable => GapReason::Mirror,
        },
    }
}

#[cfg(test)]
mod tests {
    use protocol::secret::Secret;

    use super::*;

    fn settings(store: &str, grpc: &str, secret: &str) -> MirrorSettings {
        MirrorSettings {
            store: StoreName::parse(store).unwrap(),
            grpc: grpc.into(),
            roots: None,
            token_secret: Secret::new(secret),
        }
    }

    #[tokio::test]
    async fn settings_that_are_not_usable_are_named() {
        let secret = "s".repeat(32);
        let good = settings("main", "127.0.0.1:1", &secret);
        let archive = Archive::new(std::slice::from_ref(&good)).unwrap();
        let channel = |text| Channel::parse(text).unwrap();
        assert!(archive.of(&good.store, &channel("doc.a")).is_some());
        assert!(
            archive
                .of(&good.store, &channel("_outcome.doc.a"))
                .is_none()
        );
        let other = StoreName::parse("other").unwrap();
        assert!(archive.of(&other, &channel("doc.a")).is_none());

        let short = settings("main", "127.0.0.1:1", "s");
        let fault = Archive::new(&[short]).unwrap_err();
        assert!(matches!(fault, MirrorFault::Secret { at: 0, .. }));
        let nowhere = settings("b", "not an address", &secret);
        let fault = Archive::new(&[good.clone(), nowhere]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "mirrors[1].grpc is not usable, HOST:PORT is needed"
        );
        let fault = Archive::new(&[good.clone(), good]).unwrap_err();
        assert!(matches!(fault, MirrorFault::Twice { at: 1, .. }));
    }
}
