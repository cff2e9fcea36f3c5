//! What was seen of one call: who was asked, what came back, when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use qd_base::{ProviderName, Timestamp};
use qd_trace::{FailureKind, TraceContext};

use crate::call::Call;
use crate::capture::Capture;
use crate::context::{Beginning, CallContext};
use crate::provider::Told;

/// One call from its arrival to its end. It is written in on the hot path, so it only keeps what it is given; the trace row
/// is made of it elsewhere.
pub(crate) struct Exchange {
    pub context: CallContext,
    pub call: Call,
    /// Our span.
    pub at: TraceContext,
    pub start: Timestamp,
    pub began: Instant,
    pub attempts: Vec<Attempt>,
    pub seen: Seen,
    pub told: Option<Told>,
    pub ending: Ending,
    pub took: Duration,
}

/// One attempt at one target.
pub(crate) struct Attempt {
    pub provider: ProviderName,
    pub model: Arc<str>,
    pub began: Instant,
    pub took: Option<Duration>,
    pub failure: Option<Failure>,
}

/// Why an attempt or a call failed.
pub(crate) struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

/// The answer, as far as it came.
pub(crate) enum Seen {
    Nothing,
    Whole(Bytes),
    Events(Box<Capture>),
}

/// How the call ended. A call that nobody has ended was cancelled: its future or stream was dropped.
pub(crate) enum Ending {
    Answered,
    Failed(Failure),
    Cancelled,
}

impl Exchange {
    /// A call that has just arrived, or has begun before.
    pub fn new(context: CallContext, call: Call) -> Self {
        let Beginning { at, start, began } = context.begun.unwrap_or_else(|| Beginning::now(context.parent));
        Self {
            context,
            call,
            at,
            start,
            began,
            attempts: Vec::with_capacity(1),
            seen: Seen::Nothing,
            told: None,
            ending: Ending::Cancelled,
            took: Duration::ZERO,
        }
    }

    /// Notes that a target is being asked.
    pub fn ask(&mut self, provider: &ProviderName, model: &Arc<str>) {
        self.attempts.push(Attempt {
            provider: provider.clone(),
            model: model.clone(),
            began: Instant::now(),
            took: None,
            failure: None,
        });
    }

    /// Notes how the attempt went.
    pub fn heard(&mut self, failure: Option<Failure>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.took = Some(attempt.began.elapsed());
            attempt.failure = failure;
        }
    }

    /// About how much memory it holds.
    pub fn size_bytes(&self) -> usize {
        let seen = match &self.seen {
            Seen::Nothing => 0,
            Seen::Whole(body) => body.len(),
            Seen::Events(capture) => capture.size_bytes(),
        };
        size_of::<Self>() + self.call.body.len() + seen
    }
}
