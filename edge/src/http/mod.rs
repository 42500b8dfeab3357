//! HTTP around the core.
//!
//! - `publish`: `POST /v1/publish`
//! - `history`: `GET /v1/history/{channel}`
//! - `body`: what such a request holds; `answer`: what it is answered
//! - `origin`: which web pages may ask
//! - `head`: how long a request's headers may be
//! - `query`: what stands in a query, and whose token a request comes with
//! - `health`: liveness, readiness, metrics

mod answer;
mod body;
pub mod head;
pub mod health;
pub mod history;
pub mod origin;
pub mod publish;
mod query;
