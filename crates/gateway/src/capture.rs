//! What a stream has said, gathered for its trace row.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use qd_base::Usage;
use qd_base::chat::{Accumulator, ChatChunk, ChunkChoice, FinishReason};
use serde::Deserialize;

use crate::call::Endpoint;
use crate::sse::Event;

/// Events wait unread until this many bytes have come, so that short streams are read off the hot path altogether.
const UNREAD_BYTES: usize = 64 << 10;

/// The events of one stream: the newest as they came, the older ones read.
pub(crate) struct Capture {
    endpoint: Endpoint,
    unread: Vec<(Instant, Bytes)>,
    unread_bytes: usize,
    kept_bytes: usize,
    limit_bytes: usize,
    read: Read,
}

/// What the events said.
#[derive(Default)]
pub(crate) struct Read {
    /// The messages of a chat.
    pub chat: Accumulator,
    /// The texts of a completion by choice.
    pub texts: BTreeMap<u32, String>,
    pub finish_reasons: BTreeMap<u32, FinishReason>,
    pub usage: Option<Usage>,
    pub model: Option<String>,
    /// When the first event with a token in it came.
    pub first_token: Option<Instant>,
    /// What the upstream reported as an error inside its stream.
    pub error: Option<String>,
    /// Whether the end of the text is missing here, because the stream was larger than what is kept.
    pub cut: bool,
}

/// One event of a streamed completion, as far as it is read.
#[derive(Deserialize)]
struct TextChunk {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Vec<TextChoice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct TextChoice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    text: String,
    #[serde(default)]
    finish_reason: Option<FinishReason>,
}

/// An error inside a stream.
#[derive(Deserialize)]
struct ErrorEvent {
    error: serde_json::Value,
}

impl Capture {
    /// Nothing yet.
    pub fn new(endpoint: Endpoint, limit_bytes: usize) -> Self {
        Self { endpoint, unread: Vec::new(), unread_bytes: 0, kept_bytes: 0, limit_bytes, read: Read::default() }
    }

    /// Keeps an event.
    pub fn push(&mut self, event: &Event) {
        self.unread_bytes += event.0.len();
        self.unread.push((Instant::now(), event.0.clone()));
        if self.unread_bytes > UNREAD_BYTES {
            self.read_all();
        }
    }

    /// Everything said so far.
    pub fn read(&mut self) -> &Read {
        self.read_all();
        &self.read
    }

    /// The same at the end.
    pub fn into_read(mut self) -> Read {
        self.read_all();
        self.read
    }

    /// About how much memory it holds.
    pub fn size_bytes(&self) -> usize {
        self.unread_bytes + self.kept_bytes
    }

    fn read_all(&mut self) {
        self.unread_bytes = 0;
        for (at, event) in std::mem::take(&mut self.unread) {
            self.kept_bytes += event.len();
            self.read.cut |= self.kept_bytes > self.limit_bytes;
            let event = Event(event);
            let Some(data) = event.data() else { continue };
            match self.endpoint {
                Endpoint::Chat => self.read.chat_event(at, &data),
                Endpoint::Completions | Endpoint::Embeddings => self.read.text_event(at, &data),
            }
        }
    }
}

impl Read {
    fn chat_event(&mut self, at: Instant, data: &[u8]) {
        let Ok(mut chunk) = serde_json::from_slice::<ChatChunk>(data) else { return };
        self.note_error(data, chunk.choices.is_empty());
        self.usage = chunk.usage.or(self.usage);
        for choice in &chunk.choices {
            self.note_reason(choice.index, &choice.finish_reason);
            if self.first_token.is_none() && has_token(choice) {
                self.first_token = Some(at);
            }
        }
        if self.model.is_none() && !chunk.model.is_empty() {
            self.model = Some(chunk.model.clone());
        }
        if self.cut {
            chunk.choices.clear();
        }
        self.chat.push(chunk);
    }

    fn text_event(&mut self, at: Instant, data: &[u8]) {
        let Ok(chunk) = serde_json::from_slice::<TextChunk>(data) else { return };
        self.note_error(data, chunk.choices.is_empty());
        self.usage = chunk.usage.or(self.usage);
        self.model = self.model.take().or(chunk.model);
        for choice in chunk.choices {
            self.note_reason(choice.index, &choice.finish_reason);
            if self.first_token.is_none() && !choice.text.is_empty() {
                self.first_token = Some(at);
            }
            if !self.cut {
                self.texts.entry(choice.index).or_default().push_str(&choice.text);
            }
        }
    }

    fn note_reason(&mut self, index: u32, reason: &Option<FinishReason>) {
        if let Some(reason) = reason {
            self.finish_reasons.insert(index, reason.clone());
        }
    }

    fn note_error(&mut self, data: &[u8], without_choices: bool) {
        if !without_choices {
            return;
        }
        if let Ok(ErrorEvent { error }) = serde_json::from_slice(data) {
            self.error = Some(error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned));
        }
    }
}

/// Whether a chunk carries a token. The first chunk of a stream often only names the role.
fn has_token(choice: &ChunkChoice) -> bool {
    let delta = &choice.delta;
    delta.content.as_ref().is_some_and(|text| !text.is_empty())
        || delta.tool_calls.is_some()
        || delta.refusal.is_some()
        // Reasoning comes in fields of other names, by vendor.
        || delta.extra.values().any(|value| value.as_str().is_some_and(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, limit_bytes: usize, events: &[&str]) -> Read {
        let mut capture = Capture::new(endpoint, limit_bytes);
        for event in events {
            capture.push(&Event::of(event.as_bytes()));
        }
        capture.into_read()
    }

    #[test]
    fn a_chat_is_put_together() {
        let read = read(
            Endpoint::Chat,
            10_000,
            &[
                r#"{"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"length"}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
                "[DONE]",
            ],
        );
        assert_eq!(read.usage.unwrap().input_tokens, 5);
        assert_eq!(read.finish_reasons[&0], FinishReason::Length);
        assert!(read.first_token.is_some() && !read.cut && read.error.is_none());
        let message = serde_json::to_value(&read.chat.finish().choices[0].message).unwrap();
        assert_eq!(message["content"], "Hello");
    }

    #[test]
    fn what_is_not_kept_is_still_counted() {
        let text = "x".repeat(500);
        let chunk = format!(r#"{{"choices":[{{"index":0,"text":"{text}"}}]}}"#);
        let end = r#"{"choices":[{"index":0,"text":"y","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":9}}"#;
        let read = read(Endpoint::Completions, 600, &[&chunk, &chunk, end]);
        assert!(read.cut);
        assert_eq!(read.texts[&0], text);
        assert_eq!((read.usage.unwrap().output_tokens, &read.finish_reasons[&0]), (9, &FinishReason::Stop));
    }

    #[test]
    fn an_error_inside_the_stream_is_seen() {
        let read = read(Endpoint::Chat, 10_000, &[r#"{"error":{"message":"overloaded"}}"#]);
        assert_eq!(read.error.as_deref(), Some("overloaded"));
    }
}
