//! What is found by its form, and what only looks like it.

use proptest::prelude::*;

use super::*;

/// What of a kind is found in a text.
fn found(kind: Kind, text: &str) -> Vec<&str> {
    find(text, &[kind])
        .into_iter()
        .map(|(_, range)| &text[range])
        .collect()
}

#[track_caller]
fn check(kind: Kind, text: &str, expected: &[&str]) {
    assert_eq!(found(kind, text), expected, "{text}");
}

#[test]
fn addresses_are_found_and_handles_are_not() {
    for text in [
        "ann@example.org",
        "a.b+tag@mail.example.co.uk",
        "анна@пример.рф",
        "x_1@a-b.io",
    ] {
        check(Kind::Email, text, &[text]);
        check(Kind::Email, &format!("<{text}>, or"), &[text]);
        check(Kind::Email, &format!("(to: {text})."), &[text]);
    }
    check(Kind::Email, "a@b.c,d@e.f", &["a@b.c", "d@e.f"]);
    check(Kind::Email, "'ann@example.org'", &["ann@example.org"]);
    for text in [
        "@ann", "ann@", "ann@home", "a @b.c", "@@@@", "a@.b", "...@b.c",
    ] {
        check(Kind::Email, text, &[]);
    }
}

#[test]
fn cards_have_a_right_check_digit() {
    for text in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "3782 822463 10005",
        "6011000990139424",
        "4222222222222",
    ] {
        check(Kind::Card, text, &[text]);
        check(Kind::Card, &format!("card {text}, please"), &[text]);
        check(Kind::Card, &format!("12 {text} 123"), &[text]);
    }
    for text in [
        "4111111111111112",
        "41111111111111111111",
        "0000000000000000",
        "x4111111111111111",
        "4111.1111.1111.1111",
        "1700000000000000",
        "4111  1111 1111 1111",
    ] {
        check(Kind::Card, text, &[]);
    }
}

#[test]
fn accounts_have_right_check_digits() {
    for text in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "fr1420041010050500013m02606",
        "NO93 8601 1117 947",
    ] {
        check(Kind::Iban, text, &[text]);
        check(Kind::Iban, &format!("to {text} and then"), &[text]);
        check(Kind::Iban, &format!("({text})"), &[text]);
    }
    for text in [
        "DE88370400440532013000",
        "XDE89370400440532013000",
        "DE89370400440532013000X",
        "DE89",
        "AB12 CDEF",
    ] {
        check(Kind::Iban, text, &[]);
    }
}

#[test]
fn telephone_numbers_are_told_from_other_numbers() {
    for text in [
        "+49 171 1234567",
        "+1 (555) 123-4567",
        "+442079460000",
        "0049 30 123456",
        "030 1234567",
        "01 23 45 67 89",
        "01.23.45.67.89",
        "0171/1234567",
        "(030) 1234567",
        "555-123-4567",
        "(555) 123-4567",
        "1-555-123-4567",
    ] {
        check(Kind::Phone, text, &[text]);
        check(Kind::Phone, &format!("call {text}, or"), &[text]);
    }
    for text in [
        "2026-11-28",
        "2026-11-28T14:07:48.123456Z",
        "01.12.2026",
        "1700000000",
        "1700000000000000",
        "0.123456789",
        "192.168.100.200",
        "00000000-0000-0000-0000-000000000000",
        "5551234567",
        "12 345 678",
        "+12",
        "v0.10.20",
        "3-3-4",
    ] {
        check(Kind::Phone, text, &[]);
    }
}

#[test]
fn what_overlaps_is_found_once() {
    let text = "DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111, 030 1234567, 0@b.cc";
    let kinds: Vec<_> = find(text, &KINDS)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, [Kind::Iban, Kind::Card, Kind::Phone, Kind::Email]);
    // The zero might belong to a telephone number: nothing of either is left.
    let found = find("0 4111 1111 1111 1111", &KINDS);
    assert_eq!(found, [(Kind::Card, 0..21)]);
}

proptest! {
    #[test]
    fn any_text_is_searched(text in "[ -.()/+@0-9a-zé\u{660}]{0,60}") {
        let mut end = 0;
        for (_, range) in find(&text, &KINDS) {
            prop_assert!(range.start >= end && range.start < range.end);
            prop_assert!(text.get(range.clone()).is_some());
            end = range.end;
        }
    }
}
