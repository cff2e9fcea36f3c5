//! The table of log records, among them the events of GenAI.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampNanosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use qd_base::Timestamp;
use qd_lake::TableSpec;
use serde_json::Value;

use crate::Error;
use crate::otlp::intake::Rejections;
use crate::otlp::read::{Origin, Reader, sane, span_id, trace_id};
use crate::otlp::value::{self, object};
use crate::otlp::{Refusal, Taken};

/// The table's name in SQL.
pub const LOGS: &str = "logs";
const UTC: &str = "UTC";

/// The table of log records.
pub(crate) fn table() -> TableSpec {
    TableSpec {
        name: LOGS.parse().expect("the constant is a valid table name"),
        schema: schema(),
        sort: vec!["project", "time"],
        time_column: "time",
        bloom: vec!["trace_id", "span_id"],
        subject_column: Some("user_id"),
        project_column: Some("project"),
        group_column: Some("trace_id"),
        identity: Vec::new(),
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let time = |name, null| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), null);
        Arc::new(Schema::new(vec![
            Field::new("project", DataType::Utf8, false),
            time("time", false),
            time("observed_time", true),
            text("trace_id"),
            text("span_id"),
            text("event_name"),
            Field::new("severity", DataType::Int64, true),
            text("severity_text"),
            text("body"),
            text("service"),
            text("scope"),
            text("user_id"),
            text("session_id"),
            text("attributes"),
            text("resource"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The rows of a request. No log record is rejected: one without a time has that of its arrival.
pub(crate) fn rows(request: ExportLogsServiceRequest, reader: &Reader<'_>) -> Result<(RecordBatch, Taken), Refusal> {
    let mut rows = LogRows::default();
    let mut count = 0;
    for resource in request.resource_logs {
        let origin = Origin::of(resource.resource);
        for scope in resource.scope_logs {
            let name = scope.scope.map(|scope| scope.name).filter(|name| !name.is_empty());
            for record in scope.log_records {
                rows.append(record, &origin, name.as_deref(), reader);
                count += 1;
            }
        }
    }
    let batch = rows.finish().map_err(|cause| Refusal::Failed(Error::Build(Arc::new(cause))))?;
    Ok((batch, Rejections::default().taken(count)))
}

#[derive(Default)]
struct LogRows {
    project: StringBuilder,
    time: TimestampNanosecondBuilder,
    observed_time: TimestampNanosecondBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    event_name: StringBuilder,
    severity: Int64Builder,
    severity_text: StringBuilder,
    body: StringBuilder,
    service: StringBuilder,
    scope: StringBuilder,
    user_id: StringBuilder,
    session_id: StringBuilder,
    attributes: StringBuilder,
    resource: StringBuilder,
}

impl LogRows {
    fn append(&mut self, record: LogRecord, origin: &Origin, scope: Option<&str>, reader: &Reader<'_>) {
        let observed = sane(record.observed_time_unix_nano, reader.now);
        let time = sane(record.time_unix_nano, reader.now).or(observed).unwrap_or(reader.now);
        let mut attributes = object(record.attributes);
        // Before events had a name of their own it was an attribute.
        let named = attributes.remove("event.name").and_then(|name| value::text(&name));
        let name = Some(record.event_name).filter(|name| !name.is_empty()).or(named);
        let of = |key: &str| attributes.get(key).or_else(|| origin.resource().get(key)).and_then(value::text);
        self.project.append_value(reader.project.as_str());
        self.time.append_value(time.as_nanos());
        self.observed_time.append_option(observed.map(Timestamp::as_nanos));
        self.trace_id.append_option(trace_id(&record.trace_id).map(|id| id.to_string()));
        self.span_id.append_option(span_id(&record.span_id).map(|id| id.to_string()));
        self.event_name.append_option(name);
        self.severity.append_option(Some(i64::from(record.severity_number)).filter(|number| *number > 0));
        self.severity_text.append_option(Some(record.severity_text).filter(|text| !text.is_empty()));
        self.service.append_option(of("service.name"));
        self.scope.append_option(scope);
        self.user_id.append_option(of("user.id").or_else(|| of("enduser.id")));
        self.session_id.append_option(of("session.id").or_else(|| of("gen_ai.conversation.id")));
        let body = record.body.map(value::json).filter(|body| !body.is_null());
        self.body.append_option(body.map(|body| match body {
            Value::String(text) => text,
            other => other.to_string(),
        }));
        self.attributes.append_option((!attributes.is_empty()).then(|| Value::Object(attributes).to_string()));
        self.resource.append_option(
            (!origin.resource().is_empty()).then(|| Value::Object(origin.resource().clone()).to_string()),
        );
    }

    fn finish(mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.project.finish()),
            Arc::new(self.time.finish().with_timezone(UTC)),
            Arc::new(self.observed_time.finish().with_timezone(UTC)),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.event_name.finish()),
            Arc::new(self.severity.finish()),
            Arc::new(self.severity_text.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.scope.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.session_id.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.resource.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
