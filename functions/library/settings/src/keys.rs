//! Settings by key.
//!
//! Owned by whoever calls `init`. Must not know what a key means.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use json_tree::Node;
use sdk::Config;
use serde::de::DeserializeOwned;

/// The settings of a function, all of whose keys it knows.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(&'a Config);

impl<'a> Settings<'a> {
    /// Checks the keys. One that ends with a point stands for all that begin so.
    ///
    /// # Errors
    /// The text to return from `init`: the first key that is not among the known ones,
    /// which it lists.
    pub fn new(config: &'a Config, known: &[&str]) -> Result<Self, String> {
        let knows = |key: &str| {
            known.iter().any(|known| match known.strip_suffix('.') {
                Some(_) => key.starts_with(known) && key.len() > known.len(),
                None => key == *known,
            })
        };
        match config.iter().find(|(key, _)| !knows(key)) {
            Some((key, _)) => Err(format!(
                "configuration key {key}: not one of {}",
                known.join(", ")
            )),
            None => Ok(Self(config)),
        }
    }

    /// The text of a key, if it is set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key)
    }

    /// The value of a key, or `default` if it is not set.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key.
    pub fn parse_or<T>(&self, key: &str, default: T) -> Result<T, String>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.0.parse_or(key, default)
    }

    /// The value of a key that is written as JSON, or the type's default if it is not
    /// set.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key, line and column.
    pub fn json<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T, String> {
        self.get(key).map_or_else(
            || Ok(T::default()),
            |text| serde_json::from_str(text).map_err(|error| Self::wrong(key, error)),
        )
    }

    /// The time of a key, written like `10m` or `1h 30m`, if it is set.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key. A time is whole milliseconds,
    /// and not none.
    pub fn time(&self, key: &str) -> Result<Option<Duration>, String> {
        let read =
            |text| time(text).map_err(|error| Self::wrong(key, format!("{text:?}: {error}")));
        self.get(key).map(read).transpose()
    }

    /// The keys that begin with `prefix`, which ends with a point: what follows it, and
    /// the text.
    pub fn group(&self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(move |(key, text)| Some((key.strip_prefix(prefix)?, text)))
    }

    /// A text of a key, read as a tree of JSON.
    ///
    /// # Errors
    /// The text to return from `init`; it names the key and the place.
    pub fn tree(key: &str, text: &'a str) -> Result<Node<'a>, String> {
        json_tree::parse(text.as_bytes()).map_err(|error| Self::wrong(key, error))
    }

    /// What to return from `init` when the value of a key is wrong.
    pub fn wrong(key: impl Display, problem: impl Display) -> String {
        format!("configuration key {key}: {problem}")
    }
}

/// Reads a time that is written like `10m` or `1h 30m`.
///
/// # Errors
/// What is wrong with it.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() || !time.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("must be whole milliseconds, and not none".into());
    }
    Ok(time)
}

#[cfg(test)]
mod tests;
