//! Deleting a subject: hidden at once, gone after compaction, welcome back later.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::*;

/// Users are `user-0` to `user-3` by `n % 4`, and nobody when `n % 5` is 0.
fn without_user_1(numbers: Range<i64>) -> Vec<i64> {
    numbers.filter(|n| n % 4 != 1 || n % 5 == 0).collect()
}

#[tokio::test]
async fn a_deleted_subject_is_gone_at_once_and_after_a_restart() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.append(100..200).await;
    scene.bury("user-1").await;
    assert_eq!(scene.numbers().await, without_user_1(0..200));
    let count = scene.query("SELECT count(*) FROM events", vec![]).await;
    assert_eq!(numbers_of(&count), [without_user_1(0..200).len() as i64]);
    let scene = scene.reopen().await;
    assert_eq!(scene.numbers().await, without_user_1(0..200));
}

#[tokio::test]
async fn compaction_takes_a_deleted_subject_off_the_disk() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.append(100..200).await;
    scene.bury("user-1").await;
    scene.lake.compact().await.unwrap();
    let stats = scene.lake.stats().tables[0].clone();
    let left = without_user_1(0..200);
    assert_eq!((stats.tombstones, stats.segment_rows, stats.staged_rows), (0, left.len() as u64, 0));
    assert!(scene.catalog.tombstones(&EVENTS.parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(scene.reopen().await.numbers().await, left);
}

/// The tombstone is on disk before it is known in memory; what is committed meanwhile may be merged with what it holds for.
#[tokio::test]
async fn rows_that_are_merged_with_later_ones_meanwhile_are_hidden() {
    let scene = Scene::new().await;
    scene.append(0..50).await;
    let burial = Burial { project: None, subject: "user-1".to_owned(), groups: Vec::new(), tables: Vec::new() };
    let made = scene.catalog.add_tombstones(&[EVENTS.parse().unwrap()], &burial).await.unwrap();
    scene.append(50..100).await;
    for tombstone in made {
        scene.lake.core().tables.bury(EVENTS, tombstone).unwrap();
    }
    assert_eq!(scene.numbers().await, without_user_1(0..100));
    scene.lake.seal().await.unwrap();
    assert_eq!(scene.numbers().await, without_user_1(0..100));
}

#[tokio::test]
async fn a_subject_who_comes_back_is_not_deleted_again() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.bury("user-1").await;
    scene.append(100..200).await;
    let expected: Vec<i64> = without_user_1(0..100).into_iter().chain(100..200).collect();
    assert_eq!(scene.numbers().await, expected);
    scene.lake.seal().await.unwrap();
    assert_eq!(scene.numbers().await, expected);
    let scene = scene.reopen().await;
    assert_eq!(scene.numbers().await, expected);
    scene.lake.compact().await.unwrap();
    assert_eq!(scene.numbers().await, expected);
}

#[tokio::test]
async fn rows_that_all_belong_to_a_deleted_subject_leave_no_segment() {
    let scene = Scene::new().await;
    scene.append(1..2).await;
    scene.lake.seal().await.unwrap();
    scene.append(9..10).await;
    scene.bury("user-1").await;
    assert_eq!(scene.numbers().await, [0_i64; 0]);
    scene.lake.compact().await.unwrap();
    assert_eq!((scene.files("segments").len(), scene.lake.stats().tables[0].staged_batches), (0, 0));
    assert_eq!(scene.reopen().await.numbers().await, [0_i64; 0]);
}

fn project(n: i64) -> String {
    format!("project-{}", n % 3)
}

fn user(n: i64) -> Option<String> {
    (n % 5 != 0).then(|| format!("user-{}", n % 4))
}

/// A deletion in one project, with these groups.
fn burial(project: usize, user: usize, groups: impl IntoIterator<Item = String>) -> Burial {
    let project = Some(format!("project-{project}"));
    Burial { project, subject: format!("user-{user}"), groups: groups.into_iter().collect(), tables: Vec::new() }
}

/// Whether event `n` is one of those that a deletion is about.
fn is_meant(burial: &Burial, n: i64) -> bool {
    burial.project.as_ref().is_none_or(|wanted| *wanted == project(n))
        && match user(n) {
            Some(user) => user == burial.subject,
            None => burial.groups.contains(&trace(n)),
        }
}

/// Of event 40 nobody's name is known, but it is in the trace of event 41, which is by user 1; event 45 is in another.
#[tokio::test]
async fn rows_without_a_name_go_with_their_trace_and_other_projects_stay() {
    let one = burial(1, 1, [trace(40)]);
    assert_eq!((trace(40), trace(41), project(40), user(40)), (trace(37), "trace-5".into(), project(37), None));
    for sealed in [false, true] {
        let scene = Scene::new().await;
        scene.append(0..100).await;
        if sealed {
            scene.lake.seal().await.unwrap();
        }
        scene.lake.bury(one.clone()).await.unwrap();
        let left: Vec<i64> = (0..100).filter(|&n| !is_meant(&one, n)).collect();
        assert!(!left.contains(&37) && !left.contains(&40) && left.contains(&41) && left.contains(&45));
        assert_eq!(scene.numbers().await, left);
        // A question that does not name the columns which tell whose a row is.
        let sum = scene.query("SELECT sum(n) FROM events", vec![]).await;
        assert_eq!(numbers_of(&sum), [left.iter().sum::<i64>()]);
        scene.lake.compact().await.unwrap();
        assert_eq!(scene.lake.stats().tables[0].segment_rows, left.len() as u64);
        assert_eq!(scene.reopen().await.numbers().await, left);
    }
}

/// Whatever is staged, sealed or merged when, and whoever is deleted meanwhile: exactly the others are left.
#[tokio::test]
async fn deletions_take_exactly_whom_they_name_from_any_layout() {
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut scene = Scene::with(|config| config.compact_fan_in = 2).await;
        let mut left = BTreeSet::new();
        let mut next = 0;
        for _ in 0..40 {
            match random.random_range(0..12) {
                0..4 => {
                    let more = next..next + random.random_range(1..120);
                    scene.append(more.clone()).await;
                    left.extend(more.clone());
                    next = more.end;
                }
                4..7 => scene.lake.seal().await.unwrap(),
                7..9 => scene.lake.compact().await.unwrap(),
                9 => scene = scene.reopen().await,
                10 => drop(scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.unwrap()),
                _ => {
                    let groups = (0..random.random_range(0..20)).map(|_| trace(random.random_range(0..next.max(1))));
                    let groups: Vec<_> = groups.collect();
                    let one = burial(random.random_range(0..3), random.random_range(0..4), groups);
                    left.retain(|&n| !is_meant(&one, n));
                    scene.lake.bury(one).await.unwrap();
                }
            }
            assert_eq!(scene.numbers().await, left.iter().copied().collect::<Vec<_>>(), "seed {seed}");
        }
        scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.unwrap();
        let stats = scene.lake.stats().tables[0].clone();
        let rows = stats.segment_rows + stats.staged_rows as u64;
        assert_eq!((rows, stats.tombstones), (left.len() as u64, 0), "seed {seed}: the others are off the disk");
        let used = scene.lake.blobs_in_use().await.unwrap();
        assert_eq!(used, left.iter().filter(|&n| n % 7 == 0).map(|&n| blob(n)).collect(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_purge_that_was_stopped_goes_on_after_a_restart() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.disk.break_down(crate::file::failing::Operation::Create, crate::file::failing::Fault::NoSpace);
    scene.bury("user-1").await;
    assert!(scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.is_err());
    assert!(scene.lake.is_purge_due(&[]));
    scene.disk.heal();
    let scene = scene.reopen().await;
    assert!(scene.lake.is_purge_due(&[]));
    let told = CancellationToken::new();
    told.cancel();
    scene.lake.purge(&[], &told, |_, _| {}).await.unwrap();
    assert_eq!(scene.numbers().await, without_user_1(0..100));
    scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.unwrap();
    assert!(!scene.lake.is_purge_due(&[]));
    assert_eq!(scene.lake.stats().tables[0].segment_rows, without_user_1(0..100).len() as u64);
}

/// A staged batch is compressed, so it is looked for as it is and not by what it says.
#[tokio::test]
async fn a_purge_leaves_nothing_of_staged_rows_and_of_what_was_set_aside() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    let staged = scene.catalog.staged(&EVENTS.parse().unwrap()).await.unwrap().remove(0).batch.blob;
    let lies_in = |file: &str| {
        let bytes = std::fs::read(scene.dir.path().join(file)).unwrap();
        bytes.windows(64).any(|window| window == &staged[200..264])
    };
    assert!(lies_in("lake.db") || lies_in("lake.db-wal"));
    scene.lake.seal().await.unwrap();
    scene.append(100..200).await;
    scene.lake.seal().await.unwrap();
    let damaged = scene.files("segments").remove(0);
    std::fs::write(&damaged, "not a segment").unwrap();
    scene.lake.verify(&CancellationToken::new(), |_, _| {}).await.unwrap();
    assert_eq!(scene.files("quarantine").len(), 1);
    assert!(lies_in("lake.db") || lies_in("lake.db-wal"), "deleted rows leave their bytes");
    scene.bury("user-1").await;
    let purged = scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.unwrap();
    assert_eq!(purged.quarantined, 1);
    assert!(!lies_in("lake.db") && !lies_in("lake.db-wal"));
    assert_eq!((scene.files("quarantine").len(), scene.lake.has_quarantined().await.unwrap()), (0, false));
    scene.lake.purge(&[], &CancellationToken::new(), |_, _| {}).await.unwrap();
}
