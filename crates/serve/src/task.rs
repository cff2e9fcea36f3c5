//! One sequence on its way: what is asked, what was generated so far, and when it ends.

use std::sync::Arc;
use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc::UnboundedSender;

use crate::constraint::Constraint;
use crate::error::{Error, Result};
use crate::logprob::{Scored, score};
use crate::sampler::{Sampler, Sampling};
use crate::seats::Seat;
use crate::text::{TextStream, find};

/// One sequence to generate: a choice of a request, checked and ready.
pub(crate) struct Work {
    /// Which choice of the answer this is.
    pub index: u32,
    pub prompt: Arc<[LlamaToken]>,
    pub sampling: Sampling,
    pub form: Form,
    pub stops: Arc<[String]>,
    pub max_tokens: usize,
    /// How many of the likeliest tokens to report with each token; `None` reports no log-probabilities.
    pub top_logprobs: Option<usize>,
    /// From which token on the prompt's own tokens are scored, if they are.
    pub scored_from: Option<usize>,
    /// Generate on past the model's end-of-answer token.
    pub ignore_end: bool,
    pub submitted: Instant,
    /// Unbounded, but it holds at most `max_tokens` pieces; a closed channel cancels the sequence.
    pub replies: UnboundedSender<Result<Piece>>,
    /// The place in the queue, given back when the work is dropped.
    pub _seat: Seat,
}

impl Work {
    /// Whether nothing is generated: the prompt's tokens are scored, and that is all.
    pub fn only_scores(&self) -> bool {
        self.max_tokens == 0 && self.scored_from.is_some()
    }
}

/// The form that an answer must have.
pub(crate) enum Form {
    Free,
    /// The whole answer matches a grammar.
    Whole(Constraint),
    /// The answer is free until it contains `trigger`; what follows matches the grammar.
    After {
        trigger: &'static str,
        constraint: Constraint,
    },
}

/// What a sequence reports after a token.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub index: u32,
    pub text: String,
    pub scores: Vec<Scored>,
    /// The prompt's scores, if they were asked for; the first token has none.
    pub prompt_scores: Vec<(LlamaToken, Option<Scored>)>,
    /// Set on the last piece.
    pub end: Option<End>,
}

/// How a sequence ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub reason: Reason,
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub completion_tokens: usize,
    pub submitted: Instant,
    pub started: Instant,
    pub first_token: Instant,
    pub last_token: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The model ended its answer or a stop string came.
    Stop,
    /// The token limit was reached.
    Length,
}

/// A sequence that waits for a slot or runs in one.
pub(crate) struct Task {
    pub work: Work,
    /// What is computed: the prompt and the answer so far. The last token of a prompt that is only scored is not: nothing follows it.
    pub tokens: Vec<LlamaToken>,
    /// Which admission this was, so that prompts are read in order and the newest is preempted first.
    pub admitted: u64,
    sampler: Sampler,
    text: TextStream,
    /// Scores of tokens whose text is held back, with the byte of the answer where each token starts.
    held_scores: Vec<(usize, Scored)>,
    prompt_scores: Vec<(LlamaToken, Option<Scored>)>,
    /// The first prompt token that is not scored and is to be.
    prompt_scored: usize,
    answer_bytes: usize,
    /// The end of the answer in which the trigger may start.
    tail: Vec<u8>,
    cached_tokens: Option<usize>,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

impl Task {
    pub fn new(work: Work) -> Self {
        let first = if work.scored_from == Some(0) { work.prompt.first() } else { None };
        let prompt_scores: Vec<_> = first.map(|token| (*token, None)).into_iter().collect();
        let computed = work.prompt.len() - usize::from(work.only_scores() && work.prompt.len() > 1);
        Self {
            tokens: work.prompt[..computed].to_vec(),
            admitted: 0,
            sampler: Sampler::new(work.sampling.clone(), &work.prompt),
            text: TextStream::new(work.stops.clone()),
            held_scores: Vec::new(),
            prompt_scored: work.scored_from.unwrap_or(0).max(1),
            prompt_scores,
            answer_bytes: 0,
            tail: Vec::new(),
            cached_tokens: None,
            started: None,
            first_token: None,
            work,
        }
    }

    /// The tokens that another sequence may have computed: of a prompt that is scored, those before the scored ones.
    pub fn shareable(&self) -> &[LlamaToken] {
        let end = if self.work.scored_from.is_some() { self.prompt_scored } else { self.tokens.len() };
        &self.tokens[..end.min(self.tokens.len())]
    }

    /// Of a prompt that is only scored, how many tokens another one may begin with too: the rest is of no use to others.
    pub fn worth_keeping(&self) -> Option<usize> {
        self.work.scored_from.filter(|&from| from > 0 && self.work.only_scores())
    }

    pub fn cancelled(&self) -> bool {
        self.work.replies.is_closed()
    }

    /// Notes that the sequence got a slot with `reused` tokens in its cache. Only the first time counts: a
    /// preempted sequence finds its own tokens again.
    pub fn admit(&mut self, order: u64, reused: usize) {
        self.admitted = order;
        self.cached_tokens.get_or_insert(reused);
        self.started.get_or_insert_with(Instant::now);
    }

    /// Whether the logits of the token at `place` are needed: to choose the next token or to score the
    /// next one of the prompt.
    pub fn wants_logits(&self, place: usize) -> bool {
        place + 1 == self.tokens.len() || self.scores_next(place)
    }

    /// Takes the logits of the token at `place`. Returns whether the sequence goes on.
    pub fn take_logits(&mut self, place: usize, logits: &[f32], model: &LlamaModel) -> bool {
        if self.scores_next(place) {
            self.score_prompt_token(place + 1, logits);
        }
        place + 1 < self.tokens.len() || self.advance(logits, model)
    }

    fn scores_next(&self, place: usize) -> bool {
        self.work.scored_from.is_some() && place + 1 < self.work.prompt.len() && place + 1 >= self.prompt_scored
    }

    fn score_prompt_token(&mut self, place: usize, logits: &[f32]) {
        let top_count = self.work.top_logprobs.unwrap_or(0);
        let token = self.work.prompt[place];
        self.prompt_scores.push((token, Some(score(logits, token, top_count))));
        self.prompt_scored += 1;
    }

    /// Chooses the next token and reports it.
    fn advance(&mut self, logits: &[f32], model: &LlamaModel) -> bool {
        if self.work.max_tokens == 0 {
            self.finish(Reason::Length, String::new());
            return false;
        }
        let constraint = match &mut self.work.form {
            Form::Whole(constraint) => Some(constraint),
            Form::Free | Form::After { .. } => None,
        };
        let Some(token) = self.sampler.choose(logits, constraint) else {
            self.fail(Error::backend("constraining the answer", "no token of the vocabulary fits the grammar"));
            return false;
        };
        self.first_token.get_or_insert_with(Instant::now);
        if model.vocab().is_eog(token) && !self.work.ignore_end {
            self.finish(Reason::Stop, String::new());
            return false;
        }
        self.take(token, logits, model)
    }

    /// Tells the client that its request failed.
    pub fn fail(&self, error: Error) {
        // A client that is gone does not need to know.
        let _ = self.work.replies.send(Err(error));
    }

    fn take(&mut self, token: LlamaToken, logits: &[f32], model: &LlamaModel) -> bool {
        self.sampler.accept(token);
        if let Form::Whole(constraint) = &mut self.work.form {
            constraint.accept(token);
        }
        self.tokens.push(token);
        if let Some(top_count) = self.work.top_logprobs {
            self.held_scores.push((self.answer_bytes, score(logits, token, top_count)));
        }
        let bytes = model.vocab().token_to_piece(token, false, None);
        self.answer_bytes += bytes.len();
        self.watch_trigger(&bytes, model);
        let released = self.text.push(&bytes);
        if released.stopped {
            self.finish(Reason::Stop, released.text);
        } else if self.generated() >= self.work.max_tokens {
            self.finish(Reason::Length, released.text);
        } else {
            self.report(released.text);
            return true;
        }
        false
    }

    fn generated(&self) -> usize {
        self.tokens.len().saturating_sub(self.work.prompt.len())
    }

    /// Switches to the grammar once the trigger is complete. What the token says beyond the trigger is
    /// matched as far as it fits; a call that starts malformed stays unconstrained and is shown as text.
    fn watch_trigger(&mut self, bytes: &[u8], model: &LlamaModel) {
        let Form::After { trigger, .. } = &self.work.form else { return };
        self.tail.extend_from_slice(bytes);
        let Some(start) = find(&self.tail, trigger.as_bytes()) else {
            let keep = self.tail.len().min(trigger.len());
            self.tail.drain(..self.tail.len() - keep);
            return;
        };
        let beyond = self.tail.split_off(start + trigger.len());
        let Form::After { mut constraint, .. } = std::mem::replace(&mut self.work.form, Form::Free) else { return };
        for token in model.vocab().tokenize(&beyond, false, false) {
            if !constraint.allows(token) {
                return;
            }
            constraint.accept(token);
        }
        self.work.form = Form::Whole(constraint);
    }

    fn report(&mut self, text: String) {
        let scores = self.released_scores();
        let prompt_scores = self.take_prompt_scores();
        if text.is_empty() && scores.is_empty() && prompt_scores.is_empty() {
            return;
        }
        let piece = Piece { index: self.work.index, text, scores, prompt_scores, end: None };
        // A closed channel is noticed before the next step.
        let _ = self.work.replies.send(Ok(piece));
    }

    fn finish(&mut self, reason: Reason, mut text: String) {
        // After a stop string nothing is held; otherwise what could have become one is text after all.
        text.push_str(&self.text.finish());
        let scores = self.released_scores();
        let prompt_scores = self.take_prompt_scores();
        let end = Some(self.end(reason));
        let _ = self.work.replies.send(Ok(Piece { index: self.work.index, text, scores, prompt_scores, end }));
    }

    fn end(&self, reason: Reason) -> End {
        let now = Instant::now();
        End {
            reason,
            prompt_tokens: self.work.prompt.len(),
            cached_tokens: self.cached_tokens.unwrap_or(0),
            completion_tokens: self.generated(),
            submitted: self.work.submitted,
            started: self.started.unwrap_or(now),
            first_token: self.first_token.unwrap_or(now),
            last_token: now,
        }
    }

    /// The scores of the tokens whose text, or its start, is released.
    fn released_scores(&mut self) -> Vec<Scored> {
        let released = self.text.released_bytes();
        let count = self.held_scores.iter().take_while(|(start, _)| *start < released).count();
        self.held_scores.drain(..count).map(|(_, scored)| scored).collect()
    }

    fn take_prompt_scores(&mut self) -> Vec<(LlamaToken, Option<Scored>)> {
        std::mem::take(&mut self.prompt_scores)
    }
}

/// A task as other modules' tests need it: a prompt, and nothing else said.
#[cfg(test)]
pub(crate) fn test_task(prompt: &[LlamaToken]) -> Task {
    let (replies, _) = tokio::sync::mpsc::unbounded_channel();
    let seat = crate::seats::Seats::new(1).take(1).and_then(|mut seats| seats.pop()).expect("one seat of one");
    Task::new(Work {
        index: 0,
        prompt: prompt.into(),
        sampling: Sampling::default(),
        form: Form::Free,
        stops: Arc::default(),
        max_tokens: 1,
        top_logprobs: None,
        scored_from: None,
        ignore_end: false,
        submitted: Instant::now(),
        replies,
        _seat: seat,
    })
}
