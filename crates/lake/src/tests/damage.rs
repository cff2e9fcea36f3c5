//! Damaged files and batches are set aside, and the rest is served.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::fault::sql;
use super::*;
use crate::lake::Verified;

/// What happens to a file.
type Damage = fn(&Path);

/// Ways in which a file goes bad.
const DAMAGES: [(&str, Damage); 5] = [
    ("torn", |path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("missing", |path| std::fs::remove_file(path).unwrap()),
    ("empty", |path| std::fs::write(path, "").unwrap()),
    ("footer", |path| overwrite(path, |bytes| bytes.len() - 40)),
    ("pages", |path| overwrite(path, |_| 40)),
];

/// Writes nonsense over part of a file, keeping its length.
fn overwrite(path: &Path, at: fn(&[u8]) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let start = at(&bytes);
    bytes[start..start + 24].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}

/// Two segments with events 0 to 99 and 100 to 199, and 200 to 209 staged. Returns the file of the first.
async fn scene() -> (Scene, PathBuf) {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    let first = scene.files("segments").remove(0);
    scene.append(100..200).await;
    scene.lake.seal().await.unwrap();
    scene.append(200..210).await;
    (scene, first)
}

fn check_alarm(scene: &Scene, damage: &str) {
    let stats = scene.lake.stats();
    assert_eq!(stats.quarantined, 1, "{damage}: {stats:?}");
    assert!(
        stats.alarms[0].subject.contains("events/") && stats.alarms[0].message.contains("100 rows"),
        "{damage}: {stats:?}"
    );
    assert_eq!(stats.tables[0].segments, 1);
    assert_eq!(scene.files("quarantine").len(), usize::from(damage != "missing"));
}

#[tokio::test]
async fn a_segment_damaged_while_the_lake_was_closed_is_set_aside_and_the_rest_served() {
    for (damage, inflict) in DAMAGES.into_iter().filter(|(damage, _)| *damage != "pages") {
        let (scene, first) = scene().await;
        inflict(&first);
        let scene = scene.reopen().await;
        scene.check(100..210).await;
        check_alarm(&scene, damage);
        let scene = scene.reopen().await;
        scene.check(100..210).await;
        check_alarm(&scene, damage);
        assert_eq!(scene.lake.stats().alarms.len(), 1, "it is not set aside twice");
    }
}

#[tokio::test]
async fn a_segment_damaged_while_the_lake_is_open_is_set_aside_by_the_query_that_meets_it() {
    for (damage, inflict) in DAMAGES {
        let (scene, first) = scene().await;
        inflict(&first);
        assert_eq!(scene.query("SELECT * FROM events", vec![]).await.rows(), 110, "{damage}");
        check_alarm(&scene, damage);
        scene.reopen().await.check(100..210).await;
    }
}

#[tokio::test]
async fn damage_that_no_query_noticed_is_found_by_a_check() {
    let (scene, first) = scene().await;
    overwrite(&first, |_| 40);
    let told = parking_lot::Mutex::new(Vec::new());
    let report = |done, all| told.lock().push((done, all));
    assert_eq!(
        scene.lake.verify(&CancellationToken::new(), report).await.unwrap(),
        Verified { segments: 2, damaged: 1 }
    );
    assert_eq!(*told.lock(), [(0, 2), (1, 2), (2, 2)]);
    check_alarm(&scene, "pages");
    let again = scene.lake.verify(&CancellationToken::new(), |_, _| {}).await.unwrap();
    assert_eq!(again, Verified { segments: 1, damaged: 0 });
    let stopped = CancellationToken::new();
    stopped.cancel();
    assert_eq!(scene.lake.verify(&stopped, |_, _| {}).await.unwrap(), Verified { segments: 0, damaged: 0 });
    scene.check(100..210).await;
}

#[tokio::test]
async fn compaction_does_not_merge_damage_into_good_rows() {
    let (scene, first) = scene().await;
    let scene = Scene { config: LakeConfig { compact_fan_in: 2, ..scene.config.clone() }, ..scene }.reopen().await;
    overwrite(&first, |_| 40);
    scene.lake.compact().await.unwrap();
    scene.check(100..210).await;
    check_alarm(&scene, "pages");
}

#[tokio::test]
async fn a_damaged_segment_does_not_keep_a_deletion_from_being_carried_out() {
    let (scene, first) = scene().await;
    overwrite(&first, |_| 40);
    scene.bury("user-1").await;
    scene.lake.compact().await.unwrap();
    let left: Vec<i64> = (100..210).filter(|n| n % 4 != 1 || n % 5 == 0).collect();
    assert_eq!(scene.numbers().await, left);
    let stats = scene.lake.stats();
    assert_eq!((stats.quarantined, stats.tables[0].tombstones, stats.failures), (1, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn a_damaged_staged_batch_is_left_aside_and_the_rest_served() {
    let scene = Scene::new().await;
    scene.append(0..10).await;
    scene.append(10..20).await;
    sql(&scene, "UPDATE staged SET blob = substr(blob, 1, length(blob) - 10) WHERE id = (SELECT min(id) FROM staged)")
        .await;
    let scene = scene.reopen().await;
    scene.check(10..20).await;
    let stats = scene.lake.stats();
    assert!(stats.quarantined == 1 && stats.alarms[0].subject.starts_with("staged batch"), "{stats:?}");
    // Nobody can say whose rows it holds.
    scene.bury("user-1").await;
    let purged = scene.lake.purge(&[], &tokio_util::sync::CancellationToken::new(), |_, _| {}).await.unwrap();
    assert_eq!(purged.quarantined, 1);
    assert!(scene.catalog.staged_ids(&EVENTS.parse().unwrap()).await.unwrap().is_empty());
}
