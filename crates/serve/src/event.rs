//! What a request answers: a stream of chunks that ends with its timings.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};
use qd_base::Usage;
use qd_base::chat::{Accumulator, ChatChunk, ChatResponse};
use qd_base::completion::CompletionResponse;
use serde::Serialize;

use crate::error::{Error, Result};

/// One item of an answer.
#[derive(Debug, Clone)]
pub enum Event<C> {
    /// A piece of the answer, in the shape that OpenAI streams.
    Chunk(C),
    /// The answer is complete; always the last item.
    Done(Timings),
}

/// How long one request took and how many tokens it moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// From the call to the first computation.
    pub queue_ms: f64,
    /// From the call to the first generated token, waiting included.
    pub ttft_ms: f64,
    /// Mean time between two tokens of one choice; 0 when fewer than two were generated.
    pub tpot_ms: f64,
    /// From the call to the last token.
    pub total_ms: f64,
    /// Tokens of the rendered prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Prompt tokens whose keys and values were reused from an earlier request.
    pub cached_tokens: u64,
    /// Generated tokens, all choices together.
    pub completion_tokens: u64,
}

impl Timings {
    /// The token counts in the form that prices and OpenAI's clients want.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.prompt_tokens,
            output_tokens: self.completion_tokens,
            cached_tokens: self.cached_tokens,
            reasoning_tokens: 0,
        }
    }
}

/// A running answer. Dropping it cancels the request: its slot is free at the next step.
pub struct Events<C> {
    inner: BoxStream<'static, Result<Event<C>>>,
}

impl ChatEvents {
    /// Waits for the whole answer.
    ///
    /// # Errors
    /// The error that ended the stream.
    pub async fn collect_answer(mut self) -> Result<(ChatResponse, Timings)> {
        let mut answer = Accumulator::new();
        while let Some(event) = self.next().await {
            match event? {
                Event::Chunk(chunk) => answer.push(chunk),
                Event::Done(timings) => {
                    let response = ChatResponse { usage: Some(timings.usage()), ..answer.finish() };
                    return Ok((response, timings));
                }
            }
        }
        Err(Error::backend("computing an answer", "it ended without its timings"))
    }
}

/// The answer to a chat request.
pub type ChatEvents = Events<ChatChunk>;
/// The answer to a completion request.
pub type CompletionEvents = Events<CompletionResponse>;

impl<C> Events<C> {
    pub(crate) fn new(inner: impl Stream<Item = Result<Event<C>>> + Send + 'static) -> Self {
        Self { inner: inner.boxed() }
    }
}

impl<C> Stream for Events<C> {
    type Item = Result<Event<C>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}
