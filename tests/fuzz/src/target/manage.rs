//! Bodies of `POST /v1/disconnect` and `POST /v1/revoke`: what is read is exactly what is
//! meant, and is written into a bucket and read from it as the same.

use edge::strangers::{disconnected, revoked};
use protocol::disconnect::Disconnect;
use protocol::error_code::ErrorCode;
use protocol::name::Tenant;
use protocol::revocation::{Revocation, Revocations};
use serde_json::{Map, Value};

use crate::meter;
use crate::property::{Kind, Target, bounded, refused, same};

/// A body of either.
pub const MANAGE: Target = Target {
    name: "manage",
    words: &[
        b"\"user\":\"ann\"",
        b"\"session\":\"edge-1-7\"",
        b"\"token\":\"j1\"",
        b"\"for_ms\":86400000",
        b",",
        b"null",
        b"\\u0000",
        b"{\"",
        b"}",
    ],
    make: None,
    check,
};

/// What such an input may be refused with.
const CODES: [ErrorCode; 1] = [ErrorCode::BadFrame];
/// Bytes for each byte of a body, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 16 * 1024;

fn check(input: &[u8]) -> Result<u64, String> {
    let tenant = Tenant::parse("acme").expect("a valid name");
    let mut kind = Kind::default();
    let (whom, peak) = meter::peak(|| disconnected(input));
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    match whom {
        Ok(whom) => {
            meant(input, &["user", "session"], &serde_json::to_value(&whom))?;
            let entry = Disconnect {
                tenant: tenant.clone(),
                whom,
                at: 1,
                written: None,
            };
            let json = serde_json::to_vec(&entry).map_err(|error| error.to_string())?;
            let read = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
            same("an entry, written and read", &entry, &read)?;
            kind.add("disconnect");
        }
        Err(error) => refused(&error, &CODES, &mut kind)?,
    }
    let (what, peak) = meter::peak(|| revoked(input));
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    match what {
        Ok((what, lasts_ms)) => {
            meant(
                input,
                &["token", "user", "session"],
                &serde_json::to_value(&what),
            )?;
            let lasts = u64::try_from(lasts_ms).map_err(|error| error.to_string())?;
            let lasts = std::time::Duration::from_millis(lasts);
            match Revocation::new(tenant, what, lasts, 1, None) {
                Ok(entry) => {
                    let json = serde_json::to_vec(&entry).map_err(|error| error.to_string())?;
                    let mut all = Revocations::default();
                    let taken = all.apply(&entry.key(), Some(&json))?;
                    same("whose", &taken.as_ref(), &Some(&entry.tenant))?;
                    kind.add("revoke");
                }
                Err(fault) => kind.complain(&fault.to_string()),
            }
        }
        Err(error) => refused(&error, &CODES, &mut kind)?,
    }
    Ok(kind.number())
}

/// The one name that stands in the body is the one that is meant.
fn meant(
    input: &[u8],
    names: &[&str],
    read: &Result<Value, serde_json::Error>,
) -> Result<(), String> {
    let mut body: Map<String, Value> =
        serde_json::from_slice(input).map_err(|error| format!("accepted, and no map: {error}"))?;
    body.retain(|name, value| names.contains(&name.as_str()) && !value.is_null());
    let read = read.as_ref().map_err(ToString::to_string)?;
    same("who is meant", read, &Value::Object(body))
}
