//! Numbers of payment cards.

use std::ops::Range;

use super::run::{Group, runs};

/// Digits of a card's number, fewest and most, by ISO/IEC 7812.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// First digits of the numbers of banks and merchants; the other digits are airlines'
/// and the like, which are more often no cards.
const FIRST: &[u8] = b"23456";

/// Finds groups of 13 to 19 digits in all, joined by single spaces or hyphens, whose
/// last digit is the right one.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs(text, &[" ", "-"]) {
        let mut first = 0;
        while first < run.len() {
            let last = longest(text, &run[first..]);
            if let Some(last) = last {
                found.push(run[first].start..run[first + last].end);
                first += last;
            }
            first += 1;
        }
    }
    found
}

/// The last group of the longest card's number that begins with the first group.
fn longest(text: &str, groups: &[Group]) -> Option<usize> {
    let mut digits = Vec::new();
    let mut found = None;
    for (at, group) in groups.iter().enumerate() {
        if digits.len() + group.len() > *DIGITS.end() {
            break;
        }
        digits.extend_from_slice(text.as_bytes().get(group.clone()).unwrap_or_default());
        if DIGITS.contains(&digits.len()) && is_card(&digits) {
            found = Some(at);
        }
    }
    found
}

/// Whether the digits have a card's first digit and pass the check by Luhn.
fn is_card(digits: &[u8]) -> bool {
    let known = digits.first().is_some_and(|first| FIRST.contains(first));
    let values = digits.iter().rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = values
        .enumerate()
        .map(|(at, value)| match (at % 2, value) {
            (0, _) => value,
            (_, 0..5) => value * 2,
            (_, _) => value * 2 - 9,
        })
        .sum();
    known && sum.is_multiple_of(10)
}
