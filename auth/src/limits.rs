//! What a token and a secret may be, in bytes and numbers.

/// Longest token, in bytes, so that a refused one costs little.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most scopes of a token: each is looked at for each operation.
pub const SCOPES_MAX: usize = 64;
/// Shortest secret, in bytes: HS256 needs a key as long as its hash (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
