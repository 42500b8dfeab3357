//! HTTP around the core.
//!
//! - `publish`: `POST /v1/publish`
//! - `history`: `GET /v1/history/{channel}`
//! - `presence`: `GET /v1/presence/{channel}`
//! - `way`: `GET /v1/trace/{id}`
//! - `manage`: `POST /v1/disconnect`, `POST /v1/revoke`
//! - `look`: a request that looks at one channel
//! - `body`: what such a request holds; `answer`: what it is answered
//! - `origin`: which web pages may ask
//! - `head`: how long a request's headers may be
//! - `query`: what stands in a query, and whose token a request comes with
//! - `cors`: requests from pages of other origins
//! - `openapi`: what all of it takes and answers
//! - `health`: liveness, readiness, metrics

pub mod answer;
pub mod body;
pub mod cors;
pub mod head;
pub mod health;
pub mod history;
pub mod look;
pub mod manage;
pub mod openapi;
pub mod origin;
pub mod presence;
pub mod publish;
pub mod query;
pub mod way;
