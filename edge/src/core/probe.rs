//! The tail probe: republished events arrive at most once, and the last one before a
//! quiet period has no successor that would show its loss.
//!
//! One task per node compares the last sequence of each quiet channel with the
//! stream, and of every channel after a reconnect. Owns nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, LAST_SEQS_MAX};
use protocol::stream::StreamName;
use service::shutdown::Shutdown;
use tokio::time::{MissedTickBehavior, interval};

use super::feed::relay::Feed;
use super::metrics::meters;
use super::registry::Feeds;

/// How often quiet channels are compared with the stream.
pub const PROBE_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

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
        if !*bus.connected().borrow() {
            continue;
        }
        if let Err(error) = probe(&bus, &feeds, all).await {
            tracing::debug!(%error, "a probe failed");
        }
    }
}

async fn probe(bus: &Bus, feeds: &Feeds, all: bool) -> Result<(), BusError> {
    let mut streams: HashMap<StreamName, Vec<Arc<Feed>>> = HashMap::new();
    for feed in feeds.all() {
        if feed.take_quiet() || all {
            streams
                .entry(feed.source.stream.clone())
                .or_default()
                .push(feed);
        }
    }
    for (stream, feeds) in streams {
        // Before the channels are looked at: what is stored after it proves nothing.
        let stream_last = bus.stream_state(&stream).await?.last_seq;
        for feeds in feeds.chunks(LAST_SEQS_MAX) {
            let subjects: Vec<_> = feeds
                .iter()
                .map(|feed| feed.source.subject.clone())
                .collect();
            let found: HashMap<_, _> = bus
                .last_seqs(&stream, &subjects)
                .await?
                .into_iter()
                .collect();
            meters().probes.increment(feeds.len() as u64);
            for feed in feeds {
                if let Some(last) = found.get(feed.source.subject.as_str()) {
                    feed.probed(*last, stream_last);
                }
            }
        }
    }
    Ok(())
}
