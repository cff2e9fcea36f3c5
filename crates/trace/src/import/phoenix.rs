//! Phoenix's spans: the rows of `px.Client().get_spans_dataframe()`, saved with `to_parquet` or `to_json`, and the spans of
//! its API, whose context and attributes are objects.
//!
//! Source, as it stood in November 2026:
//! <https://arize.com/docs/phoenix/tracing/how-to-tracing/importing-and-exporting-traces/extract-data-from-spans>. The
//! attributes are OpenInference's. The data frame has them in columns `attributes.…`, with the lists of messages whole;
//! OTLP has each part of a message in an attribute of its own, and so they are told here.

use qd_base::Extra;
use serde_json::{Map, Value};

use super::{Refused, Told, is_nothing, refused, span_id, text, time, trace_id, unfold};
use crate::Status;

/// Attributes that the data frame has as lists of objects, and OTLP in parts.
const IN_PARTS: [&str; 3] = ["llm.input_messages", "llm.output_messages", "llm.tools"];

/// The span that a row tells.
pub(super) fn read(mut row: Map<String, Value>) -> Result<Told, Refused> {
    row.retain(|_, value| !is_nothing(value));
    if let Some(Value::Object(context)) = row.remove("context") {
        row.extend(context.into_iter().map(|(name, value)| (format!("context.{name}"), value)));
    }
    let id = take(&mut row, "context.span_id").ok_or_else(|| {
        refused("it has no context.span_id; a data frame that lost its index has it again with reset_index()")
    })?;
    let trace = take(&mut row, "context.trace_id").ok_or_else(|| refused("it has no context.trace_id"))?;
    let mut when = |name: &str| match row.remove(name) {
        Some(value) => time(&value).map(Some).ok_or_else(|| refused(format!("{name} is no time"))),
        None => Ok(None),
    };
    let start = when("start_time")?.ok_or_else(|| refused("it has no start_time"))?;
    let end = when("end_time")?.unwrap_or(start);
    let parent = take(&mut row, "parent_id");
    let name = take(&mut row, "name").unwrap_or_else(|| "span".to_owned());
    let status = take(&mut row, "status_code").and_then(|code| match code.to_ascii_uppercase().as_str() {
        "ERROR" => Some(Status::Error),
        "OK" => Some(Status::Ok),
        _ => None,
    });
    let events = row.remove("events").map(unfold);
    let status_message = take(&mut row, "status_message").or_else(|| exception(events.as_ref()?));
    let mut attributes = attributes(row);
    events.into_iter().filter(has_items).for_each(|events| drop(attributes.insert("events".to_owned(), events)));
    Ok(Told {
        trace_id: trace_id(&trace),
        span_id: span_id(&id),
        parent_id: parent.map(|parent| span_id(&parent)),
        name,
        start,
        end,
        status,
        status_message,
        attributes,
    })
}

fn take(row: &mut Map<String, Value>, name: &str) -> Option<String> {
    row.remove(name).as_ref().and_then(text)
}

fn has_items(events: &Value) -> bool {
    events.as_array().is_none_or(|events| !events.is_empty())
}

/// What the exception of a span said.
fn exception(events: &Value) -> Option<String> {
    let message = |event: &Value| {
        let attributes = &event["attributes"];
        text(&attributes["exception.message"]).or_else(|| text(&attributes["exception"]["message"]))
    };
    events.as_array()?.iter().find_map(message)
}

/// The attributes under OpenInference's names.
fn attributes(mut row: Map<String, Value>) -> Extra {
    let mut attributes = Extra::new();
    if let Some(kind) = take(&mut row, "span_kind") {
        attributes.insert("openinference.span.kind".to_owned(), kind.into());
    }
    if let Some(Value::Object(nested)) = row.remove("attributes").map(unfold) {
        nested.into_iter().for_each(|(name, value)| add(&mut attributes, &name, value));
    }
    for (column, value) in row {
        match column.strip_prefix("attributes.") {
            Some(name) => add(&mut attributes, name, value),
            // What Phoenix itself worked out: latencies, sums over children, its own numbers.
            None => drop(attributes.insert(format!("phoenix.{column}"), value)),
        }
    }
    attributes
}

/// Adds an attribute: objects in parts, named by their path; lists whole, but for those of messages and tools.
fn add(attributes: &mut Extra, name: &str, value: Value) {
    match value {
        Value::Object(fields) => {
            // Metadata and parameters are values of their own, whatever they hold.
            if ["metadata", "llm.invocation_parameters", "input.value", "output.value"].contains(&name) {
                attributes.insert(name.to_owned(), Value::Object(fields));
            } else {
                fields.into_iter().for_each(|(field, value)| add(attributes, &format!("{name}.{field}"), value));
            }
        }
        Value::Array(items) if is_in_parts(name) && items.iter().all(Value::is_object) => {
            items.into_iter().enumerate().for_each(|(at, item)| add(attributes, &format!("{name}.{at}"), item));
        }
        value if is_nothing(&value) => {}
        value => drop(attributes.insert(name.to_owned(), value)),
    }
}

fn is_in_parts(name: &str) -> bool {
    IN_PARTS.iter().any(|list| name.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}
