//! How far the lanes of a deployment are, as their checkpoints tell. Owns nothing.

use std::collections::BTreeMap;

use checker::Kind;
use harness::{DEADLINE, Deployment, wait};

/// Checkpoints that a lane gets before somebody else than a frozen owner must have
/// written one: the frozen one had at most one on its way.
const CHECKPOINTS: usize = 2;

/// Checkpoints of each lane of each function.
async fn checkpoints(deployment: &mut Deployment) -> BTreeMap<(String, u32), usize> {
    let mut counts = BTreeMap::new();
    for stored in deployment.stored().await {
        if let (Kind::Checkpoint { .. }, Some(function)) = (stored.kind, stored.function) {
            *counts.entry((function, stored.lane)).or_default() += 1;
        }
    }
    counts
}

/// Waits until every lane has got new checkpoints.
pub async fn lanes_go_on(deployment: &mut Deployment) {
    let before = checkpoints(deployment).await;
    let lanes = deployment.functions.len() * usize::from(deployment.store.lanes);
    assert_eq!(before.len(), lanes, "every lane has an owner");
    let waited = wait::look("every lane goes on", DEADLINE, async || {
        let now = checkpoints(deployment).await;
        let behind = before
            .iter()
            .find(|(lane, count)| now[lane] < *count + CHECKPOINTS);
        behind.map_or(Ok(()), |(lane, count)| {
            Err(format!(
                "{lane:?} had {count} checkpoints and has {}",
                now[lane]
            ))
        })
    });
    if let Err(problem) = waited.await {
        panic!("{problem}\n{}", deployment.describe());
    }
}
