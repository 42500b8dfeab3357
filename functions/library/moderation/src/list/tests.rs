//! What a list finds, and the innocent that it leaves alone.

use super::*;

fn list(texts: &[&str]) -> List {
    let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    List::new(&texts).unwrap()
}

fn found<'a>(list: &List, text: &'a str) -> Vec<&'a str> {
    let ranges = list.find(&words(text)).into_iter();
    ranges.map(|range| &text[range]).collect()
}

#[test]
fn whole_words_are_found_however_they_are_dressed_up() {
    let list = list(&["damn", "ass", "cock"]);
    for text in [
        "damn",
        "DAMN",
        "d4mn",
        "dаmn",
        "d\u{200B}amn",
        "daaamnnn",
        "dámn",
        "ｄａｍｎ",
    ] {
        assert_eq!(found(&list, text), [text]);
        assert_eq!(found(&list, &format!("so, {text}! no")), [text]);
    }
    assert_eq!(found(&list, "a$$ and assss"), ["a$$", "assss"]);
}

#[test]
fn words_that_only_hold_one_are_left_alone() {
    let list = list(&["cunt", "ass", "cock", "tit", "sex", "anal"]);
    for text in [
        "Scunthorpe",
        "class",
        "assassin",
        "Cockburn",
        "cockpit",
        "titanic",
        "Essex",
        "analysis",
        "Middlesex",
        "as",
        "455",
        "sextant",
        "a s s",
    ] {
        assert_eq!(found(&list, text), [""; 0], "{text}");
    }
}

#[test]
fn stars_let_a_word_go_on() {
    let list = list(&["damn*", "*gate", "*heck*"]);
    assert_eq!(
        found(
            &list,
            "damned goddamn gates watergate what-the-heckler unchecked"
        ),
        ["damned", "watergate", "heckler", "unchecked"]
    );
    let twice = self::list(&["foo*"]);
    assert_eq!(
        found(&twice, "fo foo fooood foobar"),
        ["foo", "fooood", "foobar"]
    );
}

#[test]
fn phrases_are_found_over_what_is_between_their_words() {
    let list = list(&["kill yourself", "kill", "go away*"]);
    assert_eq!(found(&list, "KILL, yourself"), ["KILL, yourself"]);
    assert_eq!(found(&list, "kill me, kill"), ["kill", "kill"]);
    assert_eq!(
        found(&list, "go awayyy; go\taways"),
        ["go awayyy", "go\taways"]
    );
    assert_eq!(found(&list, "go"), [""; 0]);
}

#[test]
fn what_is_no_word_is_refused() {
    for text in ["", "*", "!!", "123"] {
        let error = List::new(&[text.to_owned()]).unwrap_err();
        assert!(error.contains("has no word"), "{error}");
    }
    let word = "ab".repeat(WORD_LETTERS_MAX / 2);
    assert!(List::new(std::slice::from_ref(&word)).is_ok());
    assert!(
        List::new(&[word + "a"])
            .unwrap_err()
            .contains("over 64 letters")
    );
}
