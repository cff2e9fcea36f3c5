//! Is this JSON what a schema allows?
//!
//! The part of JSON Schema 2020-12 that outputs of models are described with. A keyword that is not known is refused when
//! the schema is read, so that no answer passes because a rule was not understood. There is no fetching of other schemas:
//! references lead into the same document.

use std::cell::Cell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use crate::text::pattern;
use crate::{Error, Result};

/// Bytes of a schema as text at most.
pub const LARGEST_SCHEMA_BYTES: usize = 256 * 1024;
/// Schemas within schemas, references followed.
const MAX_DEPTH: usize = 64;
/// Schemas held against values in one check: alternatives within alternatives multiply.
const MAX_STEPS: usize = 1_000_000;

/// Keywords that describe and do not restrict. `format` is one of them unless somebody asks, says 2020-12.
const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "default",
    "examples",
    "example",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
];

/// Keywords that are held against a value.
const KEYWORDS: &[&str] = &[
    "$ref",
    "type",
    "enum",
    "const",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "dependentRequired",
    "items",
    "prefixItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

const TYPES: &[&str] = &["null", "boolean", "object", "array", "number", "integer", "string"];

/// A schema that has been read.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Value,
    patterns: HashMap<String, Regex>,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// [`Error::Schema`] for a keyword that is not known or has a wrong value, and its place.
    pub fn new(schema: &Value) -> Result<Self> {
        let mut read = Self { root: schema.clone(), patterns: HashMap::new() };
        if schema.to_string().len() > LARGEST_SCHEMA_BYTES {
            return Err(wrong("#", format!("it has over {LARGEST_SCHEMA_BYTES} bytes")));
        }
        read.admit(schema, "#", 0)?;
        Ok(read)
    }

    /// Whether it allows a value.
    ///
    /// ```
    /// let schema = qd_eval::schema::Schema::new(&serde_json::json!({"type": "array", "minItems": 1}))?;
    /// assert!(schema.allows(&serde_json::json!([1])) && !schema.allows(&serde_json::json!([])));
    /// # Ok::<(), qd_eval::Error>(())
    /// ```
    pub fn allows(&self, value: &Value) -> bool {
        let check = Check { schema: self, steps: Cell::new(0), too_deep: Cell::new(false) };
        // What was not held against the value to the end may stand below a `not`.
        check.value(&self.root, value, 0) && !check.too_deep.get()
    }

    /// Whether a text is JSON that it allows; with `fenced`, the first fenced block of Markdown counts when there is one.
    pub fn allows_text(&self, text: &str, fenced: bool) -> bool {
        let block = fenced.then(|| fence(text)).flatten();
        serde_json::from_str(block.unwrap_or(text)).is_ok_and(|value| self.allows(&value))
    }

    fn admit(&mut self, schema: &Value, place: &str, depth: usize) -> Result<()> {
        let map = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(map) if depth < MAX_DEPTH => map,
            Value::Object(_) => return Err(wrong(place, format!("it is deeper than {MAX_DEPTH}"))),
            _ => return Err(wrong(place, "a schema is an object or a boolean")),
        };
        for (keyword, value) in map {
            let place = format!("{place}/{keyword}");
            self.admit_keyword(keyword, value, &place)?;
            for (name, part) in parts(keyword, value) {
                self.admit(part, &format!("{place}{name}"), depth + 1)?;
            }
        }
        Ok(())
    }

    fn admit_keyword(&mut self, keyword: &str, value: &Value, place: &str) -> Result<()> {
        match keyword {
            "type" => admit_type(value, place),
            "$ref" => match value.as_str().and_then(|reference| self.resolve(reference)) {
                Some(_) => Ok(()),
                None => Err(wrong(place, format!("{value} leads nowhere in this schema"))),
            },
            "pattern" => {
                let text = value.as_str().ok_or_else(|| wrong(place, "a pattern is a text"))?;
                self.admit_pattern(text, place)
            }
            "patternProperties" => {
                let map = value.as_object().ok_or_else(|| wrong(place, "it is no object"))?;
                map.keys().try_for_each(|text| self.admit_pattern(text, place))
            }
            _ if ANNOTATIONS.contains(&keyword) => Ok(()),
            _ if !KEYWORDS.contains(&keyword) => Err(wrong(place, format!("the keyword {keyword:?} is not supported"))),
            _ if has_right_form(keyword, value) => Ok(()),
            _ => Err(wrong(place, format!("{value} is no value for {keyword:?}"))),
        }
    }

    fn admit_pattern(&mut self, text: &str, place: &str) -> Result<()> {
        let compiled = pattern(text).map_err(|why| wrong(place, why))?;
        self.patterns.insert(text.to_owned(), compiled);
        Ok(())
    }

    /// Only where schemas stand that were read: elsewhere there may be anything.
    fn resolve(&self, reference: &str) -> Option<&Value> {
        let path = reference.strip_prefix('#')?;
        let read = ["/$defs/", "/definitions/", "/properties/"].iter().any(|start| path.starts_with(start));
        self.root.pointer(path).filter(|_| path.is_empty() || read)
    }
}

fn wrong(place: &str, why: impl Into<String>) -> Error {
    Error::Schema { place: place.to_owned(), why: why.into() }
}

fn admit_type(value: &Value, place: &str) -> Result<()> {
    let known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    let right = match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(known),
        one => known(one),
    };
    if right { Ok(()) } else { Err(wrong(place, format!("{value} is no type"))) }
}

fn has_right_form(keyword: &str, value: &Value) -> bool {
    match keyword {
        "enum" => value.is_array(),
        "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
        "dependentRequired" | "properties" => value.is_object(),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => value.as_array().is_some_and(|list| !list.is_empty()),
        "uniqueItems" => value.is_boolean(),
        "multipleOf" => value.as_f64().is_some_and(|of| of > 0.0),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        _ if keyword.starts_with("min") || keyword.starts_with("max") => value.as_u64().is_some(),
        _ => true,
    }
}

/// The schemas below a keyword, with their places.
fn parts<'a>(keyword: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    match (keyword, value) {
        ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(map)) => {
            map.iter().map(|(name, part)| (format!("/{name}"), part)).collect()
        }
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(list)) => {
            list.iter().enumerate().map(|(place, part)| (format!("/{place}"), part)).collect()
        }
        ("not" | "if" | "then" | "else" | "items" | "contains" | "additionalProperties" | "propertyNames", part) => {
            vec![(String::new(), part)]
        }
        _ => Vec::new(),
    }
}

/// What stands in the first fenced block of a text.
fn fence(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("```")?;
    let (_, body) = after.split_once('\n')?;
    body.split_once("```").map(|(inside, _)| inside)
}

struct Check<'a> {
    schema: &'a Schema,
    steps: Cell<usize>,
    too_deep: Cell<bool>,
}

impl Check<'_> {
    /// Whether a schema allows a value. What takes too many steps, or refers to itself without end, allows nothing.
    fn value(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        self.steps.set(self.steps.get() + 1);
        if depth > MAX_DEPTH || self.steps.get() > MAX_STEPS {
            self.too_deep.set(true);
            return false;
        }
        match schema {
            Value::Object(map) => {
                map.iter().all(|(keyword, rule)| self.keyword(keyword, rule, value, depth))
                    && self.one_of_two(map, value, depth)
                    && of_kind(value, map, depth, self)
            }
            other => other == &Value::Bool(true),
        }
    }

    /// What holds for values of all types.
    fn keyword(&self, keyword: &str, rule: &Value, value: &Value, depth: usize) -> bool {
        let each = || rule.as_array().into_iter().flatten().map(|part| self.value(part, value, depth + 1));
        match keyword {
            "$ref" => {
                let part = rule.as_str().and_then(|reference| self.schema.resolve(reference));
                part.is_some_and(|part| self.value(part, value, depth + 1))
            }
            "type" => has_type(rule, value),
            "enum" => rule.as_array().is_some_and(|list| list.iter().any(|one| same(one, value))),
            "const" => same(rule, value),
            "allOf" => each().all(|allows| allows),
            "anyOf" => each().any(|allows| allows),
            "oneOf" => each().filter(|&allows| allows).count() == 1,
            "not" => !self.value(rule, value, depth + 1),
            _ => true,
        }
    }

    fn one_of_two(&self, map: &Map<String, Value>, value: &Value, depth: usize) -> bool {
        let Some(condition) = map.get("if") else { return true };
        let then = if self.value(condition, value, depth + 1) { map.get("then") } else { map.get("else") };
        then.is_none_or(|part| self.value(part, value, depth + 1))
    }

    fn object(&self, rules: &Map<String, Value>, object: &Map<String, Value>, depth: usize) -> bool {
        let has = |name: &Value| name.as_str().is_some_and(|name| object.contains_key(name));
        let all = |names: &Value| names.as_array().is_none_or(|names| names.iter().all(has));
        rules.get("required").is_none_or(all)
            && within(rules, "minProperties", "maxProperties", object.len())
            && rules
                .get("dependentRequired")
                .and_then(Value::as_object)
                .is_none_or(|dependent| dependent.iter().all(|(name, names)| !object.contains_key(name) || all(names)))
            && object.iter().all(|(name, value)| self.property(rules, name, value, depth))
    }

    fn property(&self, rules: &Map<String, Value>, name: &str, value: &Value, depth: usize) -> bool {
        let named = rules.get("properties").and_then(|properties| properties.get(name));
        let patterns = rules.get("patternProperties").and_then(Value::as_object);
        let matching: Vec<&Value> = patterns
            .into_iter()
            .flatten()
            .filter(|(text, _)| self.schema.patterns.get(*text).is_some_and(|pattern| pattern.is_match(name)))
            .map(|(_, part)| part)
            .collect();
        let other = rules.get("additionalProperties").filter(|_| named.is_none() && matching.is_empty());
        let names = rules.get("propertyNames");
        names.is_none_or(|part| self.value(part, &Value::String(name.to_owned()), depth + 1))
            && named.into_iter().chain(matching).chain(other).all(|part| self.value(part, value, depth + 1))
    }

    fn array(&self, rules: &Map<String, Value>, list: &[Value], depth: usize) -> bool {
        let first = rules.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = rules.get("items");
        let each = list
            .iter()
            .enumerate()
            .all(|(place, value)| first.get(place).or(rest).is_none_or(|part| self.value(part, value, depth + 1)));
        let contains = rules.get("contains");
        each && within(rules, "minItems", "maxItems", list.len())
            && contains.is_none_or(|part| list.iter().any(|value| self.value(part, value, depth + 1)))
            && (rules.get("uniqueItems") != Some(&Value::Bool(true)) || unique(list))
    }

    fn string(&self, rules: &Map<String, Value>, text: &str) -> bool {
        let pattern = rules.get("pattern").and_then(Value::as_str).and_then(|text| self.schema.patterns.get(text));
        within(rules, "minLength", "maxLength", text.chars().count())
            && pattern.is_none_or(|pattern| pattern.is_match(text))
            && (pattern.is_some() || !rules.contains_key("pattern"))
    }
}

/// What holds for values of one type.
fn of_kind(value: &Value, rules: &Map<String, Value>, depth: usize, check: &Check<'_>) -> bool {
    match value {
        Value::Object(object) => check.object(rules, object, depth),
        Value::Array(list) => check.array(rules, list, depth),
        Value::String(text) => check.string(rules, text),
        Value::Number(number) => number.as_f64().is_some_and(|number| is_number_within(rules, number)),
        Value::Null | Value::Bool(_) => true,
    }
}

fn is_number_within(rules: &Map<String, Value>, number: f64) -> bool {
    let limit = |name| rules.get(name).and_then(Value::as_f64);
    let whole = |of: f64| ((number / of) - (number / of).round()).abs() <= 1e-9;
    limit("minimum").is_none_or(|least| number >= least)
        && limit("maximum").is_none_or(|most| number <= most)
        && limit("exclusiveMinimum").is_none_or(|least| number > least)
        && limit("exclusiveMaximum").is_none_or(|most| number < most)
        && limit("multipleOf").is_none_or(whole)
}

fn within(rules: &Map<String, Value>, least: &str, most: &str, found: usize) -> bool {
    let limit = |name| rules.get(name).and_then(Value::as_u64);
    limit(least).is_none_or(|least| found as u64 >= least) && limit(most).is_none_or(|most| found as u64 <= most)
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |word: &Value| match word.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("number") => value.is_number(),
        // 1.0 is an integer, says 2020-12.
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("string") => value.is_string(),
        _ => false,
    };
    rule.as_array().map_or_else(|| is(rule), |words| words.iter().any(is))
}

/// Equality of JSON: 1 and 1.0 are one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

fn unique(list: &[Value]) -> bool {
    /// Longer lists would take the square of their length.
    const MOST: usize = 2_000;
    list.len() <= MOST
        && list.iter().enumerate().all(|(place, one)| !list[..place].iter().any(|other| same(other, one)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What jsonschema for Python says, in `parity/comparison.py`.
    #[test]
    fn it_agrees_with_jsonschema() {
        let reference: Value = serde_json::from_str(include_str!("../../../parity/comparison.json")).unwrap();
        let cases = reference["json_schema"].as_array().unwrap();
        assert!(cases.len() >= 60);
        for case in cases {
            let schema = Schema::new(&case["schema"]).unwrap();
            let found = schema.allows(&case["value"]);
            assert_eq!(found, case["valid"].as_bool().unwrap(), "{} {}", case["schema"], case["value"]);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused = |schema: Value| Schema::new(&schema).unwrap_err().to_string();
        assert!(
            refused(json!({"properties": {"a": {"unevaluatedItems": false}}})).contains("#/properties/a/unevaluated")
        );
        assert!(refused(json!({"$ref": "https://elsewhere.test/schema"})).contains("leads nowhere"));
        assert!(refused(json!({"minLength": -1})).contains("minLength"));
        assert!(refused(json!({"type": "thing"})).contains("no type"));
        assert!(refused(json!([])).contains("an object or a boolean"));
        assert!(refused(json!({"pattern": "("})).contains("pattern"));
        let deep = (0..100).fold(json!({}), |inner, _| json!({"items": inner}));
        assert!(refused(deep).contains("deeper"));
    }

    #[test]
    fn what_refers_to_itself_ends() {
        assert!(!Schema::new(&json!({"$ref": "#"})).unwrap().allows(&json!(1)));
        let tree = Schema::new(&json!({"type": "object", "properties": {"next": {"$ref": "#"}}})).unwrap();
        assert!(tree.allows(&json!({"next": {"next": {}}})) && !tree.allows(&json!({"next": 1})));
    }
}
