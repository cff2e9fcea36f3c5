//! The lake's table of judgements: one row for each item that a judge was compared with people on, durable before it counts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit};
use qd_base::{Picodollars, ProjectName, Sha256Hex, TableName, Timestamp, Usage, VersionId};
use qd_gateway::batch::Spent;
use qd_judge::{Judgement, Outcome};
use qd_lake::{Lake, QueryLimits, TableSpec};

use crate::asking::Judged;
use crate::place::Place;
use crate::{Error, Result};

/// The table's name in SQL.
pub const JUDGEMENTS: &str = "judgements";
/// Rows of one judge and dataset that are read at most: those of many calibrations.
const MOST_ROWS: usize = 1_000_000;
/// Items whose judgements are read in one statement.
const ITEMS_TOGETHER: usize = 500;
/// What stands for an outcome where people did not agree, so that the judge was not asked.
const UNDECIDED: &str = "undecided";
/// How often rows that the lake has no room for are offered again, and how long is waited before.
const OFFERS: u32 = 60;
const OFFER_EVERY: Duration = Duration::from_millis(500);

/// What a judge and people said of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgementRow {
    /// The project.
    pub project: ProjectName,
    /// When it was judged.
    pub time: Timestamp,
    /// The version of the judge.
    pub judge: VersionId,
    /// The version of the dataset.
    pub dataset: VersionId,
    /// The row's place in the dataset.
    pub item: u64,
    /// The row's identifier.
    pub row_id: String,
    /// How it was asked for: rows of another setting are no part of a card.
    pub setting: Sha256Hex,
    /// What the judge saw.
    pub key: Sha256Hex,
    /// What each person said.
    pub said: Vec<Option<Place>>,
    /// Who wrote the two answers, where that is known.
    pub authors: Vec<Option<String>>,
    /// Characters of each input.
    pub lengths: BTreeMap<String, u64>,
    /// What the judge said; none where people did not agree and it was not asked.
    pub judged: Option<Judged>,
}

/// The table's name.
pub fn name() -> TableName {
    JUDGEMENTS.parse().expect("the constant is a valid table name")
}

/// The table of judgements, for who opens the lake.
pub fn table() -> TableSpec {
    TableSpec {
        name: name(),
        schema: schema(),
        sort: vec!["project", "judge", "time"],
        time_column: "time",
        bloom: vec!["judge"],
        // What is deleted is a judge, with all of its rows.
        subject_column: Some("judge"),
        // An item that is judged again takes the place of what was there.
        identity: vec!["judge", "place"],
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
        let number = |name| Field::new(name, DataType::Float64, true);
        Arc::new(Schema::new(vec![
            word("project"),
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            word("judge"),
            word("dataset"),
            word("place"),
            Field::new("item", DataType::Int64, false),
            word("row_id"),
            word("setting"),
            word("key"),
            word("said"),
            word("authors"),
            word("lengths"),
            word("outcome"),
            text("label"),
            number("value"),
            text("judgement"),
            whole("cost_picodollars"),
            whole("unpriced"),
            number("latency_ms"),
            whole("input_tokens"),
            whole("output_tokens"),
            whole("calls"),
            text("trace_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Keeps rows. They are on disk when this returns.
///
/// # Errors
/// [`Error::Lake`] when the lake does not take them, after it was full for half a minute.
pub async fn keep(lake: &Lake, rows: &[JudgementRow]) -> Result<()> {
    let batch = batch(rows)?;
    for _ in 1..OFFERS {
        match lake.append(JUDGEMENTS, batch.clone()).await {
            Err(qd_lake::Error::Full { .. }) => tokio::time::sleep(OFFER_EVERY).await,
            kept => return Ok(kept.map(drop)?),
        }
    }
    Ok(lake.append(JUDGEMENTS, batch).await.map(drop)?)
}

fn outcome_of(row: &JudgementRow) -> &'static str {
    match row.judged.as_ref().map(|judged| &judged.judgement.outcome) {
        None => UNDECIDED,
        Some(Outcome::Score { .. }) => "score",
        Some(Outcome::CannotTell { .. }) => "cannot_tell",
        Some(Outcome::Invalid { .. }) => "invalid",
        Some(Outcome::Failed { .. }) => "failed",
    }
}

fn batch(rows: &[JudgementRow]) -> Result<RecordBatch> {
    let word = |of: &dyn Fn(&JudgementRow) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
    };
    let text = |of: &dyn Fn(&Judged) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row.judged.as_ref()?)).collect::<StringArray>())
    };
    let whole = |of: &dyn Fn(&Judged) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row.judged.as_ref()?)).collect::<Int64Array>())
    };
    let number = |of: &dyn Fn(&Judged) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row.judged.as_ref()?)).collect::<Float64Array>())
    };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let time =
        TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time.as_nanos())).with_timezone("UTC");
    let items: Int64Array = rows.iter().map(|row| Some(count(row.item))).collect();
    let columns = vec![
        word(&|row| row.project.to_string()),
        Arc::new(time),
        word(&|row| row.judge.to_string()),
        word(&|row| row.dataset.to_string()),
        word(&|row| format!("{}/{}", row.dataset, row.item)),
        Arc::new(items),
        word(&|row| row.row_id.clone()),
        word(&|row| row.setting.to_string()),
        word(&|row| row.key.to_string()),
        word(&|row| serde_json::json!(row.said).to_string()),
        word(&|row| serde_json::json!(row.authors).to_string()),
        word(&|row| serde_json::json!(row.lengths).to_string()),
        word(&|row| outcome_of(row).to_owned()),
        text(&|judged| judged.judgement.outcome.label().map(str::to_owned)),
        number(&|judged| judged.judgement.outcome.value()),
        text(&|judged| Some(serde_json::json!(judged.judgement).to_string())),
        whole(&|judged| judged.cost.map(Picodollars::get)),
        whole(&|judged| Some(judged.unpriced.into())),
        number(&|judged| Some(judged.latency_ms)),
        whole(&|judged| Some(count(judged.judgement.usage.input_tokens))),
        whole(&|judged| Some(count(judged.judgement.usage.output_tokens))),
        whole(&|judged| Some(judged.judgement.calls.into())),
        text(&|judged| judged.trace.map(|trace| trace.to_string())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// What a judge and people said of the items of a dataset, by item, without the judge's reasons.
///
/// # Errors
/// [`Error::Lake`] when the lake does not answer, [`Error::Row`] for a row that cannot be read, [`Error::TooMany`] for more than are read.
pub async fn rows(lake: &Lake, judge: VersionId, dataset: VersionId) -> Result<Vec<JudgementRow>> {
    let items: Vec<u64> = spent(lake, judge, dataset).await?.into_keys().collect();
    let mut rows = Vec::with_capacity(items.len());
    for items in items.chunks(ITEMS_TOGETHER) {
        rows.extend(rows_of(lake, (judge, dataset), items).await?.into_iter().map(without_reasons));
    }
    Ok(rows)
}

/// The same of some items, with all that the judge said.
///
/// # Errors
/// As [`rows`].
pub async fn rows_of(
    lake: &Lake,
    (judge, dataset): (VersionId, VersionId),
    items: &[u64],
) -> Result<Vec<JudgementRow>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = items.iter().map(u64::to_string).collect();
    let sql = format!(
        "SELECT * FROM judgements WHERE judge = $1 AND dataset = $2 AND item IN ({}) ORDER BY time",
        places.join(", ")
    );
    // Of judgements of one item the last counts, also when the lake has forgotten that they are the same.
    let mut found: BTreeMap<u64, JudgementRow> = BTreeMap::new();
    for batch in &query(lake, &sql, (judge, dataset)).await? {
        found.extend(read(batch)?.into_iter().map(|row| (row.item, row)));
    }
    Ok(found.into_values().collect())
}

/// What judgements of a dataset took, by item.
///
/// # Errors
/// As [`rows`].
pub async fn spent(lake: &Lake, judge: VersionId, dataset: VersionId) -> Result<BTreeMap<u64, Spent>> {
    let sql = "SELECT item, cost_picodollars, unpriced, input_tokens, output_tokens FROM judgements \
               WHERE judge = $1 AND dataset = $2 ORDER BY time";
    let mut found = BTreeMap::new();
    for batch in &query(lake, sql, (judge, dataset)).await? {
        let columns = Columns(batch);
        let (item, cost) = (columns.whole("item")?, columns.whole("cost_picodollars")?);
        let (unpriced, input) = (columns.whole("unpriced")?, columns.whole("input_tokens")?);
        let output = columns.whole("output_tokens")?;
        for row in 0..batch.num_rows() {
            let whole = |column: &Int64Array| column.is_valid(row).then(|| column.value(row));
            let tokens = |column: &Int64Array| whole(column).map(i64::unsigned_abs);
            let usage = tokens(&input).zip(tokens(&output)).map(|(input_tokens, output_tokens)| Usage {
                input_tokens,
                output_tokens,
                ..Usage::default()
            });
            let unpriced = tokens(&unpriced).unwrap_or_default();
            let spent = usage.map_or_else(Spent::default, |usage| {
                Spent::together(unpriced, whole(&cost).map(Picodollars::new), Some(usage))
            });
            found.insert(item.value(row).unsigned_abs(), spent);
        }
    }
    Ok(found)
}

async fn query(lake: &Lake, sql: &str, (judge, dataset): (VersionId, VersionId)) -> Result<Vec<RecordBatch>> {
    let params = vec![judge.to_string().into(), dataset.to_string().into()];
    let limits = QueryLimits { max_rows: MOST_ROWS, timeout: Duration::from_secs(60), ..QueryLimits::default() };
    let output = lake.query(sql, params, limits).await?;
    if output.truncated { Err(Error::TooMany { most: MOST_ROWS }) } else { Ok(output.batches) }
}

/// What a card does not look at may be most of a row.
fn without_reasons(mut row: JudgementRow) -> JudgementRow {
    if let Some(judged) = &mut row.judged {
        judged.judgement.reasons = None;
        judged.judgement.reference = None;
        judged.judgement.parts.iter_mut().for_each(|part| part.reasons = None);
    }
    row
}

fn read(batch: &RecordBatch) -> Result<Vec<JudgementRow>> {
    let columns = Columns(batch);
    let (project, time, judge) = (columns.text("project")?, columns.whole("time")?, columns.text("judge")?);
    let (dataset, item, row_id) = (columns.text("dataset")?, columns.whole("item")?, columns.text("row_id")?);
    let (setting, key, said) = (columns.text("setting")?, columns.text("key")?, columns.text("said")?);
    let (authors, lengths, judged) = (columns.text("authors")?, columns.text("lengths")?, JudgedColumns::of(&columns)?);
    let read = |row: usize| {
        Ok(JudgementRow {
            project: parsed("project", project.value(row))?,
            time: Timestamp::from_nanos(time.value(row)),
            judge: parsed("judge", judge.value(row))?,
            dataset: parsed("dataset", dataset.value(row))?,
            item: item.value(row).unsigned_abs(),
            row_id: row_id.value(row).to_owned(),
            setting: parsed("setting", setting.value(row))?,
            key: parsed("key", key.value(row))?,
            said: parsed_json("said", said.value(row))?,
            authors: parsed_json("authors", authors.value(row))?,
            lengths: parsed_json("lengths", lengths.value(row))?,
            judged: judged.at(row)?,
        })
    };
    (0..batch.num_rows()).map(read).collect()
}

/// The columns of what a judge said.
struct JudgedColumns {
    judgement: StringArray,
    cost: Int64Array,
    unpriced: Int64Array,
    latency: Float64Array,
    trace: StringArray,
}

impl JudgedColumns {
    fn of(columns: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            judgement: columns.text("judgement")?,
            cost: columns.whole("cost_picodollars")?,
            unpriced: columns.whole("unpriced")?,
            latency: columns.typed("latency_ms", &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            trace: columns.text("trace_id")?,
        })
    }

    fn at(&self, row: usize) -> Result<Option<Judged>> {
        if !self.judgement.is_valid(row) {
            return Ok(None);
        }
        let judgement: Judgement = parsed_json("judgement", self.judgement.value(row))?;
        let trace = self.trace.is_valid(row).then(|| parsed("trace_id", self.trace.value(row))).transpose()?;
        Ok(Some(Judged {
            judgement,
            cost: self.cost.is_valid(row).then(|| Picodollars::new(self.cost.value(row))),
            latency_ms: self.latency.value(row),
            trace,
            unpriced: u32::try_from(self.unpriced.value(row)).unwrap_or(u32::MAX),
            unreached: None,
        }))
    }
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

fn parsed<T: FromStr<Err: Display>>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|cause: T::Err| Error::Row { column, why: cause.to_string() })
}

fn parsed_json<T: serde::de::DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| Error::Row { column, why: cause.to_string() })
}
