//! Models rated by comparisons, as JSON.

use axum::extract::State;
use qd_base::name::ArtifactName;
use qd_catalog::VersionRef;
use qd_leaderboard::ratings::{Comparisons, Rated, Ratings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Result;
use crate::extract::{Path, Query};
use crate::permission::Caller;
use crate::reply::Json;
use crate::state::Shared;

pub(super) async fn rate(
    State(surface): State<Shared>,
    caller: Caller,
    Path(dataset): Path<ArtifactName>,
    Query(query): Query<RatingsQuery>,
) -> Result<Json<RatingsBody>> {
    let named = |column: Option<String>, usual: &str| column.unwrap_or_else(|| usual.to_owned());
    let wanted = Comparisons {
        dataset,
        which: query.version.map_or(VersionRef::Latest, VersionRef::Number),
        first: named(query.model_a, "model_a"),
        second: named(query.model_b, "model_b"),
        winner: named(query.winner, "winner"),
    };
    Ok(Json(surface.app.leaderboards.ratings(caller.project(), &wanted).await?.into()))
}

/// Which comparisons are read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RatingsQuery {
    /// The version of the dataset; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
    /// The column with the first model's name; `model_a` when absent.
    model_a: Option<String>,
    /// The column with the second's; `model_b` when absent.
    model_b: Option<String>,
    /// The column that says who was preferred, by the model's name or as `model_a`, `model_b` or `tie`; `winner` when absent.
    winner: Option<String>,
}

/// Models by their strength.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelRatings)]
pub struct RatingsBody {
    /// The dataset's version: `arena@3`.
    pub dataset: String,
    /// Who is ahead, as far as that is sure, in a sentence.
    pub sentence: String,
    /// Comparisons that count.
    pub comparisons: usize,
    /// Rows without a model or a winner, which do not.
    pub left_out: usize,
    /// The share of ties between models that are alike; null when nothing was tied.
    pub ties: Option<f64>,
    /// The strongest first.
    pub data: Vec<RatedBody>,
}

/// A model with its ratings.
#[derive(Serialize, ToSchema)]
#[schema(as = RatedModel)]
pub struct RatedBody {
    /// Its name.
    pub model: String,
    /// Bradley and Terry's strength on Elo's scale: 400 points are odds of ten to one, the mean of all is 1,000.
    pub rating: f64,
    /// The lower end of its interval: 95 %, held against the mean of all.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The best place that it may have; the ranges of all models hold together with 95 %.
    pub rank_best: usize,
    /// The worst.
    pub rank_worst: usize,
    /// Elo's rating, the median over orders of the comparisons.
    pub elo: f64,
    /// The lower end of its interval.
    pub elo_low: Option<f64>,
    /// The upper end.
    pub elo_high: Option<f64>,
    /// Comparisons that it won.
    pub wins: usize,
    /// Comparisons that it lost.
    pub losses: usize,
    /// Those without a winner.
    pub ties: usize,
    /// Only models of one group are held against each other by comparisons.
    pub group: usize,
}

impl From<Ratings> for RatingsBody {
    fn from(ratings: Ratings) -> Self {
        Self {
            dataset: ratings.dataset,
            sentence: ratings.sentence,
            comparisons: ratings.comparisons,
            left_out: ratings.left_out,
            ties: ratings.ties,
            data: ratings.models.into_iter().map(RatedBody::from).collect(),
        }
    }
}

impl From<Rated> for RatedBody {
    fn from(rated: Rated) -> Self {
        Self {
            model: rated.model,
            rating: rated.rating,
            low: rated.interval.low,
            high: rated.interval.high,
            rank_best: rated.ranks.best,
            rank_worst: rated.ranks.worst,
            elo: rated.elo,
            elo_low: rated.elo_interval.map(|interval| interval.low),
            elo_high: rated.elo_interval.map(|interval| interval.high),
            wins: rated.wins,
            losses: rated.losses,
            ties: rated.ties,
            group: rated.group,
        }
    }
}
