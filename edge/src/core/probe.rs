//! The tail probe: republished events arrive at most once, and the last one before a
//! quiet period has no successor that would show its loss.
//!
//! One task per node compares the last sequence of each quiet channel with the
//! stream, and of every channel after a reconnect. Owns nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, LAST_SEQS_MAX};
use protocol::bus::StreamState;
use protocol::stream::StreamName;
use service::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use super::feed::relay::Feed;
use super::metrics::meters;
use super::registry::Feeds;

/// Channels about which the leader is asked in one round, one after the other. Policy:
/// the next ones wait for the next round; they have half of the retention's time.
const PROOFS_MAX: usize = 64;

/// Probes every `period` until the node stops.
pub async fn run(bus: Bus, feeds: Arc<Feeds>, period: Duration, stop: Shutdown) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connects = bus.connects();
    connects.mark_unchanged();
    loop {
        // Cancel safe: ticks and changes stay pending.
        let all = tokio::select! {
            () = stop.triggered() => return,
            _ = ticks.tick() => false,
            changed = connects.changed() => match changed {
                Ok(()) => true,
                // The connection is gone for good.
                Err(_) => return,
            },
        };
        // One that was made anew can be read over before it can be written over.
        if !all && !*bus.connected().borrow() {
            continue;
        }
        for (stream, feeds) in due(&feeds, all) {
            // A store that does not answer keeps no other from being looked at.
            if let Err(error) = probe(&bus, &stream, &feeds).await {
                meters().probe_failures.increment(feeds.len() as u64);
                tracing::debug!(%stream, %error, "a probe failed");
            }
        }
    }
}

/// The channels that are to be probed, by their stream.
fn due(feeds: &Feeds, all: bool) -> HashMap<StreamName, Vec<Arc<Feed>>> {
    let mut streams: HashMap<StreamName, Vec<Arc<Feed>>> = HashMap::new();
    for feed in feeds.all() {
        if feed.take_quiet() || all {
            let stream = feed.source.stream.clone();
            streams.entry(stream).or_default().push(feed);
        }
    }
    streams
}

async fn probe(bus: &Bus, stream: &StreamName, feeds: &[Arc<Feed>]) -> Result<(), BusError> {
    // In this order: what is relayed after the leader was asked may be younger than its
    // answer, and what is stored after that proves nothing.
    let known: Vec<u64> = feeds.iter().map(|feed| feed.position()).collect();
    let state = bus.stream_state(stream).await?;
    let chunks = feeds.chunks(LAST_SEQS_MAX);
    for (feeds, known) in chunks.zip(known.chunks(LAST_SEQS_MAX)) {
        let subjects = feeds.iter().map(|feed| feed.source.subject.clone());
        let subjects: Vec<_> = subjects.collect();
        let found = bus.last_seqs(stream, &subjects).await?;
        let found: HashMap<_, _> = found.into_iter().collect();
        meters().probes.increment(feeds.len() as u64);
        for (feed, known) in feeds.iter().zip(known) {
            let last = found.get(feed.source.subject.as_str());
            feed.probed(last.copied().unwrap_or(0), state.last_seq < *known);
        }
    }
    prove(bus, feeds, &state).await
}

/// Asks the leader about channels that have been quiet for long: only it can prove that
/// nothing was stored there, and retention would make that look like a loss.
async fn prove(bus: &Bus, feeds: &[Arc<Feed>], state: &StreamState) -> Result<(), BusError> {
    let (first, last) = (state.first_seq, state.last_seq);
    let wanting = feeds.iter().filter(|feed| feed.wants_proof(first, last));
    for feed in wanting.take(PROOFS_MAX) {
        let found = bus
            .last_on(&feed.source.stream, &feed.source.subject)
            .await?;
        feed.vouched(found.map_or(0, |event| event.seq), last);
    }
    Ok(())
}
