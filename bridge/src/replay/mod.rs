//! Replay over gRPC: history from Kafka, spliced into what JetStream stores now.
//!
//! - `service`: the gRPC service: who may read; `places`: how many at once
//! - `plan`: a request, checked; `grant`: which messages it gives, and to whom
//! - `drive`: one read from start to end: history, live, and back when it falls behind
//! - `steps`: where a range comes from of which Kafka has lost something
//! - `history`: the part that comes from Kafka; `record`: a record as an event; `since`:
//!   what went before a time; `search`: where a sequence lies
//! - `live`: the part that comes from JetStream
//! - `token`: where a read goes on
//! - `batch`: responses as they are filled; `out`: their way to the client
//! - `fault`: every way in which a read ends early

pub(crate) mod access;
mod batch;
mod drive;
mod fault;
mod grant;
mod history;
mod live;
mod out;
mod places;
mod plan;
mod record;
mod search;
pub(crate) mod service;
mod since;
mod steps;
mod token;

pub(crate) use drive::Context;
pub(crate) use plan::Home;
