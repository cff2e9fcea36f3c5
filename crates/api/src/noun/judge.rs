//! `/api/v1/judges`: models that say how good something is, and how far they agree with people.
//!
//! Reading order: [`judgement`] → [`calibration`] → [`card`].

pub mod calibration;
pub mod card;
pub mod judgement;

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::VersionId;
use qd_base::name::{ArtifactName, ModelName};
use qd_base::time::Timestamp;
use qd_catalog::{Scope, VersionRef};
use qd_judge::ready;
use qd_judging::recipe::Recipe;
use qd_judging::{Judges, Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Judges", "listJudges", "The latest version of each judge, by name")
        .gives::<JudgeList>(200, "All of the project's");
    let new = Doc::new("Judges", "createJudge", "Make a version of a judge")
        .text("From a definition, a file with one, a ready judge, or a file of OpenAI Evals; exactly one of them. What its models stand for now is part of the version: it asks nobody else later. Several models are a jury. The same judge as the latest version is that version.")
        .takes::<NewJudge>()
        .gives::<JudgeBody>(201, "The version");
    let ready = Doc::new("Judges", "listReadyJudges", "Judges that are there already, for whatever model")
        .gives::<ReadyJudgeList>(200, "All of them");
    let one = Doc::new("Judges", "getJudge", "A version of a judge")
        .query::<VersionQuery>()
        .gives::<JudgeBody>(200, "The version");
    let versions = Doc::new("Judges", "listJudgeVersions", "The versions of a judge, newest first")
        .gives::<JudgeVersionList>(200, "At most 100");
    let gone = Doc::new("Judges", "removeJudge", "Delete a judge with all its versions and what it said in calibrations")
        .text("Its judgements are not seen from then on, and leave the disk with the next compaction. While it is compared with people it is not deleted: cancel that job first.")
        .gives_nothing("It is gone");
    let own = vec![
        Route::get("/api/v1/judges", read, all, list),
        Route::post("/api/v1/judges", write, new, create),
        Route::get("/api/v1/judges/ready", read, ready, list_ready),
        Route::get("/api/v1/judges/{name}", read, one, show),
        Route::delete("/api/v1/judges/{name}", write, gone, remove),
        Route::get("/api/v1/judges/{name}/versions", read, versions, list_versions),
    ];
    own.into_iter().chain(judgement::routes()).chain(calibration::routes()).chain(card::routes()).collect()
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<JudgeList>> {
    let judges = &surface.app.calibrations.judges;
    let mut data = Vec::new();
    for artifact in judges.list(caller.project()).await? {
        let stored = judges.get(caller.project(), &artifact.name, &VersionRef::Latest).await?;
        data.push(JudgeBody::of(judges, &stored).await?);
    }
    Ok(Json(JudgeList { data }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewJudge>,
) -> Result<Created<JudgeBody>> {
    let judges = &surface.app.calibrations.judges;
    let made = judges.create(caller.project(), &new.name, new.from.definition()?, &caller.actor()).await?;
    Ok(Created(JudgeBody::of(judges, &made).await?))
}

async fn list_ready(_: Caller) -> Result<Json<ReadyJudgeList>> {
    let of = |name: &'static str| -> Result<ReadyJudge> {
        let definition = ready::find(name).map_err(qd_judging::Error::from)?;
        Ok(ReadyJudge {
            name: name.to_owned(),
            description: definition.description.clone(),
            method: definition.method.word(),
            inputs: definition.inputs.iter().map(|input| input.name.clone()).collect(),
            definition: serde_json::to_value(&definition).unwrap_or_default(),
        })
    };
    Ok(Json(ReadyJudgeList { data: ready::names().map(of).collect::<Result<_>>()? }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<JudgeBody>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    Ok(Json(JudgeBody::of(&surface.app.calibrations.judges, &found).await?))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.calibrations.judges.delete(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<JudgeVersionList>> {
    let found = surface.app.calibrations.judges.versions(caller.project(), &name).await?;
    if found.is_empty() {
        return Err(Error::missing("judge", &name));
    }
    let data = found.into_iter().map(|info| JudgeVersion { version: info.number, id: info.id, created: info.created });
    Ok(Json(JudgeVersionList { data: data.collect() }))
}

async fn find(surface: &Surface, caller: &Caller, name: &ArtifactName, version: Option<u32>) -> Result<Stored> {
    let which = version.map_or(VersionRef::Latest, VersionRef::Number);
    Ok(surface.app.calibrations.judges.get(caller.project(), name, &which).await?)
}

/// The judge that is asked: a version of one, or a ready judge with a model.
async fn meant(
    surface: &Surface,
    caller: &Caller,
    name: &ArtifactName,
    version: Option<u32>,
    model: Option<&ModelName>,
) -> Result<Stored> {
    match (version, model) {
        (None, Some(model)) => {
            let judges = surface.app.calibrations.judges.acting(&caller.actor())?;
            Ok(judges.find(caller.project(), &format!("{name}@{model}")).await?)
        }
        (Some(_), Some(_)) => {
            Err(Error::parameter("model", "invalid_value", "A version has its models; only a ready judge needs one."))
        }
        (version, None) => find(surface, caller, name, version).await,
    }
}

/// Which version is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// Its number; the latest when absent.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// A judge to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJudge {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// From what.
    #[schema(value_type = JudgeRecipe)]
    pub from: Recipe,
}

/// From what a judge is made: exactly one of `definition`, `file`, `ready` and `evals`.
#[derive(ToSchema)]
pub struct JudgeRecipe {
    /// The definition; docs/judges.md says what is in it.
    #[schema(value_type = Option<Object>)]
    pub definition: Option<Value>,
    /// A file that holds the definition, as YAML or JSON.
    pub file: Option<String>,
    /// A ready judge: `hallucination`.
    pub ready: Option<String>,
    /// A file of model-graded specifications of OpenAI Evals.
    pub evals: Option<JudgeEvals>,
    /// Who judges, in the place of the definition's model; several are a jury.
    pub models: Option<Vec<String>>,
    /// How a jury decides: `majority`, `mean` or `median`.
    pub combine: Option<String>,
    /// Values of the judge itself.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
    /// Another form of answers: `schema`, `json` or `text`.
    pub form: Option<String>,
}

/// A file of OpenAI Evals, and which judge of it is meant.
#[derive(ToSchema)]
pub struct JudgeEvals {
    /// The file, as YAML.
    pub file: String,
    /// Which judge of it, where there are several: `closedqa/conciseness`.
    pub name: Option<String>,
    /// How many answers are compared at once.
    pub completions: Option<usize>,
    /// Where the choice stands, when the file does not say: `classify`, `classify_cot`, `cot_classify` or `cot_classify_jp`.
    pub eval_type: Option<String>,
    /// Values for fields of the prompt that are not of an item.
    pub arguments: Option<BTreeMap<String, String>>,
}

/// A version of a judge.
#[derive(Serialize, ToSchema)]
#[schema(as = Judge)]
pub struct JudgeBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier, which is in the column `judge` of the table `judgements`.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// How it asks.
    pub method: String,
    /// For each name of a model what it stood for when the version was made: `local/smollm2-135m-instruct@1`.
    pub models: BTreeMap<String, String>,
    /// Whether it was compared with people: only then its word has a known worth.
    pub calibrated: bool,
    /// What it asks.
    #[schema(value_type = Object)]
    pub definition: Value,
}

impl JudgeBody {
    async fn of(judges: &Judges, stored: &Stored) -> Result<Self> {
        let definition = stored.judge.definition();
        Ok(Self {
            name: stored.info.name.clone(),
            version: stored.info.number,
            id: stored.info.id,
            created: stored.info.created,
            method: definition.method.word().to_owned(),
            models: stored.models.iter().map(|(name, target)| (name.to_string(), target.to_string())).collect(),
            calibrated: judges.is_calibrated(stored.info.id).await?,
            definition: serde_json::to_value(definition).unwrap_or_default(),
        })
    }
}

/// Judges.
#[derive(Serialize, ToSchema)]
pub struct JudgeList {
    /// The latest version of each.
    pub data: Vec<JudgeBody>,
}

/// A judge that is there already.
#[derive(Serialize, ToSchema)]
pub struct ReadyJudge {
    /// What it is called.
    pub name: String,
    /// What it looks at.
    pub description: Option<String>,
    /// How it asks.
    pub method: &'static str,
    /// What an item must have.
    pub inputs: Vec<String>,
    /// All of it, without a model.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// Judges that are there already.
#[derive(Serialize, ToSchema)]
pub struct ReadyJudgeList {
    /// The judges.
    pub data: Vec<ReadyJudge>,
}

/// A version in a list.
#[derive(Serialize, ToSchema)]
pub struct JudgeVersion {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Versions of a judge.
#[derive(Serialize, ToSchema)]
pub struct JudgeVersionList {
    /// The versions.
    pub data: Vec<JudgeVersion>,
}
