//! What came back, as text and as tokens.

use qd_base::Usage;
use qd_base::chat::{ChatResponse, FinishReason, TokenLogProb};

use crate::judgement::Outcome;

/// Bytes of an answer that are read at most.
const LONGEST_ANSWER_BYTES: usize = 256 << 10;

/// What came of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The model answered.
    Answered(Box<ChatResponse>),
    /// There is no answer, and why.
    Failed(String),
}

/// What a model said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'r> {
    /// All of its text.
    pub text: &'r str,
    /// Its tokens, where they were asked for and given.
    pub tokens: &'r [TokenLogProb],
    /// Whether it was cut off.
    pub cut: bool,
}

impl Reply {
    /// Tokens that it took, as far as they are known.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Answered(response) => response.usage.unwrap_or_default(),
            Self::Failed(_) => Usage::default(),
        }
    }

    /// What was said.
    ///
    /// # Errors
    /// The outcome of a call that failed, was refused, or says no text.
    pub(crate) fn said(&self) -> Result<Said<'_>, Outcome> {
        let response = match self {
            Self::Answered(response) => response,
            Self::Failed(why) => return Err(Outcome::failed(why.clone())),
        };
        let choice = response.choices.first().ok_or_else(|| Outcome::invalid("the answer has no choice", ""))?;
        if let Some(refusal) = &choice.message.refusal {
            return Err(Outcome::invalid("the model refused to judge", refusal));
        }
        if choice.finish_reason == Some(FinishReason::ContentFilter) {
            return Err(Outcome::invalid("a filter took the answer away", ""));
        }
        let text = match choice.message.content.as_ref() {
            Some(qd_base::chat::Content::Text(text)) => text.as_str(),
            _ => return Err(Outcome::invalid("the answer is no text", "")),
        };
        if text.len() > LONGEST_ANSWER_BYTES {
            return Err(Outcome::invalid(format!("the answer has over {LONGEST_ANSWER_BYTES} bytes"), text));
        }
        let tokens = choice.logprobs.as_ref().and_then(|logprobs| logprobs.content.as_deref()).unwrap_or_default();
        Ok(Said { text, tokens, cut: choice.finish_reason == Some(FinishReason::Length) })
    }
}
