//! Appending: acknowledged means durable, full means refused at once.

use std::time::Instant;

use super::*;
use crate::{Ack, Error};

#[tokio::test]
async fn what_was_acknowledged_is_read_at_once_and_after_a_restart() {
    let scene = Scene::new().await;
    assert_eq!(scene.lake.append(EVENTS, events(0..10)).await.unwrap(), Ack { rows: 10 });
    scene.check(0..10).await;
    let scene = scene.reopen().await;
    scene.check(0..10).await;
    scene.append(10..20).await;
    scene.check(0..20).await;
}

#[tokio::test]
async fn many_appends_share_few_commits() {
    let scene = Scene::new().await;
    let appends = (0..1000).map(|n| scene.lake.enqueue(EVENTS, events(n..n + 1)).unwrap()).collect::<Vec<_>>();
    for append in appends {
        assert_eq!(append.await.unwrap().rows, 1);
    }
    let stats = scene.lake.stats();
    assert_eq!((stats.rows_committed, stats.queue_bytes), (1000, 0));
    assert!(stats.groups_committed < 100, "{} groups", stats.groups_committed);
    let scene = scene.reopen().await;
    scene.check(0..1000).await;
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_is_committed_all_the_same() {
    let scene = Scene::new().await;
    drop(scene.lake.enqueue(EVENTS, events(0..10)).unwrap());
    until("the rows are committed", async || scene.lake.stats().rows_committed == 10).await;
    scene.check(0..10).await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_later_takes_again() {
    let scene = Scene::with(|config| config.queue_bytes = 20_000).await;
    let mut accepted = Vec::new();
    let refused = loop {
        match scene.lake.enqueue(EVENTS, events(0..10)) {
            Ok(append) => accepted.push(append),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full { retry_after_ms: 1.. }));
    assert_eq!(scene.lake.stats().appends_refused, 1);
    assert!(matches!(scene.lake.enqueue(EVENTS, events(0..10_000)), Err(Error::TooLarge { .. })));
    let count = accepted.len();
    for append in accepted {
        append.await.unwrap();
    }
    scene.append(0..10).await;
    assert_eq!(scene.numbers().await.len(), 10 * (count + 1));
}

#[tokio::test]
async fn rows_that_cannot_be_sealed_fast_enough_hold_appends_back() {
    let scene = Scene::with(|config| config.staged_bytes = 1000).await;
    scene.append(0..100).await;
    assert!(matches!(scene.lake.append(EVENTS, events(100..101)).await, Err(Error::Full { .. })));
    scene.lake.seal().await.unwrap();
    scene.append(100..101).await;
    scene.check(0..101).await;
}

#[tokio::test]
async fn a_batch_of_another_table_is_refused() {
    let scene = Scene::new().await;
    let unknown = scene.lake.append("things", events(0..1)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "the lake has no table \"things\"; it has events");
    let narrower = events(0..1).project(&[0, 1, 2]).unwrap();
    let refused = scene.lake.append(EVENTS, narrower).await.unwrap_err();
    assert!(matches!(&refused, Error::Schema { reason, .. } if reason.contains("user_id")), "{refused}");
    let mut columns = events(0..1).columns().to_vec();
    columns[0] = arrow::array::new_null_array(&DataType::Utf8, 1);
    let fields = events_table()
        .schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect::<Vec<_>>();
    let nulls = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert!(matches!(scene.lake.append(EVENTS, nulls).await, Err(Error::Schema { .. })));
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_refuses_the_rest() {
    let scene = Scene::new().await;
    let appends = (0..100).map(|n| scene.lake.enqueue(EVENTS, events(n..n + 1)).unwrap()).collect::<Vec<_>>();
    scene.lake.close().await;
    for append in appends {
        append.await.unwrap();
    }
    assert!(matches!(scene.lake.append(EVENTS, events(0..1)).await, Err(Error::Closed)));
    scene.reopen().await.check(0..100).await;
}

#[tokio::test]
async fn an_idle_lake_commits_without_waiting_for_company() {
    let scene = Scene::with(|config| config.commit_interval_ms = 10_000).await;
    let start = Instant::now();
    scene.append(0..1).await;
    assert!(start.elapsed() < Duration::from_secs(5));
}
