//! Sends one message to one receiver, signed, through `net` and so within its address policy.

use std::time::{Duration, Instant};

use qd_base::{AlertEventId, AlertName, ProjectId, Secret, Timestamp};
use qd_catalog::alert::receiver::secret_key;
use qd_catalog::{Delivery, DeliveryEnding};
use qd_net::{HeaderName, HeaderValue, Request, RetryPolicy, StatusCode, Timeouts, Url};
use serde_json::json;

use crate::message::Message;
use crate::signature::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::{Alerts, Error, Result};

/// How long a receiver may take to begin its answer, and in all: Standard Webhooks, "Timeouts", asks for 15 to 30 s.
const FIRST_BYTE: Duration = Duration::from_secs(15);
const TOTAL: Duration = Duration::from_secs(20);
/// More of an answer is not read; what it says is of no interest.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// Attempts before a message is given up: about seven hours.
pub const MAX_ATTEMPTS: u32 = 8;
/// The wait before the second attempt, each further one being so many times as long, up to a limit.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const WAIT_GROWTH: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 3_600);

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The status that the receiver answered with, if it answered.
    pub status: Option<u16>,
    /// What went wrong, if it did. It names no more of the URL than its host.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// For how long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// One message on its way.
struct Letter<'a> {
    id: String,
    url: &'a str,
    body: Vec<u8>,
    secret: Secret,
}

impl Alerts {
    /// Sends a test to a receiver and records how it fared.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is no such receiver. That it does not answer is no error.
    pub async fn test(&self, project: ProjectId, receiver: &AlertName, now: Timestamp) -> Result<Sent> {
        let found = self.catalog.receiver(project, receiver).await?;
        let secret = self.catalog.receiver_secret(project, receiver).await?;
        let name = self.catalog.project_by_id(project).await?.name;
        let (id, facts) = (AlertEventId::new(), json!({}));
        let body = written(&Message::test(id, now, name.as_str(), &facts));
        let sent = self.send(Letter { id: id.to_string(), url: found.spec.url.as_str(), body, secret }, now).await;
        self.catalog.record_test(project, receiver, now, sent.error.as_deref()).await?;
        Ok(sent)
    }

    /// Attempts a delivery and records what it came to.
    ///
    /// # Errors
    /// [`Error::Catalog`] when that cannot be recorded: then the message is sent again.
    pub async fn deliver(&self, delivery: &Delivery, now: Timestamp) -> Result<DeliveryEnding> {
        let ending = match self.letter(delivery).await {
            Ok(letter) => ending(&self.send(letter, now).await, delivery.attempts + 1, now),
            Err(error) => later(error.chain(), delivery.attempts + 1, now, None),
        };
        self.catalog.record_delivery(delivery, now, &ending).await?;
        Ok(ending)
    }

    async fn letter<'a>(&self, delivery: &'a Delivery) -> Result<Letter<'a>> {
        let event = &delivery.event;
        let secret = self.catalog.receiver_secret(event.project, &delivery.receiver).await?;
        let project = self.catalog.project_by_id(event.project).await?.name;
        let body = written(&Message::of(event, project.as_str()));
        Ok(Letter { id: event.id.to_string(), url: delivery.url.as_str(), body, secret })
    }

    async fn send(&self, letter: Letter<'_>, now: Timestamp) -> Sent {
        let began = Instant::now();
        let answered = match request(&letter, now) {
            Ok(request) => self.net.request(request).await.map_err(|error| in_words(&error)),
            Err(error) => Err(error.chain()),
        };
        let took = began.elapsed();
        match answered {
            Ok(answer) if answer.status.is_success() => {
                Sent { status: Some(answer.status.as_u16()), error: None, took, retry_after: None }
            }
            Ok(answer) => Sent {
                status: Some(answer.status.as_u16()),
                error: Some(format!("it answered {}", answer.status)),
                took,
                retry_after: qd_net::retry::retry_after(&answer.headers),
            },
            Err(error) => Sent { status: None, error: Some(error), took, retry_after: None },
        }
    }
}

fn written(message: &Message<'_>) -> Vec<u8> {
    // Made of texts and numbers that JSON has.
    serde_json::to_vec(message).unwrap_or_default()
}

fn request(letter: &Letter<'_>, now: Timestamp) -> Result<Request> {
    let url = Url::parse(letter.url).map_err(|cause| Error::Stored { why: format!("its URL: {cause}") })?;
    let key = secret_key(&letter.secret)?;
    let signature = sign(&key, &letter.id, now.as_secs(), &letter.body);
    let mut request = Request::post(url, letter.body.clone());
    for (name, value) in
        [(ID_HEADER, letter.id.clone()), (TIMESTAMP_HEADER, now.as_secs().to_string()), (SIGNATURE_HEADER, signature)]
    {
        let value = HeaderValue::try_from(value).map_err(|cause| Error::Stored { why: cause.to_string() })?;
        request = request.header(HeaderName::from_static(name), value);
    }
    Ok(Request {
        timeouts: Timeouts { first_byte: FIRST_BYTE, idle: FIRST_BYTE, total: Some(TOTAL) },
        retry: RetryPolicy::none(),
        redirects: 0,
        max_response_bytes: MAX_ANSWER_BYTES,
        ..request
    })
}

/// What went wrong, without the path of the URL: it may be what the receiver knows us by.
fn in_words(error: &qd_net::Error) -> String {
    use qd_net::Error as Net;
    match error {
        Net::Refused { refusal, .. } => format!("{refusal}; the operator can allow it in `[net] allow`"),
        Net::Connect { .. } => "no connection came about".to_owned(),
        Net::Timeout { phase, after_ms, .. } => format!("it took longer than {after_ms} ms {phase}"),
        Net::Broken { .. } => "the connection broke".to_owned(),
        Net::TooLarge { limit_bytes, .. } => format!("it answered with more than {limit_bytes} bytes"),
        Net::Redirect { reason, .. } => format!("it redirects, and {reason}"),
        Net::Status { status, .. } => format!("it answered {status}"),
        Net::PolicyEntry { .. } | Net::Setup { .. } => "it could not be sent".to_owned(),
    }
}

/// What an attempt is recorded as. 410 is for a receiver that wants nothing more: Standard Webhooks, "Response codes".
fn ending(sent: &Sent, attempts: u32, now: Timestamp) -> DeliveryEnding {
    match &sent.error {
        None => DeliveryEnding::Delivered,
        Some(error) if sent.status == Some(StatusCode::GONE.as_u16()) => {
            DeliveryEnding::Failed { error: format!("{error}; it was switched off"), gone: true }
        }
        Some(error) => later(error.clone(), attempts, now, sent.retry_after),
    }
}

fn later(error: String, attempts: u32, now: Timestamp, asked: Option<Duration>) -> DeliveryEnding {
    if attempts >= MAX_ATTEMPTS {
        return DeliveryEnding::Failed { error: format!("{error}; given up after {attempts} attempts"), gone: false };
    }
    let wait = wait_after(attempts).max(asked.unwrap_or_default().min(LONGEST_WAIT));
    DeliveryEnding::Retry { at: now.saturating_add(wait), error }
}

/// How long to wait after so many attempts.
fn wait_after(attempts: u32) -> Duration {
    let growth = WAIT_GROWTH.saturating_pow(attempts.saturating_sub(1));
    FIRST_WAIT.saturating_mul(growth).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(status: Option<u16>, retry_after_s: u64) -> Sent {
        let error = (status != Some(200)).then(|| "it answered".to_owned());
        let retry_after = (retry_after_s > 0).then(|| Duration::from_secs(retry_after_s));
        Sent { status, error, took: Duration::ZERO, retry_after }
    }

    #[test]
    fn waits_grow_and_end() {
        let now = Timestamp::from_secs(1_000);
        let mut waits = Vec::new();
        for attempts in 1.. {
            match ending(&sent(Some(500), 0), attempts, now) {
                DeliveryEnding::Retry { at, .. } => waits.push(at.since(now).as_secs()),
                DeliveryEnding::Failed { error, gone } => {
                    assert!(error.contains("8 attempts") && !gone, "{error}");
                    break;
                }
                DeliveryEnding::Delivered => panic!("it was not"),
            }
        }
        assert_eq!(waits, [5, 20, 80, 320, 1_280, 5_120, 18_000]);
    }

    #[test]
    fn a_receiver_is_heeded() {
        let now = Timestamp::from_secs(0);
        assert_eq!(ending(&sent(Some(200), 0), 1, now), DeliveryEnding::Delivered);
        assert!(matches!(ending(&sent(Some(410), 0), 1, now), DeliveryEnding::Failed { gone: true, .. }));
        let at = |ending| match ending {
            DeliveryEnding::Retry { at, .. } => at.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(ending(&sent(Some(429), 60), 1, now)), 60);
        assert_eq!(at(ending(&sent(Some(429), 1), 1, now)), 5, "not sooner than we would");
        assert_eq!(at(ending(&sent(Some(429), 1_000_000), 1, now)), 18_000, "not later than we ever would");
        assert_eq!(at(ending(&sent(None, 0), 2, now)), 20);
    }
}
