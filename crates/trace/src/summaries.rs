//! Calls added up by minute, hour and day, so that an overview of a year is as quick as one of an hour.
//!
//! The lake derives these from each merged segment (see [`qd_lake::summary`]). A row says what the calls of one project
//! come to that began in one minute, hour or day and agree in one dimension: all of them, those of one model, and so on.
//! Sums and [sketches](crate::sketch) of parts add up to those of the whole, so rows of several segments are simply added.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Float64Array, Float64Builder, Int64Array, Int64Builder, RecordBatch,
    StringArray, StringBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use qd_lake::TableSpec;
use qd_lake::summary::{Batches, Summary};

use crate::overview::Measures;
use crate::table::{float_at, number_at};
use crate::{GroupBy, SpanKind, Status};

/// Rows of a summary that are handed on at a time.
const BATCH_ROWS: usize = 4096;

/// How long the time is that one row of a summary stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resolution {
    Minute,
    Hour,
    Day,
}

impl Resolution {
    /// Every one, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The table of the rows.
    pub fn table(self) -> &'static str {
        match self {
            Self::Minute => "span_minutes",
            Self::Hour => "span_hours",
            Self::Day => "span_days",
        }
    }

    /// How long it is. Times begin at whole multiples of it since 1970.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }

    /// What is told apart at this resolution: by minutes or hours, users would be about as many as calls, and so are
    /// sessions by days.
    pub fn dimensions(self) -> impl Iterator<Item = GroupBy> {
        DIMENSIONS.into_iter().filter(move |&dimension| self == Self::Day || dimension != GroupBy::User)
    }

    fn derive(self) -> fn(Batches) -> Batches {
        match self {
            Self::Minute => |rows| Box::new(Added::new(Self::Minute, rows)),
            Self::Hour => |rows| Box::new(Added::new(Self::Hour, rows)),
            Self::Day => |rows| Box::new(Added::new(Self::Day, rows)),
        }
    }
}

/// What summaries tell apart. Another one would need tables of other names, since those that are written lack it.
const DIMENSIONS: [GroupBy; 6] =
    [GroupBy::Model, GroupBy::Provider, GroupBy::Prompt, GroupBy::User, GroupBy::Environment, GroupBy::Status];

/// The dimension that holds all calls in one group.
pub(crate) const EVERYTHING: &str = "all";

/// The word for a dimension in a summary.
pub(crate) fn dimension(group_by: Option<GroupBy>) -> &'static str {
    group_by.map_or(EVERYTHING, GroupBy::as_str)
}

/// The summaries of the table of spans.
pub(crate) fn summaries() -> Vec<Summary> {
    let summary = |resolution: Resolution| Summary {
        table: TableSpec {
            name: resolution.table().parse().expect("the constant is a valid table name"),
            schema: schema(),
            sort: vec!["project", "time"],
            time_column: "time",
            bloom: Vec::new(),
            subject_column: None,
            identity: Vec::new(),
            project_column: Some("project"),
            group_column: None,
            summaries: Vec::new(),
        },
        columns: COLUMNS.to_vec(),
        derive: resolution.derive(),
        searched: Vec::new(),
    };
    let words = qd_lake::words::summary(
        "span_words".parse().expect("the constant is a valid table name"),
        "start_time",
        &["input", "output", "status_message"],
    );
    Resolution::ALL.map(summary).into_iter().chain([words]).collect()
}

/// What summaries are derived from.
const COLUMNS: [&str; 16] = [
    "project",
    "kind",
    "start_time",
    "latency_ms",
    "ttft_ms",
    "status",
    "user_id",
    "environment",
    "provider",
    "model_requested",
    "model",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_picodollars",
    "prompt_name",
];

fn schema() -> SchemaRef {
    let field = |name, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("project", DataType::Utf8),
        field("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        field("dimension", DataType::Utf8),
        field("value", DataType::Utf8),
        field("requests", DataType::Int64),
        field("errors", DataType::Int64),
        field("input_tokens", DataType::Int64),
        field("output_tokens", DataType::Int64),
        field("cached_tokens", DataType::Int64),
        field("cost_picodollars", DataType::Int64),
        field("generating_ms", DataType::Float64),
        field("latency_sketch", DataType::Binary),
        field("ttft_sketch", DataType::Binary),
    ]))
}

/// Adds up the rows of a segment as they come: its rows are sorted by project and time, so that only one minute, hour
/// or day is open at a time.
struct Added {
    resolution: Resolution,
    rows: Batches,
    open: Option<Open>,
    building: Building,
    ended: bool,
}

/// The calls of one project in one minute, hour or day: for each dimension its groups.
struct Open {
    project: String,
    time: i64,
    dimensions: Vec<(Option<GroupBy>, BTreeMap<String, Measures>)>,
}

impl Open {
    fn new(resolution: Resolution, project: &str, time: i64) -> Self {
        let dimensions = [None].into_iter().chain(resolution.dimensions().map(Some));
        Self { project: project.to_owned(), time, dimensions: dimensions.map(|by| (by, BTreeMap::new())).collect() }
    }

    fn add(&mut self, calls: &Calls, row: usize) {
        for (by, groups) in &mut self.dimensions {
            let value = by.map_or("", |by| calls.group(by, row));
            match groups.get_mut(value) {
                Some(measures) => calls.add_to(measures, row),
                None => calls.add_to(groups.entry(value.to_owned()).or_default(), row),
            }
        }
    }
}

impl Added {
    fn new(resolution: Resolution, rows: Batches) -> Self {
        Self { resolution, rows, open: None, building: Building::default(), ended: false }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let calls = Calls::of(batch)?;
        let length = i64::try_from(self.resolution.length().as_nanos()).unwrap_or(i64::MAX);
        for row in (0..batch.num_rows()).filter(|&row| calls.is_call(row)) {
            let time = calls.start.value(row).div_euclid(length) * length;
            let project = calls.project.value(row);
            if self.open.as_ref().is_none_or(|open| open.time != time || open.project != project) {
                self.close();
            }
            let open = self.open.get_or_insert_with(|| Open::new(self.resolution, project, time));
            open.add(&calls, row);
        }
        Ok(())
    }

    /// Turns what is open into rows.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        for (by, groups) in &open.dimensions {
            for (value, measures) in groups {
                self.building.append(&open.project, open.time, dimension(*by), value, measures);
            }
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        while !self.ended && self.building.rows < BATCH_ROWS {
            match self.rows.next().transpose()? {
                Some(batch) => self.take(&batch)?,
                None => {
                    self.ended = true;
                    self.close();
                }
            }
        }
        if self.building.rows == 0 { Ok(None) } else { self.building.finish().map(Some) }
    }
}

impl Iterator for Added {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// The columns of [`COLUMNS`] in a batch of spans.
struct Calls<'a> {
    project: &'a StringArray,
    kind: &'a StringArray,
    start: &'a TimestampNanosecondArray,
    latency_ms: &'a Float64Array,
    ttft_ms: &'a Float64Array,
    status: &'a StringArray,
    user: &'a StringArray,
    environment: &'a StringArray,
    provider: &'a StringArray,
    model_requested: &'a StringArray,
    model: &'a StringArray,
    input_tokens: &'a Int64Array,
    output_tokens: &'a Int64Array,
    cached_tokens: &'a Int64Array,
    cost: &'a Int64Array,
    prompt: &'a StringArray,
}

impl<'a> Calls<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("column {name:?} is missing")))
        };
        let wrong = |name: &str| ArrowError::SchemaError(format!("column {name:?} has another type"));
        let text = |name| column(name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name));
        let number = |name| column(name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(name));
        let float = |name| column(name)?.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(name));
        let time = |name| column(name)?.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(|| wrong(name));
        Ok(Self {
            project: text("project")?,
            kind: text("kind")?,
            start: time("start_time")?,
            latency_ms: float("latency_ms")?,
            ttft_ms: float("ttft_ms")?,
            status: text("status")?,
            user: text("user_id")?,
            environment: text("environment")?,
            provider: text("provider")?,
            model_requested: text("model_requested")?,
            model: text("model")?,
            input_tokens: number("input_tokens")?,
            output_tokens: number("output_tokens")?,
            cached_tokens: number("cached_tokens")?,
            cost: number("cost_picodollars")?,
            prompt: text("prompt_name")?,
        })
    }

    fn is_call(&self, row: usize) -> bool {
        SpanKind::CALLS.iter().any(|kind| kind.as_str() == self.kind.value(row))
    }

    /// The group of a call, as [`GroupBy`] has it in SQL.
    fn group(&self, by: GroupBy, row: usize) -> &str {
        let told = |column: &'a StringArray| column.is_valid(row).then(|| column.value(row));
        let group = match by {
            GroupBy::Model => told(self.model).or_else(|| told(self.model_requested)),
            GroupBy::Provider => told(self.provider),
            GroupBy::Prompt => told(self.prompt),
            GroupBy::User => told(self.user),
            GroupBy::Environment => told(self.environment),
            GroupBy::Status => told(self.status),
            // Not among the dimensions.
            GroupBy::PromptVersion | GroupBy::Session | GroupBy::Release | GroupBy::Name => None,
        };
        group.unwrap_or_default()
    }

    fn add_to(&self, measures: &mut Measures, row: usize) {
        let number = |column: &Int64Array| number_at(column, row).unwrap_or(0);
        let count = |column| number(column).unsigned_abs();
        let ttft_ms = float_at(self.ttft_ms, row);
        measures.requests += 1;
        measures.errors += u64::from(self.status.value(row) == Status::Error.as_str());
        measures.input_tokens += count(self.input_tokens);
        measures.output_tokens += count(self.output_tokens);
        measures.cached_tokens += count(self.cached_tokens);
        measures.cost_picodollars = measures.cost_picodollars.saturating_add(number(self.cost));
        measures.latency_ms.add(self.latency_ms.value(row));
        ttft_ms.into_iter().for_each(|ttft_ms| measures.ttft_ms.add(ttft_ms));
        if number(self.output_tokens) > 0 {
            measures.generating_ms += (self.latency_ms.value(row) - ttft_ms.unwrap_or(0.0)).max(0.0);
        }
    }
}

/// Rows of a summary that are being built.
#[derive(Default)]
struct Building {
    rows: usize,
    project: StringBuilder,
    time: TimestampNanosecondBuilder,
    dimension: StringBuilder,
    value: StringBuilder,
    requests: Int64Builder,
    errors: Int64Builder,
    input_tokens: Int64Builder,
    output_tokens: Int64Builder,
    cached_tokens: Int64Builder,
    cost: Int64Builder,
    generating_ms: Float64Builder,
    latency: BinaryBuilder,
    ttft: BinaryBuilder,
}

impl Building {
    fn append(&mut self, project: &str, time: i64, dimension: &str, value: &str, measures: &Measures) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.rows += 1;
        self.project.append_value(project);
        self.time.append_value(time);
        self.dimension.append_value(dimension);
        self.value.append_value(value);
        self.requests.append_value(number(measures.requests));
        self.errors.append_value(number(measures.errors));
        self.input_tokens.append_value(number(measures.input_tokens));
        self.output_tokens.append_value(number(measures.output_tokens));
        self.cached_tokens.append_value(number(measures.cached_tokens));
        self.cost.append_value(measures.cost_picodollars);
        self.generating_ms.append_value(measures.generating_ms);
        self.latency.append_value(measures.latency_ms.encode());
        self.ttft.append_value(measures.ttft_ms.encode());
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.project.finish()),
            Arc::new(self.time.finish().with_timezone("UTC")),
            Arc::new(self.dimension.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.requests.finish()),
            Arc::new(self.errors.finish()),
            Arc::new(self.input_tokens.finish()),
            Arc::new(self.output_tokens.finish()),
            Arc::new(self.cached_tokens.finish()),
            Arc::new(self.cost.finish()),
            Arc::new(self.generating_ms.finish()),
            Arc::new(self.latency.finish()),
            Arc::new(self.ttft.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
