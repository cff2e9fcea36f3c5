//! How large, how often, how long: every limit of the lake.

use std::path::PathBuf;
use std::time::Duration;

/// Where the lake lives and how much of everything it may use.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// The folder for segments and temporary files; it is created when missing.
    pub dir: PathBuf,
    /// Rows that wait for their group commit may take this much memory; beyond it appends are refused.
    pub queue_bytes: usize,
    /// Group commits start at least this far apart, so that a busy lake commits many rows at a time while an
    /// idle one commits at once. No row waits longer than this for its commit to start, unless one is under way.
    pub commit_interval_ms: u64,
    /// A group commit starts early when this many bytes wait.
    pub commit_bytes: usize,
    /// Committed rows that are not sealed yet may take this much memory; beyond it appends are refused.
    pub staged_bytes: usize,
    /// Staged rows of a table are sealed into a segment when there are this many…
    pub seal_rows: usize,
    /// …or they take this much memory…
    pub seal_bytes: usize,
    /// …or the oldest has waited this long.
    pub seal_age_ms: u64,
    /// Compaction merges this many segments of similar size into one.
    pub compact_fan_in: usize,
    /// Compaction makes no segment larger than about this.
    pub compact_bytes: u64,
    /// All queries together may use this much memory.
    pub memory_limit_bytes: usize,
    /// All queries together may spill this much to disk.
    pub spill_limit_bytes: u64,
    /// This many queries run at a time; others wait within their time limit.
    pub query_concurrency: usize,
    /// Threads that run queries and write segments, apart from those that serve requests.
    pub threads: usize,
    /// A statement may have this many bytes.
    pub max_sql_bytes: usize,
}

impl LakeConfig {
    /// The defaults, for a lake in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            queue_bytes: 64 << 20,
            commit_interval_ms: 5,
            commit_bytes: 1 << 20,
            staged_bytes: 512 << 20,
            seal_rows: 131_072,
            seal_bytes: 16 << 20,
            seal_age_ms: 60_000,
            compact_fan_in: 8,
            compact_bytes: 256 << 20,
            memory_limit_bytes: 1 << 30,
            spill_limit_bytes: 1 << 30,
            query_concurrency: 4,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            max_sql_bytes: 64 << 10,
        }
    }
}

/// What one query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// From the call to the last row; the work is stopped then.
    pub timeout: Duration,
    /// Memory for the work and for the answer; at most the query's share of the lake's limit.
    pub memory_bytes: usize,
    /// Rows in the answer; more are cut off and the answer says so.
    pub max_rows: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), memory_bytes: 256 << 20, max_rows: 10_000 }
    }
}
