//! What the lake counts, and what it raises an alarm about.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use qd_base::{TableName, Timestamp};
use serde::Serialize;

use crate::Error;

/// So many alarms are remembered; older ones are in the log.
const ALARMS: usize = 100;

/// Something an operator should look at.
#[derive(Debug, Clone, Serialize)]
pub struct Alarm {
    /// When it was noticed.
    pub at: Timestamp,
    /// What it is about: the name of a file, or of an operation that fails.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

/// Counters since the lake was opened.
#[derive(Debug, Default)]
pub(crate) struct Health {
    rows_committed: AtomicU64,
    groups_committed: AtomicU64,
    appends_refused: AtomicU64,
    seals: AtomicU64,
    compactions: AtomicU64,
    failures: AtomicU64,
    quarantined: AtomicU64,
    alarms: Mutex<VecDeque<Alarm>>,
    failing: Mutex<Option<Alarm>>,
}

impl Health {
    pub fn committed(&self, rows: u64) {
        self.rows_committed.fetch_add(rows, Ordering::Relaxed);
        self.groups_committed.fetch_add(1, Ordering::Relaxed);
        self.recovered("commit");
    }

    pub fn refused(&self) {
        self.appends_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn sealed(&self) {
        self.seals.fetch_add(1, Ordering::Relaxed);
        self.recovered("seal");
    }

    pub fn compacted(&self) {
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.recovered("compact");
    }

    /// An operation failed that will be tried again.
    pub fn failed(&self, operation: &'static str, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let alarm = Alarm { at: Timestamp::now(), subject: operation.to_owned(), message: error.chain() };
        tracing::error!(operation, error = alarm.message, "the lake failed");
        *self.failing.lock() = Some(alarm.clone());
        self.remember(alarm);
    }

    /// Part of the data is not served any more.
    pub fn quarantined(&self, subject: String, message: String) {
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        tracing::error!(subject, message, "the lake quarantined damaged data");
        self.remember(Alarm { at: Timestamp::now(), subject, message });
    }

    /// What was set aside before this lake was opened: its rows are not served until somebody sees to it.
    pub fn still_quarantined(&self, alarm: Alarm) {
        self.quarantined.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(subject = alarm.subject, message = alarm.message, "data of the lake is still set aside");
        self.remember(alarm);
    }

    fn recovered(&self, operation: &str) {
        let mut failing = self.failing.lock();
        if failing.as_ref().is_some_and(|alarm| alarm.subject == operation) {
            tracing::info!(operation, "the lake works again");
            *failing = None;
        }
    }

    fn remember(&self, alarm: Alarm) {
        let mut alarms = self.alarms.lock();
        if alarms.len() == ALARMS {
            alarms.pop_front();
        }
        alarms.push_back(alarm);
    }

    pub fn report(&self, tables: Vec<TableStats>) -> LakeStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LakeStats {
            tables,
            rows_committed: count(&self.rows_committed),
            groups_committed: count(&self.groups_committed),
            appends_refused: count(&self.appends_refused),
            seals: count(&self.seals),
            compactions: count(&self.compactions),
            failures: count(&self.failures),
            quarantined: count(&self.quarantined),
            failing: self.failing.lock().clone(),
            alarms: self.alarms.lock().iter().cloned().collect(),
            queue_bytes: 0,
            queue_limit_bytes: 0,
            queries_running: 0,
        }
    }
}

/// One table, now.
#[derive(Debug, Clone, Serialize)]
pub struct TableStats {
    /// Which table.
    pub table: TableName,
    /// Sealed files that queries read.
    pub segments: usize,
    /// Rows in them.
    pub segment_rows: u64,
    /// Their size on disk.
    pub segment_bytes: u64,
    /// Group commits that are not sealed yet.
    pub staged_batches: usize,
    /// Rows in them.
    pub staged_rows: usize,
    /// Memory that they take.
    pub staged_bytes: usize,
    /// Deleted subjects whose rows are hidden and not yet removed.
    pub tombstones: usize,
}

/// The lake, now and since it was opened.
#[derive(Debug, Clone, Serialize)]
pub struct LakeStats {
    /// Each table.
    pub tables: Vec<TableStats>,
    /// Rows acknowledged.
    pub rows_committed: u64,
    /// Transactions that it took.
    pub groups_committed: u64,
    /// Appends refused because the queue or the staged rows were at their limit.
    pub appends_refused: u64,
    /// Segments sealed.
    pub seals: u64,
    /// Merges of segments.
    pub compactions: u64,
    /// Commits, seals and compactions that failed; they are tried again, commits by whoever appends.
    pub failures: u64,
    /// Segments and staged batches set aside because they are damaged, also before this start.
    pub quarantined: u64,
    /// What fails at present.
    pub failing: Option<Alarm>,
    /// The last alarms, oldest first.
    pub alarms: Vec<Alarm>,
    /// Memory of rows that wait for their commit.
    pub queue_bytes: usize,
    /// The most that may wait.
    pub queue_limit_bytes: usize,
    /// Queries that run or whose work is still being stopped.
    pub queries_running: usize,
}
