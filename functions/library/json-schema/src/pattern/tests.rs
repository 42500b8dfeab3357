//! Expressions mean what ECMAScript says.

use super::*;

#[track_caller]
fn check(pattern: &str, fit: &[&str], not: &[&str]) {
    let read = read(pattern).unwrap();
    for text in fit {
        assert!(read.is_match(text), "{pattern} {text:?}");
    }
    for text in not {
        assert!(!read.is_match(text), "{pattern} {text:?}");
    }
}

#[test]
fn classes_are_those_of_ecmascript() {
    check(r"^\d\D$", &["1a", "1\u{661}"], &["\u{661}a", "11"]);
    check(r"^\w\W$", &["aé", "_-"], &["é-"]);
    check(r"^\s\S$", &["\u{FEFF}x", "\nx", "\u{2003}x"], &["\u{85}x"]);
    check(r"^[\d.]+$", &["1.2"], &["1a"]);
    check(r"^[^\d]$", &["a"], &["1"]);
    check(r"^[\s\S]$", &["\n"], &[]);
    check(r"\bb\b", &["a b", "éb"], &["ab"]);
    check(r"^[\b]$", &["\u{8}"], &["b"]);
    check("^.$", &["😀"], &["\r", "\u{2028}", "\n"]);
    check(r"^\p{Lu}\u0041\/$", &["ÄA/"], &["äA/"]);
}

#[test]
fn in_brackets_signs_are_signs() {
    check("^[[a]$", &["[", "a"], &["]"]);
    check("^[a&&b]+$", &["a&b"], &["c"]);
    check("^[a.~~]$", &[".", "~"], &["b"]);
    check("^[a-c\\-]$", &["b", "-"], &["d"]);
}

#[test]
fn what_the_engine_does_not_know_is_refused() {
    for pattern in [
        "(?=a)",
        "(?<!a)",
        r"(a)\1",
        "(",
        "[]",
        "[^]",
        "a{2,1}",
        "x{99999}{99999}",
    ] {
        let error = read(pattern).unwrap_err();
        assert!(
            !error.is_empty() && !error.contains('\n'),
            "{pattern}: {error}"
        );
    }
}
