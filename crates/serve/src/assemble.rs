//! From pieces of sequences to the chunks that OpenAI streams, and the request's timings at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use qd_base::chat::{ChatChunk, ChunkChoice, Delta, FinishReason, LogProbs, Role, TokenLogProb, TopLogProb};
use qd_base::completion::{CompletionChoice, CompletionLogProbs, CompletionResponse};
use qd_base::{Extra, RequestId, Timestamp, Usage};

use crate::event::{Event, Timings};
use crate::logprob::Scored;
use crate::task::{End, Piece, Reason};
use crate::tools::{CallReader, Said};

/// Turns the pieces of one request into its events.
pub(crate) trait Assemble: Send + 'static {
    /// What is streamed.
    type Chunk: Send + 'static;

    /// Takes one piece; the last piece of the last sequence gives [`Event::Done`].
    fn take(&mut self, piece: Piece) -> Vec<Event<Self::Chunk>>;
}

/// What all chunks of an answer repeat.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
}

impl Header {
    pub fn new(prefix: &str, model: String, include_usage: bool) -> Self {
        let id = format!("{prefix}-{}", RequestId::new().to_string().replace('-', ""));
        Self { id, created: Timestamp::now().as_nanos() / 1_000_000_000, model, include_usage }
    }
}

/// Adds up the ends of a request's sequences.
#[derive(Debug)]
pub(crate) struct Tally {
    running: usize,
    ends: Vec<(u32, End)>,
    choices_per_prompt: u32,
}

impl Tally {
    pub fn new(sequences: usize, choices_per_prompt: u32) -> Self {
        Self { running: sequences, ends: Vec::with_capacity(sequences), choices_per_prompt }
    }

    /// Notes an end; the timings when it was the last.
    fn end(&mut self, index: u32, end: End) -> Option<Timings> {
        self.ends.push((index, end));
        self.running -= 1;
        (self.running == 0).then(|| self.timings())
    }

    fn timings(&self) -> Timings {
        // The choices of one prompt share it, so it counts once, with what its first choice found cached.
        let first_choices = || self.ends.iter().filter(|(index, _)| index % self.choices_per_prompt == 0);
        let earliest =
            |time: fn(&End) -> Duration| self.ends.iter().map(|(_, end)| time(end)).min().unwrap_or_default();
        let latest = self.ends.iter().map(|(_, end)| end.last_token - end.submitted).max().unwrap_or_default();
        Timings {
            queue_ms: milliseconds(earliest(|end| end.started.saturating_duration_since(end.submitted))),
            ttft_ms: milliseconds(earliest(|end| end.first_token.saturating_duration_since(end.submitted))),
            tpot_ms: self.time_per_token_ms(),
            total_ms: milliseconds(latest),
            prompt_tokens: first_choices().map(|(_, end)| end.prompt_tokens as u64).sum(),
            cached_tokens: first_choices().map(|(_, end)| end.cached_tokens as u64).sum(),
            completion_tokens: self.ends.iter().map(|(_, end)| end.completion_tokens as u64).sum(),
        }
    }

    fn time_per_token_ms(&self) -> f64 {
        let after_first: usize = self.ends.iter().map(|(_, end)| end.completion_tokens.saturating_sub(1)).sum();
        let time: Duration =
            self.ends.iter().map(|(_, end)| end.last_token.saturating_duration_since(end.first_token)).sum();
        if after_first == 0 { 0.0 } else { milliseconds(time) / after_first as f64 }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The text of tokens, for log-probabilities.
#[derive(Clone)]
pub(crate) struct TokenTexts(pub Arc<LlamaModel>);

impl TokenTexts {
    fn bytes(&self, token: LlamaToken) -> Vec<u8> {
        self.0.vocab().token_to_piece(token, true, None)
    }

    fn text(&self, token: LlamaToken) -> String {
        String::from_utf8_lossy(&self.bytes(token)).into_owned()
    }
}

/// Chunks of a chat.
pub(crate) struct ChatAssembler {
    header: Header,
    tally: Tally,
    texts: TokenTexts,
    /// By index: whether the choice has begun, and its call reader if calls are possible.
    choices: BTreeMap<u32, ChatChoice>,
    reads_calls: bool,
}

#[derive(Default)]
struct ChatChoice {
    begun: bool,
    reader: CallReader,
}

impl ChatAssembler {
    pub fn new(header: Header, tally: Tally, texts: TokenTexts, reads_calls: bool) -> Self {
        Self { header, tally, texts, choices: BTreeMap::new(), reads_calls }
    }

    fn said(&mut self, piece: &Piece) -> Vec<Said> {
        let choice = self.choices.entry(piece.index).or_default();
        if !self.reads_calls {
            return if piece.text.is_empty() { Vec::new() } else { vec![Said::Text(piece.text.clone())] };
        }
        let mut said = choice.reader.push(&piece.text);
        if piece.end.is_some() {
            said.extend(choice.reader.finish());
        }
        said
    }

    fn chunk(
        &self,
        index: u32,
        delta: Delta,
        logprobs: Option<LogProbs>,
        finish_reason: Option<FinishReason>,
    ) -> Event<ChatChunk> {
        let choice = ChunkChoice { index, delta, logprobs, finish_reason, extra: Extra::new() };
        Event::Chunk(self.chunk_of(vec![choice], None))
    }

    fn chunk_of(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> ChatChunk {
        ChatChunk {
            id: self.header.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.header.created,
            model: self.header.model.clone(),
            choices,
            usage,
            extra: Extra::new(),
        }
    }

    /// The first chunk of a choice says who speaks.
    fn begin(&mut self, index: u32, events: &mut Vec<Event<ChatChunk>>) {
        let choice = self.choices.entry(index).or_default();
        if !std::mem::replace(&mut choice.begun, true) {
            let content = (!self.reads_calls).then(String::new);
            let delta = Delta { role: Some(Role::Assistant), content, ..Delta::default() };
            events.push(self.chunk(index, delta, None, None));
        }
    }

    fn log_probs(&self, scores: &[Scored]) -> Option<LogProbs> {
        let content = scores.iter().map(|scored| token_logprob(scored, &self.texts)).collect();
        (!scores.is_empty()).then(|| LogProbs { content: Some(content), ..LogProbs::default() })
    }

    fn finish_reason(&self, index: u32, end: &End) -> FinishReason {
        let called = self.choices.get(&index).is_some_and(|choice| choice.reader.called());
        match end.reason {
            Reason::Length => FinishReason::Length,
            Reason::Stop if called => FinishReason::ToolCalls,
            Reason::Stop => FinishReason::Stop,
        }
    }
}

impl Assemble for ChatAssembler {
    type Chunk = ChatChunk;

    fn take(&mut self, piece: Piece) -> Vec<Event<ChatChunk>> {
        let mut events = Vec::new();
        self.begin(piece.index, &mut events);
        let mut logprobs = self.log_probs(&piece.scores);
        let mut deltas: Vec<Delta> = self.said(&piece).into_iter().map(delta).collect();
        if deltas.is_empty() && logprobs.is_some() {
            deltas.push(Delta::default());
        }
        for delta in deltas {
            events.push(self.chunk(piece.index, delta, logprobs.take(), None));
        }
        if let Some(end) = piece.end {
            let reason = self.finish_reason(piece.index, &end);
            events.push(self.chunk(piece.index, Delta::default(), None, Some(reason)));
            if let Some(timings) = self.tally.end(piece.index, end) {
                if self.header.include_usage {
                    events.push(Event::Chunk(self.chunk_of(Vec::new(), Some(timings.usage()))));
                }
                events.push(Event::Done(timings));
            }
        }
        events
    }
}

fn delta(said: Said) -> Delta {
    match said {
        Said::Text(text) => Delta { content: Some(text), ..Delta::default() },
        Said::Call(call) => Delta { tool_calls: Some(vec![call]), ..Delta::default() },
    }
}

fn token_logprob(scored: &Scored, texts: &TokenTexts) -> TokenLogProb {
    let top = |(token, logprob): &(LlamaToken, f32)| TopLogProb {
        token: texts.text(*token),
        logprob: *logprob,
        bytes: Some(texts.bytes(*token)),
    };
    TokenLogProb {
        token: texts.text(scored.token),
        logprob: scored.logprob,
        bytes: Some(texts.bytes(scored.token)),
        top_logprobs: scored.top.iter().map(top).collect(),
    }
}

/// Chunks of a completion.
pub(crate) struct CompletionAssembler {
    header: Header,
    tally: Tally,
    texts: TokenTexts,
    /// The prompt's text for each index that repeats it; empty when prompts are not echoed.
    echoes: BTreeMap<u32, String>,
    /// Characters of each answer so far, the echo included.
    lengths: BTreeMap<u32, usize>,
}

impl CompletionAssembler {
    pub fn new(header: Header, tally: Tally, texts: TokenTexts, echoes: BTreeMap<u32, String>) -> Self {
        Self { header, tally, texts, echoes, lengths: BTreeMap::new() }
    }

    fn chunk(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> CompletionResponse {
        CompletionResponse {
            id: self.header.id.clone(),
            object: "text_completion".to_owned(),
            created: self.header.created,
            model: self.header.model.clone(),
            choices,
            usage,
            extra: Extra::new(),
        }
    }

    fn log_probs(&mut self, piece: &Piece) -> Option<CompletionLogProbs> {
        if piece.scores.is_empty() && piece.prompt_scores.is_empty() {
            return None;
        }
        let mut logprobs = CompletionLogProbs::default();
        let prompt = piece.prompt_scores.iter().map(|(token, scored)| (*token, scored.as_ref()));
        let answer = piece.scores.iter().map(|scored| (scored.token, Some(scored)));
        for (token, scored) in prompt.chain(answer) {
            let text = self.texts.text(token);
            let offset = self.lengths.entry(piece.index).or_default();
            logprobs.text_offset.push(*offset);
            *offset += text.chars().count();
            logprobs.tokens.push(text);
            logprobs.token_logprobs.push(scored.map(|scored| scored.logprob));
            logprobs.top_logprobs.push(scored.map(|scored| self.top(scored)));
        }
        Some(logprobs)
    }

    fn top(&self, scored: &Scored) -> BTreeMap<String, f32> {
        let chosen = (scored.token, scored.logprob);
        scored.top.iter().chain([&chosen]).map(|(token, logprob)| (self.texts.text(*token), *logprob)).collect()
    }
}

impl Assemble for CompletionAssembler {
    type Chunk = CompletionResponse;

    fn take(&mut self, piece: Piece) -> Vec<Event<CompletionResponse>> {
        let echo = self.echoes.remove(&piece.index).unwrap_or_default();
        if piece.prompt_scores.is_empty() && !echo.is_empty() {
            *self.lengths.entry(piece.index).or_default() += echo.chars().count();
        }
        let logprobs = self.log_probs(&piece);
        let finish_reason = piece.end.map(|end| match end.reason {
            Reason::Length => FinishReason::Length,
            Reason::Stop => FinishReason::Stop,
        });
        let text = echo + &piece.text;
        let choice = CompletionChoice { index: piece.index, text, logprobs, finish_reason, extra: Extra::new() };
        let mut events = vec![Event::Chunk(self.chunk(vec![choice], None))];
        if let Some(timings) = piece.end.and_then(|end| self.tally.end(piece.index, end)) {
            if self.header.include_usage {
                events.push(Event::Chunk(self.chunk(Vec::new(), Some(timings.usage()))));
            }
            events.push(Event::Done(timings));
        }
        events
    }
}
