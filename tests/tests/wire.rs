//! The wire under clients that mean no good: floods of broken frames, and every
//! documented refusal and close provoked by name.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test's fixture ends the test"
)]

mod wire {
    mod access;
    mod closes;
    mod commands;
    mod credit;
    mod depth;
    mod door;
    mod ephemeral;
    mod expected;
    mod filter;
    mod flood;
    mod garbage;
    mod handshake;
    mod history;
    mod issuer;
    mod manage;
    mod mounts;
    mod mutate;
    mod neighbours;
    mod openapi;
    mod origins;
    mod pair;
    mod presence;
    mod proxied;
    mod quota;
    mod rates;
    mod reading;
    mod refresh;
    mod refusals;
    mod request;
    mod revoked;
    mod rfc6455;
    mod rotation;
    mod schema;
    mod seen;
    mod socket;
    mod stream;
    mod tickets;
    mod tls;
    mod tokens;
    mod trouble;
    mod writers;
}
