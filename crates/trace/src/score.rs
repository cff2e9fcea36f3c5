//! What people and programs thought of an answer: scores of traces and spans, in a table of their own.
//!
//! A score is never changed: another row with its identifier takes its place, and a row without a value takes it back.
//! Reading finds the last row of each.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Builder, RecordBatch, StringBuilder, TimestampNanosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use qd_base::{ProjectName, ScoreId, SpanId, TimeRange, Timestamp, TraceId, words};
use qd_lake::{Param, TableSpec};

use crate::filter::Condition;
use crate::table::{Rows, float_at};
use crate::{Error, Result, Traces};

/// The table's name in SQL.
pub const SCORES: &str = "scores";
/// Scores of a page at most.
pub const MOST_SCORES: usize = 1_000;
/// Traces that can be asked for at once at most.
pub const MOST_TRACES: usize = 500;

words!(
    /// Who gave a score.
    ScoreSource, "source of scores", {
        /// A person.
        Human = "human",
        /// A program with a rule.
        Code = "code",
        /// A model that judges.
        Model = "model",
    }
);

/// What a score says.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreValue {
    /// A number; of yes and no, 1 and 0.
    Number(f64),
    /// A word.
    Label(String),
}

/// What someone thought of a trace, or of one of its spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Which one it is: a later score with the same identifier takes its place.
    pub id: ScoreId,
    /// The project of the trace.
    pub project: ProjectName,
    /// The trace.
    pub trace_id: TraceId,
    /// The span, when it is about one of them.
    pub span_id: Option<SpanId>,
    /// What was looked at: `helpful`, `faithfulness`, …
    pub name: String,
    /// What was found.
    pub value: ScoreValue,
    /// Why.
    pub comment: Option<String>,
    /// Who gave it.
    pub source: ScoreSource,
    /// Which key or account that was.
    pub author: Option<String>,
    /// The end user whose trace it is; with them the score is deleted.
    pub user_id: Option<String>,
    /// When it was given.
    pub time: Timestamp,
}

/// Which scores are wanted: those for which every part that is told holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreFilter {
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Of one of these traces, [`MOST_TRACES`] at most.
    pub traces: Option<Vec<TraceId>>,
    /// Of this name.
    pub name: Option<String>,
    /// This one.
    pub id: Option<ScoreId>,
}

/// The last score of a page, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreCursor {
    /// When it was given.
    pub time: Timestamp,
    /// Which of those it was.
    pub id: ScoreId,
}

impl fmt::Display for ScoreCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time.as_nanos(), self.id)
    }
}

impl FromStr for ScoreCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (nanos, id) = text.split_once('.')?;
            Some(Self { time: Timestamp::from_nanos(nanos.parse().ok()?), id: id.parse().ok()? })
        };
        read().ok_or_else(|| Error::cursor(text))
    }
}

/// The table of scores.
pub(crate) fn scores_table() -> TableSpec {
    TableSpec {
        name: SCORES.parse().expect("the constant is a valid table name"),
        schema: schema(),
        sort: vec!["project", "time"],
        time_column: "time",
        bloom: vec!["trace_id", "score_id"],
        subject_column: Some("user_id"),
        identity: Vec::new(),
        project_column: Some("project"),
        group_column: Some("trace_id"),
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let word = |name| Field::new(name, DataType::Utf8, false);
        let text = |name| Field::new(name, DataType::Utf8, true);
        Arc::new(Schema::new(vec![
            word("project"),
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            word("score_id"),
            word("trace_id"),
            text("span_id"),
            word("name"),
            Field::new("value", DataType::Float64, true),
            text("label"),
            text("comment"),
            word("source"),
            text("author"),
            text("user_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

impl Traces {
    /// Gives scores; they are on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Append`] when the lake does not take them: then none was taken.
    pub async fn give_scores(&self, scores: &[Score]) -> Result<()> {
        self.append_scores(scores, false).await
    }

    /// Takes a score back. Returns whether there was such a score.
    ///
    /// # Errors
    /// [`Error::Query`] and [`Error::Append`] when the lake fails.
    pub async fn take_back_score(&self, project: &ProjectName, id: ScoreId, author: Option<String>) -> Result<bool> {
        let filter = ScoreFilter { project: Some(project.clone()), id: Some(id), ..ScoreFilter::default() };
        let (mut found, _) = self.scores(&filter, 1, None).await?;
        for score in &mut found {
            // Clocks may stand still or step back, and the last row counts.
            score.time = Timestamp::now().max(Timestamp::from_nanos(score.time.as_nanos().saturating_add(1)));
            score.author.clone_from(&author);
        }
        self.append_scores(&found, true).await?;
        Ok(!found.is_empty())
    }

    /// Scores that are wanted, newest first, and where the next page begins.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn scores(
        &self,
        filter: &ScoreFilter,
        limit: usize,
        after: Option<ScoreCursor>,
    ) -> Result<(Vec<Score>, Option<ScoreCursor>)> {
        let limit = limit.clamp(1, MOST_SCORES);
        let mut condition = Condition::default();
        condition.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        condition.all("score_id = $", filter.id.map(|id| id.to_string().into()));
        if let Some(traces) = &filter.traces {
            condition.one_of("trace_id", traces.iter().take(MOST_TRACES).map(|trace| trace.to_string().into()));
        }
        let rows = condition.sql();
        // What the last row says counts, so only that is looked at for the rest.
        let mut last = condition.beside();
        last.all("name = $", filter.name.clone().map(Param::Text));
        if let Some(ScoreCursor { time, id }) = after {
            let (time, id) = (last.bind(time.into()), last.bind(id.to_string().into()));
            last.also(format!("(time < {time} OR (time = {time} AND score_id < {id}))"));
        }
        let sql = format!(
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY project, score_id ORDER BY time DESC) AS nth \
             FROM scores WHERE {rows}) WHERE nth = 1 AND (value IS NOT NULL OR label IS NOT NULL) AND {} \
             ORDER BY time DESC, score_id DESC LIMIT {}",
            last.sql(),
            limit + 1
        );
        let mut found = self.read("finding scores", &sql, last, self.limits(), read_scores).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|score| ScoreCursor { time: score.time, id: score.id });
        Ok((found, next))
    }

    /// The mean of the numbers that scores of this name say, which were given in a range of time; of one project, or of all.
    /// None when there are none. What was changed or taken back in the range counts as it was left.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn mean_score(&self, project: Option<&ProjectName>, name: &str, range: TimeRange) -> Result<Option<f64>> {
        let mut condition = Condition::default();
        condition.all("project = $", project.map(|project| project.as_str().into()));
        condition.all("time >= $", Some(range.from().into()));
        condition.all("time < $", Some(range.to().into()));
        let rows = condition.sql();
        let mut last = condition.beside();
        last.all("name = $", Some(name.into()));
        let sql = format!(
            "SELECT avg(value) AS mean FROM (SELECT *, row_number() OVER (PARTITION BY project, score_id ORDER BY time DESC) \
             AS nth FROM scores WHERE {rows}) WHERE nth = 1 AND {}",
            last.sql()
        );
        let read = |batch: &RecordBatch| {
            let mean = Rows::of(batch).float("mean")?;
            Ok((0..batch.num_rows()).map(|row| float_at(&mean, row)).collect())
        };
        let found = self.read("averaging scores", &sql, last, self.limits(), read).await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn append_scores(&self, scores: &[Score], back: bool) -> Result<()> {
        if scores.is_empty() {
            return Ok(());
        }
        let batch = batch(scores, back).map_err(|cause| Error::Build(Arc::new(cause)))?;
        self.lake().append(SCORES, batch).await.map_err(Error::Append)?;
        Ok(())
    }
}

/// Rows of these scores; of scores that are taken back without what they said.
fn batch(scores: &[Score], back: bool) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut texts: [StringBuilder; 10] = std::array::from_fn(|_| StringBuilder::new());
    let [project, id, trace, span, name, label, comment, source, author, user] = &mut texts;
    let (mut time, mut value) = (TimestampNanosecondBuilder::new(), Float64Builder::new());
    for score in scores {
        project.append_value(score.project.as_str());
        time.append_value(score.time.as_nanos());
        id.append_value(score.id.to_string());
        trace.append_value(score.trace_id.to_string());
        span.append_option(score.span_id.map(|span| span.to_string()));
        name.append_value(&score.name);
        let (number, word) = match &score.value {
            _ if back => (None, None),
            ScoreValue::Number(number) => (Some(*number), None),
            ScoreValue::Label(word) => (None, Some(word)),
        };
        value.append_option(number);
        label.append_option(word);
        comment.append_option(score.comment.as_ref().filter(|_| !back));
        source.append_value(score.source.as_str());
        author.append_option(score.author.as_ref());
        user.append_option(score.user_id.as_ref());
    }
    let [project, id, trace, span, name, label, comment, source, author, user] =
        texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    let (time, value) = (Arc::new(time.finish().with_timezone("UTC")), Arc::new(value.finish()));
    let columns = vec![project, time, id, trace, span, name, value, label, comment, source, author, user];
    RecordBatch::try_new(schema(), columns)
}

fn read_scores(batch: &RecordBatch) -> Result<Vec<Score>> {
    let rows = Rows::of(batch);
    let (project, time, id) = (rows.text("project")?, rows.time("time")?, rows.text("score_id")?);
    let (trace, span, name) = (rows.text("trace_id")?, rows.text("span_id")?, rows.text("name")?);
    let (value, label, comment) = (rows.float("value")?, rows.text("label")?, rows.text("comment")?);
    let (source, author, user) = (rows.text("source")?, rows.text("author")?, rows.text("user_id")?);
    let read = |row| {
        let said = float_at(&value, row).map(ScoreValue::Number).or_else(|| label.owned(row).map(ScoreValue::Label));
        Ok(Score {
            id: id.required(row)?,
            project: project.required(row)?,
            trace_id: trace.required(row)?,
            span_id: span.parsed(row)?,
            name: name.owned(row).unwrap_or_default(),
            value: said.ok_or_else(|| Error::Row { column: "value", why: "it says nothing".into() })?,
            comment: comment.owned(row),
            source: source.required(row)?,
            author: author.owned(row),
            user_id: user.owned(row),
            time: time.get(row),
        })
    };
    (0..batch.num_rows()).map(read).collect()
}
