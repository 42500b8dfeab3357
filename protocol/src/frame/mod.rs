//! What crosses the WebSocket. The same types in JSON and in MessagePack.
//!
//! A client sends [`Command`]s and gets one [`Reply`] for each, with the same
//! `id`; the server sends [`Push`]es on its own account. PROTOCOL.md describes
//! every frame with an example and is checked against these types.

mod codec;
mod command;
mod credit;
mod delimit;
mod depth;
mod history;
mod payload;
mod presence;
mod push;
mod reply;
mod strict;
mod ticket;

pub use codec::{DecodeError, Encoding, Unreadable, decode_commands, decode_from_server, encode};
pub use command::{
    Action, Command, Connect, Named, Ping, Publish, Refresh, Start, Subscribe, Unsubscribe,
};
pub use credit::{CREDIT_EVENTS_MAX, Grant, Granted};
pub use depth::{JSON_DEPTH_MAX, json_depth};
pub use history::{
    AtSequence, AtTime, End, HISTORY_EVENTS_DEFAULT, HISTORY_EVENTS_MAX, History, HistoryPage,
    Mark, NoMark,
};
pub use payload::Payload;
pub use presence::{AskPresence, Join, Leave, Member, Presence};
pub use push::{
    CaughtUp, Dropped, Ephemeral, Event, Expiry, Gap, GapReason, GoingAway, Passed, Push, Withdrawn,
};
pub use reply::{
    Connected, ErrorBody, FromServer, Limits, Outcome, PassedOn, Pong, PublishReply, Published,
    Refreshed, Reply, StoredIn, Subscribed, Unsubscribed,
};
pub use strict::{AsMap, distinct_headers};
pub use ticket::{AskTicket, Resume, Ticket};

/// The sub-protocol that carries JSON text.
pub const PROTOCOL_JSON: &str = "eddyline.v1.json";
/// The sub-protocol that carries MessagePack.
pub const PROTOCOL_MSGPACK: &str = "eddyline.v1.msgpack";

/// Most frames in one WebSocket message. Of a longer one none is looked at: what of it
/// was done would be hard to tell.
pub const FRAMES_PER_MESSAGE_MAX: usize = 256;

#[cfg(test)]
mod tests;
