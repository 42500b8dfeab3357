//! Events that a reader grants, on their way to the actor.
//!
//! Owns those that the actor has not fetched yet. Knows neither of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use tokio::sync::Notify;

use super::error::ClientError;

#[derive(Debug, Default)]
struct Purse {
    granted: AtomicU64,
    ended: AtomicBool,
    /// Something was granted, or the subscription has ended.
    changed: Notify,
}

/// Grants events of one subscription; clones grant the same ones. It keeps no client alive.
#[derive(Debug, Clone)]
pub struct Granter {
    channel: String,
    /// `None`: the subscription was made without credit.
    purse: Option<Arc<Purse>>,
}

impl Granter {
    /// That of a subscription of this channel, with credit or without.
    pub(super) fn new(channel: &str, is_counted: bool) -> Self {
        Self {
            channel: channel.to_owned(),
            purse: is_counted.then(Arc::default),
        }
    }

    /// Lets the node send so many events more. What it cannot take, past [`CREDIT_EVENTS_MAX`]
    /// that are granted and not delivered, is left out.
    ///
    /// # Errors
    /// The subscription was made without credit, or has ended.
    ///
    /// [`CREDIT_EVENTS_MAX`]: protocol::frame::CREDIT_EVENTS_MAX
    pub fn grant(&self, events: u64) -> Result<(), ClientError> {
        let Some(purse) = &self.purse else {
            let message = format!("{} was subscribed without credit", self.channel);
            let error = ErrorBody::new(ErrorCode::BadCredit, message);
            return Err(ClientError::Refused(error));
        };
        if purse.ended.load(Ordering::Acquire) {
            return Err(ClientError::Ended);
        }
        let add = |granted: u64| Some(granted.saturating_add(events));
        // It always adds, so there is nothing to be told.
        let _ = purse
            .granted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        purse.changed.notify_one();
        Ok(())
    }

    /// What was granted since the last call, once there is some; `None`: nothing ever will
    /// be. Cancel safe.
    pub(super) async fn granted(&self) -> Option<u64> {
        let purse = self.purse.as_ref()?;
        loop {
            if purse.ended.load(Ordering::Acquire) {
                return None;
            }
            match purse.granted.swap(0, Ordering::AcqRel) {
                0 => purse.changed.notified().await,
                events => return Some(events),
            }
        }
    }
}

/// Ends the granting of a subscription when it is dropped.
pub(super) struct GranterEnd(pub Granter);

impl Drop for GranterEnd {
    fn drop(&mut self) {
        if let Some(purse) = &self.0.purse {
            purse.ended.store(true, Ordering::Release);
            purse.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_granted_is_fetched_once_until_the_end() {
        let granter = Granter::new("chat.a", true);
        let (end, reader) = (GranterEnd(granter.clone()), granter.clone());
        granter.grant(2).unwrap();
        reader.grant(3).unwrap();
        assert_eq!(granter.granted().await, Some(5));
        let waiting = tokio::spawn(async move { reader.granted().await });
        tokio::task::yield_now().await;
        drop(end);
        assert_eq!(waiting.await.unwrap(), None);
        assert!(matches!(granter.grant(1), Err(ClientError::Ended)));
        let without = Granter::new("chat.a", false);
        assert!(matches!(without.grant(1), Err(ClientError::Refused(_))));
        assert_eq!(without.granted().await, None);
    }
}
