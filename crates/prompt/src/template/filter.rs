//! The filters and tests of templates: those whose cost is known from what they are given.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters, tests};
use std::sync::LazyLock;

use crate::template::meter::{Meter, VALUE_BYTES};
use crate::template::operation::{as_json, as_text, borrowed_text};

/// Filters of the engine that make no more than they are given.
const BUILT_IN: &[&str] = &[
    "abs",
    "capitalize",
    "count",
    "default",
    "dictsort",
    "first",
    "float",
    "int",
    "items",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "sum",
    "title",
    "unique",
    "upper",
];
/// Our own.
const OWN: &[&str] = &["indent", "join", "replace", "string", "tojson", "trim"];
/// The tests.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "even",
    "false",
    "float",
    "integer",
    "iterable",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "true",
    "undefined",
];
/// Going over a list so often is at most what sorting a long one costs.
const SORTING: u32 = 8;
/// The longest separator, attribute or other text that says what a filter is to do.
const MAX_ARGUMENT_BYTES: usize = 256;

/// The filters that there are.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().chain(OWN).copied()
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    add_built_in(&mut environment);
    add_tests(&mut environment);
    environment
});

pub(super) fn add_to(environment: &mut Environment<'static>) {
    add_tests(environment);
    for &name in BUILT_IN {
        environment.add_filter(name, move |state: &State, args: Rest<Value>| apply(state, name, &args));
    }
    environment.add_filter("tojson", to_json);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("trim", trim);
    environment.add_filter("string", |state: &State, value: Value| as_text(&*Meter::of(state)?, &value));
}

fn add_built_in(environment: &mut Environment<'static>) {
    environment.add_filter("abs", filters::abs);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("count", filters::length);
    environment.add_filter("default", filters::default);
    environment.add_filter("dictsort", filters::dictsort);
    environment.add_filter("first", filters::first);
    environment.add_filter("float", filters::float);
    environment.add_filter("int", filters::int);
    environment.add_filter("items", filters::items);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lines", filters::lines);
    environment.add_filter("list", filters::list);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("map", filters::map);
    environment.add_filter("max", filters::max);
    environment.add_filter("min", filters::min);
    environment.add_filter("reject", filters::reject);
    environment.add_filter("rejectattr", filters::rejectattr);
    environment.add_filter("reverse", filters::reverse);
    environment.add_filter("round", filters::round);
    environment.add_filter("select", filters::select);
    environment.add_filter("selectattr", filters::selectattr);
    environment.add_filter("sort", filters::sort);
    environment.add_filter("split", filters::split);
    environment.add_filter("sum", filters::sum);
    environment.add_filter("title", filters::title);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("unique", filters::unique);
    environment.add_filter("upper", filters::upper);
}

fn add_tests(environment: &mut Environment<'static>) {
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("divisibleby", tests::is_divisibleby);
    environment.add_test("even", tests::is_even);
    environment.add_test("false", tests::is_false);
    environment.add_test("float", tests::is_float);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("none", tests::is_none);
    environment.add_test("number", tests::is_number);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("string", tests::is_string);
    environment.add_test("true", tests::is_true);
    environment.add_test("undefined", tests::is_undefined);
}

/// One of the engine's filters, with what goes in and what comes out counted, as far as it is known before it is made.
fn apply(state: &State, name: &str, args: &[Value]) -> Result<Value, Error> {
    let meter = Meter::of(state)?;
    if let [of, rest @ ..] = args {
        let mut weight = 0;
        for _ in 0..if matches!(name, "sort" | "dictsort" | "unique") { SORTING } else { 1 } {
            weight = meter.weigh(of)?;
            rest.iter().try_for_each(|arg| meter.read(arg))?;
        }
        prepay(&meter, name, of, weight, rest)?;
    }
    let made = ENGINE.empty_state().apply_filter(name, args)?;
    meter.read(&made)?;
    match made.kind() {
        // What is made on demand would be made again at every use.
        ValueKind::Iterable => Ok(made.try_iter()?.collect::<Vec<_>>().into()),
        _ => Ok(made),
    }
}

/// Takes what the arguments cost once for each item, and the values that a text falls into.
fn prepay(meter: &Meter, name: &str, of: &Value, weight: u64, rest: &[Value]) -> Result<(), Error> {
    if takes_items(name) {
        let items = of.as_str().map(str::len).or(of.len()).unwrap_or(0) as u64;
        let times = match name {
            // A path is followed for both sides of each comparison.
            "sort" => items.saturating_mul(4 * u64::from(SORTING)),
            // The filter of each item has arguments of its own.
            _ if rest.len() > 1 => weight,
            _ => items,
        };
        meter.work(said(rest)?.saturating_mul(times))?;
    } else if name != "default" {
        said(rest)?;
    }
    if let Some(text) = of.as_str() {
        return meter.work(VALUE_BYTES.saturating_mul(pieces(name, text, rest)));
    }
    match rest.iter().any(|arg| arg.as_str().is_some_and(splits)) {
        true => meter.work(VALUE_BYTES.saturating_mul(weight)),
        false => Ok(()),
    }
}

/// Filters that use their arguments for each item, or make a value of each.
fn takes_items(name: &str) -> bool {
    matches!(
        name,
        "list" | "map" | "max" | "min" | "reject" | "rejectattr" | "select" | "selectattr" | "sort" | "unique"
    )
}

/// Filters that make many values of one text.
fn splits(name: &str) -> bool {
    takes_items(name) || matches!(name, "lines" | "split")
}

/// How many values a filter makes of a text, at most.
fn pieces(name: &str, text: &str, rest: &[Value]) -> u64 {
    let pieces = match (name, rest.first().and_then(Value::as_str)) {
        ("split", Some(between)) => text.matches(between).count() + 2,
        ("split", None) => text.split_whitespace().count() + 1,
        ("lines", _) => text.matches('\n').count() + 1,
        (name, _) if takes_items(name) => text.len(),
        _ => 0,
    };
    pieces as u64
}

/// The bytes of the texts among a filter's arguments, none of which is long.
fn said(rest: &[Value]) -> Result<u64, Error> {
    let mut bytes = 0;
    for arg in rest {
        bytes += match (arg.as_str(), arg.kind()) {
            (Some(text), _) => short(text)?,
            (None, ValueKind::Map) => named(arg)?,
            _ => 0,
        };
    }
    Ok(bytes)
}

/// The same of the arguments that have names; a default is written and not looked at.
fn named(args: &Value) -> Result<u64, Error> {
    let mut bytes = 0;
    for name in args.try_iter()?.filter(|name| name.as_str() != Some("default")) {
        bytes += args.get_item(&name)?.as_str().map_or(Ok(0), short)?;
    }
    Ok(bytes)
}

fn short(text: &str) -> Result<u64, Error> {
    match text.len() > MAX_ARGUMENT_BYTES {
        true => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a text that tells a filter what to do has at most {MAX_ARGUMENT_BYTES} bytes"),
        )),
        false => Ok(text.len() as u64),
    }
}

/// `trim`, or `trim("-+")` of these characters.
fn trim(state: &State, value: Value, chars: Option<Value>) -> Result<String, Error> {
    let meter = Meter::of(state)?;
    let text = borrowed_text(&meter, &value)?;
    let Some(chars) = chars else { return Ok(text.trim().to_owned()) };
    let chars: Vec<char> = borrowed_text(&meter, &chars)?.chars().collect();
    meter.work((text.len() as u64).saturating_mul(chars.len() as u64))?;
    Ok(text.trim_matches(&chars[..]).to_owned())
}

/// `tojson`, or `tojson(indent=2)` over several lines.
fn to_json(state: &State, value: Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = options.get("indent")?;
    options.assert_all_used()?;
    let meter = Meter::of(state)?;
    meter.read(&value)?;
    let text = as_json(&value, indent.is_some_and(|indent| indent.is_true()))?;
    meter.work(text.len() as u64)?;
    Ok(text)
}

fn join(state: &State, list: Value, between: Option<Value>) -> Result<String, Error> {
    let meter = Meter::of(state)?;
    let between = between.as_ref().map(|between| borrowed_text(&meter, between)).transpose()?.unwrap_or_default();
    let mut joined = String::new();
    for (place, item) in list.try_iter()?.enumerate() {
        let text = borrowed_text(&meter, &item)?;
        meter.work((text.len() + between.len()) as u64)?;
        if place > 0 {
            joined.push_str(&between);
        }
        joined.push_str(&text);
    }
    Ok(joined)
}

fn replace(state: &State, text: Value, from: Value, to: Value) -> Result<String, Error> {
    let meter = Meter::of(state)?;
    let (text, from) = (borrowed_text(&meter, &text)?, borrowed_text(&meter, &from)?);
    let to = borrowed_text(&meter, &to)?;
    if from.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "what is to be replaced is empty"));
    }
    let found = text.matches(&*from).count() as u64;
    meter.work((text.len() as u64).saturating_add(found.saturating_mul(to.len() as u64)))?;
    Ok(text.replace(&*from, &to))
}

/// `indent(4)`: every line but the first begins with so many spaces.
fn indent(state: &State, text: Value, width: usize) -> Result<String, Error> {
    let meter = Meter::of(state)?;
    let text = borrowed_text(&meter, &text)?;
    let lines = text.matches('\n').count() as u64;
    meter.work((text.len() as u64).saturating_add(lines.saturating_mul(width as u64)))?;
    Ok(text.replace('\n', &format!("\n{}", " ".repeat(if lines == 0 { 0 } else { width }))))
}
