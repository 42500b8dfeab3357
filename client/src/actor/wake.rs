//! What a subscription waits for: room in its queue, the end of a wait, the end of its
//! reader. Owns nothing; each wait is a future that ends with a [`Wake`].

use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::frame::ErrorBody;

use crate::channel::Channel;

/// Wait before a refused subscription is tried again, where none is named.
const RETRY_DEFAULT: Duration = Duration::from_millis(100);

/// Something that a subscription waited for.
pub(super) enum Wake {
    /// There is room again, or the wait is over: subscribe.
    Again(String, u64),
    /// The reader takes so many events more.
    Granted(String, u64, u64),
    /// The reader is gone.
    Closed(String, u64),
}

/// Waits until half of the channel's queue is free.
pub(super) fn room(name: String, channel: &Channel, queue: usize) -> BoxFuture<'static, Wake> {
    let (sender, generation) = (channel.sender.clone(), channel.generation);
    Box::pin(async move {
        // An error means that the reader is gone, of which another wake tells.
        drop(sender.reserve_many((queue / 2).max(1)).await);
        Wake::Again(name, generation)
    })
}

/// Waits until a channel's reader takes more events, or it has ended.
pub(super) fn grants(name: String, channel: &Channel) -> BoxFuture<'static, Wake> {
    let (granter, generation) = (channel.end_of_credit.0.clone(), channel.generation);
    Box::pin(async move {
        match granter.granted().await {
            Some(events) => Wake::Granted(name, generation, events),
            None => Wake::Granted(name, generation, 0),
        }
    })
}

pub(super) fn later(name: String, generation: u64, body: &ErrorBody) -> BoxFuture<'static, Wake> {
    let wait = body
        .retry_after_ms
        .map_or(RETRY_DEFAULT, Duration::from_millis);
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        Wake::Again(name, generation)
    })
}
