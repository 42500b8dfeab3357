//! Tokens as they come: nothing is accepted that was not issued, whatever it is made of.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::{AuthError, Verifier};
use protocol::secret::Secret;

use crate::meter;
use crate::property::{Kind, Target, bounded, told};

/// The secret of the tokens here, and when they are looked at.
pub const SECRET: &str = "a secret of fuzz targets, known to all";
const NOW: u64 = 1_764_000_000;

/// Tokens.
pub const TOKEN: Target = Target {
    name: "token",
    words: &[
        // {"alg":"none"}, {"alg":"HS256"}, {"alg":"HS512"}, {"alg":"RS256"}
        b"eyJhbGciOiJub25lIn0",
        b"eyJhbGciOiJIUzI1NiJ9",
        b"eyJhbGciOiJIUzUxMiJ9",
        b"eyJhbGciOiJSUzI1NiJ9",
        b"e30",
        b".",
        b"..",
        b"=",
        b"AA",
    ],
    make: None,
    check,
};

/// Bytes for each byte of a token, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 64 * 1024;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let secret = Secret::new(SECRET);
    Verifier::with_secret(&secret).expect("the secret is long enough")
});

/// Now, of all tokens here.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Verifies a token within its bounds.
pub fn verified(token: &str) -> Result<Result<auth::Identity, AuthError>, String> {
    let (identity, peak) = meter::peak(|| VERIFIER.verify_at(token, now()));
    bounded(peak, token.as_bytes(), BYTES_EACH, BYTES_BASE)?;
    Ok(identity)
}

/// The committed tokens that were issued.
static ISSUED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let committed = crate::corpus::read(TOKEN.name).unwrap_or_default();
    let texts = committed
        .into_iter()
        .filter_map(|token| String::from_utf8(token).ok());
    let texts = texts.map(|token| token.trim().to_owned());
    texts
        .filter(|token| VERIFIER.verify_at(token, now()).is_ok())
        .collect()
});

fn check(input: &[u8]) -> Result<u64, String> {
    let Ok(token) = std::str::from_utf8(input) else {
        return Ok(0);
    };
    let token = token.trim();
    let mut kind = Kind::default();
    match verified(token)? {
        Ok(_) => {
            // What is signed has to be the very text; of its signature base64 has two
            // forms, and either is the same.
            let signed = |token: &str| token.rsplit_once('.').map(|(text, _)| text.to_owned());
            if !ISSUED.iter().any(|issued| signed(issued) == signed(token)) {
                return Err("a token is accepted that nobody issued".into());
            }
            kind.add("accepted");
        }
        Err(error) => {
            told(&error.to_string())?;
            kind.complain(&error.to_string());
        }
    }
    Ok(kind.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_committed_tokens_are_accepted() {
        assert!(ISSUED.len() >= 2, "{:?}", *ISSUED);
    }
}
