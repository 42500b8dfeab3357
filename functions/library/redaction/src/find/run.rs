//! Runs of digits with separators between them, as people group them to be read.
//!
//! Owns nothing. Must not know what a number is for.

use std::ops::Range;

/// A group of digits in a text: where it is.
pub type Group = Range<usize>;

/// Every run of groups of digits in a text, with one of `separators` between each two
/// groups. A group that touches a letter is no number and ends the run.
pub fn runs(text: &str, separators: &[&str]) -> Vec<Vec<Group>> {
    let bytes = text.as_bytes();
    let (mut runs, mut run): (Vec<Vec<Group>>, Vec<Group>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit());
        let group = at..at + digits.count();
        at = group.end;
        let joined = run.last().is_some_and(|last| {
            let between = text.get(last.end..group.start).unwrap_or_default();
            separators.contains(&between)
        });
        if !joined && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
        if touches_letter(text, &group) {
            runs.extend((!run.is_empty()).then(|| std::mem::take(&mut run)));
        } else {
            run.push(group);
        }
    }
    runs.extend((!run.is_empty()).then_some(run));
    runs
}

/// Whether a letter or digit stands right before or behind a range.
fn touches_letter(text: &str, range: &Range<usize>) -> bool {
    let before = text
        .get(..range.start)
        .and_then(|text| text.chars().next_back());
    let behind = text.get(range.end..).and_then(|text| text.chars().next());
    [before, behind]
        .into_iter()
        .flatten()
        .any(|letter| letter.is_alphanumeric() || letter == '_')
}
