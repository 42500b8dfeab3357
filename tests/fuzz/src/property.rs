//! What a target is, and what checks are made of.
//!
//! Owns nothing. A check never changes anything, and says the same of the same input.

use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use rand::rngs::StdRng;
use xxhash_rust::xxh3::Xxh3;

/// A kind of input.
pub struct Target {
    /// Its name, and that of the folder of its committed inputs.
    pub name: &'static str,
    /// Words that mean something where it is read.
    pub words: &'static [&'static [u8]],
    /// Makes one anew, where there is structure that damage alone would not find.
    pub make: Option<fn(&mut StdRng) -> Vec<u8>>,
    /// Reads an input; a number that is another one for another kind of outcome.
    ///
    /// # Errors
    /// What does not hold.
    pub check: fn(&[u8]) -> Result<u64, String>,
}

/// A kind of outcome, gathered from its parts.
#[derive(Default)]
pub struct Kind(Xxh3);

/// Bytes of a complaint that tell one kind from another.
const COMPLAINT_BYTES: usize = 60;

impl Kind {
    /// A part.
    pub fn add(&mut self, part: &str) {
        self.0.update(part.as_bytes());
        self.0.update(b"\0");
    }

    /// A complaint, but for the numbers in it and what it quotes.
    pub fn complain(&mut self, text: &str) {
        // What is quoted is the input's, and would make every input another kind.
        let own = text.split(['`', '"']).step_by(2).collect::<String>();
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let shape: String = own.chars().map(digit).collect();
        let end = shape.floor_char_boundary(COMPLAINT_BYTES);
        self.add(&shape[..end]);
    }

    /// A number, by its magnitude.
    pub fn size(&mut self, number: usize) {
        self.add(&number.checked_ilog2().map_or(0, |log| log + 1).to_string());
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.0.digest()
    }
}

/// Checks a refusal: it is told as one, by one of these codes.
///
/// # Errors
/// It is not.
pub fn refused(error: &ErrorBody, codes: &[ErrorCode], kind: &mut Kind) -> Result<(), String> {
    told(&error.message)?;
    same(
        "a code of what cannot be read",
        &codes.contains(&error.code),
        &true,
    )?;
    kind.complain(&error.message);
    Ok(())
}

/// Checks that something was read with no more than so many bytes for each of the input,
/// and so many in any case.
///
/// # Errors
/// It does not hold.
pub fn bounded(peak: usize, input: &[u8], each: usize, base: usize) -> Result<(), String> {
    let most = each * input.len() + base;
    match peak <= most {
        true => Ok(()),
        false => Err(format!("{peak} bytes were allocated, more than {most}")),
    }
}

/// Checks that a refusal says something.
///
/// # Errors
/// It does not hold.
pub fn told(message: &str) -> Result<(), String> {
    match message.is_empty() {
        true => Err("a refusal says nothing".into()),
        false => Ok(()),
    }
}

/// Checks that two things are equal.
///
/// # Errors
/// It does not hold.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    match one == other {
        true => Ok(()),
        false => Err(format!("{what}: {one:?} is not {other:?}")),
    }
}
