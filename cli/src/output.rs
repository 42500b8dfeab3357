//! Where results and progress go: results to standard output, for people or as one
//! JSON object per line; progress and advice to standard error.
//!
//! Owns the knowledge of whether a status line is on the screen. Must not know what
//! it prints.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::error::{CliError, EXIT_FAILED};

/// Longest status line, in characters: one that wraps cannot be overwritten.
const STATUS_CHARS_MAX: usize = 79;
/// Clears a terminal, and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";
/// How often the status is told where it cannot be overwritten.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The output of one command.
#[derive(Debug)]
pub struct Output {
    json: bool,
    terminal: bool,
    status: Mutex<StatusLine>,
}

#[derive(Debug, Default)]
struct StatusLine {
    shown: bool,
    last: Option<Instant>,
}

impl Output {
    /// Output for people, or as JSON.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stderr().is_terminal(),
            status: Mutex::new(StatusLine::default()),
        }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Tells a result: `text` to people, `value` as JSON.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        if self.json {
            let json = serde_json::to_string(value);
            return self.write(&json.expect("results are plain values"));
        }
        self.write(&text())
    }

    /// Tells something that people alone need.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        self.write(text)
    }

    /// Tells people the newest state of something: in place of the one before on a
    /// terminal, below it elsewhere.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn screen(&self, text: &str) -> Result<(), CliError> {
        match std::io::stdout().is_terminal() {
            true => self.text(&format!("{CLEAR}{text}")),
            false => self.text(text),
        }
    }

    fn write(&self, text: &str) -> Result<(), CliError> {
        self.clear();
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{}", text.trim_end_matches('\n'));
        let written = written.and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => CliError::output_closed(),
            _ => CliError::new(
                EXIT_FAILED,
                format!("the output cannot be written: {error}"),
            ),
        })
    }

    /// Tells a step or advice, on a line of its own.
    pub fn note(&self, text: &str) {
        self.clear();
        // Nobody reads it, then nobody misses it.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Shows the one line that keeps moving. Where it cannot be overwritten, it is
    /// told every few seconds.
    pub fn status(&self, text: &str) {
        let mut line = self.lock();
        let mut screen = std::io::stderr();
        if self.terminal {
            let text: String = text.chars().take(STATUS_CHARS_MAX).collect();
            let _ = write!(screen, "\r\x1b[K{text}").and_then(|()| screen.flush());
            line.shown = true;
        } else if is_due(line.last) {
            let _ = writeln!(screen, "{text}");
            line.last = Some(Instant::now());
        }
    }

    /// Whether a status, as JSON or on lines of its own, is due.
    pub fn status_is_due(&self) -> bool {
        if self.terminal && !self.json {
            return true;
        }
        let mut line = self.lock();
        let due = is_due(line.last);
        if due && self.json {
            line.last = Some(Instant::now());
        }
        due
    }

    fn clear(&self) {
        let mut line = self.lock();
        if std::mem::take(&mut line.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StatusLine> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(last: Option<Instant>) -> bool {
    last.is_none_or(|last| last.elapsed() >= STATUS_INTERVAL)
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text of others as one line: control characters would act on the terminal.
pub fn harmless(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let check = |number, expected| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\x1b[2J\nб"), "a\\u{1b}[2J\\nб");
    }
}
