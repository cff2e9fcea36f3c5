//! The metered operations that `rewrite` puts in the place of operators, and how a value is written.

use std::borrow::Cow;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};

use crate::template::meter::Meter;

/// Items of a `range`.
const MAX_RANGE: i64 = 10_000;

/// Writes a value as prompts want it: texts as they are, lists and objects as JSON, none as nothing.
pub(super) fn write(out: &mut Output, state: &State, value: &Value) -> Result<(), Error> {
    let meter = Meter::of(state)?;
    let text = as_text(&meter, value)?;
    meter.output(text.len())?;
    out.write_str(&text).map_err(Error::from)
}

/// The text of a value.
pub(super) fn as_text(meter: &Meter, value: &Value) -> Result<String, Error> {
    meter.read(value)?;
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok(String::new()),
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => as_json(value, false),
        _ => Ok(value.to_string()),
    }
}

/// The text of a value, borrowed where it is one.
pub(super) fn borrowed_text<'v>(meter: &Meter, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    match value.as_str() {
        Some(text) => meter.read(value).map(|()| text.into()),
        None => as_text(meter, value).map(Cow::Owned),
    }
}

/// The JSON of a value, which the meter has read.
pub(super) fn as_json(value: &Value, indented: bool) -> Result<String, Error> {
    let written = if indented { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    written.map_err(|cause| Error::new(ErrorKind::BadSerialization, "cannot be written as JSON").with_source(cause))
}

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("range", range);
    environment.add_function("~each", each);
    environment.add_function("~item", item);
    environment.add_function("~list", list);
    environment.add_function("~map", map);
    environment.add_function("~slice", slice);
    environment.add_function("~concat", concat);
    environment.add_function("~in", |state: &State, item: Value, whole: Value| contains(state, &item, &whole));
    environment.add_function("~not_in", |state: &State, item: Value, whole: Value| {
        contains(state, &item, &whole).map(|found| !found)
    });
    compare(environment);
    calculate(environment);
}

fn compare(environment: &mut Environment<'static>) {
    fn add(environment: &mut Environment<'static>, name: &'static str, holds: fn(&Value, &Value) -> bool) {
        environment.add_function(name, move |state: &State, left: Value, right: Value| {
            read_both(state, &left, &right)?;
            Ok::<_, Error>(holds(&left, &right))
        });
    }
    add(environment, "~eq", |left, right| left == right);
    add(environment, "~ne", |left, right| left != right);
    add(environment, "~lt", |left, right| left < right);
    add(environment, "~le", |left, right| left <= right);
    add(environment, "~gt", |left, right| left > right);
    add(environment, "~ge", |left, right| left >= right);
}

/// Arithmetic of numbers. Texts are joined by `~` and `+`; nothing else has operators.
fn calculate(environment: &mut Environment<'static>) {
    environment.add_function("~add", |state: &State, left: Value, right: Value| {
        match left.as_str().is_some() && right.as_str().is_some() {
            true => concat(state, left, right),
            false => number("+", &left, &right, i64::checked_add, |left, right| left + right),
        }
    });
    environment.add_function("~sub", |left: Value, right: Value| {
        number("-", &left, &right, i64::checked_sub, |left, right| left - right)
    });
    environment.add_function("~mul", |left: Value, right: Value| {
        number("*", &left, &right, i64::checked_mul, |left, right| left * right)
    });
    environment.add_function("~div", |left: Value, right: Value| {
        number("/", &left, &right, |_, _| None, |left, right| left / right)
    });
    environment.add_function("~floor_div", |left: Value, right: Value| {
        number("//", &left, &right, i64::checked_div_euclid, |left, right| (left / right).floor())
    });
    environment.add_function("~rem", |left: Value, right: Value| {
        number("%", &left, &right, i64::checked_rem_euclid, f64::rem_euclid)
    });
    environment.add_function("~pow", |left: Value, right: Value| {
        let whole = |left: i64, right: i64| left.checked_pow(u32::try_from(right).ok()?);
        number("**", &left, &right, whole, f64::powf)
    });
}

/// An operation on integers where both are and the result is one, else on floating-point numbers.
fn number(
    sign: &str,
    left: &Value,
    right: &Value,
    whole: impl Fn(i64, i64) -> Option<i64>,
    real: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let wrong = || {
        let reason = format!("'{sign}' is for numbers, not for {} and {}", left.kind(), right.kind());
        Error::new(ErrorKind::InvalidOperation, reason)
    };
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number {
        return Err(wrong());
    }
    let integers = left.is_integer() && right.is_integer();
    let exact = integers.then(|| whole(left.as_i64()?, right.as_i64()?)).flatten();
    if let Some(exact) = exact {
        return Ok(Value::from(exact));
    }
    let (left, right) = (f64::try_from(left.clone())?, f64::try_from(right.clone())?);
    let result = real(left, right);
    match result.is_finite() {
        true => Ok(Value::from(result)),
        false => Err(Error::new(ErrorKind::InvalidOperation, format!("'{sign}' has no finite result here"))),
    }
}

fn read_both(state: &State, left: &Value, right: &Value) -> Result<(), Error> {
    let meter = Meter::of(state)?;
    meter.read(left)?;
    meter.read(right)
}

fn concat(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    let meter = Meter::of(state)?;
    let (left, right) = (as_text(&meter, &left)?, as_text(&meter, &right)?);
    meter.work((left.len() + right.len()) as u64)?;
    Ok(Value::from(left + &right))
}

fn contains(state: &State, item: &Value, whole: &Value) -> Result<bool, Error> {
    read_both(state, item, whole)?;
    match whole.kind() {
        ValueKind::String => {
            let meter = Meter::of(state)?;
            Ok(whole.as_str().unwrap_or_default().contains(&as_text(&meter, item)?))
        }
        ValueKind::Seq | ValueKind::Iterable => Ok(whole.try_iter()?.any(|one| one == *item)),
        ValueKind::Map => Ok(!whole.get_item(item)?.is_undefined()),
        kind => {
            Err(Error::new(ErrorKind::InvalidOperation, format!("'in' is for text, lists and objects, not for {kind}")))
        }
    }
}

/// What a loop goes over: counted before it begins.
fn each(state: &State, whole: Value) -> Result<Value, Error> {
    match whole.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Seq | ValueKind::Map => Meter::of(state)?.walk(&whole).map(|()| whole),
        kind => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a loop goes over a list or an object, not over {kind}"),
        )),
    }
}

fn item(state: &State, whole: Value, key: Value) -> Result<Value, Error> {
    if whole.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let meter = Meter::of(state)?;
    meter.read(&key)?;
    // Their items are found by going through them.
    if matches!(whole.kind(), ValueKind::String | ValueKind::Iterable) {
        meter.read(&whole)?;
    }
    whole.get_item(&key)
}

/// A list, whose items are read: so none nests deeper than the meter follows.
fn list(state: &State, items: Rest<Value>) -> Result<Value, Error> {
    let meter = Meter::of(state)?;
    items.iter().try_for_each(|item| meter.read(item))?;
    Ok(Value::from(items.0))
}

fn map(state: &State, parts: Rest<Value>) -> Result<Value, Error> {
    let meter = Meter::of(state)?;
    parts.iter().try_for_each(|part| meter.read(part))?;
    Ok(parts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// `whole[start:stop]`, counted in characters or items; negative numbers count from the end.
fn slice(state: &State, whole: Value, start: Value, stop: Value) -> Result<Value, Error> {
    let meter = Meter::of(state)?;
    meter.read(&whole)?;
    let bound = |value: &Value, length: usize, usual: usize| -> Result<usize, Error> {
        if value.is_none() {
            return Ok(usual);
        }
        let at = i64::try_from(value.clone())?;
        let from_end = if at < 0 { at.saturating_add_unsigned(length as u64).max(0) } else { at };
        Ok(usize::try_from(from_end).unwrap_or(0).min(length))
    };
    let length = whole.as_str().map(|text| text.chars().count()).or(whole.len()).unwrap_or(0);
    let (start, stop) = (bound(&start, length, 0)?, bound(&stop, length, length)?);
    let many = stop.saturating_sub(start);
    match (whole.as_str(), whole.kind()) {
        (Some(text), _) => Ok(Value::from(text.chars().skip(start).take(many).collect::<String>())),
        (None, ValueKind::Seq) => Ok(whole.try_iter()?.skip(start).take(many).collect()),
        (None, kind) => Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} cannot be sliced"))),
    }
}

/// `range(stop)`, `range(start, stop)` or `range(start, stop, step)`, as a list.
fn range(state: &State, first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, stop) = second.map_or((0, first), |second| (first, second));
    let step = step.unwrap_or(1);
    let wrong = |reason: String| Error::new(ErrorKind::InvalidOperation, reason);
    if step == 0 {
        return Err(wrong("a range needs a step other than 0".to_owned()));
    }
    let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
    let many = u64::try_from(span).unwrap_or(0).div_ceil(step.unsigned_abs());
    if many > MAX_RANGE as u64 {
        return Err(wrong(format!("a range has at most {MAX_RANGE} numbers")));
    }
    let list: Value = (0..many as i64).map(|place| Value::from(start + place * step)).collect();
    Meter::of(state)?.walk(&list)?;
    Ok(list)
}
