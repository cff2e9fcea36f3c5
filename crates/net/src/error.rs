//! What can go wrong on the way to the outside and back.

use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::policy::Refusal;

/// A cause from below, kept for the log and the chain of sources.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong. A `place` is the URL without credentials, query and fragment, since those carry secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy forbids it; nothing was sent.
    #[error("{place} was not fetched: {refusal}; an operator can allow it in `[net] allow`")]
    Refused {
        /// Where the request would have gone.
        place: String,
        /// Why it did not.
        refusal: Refusal,
    },
    /// No connection came about: the name, the route, the port or TLS. Nothing was sent.
    #[error("no connection to {place}")]
    Connect {
        /// Where to.
        place: String,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// A phase took longer than it may.
    #[error("{place} took longer than {after_ms} ms {phase}")]
    Timeout {
        /// Where to.
        place: String,
        /// Which phase.
        phase: Phase,
        /// How long it was waited for.
        after_ms: u64,
    },
    /// The connection broke after the request had been sent.
    #[error("the connection to {place} broke")]
    Broken {
        /// Where to.
        place: String,
        /// How.
        #[source]
        cause: Cause,
    },
    /// The answer was larger than the caller takes.
    #[error("{place} answered with more than {limit_bytes} bytes")]
    TooLarge {
        /// Where from.
        place: String,
        /// The most that was allowed.
        limit_bytes: u64,
    },
    /// A redirect that is not followed.
    #[error("{place} redirects, and {reason}")]
    Redirect {
        /// Who redirects.
        place: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// An answer that is not 2xx, where one was demanded.
    #[error("{place} answered {status}: {body}")]
    Status {
        /// Where from.
        place: String,
        /// The status.
        status: StatusCode,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// How the body begins.
        body: String,
    },
    /// An entry of the policy that is no network, address or host name.
    #[error("{entry:?} is no network (10.0.0.0/8), address (127.0.0.1) or host name (ollama.internal)")]
    PolicyEntry {
        /// The entry.
        entry: String,
    },
    /// The client could not be built.
    #[error("setting up the outbound client: {what}")]
    Setup {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        cause: Cause,
    },
}

/// The phase that a time-out cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening the connection.
    Connect,
    /// Waiting for the head of the answer.
    FirstByte,
    /// Waiting for more of the body.
    Idle,
    /// All of it.
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Connect => "to connect",
            Phase::FirstByte => "to begin its answer",
            Phase::Idle => "between two pieces of its answer",
            Phase::Total => "in all",
        })
    }
}

impl Error {
    /// Whether nothing reached the other side, so that another source or target can be tried without harm.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Refused { .. } | Self::Timeout { phase: Phase::Connect, .. })
    }

    /// What the transport reports, told apart by what the caller can do about it.
    pub(crate) fn from_transport(url: &Url, connect_timeout: Duration, error: reqwest::Error) -> Self {
        let place = place(url);
        match find_refusal(&error) {
            Some(refusal) => Self::Refused { place, refusal },
            None if error.is_connect() && error.is_timeout() => Self::timeout(url, Phase::Connect, connect_timeout),
            None if error.is_connect() => Self::Connect { place, cause: error.without_url().into() },
            None => Self::Broken { place, cause: error.without_url().into() },
        }
    }

    pub(crate) fn timeout(url: &Url, phase: Phase, after: Duration) -> Self {
        Self::Timeout { place: place(url), phase, after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// The resolver can only answer with a boxed error; the connector wraps it a few times.
fn find_refusal(error: &reqwest::Error) -> Option<Refusal> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        source = error.source();
    }
    None
}

/// The URL as it may be shown.
pub(crate) fn place(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Both fail only for URLs that cannot carry credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}
