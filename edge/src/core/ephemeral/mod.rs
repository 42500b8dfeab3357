//! Ephemeral events: passed on to whoever listens now, at most once, and stored nowhere.
//!
//! - `draft`: one that passed every check; `answer`: where its answer goes
//! - `passing`: hands those without a gate to NATS
//! - `asking`: takes those with a gate there, by request and reply; `verdict`: what the
//!   gate's answer means
//! - `fleeting`: one as subscribers get it, encoded once
//! - `hearing`: a channel's subscription to them, where its namespace allows them
//!
//! Nothing here waits for JetStream, and nothing durable waits for what is here.

pub mod answer;
pub mod asking;
pub mod draft;
pub mod fleeting;
pub mod hearing;
pub mod passing;
pub mod verdict;
