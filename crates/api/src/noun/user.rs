//! `DELETE /api/v1/users/{id}`: erasing an end user. Who they are and what they did is listed in `session`.

use axum::extract::State;
use qd_catalog::Scope;
use qd_trace::erasure::digest;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Path;
use crate::noun::job::JobBody;
use crate::permission::{Caller, Permission};
use crate::reply::Accepted;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let erase = Doc::new("Users", "eraseUser", "Erase an end user from the project, for good")
        .text("Every row that names them, every row that names nobody in a trace where they are named, the scores of those traces, and their large payloads. All of it is hidden from every query when this is answered; the job then takes it off the disk, and with it what had been set aside as damaged. What arrives afterwards is new, and stays. The audit log and the job know the user by the SHA-256 of the name.")
        .gives::<ErasureBody>(202, "What was hidden, and the job");
    vec![Route::delete("/api/v1/users/{id}", Permission::Scope(Scope::Admin), erase, erase_user)]
}

async fn erase_user(
    State(surface): State<Shared>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Accepted<ErasureBody>> {
    // Calls that were answered before are part of it, also those that still wait to be written down.
    surface.app.gateway.drain().await;
    surface.app.recorder.drain().await;
    let erased = surface.app.eraser.erase(caller.project_name(), caller.project(), &user).await?;
    let job = erased.job.ok_or_else(|| Error::missing("user", &user))?;
    let detail = json!({"project": caller.project_name(), "traces": erased.traces, "rows": erased.rows, "job": job});
    surface.app.catalog.audit(&caller.actor(), "erase", "user", &digest(&user).to_string(), detail).await?;
    let job = surface.app.catalog.job(job).await?;
    Ok(Accepted(ErasureBody { traces: erased.traces, rows: erased.rows, job: job.into() }))
}

/// What of a user is hidden for good.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub struct ErasureBody {
    /// Traces in which they were named.
    pub traces: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Takes them off the disk.
    pub job: JobBody,
}
