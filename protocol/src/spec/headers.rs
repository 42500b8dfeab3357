//! Which events a reactive function handles, by the headers that their publisher gave
//! them: decided before the guest is called, so that what it does not want costs it
//! nothing.
//!
//! Owns nothing. Must not know how headers are stored but by their prefix.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::header::{Headers, USER_HEADERS_MAX};

/// Most values that may be named for one header: each event is held against all of them.
pub const HEADER_VALUES_MAX: usize = 64;

/// Headers that an event must have, by their names without prefix: every one of them,
/// with one of the values named. No values: any will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderFilter(BTreeMap<String, Vec<String>>);

impl HeaderFilter {
    /// Whether every event passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Demands a header, with this value or another one demanded of it.
    pub fn demand(&mut self, name: &str, value: &str) {
        let values = self.0.entry(name.to_owned()).or_default();
        values.push(value.to_owned());
    }

    /// Whether an event with these headers passes. A header that stands more than once
    /// passes by any of its values.
    pub fn matches(&self, headers: &Headers) -> bool {
        self.0.iter().all(|(name, values)| {
            let mut found = headers.user().filter(|(found, _)| found == name);
            found.any(|(_, value)| values.is_empty() || values.iter().any(|one| one == value))
        })
    }

    /// Checks that an event could have all of them.
    ///
    /// # Errors
    /// What no event can have.
    pub fn check(&self) -> Result<(), String> {
        if self.0.len() > USER_HEADERS_MAX {
            return Err(format!(
                "names more than the {USER_HEADERS_MAX} headers that an event may have"
            ));
        }
        for (name, values) in &self.0 {
            if values.len() > HEADER_VALUES_MAX {
                return Err(format!(
                    "{name} has more than {HEADER_VALUES_MAX} values to choose from"
                ));
            }
            let mut event = Headers::new();
            event
                .push_user(name, "")
                .map_err(|error| error.to_string())?;
            for value in values {
                let mut event = Headers::new();
                let pushed = event.push_user(name, value);
                pushed.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for HeaderFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, values)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match values.as_slice() {
                [] => write!(f, "{comma}{name}")?,
                values => write!(f, "{comma}{name} = {}", values.join(" or "))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        headers.push(header::ID, "room");
        for (name, value) in pairs {
            headers.push_user(name, value).unwrap();
        }
        headers
    }

    fn filter(json: &str) -> HeaderFilter {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_header_is_demanded_with_one_of_its_values() {
        let filter = filter(r#"{"room":["blue","red"],"urgent":[]}"#);
        let passes = |pairs: &[(&str, &str)]| filter.matches(&headers(pairs));
        assert!(passes(&[("room", "red"), ("urgent", "")]));
        assert!(passes(&[
            ("room", "green"),
            ("room", "blue"),
            ("urgent", "1")
        ]));
        assert!(!passes(&[("room", "red")]));
        assert!(!passes(&[("room", "green"), ("urgent", "1")]));
        assert!(!passes(&[]));
        assert_eq!(filter.to_string(), "room = blue or red, urgent");
    }

    #[test]
    fn without_demands_everything_passes() {
        let filter = HeaderFilter::default();
        assert!(filter.is_empty() && filter.matches(&headers(&[])));
        assert_eq!(filter.check(), Ok(()));
    }

    #[test]
    fn what_no_event_can_have_is_refused() {
        let value = "x".repeat(header::USER_HEADER_VALUE_BYTES_MAX);
        let mut fine = HeaderFilter::default();
        fine.demand("room", &value);
        assert_eq!(fine.check(), Ok(()));
        let mut long = HeaderFilter::default();
        long.demand("room", &format!("{value}x"));
        assert!(long.check().unwrap_err().contains("room"));
        assert!(filter(r#"{"Room":[]}"#).check().is_err());
        let names = |count| {
            let names = (0..count).map(|n| format!(r#""h{n}":[]"#));
            filter(&format!("{{{}}}", names.collect::<Vec<_>>().join(",")))
        };
        assert_eq!(names(USER_HEADERS_MAX).check(), Ok(()));
        assert!(names(USER_HEADERS_MAX + 1).check().is_err());
        let mut many = HeaderFilter::default();
        (0..HEADER_VALUES_MAX).for_each(|n| many.demand("room", &n.to_string()));
        assert_eq!(many.check(), Ok(()));
        many.demand("room", "one more");
        assert!(many.check().is_err());
    }
}
