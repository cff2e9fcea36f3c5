//! Rows out of recorded calls: what was asked becomes the input, what was answered the reference, and where it comes from
//! the metadata.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use qd_base::{ArtifactName, ProjectId, ProjectName, SpanId, Timestamp, TraceId};
use qd_trace::{Filter, Payload, Span, SpanKind};
use serde_json::{Map, Value, json};

use crate::column::Role;
use crate::dataset::{Dataset, Datasets};
use crate::edit::{Asked, Edit, Known, Outcome};
use crate::profile::is_message;
use crate::{Error, Result};

/// Spans that are added at once at most.
pub const MAX_SPANS: usize = 10_000;
/// Spans that are named one by one at most: each is looked up by itself.
pub const MAX_NAMED: usize = 1000;
/// What they hold together at most.
const MAX_BYTES: usize = 256 << 20;

/// Which recorded calls are wanted.
#[derive(Debug, Clone)]
pub enum Calls {
    /// The newest of those that a filter wants; calls of language models, unless it names a kind of span.
    Newest {
        /// Which.
        filter: Box<Filter>,
        /// At most so many, of [`MAX_SPANS`].
        limit: usize,
    },
    /// These spans.
    Spans(Vec<(TraceId, SpanId)>),
}

impl Datasets {
    /// Adds recorded calls to a dataset, or begins one with them. Calls that it has are not added again, as long as it has a
    /// column of identifiers. `told` is kept as what was wanted. As with an [edit](Datasets::edit), what takes long is queued as a job.
    ///
    /// # Errors
    /// [`Error::Missing`] when no call is what was wanted, or a named one is not there; [`Error::TooLarge`];
    /// [`Error::Traces`].
    pub async fn add_calls(
        &self,
        project: (ProjectId, &ProjectName),
        name: &ArtifactName,
        calls: Calls,
        told: Value,
    ) -> Result<Outcome> {
        let spans = match calls {
            Calls::Newest { filter, limit } => self.newest(*filter, limit).await?,
            Calls::Spans(places) => self.named(project.1, &places).await?,
        };
        if spans.is_empty() {
            return Err(Error::Missing { what: "call", name: "that the filter wants".to_owned() });
        }
        let form = Form::of(self.latest(project.0, name).await?.as_ref());
        let edit =
            Edit { add: spans.iter().map(|span| form.row(span)).collect(), roles: form.roles(), ..Edit::default() };
        self.now_or_later(project.0, name, Asked { edit, known: Known::Kept, wanted: Some(told) }).await
    }

    async fn newest(&self, mut filter: Filter, limit: usize) -> Result<Vec<Span>> {
        if limit == 0 || limit > MAX_SPANS {
            return Err(Error::invalid("limit", format!("between 1 and {MAX_SPANS} calls are added at once")));
        }
        filter.kind = filter.kind.or((!filter.calls).then_some(SpanKind::Llm));
        let mut export = self.traces.export(&filter, true).await.map_err(Error::Traces)?;
        let (mut newest, mut bytes) = (BinaryHeap::new(), 0);
        while let Some(spans) = export.spans().await.map_err(Error::Traces)? {
            for span in spans {
                bytes += span.size_bytes();
                newest.push(Reverse(Dated(span)));
                if newest.len() > limit {
                    bytes -= newest.pop().map_or(0, |Reverse(Dated(oldest))| oldest.size_bytes());
                }
            }
            check_bytes(bytes)?;
        }
        let mut spans: Vec<_> = newest.into_iter().map(|Reverse(Dated(span))| span).collect();
        spans.sort_by_key(|span| (span.start, span.span_id));
        Ok(spans)
    }

    async fn named(&self, project: &ProjectName, places: &[(TraceId, SpanId)]) -> Result<Vec<Span>> {
        if places.len() > MAX_NAMED {
            return Err(Error::TooLarge { what: "spans that are named", limit: MAX_NAMED.to_string() });
        }
        let (mut spans, mut bytes) = (Vec::new(), 0);
        for (trace, span) in places {
            let found = self.traces.span(project, *trace, *span).await.map_err(Error::Traces)?;
            let missing = || Error::Missing { what: "span", name: format!("{span} in trace {trace}") };
            let found = found.ok_or_else(missing)?;
            bytes += found.size_bytes();
            check_bytes(bytes)?;
            if spans.iter().all(|known: &Span| known.span_id != found.span_id || known.trace_id != found.trace_id) {
                spans.push(found);
            }
        }
        Ok(spans)
    }
}

fn check_bytes(bytes: usize) -> Result<()> {
    match bytes > MAX_BYTES {
        true => Err(Error::TooLarge {
            what: "calls with their inputs and outputs",
            limit: format!("{} MiB", MAX_BYTES >> 20),
        }),
        false => Ok(()),
    }
}

/// A span by its time.
struct Dated(Span);

impl Dated {
    fn key(&self) -> (Timestamp, SpanId) {
        (self.0.start, self.0.span_id)
    }
}

impl PartialEq for Dated {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Dated {}

impl PartialOrd for Dated {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dated {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The columns that calls are written into: those that the dataset has for these roles, and new ones.
struct Form {
    columns: BTreeMap<Role, String>,
    new: BTreeMap<String, Role>,
}

impl Form {
    fn of(dataset: Option<&Dataset>) -> Self {
        const NAMES: [(Role, &str); 5] = [
            (Role::Id, "id"),
            (Role::Input, "input"),
            (Role::Messages, "messages"),
            (Role::Reference, "output"),
            (Role::Metadata, "metadata"),
        ];
        let (mut columns, mut new) = (BTreeMap::new(), BTreeMap::new());
        for (role, name) in NAMES {
            let is_free = |name: &str| dataset.is_none_or(|dataset| dataset.require(name).is_err());
            let known = dataset.and_then(|dataset| match role {
                // There may be several, of which only our own has our form.
                Role::Metadata => dataset.require(name).ok().filter(|column| column.role == role),
                role => dataset.column(role),
            });
            match known {
                Some(column) => drop(columns.insert(role, column.name.clone())),
                // Rows that are there would have no identifier.
                None if role == Role::Id && dataset.is_some() => {}
                None => {
                    let name = [name.to_owned(), format!("trace_{name}")].into_iter().find(|name| is_free(name));
                    if let Some(name) = name {
                        new.insert(name.clone(), role);
                        columns.insert(role, name);
                    }
                }
            }
        }
        Self { columns, new }
    }

    /// The roles of the columns that are new.
    fn roles(&self) -> BTreeMap<String, Role> {
        self.new.clone()
    }

    fn row(&self, span: &Span) -> Map<String, Value> {
        let input = span.input.as_ref().map(read);
        let messages = input.as_ref().and_then(conversation);
        let values = [
            (Role::Id, json!(format!("{}:{}", span.trace_id, span.span_id))),
            (Role::Input, asked(input.as_ref(), messages).map_or(Value::Null, Value::String)),
            (Role::Messages, messages.map_or(Value::Null, |messages| json!(messages))),
            (Role::Reference, answer_of(span).map_or(Value::Null, Value::String)),
            (Role::Metadata, metadata(span)),
        ];
        let named = values.into_iter().filter_map(|(role, value)| Some((self.columns.get(&role)?.clone(), value)));
        named.collect()
    }
}

/// What a call answered, as a text.
pub fn answer_of(span: &Span) -> Option<String> {
    span.output.as_ref().map(read).and_then(answered)
}

/// What a call was asked, as a text: the last words of the user.
pub fn question_of(span: &Span) -> Option<String> {
    let input = span.input.as_ref().map(read)?;
    asked(Some(&input), conversation(&input))
}

/// JSON as a value; what is none is a text.
fn read(payload: &Payload) -> Value {
    serde_json::from_str(payload.as_str()).unwrap_or_else(|_| Value::from(payload.as_str()))
}

/// The messages of an input.
fn conversation(input: &Value) -> Option<&Vec<Value>> {
    let found = input.as_array().or_else(|| input.get("messages")?.as_array());
    found.filter(|messages| !messages.is_empty() && messages.iter().all(is_message))
}

/// What was asked: the last words of the user, or the input as it is.
fn asked(input: Option<&Value>, messages: Option<&Vec<Value>>) -> Option<String> {
    let of_user = messages.and_then(|messages| messages.iter().rev().find(|message| message["role"] == "user"));
    of_user.or(messages.and_then(|messages| messages.last())).map(said).or_else(|| input.map(plain))
}

/// What was answered.
fn answered(output: Value) -> Option<String> {
    match &output {
        Value::Null => None,
        Value::Array(items) => match items.first() {
            Some(first) if is_message(first) => Some(said(first)),
            Some(Value::String(first)) if items.len() == 1 => Some(first.clone()),
            _ => Some(output.to_string()),
        },
        one if is_message(one) => Some(said(one)),
        other => Some(plain(other)),
    }
}

/// The text of a message; of one that calls tools, or has parts that are no text, its JSON.
fn said(message: &Value) -> String {
    let part = |part: &Value| part["text"].as_str().map(str::to_owned);
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => match parts.iter().map(part).collect::<Option<Vec<_>>>() {
            Some(texts) => texts.concat(),
            None => message["content"].to_string(),
        },
        _ => message.to_string(),
    }
}

fn plain(value: &Value) -> String {
    crate::value::text_of(value)
}

fn metadata(span: &Span) -> Value {
    let told = [
        ("trace_id", json!(span.trace_id)),
        ("span_id", json!(span.span_id)),
        ("kind", json!(span.kind)),
        ("name", json!(span.name)),
        ("start_time", json!(span.start)),
        ("status", json!(span.status)),
        ("latency_ms", json!(span.latency_ms())),
        ("model", json!(span.model.as_ref().or(span.model_requested.as_ref()))),
        ("provider", json!(span.provider)),
        ("user_id", json!(span.user_id)),
        ("session_id", json!(span.session_id)),
        ("environment", json!(span.environment)),
        ("release", json!(span.release)),
        ("prompt", json!(span.prompt_name)),
        ("prompt_version", json!(span.prompt_version)),
        ("input_tokens", json!(span.usage.map(|usage| usage.input_tokens))),
        ("output_tokens", json!(span.usage.map(|usage| usage.output_tokens))),
        ("cost_picodollars", json!(span.cost)),
    ];
    let mut metadata: Map<_, _> =
        told.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect();
    if !span.tags.is_empty() {
        metadata.insert("tags".to_owned(), json!(span.tags));
    }
    Value::Object(metadata)
}
