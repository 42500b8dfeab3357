//! What two Eddyline processes must agree on: names, subjects, streams, headers,
//! positions, frames, errors, close codes, and the specs that live in `CONFIG`
//! and `FUNCTIONS`.
//!
//! Layout
//! - [`name`]: validated names: tenant, channel, store, user, client, function
//! - [`lane`]: which lane a channel belongs to
//! - [`subject`]: the only place where NATS subjects are built and taken apart
//! - [`stream`]: stream and bucket names
//! - [`id`]: event ids and the ids of function outputs
//! - [`position`]: epoch, sequence and time of a stored event
//! - [`header`]: header names, and the list that carries headers
//! - [`envelope`]: what Eddyline says about an event beside its bytes
//! - [`frame`]: what crosses the WebSocket, in JSON and MessagePack
//! - [`error_code`], [`close_code`]: every refusal and every close, with advice
//! - [`revocation`]: what is revoked before its time
//! - [`spec`]: store, namespace and function specs
//! - [`checkpoint`]: what a function lane commits with its outputs
//! - [`request`]: ephemeral events through a gate
//! - [`report`]: what a worker says of itself, and whose a lane is
//! - [`state`]: what a function remembers of a channel
//! - [`tick`]: what a function on a schedule is handed
//! - [`trace`]: one event's way through a store
//! - [`work`]: what a worker has done for a function, counted
//! - [`log`]: what functions write into their logs
//! - [`outcome`]: what a publisher is told of its event; dead letters
//! - [`bus`]: what goes into streams and comes out of them, as plain data
//! - [`permission`]: what each service's NATS user may do
//! - [`usage`]: how many bytes tenants have stored
//! - [`secret`]: texts that are never printed
//! - [`record`]: the mirror's Kafka records and its progress record
//!
//! The crate is pure and compiles for `wasm32-wasip2`: it knows neither NATS nor a clock.

pub mod bus;
pub mod checkpoint;
pub mod class;
pub mod close_code;
pub mod disconnect;
pub mod envelope;
pub mod error_code;
pub mod filter;
pub mod frame;
pub mod header;
pub mod id;
pub mod lane;
pub mod log;
pub mod name;
pub mod outcome;
pub mod permission;
pub mod position;
pub mod presence;
pub mod record;
pub mod report;
pub mod request;
pub mod revocation;
pub mod secret;
pub mod spec;
pub mod state;
pub mod stream;
pub mod subject;
pub mod tick;
pub mod trace;
pub mod usage;
pub mod work;
