//! What attributes of Langfuse's and OpenInference's tell of a span. What tells nothing that has a field is kept.
//!
//! Sources, as they stood in November 2026:
//! <https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md> and
//! <https://langfuse.com/integrations/native/opentelemetry#property-mapping>.

use qd_base::{Extra, Picodollars, Usage};
use serde_json::{Map, Value};

use super::{Told, is_nothing, text, time, unfold};
use crate::otlp::price;
use crate::{Payload, PriceTable, Span, SpanKind, Status, TraceContext};

/// Lists whose parts have attributes of their own.
const MESSAGES: [&str; 2] = ["llm.input_messages", "llm.output_messages"];
/// Items of a list beyond this place are no list but a mistake.
const MOST_ITEMS: usize = 100_000;

/// The span that is told.
pub(super) fn span(project: &qd_base::ProjectName, prices: &PriceTable, told: Told) -> Span {
    let mut attributes = Attributes(told.attributes);
    let at = TraceContext { trace_id: told.trace_id, span_id: told.span_id, flags: TraceContext::SAMPLED };
    let mut span = Span::new(project.clone(), at, SpanKind::Chain, told.name, told.start);
    (span.parent_id, span.end) = (told.parent_id, told.end.max(told.start));
    attributes.tell_caller(&mut span);
    attributes.tell_model(&mut span);
    attributes.tell_outcome(&mut span);
    attributes.tell_payloads(&mut span);
    span.kind = attributes.kind().unwrap_or(match span.model.is_some() || span.usage.is_some() {
        true => SpanKind::Llm,
        false => SpanKind::Chain,
    });
    if let Some(status) = told.status {
        span.status = status;
    }
    span.status_message = told.status_message.or(span.status_message);
    span.cost = span.cost.or_else(|| price(prices, &span));
    span.attributes = attributes.0;
    span
}

struct Attributes(Extra);

impl Attributes {
    fn take(&mut self, names: &[&str]) -> Option<Value> {
        let found = names.iter().find(|name| self.0.get(**name).is_some_and(|value| !is_nothing(value)))?;
        self.0.remove(*found)
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        self.take(names).as_ref().and_then(text)
    }

    fn count(&mut self, names: &[&str]) -> Option<u64> {
        self.take(names).as_ref().and_then(count)
    }

    fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(&[name]).map(unfold) {
            Some(Value::Object(fields)) => Some(fields),
            Some(other) => {
                self.0.insert(name.to_owned(), other);
                None
            }
            None => None,
        }
    }

    fn tell_caller(&mut self, span: &mut Span) {
        span.session_id = self.text(&["session.id", "langfuse.session.id"]);
        span.user_id = self.text(&["user.id", "langfuse.user.id"]);
        span.environment = self.text(&["langfuse.environment", "deployment.environment.name"]);
        span.release = self.text(&["langfuse.release"]);
        span.prompt_name = self.text(&["langfuse.observation.prompt.name"]);
        let version = self.count(&["langfuse.observation.prompt.version"]);
        span.prompt_version = version.and_then(|version| u32::try_from(version).ok());
        span.tags = match self.take(&["langfuse.trace.tags", "tag.tags"]).map(unfold) {
            Some(Value::Array(tags)) => tags.iter().filter_map(text).collect(),
            Some(Value::String(tags)) => {
                tags.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
            }
            _ => Vec::new(),
        };
    }

    fn kind(&mut self) -> Option<SpanKind> {
        let word = self.text(&["openinference.span.kind", "langfuse.observation.type"])?.to_ascii_lowercase();
        match word.as_str() {
            "generation" => Some(SpanKind::Llm),
            "span" | "event" | "unknown" => None,
            word => word.parse().ok(),
        }
    }

    fn tell_model(&mut self, span: &mut Span) {
        span.provider = self.text(&["llm.provider", "llm.system"]).map(|provider| provider.to_ascii_lowercase());
        span.model = self.text(&["llm.model_name", "langfuse.observation.model.name"]);
        for name in ["llm.invocation_parameters", "langfuse.observation.model.parameters"] {
            if let Some(parameters) = self.object(name) {
                span.parameters = Some(Payload::of(&parameters));
            }
        }
        span.usage = self
            .counted()
            .or_else(|| self.object("langfuse.observation.usage_details").and_then(|told| disjoint(&told)));
        let costs = self.object("langfuse.observation.cost_details");
        let total = costs.and_then(|costs| costs.get("total").and_then(number));
        let total = self.take(&["llm.cost.total"]).as_ref().and_then(number).or(total);
        span.cost = total.and_then(dollars);
    }

    /// Counts of OpenInference, which include each other.
    fn counted(&mut self) -> Option<Usage> {
        let input = self.count(&["llm.token_count.prompt"]);
        let output = self.count(&["llm.token_count.completion"]);
        let cached = self.count(&["llm.token_count.prompt_details.cache_read"]);
        let reasoning = self.count(&["llm.token_count.completion_details.reasoning"]);
        (input.is_some() || output.is_some()).then(|| Usage {
            input_tokens: input.unwrap_or(0),
            output_tokens: output.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0),
            reasoning_tokens: reasoning.unwrap_or(0),
        })
    }

    fn tell_outcome(&mut self, span: &mut Span) {
        if self.text(&["langfuse.observation.level"]).is_some_and(|level| level.eq_ignore_ascii_case("error")) {
            span.status = Status::Error;
        }
        span.status_message = self.text(&["langfuse.observation.status_message"]);
        let first = self.take(&["langfuse.observation.completion_start_time"]).as_ref().and_then(time);
        span.ttft_ms =
            first.filter(|first| *first >= span.start).map(|first| first.since(span.start).as_secs_f64() * 1e3);
    }

    fn tell_payloads(&mut self, span: &mut Span) {
        let [input, output] = MESSAGES.map(|list| self.messages(list));
        let mut other = |names: &[&str]| self.take(names).map(unfold);
        let input = input.or_else(|| other(&["langfuse.observation.input", "input.value"]));
        let output = output.or_else(|| other(&["langfuse.observation.output", "output.value"]));
        span.input = input.map(|value| Payload::of(&value));
        span.output = output.map(|value| Payload::of(&value));
    }

    /// A list of messages, put together from the attributes of its parts.
    fn messages(&mut self, list: &str) -> Option<Value> {
        let prefix = format!("{list}.");
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        let mut whole = Value::Array(Vec::new());
        for name in names {
            let value = self.0.remove(&name)?;
            if let Err(value) = put(&mut whole, &name[prefix.len()..], value) {
                self.0.insert(name, value);
            }
        }
        let told = whole.as_array().is_some_and(|items| !items.is_empty());
        told.then(|| unwrapped(whole))
    }
}

/// Puts a value at a path of names and places; gives it back when there is something else.
fn put(whole: &mut Value, path: &str, value: Value) -> Result<(), Value> {
    let Some((step, rest)) = path.split_once('.').map(|(step, rest)| (step, Some(rest))).or(Some((path, None))) else {
        return Err(value);
    };
    if whole.is_null() {
        *whole = if step.parse::<usize>().is_ok() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    let place = match whole {
        Value::Array(items) => {
            let Some(at) = step.parse::<usize>().ok().filter(|at| *at < MOST_ITEMS) else { return Err(value) };
            if items.len() <= at {
                items.resize(at + 1, Value::Null);
            }
            &mut items[at]
        }
        Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
        _ => return Err(value),
    };
    match rest {
        Some(rest) => put(place, rest, value),
        None if place.is_null() => {
            *place = value;
            Ok(())
        }
        None => Err(value),
    }
}

/// The same without the objects that only say what is in them: `{"message": {…}}` is the message.
fn unwrapped(value: Value) -> Value {
    const ONLY_NAMES: [&str; 3] = ["message", "tool_call", "message_content"];
    match value {
        Value::Array(items) => items.into_iter().map(unwrapped).collect(),
        Value::Object(fields) if fields.len() == 1 && ONLY_NAMES.iter().any(|name| fields.contains_key(*name)) => {
            fields.into_iter().next().map_or(Value::Null, |(_, inner)| unwrapped(inner))
        }
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, unwrapped(value))).collect(),
        other => other,
    }
}

/// Counts of Langfuse, of which none includes another: all that speak of the input add up to it, and so for the output.
fn disjoint(told: &Map<String, Value>) -> Option<Usage> {
    let of = |name: &str| told.get(name).and_then(count);
    if of("prompt_tokens").is_some() || of("completion_tokens").is_some() {
        let detail = |object: &str, name: &str| told.get(object).and_then(|inner| inner.get(name)).and_then(count);
        return Some(Usage {
            input_tokens: of("prompt_tokens").unwrap_or(0),
            output_tokens: of("completion_tokens").unwrap_or(0),
            cached_tokens: detail("prompt_tokens_details", "cached_tokens").unwrap_or(0),
            reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens").unwrap_or(0),
        });
    }
    let mut usage = None::<Usage>;
    for (name, value) in told.iter().filter(|(name, _)| !name.starts_with("total")) {
        let Some(more) = count(value) else { continue };
        let usage = usage.get_or_insert_default();
        let is_output = name.contains("output") || name.contains("completion");
        let sum = if is_output { &mut usage.output_tokens } else { &mut usage.input_tokens };
        *sum = sum.saturating_add(more);
        if name.contains("reasoning") {
            usage.reasoning_tokens = usage.reasoning_tokens.saturating_add(more);
        } else if name.contains("cache") && !name.contains("creation") && !name.contains("write") {
            usage.cached_tokens = usage.cached_tokens.saturating_add(more);
        }
    }
    usage
}

/// A whole number, however it is written: data frames make `7.0` of 7.
fn count(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| number(value).filter(|number| *number >= 0.0 && number.fract() == 0.0).map(|number| number as u64))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

/// US dollars as picodollars; what no call costs is no cost.
fn dollars(dollars: f64) -> Option<Picodollars> {
    const MOST: f64 = 1e6;
    (0.0..=MOST).contains(&dollars).then(|| Picodollars::new((dollars * 1e12).round() as i64))
}
