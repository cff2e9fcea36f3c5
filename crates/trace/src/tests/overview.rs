//! An overview says the same of each call, wherever it is: staged, in a segment, or in a summary.

use std::collections::{BTreeMap, HashSet};

use qd_catalog::Burial;

use super::*;
use crate::sketch::ACCURACY;
use crate::{GroupBy, GroupFilter, Groups, Measures, OverviewQuery, Series};

/// Three days of calls and other spans in two projects, which differ in all that an overview tells apart.
fn spans() -> Vec<Span> {
    let mut state = 7_u64;
    let mut draw = move |below: u64| {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut word = |words: &[&str]| match words[draw(words.len() as u64) as usize] {
        "" => None,
        word => Some(word.to_owned()),
    };
    let made = (0..1_500_u64).map(|number| {
        let start = second(0).saturating_add(Duration::from_millis(number * 172_800 + number % 7 * 3_100));
        let project = word(&["default", "default", "other"]).unwrap();
        let kind = [SpanKind::Llm, SpanKind::Embedding, SpanKind::Tool][(number % 5 % 3) as usize];
        let mut span = Span::new(project.parse().unwrap(), TraceContext::root(), kind, "chat", start);
        span.end = start.saturating_add(Duration::from_micros(1_500 + number * number * 7 % 9_000_000));
        span.ttft_ms = (number % 3 == 0).then_some(0.37 * (number % 100) as f64 + 0.1);
        span.status = if number % 11 == 0 { Status::Error } else { Status::Ok };
        span.user_id = word(&["", "ann", "bob", "carl"]);
        span.environment = word(&["", "production", "staging"]);
        span.provider = word(&["", "local", "openai"]);
        span.model_requested = word(&["", "gpt-4o"]);
        span.model = word(&["", "gpt-4o-2024", "smollm2"]);
        span.prompt_name = word(&["", "greeting"]);
        span.prompt_version = span.prompt_name.as_ref().map(|_| number as u32 % 3);
        let usage =
            Usage { input_tokens: number, output_tokens: number % 13, cached_tokens: number % 5, reasoning_tokens: 0 };
        span.usage = (number % 4 != 0).then_some(usage);
        span.cost = (number % 6 != 0).then(|| Picodollars::new(number as i64 * 1_000));
        span
    });
    made.collect()
}

/// Nine sealed segments, of which eight are merged and summarized, and some staged rows.
async fn house(spans: &[Span]) -> House {
    let house = House::new(RecorderConfig::default()).await;
    for part in spans[..1_350].chunks(150) {
        house.record(part.iter().cloned()).await;
        house.lake.seal().await.unwrap();
    }
    house.lake.compact().await.unwrap();
    house.record(spans[1_350..].iter().cloned()).await;
    house
}

fn group(span: &Span, by: GroupBy) -> String {
    let group = match by {
        GroupBy::Model => span.model.clone().or(span.model_requested.clone()),
        GroupBy::Provider => span.provider.clone(),
        GroupBy::Prompt => span.prompt_name.clone(),
        GroupBy::PromptVersion => span.prompt_version.map(|number| number.to_string()),
        GroupBy::User => span.user_id.clone(),
        GroupBy::Environment => span.environment.clone(),
        GroupBy::Status => Some(span.status.as_str().to_owned()),
        GroupBy::Session => span.session_id.clone(),
        GroupBy::Release => span.release.clone(),
        GroupBy::Name => Some(span.name.clone()),
    };
    group.unwrap_or_default()
}

/// Compares sums exactly, and percentiles with those of the sorted values.
fn check_measures(found: &Measures, calls: &[&Span], what: &str) {
    let tokens = |of: fn(&Usage) -> u64| calls.iter().filter_map(|span| span.usage.as_ref()).map(of).sum::<u64>();
    assert_eq!(found.requests, calls.len() as u64, "{what}");
    assert_eq!(found.errors, calls.iter().filter(|span| span.status == Status::Error).count() as u64, "{what}");
    assert_eq!(found.input_tokens, tokens(|usage| usage.input_tokens), "{what}");
    assert_eq!(found.output_tokens, tokens(|usage| usage.output_tokens), "{what}");
    assert_eq!(found.cached_tokens, tokens(|usage| usage.cached_tokens), "{what}");
    let cost: i64 = calls.iter().filter_map(|span| span.cost).map(Picodollars::get).sum();
    assert_eq!(found.cost_picodollars, cost, "{what}");
    let answering = |span: &&&Span| span.usage.as_ref().is_some_and(|usage| usage.output_tokens > 0);
    let generating: f64 =
        calls.iter().filter(answering).map(|span| (span.latency_ms() - span.ttft_ms.unwrap_or(0.0)).max(0.0)).sum();
    let rate = (generating > 0.0).then(|| tokens(|usage| usage.output_tokens) as f64 * 1e3 / generating);
    assert!(close(found.output_tokens_per_s(), rate, 1e-9), "{what}");
    for quantile in [0.0, 0.5, 0.95, 1.0] {
        let latency = exact(calls.iter().map(|span| span.latency_ms()), quantile);
        let ttft = exact(calls.iter().filter_map(|span| span.ttft_ms), quantile);
        assert!(close(found.latency_ms.quantile(quantile), latency, ACCURACY), "{what}");
        assert!(close(found.ttft_ms.quantile(quantile), ttft, ACCURACY), "{what}");
    }
}

fn exact(values: impl Iterator<Item = f64>, quantile: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(values[(quantile * last as f64) as usize])
}

fn close(found: Option<f64>, expected: Option<f64>, accuracy: f64) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found / expected - 1.0).abs() <= accuracy + 1e-9,
        (found, expected) => found == expected,
    }
}

async fn check(house: &House, spans: &[Span], query: &OverviewQuery) {
    let what = format!("{query:?}");
    let wanted = Filter {
        range: Some(query.range),
        calls: query.filter.calls || query.filter.kind.is_none(),
        ..query.filter.clone()
    };
    let calls: Vec<&Span> = spans.iter().filter(|span| wanted.matches(span)).collect();
    let overview = house.traces.overview(query).await.unwrap();
    check_measures(&overview.total, &calls, &what);
    let step = i64::try_from(query.step.as_nanos()).unwrap();
    let mut groups = BTreeMap::<Option<String>, Vec<&Span>>::new();
    for call in &calls {
        groups.entry(query.group_by.map(|by| group(call, by))).or_default().push(call);
    }
    assert_eq!(overview.series.len(), groups.len(), "{what}");
    for Series { group, total, points } in &overview.series {
        let calls = &groups[group];
        check_measures(total, calls, &what);
        for (time, point) in overview.times.iter().zip(points) {
            let here = calls.iter().filter(|call| call.start.as_nanos().div_euclid(step) * step == time.as_nanos());
            check_measures(point, &here.copied().collect::<Vec<_>>(), &what);
        }
    }
}

/// Ranges that begin and end beside minutes, hours and days, with steps.
fn times() -> Vec<(TimeRange, Duration)> {
    let range = |from: i64, to: i64| TimeRange::new(second(from), second(to)).unwrap();
    let steps = [
        (-7, 90_001, 600),
        (4_333, 250_000, 3_600),
        (0, 259_200, 86_400),
        (61, 259_140, 604_800),
        (0, 9_000, 90),
        (100, 130, 60),
    ];
    steps.map(|(from, to, step)| (range(from, to), Duration::from_secs(step))).into()
}

#[tokio::test]
async fn an_overview_adds_up_each_call_once_whether_it_is_staged_sealed_or_summarized() {
    let spans = spans();
    let house = house(&spans).await;
    let of_project = Filter::of("default".parse().unwrap());
    for (range, step) in times() {
        for group_by in [None].into_iter().chain(GroupBy::ALL.iter().copied().map(Some)) {
            check(&house, &spans, &OverviewQuery { filter: of_project.clone(), range, step, group_by }).await;
        }
    }
    let told = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter { provider: told("openai"), ..of_project.clone() },
        Filter { user: told("ann"), ..of_project.clone() },
        Filter { user: told("ann"), provider: told("openai"), ..Filter::default() },
        Filter { environment: told("staging"), calls: true, ..Filter::default() },
        Filter { prompt: told("greeting"), ..of_project.clone() },
        Filter { status: Some(Status::Error), ..of_project.clone() },
        Filter { model: told("gpt-4o"), ..of_project.clone() },
        Filter { kind: Some(SpanKind::Tool), ..of_project.clone() },
        Filter { kind: Some(SpanKind::Tool), calls: true, ..of_project.clone() },
        Filter { min_latency_ms: Some(500.0), ..of_project.clone() },
    ];
    for filter in filters {
        for group_by in [None, Some(GroupBy::Provider), Some(GroupBy::User)] {
            let (range, step) = times()[1];
            check(&house, &spans, &OverviewQuery { filter: filter.clone(), range, step, group_by }).await;
        }
    }
}

/// Series without the sums of milliseconds, which depend on the order in which they are added.
fn counted(series: &[Series]) -> Vec<Series> {
    let without = |measures: &Measures| Measures { generating_ms: 0.0, ..measures.clone() };
    let counted = |series: &Series| Series {
        total: without(&series.total),
        points: series.points.iter().map(without).collect(),
        group: series.group.clone(),
    };
    series.iter().map(counted).collect()
}

/// Behind the numbers of a series are the spans that the filter of its group takes, and behind those of all series but
/// some the spans that it takes of none of the others.
#[tokio::test]
async fn a_filter_by_group_takes_what_the_series_adds_up() {
    let spans = spans();
    let house = house(&spans).await;
    let (range, step) = times()[1];
    for &by in GroupBy::ALL {
        let ask = async |group: Option<GroupFilter>| {
            let filter = Filter { group, ..Filter::of("default".parse().unwrap()) };
            let query = OverviewQuery { filter, range, step, group_by: Some(by) };
            check(&house, &spans, &query).await;
            house.traces.overview(&query).await.unwrap()
        };
        let all = ask(None).await;
        let names: Vec<String> = all.series.iter().filter_map(|series| series.group.clone()).collect();
        for (series, name) in all.series.iter().zip(&names) {
            let one = ask(Some(GroupFilter { by, groups: Groups::One(name.clone()) })).await;
            assert_eq!(counted(&one.series), counted(std::slice::from_ref(series)), "{by} {name:?}");
        }
        let first = ask(Some(GroupFilter { by, groups: Groups::Except(names[1..].to_vec()) })).await;
        assert_eq!(counted(&first.series), counted(&all.series[..1]), "{by} but {:?}", &names[1..]);
    }
}

#[tokio::test]
async fn summaries_tell_each_dimension_apart() {
    let spans = spans();
    let house = house(&spans).await;
    for (table, users) in [("span_minutes", false), ("span_hours", false), ("span_days", true)] {
        let sql = format!("SELECT dimension, CAST(sum(requests) AS BIGINT) AS n FROM {table} GROUP BY 1");
        let output = house.lake.query(&sql, Vec::new(), Default::default()).await.unwrap();
        let mut found = HashSet::new();
        for batch in &output.batches {
            let rows = crate::table::Rows::of(batch);
            let (dimension, n) = (rows.text("dimension").unwrap(), rows.number("n").unwrap());
            for row in 0..batch.num_rows() {
                assert_eq!(n.value(row), summarized(&spans), "{table}");
                found.insert(dimension.owned(row).unwrap());
            }
        }
        assert_eq!((found.len(), found.contains("user")), (if users { 7 } else { 6 }, users), "{table}: {found:?}");
    }
}

/// The calls of the eight segments that are merged.
fn summarized(spans: &[Span]) -> i64 {
    spans[..1_200].iter().filter(|span| SpanKind::CALLS.contains(&span.kind)).count() as i64
}

#[tokio::test]
async fn a_deleted_user_is_in_no_overview() {
    let spans = spans();
    let house = house(&spans).await;
    house.lake.bury(Burial { subject: "bob".to_owned(), ..Burial::default() }).await.unwrap();
    let left: Vec<Span> = spans.into_iter().filter(|span| span.user_id.as_deref() != Some("bob")).collect();
    let (range, step) = times()[2];
    let query = OverviewQuery { filter: Filter::default(), range, step, group_by: Some(GroupBy::User) };
    check(&house, &left, &query).await;
    house.lake.compact().await.unwrap();
    check(&house, &left, &query).await;
}

/// A house whose spans are merged and summarized, and its spans.
pub(super) async fn merged_house() -> (House, Vec<Span>) {
    let spans = spans();
    let house = house(&spans).await;
    house.lake.compact().await.unwrap();
    (house, spans)
}

/// Checks an overview by days of exactly these spans.
pub(super) async fn check_days(house: &House, left: &[Span]) {
    for (range, step) in times() {
        for group_by in [None, Some(GroupBy::Model), Some(GroupBy::User)] {
            check(house, left, &OverviewQuery { filter: Filter::default(), range, step, group_by }).await;
        }
    }
}
