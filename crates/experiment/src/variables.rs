//! What of a row goes into a prompt, and what it should have been answered.

use std::collections::BTreeMap;

use qd_data::{Column, Dataset, Role, Row, text_of};
use qd_prompt::{Example, Prompt, VariableKind};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// From which column each variable of a prompt gets its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping(Vec<(String, VariableKind, String)>);

impl Mapping {
    /// Looks for the column of each variable: the one that the definition names, the one of its name, or the one whose role
    /// it is called by (`input`, `context`, `messages`). A prompt with one variable that has none gets the input.
    ///
    /// # Errors
    /// [`Error::Definition`] when a required variable has no column, or one would show what should be answered.
    pub fn new(prompt: &Prompt, name: &str, dataset: &Dataset, named: &BTreeMap<String, String>) -> Result<Self> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for variable in &prompt.variables {
            match column_of(&variable.name, dataset, named)? {
                Some(column) => found.push((variable.name.clone(), variable.kind, column)),
                None if variable.required && variable.default.is_none() => missing.push(variable),
                None => {}
            }
        }
        let input = dataset.column(Role::Input).map(|column| column.name.clone());
        match (missing.as_slice(), input) {
            ([], _) => {}
            ([one], Some(input)) if found.is_empty() => found.push((one.name.clone(), one.kind, input)),
            ([first, ..], _) => {
                let why = format!(
                    "the prompt {name} takes {:?}, and the dataset {} has no such column; say {{\"{}\": \"COLUMN\"}} with one of {}",
                    first.name,
                    dataset.info().name,
                    first.name,
                    dataset.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", "),
                );
                return Err(Error::definition("variables", why));
            }
        }
        Ok(Self(found))
    }

    /// The values of a row.
    pub fn values(&self, row: &Row) -> Map<String, Value> {
        let value = |column: &str, kind: VariableKind| {
            let value = row.values.get(column).filter(|value| !value.is_null())?;
            Some(if kind == VariableKind::String { Value::String(text_of(value)) } else { value.clone() })
        };
        self.0.iter().filter_map(|(name, kind, column)| Some((name.clone(), value(column, *kind)?))).collect()
    }

    /// A row as an example: its values and what it should be answered. None for a row without a reference.
    pub fn example(&self, dataset: &Dataset, row: &Row) -> Option<Example> {
        let output = references(dataset, row).into_iter().next()?;
        Some(Example { variables: self.values(row), output: Value::String(output) })
    }
}

fn column_of(variable: &str, dataset: &Dataset, named: &BTreeMap<String, String>) -> Result<Option<String>> {
    let by_name = |name: &str| dataset.columns().iter().find(|column| column.name == name);
    let found = match named.get(variable) {
        Some(column) => Some(by_name(column).ok_or_else(|| {
            Error::definition(format!("variables.{variable}"), format!("the dataset has no column {column:?}"))
        })?),
        None => by_name(variable).or_else(|| match variable {
            "input" => dataset.column(Role::Input),
            "context" => dataset.column(Role::Context),
            "messages" => dataset.column(Role::Messages),
            _ => None,
        }),
    };
    match found {
        Some(column) if Some(&column.name) == answer(dataset).map(|answer| &answer.name) => {
            let why =
                format!("the column {:?} is the reference: a prompt that shows it gives the answer away", column.name);
            Err(Error::definition(format!("variables.{variable}"), why))
        }
        found => Ok(found.map(|column| column.name.clone())),
    }
}

/// The column of what should be answered: the reference, or the label of a dataset that has none.
pub(crate) fn answer(dataset: &Dataset) -> Option<&Column> {
    dataset.column(Role::Reference).or_else(|| dataset.column(Role::Label))
}

/// What a row should be answered, any of several when that is a list.
pub fn references(dataset: &Dataset, row: &Row) -> Vec<String> {
    match answer(dataset).and_then(|column| row.values.get(&column.name)) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(several)) => several.iter().filter(|value| !value.is_null()).map(text_of).collect(),
        Some(one) => vec![text_of(one)],
    }
}
