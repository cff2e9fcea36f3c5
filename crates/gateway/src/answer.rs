//! What a caller gets back: one JSON document, or the events of a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use qd_base::{ProviderName, SpanId, TraceId};

/// Who answered, and under which trace the call is recorded.
#[derive(Clone, Debug)]
pub struct Served {
    /// The call's trace: the caller's own when it sent a `traceparent`.
    pub trace: TraceId,
    /// The call's span.
    pub span: SpanId,
    /// The provider that answered.
    pub provider: ProviderName,
    /// The provider's name of the model that answered.
    pub model: Arc<str>,
    /// Which version of a local model; none of other providers' models, and of streams, which tell it at their end.
    pub version: Option<u32>,
}

/// An answer in OpenAI's wire form.
#[derive(Debug)]
pub enum Answer {
    /// One JSON document.
    Whole(Reply),
    /// Server-sent events, because the request said `"stream": true`.
    Events(EventStream),
}

/// A whole answer: an upstream's body byte for byte, or the local engine's answer as JSON.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Who answered.
    pub served: Served,
    /// The JSON document, to be sent as `application/json`.
    pub body: Bytes,
}

/// The events of a stream, each with its closing blank line, to be sent as `text/event-stream`.
///
/// It has at least one event, ends after `data: [DONE]`, and never fails: what goes wrong after the first event is
/// itself an event that holds OpenAI's error object, and the last one. Dropping it cancels the call.
pub struct EventStream {
    served: Served,
    events: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
}

impl EventStream {
    pub(crate) fn new(served: Served, events: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { served, events: Box::pin(events) }
    }

    /// Who answers.
    pub fn served(&self) -> &Served {
        &self.served
    }
}

impl Stream for EventStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("served", &self.served).finish_non_exhaustive()
    }
}
