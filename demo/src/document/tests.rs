//! Positions, ranges and merging of one document.

use super::*;

fn patch(pos: usize, del: usize, ins: &str) -> Patch {
    Patch {
        pos,
        del,
        ins: ins.into(),
    }
}

#[test]
fn positions_are_code_points() {
    let mut document = Document::new(0);
    let mut reader = Document::reader();
    let steps: [(&[Patch], &str); 4] = [
        (&[patch(0, 0, "a🌊é字𝄞z")], "a🌊é字𝄞z"),
        (&[patch(2, 1, "e\u{301}")], "a🌊e\u{301}字𝄞z"),
        (
            &[patch(1, 1, ""), patch(4, 1, "🛶!"), patch(5, 0, "🛶")],
            "ae\u{301}字🛶🛶!z",
        ),
        (&[patch(0, 8, "")], ""),
    ];
    for (patches, expected) in steps {
        let update = document.apply_local(patches).unwrap();
        assert_eq!(document.text(), expected);
        reader.apply_remote(&update).unwrap();
        assert_eq!(reader.text(), expected);
    }
}

#[test]
fn a_range_may_end_with_the_text_and_not_after_it() {
    let mut document = Document::new(0);
    document.apply_local(&[patch(0, 0, "🌊🌊")]).unwrap();
    for (pos, del) in [(3, 0), (2, 1), (0, 3), (usize::MAX, 1), (1, usize::MAX)] {
        let fault = document
            .apply_local(&[patch(0, 1, "🛶"), patch(pos, del, "")])
            .unwrap_err();
        let DocumentError::OutOfRange {
            patch: 1, len: 2, ..
        } = fault
        else {
            panic!("{fault:?}");
        };
        assert_eq!(document.text(), "🌊🌊", "all or nothing");
    }
    document
        .apply_local(&[patch(2, 0, "x"), patch(1, 2, "y")])
        .unwrap();
    assert_eq!(document.text(), "🌊y");
}

#[test]
fn concurrent_edits_meet() {
    let (mut first, mut second) = (Document::new(0), Document::new(1));
    let start = first.apply_local(&[patch(0, 0, "𝄞one two")]).unwrap();
    second.apply_remote(&start).unwrap();
    let by_first = first.apply_local(&[patch(1, 3, "ONE")]).unwrap();
    let by_second = second.apply_local(&[patch(5, 3, "TWO🛶")]).unwrap();
    first.apply_remote(&by_second).unwrap();
    second.apply_remote(&by_first).unwrap();
    assert_eq!(first.text(), "𝄞ONE TWO🛶");
    assert_eq!(second.text(), "𝄞ONE TWO🛶");
    // What was rendered before the merge is not used after it.
    first.apply_local(&[patch(9, 0, ".")]).unwrap();
    assert_eq!(first.text(), "𝄞ONE TWO🛶.");
}

#[test]
fn updates_may_come_twice_and_too_early() {
    let (mut writer, mut reader) = (Document::new(0), Document::reader());
    let one = writer.apply_local(&[patch(0, 0, "ab")]).unwrap();
    let two = writer.apply_local(&[patch(1, 1, "c")]).unwrap();
    reader.apply_remote(&two).unwrap();
    assert!(reader.is_waiting());
    reader.apply_remote(&one).unwrap();
    assert!(!reader.is_waiting());
    reader.apply_remote(&two).unwrap();
    assert_eq!(reader.text(), "ac");
}

#[test]
fn a_transaction_without_effect_is_an_update_too() {
    let (mut writer, mut reader) = (Document::new(0), Document::reader());
    let update = writer.apply_local(&[patch(0, 0, "")]).unwrap();
    reader.apply_remote(&update).unwrap();
    assert_eq!(reader.text(), "");
    assert!(!reader.is_waiting());
}

#[test]
fn what_is_not_an_update_is_refused() {
    let mut document = Document::new(0);
    let update = document.apply_local(&[patch(0, 0, "abc")]).unwrap();
    let mut reader = Document::reader();
    for end in 0..update.len() {
        let fault = reader.apply_remote(&update[..end]).unwrap_err();
        assert!(matches!(fault, DocumentError::Decode(_)), "{fault:?}");
    }
    assert_eq!(reader.text(), "");
}
