//! Compares what this node knows of watched channels with the store, at a bounded pace.
//!
//! Owns nothing. Core delivery is at most once, so a part may be missed, and the last one
//! before a quiet time has none behind it that would show it.

use std::sync::Arc;
use std::time::Duration;

use service::shutdown::Shutdown;
use tokio::time::Instant;

use super::presences::Presences;

/// Between two beginnings: all that are watched, if the pace allows it.
pub const COMPARE_INTERVAL: Duration = Duration::from_secs(5);
/// Channels that are read in a second: five seconds reach for 250, and 4,096 take 82.
pub const COMPARES_PER_SECOND: u32 = 50;

/// Compares until the node stops; at once after a break of the connection.
pub(super) async fn run(presences: Arc<Presences>, stop: Shutdown) {
    let mut connects = presences.bus.connects();
    let step = Duration::from_secs(1) / COMPARES_PER_SECOND;
    loop {
        let begun = Instant::now();
        for hall in presences.watched() {
            hall.wish.notify_one();
            // Cancel safe: they only wait.
            tokio::select! {
                () = stop.triggered() => return,
                () = tokio::time::sleep(step) => {}
            }
        }
        tokio::select! {
            () = stop.triggered() => return,
            changed = connects.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep_until(begun + COMPARE_INTERVAL) => {}
        }
    }
}
