//! Regular expressions as JSON Schema means them, in the syntax of the engine that runs
//! them, which takes time in proportion to the text whatever the expression.
//!
//! A value. Must not know schemas.

use regex::{Regex, RegexBuilder};

/// Most bytes of a compiled expression: far over what people write, far under the
/// memory of a guest.
const BYTES_MAX: usize = 1 << 20;
/// What ECMAScript counts as white space.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// Reads an expression in the syntax of ECMAScript, as far as it needs no looking back
/// or ahead.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn read(pattern: &str) -> Result<Regex, String> {
    if pattern.contains("[]") || pattern.contains("[^]") {
        return Err("a class without characters".into());
    }
    RegexBuilder::new(&translate(pattern))
        .size_limit(BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        })
}

/// What the engine means otherwise: `.`, `\d`, `\w`, `\s` and `\b` are narrower in
/// ECMAScript, and in brackets no bracket opens and no sign combines two classes. A
/// class is written in brackets, which the engine lets stand inside of brackets too.
fn translate(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    let mut bracket = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(letter) => escaped(letter, bracket, &mut translated),
                None => translated.push('\\'),
            },
            '[' if !bracket => {
                bracket = true;
                translated.push('[');
            }
            '[' | '&' | '~' if bracket => translated.extend(['\\', letter]),
            ']' => {
                bracket = false;
                translated.push(']');
            }
            '.' if !bracket => translated.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            _ => translated.push(letter),
        }
    }
    translated
}

/// What follows a backslash.
fn escaped(letter: char, bracket: bool, translated: &mut String) {
    match letter {
        'd' => translated.push_str("[0-9]"),
        'D' => translated.push_str("[^0-9]"),
        'w' => translated.push_str("[A-Za-z0-9_]"),
        'W' => translated.push_str("[^A-Za-z0-9_]"),
        's' => translated.extend(["[", SPACE, "]"]),
        'S' => translated.extend(["[^", SPACE, "]"]),
        'b' if bracket => translated.push_str(r"\x08"),
        'b' => translated.push_str(r"(?-u:\b)"),
        'B' => translated.push_str(r"(?-u:\B)"),
        other => translated.extend(['\\', other]),
    }
}

#[cfg(test)]
mod tests;
