//! The configuration that a function was deployed with.
//!
//! Owned by whoever calls `init`; constant for the life of an instance. Must not
//! know what any key means.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Keys and values of a function's configuration. All of it is text; the
/// function decides what a value means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(BTreeMap<String, String>);

impl Config {
    /// The value of `key`, if it is set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of `key`, parsed, or `default` if it is not set.
    ///
    /// # Errors
    ///
    /// The text to return from [`Worker::init`](crate::Worker::init) when the
    /// value is set but does not parse; it names the key and the value.
    pub fn parse_or<T>(&self, key: &str, default: T) -> Result<T, String>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.get(key).map_or(Ok(default), |value| {
            value
                .parse()
                .map_err(|error| format!("configuration key {key}: {value:?}: {error}"))
        })
    }

    /// All keys and values, in ascending order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Config {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}
