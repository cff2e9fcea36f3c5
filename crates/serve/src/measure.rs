//! How likely the end of a text is after its beginning: the log-likelihoods that benchmarks ask for.
//!
//! Only the logits that the end needs are computed, and prompts that begin alike share what comes before it: the scheduler brings
//! it from a running sequence or from what ended ones left.

use std::collections::BTreeMap;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use qd_base::completion::{CompletionRequest, CompletionResponse, LongPrompt, Measure, Measured, Prompt};
use serde_json::json;

use crate::assemble::{Assemble, CompletionAssembler};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::plan::{MAX_PROMPTS, Room};
use crate::task::Piece;

/// Tokens of which those from a place on are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub tokens: Arc<[LlamaToken]>,
    /// The first token that is measured, at least 1.
    pub from: usize,
    /// The prompt that it belongs to: one that is long has several.
    pub prompt: u32,
}

/// What a request to measure comes to.
pub(crate) fn sequences(
    request: &CompletionRequest,
    wanted: &Measure,
    room: Room,
    model: &LlamaModel,
) -> Result<Vec<Sequence>> {
    if request.max_tokens.is_some_and(|most| most > 0) || request.n.is_some_and(|n| n != 1) {
        return Err(Error::invalid(
            "measure",
            "nothing is generated where prompts are measured: leave out max_tokens and n",
        ));
    }
    let texts = match &request.prompt {
        Prompt::Text(text) => std::slice::from_ref(text),
        Prompt::Texts(texts) => texts.as_slice(),
        Prompt::Tokens(_) | Prompt::TokenLists(_) => {
            return Err(Error::invalid("prompt", "what is measured is text, not tokens"));
        }
    };
    if texts.is_empty() || texts.len() > MAX_PROMPTS || texts.len() != wanted.from.len() {
        let message = format!("there must be between 1 and {MAX_PROMPTS} prompts, and as many numbers in measure.from");
        return Err(Error::invalid("measure.from", message));
    }
    let tokens = Tokens::of(model);
    let mut sequences = Vec::with_capacity(texts.len());
    let mut before = ("", 0);
    for ((text, &from), prompt) in texts.iter().zip(&wanted.from).zip(0..) {
        let context = beginning(text, from)?;
        // Choices of one question have one beginning, which is cut into tokens once.
        if context != before.0 || prompt == 0 {
            before = (context, tokens.of_text(context).len());
        }
        let (all, from) = tokens.parted(text, before.1)?;
        sequences.extend(fitted(all, from, wanted.long, room.context)?.into_iter().map(|(tokens, from)| Sequence {
            tokens: tokens.into(),
            from,
            prompt,
        }));
    }
    Ok(sequences)
}

fn beginning(text: &str, from: usize) -> Result<&str> {
    let mut places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    let end = places.nth(from).filter(|&end| end < text.len());
    let wrong =
        || Error::invalid("measure.from", format!("{from} characters leave nothing of a prompt to be measured"));
    end.map(|end| &text[..end]).ok_or_else(wrong)
}

/// How a model cuts texts into tokens.
struct Tokens<'m> {
    model: &'m LlamaModel,
    /// What stands before a text that nothing stands before.
    first: LlamaToken,
}

impl<'m> Tokens<'m> {
    fn of(model: &'m LlamaModel) -> Self {
        let vocab = model.vocab();
        let (bos, eos) = (vocab.bos(), vocab.eos());
        Self { model, first: if bos.0 >= 0 { bos } else { eos } }
    }

    fn of_text(&self, text: &str) -> Vec<LlamaToken> {
        self.model.vocab().tokenize(text.as_bytes(), true, true)
    }

    /// All tokens of a text, and the first that is measured, as `TemplateLM._encode_pair` and `loglikelihood` of
    /// lm-evaluation-harness part them: `before` is how many tokens the beginning has by itself.
    fn parted(&self, text: &str, before: usize) -> Result<(Vec<LlamaToken>, usize)> {
        let mut all = self.of_text(text);
        if before == 0 && all.first() != Some(&self.first) {
            all.insert(0, self.first);
        }
        let from = before.max(1).min(all.len().saturating_sub(1));
        if from == 0 {
            return Err(Error::invalid("prompt", "a prompt has no token that could be measured"));
        }
        Ok((all, from))
    }
}

/// The tokens in one piece, without their beginning, or in windows; each with the first that is measured.
fn fitted(
    all: Vec<LlamaToken>,
    from: usize,
    long: LongPrompt,
    context: usize,
) -> Result<Vec<(Vec<LlamaToken>, usize)>> {
    // The last token is measured and not read.
    if all.len() <= context + 1 {
        return Ok(vec![(all, from)]);
    }
    match long {
        LongPrompt::Refuse => Err(Error::ContextOverflow { prompt_tokens: all.len(), requested: 0, limit: context }),
        LongPrompt::Cut => {
            let cut = all.len() - (context + 1);
            Ok(vec![(all[cut..].to_vec(), from.saturating_sub(cut).max(1))])
        }
        LongPrompt::Windows if from != 1 => Err(Error::invalid(
            "measure.from",
            "a prompt that is measured in windows is measured from its first character on",
        )),
        LongPrompt::Windows => Ok(windows(&all, context)),
    }
}

/// Windows of at most `context` tokens that are read, each token but the first measured once (`get_rolling_token_windows` with
/// `context_len=1`, and `make_disjoint_window`, in `lm_eval/utils.py`). The last window has as much before it as fits.
fn windows(all: &[LlamaToken], context: usize) -> Vec<(Vec<LlamaToken>, usize)> {
    let mut found = vec![(all[..=context].to_vec(), 1)];
    let mut measured = context + 1;
    while measured < all.len() {
        let end = all.len().min(measured + context);
        let begin = end - (context + 1);
        found.push((all[begin..end].to_vec(), measured - begin));
        measured = end;
    }
    found
}

/// Chunks of a request to measure: one choice for each prompt, when all of it is measured.
pub(crate) struct MeasureAssembler {
    inner: CompletionAssembler,
    /// The prompt of each sequence.
    prompts: Vec<u32>,
    /// What was measured of prompts of which sequences are missing, and how many.
    open: BTreeMap<u32, (Measured, usize)>,
    tells_tokens: bool,
}

impl MeasureAssembler {
    pub fn new(inner: CompletionAssembler, sequences: &[Sequence], tells_tokens: bool) -> Self {
        let prompts: Vec<u32> = sequences.iter().map(|sequence| sequence.prompt).collect();
        let mut open = BTreeMap::new();
        for prompt in &prompts {
            let none = Measured { sum: 0.0, tokens: 0, is_greedy: true };
            open.entry(*prompt).or_insert((none, 0)).1 += 1;
        }
        Self { inner, prompts, open, tells_tokens }
    }

    /// Adds what a sequence measured; all of the prompt when it was the last.
    fn add(&mut self, prompt: u32, piece: &Piece) -> Option<Measured> {
        let (measured, missing) = self.open.get_mut(&prompt)?;
        for (token, scored) in &piece.prompt_scores {
            let Some(scored) = scored else { continue };
            measured.sum += f64::from(scored.logprob);
            measured.tokens += 1;
            measured.is_greedy &= scored.top.first().is_some_and(|(likeliest, _)| likeliest == token);
        }
        *missing -= usize::from(piece.end.is_some());
        (*missing == 0).then_some(*measured)
    }
}

impl Assemble for MeasureAssembler {
    type Chunk = CompletionResponse;

    fn take(&mut self, mut piece: Piece) -> Vec<Event<CompletionResponse>> {
        let prompt = self.prompts.get(piece.index as usize).copied().unwrap_or_default();
        let measured = self.add(prompt, &piece);
        if !self.tells_tokens {
            piece.prompt_scores.clear();
        }
        let mut events = self.inner.take(piece);
        for event in &mut events {
            let Event::Chunk(chunk) = event else { continue };
            for choice in &mut chunk.choices {
                choice.index = prompt;
                if let Some(measured) = measured {
                    choice.extra.insert("measured".to_owned(), json!(measured));
                }
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(count: i32) -> Vec<LlamaToken> {
        (0..count).map(LlamaToken).collect()
    }

    fn places(found: &[(Vec<LlamaToken>, usize)]) -> Vec<(i32, i32, i32)> {
        found.iter().map(|(tokens, from)| (tokens[0].0, tokens[*from].0, tokens[tokens.len() - 1].0)).collect()
    }

    /// `get_rolling_token_windows(range(1, 11), prefix_token=0, max_seq_len=4, context_len=1)` of lm-eval 0.4.13 made disjoint:
    /// ([0], [1,2,3,4]), ([4], [5,6,7,8]), ([6,7,8], [9,10]).
    #[test]
    fn windows_measure_every_token_once() {
        assert_eq!(places(&windows(&tokens(11), 4)), [(0, 1, 4), (4, 5, 8), (6, 9, 10)]);
        assert_eq!(places(&windows(&tokens(9), 4)), [(0, 1, 4), (4, 5, 8)]);
        let all = fitted(tokens(5), 1, LongPrompt::Windows, 4).unwrap();
        assert_eq!(places(&all), [(0, 1, 4)]);
    }

    /// `(context_enc + continuation_enc)[-(max_length + 1):]`: of twelve tokens five stay where four are read.
    #[test]
    fn a_long_prompt_loses_its_beginning_or_is_refused() {
        let cut = |from| places(&fitted(tokens(12), from, LongPrompt::Cut, 4).unwrap());
        assert_eq!(cut(10), [(7, 10, 11)]);
        assert_eq!(cut(3), [(7, 8, 11)]);
        let refused = fitted(tokens(6), 1, LongPrompt::Refuse, 4);
        assert!(matches!(refused, Err(Error::ContextOverflow { prompt_tokens: 6, limit: 4, .. })));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(beginning("größe", 3).unwrap(), "grö");
        assert_eq!(beginning("a", 0).unwrap(), "");
        assert!(beginning("größe", 5).is_err() && beginning("", 0).is_err());
    }
}
