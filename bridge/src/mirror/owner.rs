//! Working on a shard: waits for its lease, has it run, and decides what follows when
//! a run ends.
//!
//! Owns the lease; what is done under it is the run's.

use std::sync::Arc;
use std::time::Duration;

use service::backoff::Backoff;
use service::chain::Chain;

use super::end::{End, RunError};
use super::run;
use super::shard::Shard;
use super::tenure::Tenure;
use crate::metrics;
use crate::status::ShardState;

/// Wait before a new run after an error: first and longest; short again once a run has
/// committed something.
const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(5);
/// Wait after somebody else has fenced us: two owners must not take turns at it.
const FENCED_DELAY: Duration = Duration::from_secs(1);

/// Works on a shard until shutdown, or until only a person can say how to go on.
pub(crate) async fn work(shard: Arc<Shard>) {
    let key = shard.lease_key();
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

/// Has the shard run for as long as the lease is ours.
async fn hold(shard: &Arc<Shard>, tenure: &mut Tenure) -> Next {
    let mut delay = Backoff::new(RESTART_DELAY_MIN, RESTART_DELAY_MAX);
    loop {
        let before = shard.mirrored();
        match run::run(shard, tenure).await {
            End::Shutdown | End::LeaseLost => return Next::Compete(Duration::ZERO),
            End::Fenced(error) if is_ours(shard, tenure).await => {
                tracing::debug!(stream = %shard.stream, "the lease is still ours, so nobody has fenced this writer");
                restart(shard, &error);
            }
            End::Fenced(error) => {
                metrics::fenced(&shard.stream);
                let error = Chain(&error).to_string();
                tracing::warn!(stream = %shard.stream, error, "another writer has taken the shard over");
                return Next::Compete(FENCED_DELAY);
            }
            End::Halt(error) => {
                let error = Chain(&error).to_string();
                tracing::error!(stream = %shard.stream, error, "the shard has stopped and waits for somebody to look");
                shard.waits_for(format!("halted until somebody has looked: {error}"));
                return Next::Halt;
            }
            End::Restart(error) => restart(shard, &error),
        }
        if shard.mirrored() > before {
            delay.reset();
        }
        pause(shard, delay.next_wait()).await;
        if tenure.is_lost() || shard.shutdown.is_triggered() {
            return Next::Compete(Duration::ZERO);
        }
    }
}

/// Kafka says the same of a writer that has a successor and of one whose transaction
/// lasted too long; a successor has the lease.
async fn is_ours(shard: &Shard, tenure: &Tenure) -> bool {
    let key = shard.lease_key();
    tenure.is_confirmed(&shard.leases, &key, &shard.owner).await
}

fn restart(shard: &Shard, error: &RunError) {
    metrics::restarted(&shard.stream, error.failed());
    let error = Chain(error).to_string();
    tracing::warn!(stream = %shard.stream, error, "the shard starts anew");
    shard.waits_for(error);
}

async fn pause(shard: &Shard, delay: Duration) {
    // Both branches are cancel safe: they only wait.
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = shard.shutdown.triggered() => {}
    }
}
