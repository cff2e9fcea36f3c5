//! Recording and finding with a real lake in a folder of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qd_base::{Picodollars, TimeRange, Timestamp, TraceId, Usage};
use qd_catalog::{Catalog, MasterKey};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig};
use tempfile::TempDir;

use crate::filter::tests::filters;
use crate::pricing::PriceRow;
use crate::table::tests::full_span;
use crate::{
    Call, Cursor, Error, Filter, Mode, Page, Payload, PriceTable, Recorder, RecorderConfig, Span, SpanKind,
    SpanSummary, Status, TraceContext, TraceSummary, Traces, tables,
};

mod dialects;
mod keeping;
mod otlp;
mod overview;
mod stats;

/// A lake and what works with it.
struct House {
    folder: TempDir,
    catalog: Catalog,
    lake: Lake,
    recorder: Recorder,
    traces: Traces,
}

impl House {
    async fn new(config: RecorderConfig) -> Self {
        Self::open(tempfile::tempdir().unwrap(), config).await
    }

    async fn open(folder: TempDir, config: RecorderConfig) -> Self {
        let catalog = Catalog::open(folder.path(), MasterKey::load(folder.path()).unwrap()).await.unwrap();
        let lake = Lake::open(LakeConfig::new(folder.path().join("lake")), catalog.clone(), tables()).await.unwrap();
        let blobs = BlobStore::open(&folder.path().join("blobs")).unwrap();
        let recorder = Recorder::new(lake.clone(), blobs.clone(), config);
        Self { folder, catalog, traces: Traces::new(lake.clone(), blobs), recorder, lake }
    }

    fn blobs(&self) -> BlobStore {
        BlobStore::open(&self.folder.path().join("blobs")).unwrap()
    }

    async fn record(&self, spans: impl IntoIterator<Item = Span>) {
        spans.into_iter().for_each(|span| self.recorder.record(span));
        self.recorder.drain().await;
    }

    /// All pages of a listing, each of `limit` traces.
    async fn pages(&self, filter: &Filter, limit: usize) -> Vec<TraceSummary> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.traces.list(filter, Page { limit, after }).await.unwrap();
            assert!(page.len() <= limit);
            all.extend(page);
            match next {
                Some(cursor) => after = Some(cursor.to_string().parse::<Cursor>().unwrap()),
                None => return all,
            }
        }
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + second)
}

/// A span that begins at a second, in the trace of `at`.
fn span(at: TraceContext, start: Timestamp) -> Span {
    let mut span = Span { trace_id: at.trace_id, span_id: at.span_id, parent_id: None, start, ..full_span() };
    span.end = start.saturating_add(Duration::from_millis(250));
    span
}

fn spans_at(seconds: impl IntoIterator<Item = i64>) -> Vec<Span> {
    seconds.into_iter().map(|at| span(TraceContext::root(), second(at))).collect()
}

#[tokio::test]
async fn what_was_recorded_durably_is_found_after_a_crash() {
    let house = House::new(RecorderConfig { mode: Mode::Sync, ..RecorderConfig::default() }).await;
    let now = Timestamp::now();
    let recorded = Span { start: now, end: now, ..full_span() };
    house.recorder.finish(recorded.clone()).await.unwrap();
    let stats = house.recorder.stats();
    assert_eq!((stats.recorded, stats.durable, stats.failed, stats.dropped, stats.queue_depth), (1, 1, 0, 0, 0));
    let window = stats.crash_window;
    // A commit takes some time, and this test's own limit is a minute.
    assert!(
        window.count == 1 && 0.0 < window.p50_ms && window.p50_ms <= window.max_ms && window.max_ms < 60_000.0,
        "{window:?}"
    );
    // Nothing is closed or drained: the house is left as by a crash.
    let House { folder, catalog, lake, recorder, traces } = house;
    drop((catalog, lake, recorder, traces));
    let house = House::open(folder, RecorderConfig::default()).await;
    let (found, _) = house.traces.trace(&full_span().project, full_span().trace_id).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&recorded));
    house.lake.seal().await.unwrap();
    assert_eq!(
        house.traces.span(&recorded.project, recorded.trace_id, recorded.span_id).await.unwrap(),
        Some(recorded)
    );
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let house = House::new(RecorderConfig { queue_spans: 3, ..RecorderConfig::default() }).await;
    // The runtime of this test has one thread, so the worker cannot run before the first await.
    spans_at(0..5).into_iter().for_each(|span| house.recorder.record(span));
    assert_eq!(house.recorder.stats().queue_depth, 3);
    house.recorder.drain().await;
    let stats = house.recorder.stats();
    assert_eq!((stats.recorded, stats.durable, stats.dropped), (3, 3, 2));
    assert_eq!(house.pages(&Filter::default(), 10).await.len(), 3);
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_too_and_waiting_spans_get_their_turn() {
    let large = |at| Span { input: Some("x".repeat(6_000).into()), ..span(TraceContext::root(), second(at)) };
    let house = House::new(RecorderConfig { queue_bytes: 10_000, ..RecorderConfig::default() }).await;
    (0..3).for_each(|at| house.recorder.record(large(at)));
    assert_eq!((house.recorder.stats().recorded, house.recorder.stats().dropped), (1, 2));
    let durable = futures_of(&house.recorder, (3..8).map(large));
    for result in durable {
        result.await.unwrap().unwrap();
    }
    assert_eq!(house.recorder.stats().durable, 6);
}

fn futures_of(
    recorder: &Recorder,
    spans: impl Iterator<Item = Span>,
) -> Vec<tokio::task::JoinHandle<crate::Result<()>>> {
    let record = |span| {
        let recorder = recorder.clone();
        tokio::spawn(async move { recorder.record_durable(span).await })
    };
    spans.map(record).collect()
}

#[tokio::test]
async fn a_lake_that_does_not_take_rows_is_told_to_whoever_waits() {
    let house = House::new(RecorderConfig::default()).await;
    house.lake.close().await;
    let error = house.recorder.record_durable(full_span()).await.unwrap_err();
    assert!(matches!(error, Error::Append(qd_lake::Error::Closed)), "{error:?}");
    house.record([full_span()]).await;
    assert_eq!((house.recorder.stats().failed, house.recorder.stats().durable), (2, 0));
}

#[tokio::test]
async fn spans_that_finished_elsewhere_are_appended_all_or_none() {
    let house = House::new(RecorderConfig::default()).await;
    house.recorder.append(vec![]).await.unwrap();
    house.recorder.append(spans_at(0..5)).await.unwrap();
    let stats = house.recorder.stats();
    assert_eq!((stats.recorded, stats.durable, stats.crash_window.count), (5, 5, 0));
    house.lake.close().await;
    assert!(matches!(house.recorder.append(spans_at(5..7)).await, Err(Error::Append(_))));
    assert_eq!(house.pages(&Filter::default(), 10).await.len(), 5);
}

#[tokio::test]
async fn a_large_payload_goes_to_a_blob_and_comes_back_whole() {
    let house = House::new(RecorderConfig::default()).await;
    let text = format!("\"{}\"", "é".repeat(Payload::INLINE_BYTES));
    let large = Span { input: Payload::from_utf8(Bytes::from(text.clone())), ..full_span() };
    house.recorder.record_durable(large.clone()).await.unwrap();
    let listed = house.traces.trace(&large.project, large.trace_id).await.unwrap().0.remove(0);
    assert!(text.starts_with(listed.input.unwrap().as_str()));
    let whole = house.traces.span(&large.project, large.trace_id, large.span_id).await.unwrap().unwrap();
    assert_eq!(whole, Span { input_blob: listed.input_blob, ..large });
    assert_eq!(listed.input_blob, Some(qd_base::Sha256Hex::of(text.as_bytes())));
}

#[tokio::test]
async fn finished_spans_are_told_to_a_live_tail() {
    let house = House::new(RecorderConfig::default()).await;
    let mut tail = house.recorder.subscribe();
    house.recorder.record(full_span());
    assert_eq!(tail.recv().await.unwrap(), Arc::new(full_span()));
}

#[tokio::test]
async fn the_lake_decides_like_the_filter_of_a_live_tail() {
    let house = House::new(RecorderConfig::default()).await;
    house.recorder.record_durable(full_span()).await.unwrap();
    for sealed in [false, true] {
        for (taken, refused) in filters() {
            let summary = SpanSummary::from(&full_span());
            assert_eq!(
                house.traces.spans(&taken, Page::default()).await.unwrap(),
                (vec![summary], None),
                "{taken:?}, sealed: {sealed}"
            );
            assert_eq!(
                house.traces.spans(&refused, Page::default()).await.unwrap().0,
                [],
                "{refused:?}, sealed: {sealed}"
            );
        }
        house.lake.seal().await.unwrap();
    }
}

#[tokio::test]
async fn pages_hold_every_trace_once_newest_first() {
    let house = House::new(RecorderConfig::default()).await;
    // Seven traces at each of three seconds, so that starts are equal within and across pages.
    let spans = spans_at((0..21).map(|n| n % 3));
    house.record(spans.clone()).await;
    house.lake.seal().await.unwrap();
    let mut expected: Vec<Cursor> =
        spans.iter().map(|span| Cursor { start: span.start, span_id: span.span_id }).collect();
    expected.sort_by_key(|&cursor| std::cmp::Reverse(cursor));
    for limit in [1, 4, 7, 20, 21, 100] {
        let found: Vec<Cursor> =
            house.pages(&Filter::default(), limit).await.iter().map(|trace| trace.head.cursor()).collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn what_is_added_while_someone_pages_repeats_and_hides_nothing() {
    let house = House::new(RecorderConfig::default()).await;
    house.record(spans_at(0..6)).await;
    let (first, next) = house.traces.list(&Filter::default(), Page::first(3)).await.unwrap();
    house.record(spans_at(10..20)).await;
    let (second, last) = house.traces.list(&Filter::default(), Page { limit: 3, after: next }).await.unwrap();
    let starts: Vec<i64> = first.iter().chain(&second).map(|trace| trace.start.as_secs() - 1_767_225_600).collect();
    assert_eq!((starts, last), (vec![5, 4, 3, 2, 1, 0], None));
}

#[tokio::test]
async fn a_trace_is_listed_once_with_what_its_spans_come_to() {
    let house = House::new(RecorderConfig::default()).await;
    let at = TraceContext::root();
    let child = |start| Span {
        parent_id: Some(at.span_id),
        status: Status::Ok,
        name: "tool".into(),
        ..span(at.child(), second(start))
    };
    // Between its spans there are other traces, so that its spans lie on several pages.
    let other = spans_at([1, 3, 5, 7]);
    let of_trace = vec![span(at, second(0)), child(2), child(4), child(6), child(8)];
    house.record(of_trace.into_iter().chain(other)).await;
    for limit in [1, 2, 3, 50] {
        let all = house.pages(&Filter::default(), limit).await;
        let starts: Vec<i64> = all.iter().map(|trace| trace.head.start.as_secs() - 1_767_225_600).collect();
        assert_eq!(starts, [7, 5, 3, 1, 0], "pages of {limit}");
        let trace = all.last().unwrap();
        assert_eq!((trace.head.span_id, trace.spans, trace.errors), (at.span_id, 5, 1));
        // Five times 12, 3, 4 and 1 tokens and 55 millionths; from 0 s to 8.25 s.
        assert_eq!(trace.usage, Usage { input_tokens: 60, output_tokens: 15, cached_tokens: 20, reasoning_tokens: 5 });
        assert_eq!((trace.cost, trace.latency_ms()), (Picodollars::new(275_000_000), 8_250.0));
    }
    // A filter that wants only the tools lists the trace at its first tool.
    let tools = house.pages(&Filter { name: Some("tool".into()), ..Filter::default() }, 2).await;
    assert_eq!(tools.iter().map(|trace| (trace.head.start, trace.spans)).collect::<Vec<_>>(), [(second(2), 5)]);
}

/// The heads of traces in the order of a listing: for each the first of its spans that is wanted, the newest first.
fn heads(spans: &[Span], filter: &Filter) -> Vec<Cursor> {
    let mut heads = HashMap::<TraceId, Cursor>::new();
    for span in spans.iter().filter(|span| filter.matches(span)) {
        let cursor = Cursor { start: span.start, span_id: span.span_id };
        heads.entry(span.trace_id).and_modify(|head| *head = cursor.min(*head)).or_insert(cursor);
    }
    let mut heads: Vec<Cursor> = heads.into_values().collect();
    heads.sort_unstable_by_key(|&head| std::cmp::Reverse(head));
    heads
}

fn cursors(traces: &[TraceSummary]) -> Vec<Cursor> {
    traces.iter().map(|trace| trace.head.cursor()).collect()
}

/// A trace whose spans begin at these seconds.
fn trace_at(seconds: impl IntoIterator<Item = i64>) -> Vec<Span> {
    let root = TraceContext::root();
    seconds.into_iter().map(|at| span(root.child(), second(at))).collect()
}

#[tokio::test]
async fn a_trace_of_very_many_spans_leaves_no_page_empty() {
    let house = House::new(RecorderConfig::default()).await;
    // It begins among the others and goes on long after the last of them.
    let mut spans = trace_at((0..3_000).map(|n| 30 + n));
    spans.extend(spans_at(0..100));
    house.recorder.append(spans.clone()).await.unwrap();
    house.lake.seal().await.unwrap();
    let expected = heads(&spans, &Filter::default());
    let (page, next) = house.traces.list(&Filter::default(), Page::first(50)).await.unwrap();
    assert_eq!(cursors(&page), expected[..50]);
    let (page, next) = house.traces.list(&Filter::default(), Page { limit: 50, after: next }).await.unwrap();
    assert_eq!(cursors(&page), expected[50..100]);
    let large = page.iter().find(|trace| trace.spans > 1).unwrap();
    assert_eq!((large.spans, large.start, large.usage.input_tokens), (3_000, second(30), 36_000));
    let (page, last) = house.traces.list(&Filter::default(), Page { limit: 50, after: next }).await.unwrap();
    assert_eq!((cursors(&page), last), (expected[100..].to_vec(), None));
    for limit in [1, 7, 100, 101, 500] {
        assert_eq!(cursors(&house.pages(&Filter::default(), limit).await), expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_page_is_full_where_every_trace_has_very_many_spans() {
    let house = House::new(RecorderConfig::default()).await;
    // More spans than the rounds of a page of eleven read, so that its last traces are found by adding up what is left.
    let spans: Vec<Span> = (0..12).flat_map(|n| trace_at((0..700).map(|at| n * 700 + at))).collect();
    house.recorder.append(spans.clone()).await.unwrap();
    house.lake.seal().await.unwrap();
    let expected = heads(&spans, &Filter::default());
    for limit in [1, 5, 11, 12, 13] {
        let mut after = None;
        for page in expected.chunks(limit) {
            let (found, next) = house.traces.list(&Filter::default(), Page { limit, after }).await.unwrap();
            assert_eq!(cursors(&found), page, "pages of {limit}");
            assert!(found.iter().all(|trace| trace.spans == 700));
            after = next;
        }
        assert_eq!(after, None, "pages of {limit}");
    }
}

#[tokio::test]
async fn pages_are_exact_however_traces_lie_across_each_other() {
    // Steps of a linear congruential generator (Numerical Recipes, 2nd ed., section 7.1).
    let mut state = 7_u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut spans = Vec::new();
    for _ in 0..60 {
        let (begin, lasts, many) = (random(200), 1 + random(150), random(8) == 0);
        let count = if many { 100 } else { 1 + random(6) };
        let trace = trace_at((0..count).map(|_| i64::from(begin + random(lasts))).collect::<Vec<_>>());
        spans.extend(
            trace
                .into_iter()
                .map(|span| Span { kind: if random(3) == 0 { SpanKind::Tool } else { SpanKind::Llm }, ..span }),
        );
    }
    let house = House::new(RecorderConfig::default()).await;
    house.recorder.append(spans.clone()).await.unwrap();
    let range = TimeRange::new(second(60), second(220)).unwrap();
    for filter in [
        Filter::default(),
        Filter { kind: Some(SpanKind::Tool), ..Filter::default() },
        Filter { range: Some(range), calls: true, ..Filter::default() },
    ] {
        let expected = heads(&spans, &filter);
        for limit in [1, 2, 3, 10, 59, 500] {
            let found = cursors(&house.pages(&filter, limit).await);
            assert_eq!(found, expected, "pages of {limit}, {filter:?}");
        }
    }
}

#[tokio::test]
async fn a_trace_that_goes_on_for_days_is_listed_once() {
    const HOUR: i64 = 3600;
    let house = House::new(RecorderConfig::default()).await;
    // Each of its spans begins within a day of the one before, and all together lie a week apart.
    let mut spans = trace_at((0..9).map(|n| n * 20 * HOUR));
    spans.extend(spans_at((0..40).map(|n| n * 4 * HOUR + 1)));
    house.recorder.append(spans.clone()).await.unwrap();
    let expected = heads(&spans, &Filter::default());
    for limit in [1, 3, 30, 50] {
        assert_eq!(cursors(&house.pages(&Filter::default(), limit).await), expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_trace_is_told_by_its_head_s_model_or_else_by_its_first_call() {
    let house = House::new(RecorderConfig::default()).await;
    let root = TraceContext::root();
    let chain = |at, start| Span {
        kind: SpanKind::Chain,
        provider: None,
        model: None,
        model_requested: None,
        ttft_ms: None,
        ..span(at, second(start))
    };
    let call = |start, model: &str| Span { model: Some(model.into()), ..span(root.child(), second(start)) };
    let alone = TraceContext::root();
    house.record([chain(root, 0), call(2, "second"), call(1, "first"), chain(alone, 5)]).await;
    let found = house.pages(&Filter::default(), 10).await;
    let first = Call {
        provider: Some("openai".into()),
        model_requested: Some("gpt-4o".into()),
        model: Some("first".into()),
        ttft_ms: Some(40.5),
    };
    assert_eq!(found.iter().map(|trace| &trace.call).collect::<Vec<_>>(), [&Call::default(), &first]);
    let second = house.pages(&Filter { model: Some("second".into()), ..Filter::default() }, 10).await;
    assert_eq!(second[0].call, Call { model: Some("second".into()), ..first });
}

#[tokio::test]
async fn a_project_sees_only_its_own() {
    let house = House::new(RecorderConfig::default()).await;
    house.recorder.record_durable(full_span()).await.unwrap();
    let other = "other".parse().unwrap();
    assert_eq!(house.traces.trace(&other, full_span().trace_id).await.unwrap().0, []);
    assert_eq!(house.traces.span(&other, full_span().trace_id, full_span().span_id).await.unwrap(), None);
    let evil = Filter { model: Some("x' OR '1' = '1".into()), ..Filter::default() };
    assert_eq!(house.traces.list(&evil, Page::default()).await.unwrap(), (vec![], None));
}

#[tokio::test]
async fn prices_that_were_put_are_in_force() {
    let house = House::new(RecorderConfig::default()).await;
    assert_eq!(PriceTable::in_force(&house.catalog).await.unwrap(), PriceTable::built_in());
    let row = |json: &str| serde_json::from_str::<PriceRow>(json).unwrap();
    let put = PriceTable::put(&house.catalog, vec![row(r#"{"provider":"stub","model":"*","input":2,"output":4}"#)])
        .await
        .unwrap();
    assert_eq!((put.version(), PriceTable::in_force(&house.catalog).await.unwrap()), (1, put.clone()));
    // 3 × 2 + 5 × 4 = 26 millionths of a dollar.
    let usage = Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() };
    assert_eq!(put.cost("stub", "any", usage), Some(Picodollars::new(26_000_000)));
    let wrong =
        PriceTable::put(&house.catalog, vec![row(r#"{"provider":"stub","model":"*","input":-2,"output":4}"#)]).await;
    assert!(matches!(wrong, Err(Error::Price { .. })));
    assert_eq!(PriceTable::in_force(&house.catalog).await.unwrap(), put);
}
