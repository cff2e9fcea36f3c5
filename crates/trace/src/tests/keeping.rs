//! Old rows go with their payloads, and an overview of what is kept is one of what is kept.

use qd_lake::Horizons;

use super::*;
use crate::Retention;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

#[tokio::test]
async fn payloads_go_with_the_last_row_that_refers_to_them() {
    let house = House::new(RecorderConfig::default()).await;
    let blobs = BlobStore::open(&house.folder.path().join("blobs")).unwrap();
    let recorder = Recorder::new(house.lake.clone(), blobs.clone(), RecorderConfig::default());
    let retention = Retention::new(house.lake.clone(), house.catalog.clone(), blobs.clone(), 10);
    let now = second(0).saturating_add(days(30));
    let text = |name: &str| format!("\"{name} {}\"", "x".repeat(Payload::INLINE_BYTES));
    let with = |name: &str, age: u64| {
        let start = now.saturating_sub(days(age));
        Span { input: Some(text(name).as_str().into()), ..span(TraceContext::root(), start) }
    };
    let sha256 = |name: &str| qd_base::Sha256Hex::of(text(name).as_bytes());
    // Ten days before 31 January 00:00 is the 21st at that hour, which is kept.
    recorder.append(vec![with("old", 11), with("shared", 11), with("shared", 1), with("edge", 10)]).await.unwrap();
    house.lake.seal().await.unwrap();
    recorder.append(vec![with("staged", 2)]).await.unwrap();
    assert_eq!(retention.sweep().await.unwrap().blobs, 0);
    assert_eq!(retention.apply_at(now).await.unwrap().rows, 2);
    assert_eq!(house.pages(&Filter::default(), 10).await.len(), 3);
    assert_eq!(retention.sweep().await.unwrap().blobs, 1);
    assert!(!blobs.contains(sha256("old")));
    for name in ["shared", "edge", "staged"] {
        assert!(blobs.contains(sha256(name)), "{name}");
    }
}

#[tokio::test]
async fn a_project_s_own_word_stands_before_the_operator_s() {
    let house = House::new(RecorderConfig::default()).await;
    let retention = Retention::new(house.lake.clone(), house.catalog.clone(), house.blobs(), 10);
    let default = house.catalog.default_project().id;
    house.catalog.put_retention(default, &"spans".parse().unwrap(), 0).await.unwrap();
    let kept = retention.of(default).await.unwrap();
    let days = |table: &str| kept.iter().find(|kept| kept.table.as_str() == table).unwrap().days;
    assert_eq!((days("spans"), days("scores")), (0, 10));
    let horizon = async |project: &str| retention.horizon(&project.parse().unwrap(), "spans").await.unwrap();
    assert_eq!(horizon("default").await, None);
    assert!(horizon("another").await.is_some());
}

/// Days are summarized in segments that hold other days too; the horizon cuts between them.
#[tokio::test]
async fn an_overview_adds_up_what_is_kept() {
    let (house, spans) = overview::merged_house().await;
    let horizon = second(0).saturating_add(days(1));
    house.lake.hide("spans", Horizons::of_all(Some(horizon))).unwrap();
    let left: Vec<Span> = spans.into_iter().filter(|span| span.start >= horizon).collect();
    overview::check_days(&house, &left).await;
    house.lake.retain("spans", Horizons::of_all(Some(horizon))).await.unwrap();
    overview::check_days(&house, &left).await;
}

/// Rows that are hidden are on disk, and seen again where they are kept for longer again.
#[tokio::test]
async fn erasing_reaches_what_retention_hides() {
    let house = House::new(RecorderConfig::default()).await;
    let recorder = Recorder::new(house.lake.clone(), house.blobs(), RecorderConfig::default());
    let eraser = crate::erasure::Eraser::new(house.lake.clone(), house.catalog.clone(), house.blobs());
    let at = TraceContext::root();
    let within = TraceContext { trace_id: at.trace_id, ..TraceContext::root() };
    let named = Span { user_id: Some("ada".into()), ..span(at, second(0)) };
    let nameless = Span { user_id: None, ..span(within, second(1)) };
    recorder.append(vec![named, nameless]).await.unwrap();
    house.lake.hide("spans", Horizons::of_all(Some(second(0).saturating_add(days(1))))).unwrap();
    assert!(house.pages(&Filter::default(), 10).await.is_empty());
    let default = house.catalog.default_project();
    let erased = eraser.erase(&default.name, default.id, "ada").await.unwrap();
    assert_eq!((erased.traces, erased.rows), (1, 2));
    house.lake.hide("spans", Horizons::default()).unwrap();
    assert!(house.pages(&Filter::default(), 10).await.is_empty());
}
