//! `/api/v1/providers`: upstreams of the caller's project, and their secrets, which go in and never come out.

use axum::extract::State;
use http::StatusCode;
use qd_base::name::ProviderName;
use qd_base::secret::Secret;
use qd_base::time::Timestamp;
use qd_catalog::{BaseUrl, NewProvider, Provider, ProviderKind, Scope, SecretChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::{Change, Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let admin = Permission::Scope(Scope::Admin);
    let all = Doc::new("Providers", "listProviders", "The upstreams of the caller's project")
        .gives::<ProviderList>(200, "The providers, by name");
    let new = Doc::new("Providers", "createProvider", "Add an upstream")
        .takes::<NewProviderBody>()
        .gives::<ProviderBody>(201, "The provider");
    let one = Doc::new("Providers", "getProvider", "One upstream").gives::<ProviderBody>(200, "The provider");
    let put = Doc::new("Providers", "putProvider", "Add or change an upstream")
        .text("A secret that is absent stays, unless the base URL changes: then it is dropped, so that nobody can have it sent somewhere else. A secret that is null is dropped.")
        .takes::<ProviderSpec>()
        .gives::<ProviderBody>(200, "The provider");
    let gone = Doc::new("Providers", "removeProvider", "Remove an upstream and its secret").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/providers", admin, all, list),
        Route::post("/api/v1/providers", admin, new, create),
        Route::get("/api/v1/providers/{name}", admin, one, show),
        Route::put("/api/v1/providers/{name}", admin, put, change),
        Route::delete("/api/v1/providers/{name}", admin, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<ProviderList>> {
    let providers = surface.app.catalog.providers(Some(caller.project())).await?;
    Ok(Json(ProviderList { data: providers.into_iter().map(ProviderBody::from).collect() }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ProviderName>,
) -> Result<Json<ProviderBody>> {
    let provider = surface.app.catalog.provider(caller.project(), &name).await?;
    Ok(Json(provider.into()))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewProviderBody>,
) -> Result<Created<ProviderBody>> {
    let spec = ProviderSpec {
        base_url: new.base_url,
        timeout_ms: new.timeout_ms,
        settings: new.settings,
        secret: Change::Absent,
    };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let provider = catalog.create_provider(caller.project(), spec.named(new.name), new.secret).await?;
    Ok(Created(provider.into()))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ProviderName>,
    JsonBody(mut spec): JsonBody<ProviderSpec>,
) -> Result<Json<ProviderBody>> {
    let secret = match std::mem::take(&mut spec.secret) {
        Change::Absent => SecretChange::Keep,
        Change::Null => SecretChange::Drop,
        Change::Value(secret) => SecretChange::Set(secret),
    };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    // The gateway sees that it has changed before its next call.
    let provider = catalog.put_provider(caller.project(), spec.named(name), secret).await?;
    Ok(Json(provider.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ProviderName>) -> Result<StatusCode> {
    surface.app.catalog.acting(&caller.actor())?.remove_provider(caller.project(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How long one attempt may take when nobody says: OpenAI's own clients give up after ten minutes.
const fn ten_minutes_ms() -> u32 {
    600_000
}

/// An upstream to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProvider)]
pub struct NewProviderBody {
    /// The name in `provider/model`.
    #[schema(value_type = String)]
    pub name: ProviderName,
    /// Where its OpenAI-compatible API begins: `https://api.openai.com/v1`.
    #[schema(value_type = String, format = Uri)]
    pub base_url: BaseUrl,
    /// How long one attempt may take.
    #[serde(default = "ten_minutes_ms")]
    pub timeout_ms: u32,
    /// What else the gateway should know.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Its API key. It cannot be read again.
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<Secret>,
}

/// What an upstream is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSpec {
    /// Where its OpenAI-compatible API begins.
    #[schema(value_type = String, format = Uri)]
    pub base_url: BaseUrl,
    /// How long one attempt may take.
    #[serde(default = "ten_minutes_ms")]
    pub timeout_ms: u32,
    /// What else the gateway should know.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Its API key: set when given, dropped when null, kept when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Change<Secret>,
}

impl ProviderSpec {
    fn named(self, name: ProviderName) -> NewProvider {
        NewProvider {
            name,
            kind: ProviderKind::OpenAi,
            base_url: self.base_url,
            timeout_ms: self.timeout_ms,
            settings: self.settings,
        }
    }
}

/// An upstream.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct ProviderBody {
    /// The name in `provider/model`.
    #[schema(value_type = String)]
    pub name: ProviderName,
    /// Which API it speaks: `openai`.
    #[schema(value_type = String)]
    pub kind: ProviderKind,
    /// Where that API begins.
    #[schema(value_type = String)]
    pub base_url: BaseUrl,
    /// How long one attempt may take.
    pub timeout_ms: u32,
    /// What else the gateway should know.
    #[schema(value_type = Object)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// Upstreams.
#[derive(Serialize, ToSchema)]
pub struct ProviderList {
    /// The providers.
    pub data: Vec<ProviderBody>,
}

impl From<Provider> for ProviderBody {
    fn from(provider: Provider) -> Self {
        let spec = provider.spec;
        Self {
            name: spec.name,
            kind: spec.kind,
            base_url: spec.base_url,
            timeout_ms: spec.timeout_ms,
            settings: spec.settings,
            has_secret: provider.has_secret,
            created: provider.created,
            updated: provider.updated,
        }
    }
}
