//! `/api/v1/stats`: what people ask of many calls at once.

use std::time::Duration;

use axum::extract::State;
use qd_base::id::{SpanId, TraceId};
use qd_base::time::{TimeRange, Timestamp};
use qd_catalog::Scope;
use qd_trace::sketch::Sketch;
use qd_trace::stats::length::{MOST_POINTS, RESIDUAL_QUANTILES};
use qd_trace::stats::{
    Breakdown, FailureCount, FailureGroup, Failures, FallbackPath, Fit, GroupStats, LengthFit, MOST_GROUPS, NoFit,
    Retries, StatsQuery, TargetStats,
};
use qd_trace::{FailureKind, Filter, GroupBy, GroupFilter, Groups, SpanKind, Status, Weight};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Query;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// The range when nobody says: the last day.
const USUAL_RANGE: Duration = Duration::from_secs(86_400);
/// Groups when nobody says how many.
const USUAL_GROUPS: usize = 50;
/// Calls of each line that are given when nobody says how many.
const USUAL_POINTS: usize = 300;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let groups = Doc::new("Statistics", "getStats", "Percentiles, tokens and cost of calls, by group")
        .text("Calls are spans that call a model, unless 'kind' says otherwise. Percentiles are within one percent of the exact ones. The time per output token is (latency - ttft) / (output_tokens - 1), of answers of two tokens or more whose first token was timed.")
        .query::<StatsParams>()
        .gives::<StatsBody>(200, "All calls, and the groups of most weight");
    let length = Doc::new("Statistics", "getLengthFits", "Latency as a function of the length of the answer")
        .text("For each group, models unless 'group_by' says otherwise, the line latency = a + b * output_tokens by least squares over the calls that ended well, with standard errors, R² and what calls took beyond it. Fewer than three calls, or answers all of one length, have no line: `no_fit` says so.")
        .query::<StatsParams>()
        .gives::<LengthBody>(200, "A line for each of the 20 largest groups");
    let errors = Doc::new("Statistics", "getErrorStats", "In which ways calls went wrong")
        .query::<StatsParams>()
        .gives::<ErrorsBody>(200, "Kinds of failure, of all calls and by group");
    let retries = Doc::new("Statistics", "getRetryStats", "Retries and fallbacks")
        .text("Of the calls that the gateway could not answer at once; the newest 20,000 of them are read.")
        .query::<StatsParams>()
        .gives::<RetriesBody>(200, "How often, of which target, to which");
    vec![
        Route::get("/api/v1/stats", read, groups, show),
        Route::get("/api/v1/stats/length", read, length, show_length),
        Route::get("/api/v1/stats/errors", read, errors, show_errors),
        Route::get("/api/v1/stats/retries", read, retries, show_retries),
    ]
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<StatsParams>,
) -> Result<Json<StatsBody>> {
    params.takes(&["limit", "order"])?;
    let (order, limit) = (params.order.unwrap_or(Weight::Requests), params.limit.unwrap_or(USUAL_GROUPS));
    if !(1..=MOST_GROUPS).contains(&limit) {
        let message = format!("Invalid 'limit': between 1 and {MOST_GROUPS} groups are given at once.");
        return Err(Error::parameter("limit", "invalid_value", message));
    }
    let query = params.into_query(&caller)?;
    let found = surface.app.traces.breakdown(&query, order, limit).await?;
    Ok(Json(StatsBody::of(&query, found)))
}

async fn show_length(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<StatsParams>,
) -> Result<Json<LengthBody>> {
    params.takes(&["points"])?;
    let points = params.points.unwrap_or(USUAL_POINTS);
    if points > MOST_POINTS {
        let message = format!("Invalid 'points': at most {MOST_POINTS} calls of each group are given.");
        return Err(Error::parameter("points", "invalid_value", message));
    }
    let query = params.into_query(&caller)?;
    let found = surface.app.traces.length_fits(&query, points).await?;
    Ok(Json(LengthBody {
        from: query.range.from(),
        to: query.range.to(),
        group_by: query.group_by.unwrap_or(GroupBy::Model),
        groups: found.into_iter().map(LengthFitBody::from).collect(),
    }))
}

async fn show_errors(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<StatsParams>,
) -> Result<Json<ErrorsBody>> {
    params.takes(&[])?;
    let query = params.into_query(&caller)?;
    let found = surface.app.traces.failures(&query).await?;
    Ok(Json(ErrorsBody::of(&query, found)))
}

async fn show_retries(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<StatsParams>,
) -> Result<Json<RetriesBody>> {
    params.takes(&[])?;
    if params.group_by.is_some() && params.group.is_none() {
        let message = "Invalid 'group_by': retries are told by target, so it only belongs here with 'group'.";
        return Err(Error::parameter("group_by", "invalid_value", message));
    }
    let query = params.into_query(&caller)?;
    let found = surface.app.traces.retries(&query).await?;
    Ok(Json(RetriesBody::of(&query, found)))
}

/// Which calls, over which time, told apart by what. Every part that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StatsParams {
    /// From when on; a day before `to` when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Until when; now when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `model`, `provider`, `prompt`, `prompt_version`, `user`, `session`, `environment`, `release`, `name` or `status`.
    #[param(value_type = Option<String>)]
    group_by: Option<GroupBy>,
    /// With `group_by`, only calls of this group; empty for those that do not say.
    group: Option<String>,
    /// Of `/api/v1/stats` only: groups at most, of 200 at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Of `/api/v1/stats` only: which groups come first, those of most `requests`, `errors`, `cost` or `tokens`.
    #[param(value_type = Option<String>)]
    order: Option<Weight>,
    /// Of `/api/v1/stats/length` only: calls of each group to draw at most, of 2,000 at most; 300 when absent.
    #[param(maximum = 2000)]
    points: Option<usize>,
    /// `llm`, `embedding`, `retriever`, `tool`, …; those that call models when absent.
    #[param(value_type = Option<String>)]
    kind: Option<SpanKind>,
    /// `true`: only calls of models, as without `kind`.
    calls: Option<bool>,
    /// `ok`, `error` or `cancelled`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// The model, as asked for or as it answered.
    model: Option<String>,
    /// Who ran it.
    provider: Option<String>,
    /// The session.
    session: Option<String>,
    /// The end user.
    user: Option<String>,
    /// One of the tags.
    tag: Option<String>,
    /// `false`: without the calls that experiments, evaluations, leaderboards and judges made; `true`: only those.
    experiments: Option<bool>,
    /// The environment.
    environment: Option<String>,
    /// The operation.
    name: Option<String>,
    /// The prompt artifact.
    prompt: Option<String>,
    /// In which way they went wrong: `timeout`, `rate_limited`, …
    #[param(value_type = Option<String>)]
    failure: Option<FailureKind>,
}

impl StatsParams {
    /// Refuses those of `limit`, `order` and `points` that are given and not in `known`.
    fn takes(&self, known: &[&str]) -> Result<()> {
        let given =
            [("limit", self.limit.is_some()), ("order", self.order.is_some()), ("points", self.points.is_some())];
        match given.into_iter().find(|(name, given)| *given && !known.contains(name)) {
            Some((name, _)) => {
                Err(Error::parameter(name, "invalid_value", format!("Invalid '{name}': it does not belong here.")))
            }
            None => Ok(()),
        }
    }

    fn into_query(self, caller: &Caller) -> Result<StatsQuery> {
        let to = self.to.unwrap_or_else(Timestamp::now);
        let from = self.from.unwrap_or_else(|| to.saturating_sub(USUAL_RANGE));
        let range =
            TimeRange::new(from, to).map_err(|error| Error::parameter("from", "invalid_value", error.to_string()))?;
        let group = match (self.group_by, self.group) {
            (_, None) => None,
            (Some(by), Some(group)) => Some(GroupFilter { by, groups: Groups::One(group) }),
            (None, Some(_)) => {
                let message = "Invalid 'group': it needs 'group_by' beside it.";
                return Err(Error::parameter("group", "invalid_value", message));
            }
        };
        let filter = Filter {
            project: Some(caller.project_name().clone()),
            kind: self.kind,
            calls: self.calls.unwrap_or(false),
            status: self.status,
            model: self.model,
            provider: self.provider,
            session: self.session,
            user: self.user,
            tag: self.tag,
            experiments: self.experiments,
            environment: self.environment,
            name: self.name,
            prompt: self.prompt,
            failure: self.failure,
            group,
            ..Filter::default()
        };
        Ok(StatsQuery { filter, range, group_by: self.group_by })
    }
}

/// Statistics by group.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
pub struct StatsBody {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// All calls.
    pub total: GroupStatsBody,
    /// The groups, as `order` says; empty without `group_by`.
    pub groups: Vec<GroupStatsBody>,
    /// Groups that are not among them.
    pub other_groups: usize,
}

/// Percentiles of the calls that told this time, in milliseconds; null where none did.
#[derive(Serialize, ToSchema)]
#[schema(as = Percentiles)]
pub struct PercentilesBody {
    /// Calls that told it.
    pub calls: u64,
    /// Half of them took at most so long.
    pub p50: Option<f64>,
    /// 90 of 100 took at most so long.
    pub p90: Option<f64>,
    /// 95 of 100 took at most so long.
    pub p95: Option<f64>,
    /// 99 of 100 took at most so long.
    pub p99: Option<f64>,
}

/// The calls of one group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupStats)]
pub struct GroupStatsBody {
    /// The group, empty for calls that do not say; null for all calls.
    pub group: Option<String>,
    /// Calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// The share of them; null without calls.
    pub error_rate: Option<f64>,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Tokens of prompts that came from a cache.
    pub cached_tokens: u64,
    /// The share of the prompts' tokens that came from a cache; null without tokens.
    pub cached_share: Option<f64>,
    /// What the calls whose price is known cost, in picodollars.
    pub cost_picodollars: i64,
    /// From start to end.
    pub latency_ms: PercentilesBody,
    /// From start to the first token.
    pub ttft_ms: PercentilesBody,
    /// For each token after the first.
    pub tpot_ms: PercentilesBody,
    /// Tokens of answers over the time from first token to end, each call for itself.
    pub output_tokens_per_s: Option<f64>,
}

impl From<&Sketch> for PercentilesBody {
    fn from(sketch: &Sketch) -> Self {
        let at = |quantile| sketch.quantile(quantile);
        Self { calls: sketch.count(), p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl From<GroupStats> for GroupStatsBody {
    fn from(found: GroupStats) -> Self {
        let measures = &found.measures;
        Self {
            group: found.group,
            requests: measures.requests,
            errors: measures.errors,
            error_rate: share(measures.errors, measures.requests),
            input_tokens: measures.input_tokens,
            output_tokens: measures.output_tokens,
            cached_tokens: measures.cached_tokens,
            cached_share: share(measures.cached_tokens, measures.input_tokens),
            cost_picodollars: measures.cost_picodollars,
            latency_ms: (&measures.latency_ms).into(),
            ttft_ms: (&measures.ttft_ms).into(),
            tpot_ms: (&found.tpot_ms).into(),
            output_tokens_per_s: measures.output_tokens_per_s(),
        }
    }
}

impl StatsBody {
    fn of(query: &StatsQuery, found: Breakdown) -> Self {
        Self {
            from: query.range.from(),
            to: query.range.to(),
            total: found.total.into(),
            groups: found.groups.into_iter().map(GroupStatsBody::from).collect(),
            other_groups: found.other_groups,
        }
    }
}

/// Latency as a function of the length of the answer.
#[derive(Serialize, ToSchema)]
#[schema(as = LengthFits)]
pub struct LengthBody {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// What each line is of.
    #[schema(value_type = String)]
    pub group_by: GroupBy,
    /// A line for each.
    pub groups: Vec<LengthFitBody>,
}

/// The line of one group.
#[derive(Serialize, ToSchema)]
#[schema(as = LengthFit)]
pub struct LengthFitBody {
    /// The group, empty for calls that do not say.
    pub group: String,
    /// Calls that ended well with an answer of a token or more.
    pub n: u64,
    /// Tokens of the shortest answer.
    pub tokens_min: u64,
    /// Tokens of the longest answer.
    pub tokens_max: u64,
    /// The line; null when there is none.
    pub fit: Option<FitBody>,
    /// Why there is none: `too_few` calls (fewer than three), or all answers of the `same_length`.
    pub no_fit: Option<&'static str>,
    /// What calls took beyond the line; null without a line.
    pub residuals_ms: Option<ResidualsBody>,
    /// Some of the calls.
    pub points: Vec<LengthPointBody>,
}

/// A line by least squares.
#[derive(Serialize, ToSchema)]
#[schema(as = Fit)]
pub struct FitBody {
    /// Milliseconds that an answer takes before its length counts.
    pub intercept_ms: f64,
    /// Milliseconds for each token.
    pub slope_ms_per_token: f64,
    /// The standard error of the intercept.
    pub intercept_se: Option<f64>,
    /// The standard error of the slope.
    pub slope_se: Option<f64>,
    /// The share of the variance of the latency that the line accounts for; null when the latency does not vary.
    pub r2: Option<f64>,
    /// The standard deviation of what calls took beyond the line.
    pub residual_sd_ms: Option<f64>,
}

/// What calls took beyond the line, in milliseconds; below zero where they were quicker. Each within one percent.
#[derive(Serialize, ToSchema)]
#[schema(as = Residuals)]
pub struct ResidualsBody {
    /// 5 of 100 took at most so much longer.
    pub p5: f64,
    /// 25 of 100 took at most so much longer.
    pub p25: f64,
    /// Half of them took at most so much longer.
    pub p50: f64,
    /// 75 of 100 took at most so much longer.
    pub p75: f64,
    /// 95 of 100 took at most so much longer.
    pub p95: f64,
}

/// One call.
#[derive(Serialize, ToSchema)]
#[schema(as = LengthPoint)]
pub struct LengthPointBody {
    /// Its trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// Its span.
    #[schema(value_type = String)]
    pub span_id: SpanId,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// Tokens of its answer.
    pub output_tokens: u64,
    /// From start to end.
    pub latency_ms: f64,
}

impl From<LengthFit> for LengthFitBody {
    fn from(found: LengthFit) -> Self {
        let points = found.points.into_iter().map(|point| LengthPointBody {
            trace_id: point.trace_id,
            span_id: point.span_id,
            start_time: point.start,
            output_tokens: point.tokens,
            latency_ms: point.latency_ms,
        });
        Self {
            group: found.group,
            n: found.n,
            tokens_min: found.tokens.0,
            tokens_max: found.tokens.1,
            fit: found.fit.ok().map(FitBody::from),
            no_fit: found.fit.err().map(|why| match why {
                NoFit::TooFew => "too_few",
                NoFit::SameLength => "same_length",
            }),
            residuals_ms: residuals(&found.residuals_ms),
            points: points.collect(),
        }
    }
}

fn residuals(found: &[f64]) -> Option<ResidualsBody> {
    const { assert!(RESIDUAL_QUANTILES.len() == 5) };
    let [p5, p25, p50, p75, p95] = *found else { return None };
    Some(ResidualsBody { p5, p25, p50, p75, p95 })
}

impl From<Fit> for FitBody {
    fn from(fit: Fit) -> Self {
        Self {
            intercept_ms: fit.intercept,
            slope_ms_per_token: fit.slope,
            intercept_se: fit.intercept_se,
            slope_se: fit.slope_se,
            r2: fit.r2,
            residual_sd_ms: fit.residual_sd,
        }
    }
}

/// In which ways calls went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = ErrorStats)]
pub struct ErrorsBody {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// All calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls whose caller left before the end; they are no errors.
    pub cancelled: u64,
    /// The kinds that there were, those of most calls first.
    pub kinds: Vec<FailureCountBody>,
    /// The groups in which calls went wrong; empty without `group_by`.
    pub groups: Vec<FailureGroupBody>,
}

/// Calls that went wrong in one way.
#[derive(Serialize, ToSchema)]
#[schema(as = FailureCount)]
pub struct FailureCountBody {
    /// `timeout`, `rate_limited`, `busy`, `upstream_5xx`, `upstream_4xx`, `credentials`, `unreachable`, `protocol`,
    /// `invalid_request`, `unknown_model`, `internal`, `cancelled` or `other`.
    #[schema(value_type = String)]
    pub kind: FailureKind,
    /// How many.
    pub calls: u64,
    /// Their share of all calls.
    pub share: Option<f64>,
    /// When the last of them began.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
    /// What one of them said.
    pub example: Option<String>,
}

/// The calls of one group that went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = FailureGroup)]
pub struct FailureGroupBody {
    /// The group, empty for calls that do not say.
    pub group: String,
    /// All of its calls.
    pub requests: u64,
    /// How many went wrong in which way.
    pub kinds: Vec<KindCount>,
}

/// How many of one kind.
#[derive(Serialize, ToSchema)]
pub struct KindCount {
    /// The kind of failure.
    #[schema(value_type = String)]
    pub kind: FailureKind,
    /// How many.
    pub calls: u64,
}

fn counts(kinds: Vec<(FailureKind, u64)>) -> Vec<KindCount> {
    kinds.into_iter().map(|(kind, calls)| KindCount { kind, calls }).collect()
}

impl ErrorsBody {
    fn of(query: &StatsQuery, found: Failures) -> Self {
        let requests = found.requests;
        let kind = |FailureCount { kind, calls, last, example }| FailureCountBody {
            kind,
            calls,
            share: share(calls, requests),
            last,
            example,
        };
        let groups = match query.group_by {
            None => Vec::new(),
            Some(_) => found.groups.into_iter().map(FailureGroupBody::from).collect(),
        };
        Self {
            from: query.range.from(),
            to: query.range.to(),
            requests,
            errors: found.errors,
            cancelled: found.cancelled,
            kinds: found.kinds.into_iter().map(kind).collect(),
            groups,
        }
    }
}

impl From<FailureGroup> for FailureGroupBody {
    fn from(FailureGroup { group, requests, kinds }: FailureGroup) -> Self {
        Self { group, requests, kinds: counts(kinds) }
    }
}

/// Retries and fallbacks.
#[derive(Serialize, ToSchema)]
#[schema(as = RetryStats)]
pub struct RetriesBody {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// All calls.
    pub requests: u64,
    /// Calls with an attempt that failed.
    pub troubled: u64,
    /// Of these, calls for which the same target was asked again.
    pub retried: u64,
    /// Of these, calls for which another target was asked.
    pub fell_back: u64,
    /// Of these, calls that were answered in the end.
    pub rescued: u64,
    /// Attempts at the target that had just failed.
    pub retries: u64,
    /// Steps from one target to another.
    pub fallbacks: u64,
    /// What failed attempts and the waits after them took of the calls that were answered in the end.
    pub lost_ms: f64,
    /// The targets that were tried in these calls, those that failed most first; 100 at most.
    pub targets: Vec<TargetBody>,
    /// From which target to which; 100 at most.
    pub paths: Vec<PathBody>,
    /// Whether only the newest calls were read.
    pub truncated: bool,
}

/// How a target fared in calls with a failed attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = TargetStats)]
pub struct TargetBody {
    /// Who was asked.
    pub provider: String,
    /// Which model of theirs.
    pub model: String,
    /// Attempts.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// In which ways.
    pub kinds: Vec<KindCount>,
}

/// Calls that went from one target to another.
#[derive(Serialize, ToSchema)]
#[schema(as = FallbackPath)]
pub struct PathBody {
    /// `provider/model` that failed.
    pub from: String,
    /// `provider/model` that was asked next.
    pub to: String,
    /// How often.
    pub calls: u64,
}

impl RetriesBody {
    fn of(query: &StatsQuery, found: Retries) -> Self {
        let target = |TargetStats { provider, model, attempts, failed, kinds }| TargetBody {
            provider,
            model,
            attempts,
            failed,
            kinds: counts(kinds),
        };
        let path = |FallbackPath { from, to, calls }| PathBody { from, to, calls };
        Self {
            from: query.range.from(),
            to: query.range.to(),
            requests: found.requests,
            troubled: found.troubled,
            retried: found.retried,
            fell_back: found.fell_back,
            rescued: found.rescued,
            retries: found.retries,
            fallbacks: found.fallbacks,
            lost_ms: found.lost_ms,
            targets: found.targets.into_iter().map(target).collect(),
            paths: found.paths.into_iter().map(path).collect(),
            truncated: found.truncated,
        }
    }
}
