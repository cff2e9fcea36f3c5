//! Of rows that are about the same thing the last is shown, once, wherever the others lie.

use super::*;
use arrow::array::ArrayRef;

/// Events that are about one thing when they are of one project and have one identifier.
fn table() -> TableSpec {
    TableSpec { identity: vec!["project", "id"], ..events_table() }
}

/// A lake that merges every two segments.
async fn scene() -> Scene {
    let scene = Scene::with(|config| config.compact_fan_in = 2).await;
    Scene { table: table(), ..scene }.reopen().await
}

/// Events that say in which telling they were told.
fn told(numbers: Range<i64>, telling: f64) -> RecordBatch {
    let batch = events(numbers);
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[5] = Arc::new(Float64Array::from(vec![telling; batch.num_rows()]));
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

impl Scene {
    async fn tell(&self, numbers: Range<i64>, telling: f64) {
        self.lake.append(EVENTS, told(numbers, telling)).await.unwrap();
    }

    /// Checks that each event is there once, as it was told last.
    async fn check_told(&self, expected: &[(Range<i64>, f64)]) {
        let output = self.query("SELECT n, latency_ms FROM events ORDER BY n", vec![]).await;
        let batch = arrow::compute::concat_batches(&output.schema, &output.batches).unwrap();
        let numbers = batch.column(0).as_primitive::<Int64Type>();
        let tellings = batch.column(1).as_primitive::<arrow::datatypes::Float64Type>();
        let found: Vec<_> = numbers.values().iter().copied().zip(tellings.values().iter().copied()).collect();
        let expected: Vec<_> =
            expected.iter().flat_map(|(numbers, telling)| numbers.clone().map(|n| (n, *telling))).collect();
        assert_eq!(found, expected);
        let count = numbers_of(&self.query("SELECT count(*) FROM events", vec![]).await);
        assert_eq!(count, [expected.len() as i64]);
    }
}

#[tokio::test]
async fn what_comes_again_while_it_is_staged_is_shown_once() {
    let scene = scene().await;
    scene.tell(0..10, 1.0).await;
    scene.tell(5..15, 2.0).await;
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
    let scene = scene.reopen().await;
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
    scene.lake.seal().await.unwrap();
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
}

#[tokio::test]
async fn of_one_batch_the_last_stays() {
    let scene = scene().await;
    let twice = arrow::compute::concat_batches(&table().schema, &[told(0..3, 1.0), told(1..4, 2.0)]).unwrap();
    scene.lake.append(EVENTS, twice).await.unwrap();
    scene.check_told(&[(0..1, 1.0), (1..4, 2.0)]).await;
    scene.lake.seal().await.unwrap();
    scene.reopen().await.check_told(&[(0..1, 1.0), (1..4, 2.0)]).await;
}

#[tokio::test]
async fn what_comes_again_after_it_was_sealed_is_shown_once() {
    let scene = scene().await;
    scene.tell(0..10, 1.0).await;
    scene.lake.seal().await.unwrap();
    scene.tell(5..15, 2.0).await;
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
    // Also where only columns are asked for that do not tell what a row is about.
    assert_eq!(
        numbers_of(&scene.query("SELECT sum(n) FROM events WHERE n >= 5", vec![]).await),
        [(5..15).sum::<i64>()]
    );
    scene.lake.seal().await.unwrap();
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
    let scene = scene.reopen().await;
    scene.check_told(&[(0..5, 1.0), (5..15, 2.0)]).await;
    scene.tell(0..2, 3.0).await;
    scene.lake.seal().await.unwrap();
    scene.lake.compact().await.unwrap();
    scene.check_told(&[(0..2, 3.0), (2..5, 1.0), (5..15, 2.0)]).await;
    scene.reopen().await.check_told(&[(0..2, 3.0), (2..5, 1.0), (5..15, 2.0)]).await;
}

#[tokio::test]
async fn merging_leaves_out_what_came_again() {
    let scene = scene().await;
    for (numbers, telling) in [(0..10, 1.0), (5..15, 2.0)] {
        scene.tell(numbers, telling).await;
        scene.lake.seal().await.unwrap();
    }
    scene.lake.compact().await.unwrap();
    assert_eq!(scene.files("segments").len(), 1);
    let rows: u64 = scene.lake.stats().tables.iter().map(|table| table.segment_rows).sum();
    assert_eq!(rows, 15, "the rows are gone from disk");
    scene.tell(0..15, 3.0).await;
    scene.check_told(&[(0..15, 3.0)]).await;
    scene.reopen().await.check_told(&[(0..15, 3.0)]).await;
}

/// Told again and again while the background seals and merges: whatever is under way when a row comes again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_twice_while_it_moves() {
    let scene = Scene::with(|config| {
        config.compact_fan_in = 2;
        config.seal_rows = 64;
        config.seal_age_ms = 20;
    });
    let scene = scene.await;
    let scene = Scene { table: table(), ..scene }.reopen().await;
    for telling in 0..40 {
        scene.tell(0..50, f64::from(telling)).await;
        scene.tell(i64::from(telling) * 10 + 100..i64::from(telling) * 10 + 110, 0.0).await;
        scene.check_told(&[(0..50, f64::from(telling)), (100..i64::from(telling) * 10 + 110, 0.0)]).await;
    }
    scene.reopen().await.check_told(&[(0..50, 39.0), (100..500, 0.0)]).await;
}

#[tokio::test]
async fn a_table_without_identity_shows_everything() {
    let scene = Scene::new().await;
    scene.append(0..3).await;
    scene.append(0..3).await;
    assert_eq!(scene.numbers().await, [0, 0, 1, 1, 2, 2]);
}
