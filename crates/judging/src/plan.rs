//! Which rows of a dataset are items, and what of them the judge sees.

use std::collections::BTreeMap;

use qd_base::Sha256Hex;
use qd_data::{Dataset, Row};
use qd_judge::{Definition, Input, Judge, Method};
use serde_json::{Map, Value, json};

use crate::place::{Place, Places};
use crate::request::{MOST_ITEMS, Request};
use crate::{Error, Result};

/// Rows that are looked at together.
const PAGE: u64 = 1_000;

/// What a calibration asks.
pub struct Plan {
    /// The items, in the order in which they are asked.
    pub items: Vec<Picked>,
    /// For each input the column that it is taken from.
    columns: BTreeMap<String, String>,
    authors: Vec<String>,
}

/// A row that is an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Picked {
    /// The row's place in the dataset.
    pub index: u64,
    /// Its identifier.
    pub row_id: String,
    /// What each person said.
    pub said: Vec<Option<Place>>,
}

/// What is asked about an item.
pub struct Asked {
    /// What the judge sees.
    pub values: Map<String, Value>,
    /// What makes it the same question as another.
    pub key: Sha256Hex,
    /// Characters of each input.
    pub lengths: BTreeMap<String, u64>,
    /// Who wrote the answer, or the two of a pair, where that is known.
    pub authors: Vec<Option<String>>,
}

impl Plan {
    /// Looks through the dataset for rows that people labelled, and draws of them.
    ///
    /// Items are ordered by the SHA-256 of the seed and their identifier: the first ones of them are a random part, of this
    /// version and of others that have the same rows.
    ///
    /// # Errors
    /// [`Error::Request`] when the judge and the dataset do not fit each other.
    pub async fn new(dataset: &Dataset, judge: &Judge, request: &Request) -> Result<Self> {
        request.check()?;
        let columns = columns(dataset, judge, request)?;
        for (field, names) in [("labels", &request.labels), ("authors", &request.authors)] {
            names.iter().try_for_each(|name| must_be_there(dataset, field, name))?;
        }
        authors_fit(judge, request)?;
        let places = Places::of(judge);
        let mut found = Vec::new();
        let mut from = 0;
        while from < dataset.len() {
            let page = dataset.page(from..from.saturating_add(PAGE)).await?;
            let end = page.rows.last().map_or(dataset.len(), |row| row.index + 1);
            for row in page.rows {
                let said = labels(&places, &row, request)?;
                if said.iter().any(Option::is_some) {
                    let order = Sha256Hex::of(format!("{}/{}", request.seed, row.id).as_bytes());
                    found.push((order, Picked { index: row.index, row_id: row.id, said }));
                }
            }
            from = end;
        }
        if found.is_empty() {
            return Err(Error::request("labels", format!("no row has anything in {}", request.labels.join(", "))));
        }
        let most = request.limit.unwrap_or(found.len());
        if most > MOST_ITEMS {
            let why = format!("people labelled {} rows; say a limit, at most {MOST_ITEMS}", found.len());
            return Err(Error::request("limit", why));
        }
        found.sort_unstable_by(|(one, a), (other, b)| (one, a.index).cmp(&(other, b.index)));
        let items = found.into_iter().take(most).map(|(_, picked)| picked).collect();
        Ok(Self { items, columns, authors: request.authors.clone() })
    }

    /// What is asked about a row.
    pub fn asked(&self, row: &Row) -> Asked {
        let value = |column: &String| row.values.get(column).filter(|value| !value.is_null()).cloned();
        let values: Map<String, Value> =
            self.columns.iter().filter_map(|(input, column)| Some((input.clone(), value(column)?))).collect();
        let ordered: BTreeMap<&String, &Value> = values.iter().collect();
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Asked {
            key: Sha256Hex::of(json!(ordered).to_string().as_bytes()),
            lengths: values.iter().map(|(input, value)| (input.clone(), chars(value))).collect(),
            authors: self.authors.iter().map(|column| value(column).map(text)).collect(),
            values,
        }
    }
}

fn authors_fit(judge: &Judge, request: &Request) -> Result<()> {
    let pairs = matches!(judge.definition().method, Method::Pairwise { .. });
    let why = match (request.authors.len(), pairs) {
        (0, _) | (1, false) | (2, true) => return Ok(()),
        (_, true) => "name two columns: who wrote the first answer, and who the second",
        (_, false) => "name one column: this judge looks at one answer",
    };
    Err(Error::request("authors", why))
}

fn chars(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.chars().count() as u64,
        other => other.to_string().chars().count() as u64,
    }
}

fn labels(places: &Places, row: &Row, request: &Request) -> Result<Vec<Option<Place>>> {
    request
        .labels
        .iter()
        .map(|column| places.read(row.values.get(column).unwrap_or(&Value::Null), &request.means))
        .collect()
}

fn must_be_there(dataset: &Dataset, field: &'static str, name: &str) -> Result<()> {
    if dataset.columns().iter().any(|column| column.name == name) {
        return Ok(());
    }
    let there: Vec<&str> = dataset.columns().iter().map(|column| column.name.as_str()).take(32).collect();
    Err(Error::request(field, format!("the dataset has no column {name:?}; it has {}", there.join(", "))))
}

/// For each input of the judge its column.
fn columns(dataset: &Dataset, judge: &Judge, request: &Request) -> Result<BTreeMap<String, String>> {
    let inputs = inputs_of(judge.definition());
    if let Some(other) = request.values.keys().find(|name| !inputs.contains_key(*name)) {
        let there: Vec<&String> = inputs.keys().collect();
        return Err(Error::request("values", format!("the judge has no input {other:?}; it has {there:?}")));
    }
    let mut columns = BTreeMap::new();
    for (name, input) in inputs {
        let column = request.values.get(&name).unwrap_or(&name);
        match must_be_there(dataset, "values", column) {
            Ok(()) => drop(columns.insert(name.clone(), column.clone())),
            Err(_) if !input.required && !request.values.contains_key(&name) => {}
            Err(Error::Request { why, .. }) => {
                let why = format!("{why}; say which one is the judge's input {name:?}, as in '{name}=COLUMN'");
                return Err(Error::request("values", why));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(columns)
}

/// What a judge wants of an item; of a jury what any juror wants.
pub fn inputs_of(definition: &Definition) -> BTreeMap<String, Input> {
    let own = definition.inputs.iter().map(|input| (input.name.clone(), input.clone()));
    match &definition.method {
        Method::Jury { jurors, .. } => jurors.iter().flat_map(inputs_of).collect(),
        _ => own.collect(),
    }
}
