//! What is tried: the table.
//!
//! Owns nothing.

mod claims;
mod commands;
mod head;
mod manage;
mod proxy;
mod published;
mod queries;
mod server;
mod token;

use crate::property::Target;

/// All of them.
pub const TARGETS: [Target; 10] = [
    commands::JSON,
    commands::MSGPACK,
    server::SERVER,
    token::TOKEN,
    claims::CLAIMS,
    proxy::PROXY,
    published::PUBLISHED,
    queries::QUERIES,
    head::HEAD,
    manage::MANAGE,
];

/// The one of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
