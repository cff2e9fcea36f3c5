//! Comments on versions of prompts.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::CommentId;
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::{ArtifactKind, Comment, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

const KIND: ArtifactKind = ArtifactKind::Prompt;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Prompts", "listPromptComments", "What people say about a prompt's versions")
        .gives::<PromptCommentList>(200, "The comments, the oldest first");
    let new = Doc::new("Prompts", "createPromptComment", "Say something about a version")
        .takes::<NewPromptComment>()
        .gives::<PromptCommentBody>(201, "The comment");
    let gone = Doc::new("Prompts", "removePromptComment", "Remove a comment").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/prompts/{name}/comments", read, all, list),
        Route::post("/api/v1/prompts/{name}/comments", write, new, create),
        Route::delete("/api/v1/prompts/{name}/comments/{id}", write, gone, remove),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<PromptCommentList>> {
    let found = surface.app.catalog.comments(caller.project(), KIND, &name).await?;
    Ok(Json(PromptCommentList { data: found.into_iter().map(PromptCommentBody::from).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewPromptComment>,
) -> Result<Created<PromptCommentBody>> {
    let (catalog, actor) = (surface.app.catalog.acting(&caller.actor())?, caller.actor());
    let made = catalog.add_comment(caller.project(), KIND, &name, new.version, &actor, &new.text).await?;
    Ok(Created(made.into()))
}

async fn remove(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, id)): Path<(ArtifactName, CommentId)>,
) -> Result<StatusCode> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    catalog.remove_comment(caller.project(), KIND, &name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Something to be said about a version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPromptComment {
    /// The version.
    #[schema(minimum = 1)]
    pub version: u32,
    /// What is said, of 16 KiB at most.
    pub text: String,
}

/// What somebody said about a version.
#[derive(Serialize, ToSchema)]
#[schema(as = PromptComment)]
pub struct PromptCommentBody {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: CommentId,
    /// The version.
    pub version: u32,
    /// Who said it.
    pub author: String,
    /// What.
    pub text: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Comments.
#[derive(Serialize, ToSchema)]
pub struct PromptCommentList {
    /// The comments, the oldest first.
    pub data: Vec<PromptCommentBody>,
}

impl From<Comment> for PromptCommentBody {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            version: comment.number,
            author: comment.author,
            text: comment.text,
            created: comment.created,
        }
    }
}
