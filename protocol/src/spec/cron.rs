//! Times by the calendar: five fields, as cron has them, in UTC.
//!
//! Pure; owns nothing. It knows no clock and no time zone: a day has 86,400 seconds.

use std::ops::RangeInclusive;

/// Longest expression, in bytes.
pub const CRON_BYTES_MAX: usize = 128;
/// Days that are looked through for the next time: the 29th of February, the rarest day,
/// comes again within eight years.
const DAYS_MAX: u64 = 8 * 366;
const DAY_S: u64 = 24 * 60 * 60;

/// The fields in order: name, and what its numbers may be. Both 0 and 7 are Sunday.
const FIELDS: [(&str, RangeInclusive<u32>); 5] = [
    ("minute", 0..=59),
    ("hour", 0..=23),
    ("day of the month", 1..=31),
    ("month", 1..=12),
    ("day of the week", 0..=7),
];

/// `minute hour day-of-month month day-of-week`: numbers, `*`, ranges `a-b`, steps `/n`
/// and lists. A day counts if it is one of the month or one of the week, where neither is
/// `*`, as in every cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: Box<str>,
    /// For each field one bit for each number that counts.
    fields: [u64; 5],
    /// Whether the day of the month, and that of the week, are left open.
    open_days: (bool, bool),
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, and in which field.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CRON_BYTES_MAX {
            return Err(format!("has more than {CRON_BYTES_MAX} bytes"));
        }
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        if parts.len() != FIELDS.len() {
            return Err(format!(
                "has {} fields, not minute, hour, day of the month, month and day of the week",
                parts.len()
            ));
        }
        let mut fields = [0; 5];
        for ((field, part), (name, range)) in fields.iter_mut().zip(&parts).zip(FIELDS) {
            *field = parse_field(part, &range)
                .ok_or_else(|| format!("{part:?} is no {name}: numbers are {range:?}"))?;
        }
        fields[4] |= (fields[4] >> 7) & 1;
        let cron = Self {
            text: parts.join(" ").into(),
            fields,
            open_days: (parts[2].starts_with('*'), parts[4].starts_with('*')),
        };
        match cron.after(0) {
            Some(_) => Ok(cron),
            None => Err("names a day that never comes".into()),
        }
    }

    /// The expression, with one blank between its fields.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after another, seconds since 1970.
    pub fn after(&self, time: u64) -> Option<u64> {
        let from = (time / 60).checked_add(1)?.checked_mul(60)?;
        let (first_day, first_second) = (from / DAY_S, from % DAY_S);
        let days = first_day..first_day.checked_add(DAYS_MAX)?;
        for day in days.filter(|day| self.has_day(*day)) {
            let from = if day == first_day { first_second } else { 0 };
            if let Some(second) = self.second_from(from) {
                return Some(day * DAY_S + second);
            }
        }
        None
    }

    /// The first second of a day that counts, from one on.
    fn second_from(&self, from: u64) -> Option<u64> {
        let minutes = from / 60..24 * 60;
        let mut counting = minutes.filter(|at| self.has(0, at % 60) && self.has(1, at / 60));
        counting.next().map(|minute| minute * 60)
    }

    fn has_day(&self, day: u64) -> bool {
        let (month, of_month) = month_and_day(day);
        // The first of January 1970 was a Thursday.
        let (of_month, of_week) = (self.has(2, of_month), self.has(4, (day + 4) % 7));
        let counts = match self.open_days {
            (false, false) => of_month || of_week,
            _ => of_month && of_week,
        };
        counts && self.has(3, month)
    }

    fn has(&self, field: usize, number: u64) -> bool {
        self.fields[field] >> number & 1 == 1
    }
}

/// One bit for each number that a field names; `None` for what is no such field.
fn parse_field(text: &str, range: &RangeInclusive<u32>) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, number(step).filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (*range.start(), *range.end()),
            Some((first, last)) => (number(first)?, number(last)?),
            // `5/10`: from there on.
            None if part != span => (number(span)?, *range.end()),
            None => (number(span)?, number(span)?),
        };
        if first > last || !range.contains(&first) || !range.contains(&last) {
            return None;
        }
        let numbers = (first..=last).step_by(usize::try_from(step).ok()?);
        bits = numbers.fold(bits, |bits, number| bits | 1_u64 << number);
    }
    Some(bits)
}

/// Digits alone: no sign.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Month and day of the month of a day, counted since 1970, in the Gregorian calendar:
/// years are taken to begin in March, so that the leap day is the last of one.
fn month_and_day(day: u64) -> (u64, u64) {
    // Days since the first of March of the year 0.
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // The months from March on have 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (month, of_month)
}

#[cfg(test)]
mod tests;
