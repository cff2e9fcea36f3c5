//! Exporters that send traces and tell what became of each request: acknowledged, refused, or failed.
//!
//! In a closed loop every connection sends its next request when the last is settled, and tries a refused one again as the
//! protocol asks; in an open loop requests are sent when they are due, and a refused one is given up and counted.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;
use crate::connection::Connection;
use crate::summary::{micros, percentiles};
use crate::traffic::Traffic;

/// A refused request is tried again after so long when the answer names no time.
const RETRY: Duration = Duration::from_millis(200);
/// A request that was refused so often in a row is given up.
const TRIES: u32 = 300;

/// The settings of a run.
pub(crate) struct Export {
    pub address: String,
    /// The request's head without its length and the empty line.
    pub head: String,
    pub traffic: Traffic,
    pub connections: usize,
    /// Requests to send at most; each has a number, from `first` on.
    pub requests: u64,
    pub first: u64,
    /// Requests are sent for so long at most.
    pub limit: Option<Duration>,
    /// Requests per second of an open loop.
    pub rate: Option<f64>,
    /// Traces begin evenly from and until these times, in Unix nanoseconds; else when they are sent.
    pub between: Option<(u64, u64)>,
    /// Where the numbers of acknowledged requests are written, one a line.
    pub acknowledged: Option<PathBuf>,
}

/// Sends everything and tells what came back.
///
/// # Errors
/// [`Error::Network`] when nothing listens, or the list of acknowledged requests cannot be written.
pub(crate) async fn drive(export: Export) -> Result<Value, Error> {
    let address = export.address.clone();
    tokio::net::TcpStream::connect(&address)
        .await
        .map_err(|cause| Error::Network { doing: format!("connecting to {address}"), cause })?;
    let begin = Instant::now();
    let run = Rc::new(Run { export, begin, next: Cell::new(0), outcome: RefCell::default() });
    let senders: Vec<_> = (0..run.export.connections).map(|_| tokio::task::spawn_local(send(run.clone()))).collect();
    for sender in senders {
        // A sender's panic is the run's.
        sender.await.expect("a sender panicked");
    }
    let seconds = begin.elapsed().as_secs_f64();
    let outcome = run.outcome.take();
    outcome.save(run.export.acknowledged.as_ref())?;
    Ok(outcome.summary(run.export.traffic.spans(), seconds))
}

/// What all senders of a run share; they are on one thread.
struct Run {
    export: Export,
    begin: Instant,
    /// Requests that were begun.
    next: Cell<u64>,
    outcome: RefCell<Outcome>,
}

impl Run {
    /// The next request and when it is due, unless the run is over.
    fn claim(&self) -> Option<(u64, Instant)> {
        let number = self.next.get();
        let due = match self.export.rate {
            Some(rate) => self.begin + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        let ended = |limit| due.max(Instant::now()) >= self.begin + limit;
        let over = number >= self.export.requests || self.export.limit.is_some_and(ended);
        (!over).then(|| {
            self.next.set(number + 1);
            (number, due)
        })
    }

    fn write(&self, number: u64, body: &mut Vec<u8>, request: &mut Vec<u8>) {
        let at = match self.export.between {
            Some((from, until)) => {
                let share = number as f64 / self.export.requests.max(1) as f64;
                from + ((until - from) as f64 * share) as u64
            }
            None => now_ns(),
        };
        self.export.traffic.write(self.export.first + number, at, body);
        request.clear();
        request.extend_from_slice(self.export.head.as_bytes());
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
    }
}

async fn send(run: Rc<Run>) {
    let (mut body, mut request) = (Vec::new(), Vec::new());
    let mut connection = Connection::new(&run.export.address);
    while let Some((number, due)) = run.claim() {
        tokio::time::sleep_until(due.into()).await;
        run.write(number, &mut body, &mut request);
        let begin = Instant::now();
        let answer = settle(&run, &mut connection, &request).await;
        run.outcome.borrow_mut().add(run.export.first + number, answer, begin.elapsed());
    }
}

/// Sends until the request is settled; only a closed loop tries again.
async fn settle(run: &Run, connection: &mut Connection, request: &[u8]) -> Answer {
    for _ in 0..TRIES {
        match connection.exchange(request).await.map(|answered| answered.status) {
            Ok(200) => return Answer::Acknowledged,
            Ok(429 | 503) => run.outcome.borrow_mut().refused += 1,
            Ok(status) => return Answer::Failed(Some(status)),
            Err(_) => return Answer::Failed(None),
        }
        if run.export.rate.is_some() {
            return Answer::Refused;
        }
        tokio::time::sleep(RETRY).await;
    }
    Answer::Refused
}

/// What became of a request.
enum Answer {
    Acknowledged,
    Refused,
    /// With the status, if there was an answer.
    Failed(Option<u16>),
}

#[derive(Default)]
struct Outcome {
    acknowledged: Vec<u64>,
    latency_us: Vec<u32>,
    refused: u64,
    given_up: u64,
    failed: u64,
    last_failure: Option<u16>,
}

impl Outcome {
    fn add(&mut self, number: u64, answer: Answer, took: Duration) {
        match answer {
            Answer::Acknowledged => {
                self.acknowledged.push(number);
                self.latency_us.push(micros(took));
            }
            Answer::Refused => self.given_up += 1,
            Answer::Failed(status) => {
                self.failed += 1;
                self.last_failure = status;
            }
        }
    }

    fn save(&self, path: Option<&PathBuf>) -> Result<(), Error> {
        let Some(path) = path else { return Ok(()) };
        let lines: Vec<String> = self.acknowledged.iter().map(u64::to_string).collect();
        std::fs::write(path, lines.join("\n"))
            .map_err(|cause| Error::Network { doing: format!("writing {}", path.display()), cause })
    }

    fn summary(mut self, spans: u64, seconds: f64) -> Value {
        self.latency_us.sort_unstable();
        let acknowledged = self.acknowledged.len() as u64;
        json!({
            "seconds": seconds,
            "spans_each": spans,
            "acknowledged": acknowledged,
            "acknowledged_spans": acknowledged * spans,
            "spans_per_s": (acknowledged * spans) as f64 / seconds,
            "refused": self.refused,
            "given_up": self.given_up,
            "failed": self.failed,
            "last_failure": self.last_failure,
            "latency_us": percentiles(&self.latency_us),
        })
    }
}

fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
