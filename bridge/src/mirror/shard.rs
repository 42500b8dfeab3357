//! One shard, a whole stream: what working on it needs, and what it shows of itself.
//!
//! Owns what stays the same over all runs; the mirror's state is in Kafka.

use std::sync::Arc;

use bus::{Bus, Kv};
use protocol::position::Epoch;
use protocol::record::Progress;
use protocol::stream::StreamName;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::topics::Topics;
use crate::config::BridgeConfig;
use crate::kafka::admin::Admin;
use crate::metrics;
use crate::status::{MirrorStatus, ShardState, update};

/// What a shard needs.
pub(crate) struct Shard {
    pub stream: StreamName,
    pub epoch: Epoch,
    pub config: BridgeConfig,
    pub bus: Bus,
    pub leases: Kv,
    pub admin: Arc<Admin>,
    pub progress_topic: String,
    pub progress_partition: i32,
    pub faults: Faults,
    /// How this process calls itself as an owner.
    pub owner: String,
    pub status: Arc<watch::Sender<MirrorStatus>>,
    pub shutdown: Shutdown,
}

impl Shard {
    /// The key of its lease.
    pub(super) fn lease_key(&self) -> String {
        format!("shard.{}", self.stream)
    }

    /// Publishes how far the mirror is.
    pub(super) fn committed(&self, progress: &Progress) {
        metrics::progress(&self.stream, progress.seq);
        update(&self.status, &self.stream, |status| {
            status.mirrored = status.mirrored.max(progress.seq);
            status.time_us = progress.time;
            status.gaps = progress.gaps.len() as u64;
            status.waits_for = None;
        });
    }

    /// Publishes which topics are passed over.
    pub(super) fn topics(&self, topics: &Topics) {
        let broken = topics.broken();
        metrics::broken_topics(&self.stream, broken.len());
        update(&self.status, &self.stream, |status| status.broken = broken);
    }

    /// Publishes what this process does with the shard.
    pub(super) fn state(&self, state: ShardState) {
        update(&self.status, &self.stream, |status| {
            status.state = state;
            // Another process works on it, or it goes well.
            if matches!(state, ShardState::Waiting | ShardState::Mirroring) {
                status.waits_for = None;
            }
        });
    }

    /// Publishes why it stands still.
    pub(super) fn waits_for(&self, reason: String) {
        update(&self.status, &self.stream, |status| {
            status.waits_for = Some(reason);
        });
    }

    /// Everything up to here is mirrored, as far as this process knows.
    pub(super) fn mirrored(&self) -> u64 {
        self.status
            .borrow()
            .shards
            .get(&self.stream)
            .map_or(0, |status| status.mirrored)
    }
}
