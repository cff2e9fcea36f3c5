//! The older form of a request: a prompt as plain text or tokens, continued. The serde form is OpenAI's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chat::{FinishReason, Stop, StreamOptions};
use crate::{Extra, ModelName, Usage};

/// One request for a completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionRequest {
    pub model: ModelName,
    pub prompt: Prompt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_of: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// How many of the likeliest tokens to tell at each position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// Whether the prompt is repeated before the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ours, not OpenAI's: how likely the end of each prompt is after its beginning, instead of a continuation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Which part of each prompt is measured: its log-likelihood after what stands before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// For each prompt, how many of its characters stand before what is measured. Tokens are cut as lm-evaluation-harness cuts
    /// them: as many as the beginning has by itself are not measured.
    pub from: Vec<usize>,
    /// What becomes of a prompt that is longer than what the model reads.
    #[serde(default)]
    pub long: LongPrompt,
}

/// What becomes of a prompt that is to be measured and is longer than what the model reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongPrompt {
    /// It is refused.
    #[default]
    Refuse,
    /// Its beginning is left out.
    Cut,
    /// All of it is measured, in windows that do not overlap. It is measured from its first character on.
    Windows,
}

/// What was measured of a prompt: the field `measured` of its choice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The sum of the natural logarithms of the tokens' probabilities.
    pub sum: f64,
    /// How many tokens.
    pub tokens: usize,
    /// Whether each of them was the most probable.
    pub is_greedy: bool,
}

/// What is to be continued: one text or token sequence, or several, each answered by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// A whole answer, or one event of a streamed one: OpenAI gives both the same form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionResponse {
    pub id: String,
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    pub model: String,
    pub choices: Vec<CompletionChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of the answers asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionChoice {
    pub index: u32,
    pub text: String,
    #[serde(default)]
    pub logprobs: Option<CompletionLogProbs>,
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// Log-probabilities, one entry of each list a token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionLogProbs {
    pub tokens: Vec<String>,
    /// `null` for the first token of an echoed prompt: nothing comes before it.
    pub token_logprobs: Vec<Option<f32>>,
    pub top_logprobs: Vec<Option<BTreeMap<String, f32>>>,
    /// Where each token starts in the text, in characters.
    pub text_offset: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_prompt_has_four_forms() {
        let check = |value: serde_json::Value, prompt: Prompt| {
            assert_eq!(serde_json::from_value::<Prompt>(value).unwrap(), prompt)
        };
        check(json!("a"), Prompt::Text("a".into()));
        check(json!(["a", "b"]), Prompt::Texts(vec!["a".into(), "b".into()]));
        check(json!([1, 2]), Prompt::Tokens(vec![1, 2]));
        check(json!([[1], [2, 3]]), Prompt::TokenLists(vec![vec![1], vec![2, 3]]));
        assert!(serde_json::from_value::<Prompt>(json!({"a": 1})).is_err());
    }
}
