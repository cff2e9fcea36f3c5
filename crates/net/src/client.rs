//! Send a request: vet, try, try again, follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use crate::error::{Cause, Error, Phase, place};
use crate::policy::Policy;
use crate::redirect;
use crate::request::Request;
use crate::resolve::VettingResolver;
use crate::response::{Body, Response, content_length};
use crate::retry;

/// How connections are opened and kept.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How this server names itself.
    pub user_agent: String,
    /// The longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Idle connections kept to one host; beyond it they are closed after their answer.
    pub idle_connections: usize,
    /// An idle connection is closed after this.
    pub idle_timeout: Duration,
    /// Files of PEM certificates to trust beside the system's.
    pub extra_roots: Vec<PathBuf>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("quarterdeck/", env!("CARGO_PKG_VERSION")).into(),
            connect_timeout: Duration::from_secs(5),
            idle_connections: 1024,
            // Below the 60 s after which common load balancers close a connection under the client.
            idle_timeout: Duration::from_secs(50),
            extra_roots: Vec::new(),
        }
    }
}

/// The one way out. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    transport: reqwest::Client,
    policy: Arc<Policy>,
    connect_timeout: Duration,
}

impl Client {
    /// A client that keeps to `policy`.
    ///
    /// # Errors
    /// [`Error::Setup`] when a certificate cannot be read or the system's are missing.
    pub fn new(policy: Policy, options: ClientOptions) -> Result<Self, Error> {
        let policy = Arc::new(policy);
        let mut builder = reqwest::Client::builder()
            .user_agent(options.user_agent)
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(options.idle_connections)
            .pool_idle_timeout(options.idle_timeout)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(VettingResolver::new(Arc::clone(&policy))))
            .no_proxy();
        for path in options.extra_roots {
            for certificate in read_certificates(&path)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let transport = builder.build().map_err(|error| setup("building it", error))?;
        Ok(Self { transport, policy, connect_timeout: options.connect_timeout })
    }

    /// Sends `request` and returns the head of the answer with the body still to be read.
    ///
    /// # Errors
    /// [`Error::Refused`] by the policy, [`Error::Connect`], [`Error::Timeout`], [`Error::Broken`],
    /// [`Error::Redirect`], and [`Error::TooLarge`] when the head already says so. A status is no error.
    pub async fn request(&self, request: Request) -> Result<Response, Error> {
        let deadline = request.timeouts.total.map(|total| Deadline { at: Instant::now() + total, total });
        let mut hop = request;
        for _ in 0..hop.redirects {
            let answer = self.send_with_retries(&hop, deadline).await?;
            match redirect::follow(&hop, answer.status(), answer.headers())? {
                Some(next) => hop = next,
                None => return receive(&hop, answer, deadline),
            }
        }
        let answer = self.send_with_retries(&hop, deadline).await?;
        let asked_to_follow = hop.redirects > 0;
        if asked_to_follow && redirect::follow(&hop, answer.status(), answer.headers())?.is_some() {
            return Err(Error::Redirect { place: place(&hop.url), reason: "too many redirects came before" });
        }
        receive(&hop, answer, deadline)
    }

    async fn send_with_retries(&self, hop: &Request, deadline: Option<Deadline>) -> Result<reqwest::Response, Error> {
        self.policy.check_url(&hop.url).map_err(|refusal| Error::Refused { place: place(&hop.url), refusal })?;
        let mut attempt = 1;
        loop {
            let outcome = self.send(hop, deadline).await;
            let Some(wait) = wait_before_next(hop, attempt, &outcome, deadline) else { return outcome };
            tracing::debug!(place = place(&hop.url), attempt, wait_ms = wait.as_millis(), "trying again");
            drop(outcome);
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn send(&self, hop: &Request, deadline: Option<Deadline>) -> Result<reqwest::Response, Error> {
        let mut outgoing = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *outgoing.headers_mut() = hop.headers.clone();
        if !hop.body.is_empty() {
            *outgoing.body_mut() = Some(hop.body.clone().into());
        }
        let (first_byte, phase) = first_byte_limit(hop, deadline);
        match tokio::time::timeout(first_byte, self.transport.execute(outgoing)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Error::from_transport(&hop.url, self.connect_timeout, error)),
            Err(_) => Err(Error::timeout(
                &hop.url,
                phase,
                deadline.filter(|_| phase == Phase::Total).map_or(first_byte, |d| d.total),
            )),
        }
    }
}

/// When all of it must be over, and how long that was from the start.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) total: Duration,
}

/// The time-out for the head of the answer, and which limit it comes from.
fn first_byte_limit(hop: &Request, deadline: Option<Deadline>) -> (Duration, Phase) {
    let left = deadline.map_or(Duration::MAX, |deadline| deadline.at.saturating_duration_since(Instant::now()));
    if left < hop.timeouts.first_byte { (left, Phase::Total) } else { (hop.timeouts.first_byte, Phase::FirstByte) }
}

/// How long to wait before another attempt, or none when this outcome stands.
fn wait_before_next(
    hop: &Request,
    attempt: u32,
    outcome: &Result<reqwest::Response, Error>,
    deadline: Option<Deadline>,
) -> Option<Duration> {
    let retry_after = match outcome {
        Ok(answer) if retry::is_retryable_status(answer.status()) => retry::retry_after(answer.headers()),
        Err(error) if retry::is_retryable_error(error, &hop.method) => None,
        _ => return None,
    };
    let wait = hop.retry.wait(attempt, retry_after)?;
    // An answer now is better than a time-out later.
    let in_time = deadline.is_none_or(|deadline| Instant::now() + wait < deadline.at);
    in_time.then_some(wait)
}

fn receive(hop: &Request, mut answer: reqwest::Response, deadline: Option<Deadline>) -> Result<Response, Error> {
    let limit_bytes = hop.max_response_bytes;
    let has_body = hop.method != Method::HEAD;
    if has_body && content_length(answer.headers()).is_some_and(|length| length > limit_bytes) {
        return Err(Error::TooLarge { place: place(&hop.url), limit_bytes });
    }
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    Ok(Response { status, headers, body: Body::new(hop, answer, deadline) })
}

fn read_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Error> {
    let reading = || format!("reading the certificates in {}", path.display());
    let pem = std::fs::read(path).map_err(|error| setup(reading(), error))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| setup(reading(), error))
}

fn setup(what: impl Into<String>, cause: impl Into<Cause>) -> Error {
    Error::Setup { what: what.into(), cause: cause.into() }
}
