//! What is known of one window.
//!
//! A value; it is the state machine of the function. Must not know events. Sums are
//! exact: numbers are whole multiples of 10^-12 here, so that neither the order of events
//! nor their number rounds anything.

use json_tree::Decimal;
use serde::{Deserialize, Serialize};

/// Decimal places that count.
const PLACES: u32 = 12;

/// A number that can be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(i128);

impl Value {
    /// The largest, and below zero the smallest: 10^11 of it fit a sum of 128 bits, more
    /// events than a window has.
    pub const MAX: u64 = 1_000_000_000_000_000;

    /// A number, rounded to 12 places; nothing if it is too large.
    pub fn new(number: &Decimal) -> Option<Self> {
        let units = number.units(PLACES)?;
        let max = u128::from(Self::MAX) * 10_u128.pow(PLACES);
        (units.unsigned_abs() <= max).then_some(Self(units))
    }
}

/// A window, from its first event on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Where it begins, milliseconds since 1970.
    pub from: u64,
    /// Where the next one begins.
    pub to: u64,
    count: u64,
    late: u64,
    /// Of the numbers, in units; nothing while there is none.
    numbers: Option<Numbers>,
}

/// Texts, because not every reader of JSON takes 128 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    #[serde(with = "text")]
    sum: i128,
    #[serde(with = "text")]
    min: i128,
    #[serde(with = "text")]
    max: i128,
}

impl Tally {
    /// The window that a time falls into; windows begin at multiples of their length.
    pub fn new(ms: u64, every_ms: u64) -> Self {
        let from = ms - ms % every_ms;
        Self {
            from,
            to: from.saturating_add(every_ms),
            count: 0,
            late: 0,
            numbers: None,
        }
    }

    /// With one more event.
    pub fn with(mut self, value: Option<Value>) -> Self {
        self.count += 1;
        if let Some(Value(value)) = value {
            let numbers = self.numbers.get_or_insert(Numbers {
                sum: 0,
                min: value,
                max: value,
            });
            numbers.sum = numbers.sum.saturating_add(value);
            numbers.min = numbers.min.min(value);
            numbers.max = numbers.max.max(value);
        }
        self
    }

    /// With one more event that came while it was open, for a window before it.
    pub fn with_late(mut self) -> Self {
        self.late += 1;
        self
    }

    /// What is remembered of it.
    ///
    /// # Panics
    /// Never: it is made of numbers.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers can be written")
    }

    /// What was remembered; nothing if it is no window.
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The result, as JSON; with numbers, if a field was asked for.
    pub fn result(&self, with_numbers: bool) -> String {
        let Self {
            from,
            to,
            count,
            late,
            ..
        } = self;
        let mut result = format!(r#"{{"from":{from},"to":{to},"count":{count},"late":{late}"#);
        if let (true, Some(numbers)) = (with_numbers, &self.numbers) {
            let show = |units| Decimal::of_units(units, PLACES);
            let Numbers { sum, min, max } = *numbers;
            result += &format!(
                r#","sum":{},"min":{},"max":{},"mean":{}"#,
                show(sum),
                show(min),
                show(max),
                show(mean(sum, *count))
            );
        }
        result + "}"
    }
}

/// The nearest unit; of two, the one farther from zero.
fn mean(sum: i128, count: u64) -> i128 {
    let count = i128::from(count.max(1));
    (sum + sum.signum() * (count / 2)) / count
}

mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(units: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(units)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
