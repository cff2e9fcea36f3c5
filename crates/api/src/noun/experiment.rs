//! `/api/v1/experiments`: prompts, models, parameters and examples compared on a dataset, with what is sure of it.
//!
//! Reading order: [`definition`] → [`preview`] → [`report`] → [`answers`].

pub mod answers;
pub mod definition;
pub mod preview;
pub mod report;

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{JobId, VersionId};
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::{Page, Scope, VersionInfo, VersionRef, WorkState as Stands};
use qd_experiment::definition::Budget;
use qd_experiment::experiments::Wanted;
use qd_experiment::{Definition, Experiment, Optimisation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::experiment::answers::{ItemPage, ItemsQuery};
use crate::noun::experiment::definition::{ExperimentDefinition, PromptOptimisation};
use crate::noun::experiment::preview::PreviewBody;
use crate::noun::experiment::report::{ComparisonBody, ComparisonList, ReportBody};
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new(
        "Experiments",
        "listExperiments",
        "The latest version of each experiment, those that changed last first",
    )
    .query::<ListQuery>()
    .gives::<ExperimentList>(200, "One page");
    let new = Doc::new("Experiments", "createExperiment", "Make a version of an experiment and run it")
        .text("Needs the scope `infer` too, since models are asked. References to datasets and prompts are pinned to numbers. What cannot be run is refused here. The same definition as that of the latest version is that version: it goes on if it was cancelled or failed, and is answered as it is otherwise.")
        .takes::<NewExperiment>()
        .gives::<ExperimentBody>(201, "The version, with the job that runs it");
    let one = Doc::new("Experiments", "getExperiment", "An experiment with what came of it so far")
        .text("Means are over items; an item that was answered several times counts once. Intervals hold the truth with 95 % confidence. There is a winner only when one cell is told apart from all others after correction for all pairs (Holm).")
        .query::<VersionQuery>()
        .gives::<ExperimentWithReport>(200, "The version and its report");
    let versions = Doc::new("Experiments", "listExperimentVersions", "The versions of an experiment, newest first")
        .query::<VersionsQuery>()
        .gives::<ExperimentVersionList>(200, "One page");
    let compare = Doc::new("Experiments", "compareCells", "Two cells held against each other by every score")
        .text("Over the items that both answered: a paired bootstrap interval of the difference, and McNemar's mid-p test for scores that are right or wrong, a sign-flip test for others. Of each score, p values are corrected for all pairs of cells that are in the race (Holm), unless `planned` says that these two were to be compared before anything was seen.")
        .query::<CompareQuery>()
        .gives::<ComparisonList>(200, "One comparison a score");
    let items = Doc::new("Experiments", "listExperimentItems", "Items with the answers of cells side by side")
        .query::<ItemsQuery>()
        .gives::<ItemPage>(200, "One page of them, in the order in which they are asked");
    let resume = Doc::new("Experiments", "resumeExperiment", "Go on with an experiment that has ended")
        .text("Needs the scope `infer` too. What was answered is not asked again. Cancelling is done with the experiment's job.")
        .takes::<Resume>()
        .gives::<ExperimentBody>(202, "The version, with its new job");
    let improve = Doc::new("Experiments", "optimisePrompt", "Look for better words and examples of a prompt")
        .text("Needs the scope `infer` too. A job parts the rows once. Right answers to training rows become demonstrations, a model proposes instructions, and combinations of both are tried at random on other rows. The best one becomes a version of a prompt, and the experiment of this name compares it with the prompt as it was on rows that the search never saw. Nothing better, no experiment: the job's result says what was tried.")
        .takes::<PromptOptimisation>()
        .gives::<Optimising>(202, "The job");
    let foresee = Doc::new("Experiments", "previewExperiment", "What an experiment would take")
        .text("Cells, calls, and tokens estimated from the calls about a few items at four characters a token. Nothing is made, and nobody is asked. What cannot be run is refused as it would be when it is made.")
        .takes::<ExperimentDefinition>()
        .gives::<PreviewBody>(200, "What it would take");
    let gone = Doc::new("Experiments", "removeExperiment", "Delete an experiment with all its versions and their rows")
        .text("Its rows are not seen from then on, and leave the disk with the next compaction. While it runs it is not deleted: cancel its job first.")
        .gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/experiments", read, all, list),
        Route::post("/api/v1/experiments", write, new, create),
        Route::get("/api/v1/experiments/{name}", read, one, show),
        Route::delete("/api/v1/experiments/{name}", write, gone, remove),
        Route::post("/api/v1/experiments/{name}/preview", read, foresee, preview),
        Route::get("/api/v1/experiments/{name}/versions", read, versions, list_versions),
        Route::get("/api/v1/experiments/{name}/comparison", read, compare, comparison),
        Route::get("/api/v1/experiments/{name}/items", read, items, list_items),
        Route::post("/api/v1/experiments/{name}/resume", write, resume, go_on),
        Route::post("/api/v1/experiments/{name}/optimisation", write, improve, optimise),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<ExperimentList>> {
    let (from, limit) = (query.cursor.unwrap_or(0), query.limit.unwrap_or(u32::MAX) as usize);
    let (found, next) = surface.app.experiments.list(caller.project(), from, limit).await?;
    let data = found.iter().map(ExperimentBody::of).collect();
    Ok(Json(ExperimentList { data, next_cursor: next.map(|next| next.to_string()) }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewExperiment>,
) -> Result<Created<ExperimentBody>> {
    caller.needs(Scope::Infer)?;
    let experiments = &surface.app.experiments;
    let made = experiments.create(caller.project(), &new.name, new.definition, &caller.actor()).await?;
    Ok(Created(ExperimentBody::of(&made)))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<ExperimentWithReport>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let report = surface.app.experiments.report(&found).await?;
    Ok(Json(ExperimentWithReport { experiment: ExperimentBody::of(&found), report: report.into() }))
}

async fn preview(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(definition): JsonBody<Definition>,
) -> Result<Json<PreviewBody>> {
    let foreseen = surface.app.experiments.foresee(caller.project(), &name, definition).await?;
    Ok(Json(foreseen.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.experiments.delete(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<ExperimentVersionList>> {
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = surface.app.experiments.versions(caller.project(), &name, page).await?;
    if found.items.is_empty() && query.cursor.is_none() {
        return Err(Error::missing("experiment", &name));
    }
    let version = |info: VersionInfo| ExperimentVersion { version: info.number, id: info.id, created: info.created };
    let data = found.items.into_iter().map(version).collect();
    Ok(Json(ExperimentVersionList { data, next_cursor: found.next.map(|number| number.to_string()) }))
}

async fn comparison(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<ComparisonList>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let compared = surface.app.experiments.compare(&found, &query.a, &query.b, query.planned.unwrap_or(false)).await?;
    Ok(Json(ComparisonList { data: compared.into_iter().map(ComparisonBody::from).collect() }))
}

async fn list_items(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<ItemsQuery>,
) -> Result<Json<ItemPage>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let cells = query.cells.iter().flat_map(|cells| cells.split(',')).map(|cell| cell.trim().to_owned());
    let wanted = Wanted {
        cells: cells.filter(|cell| !cell.is_empty()).collect(),
        disagree: query.disagree,
        from: query.cursor.unwrap_or(0),
        limit: query.limit.unwrap_or(20) as usize,
    };
    let (items, next, total) = surface.app.experiments.items(&found, wanted).await?;
    Ok(Json(ItemPage::new(items, next, total)))
}

async fn go_on(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(body): JsonBody<Resume>,
) -> Result<Accepted<ExperimentBody>> {
    caller.needs(Scope::Infer)?;
    let found = find(&surface, &caller, &name, body.version).await?;
    let going = surface.app.experiments.resume(&found, body.retry_failed.unwrap_or(false), body.budget).await?;
    Ok(Accepted(ExperimentBody::of(&going)))
}

async fn optimise(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(wanted): JsonBody<Optimisation>,
) -> Result<Accepted<Optimising>> {
    caller.needs(Scope::Infer)?;
    let job = surface.app.experiments.optimise(caller.project(), name, wanted, &caller.actor()).await?;
    Ok(Accepted(Optimising { job }))
}

async fn find(surface: &Surface, caller: &Caller, name: &ArtifactName, version: Option<u32>) -> Result<Experiment> {
    let which = version.map_or(VersionRef::Latest, VersionRef::Number);
    Ok(surface.app.experiments.get(caller.project(), name, &which).await?)
}

/// Which page of experiments is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// At most this many, of 200 at most; 200 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<usize>,
}

/// Which page of versions is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionsQuery {
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<u32>,
}

/// Which version is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// Its number; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// Which cells are compared.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CompareQuery {
    /// A cell, by identifier or label.
    a: String,
    /// The cell that is held against it.
    b: String,
    /// Whether these two were to be compared before anything was seen; false when absent.
    planned: Option<bool>,
    /// The version of the experiment; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// An experiment to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExperiment {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What it does.
    #[schema(value_type = ExperimentDefinition)]
    pub definition: Definition,
}

/// How an experiment goes on.
#[derive(Deserialize, ToSchema)]
#[schema(as = ResumeExperiment)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The version; the latest when absent.
    pub version: Option<u32>,
    /// Whether calls that failed are made again; false when absent.
    pub retry_failed: Option<bool>,
    /// Another budget than the definition's. What was spent before counts, but for time.
    #[schema(value_type = Option<definition::ExperimentBudget>)]
    pub budget: Option<Budget>,
}

/// A search that has begun.
#[derive(Serialize, ToSchema)]
pub struct Optimising {
    /// Its job, whose result tells what was found and which experiment judges it.
    #[schema(value_type = String, format = Uuid)]
    pub job: JobId,
}

/// A version of an experiment.
#[derive(Serialize, ToSchema)]
#[schema(as = Experiment)]
pub struct ExperimentBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier, which is in the column `experiment` of the table `experiment_items`.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// `queued`, `running`, `finished`, `stopped` by a budget, `cancelled`, or `failed`, as when calls always do.
    #[schema(value_type = String)]
    pub state: Stands,
    /// Why it stopped or failed.
    pub why: Option<String>,
    /// Its last job.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub job: Option<JobId>,
    /// How many answers there are, while it runs.
    pub done: Option<u64>,
    /// How many there will be.
    pub total: Option<u64>,
    /// How many cells it has.
    pub cells: usize,
    /// How many items.
    pub items: usize,
    /// For each name of a model what it stood for when the experiment was made: `local/smollm2-135m-instruct@1`.
    pub models: BTreeMap<String, String>,
    /// What it does.
    #[schema(value_type = ExperimentDefinition)]
    pub definition: Value,
}

impl ExperimentBody {
    fn of(experiment: &Experiment) -> Self {
        let Experiment { info, content, standing } = experiment;
        Self {
            name: info.name.clone(),
            version: info.number,
            id: info.id,
            created: info.created,
            state: standing.state,
            why: standing.why.clone(),
            job: standing.job,
            done: standing.progress.map(|(done, _)| done),
            total: standing.progress.and_then(|(_, total)| total),
            cells: content.cells.len(),
            items: content.order.len(),
            models: content.models.iter().map(|(name, target)| (name.clone(), target.to_string())).collect(),
            definition: serde_json::to_value(&content.definition).unwrap_or_default(),
        }
    }
}

/// A version of an experiment with what came of it.
#[derive(Serialize, ToSchema)]
pub struct ExperimentWithReport {
    /// The version.
    #[serde(flatten)]
    pub experiment: ExperimentBody,
    /// What came of it so far.
    pub report: ReportBody,
}

/// Experiments.
#[derive(Serialize, ToSchema)]
pub struct ExperimentList {
    /// The latest version of each.
    pub data: Vec<ExperimentBody>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A version in a list.
#[derive(Serialize, ToSchema)]
pub struct ExperimentVersion {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Versions of an experiment.
#[derive(Serialize, ToSchema)]
pub struct ExperimentVersionList {
    /// The versions.
    pub data: Vec<ExperimentVersion>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}
