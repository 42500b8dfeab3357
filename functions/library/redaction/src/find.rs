//! Personal data in texts, by its form: e-mail addresses, telephone numbers, numbers of
//! payment cards and bank accounts.
//!
//! Owns nothing. Must not know what is done with what is found.

use std::ops::Range;

mod account;
mod card;
mod email;
mod phone;
mod run;

/// What is found by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An international bank account number (ISO 13616), whose check digits are right.
    Iban,
    /// A payment card's number (ISO/IEC 7812), whose check digit is right.
    Card,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
}

/// Every kind, the more certain first.
pub const KINDS: [Kind; 4] = [Kind::Iban, Kind::Card, Kind::Email, Kind::Phone];

impl Kind {
    /// Its name, in settings, replacements and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    /// The name of its counter.
    #[must_use]
    pub fn counter(self) -> &'static str {
        match self {
            Self::Iban => "redacted_iban",
            Self::Card => "redacted_card",
            Self::Email => "redacted_email",
            Self::Phone => "redacted_phone",
        }
    }

    fn find(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::Iban => account::find(text),
            Self::Card => card::find(text),
            Self::Email => email::find(text),
            Self::Phone => phone::find(text),
        }
    }
}

/// Finds what is of these kinds: in the order of the text, none overlapping. Where two
/// overlap, both together are taken for what is more certain.
#[must_use]
pub fn find(text: &str, kinds: &[Kind]) -> Vec<(Kind, Range<usize>)> {
    let mut found: Vec<_> = kinds
        .iter()
        .flat_map(|kind| kind.find(text).into_iter().map(move |range| (*kind, range)))
        .collect();
    found.sort_by_key(|(_, range)| range.start);
    let mut kept: Vec<(Kind, Range<usize>)> = Vec::with_capacity(found.len());
    for (kind, range) in found {
        match kept.last_mut() {
            Some((last, before)) if range.start < before.end => {
                *last = kind.min(*last);
                before.end = range.end.max(before.end);
            }
            _ => kept.push((kind, range)),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
