//! From what was seen of a call to its trace row. Runs beside the hot path.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use qd_base::chat::FinishReason;
use qd_base::{Extra, Usage};
use qd_trace::failure::ERROR_KIND;
use qd_trace::{Payload, PriceTable, Span, SpanKind, Status};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use crate::call::{Call, Endpoint};
use crate::capture::Read;
use crate::exchange::{Attempt, Ending, Exchange, Failure, Seen};
use crate::provider::Told;

/// How many characters a token is taken for when an upstream does not say how many tokens there were.
const CHARS_PER_TOKEN: u64 = 4;

/// The row of a finished call.
pub(crate) fn span(mut exchange: Exchange, prices: &PriceTable) -> Span {
    let asked = Asked::of(&exchange.call);
    let answer = Answered::of(&mut exchange, asked.input_chars);
    let context = exchange.context;
    let mut span = Span::new(
        context.project_name,
        exchange.at,
        kind(exchange.call.endpoint),
        exchange.call.endpoint.operation(),
        exchange.start,
    );
    span.end = exchange.start.saturating_add(exchange.took);
    span.parent_id = context.parent.map(|parent| parent.span_id);
    let failure_kind = match &exchange.ending {
        Ending::Failed(failure) => Some(failure.kind),
        // What an upstream says within its stream is known by its words only.
        Ending::Answered | Ending::Cancelled => None,
    };
    (span.status, span.status_message) = status(exchange.ending, answer.error);
    span.session_id = context.session;
    span.user_id = context.user.or(asked.user);
    span.tags = context.tags;
    span.environment = context.environment;
    span.release = context.release;
    if let Some(prompt) = context.prompt {
        span.prompt_name = Some(prompt.name.to_string());
        span.prompt_version = Some(prompt.number);
    }
    span.parameters = asked.parameters;
    span.input = asked.input;
    span.output = answer.output;
    span.ttft_ms = answer.ttft_ms;
    span.usage = answer.usage;
    if let Some(last) = exchange.attempts.last() {
        span.provider = Some(last.provider.to_string());
        span.cost = answer.usage.and_then(|usage| price(prices, last, answer.model.as_deref(), usage));
        span.model = Some(answer.model.unwrap_or_else(|| last.model.to_string()));
    }
    span.model_requested = Some(exchange.call.model);
    span.attributes = answer.attributes;
    note(&mut span.attributes, "request_id", context.request.to_string());
    if let Some(key) = context.key {
        note(&mut span.attributes, "key_id", key.to_string());
    }
    if let Some(kind) = failure_kind {
        note(&mut span.attributes, ERROR_KIND, kind.as_str());
    }
    note_attempts(&mut span.attributes, &exchange.attempts, exchange.began);
    span
}

fn kind(endpoint: Endpoint) -> SpanKind {
    match endpoint {
        Endpoint::Chat | Endpoint::Completions => SpanKind::Llm,
        Endpoint::Embeddings => SpanKind::Embedding,
    }
}

fn status(ending: Ending, told: Option<String>) -> (Status, Option<String>) {
    match (ending, told) {
        (Ending::Failed(Failure { message, .. }), _) | (Ending::Answered, Some(message)) => {
            (Status::Error, Some(message))
        }
        (Ending::Answered, None) => (Status::Ok, None),
        (Ending::Cancelled, _) => (Status::Cancelled, Some("the client left before the end".to_owned())),
    }
}

/// The price of what was asked for; when that is not in the table, of what the upstream says has answered.
fn price(prices: &PriceTable, asked: &Attempt, answered: Option<&str>, usage: Usage) -> Option<qd_base::Picodollars> {
    let of = |model: &str| prices.cost(asked.provider.as_str(), model, usage);
    of(&asked.model).or_else(|| answered.and_then(of))
}

fn note(attributes: &mut Extra, key: &str, value: impl Into<serde_json::Value>) {
    attributes.insert(key.to_owned(), value.into());
}

/// One attempt that went well needs no words: the row itself says who and how long.
fn note_attempts(attributes: &mut Extra, attempts: &[Attempt], began: std::time::Instant) {
    if attempts.len() < 2 && attempts.iter().all(|attempt| attempt.failure.is_none()) {
        return;
    }
    let same = |pair: &&[Attempt]| pair[0].provider == pair[1].provider && pair[0].model == pair[1].model;
    let retries = attempts.windows(2).filter(same).count();
    note(attributes, "retries", retries);
    note(attributes, "fallbacks", attempts.len().saturating_sub(1) - retries);
    let list: Vec<_> = attempts.iter().map(|attempt| described(attempt, began)).collect();
    note(attributes, "attempts", list);
}

fn described(attempt: &Attempt, began: std::time::Instant) -> serde_json::Value {
    let millis = |duration: std::time::Duration| duration.as_micros() as f64 / 1e3;
    json!({
        "provider": attempt.provider.as_str(),
        "model": &*attempt.model,
        "after_ms": millis(attempt.began - began),
        "took_ms": attempt.took.map(millis),
        "error": attempt.failure.as_ref().map(|failure| &failure.message),
        "kind": attempt.failure.as_ref().map(|failure| failure.kind),
    })
}

/// What the request's body says.
#[derive(Default)]
struct Asked {
    input: Option<Payload>,
    parameters: Option<Payload>,
    user: Option<String>,
    input_chars: u64,
}

impl Asked {
    fn of(call: &Call) -> Self {
        let Ok(fields) = serde_json::from_slice::<Fields>(&call.body) else { return Self::default() };
        let input = fields.input.map(|raw| raw.get());
        Self {
            input: input.and_then(|text| Payload::from_utf8(call.body.slice_ref(text.as_bytes()))),
            input_chars: input.map_or(0, |text| text.len() as u64),
            parameters: (!fields.parameters.is_empty()).then(|| Payload::from(fields.parameters + "}")),
            user: fields.user,
        }
    }
}

/// A request's fields: the input as it came, and everything that is neither input nor routing as one JSON object without its
/// closing brace.
#[derive(Default)]
struct Fields<'a> {
    input: Option<&'a RawValue>,
    user: Option<String>,
    parameters: String,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "messages" | "prompt" | "input" => fields.input = Some(map.next_value()?),
                "model" | "stream" | "stream_options" => drop(map.next_value::<IgnoredAny>()?),
                "user" => fields.user = map.next_value::<serde_json::Value>()?.as_str().map(str::to_owned),
                _ => fields.keep(&key, map.next_value::<&RawValue>()?),
            }
        }
        Ok(fields)
    }
}

impl Fields<'_> {
    fn keep(&mut self, key: &str, value: &RawValue) {
        self.parameters.push(if self.parameters.is_empty() { '{' } else { ',' });
        self.parameters.push_str(&json!(key).to_string());
        self.parameters.push(':');
        self.parameters.push_str(value.get());
    }
}

/// What the answer says.
#[derive(Default)]
struct Answered {
    output: Option<Payload>,
    usage: Option<Usage>,
    model: Option<String>,
    ttft_ms: Option<f64>,
    error: Option<String>,
    attributes: Extra,
}

impl Answered {
    fn of(exchange: &mut Exchange, input_chars: u64) -> Self {
        let endpoint = exchange.call.endpoint;
        let mut answered = match std::mem::replace(&mut exchange.seen, Seen::Nothing) {
            Seen::Nothing => Self::default(),
            Seen::Whole(body) => Self::of_body(endpoint, &body),
            Seen::Events(capture) => Self::of_events(endpoint, capture.into_read(), exchange.began),
        };
        if let Some(Told { timings, version }) = &exchange.told {
            if let Some(timings) = timings {
                answered.ttft_ms.get_or_insert(timings.ttft_ms);
                answered.usage.get_or_insert(timings.usage());
                note(&mut answered.attributes, "queue_ms", timings.queue_ms);
                note(&mut answered.attributes, "tpot_ms", timings.tpot_ms);
            }
            note(&mut answered.attributes, "model_version", *version);
        }
        answered.estimate(endpoint, input_chars);
        answered
    }

    fn of_body(endpoint: Endpoint, body: &Bytes) -> Self {
        let Ok(whole) = serde_json::from_slice::<WholeBody>(body) else { return Self::default() };
        let mut answered = Self { usage: whole.usage, model: whole.model.map(Cow::into_owned), ..Self::default() };
        match endpoint {
            Endpoint::Embeddings => note(&mut answered.attributes, "vectors", whole.data.len()),
            Endpoint::Chat | Endpoint::Completions => {
                let said: Vec<&str> = whole
                    .choices
                    .iter()
                    .filter_map(|choice| choice.message.or(choice.text))
                    .map(RawValue::get)
                    .collect();
                answered.output = Some(Payload::from(format!("[{}]", said.join(","))));
                answered.note_reasons(whole.choices.iter().filter_map(|choice| choice.finish_reason.as_deref()));
            }
        }
        answered
    }

    fn of_events(endpoint: Endpoint, read: Read, began: std::time::Instant) -> Self {
        let mut answered = Self {
            usage: read.usage,
            ttft_ms: read.first_token.map(|at| (at - began).as_secs_f64() * 1e3),
            model: read.model,
            error: read.error,
            ..Self::default()
        };
        answered.note_reasons(read.finish_reasons.values().map(FinishReason::as_str));
        note(&mut answered.attributes, "stream", true);
        if read.cut {
            note(&mut answered.attributes, "output_cut", true);
        }
        answered.output = Some(match endpoint {
            Endpoint::Chat => {
                Payload::of(&read.chat.finish().choices.into_iter().map(|choice| choice.message).collect::<Vec<_>>())
            }
            Endpoint::Completions | Endpoint::Embeddings => Payload::of(&read.texts.values().collect::<Vec<_>>()),
        });
        answered
    }

    fn note_reasons<'a>(&mut self, reasons: impl Iterator<Item = &'a str>) {
        let reasons: Vec<&str> = reasons.collect();
        if !reasons.is_empty() {
            note(&mut self.attributes, "finish_reasons", reasons);
        }
    }

    /// An upstream that gives no usage must not make its calls look free.
    fn estimate(&mut self, endpoint: Endpoint, input_chars: u64) {
        let answered = self.output.is_some() || endpoint == Endpoint::Embeddings && !self.attributes.is_empty();
        if self.usage.is_some() || !answered {
            return;
        }
        let output_chars = self.output.as_ref().map_or(0, |output| output.len() as u64);
        self.usage = Some(Usage {
            input_tokens: input_chars.div_ceil(CHARS_PER_TOKEN),
            output_tokens: output_chars.div_ceil(CHARS_PER_TOKEN),
            ..Usage::default()
        });
        note(&mut self.attributes, "usage_estimated", true);
    }
}

/// A whole answer, as far as the row needs it.
#[derive(Deserialize)]
struct WholeBody<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Vec<WholeChoice<'a>>,
    #[serde(default)]
    data: Vec<IgnoredAny>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}
