//! Numbers are compared by value, however they are written and however long they are.

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::read(text)
}

#[test]
fn one_value_has_one_form() {
    for (one, other) in [
        ("1", "1.0"),
        ("1", "10e-1"),
        ("100", "1E+2"),
        ("-0", "0.00e7"),
        ("-1.50", "-15e-1"),
        ("0.001", "1e-3"),
    ] {
        assert_eq!(decimal(one), decimal(other), "{one} {other}");
        assert_eq!(decimal(one).to_string(), decimal(other).to_string());
    }
    assert_ne!(decimal("9007199254740993"), decimal("9007199254740992"));
    assert_ne!(
        decimal("1e99999999999999999999"),
        decimal("1e-99999999999999999999")
    );
}

#[test]
fn numbers_are_told_as_people_write_them() {
    for (read, told) in [
        ("-1.50e0", "-1.5"),
        ("5", "5"),
        ("1e3", "1000"),
        ("0.001", "0.001"),
        ("12e-21", "12e-21"),
        ("1e21", "1e21"),
        ("0e9", "0"),
    ] {
        assert_eq!(decimal(read).to_string(), told);
    }
}

#[test]
fn numbers_are_in_their_order() {
    let sorted = [
        "-1e99999999999999999999",
        "-20",
        "-15",
        "-2",
        "-0.5",
        "0",
        "1e-99999999999999999999",
        "0.1",
        "0.10000000000000000000001",
        "1.9",
        "2",
        "15",
        "20",
        "1e400",
    ];
    for pair in sorted.windows(2) {
        assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
    }
}

#[test]
fn counts_and_kinds_are_told() {
    assert_eq!(decimal("3.0e2").count(), Some(300));
    assert_eq!(decimal("0.0").count(), Some(0));
    assert_eq!(decimal("18446744073709551615").count(), Some(u64::MAX));
    for none in [
        "-1",
        "0.5",
        "18446744073709551616",
        "1e99999999999999999999",
    ] {
        assert_eq!(decimal(none).count(), None, "{none}");
    }
    assert!(decimal("1e2").is_whole() && decimal("0.0").is_whole());
    assert!(!decimal("0.1").is_whole());
    assert!(decimal("0.1").is_positive());
    assert!(!decimal("0").is_positive() && !decimal("-1").is_positive());
}

#[test]
fn multiples_are_exact() {
    let check = |number: &str, divisor: &str| {
        let divisor = decimal(divisor);
        let coefficient = divisor.coefficient().unwrap();
        decimal(number).is_multiple_of(&divisor, coefficient)
    };
    assert!(check("0.3", "0.1"));
    assert!(check("19.99", "0.01"));
    assert!(!check("19.995", "0.01"));
    assert!(check("0", "7") && check("-14", "7") && check("1e300", "8"));
    assert!(!check("15", "7") && !check("10", "100"));
    assert!(
        check("12345678901234567890123456789", "9"),
        "its digits add up to 135"
    );
    assert!(!check("12345678901234567890123456788", "9"));
    assert!(check("1e18446744073709551614", "5"));
    assert_eq!(decimal("18446744073709551617").coefficient(), None);
}

proptest! {
    #[test]
    fn whole_numbers_are_ordered_as_they_count(a: i64, b: i64) {
        let (x, y) = (decimal(&a.to_string()), decimal(&b.to_string()));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.count(), u64::try_from(a).ok());
    }

    #[test]
    fn fractions_are_ordered_as_they_count(a in -1e9..1e9_f64, b in -1e9..1e9_f64) {
        let (x, y) = (decimal(&format!("{a:?}")), decimal(&format!("{b:?}")));
        prop_assert_eq!(Some(x.cmp(&y)), a.partial_cmp(&b));
    }

    #[test]
    fn any_text_is_some_number(text: String) {
        let number = decimal(&text);
        let _told = (number.count(), number.coefficient(), number.to_string());
        let _order = number.cmp(&decimal("1"));
    }

    #[test]
    fn whole_multiples_are_as_they_count(a: u32, b in 1..100_000_u64) {
        let divisor = decimal(&b.to_string());
        let coefficient = divisor.coefficient().unwrap();
        let number = decimal(&a.to_string());
        prop_assert_eq!(
            number.is_multiple_of(&divisor, coefficient),
            u64::from(a) % b == 0
        );
    }
}

#[test]
fn units_are_the_nearest_within_128_bits() {
    for (number, units) in [
        ("0", Some(0)),
        ("0e999999999999999999999", Some(0)),
        ("1", Some(100)),
        ("-12.34", Some(-1_234)),
        ("1e3", Some(100_000)),
        ("0.004", Some(0)),
        ("0.005", Some(1)),
        ("-0.005", Some(-1)),
        ("0.0049", Some(0)),
        ("0.994", Some(99)),
        ("0.995", Some(100)),
        ("0.0005", Some(0)),
        ("1e-999999999999999999999", Some(0)),
        ("1e36", Some(10_i128.pow(38))),
        ("1e37", None),
        ("2e36", None),
        ("1e999999999999999999999", None),
    ] {
        assert_eq!(Decimal::read(number).units(2), units, "{number}");
    }
    assert_eq!(Decimal::of_units(-1_230, 2).to_string(), "-12.3");
    assert_eq!(Decimal::of_units(5, 12).to_string(), "0.000000000005");
    assert_eq!(Decimal::of_units(0, 12).to_string(), "0");
}

proptest! {
    #[test]
    fn units_come_back(units: i128, places in 0..20_u32) {
        prop_assume!(units != i128::MIN);
        prop_assert_eq!(Decimal::of_units(units, places).units(places), Some(units));
    }
}
