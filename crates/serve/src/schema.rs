//! From a JSON schema to a grammar of the JSON texts that it allows.
//!
//! The grammar may be narrower than the schema, never wider: whatever it matches is valid. It is narrower
//! where text has to be bounded (white space, digits of a number) and in the order of properties, which is
//! the order of the schema; an object whose schema names properties gets others only when
//! `additionalProperties` says so. A keyword that cannot be kept is an error that names it and its place.
//!
//! JSON Schema 2020-12, with `definitions` and arrays of `items` as the drafts before it have them.
//!
//! Reading order: this page, then [`object`], `string` with [`pattern`], `number`, `merge`, `distinct`.

use std::cell::Cell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::grammar::{Expr, Grammar, MAX_REPETITIONS};

mod distinct;
mod merge;
mod number;
mod object;
mod pattern;
mod string;

/// Schemas within schemas, references followed.
const MAX_DEPTH: usize = 64;
/// Rules of one grammar: enough for a schema of a few hundred properties.
const MAX_RULES: usize = 10_000;
/// Elements of one grammar, which llama.cpp keeps for every answer that is under way: two megabytes.
const MAX_ELEMENTS: usize = 250_000;
/// Ways in which an answer can go on at one place. The matcher tries them one after the other at every token, on the
/// thread that computes for everybody. OpenAI allows a thousand values in all `enum`s of a schema together.
const MAX_WAYS: usize = 1000;
/// Parts of schemas read, merged and compared for one grammar. References multiply what a short schema says.
const MAX_STEPS: usize = 1_000_000;

/// Compiles a schema to a grammar in GBNF whose rule `root` matches the JSON texts it allows. `param` is where
/// the schema stands in the request, for errors.
///
/// # Errors
/// [`Error::Invalid`] naming the keyword that is not supported, or what is wrong, with its place.
///
/// ```
/// let schema = serde_json::json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
/// let grammar = qd_serve::schema::compile(&schema, "response_format")?;
/// assert!(grammar.contains("root ::="));
/// # Ok::<(), qd_serve::Error>(())
/// ```
pub fn compile(schema: &Value, param: &str) -> Result<String> {
    let mut grammar = Grammar::default();
    let root = add(&mut grammar, "s", schema, param)?;
    grammar.define("root", root);
    finish(&grammar, param)
}

/// The grammar as text, once it is known that llama.cpp can run it, and that it costs other answers little.
pub(crate) fn finish(grammar: &Grammar, param: &str) -> Result<String> {
    if is_too_large(grammar) {
        return Err(Error::invalid(param, TOO_LARGE));
    }
    if grammar.left_recursive().is_some() {
        return Err(Error::invalid(param, "the schema refers to itself without anything in between"));
    }
    let ways = grammar.ways();
    if ways > MAX_WAYS {
        let message = format!("the answer could go on in {ways} ways at one place; at most {MAX_WAYS} are allowed");
        return Err(Error::invalid(param, message));
    }
    Ok(grammar.to_gbnf())
}

const TOO_LARGE: &str = "the schema makes too large a grammar: allow fewer or shorter values, or smaller counts";

fn is_too_large(grammar: &Grammar) -> bool {
    grammar.len() > MAX_RULES || grammar.elements() > MAX_ELEMENTS
}

/// Adds the rules of one schema to a grammar; their names start with `prefix`. References are looked up in
/// this schema.
pub(crate) fn add(grammar: &mut Grammar, prefix: &str, schema: &Value, param: &str) -> Result<Expr> {
    define_json(grammar);
    let mut compiler = Compiler {
        root: schema,
        grammar,
        prefix,
        param,
        references: HashMap::new(),
        named: 0,
        depth: Cell::new(0),
        steps: Cell::new(0),
    };
    compiler.value(schema, "#")
}

struct Compiler<'a> {
    root: &'a Value,
    grammar: &'a mut Grammar,
    prefix: &'a str,
    param: &'a str,
    /// From reference to rule name, so that recursion ends.
    references: HashMap<String, String>,
    named: usize,
    /// Schemas that are being read or merged, within each other.
    depth: Cell<usize>,
    steps: Cell<usize>,
}

/// Keywords that describe and do not restrict.
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
];

/// Keywords that restrict values of one type and say nothing about others.
const RESTRICTIONS: &[(&str, &[&str])] = &[
    ("object", &["properties", "required", "additionalProperties"]),
    ("array", &["items", "prefixItems", "minItems", "maxItems"]),
    ("string", &["minLength", "maxLength", "pattern", "format"]),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
];

impl Compiler<'_> {
    fn value(&mut self, schema: &Value, path: &str) -> Result<Expr> {
        self.enter(path)?;
        if is_too_large(self.grammar) {
            return Err(self.error(path, TOO_LARGE));
        }
        let expr = match schema {
            Value::Bool(true) => Ok(Expr::rule("value")),
            Value::Bool(false) => Err(self.error(path, "the schema `false` allows no value")),
            Value::Object(map) => self.object_schema(map, path),
            _ => Err(self.error(path, "a schema is an object or a boolean")),
        };
        self.leave();
        expr
    }

    /// Goes one schema deeper. Whoever is refused gives up altogether, so only success has to be followed by `leave`.
    fn enter(&self, path: &str) -> Result<()> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_DEPTH {
            let message = "the schema is too deep, or refers to itself without anything in between";
            return Err(self.error(path, message));
        }
        self.spend(1, path)
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    /// Counts work, so that no schema takes long.
    fn spend(&self, steps: usize, path: &str) -> Result<()> {
        self.steps.set(self.steps.get().saturating_add(steps));
        match self.steps.get() > MAX_STEPS {
            true => Err(self.error(path, "the schema is too large, or its references make it so")),
            false => Ok(()),
        }
    }

    fn object_schema(&mut self, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        if let Some(reference) = map.get("$ref") {
            self.alone(map, "$ref", path)?;
            return self.reference(reference, path);
        }
        if map.contains_key("allOf") {
            let merged = self.merged(map, path)?;
            return self.object_schema(&merged, path);
        }
        for union in ["anyOf", "oneOf"] {
            if map.contains_key(union) {
                return self.union(map, union, path);
            }
        }
        if let Some(values) = self.listed(map, path)? {
            return Ok(Expr::one_of(values.iter().map(ToString::to_string).collect()));
        }
        self.check_keywords(map, path)?;
        let types = self.types(map, path)?;
        let options: Result<Vec<_>> = types.iter().map(|name| self.typed(name, map, path)).collect();
        Ok(one_or_choice(options?))
    }

    fn typed(&mut self, name: &str, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        match name {
            "object" => self.object(map, path),
            "array" => self.array(map, path),
            "string" => self.string(map, path),
            "number" | "integer" => self.number(map, name == "integer", path),
            "boolean" => Ok(Expr::choice([Expr::literal("true"), Expr::literal("false")])),
            "null" => Ok(Expr::literal("null")),
            "any" => Ok(Expr::rule("value")),
            other => Err(self.error(path, &format!("there is no type `{other}`"))),
        }
    }

    /// The types a schema names, or the one that its keywords are about, or any.
    fn types<'m>(&self, map: &'m Map<String, Value>, path: &str) -> Result<Vec<&'m str>> {
        let wrong = || self.error(path, "`type` is a name or a list of names");
        match map.get("type") {
            Some(Value::String(name)) => Ok(vec![name]),
            Some(Value::Array(names)) if !names.is_empty() => {
                names.iter().map(|name| name.as_str().ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
            None => Ok(vec![restricted_type(map).unwrap_or("any")]),
        }
    }

    fn check_keywords(&self, map: &Map<String, Value>, path: &str) -> Result<()> {
        let known = |key: &str| {
            key == "type" || ANNOTATIONS.contains(&key) || RESTRICTIONS.iter().any(|(_, keys)| keys.contains(&key))
        };
        match map.keys().find(|key| !known(key)) {
            Some(key) => Err(self.unsupported(key, path)),
            None => Ok(()),
        }
    }

    /// Refuses a schema that has more than `keyword` and annotations.
    fn alone(&self, map: &Map<String, Value>, keyword: &str, path: &str) -> Result<()> {
        let other = map.keys().find(|key| *key != keyword && !ANNOTATIONS.contains(&key.as_str()));
        match other {
            Some(other) => Err(self.error(path, &format!("`{other}` beside `{keyword}` is not supported"))),
            None => Ok(()),
        }
    }

    /// The values of `enum` or `const`, those of another `type` left out.
    fn listed(&self, map: &Map<String, Value>, path: &str) -> Result<Option<Vec<Value>>> {
        let (keyword, mut values) = match (map.get("const"), map.get("enum")) {
            (None, None) => return Ok(None),
            (Some(value), None) => ("const", vec![value.clone()]),
            (None, Some(Value::Array(values))) => {
                self.spend(values.len(), path)?;
                ("enum", values.clone())
            }
            (None, Some(_)) => return Err(self.error(path, "`enum` is a list")),
            (Some(_), Some(_)) => return Err(self.error(path, "`enum` beside `const` is not supported")),
        };
        let mut rest = map.clone();
        rest.remove("type");
        self.alone(&rest, keyword, path)?;
        if map.contains_key("type") {
            let types = self.types(map, path)?;
            values.retain(|value| types.iter().any(|name| has_type(value, name)));
        }
        if values.is_empty() {
            return Err(self.error(path, &format!("`{keyword}` leaves no value")));
        }
        Ok(Some(values))
    }

    fn reference(&mut self, reference: &Value, path: &str) -> Result<Expr> {
        let Some(pointer) = reference.as_str() else { return Err(self.error(path, "`$ref` is a text")) };
        if let Some(name) = self.references.get(pointer) {
            return Ok(Expr::rule(name));
        }
        let target = self.lookup(pointer, path)?.clone();
        self.spend(weight(&target), path)?;
        let name = self.fresh_name();
        self.references.insert(pointer.to_owned(), name.clone());
        let expr = self.value(&target, pointer)?;
        self.grammar.define(&name, expr);
        Ok(Expr::rule(&name))
    }

    fn lookup(&self, pointer: &str, path: &str) -> Result<&Value> {
        let Some(pointer_in_root) = pointer.strip_prefix('#') else {
            return Err(self.error(path, &format!("`$ref` to {pointer} is not supported, only `#/…`")));
        };
        self.root
            .pointer(pointer_in_root)
            .ok_or_else(|| self.error(path, &format!("`$ref` to {pointer} leads nowhere")))
    }

    fn union(&mut self, map: &Map<String, Value>, keyword: &str, path: &str) -> Result<Expr> {
        let Some(Value::Array(options)) = map.get(keyword) else {
            return Err(self.error(path, &format!("`{keyword}` is a list")));
        };
        if options.is_empty() {
            return Err(self.error(path, &format!("`{keyword}` is empty")));
        }
        if keyword == "oneOf" {
            self.check_distinct(options, path)?;
        }
        let mut beside = map.clone();
        beside.remove(keyword);
        beside.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()));
        let mut exprs = Vec::with_capacity(options.len());
        for (place, option) in options.iter().enumerate() {
            let option_path = format!("{path}/{keyword}/{place}");
            exprs.push(match beside.is_empty() {
                true => self.value(option, &option_path)?,
                false => self.value(&Value::Object(self.merge_two(&beside, option, &option_path)?), &option_path)?,
            });
        }
        Ok(one_or_choice(exprs))
    }

    fn array(&mut self, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        let min = self.size(map, "minItems", path)?.unwrap_or(0);
        let max = self.size(map, "maxItems", path)?;
        if max.is_some_and(|max| max < min) {
            return Err(self.error(path, "`maxItems` is less than `minItems`"));
        }
        let tuple = map.get("prefixItems").or_else(|| map.get("items").filter(|items| items.is_array()));
        if let Some(Value::Array(items)) = tuple {
            return self.tuple(items, (min, max), path);
        }
        if max == Some(0) {
            return Ok(bracketed(Expr::empty()));
        }
        let item = self.value(map.get("items").unwrap_or(&Value::Bool(true)), &format!("{path}/items"))?;
        let item = self.named(item);
        let more = Expr::sequence([comma(), item.clone()]).repeat(min.saturating_sub(1), max.map(|max| max - 1));
        let list = Expr::sequence([item, more]);
        Ok(bracketed(if min == 0 { list.optional() } else { list }))
    }

    /// An array of fixed places. It ends after them, which `minItems` and `maxItems` must allow.
    fn tuple(&mut self, items: &[Value], (min, max): (u32, Option<u32>), path: &str) -> Result<Expr> {
        let length = items.len() as u32;
        if length < min || max.is_some_and(|max| max < length) {
            return Err(self.error(path, "`minItems` and `maxItems` must allow as many items as there are places"));
        }
        let mut parts = Vec::new();
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                parts.push(comma());
            }
            parts.push(self.value(item, &format!("{path}/prefixItems/{place}"))?);
        }
        Ok(bracketed(Expr::sequence(parts)))
    }

    /// A count of items or characters, if the schema has one.
    fn size(&self, map: &Map<String, Value>, keyword: &str, path: &str) -> Result<Option<u32>> {
        let Some(value) = map.get(keyword) else { return Ok(None) };
        let size = value.as_u64().filter(|size| *size <= u64::from(MAX_REPETITIONS));
        let message = format!("`{keyword}` must be a whole number up to {MAX_REPETITIONS}");
        size.map(|size| Some(size as u32)).ok_or_else(|| self.error(path, &message))
    }

    /// Gives an expression that is used more than once a rule of its own.
    fn named(&mut self, expr: Expr) -> Expr {
        if matches!(expr, Expr::Rule(_)) {
            return expr;
        }
        let name = self.fresh_name();
        self.grammar.define(&name, expr);
        Expr::rule(&name)
    }

    fn fresh_name(&mut self) -> String {
        self.named += 1;
        format!("{}{}", self.prefix, self.named)
    }

    fn unsupported(&self, keyword: &str, path: &str) -> Error {
        self.error(path, &format!("the keyword `{keyword}` is not supported by models that run here"))
    }

    fn error(&self, path: &str, message: &str) -> Error {
        Error::invalid(self.param, format!("in the schema at {path}: {message}"))
    }
}

/// The type that a schema's keywords are about, when it names none.
fn restricted_type(map: &Map<String, Value>) -> Option<&'static str> {
    RESTRICTIONS.iter().find(|(_, keys)| keys.iter().any(|key| map.contains_key(*key))).map(|(name, _)| *name)
}

fn has_type(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => name == "number" || (name == "integer" && number.as_f64().is_some_and(is_whole)),
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0
}

/// One of these; texts that begin alike are told apart where they differ.
fn one_or_choice(options: Vec<Expr>) -> Expr {
    let (mut texts, mut options): (Vec<_>, Vec<_>) =
        options.into_iter().partition(|option| matches!(option, Expr::Literal(_)));
    if texts.len() > 1 {
        let text = |expr| if let Expr::Literal(text) = expr { text } else { String::new() };
        texts = vec![Expr::one_of(texts.into_iter().map(text).collect())];
    }
    options.append(&mut texts);
    if options.len() == 1 { options.remove(0) } else { Expr::choice(options) }
}

/// How much there is to copy in a schema: its parts, and long texts by their length.
fn weight(schema: &Value) -> usize {
    let of_text = |text: &str| 1 + text.len() / 64;
    match schema {
        Value::String(text) => of_text(text),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => map_weight(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

fn map_weight(map: &Map<String, Value>) -> usize {
    1 + map.iter().map(|(key, value)| 1 + key.len() / 64 + weight(value)).sum::<usize>()
}

fn bracketed(items: Expr) -> Expr {
    let space = || Expr::rule("space");
    Expr::sequence([Expr::literal("["), space(), items, space(), Expr::literal("]")])
}

fn comma() -> Expr {
    Expr::sequence([Expr::literal(","), Expr::rule("space")])
}

/// Defines the rules of JSON itself (RFC 8259): `value`, `object`, `array`, `string`, `char`, `number`, `space`.
///
/// White space is bounded, or a weak model could write it for ever. Numbers have the digits that a double
/// keeps. An escaped character is never half of a surrogate pair, which strict readers refuse.
fn define_json(grammar: &mut Grammar) {
    if grammar.defines("value") {
        return;
    }
    let (rule, literal) = (Expr::rule, |text: &str| Expr::literal(text));
    let indent = Expr::class([(' ', ' '), ('\t', '\t')]).repeat(0, Some(20));
    grammar.define("space", Expr::choice([Expr::empty(), literal(" "), Expr::sequence([literal("\n"), indent])]));
    grammar.define("char", string::any_character());
    grammar.define("string", Expr::sequence([literal("\""), rule("char").repeat(0, None), literal("\"")]));
    grammar.define("number", number::any_number());
    let pair = Expr::sequence([rule("string"), literal(":"), rule("space"), rule("value")]);
    grammar.define("pair", pair);
    let list = |item: &str| {
        let more = Expr::sequence([comma(), rule(item)]).repeat(0, None);
        Expr::sequence([rule(item), more]).optional()
    };
    let braced = [literal("{"), rule("space"), list("pair"), rule("space"), literal("}")];
    grammar.define("object", Expr::sequence(braced));
    grammar.define("array", bracketed(list("value")));
    let words = ["true", "false", "null"].map(literal);
    let kinds = ["object", "array", "string", "number"].map(rule);
    grammar.define("value", Expr::choice([kinds.to_vec(), words.to_vec()].concat()));
}

#[cfg(test)]
mod tests;
