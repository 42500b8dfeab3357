//! Lists of words and phrases, found in texts.
//!
//! A value, owned by the gate. Must not know what becomes of what is found.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::fold::{Run, Word, words};

/// Most letters of a word on a list: what is looked up in a text stays short.
const WORD_LETTERS_MAX: usize = 64;

/// A list.
#[derive(Debug, Default)]
pub struct List {
    /// Words and phrases by the letters of their first word, each once.
    entries: BTreeMap<String, Vec<Entry>>,
    /// Most letters, each once, of a first word that may be part of a longer one.
    open_max: usize,
}

/// A word or phrase.
#[derive(Debug)]
struct Entry {
    words: Vec<Vec<Run>>,
    /// Whether the first word may begin inside of another.
    open_start: bool,
    /// Whether the last word may go on.
    open_end: bool,
}

impl List {
    /// Reads words and phrases. A `*` before or behind one stands for any letters.
    ///
    /// # Errors
    /// Which of them is none, and why.
    pub fn new(texts: &[String]) -> Result<Self, String> {
        let mut list = Self::default();
        for text in texts {
            let (open_start, open_end) = (text.starts_with('*'), text.ends_with('*'));
            let read = words(text.trim_matches('*'));
            let words: Vec<_> = read.into_iter().map(|word| word.runs).collect();
            let Some(first) = words.first() else {
                return Err(format!("{text:?} has no word in it"));
            };
            if words.iter().any(|word| word.len() > WORD_LETTERS_MAX) {
                return Err(format!(
                    "{text:?} has a word of over {WORD_LETTERS_MAX} letters"
                ));
            }
            if open_start || (open_end && words.len() == 1) {
                list.open_max = list.open_max.max(first.len());
            }
            list.entries.entry(letters(first)).or_default().push(Entry {
                words,
                open_start,
                open_end,
            });
        }
        Ok(list)
    }

    /// Where words and phrases of the list are, in the order of the text; they may
    /// overlap.
    #[must_use]
    pub fn find(&self, text: &[Word]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (at, word) in text.iter().enumerate() {
            let rest = &text[at..];
            let whole = self.entries.get(&letters(&word.runs));
            let whole = whole.into_iter().flatten();
            let open = self.open(&word.runs);
            let fits = whole.chain(open).filter_map(|entry| entry.fit(rest));
            let longest = fits.max();
            found.extend(longest.map(|words| word.range.start..rest[words - 1].range.end));
        }
        found
    }

    /// The entries that a part of the word may be the first word of.
    fn open(&self, word: &[Run]) -> Vec<&Entry> {
        if self.open_max == 0 {
            return Vec::new();
        }
        let text = letters(word);
        let starts = text.char_indices().map(|(at, _)| at);
        let ends: Vec<usize> = starts.clone().skip(1).chain([text.len()]).collect();
        let parts = starts.enumerate().flat_map(|(nth, start)| {
            let ends = ends[nth..].iter().take(self.open_max);
            ends.map(|end| &text[start..*end]).collect::<Vec<_>>()
        });
        parts
            .filter_map(|part| self.entries.get(part))
            .flatten()
            .collect()
    }
}

impl Entry {
    /// How many words of a text, from the first, the entry fits.
    fn fit(&self, text: &[Word]) -> Option<usize> {
        let count = self.words.len();
        let fits = text.len() >= count
            && self
                .words
                .iter()
                .zip(text)
                .enumerate()
                .all(|(at, (wanted, word))| {
                    let open_start = self.open_start && at == 0;
                    let open_end = self.open_end && at + 1 == count;
                    inside(wanted, &word.runs, open_start, open_end)
                });
        fits.then_some(count)
    }
}

/// Whether a word is the wanted one, with each letter at least as often, or holds it.
fn inside(wanted: &[Run], word: &[Run], open_start: bool, open_end: bool) -> bool {
    let Some(room) = word.len().checked_sub(wanted.len()) else {
        return false;
    };
    let fits = |start: usize| {
        let part = word[start..].iter().zip(wanted);
        part.into_iter()
            .all(|((letter, times), (other, least))| letter == other && times >= least)
    };
    match (open_start, open_end) {
        (false, false) => room == 0 && fits(0),
        (false, true) => fits(0),
        (true, false) => fits(room),
        (true, true) => (0..=room).any(fits),
    }
}

fn letters(runs: &[Run]) -> String {
    runs.iter().map(|(letter, _)| *letter).collect()
}

#[cfg(test)]
mod tests;
