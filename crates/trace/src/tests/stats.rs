//! Statistics over spans that were worked out by hand, staged and sealed.

use super::*;
use crate::failure::tests::failures;
use crate::overview::Weight;
use crate::stats::length::RESIDUAL_QUANTILES;
use crate::stats::{LengthFit, NoFit, StatsQuery};
use crate::{FailureKind, GroupBy, Score, ScoreSource, ScoreValue};

fn query(filter: Filter, group_by: Option<GroupBy>) -> StatsQuery {
    StatsQuery { filter, range: TimeRange::new(second(-86_400), second(172_800)).unwrap(), group_by }
}

/// A call of a model that answers `tokens` tokens in `latency_ms`.
fn call(model: &str, at: i64, tokens: u64, latency_ms: f64, ttft_ms: Option<f64>) -> Span {
    let start = second(at);
    let mut span = Span::new("default".parse().unwrap(), TraceContext::root(), SpanKind::Llm, "chat", start);
    span.end = start.saturating_add(Duration::from_nanos((latency_ms * 1e6) as u64));
    span.model = Some(model.to_owned());
    span.session_id = Some(format!("s{}", at % 2));
    span.ttft_ms = ttft_ms;
    span.cost = Some(Picodollars::new(tokens as i64));
    span.usage = Some(Usage { input_tokens: 10, output_tokens: tokens, cached_tokens: 4, reasoning_tokens: 0 });
    span
}

fn near(found: Option<f64>, exact: f64) {
    let found = found.unwrap();
    assert!((found / exact - 1.0).abs() < 0.011, "{found} is within a hundredth of {exact}");
}

#[tokio::test]
async fn percentiles_and_times_per_token_by_group() {
    let house = House::new(RecorderConfig::default()).await;
    // (latency − ttft) / (tokens − 1): a: 100/10 = 10, 400/20 = 20; the third has one token, the fourth no first token.
    let calls = [
        call("a", 0, 11, 150.0, Some(50.0)),
        call("a", 1, 21, 500.0, Some(100.0)),
        call("a", 2, 1, 70.0, Some(60.0)),
        call("b", 3, 900, 9_000.0, None),
    ];
    house.record(calls).await;
    for sealed in [false, true] {
        let by_model = query(Filter::default(), Some(GroupBy::Model));
        let found = house.traces.breakdown(&by_model, Weight::Requests, 10).await.unwrap();
        let [a, b] = &found.groups[..] else { panic!("{found:?}, sealed: {sealed}") };
        assert_eq!((a.group.as_deref(), a.measures.requests, a.measures.cached_tokens), (Some("a"), 3, 12));
        near(a.tpot_ms.quantile(0.5), 10.0);
        near(a.tpot_ms.quantile(1.0), 20.0);
        near(a.measures.latency_ms.quantile(0.5), 150.0);
        assert_eq!((b.group.as_deref(), b.tpot_ms.quantile(0.5)), (Some("b"), None));
        assert_eq!(
            (found.total.measures.requests, found.total.measures.output_tokens, found.other_groups),
            (4, 933, 0)
        );
        near(found.total.tpot_ms.quantile(0.0), 10.0);
        // b is dearer, though it has fewer calls; one group is told, and the totals are still those of all.
        let dearest = house.traces.breakdown(&by_model, Weight::Cost, 1).await.unwrap();
        assert_eq!((dearest.groups[0].group.as_deref(), dearest.other_groups), (Some("b"), 1));
        assert_eq!(dearest.total.measures.requests, 4);
        let by_session = query(Filter::default(), Some(GroupBy::Session));
        assert_eq!(house.traces.breakdown(&by_session, Weight::Requests, 10).await.unwrap().groups.len(), 2);
        house.lake.seal().await.unwrap();
    }
}

#[tokio::test]
async fn a_line_through_calls_that_lie_on_one() {
    let house = House::new(RecorderConfig::default()).await;
    // a takes 100 ms and 2 ms a token, one call of them 10 ms more and one 10 ms less; b's answers are all as long; of c
    // there are two.
    let mut calls: Vec<Span> = (1..=40).map(|n| call("a", n, n as u64 * 10, 100.0 + 20.0 * n as f64, None)).collect();
    let shifted = [(20, 210.0 + 300.0), (20, 190.0 + 300.0)];
    calls.extend(shifted.map(|(n, latency)| call("a", n, n as u64 * 10, latency, None)));
    calls.extend((0..5).map(|n| call("b", n, 64, 100.0 + n as f64, None)));
    calls.extend((0..2).map(|n| call("c", n, 1 + n as u64, 100.0, None)));
    let failed = call("a", 7, 5, 60_000.0, None);
    calls.push(Span { status: Status::Error, ..failed.clone() });
    calls.push(Span { status: Status::Cancelled, ..call("a", 7, 5, 60_000.0, None) });
    calls.push(Span { usage: None, ..call("a", 7, 5, 60_000.0, None) });
    house.record(calls).await;
    for limit in [10, 1_000] {
        let fits = house.traces.length_fits(&query(Filter::default(), None), limit).await.unwrap();
        let [a, b, c] = &fits[..] else { panic!("{fits:?}") };
        check_line(a, limit);
        assert_eq!((b.group.as_str(), b.n, b.fit, b.tokens), ("b", 5, Err(NoFit::SameLength), (64, 64)));
        assert_eq!((c.group.as_str(), c.n, c.fit, c.residuals_ms.len()), ("c", 2, Err(NoFit::TooFew), 0));
        assert_eq!(c.points.len(), 2, "what is there is drawn all the same");
        house.lake.seal().await.unwrap();
    }
}

fn check_line(a: &LengthFit, limit: usize) {
    let fit = a.fit.unwrap();
    assert_eq!((a.group.as_str(), a.n, a.tokens), ("a", 42, (10, 400)));
    // The two at 200 tokens are 10 above and 10 below the line, so that it stays where it is.
    assert!((fit.intercept - 100.0).abs() < 1e-6 && (fit.slope - 2.0).abs() < 1e-9, "{fit:?}");
    // SSE = 100 + 100, s² = 200/40.
    assert!((fit.residual_sd.unwrap() - 5.0_f64.sqrt()).abs() < 1e-6, "{fit:?}");
    assert!(fit.r2.unwrap() > 0.999, "{fit:?}");
    assert_eq!(a.residuals_ms.len(), RESIDUAL_QUANTILES.len());
    assert!(a.residuals_ms[2].abs() < 0.01, "most lie on the line: {:?}", a.residuals_ms);
    assert!(a.points.len() <= limit, "{}", a.points.len());
    if limit > 42 {
        assert_eq!(a.points.len(), 42);
    }
}

#[tokio::test]
async fn a_line_of_noisy_calls_agrees_with_scipy() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("../../../../parity/fit.json")).unwrap();
    let case = &reference["cases"][1];
    let list = |name: &str| case[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let (x, y) = (list("x"), list("y"));
    let house = House::new(RecorderConfig::default()).await;
    house.record(x.iter().zip(&y).map(|(&x, &y)| call("m", 0, x as u64, y, None))).await;
    house.lake.seal().await.unwrap();
    let found = house.traces.length_fits(&query(Filter::default(), None), 0).await.unwrap().remove(0);
    let fit = found.fit.unwrap();
    let close = |found: f64, name: &str| {
        let expected = case[name].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-6, "{name}: {found} instead of {expected}");
    };
    close(fit.slope, "slope");
    close(fit.intercept, "intercept");
    close(fit.slope_se.unwrap(), "slope_se");
    close(fit.intercept_se.unwrap(), "intercept_se");
    close(fit.r2.unwrap(), "r2");
    let mut residuals: Vec<f64> = x.iter().zip(&y).map(|(x, y)| y - fit.intercept - fit.slope * x).collect();
    residuals.sort_by(f64::total_cmp);
    for (quantile, found) in RESIDUAL_QUANTILES.iter().zip(&found.residuals_ms) {
        let exact = residuals[(quantile * (residuals.len() - 1) as f64) as usize];
        assert!((found - exact).abs() <= 0.011 * exact.abs() + 1e-3, "{quantile}: {found} instead of {exact}");
    }
}

#[tokio::test]
async fn the_lake_names_failures_like_the_program() {
    let house = House::new(RecorderConfig::default()).await;
    let spans: Vec<Span> = failures()
        .into_iter()
        .map(|(span, _)| {
            let at = TraceContext::root();
            Span { trace_id: at.trace_id, span_id: at.span_id, ..span }
        })
        .collect();
    house.record(spans.clone()).await;
    for sealed in [false, true] {
        let found = house.traces.failures(&query(Filter::default(), Some(GroupBy::Provider))).await.unwrap();
        assert_eq!((found.requests, found.cancelled), (spans.len() as u64, 1), "sealed: {sealed}");
        assert_eq!(found.errors, spans.len() as u64 - 2);
        for kind in FailureKind::ALL {
            let expected = spans.iter().filter(|span| FailureKind::of(span) == Some(*kind)).count() as u64;
            let counted = found.kinds.iter().find(|count| count.kind == *kind).map_or(0, |count| count.calls);
            assert_eq!(counted, expected, "{kind}, sealed: {sealed}");
            let filter = Filter { failure: Some(*kind), ..Filter::default() };
            let listed = house.traces.spans(&filter, Page::first(100)).await.unwrap().0;
            assert_eq!(listed.len() as u64, expected, "the calls behind the number of {kind}");
        }
        let group = &found.groups[0];
        assert_eq!((group.group.as_str(), group.requests), ("openai", spans.len() as u64));
        assert_eq!(group.kinds.iter().map(|(_, calls)| calls).sum::<u64>(), spans.len() as u64 - 1);
        house.lake.seal().await.unwrap();
    }
}

#[tokio::test]
async fn attempts_that_the_gateway_noted_are_counted() {
    let house = House::new(RecorderConfig::default()).await;
    let attempts = r#"{"attempts":[
        {"provider":"a","model":"m","after_ms":0,"took_ms":5,"error":"provider a answered with status 503","kind":"upstream_5xx"},
        {"provider":"a","model":"m","after_ms":300,"took_ms":5,"error":"provider a did not answer within 5 ms"},
        {"provider":"b","model":"n","after_ms":310,"took_ms":9,"error":null}]}"#;
    let noted = Span { attributes: serde_json::from_str(attempts).unwrap(), ..call("n", 1, 5, 900.0, None) };
    house.record([noted, call("n", 2, 5, 10.0, None)]).await;
    let found = house.traces.retries(&query(Filter::default(), None)).await.unwrap();
    assert_eq!((found.requests, found.troubled, found.retried, found.fell_back, found.rescued), (2, 1, 1, 1, 1));
    assert_eq!((found.retries, found.fallbacks, found.lost_ms, found.truncated), (1, 1, 310.0, false));
    assert_eq!(found.targets[0].kinds, [(FailureKind::Upstream5xx, 1), (FailureKind::Timeout, 1)]);
    assert_eq!((found.paths[0].from.as_str(), found.paths[0].to.as_str()), ("a/m", "b/n"));
}

/// A call that says version `version` of `greeting`.
fn greeting(version: u32, at: i64, latency_ms: f64, cost: Option<i64>) -> Span {
    Span {
        prompt_name: Some("greeting".to_owned()),
        prompt_version: Some(version),
        cost: cost.map(Picodollars::new),
        ..call("m", at, 10, latency_ms, None)
    }
}

fn score(span: &Span, name: &str, value: f64, of_span: bool) -> Score {
    Score {
        id: qd_base::ScoreId::new(),
        project: span.project.clone(),
        trace_id: span.trace_id,
        span_id: of_span.then_some(span.span_id),
        name: name.to_owned(),
        value: ScoreValue::Number(value),
        comment: None,
        source: ScoreSource::Human,
        author: None,
        user_id: None,
        time: span.end,
    }
}

#[tokio::test]
async fn versions_of_a_prompt_fare_without_experiments() {
    let house = House::new(RecorderConfig::default()).await;
    let tagged = |tag: &str, at| Span { tags: vec!["a".to_owned(), tag.to_owned()], ..greeting(1, at, 900.0, Some(5)) };
    let calls = [
        greeting(1, 0, 100.0, Some(3)),
        greeting(1, 1, 100.0, Some(5)),
        Span { status: Status::Error, ..greeting(1, 2, 100.0, None) },
        greeting(2, 3, 200.0, Some(1)),
        // What experiments and their like call, another prompt, and calls that only look like an experiment's.
        tagged("experiment:sweep@1", 4),
        tagged("experiment:optimise", 5),
        tagged("evaluation:nightly@1", 5),
        tagged("leaderboard:basic@1", 5),
        tagged("judge:polite@1", 5),
        Span { prompt_name: Some("other".to_owned()), ..greeting(1, 6, 900.0, None) },
        Span {
            tags: vec!["an experiment:x".to_owned(), "cell:experiment:x".to_owned()],
            ..greeting(2, 7, 200.0, None)
        },
    ];
    let first = greeting(1, 8, 100.0, None);
    let second_of_trace = Span { trace_id: first.trace_id, ..greeting(2, 8, 200.0, None) };
    let both = [first, second_of_trace];
    house.record(calls.iter().cloned().chain(both.clone())).await;
    let scores = [
        // Two people of one trace count once: (1 + 0) / 2.
        score(&calls[0], "helpful", 1.0, false),
        score(&calls[0], "helpful", 0.0, true),
        score(&calls[1], "helpful", 1.0, true),
        score(&calls[3], "helpful", 0.25, false),
        score(&calls[4], "helpful", 0.0, false),
        // A trace in which both versions were called says nothing of one of them, a span in it does.
        score(&both[0], "helpful", 0.0, false),
        score(&both[1], "tone", 7.0, true),
    ];
    house.traces.give_scores(&scores).await.unwrap();
    let range = TimeRange::new(second(-60), second(60)).unwrap();
    for sealed in [false, true] {
        let found = house.traces.prompt_versions(&"default".parse().unwrap(), "greeting", range).await.unwrap();
        let [two, one] = &found[..] else { panic!("{found:?}, sealed: {sealed}") };
        assert_eq!((one.version, one.calls, one.errors, one.priced), (1, 4, 1, 2));
        assert_eq!((one.cost_picodollars, one.cost_squares, one.input_tokens), (8, 34.0, 40));
        near(one.latency_ms.quantile(0.95), 100.0);
        let mut helpful = one.scores["helpful"].clone();
        helpful.sort_by(f64::total_cmp);
        assert_eq!((helpful, one.scores.len()), (vec![0.5, 1.0], 1));
        assert_eq!((two.version, two.calls, two.errors), (2, 3, 0));
        near(two.latency_ms.quantile(0.5), 200.0);
        let expected = [("helpful".to_owned(), vec![0.25]), ("tone".to_owned(), vec![7.0])];
        assert_eq!(two.scores, expected.into_iter().collect());
        house.lake.seal().await.unwrap();
    }
    let experiments = |wanted| Filter { experiments: Some(wanted), ..Filter::default() };
    let count = async |filter| house.traces.sum_up(&query(filter, None)).await.unwrap().requests;
    assert_eq!((count(experiments(true)).await, count(experiments(false)).await), (5, 8));
}
