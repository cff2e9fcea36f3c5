//! `/api/v1/judges/{name}/calibrations`: a judge compared with people, as a job.

use std::collections::BTreeMap;

use axum::extract::State;
use qd_base::id::JobId;
use qd_base::name::{ArtifactName, ModelName};
use qd_catalog::Scope;
use qd_catalog::WorkState as Stands;
use qd_judging::{Calibration, Request, Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::experiment::definition::ExperimentBudget;
use crate::noun::judge::{VersionQuery, find, meant};
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Json};
use crate::route::Route;
use crate::state::Shared;

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let new = Doc::new("Judges", "calibrateJudge", "Compare a judge with what people said in a dataset")
        .text("Needs the scope `infer` too. A job judges each row that people labelled, or some of them drawn at random, and keeps each judgement as a row of the table `judgements`. Asked for again it goes on: what was judged and saw the same is not asked again.")
        .takes::<NewCalibration>()
        .gives::<CalibrationBody>(202, "The calibration, with its job");
    let all = Doc::new("Judges", "listCalibrations", "On what a version of a judge was compared with people")
        .query::<VersionQuery>()
        .gives::<CalibrationList>(200, "The latest first");
    vec![
        Route::post("/api/v1/judges/{name}/calibrations", write, new, begin),
        Route::get("/api/v1/judges/{name}/calibrations", read, all, list),
    ]
}

async fn begin(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewCalibration>,
) -> Result<Accepted<CalibrationBody>> {
    caller.needs(Scope::Infer)?;
    let stored = meant(&surface, &caller, &name, new.version, new.model.as_ref()).await?;
    let retry_failed = new.retry_failed.unwrap_or(false);
    let begun = surface.app.calibrations.begin(&stored, new.calibration, retry_failed).await?;
    Ok(Accepted(CalibrationBody::of(&stored, &begun)))
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<CalibrationList>> {
    let stored = find(&surface, &caller, &name, query.version).await?;
    let found = surface.app.calibrations.judges.calibrations(stored.info.id).await?;
    Ok(Json(CalibrationList { data: found.iter().map(|found| CalibrationBody::of(&stored, found)).collect() }))
}

/// A comparison to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCalibration {
    /// The version of the judge; the latest when absent.
    pub version: Option<u32>,
    /// Of a ready judge, who judges.
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelName>,
    /// Whether items are judged again whose judgement failed; false when absent.
    pub retry_failed: Option<bool>,
    /// With what, and how.
    #[schema(value_type = CalibrationRequest)]
    pub calibration: Request,
}

/// What a judge is compared with people on.
#[derive(ToSchema)]
pub struct CalibrationRequest {
    /// The dataset, as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// The columns with what people said, one for each person, 8 at most. What most of them say is the truth.
    pub labels: Vec<String>,
    /// For inputs of the judge the column that each is taken from; the one of its own name otherwise.
    pub values: Option<BTreeMap<String, String>>,
    /// For words of people what of the judge's scale they mean: `{"1": "A", "2": "B", "0": "tie"}`.
    pub means: Option<BTreeMap<String, String>>,
    /// The column that says which model wrote the answer; of a pair, the two of each.
    pub authors: Option<Vec<String>>,
    /// What those columns call the judge's model; the model's own name when absent.
    pub own: Option<String>,
    /// How many items, drawn at random; all that people labelled when absent. 10,000 at most.
    pub limit: Option<usize>,
    /// The same seed draws the same items.
    pub seed: Option<u64>,
    /// Items that are judged at once: 4 when absent, 32 at most.
    pub concurrency: Option<usize>,
    /// Where to stop.
    pub budget: Option<ExperimentBudget>,
}

/// A comparison of a judge with people.
#[derive(Serialize, ToSchema)]
#[schema(as = Calibration)]
pub struct CalibrationBody {
    /// Which version of which judge, as `name@3`.
    pub judge: String,
    /// The version of the dataset, as `name@3`.
    pub dataset: String,
    /// `queued`, `running`, `finished`, `stopped` by a budget, `cancelled`, or `failed`.
    #[schema(value_type = String)]
    pub state: Stands,
    /// Why it stopped or failed.
    pub why: Option<String>,
    /// Its last job.
    #[schema(value_type = String, format = Uuid)]
    pub job: JobId,
    /// How many items are done, while it runs.
    pub done: Option<u64>,
    /// How many there are.
    pub total: Option<u64>,
    /// How it was asked for.
    #[schema(value_type = CalibrationRequest)]
    pub request: Value,
}

impl CalibrationBody {
    fn of(stored: &Stored, calibration: &Calibration) -> Self {
        Self {
            judge: stored.reference(),
            dataset: calibration.request.dataset.clone(),
            state: calibration.state,
            why: calibration.why.clone(),
            job: calibration.job,
            done: calibration.progress.map(|(done, _)| done),
            total: calibration.progress.and_then(|(_, total)| total),
            request: serde_json::to_value(&calibration.request).unwrap_or_default(),
        }
    }
}

/// Comparisons of a judge with people.
#[derive(Serialize, ToSchema)]
pub struct CalibrationList {
    /// The comparisons.
    pub data: Vec<CalibrationBody>,
}
