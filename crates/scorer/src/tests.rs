//! Rules over a real lake, looked at by hand: whoever looks says when, so that nothing waits.

use std::collections::BTreeSet;
use std::time::Duration;

use qd_base::{Picodollars, ProjectId, Timestamp, TraceId};
use qd_catalog::{Catalog, MasterKey, VersionRef};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig, QueryLimits};
use qd_trace::{Payload, Recorder, RecorderConfig, ScoreFilter, Span, SpanKind, Status, TraceContext, Traces, tables};
use serde_json::{Value, json};

use crate::pass::Recent;
use crate::scorers::{Active, Scorers, author};
use crate::tally::By;
use crate::{Definition, Error, Standing, sample};

struct House {
    scorers: Scorers,
    recorder: Recorder,
    /// A whole hour after anything that the catalog noted by the clock.
    noon: Timestamp,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path(), MasterKey::generate()).await.unwrap();
        let lake = Lake::open(LakeConfig::new(folder.path().join("lake")), catalog.clone(), tables()).await.unwrap();
        let blobs = BlobStore::open(&folder.path().join("blobs")).unwrap();
        let recorder = Recorder::new(lake.clone(), blobs.clone(), RecorderConfig::default());
        let scorers = Scorers::new(catalog, lake.clone(), Traces::new(lake, blobs));
        let noon = Timestamp::from_secs((Timestamp::now().as_secs() / 3_600 + 2) * 3_600);
        Self { scorers, recorder, noon, _folder: folder }
    }

    fn project(&self) -> ProjectId {
        self.scorers.catalog.default_project().id
    }

    fn at(&self, seconds: u64) -> Timestamp {
        self.noon.saturating_add(Duration::from_secs(seconds))
    }

    /// A rule that scores from noon on.
    async fn rule(&self, rule: Value) -> Active {
        let definition: Definition = serde_json::from_value(rule).unwrap();
        self.scorers.create(self.project(), &"short".parse().unwrap(), definition, "test").await.unwrap();
        Active { since: self.noon, ..self.scorers.active().await.unwrap().remove(0) }
    }

    /// A call that ended so many seconds after noon.
    fn call(&self, seconds: u64, said: &str) -> Span {
        let start = self.at(seconds).saturating_sub(Duration::from_millis(100));
        let mut span = Span::new("default".parse().unwrap(), TraceContext::root(), SpanKind::Llm, "chat", start);
        span.end = self.at(seconds);
        span.output = Some(Payload::of(&json!([{"role": "assistant", "content": said}])));
        span.cost = Some(Picodollars::new(1_000_000));
        span
    }

    async fn record(&self, spans: Vec<Span>) {
        self.recorder.append(spans).await.unwrap();
    }

    async fn look(&self, rule: &Active, standing: &mut Standing, recent: &mut Recent, seconds: u64) {
        while self.scorers.pass(rule, standing, recent, self.at(seconds)).await.unwrap().more {}
    }

    /// All rows, those that tell the same twice among them.
    async fn rows(&self) -> i64 {
        let sql = "SELECT count(*) AS n FROM scores";
        let found = self.scorers.lake.query(sql, Vec::new(), QueryLimits::default()).await.unwrap();
        let column = found.batches[0].column(0).clone();
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&column).value(0)
    }

    async fn traces_scored(&self) -> BTreeSet<TraceId> {
        let (found, next) = self.scorers.traces.scores(&ScoreFilter::default(), 1_000, None).await.unwrap();
        assert!(next.is_none());
        found.into_iter().map(|score| score.trace_id).collect()
    }
}

fn brief() -> Value {
    json!({"scorers": [{"kind": "regex", "name": "brief", "pattern": "^.{1,10}$"}, {"kind": "latency"}]})
}

#[tokio::test]
async fn calls_are_scored_and_added_up() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    let spans = (0..20_u64).map(|n| {
        let mut span = house.call(n + 1, if n < 5 { "a long, long answer" } else { "short" });
        span.release = Some(if n < 10 { "1" } else { "2" }.to_owned());
        span
    });
    house.record(spans.collect()).await;
    let (mut standing, mut recent) = (Standing::default(), Recent::default());
    // Those that ended in the last seconds may have company that is not durable yet.
    house.look(&rule, &mut standing, &mut recent, 11).await;
    assert_eq!((standing.calls, standing.scores), (9, 18));
    house.look(&rule, &mut standing, &mut recent, 100).await;
    assert_eq!((standing.calls, standing.sampled, standing.scores, standing.late), (20, 20, 40, 0));
    assert_eq!(house.rows().await, 40);
    let (found, _) = house.scorers.traces.scores(&ScoreFilter::default(), 1, None).await.unwrap();
    assert_eq!(found[0].author.as_deref(), Some("scorer:short@1"));
    assert!(found[0].span_id.is_some());
    let brief = standing.tallies.all["brief"];
    assert_eq!((brief.count(), brief.mean()), (20, Some(0.75)));
    assert!(brief.interval().is_some_and(|found| found.low > 0.2 && found.high < 1.0));
    let mean = standing.tallies.all["latency"].mean().unwrap();
    assert!((mean - 100.0).abs() < 1e-6, "{mean}");
    let of = |release: &str| standing.tallies.groups[&By::Release][release]["brief"].mean();
    assert_eq!((of("1"), of("2")), (Some(0.5), Some(1.0)));
}

/// What a crash leaves are rows without the standing that counts them.
#[tokio::test]
async fn after_a_crash_nothing_is_scored_twice_and_nothing_left_out() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    house.record((1..=8).map(|n| house.call(n, "short")).collect()).await;
    let mut kept = Standing::default();
    house.look(&rule, &mut kept, &mut Recent::default(), 20).await;
    house.record((30..=39).map(|n| house.call(n, "a long, long answer")).collect()).await;
    let mut lost = kept.clone();
    house.look(&rule, &mut lost, &mut Recent::default(), 50).await;
    assert_eq!(house.rows().await, 36);
    // A third of what was lost came durable only after the crash.
    house.record((40..=44).map(|n| house.call(n, "short")).collect()).await;
    for mut again in [kept.clone(), Standing::default()] {
        house.look(&rule, &mut again, &mut Recent::default(), 60).await;
        assert_eq!((again.calls, again.scores), (23, 46));
        assert_eq!(again.tallies.all["brief"].mean(), Some(13.0 / 23.0));
        assert_eq!(house.rows().await, 46);
    }
}

#[tokio::test]
async fn what_becomes_durable_late_is_scored_too() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    house.record((1..=5).map(|n| house.call(n, "short")).collect()).await;
    let (mut standing, mut recent) = (Standing::default(), Recent::default());
    house.look(&rule, &mut standing, &mut recent, 20).await;
    house.record(vec![house.call(3, "late"), house.call(4, "late")]).await;
    let before =
        vec![Span { end: house.at(0).saturating_sub(Duration::from_secs(1)), ..house.call(0, "before the rule") }];
    house.record(before).await;
    house.look(&rule, &mut standing, &mut recent, 30).await;
    assert_eq!(standing.late, 0, "they are not looked for all the time");
    house.look(&rule, &mut standing, &mut recent, 90).await;
    assert_eq!((standing.late, standing.scores), (2, 14));
    // One more came, and then the process began anew.
    house.record(vec![house.call(5, "late")]).await;
    house.look(&rule, &mut standing, &mut Recent::default(), 100).await;
    assert_eq!((standing.late, standing.scores, house.rows().await), (3, 16, 16));
}

#[tokio::test]
async fn calls_count_once_however_often_the_job_begins() {
    let house = House::open().await;
    let rule = house.rule(json!({"scorers": [{"kind": "leak"}]})).await;
    let spans = (1..=10_u64).map(|n| match n % 2 {
        0 => house.call(n, "short"),
        _ => Span { status: Status::Error, output: None, ..house.call(n, "") },
    });
    house.record(spans.collect()).await;
    let mut standing = Standing::default();
    for seconds in [20, 100, 200] {
        house.look(&rule, &mut standing, &mut Recent::default(), seconds).await;
        let counts = (standing.calls, standing.sampled, standing.scores, standing.unscored, standing.late);
        assert_eq!(counts, (10, 10, 5, 5, 0), "after {seconds} s");
    }
}

#[tokio::test]
async fn late_calls_are_counted_after_an_error_too() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    house.record((1..=5).map(|n| house.call(n, "short")).collect()).await;
    let mut kept = Standing::default();
    house.look(&rule, &mut kept, &mut Recent::default(), 20).await;
    house.record(vec![house.call(3, "late")]).await;
    // Its scores are written, and then something fails: the standing is that of before.
    house.look(&rule, &mut kept.clone(), &mut Recent::default(), 90).await;
    assert_eq!(house.rows().await, 12);
    house.look(&rule, &mut kept, &mut Recent::waiting(house.at(95)), 100).await;
    assert_eq!((kept.calls, kept.scores, kept.late, house.rows().await), (6, 12, 1, 12));
}

#[tokio::test]
async fn the_sample_is_the_same_whenever_one_looks() {
    let house = House::open().await;
    let rule = house.rule(json!({"sample": 0.4, "scorers": [{"kind": "cost"}]})).await;
    let spans: Vec<Span> = (1..=60).map(|n| house.call(n, "short")).collect();
    let expected: BTreeSet<TraceId> =
        spans.iter().map(|span| span.trace_id).filter(|trace| sample::is_in(*trace, "short", 0.4)).collect();
    house.record(spans).await;
    let mut standing = Standing::default();
    house.look(&rule, &mut standing, &mut Recent::default(), 100).await;
    assert_eq!(house.traces_scored().await, expected);
    assert_eq!((standing.calls, standing.sampled), (60, expected.len() as u64));
    house.look(&rule, &mut Standing::default(), &mut Recent::default(), 200).await;
    assert_eq!(house.traces_scored().await, expected);
}

#[tokio::test]
async fn what_was_not_said_has_no_score_and_judges_are_not_judged() {
    let house = House::open().await;
    let rule = house.rule(json!({"filter": {"tag": "t"}, "scorers": [{"kind": "leak"}, {"kind": "latency"}]})).await;
    let tagged = |seconds: u64, tags: &[&str]| {
        let mut span = house.call(seconds, "write to ada@example.org");
        span.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        span
    };
    let failed = Span { status: Status::Error, output: None, ..tagged(1, &["t"]) };
    let other = Span { kind: SpanKind::Tool, ..tagged(2, &["t"]) };
    let spans = vec![
        failed,
        other,
        tagged(3, &["t"]),
        tagged(4, &[]),
        tagged(5, &["t", "judge:polite@1"]),
        tagged(6, &["t", "experiment:x@1"]),
    ];
    house.record(spans).await;
    let mut standing = Standing::default();
    house.look(&rule, &mut standing, &mut Recent::default(), 100).await;
    assert_eq!((standing.calls, standing.sampled, standing.scores, standing.unscored), (2, 2, 2, 2));
    assert_eq!(standing.tallies.all["leak"].mean(), Some(1.0));
    assert_eq!(standing.tallies.all["latency"].count(), 1, "a call that failed took time, but answered nothing");
}

#[tokio::test]
async fn a_large_answer_is_read_whole() {
    let house = House::open().await;
    let rule = house.rule(json!({"scorers": [{"kind": "contains", "texts": ["the very end"]}]})).await;
    let said = "word ".repeat(60_000) + "the very end";
    house.recorder.record_durable(house.call(1, &said)).await.unwrap();
    let mut standing = Standing::default();
    house.look(&rule, &mut standing, &mut Recent::default(), 10).await;
    assert_eq!(standing.tallies.all["contains"].mean(), Some(1.0));
}

#[tokio::test]
async fn rules_are_changed_paused_resumed_and_removed() {
    let house = House::open().await;
    let (scorers, project, name) = (&house.scorers, house.project(), "short".parse().unwrap());
    let first = house.rule(brief()).await;
    let same = scorers.create(project, &name, first.definition.clone(), "test").await.unwrap();
    assert_eq!((same.info.number, scorers.active().await.unwrap().len()), (1, 1));
    let other: Definition = serde_json::from_value(json!({"scorers": [{"kind": "cost"}]})).unwrap();
    assert_eq!(scorers.create(project, &name, other, "test").await.unwrap().info.number, 2);
    let active = scorers.active().await.unwrap();
    assert_eq!(active.iter().map(|rule| rule.info.number).collect::<Vec<_>>(), [2], "one version scores");

    let paused = scorers.pause(project, &name, "test").await.unwrap();
    assert!(paused.active.is_none() && scorers.active().await.unwrap().is_empty());
    scorers.pause(project, &name, "test").await.unwrap();
    let resumed = scorers.resume(project, &name, "test").await.unwrap();
    assert!(resumed.active.unwrap() > active[0].since, "what happened meanwhile is not scored");
    assert_eq!(scorers.list(project).await.unwrap().len(), 1);

    scorers.remove(project, &name, "test").await.unwrap();
    assert!(scorers.active().await.unwrap().is_empty());
    let there = scorers.remaining([first.info.id, active[0].info.id].into_iter()).await.unwrap();
    assert!(there.is_empty(), "where they stood is forgotten");
    for result in [
        scorers.get(project, &name, &VersionRef::Latest).await.map(drop),
        scorers.pause(project, &name, "test").await.map(drop),
        scorers.remove(project, &name, "test").await,
    ] {
        assert!(matches!(result, Err(Error::Catalog(qd_catalog::Error::NotFound { .. }))), "{result:?}");
    }
}

#[tokio::test]
async fn calls_at_a_change_of_versions_are_scored_by_the_new_one() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    let mut standings = crate::standing::Standings::default();
    house.record((1..=20).map(|n| house.call(n, "short")).collect()).await;
    let before = standings.0.entry(rule.info.id).or_default();
    house.look(&rule, before, &mut Recent::default(), 12).await;
    assert_eq!(before.calls, 10);
    // From second 13 on there is another version. What ended in between had not settled for the first one.
    let other = house.rule(json!({"scorers": [{"kind": "cost"}]})).await;
    let other = Active { since: house.at(13), ..other };
    standings.hand_over(rule.info.id, other.info.id, other.since);
    let kept = standings.clone();
    let after = standings.0.get_mut(&other.info.id).unwrap();
    house.look(&other, after, &mut Recent::default(), 40).await;
    assert_eq!((after.calls, house.traces_scored().await.len()), (10, 20), "each is scored by one of both");
    // Also by a process that begins anew, and not by a version that was paused meanwhile.
    let mut again = kept.0[&other.info.id].clone();
    house.look(&other, &mut again, &mut Recent::default(), 40).await;
    assert_eq!((again.calls, again.scores), (10, 10));
    let resumed = Active { since: house.at(19), ..other };
    let mut late = kept.0[&resumed.info.id].clone();
    house.look(&resumed, &mut late, &mut Recent::default(), 40).await;
    assert_eq!(late.calls, 2);
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_stops_no_other() {
    let house = House::open().await;
    let (scorers, project) = (&house.scorers, house.project());
    let (kind, odd) = (qd_catalog::ArtifactKind::Scorer, "odd".parse().unwrap());
    let later = br#"{"scorers": [{"kind": "cost"}], "later": true}"#;
    scorers.catalog.put_version(project, kind, &odd, later, json!({}), &[]).await.unwrap();
    scorers.catalog.set_label(project, kind, &odd, &"active".parse().unwrap(), None, 1).await.unwrap();
    let rule = house.rule(brief()).await;
    let names: Vec<String> =
        scorers.list(project).await.unwrap().iter().map(|rule| rule.info.name.to_string()).collect();
    assert_eq!((rule.info.name.as_str(), names), ("short", vec!["short".to_owned()]));
    let why = scorers.get(project, &odd, &VersionRef::Latest).await.unwrap_err().chain();
    assert!(why.contains("later"), "{why}");
}

#[tokio::test]
async fn two_arms_are_told_apart_when_there_is_enough() {
    let house = House::open().await;
    let rule = house.rule(brief()).await;
    let spans = (1..=400_u64).map(|n| {
        let good = n % 2 == 0 || n % 20 == 1;
        let mut span = house.call(n, if good { "short" } else { "a long, long answer" });
        span.arm = Some(if n % 2 == 0 { "challenger" } else { "champion" }.to_owned());
        span
    });
    house.record(spans.collect()).await;
    let mut standing = Standing::default();
    house.look(&rule, &mut standing, &mut Recent::default(), 1_000).await;
    let found = house.scorers.get(house.project(), &rule.info.name, &VersionRef::Latest).await.unwrap();
    let found = crate::Rule { standing: Some(standing), ..found };
    let compared = house.scorers.compare(&found, By::Arm, "champion", "challenger").await.unwrap();
    assert_eq!((compared[0].name.as_str(), compared[0].winner()), ("brief", Some("b")));
    assert_eq!((compared[0].a.count, compared[0].b.mean), (200, Some(1.0)));
    assert_eq!(compared[1].winner(), None, "both took 100 ms");
    let none = house.scorers.compare(&found, By::Arm, "champion", "other").await.unwrap_err();
    assert!(none.to_string().contains("other"), "{none}");

    let range = qd_base::TimeRange::new(house.at(0), house.at(3_600)).unwrap();
    let report = house.scorers.report(&found, range, 3_600).await.unwrap();
    assert_eq!(report.scorers[0].all.count, 400);
    assert_eq!(report.scorers[0].groups.iter().filter(|(by, _, _)| *by == By::Arm).count(), 2);
    let points: Vec<_> = report.series.iter().map(|point| (point.name.as_str(), point.from, point.count)).collect();
    assert_eq!(points, [("brief", house.at(0), 400), ("latency", house.at(0), 400)]);
    assert_eq!(author(&rule.info.name, 1), "scorer:short@1");
}
