//! Which web pages may use the node: browsers say where a script comes from (RFC 6454),
//! and a user's browser must not be lent to anybody's page.
//!
//! Owns nothing. Whoever is no browser sends no `Origin`, and is judged by its token.

use auth::SettingFault;
use axum::http::{HeaderMap, Uri, header};

/// Most origins of a node: each is compared with each request's.
pub const ORIGINS_MAX: usize = 64;

/// The origins that are allowed; empty: all.
#[derive(Debug, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads `scheme://host[:port]`, as browsers send it.
    ///
    /// # Errors
    /// [`SettingFault`] names the first that is none.
    pub fn parse(list: &[String]) -> Result<Self, SettingFault> {
        let fault = |field: String, problem: &str| SettingFault {
            field,
            problem: problem.to_owned(),
        };
        if list.len() > ORIGINS_MAX {
            return Err(fault("origins".into(), "has more than 64 entries"));
        }
        for (at, text) in list.iter().enumerate() {
            if !is_origin(text) {
                let problem = "is not scheme://host or scheme://host:port";
                return Err(fault(format!("origins[{at}]"), problem));
            }
        }
        Ok(Self(
            list.iter().map(|text| text.to_ascii_lowercase()).collect(),
        ))
    }

    /// Whether a request may be answered.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        let listed = |text: &str| self.0.iter().any(|known| text.eq_ignore_ascii_case(known));
        self.0.is_empty() || origins.next().is_none() && origin.to_str().is_ok_and(listed)
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    // What a browser would never write, nothing would ever equal.
    text.eq_ignore_ascii_case(&format!("{scheme}://{authority}"))
        && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origins(list: &[&str]) -> Result<Origins, String> {
        let list: Vec<String> = list.iter().map(|text| (*text).into()).collect();
        Origins::parse(&list).map_err(|fault| fault.field)
    }

    fn allows(origins: &Origins, values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ORIGIN, HeaderValue::from_static(value));
        }
        origins.allows(&headers)
    }

    #[test]
    fn only_what_is_listed_and_whoever_is_no_browser() {
        let some = origins(&["https://app.example.org", "http://Localhost:3000"]).unwrap();
        for fine in [
            [].as_slice(),
            &["https://app.example.org"],
            &["https://APP.example.org"],
            &["http://localhost:3000"],
        ] {
            assert!(allows(&some, fine), "{fine:?}");
        }
        for other in [
            ["https://evil.example.org"].as_slice(),
            &["http://app.example.org"],
            &["https://app.example.org:8443"],
            &["https://app.example.org.evil.org"],
            &["https://xapp.example.org"],
            &["null"],
            &[""],
            &["https://app.example.org", "https://evil.example.org"],
        ] {
            assert!(!allows(&some, other), "{other:?}");
        }
    }

    #[test]
    fn without_a_list_any_page_may() {
        let any = origins(&[]).unwrap();
        assert!(allows(&any, &["https://evil.example.org"]) && allows(&any, &["null"]));
    }

    #[test]
    fn entries_that_no_browser_would_send_are_refused() {
        for wrong in [
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org/path",
            "https://*.example.org/",
            "https://user@app.example.org",
            "*",
            "null",
            "",
        ] {
            assert_eq!(
                origins(&[wrong]).err().as_deref(),
                Some("origins[0]"),
                "{wrong}"
            );
        }
        let most = vec!["https://a.example.org"; ORIGINS_MAX];
        assert!(origins(&most).is_ok());
        let more = vec!["https://a.example.org"; ORIGINS_MAX + 1];
        assert_eq!(origins(&more).err().as_deref(), Some("origins"));
    }
}
