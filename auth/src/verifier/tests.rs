//! Tokens of every algorithm against keys of every source. The keys are made of fixed
//! bytes, but for RSA's, which would take seconds to find.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use protocol::name::Tenant;
use serde_json::json;

use super::*;
use crate::settings::KeySource;

/// PKCS#8 of Ed25519 and of P-256 up to the secret bytes (RFC 8410, RFC 5915).
const ED25519_HEAD: &str = "MC4CAQAwBQYDK2VwBCIEIA==";
const P256_HEAD: &str = "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCA=";
/// A key of 2048 bits, PKCS#1, made for this test.
const RSA: &str = include_str!("rsa.base64");

fn der(head: &str, fill: u8) -> Vec<u8> {
    let mut der = STANDARD.decode(head).unwrap();
    der.extend([fill; 32]);
    der
}

fn eddsa(fill: u8) -> (Algorithm, EncodingKey) {
    let key = EncodingKey::from_ed_der(&der(ED25519_HEAD, fill));
    (Algorithm::EdDSA, key)
}

fn es256(fill: u8) -> (Algorithm, EncodingKey) {
    let key = EncodingKey::from_ec_der(&der(P256_HEAD, fill));
    (Algorithm::ES256, key)
}

fn rs256() -> (Algorithm, EncodingKey) {
    let der = STANDARD.decode(RSA.replace('\n', "")).unwrap();
    (Algorithm::RS256, EncodingKey::from_rsa_der(&der))
}

fn hs256(secret: &str) -> (Algorithm, EncodingKey) {
    (
        Algorithm::HS256,
        EncodingKey::from_secret(secret.as_bytes()),
    )
}

/// A JWK set of public keys, with their names.
fn set(keys: &[(Option<&str>, &(Algorithm, EncodingKey))]) -> Keys {
    let jwk = |(id, (algorithm, key)): &(Option<&str>, &(Algorithm, EncodingKey))| {
        let mut jwk = Jwk::from_encoding_key(key, *algorithm).unwrap();
        jwk.common.key_id = id.map(str::to_owned);
        jwk
    };
    let keys: Vec<Jwk> = keys.iter().map(jwk).collect();
    Keys::of_document(&serde_json::to_vec(&json!({ "keys": keys })).unwrap()).unwrap()
}

fn file(tenants: &[&str]) -> KeySource {
    KeySource {
        file: Some("keys.json".into()),
        tenants: tenants.iter().map(|t| Tenant::parse(t).unwrap()).collect(),
        ..KeySource::default()
    }
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A verifier whose sources have been read, but for those without keys.
fn verifier(secret: &str, sources: Vec<(KeySource, Option<Keys>)>) -> Verifier {
    let (settings, keys): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
    let settings = AuthSettings {
        keys: settings,
        ..AuthSettings::default()
    };
    let verifier = Verifier::new(&Secret::new(secret), &settings).unwrap();
    let read = verifier.sources.iter().filter(|source| !source.is_secret());
    for (source, keys) in read.zip(keys) {
        let Held::Read(reading) = &source.held else {
            panic!("a source that is read");
        };
        if let Some(keys) = keys {
            let mut cache = reading.cache.lock();
            cache.begin(Instant::now());
            cache.succeeded(keys);
        }
    }
    verifier
}

fn token_of(
    tenant: &str,
    kid: Option<&str>,
    (algorithm, key): &(Algorithm, EncodingKey),
) -> String {
    let mut header = Header::new(*algorithm);
    header.kid = kid.map(str::to_owned);
    let claims = json!({"sub": "ann", "tenant": tenant, "exp": 1e10, "scopes": []});
    encode(&header, &claims, key).unwrap()
}

fn token(kid: Option<&str>, key: &(Algorithm, EncodingKey)) -> String {
    token_of("acme", kid, key)
}

#[test]
fn every_algorithm_by_the_key_that_the_token_names() {
    let keys = [rs256(), es256(1), eddsa(2), es256(3)];
    let named = [
        (Some("r"), &keys[0]),
        (Some("e"), &keys[1]),
        (Some("d"), &keys[2]),
        (Some("f"), &keys[3]),
    ];
    let verifier = verifier("", vec![(file(&[]), Some(set(&named)))]);
    for (id, key) in named {
        assert!(verifier.verify(&token(id, key)).is_ok(), "{id:?}");
    }
    let swapped = token(Some("e"), &keys[3]);
    assert_eq!(verifier.verify(&swapped), Err(AuthError::Signature));
    let wrong_type = token(Some("e"), &keys[2]);
    assert_eq!(verifier.verify(&wrong_type), Err(AuthError::Signature));
}

#[test]
fn a_token_does_not_choose_how_its_key_is_used() {
    let (rsa, ec) = (rs256(), es256(1));
    let public = Jwk::from_encoding_key(&rsa.1, rsa.0).unwrap();
    let public = serde_json::to_string(&public).unwrap();
    let keys = set(&[(Some("r"), &rsa), (Some("e"), &ec)]);
    let verifier = verifier(SECRET, vec![(file(&[]), Some(keys))]);
    // The oldest trick: the public key as a secret of HS256.
    for secret in [public.as_str(), ""] {
        let forged = token(Some("r"), &hs256(secret));
        assert_eq!(verifier.verify(&forged), Err(AuthError::Signature));
    }
    for other in [Algorithm::RS384, Algorithm::PS256] {
        let forged = token(Some("r"), &(other, rs256().1));
        assert_eq!(
            verifier.verify(&forged),
            Err(AuthError::Signature),
            "{other:?}"
        );
    }
    let hs512 = token(None, &(Algorithm::HS512, hs256(SECRET).1));
    assert_eq!(verifier.verify(&hs512), Err(AuthError::Signature));
    assert!(verifier.verify(&token(None, &hs256(SECRET))).is_ok());
    assert!(verifier.verify(&token(Some("any"), &hs256(SECRET))).is_ok());
    let parts = token(Some("r"), &rsa);
    let body = parts.split('.').nth(1).unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for forged in [format!("{none}.{body}."), format!("{none}.{body}")] {
        assert!(matches!(
            verifier.verify(&forged),
            Err(AuthError::Malformed { .. })
        ));
    }
    let crit = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"r","crit":["b64"]}"#);
    assert!(matches!(
        verifier.verify(&format!("{crit}.{body}.c2ln")),
        Err(AuthError::Malformed { .. })
    ));
}

#[test]
fn a_token_without_a_key_name_needs_a_key_that_alone_fits() {
    let keys = [eddsa(1), eddsa(2), es256(3)];
    let one = verifier(
        SECRET,
        vec![(
            file(&[]),
            Some(set(&[(Some("a"), &keys[0]), (Some("c"), &keys[2])])),
        )],
    );
    assert!(one.verify(&token(None, &keys[0])).is_ok());
    assert_eq!(
        one.verify(&token(None, &keys[1])),
        Err(AuthError::Signature)
    );
    let two = set(&[(Some("a"), &keys[0]), (Some("b"), &keys[1])]);
    let two = verifier("", vec![(file(&[]), Some(two))]);
    assert_eq!(
        two.verify(&token(None, &keys[0])),
        Err(AuthError::Ambiguous)
    );
    assert!(two.verify(&token(Some("a"), &keys[0])).is_ok());
    let apart = verifier(
        "",
        vec![
            (file(&[]), Some(set(&[(None, &keys[0])]))),
            (file(&[]), Some(set(&[(None, &keys[1])]))),
        ],
    );
    assert_eq!(
        apart.verify(&token(None, &keys[0])),
        Err(AuthError::Ambiguous)
    );
}

#[test]
fn a_key_of_one_tenant_never_signs_for_another() {
    let (ours, theirs) = (eddsa(1), eddsa(2));
    let verifier = verifier(
        "",
        vec![
            (
                file(&["acme", "acme-test"]),
                Some(set(&[(Some("k"), &ours)])),
            ),
            (file(&["rival"]), Some(set(&[(Some("k"), &theirs)]))),
        ],
    );
    for (tenant, key, fine) in [
        ("acme", &ours, true),
        ("acme-test", &ours, true),
        ("rival", &theirs, true),
        ("rival", &ours, false),
        ("acme", &theirs, false),
        ("third", &ours, false),
    ] {
        let checked = verifier.verify(&token_of(tenant, Some("k"), key));
        assert_eq!(checked.is_ok(), fine, "{tenant}");
        let unnamed = verifier.verify(&token_of(tenant, None, key));
        assert_eq!(unnamed.is_ok(), fine, "{tenant}, without kid");
    }
}

#[test]
fn a_secret_of_one_tenant_never_signs_for_another() {
    let secret = |text: &str, tenant: &str| KeySource {
        file: None,
        secret: Some(Secret::new(text)),
        ..file(&[tenant])
    };
    let (ours, theirs) = ("a".repeat(32), "b".repeat(32));
    let verifier = verifier(
        "",
        vec![
            (secret(&ours, "acme"), None),
            (secret(&theirs, "rival"), None),
        ],
    );
    assert!(
        verifier
            .verify(&token_of("acme", None, &hs256(&ours)))
            .is_ok()
    );
    assert!(
        verifier
            .verify(&token_of("rival", None, &hs256(&theirs)))
            .is_ok()
    );
    let foreign = verifier.verify(&token_of("rival", None, &hs256(&ours)));
    assert_eq!(foreign, Err(AuthError::Signature));
}

#[test]
fn issuer_and_audience_are_those_of_the_key() {
    let (one, two) = (eddsa(1), eddsa(2));
    let source = |issuer: &str| KeySource {
        issuer: Some(issuer.into()),
        audience: Some("eddyline".into()),
        ..file(&[])
    };
    let verifier = verifier(
        "",
        vec![
            (source("https://one"), Some(set(&[(Some("k"), &one)]))),
            (source("https://two"), Some(set(&[(Some("k"), &two)]))),
        ],
    );
    let token = |iss: &str, aud: Value, key: &(Algorithm, EncodingKey)| {
        let mut header = Header::new(key.0);
        header.kid = Some("k".into());
        let claims = json!({"sub": "ann", "tenant": "acme", "exp": 1e10, "iss": iss, "aud": aud});
        verifier.verify(&encode(&header, &claims, &key.1).unwrap())
    };
    assert!(token("https://one", json!("eddyline"), &one).is_ok());
    assert!(token("https://two", json!(["x", "eddyline"]), &two).is_ok());
    assert_eq!(
        token("https://one", json!("eddyline"), &two),
        Err(AuthError::Signature)
    );
    assert_eq!(
        token("https://three", json!("eddyline"), &one),
        Err(AuthError::Signature)
    );
    let other = token("https://one", json!("x"), &one);
    assert!(matches!(other, Err(AuthError::Claim { claim: "aud", .. })));
}

#[test]
fn keys_that_are_not_there_yet_refuse_for_now_and_keys_that_are_not_for_good() {
    let (old, new) = (eddsa(1), eddsa(2));
    let unread = verifier("", vec![(file(&[]), None)]);
    assert_eq!(unread.waiting().len(), 1);
    for id in [Some("old"), None] {
        assert_eq!(
            unread.verify(&token(id, &old)),
            Err(AuthError::KeysUnavailable)
        );
    }
    let read = verifier("", vec![(file(&[]), Some(set(&[(Some("old"), &old)])))]);
    assert!(read.waiting().is_empty() && read.verify(&token(Some("old"), &old)).is_ok());
    let rotated = token(Some("new"), &new);
    assert_eq!(read.verify(&rotated), Err(AuthError::KeysUnavailable));
    let Held::Read(reading) = &read.sources[0].held else {
        panic!("a source that is read");
    };
    reading.cache.lock().begin(Instant::now());
    reading.cache.lock().succeeded(set(&[(Some("new"), &new)]));
    assert!(read.verify(&rotated).is_ok());
    assert_eq!(
        read.verify(&token(Some("old"), &old)),
        Err(AuthError::KeysUnavailable)
    );
    reading.cache.lock().begin(Instant::now());
    reading.cache.lock().succeeded(set(&[(Some("new"), &new)]));
    assert_eq!(
        read.verify(&token(Some("old"), &old)),
        Err(AuthError::Signature)
    );
}

#[test]
fn tokens_within_and_beyond_their_length_and_no_tokens() {
    let verifier = verifier(SECRET, Vec::new());
    let tenant = Tenant::parse("acme").unwrap();
    let user = protocol::name::User::parse("ann").unwrap();
    let signer = crate::Signer::new(&Secret::new(SECRET)).unwrap();
    let minted = signer.mint(&tenant, &user, &["publish:a"], Duration::from_secs(60));
    let identity = verifier.verify(&minted).unwrap();
    assert!(identity.token_id.is_some() && identity.issued_at.is_some());
    assert!(identity.expires_at > SystemTime::now());
    let later = SystemTime::now() + Duration::from_secs(120);
    assert_eq!(verifier.verify_at(&minted, later), Err(AuthError::Expired));
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    assert_eq!(verifier.verify(&long), Err(AuthError::TooLong));
    for text in ["", "a", "a.b", "a.b.c", "...", &long[1..]] {
        assert!(
            matches!(verifier.verify(text), Err(AuthError::Malformed { .. })),
            "{text}"
        );
    }
    let short = crate::Signer::new(&Secret::new("s".repeat(31)));
    assert_eq!(short.unwrap_err(), AuthError::ShortSecret { bytes: 31 });
}
