//! The lake's table of answers: one row for each document of a task that a model answered, durable before it counts.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit};
use qd_base::{Picodollars, ProjectName, Sha256Hex, TableName, Timestamp, TraceId, Usage, VersionId};
use qd_gateway::batch::Spent;
use qd_lake::{Lake, Param, QueryLimits, TableSpec};
use qd_task::Answer;

use crate::plan::MOST_ANSWERS;
use crate::run::PAID;
use crate::{Error, Result};

/// The table's name in SQL.
pub const ANSWERS: &str = "leaderboard_answers";
/// Keys that are looked up in one statement.
const KEYS: usize = 200;
/// How often rows that the lake has no room for are offered again, and how long is waited before.
const OFFERS: u32 = 60;
const OFFER_EVERY: Duration = Duration::from_millis(500);

/// What a model said about a document.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRow {
    /// The project.
    pub project: ProjectName,
    /// When it was answered.
    pub time: Timestamp,
    /// The version of the leaderboard.
    pub leaderboard: VersionId,
    /// The model, as the leaderboard names it.
    pub model: String,
    /// What that name stood for.
    pub target: String,
    /// The part of the leaderboard.
    pub task: String,
    /// The document's place.
    pub document: usize,
    /// What makes it the same answer as another.
    pub key: Sha256Hex,
    /// What came back.
    pub outcome: Outcome,
}

/// What came back. Of a call about several documents each has its share of tokens, cost and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What was said to each request; none when it failed.
    pub answers: Option<Vec<Answer>>,
    /// Why it failed.
    pub error: Option<String>,
    /// What such an answer costs; none when the price is not known.
    pub cost: Option<Picodollars>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// The trace of its last call.
    pub trace: Option<TraceId>,
    /// Whether it was taken from an earlier leaderboard, and so cost nothing now.
    pub cached: bool,
}

/// The place of an answer: the model, the part and the document.
pub type Place = (String, String, usize);

impl AnswerRow {
    /// Its place.
    pub fn place(&self) -> Place {
        (self.model.clone(), self.task.clone(), self.document)
    }

    /// Whether it is about a document, and not about a model's speed or what was paid for no answer.
    pub fn is_answer(&self) -> bool {
        !self.task.starts_with(':')
    }
}

/// What rows have cost their leaderboard. Several answers may come of one call.
pub fn spent<'r>(rows: impl Iterator<Item = &'r AnswerRow>) -> Spent {
    let (mut spent, mut calls) = (Spent::default(), HashSet::new());
    for row in rows.filter(|row| !row.outcome.cached) {
        let outcome = &row.outcome;
        let mut one = Spent::default();
        one.add(outcome.error.is_none() || row.task == PAID, outcome.cost, outcome.usage);
        if outcome.trace.is_some_and(|trace| !calls.insert(trace)) {
            (one.calls, one.unpriced) = (0, 0);
        }
        spent.join(one);
    }
    spent
}

/// The table's name.
pub fn name() -> TableName {
    ANSWERS.parse().expect("the constant is a valid table name")
}

/// The table of answers, for who opens the lake.
pub fn table() -> TableSpec {
    TableSpec {
        name: name(),
        schema: schema(),
        sort: vec!["project", "leaderboard", "time"],
        time_column: "time",
        bloom: vec!["leaderboard", "key"],
        // What is deleted is a leaderboard, with all of its rows.
        subject_column: Some("leaderboard"),
        // A document that is asked about again takes the place of what was there.
        identity: vec!["leaderboard", "place"],
        project_column: Some("project"),
        group_column: None,
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let word = |name| Field::new(name, DataType::Utf8, false);
        let text = |name| Field::new(name, DataType::Utf8, true);
        let whole = |name| Field::new(name, DataType::Int64, true);
        Arc::new(Schema::new(vec![
            word("project"),
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            word("leaderboard"),
            word("place"),
            word("model"),
            word("target"),
            word("task"),
            Field::new("document", DataType::Int64, false),
            word("key"),
            text("answers"),
            text("error"),
            whole("cost_picodollars"),
            whole("original_cost_picodollars"),
            Field::new("cached", DataType::Boolean, false),
            Field::new("latency_ms", DataType::Float64, true),
            whole("input_tokens"),
            whole("cached_tokens"),
            whole("output_tokens"),
            text("trace_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Keeps rows. They are on disk when this returns.
///
/// # Errors
/// [`Error::Lake`] when the lake does not take them, after it was full for half a minute.
pub async fn keep(lake: &Lake, rows: &[AnswerRow]) -> Result<()> {
    let batch = batch(rows)?;
    for _ in 1..OFFERS {
        match lake.append(ANSWERS, batch.clone()).await {
            Err(qd_lake::Error::Full { .. }) => tokio::time::sleep(OFFER_EVERY).await,
            kept => return Ok(kept.map(drop)?),
        }
    }
    Ok(lake.append(ANSWERS, batch).await.map(drop)?)
}

fn batch(rows: &[AnswerRow]) -> Result<RecordBatch> {
    let word = |of: &dyn Fn(&AnswerRow) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let text = |of: &dyn Fn(&AnswerRow) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let whole =
        |of: &dyn Fn(&AnswerRow) -> Option<i64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Int64Array>()) };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let tokens = |row: &AnswerRow, of: fn(&Usage) -> u64| row.outcome.usage.as_ref().map(of).map(count);
    let cost = |row: &AnswerRow| row.outcome.cost.map(Picodollars::get);
    let time =
        TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time.as_nanos())).with_timezone("UTC");
    let columns = vec![
        word(&|row| row.project.to_string()),
        Arc::new(time),
        word(&|row| row.leaderboard.to_string()),
        word(&|row| format!("{}|{}|{}", row.model, row.task, row.document)),
        word(&|row| row.model.clone()),
        word(&|row| row.target.clone()),
        word(&|row| row.task.clone()),
        whole(&|row| Some(count(row.document as u64))),
        word(&|row| row.key.to_string()),
        text(&|row| row.outcome.answers.as_ref().map(|answers| serde_json::json!(answers).to_string())),
        text(&|row| row.outcome.error.clone()),
        whole(&|row| if row.outcome.cached { Some(0) } else { cost(row) }),
        whole(&cost),
        Arc::new(rows.iter().map(|row| Some(row.outcome.cached)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.outcome.latency_ms).collect::<Float64Array>()),
        whole(&|row| tokens(row, |usage| usage.input_tokens)),
        whole(&|row| tokens(row, |usage| usage.cached_tokens)),
        whole(&|row| tokens(row, |usage| usage.output_tokens)),
        text(&|row| row.outcome.trace.map(|trace| trace.to_string())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// Everything that was answered in a leaderboard.
///
/// # Errors
/// [`Error::Lake`] when the lake does not answer, [`Error::Row`] for a row that cannot be read.
pub async fn answered(lake: &Lake, leaderboard: VersionId) -> Result<HashMap<Place, AnswerRow>> {
    let sql = "SELECT * FROM leaderboard_answers WHERE leaderboard = $1 ORDER BY time";
    let mut found = HashMap::new();
    for batch in &lake.query(sql, vec![leaderboard.to_string().into()], limits()).await?.batches {
        // Of answers about the same document the last counts, also when the lake has forgotten that they are the same.
        found.extend(read(batch)?.into_iter().map(|row| (row.place(), row)));
    }
    Ok(found)
}

/// How many rows a leaderboard has, and when the last was made: while both stay, so do the rows.
///
/// # Errors
/// As [`answered`].
pub async fn stamp(lake: &Lake, leaderboard: VersionId) -> Result<(u64, Option<i64>)> {
    let sql = "SELECT count(*) AS rows, max(time) AS last FROM leaderboard_answers WHERE leaderboard = $1";
    let found = lake.query(sql, vec![leaderboard.to_string().into()], limits()).await?;
    let Some(batch) = found.batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok((0, None)) };
    let (rows, last) = (Columns(batch).whole("rows")?, Columns(batch).whole("last")?);
    Ok((rows.value(0).unsigned_abs(), last.is_valid(0).then(|| last.value(0))))
}

/// What leaderboards of a project were answered before, by what makes answers the same.
///
/// # Errors
/// As [`answered`].
pub async fn known(lake: &Lake, project: &ProjectName, keys: &[Sha256Hex]) -> Result<HashMap<Sha256Hex, Outcome>> {
    let mut found = HashMap::new();
    for keys in keys.chunks(KEYS) {
        let places: Vec<String> = (2..keys.len() + 2).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT * FROM leaderboard_answers WHERE project = $1 AND error IS NULL AND key IN ({}) ORDER BY time",
            places.join(", ")
        );
        let mut params: Vec<Param> = vec![project.as_str().into()];
        params.extend(keys.iter().map(|key| key.to_string().into()));
        for batch in &lake.query(&sql, params, limits()).await?.batches {
            let cached = |row: AnswerRow| (row.key, Outcome { cached: true, ..row.outcome });
            found.extend(read(batch)?.into_iter().map(cached));
        }
    }
    Ok(found)
}

fn limits() -> QueryLimits {
    QueryLimits { max_rows: MOST_ANSWERS * 2, timeout: Duration::from_secs(60), ..QueryLimits::default() }
}

fn read(batch: &RecordBatch) -> Result<Vec<AnswerRow>> {
    let columns = Columns(batch);
    let [project, leaderboard, model, target, task, key, answers, error, trace] =
        ["project", "leaderboard", "model", "target", "task", "key", "answers", "error", "trace_id"]
            .map(|name| columns.text(name));
    let (project, leaderboard, model, target) = (project?, leaderboard?, model?, target?);
    let (task, key, answers, error, trace) = (task?, key?, answers?, error?, trace?);
    let (time, document, cost) =
        (columns.whole("time")?, columns.whole("document")?, columns.whole("original_cost_picodollars")?);
    let [input, reused, output] = ["input_tokens", "cached_tokens", "output_tokens"].map(|name| columns.whole(name));
    let (input, reused, output) = (input?, reused?, output?);
    let latency = columns.typed("latency_ms", &DataType::Float64)?.as_primitive::<Float64Type>().clone();
    let cached = columns.typed("cached", &DataType::Boolean)?.as_boolean().clone();
    let row = |row: usize| {
        let whole = |column: &Int64Array| column.is_valid(row).then(|| column.value(row));
        let tokens = |column: &Int64Array| whole(column).map(i64::unsigned_abs);
        let usage = tokens(&input).zip(tokens(&output)).map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            cached_tokens: tokens(&reused).unwrap_or(0),
            ..Usage::default()
        });
        let read_answers = |text: String| {
            serde_json::from_str(&text).map_err(|cause| Error::Row { column: "answers", why: cause.to_string() })
        };
        Ok(AnswerRow {
            project: parsed("project", project.value(row))?,
            time: Timestamp::from_nanos(time.value(row)),
            leaderboard: parsed("leaderboard", leaderboard.value(row))?,
            model: model.value(row).to_owned(),
            target: target.value(row).to_owned(),
            task: task.value(row).to_owned(),
            document: usize::try_from(document.value(row)).unwrap_or(usize::MAX),
            key: parsed("key", key.value(row))?,
            outcome: Outcome {
                answers: text_at(&answers, row).map(read_answers).transpose()?,
                error: text_at(&error, row),
                cost: whole(&cost).map(Picodollars::new),
                usage,
                latency_ms: latency.is_valid(row).then(|| latency.value(row)),
                trace: text_at(&trace, row).map(|text| parsed("trace_id", &text)).transpose()?,
                cached: cached.value(row),
            },
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

struct Columns<'a>(&'a RecordBatch);

impl Columns<'_> {
    fn typed(&self, name: &'static str, kind: &DataType) -> Result<ArrayRef> {
        let column =
            self.0.column_by_name(name).ok_or_else(|| Error::Row { column: name, why: "it is missing".into() })?;
        Ok(cast(column, kind)?)
    }

    fn text(&self, name: &'static str) -> Result<StringArray> {
        Ok(self.typed(name, &DataType::Utf8)?.as_string().clone())
    }

    fn whole(&self, name: &'static str) -> Result<Int64Array> {
        Ok(self.typed(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }
}

fn text_at(column: &StringArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn parsed<T: FromStr<Err: Display>>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|cause: T::Err| Error::Row { column, why: cause.to_string() })
}

#[cfg(test)]
pub(crate) mod tests {
    use qd_task::Likelihood;

    use super::*;

    /// A document that was answered with nothing.
    pub(crate) fn row(model: &str, task: &str, document: usize) -> AnswerRow {
        AnswerRow {
            project: "default".parse().unwrap(),
            time: Timestamp::from_nanos(1),
            leaderboard: VersionId::new(),
            model: model.to_owned(),
            target: "local/m@1".to_owned(),
            task: task.to_owned(),
            document,
            key: Sha256Hex::of(b""),
            outcome: Outcome::default(),
        }
    }

    #[test]
    fn answers_of_one_call_are_one_call() {
        let trace: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
        let paid = |task: &str, document, error: Option<&str>, cost: Option<i64>, trace| {
            let error = error.map(str::to_owned);
            let outcome = Outcome { error, cost: cost.map(Picodollars::new), trace, ..Outcome::default() };
            AnswerRow { outcome, ..row("m", task, document) }
        };
        let rows = [
            paid("t", 0, None, Some(5), Some(trace)),
            paid("t", 1, None, Some(5), Some(trace)),
            paid("t", 2, None, None, None),
            paid(PAID, 0, Some("unusable"), None, None),
            paid("t", 3, Some("refused"), None, None),
        ];
        let found = spent(rows.iter());
        assert_eq!((found.cost, found.unpriced), (Picodollars::new(10), 2));
        assert_eq!(found.calls, 4, "two answers came of one call");
    }

    #[test]
    fn rows_survive_the_table() {
        let likelihood = Likelihood { sum: -1.25, is_greedy: true, tokens: 3 };
        let row = |answers, error: Option<&str>| AnswerRow {
            project: "default".parse().unwrap(),
            time: Timestamp::from_nanos(1_700_000_000_000_000_001),
            leaderboard: VersionId::new(),
            model: "m".to_owned(),
            target: "local/m@1".to_owned(),
            task: "t".to_owned(),
            document: 7,
            key: Sha256Hex::of(b"k"),
            outcome: Outcome {
                answers,
                error: error.map(str::to_owned),
                cost: Some(Picodollars::new(5)),
                usage: Some(Usage { input_tokens: 9, output_tokens: 2, cached_tokens: 4, ..Usage::default() }),
                latency_ms: Some(1.5),
                trace: None,
                cached: false,
            },
        };
        let rows = [
            row(Some(vec![Answer::Choices(vec![likelihood]), Answer::Texts(vec!["é\n".to_owned()])]), None),
            row(None, Some("no")),
        ];
        assert_eq!(read(&batch(&rows).unwrap()).unwrap(), rows);
        let spent = spent(rows.iter());
        assert_eq!((spent.tokens, spent.calls, spent.unpriced), (22, 2, 0));
    }
}
