//! What handles ask of the actor. Plain values; they own nothing.

use std::sync::{Arc, OnceLock};

use protocol::frame::{AskPresence, History, HistoryPage, PassedOn, Presence, Published, Start};
use protocol::secret::Secret;
use tokio::sync::{mpsc, oneshot};

use super::channel::Answer;
use super::error::ClientError;
use super::granter::Granter;
use super::options::{Draft, SubscribeOptions};
use super::subscription::Delivery;

/// Sends an event's outcome to whoever published it.
pub(super) type Waiter = oneshot::Sender<Result<Published, ClientError>>;

/// Sends a page of history to whoever asked for it.
pub(super) type Reader = oneshot::Sender<Result<HistoryPage, ClientError>>;
/// Sends who is on a channel to whoever looked.
pub(super) type Looker = oneshot::Sender<Result<Presence, ClientError>>;
/// Sends the answer to an ephemeral event to whoever published it.
pub(super) type PassWaiter = oneshot::Sender<Result<PassedOn, ClientError>>;

/// What handles ask of the actor.
pub(super) enum Request {
    Publish {
        n: u64,
        draft: Draft,
        waiter: Waiter,
    },
    PassOn {
        n: u64,
        draft: Draft,
        waiter: PassWaiter,
    },
    Subscribe(Box<Wanted>),
    /// Go on with another token; the waiter hears when the node has taken it.
    Refresh(Secret, oneshot::Sender<Result<(), ClientError>>),
    History(Box<History>, Reader),
    Presence(AskPresence, Looker),
    Reset,
    Close(oneshot::Sender<()>),
}

/// A subscription that a handle asks for.
pub(super) struct Wanted {
    pub channel: String,
    pub start: Start,
    /// What it wants beside the channel's events.
    pub options: SubscribeOptions,
    /// Where its reader grants events.
    pub granter: Granter,
    pub sender: mpsc::Sender<Delivery>,
    pub end: Arc<OnceLock<ClientError>>,
    pub answer: Answer,
    /// Ends when the reader is dropped.
    pub alive: oneshot::Receiver<()>,
}
