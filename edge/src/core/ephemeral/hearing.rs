//! One channel's subscription to ephemeral events, where its namespace allows them.
//!
//! Owns the subscription: a second one of the channel beside that to what is stored, since
//! no filter covers the two and nothing else.

use bus::{Bus, BusError, Incoming, Subscription};
use futures_util::{FutureExt, StreamExt};
use protocol::subject::Subject;

/// Hears a channel's ephemeral events, or does not.
#[derive(Debug, Default)]
pub struct Hearing(Option<Subscription>);

impl Hearing {
    /// Begins or ends to hear them, as it should be. Not cancel safe: it may not hear then.
    ///
    /// # Errors
    /// Those of [`Bus::subscribe`].
    pub async fn follow(
        &mut self,
        bus: &Bus,
        subject: &Subject,
        allowed: bool,
    ) -> Result<(), BusError> {
        match (&self.0, allowed) {
            (None, true) => self.0 = Some(bus.subscribe(subject).await?),
            (Some(_), false) => self.0 = None,
            (None, false) | (Some(_), true) => {}
        }
        Ok(())
    }

    /// The next; waits for ever where none are heard, or the connection is closed. Cancel
    /// safe.
    pub async fn next(&mut self) -> Incoming {
        let next = match &mut self.0 {
            Some(subscription) => subscription.next().await,
            None => None,
        };
        match next {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Another, if one is ready.
    pub fn ready(&mut self) -> Option<Incoming> {
        self.0.as_mut()?.next().now_or_never().flatten()
    }
}
