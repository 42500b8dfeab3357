//! International bank account numbers.

use std::ops::Range;

/// Letters and digits of an account's number, fewest and most: Norway's, and what
/// ISO 13616 allows.
const LENGTH: std::ops::RangeInclusive<usize> = 15..=34;
/// Characters of a group, as the number is written on paper.
const GROUP: usize = 4;

/// Most characters of a number with its spaces.
const WRITTEN_MAX: usize = *LENGTH.end() + *LENGTH.end() / GROUP;

/// Finds numbers whose check digits are right, written in one piece or in groups of
/// four.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_alphabetic()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
            && bytes.get(at + 2).is_some_and(u8::is_ascii_digit)
            && bytes.get(at + 3).is_some_and(u8::is_ascii_digit)
            && !cut(text.get(..at).and_then(|before| before.chars().next_back()));
        let end = begins.then(|| ends(bytes, at)).and_then(|ends| {
            let mut ends = ends.into_iter().rev();
            ends.find(|end| {
                is_account(&bytes[at..*end])
                    && !cut(text.get(*end..).and_then(|rest| rest.chars().next()))
            })
        });
        match end {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Whether the neighbour makes a number a part of something longer.
fn cut(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(char::is_alphanumeric)
}

/// Where a number that begins here may end, in ascending order.
fn ends(bytes: &[u8], start: usize) -> Vec<usize> {
    let word = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let letters = rest.iter().take(*LENGTH.end() + 1);
        letters
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count()
    };
    let mut ends = vec![start + word(start)];
    let mut at = start;
    // The last group may be shorter; a longer word is none.
    while word(at) == GROUP && bytes.get(at + GROUP) == Some(&b' ') && at - start < WRITTEN_MAX {
        at += GROUP + 1;
        if (1..=GROUP).contains(&word(at)) {
            ends.push(at + word(at));
        }
    }
    ends
}

/// Whether the letters and digits, spaces left out, have the remainder 1 by 97, the
/// first four put last and letters counted from 10.
fn is_account(number: &[u8]) -> bool {
    let packed: Vec<u8> = number
        .iter()
        .copied()
        .filter(|byte| *byte != b' ')
        .collect();
    if !LENGTH.contains(&packed.len()) {
        return false;
    }
    let (head, tail) = packed.split_at(4);
    let rest = [tail, head].concat().iter().fold(0, |rest, byte| {
        let value = char::from(*byte).to_digit(36).unwrap_or_default();
        if value < 10 {
            (rest * 10 + value) % 97
        } else {
            (rest * 100 + value) % 97
        }
    });
    rest == 1
}
