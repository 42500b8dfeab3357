//! Public keys out of a JWK set (RFC 7517). Pure.
//!
//! The algorithm is pinned to the key: by its own `alg`, or by its type. What is no key
//! for signatures of the three algorithms is passed over (RFC 7517, section 5); a
//! symmetric key never comes this way: whoever can read the set could sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Longest document, bytes: a hundred keys with their certificates.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Most keys of a document: an issuer has two or three, and each is compared with each
/// token's `kid`. More are refused, not cut off.
pub const KEYS_MAX: usize = 64;
/// Shortest RSA key, bits (RFC 7518, 3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Longest RSA key, bits: what the library takes; a longer one costs a node too much.
pub const RSA_BITS_MAX: usize = 4096;
/// Length of a coordinate of P-256 and of a key of Ed25519, bytes.
const POINT_BYTES: usize = 32;

/// A key and the one algorithm that it is used with.
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// The keys of one source.
pub(crate) struct Keys(Vec<Key>);

/// Why a document gives no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("not a JWK set: {0}")]
    Unreadable(String),
    #[error("the set has {count} keys, more than {KEYS_MAX}")]
    TooMany { count: usize },
    #[error("none of the set's {count} keys is for RS256, ES256 or EdDSA signatures")]
    NoneUsable { count: usize },
    #[error("two keys of the set have one kid")]
    SameId,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Key {
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|list| list.contains(&KeyOperations::Verify));
        let algorithm = algorithm(&jwk.algorithm)?;
        let pinned = common.key_algorithm;
        let agrees = pinned.is_none_or(|pinned| pinned == KeyAlgorithm::from(algorithm));
        if !signs || !verifies || !agrees {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            decoding: DecodingKey::from_jwk(jwk).ok()?,
        })
    }

    /// The algorithm that it is used with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it has signed `message`.
    pub(crate) fn has_signed(&self, message: &str, signature: &str) -> bool {
        let message = message.as_bytes();
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, self.algorithm)
            .unwrap_or(false)
    }
}

/// The one algorithm of a key of this type, if it is one of ours and sound.
fn algorithm(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let is_point = |text: &str| bytes(text).is_some_and(|bytes| bytes.len() == POINT_BYTES);
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = bytes(&rsa.n)?;
            let leading = modulus.iter().take_while(|byte| **byte == 0).count();
            let first = modulus.get(leading)?;
            let bits = (modulus.len() - leading) * 8 - first.leading_zeros() as usize;
            (RSA_BITS_MIN..=RSA_BITS_MAX)
                .contains(&bits)
                .then_some(Algorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            let sound = ec.curve == EllipticCurve::P256 && is_point(&ec.x) && is_point(&ec.y);
            sound.then_some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) => {
            let sound = pair.curve == EllipticCurve::Ed25519 && is_point(&pair.x);
            sound.then_some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

impl Keys {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// [`KeysError`]: then what was known before stays.
    pub(crate) fn of_document(document: &[u8]) -> Result<Self, KeysError> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| KeysError::Unreadable(error.to_string()))?;
        let count = document.keys.len();
        if count > KEYS_MAX {
            return Err(KeysError::TooMany { count });
        }
        let keys = document.keys.into_iter();
        let keys = keys.filter_map(|value| serde_json::from_value::<Jwk>(value).ok());
        let keys: Vec<Key> = keys.filter_map(|jwk| Key::of_jwk(&jwk)).collect();
        if keys.is_empty() {
            return Err(KeysError::NoneUsable { count });
        }
        let twice = |(at, key): (usize, &Key)| {
            key.id.is_some() && keys[..at].iter().any(|other| other.id == key.id)
        };
        if keys.iter().enumerate().any(twice) {
            return Err(KeysError::SameId);
        }
        Ok(Self(keys))
    }

    /// One shared secret, for HS256.
    pub(crate) fn of_secret(secret: &[u8]) -> Self {
        Self(vec![Key {
            id: None,
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret),
        }])
    }

    /// The key of this name.
    pub(crate) fn named(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id.as_deref() == Some(id))
    }

    /// The keys of an algorithm.
    pub(crate) fn of_algorithm(&self, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key.algorithm == algorithm)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode([byte; POINT_BYTES])
    }

    fn rsa(bits: usize) -> Value {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        if !bits.is_multiple_of(8) {
            modulus[0] = 0xff >> (8 - bits % 8);
        }
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn ec() -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": point(1), "y": point(2)})
    }

    fn ed() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": point(3)})
    }

    fn algorithms(keys: Value) -> Result<Vec<Algorithm>, KeysError> {
        let document = serde_json::to_vec(&json!({ "keys": keys })).unwrap();
        let keys = Keys::of_document(&document)?;
        Ok(keys.0.iter().map(Key::algorithm).collect())
    }

    #[test]
    fn each_type_has_one_algorithm() {
        assert_eq!(
            algorithms(json!([rsa(2048), ec(), ed()])),
            Ok(vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA])
        );
        let stated = with(ec(), "alg", json!("ES256"));
        assert_eq!(algorithms(json!([stated])), Ok(vec![Algorithm::ES256]));
    }

    #[test]
    fn what_is_no_key_for_our_signatures_is_passed_over() {
        let none = Err(KeysError::NoneUsable { count: 1 });
        for key in [
            rsa(RSA_BITS_MIN - 1),
            rsa(RSA_BITS_MAX + 1),
            with(rsa(2048), "alg", json!("PS256")),
            with(rsa(2048), "alg", json!("HS256")),
            with(rsa(2048), "alg", json!("XY256")),
            with(rsa(2048), "use", json!("enc")),
            with(ec(), "crv", json!("P-384")),
            with(ec(), "x", json!("AQAB")),
            with(ec(), "key_ops", json!(["sign"])),
            with(ed(), "x", json!("?")),
            json!({"kty": "oct", "k": point(1), "alg": "HS256"}),
            json!({"kty": "new", "alg": "ES256"}),
            json!("key"),
        ] {
            assert_eq!(algorithms(json!([key])), none, "{key}");
            assert_eq!(
                algorithms(json!([key, ed()])),
                Ok(vec![Algorithm::EdDSA]),
                "the others count"
            );
        }
        assert!(algorithms(json!([rsa(RSA_BITS_MIN)])).is_ok());
        assert!(algorithms(json!([rsa(RSA_BITS_MAX)])).is_ok());
    }

    #[test]
    fn numbers_within_and_beyond_and_names_that_stand_once() {
        let named = |n: usize| with(ed(), "kid", json!(format!("k{n}")));
        let most: Vec<Value> = (0..KEYS_MAX).map(named).collect();
        assert_eq!(algorithms(json!(most)).map(|keys| keys.len()), Ok(KEYS_MAX));
        let more: Vec<Value> = (0..=KEYS_MAX).map(named).collect();
        assert_eq!(
            algorithms(json!(more)),
            Err(KeysError::TooMany {
                count: KEYS_MAX + 1
            })
        );
        assert_eq!(
            algorithms(json!([named(1), named(1)])),
            Err(KeysError::SameId)
        );
        assert!(matches!(
            Keys::of_document(b"[]"),
            Err(KeysError::Unreadable(_))
        ));
        assert!(matches!(
            Keys::of_document(b"<html>"),
            Err(KeysError::Unreadable(_))
        ));
    }
}
