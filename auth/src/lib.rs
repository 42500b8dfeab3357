//! Tokens: who a client is and what it may do.
//!
//! - [`Verifier`]: tokens in, an [`Identity`] or an [`AuthError`] out; keys are a live
//!   snapshot, which one task keeps fresh
//! - [`AuthSettings`]: where keys come from, and what claims must say
//! - tickets: what [`Verifier::seal`] makes of an identity, and [`Verifier::open`] reads
//! - [`Signer`]: tokens for development and tests
//!
//! The algorithm is a property of the key: what a token says of it can only make it be
//! refused. Knows nothing of connections. What is believed, and for how long, is decided
//! without waiting (`cache`, `claims`, `keys`); files and URLs are read in `follow` alone.

mod cache;
mod claims;
mod error;
mod follow;
mod keys;
mod limits;
mod scope;
mod settings;
mod signer;
mod source;
mod ticket;
mod verifier;

pub use claims::Identity;
pub use error::AuthError;
pub use keys::{DOCUMENT_BYTES_MAX, KEYS_MAX, RSA_BITS_MAX, RSA_BITS_MIN};
pub use limits::{SCOPES_MAX, SECRET_BYTES_MIN, TOKEN_BYTES_MAX};
pub use scope::{Action, Scopes, USER_PLACEHOLDER};
pub use settings::{
    AuthSettings, DEVELOPMENT_PREFIX, KeySource, LEEWAY_MS_DEFAULT, SOURCES_MAX, SettingFault,
    is_for_development,
};
pub use signer::Signer;
pub use ticket::{NoTicket, Opened, TICKET_BYTES_MAX};
pub use verifier::Verifier;
