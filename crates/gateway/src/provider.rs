//! Who can answer: one file for each kind of provider, all behind one trait.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use qd_base::ProviderName;
use qd_serve::Timings;
use qd_trace::TraceContext;

use crate::call::Call;
use crate::config::Limits;
use crate::error::Result;
use crate::listing::ListedModel;
use crate::sse::Event;

mod broken;
mod local;
mod openai;

pub(crate) use broken::Broken;
pub(crate) use local::Local;
pub(crate) use openai::{OpenAi, Upstream};

/// The name of the engine in this process; no upstream may take it.
pub(crate) const LOCAL: &str = "local";

/// Something that answers calls in OpenAI's wire form.
pub(crate) trait Provider: Send + Sync {
    /// What routes call it.
    fn name(&self) -> &ProviderName;

    /// Where it is; none when it is in this process, or nowhere.
    fn base_url(&self) -> Option<&str> {
        None
    }

    /// How long an attempt may take, when its configuration says so.
    fn timeout_ms(&self) -> Option<u64>;

    /// Makes one attempt. A stream is returned as soon as it begins; dropping what is returned cancels the attempt.
    fn send<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Incoming>>;

    /// How many tokens it would read of a call; none when it does not tell without answering it.
    fn count<'a>(&'a self, _call: &'a Call, _model: &'a str) -> BoxFuture<'a, Option<usize>> {
        Box::pin(std::future::ready(None))
    }

    /// The models that it offers now.
    fn models(&self) -> BoxFuture<'_, Result<Vec<ListedModel>>>;
}

/// One attempt to be made.
pub(crate) struct Ask<'a> {
    pub call: &'a Call,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// Our span, which is the parent of whatever the provider traces.
    pub trace: TraceContext,
    /// How long the answer, or the first event, is waited for.
    pub within: Duration,
    pub limits: &'a Limits,
}

/// What a provider answers.
pub(crate) enum Incoming {
    /// One JSON document.
    Whole { body: Bytes, told: Option<Told> },
    /// A stream.
    Events(Pieces),
}

/// A stream's events, and what the local engine tells beside them.
pub(crate) type Pieces = BoxStream<'static, Result<Piece>>;

/// One item of a stream.
pub(crate) enum Piece {
    /// For the client.
    Event(Event),
    /// For the trace.
    Told(Told),
}

/// What the local engine says of an answer beside the answer.
pub(crate) struct Told {
    /// How long it took; embeddings tell none.
    pub timings: Option<Timings>,
    /// Which version of the model answered.
    pub version: u32,
}
