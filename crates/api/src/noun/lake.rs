//! `/api/v1/lake`: looking after what is stored.

use axum::extract::State;
use qd_base::id::JobId;
use qd_catalog::{JobFilter, JobState, Page, Scope};
use qd_lake::job::KIND;
use serde_json::json;

use crate::doc::Doc;
use crate::error::Result;
use crate::noun::job::JobBody;
use crate::permission::{Caller, Permission};
use crate::reply::Accepted;
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let check = Doc::new("Lake", "verifyLake", "Read every file of the lake and of datasets in full")
        .text("Answers with a job. It compares each file with what was written and sets damaged ones of the lake aside, which `/api/v1/status` then tells; of datasets it names the versions whose files are damaged. While such a job of this project is under way, that job is the answer.")
        .gives::<JobBody>(202, "The job; its result counts the files that were read and the damaged ones (`segments`, `damaged`, `row_files`), and names datasets that lost rows (`damaged_row_files`)");
    vec![Route::post("/api/v1/lake/verify", Permission::Scope(Scope::Admin), check, verify)]
}

async fn verify(State(surface): State<Shared>, caller: Caller) -> Result<Accepted<JobBody>> {
    let id = match verifying(&surface, &caller).await? {
        Some(id) => id,
        None => {
            surface.app.catalog.audit(&caller.actor(), "verify", "lake", "lake", json!({})).await?;
            surface.app.catalog.enqueue(&KIND.parse()?, json!({}), caller.project()).await?
        }
    };
    let job = surface.app.catalog.job(id).await?;
    Ok(Accepted(job.into()))
}

/// The job that is checking the lake already, if one is.
async fn verifying(surface: &Surface, caller: &Caller) -> Result<Option<JobId>> {
    for state in [JobState::Running, JobState::Queued] {
        let filter = JobFilter { project: Some(caller.project()), kind: Some(KIND.parse()?), state: Some(state) };
        let jobs = surface.app.catalog.jobs(&filter, Page::first(10)).await?;
        if let Some(job) = jobs.items.iter().find(|job| !job.cancel_requested) {
            return Ok(Some(job.id));
        }
    }
    Ok(None)
}
