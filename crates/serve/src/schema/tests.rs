//! The grammars of schemas against values that are valid and values that are not. Whether a grammar matches a
//! text is decided by llama.cpp itself, with the vocabulary of a real model, so these tests see what a
//! constrained answer sees.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::test_model;

/// Whether the whole text matches the grammar of the schema.
fn matches(schema: &Value, text: &str) -> bool {
    let grammar = compile(schema, "schema").unwrap_or_else(|error| panic!("{schema}: {error}"));
    test_model::matches(&grammar, text)
}

fn check(schema: Value, valid: &[&str], invalid: &[&str]) {
    for text in valid {
        assert!(matches(&schema, text), "{schema} should match {text}");
    }
    for text in invalid {
        assert!(!matches(&schema, text), "{schema} should not match {text}");
    }
}

/// The schema is refused, and the message names all of these.
fn refused(schema: Value, names: &[&str]) {
    match compile(&schema, "here") {
        Err(Error::Invalid { message, param: Some(param) }) => {
            assert_eq!(param, "here");
            assert!(names.iter().all(|name| message.contains(name)), "{message} should name {names:?}");
        }
        other => panic!("{schema}: {other:?}"),
    }
}

#[test]
fn plain_types() {
    check(json!({"type": "null"}), &["null"], &["0", "", "nul"]);
    check(json!({"type": "boolean"}), &["true", "false"], &["True", "1"]);
    check(json!({"type": "string"}), &[r#""""#, r#""a\"\\\n\u00e9é""#], &[r#""a"#, "\"\n\"", r#""\x""#, r#""\ud800""#]);
    check(json!({"type": "integer"}), &["0", "-7", "123456"], &["01", "1.0", "-", "1e3"]);
    check(json!({"type": "number"}), &["0", "-0.5", "1e10", "3.25E-7"], &[".5", "1.", "+1", "00"]);
    check(json!({"type": ["string", "null"]}), &["null", r#""a""#], &["1"]);
    check(json!({}), &["null", "[1, {\"a\": []}]", r#""x""#], &["[1,]", "{a: 1}", "[", "{\"a\"}"]);
    check(json!(true), &["12"], &["nope"]);
}

#[test]
fn listed_values() {
    check(json!({"enum": ["a", 1, null, {"b": [true]}]}), &["\"a\"", "1", "null", "{\"b\":[true]}"], &["\"b\"", "2"]);
    check(json!({"type": "string", "enum": ["a", 1]}), &["\"a\""], &["1"]);
    check(json!({"const": "é\"\n"}), &[r#""é\"\n""#], &["\"é\""]);
    refused(json!({"type": "string", "enum": [1, 2]}), &["enum"]);
}

#[test]
fn whole_numbers_between_bounds() {
    let range = |min: i64, max: i64| json!({"type": "integer", "minimum": min, "maximum": max});
    for (min, max) in [(0, 9), (0, 255), (-12, 7), (7, 7), (98, 1203), (-250, -99), (999, 1000)] {
        for number in (min - 15)..=(max + 15) {
            assert_eq!(
                matches(&range(min, max), &number.to_string()),
                (min..=max).contains(&number),
                "{number} in {min}..={max}"
            );
        }
    }
    check(json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3}), &["1", "2"], &["0", "3"]);
    check(json!({"type": "integer", "minimum": 0.5, "maximum": 2.5}), &["1", "2"], &["0", "3"]);
    check(json!({"type": "integer", "minimum": 18}), &["18", "99", "100", "4000000"], &["17", "-18", "9"]);
    refused(json!({"type": "integer", "minimum": 3, "maximum": 2}), &["no number"]);
}

#[test]
fn decimals_between_whole_bounds() {
    let unit = json!({"type": "number", "minimum": 0, "maximum": 1});
    check(unit, &["0", "1", "0.5", "1.0", "0.001"], &["1.1", "-0.5", "2", "1.01"]);
    let open = json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1});
    check(open, &["0.5", "0.01"], &["0", "1", "0.0", "1.0"]);
    let around = json!({"type": "number", "minimum": -2, "maximum": 3});
    check(around, &["-2", "-1.5", "-0.5", "0", "2.9", "3"], &["-2.1", "3.1", "-3"]);
    refused(json!({"type": "number", "minimum": 0.5}), &["0.5"]);
}

#[test]
fn strings_of_a_length() {
    check(
        json!({"type": "string", "minLength": 2, "maxLength": 3}),
        &[r#""ab""#, r#""é\n😀""#],
        &[r#""a""#, r#""abcd""#],
    );
    check(json!({"minLength": 1}), &[r#""a""#], &[r#""""#, "1"]);
    refused(json!({"type": "string", "maxLength": 2001}), &["maxLength", "2000"]);
    refused(json!({"type": "string", "minLength": 3, "maxLength": 2}), &["maxLength"]);
}

#[test]
fn formats() {
    check(
        json!({"format": "date"}),
        &[r#""2024-12-31""#, r#""2023-02-28""#],
        &[r#""2024-13-01""#, r#""2023-02-30""#, r#""24-1-1""#],
    );
    check(
        json!({"type": "string", "format": "date-time"}),
        &[r#""2024-12-31T23:59:59Z""#, r#""2024-01-01T00:00:00.5+02:00""#],
        &[r#""2024-12-31 23:59:59""#, r#""2024-12-31T24:00:00Z""#],
    );
    check(json!({"format": "uuid"}), &[r#""123e4567-e89b-12d3-a456-426614174000""#], &[r#""123e4567""#]);
    check(json!({"format": "email"}), &[r#""a.b@example.org""#], &[r#""a@b""#, r#""@example.org""#]);
    check(
        json!({"format": "ipv4"}),
        &[r#""192.168.0.1""#, r#""255.255.255.255""#],
        &[r#""256.1.1.1""#, r#""01.1.1.1""#],
    );
    refused(json!({"type": "string", "format": "hostname"}), &["format", "hostname"]);
}

#[test]
fn patterns() {
    let pattern = |source: &str| json!({"type": "string", "pattern": source});
    check(
        pattern("^[A-Z]{2}-\\d{3,4}$"),
        &[r#""AB-123""#, r#""AB-1234""#],
        &[r#""AB-12""#, r#""xAB-123""#, r#""AB-12345""#],
    );
    check(pattern("^(foo|ba[rz])+$"), &[r#""foobar""#, r#""baz""#], &[r#""ba""#, r#""""#]);
    check(pattern("[A-Z]"), &[r#""xAy""#, r#""A""#], &[r#""x""#]);
    check(pattern("^a|b$"), &[r#""axx""#, r#""xxb""#], &[r#""xax""#]);
    check(pattern("^[^a-z\"]$"), &[r#""A""#, r#""\\""#, r#""é""#], &[r#""a""#, r#""\"""#]);
    check(pattern("^\\w+\\s\\W?$"), &[r#""ab c""#.replace('c', "!").as_str()], &[r#""ab""#]);
    check(pattern("^.?\\n$"), &[r#""\n""#, r#""x\n""#], &[r#""xn""#]);
    check(pattern("^\\u0041\\x42\\.$"), &[r#""AB.""#], &[r#""ABC""#]);
    check(pattern("^$"), &[r#""""#], &[r#""a""#]);
    for (source, why) in [
        ("(?=a)", "look-around"),
        ("a+?", "lazy"),
        ("\\bword", "\\b"),
        ("(a)\\1", "\\1"),
        ("a{9999}", "2000"),
        ("(a", "not closed"),
        ("[a", "not closed"),
        ("*a", "nothing to repeat"),
        ("a)", "unexpected"),
        ("x^y", "start"),
    ] {
        refused(pattern(source), &["pattern", why]);
    }
}

#[test]
fn objects_keep_the_order_of_their_schema() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["b"],
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}}});
    check(
        schema,
        &["{\"b\":1}", "{\"a\": 1, \"b\": 2}", "{\"b\":1,\"c\":2}", "{\n  \"a\":1,\n  \"b\":2,\n  \"c\":3\n}"],
        &["{}", "{\"a\":1}", "{\"c\":1,\"b\":2}", "{\"b\":1,}", "{\"b\":1,\"d\":2}", "{,\"b\":1}"],
    );
}

#[test]
fn other_properties_follow_when_they_are_allowed() {
    let typed = json!({"type": "object", "properties": {"ab": {"type": "integer"}}, "additionalProperties": {"type": "string"}});
    check(
        typed,
        &["{}", "{\"ab\":1}", "{\"x\":\"y\"}", "{\"ab\":1, \"abc\":\"y\", \"a\":\"z\", \"\":\"\"}"],
        &["{\"ab\":\"y\"}", "{\"x\":1}", "{\"\\u0061b\":\"y\"}"],
    );
    check(json!({"type": "object"}), &["{}", "{\"a\":[1]}"], &["[]"]);
    check(json!({"type": "object", "properties": {"a": {}}}), &["{}", "{\"a\":1}"], &["{\"b\":1}"]);
    check(
        json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        &["{\"k\":1,\"l\":2}"],
        &["{\"k\":\"\"}"],
    );
    check(
        json!({"required": ["z"], "properties": {"a": {"type": "null"}}}),
        &["{\"z\":[]}", "{\"a\":null,\"z\":1}"],
        &["{\"a\":null}"],
    );
}

#[test]
fn arrays() {
    check(json!({"type": "array"}), &["[]", "[1, \"a\"]"], &["[1,]"]);
    let bounded = json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3});
    check(bounded, &["[1]", "[1, 2,3]"], &["[]", "[1,2,3,4]", "[\"a\"]"]);
    check(json!({"type": "array", "items": {}, "maxItems": 0}), &["[]", "[ ]"], &["[1]"]);
    check(
        json!({"type": "array", "items": {"type": "null"}, "minItems": 2}),
        &["[null,null]", "[null,null,null]"],
        &["[null]"],
    );
    let tuple = json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]});
    check(tuple, &["[1, \"a\"]"], &["[1]", "[\"a\", 1]"]);
}

#[test]
fn unions_and_conjunctions() {
    check(json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), &["1", "null"], &["\"\""]);
    check(json!({"type": "string", "anyOf": [{"maxLength": 1}, {"minLength": 3}]}), &["\"a\"", "\"abc\""], &["\"ab\""]);
    let kinds = json!({"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind", "x"]},
        {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}]});
    check(kinds, &["{\"kind\":\"a\",\"x\":1}", "{\"kind\":\"b\"}"], &["{\"kind\":\"a\"}", "{\"kind\":\"c\"}"]);
    let all = json!({"allOf": [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"$ref": "#/$defs/b"}], "$defs": {"b": {"properties": {"b": {"type": "null"}}, "required": ["b"]}}});
    check(all, &["{\"a\":1,\"b\":null}"], &["{\"a\":1}", "{\"b\":null}"]);
    let two = json!({"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": {
        "A": {"type": "object", "properties": {"a": {"type": "integer"}, "c": {"$ref": "#/$defs/C"}}, "required": ["a"]},
        "B": {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}}, "required": ["c"]},
        "C": {"type": "null"}}});
    check(two, &["{\"a\":1,\"c\":null}"], &["{\"a\":1}", "{\"c\":null}", "{\"a\":1,\"c\":2}"]);
    refused(json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}), &["oneOf", "0 and 1"]);
    refused(json!({"allOf": [{"type": "string", "minLength": 1}, {"minLength": 2}]}), &["minLength"]);
    refused(
        json!({"allOf": [{"properties": {"a": {}}, "additionalProperties": false}, {"properties": {"b": {}}}]}),
        &["additionalProperties"],
    );
}

#[test]
fn references_may_recurse() {
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["v"], "additionalProperties": false,
        "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}});
    check(tree, &["{\"v\":1}", "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[]},{\"v\":3}]}"], &["{\"v\":1,\"kids\":[1]}"]);
    let list = json!({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]});
    check(list, &["null", "[[null], null]"], &["[1]"]);
    refused(json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), &["refers to itself"]);
    refused(json!({"$ref": "#/nowhere"}), &["#/nowhere"]);
    refused(json!({"type": "object", "allOf": [{"$ref": "#"}]}), &["refers to itself"]);
    refused(json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), &["refers to itself"]);
    let grows = json!({"allOf": [{"type": "object"}, {"$ref": "#/$defs/a"}],
        "$defs": {"a": {"allOf": [{"properties": {"x": {"type": "object"}}}, {"properties": {"x": {"$ref": "#/$defs/a"}}}]}}});
    refused(grows, &["refers to itself"]);
    let optional =
        json!({"type": "object", "additionalProperties": false, "properties": {"next": {"allOf": [{"$ref": "#"}]}}});
    check(optional, &["{}", "{\"next\":{\"next\":{}}}"], &["{\"next\":1}"]);
    refused(json!({"$ref": "https://example.org/schema"}), &["https://example.org/schema"]);
}

#[test]
fn values_that_begin_alike_are_told_apart() {
    let listed = json!({"enum": ["a", "ab", "abc", "b", "", "é", "è", 1, 12, {"a": 1}, {"a": 12}]});
    check(
        listed.clone(),
        &["\"\"", "\"a\"", "\"ab\"", "\"abc\"", "\"é\"", "1", "12", "{\"a\":1}", "{\"a\":12}"],
        &["\"abcd\"", "\"ac\"", "\"", "\"ê\"", "{\"a\":2}", "{\"a\":1"],
    );
    let of: Vec<Value> = listed["enum"].as_array().unwrap().iter().map(|value| json!({"const": value})).collect();
    check(json!({"anyOf": of}), &["\"ab\"", "12"], &["\"ac\""]);
}

#[test]
fn what_would_hold_up_other_answers_is_refused() {
    // Many values are no trouble as long as few of them are possible at one place.
    let words: Vec<String> = (0..5000).map(|n| format!("word {n}")).collect();
    check(json!({"enum": words}), &["\"word 0\"", "\"word 4999\""], &["\"word 5000\"", "\"word\""]);
    let signs: Vec<String> = (0x4E00..0x4E00 + 1001).filter_map(char::from_u32).map(String::from).collect();
    refused(json!({"enum": signs}), &["1001 ways", "1000"]);
    let long: Vec<String> = (0..300).map(|n| format!("{n}{}", "x".repeat(1000))).collect();
    refused(json!({"enum": long}), &["too large"]);
    let pattern = "a{2000}".repeat(100);
    refused(json!({"type": "string", "pattern": format!("^{pattern}$")}), &["too large"]);
    let optional: Map<String, Value> = (0..1100).map(|n| (format!("p{n}"), json!({"type": "null"}))).collect();
    refused(json!({"type": "object", "properties": optional}), &["ways"]);
    let name = "n".repeat(100_000);
    refused(
        json!({"properties": {name: {}}, "additionalProperties": {"type": "null"}}),
        &["additionalProperties", "200"],
    );
    for nested in ["(a*)*", "(a?){9}", "(a|)+"] {
        refused(json!({"pattern": format!("^{nested}$")}), &["pattern", "empty"]);
    }
}

#[test]
fn references_that_multiply_are_refused() {
    // Thirty definitions that each name the next one twice: 2^30 leaves.
    let mut defs = Map::new();
    for n in 0..30 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        defs.insert(format!("d{n}"), json!({"anyOf": [next, next]}));
    }
    defs.insert("d30".to_owned(), json!({"minLength": 1}));
    refused(
        json!({"type": "string", "anyOf": [{"$ref": "#/$defs/d0"}, {"type": "null"}], "$defs": defs}),
        &["too large"],
    );
    let option = |n: usize| {
        let names: Vec<String> = (0..100).map(|name| format!("p{name}")).collect();
        json!({"type": "object", "required": names, "properties": {"p99": {"const": n}}})
    };
    refused(json!({"oneOf": (0..200).map(option).collect::<Vec<_>>()}), &["too large"]);
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    for keyword in [
        "not",
        "if",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "minProperties",
        "unevaluatedProperties",
    ] {
        let mut inner = json!({"type": "object"});
        inner[keyword] = json!({});
        refused(json!({"type": "object", "properties": {"p": inner}}), &[keyword, "#/properties/p"]);
    }
    for keyword in ["uniqueItems", "contains", "multipleOf", "contentEncoding"] {
        refused(json!({"type": "array", "items": {keyword: 1}}), &[keyword, "#/items"]);
    }
    refused(json!(false), &["false"]);
    refused(json!({"type": "date"}), &["date"]);
    let deep = (0..100).fold(json!({"type": "null"}), |inner, _| json!({"type": "array", "items": inner}));
    refused(deep, &["deep"]);
}

/// A schema, a value that it allows and one that it does not.
fn case() -> impl Strategy<Value = (Value, Value, Value)> {
    let leaf = prop_oneof![
        (-500i64..500, 0i64..500).prop_map(|(min, more)| {
            let schema = json!({"type": "integer", "minimum": min, "maximum": min + more});
            (schema, json!(min + more / 2), json!(min + more + 1))
        }),
        "[a-zé\"\\\\\n]{0,6}".prop_map(|text| {
            let length = text.chars().count();
            (
                json!({"type": "string", "minLength": length, "maxLength": length}),
                json!(text),
                json!(text.clone() + "x"),
            )
        }),
        "[a-z\"]{1,4}".prop_map(|text| (json!({"enum": [text, 7, null]}), json!(text), json!(text.clone() + "x"))),
        any::<bool>().prop_map(|truth| (json!({"type": "boolean"}), json!(truth), json!("true"))),
        any::<i32>().prop_map(|number| (json!({"type": "number"}), json!(f64::from(number) / 8.0), json!([number]))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(object_case),
            (inner.clone(), 1usize..4).prop_map(|((schema, valid, invalid), count)| {
                let schema = json!({"type": "array", "items": schema, "minItems": count, "maxItems": count});
                let mut broken = vec![valid.clone(); count];
                broken[count - 1] = invalid;
                (schema, json!(vec![valid; count]), json!(broken))
            }),
            inner.prop_map(|(schema, valid, _)| {
                let schema = json!({"anyOf": [{"type": "object", "properties": {"k": schema}, "required": ["k"]}, {"type": "null"}]});
                (schema, json!({"k": valid}), json!({"l": valid}))
            }),
        ]
    })
}

fn object_case(members: Vec<(Value, Value, Value)>) -> (Value, Value, Value) {
    let names: Vec<String> = (0..members.len()).map(|place| format!("p{place}")).collect();
    let object = |pick: fn(&(Value, Value, Value)) -> &Value| -> Map<String, Value> {
        names.iter().cloned().zip(members.iter().map(|member| pick(member).clone())).collect()
    };
    let (schemas, valid) = (object(|member| &member.0), object(|member| &member.1));
    let mut invalid = valid.clone();
    invalid.insert("p0".to_owned(), members[0].2.clone());
    let schema = json!({"type": "object", "properties": schemas, "required": names, "additionalProperties": false});
    (schema, Value::Object(valid), Value::Object(invalid))
}

/// Schemas that say whatever they like, with references into themselves.
fn anything() -> impl Strategy<Value = Value> {
    let pointer = prop::sample::select(vec!["#", "#/$defs/a", "#/$defs/b", "#/$defs/c", "#/properties/p", "#/nowhere"]);
    let leaf = prop_oneof![
        pointer.prop_map(|pointer| json!({"$ref": pointer})),
        prop::sample::select(vec!["string", "object", "array", "integer", "null"])
            .prop_map(|name| json!({"type": name})),
        any::<bool>().prop_map(Value::Bool),
        "[(a*|)?+]{1,6}".prop_map(|pattern| json!({"pattern": pattern})),
        (0u32..9, 0u32..9).prop_map(|(min, max)| json!({"minLength": min, "maxLength": max})),
        "[ab]{0,2}".prop_map(|text| json!({"enum": [text, 1, null]})),
    ];
    let schema = leaf.prop_recursive(4, 40, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        let keyword = prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
        let beside = (list, keyword, inner.clone()).prop_map(|(list, keyword, mut beside)| {
            match beside.as_object_mut() {
                Some(map) => drop(map.insert(keyword.to_owned(), json!(list))),
                None => beside = json!({keyword: list}),
            }
            beside
        });
        let object = (inner.clone(), inner.clone(), any::<bool>()).prop_map(|(p, q, closed)| {
            json!({"type": "object", "properties": {"p": p, "q": q}, "required": ["q"], "additionalProperties": !closed})
        });
        prop_oneof![beside, object, inner.prop_map(|items| json!({"type": "array", "items": items}))]
    });
    (schema.clone(), prop::collection::vec(schema, 3)).prop_map(|(mut root, defs)| {
        if let Some(map) = root.as_object_mut() {
            map.insert("$defs".to_owned(), json!({"a": defs[0], "b": defs[1], "c": defs[2]}));
        }
        root
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Nobody can bring the server down with a schema: it is refused, or llama.cpp takes its grammar.
    #[test]
    fn every_schema_is_compiled_or_refused(schema in anything()) {
        match compile(&schema, "here") {
            Ok(grammar) => drop(test_model::matches(&grammar, "{}")),
            Err(error) => prop_assert!(matches!(&error, Error::Invalid { .. }), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_schema_allows_is_what_its_grammar_matches((schema, valid, invalid) in case()) {
        prop_assert!(matches(&schema, &valid.to_string()), "{schema} should match {valid}");
        prop_assert!(matches(&schema, &format!("{valid:#}")), "{schema} should match {valid:#}");
        prop_assert!(!matches(&schema, &invalid.to_string()), "{schema} should not match {invalid}");
    }
}
