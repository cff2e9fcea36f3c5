//! Measures the lake: durable rows a second, bytes a span, and two queries over all spans.
//!
//! `bench_lake ROWS DIR [INTERVAL_MS GROUP_BYTES]` prints one JSON object. `bench/lake/bench.py` builds and runs it; the
//! last two arguments change the group commit, to see what it is worth.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qd_catalog::{Catalog, MasterKey};
use qd_lake::{Error, Lake, LakeConfig, Param, QueryLimits};

#[path = "bench_lake/spans.rs"]
mod spans;

/// Rows of one append: what a recorder gathers in a millisecond or two of a busy gateway.
const BATCH_ROWS: usize = 100;

/// Appends that are on their way at a time.
const WRITERS: usize = 32;

/// Different batches that are made beforehand. Each append gets identifiers and times of its own, so no two rows
/// are equal, and making text does not count as appending.
const TEMPLATES: usize = 1000;

/// Each query is asked this often.
const REPEATS: usize = 21;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments.next().ok_or("usage: bench_lake ROWS DIR")?.parse()?;
    let dir = arguments.next().ok_or("usage: bench_lake ROWS DIR")?;
    let dir = Path::new(&dir);
    let mut config = LakeConfig::new(dir.join("lake"));
    if let (Some(interval_ms), Some(group_bytes)) = (arguments.next(), arguments.next()) {
        config.commit_interval_ms = interval_ms.parse()?;
        config.commit_bytes = group_bytes.parse()?;
    }
    let templates: Vec<_> =
        (0..TEMPLATES).map(|seed| Arc::new(spans::Template::new(seed as u64, BATCH_ROWS))).collect();
    let raw_bytes = templates.iter().map(|template| template.bytes()).sum::<usize>() / (TEMPLATES * BATCH_ROWS);

    let scene = Scene::open(dir, config.clone()).await?;
    let append = scene.append(rows, &templates).await?;
    let sealed = scene.seal().await?;
    let lookup = scene.lookups(rows, &templates).await?;
    let percentile = scene.percentiles(rows).await?;
    let (extra, staged) = scene.query_while_staged(rows, &templates).await?;
    let reopen_ms = scene.reopen(dir, config).await?;
    let disk_bytes = disk_bytes(dir)?;

    let result = serde_json::json!({
        "rows": rows, "raw_bytes_per_row": raw_bytes, "batch_rows": BATCH_ROWS, "writers": WRITERS,
        "append": append, "seal_rest_s": sealed, "segments": disk_bytes.segments, "segment_bytes": disk_bytes.segment_bytes,
        "total_bytes": disk_bytes.total, "bytes_per_span": disk_bytes.total as f64 / (rows + extra) as f64, "lookup_ms": lookup, "p99_by_model_ms": percentile, "staged_query_ms": staged, "reopen_ms": reopen_ms,
    });
    println!("{result}");
    Ok(())
}

struct Scene {
    catalog: Catalog,
    lake: Lake,
}

impl Scene {
    async fn open(dir: &Path, config: LakeConfig) -> Result<Self, Failure> {
        let key: MasterKey = "07".repeat(32).parse()?;
        let catalog = Catalog::open(dir, key).await?;
        let lake = Lake::open(config, catalog.clone(), vec![spans::table()]).await?;
        Ok(Self { catalog, lake })
    }

    /// Appends all rows from many tasks. Sealing and compaction go on meanwhile and count.
    async fn append(&self, rows: usize, templates: &[Arc<spans::Template>]) -> Result<serde_json::Value, Failure> {
        let start = Instant::now();
        let batches = rows / BATCH_ROWS;
        let writers = (0..WRITERS).map(|writer| {
            let (lake, templates) = (self.lake.clone(), templates.to_vec());
            tokio::spawn(async move { write(&lake, &templates, (writer..batches).step_by(WRITERS)).await })
        });
        let mut latencies = Vec::with_capacity(batches);
        let mut refused = 0;
        for writer in writers.collect::<Vec<_>>() {
            let (waited, turned_away) = writer.await??;
            latencies.extend(waited);
            refused += turned_away;
        }
        let seconds = start.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let stats = self.lake.stats();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        Ok(serde_json::json!({
            "seconds": seconds, "rows_per_s": rows as f64 / seconds, "ack_p50_ms": at(0.5), "ack_p99_ms": at(0.99), "refused": refused,
            "groups": stats.groups_committed, "seals": stats.seals, "compactions": stats.compactions, "failures": stats.failures,
        }))
    }

    async fn seal(&self) -> Result<f64, Failure> {
        let start = Instant::now();
        self.lake.seal().await?;
        self.lake.compact().await?;
        let stats = self.lake.stats();
        assert_eq!((stats.failures, stats.tables[0].staged_rows), (0, 0), "{stats:?}");
        Ok(start.elapsed().as_secs_f64())
    }

    /// One trace at a time, all columns, as a person who opens it sees it.
    async fn lookups(&self, rows: usize, templates: &[Arc<spans::Template>]) -> Result<serde_json::Value, Failure> {
        let sql = "SELECT * FROM spans WHERE trace_id = $1 ORDER BY start_time";
        let mut times = Vec::new();
        for repeat in 0..REPEATS {
            let batch = (repeat * 7919) % (rows / BATCH_ROWS);
            let trace = templates[batch % TEMPLATES].trace_id(batch, (repeat * 31) % BATCH_ROWS);
            let (found, time) = self.ask(sql, vec![trace.into()]).await?;
            assert!(found >= 1, "a trace is there");
            times.push(time);
        }
        let (missing, time) = self.ask(sql, vec!["0123456789abcdef0123456789abcdef".into()]).await?;
        assert_eq!(missing, 0);
        Ok(summary(times, Some(time)))
    }

    async fn percentiles(&self, rows: usize) -> Result<serde_json::Value, Failure> {
        let sql =
            "SELECT model, count(*), approx_percentile_cont(latency_ms, 0.99) FROM spans GROUP BY model ORDER BY model";
        let mut times = Vec::new();
        for _ in 0..REPEATS {
            let (models, time) = self.ask(sql, vec![]).await?;
            assert_eq!(models, spans::MODELS.len(), "over {rows} rows");
            times.push(time);
        }
        Ok(summary(times, None))
    }

    /// The same query while the newest rows are not sealed yet.
    async fn query_while_staged(
        &self,
        rows: usize,
        templates: &[Arc<spans::Template>],
    ) -> Result<(usize, serde_json::Value), Failure> {
        let batches = rows / BATCH_ROWS;
        let extra = (batches / 20).clamp(1, 500);
        write(&self.lake, templates, batches..batches + extra).await?;
        let sql =
            "SELECT model, count(*), approx_percentile_cont(latency_ms, 0.99) FROM spans GROUP BY model ORDER BY model";
        let mut times = Vec::new();
        for _ in 0..REPEATS {
            times.push(self.ask(sql, vec![]).await?.1);
        }
        Ok((extra * BATCH_ROWS, summary(times, None)))
    }

    async fn ask(&self, sql: &str, params: Vec<Param>) -> Result<(usize, Duration), Failure> {
        let start = Instant::now();
        let output = self.lake.query(sql, params, QueryLimits::default()).await?;
        Ok((output.rows(), start.elapsed()))
    }

    /// How long the lake takes to open again, with staged rows to read back.
    async fn reopen(self, dir: &Path, config: LakeConfig) -> Result<f64, Failure> {
        self.lake.close().await;
        let Self { catalog, lake } = self;
        drop(lake);
        catalog.close().await;
        let start = Instant::now();
        let scene = Self::open(dir, config).await?;
        let reopen_ms = start.elapsed().as_secs_f64() * 1e3;
        // The extra rows are sealed too, so that the bytes on disk are those of segments.
        scene.lake.seal().await?;
        scene.lake.close().await;
        scene.catalog.close().await;
        Ok(reopen_ms)
    }
}

/// Appends these batches one after another, trying again when the lake is full.
async fn write(
    lake: &Lake,
    templates: &[Arc<spans::Template>],
    batches: impl Iterator<Item = usize>,
) -> Result<(Vec<Duration>, usize), Failure> {
    let mut waited = Vec::new();
    let mut refused = 0;
    for number in batches {
        let batch = templates[number % TEMPLATES].batch(number);
        let start = Instant::now();
        loop {
            match lake.append("spans", batch.clone()).await {
                Ok(_) => break,
                Err(Error::Full { retry_after_ms }) => {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(retry_after_ms)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        waited.push(start.elapsed());
    }
    Ok((waited, refused))
}

fn summary(mut times: Vec<Duration>, missing: Option<Duration>) -> serde_json::Value {
    let first = times[0].as_secs_f64() * 1e3;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    serde_json::json!({ "first": first, "median": at(0.5), "worst": at(1.0), "missing": missing.map(|time| time.as_secs_f64() * 1e3) })
}

struct DiskBytes {
    segments: usize,
    segment_bytes: u64,
    /// Everything in the folder, the catalog's files included.
    total: u64,
}

fn disk_bytes(dir: &Path) -> Result<DiskBytes, Failure> {
    let mut found = DiskBytes { segments: 0, segment_bytes: 0, total: 0 };
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let bytes = entry.metadata()?.len();
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            found.total += bytes;
            if entry.path().extension().is_some_and(|extension| extension == "parquet") {
                found.segments += 1;
                found.segment_bytes += bytes;
            }
        }
    }
    Ok(found)
}
