//! The lake's table of items: one row for each answer of a cell to an item, durable before it counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use qd_base::{Picodollars, ProjectName, Sha256Hex, TableName, Timestamp, Usage, VersionId};
use qd_gateway::batch::Spent;
use qd_lake::{Lake, Param, TableSpec};

use crate::Result;
use crate::call::Outcome;
use crate::columns::{self, Columns, Told, parsed, parsed_json};

/// The table's name in SQL.
pub const ITEMS: &str = "experiment_items";
/// Keys that are looked up in one statement.
const KEYS: usize = 200;

/// One answer of a cell to an item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow {
    /// The project.
    pub project: ProjectName,
    /// When it was answered.
    pub time: Timestamp,
    /// The version of the experiment.
    pub experiment: VersionId,
    /// The cell.
    pub cell: String,
    /// The row's place in the dataset.
    pub item: u64,
    /// The row's identifier.
    pub row_id: String,
    /// The how-many-th answer, from 0.
    pub repeat: u32,
    /// What makes it the same call as another.
    pub key: Sha256Hex,
    /// The model asked for.
    pub model: String,
    /// What that name stood for: one model at one provider.
    pub target: Option<String>,
    /// The prompt.
    pub prompt: String,
    /// Its version.
    pub prompt_version: u32,
    /// Scores by name; none where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What came back.
    pub outcome: Outcome,
}

/// The same as statistics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The cell.
    pub cell: String,
    /// The row's place in the dataset.
    pub item: u64,
    /// The how-many-th answer.
    pub repeat: u32,
    /// Scores by name.
    pub scores: BTreeMap<String, Option<f64>>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it was taken from an earlier experiment.
    pub cached: bool,
    /// What such a call costs.
    pub cost: Option<Picodollars>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// What makes it the same call as another.
    pub key: Sha256Hex,
    /// When it was answered.
    pub time: Timestamp,
}

impl Scored {
    /// What it cost this experiment.
    pub fn spent(&self) -> Picodollars {
        self.cost.filter(|_| !self.cached).unwrap_or_default()
    }
}

/// What rows have cost their experiment.
pub fn spent(rows: &[Scored]) -> Spent {
    let mut spent = Spent::default();
    rows.iter().filter(|row| !row.cached).for_each(|row| spent.add(row.error.is_none(), row.cost, row.usage));
    spent
}

impl From<&ItemRow> for Scored {
    fn from(row: &ItemRow) -> Self {
        Self {
            cell: row.cell.clone(),
            item: row.item,
            repeat: row.repeat,
            scores: row.scores.clone(),
            error: row.outcome.error.clone(),
            cached: row.outcome.cached,
            cost: row.outcome.cost,
            latency_ms: row.outcome.latency_ms,
            usage: row.outcome.usage,
            key: row.key,
            time: row.time,
        }
    }
}

/// The table's name.
pub fn name() -> TableName {
    ITEMS.parse().expect("the constant is a valid table name")
}

/// The table of items, for who opens the lake.
pub fn table() -> TableSpec {
    TableSpec {
        name: name(),
        schema: schema(),
        sort: vec!["project", "experiment", "time"],
        time_column: "time",
        bloom: vec!["experiment", "key"],
        // What is deleted is an experiment, with all of its rows.
        subject_column: Some("experiment"),
        // An item that is asked again takes the place of what was there.
        identity: vec!["experiment", "place"],
        project_column: Some("project"),
        group_column: None,
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let word = |name| Field::new(name, DataType::Utf8, false);
        let first = vec![
            word("project"),
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            word("experiment"),
            word("place"),
            word("cell"),
            Field::new("item", DataType::Int64, false),
            word("row_id"),
            Field::new("repeat", DataType::Int64, false),
            word("key"),
            word("model"),
            word("prompt_name"),
            Field::new("prompt_version", DataType::Int64, false),
            word("scores"),
        ];
        let text = Field::new("target", DataType::Utf8, true);
        Arc::new(Schema::new(first.into_iter().chain(columns::fields()).chain([text]).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Keeps rows. They are on disk when this returns.
///
/// # Errors
/// [`Error::Lake`] when the lake does not take them, after it was full for half a minute.
pub async fn keep(lake: &Lake, rows: &[ItemRow]) -> Result<()> {
    columns::append(lake, ITEMS, batch(rows)?).await
}

fn batch(rows: &[ItemRow]) -> Result<RecordBatch> {
    let word = |of: &dyn Fn(&ItemRow) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let whole =
        |of: &dyn Fn(&ItemRow) -> Option<i64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Int64Array>()) };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let time =
        TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time.as_nanos())).with_timezone("UTC");
    let first = vec![
        word(&|row| row.project.to_string()),
        Arc::new(time),
        word(&|row| row.experiment.to_string()),
        word(&|row| format!("{}/{}/{}", row.cell, row.item, row.repeat)),
        word(&|row| row.cell.clone()),
        whole(&|row| Some(count(row.item))),
        word(&|row| row.row_id.clone()),
        whole(&|row| Some(row.repeat.into())),
        word(&|row| row.key.to_string()),
        word(&|row| row.model.clone()),
        word(&|row| row.prompt.clone()),
        whole(&|row| Some(row.prompt_version.into())),
        word(&|row| serde_json::json!(row.scores).to_string()),
    ];
    let outcomes = columns::arrays(&rows.iter().map(|row| &row.outcome).collect::<Vec<_>>());
    let target: ArrayRef = Arc::new(rows.iter().map(|row| row.target.clone()).collect::<StringArray>());
    let columns = first.into_iter().chain(outcomes).chain([target]).collect();
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// Everything that was scored in an experiment, without the texts.
///
/// # Errors
/// [`Error::Lake`] when the lake does not answer, [`Error::Row`] for a row that cannot be read.
pub async fn scored(lake: &Lake, experiment: VersionId) -> Result<Vec<Scored>> {
    let sql = "SELECT time, cell, item, repeat, key, scores, error, cached, original_cost_picodollars, latency_ms, \
               input_tokens, output_tokens FROM experiment_items WHERE experiment = $1 ORDER BY time";
    let output = lake.query(sql, vec![experiment.to_string().into()], columns::limits()).await?;
    let mut found: HashMap<(String, u64, u32), Scored> = HashMap::new();
    for batch in &output.batches {
        for row in read_scored(batch)? {
            // Of answers to the same question the last counts, also when the lake has forgotten that they are the same.
            found.insert((row.cell.clone(), row.item, row.repeat), row);
        }
    }
    let mut rows: Vec<Scored> = found.into_values().collect();
    rows.sort_unstable_by(|a, b| (&a.cell, a.item, a.repeat).cmp(&(&b.cell, b.item, b.repeat)));
    Ok(rows)
}

fn read_scored(batch: &RecordBatch) -> Result<Vec<Scored>> {
    let columns = Columns(batch);
    let (cell, item, repeat) = (columns.text("cell")?, columns.whole("item")?, columns.whole("repeat")?);
    let (key, scores, rest) = (columns.text("key")?, columns.text("scores")?, Told::of(&columns)?);
    let nanos = columns.typed("time", &DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))?;
    let nanos = nanos.as_primitive::<TimestampNanosecondType>();
    let read = |row: usize| {
        let outcome = rest.outcome(row)?;
        Ok(Scored {
            cell: cell.value(row).to_owned(),
            item: item.value(row).unsigned_abs(),
            repeat: u32::try_from(repeat.value(row)).unwrap_or(u32::MAX),
            scores: parsed_json("scores", scores.value(row))?,
            error: outcome.error,
            cached: rest.cached.value(row),
            cost: outcome.cost,
            latency_ms: outcome.latency_ms,
            usage: outcome.usage,
            key: parsed("key", key.value(row))?,
            time: Timestamp::from_nanos(nanos.value(row)),
        })
    };
    (0..batch.num_rows()).map(read).collect()
}

/// What the experiments of a project were answered to these calls before.
///
/// # Errors
/// As [`scored`].
pub async fn known(lake: &Lake, project: &ProjectName, keys: &[Sha256Hex]) -> Result<HashMap<Sha256Hex, Outcome>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(KEYS) {
        let places: Vec<String> = (2..keys.len() + 2).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT key, output, error, finish_reason, cached, original_cost_picodollars, latency_ms, input_tokens, output_tokens, \
             trace_id, span_id FROM experiment_items WHERE project = $1 AND error IS NULL AND key IN ({}) ORDER BY time",
            places.join(", ")
        );
        let mut params: Vec<Param> = vec![project.as_str().into()];
        params.extend(keys.iter().map(|key| key.to_string().into()));
        for batch in &lake.query(&sql, params, columns::limits()).await?.batches {
            let columns = Columns(batch);
            let (key, told) = (columns.text("key")?, Told::of(&columns)?);
            for row in 0..batch.num_rows() {
                let key = parsed("key", key.value(row))?;
                found.insert(key, Outcome { cached: true, ..told.whole(&columns, row)? });
            }
        }
    }
    Ok(found)
}

/// The rows of some items of an experiment, with their texts.
///
/// # Errors
/// As [`scored`].
pub async fn answers(
    lake: &Lake,
    experiment: VersionId,
    items: &[u64],
    cells: &[String],
) -> Result<Vec<(Scored, Outcome)>> {
    let numbers: Vec<String> = items.iter().map(u64::to_string).collect();
    if numbers.is_empty() || cells.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (2..cells.len() + 2).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT * FROM experiment_items WHERE experiment = $1 AND item IN ({}) AND cell IN ({}) ORDER BY time",
        numbers.join(", "),
        places.join(", ")
    );
    let mut params: Vec<Param> = vec![experiment.to_string().into()];
    params.extend(cells.iter().map(|cell| cell.clone().into()));
    let mut found = Vec::new();
    for batch in &lake.query(&sql, params, columns::limits()).await?.batches {
        let columns = Columns(batch);
        let told = Told::of(&columns)?;
        for (row, scored) in read_scored(batch)?.into_iter().enumerate() {
            let outcome = Outcome { cached: scored.cached, ..told.whole(&columns, row)? };
            found.push((scored, outcome));
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer of a cell to an item.
    pub(crate) fn row(cell: &str, item: u64) -> ItemRow {
        ItemRow {
            project: "default".parse().unwrap(),
            time: Timestamp::now(),
            experiment: VersionId::new(),
            cell: cell.to_owned(),
            item,
            row_id: item.to_string(),
            repeat: 0,
            key: Sha256Hex::of(b""),
            model: "m".to_owned(),
            target: None,
            prompt: "p".to_owned(),
            prompt_version: 1,
            scores: BTreeMap::new(),
            outcome: Outcome { output: Some("yes".to_owned()), ..Outcome::default() },
        }
    }
}
