//! This node's signs of life, and what follows from those of others.
//!
//! Owns what is known of nodes and every request about them. A sign is written in place of
//! the one before, on condition that it is still there: a node that was taken for dead
//! meanwhile (it stood still, or was cut off) finds out by that, and goes on under another
//! name, under which it writes everything anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::{BusError, Kv, KvEntry, Subscription, is_deletion};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use protocol::presence::{Life, NodeId};
use protocol::stream::Bucket;
use protocol::subject::Subject;
use protocol::subject::presence::{
    PRESENCE_PREFIX, channel_of, node_key, node_of, nodes_filter, parts_of_filter,
};
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::lifecycle;
use super::presences::{Presences, new_name};
use crate::core::feed::relay::FeedKey;
use crate::core::metrics::meters;
use presence::nodes::{BEAT, Deed, Nodes};

/// Wait before the bucket is opened again after a failure, and the first time.
const RETRY: Duration = Duration::from_millis(500);
/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_millis(250);
/// How often the nodes are read again: a sign that was lost is followed by the next one,
/// but a mark of death is not.
const READ_INTERVAL: Duration = Duration::from_secs(10);
/// How long a node that stops may take to remove what it has written.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_200);
/// Parts that are read, and removed, at a time.
const PAGE: usize = 256;
const REMOVALS_MAX: usize = 32;

/// What came of a request.
enum Done {
    /// Of this node's sign.
    Beat(Result<u64, BusError>),
    /// What stands in its place.
    Own(Result<Option<(Life, u64)>, BusError>),
    /// Of the mark of another.
    Marked(NodeId, Result<u64, BusError>),
    /// Of tidying up after another.
    Cleared(NodeId, Result<(), BusError>),
    /// Every sign there is.
    Read(Result<Vec<KvEntry>, BusError>),
}

/// One life of this node.
struct Heart {
    presences: Arc<Presences>,
    kv: Kv,
    /// What its operators call it.
    called: String,
    me: NodeId,
    /// The revision of its last sign.
    revision: Option<u64>,
    nodes: Nodes,
    requests: FuturesUnordered<BoxFuture<'static, Done>>,
    beating: bool,
    beat_at: Instant,
    reading: bool,
    read_at: Instant,
}

/// Lives until the node stops, then leaves in order.
pub(super) async fn run(presences: Arc<Presences>, called: String, stop: Shutdown) {
    loop {
        match open(&presences).await {
            Ok((kv, signs)) => {
                let mut heart = Heart::new(presences.clone(), kv, called.clone());
                heart.live(signs, &stop).await;
            }
            Err(error) => tracing::debug!(%error, "presence cannot begin yet"),
        }
        // Cancel safe: they only wait.
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn open(presences: &Presences) -> Result<(Kv, Subscription), BusError> {
    let kv = presences.bus.kv(Bucket::Presence).await?;
    let signs = presences.bus.subscribe(&Subject::presence_nodes()).await?;
    presences.bus.flush().await?;
    presences.opened(kv.clone());
    Ok((kv, signs))
}

fn sign(called: &str, dead: bool) -> Bytes {
    let life = Life {
        name: called.into(),
        at: now_us(),
        dead,
    };
    let text = serde_json::to_vec(&life).expect("a sign has only texts and numbers");
    text.into()
}

fn of_entry(entry: &KvEntry) -> Option<(NodeId, u64, Option<Life>)> {
    let life = entry.value.as_deref();
    let life = life.and_then(|life| serde_json::from_slice(life).ok());
    Some((node_of(&entry.key)?, entry.revision, life))
}

impl Heart {
    fn new(presences: Arc<Presences>, kv: Kv, called: String) -> Self {
        let now = Instant::now();
        Self {
            presences,
            kv,
            called,
            me: new_name(),
            revision: None,
            nodes: Nodes::default(),
            requests: FuturesUnordered::new(),
            beating: false,
            beat_at: now,
            reading: false,
            read_at: now,
        }
    }

    /// Goes on until the node stops, or the connection is closed.
    async fn live(&mut self, mut signs: Subscription, stop: &Shutdown) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connects = self.presences.bus.connects();
        loop {
            // Every branch is cancel safe: signs and ticks stay, requests live across
            // turns.
            tokio::select! {
                () = stop.triggered() => break,
                sign = signs.next() => match sign {
                    Some(first) => self.hear(first, &mut signs),
                    None => return,
                },
                Some(done) = self.requests.next(), if !self.requests.is_empty() => self.done(done),
                _ = looks.tick() => {}
                () = self.presences.unknown.notified() => self.read_soon(),
                changed = connects.changed() => if changed.is_ok() {
                    self.read_soon();
                },
            }
            self.look(Instant::now());
            self.presences.live(self.nodes.living());
        }
        if timeout(LEAVE_TIMEOUT, self.leave()).await.is_err() {
            tracing::warn!("what was written of presence is left to other nodes");
        }
    }

    fn hear(&mut self, first: bus::Incoming, signs: &mut Subscription) {
        let now = Instant::now();
        let more = std::iter::from_fn(|| signs.next().now_or_never().flatten());
        for message in std::iter::once(first).chain(more) {
            let key = message.subject().strip_prefix(PRESENCE_PREFIX);
            let (Some(node), Some(place)) = (key.and_then(node_of), message.republished) else {
                continue;
            };
            if node == self.me {
                continue;
            }
            let life = match is_deletion(&message) {
                true => None,
                false => serde_json::from_slice(&message.payload).ok(),
            };
            self.nodes.heard(node, place.stream_seq, life, now);
        }
    }

    fn read_soon(&mut self) {
        // No more often than signs come: what is not there after one read is not for some
        // time.
        self.read_at = self.read_at.min(Instant::now() + BEAT);
    }

    /// Begins what is due.
    fn look(&mut self, now: Instant) {
        if !self.beating && now >= self.beat_at {
            (self.beating, self.beat_at) = (true, now + BEAT);
            self.requests.push(self.beat());
        }
        if !self.reading && now >= self.read_at {
            (self.reading, self.read_at) = (true, now + READ_INTERVAL);
            let kv = self.kv.clone();
            let read = async move { Done::Read(kv.latest(&nodes_filter()).await) };
            self.requests.push(read.boxed());
        }
        for deed in self.nodes.tick(&self.me, now) {
            self.requests.push(self.begin(deed));
        }
    }

    fn beat(&self) -> BoxFuture<'static, Done> {
        let (kv, key) = (self.kv.clone(), node_key(&self.me));
        let (value, revision) = (sign(&self.called, false), self.revision);
        let beat = async move {
            Done::Beat(match revision {
                None => kv.create(&key, value).await,
                Some(revision) => kv.update(&key, value, revision).await,
            })
        };
        beat.boxed()
    }

    fn begin(&self, deed: Deed) -> BoxFuture<'static, Done> {
        let kv = self.kv.clone();
        match deed {
            Deed::Mark(node, revision) => {
                let mark = sign(&self.called, true);
                let marked = async move {
                    let marked = kv.update(&node_key(&node), mark, revision).await;
                    Done::Marked(node, marked)
                };
                marked.boxed()
            }
            Deed::Clear(node, revision) => {
                let presences = self.presences.clone();
                let cleared = async move {
                    let cleared = match clear(&presences, &kv, &node).await {
                        Ok(()) => kv.remove(&node_key(&node), Some(revision)).await,
                        failed => failed,
                    };
                    Done::Cleared(node, cleared)
                };
                cleared.boxed()
            }
        }
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Beat(Ok(revision)) => self.stored(revision, now),
            // Either an answer was lost, or somebody has taken us for dead.
            Done::Beat(Err(BusError::Conflict | BusError::Exists)) => {
                let (kv, key) = (self.kv.clone(), node_key(&self.me));
                let own = async move { Done::Own(own(&kv, &key).await) };
                self.requests.push(own.boxed());
            }
            Done::Beat(Err(error)) => {
                self.beating = false;
                tracing::debug!(%error, "a sign of life was not stored");
            }
            Done::Own(Ok(Some((life, revision)))) if !life.dead => self.stored(revision, now),
            Done::Own(Ok(_)) => self.rename(),
            Done::Own(Err(_)) => self.beating = false,
            Done::Marked(node, Ok(revision)) => {
                tracing::warn!(%node, "a node is silent: its members leave");
                meters().presence_dead.increment(1);
                self.nodes.marked(&node, revision, now);
            }
            // Somebody else was faster, or it lives: what stands there says so.
            Done::Marked(_, Err(_)) => self.read_soon(),
            Done::Cleared(node, Ok(())) => self.nodes.cleared(&node),
            Done::Cleared(node, Err(error)) => {
                tracing::debug!(%node, %error, "a dead node is tidied up after again");
            }
            Done::Read(read) => {
                self.reading = false;
                self.read(read, now);
            }
        }
    }

    fn stored(&mut self, revision: u64, now: Instant) {
        (self.beating, self.revision) = (false, Some(revision));
        self.nodes.stored(now);
        if self.presences.name.borrow().as_ref() != Some(&self.me) {
            self.presences.name.send_replace(Some(self.me.clone()));
        }
    }

    fn read(&mut self, read: Result<Vec<KvEntry>, BusError>, now: Instant) {
        match read {
            Ok(entries) => {
                let signs = entries.iter().filter_map(of_entry);
                let others = signs.filter(|(node, ..)| *node != self.me).collect();
                self.nodes.read(others, now);
                self.presences.live(self.nodes.living());
                self.presences.loaded.store(true, Ordering::Release);
            }
            Err(error) => {
                tracing::debug!(%error, "the nodes are read again");
                self.read_soon();
            }
        }
    }

    /// This node was taken for dead: it goes on under another name.
    fn rename(&mut self) {
        let old = std::mem::replace(&mut self.me, new_name());
        tracing::warn!(%old, new = %self.me, "this node was taken for dead, and writes its members anew");
        meters().presence_renamed.increment(1);
        (self.beating, self.revision) = (false, None);
        self.beat_at = Instant::now();
        self.presences.name.send_replace(None);
        // What stands under the old one is removed by those who have taken it for dead.
        for hall in self.presences.all() {
            hall.told.store(false, Ordering::Relaxed);
            self.presences.turn(&hall, |inside| inside.room.renamed());
        }
    }

    /// Removes everything that this node has written, its sign of life last.
    async fn leave(&mut self) {
        let mut quiet = self.presences.quiet.subscribe();
        // An error means that nobody writes any more, which is what is waited for.
        let _ = quiet.wait_for(|quiet| *quiet).await;
        self.presences.leaves(self.me.clone());
        if let Err(error) = clear(&self.presences, &self.kv, &self.me).await {
            tracing::debug!(%error, "what was written of presence is left to other nodes");
            return;
        }
        let _ = self.kv.remove(&node_key(&self.me), None).await;
    }
}

/// What stands in the place of a sign.
async fn own(kv: &Kv, key: &str) -> Result<Option<(Life, u64)>, BusError> {
    let found = kv.get(key).await?;
    Ok(found.and_then(|(life, revision)| {
        let life = serde_json::from_slice(&life).ok()?;
        Some((life, revision))
    }))
}

/// Removes every part of a node that counts no more, and tells what follows from it.
async fn clear(presences: &Arc<Presences>, kv: &Kv, node: &NodeId) -> Result<(), BusError> {
    let (filter, mut from) = (parts_of_filter(node), 1);
    loop {
        let (page, more) = kv.page(&filter, from, PAGE).await?;
        from = page.last().map_or(from, |last| last.revision + 1);
        let live = page.into_iter().filter(|entry| entry.value.is_some());
        let removals = live.map(|entry| async move {
            if let Some((tenant, channel)) = channel_of(&entry.key) {
                let settled = lifecycle::settle(presences, &FeedKey { tenant, channel }).await;
                // Whatever the reason, it has not been told yet.
                settled.map_err(|_| BusError::Timeout)?;
            }
            kv.remove(&entry.key, Some(entry.revision)).await
        });
        let mut removals = futures_util::stream::iter(removals).buffer_unordered(REMOVALS_MAX);
        while let Some(removed) = removals.next().await {
            match removed {
                // Whoever has changed it since knows better.
                Ok(()) | Err(BusError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        if !more {
            return Ok(());
        }
    }
}
