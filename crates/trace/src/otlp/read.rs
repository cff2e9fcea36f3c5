//! One span of OTLP as a span of ours.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use qd_base::{Extra, ProjectName, SpanId, Timestamp, TraceId};
use serde_json::{Value, json};

use crate::otlp::dialect;
use crate::otlp::draft::Draft;
use crate::otlp::said::Said;
use crate::otlp::value::{self, object};
use crate::{Payload, PriceTable, Span, SpanKind, Status, TraceContext};

/// Bytes of a span's name, and of the words about its failure, at most.
const NAME_BYTES: usize = 4 << 10;
const MESSAGE_BYTES: usize = 64 << 10;
/// No span of an application that calls models is older: 1 January 2000.
const OLDEST: Timestamp = Timestamp::from_secs(946_684_800);
/// Clocks may be wrong; what begins later than this from now on never happened.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Why a span is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TraceId,
    SpanId,
}

impl Refused {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TraceId => "its trace_id is not 16 bytes of which one is not zero",
            Self::SpanId => "its span_id is not 8 bytes of which one is not zero",
        }
    }
}

/// What the spans of one scope have in common.
pub(crate) struct Origin {
    resource: Extra,
    scope: Option<Value>,
}

impl Origin {
    pub fn of(resource: Option<Resource>) -> Self {
        Self { resource: object(resource.map(|resource| resource.attributes).unwrap_or_default()), scope: None }
    }

    /// The same for the spans of a scope.
    pub fn within(&mut self, scope: Option<InstrumentationScope>) {
        self.scope = scope.filter(|scope| !scope.name.is_empty()).map(scope_json);
    }

    pub fn resource(&self) -> &Extra {
        &self.resource
    }

    /// Notes where something came from among its attributes.
    pub fn note(&self, attributes: &mut Extra) {
        if !self.resource.is_empty() {
            attributes.insert("otel.resource".to_owned(), Value::Object(self.resource.clone()));
        }
        if let Some(scope) = &self.scope {
            attributes.insert("otel.scope".to_owned(), scope.clone());
        }
    }
}

fn scope_json(scope: InstrumentationScope) -> Value {
    let mut fields = Extra::from_iter([("name".to_owned(), scope.name.into())]);
    if !scope.version.is_empty() {
        fields.insert("version".to_owned(), scope.version.into());
    }
    if !scope.attributes.is_empty() {
        fields.insert("attributes".to_owned(), Value::Object(object(scope.attributes)));
    }
    Value::Object(fields)
}

/// Reads spans of one project at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub project: &'a ProjectName,
    pub prices: &'a PriceTable,
    pub now: Timestamp,
}

impl Reader<'_> {
    /// The span that `told` is.
    pub fn span(&self, told: otlp::Span, origin: &Origin) -> Result<Span, Refused> {
        let at = TraceContext {
            trace_id: trace_id(&told.trace_id).ok_or(Refused::TraceId)?,
            span_id: span_id(&told.span_id).ok_or(Refused::SpanId)?,
            flags: TraceContext::SAMPLED,
        };
        let otlp::Span { attributes, events, links, status, .. } = told;
        let mut draft = Draft::of(object(attributes));
        draft.take_resource(&origin.resource);
        let times = Times::of(told.start_time_unix_nano, told.end_time_unix_nano, self.now);
        let events = Events::of(events, &mut draft, times.start);
        let mut span = Span::new(self.project.clone(), at, kind(&draft), cut(told.name, NAME_BYTES), times.start);
        span.end = times.end;
        // A parent of zeros is none; so is one of another length, which nothing can have.
        span.parent_id = span_id(&told.parent_span_id);
        (span.status, span.status_message) = outcome(status, &mut draft, events.exception);
        self.fill(&mut span, draft);
        note_rest(&mut span.attributes, told.kind, told.trace_state, links, events.kept);
        times.note(&mut span.attributes);
        origin.note(&mut span.attributes);
        Ok(span)
    }

    /// Tells a span whose identity, times and outcome are known what its attributes tell.
    pub fn fill(&self, span: &mut Span, mut draft: Draft) {
        span.ttft_ms = draft.first_ms.or_else(|| {
            draft
                .first_time
                .filter(|first| *first >= span.start)
                .map(|first| first.since(span.start).as_secs_f64() * 1e3)
        });
        span.parameters = draft.parameters();
        span.session_id = draft.session;
        span.user_id = draft.user;
        span.tags = draft.tags;
        span.environment = draft.environment;
        span.release = draft.release;
        span.provider = draft.provider;
        span.model_requested = draft.model_requested;
        span.model = draft.model;
        span.prompt_name = draft.prompt_name;
        span.prompt_version = draft.prompt_version;
        span.input = draft.input.filter(|value| !value.is_null()).map(|value| Payload::of(&value));
        span.output = draft.output.filter(|value| !value.is_null()).map(|value| Payload::of(&value));
        span.attributes = draft.rest;
        match counts(span.kind) {
            true => {
                span.usage = draft.tokens.usage();
                span.cost = draft.cost.or_else(|| price(self.prices, span));
            }
            // What is around calls repeats what these said; in the columns it would be counted twice.
            false => note_usage(&mut span.attributes, draft.tokens.usage(), draft.cost),
        }
    }
}

/// What a span's tokens cost by our prices: of the model that answered, or else of the one asked for; at its provider, or,
/// where none is told, at the one whose model it is.
pub(crate) fn price(prices: &PriceTable, span: &Span) -> Option<qd_base::Picodollars> {
    let usage = span.usage?;
    let models = [&span.model, &span.model_requested].into_iter().flatten();
    models
        .filter_map(|model| {
            // Routers name the maker before the model.
            let bare = model.rsplit('/').next().unwrap_or(model);
            let provider = span.provider.as_deref().map(dialect::priced_as).or_else(|| dialect::maker(bare))?;
            prices.cost(provider, model, usage).or_else(|| prices.cost(provider, bare, usage))
        })
        .next()
}

/// Whether the tokens of such a span are its own, and not those of spans within.
fn counts(kind: SpanKind) -> bool {
    match kind {
        SpanKind::Llm | SpanKind::Embedding | SpanKind::Reranker | SpanKind::Evaluator | SpanKind::Guardrail => true,
        SpanKind::Retriever
        | SpanKind::Tool
        | SpanKind::Chain
        | SpanKind::Agent
        | SpanKind::Prompt
        | SpanKind::Rollout => false,
    }
}

fn note_usage(attributes: &mut Extra, usage: Option<qd_base::Usage>, cost: Option<qd_base::Picodollars>) {
    if let Some(usage) = usage {
        attributes.insert("usage_within".to_owned(), json!(usage));
    }
    if let Some(cost) = cost {
        attributes.insert("cost_picodollars_within".to_owned(), cost.get().into());
    }
}

/// What kind of work it was. Where no word says so, what names a model or counts tokens has called one.
pub(crate) fn kind(draft: &Draft) -> SpanKind {
    let called = draft.model.is_some() || draft.model_requested.is_some() || draft.tokens.usage().is_some();
    draft.kind.unwrap_or(if called { SpanKind::Llm } else { SpanKind::Chain })
}

pub(crate) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    TraceId::from_bytes(bytes.try_into().ok()?)
}

pub(crate) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    SpanId::from_bytes(bytes.try_into().ok()?)
}

/// When a span began and ended, and what was told where that cannot be.
struct Times {
    start: Timestamp,
    end: Timestamp,
    told_start: Option<u64>,
    told_end: Option<u64>,
}

impl Times {
    /// A time that cannot be is replaced by the other one, or by that of arrival: a span in 1970 or 2262 would be found by
    /// nobody. A span that ends before it begins takes no time.
    fn of(start: u64, end: u64, now: Timestamp) -> Self {
        let (begun, ended) = (sane(start, now), sane(end, now));
        let first = begun.or(ended).unwrap_or(now);
        let last = ended.unwrap_or(first).max(first);
        let odd = |told: u64, is: Timestamp| (i64::try_from(told) != Ok(is.as_nanos())).then_some(told);
        Self { start: first, end: last, told_start: odd(start, first), told_end: odd(end, last) }
    }

    fn note(&self, attributes: &mut Extra) {
        for (name, told) in [("otel.start_time_unix_nano", self.told_start), ("otel.end_time_unix_nano", self.told_end)]
        {
            if let Some(told) = told {
                attributes.insert(name.to_owned(), told.into());
            }
        }
    }
}

/// A time at which something may have happened.
pub(crate) fn sane(nanos: u64, now: Timestamp) -> Option<Timestamp> {
    let time = Timestamp::from_nanos(i64::try_from(nanos).ok()?);
    (OLDEST <= time && time <= now.saturating_add(AHEAD)).then_some(time)
}

/// What the events of a span tell.
#[derive(Default)]
struct Events {
    kept: Vec<Value>,
    exception: Option<String>,
}

impl Events {
    /// Reads events; those that are messages of a chat become its input and output where attributes tell none.
    fn of(events: Vec<otlp::span::Event>, draft: &mut Draft, start: Timestamp) -> Self {
        let (mut read, mut said) = (Self::default(), Said::default());
        for event in events {
            let time = event.time_unix_nano;
            if is_first_token(&event.name) && draft.first_ms.is_none() && draft.first_time.is_none() {
                draft.first_time = i64::try_from(time).ok().map(Timestamp::from_nanos).filter(|first| *first >= start);
            }
            let attributes = object(event.attributes);
            if event.name == "exception" {
                read.exception = exception(&attributes).or(read.exception);
            }
            let whole = json!({"name": event.name, "time_unix_nano": time, "attributes": attributes});
            if !said.hear(&event.name, attributes, &whole) {
                read.kept.push(whole);
            }
        }
        let unheard = said.tell(draft);
        read.kept.extend(unheard);
        read
    }
}

/// OpenInference's instrumentations mark the first token so; Vercel's SDK has an event of its own beside its attribute, and
/// Traceloop's mark every piece of an answer, by an older and a newer name.
fn is_first_token(name: &str) -> bool {
    matches!(
        name,
        "First Token Stream Event"
            | "ai.stream.firstChunk"
            | "llm.content.completion.chunk"
            | "gen_ai.content.completion.chunk"
    )
}

fn exception(attributes: &Extra) -> Option<String> {
    let of = |key: &str| attributes.get(key).and_then(value::text);
    match (of("exception.type"), of("exception.message")) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (kind, message) => message.or(kind),
    }
}

fn outcome(status: Option<otlp::Status>, draft: &mut Draft, exception: Option<String>) -> (Status, Option<String>) {
    let told = status.unwrap_or_default();
    let failed = draft.failed || told.code == otlp::status::StatusCode::Error as i32;
    let message = Some(told.message).filter(|message| !message.is_empty()).or(draft.status_message.take());
    let message = if failed { message.or(exception) } else { message };
    let status = if failed { Status::Error } else { Status::Ok };
    (status, message.map(|message| cut(message, MESSAGE_BYTES)))
}

/// What has no column and no attribute of its own.
fn note_rest(attributes: &mut Extra, kind: i32, state: String, links: Vec<otlp::span::Link>, events: Vec<Value>) {
    let kind = match kind {
        2 => Some("server"),
        3 => Some("client"),
        4 => Some("producer"),
        5 => Some("consumer"),
        // Internal, which most are, or not told.
        _ => None,
    };
    if let Some(kind) = kind {
        attributes.insert("otel.kind".to_owned(), kind.into());
    }
    if !state.is_empty() {
        attributes.insert("otel.trace_state".to_owned(), state.into());
    }
    if !links.is_empty() {
        attributes.insert("otel.links".to_owned(), links.into_iter().map(link).collect());
    }
    if !events.is_empty() {
        attributes.insert("otel.events".to_owned(), Value::Array(events));
    }
}

fn link(link: otlp::span::Link) -> Value {
    let attributes: Vec<KeyValue> = link.attributes;
    json!({
        "trace_id": trace_id(&link.trace_id).map(|id| id.to_string()),
        "span_id": span_id(&link.span_id).map(|id| id.to_string()),
        "attributes": object(attributes),
    })
}

/// The beginning of a text, up to a character boundary.
fn cut(mut text: String, most_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(most_bytes));
    text
}
