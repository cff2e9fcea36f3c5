//! Compaction changes files and nothing that a query sees.

use super::*;
use crate::Error;
use crate::file::failing::{Fault, Operation};

async fn sealed(scene: &Scene, segments: i64) {
    for segment in 0..segments {
        scene.append(segment * 100..(segment + 1) * 100).await;
        scene.lake.seal().await.unwrap();
    }
}

#[tokio::test]
async fn compaction_merges_small_segments_and_changes_nothing_that_a_query_sees() {
    let scene = Scene::with(|config| config.compact_fan_in = 4).await;
    sealed(&scene, 9).await;
    scene.lake.compact().await.unwrap();
    scene.check(0..900).await;
    let stats = scene.lake.stats().tables[0].clone();
    assert!(stats.segments <= 3 && stats.segment_rows == 900, "{stats:?}");
    assert_eq!(scene.files("segments").len(), stats.segments, "merged files are gone");
    let scene = scene.reopen().await;
    scene.check(0..900).await;
    let segments = scene.catalog.segments(&EVENTS.parse().unwrap()).await.unwrap();
    assert!(segments.iter().any(|segment| segment.level == 1 && segment.rows == 400));
}

#[tokio::test]
async fn a_merged_segment_is_sorted() {
    let scene = Scene::with(|config| config.compact_fan_in = 2).await;
    sealed(&scene, 2).await;
    scene.lake.compact().await.unwrap();
    let file = std::fs::File::open(&scene.files("segments")[0]).unwrap();
    let batch = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let expected: Vec<i64> = (0..3).flat_map(|project| (project..200).step_by(3)).collect();
    assert_eq!(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values(), expected.as_slice());
}

#[tokio::test]
async fn a_query_that_began_before_a_compaction_still_reads_its_files() {
    let scene = Scene::with(|config| config.compact_fan_in = 2).await;
    sealed(&scene, 1).await;
    let before = scene.lake.snapshot();
    sealed(&scene, 2).await;
    scene.lake.compact().await.unwrap();
    assert_eq!(scene.lake.stats().tables[0].segments, 2);
    assert!(before[EVENTS].segments[0].file.path.exists(), "a file that is read stays");
    let path = before[EVENTS].segments[0].file.path.clone();
    drop(before);
    assert!(!path.exists(), "a file that nobody reads goes");
}

#[tokio::test]
async fn a_failed_compaction_leaves_all_as_it_was() {
    for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncFolder] {
        let scene = Scene::new().await;
        sealed(&scene, 2).await;
        let scene = Scene { config: LakeConfig { compact_fan_in: 2, ..scene.config.clone() }, ..scene };
        scene.disk.break_down(operation, Fault::NoSpace);
        let scene = scene.reopen().await;
        let failed = scene.lake.compact().await.unwrap_err();
        assert!(matches!(failed, Error::Disk { .. }), "{operation:?}: {}", failed.chain());
        scene.check(0..200).await;
        scene.disk.heal();
        scene.lake.compact().await.unwrap();
        assert_eq!(scene.lake.stats().tables[0].segments, 1);
        scene.reopen().await.check(0..200).await;
    }
}
