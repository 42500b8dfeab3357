//! What stands in the place of what was there: a mask, or a keyed hash, by which equal
//! values can still be joined while nobody without the key can try values out.
//!
//! Owns the key. Must not know where values come from.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Least bytes of a key: 128 bits, when they are random.
pub const KEY_BYTES_MIN: usize = 16;
/// Bytes of a hash that are kept: no two values of a deployment meet in 96 bits.
const HASH_BYTES: usize = 12;

/// Makes tokens out of values.
#[derive(Clone)]
pub struct Hasher(Hmac<Sha256>);

impl Hasher {
    /// A hasher with a key.
    ///
    /// # Errors
    /// The key is too short; the text does not repeat it.
    pub fn new(key: &str) -> Result<Self, String> {
        if key.len() < KEY_BYTES_MIN {
            return Err(format!("has under {KEY_BYTES_MIN} bytes"));
        }
        let hmac = Hmac::new_from_slice(key.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self(hmac))
    }

    /// The token of a value: 24 hexadecimal digits of its HMAC-SHA-256.
    #[must_use]
    pub fn token(&self, value: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(value.as_bytes());
        let bytes = hmac.finalize().into_bytes();
        let digits = bytes.iter().take(HASH_BYTES);
        digits.map(|byte| format!("{byte:02x}")).collect()
    }
}
