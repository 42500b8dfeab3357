//! Numbers as JSON writes them, compared exactly: no size and no fraction is rounded.
//!
//! A value. Must not know trees.

use std::cmp::Ordering;
use std::fmt;

/// Most zeros that are written out, before or behind the point.
const PLAIN_ZEROS_MAX: usize = 20;

/// An exact decimal number: digits, and how many zeros follow them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// Power of ten of the last digit. Beyond 64 bits it stays at their end, where only
    /// numbers of over 10^18 digits are taken for one another.
    exponent: i64,
}

impl Decimal {
    /// Reads a number that JSON allows; other text gives some number.
    #[must_use]
    pub fn read(number: &str) -> Self {
        let negative = number.starts_with('-');
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
        let end = if exponent.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        };
        let exponent: i64 = exponent.parse().unwrap_or(end);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole.trim_start_matches('-'), fraction].concat();
        let significant = digits.trim_end_matches('0');
        let zeros = length(&digits) - length(significant);
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            };
        }
        Self {
            negative,
            digits: significant.to_owned(),
            exponent: exponent
                .saturating_sub(length(fraction))
                .saturating_add(zeros),
        }
    }

    /// Whether it has no fraction.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// Whether it is over zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        !self.negative && !self.digits.is_empty()
    }

    /// The number as a count, if it is one of at most 64 bits.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = u32::try_from(self.exponent).ok()?;
        let scale = 10_u64.checked_pow(zeros)?;
        let digits: u64 = self.digits.parse().ok()?;
        digits.checked_mul(scale).filter(|_| !self.negative)
    }

    /// The number in units of 10 to the power of minus `places`, the nearest (of two, the
    /// one farther from zero), if 128 bits hold it.
    #[must_use]
    pub fn units(&self, places: u32) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let shift = self.exponent.saturating_add(i64::from(places));
        let size = if shift >= 0 {
            let scale = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
            self.digits.parse::<i128>().ok()?.checked_mul(scale)?
        } else {
            let left = length(&self.digits).saturating_add(shift);
            // All of it is behind the last place, and behind a zero: nearer to none.
            let Ok(left) = usize::try_from(left) else {
                return Some(0);
            };
            let (whole, cut) = self.digits.split_at(left);
            let whole = if whole.is_empty() { "0" } else { whole };
            let up = cut.starts_with(['5', '6', '7', '8', '9']);
            whole.parse::<i128>().ok()?.checked_add(i128::from(up))?
        };
        Some(if self.negative { -size } else { size })
    }

    /// The number of so many units of 10 to the power of minus `places`.
    #[must_use]
    pub fn of_units(units: i128, places: u32) -> Self {
        Self::read(&format!("{units}e-{places}"))
    }

    /// The digits without their power of ten, if 64 bits hold them.
    #[must_use]
    pub fn coefficient(&self) -> Option<u64> {
        self.digits.parse().ok()
    }

    /// Whether it is a whole number of times `divisor`, whose coefficient is given
    /// beside it (see [`coefficient`](Self::coefficient)) and is not zero.
    #[must_use]
    pub fn is_multiple_of(&self, divisor: &Self, coefficient: u64) -> bool {
        if self.digits.is_empty() {
            return true;
        }
        // The last digit is no zero, so that a divisor with more zeros never fits.
        let Ok(zeros) = u64::try_from(self.exponent.saturating_sub(divisor.exponent)) else {
            return false;
        };
        let modulus = u128::from(coefficient);
        let digits = self.digits.bytes();
        let rest = digits.fold(0_u128, |rest, digit| {
            (rest * 10 + u128::from(digit - b'0')) % modulus
        });
        (rest * power_of_ten(zeros, modulus)).is_multiple_of(modulus)
    }

    /// Where the first digit stands.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(length(&self.digits))
    }
}

/// 10 to the power of `exponent`, modulo `modulus`, which has at most 64 bits.
fn power_of_ten(mut exponent: u64, modulus: u128) -> u128 {
    let (mut result, mut base) = (1 % modulus, 10 % modulus);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    result
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).expect("no text is that long")
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let size = || {
            let magnitude = self.magnitude().cmp(&other.magnitude());
            magnitude.then_with(|| self.digits.cmp(&other.digits))
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One text for each value: as people write it while that is short, else with a power
/// of ten.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let Self {
            digits, exponent, ..
        } = self;
        let sign = if self.negative { "-" } else { "" };
        match usize::try_from(exponent.unsigned_abs()) {
            Ok(zeros) if zeros <= PLAIN_ZEROS_MAX && *exponent >= 0 => {
                write!(f, "{sign}{digits}{}", "0".repeat(zeros))
            }
            Ok(places) if places <= PLAIN_ZEROS_MAX => {
                let digits = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                write!(f, "{sign}{whole}.{fraction}")
            }
            _ => write!(f, "{sign}{digits}e{exponent}"),
        }
    }
}

#[cfg(test)]
mod tests;
