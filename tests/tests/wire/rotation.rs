//! Keys that change while clients are connected: by URL, by file, by tenant. The edge is
//! never restarted, and a session that stands goes on.

use std::path::Path;

use harness::{Deployment, wait};
use protocol::error_code::ErrorCode;

use super::access::{lives, open, opened};
use super::issuer::{Issuer, Key};

/// Waits until a token is refused with a code.
async fn refused(deployment: &Deployment, what: &str, token: &str, code: ErrorCode) {
    wait::until(what, async || match open(deployment, 0, token).await {
        Err((_, error)) if error.code == code => Ok(()),
        Err((_, error)) => Err(format!("{error:?}")),
        Ok(_) => Err("it was accepted".to_owned()),
    })
    .await;
}

/// Puts a JWK set in the place of a file.
pub fn write_keys(path: &Path, keys: &[&Key]) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, Issuer::document(keys)).expect("a folder of the test's own");
    std::fs::rename(&fresh, path).expect("a folder of the test's own");
}

/// Rotates the keys of both sources. Shown at first: the first and the third of `keys`.
pub async fn check(deployment: &Deployment, issuer: &Issuer, path: &Path, keys: &[Key; 4]) {
    let [first, second, filed, renewed] = keys;
    let mut old = opened(deployment, "the first key", &first.token("acme", "ann")).await;
    let mut other = opened(deployment, "the file's key", &filed.token("rival", "eve")).await;
    for (key, tenant) in [(first, "rival"), (filed, "acme")] {
        let what = "a key of another tenant's source";
        let token = key.token(tenant, "ann");
        refused(deployment, what, &token, ErrorCode::BadToken).await;
    }
    // The shared secret counts beside them.
    opened(deployment, "the secret", &deployment.token("ann")).await;

    issuer.show(&[second]);
    let token = second.token("acme", "ann");
    lives(&mut opened(deployment, "the second key", &token).await).await;
    let withdrawn = first.token("acme", "ann");
    let what = "the key that was withdrawn";
    refused(deployment, what, &withdrawn, ErrorCode::BadToken).await;
    write_keys(path, &[renewed]);
    let fresh = renewed.token("rival", "eve");
    opened(deployment, "the file's new key", &fresh).await;
    let withdrawn = filed.token("rival", "eve");
    let what = "the file's old key";
    refused(deployment, what, &withdrawn, ErrorCode::BadToken).await;
    lives(&mut old).await;

    issuer.break_down();
    let what = "keys too old to be believed";
    refused(deployment, what, &token, ErrorCode::Unavailable).await;
    lives(&mut old).await;
    lives(&mut other).await;
    opened(deployment, "another source's key", &fresh).await;
    issuer.show(&[second]);
    opened(deployment, "the second key again", &token).await;
}
