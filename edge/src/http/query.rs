//! What stands in a request's query, and whose token it comes with.
//!
//! Pure. A key that is not known is refused, as one of a frame is.

use axum::extract::Query as Pairs;
use axum::http::{HeaderMap, Uri, header};
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;

/// The key of a token in a query (RFC 6750, 2.3), for clients that cannot set headers.
const ACCESS_TOKEN: &str = "access_token";

/// What `headers` has to be.
pub const CONDITIONS: &str = "a JSON object of conditions on headers";

/// The keys and values of a query that nobody has taken yet.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(code, message))
}

impl Query {
    /// Reads it.
    ///
    /// # Errors
    /// It is not `application/x-www-form-urlencoded`.
    pub fn of(uri: &Uri) -> Result<Self, ErrorBody> {
        match Pairs::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Pairs(pairs)) => Ok(Self(pairs)),
            Err(_) => refuse(ErrorCode::BadFrame, "the query is not readable"),
        }
    }

    /// Takes every value of a key.
    pub fn all(&mut self, key: &str) -> Vec<String> {
        let pairs = std::mem::take(&mut self.0);
        let (taken, left) = pairs.into_iter().partition(|(name, _)| name == key);
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes the value of a key that is given once at most.
    ///
    /// # Errors
    /// It is given twice.
    pub fn one(&mut self, key: &str) -> Result<Option<String>, ErrorBody> {
        let mut values = self.all(key);
        if values.len() > 1 {
            return refuse(ErrorCode::BadFrame, format!("{key} is given twice"));
        }
        Ok(values.pop())
    }

    /// As [`Self::one`], read as what it has to be.
    ///
    /// # Errors
    /// It is not.
    pub fn read<T: std::str::FromStr>(
        &mut self,
        key: &str,
        what: &str,
    ) -> Result<Option<T>, ErrorBody> {
        let Some(text) = self.one(key)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => refuse(ErrorCode::BadFrame, format!("{key} is not {what}")),
        }
    }

    /// The token of a request, from its headers or its query, and not from both.
    ///
    /// # Errors
    /// There is none, or there are two.
    pub fn token(&mut self, headers: &HeaderMap) -> Result<String, ErrorBody> {
        match self.one(ACCESS_TOKEN)? {
            None => bearer(headers).map(str::to_owned),
            Some(_) if headers.contains_key(header::AUTHORIZATION) => {
                let message = "the token is given in the header and in the query";
                refuse(ErrorCode::BadFrame, message)
            }
            Some(token) => Ok(token),
        }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Something is; it is named.
    pub fn end(self) -> Result<(), ErrorBody> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => {
                let key: String = key.chars().take(64).collect();
                refuse(ErrorCode::BadFrame, format!("the query knows no {key:?}"))
            }
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750, 2.1).
pub fn bearer(headers: &HeaderMap) -> Result<&str, ErrorBody> {
    let value = headers.get(header::AUTHORIZATION);
    let parts = value
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => refuse(
            ErrorCode::BadToken,
            "the request needs Authorization: Bearer and a token",
        ),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/v1/x?{text}").parse().unwrap()).unwrap()
    }

    fn headers(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn values_are_taken_once_and_what_is_left_is_refused() {
        let mut given = query("channel=doc.1&limit=5&channel=a%20b&more=x");
        assert_eq!(given.all("channel"), ["doc.1", "a b"]);
        assert_eq!(given.read("limit", "a number").unwrap(), Some(5_u32));
        assert_eq!(given.read::<u32>("limit", "a number").unwrap(), None);
        assert_eq!(given.end().unwrap_err().code, ErrorCode::BadFrame);
        assert!(query("").end().is_ok());
        assert!(query("a=1&a=2").one("a").is_err());
        assert!(query("a=x").read::<u32>("a", "a number").is_err());
    }

    #[test]
    fn a_token_comes_from_one_place() {
        let token = |text: &str, headers: &HeaderMap| {
            query(text).token(headers).map_err(|error| error.code)
        };
        let none = HeaderMap::new();
        assert_eq!(token("access_token=a.b.c", &none), Ok("a.b.c".into()));
        assert_eq!(token("", &headers("Bearer a.b.c")), Ok("a.b.c".into()));
        assert_eq!(token("", &none), Err(ErrorCode::BadToken));
        let both = token("access_token=a.b.c", &headers("Bearer a.b.c"));
        assert_eq!(both, Err(ErrorCode::BadFrame));
    }

    #[test]
    fn only_a_bearer_token_is_taken() {
        let token = |value| bearer(&headers(value)).map(str::to_owned);
        assert_eq!(token("Bearer a.b.c").unwrap(), "a.b.c");
        assert_eq!(token("bearer  a.b.c").unwrap(), "a.b.c");
        for other in ["Basic a", "Bearer", "a.b.c"] {
            assert_eq!(token(other).unwrap_err().code, ErrorCode::BadToken);
        }
    }
}
