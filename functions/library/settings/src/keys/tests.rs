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

#[test]
fn times_are_whole_milliseconds_and_not_none() {
    let check = |text: &str| {
        let config: Config = [("within", text)].into_iter().collect();
        Settings::new(&config, &["within"]).unwrap().time("within")
    };
    assert_eq!(check("1h 30m"), Ok(Some(Duration::from_secs(5_400))));
    assert_eq!(check("1ms"), Ok(Some(Duration::from_millis(1))));
    for text in ["0s", "10us", "10", "", "soon"] {
        let error = check(text).unwrap_err();
        let key = format!("configuration key within: {text:?}: ");
        assert!(error.starts_with(&key), "{error}");
    }
    let config = Config::default();
    assert_eq!(
        Settings::new(&config, &[]).unwrap().time("within"),
        Ok(None)
    );
}
