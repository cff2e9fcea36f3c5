//! Takes what exporters send: within bounds, off the threads that answer, and acknowledged only when it is on disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::try_join_all;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::RwLock;
use qd_base::{ProjectName, Timestamp};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::otlp::read::{Origin, Reader};
use crate::otlp::wire::{Compression, Encoding, decode};
use crate::otlp::{Refusal, Signal, Taken, logs, metrics, spread};
use crate::table::{SPANS, SpanRows};
use crate::{Error, PriceTable, Recorder, Span, SpanKind, large};

/// The bound in bytes is counted in units of this size, so that it fits a semaphore.
const UNIT_BYTES: usize = 1 << 10;
/// Rows of one batch, and about how many bytes: larger requests become several batches.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: usize = 8 << 20;
/// Who is refused for want of room may come again after this long.
const RETRY_AFTER_MS: u64 = 1_000;
/// Reasons for rejected records that one answer tells.
const MOST_REASONS: usize = 5;

/// How much an [`Intake`] holds at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeConfig {
    /// Bytes of requests that are being read, decoded or committed; more are refused.
    pub queue_bytes: usize,
    /// The largest request, decompressed.
    pub message_bytes: usize,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self { queue_bytes: 64 << 20, message_bytes: 32 << 20 }
    }
}

/// What has become of what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct IntakeStats {
    /// Spans, log records and data points that were acknowledged.
    pub accepted: u64,
    /// Those that were not taken, and never will be.
    pub rejected: u64,
    /// Requests that were to come again, since there was no room.
    pub refused_requests: u64,
    /// Bytes of requests that are being taken now.
    pub in_flight_bytes: usize,
}

/// Takes OTLP's three signals. Clones share one bound.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    recorder: Recorder,
    prices: RwLock<Arc<PriceTable>>,
    config: IntakeConfig,
    room: Arc<Semaphore>,
    /// Requests that are being decoded.
    turns: Semaphore,
    accepted: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
}

/// A place for a request that is coming in, given back when it is dropped.
pub struct Place {
    intake: Intake,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Place {
    /// Makes room for so many more bytes.
    ///
    /// # Errors
    /// As [`Place::hold`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.hold(self.bytes.saturating_add(bytes))
    }

    /// Makes room for so many bytes in all; what is held already stays.
    ///
    /// # Errors
    /// [`Refusal::Full`] when there is none, [`Refusal::TooLarge`] when the request is larger than any may be.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let limit_bytes = self.intake.0.config.message_bytes;
        if bytes > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes });
        }
        self.bytes = self.bytes.max(bytes);
        let wanted = self.bytes.div_ceil(UNIT_BYTES);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(held).and_then(|more| u32::try_from(more).ok()).filter(|more| *more > 0)
        else {
            return Ok(());
        };
        let permit = Arc::clone(&self.intake.0.room).try_acquire_many_owned(more).map_err(|_| self.intake.full())?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

/// A request as it came.
pub struct Request {
    /// What it holds.
    pub signal: Signal,
    /// Whose it is.
    pub project: ProjectName,
    /// Its bytes.
    pub bytes: Bytes,
    /// How they are written.
    pub encoding: Encoding,
    /// How they are compressed.
    pub compression: Compression,
}

/// What a request came to, before it is on disk.
#[derive(Default)]
struct Prepared {
    batches: Vec<(&'static str, RecordBatch)>,
    payloads: Vec<Bytes>,
    /// The calls of models without their payloads, to be counted.
    calls: Vec<Span>,
    /// The spans, when somebody follows them live.
    followed: Vec<Arc<Span>>,
    spans: u64,
    taken: Taken,
}

impl Intake {
    /// An intake whose rows go where those of `recorder` go.
    pub fn new(recorder: Recorder, prices: Arc<PriceTable>, config: IntakeConfig) -> Self {
        let units = (config.queue_bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        // One processor is left to those who ask meanwhile.
        let readers = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
        Self(Arc::new(Inner {
            recorder,
            prices: RwLock::new(prices),
            config,
            room: Arc::new(Semaphore::new(units)),
            turns: Semaphore::new(readers),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// A place for a request, which has no room yet.
    pub fn place(&self) -> Place {
        Place { intake: self.clone(), permit: None, bytes: 0 }
    }

    /// The largest request, decompressed.
    pub fn message_bytes(&self) -> usize {
        self.0.config.message_bytes
    }

    /// Puts other prices in force for what comes from now on.
    pub fn set_prices(&self, prices: Arc<PriceTable>) {
        *self.0.prices.write() = prices;
    }

    /// What has become of what was sent.
    pub fn stats(&self) -> IntakeStats {
        let inner = &self.0;
        let units = (inner.config.queue_bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        IntakeStats {
            accepted: inner.accepted.load(Ordering::Relaxed),
            rejected: inner.rejected.load(Ordering::Relaxed),
            refused_requests: inner.refused.load(Ordering::Relaxed),
            in_flight_bytes: units.saturating_sub(inner.room.available_permits()) * UNIT_BYTES,
        }
    }

    /// Takes a request and resolves when all of it that can be taken is on disk.
    ///
    /// # Errors
    /// A [`Refusal`]; then nothing of it was acknowledged.
    pub async fn take(&self, request: Request, mut place: Place) -> Result<Taken, Refusal> {
        place.hold(request.bytes.len())?;
        let prepared = {
            let _turn = self.0.turns.acquire().await.map_err(|_| self.full())?;
            let intake = self.clone();
            let prepare = move || intake.prepare(request, &mut place).map(|prepared| (prepared, place));
            self.0.recorder.lake().behind("reading telemetry", prepare).await.map_err(Error::Append)?
        };
        let (prepared, place) = prepared?;
        // A sender that leaves does not stop it: rows that are queued will be on disk, and until then their payloads must
        // not be swept. The place is given back when they are: until then they are in memory.
        let intake = self.clone();
        let storing = tokio::spawn(async move {
            let _place = place;
            intake.store(prepared).await
        });
        let broken = |_| Refusal::Failed(Error::Append(qd_lake::Error::Broken { operation: "storing telemetry" }));
        storing.await.map_err(broken)?
    }

    async fn store(&self, prepared: Prepared) -> Result<Taken, Refusal> {
        let Prepared { batches, payloads, calls, followed, spans, taken } = prepared;
        let recorder = &self.0.recorder;
        // Held until the rows that name them are on disk, so that nobody sweeps them meanwhile.
        let writing = recorder.blobs().writing();
        for payload in payloads {
            writing.put(payload).await.map_err(Error::Append)?;
        }
        // All are queued before the first is waited for, so that they share a commit.
        let queued: Vec<_> = batches
            .into_iter()
            .map(|(table, batch)| recorder.lake().enqueue(table, batch))
            .collect::<Result<_, _>>()
            .map_err(|cause| self.not_queued(cause))?;
        try_join_all(queued).await.map_err(Error::Append)?;
        recorder.note_appended(spans, &calls, &followed);
        self.0.accepted.fetch_add(taken.accepted, Ordering::Relaxed);
        self.0.rejected.fetch_add(taken.rejected, Ordering::Relaxed);
        Ok(taken)
    }

    fn not_queued(&self, cause: qd_lake::Error) -> Refusal {
        match cause {
            qd_lake::Error::Full { retry_after_ms } => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                Refusal::Full { retry_after_ms: retry_after_ms.max(RETRY_AFTER_MS) }
            }
            qd_lake::Error::TooLarge { limit_bytes, .. } => Refusal::TooLarge { limit_bytes },
            cause => Refusal::Failed(Error::Append(cause)),
        }
    }

    fn full(&self) -> Refusal {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Refusal::Full { retry_after_ms: RETRY_AFTER_MS }
    }

    fn prepare(&self, request: Request, place: &mut Place) -> Result<Prepared, Refusal> {
        let Request { signal, project, bytes, encoding, compression } = request;
        let bytes = compression.open(bytes, self.0.config.message_bytes)?;
        place.hold(bytes.len())?;
        let prices = Arc::clone(&self.0.prices.read());
        let reader = Reader { project: &project, prices: &prices, now: Timestamp::now() };
        prepare(signal, encoding, &bytes, &reader, self.0.recorder.is_followed())
    }
}

/// What a request would come to, for tests that make requests up: it is decoded and read, and goes nowhere.
///
/// # Errors
/// A [`Refusal`] that [`Intake::take`] would give too.
pub fn rehearse(
    signal: Signal,
    encoding: Encoding,
    compression: Compression,
    request: &[u8],
) -> Result<Taken, Refusal> {
    let bytes = compression.open(Bytes::copy_from_slice(request), IntakeConfig::default().message_bytes)?;
    static PRICES: LazyLock<PriceTable> = LazyLock::new(PriceTable::built_in);
    let project = "rehearsal".parse().expect("the constant is a valid name");
    let reader = Reader { project: &project, prices: &PRICES, now: Timestamp::now() };
    prepare(signal, encoding, &bytes, &reader, false).map(|prepared| prepared.taken)
}

fn prepare(
    signal: Signal,
    encoding: Encoding,
    bytes: &Bytes,
    reader: &Reader<'_>,
    followed: bool,
) -> Result<Prepared, Refusal> {
    match signal {
        Signal::Traces => {
            let request: ExportTraceServiceRequest = decode(bytes, encoding, signal)?;
            spread::traces(&request)?;
            Making { followed, ..Making::default() }.all(request, reader)
        }
        Signal::Logs => {
            let request: ExportLogsServiceRequest = decode(bytes, encoding, signal)?;
            spread::logs(&request)?;
            logs::rows(request, reader).map(|(batch, taken)| Prepared::of(logs::LOGS, batch, taken))
        }
        Signal::Metrics => {
            let request: ExportMetricsServiceRequest = decode(bytes, encoding, signal)?;
            spread::metrics(&request)?;
            metrics::rows(request, reader).map(|(batch, taken)| Prepared::of(metrics::METRICS, batch, taken))
        }
    }
}

impl Prepared {
    fn of(table: &'static str, batch: RecordBatch, taken: Taken) -> Self {
        let batches = if batch.num_rows() == 0 { Vec::new() } else { vec![(table, batch)] };
        Self { batches, taken, ..Self::default() }
    }
}

/// The rows of a request's spans.
#[derive(Default)]
struct Making {
    rows: SpanRows,
    bytes: usize,
    followed: bool,
    rejections: Rejections,
    made: Prepared,
}

impl Making {
    fn all(mut self, request: ExportTraceServiceRequest, reader: &Reader<'_>) -> Result<Prepared, Refusal> {
        for resource in request.resource_spans {
            let mut origin = Origin::of(resource.resource);
            for scope in resource.scope_spans {
                origin.within(scope.scope);
                for told in scope.spans {
                    self.add(reader.span(told, &origin))?;
                }
            }
        }
        self.finish()
    }

    fn add(&mut self, span: Result<Span, super::read::Refused>) -> Result<(), Refusal> {
        let span = match span {
            Ok(span) => span,
            Err(refused) => {
                self.rejections.add(refused.as_str());
                return Ok(());
            }
        };
        let blobs = large::place(&span, &mut self.made.payloads);
        self.bytes += span.size_bytes();
        self.rows.append(&span, blobs);
        self.made.spans += 1;
        let is_call = SpanKind::CALLS.contains(&span.kind);
        if self.followed {
            self.made.followed.push(Arc::new(span.clone()));
        }
        if is_call {
            self.made.calls.push(Span { parameters: None, input: None, output: None, ..span });
        }
        if self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.cut()?;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), Refusal> {
        self.bytes = 0;
        if !self.rows.is_empty() {
            let batch = self.rows.finish().map_err(|cause| Refusal::Failed(Error::Build(cause)))?;
            self.made.batches.push((SPANS, batch));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Prepared, Refusal> {
        self.cut()?;
        self.made.taken = self.rejections.taken(self.made.spans);
        Ok(self.made)
    }
}

/// Why records were not taken, each reason once.
#[derive(Default)]
pub(crate) struct Rejections {
    rejected: u64,
    reasons: Vec<(&'static str, u64)>,
}

impl Rejections {
    pub fn add(&mut self, why: &'static str) {
        self.rejected += 1;
        if let Some((_, count)) = self.reasons.iter_mut().find(|(reason, _)| *reason == why) {
            *count += 1;
        } else if self.reasons.len() < MOST_REASONS {
            self.reasons.push((why, 1));
        }
    }

    pub fn taken(self, accepted: u64) -> Taken {
        let reasons: Vec<String> = self.reasons.iter().map(|(why, count)| format!("{count} rejected: {why}")).collect();
        Taken { accepted, rejected: self.rejected, message: reasons.join("; ") }
    }
}
