//! Group commit: rows of many appends become durable in one transaction, and only then are acknowledged.
//!
//! Two tasks form a pipeline. One collects what waits and encodes it, the other writes to the catalog; so the
//! next group is encoded while the disk syncs the one before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use qd_base::TableName;
use qd_catalog::{Catalog, NewStaged};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::codec;
use crate::core::Core;
use crate::engine::Engine;
use crate::health::Health;
use crate::queue::{Ack, Pending};
use crate::tables::Tables;

/// Groups smaller than this are encoded where they are collected: handing them to another thread takes longer.
const ENCODE_INLINE_BYTES: usize = 32 << 10;

/// Groups of at least this much are bulk: exports and imports whose senders wait for an answer, and not a person for a page. They
/// are encoded behind who answers requests.
const BULK_BYTES: usize = 512 << 10;

/// Rows that are committed together.
struct Group {
    parts: Vec<Part>,
    waiting: Vec<Waiting>,
}

/// The rows of one table in a group.
struct Part {
    table: TableName,
    batch: RecordBatch,
    staged: NewStaged,
}

/// Someone who waits for the group.
struct Waiting {
    ack: oneshot::Sender<Result<Ack, Error>>,
    rows: usize,
    _room: OwnedSemaphorePermit,
}

/// Collects groups from the queue until it is closed and empty.
pub(crate) struct Collector {
    pub batches: mpsc::UnboundedReceiver<Pending>,
    pub tables: Arc<Tables>,
    pub engine: Arc<Engine>,
    pub interval: Duration,
    pub group_bytes: usize,
}

/// Writes groups to the catalog.
pub(crate) struct Committer {
    groups: mpsc::Receiver<Group>,
    catalog: Catalog,
    tables: Arc<Tables>,
    health: Arc<Health>,
    committed: Arc<Notify>,
}

/// Starts the pipeline; it ends when the queue is closed and all that was queued is committed.
pub(crate) fn start(
    core: &Core,
    batches: mpsc::UnboundedReceiver<Pending>,
    catalog: Catalog,
) -> [tokio::task::JoinHandle<()>; 2] {
    let (sender, groups) = mpsc::channel(1);
    let (tables, engine) = (Arc::clone(&core.tables), Arc::clone(&core.engine));
    let interval = Duration::from_millis(core.config.commit_interval_ms);
    let collector = Collector { batches, tables, engine, interval, group_bytes: core.config.commit_bytes };
    let committer = Committer {
        groups,
        catalog,
        tables: Arc::clone(&core.tables),
        health: Arc::clone(&core.health),
        committed: Arc::clone(&core.committed),
    };
    [tokio::spawn(collector.run(sender)), tokio::spawn(committer.run())]
}

impl Collector {
    async fn run(mut self, groups: mpsc::Sender<Group>) {
        // Nothing has been committed yet, so the first group waits for nothing.
        let mut next = Instant::now();
        while let Some(pending) = self.next(next).await {
            next = Instant::now() + self.interval;
            if let Some(group) = encode(pending, &self.tables, &self.engine).await
                && groups.send(group).await.is_err()
            {
                return;
            }
        }
    }

    /// What waits at `start`, or before it as soon as that is enough for a group.
    async fn next(&mut self, start: Instant) -> Option<Vec<Pending>> {
        let first = self.batches.recv().await?;
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while bytes < self.group_bytes {
            let next = match self.batches.try_recv() {
                Ok(next) => next,
                Err(_) => match timeout_at(start, self.batches.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) | Err(_) => break,
                },
            };
            bytes += next.bytes;
            group.push(next);
        }
        Some(group)
    }
}

/// Makes a group of what was waiting; rows that cannot be encoded are refused here.
async fn encode(pending: Vec<Pending>, tables: &Arc<Tables>, engine: &Engine) -> Option<Group> {
    let bytes: usize = pending.iter().map(|pending| pending.bytes).sum();
    if bytes < ENCODE_INLINE_BYTES {
        return encode_now(pending, tables);
    }
    let tables = Arc::clone(tables);
    let work = move || encode_now(pending, &tables);
    let encoding = if bytes < BULK_BYTES { tokio::task::spawn_blocking(work) } else { engine.spawn_blocking(work) };
    // A panic in there drops the waiting senders, which those who wait see as an error.
    encoding.await.ok().flatten()
}

fn encode_now(pending: Vec<Pending>, tables: &Tables) -> Option<Group> {
    let mut batches = BTreeMap::<TableName, Vec<RecordBatch>>::new();
    let mut waiting = Vec::with_capacity(pending.len());
    for Pending { table, batch, ack, room, .. } in pending {
        waiting.push(Waiting { ack, rows: batch.num_rows(), _room: room });
        batches.entry(table).or_default().push(batch);
    }
    let parts =
        batches.into_iter().map(|(table, batches)| encode_part(table, &batches, tables)).collect::<Result<Vec<_>, _>>();
    match parts {
        Ok(parts) => Some(Group { parts, waiting }),
        Err(error) => {
            answer(waiting, Err(error));
            None
        }
    }
}

fn encode_part(table: TableName, batches: &[RecordBatch], tables: &Tables) -> Result<Part, Error> {
    let spec = tables.spec(table.as_str())?;
    let batch = concat_batches(&spec.schema, batches).map_err(Error::arrow("joining rows", &table))?;
    let (min_time, max_time) = spec.time_bounds(&batch);
    let blob = codec::encode(&table, &batch)?;
    let staged = NewStaged {
        table: table.clone(),
        rows: batch.num_rows() as u64,
        bytes: batch.get_array_memory_size() as u64,
        min_time,
        max_time,
        blob,
    };
    Ok(Part { table, batch, staged })
}

impl Committer {
    async fn run(mut self) {
        while let Some(Group { parts, waiting }) = self.groups.recv().await {
            let rows = waiting.iter().map(|waiting| waiting.rows as u64).sum();
            let outcome = self.commit(parts).await;
            match &outcome {
                Ok(()) => self.health.committed(rows),
                Err(error) => self.health.failed("commit", error),
            }
            answer(waiting, outcome);
            self.committed.notify_one();
        }
    }

    /// Rows are shown to queries before they are acknowledged, so that who appends reads what it wrote.
    async fn commit(&self, parts: Vec<Part>) -> Result<(), Error> {
        let mut staged = Vec::with_capacity(parts.len());
        let mut rows = Vec::with_capacity(parts.len());
        for part in parts {
            staged.push(part.staged);
            rows.push((part.table, part.batch));
        }
        let ids = self.catalog.stage(staged).await.map_err(|cause| Error::Commit { cause: Arc::new(cause) })?;
        let rows = rows.into_iter().zip(ids).map(|((table, batch), id)| (table, id, batch));
        self.tables.publish(rows.collect())
    }
}

fn answer(waiting: Vec<Waiting>, outcome: Result<(), Error>) {
    for Waiting { ack, rows, .. } in waiting {
        // Who does not wait any more does not want to know.
        let _ = ack.send(outcome.clone().map(|()| Ack { rows }));
    }
}
