//! What a model is asked, and what it says.
//!
//! Requests of a document that share a context stand together: [`Ask::Choices`] is one context and the continuations after
//! it, so that whoever runs them computes the context once and each continuation from there.

use qd_base::chat::{Content, Message, Role};
use serde::{Deserialize, Serialize};

use crate::python::text::is_space;

/// The requests of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentRequests {
    /// The document's place in its split, from 0.
    pub document: usize,
    /// What is asked about it; answers come in the same order.
    pub asks: Vec<Ask>,
}

/// One thing that a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// The log-likelihood of each continuation after one context.
    Choices {
        /// What stands before.
        context: Prompt,
        /// What is measured, each by itself after the context.
        continuations: Vec<String>,
    },
    /// The log-likelihood of a whole text, in windows where it is longer than what the model reads.
    Rolling {
        /// The text.
        text: String,
    },
    /// Texts that go on from a prompt.
    Generate {
        /// What stands before.
        prompt: Prompt,
        /// How to go on.
        generation: Generation,
        /// How many answers.
        repeats: usize,
    },
}

impl Prompt {
    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        let of = |message: &Message| match &message.content {
            Some(Content::Text(text)) => text.len(),
            Some(Content::Parts(_)) | None => 0,
        };
        match self {
            Self::Text(text) => text.len(),
            Self::Chat { messages, .. } => messages.iter().map(of).sum(),
        }
    }
}

impl Ask {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Choices { context, continuations } => {
                context.bytes() + continuations.iter().map(String::len).sum::<usize>()
            }
            Self::Rolling { text } => text.len(),
            Self::Generate { prompt, .. } => prompt.bytes(),
        }
    }
}

/// What stands before an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Messages, for the model's chat template.
    Chat {
        /// The messages.
        messages: Vec<Message>,
        /// Whether the last message is the beginning of the answer, so that the template adds no new turn for it
        /// (`add_generation_prompt` is false).
        goes_on: bool,
    },
}

/// How a text is made and where it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Texts that end the answer; they are not part of it.
    pub until: Vec<String>,
    /// Tokens at most; what the runner takes where the task says nothing ([`DEFAULT_MAX_TOKENS`]).
    pub max_tokens: Option<usize>,
    /// 0 is greedy.
    pub temperature: f64,
    /// The share of probability that is sampled from.
    pub top_p: Option<f64>,
    /// How many tokens are sampled from.
    pub top_k: Option<usize>,
}

/// Tokens of an answer where the task says nothing: `max_gen_toks` of lm-evaluation-harness's models.
pub const DEFAULT_MAX_TOKENS: usize = 256;

/// What a model said to one [`Ask`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Ask::Choices`], one for each continuation.
    Choices(Vec<Likelihood>),
    /// To [`Ask::Rolling`].
    Rolling(Likelihood),
    /// To [`Ask::Generate`], as many as it repeats.
    Texts(Vec<String>),
}

/// The log-likelihood of a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The sum of the natural logarithms of its tokens' probabilities.
    pub sum: f64,
    /// Whether each token was the most probable.
    pub is_greedy: bool,
    /// How many tokens.
    pub tokens: usize,
}

/// White space at the end of a context and what is measured after it, as `TemplateLM._encode_pair` of
/// lm-evaluation-harness cuts them: the white space goes to the continuation, since that is how tokens begin.
pub fn cut_before_tokens<'c>(context: &'c str, continuation: &str) -> (&'c str, String) {
    let kept = context.trim_end_matches(is_space);
    (kept, format!("{}{continuation}", &context[kept.len()..]))
}

/// A part of a prompt before it is a text or a message: who says it, what, and what follows it in a text.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub role: Role,
    pub content: String,
    pub after: String,
}

impl Turn {
    pub(crate) fn new(role: Role, content: impl Into<String>, after: impl Into<String>) -> Self {
        Self { role, content: content.into(), after: after.into() }
    }
}

/// All turns as one text.
pub(crate) fn as_text(turns: &[Turn]) -> String {
    turns.iter().flat_map(|turn| [turn.content.as_str(), turn.after.as_str()]).collect()
}

/// Each turn as a message, or, with `in_one`, all but the system's and a beginning of the answer as one message of the user
/// (`multiturn_to_singleturn`).
pub(crate) fn as_messages(turns: Vec<Turn>, in_one: bool) -> Vec<Message> {
    let turns = if in_one { in_one_turn(turns) } else { turns };
    turns.into_iter().map(|turn| Message::text(turn.role, turn.content)).collect()
}

fn in_one_turn(mut turns: Vec<Turn>) -> Vec<Turn> {
    let mut whole = Vec::new();
    if turns.first().is_some_and(|turn| turn.role == Role::System) {
        whole.push(turns.remove(0));
    }
    let begun = if turns.last().is_some_and(|turn| turn.role == Role::Assistant) { turns.pop() } else { None };
    if let Some(last) = turns.last_mut() {
        last.after.clear();
    }
    whole.push(Turn::new(Role::User, as_text(&turns), ""));
    whole.extend(begun);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_at_the_end_of_a_context_goes_to_the_continuation() {
        assert_eq!(cut_before_tokens("Q: a\nA: ", "b"), ("Q: a\nA:", " b".to_owned()));
        assert_eq!(cut_before_tokens("Q", " b"), ("Q", " b".to_owned()));
        assert_eq!(cut_before_tokens(" \n", "b"), ("", " \nb".to_owned()));
    }
}
