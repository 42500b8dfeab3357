//! What subscriptions may be sent, of those whose clients count it, or want a part.

use shares::credit::Refused;
use shares::sieve::Sieve;

use super::Port;

impl Port {
    /// A subscription is sent no more than so many events before more are granted. Told
    /// before it is expected.
    pub fn limit(&self, id: u64, events: u64) {
        let mut state = self.state.lock();
        state.credits.get_or_insert_default().limit(id, events);
    }

    /// A subscription may be sent so many events more; returns how many it may be sent then.
    ///
    /// # Errors
    /// It does not count them, or would have more than it may.
    pub fn grant(&self, id: u64, events: u64) -> Result<u64, Refused> {
        let mut state = self.state.lock();
        let credits = state.credits.as_deref_mut().ok_or(Refused::Unlimited)?;
        let left = credits.grant(id, events)?;
        drop(state);
        // Ephemeral events that were dropped meanwhile are told, and readers go on.
        self.wake.notify_one();
        self.room.notify_waiters();
        Ok(left)
    }

    /// Whether a subscription may be sent an event.
    pub fn has_credit(&self, id: u64) -> bool {
        self.state.lock().allows(id)
    }

    /// Waits until a subscription may be sent an event, or the session has ended. Cancel safe.
    pub async fn granted(&self, id: u64) {
        loop {
            let mut notified = std::pin::pin!(self.room.notified());
            notified.as_mut().enable();
            {
                let state = self.state.lock();
                if state.closed || state.allows(id) {
                    return;
                }
            }
            notified.await;
        }
    }

    /// A subscription begins here. Told before it is open.
    pub fn begin_at(&self, id: u64, seq: u64) {
        self.state.lock().reached.push((id, seq));
    }

    /// How far a subscription that has begun has come, and what it may still be sent if it
    /// counts. Whoever gets what is queued now has everything up to there.
    pub fn progress(&self, id: u64) -> Option<(u64, Option<u64>)> {
        let state = self.state.lock();
        let mut reached = state.reached.iter();
        let (_, seq) = reached.find(|(known, _)| *known == id)?;
        let credits = state.credits.as_deref();
        Some((*seq, credits.and_then(|credits| credits.left(id))))
    }

    /// A subscription is sent a part of its channel's events. Told before it is expected.
    pub fn sift(&self, id: u64, sieve: Sieve) {
        self.state.lock().sieves.push((id, sieve));
    }
}
