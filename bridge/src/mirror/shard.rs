//! One shard, a whole stream: waits for its lease, runs sessions under it, and
//! decides what follows when one ends.
//!
//! Owns what stays the same over all sessions; the mirror's state is in Kafka.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Kv};
use protocol::position::Epoch;
use protocol::record::Progress;
use protocol::stream::StreamName;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::session::{self, End};
use super::tenure::Tenure;
use crate::config::BridgeConfig;
use crate::kafka::admin::Admin;
use crate::metrics;
use crate::status::{MirrorStatus, ShardState, update};

/// Wait before a new session after an error: first and longest. Each doubles the one
/// before until a session has committed something.
const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(5);
/// Wait after somebody else has fenced us: two owners must not take turns at it.
const FENCED_DELAY: Duration = Duration::from_secs(1);

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
    /// Publishes how far the mirror is.
    pub(super) fn committed(&self, progress: &Progress) {
        update(&self.status, &self.stream, |status| {
            status.mirrored = status.mirrored.max(progress.seq);
            status.time_us = progress.time;
            status.gaps = progress.gaps.len() as u64;
        });
    }

    fn state(&self, state: ShardState) {
        update(&self.status, &self.stream, |status| status.state = state);
    }

    fn mirrored(&self) -> u64 {
        self.status
            .borrow()
            .shards
            .get(&self.stream)
            .map_or(0, |status| status.mirrored)
    }
}

/// Works on a shard until shutdown, or until only a person can say how to go on.
pub(crate) async fn run(shard: Arc<Shard>) {
    let key = format!("shard.{}", shard.stream);
    while !shard.shutdown.is_triggered() {
        shard.state(ShardState::Waiting);
        let Some(mut tenure) = Tenure::acquire(
            &shard.leases,
            &key,
            &shard.owner,
            &shard.faults,
            &shard.shutdown,
        )
        .await
        else {
            return;
        };
        shard.state(ShardState::Starting);
        let next = hold(&shard, &mut tenure).await;
        tenure.release().await;
        match next {
            Next::Compete(delay) => pause(&shard, delay).await,
            Next::Halt => {
                shard.state(ShardState::Halted);
                metrics::halted(&shard.stream, true);
                return;
            }
        }
    }
}

enum Next {
    /// Try to get the lease again after this.
    Compete(Duration),
    Halt,
}

/// Runs sessions for as long as the lease is ours.
async fn hold(shard: &Arc<Shard>, tenure: &mut Tenure) -> Next {
    let mut delay = RESTART_DELAY_MIN;
    loop {
        let before = shard.mirrored();
        match session::run(shard, tenure).await {
            End::Shutdown | End::LeaseLost => return Next::Compete(Duration::ZERO),
            End::Fenced => {
                metrics::fenced(&shard.stream);
                tracing::warn!(stream = %shard.stream, "another writer has taken the shard over");
                return Next::Compete(FENCED_DELAY);
            }
            End::Halt(error) => {
                tracing::error!(stream = %shard.stream, error = chain(&error), "the shard has stopped and waits for somebody to look");
                return Next::Halt;
            }
            End::Restart(error) => {
                metrics::restarted(&shard.stream);
                tracing::warn!(stream = %shard.stream, error = chain(&error), "the shard starts anew");
            }
        }
        if shard.mirrored() > before {
            delay = RESTART_DELAY_MIN;
        }
        pause(shard, delay).await;
        delay = (delay * 2).min(RESTART_DELAY_MAX);
        if tenure.is_lost() || shard.shutdown.is_triggered() {
            return Next::Compete(Duration::ZERO);
        }
    }
}

async fn pause(shard: &Shard, delay: Duration) {
    // Both branches are cancel safe: they only wait.
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = shard.shutdown.triggered() => {}
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
