//! A steady pace of calls, whoever is called. Owns nothing.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// Starts `count` calls at a steady pace, whether or not earlier ones have ended; how
/// long each took, milliseconds.
///
/// # Errors
/// The first failure of a call.
pub async fn paced<F>(
    count: usize,
    pause: Duration,
    call: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<f64>>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut waiting = JoinSet::new();
    for n in 0..count {
        ticks.tick().await;
        let (begun, call) = (Instant::now(), call(n));
        waiting.spawn(async move { call.await.map(|()| begun.elapsed().as_secs_f64() * 1e3) });
    }
    waiting.join_all().await.into_iter().collect()
}
