//! `quarterdeck job`: long-running work, listed, followed and stopped.

use http::Method;
use serde_json::Value;

use crate::Error;
use crate::args::Job;
use crate::command::{pages, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;
use crate::progress::{Progress, Unit};

const JOB: &[Column<'_>] = &[
    ("id", "id"),
    ("kind", "kind"),
    ("state", "state"),
    ("done", "progress.done"),
    ("total", "progress.total"),
    ("message", "progress.message"),
    ("created", "created"),
    ("error", "error"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Job) -> Result<(), Error> {
    match verb {
        Job::List { limit } => with_door(context, async |door| list(context, door, limit).await).await,
        Job::Show { id } => with_door(context, async |door| context.printer.object(&door.get(&path(&id)).await?)).await,
        Job::Cancel { id } => with_door(context, async |door| cancel(context, door, id).await).await,
        Job::Watch { id } => with_door(context, async |door| watch(context, door, id).await).await,
    }
}

fn path(id: &str) -> String {
    format!("/api/v1/jobs/{}", segment(id))
}

async fn list(context: &Context, door: &Door, limit: usize) -> Result<(), Error> {
    let (jobs, more) = pages(door, "/api/v1/jobs", &[], limit).await?;
    context.printer.rows(&jobs, JOB)?;
    if more {
        eprintln!("There are more jobs; --limit asks for them.");
    }
    Ok(())
}

async fn cancel(context: &Context, door: &Door, id: String) -> Result<(), Error> {
    let job = door.json(Method::POST, &format!("{}/cancel", path(&id)), None).await?;
    context.printer.object(&job)
}

async fn watch(context: &Context, door: &Door, id: String) -> Result<(), Error> {
    let job = door.get(&path(&id)).await?;
    let kind = job["kind"].as_str().unwrap_or("job");
    context.printer.object(&follow(door, &id, kind, context.progress).await?)
}

/// Shows a job's progress until it ends.
///
/// # Errors
/// [`Error::Failed`] with the job's own error when it does not succeed.
pub async fn follow(door: &Door, id: &str, what: &str, progress: Progress) -> Result<Value, Error> {
    let mut shown = progress.start(
        what,
        if ["pulling ", "importing "].iter().any(|word| what.starts_with(word)) { Unit::Bytes } else { Unit::Steps },
    );
    let mut events = door.events(Method::GET, &format!("{}/events", path(id)), None).await?;
    while let Some((name, event)) = events.next_json().await? {
        if name == "progress" {
            let amount = |field: &str| event[field].as_u64().unwrap_or(0);
            shown.update(amount("done"), amount("total"), event["message"].as_str().unwrap_or_default());
        }
    }
    let job = door.get(&path(id)).await?;
    shown.finish(job["state"].as_str().unwrap_or("ended"));
    match job["state"].as_str() {
        Some("succeeded") => Ok(job),
        _ => Err(Error::Failed { message: outcome(id, &job) }),
    }
}

fn outcome(id: &str, job: &Value) -> String {
    match (job["state"].as_str(), job["error"].as_str()) {
        (Some("failed"), Some(error)) => error.to_owned(),
        (Some("cancelled"), _) => format!("the job {id} was cancelled"),
        (state, _) => {
            let state = state.unwrap_or("unknown");
            format!(
                "the job {id} is {state}; it goes on when a server runs, and `quarterdeck job watch {id}` follows it"
            )
        }
    }
}
