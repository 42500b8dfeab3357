//! What the provider reads of its environment: the only file that does. Owns nothing.

/// NATS, as everywhere in Eddyline: `nats://USER:PASSWORD@HOST:PORT`, several separated by
/// commas.
pub const SERVERS: &str = "EDDYLINE_NATS_URL";
/// The user, where the address does not say it.
pub const USER: &str = "EDDYLINE_NATS_USER";
/// That user's password.
pub const PASSWORD: &str = "EDDYLINE_NATS_PASSWORD";
/// Which running `dev`, by its name.
pub const DEV: &str = "EDDYLINE_DEV";

/// The value of a variable that is set and not empty.
#[allow(
    clippy::disallowed_methods,
    reason = "this file is the crate's one reader of the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
/// The file with the authorities that vouch for it.
pub const CA: &str = "EDDYLINE_NATS_CA";
/// The user's credentials file.
pub const CREDENTIALS: &str = "EDDYLINE_NATS_CREDENTIALS";
/// The file with the seed of the user's nkey.
pub const NKEY: &str = "EDDYLINE_NATS_NKEY";
