//! Channels read over plain HTTP, by whoever cannot open a WebSocket: the core's session
//! behind a request.
//!
//! - `sse`: `GET /v1/sse`, Server-Sent Events
//! - `poll`: `GET /v1/poll`, long polling
//! - `wanted`: what such a request asks for
//! - `opened`: its session, subscribed to all of it
//! - `frame`: the frames of a session, taken apart; `text`: the text of an event stream
//! - `places`: where a client stands on all its channels, in one opaque text
//!
//! Nothing is kept on the node once a request has ended: a client goes on, here or on
//! another node, with the places that it was given last.

mod frame;
mod opened;
mod places;
pub mod poll;
pub mod sse;
mod text;
pub mod wanted;
