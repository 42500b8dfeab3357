//! Telephone numbers, in the forms in which they are told from other numbers: with a
//! `+` or `00`, with a `0` and separators, or in the groups of North America.

use std::ops::{Range, RangeInclusive};

use super::run::{Group, runs};

/// What stands between two groups of digits; brackets are around an area's code.
const SEPARATORS: &[&str] = &[" ", "-", ".", "/", ")", ") ", ")-", "(", " ("];
/// Digits of a number with its country's code: fewest in use, and most by ITU-T E.164.
const COUNTRY_DIGITS: RangeInclusive<usize> = 8..=15;
/// Digits of a number that begins with a `0`.
const AREA_DIGITS: RangeInclusive<usize> = 9..=12;
/// Digits of the groups of a number in North America.
const AMERICA: [usize; 3] = [3, 3, 4];

/// Finds numbers in a text.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs(text, SEPARATORS) {
        let mut first = 0;
        while first < run.len() {
            if let Some(last) = longest(text, &run, first) {
                let sign = text.get(..run[first].start).unwrap_or_default();
                let sign = sign.len() - sign.trim_end_matches(['+', '(']).len();
                found.push(run[first].start - sign.min(2)..run[last].end);
                first = last;
            }
            first += 1;
        }
    }
    found
}

/// The last group of the longest number that begins with the group `first`.
fn longest(text: &str, run: &[Group], first: usize) -> Option<usize> {
    let between = |at: usize| text.get(run[at].end..run[at + 1].start).unwrap_or_default();
    let alone = first == 0 || between(first - 1).starts_with(' ');
    let begin = text.get(..run[first].start)?;
    let plus = begin.trim_end_matches('(').ends_with('+');
    let head = text.get(run[first].clone())?;
    let (mut digits, mut found) = (0, None);
    for last in first..run.len() {
        digits += run[last].len();
        if digits > *COUNTRY_DIGITS.end() + 2 {
            break;
        }
        let ends = last + 1 == run.len() || between(last).starts_with(' ');
        let points = last == first + 1 && between(first) == ".";
        let fits = if plus {
            COUNTRY_DIGITS.contains(&digits)
        } else if !alone {
            false
        } else if head.starts_with("00") {
            head.len() > 2 && !head.starts_with("000") && COUNTRY_DIGITS.contains(&(digits - 2))
        } else if head.starts_with('0') {
            last > first && !points && AREA_DIGITS.contains(&digits)
        } else {
            ends && is_american(head, &run[first..=last])
        };
        if fits {
            found = Some(last);
        }
    }
    found
}

fn is_american(head: &str, groups: &[Group]) -> bool {
    let groups = if head == "1" { &groups[1..] } else { groups };
    groups.len() == AMERICA.len() && groups.iter().map(Range::len).eq(AMERICA)
}
