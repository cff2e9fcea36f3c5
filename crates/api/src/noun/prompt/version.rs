//! Versions of prompts: making, listing, fetching, comparing and removing them.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use qd_base::hash::Sha256Hex;
use qd_base::id::VersionId;
use qd_base::name::{ArtifactName, Label};
use qd_base::time::Timestamp;
use qd_catalog::{Artifact, ArtifactKind, LabelRecord, Page, Scope, VersionInfo, VersionRef};
use qd_prompt::{Prompt, Reference, Stored, Which, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::examples;
use crate::extract::{Json as JsonBody, Path, Query};
use crate::noun::prompt::content::PromptContent;
use crate::openai::prompted;
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

/// The longest message about a version.
const MAX_MESSAGE_BYTES: usize = 2000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Prompts", "listPrompts", "Prompts, by name").gives::<PromptList>(200, "All of the project's");
    let new = Doc::new("Prompts", "createPromptVersion", "Add a version to a prompt")
        .text("The prompt comes to be with its first version. Versions are never changed; when the content is that of the latest one, that is the answer and nothing is added.")
        .takes::<NewPromptVersion>()
        .gives::<PromptVersionBody>(201, "The version");
    let one = Doc::new("Prompts", "getPrompt", "One version of a prompt")
        .text("By label or by number; without either the version with the label 'production', and the latest when there is none. Answered from memory, with an ETag: with If-None-Match an unchanged version is answered with 304.")
        .query::<VersionQuery>()
        .gives::<PromptVersionBody>(200, "The version");
    let gone = Doc::new("Prompts", "removePrompt", "Remove a prompt with all of its versions, labels and comments")
        .gives_nothing("It is gone");
    let versions = Doc::new("Prompts", "listPromptVersions", "The versions of a prompt, the newest first")
        .query::<VersionsQuery>()
        .gives::<PromptVersionList>(200, "One page of them");
    let diff = Doc::new("Prompts", "diffPrompt", "How two versions of a prompt differ, as text")
        .query::<DiffQuery>()
        .gives::<PromptDiff>(200, "Both as text, and the difference as diff -u writes it");
    vec![
        Route::get("/api/v1/prompts", read, all, list),
        Route::post("/api/v1/prompts", write, new, create),
        Route::get("/api/v1/prompts/{name}", read, one, show),
        Route::delete("/api/v1/prompts/{name}", write, gone, remove),
        Route::get("/api/v1/prompts/{name}/versions", read, versions, list_versions),
        Route::get("/api/v1/prompts/{name}/diff", read, diff, compare),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<PromptList>> {
    let catalog = &surface.app.catalog;
    let mut labels: BTreeMap<ArtifactName, Vec<LabelRecord>> = BTreeMap::new();
    for (name, label) in catalog.labels_of_kind(caller.project(), ArtifactKind::Prompt).await? {
        labels.entry(name).or_default().push(label);
    }
    let known = catalog.artifacts(caller.project(), ArtifactKind::Prompt).await?;
    let data = known.into_iter().map(|artifact| {
        let labels = labels.remove(&artifact.name).unwrap_or_default();
        PromptBody::of(artifact, labels)
    });
    Ok(Json(PromptList { data: data.collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewPromptVersion>,
) -> Result<Created<PromptVersionBody>> {
    new.content.check()?;
    prompted::check_call(&new.content, surface.app.config.limits.json_depth)?;
    if new.message.as_ref().is_some_and(|message| message.len() > MAX_MESSAGE_BYTES) {
        let message = format!("Invalid 'message': at most {MAX_MESSAGE_BYTES} bytes.");
        return Err(Error::parameter("message", "invalid_value", message));
    }
    let mut parents = Vec::new();
    if let Some(dataset) = new.content.examples.as_ref().and_then(|slot| slot.dataset.as_ref()) {
        parents.push(examples::dataset(&surface, caller.project(), &dataset.parse()?).await?.info().id);
    }
    let (catalog, kind) = (surface.app.catalog.acting(&caller.actor())?, ArtifactKind::Prompt);
    let metadata = json!({ "message": new.message, "author": caller.actor() });
    let content = new.content.to_content();
    let kept = catalog.put_version(caller.project(), kind, &new.name, &content, metadata, &parents).await?;
    Ok(Created(PromptVersionBody::of(&kept.info, &new.content)))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = surface.prompts.get(caller.project(), &query.reference(name)?).await?;
    let tag = etag(&found.info);
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|known| matches_tag(known, &tag));
    let mut response = match unchanged {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => Json(PromptVersionBody::of(&found.info, &found.prompt)).into_response(),
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    catalog.remove_artifact(caller.project(), ArtifactKind::Prompt, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<PromptVersionList>> {
    let catalog = &surface.app.catalog;
    let (project, kind) = (caller.project(), ArtifactKind::Prompt);
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = catalog.versions(project, kind, &name, page).await?;
    if found.items.is_empty() && query.cursor.is_none() {
        return Err(Error::missing("prompt", &name));
    }
    let labels = catalog.labels(project, kind, &name).await?;
    let data = found.items.iter().map(|info| VersionSummary::of(info, &labels)).collect();
    Ok(Json(PromptVersionList { data, next_cursor: found.next.map(|number| number.to_string()) }))
}

async fn compare(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<PromptDiff>> {
    let (from, to) = (which_of(name.clone(), &query.from)?, which_of(name, &query.to)?);
    let from = surface.prompts.get(caller.project(), &from).await?;
    let to = surface.prompts.get(caller.project(), &to).await?;
    let named = |stored: &Stored| format!("{}@{}", stored.info.name, stored.info.number);
    let differ = move || {
        let (from_text, to_text) = (from.prompt.to_text(), to.prompt.to_text());
        let unified = text::unified_diff(&from_text, &to_text, &named(&from), &named(&to));
        PromptDiff { from: from.info.number, to: to.info.number, from_text, to_text, unified }
    };
    Ok(Json(prompted::aside(&surface, differ).await?))
}

/// A strong tag: the version's identifier, since a version never changes.
fn etag(info: &VersionInfo) -> String {
    format!("\"{}\"", info.id)
}

/// RFC 9110, 13.1.2: a list of tags, of which one is this one, or any.
fn matches_tag(known: &HeaderValue, tag: &str) -> bool {
    let listed = known.to_str().unwrap_or_default();
    listed.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
}

/// A version that a caller names by number, label or `latest`.
pub(crate) fn which_of(name: ArtifactName, which: &str) -> Result<Reference> {
    let which: VersionRef = which.parse().map_err(|error: qd_base::Error| {
        Error::parameter(
            "version",
            "invalid_value",
            format!("Invalid version: a number, a label or 'latest': {error}."),
        )
    })?;
    Ok(Reference { name, which: Which::Named(which) })
}

/// Which version is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// The version that this label points at.
    #[param(value_type = Option<String>)]
    label: Option<Label>,
    /// The version of this number.
    #[param(minimum = 1)]
    version: Option<u32>,
}

impl VersionQuery {
    fn reference(self, name: ArtifactName) -> Result<Reference> {
        match (self.label, self.version) {
            (None, None) => Ok(Reference::usual(name)),
            (Some(label), None) => Ok(Reference::label(name, label)),
            (None, Some(number)) => Ok(Reference::number(name, number)),
            (Some(_), Some(_)) => Err(Error::parameter(
                "version",
                "invalid_value",
                "Invalid 'version': give either a label or a version.",
            )),
        }
    }
}

/// Which page of versions.
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

/// Which versions are compared.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The older one: a number, a label or `latest`.
    from: String,
    /// The newer one.
    to: String,
}

/// A version to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPromptVersion {
    /// The prompt's name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// What it says.
    #[schema(value_type = PromptContent)]
    pub content: Prompt,
    /// Why, for those who look at the versions.
    pub message: Option<String>,
}

/// Prompts.
#[derive(Serialize, ToSchema)]
pub struct PromptList {
    /// The prompts, by name.
    pub data: Vec<PromptBody>,
}

/// A prompt.
#[derive(Serialize, ToSchema)]
#[schema(as = Prompt)]
pub struct PromptBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// The highest number of its versions.
    pub latest: u32,
    /// How many versions it has.
    pub versions: u64,
    /// Its labels.
    pub labels: Vec<PromptLabelBody>,
    /// When its first version was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its latest version was made.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// Where a label points.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptLabel)]
pub struct PromptLabelBody {
    /// The label.
    #[schema(value_type = String)]
    pub label: Label,
    /// The version.
    pub version: u32,
    /// When it was moved there.
    #[schema(value_type = String, format = DateTime)]
    pub moved: Timestamp,
}

/// A version of a prompt.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptVersion)]
pub struct PromptVersionBody {
    /// The prompt.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its number, from 1.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// The digest of its content.
    #[schema(value_type = String)]
    pub hash: Sha256Hex,
    /// What it says.
    #[schema(value_type = PromptContent)]
    pub content: Prompt,
    /// Why it was made.
    pub message: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// One page of versions.
#[derive(Serialize, ToSchema)]
pub struct PromptVersionList {
    /// The versions, the newest first.
    pub data: Vec<VersionSummary>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A version without its content.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptVersionSummary)]
pub struct VersionSummary {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// The digest of its content.
    #[schema(value_type = String)]
    pub hash: Sha256Hex,
    /// The labels that point at it.
    #[schema(value_type = Vec<String>)]
    pub labels: Vec<Label>,
    /// Why it was made.
    pub message: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// How two versions differ.
#[derive(Serialize, ToSchema)]
pub struct PromptDiff {
    /// The number of the one.
    pub from: u32,
    /// The number of the other.
    pub to: u32,
    /// The one as text.
    pub from_text: String,
    /// The other as text.
    pub to_text: String,
    /// The difference as `diff -u` writes it; empty when there is none.
    pub unified: String,
}

impl PromptBody {
    fn of(artifact: Artifact, labels: Vec<LabelRecord>) -> Self {
        Self {
            name: artifact.name,
            latest: artifact.latest,
            versions: artifact.versions,
            labels: labels.into_iter().map(PromptLabelBody::from).collect(),
            created: artifact.created,
            updated: artifact.updated,
        }
    }
}

impl From<LabelRecord> for PromptLabelBody {
    fn from(record: LabelRecord) -> Self {
        Self { label: record.label, version: record.number, moved: record.moved }
    }
}

impl PromptVersionBody {
    fn of(info: &VersionInfo, prompt: &Prompt) -> Self {
        Self {
            name: info.name.clone(),
            version: info.number,
            id: info.id,
            hash: info.hash,
            content: prompt.clone(),
            message: noted(info, "message"),
            author: noted(info, "author"),
            created: info.created,
        }
    }
}

impl VersionSummary {
    fn of(info: &VersionInfo, labels: &[LabelRecord]) -> Self {
        let own = labels.iter().filter(|record| record.number == info.number).map(|record| record.label.clone());
        Self {
            version: info.number,
            id: info.id,
            hash: info.hash,
            labels: own.collect(),
            message: noted(info, "message"),
            author: noted(info, "author"),
            created: info.created,
        }
    }
}

fn noted(info: &VersionInfo, what: &str) -> Option<String> {
    info.metadata.get(what).and_then(Value::as_str).map(str::to_owned)
}
