//! What the attributes of one span come to: the fields that they tell, and the rest.

use qd_base::{Extra, Picodollars, Timestamp, Usage};
use serde_json::{Map, Value};

use crate::otlp::dialect::{self, FAMILIES, Field};
use crate::otlp::messages::{self, Side, Tree};
use crate::otlp::value::{self, count, number, text, unfold};
use crate::{Payload, SpanKind};

/// Rows before all others of their field: those that hold whole messages.
const BEFORE_FAMILIES: [&str; 2] = ["gen_ai.input.messages", "gen_ai.output.messages"];
/// Bytes of a short text at most; a longer one is kept whole among the attributes.
const SHORT_BYTES: usize = 4 << 10;

/// Where what an answer held beside its messages is kept: its identifier, its usage and the like.
const BESIDE_OUTPUT: &str = "output_fields";

/// The fields of a span that attributes tell.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub kind: Option<SpanKind>,
    pub provider: Option<String>,
    pub model_requested: Option<String>,
    pub model: Option<String>,
    pub session: Option<String>,
    pub user: Option<String>,
    pub tags: Vec<String>,
    pub environment: Option<String>,
    pub release: Option<String>,
    pub prompt_name: Option<String>,
    pub prompt_version: Option<u32>,
    pub failed: bool,
    pub status_message: Option<String>,
    pub tokens: Tokens,
    pub cost: Option<Picodollars>,
    pub first_ms: Option<f64>,
    pub first_time: Option<Timestamp>,
    pub parameters: Map<String, Value>,
    pub system: Option<Value>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    input_is_text: bool,
    output_is_text: bool,
    answer_text: Option<Value>,
    answer_calls: Option<Value>,
    /// What is no field, by its own name.
    pub rest: Extra,
}

/// Token counts as they were told.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Tokens {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub total: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Tokens {
    /// The usage as this house counts: tokens of a cache are part of the input. Some dialects count them apart (as
    /// Anthropic's own API does), which shows in that there are more of them than of the input, or in the total.
    pub fn usage(self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.total.is_none() {
            return None;
        }
        let output = self.output.unwrap_or(0);
        let input = self.input.unwrap_or_else(|| self.total.unwrap_or(0).saturating_sub(output));
        let (read, write) = (self.cache_read.unwrap_or(0), self.cache_write.unwrap_or(0));
        let cached = read.saturating_add(write);
        let apart = input.saturating_add(output).saturating_add(cached);
        let is_apart = cached > input || (cached > 0 && self.total == Some(apart));
        Some(Usage {
            input_tokens: if is_apart { input.saturating_add(cached) } else { input },
            output_tokens: output,
            cached_tokens: read,
            reasoning_tokens: self.reasoning.unwrap_or(0),
        })
    }

    fn fill(&mut self, other: Self) {
        let fill = |one: &mut Option<u64>, other: Option<u64>| *one = one.or(other);
        fill(&mut self.input, other.input);
        fill(&mut self.output, other.output);
        fill(&mut self.total, other.total);
        fill(&mut self.cache_read, other.cache_read);
        fill(&mut self.cache_write, other.cache_write);
        fill(&mut self.reasoning, other.reasoning);
    }

    /// Counts that include each other, under the names of OpenAI, Anthropic and MLflow.
    fn of_object(fields: &Map<String, Value>) -> Self {
        let of = |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key).and_then(count));
        Self {
            input: of(&["input_tokens", "prompt_tokens", "input"]),
            output: of(&["output_tokens", "completion_tokens", "output"]),
            total: of(&["total_tokens", "total"]),
            cache_read: of(&["cache_read_input_tokens", "cached_tokens"]),
            cache_write: of(&["cache_creation_input_tokens"]),
            reasoning: of(&["reasoning_tokens"]),
        }
    }

    /// Counts of which none includes another: all that speak of the input add up to it, and so for the output. Langfuse's
    /// own names and OpenAI's details (`input_cached_tokens`, `cache_read_input_tokens`, `output_reasoning_tokens`).
    fn of_disjoint(fields: &Map<String, Value>) -> Self {
        // The form that OpenAI's API has is taken as such by Langfuse too.
        if fields.contains_key("prompt_tokens") || fields.contains_key("completion_tokens") {
            return Self::of_openai(fields);
        }
        let mut tokens = Self::default();
        let add = |sum: &mut Option<u64>, more: u64| *sum = Some(sum.unwrap_or(0).saturating_add(more));
        for (key, value) in fields {
            let Some(count) = count(value) else { continue };
            if key == "total" || key == "total_tokens" {
                tokens.total = Some(count);
                continue;
            }
            let is_output = key.contains("output") || key.contains("completion");
            add(if is_output { &mut tokens.output } else { &mut tokens.input }, count);
            match key.as_str() {
                _ if key.contains("reasoning") => add(&mut tokens.reasoning, count),
                _ if key.contains("creation") || key.contains("write") => {}
                _ if key.contains("cache") => add(&mut tokens.cache_read, count),
                _ => {}
            }
        }
        tokens.total = None;
        tokens
    }

    fn of_openai(fields: &Map<String, Value>) -> Self {
        let detail = |object: &str, key: &str| fields.get(object).and_then(|inner| inner.get(key)).and_then(count);
        Self {
            cache_read: detail("prompt_tokens_details", "cached_tokens"),
            reasoning: detail("completion_tokens_details", "reasoning_tokens"),
            ..Self::of_object(fields)
        }
    }
}

/// An attribute that is in the table, or the parts of a family.
struct Told {
    rank: usize,
    field: Field,
    key: String,
    value: Value,
}

impl Draft {
    /// Reads the attributes of a span.
    pub fn of(attributes: Extra) -> Self {
        let mut draft = Self::default();
        let mut told: Vec<Told> = Vec::new();
        let mut trees: Vec<(usize, Tree)> = Vec::new();
        for (key, value) in attributes {
            if let Some((rank, field)) = dialect::find(&key) {
                told.push(Told { rank: rank_of(rank, &key), field, key, value });
            } else if let Some((place, path)) = dialect::find_family(&key) {
                if let Err(value) = tree(&mut trees, place).insert(path, value) {
                    draft.rest.insert(key, value);
                }
            } else {
                draft.rest.insert(key, value);
            }
        }
        told.sort_by_key(|told| told.rank);
        let (first, others): (Vec<Told>, Vec<Told>) = told.into_iter().partition(|told| told.rank < FAMILIES.len());
        draft.take_all(first);
        trees.into_iter().for_each(|(place, tree)| draft.take_family(place, tree));
        draft.take_all(others);
        draft.settle();
        draft
    }

    /// Adds what the resource tells and the span does not.
    pub fn take_resource(&mut self, resource: &Extra) {
        for (key, value) in resource {
            if let Some((_, field)) = dialect::find(key)
                && matches!(field, Field::Session | Field::User | Field::Environment | Field::Release | Field::Tags)
            {
                self.take(field, &mut value.clone());
            }
        }
    }

    fn take_all(&mut self, told: Vec<Told>) {
        for Told { field, key, mut value, .. } in told {
            if !self.take(field, &mut value) {
                self.rest.insert(key, value);
            }
        }
    }

    fn take_family(&mut self, place: usize, tree: Tree) {
        let family = FAMILIES[place];
        let side = if family.field == Field::Output { Side::Output } else { Side::Input };
        let mut value = messages::of_family(tree, side);
        if !self.take(family.field, &mut value) {
            self.rest.insert(family.prefix.trim_end_matches('.').to_owned(), value);
        }
    }

    /// Takes what an attribute tells; false when the field is told already or this cannot be it, and then the value is left
    /// as it was.
    fn take(&mut self, field: Field, value: &mut Value) -> bool {
        match field {
            Field::Kind => fill(&mut self.kind, text(value).and_then(|word| dialect::kind(&word))),
            Field::Provider => fill(&mut self.provider, short(value).map(|told| dialect::provider(&told))),
            Field::ModelRequested => fill(&mut self.model_requested, short(value)),
            Field::Model => fill(&mut self.model, short(value)),
            Field::Session => fill(&mut self.session, short(value)),
            Field::User => fill(&mut self.user, short(value)),
            Field::Environment => fill(&mut self.environment, short(value)),
            Field::Release => fill(&mut self.release, short(value)),
            Field::PromptName => fill(&mut self.prompt_name, short(value)),
            Field::PromptVersion => {
                fill(&mut self.prompt_version, count(value).and_then(|count| u32::try_from(count).ok()))
            }
            Field::StatusMessage => fill(&mut self.status_message, short(value)),
            Field::Tags => self.take_tags(value),
            Field::Level => {
                self.failed |= text(value).is_some_and(|level| level.eq_ignore_ascii_case("error"));
                self.failed
            }
            Field::InputTokens => fill(&mut self.tokens.input, count(value)),
            Field::OutputTokens => fill(&mut self.tokens.output, count(value)),
            Field::TotalTokens => fill(&mut self.tokens.total, count(value)),
            Field::CacheRead => fill(&mut self.tokens.cache_read, count(value)),
            Field::CacheWrite => {
                // No column has it, so it stays an attribute too.
                fill(&mut self.tokens.cache_write, count(value));
                false
            }
            Field::Reasoning => fill(&mut self.tokens.reasoning, count(value)),
            Field::Usage => self.take_usage(value, Tokens::of_object),
            Field::DisjointUsage => self.take_usage(value, Tokens::of_disjoint),
            Field::Cost => fill(&mut self.cost, number(value).and_then(dollars)),
            Field::CostDetails => self.take_cost_details(value),
            Field::FirstSeconds => fill(&mut self.first_ms, number(value).map(|seconds| seconds * 1e3)),
            Field::FirstMillis => fill(&mut self.first_ms, number(value)),
            Field::FirstTime => fill(&mut self.first_time, text(value).and_then(|time| time.parse().ok())),
            Field::Parameter(name) => self.take_parameter(name, value),
            Field::Parameters => self.take_parameters(value),
            Field::System => keep(&mut self.system, value),
            Field::Input => keep(&mut self.input, value),
            Field::Output => keep(&mut self.output, value),
            Field::InputMime => mime(&mut self.input_is_text, value),
            Field::OutputMime => mime(&mut self.output_is_text, value),
            Field::AnswerText => keep(&mut self.answer_text, value),
            Field::AnswerCalls => keep(&mut self.answer_calls, value),
        }
    }

    fn take_tags(&mut self, value: &Value) -> bool {
        let tags: Vec<String> = match unfold(value.clone()) {
            Value::Array(list) => list.iter().filter_map(text).collect(),
            Value::String(list) => {
                list.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
            }
            _ => Vec::new(),
        };
        let fits = self.tags.is_empty() && !tags.is_empty() && tags.iter().all(|tag| tag.len() <= SHORT_BYTES);
        if fits {
            self.tags = tags;
        }
        fits
    }

    fn take_usage(&mut self, value: &Value, read: fn(&Map<String, Value>) -> Tokens) -> bool {
        let Value::Object(fields) = unfold(value.clone()) else { return false };
        let tokens = read(&fields);
        let before = self.tokens;
        self.tokens.fill(tokens);
        // What else the object counts would be lost with it.
        before == Tokens::default() && fields.len() <= 3
    }

    fn take_cost_details(&mut self, value: &Value) -> bool {
        let Value::Object(fields) = unfold(value.clone()) else { return false };
        let of = |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key).and_then(number));
        let parts = || fields.values().map(number).sum::<Option<f64>>().filter(|_| !fields.is_empty());
        fill(&mut self.cost, of(&["total", "total_cost"]).or_else(parts).and_then(dollars)) && fields.len() == 1
    }

    fn take_parameter(&mut self, name: &str, value: &mut Value) -> bool {
        let free = !self.parameters.contains_key(name);
        if free {
            let value = std::mem::take(value);
            let value = if name == "tools" { tools(value) } else { value };
            self.parameters.insert(name.to_owned(), value);
        }
        free
    }

    fn take_parameters(&mut self, value: &Value) -> bool {
        let Value::Object(fields) = unfold(value.clone()) else { return false };
        for (name, mut value) in fields {
            match name.as_str() {
                "model" | "model_name" => drop(fill(&mut self.model_requested, text(&value))),
                "messages" => {}
                _ => drop(self.take_parameter(&name, &mut value)),
            }
        }
        true
    }

    /// What can only be said once all attributes have been read.
    fn settle(&mut self) {
        if self.answer_text.is_some() || self.answer_calls.is_some() {
            let answer = messages::answer(self.answer_text.take(), self.answer_calls.take());
            self.output.get_or_insert(answer);
        }
        let input = self.input.take().map(|value| self.settled(value, self.input_is_text, Side::Input));
        let mut beside = Extra::new();
        self.input = input.map(|(value, others)| {
            beside = others;
            value
        });
        self.take_beside(beside);
        if let Some(system) = self.system.take() {
            self.put_before(system);
        }
        if let Some(output) = self.output.take() {
            let (value, beside) = self.settled(output, self.output_is_text, Side::Output);
            self.output = Some(self.spoken(value));
            if !beside.is_empty() {
                self.rest.insert(BESIDE_OUTPUT.to_owned(), Value::Object(beside));
            }
        }
        if let Some(Value::String(model)) = self.parameters.remove("model") {
            self.model_requested.get_or_insert(model);
        }
    }

    fn settled(&self, value: Value, is_text: bool, side: Side) -> (Value, Extra) {
        if is_text { (value, Extra::new()) } else { messages::normal(value, side) }
    }

    /// Langfuse's client tells a streamed answer by its words alone; what a model answers to messages is a message.
    fn spoken(&self, output: Value) -> Value {
        let asked = self.input.as_ref().and_then(Value::as_array).is_some_and(|list| messages::is_chat(list));
        match output {
            Value::String(_) if asked && self.kind == Some(SpanKind::Llm) => messages::answer(Some(output), None),
            other => other,
        }
    }

    /// What a request held beside its messages: parameters, and the model asked for.
    fn take_beside(&mut self, beside: Extra) {
        for (name, mut value) in beside {
            match (name.as_str(), &value) {
                ("model", Value::String(model)) => drop(fill(&mut self.model_requested, Some(model.clone()))),
                ("stream", _) | (_, Value::Null) => {}
                _ => drop(self.take_parameter(&name, &mut value)),
            }
        }
    }

    fn put_before(&mut self, system: Value) {
        let mut all = messages::system(system);
        match self.input.take() {
            Some(Value::Array(list)) => all.extend(list),
            Some(Value::Null) | None => {}
            Some(other) => all.push(serde_json::json!({"role": "user", "content": other})),
        }
        self.input = Some(Value::Array(all));
    }

    /// The parameters as a payload, if there are any.
    pub fn parameters(&mut self) -> Option<Payload> {
        let parameters = std::mem::take(&mut self.parameters);
        (!parameters.is_empty()).then(|| Payload::of(&parameters))
    }
}

/// Tools as a list: some dialects write each, or all, as a text.
fn tools(value: Value) -> Value {
    match unfold(value) {
        Value::Array(list) => Value::Array(list.into_iter().map(value::unfold).collect()),
        other => other,
    }
}

/// The rank of a row among all that tells the same, with room for the families before most of them.
fn rank_of(place: usize, key: &str) -> usize {
    if BEFORE_FAMILIES.contains(&key) { 0 } else { place + FAMILIES.len() }
}

fn tree(trees: &mut Vec<(usize, Tree)>, place: usize) -> &mut Tree {
    let found = trees.iter().position(|(other, _)| *other == place).unwrap_or_else(|| {
        trees.push((place, Tree::default()));
        trees.len() - 1
    });
    &mut trees[found].1
}

/// Tells a field that was not told yet; whether it was told by this.
fn fill<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let fits = field.is_none() && value.is_some();
    if fits {
        *field = value;
    }
    fits
}

/// Takes a value that may be large as it is, if the field has none.
fn keep(field: &mut Option<Value>, value: &mut Value) -> bool {
    let free = field.is_none();
    if free {
        *field = Some(std::mem::take(value));
    }
    free
}

fn short(value: &Value) -> Option<String> {
    text(value).filter(|text| text.len() <= SHORT_BYTES)
}

fn mime(is_text: &mut bool, value: &Value) -> bool {
    let mime = text(value).unwrap_or_default();
    *is_text = mime == "text/plain";
    matches!(mime.as_str(), "text/plain" | "application/json")
}

/// Dollars as the integer that money is here; none for what no call costs.
fn dollars(dollars: f64) -> Option<Picodollars> {
    const MOST: f64 = 1e6;
    (dollars <= MOST).then(|| Picodollars::new((dollars * 1e12).round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(attributes: Value) -> Draft {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        Draft::of(attributes)
    }

    #[test]
    fn words_that_a_model_answers_to_messages_are_a_message() {
        let input = r#"[{"role": "user", "content": "Hi"}]"#;
        let output = |kind: &str, input: &str| {
            let told = json!({"langfuse.observation.type": kind, "langfuse.observation.input": input, "langfuse.observation.output": "Hello"});
            draft(told).output.unwrap()
        };
        assert_eq!(output("generation", input), json!([{"role": "assistant", "content": "Hello"}]));
        assert_eq!(output("generation", "Hi"), json!("Hello"));
        assert_eq!(output("span", input), json!("Hello"));
    }

    #[test]
    fn the_first_row_wins_and_nothing_is_lost() {
        let draft = draft(
            json!({"gen_ai.system": "OpenAI", "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.temperature": 0.5, "mine": [1, 2.0]}),
        );
        assert_eq!(draft.provider.as_deref(), Some("azure"));
        assert_eq!(Value::Object(draft.rest), json!({"mine": [1, 2.0], "gen_ai.system": "OpenAI"}));
        assert_eq!(Value::Object(draft.parameters), json!({"temperature": 0.5}));
    }

    #[test]
    fn what_cannot_be_its_field_is_kept() {
        let draft = draft(
            json!({"gen_ai.usage.input_tokens": "many", "gen_ai.request.model": [1], "session.id": "x".repeat(5000)}),
        );
        assert_eq!((draft.tokens.usage(), draft.model_requested, draft.session), (None, None, None));
        assert_eq!(draft.rest.len(), 3);
    }

    /// The counts of Anthropic's documentation on prompt caching: input tokens exclude those of the cache.
    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let usage = |input, output, total, read, write| {
            Tokens {
                input: Some(input),
                output: Some(output),
                total,
                cache_read: Some(read),
                cache_write: Some(write),
                reasoning: None,
            }
            .usage()
            .unwrap()
        };
        assert_eq!(usage(100, 5, None, 40, 0).input_tokens, 100, "as the conventions say");
        assert_eq!(usage(50, 5, None, 2000, 100).input_tokens, 2150, "more cached than input: they were counted apart");
        assert_eq!(usage(500, 5, Some(605), 100, 0).input_tokens, 600, "the total says that they were counted apart");
        assert_eq!(usage(500, 5, Some(505), 100, 0).input_tokens, 500);
    }

    #[test]
    fn langfuse_counts_nothing_twice() {
        let draft = draft(
            json!({"langfuse.observation.usage_details": "{\"input\": 10, \"input_cached_tokens\": 90, \"output\": 5, \"output_reasoning_tokens\": 15, \"total\": 120}"}),
        );
        let expected = Usage { input_tokens: 100, output_tokens: 20, cached_tokens: 90, reasoning_tokens: 15 };
        assert_eq!(draft.tokens.usage(), Some(expected));
        let anthropic = super::tests::draft(
            json!({"langfuse.observation.usage_details": "{\"input\": 3, \"cache_read_input_tokens\": 7, \"cache_creation_input_tokens\": 20, \"output\": 1}"}),
        );
        assert_eq!(
            anthropic.tokens.usage(),
            Some(Usage { input_tokens: 30, output_tokens: 1, cached_tokens: 7, reasoning_tokens: 0 })
        );
    }

    #[test]
    fn costs_are_dollars() {
        assert_eq!(
            draft(json!({"langfuse.observation.cost_details": "{\"input\": 0.001, \"output\": 0.002}"})).cost,
            Some(Picodollars::new(3_000_000_000))
        );
        assert_eq!(draft(json!({"llm.cost.total": 0.5})).cost, Some(Picodollars::new(500_000_000_000)));
    }

    #[test]
    fn the_system_s_words_stand_first() {
        let draft = draft(json!({
            "gen_ai.system_instructions": "[{\"type\":\"text\",\"content\":\"Be brief.\"}]",
            "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"Hi\"}]}]",
        }));
        assert_eq!(
            draft.input,
            Some(json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]))
        );
    }
}
