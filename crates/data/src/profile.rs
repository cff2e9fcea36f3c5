//! What the columns of rows hold, found out by looking at every row once.
//!
//! A column has the narrowest type that loses nothing: whole numbers that differ in size stay whole, whole numbers beside
//! fractions are numbers, and values that differ in kind are kept as JSON. Texts of CSV files are numbers only when every one of
//! them is one, written the way JSON writes it: `007` is a text.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::column::{ColumnType, MAX_COLUMNS, check_name};
use crate::value::{EXACT_IN_DOUBLE, boolean, is_number};

/// What is known of all columns.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    columns: Vec<(String, Seen)>,
    places: HashMap<String, usize>,
    textual: bool,
}

/// What is known of one column: how many values of each kind there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    booleans: u64,
    integers: u64,
    /// Whole numbers that double precision does not hold exactly.
    wide: u64,
    /// Whole numbers beyond 64 bits with a sign.
    huge: u64,
    fractions: u64,
    texts: u64,
    nested: u64,
    /// Lists of chat messages among them.
    conversations: u64,
    /// Texts that are written as JSON writes something else.
    boolean_texts: u64,
    integer_texts: u64,
    number_texts: u64,
    json_texts: u64,
}

impl Profile {
    /// Of no rows yet; whether all values come as text.
    pub fn new(textual: bool) -> Self {
        Self { textual, ..Self::default() }
    }

    /// Whether a row can be part of a dataset; nothing of it is noted.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, row: &Map<String, Value>) -> Result<(), String> {
        let new: Vec<_> = row.keys().filter(|name| !self.places.contains_key(*name)).collect();
        new.iter().try_for_each(|name| check_name(name))?;
        match new.get(MAX_COLUMNS - self.columns.len()) {
            Some(name) => Err(format!("with the column {name} there are more than {MAX_COLUMNS}")),
            None => Ok(()),
        }
    }

    /// Looks at a row.
    ///
    /// # Errors
    /// Why the row cannot be part of a dataset.
    pub fn see(&mut self, row: &Map<String, Value>) -> Result<(), String> {
        self.check(row)?;
        for (name, value) in row {
            let textual = self.textual;
            let at = self.place(name);
            self.columns[at].1.see(value, textual);
        }
        Ok(())
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(at) = self.places.get(name) {
            return *at;
        }
        self.places.insert(name.to_owned(), self.columns.len());
        self.columns.push((name.to_owned(), Seen::default()));
        self.columns.len() - 1
    }

    /// The columns in the order in which they were first seen.
    pub fn columns(&self) -> &[(String, Seen)] {
        &self.columns
    }
}

impl Seen {
    fn see(&mut self, value: &Value, textual: bool) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => match number.as_i64() {
                Some(whole) => {
                    self.integers += 1;
                    self.wide += u64::from(whole.unsigned_abs() > EXACT_IN_DOUBLE);
                }
                None if number.is_u64() => self.huge += 1,
                None => self.fractions += 1,
            },
            Value::String(text) if textual && text.is_empty() => {}
            Value::String(text) => {
                self.texts += 1;
                if textual {
                    self.see_text(text);
                }
            }
            Value::Array(items) => {
                self.nested += 1;
                self.conversations += u64::from(!items.is_empty() && items.iter().all(is_message));
            }
            Value::Object(_) => self.nested += 1,
        }
    }

    /// As long as all texts before it were so, whether this one is written as something else.
    fn see_text(&mut self, text: &str) {
        let before = self.texts - 1;
        self.boolean_texts += u64::from(self.boolean_texts == before && boolean(text).is_some());
        let is_integer = self.integer_texts == before && text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
        self.integer_texts += u64::from(is_integer);
        self.number_texts += u64::from(self.number_texts == before && is_number(text));
        let nested = || text.starts_with(['{', '[']) && serde_json::from_str::<Value>(text).is_ok();
        self.json_texts += u64::from(self.json_texts == before && nested());
    }

    /// The type that all values have without losing anything.
    pub fn kind(&self, textual: bool) -> ColumnType {
        let Self { booleans, integers, wide, huge, fractions, texts, nested, .. } = *self;
        if textual && texts > 0 {
            return self.kind_of_texts();
        }
        let kinds = [booleans, integers + fractions + huge, texts, nested].iter().filter(|count| **count > 0).count();
        match () {
            () if kinds == 0 => ColumnType::Text,
            () if kinds > 1 || nested > 0 || huge > 0 => ColumnType::Json,
            () if booleans > 0 => ColumnType::Boolean,
            () if texts > 0 => ColumnType::Text,
            () if fractions == 0 => ColumnType::Integer,
            () if wide == 0 => ColumnType::Number,
            () => ColumnType::Json,
        }
    }

    fn kind_of_texts(&self) -> ColumnType {
        match self.texts {
            all if self.boolean_texts == all => ColumnType::Boolean,
            all if self.integer_texts == all => ColumnType::Integer,
            all if self.number_texts == all => ColumnType::Number,
            all if self.json_texts == all => ColumnType::Json,
            _ => ColumnType::Text,
        }
    }

    /// Whether there are whole numbers that double precision does not hold exactly.
    pub fn has_wide(&self) -> bool {
        self.wide > 0
    }

    /// Whether no row has a value.
    pub fn is_empty(&self) -> bool {
        self.booleans + self.integers + self.huge + self.fractions + self.texts + self.nested == 0
    }

    /// What a person should know about a column that is JSON because its values differ in kind.
    pub fn note(&self, name: &str, kind: ColumnType) -> Option<String> {
        let named = [
            (self.booleans, "truth values"),
            (self.integers + self.fractions + self.huge, "numbers"),
            (self.texts, "texts"),
            (self.nested, "lists or objects"),
        ];
        let mixed: Vec<_> =
            named.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (kind == ColumnType::Json && mixed.len() > 1)
            .then(|| format!("column {name} is kept as JSON, since it has {}", mixed.join(", ")))
    }

    /// Whether every value that is there is a list of chat messages.
    pub fn is_conversation(&self) -> bool {
        self.nested > 0 && self.conversations == self.nested && self.texts == 0 && self.integers + self.fractions == 0
    }
}

/// OpenAI's form, `{"role": …, "content": …}`, or ShareGPT's, `{"from": …, "value": …}`.
pub(crate) fn is_message(value: &Value) -> bool {
    let text = |name: &str| value.get(name).is_some_and(Value::is_string);
    (text("role") && (value.get("content").is_some() || value.get("tool_calls").is_some()))
        || (text("from") && text("value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(values: &[Value], textual: bool, expected: ColumnType) {
        let mut profile = Profile::new(textual);
        for value in values {
            profile.see(json!({ "a": value }).as_object().unwrap()).unwrap();
        }
        assert_eq!(profile.columns()[0].1.kind(textual), expected, "{values:?}");
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing() {
        use ColumnType::*;
        check(&[json!(null)], false, Text);
        check(&[json!(1), json!(null), json!(-9_007_199_254_740_993_i64)], false, Integer);
        check(&[json!(1), json!(0.5)], false, Number);
        check(&[json!(9_007_199_254_740_993_i64), json!(0.5)], false, Json);
        check(&[json!(u64::MAX)], false, Json);
        check(&[json!("a"), json!("1")], false, Text);
        check(&[json!("a"), json!(1)], false, Json);
        check(&[json!([1])], false, Json);
        check(&[json!(true)], false, Boolean);
    }

    #[test]
    fn texts_are_numbers_only_when_json_would_write_them_so() {
        use ColumnType::*;
        let check =
            |texts: &[&str], expected| check(&texts.iter().map(|text| json!(text)).collect::<Vec<_>>(), true, expected);
        check(&["1", "", "-5"], Integer);
        check(&["1", "2.5", "1.0", "-0.25", "1e-05", "2.5E10"], Number);
        // A version, a number of 20 digits, and one that double precision does not hold.
        check(&["1", "2.50"], Text);
        check(&["12345678901234567890"], Text);
        check(&["9007199254740993", "0.5"], Text);
        check(&["007", "1"], Text);
        check(&["1", "a"], Text);
        check(&["True", "False"], Boolean);
        check(&["[1]", "{\"a\":2}"], Json);
        check(&["['a']"], Text);
        check(&["NaN"], Text);
        check(&["", ""], Text);
    }

    #[test]
    fn a_mixed_column_is_told_of() {
        let mut profile = Profile::default();
        for value in [json!(1), json!("x"), json!(2)] {
            profile.see(json!({ "a": value }).as_object().unwrap()).unwrap();
        }
        let note = profile.columns()[0].1.note("a", ColumnType::Json);
        assert_eq!(note.unwrap(), "column a is kept as JSON, since it has 2 numbers, 1 texts");
        assert!(profile.see(json!({ "__row_id": 1 }).as_object().unwrap()).is_err());
    }
}
