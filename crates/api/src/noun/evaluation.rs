//! `/api/v1/evaluations`: answers to the rows of a dataset, with everything that scorers, metrics and judges say of them.
//!
//! Reading order: [`definition`] → [`report`] → [`items`].

pub mod definition;
pub mod items;
pub mod report;

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{JobId, VersionId};
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::{Page, Scope, VersionInfo, VersionRef, WorkState as Stands};
use qd_evaluation::definition::Budget;
use qd_evaluation::{Definition, Evaluation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::evaluation::definition::EvaluationDefinition;
use crate::noun::evaluation::items::{EvaluationItemsQuery, ItemBody, ItemPage};
use crate::noun::evaluation::report::{ComparedBody, ReportBody};
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Evaluations", "listEvaluations", "The latest version of each evaluation, newest first")
        .gives::<EvaluationList>(200, "At most 200 of the project's");
    let new = Doc::new("Evaluations", "createEvaluation", "Make a version of an evaluation and run it")
        .text("Needs the scope `infer` too, where models or judges are asked. References to datasets, prompts and judges are pinned to numbers. What cannot be run is refused here. The same definition as that of the latest version is that version: it goes on if it was cancelled or failed, and is answered as it is otherwise.")
        .takes::<NewEvaluation>()
        .gives::<EvaluationBody>(201, "The version, with the job that runs it");
    let one = Doc::new("Evaluations", "getEvaluation", "An evaluation with its report so far")
        .text("Intervals hold the truth with 95 % confidence. BLEU, chrF and TER are values of the corpus, with the bootstrap's interval over items; the scores of items stand beside them. Judges that nobody has compared with people are told as uncalibrated. What has no score is missing, with the reason, and is no 0.")
        .query::<EvaluationQuery>()
        .gives::<EvaluationWithReport>(200, "The version and its report");
    let versions = Doc::new("Evaluations", "listEvaluationVersions", "The versions of an evaluation, newest first")
        .query::<EvaluationVersionsQuery>()
        .gives::<EvaluationVersionList>(200, "One page");
    let compare = Doc::new("Evaluations", "compareEvaluations", "Another evaluation held against this one, item by item")
        .text("Both are of the same version of a dataset. By every score that both have in the same way, over the items that both have it for: McNemar's test for scores that are right or wrong, a sign-flip test for others, the paired bootstrap for BLEU, chrF and TER. One pair is compared, so p values are corrected for nothing.")
        .query::<CompareQuery>()
        .gives::<EvaluationComparisonList>(200, "One comparison a score; `a` is this one");
    let items = Doc::new("Evaluations", "listEvaluationItems", "Items with the answers of targets side by side")
        .query::<EvaluationItemsQuery>()
        .gives::<ItemPage>(200, "One page of them, in the order in which they are asked");
    let item = Doc::new("Evaluations", "getEvaluationItem", "One item with the answers of all targets")
        .query::<EvaluationQuery>()
        .gives::<ItemBody>(200, "The item");
    let resume = Doc::new("Evaluations", "resumeEvaluation", "Go on with an evaluation that has ended")
        .text("Needs the scope `infer` too, where models or judges are asked. What was answered or judged is not asked again. Cancelling is done with the evaluation's job.")
        .takes::<ResumeEvaluation>()
        .gives::<EvaluationBody>(202, "The version, with its new job");
    let gone = Doc::new("Evaluations", "removeEvaluation", "Delete an evaluation with all its versions and their rows")
        .text("Its rows are not seen from then on, and leave the disk with the next compaction. While it runs it is not deleted: cancel its job first.")
        .gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/evaluations", read, all, list),
        Route::post("/api/v1/evaluations", write, new, create),
        Route::get("/api/v1/evaluations/{name}", read, one, show),
        Route::delete("/api/v1/evaluations/{name}", write, gone, remove),
        Route::get("/api/v1/evaluations/{name}/versions", read, versions, list_versions),
        Route::get("/api/v1/evaluations/{name}/comparison", read, compare, compared),
        Route::get("/api/v1/evaluations/{name}/items", read, items, list_items),
        Route::get("/api/v1/evaluations/{name}/items/{item}", read, item, show_item),
        Route::post("/api/v1/evaluations/{name}/resume", write, resume, go_on),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<EvaluationList>> {
    let found = surface.app.evaluations.list(caller.project()).await?;
    Ok(Json(EvaluationList { data: found.iter().map(EvaluationBody::of).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewEvaluation>,
) -> Result<Created<EvaluationBody>> {
    may_ask(&caller, &new.definition)?;
    let evaluations = &surface.app.evaluations;
    let made = evaluations.create(caller.project(), &new.name, new.definition, &caller.actor()).await?;
    Ok(Created(EvaluationBody::of(&made)))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<EvaluationQuery>,
) -> Result<Json<EvaluationWithReport>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let report = surface.app.evaluations.report(&found).await?;
    Ok(Json(EvaluationWithReport { evaluation: EvaluationBody::of(&found), report: report.into() }))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.evaluations.delete(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<EvaluationVersionsQuery>,
) -> Result<Json<EvaluationVersionList>> {
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = surface.app.evaluations.versions(caller.project(), &name, page).await?;
    if found.items.is_empty() && query.cursor.is_none() {
        return Err(Error::missing("evaluation", &name));
    }
    let version = |info: VersionInfo| EvaluationVersion { version: info.number, id: info.id, created: info.created };
    let data = found.items.into_iter().map(version).collect();
    Ok(Json(EvaluationVersionList { data, next_cursor: found.next.map(|number| number.to_string()) }))
}

async fn compared(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<EvaluationComparisonList>> {
    let one = find(&surface, &caller, &name, query.version).await?;
    let other = find(&surface, &caller, &query.with, query.with_version).await?;
    let (target, with_target) = (query.target.as_deref(), query.with_target.as_deref());
    let found = surface.app.evaluations.compare((&one, target), (&other, with_target)).await?;
    Ok(Json(EvaluationComparisonList { data: found.into_iter().map(ComparedBody::from).collect() }))
}

async fn list_items(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<EvaluationItemsQuery>,
) -> Result<Json<ItemPage>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let (items, next, total) = surface.app.evaluations.items(&found, query.wanted()).await?;
    Ok(Json(ItemPage::new(items, next, total)))
}

async fn show_item(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, item)): Path<(ArtifactName, u64)>,
    Query(query): Query<EvaluationQuery>,
) -> Result<Json<ItemBody>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let view = surface.app.evaluations.item(&found, item).await?;
    view.map(|view| Json(view.into())).ok_or_else(|| Error::missing("item", item))
}

async fn go_on(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(body): JsonBody<ResumeEvaluation>,
) -> Result<Accepted<EvaluationBody>> {
    let found = find(&surface, &caller, &name, body.version).await?;
    may_ask(&caller, &found.content.definition)?;
    let going = surface.app.evaluations.resume(&found, body.retry_failed.unwrap_or(false), body.budget).await?;
    Ok(Accepted(EvaluationBody::of(&going)))
}

/// Refuses who may not ask models where the evaluation does that in the caller's name.
fn may_ask(caller: &Caller, definition: &Definition) -> Result<()> {
    if definition.asks_models() { caller.needs(Scope::Infer) } else { Ok(()) }
}

async fn find(surface: &Surface, caller: &Caller, name: &ArtifactName, version: Option<u32>) -> Result<Evaluation> {
    let which = version.map_or(VersionRef::Latest, VersionRef::Number);
    Ok(surface.app.evaluations.get(caller.project(), name, &which).await?)
}

/// Which version is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EvaluationQuery {
    /// Its number; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// Which two are held against each other.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CompareQuery {
    /// The version of this one; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
    /// Its target, where it has several.
    target: Option<String>,
    /// The evaluation that is held against it.
    #[param(value_type = String)]
    with: ArtifactName,
    /// The version of that; the latest when absent.
    #[param(minimum = 1)]
    with_version: Option<u32>,
    /// The target of that, where it has several.
    with_target: Option<String>,
}

/// Two evaluations held against each other.
#[derive(Serialize, ToSchema)]
pub struct EvaluationComparisonList {
    /// One comparison a score that both have.
    pub data: Vec<ComparedBody>,
}

/// Which page of versions is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EvaluationVersionsQuery {
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<u32>,
}

/// A version of an evaluation, without what it is.
#[derive(Serialize, ToSchema)]
pub struct EvaluationVersion {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Versions of an evaluation.
#[derive(Serialize, ToSchema)]
pub struct EvaluationVersionList {
    /// The versions.
    pub data: Vec<EvaluationVersion>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// An evaluation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvaluation {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What it does.
    #[schema(value_type = EvaluationDefinition)]
    pub definition: Definition,
}

/// How an evaluation goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeEvaluation {
    /// The version; the latest when absent.
    pub version: Option<u32>,
    /// Whether calls that failed are made again; false when absent.
    pub retry_failed: Option<bool>,
    /// Another budget than the definition's. What was spent before counts, but for time.
    #[schema(value_type = Option<crate::noun::experiment::definition::ExperimentBudget>)]
    pub budget: Option<Budget>,
}

/// A version of an evaluation.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluation)]
pub struct EvaluationBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier, which is in the column `evaluation` of the table `evaluation_items`.
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
    /// How many answers and words of judges there are, while it runs.
    pub done: Option<u64>,
    /// How many there will be.
    pub total: Option<u64>,
    /// Whose answers are looked at: what each target is, by name.
    pub targets: BTreeMap<String, String>,
    /// How many items.
    pub items: usize,
    /// For each name of a model what it stood for when the evaluation was made.
    pub models: BTreeMap<String, String>,
    /// What it does.
    #[schema(value_type = EvaluationDefinition)]
    pub definition: Value,
}

impl EvaluationBody {
    fn of(evaluation: &Evaluation) -> Self {
        let Evaluation { info, content, standing } = evaluation;
        let targets = content.definition.all_targets();
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
            targets: targets.iter().map(|(name, target)| (name.clone(), target.label())).collect(),
            items: content.order.len(),
            models: content.models.iter().map(|(name, target)| (name.clone(), target.to_string())).collect(),
            definition: serde_json::to_value(&content.definition).unwrap_or_default(),
        }
    }
}

/// A version of an evaluation with its report.
#[derive(Serialize, ToSchema)]
pub struct EvaluationWithReport {
    /// The version.
    #[serde(flatten)]
    pub evaluation: EvaluationBody,
    /// What came of it so far.
    pub report: ReportBody,
}

/// Evaluations.
#[derive(Serialize, ToSchema)]
pub struct EvaluationList {
    /// The latest version of each.
    pub data: Vec<EvaluationBody>,
}
