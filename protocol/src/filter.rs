//! Which events somebody wants, by the headers that their publisher gave them: a reactive
//! function, whose guest is not called for the others, or a subscriber, who is not sent them.
//!
//! Owns nothing. Must not know how headers are stored but by their prefix.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::header::{Headers, USER_HEADERS_MAX};

/// Most values that may be named for one header: each event is held against all of them.
pub const HEADER_VALUES_MAX: usize = 64;
/// Most bytes of a subscriber's filter, names and values together: a node holds one for each
/// subscription.
pub const FILTER_BYTES_MAX: usize = 1_024;

/// What is demanded of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Condition {
    /// It is there, with one of these values. No values: any will do.
    OneOf(Vec<String>),
    /// It is there with a value that begins so.
    Prefix(Prefix),
    /// It is not there.
    Absent(Absent),
}

/// The beginning of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// At least one character.
    pub prefix: String,
}

/// That a header is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// `true`, and nothing else.
    pub absent: bool,
}

impl Condition {
    fn holds<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::OneOf(wanted) if wanted.is_empty() => values.next().is_some(),
            Self::OneOf(wanted) => values.any(|value| wanted.iter().any(|one| one == value)),
            Self::Prefix(Prefix { prefix }) => values.any(|value| value.starts_with(prefix)),
            Self::Absent(_) => values.next().is_none(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::OneOf(values) => values.iter().map(String::len).sum(),
            Self::Prefix(Prefix { prefix }) => prefix.len(),
            Self::Absent(_) => 0,
        }
    }

    /// Checks that a header of this name could be like that.
    fn check(&self, name: &str) -> Result<(), String> {
        let checked = |value: &str| {
            let mut event = Headers::new();
            let pushed = event.push_user(name, value);
            pushed.map_err(|error| error.to_string())
        };
        checked("")?;
        match self {
            Self::OneOf(values) if values.len() > HEADER_VALUES_MAX => Err(format!(
                "{name} has more than {HEADER_VALUES_MAX} values to choose from"
            )),
            Self::OneOf(values) => values.iter().try_for_each(|value| checked(value)),
            Self::Prefix(Prefix { prefix }) if prefix.is_empty() => Err(format!(
                "{name} has an empty prefix: [] stands for any value"
            )),
            // A value may go on where its beginning ends with a blank.
            Self::Prefix(Prefix { prefix }) => checked(prefix.trim_end_matches(' ')),
            Self::Absent(Absent { absent: false }) => {
                Err(format!("{name}: absent can only be true"))
            }
            Self::Absent(_) => Ok(()),
        }
    }
}

/// Conditions on headers, by their names without prefix: an event passes if all of them
/// hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HeaderFilter(BTreeMap<String, Condition>);

impl HeaderFilter {
    /// Whether every event passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Demands a header, with this value or another one demanded of it.
    pub fn demand(&mut self, name: &str, value: &str) {
        let any = Condition::OneOf(Vec::new());
        match self.0.entry(name.to_owned()).or_insert(any) {
            Condition::OneOf(values) => values.push(value.to_owned()),
            other => *other = Condition::OneOf(vec![value.to_owned()]),
        }
    }

    /// Demands something of a header, in place of what was demanded of it before.
    pub fn set(&mut self, name: &str, condition: Condition) {
        self.0.insert(name.to_owned(), condition);
    }

    /// Whether an event with these headers passes. A header that stands more than once
    /// passes by any of its values.
    pub fn matches(&self, headers: &Headers) -> bool {
        self.0.iter().all(|(name, condition)| {
            let found = headers.user().filter(|(found, _)| found == name);
            condition.holds(found.map(|(_, value)| value))
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
        let mut conditions = self.0.iter();
        conditions.try_for_each(|(name, condition)| condition.check(name))
    }

    /// Checks that it may be a subscriber's: [`Self::check`], and not long.
    ///
    /// # Errors
    /// What no event can have, or that it is too long.
    pub fn check_brief(&self) -> Result<(), String> {
        self.check()?;
        let conditions = self.0.iter();
        let bytes: usize = conditions
            .map(|(name, condition)| name.len() + condition.bytes())
            .sum();
        match bytes {
            0..=FILTER_BYTES_MAX => Ok(()),
            _ => Err(format!(
                "names and values have {bytes} bytes, more than {FILTER_BYTES_MAX}"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderFilter {
    /// Each name stands once: a map would keep the last condition and forget the others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Conditions;
        impl<'de> Visitor<'de> for Conditions {
            type Value = HeaderFilter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of conditions on headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut conditions = BTreeMap::new();
                while let Some((name, condition)) = map.next_entry::<String, Condition>()? {
                    if conditions.contains_key(&name) {
                        return Err(A::Error::custom(format!("header {name:?} stands twice")));
                    }
                    conditions.insert(name, condition);
                }
                Ok(HeaderFilter(conditions))
            }
        }
        deserializer.deserialize_map(Conditions)
    }
}

/// A text that is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object of conditions on headers")]
pub struct NoFilter;

impl FromStr for HeaderFilter {
    type Err = NoFilter;

    /// Reads a filter as it stands in a frame of JSON: a query holds one.
    fn from_str(text: &str) -> Result<Self, NoFilter> {
        serde_json::from_str(text).map_err(|_| NoFilter)
    }
}

impl fmt::Display for HeaderFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, condition)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match condition {
                Condition::OneOf(values) if values.is_empty() => write!(f, "{comma}{name}")?,
                Condition::OneOf(values) => write!(f, "{comma}{name} = {}", values.join(" or "))?,
                Condition::Prefix(Prefix { prefix }) => {
                    write!(f, "{comma}{name} begins with {prefix}")?;
                }
                Condition::Absent(_) => write!(f, "{comma}no {name}")?,
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
        json.parse().unwrap()
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
    fn beginnings_and_what_is_not_there() {
        let text = r#"{"draft":{"absent":true},"kind":{"prefix":"order."}}"#;
        let filter = filter(text);
        let passes = |pairs: &[(&str, &str)]| filter.matches(&headers(pairs));
        assert!(passes(&[("kind", "order.paid")]));
        assert!(passes(&[("kind", "x"), ("kind", "order.")]));
        assert!(!passes(&[("kind", "order")]) && !passes(&[]));
        assert!(!passes(&[("kind", "order.paid"), ("draft", "")]));
        assert_eq!(serde_json::to_string(&filter).unwrap(), text);
        assert_eq!(filter.to_string(), "no draft, kind begins with order.");
        assert_eq!(filter.check_brief(), Ok(()));
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
        for wrong in [
            r#"{"Room":[]}"#,
            r#"{"room":{"prefix":""}}"#,
            r#"{"room":{"prefix":"\n"}}"#,
            r#"{"room":{"absent":false}}"#,
        ] {
            assert!(filter(wrong).check().is_err(), "{wrong}");
        }
        for unread in [
            r#"{"room":[],"room":[]}"#,
            r#"{"room":{"prefix":"a","absent":true}}"#,
            r#"{"room":{"suffix":"a"}}"#,
            r#"{"room":1}"#,
            r#"["room"]"#,
        ] {
            assert_eq!(unread.parse::<HeaderFilter>(), Err(NoFilter), "{unread}");
        }
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

    #[test]
    fn a_subscribers_filter_within_and_beyond_its_bytes() {
        let mut filter = HeaderFilter::default();
        filter.demand("room", &"x".repeat(FILTER_BYTES_MAX - 4));
        assert_eq!(filter.check_brief(), Ok(()));
        filter.demand("room", "y");
        assert_eq!(filter.check(), Ok(()));
        assert!(filter.check_brief().unwrap_err().contains("1024"));
    }
}
