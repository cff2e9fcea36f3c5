//! `/api/v1/jobs`: what takes long, watched and stopped.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use qd_base::id::JobId;
use qd_base::time::Timestamp;
use qd_catalog::job::{Happening, JobEvent};
use qd_catalog::{Job, JobFilter, JobKind, JobState, Page, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Path, Query, ThisRequest};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::sse;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Jobs", "listJobs", "Jobs, newest first")
        .query::<JobQuery>()
        .gives::<JobList>(200, "One page of them");
    let one = Doc::new("Jobs", "getJob", "One job").gives::<JobBody>(200, "The job");
    let stop = Doc::new("Jobs", "cancelJob", "Ask for a job's end")
        .text(
            "A job that waits is cancelled at once, one that runs as soon as it looks. A finished job stays as it is.",
        )
        .gives::<JobBody>(200, "The job as it is now");
    let events = Doc::new("Jobs", "watchJob", "A job's events as they happen")
        .text("Server-sent events `state` and `progress`, numbered; Last-Event-ID goes on after one. The stream ends when the job is finished.")
        .streams("text/event-stream", "The events");
    vec![
        Route::get("/api/v1/jobs", read, all, list),
        Route::get("/api/v1/jobs/{id}", read, one, show),
        Route::post("/api/v1/jobs/{id}/cancel", write, stop, cancel),
        Route::get("/api/v1/jobs/{id}/events", read, events, watch),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller, Query(query): Query<JobQuery>) -> Result<Json<JobList>> {
    let filter = JobFilter { project: Some(caller.project()), state: query.state, kind: query.kind };
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = surface.app.catalog.jobs(&filter, page).await?;
    Ok(Json(JobList { data: found.items.into_iter().map(JobBody::from).collect(), next_cursor: found.next }))
}

async fn show(State(surface): State<Shared>, caller: Caller, Path(id): Path<JobId>) -> Result<Json<JobBody>> {
    reached(&surface, &caller, id).await.map(|job| Json(job.into()))
}

async fn cancel(State(surface): State<Shared>, caller: Caller, Path(id): Path<JobId>) -> Result<Json<JobBody>> {
    let job = reached(&surface, &caller, id).await?;
    // They work for every project, wherever their rows are.
    if [qd_alert::job::KIND, qd_scorer::KIND].contains(&job.kind.as_str()) {
        caller.needs(Scope::Admin)?;
    }
    surface.app.catalog.cancel(id).await?;
    surface.app.catalog.audit(&caller.actor(), "cancel", "job", &id.to_string(), json!({})).await?;
    let job = surface.app.catalog.job(id).await?;
    Ok(Json(job.into()))
}

async fn watch(
    State(surface): State<Shared>,
    caller: Caller,
    ThisRequest(request): ThisRequest,
    Path(id): Path<JobId>,
    headers: HeaderMap,
) -> Result<Response> {
    reached(&surface, &caller, id).await?;
    let events = surface.app.catalog.watch(id, last_event(&headers)).map(move |event| match event {
        Ok(event) => wire(&event),
        Err(error) => sse::data(&Error::from(error).object(request)),
    });
    Ok(sse::response(events, surface.app.config.limits.keep_alive(), surface.lifecycle.stopping.clone(), Bytes::new()))
}

/// The job, if the caller may see it. One of another project is not told apart from none.
async fn reached(surface: &Surface, caller: &Caller, id: JobId) -> Result<Job> {
    let job = surface.app.catalog.job(id).await?;
    match caller.reaches(job.project) {
        true => Ok(job),
        false => Err(qd_catalog::Error::NotFound { noun: "job", name: id.to_string() }.into()),
    }
}

/// WHATWG HTML, section 9.2.4: a client that reconnects names the last event that it saw.
fn last_event(headers: &HeaderMap) -> u64 {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn wire(event: &JobEvent) -> Bytes {
    let name = match event.what {
        Happening::State { .. } => "state",
        Happening::Progress(_) => "progress",
    };
    sse::event(Some(name), Some(&event.seq.to_string()), event).unwrap_or_default()
}

/// Which jobs are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JobQuery {
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<JobState>,
    /// For instance `model.pull`.
    #[param(value_type = Option<String>)]
    kind: Option<JobKind>,
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<JobId>,
}

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    /// Its identifier; later jobs have larger ones.
    #[schema(value_type = String, format = Uuid)]
    pub id: JobId,
    /// What it does: `model.pull`, …
    #[schema(value_type = String)]
    pub kind: JobKind,
    /// Where it stands: `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub state: JobState,
    /// What it was given.
    #[schema(value_type = serde_json::Value)]
    pub payload: serde_json::Value,
    /// What came of it.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<serde_json::Value>,
    /// What went wrong last.
    pub error: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// How far it is.
    pub progress: JobProgress,
    /// When it was queued.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// When it was finished.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished: Option<Timestamp>,
}

/// How far a job is.
#[derive(Serialize, ToSchema)]
pub struct JobProgress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// What is being done.
    pub message: String,
}

/// One page of jobs.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    /// The jobs, newest first.
    pub data: Vec<JobBody>,
    /// Asks for the next page; null on the last.
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<JobId>,
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        let progress =
            JobProgress { done: job.progress.done, total: job.progress.total, message: job.progress.message };
        Self {
            id: job.id,
            kind: job.kind,
            state: job.state,
            payload: job.payload,
            result: job.result,
            error: job.error,
            attempts: job.attempts,
            cancel_requested: job.cancel_requested,
            progress,
            created: job.created,
            started: job.started,
            finished: job.finished,
        }
    }
}
