//! Follows what namespaces say of presence.
//!
//! Owns nothing but what was seen last. Up to how many members are named is changed on
//! the spot; where presence begins or ends, sessions are asked to sit down, or to get up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::spec::PresenceSpec;
use service::shutdown::Shutdown;

use super::presences::Presences;
use crate::core::namespaces::Namespaces;
use crate::core::sessions::Sessions;

/// Follows them until the node stops.
pub(super) async fn run(
    presences: Arc<Presences>,
    namespaces: Arc<Namespaces>,
    sessions: Arc<Sessions>,
    stop: Shutdown,
) {
    let mut changes = namespaces.changes();
    let mut before: HashMap<String, PresenceSpec> = HashMap::new();
    loop {
        let directory = namespaces.snapshot();
        let now = directory.presence();
        if now != before {
            for hall in presences.all() {
                if let Some(spec) = now.get(hall.key.channel.namespace()) {
                    // Where lifecycle begins, what is there is told by writing it again.
                    hall.told.store(false, Ordering::Relaxed);
                    presences.turn(&hall, |inside| {
                        inside.room.limit(spec.list_max);
                        inside.room.write_again();
                    });
                }
            }
            let same = |(name, spec): (&String, &PresenceSpec)| {
                let known: Option<&PresenceSpec> = before.get(name);
                known.is_some_and(|known| known.sessions == spec.sessions)
            };
            let begun_or_ended = now.len() != before.len() || !now.iter().all(same);
            if begun_or_ended {
                sessions.reseat();
            }
            before = now;
        }
        // Cancel safe: a change that was not taken stays one.
        tokio::select! {
            () = stop.triggered() => return,
            changed = changes.changed() => if changed.is_err() {
                return;
            }
        }
    }
}
