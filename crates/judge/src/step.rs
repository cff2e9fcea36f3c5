//! What is to be asked next?
//!
//! A judge that asks more than once is a chain of steps. Whoever carries requests to a model needs to know nothing of
//! methods: it asks what a [`Step::Ask`] holds, hands in the replies, and goes on until there is a judgement.

use qd_base::Usage;
use qd_base::chat::ChatRequest;

use crate::judgement::{Judgement, Outcome};
use crate::reply::Reply;
use crate::{Error, Result};

/// Requests of one step at most.
pub const MOST_STEP_REQUESTS: usize = 5_000;
/// Bytes of all requests of one step at most, as JSON.
pub const MOST_STEP_BYTES: usize = 64 << 20;

/// What is to be done.
pub enum Step {
    /// Ask a model these things. They do not depend on each other.
    Ask(Asking),
    /// Nothing more.
    Done(Box<Judgement>),
}

type Then = Box<dyn FnOnce(Vec<Reply>) -> Step + Send>;

/// Requests, and what follows from their replies.
pub struct Asking {
    requests: Vec<ChatRequest>,
    count: usize,
    then: Then,
    usage: Usage,
    calls: u32,
}

impl Step {
    pub(crate) fn ask(requests: Vec<ChatRequest>, then: impl FnOnce(Vec<Reply>) -> Step + Send + 'static) -> Self {
        let count = requests.len();
        Self::Ask(Asking { requests, count, then: Box::new(then), usage: Usage::default(), calls: 0 })
    }

    pub(crate) fn done(judgement: Judgement) -> Self {
        Self::Done(Box::new(judgement))
    }

    /// What cannot be asked after all, such as a second step that would be too large.
    pub(crate) fn or_failed(step: crate::Result<Self>) -> Self {
        step.unwrap_or_else(|error| Self::done(Judgement::new(Outcome::failed(error.in_words()))))
    }

    /// The step, with what was spent before it.
    fn after(self, usage: Usage, calls: u32) -> Self {
        match self {
            Self::Ask(asking) => {
                Self::Ask(Asking { usage: asking.usage + usage, calls: asking.calls.saturating_add(calls), ..asking })
            }
            Self::Done(judgement) => Self::done(Judgement {
                usage: judgement.usage + usage,
                calls: judgement.calls.saturating_add(calls),
                ..*judgement
            }),
        }
    }
}

/// What the requests of one step take of what they may. It is taken before they are kept or copied.
#[derive(Debug, Default)]
pub(crate) struct Room {
    requests: usize,
    bytes: usize,
}

impl Room {
    /// # Errors
    /// [`Error::TooMuch`] when a request, so many times, does not fit.
    pub fn take(&mut self, request: &ChatRequest, times: usize) -> Result<()> {
        self.requests = self.requests.saturating_add(times);
        self.bytes = self.bytes.saturating_add(bytes(request).saturating_mul(times));
        match self.requests > MOST_STEP_REQUESTS || self.bytes > MOST_STEP_BYTES {
            true => Err(Error::TooMuch { limit_requests: MOST_STEP_REQUESTS, limit_bytes: MOST_STEP_BYTES }),
            false => Ok(()),
        }
    }

    /// Takes what a step asks, if it asks.
    pub fn take_step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Ask(asking) => asking.requests.iter().try_for_each(|request| self.take(request, 1)),
            Step::Done(_) => Ok(()),
        }
    }
}

/// The requests of one step, one by one, so that no more of them are made than fit.
pub(crate) fn gathered(requests: impl Iterator<Item = Result<ChatRequest>>) -> Result<Vec<ChatRequest>> {
    let mut room = Room::default();
    let fits = |request: Result<ChatRequest>| {
        let request = request?;
        room.take(&request, 1).map(|()| request)
    };
    requests.map(fits).collect()
}

/// How long a request is as JSON.
fn bytes(request: &ChatRequest) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, request).map_or(usize::MAX, |()| count.0)
}

impl Asking {
    /// What to ask.
    pub fn requests(&self) -> &[ChatRequest] {
        &self.requests
    }

    /// Takes what to ask, for whoever asks it in another's place.
    pub(crate) fn take_requests(&mut self) -> Vec<ChatRequest> {
        std::mem::take(&mut self.requests)
    }

    /// What follows. Replies stand in the order of the requests; one that is missing is a call that failed.
    pub fn answer(self, mut replies: Vec<Reply>) -> Step {
        replies.resize_with(self.count, || Reply::Failed("no reply came".to_owned()));
        let usage = replies.iter().map(Reply::usage).fold(self.usage, |sum, usage| sum + usage);
        let calls = self.calls.saturating_add(u32::try_from(replies.len()).unwrap_or(u32::MAX));
        (self.then)(replies).after(usage, calls)
    }
}

#[cfg(test)]
mod tests {
    use qd_base::chat::{Message, Role};

    use super::*;
    use crate::stub;

    fn request() -> ChatRequest {
        ChatRequest::new("m".parse().unwrap(), vec![Message::text(Role::User, "x")])
    }

    /// Of three replies one is missing; the step after it counts what was before.
    #[test]
    fn what_is_missing_failed_and_what_was_spent_adds_up() {
        let second = |replies: Vec<Reply>| {
            assert_eq!(replies.len(), 1, "replies that nobody asked for are left aside");
            Step::done(Judgement::new(Outcome::number(1.0)))
        };
        let step = Step::ask(vec![request(); 3], move |replies| {
            assert!(matches!(&replies[2], Reply::Failed(why) if why == "no reply came"));
            Step::ask(vec![request()], second)
        });
        let Step::Ask(asking) = step else { panic!() };
        let Step::Ask(asking) = asking.answer(vec![stub::says("a"), stub::says("b")]) else { panic!() };
        let Step::Done(judgement) = asking.answer(vec![stub::says("c"), stub::says("d")]) else { panic!() };
        // Each reply of the stub takes 12 tokens.
        assert_eq!((judgement.calls, judgement.usage.total_tokens()), (4, 36));
    }
}
