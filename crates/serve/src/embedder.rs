//! One loaded embedding model: a thread that joins concurrent requests into batches.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use qd_base::embedding::Embeddings;
use qd_base::{ModelName, Usage};
use qd_tensor::{Embedded, Embedder, Encoded};
use tokio::sync::{oneshot, watch};

use crate::error::{Error, Result};
use crate::options::ModelOptions;
use crate::seats::{Seat, Seats};
use crate::stats::{Counters, ModelStats};

/// The most texts of one request, as OpenAI has it.
const MAX_TEXTS: usize = 2048;
/// Texts that are computed together: more requests wait for the next batch.
const BATCH_TEXTS: usize = 256;
/// The most texts of one request whose tokens are wanted: with 512 tokens of 1,024 numbers each has 2 MiB.
const MAX_ENCODED: usize = 64;
/// The most texts that are only read as tokens at once.
const MAX_READ: usize = 4096;

/// A loaded embedding model.
pub(crate) struct EmbedderHandle {
    requests: Sender<Request>,
    /// The same that the thread has, for what is not joined into batches.
    embedder: Arc<Embedder>,
    seats: Arc<Seats>,
    counters: Arc<Counters>,
    context: usize,
    stopped: watch::Receiver<bool>,
}

enum Request {
    Embed(Job),
    Finish,
}

struct Job {
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Embeddings>>,
    /// Given back when the job is dropped.
    _seat: Seat,
}

impl EmbedderHandle {
    /// Loads the weights and starts the thread.
    pub fn open(name: &ModelName, dir: &Path, options: &ModelOptions) -> Result<Self> {
        let failed = |cause| Error::Load { name: name.clone(), path: dir.to_owned(), cause };
        let embedder = Arc::new(Embedder::load(dir).map_err(|cause| failed(Box::new(cause)))?);
        let context = embedder.max_tokens();
        let counters = Arc::new(Counters::default());
        let (requests, received) = channel();
        let (stopping, stopped) = watch::channel(false);
        let (thread_embedder, thread_counters) = (Arc::clone(&embedder), counters.clone());
        std::thread::Builder::new()
            .name("qd-embed".to_owned())
            .spawn(move || {
                // However it ends, it has stopped.
                let _ =
                    std::panic::catch_unwind(AssertUnwindSafe(|| serve(&thread_embedder, &received, &thread_counters)));
                let _ = stopping.send(true);
            })
            .map_err(|cause| failed(Box::new(cause)))?;
        Ok(Self { requests, embedder, seats: Seats::new(options.queue.max(1)), counters, context, stopped })
    }

    /// Whether its thread has ended, so that it will never answer again.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub fn context(&self) -> usize {
        self.context
    }

    pub fn stats(&self) -> ModelStats {
        self.counters.read()
    }

    /// Embeds texts; the vectors come in their order.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Embeddings> {
        if texts.is_empty() || texts.len() > MAX_TEXTS {
            return Err(Error::invalid("input", format!("there must be between 1 and {MAX_TEXTS} texts")));
        }
        let seat = self.seat()?;
        let (reply, answer) = oneshot::channel();
        let gone =
            || Error::backend("embedding", "the embedding thread has stopped; the next request loads the model again");
        self.requests.send(Request::Embed(Job { texts, reply, _seat: seat })).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The vectors of all tokens of some texts. It computes on the thread that calls.
    pub fn encode(&self, texts: &[String], layer: Option<usize>) -> Result<Vec<Encoded>> {
        self.compute(texts, MAX_ENCODED, |embedder| embedder.encode(texts, layer))
    }

    /// The tokens of some texts. It computes on the thread that calls.
    pub fn tokens(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        self.compute(texts, MAX_READ, |embedder| embedder.tokens(texts))
    }

    fn compute<T>(
        &self,
        texts: &[String],
        most: usize,
        work: impl FnOnce(&Embedder) -> std::result::Result<T, qd_tensor::Error>,
    ) -> Result<T> {
        if texts.len() > most {
            return Err(Error::invalid("input", format!("there are at most {most} texts in one request")));
        }
        let _seat = self.seat()?;
        work(&self.embedder).map_err(|cause| match cause {
            qd_tensor::Error::Layer { .. } => Error::invalid("layer", cause.to_string()),
            cause => Error::backend("encoding", cause),
        })
    }

    fn seat(&self) -> Result<Seat> {
        let full = || Error::QueueFull { retry_after_ms: self.counters.retry_after_ms(self.seats.taken(), 1) };
        self.seats.take(1).and_then(|mut seats| seats.pop()).ok_or_else(full)
    }

    /// Lets accepted requests finish and waits for the thread to end.
    pub async fn finish(&self) {
        let _ = self.requests.send(Request::Finish);
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }
}

fn serve(embedder: &Embedder, requests: &Receiver<Request>, counters: &Counters) {
    while let Ok(request) = requests.recv() {
        let (jobs, finish) = collect(request, requests);
        for batch in batches(jobs) {
            compute(embedder, batch, counters);
        }
        if finish {
            return;
        }
    }
}

/// The request and all that already wait behind it, and whether the end was asked for.
fn collect(first: Request, requests: &Receiver<Request>) -> (Vec<Job>, bool) {
    let mut jobs = Vec::new();
    let mut next = Some(first);
    while let Some(request) = next {
        match request {
            // Nobody waits for a job whose caller is gone.
            Request::Embed(job) if job.reply.is_closed() => {}
            Request::Embed(job) => jobs.push(job),
            Request::Finish => return (jobs, true),
        }
        next = requests.try_recv().ok();
    }
    (jobs, false)
}

/// Groups jobs so that a group has about [`BATCH_TEXTS`] texts; a larger job is a group of its own.
fn batches(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut batches: Vec<Vec<Job>> = Vec::new();
    let mut texts = BATCH_TEXTS;
    for job in jobs {
        texts += job.texts.len();
        if texts > BATCH_TEXTS {
            texts = job.texts.len();
            batches.push(Vec::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.push(job);
        }
    }
    batches
}

/// Computes a group. When it fails, each job is computed by itself, so that one text that is too long fails
/// only the request that it came with.
fn compute(embedder: &Embedder, batch: Vec<Job>, counters: &Counters) {
    let started = Instant::now();
    let texts: Vec<String> = batch.iter().flat_map(|job| job.texts.iter().cloned()).collect();
    match embed(embedder, &texts) {
        Ok(embedded) => {
            Counters::add(&counters.prompt_tokens, embedded.tokens.iter().sum());
            Counters::add(&counters.finished, batch.len());
            counters.step(started.elapsed(), 0);
            distribute(batch, embedded);
        }
        Err(_) if batch.len() > 1 => batch.into_iter().for_each(|job| compute(embedder, vec![job], counters)),
        Err(error) => {
            if let Some(job) = batch.into_iter().next() {
                // A caller that is gone does not need to know.
                let _ = job.reply.send(Err(error));
            }
        }
    }
}

/// Computes embeddings. A panic fails this request and not the thread: the embedder has no mutable state.
fn embed(embedder: &Embedder, texts: &[String]) -> Result<Embedded> {
    let computed = std::panic::catch_unwind(AssertUnwindSafe(|| embedder.embed(texts, false)));
    match computed {
        Ok(Ok(embedded)) => Ok(embedded),
        Ok(Err(qd_tensor::Error::TooLong { index, tokens, limit })) => {
            let message = format!("has {tokens} tokens, the model reads at most {limit}");
            Err(Error::invalid(format!("input[{index}]"), message))
        }
        Ok(Err(error)) => Err(Error::backend("embedding", error)),
        Err(_) => Err(Error::backend("embedding", "the computation panicked")),
    }
}

fn distribute(batch: Vec<Job>, embedded: Embedded) {
    let mut vectors = embedded.vectors.into_iter();
    let mut tokens = embedded.tokens.into_iter();
    for job in batch {
        let count = job.texts.len();
        let vectors = vectors.by_ref().take(count).collect();
        let input_tokens = tokens.by_ref().take(count).map(|tokens| tokens as u64).sum();
        let usage = Usage { input_tokens, ..Usage::default() };
        let _ = job.reply.send(Ok(Embeddings { vectors, usage }));
    }
}
