//! What a function remembers of channels, while its workers die at every step of a
//! commit: each event that passes has counted once. Owns nothing.

use harness::NatsChoice;

use super::hunt::{Ground, hunt};
use super::lab::Lab;

/// Channels of the function.
const CHANNELS: usize = 6;

/// Two workers die `each` times at each step of a commit, and `random` times at any.
pub async fn is_exact(nats: NatsChoice, each: usize, random: usize) {
    let Some(mut lab) = Lab::start(nats, CHANNELS, 0).await else {
        return;
    };
    let ground = Ground {
        steps: &[
            ("lane.takeover", 4),
            ("lane.before_commit", 30),
            ("lane.after_remembering", 30),
            ("lane.after_commit", 30),
        ],
        each,
        random,
        acks_max: 400,
    };
    hunt(
        &mut lab.deployment,
        |deployment| &mut deployment.workers,
        &mut lab.traffic,
        &ground,
    )
    .await;
    lab.conclude(&[]).await;
}
