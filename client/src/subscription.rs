//! The reading end of one channel. Owns the queue of deliveries; knows nothing of
//! connections, which come and go behind it.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::Stream;
use protocol::frame::{Ephemeral, Event, Gap, Join, Leave, Presence, Subscribed};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::error::ClientError;
use super::granter::Granter;

/// Something that a channel delivered, in the channel's order.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every delivery is an event"
)]
pub enum Delivery {
    /// An event. Each is delivered once, whatever happened to the connection.
    Event {
        /// The event.
        event: Event,
        /// When the client had read it from its connection.
        arrived: Instant,
    },
    /// An ephemeral event, of those that reach this client: at most once, in no promised
    /// order, and none while it is not connected.
    Ephemeral {
        /// The event.
        event: Ephemeral,
        /// When the client had read it from its connection.
        arrived: Instant,
    },
    /// Ephemeral events that came and for which there was no room, at the node or here.
    Dropped {
        /// How many.
        count: NonZeroU64,
    },
    /// Who is on the channel, or came, or left; where that was asked for.
    Presence(PresenceChange),
    /// Events that the stream no longer keeps.
    Gap(Gap),
    /// Everything stored before is delivered; what follows is live. Comes after
    /// each replay, so possibly more than once.
    CaughtUp {
        /// The last sequence of the replay.
        seq: u64,
    },
}

/// What is told of who is on a channel. Whoever starts with [`Self::All`] and applies the
/// others in order knows who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceChange {
    /// This is all there is, in place of everything before: at the beginning, after each
    /// reconnect, and when members are counted or named from now on.
    All(Presence),
    /// Somebody came, or is there with another session.
    Join(Join),
    /// Somebody left.
    Leave(Leave),
}

/// A stream of one channel's deliveries. Dropping it leaves the channel. It ends
/// with an error if the node will not deliver the channel any more, or without
/// one when the client was closed.
#[derive(Debug)]
pub struct Subscription {
    pub(super) receiver: mpsc::Receiver<Delivery>,
    pub(super) end: Arc<OnceLock<ClientError>>,
    pub(super) ended: bool,
    pub(super) subscribed: Subscribed,
    pub(super) granter: Granter,
    /// Tells the actor, by being dropped, that nobody reads any more.
    pub(super) _alive: oneshot::Sender<()>,
}

impl Subscription {
    /// What the node answered: channel, epoch, and after which sequence it began.
    pub fn subscribed(&self) -> &Subscribed {
        &self.subscribed
    }

    /// Lets the node send so many events more: as [`Granter::grant`].
    ///
    /// # Errors
    /// Likewise.
    pub fn grant(&self, events: u64) -> Result<(), ClientError> {
        self.granter.grant(events)
    }

    /// What grants events where the subscription itself is out of reach.
    pub fn granter(&self) -> Granter {
        self.granter.clone()
    }

    /// The next delivery; `None` once the subscription has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Delivery, ClientError>> {
        std::future::poll_fn(|context| self.poll_delivery(context)).await
    }

    fn poll_delivery(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Delivery, ClientError>>> {
        self.receiver.poll_recv(context).map(|delivery| {
            delivery
                .map(Ok)
                .or_else(|| (!std::mem::replace(&mut self.ended, true)).then(|| self.reason())?)
        })
    }

    fn reason(&self) -> Option<Result<Delivery, ClientError>> {
        match self.end.get() {
            None | Some(ClientError::Ended) => None,
            Some(reason) => Some(Err(reason.clone())),
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery, ClientError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_delivery(context)
    }
}
