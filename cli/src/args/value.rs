//! How single values of the command line are read.

use std::time::Duration;

use protocol::spec::PERMILLE_MAX;

/// NAME=VALUE.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A share such as 5% or 0.5%, in a thousand.
pub(super) fn permille(text: &str) -> Result<u16, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let percent: f64 = number.parse().map_err(|_| "must be a share such as 5%")?;
    let permille = (percent * 10.0).round();
    let whole = (permille - percent * 10.0).abs() < 1e-6;
    match whole && (1.0..=f64::from(PERMILLE_MAX)).contains(&permille) {
        true => Ok(permille as u16),
        false => Err("must be 0.1% to 50%, in steps of 0.1%".to_owned()),
    }
}

/// A time such as 30s or 1h 30m.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_a_tenth_of_a_percent_to_a_half() {
        for (text, value) in [("5%", 50), ("0.1 %", 1), ("12.5", 125), ("50%", 500)] {
            assert_eq!(permille(text), Ok(value), "{text}");
        }
        for wrong in ["0%", "51%", "0.15%", "-1%", "five", "", "NaN"] {
            assert!(permille(wrong).is_err(), "{wrong}");
        }
    }
}
