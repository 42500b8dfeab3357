//! Which words a reader takes in.

use proptest::prelude::*;

use super::*;

/// The words of a text, a repeated letter as often as it is there.
fn read_words(text: &str) -> Vec<String> {
    let spell = |word: Word| {
        let letters = word.runs.into_iter();
        letters
            .flat_map(|(letter, times)| std::iter::repeat_n(letter, times))
            .collect()
    };
    words(text).into_iter().map(spell).collect()
}

#[test]
fn words_are_read_as_they_look() {
    for (text, expected) in [
        ("Hello, WORLD!", &["hello", "world"][..]),
        ("naïve café e\u{301}", &["naive", "cafe", "e"]),
        ("ＦＵＬＬ ﬁn ⓐ", &["full", "fin", "a"]),
        ("раураl", &["paypal"]),
        ("h3ll0 w0r1d", &["hello", "worid"]),
        ("a$$ @ss sh!t wow!!", &["ass", "ass", "shit", "wow"]),
        ("b\u{AD}a\u{200B}d", &["bad"]),
        ("100 455 $5 1!", &[]),
        ("don't", &["don", "t"]),
        ("İstanbul STRAẞE", &["istanbul", "straße"]),
        ("привет 你好", &["пpиbet", "你好"]),
        ("", &[]),
    ] {
        assert_eq!(read_words(text), expected, "{text}");
    }
}

#[test]
fn repeated_letters_are_counted_together() {
    assert_eq!(words("Sooo")[0].runs, [('s', 1), ('o', 3)]);
    assert_eq!(
        words("bo0\u{200B}Ok")[0].runs,
        [('b', 1), ('o', 3), ('k', 1)]
    );
}

#[test]
fn words_know_where_they_are() {
    let text = "¡é! «b@d»";
    let found: Vec<_> = words(text)
        .into_iter()
        .map(|word| &text[word.range])
        .collect();
    assert_eq!(found, ["é", "b@d"]);
}

proptest! {
    #[test]
    fn any_text_has_words_in_order(text: String) {
        let mut end = 0;
        for word in words(&text) {
            prop_assert!(word.range.start >= end && word.range.end > word.range.start);
            prop_assert!(text.get(word.range.clone()).is_some());
            end = word.range.end;
        }
    }
}
