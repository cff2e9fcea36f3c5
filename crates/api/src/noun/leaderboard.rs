//! `/api/v1/leaderboards`: models compared on benchmark tasks, with what is sure of it.
//!
//! Reading order: [`definition`] → [`report`] → [`documents`]; and on its own, [`ratings`].

pub mod definition;
pub mod documents;
pub mod ratings;
pub mod report;

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{JobId, VersionId};
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::{Scope, VersionRef, WorkState as Stands};
use qd_leaderboard::{Budget, Definition, Filter, Leaderboard, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::experiment::definition::ExperimentBudget;
use crate::noun::leaderboard::definition::{LeaderboardDefinition, LeaderboardNeeds};
use crate::noun::leaderboard::documents::{DocumentPage, DocumentsQuery};
use crate::noun::leaderboard::ratings::{RatingsBody, RatingsQuery};
use crate::noun::leaderboard::report::ReportBody;
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Leaderboards", "listLeaderboards", "The latest version of each leaderboard, newest first")
        .gives::<LeaderboardList>(200, "At most 200 of the project's");
    let new = Doc::new("Leaderboards", "createLeaderboard", "Make a version of a leaderboard and run it")
        .text("Needs the scope `infer` too, since models are asked. Without a definition the one that comes with Quarterdeck under this name is taken, or that of the latest version. Datasets and models are pinned. What cannot be run is refused here. The same as the latest version is that version: it goes on if it was cancelled or failed.")
        .takes::<NewLeaderboard>()
        .gives::<LeaderboardBody>(201, "The version, with the job that runs it");
    let needs = Doc::new(
        "Leaderboards",
        "previewLeaderboard",
        "Which documents a leaderboard needs, and which of them are here",
    )
    .text("Nothing is made, and nobody is asked.")
    .takes::<LeaderboardWanted>()
    .gives::<LeaderboardNeeds>(200, "The definition that is meant, and its documents");
    let one = Doc::new("Leaderboards", "getLeaderboard", "A leaderboard with what came of it so far")
        .text("Places are told as ranges, which hold together with 95 % confidence: only models that are shown to be different have different ones. Models that do not pass the filters are told last and are not ranked.")
        .query::<ShowQuery>()
        .gives::<LeaderboardWithReport>(200, "The version and its report");
    let documents =
        Doc::new("Leaderboards", "listLeaderboardDocuments", "Documents of a task with what a model said about them")
            .query::<DocumentsQuery>()
            .gives::<DocumentPage>(200, "One page of them, in order");
    let resume = Doc::new("Leaderboards", "resumeLeaderboard", "Go on with a leaderboard that has ended")
        .text("Needs the scope `infer` too. What was answered is not asked again. Cancelling is done with the leaderboard's job.")
        .takes::<ResumeLeaderboard>()
        .gives::<LeaderboardBody>(202, "The version, with its new job");
    let gone = Doc::new("Leaderboards", "removeLeaderboard", "Delete a leaderboard with all its versions and their rows")
        .text("Its rows are not seen from then on, and leave the disk with the next compaction. While it runs it is not deleted: cancel its job first.")
        .gives_nothing("It is gone");
    let rated = Doc::new("Leaderboards", "rateModels", "Models rated by a dataset of comparisons")
        .text("Each row names two models and who was preferred. Strengths are Bradley and Terry's, with ties, on Elo's scale; places are ranges that hold together with 95 % confidence. Elo's own ratings stand beside them. Nothing is kept.")
        .query::<RatingsQuery>()
        .gives::<RatingsBody>(200, "The models, the strongest first");
    vec![
        Route::get("/api/v1/datasets/{name}/ratings", read, rated, ratings::rate),
        Route::get("/api/v1/leaderboards", read, all, list),
        Route::post("/api/v1/leaderboards", write, new, create),
        Route::get("/api/v1/leaderboards/{name}", read, one, show),
        Route::delete("/api/v1/leaderboards/{name}", write, gone, remove),
        Route::post("/api/v1/leaderboards/{name}/preview", read, needs, preview),
        Route::get("/api/v1/leaderboards/{name}/documents", read, documents, list_documents),
        Route::post("/api/v1/leaderboards/{name}/resume", write, resume, go_on),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<LeaderboardList>> {
    let found = surface.app.leaderboards.list(caller.project()).await?;
    Ok(Json(LeaderboardList { data: found.iter().map(LeaderboardBody::of).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewLeaderboard>,
) -> Result<Created<LeaderboardBody>> {
    caller.needs(Scope::Infer)?;
    let NewLeaderboard { name, definition, models, limit, documents } = new;
    let wanted = Wanted { definition, models, limit, documents };
    let made = surface.app.leaderboards.create(caller.project(), &name, wanted, &caller.actor()).await?;
    Ok(Created(LeaderboardBody::of(&made)))
}

async fn preview(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(body): JsonBody<LeaderboardWanted>,
) -> Result<Json<LeaderboardNeeds>> {
    let LeaderboardWanted { definition, models, limit, documents } = body;
    let boards = &surface.app.leaderboards;
    let wanted = Wanted { definition, models, limit, documents };
    let definition = boards.definition(caller.project(), &name, wanted).await?;
    let needs = boards.needs(caller.project(), &definition).await?;
    Ok(Json(LeaderboardNeeds::new(&definition, needs)))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<LeaderboardWithReport>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let filter = Filter {
        max_size_bytes: query.max_size_bytes,
        min_tokens_per_second: query.min_tokens_per_second,
        min_context: query.min_context,
        max_output_usd_per_million: query.max_output_usd_per_million,
        licence: query.licence,
    };
    let report = surface.app.leaderboards.report(&found, filter).await?;
    Ok(Json(LeaderboardWithReport { leaderboard: LeaderboardBody::of(&found), report: report.into() }))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.leaderboards.delete(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_documents(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<DocumentsQuery>,
) -> Result<Json<DocumentPage>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let documents = surface.app.leaderboards.documents(&found, &query.model, &query.task).await?;
    Ok(Json(DocumentPage::of(documents, &query)))
}

async fn go_on(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(body): JsonBody<ResumeLeaderboard>,
) -> Result<Accepted<LeaderboardBody>> {
    caller.needs(Scope::Infer)?;
    let found = find(&surface, &caller, &name, body.version).await?;
    let going = surface.app.leaderboards.resume(&found, body.retry_failed.unwrap_or(false), body.budget).await?;
    Ok(Accepted(LeaderboardBody::of(&going)))
}

async fn find(surface: &Surface, caller: &Caller, name: &ArtifactName, version: Option<u32>) -> Result<Leaderboard> {
    let which = version.map_or(VersionRef::Latest, VersionRef::Number);
    Ok(surface.app.leaderboards.get(caller.project(), name, &which).await?)
}

/// Which version is wanted, and which models of it somebody would take. What is not known of a model does not pass.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ShowQuery {
    /// Its number; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
    /// Only models of at most so many bytes on disk.
    max_size_bytes: Option<u64>,
    /// Only models that give at least so many tokens a second here.
    min_tokens_per_second: Option<f64>,
    /// Only models with at least so many tokens of context.
    min_context: Option<u64>,
    /// Only models of at most so many dollars for a million tokens of answers; what runs here costs none.
    max_output_usd_per_million: Option<f64>,
    /// Only models with this licence.
    licence: Option<String>,
}

/// A leaderboard to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLeaderboard {
    /// Its name; `basic` comes with Quarterdeck.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What it does; when absent, what the one that comes with Quarterdeck, or the latest version, does.
    #[schema(value_type = Option<LeaderboardDefinition>)]
    pub definition: Option<Definition>,
    /// Other models than the definition's; its own when empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// Only the first documents of each task, instead of what the definition says.
    pub limit: Option<usize>,
    /// Datasets by what tasks call their documents, beside the definition's.
    #[serde(default)]
    pub documents: BTreeMap<String, String>,
}

/// The same of a name in the path.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaderboardWanted {
    /// What it does; when absent, what the one that comes with Quarterdeck, or the latest version, does.
    #[schema(value_type = Option<LeaderboardDefinition>)]
    pub definition: Option<Definition>,
    /// Other models than the definition's; its own when empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// Only the first documents of each task, instead of what the definition says.
    pub limit: Option<usize>,
    /// Datasets by what tasks call their documents, beside the definition's.
    #[serde(default)]
    pub documents: BTreeMap<String, String>,
}

/// How a leaderboard goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeLeaderboard {
    /// The version; the latest when absent.
    pub version: Option<u32>,
    /// Whether documents that failed are asked about again; false when absent.
    pub retry_failed: Option<bool>,
    /// Another budget than the definition's. What was spent before counts, but for time.
    #[schema(value_type = Option<ExperimentBudget>)]
    pub budget: Option<Budget>,
}

/// A version of a leaderboard.
#[derive(Serialize, ToSchema)]
#[schema(as = Leaderboard)]
pub struct LeaderboardBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier, which is in the column `leaderboard` of the table `leaderboard_answers`.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// `queued`, `running`, `finished`, `stopped` by a budget, `cancelled`, or `failed`, as when a model cannot be asked.
    #[schema(value_type = String)]
    pub state: Stands,
    /// Why it stopped or failed.
    pub why: Option<String>,
    /// Its last job.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub job: Option<JobId>,
    /// How many documents were answered, while it runs.
    pub done: Option<u64>,
    /// How many there are, of all models together.
    pub total: Option<u64>,
    /// Documents that each model is asked about.
    pub documents: usize,
    /// For each name of a model what it stood for when the leaderboard was made: `local/smollm2-135m-instruct@1`.
    pub models: BTreeMap<String, String>,
    /// What it does.
    #[schema(value_type = LeaderboardDefinition)]
    pub definition: Value,
}

impl LeaderboardBody {
    fn of(board: &Leaderboard) -> Self {
        let Leaderboard { info, content, standing } = board;
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
            documents: content.documents,
            models: content.models.iter().map(|(name, target)| (name.clone(), target.to_string())).collect(),
            definition: serde_json::to_value(&content.definition).unwrap_or_default(),
        }
    }
}

/// A version of a leaderboard with what came of it.
#[derive(Serialize, ToSchema)]
pub struct LeaderboardWithReport {
    /// The version.
    #[serde(flatten)]
    pub leaderboard: LeaderboardBody,
    /// What came of it so far.
    pub report: ReportBody,
}

/// Leaderboards.
#[derive(Serialize, ToSchema)]
pub struct LeaderboardList {
    /// The latest version of each.
    pub data: Vec<LeaderboardBody>,
}
