//! The lake through its own door: what is appended is found exactly once, whatever happens in between.

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use qd_base::Sha256Hex;
use qd_catalog::{Burial, Catalog, MasterKey};
use tempfile::TempDir;

use crate::file::failing::FailingDisk;
use crate::{Horizons, Lake, LakeConfig, Param, QueryLimits, QueryOutput, TableSpec};

mod append;
mod compact;
mod damage;
mod fault;
mod horizon;
mod identity;
mod query;
mod seal;
mod subject;
mod summary;
mod words;

pub(crate) const EVENTS: &str = "events";

/// A table as small as one can be that has everything: text with and without null, numbers, a time, a subject.
pub(crate) fn events_table() -> TableSpec {
    let fields = vec![
        Field::new("project", DataType::Utf8, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("id", DataType::Utf8, false),
        Field::new("user_id", DataType::Utf8, true),
        Field::new("model", DataType::Utf8, true),
        Field::new("latency_ms", DataType::Float64, false),
        Field::new("n", DataType::Int64, false),
        Field::new("trace", DataType::Utf8, true),
        Field::new("input_blob", DataType::Utf8, true),
    ];
    TableSpec {
        name: EVENTS.parse().unwrap(),
        schema: Arc::new(Schema::new(fields)),
        sort: vec!["project", "time"],
        time_column: "time",
        bloom: vec!["id"],
        subject_column: Some("user_id"),
        identity: Vec::new(),
        project_column: Some("project"),
        group_column: Some("trace"),
        summaries: Vec::new(),
    }
}

/// Event `n` happened `n` seconds after 1970, in one of three projects, by one of four users or by nobody.
pub(crate) fn events(numbers: Range<i64>) -> RecordBatch {
    let numbers: Vec<i64> = numbers.collect();
    let text = |of: &dyn Fn(i64) -> Option<String>| Arc::new(numbers.iter().map(|&n| of(n)).collect::<StringArray>());
    RecordBatch::try_new(
        events_table().schema,
        vec![
            text(&|n| Some(format!("project-{}", n % 3))),
            Arc::new(
                numbers
                    .iter()
                    .map(|n| Some(n * 1_000_000_000))
                    .collect::<TimestampNanosecondArray>()
                    .with_timezone("UTC"),
            ),
            text(&|n| Some(id(n))),
            text(&|n| (n % 5 != 0).then(|| format!("user-{}", n % 4))),
            text(&|n| Some(["alpha", "beta"][n as usize % 2].to_owned())),
            Arc::new(numbers.iter().map(|&n| n as f64 / 2.0).collect::<Float64Array>()),
            Arc::new(Int64Array::from(numbers.clone())),
            text(&|n| Some(trace(n))),
            text(&|n| (n % 7 == 0).then(|| blob(n).to_string())),
        ],
    )
    .unwrap()
}

/// The trace of event `n`: seven events in one another.
pub(crate) fn trace(n: i64) -> String {
    format!("trace-{}", n / 7)
}

/// The blob that event `n` refers to, if it refers to one.
pub(crate) fn blob(n: i64) -> Sha256Hex {
    Sha256Hex::of(format!("blob {n}").as_bytes())
}

/// The identifier of event `n`: 32 digits that do not sort like `n`.
pub(crate) fn id(n: i64) -> String {
    format!("{:032x}", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// A lake in a folder of its own, on a disk that fails when told to.
pub(crate) struct Scene {
    pub dir: TempDir,
    pub disk: FailingDisk,
    pub config: LakeConfig,
    pub catalog: Catalog,
    pub lake: Lake,
    pub table: TableSpec,
}

impl Scene {
    /// A lake that seals and compacts only when it is told to.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut LakeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = LakeConfig {
            seal_age_ms: 3_600_000,
            compact_fan_in: 1000,
            threads: 2,
            ..LakeConfig::new(dir.path().join("lake"))
        };
        configure(&mut config);
        Self::open(dir, FailingDisk::new(), config, events_table()).await
    }

    async fn open(dir: TempDir, disk: FailingDisk, config: LakeConfig, table: TableSpec) -> Self {
        let key: MasterKey = "07".repeat(32).parse().unwrap();
        let catalog = Catalog::open(dir.path(), key).await.unwrap();
        let lake =
            Lake::open_on(Arc::new(disk.clone()), config.clone(), catalog.clone(), vec![table.clone()]).await.unwrap();
        Self { dir, disk, config, catalog, lake, table }
    }

    /// The same folder, opened again after nobody closed it.
    pub async fn reopen(self) -> Self {
        let Self { dir, disk, config, catalog, lake, table } = self;
        drop(lake);
        catalog.close().await;
        Self::open(dir, disk, config, table).await
    }

    /// Deletes a subject in all projects, without any groups.
    pub async fn bury(&self, subject: &str) {
        self.lake.bury(Burial { subject: subject.to_owned(), ..Burial::default() }).await.unwrap();
    }

    pub async fn append(&self, numbers: Range<i64>) {
        self.lake.append(EVENTS, events(numbers)).await.unwrap();
    }

    pub async fn query(&self, sql: &str, params: Vec<Param>) -> QueryOutput {
        let limits = QueryLimits { max_rows: 1_000_000, ..QueryLimits::default() };
        self.lake.query(sql, params, limits).await.unwrap_or_else(|error| panic!("{sql}: {}", error.chain()))
    }

    /// The numbers of all events that queries see, in order; an event that is seen twice is there twice.
    pub async fn numbers(&self) -> Vec<i64> {
        numbers_of(&self.query("SELECT n FROM events ORDER BY n", vec![]).await)
    }

    pub async fn check(&self, expected: Range<i64>) {
        assert_eq!(self.numbers().await, expected.collect::<Vec<_>>());
    }

    /// The Parquet files in a folder of the lake.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let folder = self.config.dir.join(folder).join(EVENTS);
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// The first column of an answer, as numbers.
pub(crate) fn numbers_of(output: &QueryOutput) -> Vec<i64> {
    output.batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// The first column of an answer, as text.
pub(crate) fn texts_of(output: &QueryOutput) -> Vec<String> {
    output
        .batches
        .iter()
        .flat_map(|batch| {
            batch.column(0).as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// Waits until a condition holds; fails when it never does.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(60), "it never happened: {what}");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
