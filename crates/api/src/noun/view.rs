//! `/api/v1/views`: pages of the console with their filters, saved under a name for everyone in the project.

use axum::extract::State;
use http::StatusCode;
use qd_base::name::ArtifactName;
use qd_base::time::Timestamp;
use qd_catalog::{ArtifactKind, Scope, VersionRef};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// A project's saved views at most: the list brings each with its filters.
const MOST: usize = 200;
/// The longest path with its filters.
const MAX_ADDRESS_BYTES: usize = 4096;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Views", "listViews", "Saved views, by name").gives::<ViewList>(200, "All of the project's");
    let put = Doc::new("Views", "putView", "Save a view, or change one")
        .takes::<NewView>()
        .gives::<View>(200, "The view as it is now");
    let gone = Doc::new("Views", "removeView", "Forget a view").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/views", read, all, list),
        Route::put("/api/v1/views/{name}", write, put, save),
        Route::delete("/api/v1/views/{name}", write, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<ViewList>> {
    let catalog = &surface.app.catalog;
    let mut data = Vec::new();
    for known in catalog.artifacts(caller.project(), ArtifactKind::View).await? {
        let version = catalog.version(caller.project(), ArtifactKind::View, &known.name, &VersionRef::Latest).await?;
        let NewView { address } = version.read_content()?;
        data.push(View { name: known.name, address, updated: known.updated });
    }
    Ok(Json(ViewList { data }))
}

async fn save(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewView>,
) -> Result<Json<View>> {
    check(&new.address)?;
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let known = catalog.artifacts(caller.project(), ArtifactKind::View).await?;
    if known.len() >= MOST && known.iter().all(|view| view.name != name) {
        let message = format!("a project keeps {MOST} views at most; remove one first");
        return Err(Error::Conflict { message });
    }
    let content = serde_json::to_vec(&new).map_err(Error::encode)?;
    let kept = catalog.put_version(caller.project(), ArtifactKind::View, &name, &content, json!({}), &[]).await?;
    Ok(Json(View { name, address: new.address, updated: kept.info.created }))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    catalog.remove_artifact(caller.project(), ArtifactKind::View, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An address within the console: whoever opens a colleague's view must not be sent elsewhere.
fn check(address: &str) -> Result<()> {
    let local = address.starts_with('/') && !address.starts_with("//") && !address.contains('\\');
    let plain = !address.chars().any(char::is_control);
    match local && plain && address.len() <= MAX_ADDRESS_BYTES {
        true => Ok(()),
        false => Err(Error::parameter(
            "address",
            "invalid_value",
            format!(
                "Invalid 'address': a path within the console, such as /traces?status=error, of {MAX_ADDRESS_BYTES} bytes at most."
            ),
        )),
    }
}

/// A view to be saved.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    /// The page's path with its filters: `/traces?status=error`.
    pub address: String,
}

/// A saved view.
#[derive(Serialize, ToSchema)]
pub struct View {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// The page's path with its filters.
    pub address: String,
    /// When it was last saved.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// Saved views.
#[derive(Serialize, ToSchema)]
pub struct ViewList {
    /// The views.
    pub data: Vec<View>,
}
