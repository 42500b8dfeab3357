//! What obeys a schema, what breaks which rule, and which schemas are refused.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<JsonSchema>::new(config).unwrap().run_one(input)
}

/// The rule that a document breaks, and where; nothing if it obeys.
fn broken(schema: &str, data: &str) -> Option<(String, String)> {
    let schema = json_tree::parse(schema.as_bytes()).unwrap();
    let schema = compile::compile(&schema).unwrap();
    let result = schema.check(&json_tree::parse(data.as_bytes()).unwrap());
    result.err().map(|broken| (broken.place, broken.rule))
}

/// Documents that obey, and documents that do not, with place and rule.
#[track_caller]
fn check(schema: &str, obey: &[&str], not: &[(&str, &str, &str)]) {
    for data in obey {
        assert_eq!(broken(schema, data), None, "{schema} {data}");
    }
    for (data, place, rule) in not {
        let expected = Some(((*place).to_owned(), (*rule).to_owned()));
        assert_eq!(broken(schema, data), expected, "{schema} {data}");
    }
}

#[test]
fn types_and_values() {
    check(
        r#"{"type":["integer","null"]}"#,
        &["1", "1.0", "1e2", "null"],
        &[
            ("1.5", "", "/type"),
            ("\"1\"", "", "/type"),
            ("[]", "", "/type"),
        ],
    );
    check(
        r#"{"type":"number"}"#,
        &["1", "-0.5e-9"],
        &[("true", "", "/type")],
    );
    check(
        r#"{"enum":[1,"a",{"x":[1,2],"y":0}]}"#,
        &["1.0", "\"a\"", r#"{"y":0.0,"x":[1,2]}"#],
        &[("2", "", "/enum"), (r#"{"x":[2,1],"y":0}"#, "", "/enum")],
    );
    check(r#"{"const":null}"#, &["null"], &[("false", "", "/const")]);
    check("true", &["1"], &[]);
    check("{}", &["1"], &[]);
    check("false", &[], &[("1", "", "")]);
}

#[test]
fn numbers_are_compared_exactly() {
    check(
        r#"{"minimum":0,"exclusiveMaximum":1e1}"#,
        &["0", "9.99999999999999999999999", "\"text\""],
        &[
            ("-1e-30", "", "/minimum"),
            ("10.0", "", "/exclusiveMaximum"),
        ],
    );
    check(
        r#"{"exclusiveMinimum":0.1,"maximum":9007199254740992}"#,
        &["0.10000000000000000001", "9007199254740992"],
        &[
            ("0.1", "", "/exclusiveMinimum"),
            ("9007199254740993", "", "/maximum"),
        ],
    );
    check(
        r#"{"multipleOf":0.01}"#,
        &["19.99", "0", "1e300"],
        &[("0.015", "", "/multipleOf")],
    );
}

#[test]
fn texts_are_measured_in_characters() {
    check(
        r#"{"minLength":2,"maxLength":3}"#,
        &["\"äö\"", "\"😀😀😀\"", "1"],
        &[("\"a\"", "", "/minLength"), ("\"abcd\"", "", "/maxLength")],
    );
    check(
        r#"{"pattern":"^[\\w.]+@\\d+$"}"#,
        &["\"a.b@12\""],
        &[
            ("\"ä@1\"", "", "/pattern"),
            ("\"a@\u{661}\"", "", "/pattern"),
        ],
    );
    check(
        r#"{"pattern":"b"}"#,
        &["\"abc\""],
        &[("\"ac\"", "", "/pattern")],
    );
    check(
        r#"{"pattern":"^\\p{Lu}\\s\\S$"}"#,
        &["\"Ä\u{a0}x\""],
        &[("\"Ä  \"", "", "/pattern")],
    );
}

#[test]
fn items_obey_by_their_place() {
    check(
        r#"{"prefixItems":[{"type":"string"},{"type":"number"}],"items":{"type":"boolean"},"minItems":1,"maxItems":4}"#,
        &["[\"a\"]", "[\"a\",1,true]", "{}"],
        &[
            ("[]", "", "/minItems"),
            ("[1]", "/0", "/prefixItems/0/type"),
            ("[\"a\",1,true,0]", "/3", "/items/type"),
            ("[\"a\",1,true,true,true]", "", "/maxItems"),
        ],
    );
    check(
        r#"{"contains":{"type":"string"},"maxContains":2}"#,
        &["[1,\"a\"]", "[\"a\",\"b\",1]"],
        &[
            ("[1]", "", "/contains"),
            ("[\"a\",\"b\",\"c\"]", "", "/contains"),
        ],
    );
    check(
        r#"{"contains":{"type":"string"},"minContains":0}"#,
        &["[]", "[1]"],
        &[],
    );
    check(
        r#"{"uniqueItems":true}"#,
        &["[1,\"1\",[1]]"],
        &[("[1,2,1.0]", "", "/uniqueItems")],
    );
    check(r#"{"uniqueItems":false}"#, &["[1,1]"], &[]);
}

#[test]
fn members_obey_by_their_name() {
    check(
        r#"{"properties":{"a/b":{"type":"number"}},"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false,"required":["a/b"],"maxProperties":3}"#,
        &[r#"{"a/b":1,"x1":""}"#, "[]"],
        &[
            ("{}", "", "/required"),
            (r#"{"a/b":""}"#, "/a~1b", "/properties/a~1b/type"),
            (r#"{"a/b":1,"x":1}"#, "/x", "/patternProperties/^x/type"),
            (r#"{"a/b":1,"y":1}"#, "/y", "/additionalProperties"),
            (r#"{"a/b":1,"x1":"","x2":"","x3":""}"#, "", "/maxProperties"),
        ],
    );
    check(
        r#"{"propertyNames":{"maxLength":2},"minProperties":1,"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["d"]}}}"#,
        &[r#"{"a":1,"b":1}"#, r#"{"c":1,"d":1}"#],
        &[
            ("{}", "", "/minProperties"),
            (r#"{"abc":1}"#, "/abc", "/propertyNames/maxLength"),
            (r#"{"a":1}"#, "", "/dependentRequired"),
            (r#"{"c":1}"#, "", "/dependentSchemas/c/required"),
        ],
    );
}

#[test]
fn schemas_are_combined() {
    check(
        r#"{"anyOf":[{"type":"string"},{"minimum":5}],"not":{"const":7}}"#,
        &["\"a\"", "5"],
        &[("4", "", "/anyOf"), ("7", "", "/not")],
    );
    check(
        r#"{"oneOf":[{"multipleOf":2},{"multipleOf":3}],"allOf":[{"maximum":9}]}"#,
        &["2", "3"],
        &[
            ("5", "", "/oneOf"),
            ("6", "", "/oneOf"),
            ("10", "", "/allOf/0/maximum"),
        ],
    );
    check(
        r#"{"if":{"properties":{"kind":{"const":"a"}},"required":["kind"]},"then":{"required":["a"]},"else":{"required":["b"]}}"#,
        &[
            r#"{"kind":"a","a":1}"#,
            r#"{"kind":"c","b":1}"#,
            r#"{"b":1}"#,
        ],
        &[
            (r#"{"kind":"a","b":1}"#, "", "/then/required"),
            (r#"{"kind":"b"}"#, "", "/else/required"),
        ],
    );
}

#[test]
fn references_lead_to_a_place_in_the_schema() {
    let tree = r##"{"$id":"https://example.org/tree","$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"left":{"$ref":"#/$defs/node"},"right":{"$ref":"https://example.org/tree#/$defs/node"},"a b":{"$ref":"#/$defs/a%20b"}}},"a b":{"type":"number"}}}"##;
    check(
        tree,
        &[r#"{"left":{"right":{}},"a b":1}"#],
        &[
            (r#"{"left":{"right":1}}"#, "/left/right", "/$defs/node/type"),
            (r#"{"a b":""}"#, "/a b", "/$defs/a b/type"),
        ],
    );
    check(
        r##"{"properties":{"next":{"$ref":"#"}},"additionalProperties":false}"##,
        &[r#"{"next":{"next":{}}}"#],
        &[(r#"{"next":{"x":1}}"#, "/next/x", "/additionalProperties")],
    );
}

#[test]
fn what_no_rule_has_looked_at_is_known() {
    check(
        r#"{"allOf":[{"properties":{"a":true}}],"anyOf":[{"properties":{"b":true},"required":["b"]},{"properties":{"c":true}}],"if":{"required":["d"]},"then":{"properties":{"d":true}},"unevaluatedProperties":false}"#,
        &[r#"{"a":1,"b":1,"c":1,"d":1}"#, r#"{"c":1}"#],
        &[
            (r#"{"a":1,"b":1,"x":1}"#, "/x", "/unevaluatedProperties"),
            (r#"{"b":1,"c":1,"e":1}"#, "/e", "/unevaluatedProperties"),
        ],
    );
    check(
        r#"{"unevaluatedItems":{"type":"null"},"prefixItems":[true],"contains":{"type":"string"}}"#,
        &["[1,\"a\",null]"],
        &[("[1,\"a\",2]", "/2", "/unevaluatedItems/type")],
    );
    check(
        r#"{"not":{"not":{"properties":{"a":true}}},"unevaluatedProperties":false}"#,
        &["{}"],
        &[(r#"{"a":1}"#, "/a", "/unevaluatedProperties")],
    );
}

#[test]
fn schemas_that_would_not_be_obeyed_are_refused_with_their_place() {
    for (schema, place) in [
        ("[]", ""),
        (
            r#"{"$schema":"http://json-schema.org/draft-04/schema#"}"#,
            "/$schema",
        ),
        (
            r#"{"properties":{"a":{"requird":["b"]}}}"#,
            "/properties/a/requird",
        ),
        (r#"{"properties":{"a":1}}"#, "/properties/a"),
        (r#"{"type":"text"}"#, "/type"),
        (r#"{"type":1}"#, "/type"),
        (r#"{"minLength":-1}"#, "/minLength"),
        (r#"{"minimum":"1"}"#, "/minimum"),
        (r#"{"multipleOf":0}"#, "/multipleOf"),
        (r#"{"required":"a"}"#, "/required"),
        (r#"{"required":[1]}"#, "/required"),
        (r#"{"pattern":"(?=a)"}"#, "/pattern"),
        (r#"{"pattern":"["}"#, "/pattern"),
        (
            r#"{"patternProperties":{"(":true}}"#,
            "/patternProperties/(",
        ),
        (r#"{"items":[{}]}"#, "/items"),
        (r#"{"additionalItems":true}"#, "/additionalItems"),
        (r#"{"anyOf":{}}"#, "/anyOf"),
        (r#"{"uniqueItems":1}"#, "/uniqueItems"),
        (r##"{"$ref":"#/$defs/a"}"##, "/$ref"),
        (r##"{"$ref":"#a"}"##, "/$ref"),
        (r#"{"$ref":"https://example.org/other"}"#, "/$ref"),
        (r#"{"$ref":"other.json"}"#, "/$ref"),
        (r#"{"$dynamicRef":"x"}"#, "/$dynamicRef"),
        (r#"{"items":{"$id":"x"}}"#, "/items/$id"),
        (r##"{"$ref":"#"}"##, ""),
        (
            r##"{"allOf":[{"anyOf":[{"$ref":"#/allOf/0"}]}]}"##,
            "/allOf/0",
        ),
    ] {
        let error = Runner::<JsonSchema>::new(&[("schema", schema)])
            .err()
            .unwrap();
        let begin = format!("configuration key schema: at {place:?}: ");
        assert!(error.starts_with(&begin), "{schema}: {error}");
    }
}

#[test]
fn as_many_schemas_in_a_row_as_allowed_and_one_more() {
    let row = |depth: usize| format!("{}{{}}{}", "{\"not\":".repeat(depth), "}".repeat(depth));
    assert!(Runner::<JsonSchema>::new(&[("schema", &row(compile::SAME_MAX))]).is_ok());
    let error = Runner::<JsonSchema>::new(&[("schema", &row(compile::SAME_MAX + 1))]).err();
    assert!(error.unwrap().contains("over 32"));
}

#[test]
fn channels_have_their_schemas() {
    let config = [
        ("schema", r#"{"type":"object"}"#),
        ("schema.orders.>", r#"{"required":["id"]}"#),
        ("schema.*.eu", r#"{"required":["vat"]}"#),
        ("schema.log.*", "true"),
    ];
    let outcome = |channel: &str, data: &str| match run(&config, Input::json(channel, data)).0 {
        Outcome::Ack => String::new(),
        Outcome::Reject { reason } => reason.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome("orders.us", r#"{"id":1}"#), "");
    assert_eq!(outcome("orders.eu", r#"{"id":1,"vat":1}"#), "");
    assert_eq!(outcome("log.a", "[]"), "");
    for (channel, data, member) in [
        ("orders.eu", r#"{"id":1}"#, "vat"),
        ("orders.eu", r#"{"vat":1}"#, "id"),
    ] {
        let told = format!("\"\" must have the member {member:?} (rule \"/required\")");
        assert_eq!(outcome(channel, data), told);
    }
    assert_eq!(
        outcome("other", "[]"),
        "\"\" must be object (rule \"/type\")"
    );
}

#[test]
fn what_obeys_passes_byte_for_byte_and_the_rest_is_told_why() {
    let schema = ("schema", r#"{"properties":{"age":{"minimum":18}}}"#);
    let input = Input {
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("a", "{ \"age\" : 18.0 }\n")
    };
    let (outcome, outputs) = run(&[schema], input.clone());
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(
        (&outputs[0].data, &outputs[0].headers),
        (&input.data, &input.headers)
    );
    let (outcome, _) = run(&[schema], Input::json("a", r#"{"age":7}"#));
    assert_eq!(
        outcome,
        Outcome::reject("\"/age\" must be at least 18 (rule \"/properties/age/minimum\")")
    );
    record(|host| assert_eq!(host.counters["rejected"], 1));
    // Which of the two counts, its readers would not agree on.
    let (outcome, _) = run(&[schema], Input::json("a", r#"{"age":18,"age":7}"#));
    assert_eq!(
        outcome,
        Outcome::reject("not json: a member comes twice at byte 10")
    );
}

#[test]
fn what_is_no_json_is_handled_as_the_setting_says() {
    let input = Input {
        content_type: "text/plain".into(),
        ..Input::json("a", "hello")
    };
    let schema = ("schema", "true");
    assert!(matches!(
        run(&[schema], input.clone()).0,
        Outcome::Reject { .. }
    ));
    assert_eq!(
        run(&[schema, ("other_data", "pass")], input.clone()).0,
        Outcome::Ack
    );
    assert_eq!(
        run(&[("schema.b", "true")], input).0,
        Outcome::Ack,
        "nobody's to judge"
    );
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, names) in [
        (&[][..], "schema: is not set"),
        (&[("schema", "{")], "schema: "),
        (&[("schema.a..b", "{}")], "schema.a..b: "),
        (&[("schema.a", "1")], "schema.a: at \"\": "),
        (&[("schema", "{}"), ("other_data", "text")], "other_data: "),
        (&[("schemas", "{}")], "schemas: "),
    ] {
        let error = Runner::<JsonSchema>::new(config).err().unwrap();
        assert!(
            error.starts_with(&format!("configuration key {names}")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (outcome, outputs) = run(&[("schema", r#"{"type":"object"}"#)], Input::json("a", data));
        prop_assert_eq!(outcome == Outcome::Ack, outputs.len() == 1);
    }

    #[test]
    fn a_schema_of_any_shape_is_read_or_refused(text in r#"\{("(type|items|\$ref|pattern|enum|if|not|required)":("[#/a-z(*]{0,3}"|\[\]|\{\}|1|true),?){0,3}\}"#) {
        let _either = Runner::<JsonSchema>::new(&[("schema", &text)]).err();
    }
}
