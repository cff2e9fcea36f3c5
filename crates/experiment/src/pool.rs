//! The rows of a dataset as examples: those that every call with a prompt chooses from, in experiments as in production.

use qd_data::{Dataset, Role};
use qd_prompt::Example;
use qd_prompt::example::MAX_POOL;
use serde_json::Value;

use crate::{Result, variables};

/// How large examples are together at most; rows after those are none.
pub const MAX_BYTES: usize = 16 << 20;
/// Rows that are read at once until there are enough.
const PAGE: u64 = 100;

/// Examples to choose from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pool {
    /// The examples, in the order of the rows.
    pub examples: Vec<Example>,
    /// About how many bytes they take.
    pub size_bytes: usize,
}

/// The first rows of a dataset as examples: every column but the answer and the identifier is a variable of its name. None when
/// the dataset has no reference and no label, which would be the answer.
///
/// # Errors
/// [`crate::Error::Data`] when the rows cannot be read.
pub async fn read(dataset: &Dataset) -> Result<Option<Pool>> {
    let Some(answer) = variables::answer(dataset).map(|column| &column.name) else { return Ok(None) };
    let identifier = dataset.column(Role::Id).map(|column| &column.name);
    let (mut pool, mut next) = (Pool::default(), Some(0));
    while let Some(from) = next.filter(|from| *from < MAX_POOL as u64) {
        let found = dataset.page(from..(from + PAGE).min(MAX_POOL as u64)).await?;
        next = found.next;
        for mut row in found.rows {
            pool.size_bytes += row.values.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>();
            if pool.size_bytes > MAX_BYTES {
                return Ok(Some(pool));
            }
            let output = row.values.remove(answer).unwrap_or_default();
            row.values.retain(|name, value| Some(name) != identifier && !value.is_null());
            pool.examples.push(Example { variables: row.values, output });
        }
    }
    Ok(Some(pool))
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
    }
}
