//! One call: what a candidate asks about an item, and what came back.

use std::collections::BTreeMap;

use qd_base::{Picodollars, Sha256Hex, SpanId, TraceId, Usage};
use qd_gateway::batch::{self, Failure};
use qd_gateway::{CallContext, Endpoint, Gateway, Pinned};
use qd_prompt::{Kind, Rendered};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::plan::{Candidate, Item};

/// Two names of one limit: whoever says one means the other too.
pub(crate) const TOKEN_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
/// Characters of an answer that are kept; longer ones are cut, and scored as they were cut.
pub const LONGEST_ANSWER_CHARS: usize = 100_000;
/// Characters of an error that are kept.
const LONGEST_ERROR_CHARS: usize = 2_000;

/// A call that can be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The request in OpenAI's form, its fields sorted.
    pub body: BTreeMap<String, Value>,
    /// What makes it the same call as another.
    pub key: Sha256Hex,
    /// Whom the model's name stands for: nobody else is asked. Anybody whom it stands for then, when there is none.
    pub target: Option<Pinned>,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What was said; none when it failed.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// What such a call costs; none when the price is not known.
    pub cost: Option<Picodollars>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Its trace.
    pub trace: Option<TraceId>,
    /// Its span.
    pub span: Option<SpanId>,
    /// Whether it was taken from an earlier experiment, and so cost nothing now.
    pub cached: bool,
    /// Of a call that was refused, what kind of refusal it was: the same for calls that fail for the same reason.
    pub refusal: Option<String>,
    /// Whether it failed since the model was not reached, which says nothing of what it would have answered.
    pub unreached: bool,
}

impl Outcome {
    /// A call that failed.
    pub fn failed(why: impl std::fmt::Display) -> Self {
        Self { error: Some(cut(&why.to_string(), LONGEST_ERROR_CHARS)), ..Self::default() }
    }

    /// One that the model refused; `kind` is the same for calls that are refused for the same reason.
    pub fn refused(kind: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { refusal: Some(kind.into()), ..Self::failed(why) }
    }

    /// One that did not reach its model.
    pub fn unreached(why: impl std::fmt::Display) -> Self {
        Self { unreached: true, ..Self::failed(why) }
    }
}

impl Candidate {
    /// What is asked about an item, the `repeat`-th time.
    ///
    /// Two calls are the same when messages, parameters, repeat and `target` are: the model that the name stands for, since aliases,
    /// labels and routes may point elsewhere later. At temperature 0 the repeat does not count:
    /// asking again is expected to give the same answer.
    ///
    /// # Errors
    /// [`crate::Error::Prompt`] when the prompt cannot be rendered with the row's values.
    pub fn request(&self, item: &Item, repeat: u32, target: &Pinned) -> Result<Request> {
        let prompt = &self.prompt.prompt;
        let mut body: BTreeMap<String, Value> = prompt.parameters.clone().into_iter().collect();
        if self.cell.parameters.keys().any(|name| TOKEN_LIMITS.contains(&name.as_str())) {
            TOKEN_LIMITS.iter().for_each(|name| drop(body.remove(*name)));
        }
        body.extend(self.cell.parameters.clone());
        let said = prompt.render(&self.mapping.values(&item.row), self.examples.of(item.row.index))?;
        let (field, said) = match said {
            Rendered::Chat(messages) => ("messages", json!(messages)),
            Rendered::Text(text) => ("prompt", Value::String(text)),
        };
        body.insert(field.to_owned(), said);
        if !prompt.tools.is_empty() {
            body.insert("tools".to_owned(), prompt.tools.clone().into());
        }
        let others = [("tool_choice", &prompt.tool_choice), ("response_format", &prompt.response_format)];
        body.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        let endpoint = if prompt.kind == Kind::Chat { Endpoint::Chat } else { Endpoint::Completions };
        let steady = body.get("temperature").and_then(Value::as_f64) == Some(0.0);
        let told = json!([format!("{endpoint:?}"), body, if steady { 0 } else { repeat }, target]);
        body.insert("model".to_owned(), Value::String(self.cell.model.clone()));
        let key = Sha256Hex::of(told.to_string().as_bytes());
        Ok(Request { endpoint, body, key, target: Some(target.clone()) })
    }
}

/// Makes a call. What goes wrong is part of the outcome; `token` ends the waiting for a busy model.
pub async fn ask(gateway: &Gateway, context: &CallContext, request: &Request, token: &CancellationToken) -> Outcome {
    let body = json!(request.body).to_string();
    let context = CallContext { pinned: request.target.clone(), ..context.clone() };
    match batch::ask(gateway, &context, request.endpoint, body.into(), token.cancelled()).await {
        Ok(asked) => Outcome {
            latency_ms: Some(asked.latency_ms),
            cost: asked.cost,
            trace: Some(asked.served.trace),
            span: Some(asked.served.span),
            ..read(request.endpoint, &asked.body)
        },
        Err(Failure::Refused { kind, why }) => Outcome::refused(kind, why),
        Err(Failure::Unreached { why }) => Outcome::unreached(why),
    }
}

/// What an answer says: its text, or the calls of tools as JSON.
fn read(endpoint: Endpoint, body: &[u8]) -> Outcome {
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(cause) => return Outcome::unreached(format!("the answer is no JSON: {cause}")),
    };
    let choice = &answer["choices"][0];
    let text = match endpoint {
        Endpoint::Chat => said(&choice["message"]),
        Endpoint::Completions | Endpoint::Embeddings => choice["text"].as_str().map(str::to_owned),
    };
    let usage = serde_json::from_value(answer["usage"].clone()).ok();
    let finish_reason = choice["finish_reason"].as_str().map(str::to_owned);
    match text {
        Some(text) => {
            Outcome { output: Some(cut(&text, LONGEST_ANSWER_CHARS)), usage, finish_reason, ..Outcome::default() }
        }
        None => Outcome { usage, finish_reason, ..Outcome::failed("the answer has no text") },
    }
}

fn said(message: &Value) -> Option<String> {
    let calls = message["tool_calls"].as_array().filter(|calls| !calls.is_empty());
    match (&message["content"], calls) {
        (Value::String(text), None) => Some(text.clone()),
        (Value::String(text), Some(_)) if !text.is_empty() => Some(text.clone()),
        (Value::Array(parts), _) => Some(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        (_, Some(calls)) => Some(json!(calls).to_string()),
        _ => None,
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let chat = |message: Value| {
            let body = json!({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
            read(Endpoint::Chat, body.to_string().as_bytes())
        };
        let found = chat(json!({"content": "Yes"}));
        assert_eq!((found.output.as_deref(), found.finish_reason.as_deref()), (Some("Yes"), Some("stop")));
        assert_eq!(found.usage.map(|usage| usage.total_tokens()), Some(5));
        assert_eq!(
            chat(json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})).output.as_deref(),
            Some("ab")
        );
        let call = json!([{"function": {"name": "f", "arguments": "{}"}}]);
        assert_eq!(chat(json!({"content": null, "tool_calls": call})).output, Some(call.to_string()));
        assert_eq!(chat(json!({"content": null})).error.as_deref(), Some("the answer has no text"));
        let text = read(Endpoint::Completions, br#"{"choices": [{"text": " 7"}]}"#);
        assert_eq!(text.output.as_deref(), Some(" 7"));
        assert!(read(Endpoint::Chat, b"<html>").unreached);
    }
}
