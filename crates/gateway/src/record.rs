//! How calls become trace rows without anyone waiting: a queue bounded in bytes, and one task that empties it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use qd_trace::{Mode, PriceTable, Recorder};
use tokio::sync::{mpsc, oneshot};

use crate::capture::Capture;
use crate::error::{Error, Result};
use crate::exchange::{Ending, Exchange, Seen};
use crate::provider::Told;
use crate::row;
use crate::sse::Event;

/// After a batch the task rests this long: calls gather meanwhile, and one wake-up serves many of them.
const REST: Duration = Duration::from_millis(2);
/// The most calls taken at once.
const BATCH: usize = 512;

/// Where finished calls go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scribe {
    queue: mpsc::UnboundedSender<Note>,
    shared: Arc<Shared>,
}

struct Shared {
    recorder: Recorder,
    prices: RwLock<Arc<PriceTable>>,
    queued_bytes: AtomicUsize,
    limit_bytes: usize,
    dropped: AtomicU64,
}

enum Note {
    Call(Box<Exchange>),
    /// Answered when everything before it has been handed on.
    Drain(oneshot::Sender<()>),
}

impl Scribe {
    /// Starts the task; it ends when the last clone is gone.
    pub fn start(recorder: Recorder, prices: Arc<PriceTable>, limit_bytes: usize) -> Self {
        let (queue, notes) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            recorder,
            prices: RwLock::new(prices),
            queued_bytes: AtomicUsize::new(0),
            limit_bytes,
            dropped: AtomicU64::new(0),
        });
        tokio::spawn(write_rows(shared.clone(), notes));
        Self { queue, shared }
    }

    /// Begins to record a call.
    pub fn begin(&self, exchange: Exchange) -> Recording {
        Recording { exchange: Some(Box::new(exchange)), scribe: self.clone() }
    }

    /// The prices of calls that end now.
    pub fn prices(&self) -> Arc<PriceTable> {
        self.shared.prices.read().clone()
    }

    /// The prices of calls that end from now on.
    pub fn set_prices(&self, prices: Arc<PriceTable>) {
        *self.shared.prices.write() = prices;
    }

    /// Calls that left no row because too many were waiting to become one.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every call that has ended is with the recorder.
    pub async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        if self.queue.send(Note::Drain(done)).is_ok() {
            // The task only goes away with the runtime, and then nobody waits.
            let _ = drained.await;
        }
    }

    fn take(&self, exchange: Box<Exchange>) {
        let size_bytes = exchange.size_bytes();
        let queued = self.shared.queued_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        if queued + size_bytes > self.shared.limit_bytes || self.queue.send(Note::Call(exchange)).is_err() {
            self.shared.queued_bytes.fetch_sub(size_bytes, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write_rows(shared: Arc<Shared>, mut notes: mpsc::UnboundedReceiver<Note>) {
    let mut batch = Vec::with_capacity(BATCH);
    while notes.recv_many(&mut batch, BATCH).await > 0 {
        let full = batch.len() == BATCH;
        for note in batch.drain(..) {
            shared.write(note);
        }
        if !full {
            tokio::time::sleep(REST).await;
        }
    }
}

impl Shared {
    fn write(&self, note: Note) {
        match note {
            Note::Call(exchange) => {
                self.queued_bytes.fetch_sub(exchange.size_bytes(), Ordering::Relaxed);
                let prices = self.prices.read().clone();
                self.recorder.record(row::span(*exchange, &prices));
            }
            // Whoever asked may have gone.
            Note::Drain(done) => drop(done.send(())),
        }
    }
}

/// A call being recorded. When it is dropped before it has ended, it was cancelled.
pub(crate) struct Recording {
    exchange: Option<Box<Exchange>>,
    scribe: Scribe,
}

impl Recording {
    /// What has been seen so far.
    pub fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("a recording holds its exchange until it ends, and ending consumes it")
    }

    /// The same, to write in.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        self.exchange.as_mut().expect("a recording holds its exchange until it ends, and ending consumes it")
    }

    /// A whole answer has come.
    pub fn whole(&mut self, body: Bytes, told: Option<Told>) {
        let exchange = self.exchange_mut();
        exchange.seen = Seen::Whole(body);
        exchange.told = told;
    }

    /// A stream has begun.
    pub fn capture(&mut self, limit_bytes: usize) {
        let exchange = self.exchange_mut();
        exchange.seen = Seen::Events(Box::new(Capture::new(exchange.call.endpoint, limit_bytes)));
    }

    /// An event of it has come.
    pub fn event(&mut self, event: &Event) {
        if let Seen::Events(capture) = &mut self.exchange_mut().seen {
            capture.push(event);
        }
    }

    /// The local engine has said how it went.
    pub fn told(&mut self, told: Told) {
        self.exchange_mut().told = Some(told);
    }

    /// The call has its answer. In sync mode returns when the row is durable.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] in sync mode when it is not: the caller must not be told that all went well.
    pub async fn answered(self) -> Result<()> {
        self.end(Ending::Answered).await
    }

    /// The call has failed. That its row is lost as well is counted and logged: the caller has an error already.
    pub async fn failed(self, error: &Error) {
        if let Err(unrecorded) = self.end(Ending::Failed(error.failure())).await {
            tracing::error!(error = unrecorded.chain(), "a failed call could not be recorded");
        }
    }

    async fn end(mut self, ending: Ending) -> Result<()> {
        let Some(mut exchange) = self.exchange.take() else { return Ok(()) };
        exchange.took = exchange.began.elapsed();
        exchange.ending = ending;
        let shared = &self.scribe.shared;
        if shared.recorder.mode() == Mode::Async {
            self.scribe.take(exchange);
            return Ok(());
        }
        let prices = shared.prices.read().clone();
        let span = row::span(*exchange, &prices);
        // A client that leaves meanwhile takes this future with it, and the row; then it has to be counted.
        let uncounted = CountIfDropped(Some(&shared.dropped));
        let recorded = shared.recorder.record_durable(span).await;
        uncounted.defuse();
        recorded.map_err(Error::Unrecorded)
    }
}

/// Counts a lost row unless it is told in time that there is none.
struct CountIfDropped<'a>(Option<&'a AtomicU64>);

impl CountIfDropped<'_> {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for CountIfDropped<'_> {
    fn drop(&mut self) {
        if let Some(dropped) = self.0 {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.took = exchange.began.elapsed();
            self.scribe.take(exchange);
        }
    }
}
