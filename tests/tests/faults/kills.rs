//! SIGKILLs of workers and bridges in mid-traffic, at the steps of its commit protocol and at
//! random moments, with windows of 100 ms for duplicates so that nothing leans on
//! them.
//!
//! Owns one deployment per service, in which all its kills happen one after the other.

use super::hunt::{Ground, forgetful, outlived};

/// Two workers: the one that is left takes the lanes over, which the other gets back
/// when it is killed in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_worker() {
    let ground = Ground {
        steps: &[
            ("lane.takeover", 6),
            ("lane.before_run", 40),
            ("lane.before_commit", 40),
            ("lane.after_commit", 40),
        ],
        each: 3,
        random: 10,
        acks_max: 600,
    };
    let builder = forgetful().without_mirror().workers(2);
    outlived(
        builder,
        |deployment| &mut deployment.workers,
        &ground,
        false,
    )
    .await;
}

/// One bridge, started again each time: it ends its own open transaction and goes on
/// from the progress record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_bridge() {
    let ground = Ground {
        steps: &[
            ("mirror.takeover", 2),
            ("mirror.before_produce", 12),
            ("mirror.mid_batch", 12),
            ("mirror.before_commit", 8),
            ("mirror.after_commit", 8),
        ],
        each: 3,
        random: 8,
        acks_max: 600,
    };
    let builder = forgetful();
    outlived(builder, |deployment| &mut deployment.bridges, &ground, true).await;
}
