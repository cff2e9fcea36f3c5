//! `/api/v1/retention`: how long the rows of a project are kept.

use axum::extract::State;
use http::StatusCode;
use qd_base::TableName;
use qd_base::time::Timestamp;
use qd_catalog::Scope;
use qd_trace::KeptFor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Retention", "listRetention", "How long the project's rows are kept, table by table")
        .text("Days are counted to the beginning of a day (UTC): rows are kept for at least so many and for less than one more. Older rows are not seen by any query, and leave the disk when that is worth the work.")
        .gives::<RetentionList>(200, "Each table that has a retention");
    let put = Doc::new("Retention", "putRetention", "Say how long the project's rows of one table are kept")
        .text("Older rows are hidden before this is answered, and are then removed for good.")
        .takes::<NewRetention>()
        .gives::<RetentionBody>(200, "How long they are kept now");
    let gone =
        Doc::new("Retention", "removeRetention", "Keep the rows of a table for as long as the operator's setting says")
            .gives_nothing("The setting `lake.retain_days` holds again");
    vec![
        Route::get("/api/v1/retention", read, all, list),
        Route::put("/api/v1/retention/{table}", admin, put, change),
        Route::delete("/api/v1/retention/{table}", admin, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<RetentionList>> {
    let kept = surface.app.retention.of(caller.project()).await?;
    Ok(Json(RetentionList { data: kept.into_iter().map(RetentionBody::from).collect() }))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(table): Path<String>,
    JsonBody(new): JsonBody<NewRetention>,
) -> Result<Json<RetentionBody>> {
    let table = known(&surface, &table)?;
    let said = surface.app.catalog.acting(&caller.actor())?.put_retention(caller.project(), &table, new.days).await?;
    surface.app.retention.heed().await?;
    Ok(Json(KeptFor { table: said.table, days: said.days, said: Some(said.updated) }.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(table): Path<String>) -> Result<StatusCode> {
    let table = known(&surface, &table)?;
    surface.app.catalog.acting(&caller.actor())?.remove_retention(caller.project(), &table).await?;
    surface.app.retention.heed().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known(surface: &Surface, name: &str) -> Result<TableName> {
    surface.app.retention.tables().find(|table| table.as_str() == name).ok_or_else(|| Error::missing("table", name))
}

/// How long rows are to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRetention {
    /// Days; 0 keeps them for ever.
    #[schema(maximum = 36_500)]
    pub days: u32,
}

/// How long the rows of each table are kept.
#[derive(Serialize, ToSchema)]
pub struct RetentionList {
    /// The tables.
    pub data: Vec<RetentionBody>,
}

/// How long the rows of one table are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Retention)]
pub struct RetentionBody {
    /// `spans`, `scores`, …
    #[schema(value_type = String)]
    pub table: TableName,
    /// Days; 0 keeps them for ever.
    pub days: u32,
    /// `project` when the project says so, `operator` when it is the setting `lake.retain_days`.
    #[schema(value_type = String)]
    pub origin: &'static str,
    /// When the project said so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated: Option<Timestamp>,
}

impl From<KeptFor> for RetentionBody {
    fn from(kept: KeptFor) -> Self {
        let origin = if kept.said.is_some() { "project" } else { "operator" };
        Self { table: kept.table, days: kept.days, origin, updated: kept.said }
    }
}
