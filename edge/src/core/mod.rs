//! What a node does, whatever carries it to its clients.
//!
//! - `session`: one session's state machine, and what its steps do
//! - `admission`: how much of the node each connection, user and tenant may have
//! - `port`: a session's mailbox, and what waits to be sent to its client
//! - `publisher`: from a checked command to a stored event
//! - `quota`: how much of the stores each tenant may have
//! - `feed`, `registry`, `probe`: one relay per active channel, repaired by itself
//! - `replay`: from a position to live
//! - `history`: stored events, a page at a time
//! - `leader`: answers that are older than what is known
//! - `ephemeral`: what is passed on and not stored
//! - `presence`: who is on a channel, over all nodes
//! - `delivery`: what subscribers get, encoded once; `run`: several of it in one message
//! - `wants`: what a subscriber wants of a channel's events
//! - `directory`, `namespaces`: the configuration that the node follows
//! - `sessions`: who has to hear what is revoked
//! - `gates`: which gates are so far behind that publishers have to wait
//! - `hub`: all of it, over one bus
//!
//! It must not know a transport: no sockets, no HTTP, no WebSocket. What goes to a
//! client is a payload; whoever carries it adds the framing.

pub mod admission;
pub mod delivery;
pub mod directory;
pub mod draft;
pub mod ephemeral;
pub mod feed;
pub mod gates;
pub mod history;
pub mod hub;
pub mod leader;
pub mod limits;
pub mod managing;
pub mod metrics;
pub mod namespaces;
pub mod port;
pub mod presence;
pub mod probe;
pub mod publisher;
mod pulses;
pub mod quota;
pub mod registry;
pub mod replay;
pub mod request;
pub mod run;
pub mod session;
pub mod sessions;
pub mod wants;
