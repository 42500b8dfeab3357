//! When a certificate ends: the one thing that is read of it here, everything else is
//! rustls's business.
//!
//! Pure. X.509 in DER (RFC 5280, section 4.1), as far as `validity`.

/// Tags of DER (X.690, section 8).
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The tag of `version`, which may be left out.
const VERSION: u8 = 0xa0;
/// From this year on of two digits it is the last century's (RFC 5280, 4.1.2.5.1).
const CENTURY_TURNS: i64 = 50;
const DAY_SECONDS: i64 = 86_400;

/// The last moment at which the certificate counts (`notAfter`), seconds since 1970; one
/// that lies before counts as 1970. `None`: this is no certificate.
pub fn ends_at(certificate: &[u8]) -> Option<u64> {
    let mut fields = inside(inside(certificate, SEQUENCE)?, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = split(fields)?.2;
    }
    // The serial number, the algorithm and the issuer.
    for _ in 0..3 {
        fields = split(fields)?.2;
    }
    let validity = inside(fields, SEQUENCE)?;
    let (tag, text, _) = split(split(validity)?.2)?;
    let seconds = time(tag, std::str::from_utf8(text).ok()?)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// What an element holds that must have this tag.
fn inside(der: &[u8], wanted: u8) -> Option<&[u8]> {
    let (tag, content, _) = split(der)?;
    (tag == wanted).then_some(content)
}

/// The tag and the content of the first element, and what follows it.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, der) = der.split_first()?;
    let (&first, mut der) = der.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let (bytes, rest) = der.split_at_checked(usize::from(first & 0x7f))?;
            der = rest;
            let digits = bytes.iter();
            digits.fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Seconds since 1970 of `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`: the only forms that a
/// certificate may have.
fn time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?;
    let number = |from: usize, to: usize| {
        let part = digits.get(from..to)?;
        let plain = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| plain)
    };
    let (year, at) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(0, 2)?;
            let century = if year < CENTURY_TURNS { 2_000 } else { 1_900 };
            (century + year, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |place: usize| number(at + 2 * place, at + 2 * place + 2);
    let (month, day) = (part(0)?, part(1)?);
    let (hour, minute, second) = (part(2)?, part(3)?, part(4)?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = hour < 24 && minute < 60 && second < 61;
    let seconds = (hour * 60 + minute) * 60 + second;
    (is_date && is_time).then(|| days(year, month, day) * DAY_SECONDS + seconds)
}

/// Days from 1970-01-01 to a date. A year begins in March here, so that the day that only
/// some years have is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    /// Days from 0000-03-01 to 1970-01-01.
    const TO_1970: i64 = 719_468;
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // The months from March on have 31, 30, 31, 30, 31 days, and again.
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of DER.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let head = match length {
            0..0x80 => vec![tag, length as u8],
            0x80..0x100 => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [head.as_slice(), content].concat()
    }

    fn certificate(version: &[u8], issuer: usize, tag: u8, until: &str) -> Vec<u8> {
        let validity = [
            element(UTC_TIME, b"200101000000Z"),
            element(tag, until.as_bytes()),
        ];
        let fields = [
            version.to_vec(),
            element(0x02, &[1, 2, 3]),
            element(SEQUENCE, &[0x06, 1, 1]),
            element(SEQUENCE, &vec![0; issuer]),
            element(SEQUENCE, &validity.concat()),
            element(SEQUENCE, b"the rest"),
        ];
        let body = element(SEQUENCE, &fields.concat());
        element(SEQUENCE, &[body, element(SEQUENCE, b"signature")].concat())
    }

    fn check(tag: u8, until: &str, expected: Option<u64>) {
        let version = element(VERSION, &element(0x02, &[2]));
        for (version, issuer) in [(version.as_slice(), 3), (&[], 300)] {
            let der = certificate(version, issuer, tag, until);
            assert_eq!(ends_at(&der), expected, "{until}");
        }
    }

    #[test]
    fn both_forms_of_times_are_read() {
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "251120101530Z", Some(1_763_633_730));
        check(UTC_TIME, "491231235959Z", Some(2_524_607_999));
        check(UTC_TIME, "500101000000Z", Some(0));
        check(GENERALIZED_TIME, "20000229000000Z", Some(951_782_400));
        check(GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
    }

    #[test]
    fn what_is_no_time_of_a_certificate_is_none() {
        for wrong in [
            "251120101530",
            "2511201015Z",
            "251120101530+0100",
            "25112010153 Z",
            "+51120101530Z",
            "251320101530Z",
            "251100101530Z",
            "251120241530Z",
            "",
        ] {
            check(UTC_TIME, wrong, None);
        }
        check(UTC_TIME, "20251120101530Z", None);
        check(GENERALIZED_TIME, "251120101530Z", None);
        check(0x04, "251120101530Z", None);
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_is_none() {
        let whole = certificate(&[], 3, UTC_TIME, "251120101530Z");
        let validity = whole.windows(14).rposition(|part| part[0] == UTC_TIME);
        let needed = validity.unwrap() + 15;
        for length in 0..needed {
            assert_eq!(ends_at(&whole[..length]), None, "{length}");
        }
        for wrong in [
            &b"-----BEGIN CERTIFICATE-----"[..],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(ends_at(wrong), None);
        }
    }
}
