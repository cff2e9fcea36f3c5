//! The table of spans: its columns, and the way from spans to Arrow and back.
//!
//! Columns are plain, not dictionary-encoded: a batch of the hot path has tens of rows, where a dictionary for each of
//! twenty columns costs more than it saves, and Parquet makes dictionaries of its own when segments are sealed.

use std::fmt::{Display, Write};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Float64Builder, Int64Array, Int64Builder, ListArray,
    ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampNanosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use qd_base::{Picodollars, Sha256Hex, TableName, Timestamp, Usage};
use qd_lake::TableSpec;

use crate::{Error, Payload, Result, Span, TraceContext, large};

/// The table's name in SQL.
pub const SPANS: &str = "spans";
/// Times are UTC; Arrow wants that said.
const UTC: &str = "UTC";

/// The table of spans.
fn spans_table() -> TableSpec {
    TableSpec {
        name: spans_name(),
        schema: schema(),
        sort: vec!["project", "start_time"],
        time_column: "start_time",
        bloom: vec!["trace_id", "span_id", "session_id"],
        subject_column: Some("user_id"),
        identity: vec!["project", "trace_id", "span_id"],
        project_column: Some("project"),
        group_column: Some("trace_id"),
        summaries: crate::summaries::summaries(),
    }
}

/// Every table of traces, to open the lake with.
pub fn tables() -> Vec<TableSpec> {
    vec![spans_table(), crate::score::scores_table(), crate::otlp::logs::table(), crate::otlp::metrics::table()]
}

/// [`SPANS`] as a name.
pub(crate) fn spans_name() -> TableName {
    SPANS.parse().expect("the constant is a valid table name")
}

/// The columns, in the order in which [`SpanRows`] builds them.
pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(columns())));
    Arc::clone(&SCHEMA)
}

fn columns() -> Vec<Field> {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let word = |name| Field::new(name, DataType::Utf8, false);
    let time = |name| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), false);
    let number = |name| Field::new(name, DataType::Int64, true);
    vec![
        word("project"),
        word("trace_id"),
        word("span_id"),
        text("parent_id"),
        word("kind"),
        word("name"),
        time("start_time"),
        time("end_time"),
        Field::new("latency_ms", DataType::Float64, false),
        Field::new("ttft_ms", DataType::Float64, true),
        word("status"),
        text("status_message"),
        text("session_id"),
        text("user_id"),
        Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), false),
        text("environment"),
        text("release"),
        text("provider"),
        text("model_requested"),
        text("model"),
        text("parameters"),
        text("input"),
        text("output"),
        text("input_blob"),
        text("output_blob"),
        number("input_tokens"),
        number("output_tokens"),
        number("cached_tokens"),
        number("reasoning_tokens"),
        number("cost_picodollars"),
        text("prompt_name"),
        number("prompt_version"),
        text("arm"),
        text("attributes"),
        text("attributes_blob"),
    ]
}

/// Builds batches from spans, each in one pass over the spans and without a `String` in between.
///
/// 1.2 µs a span in large batches, 2 µs in batches of 64, 23 µs in batches of one: a reason to group them.
pub struct SpanRows {
    rows: usize,
    project: StringBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    parent_id: StringBuilder,
    kind: StringBuilder,
    name: StringBuilder,
    start_time: TimestampNanosecondBuilder,
    end_time: TimestampNanosecondBuilder,
    latency_ms: Float64Builder,
    ttft_ms: Float64Builder,
    status: StringBuilder,
    status_message: StringBuilder,
    session_id: StringBuilder,
    user_id: StringBuilder,
    tags: ListBuilder<StringBuilder>,
    environment: StringBuilder,
    release: StringBuilder,
    provider: StringBuilder,
    model_requested: StringBuilder,
    model: StringBuilder,
    parameters: StringBuilder,
    input: StringBuilder,
    output: StringBuilder,
    input_blob: StringBuilder,
    output_blob: StringBuilder,
    input_tokens: Int64Builder,
    output_tokens: Int64Builder,
    cached_tokens: Int64Builder,
    reasoning_tokens: Int64Builder,
    cost_picodollars: Int64Builder,
    prompt_name: StringBuilder,
    prompt_version: Int64Builder,
    arm: StringBuilder,
    attributes: StringBuilder,
    attributes_blob: StringBuilder,
}

/// Where the payloads of a span went that were too large for its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadBlobs {
    /// The blob of the input.
    pub input: Option<Sha256Hex>,
    /// The blob of the output.
    pub output: Option<Sha256Hex>,
    /// The blob of the attributes.
    pub attributes: Option<Sha256Hex>,
}

impl SpanRows {
    /// An empty builder.
    pub fn new() -> Self {
        let text = StringBuilder::new;
        let number = Int64Builder::new;
        Self {
            rows: 0,
            project: text(),
            trace_id: text(),
            span_id: text(),
            parent_id: text(),
            kind: text(),
            name: text(),
            start_time: TimestampNanosecondBuilder::new().with_timezone(UTC),
            end_time: TimestampNanosecondBuilder::new().with_timezone(UTC),
            latency_ms: Float64Builder::new(),
            ttft_ms: Float64Builder::new(),
            status: text(),
            status_message: text(),
            session_id: text(),
            user_id: text(),
            tags: ListBuilder::new(text()),
            environment: text(),
            release: text(),
            provider: text(),
            model_requested: text(),
            model: text(),
            parameters: text(),
            input: text(),
            output: text(),
            input_blob: text(),
            output_blob: text(),
            input_tokens: number(),
            output_tokens: number(),
            cached_tokens: number(),
            reasoning_tokens: number(),
            cost_picodollars: number(),
            prompt_name: text(),
            prompt_version: number(),
            arm: text(),
            attributes: text(),
            attributes_blob: text(),
        }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds one span; `blobs` says where payloads are that its row can only begin.
    pub fn append(&mut self, span: &Span, blobs: PayloadBlobs) {
        self.rows += 1;
        self.append_identity(span);
        self.append_outcome(span);
        self.append_caller(span);
        self.append_model(span);
        self.append_payloads(span, blobs);
        self.append_usage(span);
        self.append_rest(span, blobs.attributes);
    }

    fn append_identity(&mut self, span: &Span) {
        self.project.append_value(span.project.as_str());
        append_display(&mut self.trace_id, Some(span.trace_id));
        append_display(&mut self.span_id, Some(span.span_id));
        append_display(&mut self.parent_id, span.parent_id);
        self.kind.append_value(span.kind.as_str());
        self.name.append_value(&span.name);
    }

    fn append_outcome(&mut self, span: &Span) {
        self.start_time.append_value(span.start.as_nanos());
        self.end_time.append_value(span.end.as_nanos());
        self.latency_ms.append_value(span.latency_ms());
        self.ttft_ms.append_option(span.ttft_ms);
        self.status.append_value(span.status.as_str());
        self.status_message.append_option(span.status_message.as_deref());
    }

    fn append_caller(&mut self, span: &Span) {
        self.session_id.append_option(span.session_id.as_deref());
        self.user_id.append_option(span.user_id.as_deref());
        for tag in &span.tags {
            self.tags.values().append_value(tag);
        }
        self.tags.append(true);
        self.environment.append_option(span.environment.as_deref());
        self.release.append_option(span.release.as_deref());
    }

    fn append_model(&mut self, span: &Span) {
        self.provider.append_option(span.provider.as_deref());
        self.model_requested.append_option(span.model_requested.as_deref());
        self.model.append_option(span.model.as_deref());
        self.parameters.append_option(span.parameters.as_ref().map(Payload::as_str));
    }

    fn append_payloads(&mut self, span: &Span, blobs: PayloadBlobs) {
        self.input.append_option(span.input.as_ref().map(Payload::in_row));
        self.output.append_option(span.output.as_ref().map(Payload::in_row));
        append_display(&mut self.input_blob, blobs.input);
        append_display(&mut self.output_blob, blobs.output);
    }

    fn append_usage(&mut self, span: &Span) {
        let tokens =
            |count: fn(&Usage) -> u64| span.usage.as_ref().map(|usage| i64::try_from(count(usage)).unwrap_or(i64::MAX));
        self.input_tokens.append_option(tokens(|usage| usage.input_tokens));
        self.output_tokens.append_option(tokens(|usage| usage.output_tokens));
        self.cached_tokens.append_option(tokens(|usage| usage.cached_tokens));
        self.reasoning_tokens.append_option(tokens(|usage| usage.reasoning_tokens));
        self.cost_picodollars.append_option(span.cost.map(Picodollars::get));
    }

    fn append_rest(&mut self, span: &Span, blob: Option<Sha256Hex>) {
        self.prompt_name.append_option(span.prompt_name.as_deref());
        self.prompt_version.append_option(span.prompt_version.map(i64::from));
        self.arm.append_option(span.arm.as_deref());
        match blob {
            // Keys are strings, so writing a map of JSON values cannot fail.
            None => {
                let all =
                    (!span.attributes.is_empty()).then(|| serde_json::to_string(&span.attributes).unwrap_or_default());
                self.attributes.append_option(all);
            }
            Some(_) => self.attributes.append_value(large::beginnings(&span.attributes)),
        }
        append_display(&mut self.attributes_blob, blob);
    }

    /// The rows as a batch; the builder is empty again.
    ///
    /// # Errors
    /// When a column outgrew Arrow's 2 GiB of text.
    pub fn finish(&mut self) -> Result<RecordBatch, Arc<ArrowError>> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.project.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.start_time.finish()),
            Arc::new(self.end_time.finish()),
            Arc::new(self.latency_ms.finish()),
            Arc::new(self.ttft_ms.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.session_id.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.tags.finish()),
            Arc::new(self.environment.finish()),
            Arc::new(self.release.finish()),
            Arc::new(self.provider.finish()),
            Arc::new(self.model_requested.finish()),
            Arc::new(self.model.finish()),
            Arc::new(self.parameters.finish()),
            Arc::new(self.input.finish()),
            Arc::new(self.output.finish()),
            Arc::new(self.input_blob.finish()),
            Arc::new(self.output_blob.finish()),
            Arc::new(self.input_tokens.finish()),
            Arc::new(self.output_tokens.finish()),
            Arc::new(self.cached_tokens.finish()),
            Arc::new(self.reasoning_tokens.finish()),
            Arc::new(self.cost_picodollars.finish()),
            Arc::new(self.prompt_name.finish()),
            Arc::new(self.prompt_version.finish()),
            Arc::new(self.arm.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.attributes_blob.finish()),
        ];
        RecordBatch::try_new(schema(), columns).map_err(Arc::new)
    }
}

impl Default for SpanRows {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the text of a value into the column's buffer, without a `String` in between.
fn append_display(column: &mut StringBuilder, value: Option<impl Display>) {
    // What was written is the value once something, here nothing, is appended. Writing into memory cannot fail.
    match value.map(|value| write!(column, "{value}")) {
        Some(Ok(())) => column.append_value(""),
        _ => column.append_null(),
    }
}

/// The spans in the rows of a batch that has all columns of the table, in any order and with any text encoding.
///
/// # Errors
/// [`Error::Row`] when a column is missing or holds what no span can.
pub fn read_spans(batch: &RecordBatch) -> Result<Vec<Span>> {
    let rows = Rows::of(batch);
    let columns = SpanColumns::of(&rows)?;
    (0..batch.num_rows()).map(|row| columns.span(row)).collect()
}

/// A batch whose columns are asked for by name and type.
pub(crate) struct Rows<'a>(&'a RecordBatch);

impl<'a> Rows<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        Self(batch)
    }

    fn column(&self, name: &'static str, data_type: &DataType) -> Result<ArrayRef> {
        let column =
            self.0.column_by_name(name).ok_or_else(|| Error::Row { column: name, why: "it is missing".into() })?;
        cast(column, data_type).map_err(|cause| Error::Row { column: name, why: cause.to_string() })
    }

    pub fn text(&self, name: &'static str) -> Result<Text> {
        Ok(Text(name, self.column(name, &DataType::Utf8)?.as_string().clone()))
    }

    pub fn number(&self, name: &'static str) -> Result<Int64Array> {
        Ok(self.column(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    pub fn float(&self, name: &'static str) -> Result<Float64Array> {
        Ok(self.column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    pub fn time(&self, name: &'static str) -> Result<Times> {
        let column = self.column(name, &DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())))?;
        Ok(Times(column.as_primitive::<TimestampNanosecondType>().clone()))
    }

    pub fn bytes(&self, name: &'static str) -> Result<BinaryArray> {
        Ok(self.column(name, &DataType::Binary)?.as_binary().clone())
    }

    pub fn list(&self, name: &'static str) -> Result<ListArray> {
        Ok(self.column(name, &DataType::new_list(DataType::Utf8, true))?.as_list().clone())
    }
}

/// A column of text.
pub(crate) struct Text(&'static str, StringArray);

impl Text {
    pub fn get(&self, row: usize) -> Option<&str> {
        self.1.is_valid(row).then(|| self.1.value(row))
    }

    pub fn owned(&self, row: usize) -> Option<String> {
        self.get(row).map(str::to_owned)
    }

    /// The value that the text tells, if there is a text.
    pub fn parsed<T: FromStr<Err: Display>>(&self, row: usize) -> Result<Option<T>> {
        self.get(row)
            .map(|text| text.parse().map_err(|cause: T::Err| Error::Row { column: self.0, why: cause.to_string() }))
            .transpose()
    }

    /// The value that the text tells.
    pub fn required<T: FromStr<Err: Display>>(&self, row: usize) -> Result<T> {
        self.parsed(row)?.ok_or_else(|| Error::Row { column: self.0, why: "it is null".into() })
    }
}

/// A column of times.
pub(crate) struct Times(arrow::array::TimestampNanosecondArray);

impl Times {
    pub fn get(&self, row: usize) -> Timestamp {
        Timestamp::from_nanos(self.0.value(row))
    }
}

/// The value in a row of a nullable column of numbers.
pub(crate) fn number_at(column: &Int64Array, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
}

/// The value in a row of a nullable column of numbers.
pub(crate) fn float_at(column: &Float64Array, row: usize) -> Option<f64> {
    column.is_valid(row).then(|| column.value(row))
}

/// The four columns that are a [`Usage`].
pub(crate) struct UsageColumns([Int64Array; 4]);

impl UsageColumns {
    pub fn of(rows: &Rows<'_>) -> Result<Self> {
        Ok(Self([
            rows.number("input_tokens")?,
            rows.number("output_tokens")?,
            rows.number("cached_tokens")?,
            rows.number("reasoning_tokens")?,
        ]))
    }

    /// The usage in a row; `None` when nobody told the tokens of its input.
    pub fn get(&self, row: usize) -> Option<Usage> {
        let [input, output, cached, reasoning] =
            self.0.each_ref().map(|column| number_at(column, row).map(|count| u64::try_from(count).unwrap_or(0)));
        Some(Usage {
            input_tokens: input?,
            output_tokens: output.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0),
            reasoning_tokens: reasoning.unwrap_or(0),
        })
    }
}

/// All columns of the table, typed.
struct SpanColumns {
    project: Text,
    trace_id: Text,
    span_id: Text,
    parent_id: Text,
    kind: Text,
    name: Text,
    start_time: Times,
    end_time: Times,
    ttft_ms: Float64Array,
    status: Text,
    status_message: Text,
    session_id: Text,
    user_id: Text,
    tags: ListArray,
    environment: Text,
    release: Text,
    provider: Text,
    model_requested: Text,
    model: Text,
    parameters: Text,
    input: Text,
    output: Text,
    input_blob: Text,
    output_blob: Text,
    usage: UsageColumns,
    cost_picodollars: Int64Array,
    prompt_name: Text,
    prompt_version: Int64Array,
    arm: Text,
    attributes: Text,
    attributes_blob: Text,
}

impl SpanColumns {
    fn of(rows: &Rows<'_>) -> Result<Self> {
        Ok(Self {
            project: rows.text("project")?,
            trace_id: rows.text("trace_id")?,
            span_id: rows.text("span_id")?,
            parent_id: rows.text("parent_id")?,
            kind: rows.text("kind")?,
            name: rows.text("name")?,
            start_time: rows.time("start_time")?,
            end_time: rows.time("end_time")?,
            ttft_ms: rows.float("ttft_ms")?,
            status: rows.text("status")?,
            status_message: rows.text("status_message")?,
            session_id: rows.text("session_id")?,
            user_id: rows.text("user_id")?,
            tags: rows.list("tags")?,
            environment: rows.text("environment")?,
            release: rows.text("release")?,
            provider: rows.text("provider")?,
            model_requested: rows.text("model_requested")?,
            model: rows.text("model")?,
            parameters: rows.text("parameters")?,
            input: rows.text("input")?,
            output: rows.text("output")?,
            input_blob: rows.text("input_blob")?,
            output_blob: rows.text("output_blob")?,
            usage: UsageColumns::of(rows)?,
            cost_picodollars: rows.number("cost_picodollars")?,
            prompt_name: rows.text("prompt_name")?,
            prompt_version: rows.number("prompt_version")?,
            arm: rows.text("arm")?,
            attributes: rows.text("attributes")?,
            attributes_blob: rows.text("attributes_blob")?,
        })
    }

    fn span(&self, row: usize) -> Result<Span> {
        let at = TraceContext {
            trace_id: self.trace_id.required(row)?,
            span_id: self.span_id.required(row)?,
            flags: TraceContext::SAMPLED,
        };
        let name = self.name.owned(row).unwrap_or_default();
        let mut span =
            Span::new(self.project.required(row)?, at, self.kind.required(row)?, name, self.start_time.get(row));
        span.parent_id = self.parent_id.parsed(row)?;
        span.end = self.end_time.get(row);
        span.ttft_ms = float_at(&self.ttft_ms, row);
        span.status = self.status.required(row)?;
        span.status_message = self.status_message.owned(row);
        self.read_caller(row, &mut span);
        self.read_model(row, &mut span)?;
        self.read_rest(row, &mut span)?;
        Ok(span)
    }

    fn read_caller(&self, row: usize, span: &mut Span) {
        span.session_id = self.session_id.owned(row);
        span.user_id = self.user_id.owned(row);
        if self.tags.is_valid(row) {
            span.tags = self.tags.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        }
        span.environment = self.environment.owned(row);
        span.release = self.release.owned(row);
    }

    fn read_model(&self, row: usize, span: &mut Span) -> Result<()> {
        span.provider = self.provider.owned(row);
        span.model_requested = self.model_requested.owned(row);
        span.model = self.model.owned(row);
        span.parameters = self.parameters.get(row).map(Payload::from);
        span.input = self.input.get(row).map(Payload::from);
        span.output = self.output.get(row).map(Payload::from);
        span.input_blob = self.input_blob.parsed(row)?;
        span.output_blob = self.output_blob.parsed(row)?;
        span.usage = self.usage.get(row);
        span.cost = number_at(&self.cost_picodollars, row).map(Picodollars::new);
        Ok(())
    }

    fn read_rest(&self, row: usize, span: &mut Span) -> Result<()> {
        span.prompt_name = self.prompt_name.owned(row);
        span.prompt_version = number_at(&self.prompt_version, row).and_then(|version| u32::try_from(version).ok());
        span.arm = self.arm.owned(row);
        if let Some(text) = self.attributes.get(row) {
            span.attributes = serde_json::from_str(text)
                .map_err(|cause| Error::Row { column: "attributes", why: cause.to_string() })?;
        }
        span.attributes_blob = self.attributes_blob.parsed(row)?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{SpanKind, Status};
    use proptest::prelude::*;

    /// A span in which everything that can be told is told.
    pub(crate) fn full_span() -> Span {
        let at: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let start = Timestamp::from_secs(1_767_225_600);
        Span {
            parent_id: Some("53ce929d0e0e4736".parse().unwrap()),
            end: start.saturating_add(std::time::Duration::from_millis(250)),
            ttft_ms: Some(40.5),
            status: Status::Error,
            status_message: Some("upstream said 500".into()),
            session_id: Some("s-1".into()),
            user_id: Some("alice@example.org".into()),
            tags: vec!["a".into(), "б".into()],
            environment: Some("production".into()),
            release: Some("1.2.3".into()),
            provider: Some("openai".into()),
            model_requested: Some("gpt-4o".into()),
            model: Some("gpt-4o-2024-08-06".into()),
            parameters: Some(r#"{"temperature":0.2}"#.into()),
            input: Some(r#"[{"role":"user","content":"hi"}]"#.into()),
            output: Some(r#"[{"role":"assistant","content":"hello"}]"#.into()),
            usage: Some(Usage { input_tokens: 12, output_tokens: 3, cached_tokens: 4, reasoning_tokens: 1 }),
            cost: Some(Picodollars::new(55_000_000)),
            prompt_name: Some("greeting".into()),
            prompt_version: Some(4),
            arm: Some("champion".into()),
            attributes: serde_json::from_str(r#"{"request_id":"r","retries":2}"#).unwrap(),
            ..Span::new("default".parse().unwrap(), at, SpanKind::Llm, "chat", start)
        }
    }

    fn check(spans: &[Span]) {
        let mut rows = SpanRows::new();
        for span in spans {
            rows.append(span, PayloadBlobs::default());
        }
        assert_eq!(rows.len(), spans.len());
        let batch = rows.finish().unwrap();
        assert!(rows.is_empty());
        assert_eq!(read_spans(&batch).unwrap(), spans);
    }

    #[test]
    fn spans_survive_their_rows() {
        let bare = Span::new("p".parse().unwrap(), TraceContext::root(), SpanKind::Tool, "", Timestamp::from_nanos(-5));
        check(&[full_span(), bare.clone(), full_span()]);
        check(&[bare]);
        check(&[]);
    }

    #[test]
    fn a_builder_can_be_used_again() {
        let mut rows = SpanRows::new();
        for _ in 0..3 {
            rows.append(&full_span(), PayloadBlobs::default());
            assert_eq!(read_spans(&rows.finish().unwrap()).unwrap(), [full_span()]);
        }
    }

    #[test]
    fn text_in_views_is_read_too() {
        let mut rows = SpanRows::new();
        rows.append(&full_span(), PayloadBlobs::default());
        let batch = rows.finish().unwrap();
        let views = batch.schema_ref().fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
            _ => Arc::clone(field),
        });
        let schema = Arc::new(Schema::new(views.collect::<Vec<_>>()));
        let columns =
            batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()).unwrap());
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        assert_eq!(read_spans(&batch).unwrap(), [full_span()]);
    }

    #[test]
    fn a_large_payload_leaves_its_beginning() {
        let text = format!("\"{}\"", "x".repeat(Payload::INLINE_BYTES));
        let blobs = PayloadBlobs { input: Some(Sha256Hex::of(text.as_bytes())), ..PayloadBlobs::default() };
        let span = Span { input: Some(text.as_str().into()), ..full_span() };
        let mut rows = SpanRows::new();
        rows.append(&span, blobs);
        let read = read_spans(&rows.finish().unwrap()).unwrap().remove(0);
        assert_eq!(read.input_blob, blobs.input);
        assert_eq!(read.input.unwrap().as_str(), &text[..Payload::PREVIEW_BYTES]);
        assert_eq!((read.output, read.output_blob), (span.output, None));
    }

    #[test]
    fn the_columns_are_those_of_the_contract() {
        let batch = SpanRows::new().finish().unwrap();
        let names: Vec<&str> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        let expected = "project trace_id span_id parent_id kind name start_time end_time latency_ms ttft_ms status status_message session_id user_id tags environment release provider model_requested model parameters input output input_blob output_blob input_tokens output_tokens cached_tokens reasoning_tokens cost_picodollars prompt_name prompt_version arm attributes attributes_blob";
        assert_eq!(names.join(" "), expected);
    }

    proptest! {
        #[test]
        fn any_text_and_number_survives(name: String, user: Option<String>, tags: Vec<String>, input: Option<String>, start: i64, tokens in proptest::option::of(0..i64::MAX as u64), cost: Option<i64>) {
            let usage = tokens.map(|tokens| Usage { input_tokens: tokens, ..Usage::default() });
            let start = Timestamp::from_nanos(start);
            let input = input.as_deref().map(Payload::from);
            check(&[Span { name, user_id: user, tags, input, usage, start, end: start, cost: cost.map(Picodollars::new), ..full_span() }]);
        }
    }
}
