//! `/api/v1/sql`: one read-only statement over the lake, as JSON, JSON lines, CSV or Arrow. Statements over the rows of a dataset are
//! asked and answered in the same forms.
//!
//! A statement sees the rows of every project, so it needs the scope of an administrator.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use qd_catalog::Scope;
use qd_lake::{Param, QueryLimits, QueryOutput};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::config::Limits;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Json as JsonBody;
use crate::permission::Permission;
use crate::route::Route;
use crate::state::Shared;

const TRUNCATED: HeaderName = HeaderName::from_static("x-quarterdeck-truncated");

pub(crate) const JSON_LINES: &str = "application/x-ndjson";
pub(crate) const CSV: &str = "text/csv";
/// <https://www.iana.org/assignments/media-types/application/vnd.apache.arrow.stream>
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("SQL", "query", "Run one read-only statement over the lake")
        .text("SELECT, WITH, EXPLAIN, SHOW and DESCRIBE. The rows of every project are visible, so this needs the scope admin. The header x-quarterdeck-truncated says whether there were more rows than max_rows.")
        .takes::<SqlQuery>()
        .gives_also::<SqlAnswer>(200, "The rows, in the form that Accept asks for", &[JSON_LINES, CSV, ARROW]);
    vec![Route::post("/api/v1/sql", Permission::Scope(Scope::Admin), doc, query)]
}

async fn query(State(surface): State<Shared>, form: Form, JsonBody(query): JsonBody<SqlQuery>) -> Result<Response> {
    let (sql, params, limits) = query.into_question(&surface.app.config.limits)?;
    form.answer(surface.app.lake.query(&sql, params, limits).await?).await
}

/// A statement to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// The statement.
    pub sql: String,
    /// Values for `$1`, `$2`, …: null, booleans, numbers and texts.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    pub params: Option<Vec<serde_json::Value>>,
    /// At most this many rows; 10,000 when absent.
    #[schema(minimum = 1)]
    pub max_rows: Option<usize>,
    /// At most this long.
    #[schema(minimum = 1)]
    pub timeout_ms: Option<u64>,
}

/// Rows when nobody asks for more.
const ROWS_BY_DEFAULT: usize = 10_000;

impl SqlQuery {
    /// The statement, what its parameters stand for, and what it may use.
    pub(crate) fn into_question(self, most: &Limits) -> Result<(String, Vec<Param>, QueryLimits)> {
        let limits = self.limits(most)?;
        let params = self.params.unwrap_or_default().into_iter().enumerate().map(param);
        Ok((self.sql, params.collect::<Result<_>>()?, limits))
    }

    fn limits(&self, most: &Limits) -> Result<QueryLimits> {
        let max_rows = within("max_rows", self.max_rows.unwrap_or(ROWS_BY_DEFAULT.min(most.sql_rows)), most.sql_rows)?;
        let most_ms = usize::try_from(most.sql_ms).unwrap_or(usize::MAX);
        let asked_ms = self.timeout_ms.map_or(most_ms, |ms| usize::try_from(ms).unwrap_or(usize::MAX));
        let timeout_ms = within("timeout_ms", asked_ms, most_ms)? as u64;
        Ok(QueryLimits { timeout: Duration::from_millis(timeout_ms), memory_bytes: most.sql_bytes, max_rows })
    }
}

fn within(name: &str, asked: usize, most: usize) -> Result<usize> {
    match (1..=most).contains(&asked) {
        true => Ok(asked),
        false => {
            Err(Error::parameter(name, "invalid_value", format!("Invalid '{name}': between 1 and {most} is allowed.")))
        }
    }
}

fn param((place, value): (usize, serde_json::Value)) -> Result<Param> {
    use serde_json::Value;
    match value {
        Value::Null => Ok(Param::Null),
        Value::Bool(truth) => Ok(Param::Bool(truth)),
        Value::String(text) => Ok(Param::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Param::Int(whole)),
            (None, Some(number)) => Ok(Param::Float(number)),
            (None, None) => Err(wrong_param(place)),
        },
        Value::Array(_) | Value::Object(_) => Err(wrong_param(place)),
    }
}

fn wrong_param(place: usize) -> Error {
    let path = format!("params[{place}]");
    Error::parameter(
        path.clone(),
        "invalid_type",
        format!("Invalid type for '{path}': expected null, a boolean, a number or a string."),
    )
}

/// The form of the answer that the caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    JsonLines,
    Csv,
    Arrow,
}

impl FromRequestParts<Shared> for Form {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        let accept = parts.headers.get(ACCEPT).map_or("", |value| value.to_str().unwrap_or("?"));
        Self::of(accept)
    }
}

impl Form {
    /// The rows in this form, and whether there were more.
    pub(crate) async fn answer(self, output: QueryOutput) -> Result<Response> {
        let truncated = output.truncated;
        // Writing many rows takes long enough to hold up other requests of this thread.
        let written = tokio::task::spawn_blocking(move || self.write(&output)).await.map_err(Error::encode)?;
        let mut response = Response::new(Body::from(written.map_err(Error::encode)?));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media()));
        headers.insert(TRUNCATED, HeaderValue::from_static(if truncated { "true" } else { "false" }));
        Ok(response)
    }

    /// The first media type of an `Accept` header that can be made; the order of the header decides, weights are not read.
    fn of(accept: &str) -> Result<Self> {
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        let asked = accept.split(',').map(|media| media.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
        asked.into_iter().find_map(|media| Self::by_media(&media)).ok_or_else(|| Error::Accept {
            accept: accept.chars().take(200).collect(),
            offered: "application/json, application/x-ndjson, text/csv and application/vnd.apache.arrow.stream",
        })
    }

    fn by_media(media: &str) -> Option<Self> {
        match media {
            "*/*" | "application/*" | "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Some(Self::JsonLines),
            "text/csv" | "text/*" => Some(Self::Csv),
            ARROW => Some(Self::Arrow),
            _ => None,
        }
    }

    fn media(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => JSON_LINES,
            Self::Csv => CSV,
            Self::Arrow => ARROW,
        }
    }

    fn write(self, output: &QueryOutput) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Json => json(output),
            Self::JsonLines => json_lines(output),
            Self::Csv => csv(output),
            Self::Arrow => stream(output),
        }
    }
}

/// The answer as JSON.
#[derive(Serialize, ToSchema)]
pub struct SqlAnswer {
    /// The columns, in order.
    pub columns: Vec<SqlColumn>,
    /// The rows as objects.
    #[schema(value_type = Vec<Object>)]
    pub rows: Box<RawValue>,
    /// How many rows there are.
    pub row_count: usize,
    /// Whether there were more than allowed.
    pub truncated: bool,
}

/// A column of an answer.
#[derive(Serialize, ToSchema)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub kind: String,
}

fn json(output: &QueryOutput) -> Result<Vec<u8>, ArrowError> {
    let columns = output
        .schema
        .fields()
        .iter()
        .map(|field| SqlColumn { name: field.name().clone(), kind: field.data_type().to_string() });
    let answer = SqlAnswer {
        columns: columns.collect(),
        rows: rows(output)?,
        row_count: output.rows(),
        truncated: output.truncated,
    };
    serde_json::to_vec(&answer).map_err(external)
}

fn rows(output: &QueryOutput) -> Result<Box<RawValue>, ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write_batches(&output.batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).map_err(external)?;
    // Without batches the writer writes nothing at all.
    RawValue::from_string(if text.is_empty() { "[]".to_owned() } else { text }).map_err(external)
}

fn json_lines(output: &QueryOutput) -> Result<Vec<u8>, ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write_batches(&output.batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    Ok(writer.into_inner())
}

fn csv(output: &QueryOutput) -> Result<Vec<u8>, ArrowError> {
    let schema = flat_schema(&output.schema);
    let mut text = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut text);
    if output.batches.is_empty() {
        writer.write(&RecordBatch::new_empty(schema.clone()))?;
    }
    for batch in &output.batches {
        writer.write(&flat(batch, &schema)?)?;
    }
    drop(writer);
    Ok(text)
}

/// CSV has no lists and no structures: those become text.
fn flat_schema(schema: &Schema) -> SchemaRef {
    let flat = |field: &Arc<Field>| match field.data_type().is_nested() {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        false => field.clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(flat).collect::<Vec<_>>()))
}

fn flat(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type().is_nested() {
        true => as_text(column),
        false => Ok(column.clone()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let text: StringArray =
        (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string())).collect();
    Ok(Arc::new(text))
}

fn stream(output: &QueryOutput) -> Result<Vec<u8>, ArrowError> {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &output.schema)?;
    for batch in &output.batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    writer.into_inner()
}

fn external(cause: impl std::error::Error + Send + Sync + 'static) -> ArrowError {
    ArrowError::ExternalError(Box::new(cause))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn output() -> QueryOutput {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a,\"b\"", "ü"]));
        let lists: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, false), ("l", lists, true)])
                .unwrap();
        QueryOutput { schema: batch.schema(), batches: vec![batch], truncated: true }
    }

    fn written(form: Form, output: &QueryOutput) -> String {
        String::from_utf8(form.write(output).unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_the_same_rows() {
        let json: serde_json::Value = serde_json::from_str(&written(Form::Json, &output())).unwrap();
        assert_eq!(
            json["rows"],
            serde_json::json!([{"n": 1, "t": "a,\"b\"", "l": [1, 2]}, {"n": null, "t": "ü", "l": null}])
        );
        assert_eq!(
            (&json["columns"][0]["type"], &json["row_count"], &json["truncated"]),
            (&"Int64".into(), &2.into(), &true.into())
        );
        assert_eq!(
            written(Form::JsonLines, &output()),
            "{\"n\":1,\"t\":\"a,\\\"b\\\"\",\"l\":[1,2]}\n{\"n\":null,\"t\":\"ü\",\"l\":null}\n"
        );
        assert_eq!(written(Form::Csv, &output()), "n,t,l\n1,\"a,\"\"b\"\"\",\"[1, 2]\"\n,ü,\n");
        let arrow = Form::Arrow.write(&output()).unwrap();
        let read: Vec<_> =
            arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, output().batches);
    }

    #[test]
    fn no_rows_are_still_an_answer() {
        let none = QueryOutput { batches: Vec::new(), truncated: false, ..output() };
        let json: serde_json::Value = serde_json::from_str(&written(Form::Json, &none)).unwrap();
        assert_eq!((&json["rows"], &json["columns"].as_array().unwrap().len()), (&serde_json::json!([]), &3));
        assert_eq!(written(Form::JsonLines, &none), "");
        assert_eq!(written(Form::Csv, &none), "n,t,l\n");
    }

    #[test]
    fn accept_headers() {
        assert_eq!(Form::of("").unwrap(), Form::Json);
        assert_eq!(Form::of("*/*").unwrap(), Form::Json);
        assert_eq!(Form::of("text/csv; charset=utf-8").unwrap(), Form::Csv);
        assert_eq!(Form::of("image/png, application/x-ndjson").unwrap(), Form::JsonLines);
        assert_eq!(Form::of(ARROW).unwrap(), Form::Arrow);
        assert!(matches!(Form::of("image/png"), Err(Error::Accept { .. })));
    }
}
