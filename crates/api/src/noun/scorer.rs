//! `/api/v1/scorers`: rules that score live calls, and what came of them.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::VersionId;
use qd_base::name::ArtifactName;
use qd_base::time::{TimeRange, Timestamp};
use qd_catalog::{Scope, VersionRef};
use qd_scorer::judged::{Judging, Paid};
use qd_scorer::report::{Scored, Sum};
use qd_scorer::{By, Compared, Definition, Rule};
use qd_trace::ScorePoint;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

/// The time that a report looks back over when nobody says, and the parts that it is told in.
const USUAL_S: u32 = 86_400;
const USUAL_STEP_S: u32 = 3_600;
/// Parts of a report at most.
const MOST_PARTS: u32 = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Scorers", "listScorers", "Rules that score live calls, by name")
        .gives::<ScorerList>(200, "The latest version of each");
    let new = Doc::new("Scorers", "createScorer", "Make a rule, or a version of one")
        .text("It scores calls that end from now on, in the place of the version before. The same definition as the latest version's is that version. Calls are scored behind who answers, some seconds after their end; each score is there once, whatever crashes. A rule that names a judge needs the scope `infer` too; its judge is asked about a call once at most, and only while the budget of the day lasts.")
        .takes::<NewScorer>()
        .gives::<ScorerBody>(201, "The version");
    let one = Doc::new("Scorers", "getScorer", "A rule and how it stands")
        .query::<VersionQuery>()
        .gives::<ScorerBody>(200, "The version");
    let gone = Doc::new("Scorers", "removeScorer", "Remove a rule with all its versions")
        .text("The scores that it gave stay.")
        .gives_nothing("It is gone");
    let stop = Doc::new("Scorers", "pauseScorer", "See to it that a rule scores no more")
        .text("What happens until it is resumed is never scored.")
        .gives::<ScorerBody>(200, "The rule");
    let go = Doc::new("Scorers", "resumeScorer", "See to it that the latest version of a rule scores from now on")
        .gives::<ScorerBody>(200, "The rule");
    let report = Doc::new("Scorers", "reportScorer", "What came of a rule: means, over time and by group")
        .text("Intervals hold the mean with 95 % at every moment together, so that one may look as often as one likes. Of numbers without bounds there is none for fewer than 100 scores. Over time it is told by when scores were given.")
        .query::<ReportQuery>()
        .gives::<ScorerReport>(200, "The report");
    let compare = Doc::new("Scorers", "compareScorerGroups", "Two groups of calls held against each other by every score")
        .text("The interval of the difference holds with 95 % at every moment together. There is a winner when it does not hold 0.")
        .query::<CompareQuery>()
        .gives::<ScorerComparisonList>(200, "One comparison a score");
    vec![
        Route::get("/api/v1/scorers", read, all, list),
        Route::post("/api/v1/scorers", write, new, create),
        Route::get("/api/v1/scorers/{name}", read, one, show),
        Route::delete("/api/v1/scorers/{name}", write, gone, remove),
        Route::post("/api/v1/scorers/{name}/pause", write, stop, pause),
        Route::post("/api/v1/scorers/{name}/resume", write, go, resume),
        Route::get("/api/v1/scorers/{name}/report", read, report, tell),
        Route::get("/api/v1/scorers/{name}/comparison", read, compare, comparison),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<ScorerList>> {
    let found = surface.app.scorers.list(caller.project()).await?;
    Ok(Json(ScorerList { data: found.into_iter().map(ScorerBody::from).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewScorer>,
) -> Result<Created<ScorerBody>> {
    if new.definition.judge.is_some() {
        caller.needs(Scope::Infer)?;
    }
    let scorers = &surface.app.scorers;
    Ok(Created(scorers.create(caller.project(), &new.name, new.definition, &caller.actor()).await?.into()))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<ScorerBody>> {
    Ok(Json(surface.app.scorers.get(caller.project(), &name, &which(query.version)).await?.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.scorers.remove(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<ScorerBody>> {
    Ok(Json(surface.app.scorers.pause(caller.project(), &name, &caller.actor()).await?.into()))
}

async fn resume(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<ScorerBody>> {
    let latest = surface.app.scorers.get(caller.project(), &name, &VersionRef::Latest).await?;
    if latest.definition.judge.is_some() {
        caller.needs(Scope::Infer)?;
    }
    Ok(Json(surface.app.scorers.resume(caller.project(), &name, &caller.actor()).await?.into()))
}

async fn tell(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<ReportQuery>,
) -> Result<Json<ScorerReport>> {
    let (back_s, step_s) = (query.back_s.unwrap_or(USUAL_S), query.step_s.unwrap_or(USUAL_STEP_S));
    if step_s == 0 || back_s == 0 || back_s.div_ceil(step_s) > MOST_PARTS {
        let why =
            format!("Invalid 'step_s': between 1 and {MOST_PARTS} parts are told, so back_s / step_s is at most that.");
        return Err(Error::parameter("step_s", "invalid_value", why));
    }
    let now = Timestamp::now().saturating_add(Duration::from_secs(1));
    let range = TimeRange::new(now.saturating_sub(Duration::from_secs(u64::from(back_s) + 1)), now);
    let range = range.map_err(|error| Error::parameter("back_s", "invalid_value", error.to_string()))?;
    let scorers = &surface.app.scorers;
    let rule = scorers.get(caller.project(), &name, &which(query.version)).await?;
    let report = scorers.report(&rule, range, step_s).await?;
    Ok(Json(ScorerReport {
        scorer: rule.into(),
        scores: report.scorers.into_iter().map(ScorerScores::from).collect(),
        over_time: report.series.into_iter().map(ScorerPoint::from).collect(),
    }))
}

async fn comparison(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<ScorerComparisonList>> {
    let by: By = query
        .by
        .parse()
        .map_err(|error: qd_base::Error| Error::parameter("by", "invalid_value", format!("Invalid 'by': {error}.")))?;
    let scorers = &surface.app.scorers;
    let rule = scorers.get(caller.project(), &name, &which(query.version)).await?;
    let compared = scorers.compare(&rule, by, &query.a, &query.b).await?;
    Ok(Json(ScorerComparisonList { data: compared.into_iter().map(ScorerComparison::from).collect() }))
}

fn which(version: Option<u32>) -> VersionRef {
    version.map_or(VersionRef::Latest, VersionRef::Number)
}

/// Which version is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// Its number; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// What a report tells.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// The version; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
    /// How many seconds the means over time look back; a day when absent.
    #[param(minimum = 1)]
    back_s: Option<u32>,
    /// The seconds of a part of them; an hour when absent. There are 1,000 parts at most.
    #[param(minimum = 1)]
    step_s: Option<u32>,
}

/// Which groups are compared.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CompareQuery {
    /// What calls are told apart by: `model`, `provider`, `prompt`, `arm`, `environment`, `release` or `tag`.
    by: String,
    /// A group, such as `greeting@3` of `prompt`.
    a: String,
    /// The group that is held against it.
    b: String,
    /// The version of the rule; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// A rule to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScorer {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What it does.
    #[schema(value_type = ScorerDefinition)]
    pub definition: Definition,
}

/// What a rule does, as the document describes it. What is read and written is `qd_scorer`'s own form.
#[derive(ToSchema)]
pub struct ScorerDefinition {
    /// What it is for.
    pub description: Option<String>,
    /// Which calls are looked at; all calls of language models when absent.
    pub filter: Option<ScorerFilter>,
    /// The share of traces that is scored, above 0 and at most 1; all when absent. Whether one is follows from its identifier.
    pub sample: Option<f64>,
    /// What is looked at, 16 at most: `{"kind": "regex", "pattern": "…"}`, `json_schema`, `length`, `readability`, `latency`, `cost`,
    /// `contains` with `texts` of which any will do, and `leak` and `toxic`, which are 1 where a pattern finds something. Options are those of
    /// experiments' scorers.
    #[schema(value_type = Vec<Object>)]
    pub scorers: Vec<Value>,
    /// A judge that is asked about some of the calls; nobody when absent.
    pub judge: Option<ScorerJudge>,
}

/// A judge that is asked about some of the calls that a rule scores, as the document describes it.
#[derive(ToSchema)]
pub struct ScorerJudge {
    /// `name`, `name@3` or `ready/NAME@MODEL`. It is pinned to its version.
    pub judge: String,
    /// What its scores are called; `judge` when absent.
    pub name: Option<String>,
    /// The share of traces in the rule's sample that are judged, above 0 and at most 1; all when absent.
    pub share: Option<f64>,
    /// Only calls of which one of the rule's scorers says so; all when absent.
    pub when: Option<ScorerJudgeWhen>,
    /// Which of the judge's inputs is the `answer` and which the `question`, where their names do not tell.
    #[schema(value_type = Object)]
    pub values: Option<Value>,
    /// What may be spent.
    pub budget: ScorerJudgeBudget,
}

/// What a score has to be like for a call to be judged.
#[derive(ToSchema)]
pub struct ScorerJudgeWhen {
    /// The name of a scorer of the rule.
    pub scorer: String,
    /// Less than this; this or `above` is told.
    pub below: Option<f64>,
    /// More than this.
    pub above: Option<f64>,
}

/// What a judge may spend in a day, by UTC: one of both at least.
#[derive(ToSchema)]
pub struct ScorerJudgeBudget {
    /// Dollars, of calls whose price is known. It is passed by what is under way as it is reached.
    pub dollars_per_day: Option<f64>,
    /// Calls of the judge's models.
    pub calls_per_day: Option<u64>,
}

/// Which calls are looked at: those for which every part that is told holds.
#[derive(ToSchema)]
pub struct ScorerFilter {
    /// `llm`, `embedding`, `retriever`, `tool`, …; `llm` when absent.
    pub kind: Option<String>,
    /// `ok`, `error` or `cancelled`.
    pub status: Option<String>,
    /// Answered by this model, or asking for it.
    pub model: Option<String>,
    /// Run by this provider.
    pub provider: Option<String>,
    /// In this session.
    pub session: Option<String>,
    /// For this end user.
    pub user: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this environment.
    pub environment: Option<String>,
    /// Of this operation.
    pub name: Option<String>,
    /// With this prompt artifact.
    pub prompt: Option<String>,
    /// That took at least so many milliseconds.
    pub min_latency_ms: Option<f64>,
    /// Whether calls of experiments, evaluations and leaderboards are looked at too; false when absent. Calls of judges never are.
    pub experiments: Option<bool>,
}

/// A version of a rule.
#[derive(Serialize, ToSchema)]
#[schema(as = Scorer)]
pub struct ScorerBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// As whom it gives scores: the column `author` of the table `scores`.
    pub author: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Whether this version scores.
    pub active: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Calls that its filter wants.
    pub calls: u64,
    /// Of them those in the sample.
    pub sampled: u64,
    /// Of these, calls that became durable late.
    pub late: u64,
    /// Scores that it gave.
    pub scores: u64,
    /// Scores that there are not, since nothing was said or measured.
    pub unscored: u64,
    /// When it last found something to look at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub looked: Option<Timestamp>,
    /// Why it could not go on, when it last tried.
    pub error: Option<String>,
    /// Where the judging of some of its calls stands; null for a rule without a judge.
    pub judging: Option<ScorerJudging>,
    /// What it does.
    #[schema(value_type = ScorerDefinition)]
    pub definition: Value,
}

/// Where the judging of calls stands.
#[derive(Serialize, ToSchema)]
pub struct ScorerJudging {
    /// Calls that wait.
    pub waiting: usize,
    /// Calls that the judge is asked about now.
    pub asked: usize,
    /// Calls that it gave a score.
    pub judged: u64,
    /// Calls of which a judgement was wanted and that have none, by the reason: `budget`, `unpriced`, `full`, `gone`, `cannot_tell`,
    /// `invalid`, `failed`, `unreached` or `interrupted`.
    #[schema(value_type = Object)]
    pub not_judged: Value,
    /// What was spent in the day of its last judgement.
    pub today: ScorerJudgeSpent,
    /// What was spent ever.
    pub ever: ScorerJudgeSpent,
}

/// What judgements took.
#[derive(Serialize, ToSchema)]
pub struct ScorerJudgeSpent {
    /// Calls of the judge's models.
    pub calls: u64,
    /// What they cost, in dollars, as far as their prices are known.
    pub dollars: f64,
    /// Calls whose price is not known.
    pub unpriced: u64,
}

impl From<Paid> for ScorerJudgeSpent {
    fn from(Paid { calls, cost, unpriced }: Paid) -> Self {
        Self { calls, dollars: cost.as_dollars(), unpriced }
    }
}

impl From<Judging> for ScorerJudging {
    fn from(judging: Judging) -> Self {
        Self {
            waiting: judging.waiting.len(),
            asked: judging.asked.len(),
            judged: judging.judged,
            not_judged: serde_json::to_value(&judging.not_judged).unwrap_or_default(),
            today: judging.spent.into(),
            ever: judging.spent_ever.into(),
        }
    }
}

impl From<Rule> for ScorerBody {
    fn from(rule: Rule) -> Self {
        let standing = rule.standing.unwrap_or_default();
        Self {
            version: rule.info.number,
            id: rule.info.id,
            author: qd_scorer::scorers::author(&rule.info.name, rule.info.number),
            created: rule.info.created,
            active: rule.active.is_some(),
            since: rule.active,
            calls: standing.calls,
            sampled: standing.sampled,
            late: standing.late,
            scores: standing.scores,
            unscored: standing.unscored,
            looked: standing.looked,
            error: standing.error,
            judging: rule.definition.judge.as_ref().map(|_| standing.judging.into()),
            definition: serde_json::to_value(&rule.definition).unwrap_or_default(),
            name: rule.info.name,
        }
    }
}

/// Rules.
#[derive(Serialize, ToSchema)]
pub struct ScorerList {
    /// The latest version of each.
    pub data: Vec<ScorerBody>,
}

/// What came of a rule.
#[derive(Serialize, ToSchema)]
pub struct ScorerReport {
    /// The version.
    pub scorer: ScorerBody,
    /// For each scorer what came of all calls and of each group.
    pub scores: Vec<ScorerScores>,
    /// For each scorer the means over time.
    pub over_time: Vec<ScorerPoint>,
}

/// What came of one scorer.
#[derive(Serialize, ToSchema)]
pub struct ScorerScores {
    /// What its scores are called.
    pub name: String,
    /// `share`, `milliseconds`, `dollars` or `count`.
    #[schema(value_type = String)]
    pub unit: qd_eval::Unit,
    /// `higher` or `lower`.
    #[schema(value_type = String)]
    pub better: qd_eval::Direction,
    /// Of all calls.
    #[serde(flatten)]
    pub all: ScorerSum,
    /// Of groups of calls, 12 of each kind and the others together.
    pub groups: Vec<ScorerGroup>,
}

impl From<Scored> for ScorerScores {
    fn from(scored: Scored) -> Self {
        let groups = scored.groups.into_iter().map(|(by, group, sum)| ScorerGroup { by, group, sum: sum.into() });
        Self {
            name: scored.name,
            unit: scored.unit,
            better: scored.better,
            all: scored.all.into(),
            groups: groups.collect(),
        }
    }
}

/// Some scores of one scorer.
#[derive(Serialize, ToSchema)]
pub struct ScorerSum {
    /// How many.
    pub count: u64,
    /// Their mean; null of nothing.
    pub mean: Option<f64>,
    /// Where the mean lies, at every moment together, with 95 %: from here
    pub low: Option<f64>,
    /// to here.
    pub high: Option<f64>,
}

impl From<Sum> for ScorerSum {
    fn from(sum: Sum) -> Self {
        let Sum { count, mean, interval } = sum;
        Self { count, mean, low: interval.map(|i| i.low), high: interval.map(|i| i.high) }
    }
}

/// What came of a group of calls.
#[derive(Serialize, ToSchema)]
pub struct ScorerGroup {
    /// What calls are told apart by.
    #[schema(value_type = String)]
    pub by: By,
    /// The group.
    pub group: String,
    /// Its scores.
    #[serde(flatten)]
    pub sum: ScorerSum,
}

/// The mean of a part of the time.
#[derive(Serialize, ToSchema)]
pub struct ScorerPoint {
    /// What the scores are called.
    pub name: String,
    /// When the part begins.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// How many scores.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
}

impl From<ScorePoint> for ScorerPoint {
    fn from(point: ScorePoint) -> Self {
        let ScorePoint { name, from, count, mean } = point;
        Self { name, from, count, mean }
    }
}

/// Two groups held against each other by one score.
#[derive(Serialize, ToSchema)]
pub struct ScorerComparison {
    /// What the scores are called.
    pub name: String,
    /// `share`, `milliseconds`, `dollars` or `count`.
    #[schema(value_type = String)]
    pub unit: qd_eval::Unit,
    /// `higher` or `lower`.
    #[schema(value_type = String)]
    pub better: qd_eval::Direction,
    /// The first group.
    pub a: ScorerSum,
    /// The second.
    pub b: ScorerSum,
    /// Where the second's mean less the first's lies, at every moment together, with 95 %: from here
    pub low: Option<f64>,
    /// to here.
    pub high: Option<f64>,
    /// `a` or `b`, when it is sure which is better.
    pub winner: Option<&'static str>,
}

impl From<Compared> for ScorerComparison {
    fn from(compared: Compared) -> Self {
        let (winner, difference) = (compared.winner(), compared.difference);
        Self {
            name: compared.name,
            unit: compared.unit,
            better: compared.better,
            a: compared.a.into(),
            b: compared.b.into(),
            low: difference.map(|i| i.low),
            high: difference.map(|i| i.high),
            winner,
        }
    }
}

/// Comparisons.
#[derive(Serialize, ToSchema)]
pub struct ScorerComparisonList {
    /// One a score.
    pub data: Vec<ScorerComparison>,
}
