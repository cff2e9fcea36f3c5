//! Deleting a subject: hidden at once, gone after compaction, welcome back later.

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
    scene.lake.delete_subject(EVENTS, "user-1").await.unwrap();
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
    scene.lake.delete_subject(EVENTS, "user-1").await.unwrap();
    scene.lake.compact().await.unwrap();
    let stats = scene.lake.stats().tables[0].clone();
    let left = without_user_1(0..200);
    assert_eq!((stats.tombstones, stats.segment_rows, stats.staged_rows), (0, left.len() as u64, 0));
    assert!(scene.catalog.tombstones(&EVENTS.parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(scene.reopen().await.numbers().await, left);
}

#[tokio::test]
async fn a_subject_who_comes_back_is_not_deleted_again() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.lake.delete_subject(EVENTS, "user-1").await.unwrap();
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
    scene.lake.delete_subject(EVENTS, "user-1").await.unwrap();
    assert_eq!(scene.numbers().await, [0_i64; 0]);
    scene.lake.compact().await.unwrap();
    assert_eq!((scene.files("segments").len(), scene.lake.stats().tables[0].staged_batches), (0, 0));
    assert_eq!(scene.reopen().await.numbers().await, [0_i64; 0]);
}
