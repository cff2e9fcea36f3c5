//! A disk or catalog that fails costs nothing that was acknowledged.

use super::*;
use crate::Error;
use crate::file::failing::{Fault, Operation};
use crate::seal::{Made, sorted};

const OPERATIONS: [Operation; 5] =
    [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncFolder];

#[tokio::test]
async fn a_disk_that_fails_costs_no_row_and_sealing_goes_on_when_it_is_back() {
    for (operation, fault) in
        OPERATIONS.into_iter().flat_map(|operation| [(operation, Fault::NoSpace), (operation, Fault::Device)])
    {
        let scene = Scene::with(|config| config.seal_rows = 100).await;
        scene.disk.break_down(operation, fault);
        scene.append(0..100).await;
        until("the failure is reported", async || scene.lake.stats().failing.is_some()).await;
        let stats = scene.lake.stats();
        assert!(stats.failures > 0 && stats.alarms.iter().any(|alarm| alarm.subject == "seal"), "{stats:?}");
        // Nothing is lost, and appends go on.
        scene.append(100..110).await;
        scene.check(0..110).await;
        scene.disk.heal();
        until("the rows are sealed", async || scene.lake.stats().tables[0].segment_rows >= 100).await;
        assert!(scene.lake.stats().failing.is_none(), "{operation:?}");
        scene.check(0..110).await;
        scene.reopen().await.check(0..110).await;
    }
}

#[tokio::test]
async fn a_seal_that_fails_at_any_step_leaves_every_row_once() {
    for operation in OPERATIONS {
        for nth in 1..4 {
            let scene = Scene::new().await;
            scene.append(0..1000).await;
            scene.disk.fail(operation, nth, Fault::NoSpace);
            let outcome = scene.lake.seal().await;
            scene.check(0..1000).await;
            scene.disk.heal();
            let scene = scene.reopen().await;
            scene.check(0..1000).await;
            assert_eq!(scene.files("segments").len(), usize::from(outcome.is_ok()), "{operation:?} {nth}: no orphan");
            scene.lake.seal().await.unwrap();
            scene.check(0..1000).await;
        }
    }
}

#[tokio::test]
async fn a_crash_between_writing_and_recording_a_segment_leaves_every_row_once() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    std::fs::write(
        scene.config.dir.join("segments/events/00000000-0000-7000-8000-000000000000.parquet"),
        "half a segment",
    )
    .unwrap();
    std::fs::write(scene.config.dir.join("tmp/00000000-0000-7000-8000-000000000000.parquet"), "less").unwrap();
    let scene = scene.reopen().await;
    scene.check(0..100).await;
    assert_eq!(scene.files("segments").len(), 0);
    assert_eq!(std::fs::read_dir(scene.config.dir.join("tmp")).unwrap().count(), 0);
}

/// What happens when the catalog makes a change and its answer is lost.
#[tokio::test]
async fn a_change_whose_outcome_is_unknown_is_settled_by_asking_the_catalog() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    let core = scene.lake.core();
    let table = events_table();
    let work = core.tables.to_seal(EVENTS, usize::MAX).unwrap().unwrap();
    let made = Made { level: 0, tombstones_through: None };
    let segment =
        core.write_segment(Arc::new(table.clone()), made, move |spec| sorted(spec, work.batches)).await.unwrap();
    core.catalog.swap_segments(std::slice::from_ref(&segment.record), &[], &work.ids).await.unwrap();
    core.doubt(&table.name);
    scene.check(0..100).await;
    scene.append(100..110).await;
    scene.lake.seal().await.unwrap();
    scene.check(0..110).await;
    assert_eq!(scene.lake.stats().tables[0].segment_rows, 110);
    scene.reopen().await.check(0..110).await;
}

#[tokio::test]
async fn a_catalog_that_cannot_write_costs_only_what_was_not_acknowledged() {
    let scene = Scene::new().await;
    scene.append(0..10).await;
    sql(&scene, "CREATE TRIGGER full BEFORE INSERT ON staged BEGIN SELECT RAISE(ABORT, 'disk full'); END").await;
    assert!(matches!(scene.lake.append(EVENTS, events(10..20)).await, Err(Error::Commit { .. })));
    assert_eq!(scene.lake.stats().failing.unwrap().subject, "commit");
    scene.check(0..10).await;
    sql(&scene, "DROP TRIGGER full").await;
    scene.append(20..30).await;
    assert!(scene.lake.stats().failing.is_none());
    let expected: Vec<i64> = (0..10).chain(20..30).collect();
    assert_eq!(scene.numbers().await, expected);
    assert_eq!(scene.reopen().await.numbers().await, expected);
}

#[tokio::test]
async fn a_catalog_that_cannot_record_a_segment_leaves_every_row_once() {
    let scene = Scene::new().await;
    scene.append(0..10).await;
    sql(&scene, "CREATE TRIGGER full BEFORE INSERT ON segment BEGIN SELECT RAISE(ABORT, 'disk full'); END").await;
    assert!(matches!(scene.lake.seal().await, Err(Error::Catalog { .. })));
    scene.check(0..10).await;
    sql(&scene, "DROP TRIGGER full").await;
    scene.lake.seal().await.unwrap();
    scene.check(0..10).await;
    assert_eq!(scene.files("segments").len(), 1);
    scene.reopen().await.check(0..10).await;
}

/// Changes the lake's catalog behind its back.
pub(super) async fn sql(scene: &Scene, statement: &'static str) {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(scene.dir.path().join("lake.db"));
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
