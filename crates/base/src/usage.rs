//! How many tokens a call took.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Tokens of one call. The serde form is OpenAI's `usage` object.
///
/// `cached_tokens` are part of `input_tokens`, and `reasoning_tokens` of `output_tokens`, as in OpenAI's API
/// and the OpenTelemetry GenAI conventions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Usage {
    /// Tokens of the prompt, those read from a cache included.
    pub input_tokens: u64,
    /// Tokens of the answer, those of hidden reasoning included.
    pub output_tokens: u64,
    /// Tokens of the prompt that came from a cache.
    pub cached_tokens: u64,
    /// Tokens of the answer that were hidden reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Tokens in and out.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
}

/// OpenAI's form. Upstreams leave parts out or send null, so every part is optional when read.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Serialize, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<Wire> for Usage {
    fn from(wire: Wire) -> Self {
        Self {
            input_tokens: wire.prompt_tokens.unwrap_or(0),
            output_tokens: wire.completion_tokens.unwrap_or(0),
            cached_tokens: wire.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or(0),
            reasoning_tokens: wire.completion_tokens_details.and_then(|d| d.reasoning_tokens).unwrap_or(0),
        }
    }
}

impl From<Usage> for Wire {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: Some(usage.input_tokens),
            completion_tokens: Some(usage.output_tokens),
            total_tokens: Some(usage.total_tokens()),
            prompt_tokens_details: Some(PromptDetails { cached_tokens: Some(usage.cached_tokens) }),
            completion_tokens_details: Some(CompletionDetails { reasoning_tokens: Some(usage.reasoning_tokens) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_openai_is_read_and_written() {
        // The example object of OpenAI's API reference, shortened to the parts that we keep.
        let text = r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":4}}"#;
        let usage: Usage = serde_json::from_str(text).unwrap();
        assert_eq!(usage, Usage { input_tokens: 19, output_tokens: 10, cached_tokens: 3, reasoning_tokens: 4 });
        assert_eq!(serde_json::to_string(&usage).unwrap(), text);
    }

    #[test]
    fn parts_may_be_missing_or_null() {
        let usage: Usage =
            serde_json::from_str(r#"{"prompt_tokens":7,"completion_tokens":null,"prompt_tokens_details":null}"#)
                .unwrap();
        assert_eq!(usage, Usage { input_tokens: 7, ..Usage::default() });
    }
}
