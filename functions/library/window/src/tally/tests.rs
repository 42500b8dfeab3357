//! Sums are exact, and what is remembered is what was known.

use proptest::prelude::*;

use super::*;

fn value(text: &str) -> Option<Value> {
    Value::new(&Decimal::read(text))
}

fn result(numbers: &[&str]) -> String {
    let tally = Tally::new(61_000, 60_000);
    let add = |tally: Tally, number: &&str| tally.with(value(number));
    numbers.iter().fold(tally, add).result(true)
}

#[test]
fn numbers_are_summed_as_they_are_written() {
    assert_eq!(
        result(&["0.1", "0.2", "-1e1"]),
        r#"{"from":60000,"to":120000,"count":3,"late":0,"sum":-9.7,"min":-10,"max":0.2,"mean":-3.233333333333}"#
    );
    assert_eq!(
        result(&["1", "0.000000000001"]),
        r#"{"from":60000,"to":120000,"count":2,"late":0,"sum":1.000000000001,"min":0.000000000001,"max":1,"mean":0.500000000001}"#
    );
    assert_eq!(
        result(&[]),
        r#"{"from":60000,"to":120000,"count":0,"late":0}"#
    );
}

#[test]
fn the_largest_number_and_one_that_is_larger() {
    assert!(value("1e15").is_some());
    assert!(
        value("-1000000000000000.0000000000001").is_some(),
        "rounded"
    );
    assert!(value("1000000000000000.000000000001").is_none());
    assert!(value("-1e16").is_none());
    assert!(value("1e999").is_none());
}

proptest! {
    #[test]
    fn neither_order_nor_remembering_changes_it(
        numbers in proptest::collection::vec(-1_000_000_i64..1_000_000, 1..40),
        cut in 0..40_usize,
        late in 0..5_u64,
    ) {
        let number = |units: &i64| value(&format!("{units}e-3"));
        let add = |tally: Tally, units: &i64| tally.with(number(units));
        let (first, second) = numbers.split_at(cut.min(numbers.len()));
        let tally = first.iter().fold(Tally::new(0, 10), add);
        let mut tally = Tally::read(&tally.write()).unwrap();
        for _ in 0..late {
            tally = tally.with_late();
        }
        let tally = second.iter().fold(tally, add);
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let other = sorted.iter().fold(Tally::new(0, 10), add);
        prop_assert_eq!(&tally.numbers, &other.numbers);
        prop_assert_eq!(tally.count, numbers.len() as u64);
        prop_assert_eq!(tally.late, late);
        let sum: i64 = numbers.iter().sum();
        prop_assert_eq!(tally.numbers.unwrap().sum, i128::from(sum) * 1_000_000_000);
    }
}
