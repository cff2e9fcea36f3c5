//! `GET /v1/models` and `GET /v1/models/{model}`.

use axum::extract::State;
use qd_catalog::Scope;
use qd_gateway::ListedModel;
use serde::Serialize;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Path;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let infer = Permission::Scope(Scope::Infer);
    let all =
        Doc::new("Models", "listModels", "The models that can be asked for").gives::<OpenAiModels>(200, "The models");
    let one = Doc::new("Models", "retrieveModel", "One model").gives::<OpenAiModel>(200, "The model");
    vec![Route::get("/v1/models", infer, all, list), Route::get("/v1/models/{*model}", infer, one, retrieve)]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<OpenAiModels>> {
    let models = surface.app.gateway.models(caller.project()).await;
    Ok(Json(OpenAiModels { object: "list", data: models.into_iter().map(OpenAiModel::from).collect() }))
}

async fn retrieve(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<OpenAiModel>> {
    let models = surface.app.gateway.models(caller.project()).await;
    let found = models.into_iter().find(|model| model.id == name);
    found.map(|model| Json(model.into())).ok_or(Error::Gateway(qd_gateway::Error::UnknownModel { model: name }))
}

/// The models that can be asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = ListModelsResponse)]
pub struct OpenAiModels {
    /// `list`
    #[schema(value_type = String)]
    pub object: &'static str,
    /// The models.
    pub data: Vec<OpenAiModel>,
}

/// A model that can be asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenAiModel)]
pub struct OpenAiModel {
    /// The name to ask for.
    pub id: String,
    /// `model`
    #[schema(value_type = String)]
    pub object: &'static str,
    /// When it was made, in seconds since 1970; 0 when nobody knows.
    pub created: i64,
    /// Who serves it.
    pub owned_by: String,
}

impl From<ListedModel> for OpenAiModel {
    fn from(model: ListedModel) -> Self {
        Self { id: model.id, object: "model", created: model.created, owned_by: model.owned_by }
    }
}
