//! A process that is killed while it appends, seals and compacts: what it had acknowledged is there exactly once.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use qd_catalog::Catalog;
use qd_lake::{Lake, LakeConfig, QueryLimits, TableSpec};
use rand::Rng;

/// Names the folder in which the child writes.
const FOLDER: &str = "QD_LAKE_CRASH_TEST";
const KILLS: usize = 12;
const ROWS: i64 = 25;

fn table() -> TableSpec {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let fields = vec![
        Field::new("time", time, false),
        Field::new("id", DataType::Utf8, false),
        Field::new("n", DataType::Int64, false),
    ];
    TableSpec {
        name: "events".parse().unwrap(),
        schema: Arc::new(Schema::new(fields)),
        sort: vec!["time"],
        time_column: "time",
        bloom: vec!["id"],
        subject_column: None,
        identity: Vec::new(),
        project_column: None,
        group_column: None,
        summaries: Vec::new(),
    }
}

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let times = TimestampNanosecondArray::from_iter_values(numbers.clone());
    let ids = StringArray::from_iter_values(numbers.clone().map(|n| format!("event-{n}")));
    let numbers = Int64Array::from_iter_values(numbers);
    RecordBatch::try_new(table().schema, vec![Arc::new(times), Arc::new(ids), Arc::new(numbers)]).unwrap()
}

/// Seals and compacts as often as it can, so that a kill is likely to hit either.
async fn open(dir: &Path) -> Lake {
    let catalog = Catalog::open(dir, "07".repeat(32).parse().unwrap()).await.unwrap();
    let config = LakeConfig {
        seal_rows: 40,
        seal_age_ms: 20,
        compact_fan_in: 2,
        threads: 2,
        ..LakeConfig::new(dir.join("lake"))
    };
    Lake::open(config, catalog, vec![table()]).await.unwrap()
}

async fn numbers(lake: &Lake) -> Vec<i64> {
    let limits = QueryLimits { max_rows: usize::MAX, ..QueryLimits::default() };
    let output = lake.query("SELECT n, id FROM events ORDER BY n", vec![], limits).await.unwrap();
    output.batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Run by the other test in a process of its own: appends until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the crash test; it never ends by itself"]
async fn child() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let lake = open(Path::new(&dir)).await;
    let mut next = numbers(&lake).await.len() as i64;
    loop {
        lake.append("events", rows(next..next + ROWS)).await.unwrap();
        next += ROWS;
        println!("acknowledged {next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_sigkill_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        acknowledged = acknowledged.max(run_and_kill(dir.path()));
        let lake = open(dir.path()).await;
        let found = numbers(&lake).await;
        let expected: Vec<i64> = (0..found.len() as i64).collect();
        assert_eq!(found, expected, "no row is missing or there twice after kill {kill}");
        assert!(
            found.len() as i64 >= acknowledged,
            "{} rows after kill {kill}, {acknowledged} were acknowledged",
            found.len()
        );
        assert_eq!(lake.stats().quarantined, 0);
        lake.close().await;
    }
    assert!(acknowledged > 0, "the child did something");
}

/// Starts the child, kills it at a random moment after its first append, and returns what it said last.
fn run_and_kill(dir: &Path) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged = |line: &String| line.split("acknowledged ").nth(1).and_then(|count| count.trim().parse().ok());
    let mut last: i64 = lines.by_ref().find_map(|line| acknowledged(&line)).expect("the child appends");
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(0..400)));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    last = lines.filter_map(|line| acknowledged(&line)).last().unwrap_or(last);
    killer.join().unwrap();
    last
}
