//! The fields of a mapping of a task file: each is taken once, and what is left over is an error.

use serde_yaml_ng::{Mapping, Value};

use crate::python::pattern::Pattern;
use crate::yaml::to_json;
use crate::{Error, Result};

/// The fields of one mapping, with the names of the task and of the place for errors.
pub(crate) struct Fields {
    pub task: String,
    place: String,
    left: Mapping,
}

impl Fields {
    /// Those of a whole task.
    pub(crate) fn of_task(task: &str, mapping: Mapping) -> Self {
        Self { task: task.to_owned(), place: String::new(), left: mapping }
    }

    /// Those of a mapping within it, which stands at `place`.
    pub(crate) fn within(&self, place: &str, value: Value) -> Result<Self> {
        match value {
            Value::Mapping(left) => {
                Ok(Self { task: self.task.clone(), place: format!("{}{place}.", self.place), left })
            }
            _ => Err(self.wrong(place, "write a mapping of names to values")),
        }
    }

    pub(crate) fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::field(&self.task, &format!("{}{field}", self.place), why)
    }

    /// The value of a field; a null is none.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.left.remove(field).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, field: &str) -> Result<Option<String>> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "write a text")),
        }
    }

    pub(crate) fn needed_text(&mut self, field: &str) -> Result<String> {
        self.text(field)?.ok_or_else(|| self.wrong(field, "it is missing"))
    }

    /// One text or a list of them.
    pub(crate) fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let items = match value {
            Value::Sequence(items) => items,
            one => vec![one],
        };
        let text = |item: Value| match item {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(field, "write texts")),
        };
        items.into_iter().map(text).collect::<Result<_>>().map(Some)
    }

    /// Whether, in the words of YAML 1.1 too.
    pub(crate) fn truth(&mut self, field: &str) -> Result<Option<bool>> {
        let truth = match self.take(field) {
            None => return Ok(None),
            Some(Value::Bool(truth)) => Some(truth),
            Some(Value::String(word)) => match word.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => Some(true),
                "no" | "off" | "false" => Some(false),
                _ => None,
            },
            Some(_) => None,
        };
        truth.map(Some).ok_or_else(|| self.wrong(field, "write true or false"))
    }

    /// A whole number from 0 to a million.
    pub(crate) fn count(&mut self, field: &str) -> Result<Option<usize>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= 1_000_000);
        count.map(Some).ok_or_else(|| self.wrong(field, "write a whole number from 0 to 1000000"))
    }

    pub(crate) fn whole(&mut self, field: &str) -> Result<Option<i64>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| self.wrong(field, "write a whole number"))
    }

    pub(crate) fn number(&mut self, field: &str) -> Result<Option<f64>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let number = match &value {
            // YAML 1.1 reads `1e-5` as a text; the harness then calls `float`.
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        };
        number.filter(|n| n.is_finite()).map(Some).ok_or_else(|| self.wrong(field, "write a number"))
    }

    /// A list.
    pub(crate) fn list(&mut self, field: &str) -> Result<Option<Vec<Value>>> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Sequence(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(field, "write a list")),
        }
    }

    /// A value of data.
    pub(crate) fn json(&mut self, field: &str) -> Result<Option<serde_json::Value>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        to_json(&value)
            .map(Some)
            .ok_or_else(|| self.wrong(field, "write texts, numbers, lists and mappings of texts only"))
    }

    /// A regular expression.
    pub(crate) fn pattern(&mut self, field: &str) -> Result<Option<Pattern>> {
        let Some(source) = self.text(field)? else { return Ok(None) };
        Pattern::new(&source).map(Some).map_err(|why| self.wrong(field, why))
    }

    /// A list of regular expressions.
    pub(crate) fn patterns(&mut self, field: &str) -> Result<Option<Vec<Pattern>>> {
        let Some(sources) = self.texts(field)? else { return Ok(None) };
        let patterns = sources.iter().map(|source| Pattern::new(source).map_err(|why| self.wrong(field, why)));
        patterns.collect::<Result<_>>().map(Some)
    }

    /// Refuses a field that would change what is asked or how it is scored.
    pub(crate) fn refuse(&mut self, field: &str, why: &str) -> Result<()> {
        match self.take(field) {
            None | Some(Value::Bool(false)) => Ok(()),
            Some(_) => Err(self.wrong(field, why)),
        }
    }

    /// What is left is not known.
    pub(crate) fn end(self) -> Result<()> {
        let Some(key) = self.left.keys().next() else { return Ok(()) };
        let name = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
        Err(self.wrong(&name, "the field is not known; correct its name or remove it"))
    }
}
