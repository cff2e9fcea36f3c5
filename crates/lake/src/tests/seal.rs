//! Sealing and retention, by what is in the files and what queries see.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

#[tokio::test]
async fn sealing_changes_nothing_that_a_query_sees() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.check(0..100).await;
    scene.append(100..150).await;
    scene.check(0..150).await;
    let stats = scene.lake.stats().tables[0].clone();
    assert_eq!((stats.segments, stats.segment_rows, stats.staged_rows), (1, 100, 50));
    let scene = scene.reopen().await;
    scene.check(0..150).await;
    assert_eq!(scene.catalog.staged(&EVENTS.parse().unwrap()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_segment_is_sorted_parquet_that_anyone_can_read() {
    let scene = Scene::new().await;
    scene.append(50..100).await;
    scene.append(0..50).await;
    scene.lake.seal().await.unwrap();
    let file = std::fs::File::open(&scene.files("segments")[0]).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let group = builder.metadata().row_group(0);
    assert!(group.column(2).bloom_filter_offset().is_some() && group.column(0).bloom_filter_offset().is_none());
    assert_eq!(group.sorting_columns().unwrap().iter().map(|column| column.column_idx).collect::<Vec<_>>(), [0, 1]);
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.schema().field(1).data_type(), &DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())));
    // By project, then by time: 0, 3, 6 … 99, 1, 4 … 97, 2 … 98.
    let expected: Vec<i64> = (0..3).flat_map(|project| (project..100).step_by(3)).collect();
    assert_eq!(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values(), expected.as_slice());
}

#[tokio::test]
async fn rows_are_sealed_by_number_and_by_age() {
    let scene = Scene::with(|config| config.seal_rows = 100).await;
    scene.append(0..99).await;
    scene.append(99..100).await;
    until("enough rows are sealed", async || scene.lake.stats().tables[0].segment_rows == 100).await;
    let scene = Scene::with(|config| config.seal_age_ms = 50).await;
    scene.append(0..1).await;
    until("old rows are sealed", async || scene.lake.stats().tables[0].segment_rows == 1).await;
    scene.check(0..1).await;
}

#[tokio::test]
async fn a_large_backlog_becomes_several_segments() {
    let scene = Scene::with(|config| config.seal_bytes = 300_000).await;
    for start in (0..10_000).step_by(500) {
        scene.append(start..start + 500).await;
    }
    scene.lake.seal().await.unwrap();
    let stats = scene.lake.stats().tables[0].clone();
    assert!(stats.segments > 2 && stats.staged_rows == 0, "{stats:?}");
    scene.check(0..10_000).await;
}

#[tokio::test]
async fn small_batches_are_merged_in_memory() {
    let scene = Scene::new().await;
    for n in 0..300 {
        scene.append(n..n + 1).await;
    }
    let stats = scene.lake.stats().tables[0].clone();
    let batches = scene.lake.staged_batches_in_memory();
    assert!(batches < 12 && stats.staged_batches > batches, "{batches} of {}", stats.staged_batches);
    scene.check(0..300).await;
    scene.lake.seal().await.unwrap();
    scene.check(0..300).await;
}

#[tokio::test]
async fn a_column_that_is_new_is_null_in_what_is_old() {
    let scene = Scene::new().await;
    scene.append(0..10).await;
    scene.lake.seal().await.unwrap();
    scene.append(10..20).await;
    let Scene { dir, config, catalog, lake, .. } = scene;
    lake.close().await;
    let mut table = events_table();
    let fields = table.schema.fields().iter().map(|field| field.as_ref().clone()).chain([Field::new(
        "note",
        DataType::Utf8,
        true,
    )]);
    table.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let lake = Lake::open(config, catalog, vec![table]).await.unwrap();
    let output = lake.query("SELECT count(*), count(note) FROM events", vec![], QueryLimits::default()).await.unwrap();
    let batch = &output.batches[0];
    assert_eq!(
        (batch.column(0).as_primitive::<Int64Type>().value(0), batch.column(1).as_primitive::<Int64Type>().value(0)),
        (20, 0)
    );
    drop(dir);
}
