//! `/api/v1/keys`: making, listing and revoking API keys.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{KeyId, ProjectId};
use qd_base::name::ProjectName;
use qd_base::time::Timestamp;
use qd_catalog::{KeyRecord, Scope, Scopes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let admin = Permission::Scope(Scope::Admin);
    let all = Doc::new("Keys", "listKeys", "The keys of the caller's project, the latest first")
        .gives::<KeyList>(200, "The keys, without their secrets");
    let new = Doc::new("Keys", "createKey", "Make a key")
        .text("The answer is the only time that the key itself is shown.")
        .takes::<NewKeyBody>()
        .gives::<CreatedKey>(201, "The key");
    let void = Doc::new("Keys", "revokeKey", "Make a key void at once and for ever").gives_nothing("It is void");
    vec![
        Route::get("/api/v1/keys", admin, all, list),
        Route::post("/api/v1/keys", admin, new, create),
        Route::delete("/api/v1/keys/{id}", admin, void, revoke),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<KeyList>> {
    let keys = surface.app.catalog.keys(Some(caller.project())).await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyBody::from).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewKeyBody>,
) -> Result<Created<CreatedKey>> {
    let project = project_of(&surface, &caller, new.project.as_ref()).await?;
    let scopes: Scopes = new.scopes.into();
    let key = surface.app.catalog.acting(&caller.actor())?.create_key(project, &new.name, scopes, new.expires).await?;
    Ok(Created(CreatedKey { key: key.secret.expose().to_owned(), record: key.record.into() }))
}

/// The project that a key is for: the caller's, or another one if the caller is the operator. A key that could make keys
/// elsewhere would see another project's rows by a detour.
async fn project_of(surface: &Surface, caller: &Caller, named: Option<&ProjectName>) -> Result<ProjectId> {
    match named {
        None => Ok(caller.project()),
        Some(name) if name == caller.project_name() => Ok(caller.project()),
        Some(name) if caller.is_operator() => Ok(surface.app.catalog.project(name).await?.id),
        Some(_) => Err(Error::OperatorOnly { what: "make keys for another project" }),
    }
}

async fn revoke(State(surface): State<Shared>, caller: Caller, Path(id): Path<KeyId>) -> Result<StatusCode> {
    let within = (!caller.is_operator()).then(|| caller.project());
    surface.app.catalog.acting(&caller.actor())?.revoke_key(within, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub struct NewKeyBody {
    /// What its owner calls it.
    pub name: String,
    /// What it allows: `infer`, `read`, `write`, `admin`.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// From when on it is void; never when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// The project it acts in; the caller's when absent. Only the operator may name another.
    #[schema(value_type = Option<String>)]
    pub project: Option<ProjectName>,
}

/// What is known of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyBody {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: KeyId,
    /// The project it acts in.
    #[schema(value_type = String, format = Uuid)]
    pub project: ProjectId,
    /// What its owner calls it.
    pub name: String,
    /// How it begins.
    pub hint: String,
    /// What it allows.
    #[schema(value_type = Vec<String>)]
    pub scopes: Scopes,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// From when on it is void.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedKey {
    /// The key itself. It cannot be shown again.
    pub key: String,
    /// What is kept of it.
    pub record: KeyBody,
}

/// Keys.
#[derive(Serialize, ToSchema)]
pub struct KeyList {
    /// The keys.
    pub data: Vec<KeyBody>,
}

impl From<KeyRecord> for KeyBody {
    fn from(key: KeyRecord) -> Self {
        Self {
            id: key.id,
            project: key.project,
            name: key.name,
            hint: key.hint,
            scopes: key.scopes,
            created: key.created,
            expires: key.expires,
            revoked: key.revoked,
        }
    }
}
