//! `/api/v1/overview`: how many calls, how fast, at what cost.

use std::time::Duration;

use axum::extract::State;
use qd_base::time::{TimeRange, Timestamp};
use qd_catalog::Scope;
use qd_trace::overview::{self, MOST_POINTS};
use qd_trace::{Filter, GroupBy, Measures, Overview, OverviewQuery, Series, SpanKind, Status};
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

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let show = Doc::new("Overview", "getOverview", "Calls over time: how many, how fast, at what cost")
        .text("Calls are spans that call a model, unless 'kind' says otherwise. Percentiles are within one percent of the exact ones. At most 10 groups have a series of their own; the others are one series without a name.")
        .query::<OverviewParams>()
        .gives::<OverviewBody>(200, "Totals and series");
    vec![Route::get("/api/v1/overview", read, show, answer)]
}

async fn answer(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<OverviewParams>,
) -> Result<Json<OverviewBody>> {
    let query = params.into_query(&caller)?;
    let found = surface.app.traces.overview(&query).await?;
    Ok(Json(OverviewBody::of(&query, &found)))
}

/// Which calls, over which time, told apart by what. Every part that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OverviewParams {
    /// From when on; a day before `to` when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Until when; now when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Seconds from point to point; chosen for about a hundred points when absent.
    #[param(minimum = 1)]
    step_s: Option<u64>,
    /// `model`, `provider`, `prompt`, `prompt_version`, `user`, `environment`, `status`, `session`, `release` or `name`: a series for each.
    #[param(value_type = Option<String>)]
    group_by: Option<GroupBy>,
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
}

impl OverviewParams {
    fn into_query(self, caller: &Caller) -> Result<OverviewQuery> {
        let to = self.to.unwrap_or_else(Timestamp::now);
        let from = self.from.unwrap_or_else(|| to.saturating_sub(USUAL_RANGE));
        let range =
            TimeRange::new(from, to).map_err(|error| Error::parameter("from", "invalid_value", error.to_string()))?;
        let step = self.step_s.map_or_else(|| overview::usual_step(range), Duration::from_secs);
        if step.is_zero() || overview::points(range, step) > MOST_POINTS as u64 {
            let message =
                format!("Invalid 'step_s': the range has {MOST_POINTS} points at most, a second apart at least.");
            return Err(Error::parameter("step_s", "invalid_value", message));
        }
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
            ..Filter::default()
        };
        Ok(OverviewQuery { filter, range, step, group_by: self.group_by })
    }
}

/// An overview.
#[derive(Serialize, ToSchema)]
#[schema(as = Overview)]
pub struct OverviewBody {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Seconds from point to point.
    pub step_s: u64,
    /// When each point begins, in seconds since 1970.
    pub times: Vec<i64>,
    /// All calls.
    pub total: MeasuresBody,
    /// The series, largest first, that of the groups left over last.
    pub series: Vec<SeriesBody>,
    /// Groups in that last series.
    pub other_groups: usize,
}

/// What was measured of some calls; null where nothing was.
#[derive(Serialize, ToSchema)]
#[schema(as = Measures)]
pub struct MeasuresBody {
    /// Calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Tokens of prompts that came from a cache.
    pub cached_tokens: u64,
    /// What they cost, in picodollars.
    pub cost_picodollars: i64,
    /// Half of them took at most so long.
    pub latency_p50_ms: Option<f64>,
    /// 95 of 100 took at most so long.
    pub latency_p95_ms: Option<f64>,
    /// 99 of 100 took at most so long.
    pub latency_p99_ms: Option<f64>,
    /// Half of them had their first token after so long.
    pub ttft_p50_ms: Option<f64>,
    /// 95 of 100 had their first token after so long.
    pub ttft_p95_ms: Option<f64>,
    /// Tokens of answers over the time from first token to end, each call for itself.
    pub output_tokens_per_s: Option<f64>,
}

/// The calls of a group, point by point; each list is as long as `times`.
#[derive(Serialize, ToSchema)]
#[schema(as = OverviewSeries)]
pub struct SeriesBody {
    /// The group, empty for calls that do not say; null for all calls or for the groups left over.
    pub group: Option<String>,
    /// All of its calls.
    pub total: MeasuresBody,
    /// Calls.
    pub requests: Vec<u64>,
    /// Calls that failed.
    pub errors: Vec<u64>,
    /// Tokens of prompts.
    pub input_tokens: Vec<u64>,
    /// Tokens of answers.
    pub output_tokens: Vec<u64>,
    /// What they cost, in picodollars.
    pub cost_picodollars: Vec<i64>,
    /// Latency, as in the total.
    pub latency_p50_ms: Vec<Option<f64>>,
    /// Latency, as in the total.
    pub latency_p95_ms: Vec<Option<f64>>,
    /// Latency, as in the total.
    pub latency_p99_ms: Vec<Option<f64>>,
    /// Time to the first token, as in the total.
    pub ttft_p50_ms: Vec<Option<f64>>,
    /// Time to the first token, as in the total.
    pub ttft_p95_ms: Vec<Option<f64>>,
    /// Speed, as in the total.
    pub output_tokens_per_s: Vec<Option<f64>>,
}

impl OverviewBody {
    fn of(query: &OverviewQuery, found: &Overview) -> Self {
        Self {
            from: query.range.from(),
            to: query.range.to(),
            step_s: query.step.as_secs(),
            times: found.times.iter().map(|time| time.as_nanos().div_euclid(1_000_000_000)).collect(),
            total: (&found.total).into(),
            series: found.series.iter().map(SeriesBody::from).collect(),
            other_groups: found.other_groups,
        }
    }
}

impl From<&Measures> for MeasuresBody {
    fn from(found: &Measures) -> Self {
        Self {
            requests: found.requests,
            errors: found.errors,
            input_tokens: found.input_tokens,
            output_tokens: found.output_tokens,
            cached_tokens: found.cached_tokens,
            cost_picodollars: found.cost_picodollars,
            latency_p50_ms: found.latency_ms.quantile(0.5),
            latency_p95_ms: found.latency_ms.quantile(0.95),
            latency_p99_ms: found.latency_ms.quantile(0.99),
            ttft_p50_ms: found.ttft_ms.quantile(0.5),
            ttft_p95_ms: found.ttft_ms.quantile(0.95),
            output_tokens_per_s: found.output_tokens_per_s(),
        }
    }
}

impl From<&Series> for SeriesBody {
    fn from(series: &Series) -> Self {
        let points: Vec<MeasuresBody> = series.points.iter().map(MeasuresBody::from).collect();
        fn each<T>(points: &[MeasuresBody], of: impl Fn(&MeasuresBody) -> T) -> Vec<T> {
            points.iter().map(of).collect()
        }
        Self {
            group: series.group.clone(),
            total: (&series.total).into(),
            requests: each(&points, |point| point.requests),
            errors: each(&points, |point| point.errors),
            input_tokens: each(&points, |point| point.input_tokens),
            output_tokens: each(&points, |point| point.output_tokens),
            cost_picodollars: each(&points, |point| point.cost_picodollars),
            latency_p50_ms: each(&points, |point| point.latency_p50_ms),
            latency_p95_ms: each(&points, |point| point.latency_p95_ms),
            latency_p99_ms: each(&points, |point| point.latency_p99_ms),
            ttft_p50_ms: each(&points, |point| point.ttft_p50_ms),
            ttft_p95_ms: each(&points, |point| point.ttft_p95_ms),
            output_tokens_per_s: each(&points, |point| point.output_tokens_per_s),
        }
    }
}
