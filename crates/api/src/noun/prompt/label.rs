//! Labels of prompts: names such as `production` that callers go by, moved from version to version.

use axum::extract::State;
use qd_base::name::{ArtifactName, Label};
use qd_catalog::{ArtifactKind, Scope};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Change, Json as JsonBody, Path, Query};
use crate::noun::label::LabelMove;
use crate::noun::prompt::version::PromptLabelBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

/// How often a label is moved from where it is, when others move it in between.
const MAX_ATTEMPTS: u32 = 16;
/// Who moves a label from wherever it is waits for others who do: each would find again and again that another was first.
static MOVES: Mutex<()> = Mutex::const_new(());

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all =
        Doc::new("Prompts", "listPromptLabels", "The labels of a prompt").gives::<PromptLabelList>(200, "By name");
    let point = Doc::new("Prompts", "putPromptLabel", "Point a label at a version of a prompt")
        .text("Calls that ask for the label get that version from then on. With 'expected', the version where the caller believes the label, or null for nowhere, it moves only from there: of several who move it at once one succeeds, and the others get 409.")
        .takes::<LabelMove>()
        .gives::<PromptLabelList>(200, "The labels of the prompt");
    let unpoint = Doc::new("Prompts", "removePromptLabel", "Take a label away from a prompt")
        .query::<ExpectedQuery>()
        .gives::<PromptLabelList>(200, "The labels of the prompt");
    vec![
        Route::get("/api/v1/prompts/{name}/labels", read, all, list),
        Route::put("/api/v1/prompts/{name}/labels/{label}", write, point, set),
        Route::delete("/api/v1/prompts/{name}/labels/{label}", write, unpoint, remove),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<PromptLabelList>> {
    labels(&surface, &caller, &name).await
}

async fn set(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(ArtifactName, Label)>,
    JsonBody(wanted): JsonBody<LabelMove>,
) -> Result<Json<PromptLabelList>> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let _turn = if matches!(wanted.expected, Change::Absent) { Some(MOVES.lock().await) } else { None };
    for attempt in 1.. {
        let expected = match wanted.expected {
            Change::Absent => place(&surface, &caller, &name, &label).await?,
            Change::Null => None,
            Change::Value(version) => Some(version),
        };
        let kind = ArtifactKind::Prompt;
        match catalog.set_label(caller.project(), kind, &name, &label, expected, wanted.version).await {
            // Who does not say from where it moves does not mind that somebody else has just moved it.
            Err(qd_catalog::Error::Conflict { .. })
                if matches!(wanted.expected, Change::Absent) && attempt < MAX_ATTEMPTS => {}
            moved => {
                moved?;
                break;
            }
        }
    }
    labels(&surface, &caller, &name).await
}

async fn remove(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(ArtifactName, Label)>,
    Query(query): Query<ExpectedQuery>,
) -> Result<Json<PromptLabelList>> {
    let found = place(&surface, &caller, &name, &label).await?;
    let expected = query.expected.or(found).ok_or_else(|| Error::missing("label", format!("{name}@{label}")))?;
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    catalog.remove_label(caller.project(), ArtifactKind::Prompt, &name, &label, expected).await?;
    labels(&surface, &caller, &name).await
}

/// Where a label is now.
async fn place(surface: &Surface, caller: &Caller, name: &ArtifactName, label: &Label) -> Result<Option<u32>> {
    let labels = surface.app.catalog.labels(caller.project(), ArtifactKind::Prompt, name).await?;
    Ok(labels.into_iter().find(|record| record.label == *label).map(|record| record.number))
}

async fn labels(surface: &Surface, caller: &Caller, name: &ArtifactName) -> Result<Json<PromptLabelList>> {
    let found = surface.app.catalog.labels(caller.project(), ArtifactKind::Prompt, name).await?;
    Ok(Json(PromptLabelList { data: found.into_iter().map(PromptLabelBody::from).collect() }))
}

/// Where a label must be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ExpectedQuery {
    /// The version where the label must be now; wherever it is when absent.
    expected: Option<u32>,
}

/// Labels.
#[derive(Serialize, ToSchema)]
pub struct PromptLabelList {
    /// The labels, by name.
    pub data: Vec<PromptLabelBody>,
}
