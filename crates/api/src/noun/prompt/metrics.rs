//! How the versions of a prompt fare in production: the calls that programs and people made, those of experiments left out.

use std::time::Duration;

use axum::extract::State;
use qd_base::name::ArtifactName;
use qd_base::time::{TimeRange, Timestamp};
use qd_catalog::Scope;
use qd_eval::interval::{self, Sampling};
use qd_eval::{Column, Direction, Interval, Unit};
use qd_trace::stats::VersionStats;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Path, Query};
use crate::noun::prompt::version::which_of;
use crate::openai::prompted;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

/// Days that are looked at when nobody says, and at most.
const USUAL_DAYS: u32 = 7;
const MOST_DAYS: u32 = 365;
const HOUR_NS: i64 = 3_600_000_000_000;
/// Resamples of the interval of a score's mean.
const RESAMPLES: usize = 2_000;
const PICODOLLARS: f64 = 1e12;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Prompts", "getPromptMetrics", "How the versions of a prompt fare in production")
        .text("Of calls that named the prompt; those that experiments made, whose tags begin with `experiment:`, do not count. Percentiles are within one percent of the exact ones; intervals hold the truth with 95 % confidence.")
        .query::<MetricsQuery>()
        .gives::<PromptMetrics>(200, "The versions that were called, the newest first");
    vec![Route::get("/api/v1/prompts/{name}/metrics", Permission::Scope(Scope::Read), doc, show)]
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<PromptMetrics>> {
    surface.prompts.get(caller.project(), &which_of(name.clone(), "latest")?).await?;
    Ok(Json(of(&surface, &caller, &name, query.days).await?))
}

/// The metrics of all versions that were called in so many days.
pub(crate) async fn of(
    surface: &Surface,
    caller: &Caller,
    name: &ArtifactName,
    days: Option<u32>,
) -> Result<PromptMetrics> {
    let range = range(days)?;
    let found = surface.app.traces.prompt_versions(caller.project_name(), name.as_str(), range).await?;
    let told = move || found.into_iter().map(PromptVersionMetrics::of).collect();
    Ok(PromptMetrics { from: range.from(), to: range.to(), data: prompted::aside(surface, told).await? })
}

/// The last days, up to a full hour, so that one question is one question for a while.
fn range(days: Option<u32>) -> Result<TimeRange> {
    let days = days.unwrap_or(USUAL_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        let message = format!("Invalid 'days': between 1 and {MOST_DAYS}.");
        return Err(Error::parameter("days", "invalid_value", message));
    }
    let to = Timestamp::from_nanos((Timestamp::now().as_nanos().div_euclid(HOUR_NS) + 1) * HOUR_NS);
    let from = to.saturating_sub(Duration::from_secs(u64::from(days) * 86_400));
    TimeRange::new(from, to).map_err(|error| Error::parameter("days", "invalid_value", error.to_string()))
}

/// Over how long calls are looked at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MetricsQuery {
    /// The last so many days; 7 when absent.
    #[param(minimum = 1, maximum = 365)]
    days: Option<u32>,
}

/// How the versions of a prompt fare.
#[derive(Serialize, ToSchema)]
pub struct PromptMetrics {
    /// Calls that began from then on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Calls that began before.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// The versions that were called, the newest first.
    pub data: Vec<PromptVersionMetrics>,
}

/// How one version fares.
#[derive(Serialize, ToSchema)]
pub struct PromptVersionMetrics {
    /// The version.
    pub version: u32,
    /// Calls that said it.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// The share of them, with Wilson's interval; null without calls.
    pub error_rate: Option<MetricMean>,
    /// Milliseconds that half of the calls took at most.
    pub latency_p50_ms: Option<f64>,
    /// Milliseconds that 95 of 100 took at most.
    pub latency_p95_ms: Option<f64>,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What calls whose price is known cost together, in picodollars.
    pub cost_picodollars: i64,
    /// What such a call costs in dollars, with Student's interval; null where no price is known.
    pub cost_per_call_usd: Option<MetricMean>,
    /// What people and programs thought of its answers, by the name of the score.
    pub scores: Vec<PromptScoreMetrics>,
}

/// A mean with its interval.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct MetricMean {
    /// The mean.
    pub mean: f64,
    /// The lower end of its interval; null for a single value.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Values that it is of.
    pub n: u64,
}

/// What was thought of a version's answers by one score.
#[derive(Serialize, ToSchema)]
pub struct PromptScoreMetrics {
    /// The score: `helpful`, `faithfulness`, …
    pub name: String,
    /// The mean over traces, each of which counts once, however often it was scored.
    #[serde(flatten)]
    pub mean: MetricMean,
}

impl MetricMean {
    fn new(mean: f64, interval: Option<Interval>, n: u64) -> Self {
        Self { mean, low: interval.map(|interval| interval.low), high: interval.map(|interval| interval.high), n }
    }
}

impl PromptVersionMetrics {
    /// A version that nobody called.
    pub(crate) fn none(version: u32) -> Self {
        Self::of(VersionStats { version, ..VersionStats::default() })
    }

    fn of(stats: VersionStats) -> Self {
        let VersionStats { version, calls, errors, priced, .. } = stats;
        let share = || MetricMean::new(errors as f64 / calls as f64, Some(interval::wilson(errors, calls)), calls);
        let sum = stats.cost_picodollars as f64 / PICODOLLARS;
        let cost = || {
            let squares = stats.cost_squares / PICODOLLARS / PICODOLLARS;
            let interval = interval::student_of_sums(priced, sum, squares);
            // Money is not below nothing, whatever a normal distribution is.
            let interval = interval.map(|interval| Interval { low: interval.low.max(0.0), ..interval });
            MetricMean::new(sum / priced as f64, interval, priced)
        };
        Self {
            version,
            calls,
            errors,
            error_rate: (calls > 0).then(share),
            latency_p50_ms: stats.latency_ms.quantile(0.5),
            latency_p95_ms: stats.latency_ms.quantile(0.95),
            input_tokens: stats.input_tokens,
            output_tokens: stats.output_tokens,
            cost_picodollars: stats.cost_picodollars,
            cost_per_call_usd: (priced > 0).then(cost),
            scores: stats.scores.iter().filter_map(|(name, values)| PromptScoreMetrics::of(name, values)).collect(),
        }
    }
}

impl PromptScoreMetrics {
    fn of(name: &str, values: &[f64]) -> Option<Self> {
        // A score has no unit; one that stays between 0 and 1 has the bounds of a share.
        let unit = if values.iter().all(|value| (0.0..=1.0).contains(value)) { Unit::Share } else { Unit::Count };
        let mut column = Column::new(unit, Direction::Higher);
        values.iter().enumerate().for_each(|(place, &value)| column.push(place as u64, value));
        let interval = column.interval(Sampling { resamples: RESAMPLES, ..Sampling::default() });
        let mean = MetricMean::new(column.mean()?, interval, values.len() as u64);
        Some(Self { name: name.to_owned(), mean })
    }
}
