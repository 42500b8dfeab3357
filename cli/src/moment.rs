//! Times as people write them. Owns nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time (RFC 3339, or its first part down to the day alone, of UTC), or how long ago
/// (`2h`, `1day 12h`), as microseconds since 1970; `None`: it is neither.
pub fn moment(text: &str) -> Option<u64> {
    let ago = |ago: Duration| SystemTime::now().checked_sub(ago);
    let day = || humantime::parse_rfc3339_weak(&format!("{text}T00:00:00")).ok();
    let time = humantime::parse_rfc3339_weak(text).ok().or_else(day);
    let time = time.or_else(|| humantime::parse_duration(text).ok().and_then(ago))?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_how_long_ago() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(moment("1970-01-02"), Some(86_400_000_000));
        let hour = moment("1h").unwrap().abs_diff(moment("0s").unwrap());
        assert!(hour.abs_diff(3_600_000_000) < 60_000_000, "{hour}");
        for neither in ["", "soon", "7", "eyJz", "-1h"] {
            assert_eq!(moment(neither), None, "{neither}");
        }
    }
}
