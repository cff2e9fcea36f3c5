//! Spans and scores that other tools exported, as ours.
//!
//! A record of an export is told in the attributes of its dialect, and these mean what they mean in OTLP: the table is
//! [`crate::otlp::dialect`]. Identifiers follow from those of the export, so that a file which is imported twice shows each
//! span once. What has no field of ours is kept among the attributes.

mod langfuse;
mod phoenix;

use std::fmt;

use qd_base::{Extra, Picodollars, ProjectName, Sha256Hex, SpanId, Timestamp, TraceId};
use serde_json::{Map, Value};

use crate::otlp::draft::Draft;
use crate::otlp::read::{self, Reader};
use crate::{PriceTable, Score, Span, Status, TraceContext};

qd_base::words!(
    /// Whose export it is.
    Source, "source of an import", {
        /// Langfuse: traces, observations and scores as its pages, its API or its scheduled exports give them.
        Langfuse = "langfuse",
        /// Arize Phoenix: the rows of its data frame of spans.
        Phoenix = "phoenix",
        /// Our own.
        Jsonl = "jsonl",
    }
);

/// What a record comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Imported {
    /// Spans.
    pub spans: Vec<Span>,
    /// Scores.
    pub scores: Vec<Score>,
}

/// Why a record is no span, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// Reads the records of exports, for one project and with prices for what has no cost.
#[derive(Clone, Copy)]
pub struct Importer<'a> {
    /// Whose spans they become.
    pub project: &'a ProjectName,
    /// What tokens cost.
    pub prices: &'a PriceTable,
}

/// A span as an export tells it, in the attributes of its dialect.
#[derive(Debug)]
struct Told {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: Option<SpanId>,
    name: String,
    start: Timestamp,
    end: Timestamp,
    status: Option<Status>,
    status_message: Option<String>,
    attributes: Extra,
}

impl Importer<'_> {
    /// The spans and scores that a record of Langfuse's or Phoenix's tells. Our own records are the wire form of spans,
    /// which is not read here.
    ///
    /// # Errors
    /// [`Refused`] for what is no such record.
    pub fn read(&self, source: Source, record: Map<String, Value>) -> Result<Imported, Refused> {
        match source {
            Source::Langfuse => langfuse::read(self, record),
            Source::Phoenix => {
                phoenix::read(record).map(|told| Imported { spans: vec![self.span(told)], scores: vec![] })
            }
            Source::Jsonl => Err(Refused("it is a span of our own form, which is read elsewhere".to_owned())),
        }
    }

    /// What a span's tokens cost by the prices in force, for one without a cost; `None` when no price is known.
    pub fn price(&self, span: &Span) -> Option<Picodollars> {
        crate::otlp::price(self.prices, span)
    }

    /// The span that is told: its attributes mean what they mean in a span of OTLP.
    fn span(&self, told: Told) -> Span {
        let mut draft = Draft::of(told.attributes);
        let at = TraceContext { trace_id: told.trace_id, span_id: told.span_id, flags: TraceContext::SAMPLED };
        let mut span = Span::new(self.project.clone(), at, read::kind(&draft), told.name, told.start);
        (span.parent_id, span.end) = (told.parent_id, told.end.max(told.start));
        span.status = told.status.unwrap_or(if draft.failed { Status::Error } else { Status::Ok });
        span.status_message = told.status_message.or(draft.status_message.take());
        Reader { project: self.project, prices: self.prices, now: Timestamp::now() }.fill(&mut span, draft);
        span
    }
}

/// Whose record this is, by the names of its fields.
pub fn guess(record: &Map<String, Value>) -> Option<Source> {
    let has = |name: &str| record.contains_key(name);
    if has("context.trace_id") || has("context.span_id") || (has("context") && has("span_kind")) {
        return Some(Source::Phoenix);
    }
    // Ours come first: Langfuse's scheduled exports have some of the same names, but none has a kind.
    if has("kind") && has("start_time") && has("end_time") {
        return Some(Source::Jsonl);
    }
    langfuse::is_one(record).then_some(Source::Langfuse)
}

/// The trace that a name stands for: itself when it is one of W3C's or a UUID, else a digest of it.
fn trace_id(name: &str) -> TraceId {
    let bare: String = name.chars().filter(|letter| *letter != '-').map(|letter| letter.to_ascii_lowercase()).collect();
    bare.parse().unwrap_or_else(|_| {
        let digest = Sha256Hex::of(format!("trace {name}").as_bytes());
        let bytes: [u8; 16] = std::array::from_fn(|at| digest.as_bytes()[at]);
        // A digest of zeros is not known to exist.
        TraceId::from_bytes(bytes).unwrap_or_else(TraceId::random)
    })
}

/// The span that a name stands for: itself when it is one of W3C's, else a digest of it.
fn span_id(name: &str) -> SpanId {
    name.to_ascii_lowercase().parse().unwrap_or_else(|_| {
        let digest = Sha256Hex::of(format!("span {name}").as_bytes());
        let bytes: [u8; 8] = std::array::from_fn(|at| digest.as_bytes()[at]);
        SpanId::from_bytes(bytes).unwrap_or_else(SpanId::random)
    })
}

/// A time as exports tell it: RFC 3339, the same with a space or without an offset (then UTC), or milliseconds since 1970
/// as pandas writes them.
fn time(value: &Value) -> Option<Timestamp> {
    if let Some(millis) = value.as_f64() {
        return Some(Timestamp::from_nanos((millis * 1e6).round() as i64));
    }
    let text = value.as_str()?.trim();
    let [date, clock] = text.split_once(['T', ' ']).map(|(date, clock)| [date, clock])?;
    let offset = clock.contains(['Z', 'z', '+']) || clock.rsplit_once('-').is_some();
    let text = format!("{date}T{}{}", clock.trim(), if offset { "" } else { "Z" });
    text.parse().ok()
}

/// A text, or a number as one; nothing for what is empty.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// JSON that came as a text, as it does in CSV; anything else as it is.
fn unfold(value: Value) -> Value {
    match &value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}

/// Whether a value says nothing.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refused(why: impl Into<String>) -> Refused {
    Refused(why.into())
}

#[cfg(test)]
mod tests;
