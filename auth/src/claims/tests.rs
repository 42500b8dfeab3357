//! Claims, one by one.

use serde_json::json;

use super::*;

/// Now, seconds since 1970.
const NOW: u64 = 1_764_000_000;
const LEEWAY: u64 = 30;

fn read_with(change: Value, demands: &Demands, max: Option<u64>) -> Result<Identity, AuthError> {
    let base = json!({"sub": "ann", "tenant": "acme", "exp": NOW + 60, "scopes": []});
    let (Value::Object(mut claims), Value::Object(change)) = (base, change) else {
        panic!("objects");
    };
    for (name, value) in change {
        match value {
            Value::Null => drop(claims.remove(&name)),
            value => drop(claims.insert(name, value)),
        }
    }
    let times = Times {
        leeway: Duration::from_secs(LEEWAY),
        lifetime_max: max.map(Duration::from_secs),
    };
    identity(
        &claims,
        demands,
        times,
        UNIX_EPOCH + Duration::from_secs(NOW),
    )
}

fn read(change: Value) -> Result<Identity, AuthError> {
    read_with(change, &Demands::default(), None)
}

/// The claim that is wrong; empty if none is.
fn wrong_claim(outcome: Result<Identity, AuthError>) -> &'static str {
    match outcome {
        Ok(_) => "",
        Err(AuthError::Claim { claim, .. }) => claim,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn dates_are_numbers_with_or_without_a_fraction() {
    let end = |exp: Value| read(json!({"exp": exp})).map(|identity| identity.expires_at);
    let at = |seconds: f64| UNIX_EPOCH + Duration::from_secs_f64(seconds);
    assert_eq!(end(json!(NOW + 1)), Ok(at((NOW + 1) as f64)));
    assert_eq!(end(json!(NOW as f64 + 0.5)), Ok(at(NOW as f64 + 0.5)));
    assert_eq!(end(json!(1e10)), Ok(at(1e10)));
    assert_eq!(end(json!(2e9)), Ok(at(2e9)));
    assert!(end(json!(1e300)).is_ok(), "an end that no clock reaches");
    assert_eq!(end(json!(-5.5)), Err(AuthError::Expired));
    for no_number in [json!("1e10"), json!(true), json!([1]), json!({})] {
        assert_eq!(wrong_claim(read(json!({"exp": no_number}))), "exp");
        assert_eq!(wrong_claim(read(json!({"nbf": no_number}))), "nbf");
        assert_eq!(wrong_claim(read(json!({"iat": no_number}))), "iat");
    }
    assert_eq!(wrong_claim(read(json!({"exp": null}))), "exp");
}

#[test]
fn the_end_and_the_leeway_are_one_for_the_door_and_for_the_session() {
    let last = NOW - LEEWAY;
    assert_eq!(read(json!({"exp": last})), Err(AuthError::Expired));
    let identity = read(json!({"exp": last as f64 + 0.001})).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    assert!(identity.expires_at < now && identity.ends_at > now);
    let exact = identity.expires_at + Duration::from_secs(LEEWAY);
    assert_eq!(identity.ends_at, exact);
}

#[test]
fn a_token_from_later_on_is_barred() {
    for claim in ["nbf", "iat"] {
        let at = |seconds: f64| wrong_claim(read(json!({ claim: seconds })));
        assert_eq!(at((NOW + LEEWAY) as f64), "");
        assert_eq!(at((NOW + LEEWAY) as f64 + 0.01), claim);
        assert_eq!(at(-1e9), "");
    }
}

#[test]
fn lifetimes_within_and_beyond_the_limit() {
    let lasts = |change: Value| wrong_claim(read_with(change, &Demands::default(), Some(600)));
    assert_eq!(lasts(json!({"iat": NOW, "exp": NOW + 600})), "");
    assert_eq!(lasts(json!({"iat": NOW, "exp": NOW as f64 + 600.5})), "exp");
    assert_eq!(lasts(json!({"exp": NOW + 5})), "iat");
    assert_eq!(wrong_claim(read(json!({"exp": NOW + 1_000_000_000}))), "");
}

#[test]
fn the_issuer_where_one_is_demanded() {
    let demands = Demands {
        issuer: Some("https://id.example.org/".into()),
        ..Demands::default()
    };
    let iss = |value: Value| wrong_claim(read_with(json!({"iss": value}), &demands, None));
    assert_eq!(iss(json!("https://id.example.org/")), "");
    for other in [
        json!("https://id.example.org"),
        json!(""),
        json!(null),
        json!(["https://id.example.org/"]),
    ] {
        assert_eq!(iss(other), "iss");
    }
    assert_eq!(wrong_claim(read(json!({"iss": "anybody"}))), "");
}

#[test]
fn the_audience_as_a_text_or_a_list() {
    let demands = Demands {
        audience: Some("eddyline".into()),
        ..Demands::default()
    };
    let aud = |value: Value| wrong_claim(read_with(json!({"aud": value}), &demands, None));
    assert_eq!(aud(json!("eddyline")), "");
    assert_eq!(aud(json!(["other", "eddyline"])), "");
    for other in [
        json!("other"),
        json!([]),
        json!(["other"]),
        json!(null),
        json!(7),
        json!([7, "eddyline"]),
    ] {
        assert_eq!(aud(other), "aud");
    }
    // Nobody here is meant by any audience.
    assert_eq!(wrong_claim(read(json!({"aud": "other"}))), "aud");
    assert_eq!(wrong_claim(read(json!({"aud": []}))), "aud");
}

#[test]
fn names_scopes_and_ids_say_which_of_them_is_wrong() {
    for (change, claim) in [
        (json!({"tenant": null}), "tenant"),
        (json!({"tenant": "_system"}), "tenant"),
        (json!({"tenant": "a.b"}), "tenant"),
        (json!({"tenant": 7}), "tenant"),
        (json!({"sub": null}), "sub"),
        (json!({"sub": ""}), "sub"),
        (json!({"sub": "a\r\nb"}), "sub"),
        (json!({"scopes": "publish:>"}), "scopes"),
        (json!({"scopes": [1]}), "scopes"),
        (json!({"jti": ""}), "jti"),
        (json!({"jti": 7}), "jti"),
        (json!({"jti": "j".repeat(REVOKED_BYTES_MAX + 1)}), "jti"),
        (json!({"jti": "j".repeat(REVOKED_BYTES_MAX)}), ""),
        (json!({"scopes": null}), ""),
    ] {
        assert_eq!(wrong_claim(read(change.clone())), claim, "{change}");
    }
    let identity = read(json!({"jti": "j1", "iat": NOW})).unwrap();
    assert_eq!(identity.token_id.as_deref(), Some("j1"));
    assert_eq!(
        identity.issued_at,
        Some(UNIX_EPOCH + Duration::from_secs(NOW))
    );
}
