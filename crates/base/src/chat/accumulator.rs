//! From the events of a stream to the answer that they make up.

use std::collections::BTreeMap;

use super::{
    ChatChunk, ChatResponse, Choice, ChunkChoice, Content, Delta, FinishReason, FunctionCall, LogProbs, Message, Role,
    ToolCall, ToolCallDelta,
};
use crate::{Extra, Usage};

/// Collects the chunks of one streamed answer: for a client that did not ask for a stream, and for the trace.
#[derive(Debug, Default)]
pub struct Accumulator {
    id: String,
    created: i64,
    model: String,
    choices: BTreeMap<u32, Partial>,
    usage: Option<Usage>,
    extra: Extra,
}

#[derive(Debug, Default)]
struct Partial {
    role: Option<Role>,
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: BTreeMap<u32, ToolCall>,
    logprobs: Option<LogProbs>,
    finish_reason: Option<FinishReason>,
    extra: Extra,
}

impl Accumulator {
    /// An answer of which nothing has come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn push(&mut self, chunk: ChatChunk) {
        if self.id.is_empty() {
            (self.id, self.created, self.model) = (chunk.id, chunk.created, chunk.model);
        }
        self.usage = chunk.usage.or(self.usage);
        self.extra.extend(chunk.extra);
        for choice in chunk.choices {
            self.choices.entry(choice.index).or_default().push(choice);
        }
    }

    /// What the stream has said of its tokens so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The answer, as far as it has come.
    pub fn finish(self) -> ChatResponse {
        ChatResponse {
            id: self.id,
            object: "chat.completion".to_owned(),
            created: self.created,
            model: self.model,
            choices: self.choices.into_iter().map(|(index, partial)| partial.finish(index)).collect(),
            usage: self.usage,
            extra: self.extra,
        }
    }
}

impl Partial {
    fn push(&mut self, choice: ChunkChoice) {
        self.push_delta(choice.delta);
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        if let Some(more) = choice.logprobs {
            let logprobs = self.logprobs.get_or_insert_default();
            extend(&mut logprobs.content, more.content);
            extend(&mut logprobs.refusal, more.refusal);
            logprobs.extra.extend(more.extra);
        }
    }

    fn push_delta(&mut self, delta: Delta) {
        self.role = delta.role.or(self.role.take());
        append(&mut self.content, delta.content);
        append(&mut self.refusal, delta.refusal);
        for call in delta.tool_calls.into_iter().flatten() {
            self.push_call(call);
        }
        for (key, value) in delta.extra {
            match (self.extra.get_mut(&key), value) {
                // Texts in fields that we do not know, such as `reasoning_content`, come in pieces like the content.
                (Some(serde_json::Value::String(text)), serde_json::Value::String(more)) => text.push_str(&more),
                (_, value) => {
                    self.extra.insert(key, value);
                }
            }
        }
    }

    fn push_call(&mut self, delta: ToolCallDelta) {
        let call = self.tool_calls.entry(delta.index).or_insert_with(|| ToolCall {
            id: String::new(),
            r#type: super::function(),
            function: FunctionCall { name: String::new(), arguments: String::new(), extra: Extra::new() },
            extra: Extra::new(),
        });
        if let Some(id) = delta.id {
            call.id = id;
        }
        if let Some(function) = delta.function {
            call.function.name.push_str(function.name.as_deref().unwrap_or_default());
            call.function.arguments.push_str(function.arguments.as_deref().unwrap_or_default());
        }
        call.extra.extend(delta.extra);
    }

    fn finish(self, index: u32) -> Choice {
        let tool_calls: Vec<_> = self.tool_calls.into_values().collect();
        Choice {
            index,
            message: Message {
                role: self.role.unwrap_or(Role::Assistant),
                content: self.content.map(Content::Text),
                name: None,
                tool_calls: (!tool_calls.is_empty()).then_some(tool_calls),
                tool_call_id: None,
                refusal: self.refusal,
                extra: self.extra,
            },
            logprobs: self.logprobs,
            finish_reason: self.finish_reason,
            extra: Extra::new(),
        }
    }
}

fn append(text: &mut Option<String>, more: Option<String>) {
    if let Some(more) = more {
        text.get_or_insert_default().push_str(&more);
    }
}

fn extend<T>(list: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
    if let Some(more) = more {
        list.get_or_insert_default().extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_become_the_whole() {
        let mut whole = Accumulator::new();
        for chunk in [
            json!({"id": "c", "created": 5, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "Hel", "reasoning_content": "a"}}]}),
            json!({"choices": [{"index": 1, "delta": {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"a\""}}]}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "lo", "reasoning_content": "b"}, "finish_reason": "stop"}]}),
            json!({"choices": [{"index": 1, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, "finish_reason": "tool_calls"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ] {
            whole.push(serde_json::from_value(chunk).unwrap());
        }
        let answer = serde_json::to_value(whole.finish()).unwrap();
        assert_eq!(
            answer["choices"][0]["message"],
            json!({"role": "assistant", "content": "Hello", "reasoning_content": "ab"})
        );
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert_eq!(
            answer["choices"][1]["message"]["tool_calls"][0],
            json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}})
        );
        assert_eq!((&answer["id"], &answer["usage"]["total_tokens"]), (&json!("c"), &json!(5)));
    }
}
