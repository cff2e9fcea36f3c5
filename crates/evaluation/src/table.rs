//! The lake's table of items: one row for each answer of a target, and one for each word of a judge, durable before it counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use qd_base::{Picodollars, ProjectName, Sha256Hex, TableName, Timestamp, Usage, VersionId};
use qd_experiment::call::Outcome;
use qd_experiment::columns::{self, Columns, Told, parsed, parsed_json, text_at};
use qd_experiment::health::Waiting;
use qd_gateway::batch::Spent;
use qd_lake::{Lake, Param, QueryLimits, TableSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// The table's name in SQL.
pub const ITEMS: &str = "evaluation_items";
/// Keys that are looked up in one statement.
const KEYS: usize = 200;
/// Memory of one statement at most, as far as the lake has it.
const MOST_BYTES: usize = 1 << 30;

/// An answer of a target to an item; or, with a scorer, what that was told about the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow {
    /// The project.
    pub project: ProjectName,
    /// When it was answered.
    pub time: Timestamp,
    /// The version of the evaluation.
    pub evaluation: VersionId,
    /// The target.
    pub target: String,
    /// The row's place in the dataset.
    pub item: u64,
    /// The row's identifier.
    pub row_id: String,
    /// The scorer that asked a model; none for the answer itself.
    pub scorer: Option<String>,
    /// What makes it the same call as another.
    pub key: Sha256Hex,
    /// The model asked for, or the judge.
    pub model: Option<String>,
    /// What that name stood for: one model at one provider.
    pub asked: Option<String>,
    /// Scores by name; none where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What scores are made of.
    pub details: BTreeMap<String, Detail>,
    /// All that a judge said.
    pub judgement: Option<Value>,
    /// What came back.
    pub outcome: Outcome,
}

/// What a score is made of, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Why there is no score: `no_answer`, `no_reference`, `cannot_tell`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a metric of a corpus: what is added up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<f64>,
    /// How many references there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<usize>,
    /// The true class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// The class that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The probability of the positive class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What people say of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<f64>,
    /// Of a judge: of how many of its calls the price is not known, where that is not all that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<u32>,
}

impl Detail {
    /// No score, with the reason in one word.
    pub fn none(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }
}

/// The same as statistics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The target.
    pub target: String,
    /// The row's place in the dataset.
    pub item: u64,
    /// The scorer that asked a model.
    pub scorer: Option<String>,
    /// Scores by name.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What they are made of.
    pub details: BTreeMap<String, Detail>,
    /// Whether there is a text.
    pub has_text: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it was taken from elsewhere.
    pub cached: bool,
    /// What such a call costs.
    pub cost: Option<Picodollars>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// What makes it the same call as another.
    pub key: Sha256Hex,
    /// Whether a model was asked, here or elsewhere.
    pub was_asked: bool,
}

/// Which row of an evaluation it is.
pub(crate) type Place = (String, u64, Option<String>);

impl Scored {
    /// Which row it is.
    pub(crate) fn place(&self) -> Place {
        (self.target.clone(), self.item, self.scorer.clone())
    }

    /// What it cost this evaluation.
    pub fn spent(&self) -> Picodollars {
        self.cost.filter(|_| !self.cached).unwrap_or_default()
    }

    /// The same with its tokens and calls; none when nobody was asked here.
    pub(crate) fn paid(&self) -> Option<Spent> {
        let unpriced = self.scorer.as_ref().and_then(|scorer| self.details.get(scorer)?.unpriced);
        let one = || u32::from(self.cost.is_none() && self.error.is_none());
        let asked = !self.cached && self.was_asked;
        asked.then(|| Spent::together(unpriced.unwrap_or_else(one).into(), self.cost, self.usage))
    }
}

/// What rows have cost their evaluation.
pub(crate) fn spent<'r>(rows: impl IntoIterator<Item = &'r Scored>) -> Spent {
    let mut spent = Spent::default();
    rows.into_iter().filter_map(Scored::paid).for_each(|paid| spent.join(paid));
    spent
}

impl From<&ItemRow> for Scored {
    fn from(row: &ItemRow) -> Self {
        Self {
            target: row.target.clone(),
            item: row.item,
            scorer: row.scorer.clone(),
            scores: row.scores.clone(),
            details: row.details.clone(),
            has_text: row.outcome.output.is_some(),
            error: row.outcome.error.clone(),
            cached: row.outcome.cached,
            cost: row.outcome.cost,
            latency_ms: row.outcome.latency_ms,
            usage: row.outcome.usage,
            key: row.key,
            was_asked: row.asked.is_some(),
        }
    }
}

impl Waiting for ItemRow {
    fn cell(&self) -> &str {
        self.scorer.as_deref().unwrap_or(&self.target)
    }

    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    fn error(&self) -> Option<&str> {
        self.outcome.error.as_deref()
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
        sort: vec!["project", "evaluation", "time"],
        time_column: "time",
        bloom: vec!["evaluation", "key"],
        // What is deleted is an evaluation, with all of its rows.
        subject_column: Some("evaluation"),
        identity: vec!["evaluation", "place"],
        project_column: Some("project"),
        group_column: None,
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let word = |name| Field::new(name, DataType::Utf8, false);
        let text = |name| Field::new(name, DataType::Utf8, true);
        let first = vec![
            word("project"),
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            word("evaluation"),
            word("place"),
            word("target"),
            Field::new("item", DataType::Int64, false),
            word("row_id"),
            text("scorer"),
            word("key"),
            text("model"),
            text("asked"),
            word("scores"),
            word("details"),
            text("judgement"),
        ];
        Arc::new(Schema::new(first.into_iter().chain(columns::fields()).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Keeps rows. They are on disk when this returns.
///
/// # Errors
/// [`crate::Error::Experiment`] when the lake does not take them, after it was full for half a minute.
pub async fn keep(lake: &Lake, rows: &[ItemRow]) -> Result<()> {
    Ok(columns::append(lake, ITEMS, batch(rows)?).await?)
}

fn batch(rows: &[ItemRow]) -> Result<RecordBatch> {
    let word = |of: &dyn Fn(&ItemRow) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let text = |of: &dyn Fn(&ItemRow) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let time =
        TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time.as_nanos())).with_timezone("UTC");
    let item = rows.iter().map(|row| i64::try_from(row.item).unwrap_or(i64::MAX));
    let place = |row: &ItemRow| format!("{}/{}/{}", row.target, row.item, row.scorer.as_deref().unwrap_or_default());
    let first: Vec<ArrayRef> = vec![
        word(&|row| row.project.to_string()),
        Arc::new(time),
        word(&|row| row.evaluation.to_string()),
        word(&place),
        word(&|row| row.target.clone()),
        Arc::new(Int64Array::from_iter_values(item)),
        word(&|row| row.row_id.clone()),
        text(&|row| row.scorer.clone()),
        word(&|row| row.key.to_string()),
        text(&|row| row.model.clone()),
        text(&|row| row.asked.clone()),
        word(&|row| serde_json::json!(row.scores).to_string()),
        word(&|row| serde_json::json!(row.details).to_string()),
        text(&|row| row.judgement.as_ref().map(Value::to_string)),
    ];
    let outcomes = columns::arrays(&rows.iter().map(|row| &row.outcome).collect::<Vec<_>>());
    Ok(RecordBatch::try_new(schema(), first.into_iter().chain(outcomes).collect())?)
}

/// Everything that was scored in an evaluation, without the texts.
///
/// # Errors
/// [`crate::Error::Lake`] when the lake does not answer, [`crate::Error::Experiment`] for a row that cannot be read.
pub async fn scored(lake: &Lake, evaluation: VersionId) -> Result<Vec<Scored>> {
    let sql = "SELECT target, item, scorer, key, asked, scores, details, output IS NOT NULL AS has_text, error, cached, \
               original_cost_picodollars, latency_ms, input_tokens, output_tokens \
               FROM evaluation_items WHERE evaluation = $1 ORDER BY time";
    let mut found: HashMap<Place, Scored> = HashMap::new();
    for batch in &query(lake, sql, vec![evaluation.to_string().into()]).await? {
        // Of rows of the same place the last counts, also when the lake has forgotten that they are the same.
        found.extend(read(batch)?.into_iter().map(|row| (row.place(), row)));
    }
    let mut rows: Vec<Scored> = found.into_values().collect();
    rows.sort_unstable_by_key(Scored::place);
    Ok(rows)
}

fn read(batch: &RecordBatch) -> Result<Vec<Scored>> {
    let columns = Columns(batch);
    let (target, item, scorer) = (columns.text("target")?, columns.whole("item")?, columns.text("scorer")?);
    let (key, asked) = (columns.text("key")?, columns.text("asked")?);
    let (scores, details, rest) = (columns.text("scores")?, columns.text("details")?, Told::of(&columns)?);
    let has_text = columns.typed("has_text", &DataType::Boolean)?;
    let has_text = has_text.as_any().downcast_ref::<arrow::array::BooleanArray>();
    let one = |row: usize| {
        let outcome = rest.outcome(row)?;
        Ok(Scored {
            target: target.value(row).to_owned(),
            item: item.value(row).unsigned_abs(),
            scorer: text_at(&scorer, row),
            scores: parsed_json("scores", scores.value(row))?,
            details: parsed_json("details", details.value(row))?,
            has_text: has_text.is_some_and(|column| column.value(row)),
            error: outcome.error,
            cached: rest.cached.value(row),
            cost: outcome.cost,
            latency_ms: outcome.latency_ms,
            usage: outcome.usage,
            key: parsed("key", key.value(row))?,
            was_asked: asked.is_valid(row),
        })
    };
    (0..batch.num_rows()).map(one).collect()
}

/// The answer to a statement, which is an error when it is not whole.
async fn query(lake: &Lake, sql: &str, params: Vec<Param>) -> Result<Vec<RecordBatch>> {
    // Statistics of a hundred thousand answers are some hundred bytes each.
    let limits = QueryLimits { memory_bytes: MOST_BYTES, ..columns::limits() };
    let output = lake.query(sql, params, limits).await?;
    if output.truncated { Err(Error::TooMany { most: limits.max_rows }) } else { Ok(output.batches) }
}

/// What came of a call before, to be taken instead of another.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub outcome: Outcome,
    pub scores: BTreeMap<String, Option<f64>>,
    pub details: BTreeMap<String, Detail>,
    pub judgement: Option<Value>,
}

/// What the evaluations of a project were told in these calls before: answers, or with a scorer what models said of answers.
pub(crate) async fn known(
    lake: &Lake,
    project: &ProjectName,
    keys: &[Sha256Hex],
    of_scorers: bool,
) -> Result<HashMap<Sha256Hex, Known>> {
    let mut found = HashMap::new();
    let kind = if of_scorers { "scorer IS NOT NULL" } else { "scorer IS NULL" };
    let kind = format!("{kind} AND asked IS NOT NULL");
    for keys in keys.chunks(KEYS) {
        let places: Vec<String> = (2..keys.len() + 2).map(|place| format!("${place}")).collect();
        let wanted = format!("project = $1 AND error IS NULL AND {kind} AND key IN ({})", places.join(", "));
        let mut params: Vec<Param> = vec![project.as_str().into()];
        params.extend(keys.iter().map(|key| key.to_string().into()));
        // An answer that was taken again and again has as many rows: of each only the last is read with its texts.
        let sql = format!("SELECT key, max(time) AS time FROM evaluation_items WHERE {wanted} GROUP BY key");
        let mut times = BTreeSet::new();
        for batch in &query(lake, &sql, params.clone()).await? {
            times.extend(Columns(batch).whole("time")?.iter().flatten());
        }
        if times.is_empty() {
            continue;
        }
        let of_times: Vec<String> = (0..times.len()).map(|place| format!("${}", params.len() + 1 + place)).collect();
        let sql = format!(
            "SELECT * FROM evaluation_items WHERE {wanted} AND time IN ({}) ORDER BY time",
            of_times.join(", ")
        );
        params.extend(times.into_iter().map(|time| Timestamp::from_nanos(time).into()));
        for batch in &query(lake, &sql, params).await? {
            let columns = Columns(batch);
            let (key, told) = (columns.text("key")?, Told::of(&columns)?);
            let (scores, details) = (columns.text("scores")?, columns.text("details")?);
            let judgement = columns.text("judgement")?;
            for row in 0..batch.num_rows() {
                let known = Known {
                    outcome: Outcome { cached: true, ..told.whole(&columns, row)? },
                    scores: parsed_json("scores", scores.value(row))?,
                    details: parsed_json("details", details.value(row))?,
                    judgement: text_at(&judgement, row).map(|text| parsed_json("judgement", &text)).transpose()?,
                };
                found.insert(parsed("key", key.value(row))?, known);
            }
        }
    }
    Ok(found)
}

/// A row with its texts.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The target.
    pub target: String,
    /// The row's place in the dataset.
    pub item: u64,
    /// The scorer that asked a model.
    pub scorer: Option<String>,
    /// Scores by name.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What they are made of.
    pub details: BTreeMap<String, Detail>,
    /// All that a judge said.
    pub judgement: Option<Value>,
    /// What came back.
    pub outcome: Outcome,
}

/// The rows of some items of an evaluation, with their texts, the last ones last.
///
/// # Errors
/// As [`scored`].
pub async fn answers(lake: &Lake, evaluation: VersionId, items: &[u64]) -> Result<Vec<Whole>> {
    let numbers: Vec<String> = items.iter().map(u64::to_string).collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT * FROM evaluation_items WHERE evaluation = $1 AND item IN ({}) ORDER BY time",
        numbers.join(", ")
    );
    let mut found = Vec::new();
    for batch in &query(lake, &sql, vec![evaluation.to_string().into()]).await? {
        let columns = Columns(batch);
        let (target, item, scorer) = (columns.text("target")?, columns.whole("item")?, columns.text("scorer")?);
        let (scores, details, told) = (columns.text("scores")?, columns.text("details")?, Told::of(&columns)?);
        let judgement = columns.text("judgement")?;
        for row in 0..batch.num_rows() {
            found.push(Whole {
                target: target.value(row).to_owned(),
                item: item.value(row).unsigned_abs(),
                scorer: text_at(&scorer, row),
                scores: parsed_json("scores", scores.value(row))?,
                details: parsed_json("details", details.value(row))?,
                judgement: text_at(&judgement, row).map(|text| parsed_json("judgement", &text)).transpose()?,
                outcome: Outcome { cached: told.cached.value(row), ..told.whole(&columns, row)? },
            });
        }
    }
    Ok(found)
}
