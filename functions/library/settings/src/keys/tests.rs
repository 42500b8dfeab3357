//! What is said of a setting that is wrong.

use super::*;

#[test]
fn a_key_that_nobody_knows_is_named_with_those_that_are_known() {
    let check = |key: &str| {
        let config: Config = [(key, "1")].into_iter().collect();
        Settings::new(&config, &["words", "table."]).map(|_| ())
    };
    assert_eq!(check("words"), Ok(()));
    assert_eq!(check("table.plans"), Ok(()));
    for key in ["word", "table", "table.", "tables.x"] {
        let error = check(key).unwrap_err();
        assert_eq!(
            error,
            format!("configuration key {key}: not one of words, table.")
        );
    }
}

#[test]
fn json_that_is_wrong_is_named_with_its_place() {
    let config: Config = [
        ("words", "[\"a\",\n1]"),
        ("table.a", "{"),
        ("table.b", "{}"),
    ]
    .into_iter()
    .collect();
    let settings = Settings::new(&config, &["words", "table."]).unwrap();
    let error = settings.json::<Vec<String>>("words").unwrap_err();
    assert!(error.starts_with("configuration key words: "), "{error}");
    assert!(error.contains("line 2"), "{error}");
    assert_eq!(settings.json::<Vec<String>>("others"), Ok(vec![]));
    let tables: Vec<_> = settings.group("table.").collect();
    assert_eq!(tables, [("a", "{"), ("b", "{}")]);
    let error = Settings::tree("table.a", "{").unwrap_err();
    assert!(error.starts_with("configuration key table.a: "), "{error}");
}
