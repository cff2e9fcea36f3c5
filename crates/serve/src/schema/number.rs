//! Numbers within bounds, digit by digit.

use serde_json::{Map, Value};

use super::Compiler;
use crate::error::Result;
use crate::grammar::Expr;

/// The largest whole number that is written: 15 digits are exact in a double.
const LARGEST: i64 = 999_999_999_999_999;

/// Bounds of whole numbers; which of them are part of the range.
struct Bounds {
    min: Option<f64>,
    max: Option<f64>,
    min_excluded: bool,
    max_excluded: bool,
}

impl Compiler<'_> {
    pub(super) fn number(&mut self, map: &Map<String, Value>, whole: bool, path: &str) -> Result<Expr> {
        let bounds = self.bounds(map, path)?;
        let expr = match (whole, bounds.min, bounds.max) {
            (false, None, None) => Some(Expr::rule("number")),
            (true, ..) => whole_numbers(bounds.smallest(), bounds.largest()),
            (false, ..) => self.decimals(&bounds, path)?,
        };
        expr.ok_or_else(|| self.error(path, "no number is within these bounds"))
    }

    fn bounds(&self, map: &Map<String, Value>, path: &str) -> Result<Bounds> {
        let (min, min_excluded) = self.bound(map, "minimum", "exclusiveMinimum", path)?;
        let (max, max_excluded) = self.bound(map, "maximum", "exclusiveMaximum", path)?;
        Ok(Bounds { min, max, min_excluded, max_excluded })
    }

    fn bound(&self, map: &Map<String, Value>, with: &str, without: &str, path: &str) -> Result<(Option<f64>, bool)> {
        let read = |keyword: &str| match map.get(keyword) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.abs() <= LARGEST as f64) {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(path, &format!("`{keyword}` must be a number of at most 15 digits"))),
            },
        };
        match (read(with)?, read(without)?) {
            (Some(_), Some(_)) => Err(self.error(path, &format!("`{without}` beside `{with}` is not supported"))),
            (included, None) => Ok((included, false)),
            (None, excluded) => Ok((excluded, true)),
        }
    }

    /// Numbers with a fraction between whole bounds.
    fn decimals(&self, bounds: &Bounds, path: &str) -> Result<Option<Expr>> {
        let fractional = [bounds.min, bounds.max].into_iter().flatten().find(|bound| bound.fract() != 0.0);
        if let Some(bound) = fractional {
            let message = format!("the bound {bound} of a `number` is not supported, only whole ones");
            return Err(self.error(path, &message));
        }
        let min = (bounds.min.map_or(-LARGEST, |min| min as i64), bounds.min_excluded);
        let max = (bounds.max.map_or(LARGEST, |max| max as i64), bounds.max_excluded);
        let mut options = Vec::new();
        if min.0 < 0 {
            // Magnitudes of negative numbers: the bounds change places.
            let largest = (-min.0, min.1);
            let smallest = if max.0 < 0 { (-max.0, max.1) } else { (0, false) };
            let magnitudes = magnitudes(smallest, largest);
            options.extend(magnitudes.map(|digits| Expr::sequence([Expr::literal("-"), digits])));
        }
        if max.0 >= 0 {
            options.extend(magnitudes(if min.0 < 0 { (0, false) } else { min }, max));
        }
        Ok((!options.is_empty()).then(|| Expr::choice(options)))
    }
}

impl Bounds {
    fn smallest(&self) -> i64 {
        self.min.map_or(-LARGEST, |min| {
            let least = min.ceil() as i64;
            if self.min_excluded && least as f64 == min { least + 1 } else { least }
        })
    }

    fn largest(&self) -> i64 {
        self.max.map_or(LARGEST, |max| {
            let most = max.floor() as i64;
            if self.max_excluded && most as f64 == max { most - 1 } else { most }
        })
    }
}

/// Any JSON number, with the digits that a double keeps.
pub(super) fn any_number() -> Expr {
    let exponent = Expr::sequence([
        Expr::class([('e', 'e'), ('E', 'E')]),
        Expr::class([('+', '+'), ('-', '-')]).optional(),
        digit().repeat(1, Some(2)),
    ]);
    let whole = Expr::choice([Expr::literal("0"), Expr::sequence([nonzero(), digit().repeat(0, Some(15))])]);
    let fraction = Expr::sequence([Expr::literal("."), digit().repeat(1, Some(15))]);
    Expr::sequence([Expr::literal("-").optional(), whole, fraction.optional(), exponent.optional()])
}

/// Whole numbers from `min` to `max`, both included; `None` when there are none.
fn whole_numbers(min: i64, max: i64) -> Option<Expr> {
    let mut options = Vec::new();
    if min < 0 && min <= max {
        let smallest = if max < 0 { -max } else { 1 };
        options.push(Expr::sequence([Expr::literal("-"), between(smallest as u64, min.unsigned_abs())]));
    }
    if max >= 0 && min <= max {
        options.push(between(min.max(0) as u64, max as u64));
    }
    (!options.is_empty()).then(|| Expr::choice(options))
}

/// Numbers without a sign and with an optional fraction; a bound says whether it is excluded.
fn magnitudes((min, min_excluded): (i64, bool), (max, max_excluded): (i64, bool)) -> Option<Expr> {
    let mut options = Vec::new();
    let zeros = Expr::sequence([Expr::literal("."), Expr::literal("0").repeat(1, Some(15))]).optional();
    let fraction = Expr::sequence([Expr::literal("."), digit().repeat(1, Some(15))]).optional();
    let more_than_zero = Expr::sequence([Expr::literal("."), digit().repeat(0, Some(8)), nonzero()]);
    let first_free = if min_excluded { min + 1 } else { min };
    if min_excluded && min < max {
        options.push(Expr::sequence([Expr::literal(min.to_string()), more_than_zero]));
    }
    if first_free < max {
        options.push(Expr::sequence([between(first_free as u64, (max - 1) as u64), fraction]));
    }
    if !max_excluded && first_free <= max {
        options.push(Expr::sequence([Expr::literal(max.to_string()), zeros]));
    }
    (!options.is_empty()).then(|| Expr::choice(options))
}

/// Whole numbers from `min` to `max` without a leading zero.
fn between(min: u64, max: u64) -> Expr {
    let (shortest, longest) = (min.to_string().len() as u32, max.to_string().len() as u32);
    let options: Vec<_> = (shortest..=longest)
        .map(|length| {
            let first = if length == 1 { 0 } else { 10u64.pow(length - 1) };
            let last = 10u64.pow(length) - 1;
            same_length(&digits_of(min.max(first)), &digits_of(max.min(last)))
        })
        .collect();
    Expr::choice(options)
}

fn digits_of(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Digit texts from `min` to `max`, which have the same length.
fn same_length(min: &[u8], max: &[u8]) -> Expr {
    let (Some((first, min_rest)), Some((last, max_rest))) = (min.split_first(), max.split_first()) else {
        return Expr::empty();
    };
    if first == last {
        return Expr::sequence([one_digit(*first), same_length(min_rest, max_rest)]);
    }
    let mut options = vec![Expr::sequence([one_digit(*first), at_least(min_rest)])];
    if last - first > 1 {
        options.push(Expr::sequence([digits(first + 1, last - 1), any_digits(min_rest.len())]));
    }
    options.push(Expr::sequence([one_digit(*last), at_most(max_rest)]));
    Expr::choice(options)
}

fn at_least(bound: &[u8]) -> Expr {
    let Some((first, rest)) = bound.split_first() else { return Expr::empty() };
    let mut options = vec![Expr::sequence([one_digit(*first), at_least(rest)])];
    if *first < b'9' {
        options.push(Expr::sequence([digits(first + 1, b'9'), any_digits(rest.len())]));
    }
    Expr::choice(options)
}

fn at_most(bound: &[u8]) -> Expr {
    let Some((first, rest)) = bound.split_first() else { return Expr::empty() };
    let mut options = vec![Expr::sequence([one_digit(*first), at_most(rest)])];
    if *first > b'0' {
        options.push(Expr::sequence([digits(b'0', first - 1), any_digits(rest.len())]));
    }
    Expr::choice(options)
}

fn any_digits(count: usize) -> Expr {
    digit().repeat(count as u32, Some(count as u32))
}

fn one_digit(ascii: u8) -> Expr {
    Expr::literal(char::from(ascii))
}

fn digits(first: u8, last: u8) -> Expr {
    Expr::class([(char::from(first), char::from(last))])
}

fn digit() -> Expr {
    digits(b'0', b'9')
}

fn nonzero() -> Expr {
    digits(b'1', b'9')
}
