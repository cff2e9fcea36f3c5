//! Rules over a real lake, and receivers that take, fail and hang.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use qd_base::{Picodollars, ProjectId, ScoreId, Timestamp, Usage};
use qd_catalog::alert::receiver::{new_secret, secret_key};
use qd_catalog::{
    AlertChange, AlertEventFilter, AlertState, Catalog, MasterKey, NewAlert, NewReceiver, NewSilence, Page, Severity,
};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig};
use qd_net::{Client, ClientOptions, Policy};
use qd_trace::{
    Recorder, RecorderConfig, Score, ScoreSource, ScoreValue, Span, SpanKind, Status, TraceContext, Traces, tables,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::definition::tests::{above, rule};
use crate::judge::Finding::{Between, Clear, Failed, Holds, NoData};
use crate::read::Look;
use crate::signature::sign;
use crate::{Alerts, Courier, Definition, Finding, Observed, Tick};

/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct House {
    alerts: Alerts,
    recorder: Recorder,
    /// A whole hour that is later than anything which the catalog noted by the clock.
    noon: Timestamp,
    _folder: tempfile::TempDir,
}

/// A call that began so many seconds after noon.
struct Call {
    at_s: i64,
    took_ms: u64,
    failed: bool,
    dollars: f64,
}

fn call(at_s: i64) -> Call {
    Call { at_s, took_ms: 100, failed: false, dollars: 0.0 }
}

impl House {
    async fn open(policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path(), MasterKey::generate()).await.unwrap();
        let lake = Lake::open(LakeConfig::new(folder.path().join("lake")), catalog.clone(), tables()).await.unwrap();
        let blobs = BlobStore::open(&folder.path().join("blobs")).unwrap();
        let recorder = Recorder::new(lake.clone(), blobs.clone(), RecorderConfig::default());
        let traces = Traces::new(lake.clone(), blobs);
        let net = Client::new(policy, ClientOptions::default()).unwrap();
        let noon = Timestamp::from_secs((Timestamp::now().as_secs() / 3_600 + 2) * 3_600);
        Self { alerts: Alerts::new(catalog, lake, traces, net), recorder, noon, _folder: folder }
    }

    async fn new() -> Self {
        Self::open(Policy::public().allow("127.0.0.1").unwrap()).await
    }

    fn catalog(&self) -> &Catalog {
        &self.alerts.catalog
    }

    fn project(&self) -> ProjectId {
        self.catalog().default_project().id
    }

    fn at(&self, secs: i64) -> Timestamp {
        Timestamp::from_secs(self.noon.as_secs() + secs)
    }

    async fn record(&self, project: &str, calls: impl IntoIterator<Item = Call>) {
        let span = |call: Call| {
            let start = self.at(call.at_s);
            let mut span = Span::new(project.parse().unwrap(), TraceContext::root(), SpanKind::Llm, "chat", start);
            span.end = start.saturating_add(Duration::from_millis(call.took_ms));
            span.status = if call.failed { Status::Error } else { Status::Ok };
            span.model = Some(if call.failed { "bad" } else { "good" }.to_owned());
            span.usage = Some(Usage { input_tokens: 10, output_tokens: 20, ..Usage::default() });
            span.cost = Some(Picodollars::new((call.dollars * 1e12) as i64));
            span
        };
        self.recorder.append(calls.into_iter().map(span).collect()).await.unwrap();
    }

    /// What a rule finds so many seconds after noon, having been made a day before.
    async fn look(&self, rule: &Definition, secs: i64) -> Observed {
        let name = self.catalog().default_project().name.clone();
        let project = Some(&name).filter(|_| !rule.everywhere);
        let (traces, lake) = (&self.alerts.traces, &self.alerts.lake);
        Look { traces, lake, rule, project, at: self.at(secs), began: self.at(-86_400) }.observe().await
    }

    async fn check(&self, rule: &Definition, secs: i64, expected: (Finding, Option<f64>)) {
        let found = self.look(rule, secs).await;
        let near = match (found.value, expected.1) {
            // Percentiles are within one percent.
            (Some(found), Some(exact)) => (found - exact).abs() <= 0.01 * exact.abs(),
            (found, exact) => found == exact,
        };
        assert!(found.finding == expected.0 && near, "{} at {secs}: {found:?}", rule.words());
    }

    async fn create(&self, name: &str, rule: &Definition) {
        let spec = NewAlert {
            name: name.parse().unwrap(),
            severity: Severity::Warning,
            receivers: None,
            disabled: false,
            definition: serde_json::to_value(rule).unwrap(),
            facts: json!({"condition": rule.words()}),
        };
        self.catalog().create_alert(self.project(), spec).await.unwrap();
    }

    async fn state(&self, name: &str) -> AlertState {
        self.catalog().alert(self.project(), &name.parse().unwrap()).await.unwrap().standing.state
    }

    async fn tick(&self, secs: i64) -> Tick {
        self.alerts.tick(self.at(secs)).await.unwrap()
    }

    /// What stands in the inbox, the earliest first.
    async fn inbox(&self) -> Vec<(String, AlertChange, bool)> {
        let filter = AlertEventFilter::inbox(self.project());
        let found = self.catalog().alert_events(&filter, "ann", Page::first(1000)).await.unwrap();
        found.items.into_iter().rev().map(|event| (event.name.to_string(), event.change, event.silenced)).collect()
    }

    async fn add_receiver(&self, name: &str, url: &str) -> Vec<u8> {
        let secret = new_secret();
        let changes = vec![AlertChange::Firing, AlertChange::Resolved];
        let spec = NewReceiver { name: name.parse().unwrap(), url: url.parse().unwrap(), changes, disabled: false };
        self.catalog().create_receiver(self.project(), spec, &secret).await.unwrap();
        secret_key(&secret).unwrap()
    }
}

fn told(name: &str, change: AlertChange) -> (String, AlertChange, bool) {
    (name.to_owned(), change, false)
}

#[tokio::test]
async fn a_threshold_is_of_what_its_measure_gives() {
    let house = House::new().await;
    // Within the five minutes before noon and the five seconds that a rule waits: 20 calls, of which 3 fail; 100 to 2000 ms.
    let calls = (1..=20).map(|n| Call { took_ms: 100 * n, failed: n <= 3, dollars: 0.5, ..call(-10 * n as i64) });
    house.record("default", calls).await;
    house.record("default", [call(-304), call(-306), call(-4), call(1)]).await;
    house.record("other", [call(-20), call(-30)]).await;
    for (measure, value) in [
        ("calls", 21.0),
        ("errors", 3.0),
        ("error_rate", 300.0 / 21.0),
        // 21 latencies, of which one is 100 ms more: of rank floor(0.5 · 20) is the 11th, of floor(0.95 · 20) the 20th.
        ("latency_p50", 1000.0),
        ("latency_p95", 1900.0),
        ("latency_p99", 1900.0),
        ("cost", 10.0),
        ("tokens", 630.0),
        ("input_tokens", 210.0),
        ("output_tokens", 420.0),
    ] {
        house.check(&rule(measure, above(value * 1.02)), 0, (Clear, Some(value))).await;
        house.check(&rule(measure, above(value * 0.98)), 0, (Holds, Some(value))).await;
    }
    let mut of_good = rule("calls", above(17.0));
    of_good.query.model = Some("good".into());
    house.check(&of_good, 0, (Holds, Some(18.0))).await;
    let everywhere = Definition { everywhere: true, ..rule("calls", above(22.0)) };
    house.check(&everywhere, 0, (Holds, Some(23.0))).await;
    let below = json!({"kind": "threshold", "direction": "below", "value": 22, "clear": 30});
    house.check(&rule("calls", below.clone()), 0, (Holds, Some(21.0))).await;
    let later = rule("calls", json!({"kind": "threshold", "direction": "below", "value": 20, "clear": 30}));
    house.check(&later, 0, (Between, Some(21.0))).await;
    // Before the first call there is nothing whose share could have failed, and still a count.
    house.check(&rule("error_rate", above(0.0)), -3_600, (NoData, None)).await;
    house.check(&rule("latency_p95", above(0.0)), -3_600, (NoData, None)).await;
    house.check(&rule("calls", below), -3_600, (Holds, Some(0.0))).await;
}

#[tokio::test]
async fn a_change_is_against_another_window() {
    let house = House::new().await;
    // With five seconds' delay: 30 calls now, 20 in the window before, 10 a day before, 40 a week before.
    for (n, at) in [(30, -100), (20, -400), (10, -100 - 86_400), (40, -100 - 7 * 86_400)] {
        house.record("default", (0..n).map(|_| call(at))).await;
    }
    let change = |direction: &str, value: f64, unit: &str, against: &str| {
        let condition =
            json!({"kind": "change", "direction": direction, "value": value, "unit": unit, "against": against});
        rule("calls", condition)
    };
    house.check(&change("above", 50.0, "percent", "previous"), 0, (Clear, Some(50.0))).await;
    house.check(&change("above", 49.9, "percent", "previous"), 0, (Holds, Some(50.0))).await;
    house.check(&change("above", 199.0, "percent", "day"), 0, (Holds, Some(200.0))).await;
    house.check(&change("below", -24.0, "percent", "week"), 0, (Holds, Some(-25.0))).await;
    house.check(&change("above", 9.0, "absolute", "previous"), 0, (Holds, Some(10.0))).await;
    house.check(&change("below", -10.0, "absolute", "week"), 0, (Clear, Some(-10.0))).await;
    // Of nothing there is no percentage.
    house.check(&change("above", 1.0, "percent", "previous"), -300, (NoData, None)).await;
    house.check(&change("above", 1.0, "absolute", "previous"), -300, (Holds, Some(20.0))).await;
}

/// $100 in 30 days. 14.4 times the pace is $2 in an hour and a sixth of a dollar in five minutes.
#[tokio::test]
async fn a_budget_burns_in_two_windows() {
    let house = House::new().await;
    let condition = json!({"kind": "budget", "limit": 100, "period_s": 2_592_000, "factor": 14.4});
    let rule = Definition { window_s: 3_600, ..rule("cost", condition) };
    let spend = async |at_s, dollars| house.record("default", [Call { dollars, ..call(at_s) }]).await;
    spend(-3_000, 1.75).await;
    // $1.75 in the hour, all of it long ago.
    house.check(&rule, 0, (Clear, Some(12.6))).await;
    spend(-60, 0.25).await;
    house.check(&rule, 0, (Holds, Some(14.4))).await;
    // Five minutes later nothing was spent in the short window: it clears, as fast as it came.
    house.check(&rule, 300, (Clear, Some(14.4))).await;
}

#[tokio::test]
async fn absence_is_told_after_a_grace() {
    let house = House::new().await;
    house.record("default", [call(-100)]).await;
    let of = |grace_s: i64| rule("calls", json!({"kind": "absence", "grace_s": grace_s}));
    house.check(&of(0), 0, (Clear, Some(1.0))).await;
    house.check(&of(0), 300, (Holds, Some(0.0))).await;
    // The rule was made a day before noon.
    house.check(&of(86_400 + 301), 300, (NoData, None)).await;
    house.check(&of(86_400 + 300), 300, (Holds, Some(0.0))).await;
}

#[tokio::test]
async fn scores_have_a_mean() {
    let house = House::new().await;
    let score = |secs: i64, value: f64| Score {
        id: ScoreId::new(),
        project: "default".parse().unwrap(),
        trace_id: TraceContext::root().trace_id,
        span_id: None,
        name: "helpful".into(),
        value: ScoreValue::Number(value),
        comment: None,
        source: ScoreSource::Human,
        author: None,
        user_id: None,
        time: house.at(secs),
    };
    let changed = score(-200, 1.0);
    let again = Score { value: ScoreValue::Number(0.4), time: house.at(-100), ..changed.clone() };
    let other = Score { name: "other".into(), ..score(-50, 9.0) };
    let label = Score { value: ScoreValue::Label("good".into()), ..score(-50, 0.0) };
    house.alerts.traces.give_scores(&[changed, again, score(-60, 0.2), other, label, score(-400, 9.0)]).await.unwrap();
    let below = json!({"kind": "threshold", "direction": "below", "value": 0.5});
    let definition = json!({"query": {"measure": "score", "score": "helpful"}, "window_s": 300, "condition": below});
    let rule = Definition::read(&definition).unwrap();
    house.check(&rule, 0, (Holds, Some(0.3))).await;
    house.check(&rule, 3_600, (NoData, None)).await;
}

#[tokio::test]
async fn a_statement_gives_one_number() {
    let house = House::new().await;
    house.record("default", [call(-100), call(-200), call(-400)]).await;
    let of = |sql: &str| {
        let rule = json!({"query": {"sql": sql}, "window_s": 300, "condition": above(1.0)});
        Definition::read(&rule).unwrap()
    };
    let counted = "SELECT count(*) FROM spans WHERE start_time >= $1 AND start_time < $2";
    house.check(&of(counted), 0, (Holds, Some(2.0))).await;
    house.check(&of("SELECT 1.5"), 0, (Holds, Some(1.5))).await;
    for nothing in ["SELECT CAST(NULL AS DOUBLE)", "SELECT 1 WHERE false"] {
        house.check(&of(nothing), 0, (NoData, None)).await;
    }
    for (wrong, says) in [
        ("SELECT 1, 2", "1 rows of 2 columns"),
        ("SELECT n FROM (VALUES (1), (2), (3)) AS t (n)", "rows of 1 columns"),
        ("SELECT 'a'", "type Utf8"),
        ("SELECT nothing FROM spans", "nothing"),
        ("DROP TABLE spans", ""),
    ] {
        let found = house.look(&of(wrong), 0).await;
        assert!(found.finding == Failed && found.message.contains(says), "{wrong}: {found:?}");
    }
}

#[tokio::test]
async fn what_is_due_is_evaluated_once() {
    let house = House::new().await;
    house.create("busy", &rule("calls", above(1.0))).await;
    let patient = Definition { for_s: 60, ..rule("calls", above(1.0)) };
    house.create("patient", &patient).await;
    assert_eq!(house.tick(0).await, Tick { evaluated: 2, next: Some(house.at(60)), ..Tick::default() });
    house.record("default", [call(10), call(20)]).await;
    assert_eq!(house.tick(59).await.evaluated, 0, "nothing is due before the next minute");
    let tick = house.tick(60).await;
    assert_eq!((tick.evaluated, tick.events), (2, 2));
    assert_eq!((house.state("busy").await, house.state("patient").await), (AlertState::Firing, AlertState::Pending));
    assert_eq!(house.tick(60).await.evaluated, 0);
    // A server that was away for a while evaluates once, not for each minute.
    assert_eq!(house.tick(200).await.evaluated, 2);
    assert_eq!(house.tick(400).await.evaluated, 2);
    assert_eq!((house.state("busy").await, house.state("patient").await), (AlertState::Ok, AlertState::Ok));
    let expected = [
        told("busy", AlertChange::Firing),
        told("patient", AlertChange::Firing),
        told("busy", AlertChange::Resolved),
        told("patient", AlertChange::Resolved),
    ];
    let mut inbox = house.inbox().await;
    inbox[2..].sort();
    assert_eq!(inbox, expected);
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_holds_no_other_up() {
    let house = House::new().await;
    let broken = json!({"query": {"sql": "SELECT nothing FROM spans"}, "window_s": 300, "condition": above(1.0)});
    house.create("broken", &Definition::read(&broken).unwrap()).await;
    house.create("busy", &rule("calls", above(0.0))).await;
    house.record("default", [call(-10)]).await;
    for minute in 0..3 {
        let tick = house.tick(60 * minute).await;
        assert_eq!((tick.evaluated, tick.failed), (2, 1));
    }
    assert_eq!((house.state("broken").await, house.state("busy").await), (AlertState::Error, AlertState::Firing));
    assert_eq!(house.inbox().await, [told("busy", AlertChange::Firing), told("broken", AlertChange::Error)]);
}

#[tokio::test]
async fn a_silenced_rule_is_evaluated_and_told_to_nobody() {
    let house = House::new().await;
    house.add_receiver("ops", "https://hooks.example.test/").await;
    house.create("busy", &rule("calls", above(0.0))).await;
    house.create("loud", &rule("calls", above(0.0))).await;
    let silence = NewSilence {
        pattern: "bus*".into(),
        severity: None,
        reason: "a load test".into(),
        from: house.at(-60),
        until: house.at(150),
    };
    house.catalog().create_silence(house.project(), silence, "ann").await.unwrap();
    house.record("default", [call(-10), call(100)]).await;
    house.tick(0).await;
    let mut inbox = house.inbox().await;
    inbox.sort();
    assert_eq!(inbox, [("busy".to_owned(), AlertChange::Firing, true), told("loud", AlertChange::Firing)]);
    let sent = async || {
        let due = house.catalog().due_deliveries(house.at(10_000), 10).await.unwrap();
        due.iter().map(|one| one.event.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(sent().await, ["loud"]);
    house.tick(120).await;
    assert_eq!(sent().await, ["loud"]);
    // The silence is over and the rule still fires.
    house.tick(180).await;
    assert_eq!(sent().await, ["loud", "busy"]);
}

#[tokio::test]
async fn a_preview_says_how_often_a_rule_would_have_fired() {
    let house = House::new().await;
    // Two busy stretches within the last 20 minutes, in five-minute windows that end at noon (less five seconds).
    house.record("default", [call(-1_150), call(-1_100), call(-400), call(-350)]).await;
    let name = house.catalog().default_project().name.clone();
    let step = Duration::from_secs(300);
    let found = house.alerts.preview(&rule("calls", above(1.0)), &name, house.at(0), 5, step).await.unwrap();
    let points: Vec<_> = found.points.iter().map(|point| (point.value, point.state)).collect();
    let (ok, firing) = (AlertState::Ok, AlertState::Firing);
    let expected = [(Some(0.0), ok), (Some(2.0), firing), (Some(0.0), ok), (Some(2.0), firing), (Some(0.0), ok)];
    assert_eq!((points.as_slice(), found.fired), (&expected[..], 2));
    assert_eq!(found.points[4].at, house.at(0));
    let broken = json!({"query": {"sql": "SELECT nothing"}, "window_s": 300, "condition": above(1.0)});
    let refused = house.alerts.preview(&Definition::read(&broken).unwrap(), &name, house.at(0), 3, step).await;
    assert!(refused.unwrap_err().to_string().contains("nothing"));
}

/// What a receiver was sent.
#[derive(Clone)]
struct Letter {
    id: String,
    timestamp_s: i64,
    signature: String,
    body: Bytes,
}

impl Letter {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A receiver that answers by its path: `/ok`, `/fails`, `/gone`, `/hangs`.
struct Hooks {
    base: String,
    got: Arc<Mutex<Vec<Letter>>>,
    count: watch::Receiver<usize>,
}

type Shared = (Arc<Mutex<Vec<Letter>>>, watch::Sender<usize>);

async fn take(State(shared): State<Shared>, Path(way): Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let letter = Letter {
        id: header("webhook-id"),
        timestamp_s: header("webhook-timestamp").parse().unwrap(),
        signature: header("webhook-signature"),
        body,
    };
    if way == "hangs" {
        shared.1.send_modify(|count| *count += 1);
        std::future::pending::<()>().await;
    }
    let status = match way.as_str() {
        "fails" => StatusCode::INTERNAL_SERVER_ERROR,
        "gone" => StatusCode::GONE,
        _ => {
            shared.0.lock().push(letter);
            StatusCode::NO_CONTENT
        }
    };
    shared.1.send_modify(|count| *count += 1);
    status
}

impl Hooks {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (got, (counter, count)) = (Arc::default(), watch::channel(0));
        let router = Router::new().route("/{way}", post(take)).with_state((Arc::clone(&got), counter));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, got, count }
    }

    fn url(&self, way: &str) -> String {
        format!("{}/{way}", self.base)
    }

    /// Waits until so many requests came.
    async fn wait(&mut self, requests: usize) {
        let enough = self.count.wait_for(|&count| count >= requests);
        tokio::time::timeout(PATIENCE, enough).await.expect("they come").unwrap();
    }
}

#[tokio::test]
async fn a_message_is_signed_and_comes_once() {
    let (house, hooks) = (House::new().await, Hooks::start().await);
    let key = house.add_receiver("ops", &hooks.url("ok")).await;
    house.create("busy", &rule("calls", above(0.0))).await;
    house.record("default", [call(-10)]).await;
    house.tick(0).await;
    let due = house.catalog().due_deliveries(house.at(0), 2).await.unwrap();
    assert_eq!(house.alerts.deliver(&due[0], house.at(1)).await.unwrap(), qd_catalog::DeliveryEnding::Delivered);
    assert!(house.catalog().due_deliveries(house.at(10_000), 2).await.unwrap().is_empty());
    let letter = hooks.got.lock()[0].clone();
    assert_eq!(letter.signature, sign(&key, &letter.id, house.at(1).as_secs(), &letter.body));
    assert_eq!(letter.timestamp_s, house.at(1).as_secs());
    let expected = json!({
        "type": "alert.firing", "timestamp": house.at(0).to_string(),
        "data": {
            "event_id": letter.id, "project": "default", "alert": "busy", "severity": "warning", "value": 1.0,
            "message": "1", "condition": "calls over 5 min above 0",
        }
    });
    assert_eq!(letter.json(), expected);
}

#[tokio::test]
async fn who_fails_hangs_or_is_gone_holds_nobody_else_up() {
    let (house, mut hooks) = (House::new().await, Hooks::start().await);
    for way in ["hangs", "fails", "gone", "ok"] {
        house.add_receiver(way, &hooks.url(way)).await;
    }
    house.create("busy", &rule("calls", above(0.0))).await;
    house.record("default", [call(-10)]).await;
    // What is told at noon is due then; the courier goes by the clock, so it is told earlier for once.
    let now = Timestamp::now();
    let calls_now = Call { at_s: now.as_secs() - house.noon.as_secs() - 30, ..call(0) };
    house.record("default", [calls_now]).await;
    house.alerts.tick(Timestamp::now()).await.unwrap();
    let courier = Courier::start(house.alerts.clone());
    hooks.wait(4).await;
    let fared = async |name: &str| house.catalog().receiver(house.project(), &name.parse().unwrap()).await.unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while !(fared("ok").await.delivered == 1 && fared("fails").await.failures == 1 && fared("gone").await.spec.disabled)
    {
        assert!(tokio::time::Instant::now() < until, "each is recorded, though one hangs");
        tokio::task::yield_now().await;
    }
    assert_eq!(fared("fails").await.last_error.as_deref(), Some("it answered 500 Internal Server Error"));
    assert_eq!((fared("hangs").await.waiting, fared("hangs").await.failures), (1, 0));
    // Rules go on being evaluated meanwhile.
    assert_eq!(house.tick(600).await.evaluated, 1);
    courier.shutdown().await;
    assert_eq!(hooks.got.lock().len(), 1);
    assert_eq!(
        fared("hangs").await.waiting,
        2,
        "what was on its way is sent again later, and what was resolved as well"
    );
}

#[tokio::test]
async fn a_receiver_is_reached_only_as_the_policy_has_it() {
    let (house, hooks) = (House::open(Policy::public()).await, Hooks::start().await);
    house.add_receiver("inside", &hooks.url("ok")).await;
    let sent = house.alerts.test(house.project(), &"inside".parse().unwrap(), house.at(0)).await.unwrap();
    let error = sent.error.unwrap();
    assert!(error.contains("net") && !error.contains("/ok"), "{error}");
    assert_eq!((sent.status, hooks.got.lock().len()), (None, 0));
    let fared = house.catalog().receiver(house.project(), &"inside".parse().unwrap()).await.unwrap();
    assert_eq!((fared.failures, fared.last_error), (1, Some(error)));
}

#[tokio::test]
async fn a_test_says_how_it_went() {
    let (house, hooks) = (House::new().await, Hooks::start().await);
    let key = house.add_receiver("ops", &hooks.url("ok")).await;
    house.add_receiver("broken", &hooks.url("fails")).await;
    let sent = house.alerts.test(house.project(), &"ops".parse().unwrap(), house.at(0)).await.unwrap();
    assert_eq!((sent.status, sent.error), (Some(204), None));
    let letter = hooks.got.lock()[0].clone();
    assert_eq!(letter.json()["type"], "alert.test");
    assert_eq!(letter.signature, sign(&key, &letter.id, letter.timestamp_s, &letter.body));
    let sent = house.alerts.test(house.project(), &"broken".parse().unwrap(), house.at(0)).await.unwrap();
    assert_eq!((sent.status, sent.error.as_deref()), (Some(500), Some("it answered 500 Internal Server Error")));
    let missing = house.alerts.test(house.project(), &"nobody".parse().unwrap(), house.at(0)).await;
    assert!(matches!(missing, Err(crate::Error::Catalog(qd_catalog::Error::NotFound { .. }))));
}
