//! Texts as a reader takes them in: words in lower case without accents, with the
//! letters that others look like, and how often each is repeated.
//!
//! A value. Must not know which words are wanted.

use std::ops::Range;

use unicode_normalization::char::decompose_compatible;

/// Marks that are put onto a letter.
const MARKS: [std::ops::RangeInclusive<char>; 5] = [
    '\u{300}'..='\u{36F}',
    '\u{1AB0}'..='\u{1AFF}',
    '\u{1DC0}'..='\u{1DFF}',
    '\u{20D0}'..='\u{20FF}',
    '\u{FE00}'..='\u{FE2F}',
];
/// Letters of other scripts, and what they look like. Greek and Cyrillic words are not
/// hurt: a word on a list goes through the same table.
const ALIKE: &[(&str, char)] = &[
    ("аα", 'a'),
    ("вβ", 'b'),
    ("с", 'c'),
    ("ԁ", 'd'),
    ("еєε", 'e'),
    ("һн", 'h'),
    ("іιı", 'i'),
    ("ј", 'j'),
    ("кκ", 'k'),
    ("ӏ", 'l'),
    ("м", 'm'),
    ("ո", 'n'),
    ("оοσø", 'o'),
    ("рρ", 'p'),
    ("ԛ", 'q'),
    ("ѕ", 's'),
    ("тτ", 't'),
    ("υ", 'u'),
    ("ѵν", 'v'),
    ("ԝω", 'w'),
    ("хχ", 'x'),
    ("уγ", 'y'),
];
/// Digits and signs inside of a word, and the letters that they stand for.
const SIGNS: &[(char, char)] = &[
    ('0', 'o'),
    ('1', 'i'),
    ('3', 'e'),
    ('4', 'a'),
    ('5', 's'),
    ('7', 't'),
    ('@', 'a'),
    ('$', 's'),
    ('!', 'i'),
    ('|', 'i'),
];

/// Letters in a row that are the same: the letter, and how many.
pub type Run = (char, usize);

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its letters as they are read, repeated ones together.
    pub runs: Vec<Run>,
    /// Where it is in the text, in bytes.
    pub range: Range<usize>,
}

/// One letter as it is read: none for what is not seen, several for a ligature.
fn letters(letter: char) -> Vec<char> {
    let mut read = Vec::new();
    for lower in letter.to_lowercase() {
        decompose_compatible(lower, |part| {
            if !MARKS.iter().any(|marks| marks.contains(&part)) {
                read.extend(part.to_lowercase().map(alike));
            }
        });
    }
    read
}

fn alike(letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    let found = ALIKE.iter().find(|(others, _)| others.contains(letter));
    found.map_or(letter, |(_, like)| *like)
}

/// Characters that nobody sees: joiners, the soft hyphen, the byte order mark.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

fn sign(letter: char) -> Option<char> {
    let found = SIGNS.iter().find(|(sign, _)| *sign == letter);
    found.map(|(_, letter)| *letter)
}

/// The words of a text, in its order. A word is made of letters and digits, and of signs
/// that stand for letters between or behind them; a number is no word.
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Vec<(usize, char)> = Vec::new();
    let is_part = |letter: char| {
        letter.is_alphanumeric()
            || sign(letter).is_some()
            || is_invisible(letter)
            || MARKS.iter().any(|marks| marks.contains(&letter))
    };
    for (at, letter) in text.char_indices() {
        if is_part(letter) {
            word.push((at, letter));
        } else if !word.is_empty() {
            words.extend(read(&word));
            word.clear();
        }
    }
    words.extend(read(&word));
    words
}

/// Reads one word; signs at its end are what they are to everybody.
fn read(word: &[(usize, char)]) -> Option<Word> {
    let seen = |(_, letter): &(usize, char)| letter.is_alphanumeric();
    let is_tail = |letter: char| matches!(letter, '!' | '|' | '@') || is_invisible(letter);
    let end = word.iter().rposition(|(_, letter)| !is_tail(*letter))? + 1;
    let start = word
        .iter()
        .position(|(_, letter)| !matches!(letter, '!' | '|'))?;
    let word = word.get(start..end)?;
    if !word
        .iter()
        .any(|letter| seen(letter) && !letter.1.is_numeric())
    {
        return None;
    }
    let mut runs: Vec<Run> = Vec::new();
    for (_, letter) in word.iter().filter(|(_, letter)| !is_invisible(*letter)) {
        for letter in sign(*letter).map_or_else(|| letters(*letter), |letter| vec![letter]) {
            match runs.last_mut() {
                Some((last, times)) if *last == letter => *times += 1,
                _ => runs.push((letter, 1)),
            }
        }
    }
    let (first, (last, letter)) = (word.first()?.0, word.last()?);
    Some(Word {
        runs,
        range: first..last + letter.len_utf8(),
    })
}

#[cfg(test)]
mod tests;
