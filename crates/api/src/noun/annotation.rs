//! `/api/v1/annotations`: questions that people answer about rows of a dataset, and what is true by their answers.
//!
//! Reading order: [`definition`] → [`work`] → [`items`] → [`report`].

pub mod definition;
pub mod items;
pub mod report;
pub mod work;

use axum::extract::State;
use http::StatusCode;
use qd_annotation::annotations::People;
use qd_annotation::export::Export;
use qd_annotation::{Annotation, Definition};
use qd_base::id::{JobId, VersionId};
use qd_base::name::{AccountName, ArtifactName};
use qd_base::time::Timestamp;
use qd_catalog::{Scope, VersionRef};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::annotation::definition::{AnnotationDefinition, AnnotationExport};
use crate::noun::annotation::report::ReportBody;
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Annotations", "listAnnotations", "The latest version of each annotation, newest first")
        .gives::<AnnotationList>(200, "At most 200 of the project's");
    let new = Doc::new("Annotations", "createAnnotation", "Make a version of an annotation")
        .text("The reference to the dataset is pinned to a number, and the items are drawn. The same definition as that of the latest version is that version, with its labels; another one begins without any.")
        .takes::<NewAnnotation>()
        .gives::<AnnotationBody>(201, "The version");
    let one = Doc::new("Annotations", "getAnnotation", "An annotation")
        .query::<VersionQuery>()
        .gives::<AnnotationBody>(200, "The version");
    let gone =
        Doc::new("Annotations", "removeAnnotation", "Delete an annotation with all its versions, labels and decisions")
            .text("What was exported stays.")
            .gives_nothing("It is gone");
    let versions = Doc::new("Annotations", "listAnnotationVersions", "The versions of an annotation, newest first")
        .gives::<AnnotationVersionList>(200, "At most 100");
    let people = Doc::new("Annotations", "setAnnotationPeople", "Say who labels and who decides")
        .text("Where nobody is named, whoever may write does. What somebody said stays when they are named no more. An annotator who is signed in cannot, unless they decide too or are an administrator; nor can they see items, decide, export, delete, or make another version.")
        .query::<VersionQuery>()
        .takes::<AnnotationPeople>()
        .gives::<AnnotationBody>(200, "The version with its people");
    let came = Doc::new(
        "Annotations",
        "getAnnotationReport",
        "How far people are, how far they agree, and which leaning each has",
    )
    .text("Intervals hold the truth with 95 % confidence. A statistic that the labels do not determine says why.")
    .query::<VersionQuery>()
    .gives::<ReportBody>(200, "The report");
    let out = Doc::new("Annotations", "exportAnnotation", "Make verdicts a column of a dataset")
        .text("A job writes a version of the dataset that was labelled, in which rows keep their identifiers, or of another dataset with the labelled rows alone. Its result names the version.")
        .query::<VersionQuery>()
        .takes::<AnnotationExport>()
        .gives::<Exporting>(202, "The job");
    let routes = vec![
        Route::get("/api/v1/annotations", read, all, list),
        Route::post("/api/v1/annotations", write, new, create),
        Route::get("/api/v1/annotations/{name}", read, one, show),
        Route::delete("/api/v1/annotations/{name}", write, gone, remove),
        Route::get("/api/v1/annotations/{name}/versions", read, versions, list_versions),
        Route::put("/api/v1/annotations/{name}/people", write, people, set_people),
        Route::get("/api/v1/annotations/{name}/report", read, came, show_report),
        Route::post("/api/v1/annotations/{name}/export", write, out, export),
    ];
    routes.into_iter().chain(work::routes()).chain(items::routes()).collect()
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<AnnotationList>> {
    let found = surface.app.annotations.list(caller.project()).await?;
    Ok(Json(AnnotationList { data: found.iter().map(AnnotationBody::of).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewAnnotation>,
) -> Result<Created<AnnotationBody>> {
    let_change(&surface, &caller, &new.name).await?;
    let (annotations, project) = (&surface.app.annotations, caller.project());
    let made = annotations.create(project, &new.name, new.definition, new.people, &caller.actor()).await?;
    Ok(Created(AnnotationBody::of(&made)))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<AnnotationBody>> {
    Ok(Json(AnnotationBody::of(&find(&surface, &caller, &name, query.version).await?)))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    let_change(&surface, &caller, &name).await?;
    surface.app.annotations.delete(caller.project(), &name, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<AnnotationVersionList>> {
    let found = surface.app.annotations.versions(caller.project(), &name).await?;
    if found.is_empty() {
        return Err(Error::missing("annotation", &name));
    }
    let data =
        found.into_iter().map(|info| AnnotationVersion { version: info.number, id: info.id, created: info.created });
    Ok(Json(AnnotationVersionList { data: data.collect() }))
}

async fn set_people(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
    JsonBody(people): JsonBody<People>,
) -> Result<Json<AnnotationBody>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let_see(&caller, &found)?;
    let changed = surface.app.annotations.set_people(&found, people, &caller.actor()).await?;
    Ok(Json(AnnotationBody::of(&changed)))
}

async fn show_report(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<ReportBody>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    Ok(Json(surface.app.annotations.report(&found).await?.into()))
}

async fn export(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
    JsonBody(wanted): JsonBody<Export>,
) -> Result<Accepted<Exporting>> {
    let found = find(&surface, &caller, &name, query.version).await?;
    let_see(&caller, &found)?;
    let job = surface.app.annotations.begin_export(&found, wanted).await?;
    Ok(Accepted(Exporting { job }))
}

async fn find(surface: &Surface, caller: &Caller, name: &ArtifactName, version: Option<u32>) -> Result<Annotation> {
    let which = version.map_or(VersionRef::Latest, VersionRef::Number);
    Ok(surface.app.annotations.get(caller.project(), name, &which).await?)
}

/// Refuses an annotator who is signed in: what they say is worth something as long as they do not see what others say, nor which answer is
/// whose, nor change who is asked. Who decides may, and so may an administrator.
fn let_see(caller: &Caller, annotation: &Annotation) -> Result<()> {
    match caller {
        Caller::Account(person) if annotation.is_blind(&person.account) && !caller.may(Scope::Admin) => {
            let (who, name) = (&person.account, &annotation.info.name);
            let message = format!(
                "{who} labels for {name} without seeing what others say; ask somebody who does not label, or an administrator"
            );
            Err(Error::NotAllowed { message })
        }
        _ => Ok(()),
    }
}

/// The same of the latest version of an annotation, if there is one.
async fn let_change(surface: &Surface, caller: &Caller, name: &ArtifactName) -> Result<()> {
    match surface.app.annotations.get(caller.project(), name, &VersionRef::Latest).await {
        Ok(latest) => let_see(caller, &latest),
        Err(qd_annotation::Error::Catalog(qd_catalog::Error::NotFound { .. })) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// In whose name something is said. A person who is signed in speaks for themselves; a key, and the user of this machine, for whom they
/// name.
fn speaker(caller: &Caller, field: &'static str, named: Option<AccountName>) -> Result<AccountName> {
    match (caller, named) {
        (Caller::Account(person), Some(named)) if person.account != named => {
            let message = format!("you are signed in as {} and cannot speak for {named}", person.account);
            Err(Error::NotAllowed { message })
        }
        (Caller::Account(person), _) => Ok(person.account.clone()),
        (_, Some(named)) => Ok(named),
        (_, None) => {
            let message = format!("Missing '{field}': say in whose name this is, since a key is no person.");
            Err(Error::parameter(field, "missing_value", message))
        }
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

/// An annotation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAnnotation {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What is asked.
    #[schema(value_type = AnnotationDefinition)]
    pub definition: Definition,
    /// Who labels and who decides; as it was, or whoever may write, when absent.
    #[schema(value_type = Option<AnnotationPeople>)]
    pub people: Option<People>,
}

/// Who takes part in an annotation, by the names of accounts or any others.
#[derive(Serialize, ToSchema)]
pub struct AnnotationPeople {
    /// Who may label, 100 at most; whoever may write when there is nobody.
    pub annotators: Vec<String>,
    /// Who may decide where labels differ, 100 at most; whoever may write when there is nobody.
    pub adjudicators: Vec<String>,
}

/// A version of an annotation.
#[derive(Serialize, ToSchema)]
#[schema(as = Annotation)]
pub struct AnnotationBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its version.
    pub version: u32,
    /// The version's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// How many items are labelled.
    pub items: usize,
    /// Who takes part.
    pub people: AnnotationPeople,
    /// What is asked.
    #[schema(value_type = AnnotationDefinition)]
    pub definition: Value,
}

impl AnnotationBody {
    fn of(annotation: &Annotation) -> Self {
        let info = &annotation.info;
        Self {
            name: info.name.clone(),
            version: info.number,
            id: info.id,
            created: info.created,
            items: annotation.items(),
            people: AnnotationPeople {
                annotators: annotation.people.annotators.iter().cloned().collect(),
                adjudicators: annotation.people.adjudicators.iter().cloned().collect(),
            },
            definition: serde_json::to_value(annotation.definition()).unwrap_or_default(),
        }
    }
}

/// Annotations.
#[derive(Serialize, ToSchema)]
pub struct AnnotationList {
    /// The latest version of each.
    pub data: Vec<AnnotationBody>,
}

/// A version in a list.
#[derive(Serialize, ToSchema)]
pub struct AnnotationVersion {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Versions of an annotation.
#[derive(Serialize, ToSchema)]
pub struct AnnotationVersionList {
    /// The versions.
    pub data: Vec<AnnotationVersion>,
}

/// An export that has begun.
#[derive(Serialize, ToSchema)]
pub struct Exporting {
    /// Its job, whose result tells the dataset, its version, how many rows are labelled, how many items have no verdict, and how many rows
    /// are not what was labelled any more.
    #[schema(value_type = String, format = Uuid)]
    pub job: JobId,
}
