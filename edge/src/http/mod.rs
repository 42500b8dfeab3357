//! HTTP around the core.
//!
//! - `publish`: `POST /v1/publish`
//! - `body`: what such a request holds; `answer`: what it is answered
//! - `origin`: which web pages may ask
//! - `head`: how long a request's headers may be
//! - `health`: liveness, readiness, metrics

mod answer;
mod body;
pub mod head;
pub mod health;
pub mod origin;
pub mod publish;
