//! E-mail addresses.

use std::ops::Range;

/// Characters beside letters and digits that the part before the `@` may have
/// (RFC 5322, unquoted).
const LOCAL: &str = ".!#$%&'*+/=?^_`{|}~-";

/// Finds addresses with a domain of at least two labels, in letters of any script.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let free = found.last().map_or(0, |last| last.end);
        let Some(start) = local_part(text, free, at) else {
            continue;
        };
        if let Some(end) = domain(text, at + 1) {
            found.push(start..end);
        }
    }
    found
}

/// Where the part before the `@` begins, if there is one.
fn local_part(text: &str, free: usize, at: usize) -> Option<usize> {
    let before = text.get(free..at)?;
    let is_local = |letter: char| letter.is_alphanumeric() || LOCAL.contains(letter);
    let rest = before.trim_end_matches(is_local);
    let local = &before[rest.len()..];
    // Quotes and points that only stand before the address are none of it.
    let trimmed = local.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    (!trimmed.is_empty()).then(|| at - trimmed.len())
}

/// Where the domain ends, if it is one.
fn domain(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let is_label = |letter: char| letter.is_alphanumeric() || letter == '-';
    let (mut end, mut labels) = (0, 0);
    loop {
        let after = &rest[end..];
        let point = usize::from(labels > 0);
        if labels > 0 && !after.starts_with('.') {
            break;
        }
        let label = &after[point..];
        let letters = label.len() - label.trim_start_matches(is_label).len();
        if letters == 0 {
            break;
        }
        end += point + letters;
        labels += 1;
    }
    (labels >= 2).then_some(start + end)
}
