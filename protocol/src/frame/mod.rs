//! What crosses the WebSocket. The same types in JSON and in MessagePack.
//!
//! A client sends [`Command`]s and gets one [`Reply`] for each, with the same
//! `id`; the server sends [`Push`]es on its own account. PROTOCOL.md describes
//! every frame with an example and is checked against these types.

mod codec;
mod command;
mod payload;
mod push;
mod reply;

pub use codec::{DecodeError, Encoding, decode_commands, decode_from_server, encode};
pub use command::{
    Action, Command, Connect, Named, Ping, Publish, Refresh, Start, Subscribe, Unsubscribe,
};
pub use payload::Payload;
pub use push::{CaughtUp, Event, Expiry, Gap, GapReason, GoingAway, Push, Withdrawn};
pub use reply::{
    Connected, ErrorBody, FromServer, Limits, Outcome, Pong, Published, Refreshed, Reply, StoredIn,
    Subscribed, Unsubscribed,
};

/// The sub-protocol that carries JSON text.
pub const PROTOCOL_JSON: &str = "eddyline.v1.json";
/// The sub-protocol that carries MessagePack.
pub const PROTOCOL_MSGPACK: &str = "eddyline.v1.msgpack";

/// Most frames in one WebSocket message.
pub const FRAMES_PER_MESSAGE_MAX: usize = 256;

#[cfg(test)]
mod tests;
