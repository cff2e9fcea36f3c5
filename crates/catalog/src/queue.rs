//! The queue of jobs: enqueue, look, cancel, queue again; and, for the runner, claim, hold and finish.
//!
//! What a runner writes is fenced by a `Hold`: the job must still be running under the same owner in the same
//! attempt. A runner that was away for longer than its lease therefore changes nothing any more.

use std::time::Duration;

use qd_base::{JobId, ProjectId, Timestamp};
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite};

use crate::column::{self, Columns, stored};
use crate::database::{Tx, commit};
use crate::job::{
    Job, JobEvent, JobKind, JobState, MAX_CHECKPOINT_BYTES, MAX_ERROR_BYTES, MAX_EVENTS, MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES, MAX_QUEUED, MAX_RESULT_BYTES, MAX_STALLS, Progress, Signal, columns,
};
use crate::{Catalog, Error, Listed, Page, Result, limit, project};

/// Which jobs to list; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Jobs of this project.
    pub project: Option<ProjectId>,
    /// Jobs of this kind.
    pub kind: Option<JobKind>,
    /// Jobs in this state.
    pub state: Option<JobState>,
}

/// A job in the hands of one runner: who holds it, and in which attempt.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) job: JobId,
    pub(crate) owner: String,
    pub(crate) attempt: u32,
}

/// How a runner leaves a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    Succeeded(Value),
    Failed(String),
    Cancelled(String),
    /// To be begun again after a while, since it may work then.
    Retry {
        message: String,
        after: Duration,
    },
    /// To be begun again after a while, since there will be more to do then.
    Again {
        after: Duration,
    },
    /// To be begun again at once by another runner; this attempt does not count.
    Released,
}

impl Catalog {
    /// Queues a job and wakes a runner.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_PAYLOAD_BYTES`] or [`MAX_QUEUED`], [`Error::NotFound`] without the project.
    pub async fn enqueue(&self, kind: &JobKind, payload: Value, project: ProjectId) -> Result<JobId> {
        const OPERATION: &str = "queueing a job";
        let mut tx = self.db().begin(OPERATION).await?;
        let id = put(&mut tx, kind, &payload, project).await?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Queued);
        Ok(id)
    }

    /// Sees to it that a job of this kind waits or runs, and that one which waits is begun at once: for work that comes
    /// again and again as one job.
    ///
    /// # Errors
    /// As [`Catalog::enqueue`].
    pub async fn ensure_job(&self, kind: &JobKind, project: ProjectId) -> Result<()> {
        const OPERATION: &str = "seeing to a job";
        let mut tx = self.db().begin(OPERATION).await?;
        let row = sqlx::query("SELECT id FROM job WHERE kind = $1 AND state IN ('queued', 'running') LIMIT 1")
            .bind(kind.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        if row.is_none() {
            project::require(&mut tx, project).await?;
            limit::count("number of waiting jobs", count_queued(&mut tx).await? + 1, MAX_QUEUED)?;
            let id = JobId::new();
            insert(&mut tx, id, kind, "null", project).await?;
            add_state(&mut tx, id, JobState::Queued, "").await?;
        }
        sqlx::query("UPDATE job SET not_before_ns = 0 WHERE kind = $1 AND state = 'queued'")
            .bind(kind.as_str())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Queued);
        Ok(())
    }

    /// One job.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM job WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a job"))?
            .ok_or_else(|| Error::not_found("job", id))?;
        Job::read(Columns(&row))
    }

    /// Jobs, the latest first; the key of a page is a job's identifier.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn jobs(&self, filter: &JobFilter, page: Page<JobId>) -> Result<Listed<Job, JobId>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM job WHERE ($1 IS NULL OR project_id = $1) AND ($2 IS NULL OR kind = $2) \
             AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR id < $4) ORDER BY id DESC LIMIT $5"
        ))
        .bind(filter.project.map(|id| id.to_string()))
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(filter.state.map(JobState::as_str))
        .bind(page.key().map(JobId::to_string))
        .bind(page.probe())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing jobs"))?;
        Ok(Listed::of(column::all(&rows, Job::read)?, &page, |job| job.id))
    }

    /// How many jobs of all projects are in each state; a state without jobs is left out.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be counted.
    pub async fn count_jobs(&self) -> Result<Vec<(JobState, u64)>> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS jobs FROM job GROUP BY state ORDER BY state")
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("counting jobs"))?;
        column::all(&rows, |row| Ok((row.parsed("state")?, row.count("jobs")?)))
    }

    /// The events of a job with larger numbers than `after`, at most [`MAX_EVENTS`].
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn job_events(&self, id: JobId, after: u64) -> Result<Vec<JobEvent>> {
        let rows = sqlx::query(
            "SELECT seq, at_ns, state, COALESCE(done, 0) AS done, total, message FROM job_event \
             WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(id.to_string())
        .bind(stored(after))
        .bind(stored(MAX_EVENTS))
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing the events of a job"))?;
        column::all(&rows, JobEvent::read)
    }

    /// Asks for the end of a job. One that waits is cancelled at once; one that runs is told, and is cancelled when
    /// its handler lets go. The answer is the state the job is then in; a finished job stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn cancel(&self, id: JobId) -> Result<JobState> {
        const OPERATION: &str = "cancelling a job";
        let mut tx = self.db().begin(OPERATION).await?;
        let state = state_of(&mut tx, id).await?;
        match state {
            JobState::Queued => finish_state(&mut tx, id, JobState::Cancelled, None, None).await?,
            JobState::Running => request_cancel(&mut tx, id).await?,
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => return Ok(state),
        }
        commit(tx, OPERATION).await?;
        if state == JobState::Running {
            self.signal(Signal::CancelRequested(id));
            return Ok(state);
        }
        self.signal(Signal::Happened(id));
        Ok(JobState::Cancelled)
    }

    /// Queues a failed or cancelled job again; it goes on from its last checkpoint.
    ///
    /// # Errors
    /// [`Error::JobState`] in any other state, [`Error::NotFound`] when there is none.
    pub async fn requeue(&self, id: JobId) -> Result<()> {
        const OPERATION: &str = "queueing a job again";
        let mut tx = self.db().begin(OPERATION).await?;
        let state = state_of(&mut tx, id).await?;
        if !state.is_finished() || !state.may_become(JobState::Queued) {
            return Err(Error::JobState { job: id, state, wanted: "queued again" });
        }
        limit::count("number of waiting jobs", count_queued(&mut tx).await? + 1, MAX_QUEUED)?;
        sqlx::query(
            "UPDATE job SET state = 'queued', error = NULL, stalls = 0, cancel_requested = 0, not_before_ns = 0, \
             finished_ns = NULL WHERE id = $1",
        )
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        add_state(&mut tx, id, JobState::Queued, "").await?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Happened(id));
        self.signal(Signal::Queued);
        Ok(())
    }

    /// Forgets jobs that were finished before `before`, and the oldest of the finished ones beyond the newest `most`. Says
    /// how many.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn prune_jobs(&self, before: Timestamp, most: u64) -> Result<u64> {
        const OPERATION: &str = "forgetting old jobs";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query(
            "DELETE FROM job WHERE finished_ns < $1 OR finished_ns < \
             (SELECT finished_ns FROM job WHERE finished_ns IS NOT NULL ORDER BY finished_ns DESC LIMIT 1 OFFSET $2)",
        )
        .bind(before.as_nanos())
        .bind(stored(most.saturating_sub(1)))
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?
        .rows_affected();
        commit(tx, OPERATION).await?;
        Ok(gone)
    }

    /// Hands the longest waiting job of one of these kinds to `owner`, until `lease` has passed without a renewal.
    pub(crate) async fn claim(&self, owner: &str, kinds: &[JobKind], lease: Duration) -> Result<Option<(Job, Hold)>> {
        const OPERATION: &str = "claiming a job";
        let now = Timestamp::now();
        let mut tx = self.db().begin(OPERATION).await?;
        let Some(id) = next_queued(&mut tx, kinds, now).await? else { return Ok(None) };
        let row = sqlx::query(concat!(
            "UPDATE job SET state = 'running', owner = $2, lease_until_ns = $3, started_ns = $4, \
             attempts = attempts + 1, stalls = stalls + 1 WHERE id = $1 RETURNING ",
            columns!()
        ))
        .bind(id.to_string())
        .bind(owner)
        .bind(now.saturating_add(lease).as_nanos())
        .bind(now.as_nanos())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        let job = Job::read(Columns(&row))?;
        drop(row);
        add_state(&mut tx, id, JobState::Running, "").await?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Happened(id));
        let hold = Hold { job: id, owner: owner.to_owned(), attempt: job.attempts };
        Ok(Some((job, hold)))
    }

    /// Renews the lease, and says whether somebody asked for the end of the job.
    pub(crate) async fn renew(&self, hold: &Hold, lease: Duration) -> Result<bool> {
        const OPERATION: &str = "renewing the lease of a job";
        let mut tx = self.db().begin(OPERATION).await?;
        let row = sqlx::query(
            "UPDATE job SET lease_until_ns = $4 WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running' \
             RETURNING cancel_requested",
        )
        .bind(hold.job.to_string())
        .bind(hold.owner.as_str())
        .bind(hold.attempt)
        .bind(Timestamp::now().saturating_add(lease).as_nanos())
        .fetch_optional(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?
        .ok_or(Error::LeaseLost { job: hold.job })?;
        let cancel = Columns(&row).flag("cancel_requested")?;
        drop(row);
        commit(tx, OPERATION).await?;
        Ok(cancel)
    }

    /// Records how far the job is. Getting further than ever before shows that attempts are not in vain.
    pub(crate) async fn record_progress(&self, hold: &Hold, progress: &Progress) -> Result<()> {
        const OPERATION: &str = "recording the progress of a job";
        let mut tx = self.db().begin(OPERATION).await?;
        write_progress(&mut tx, hold, progress).await?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Happened(hold.job));
        Ok(())
    }

    /// Keeps where the job would go on after a crash.
    pub(crate) async fn save_checkpoint(&self, hold: &Hold, checkpoint: &Value) -> Result<()> {
        const OPERATION: &str = "saving the checkpoint of a job";
        let checkpoint = checkpoint.to_string();
        limit::bytes("checkpoint", checkpoint.len(), MAX_CHECKPOINT_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        let written = sqlx::query(
            "UPDATE job SET checkpoint = $4, stalls = CASE WHEN checkpoint = $4 THEN stalls ELSE 0 END \
             WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running'",
        )
        .bind(hold.job.to_string())
        .bind(hold.owner.as_str())
        .bind(hold.attempt)
        .bind(checkpoint)
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?
        .rows_affected();
        require_held(hold, written)?;
        commit(tx, OPERATION).await
    }

    /// Lets go of a job: it is finished, or queued again. The last progress is kept with it.
    pub(crate) async fn finish(&self, hold: &Hold, ending: Ending, last: Option<&Progress>) -> Result<JobState> {
        const OPERATION: &str = "finishing a job";
        let mut tx = self.db().begin(OPERATION).await?;
        if let Some(progress) = last {
            write_progress(&mut tx, hold, progress).await?;
        }
        let facts = require_hold(&mut tx, hold).await?;
        let state = end(&mut tx, hold.job, ending, facts).await?;
        commit(tx, OPERATION).await?;
        self.signal(Signal::Happened(hold.job));
        if state == JobState::Queued {
            self.signal(Signal::Queued);
        }
        Ok(state)
    }

    /// Takes jobs from runners whose lease has expired by `now` and queues them again. [`Timestamp::MAX`] takes
    /// every running job: right when no other process can hold one.
    pub(crate) async fn reclaim(&self, now: Timestamp) -> Result<u64> {
        const OPERATION: &str = "reclaiming jobs";
        let mut tx = self.db().begin(OPERATION).await?;
        let rows = sqlx::query(
            "SELECT id, cancel_requested, stalls FROM job WHERE state = 'running' AND lease_until_ns < $1 ORDER BY id",
        )
        .bind(now.as_nanos())
        .fetch_all(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        let lost = column::all(&rows, |row| Ok((row.parsed::<JobId>("id")?, Facts::read(row)?)))?;
        if lost.is_empty() {
            return Ok(0);
        }
        for (id, facts) in &lost {
            end(&mut tx, *id, Ending::Retry { message: LOST.to_owned(), after: Duration::ZERO }, *facts).await?;
        }
        commit(tx, OPERATION).await?;
        lost.iter().for_each(|(id, _)| self.signal(Signal::Happened(*id)));
        self.signal(Signal::Queued);
        Ok(lost.len() as u64)
    }

    /// Queues again what a process that died left running. For who opens the catalog alone, before any runner starts: of
    /// several runners in one process none could tell later which jobs are another's.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn take_over_jobs(&self) -> Result<u64> {
        self.reclaim(Timestamp::MAX).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Nobody listening is fine: listeners read the catalog when they begin.
        let _ = self.inner().signals.send(signal);
    }
}

/// The error of a job whose runner went away.
const LOST: &str = "the process that ran it went away";

/// What decides how a job goes on.
#[derive(Debug, Clone, Copy)]
struct Facts {
    cancel_requested: bool,
    stalls: u32,
}

impl Facts {
    fn read(row: Columns<'_>) -> Result<Self> {
        Ok(Self { cancel_requested: row.flag("cancel_requested")?, stalls: row.number("stalls")? })
    }
}

/// Queues a job as part of something else. Whoever commits that wakes a runner.
pub(crate) async fn put(tx: &mut Tx, kind: &JobKind, payload: &Value, project: ProjectId) -> Result<JobId> {
    let payload = payload.to_string();
    limit::bytes("payload", payload.len(), MAX_PAYLOAD_BYTES)?;
    project::require(tx, project).await?;
    limit::count("number of waiting jobs", count_queued(tx).await? + 1, MAX_QUEUED)?;
    let id = JobId::new();
    insert(tx, id, kind, &payload, project).await?;
    add_state(tx, id, JobState::Queued, "").await?;
    Ok(id)
}

async fn insert(tx: &mut Tx, id: JobId, kind: &JobKind, payload: &str, project: ProjectId) -> Result<()> {
    sqlx::query(
        "INSERT INTO job (id, project_id, kind, state, payload, created_ns) VALUES ($1, $2, $3, 'queued', $4, $5)",
    )
    .bind(id.to_string())
    .bind(project.to_string())
    .bind(kind.as_str())
    .bind(payload)
    .bind(Timestamp::now().as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("queueing a job"))
}

async fn count_queued(tx: &mut Tx) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(*) AS jobs FROM job WHERE state = 'queued'")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting jobs"))?;
    Ok(usize::try_from(Columns(&row).count("jobs")?).unwrap_or(usize::MAX))
}

async fn state_of(tx: &mut Tx, id: JobId) -> Result<JobState> {
    let row = sqlx::query("SELECT state FROM job WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading the state of a job"))?
        .ok_or_else(|| Error::not_found("job", id))?;
    Columns(&row).parsed("state")
}

async fn request_cancel(tx: &mut Tx, id: JobId) -> Result<()> {
    sqlx::query("UPDATE job SET cancel_requested = 1 WHERE id = $1")
        .bind(id.to_string())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("cancelling a job"))
}

async fn next_queued(tx: &mut Tx, kinds: &[JobKind], now: Timestamp) -> Result<Option<JobId>> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM job WHERE state = 'queued' AND not_before_ns <= ");
    query.push_bind(now.as_nanos()).push(" AND kind IN (");
    let mut list = query.separated(", ");
    for kind in kinds {
        list.push_bind(kind.as_str());
    }
    query.push(") ORDER BY id LIMIT 1");
    let row = query.build().fetch_optional(&mut **tx).await.map_err(Error::database("looking for a job"))?;
    row.map(|row| Columns(&row).parsed("id")).transpose()
}

fn require_held(hold: &Hold, rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::LeaseLost { job: hold.job }) }
}

async fn require_hold(tx: &mut Tx, hold: &Hold) -> Result<Facts> {
    let row = sqlx::query(
        "SELECT cancel_requested, stalls FROM job WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running'",
    )
    .bind(hold.job.to_string())
    .bind(hold.owner.as_str())
    .bind(hold.attempt)
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::database("reading the lease of a job"))?
    .ok_or(Error::LeaseLost { job: hold.job })?;
    Facts::read(Columns(&row))
}

async fn write_progress(tx: &mut Tx, hold: &Hold, progress: &Progress) -> Result<()> {
    let message = limit::shorten(&progress.message, MAX_MESSAGE_BYTES);
    let written = sqlx::query(
        "UPDATE job SET done = $4, total = $5, message = $6, stalls = CASE WHEN $4 > furthest THEN 0 ELSE stalls END, \
         furthest = MAX(furthest, $4) WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running'",
    )
    .bind(hold.job.to_string())
    .bind(hold.owner.as_str())
    .bind(hold.attempt)
    .bind(stored(progress.done))
    .bind(progress.total.map(stored))
    .bind(message)
    .execute(&mut **tx)
    .await
    .map_err(Error::database("recording the progress of a job"))?
    .rows_affected();
    require_held(hold, written)?;
    add_event(tx, hold.job, None, Some((progress.done, progress.total)), message).await
}

/// Ends an attempt. Who asked for the end of a job gets it, whatever else its handler says short of success; and a
/// job that was begun too often without getting further is not begun again.
async fn end(tx: &mut Tx, id: JobId, ending: Ending, facts: Facts) -> Result<JobState> {
    match ending {
        Ending::Succeeded(result) => succeed(tx, id, &result).await,
        Ending::Cancelled(why) => stop(tx, id, JobState::Cancelled, &why).await,
        Ending::Failed(why) if facts.cancel_requested => stop(tx, id, JobState::Cancelled, &why).await,
        Ending::Retry { .. } | Ending::Again { .. } | Ending::Released if facts.cancel_requested => {
            stop(tx, id, JobState::Cancelled, "").await
        }
        Ending::Failed(why) => stop(tx, id, JobState::Failed, &why).await,
        Ending::Retry { message, .. } if facts.stalls >= MAX_STALLS => {
            let why = format!("{message}; it was begun {} times without getting further", facts.stalls);
            stop(tx, id, JobState::Failed, &why).await
        }
        Ending::Retry { message, after } => queue_again(tx, id, &message, after, facts.stalls).await,
        Ending::Again { after } => queue_again(tx, id, "", after, 0).await,
        Ending::Released => queue_again(tx, id, "", Duration::ZERO, facts.stalls.saturating_sub(1)).await,
    }
}

async fn succeed(tx: &mut Tx, id: JobId, result: &Value) -> Result<JobState> {
    let result = result.to_string();
    if result.len() > MAX_RESULT_BYTES {
        let why = format!("its result is {} bytes, at most {MAX_RESULT_BYTES} are kept", result.len());
        return stop(tx, id, JobState::Failed, &why).await;
    }
    finish_state(tx, id, JobState::Succeeded, Some(&result), None).await?;
    Ok(JobState::Succeeded)
}

async fn stop(tx: &mut Tx, id: JobId, state: JobState, why: &str) -> Result<JobState> {
    let why = limit::shorten(why, MAX_ERROR_BYTES);
    finish_state(tx, id, state, None, Some(why).filter(|why| !why.is_empty())).await?;
    Ok(state)
}

async fn finish_state(
    tx: &mut Tx,
    id: JobId,
    state: JobState,
    result: Option<&str>,
    error: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "UPDATE job SET state = $2, result = $3, error = $4, finished_ns = $5, owner = NULL, lease_until_ns = NULL \
         WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(state.as_str())
    .bind(result)
    .bind(error)
    .bind(Timestamp::now().as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::database("finishing a job"))?;
    add_state(tx, id, state, error.unwrap_or_default()).await
}

async fn queue_again(tx: &mut Tx, id: JobId, why: &str, after: Duration, stalls: u32) -> Result<JobState> {
    let why = limit::shorten(why, MAX_ERROR_BYTES);
    sqlx::query(
        "UPDATE job SET state = 'queued', error = $2, not_before_ns = $3, stalls = $4, owner = NULL, \
         lease_until_ns = NULL WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(Some(why).filter(|why| !why.is_empty()))
    .bind(Timestamp::now().saturating_add(after).as_nanos())
    .bind(stalls)
    .execute(&mut **tx)
    .await
    .map_err(Error::database("queueing a job again"))?;
    add_state(tx, id, JobState::Queued, why).await?;
    Ok(JobState::Queued)
}

async fn add_state(tx: &mut Tx, id: JobId, state: JobState, message: &str) -> Result<()> {
    add_event(tx, id, Some(state), None, message).await
}

/// Numbers and keeps an event, and forgets the oldest beyond [`MAX_EVENTS`].
async fn add_event(
    tx: &mut Tx,
    id: JobId,
    state: Option<JobState>,
    progress: Option<(u64, Option<u64>)>,
    message: &str,
) -> Result<()> {
    let row = sqlx::query("UPDATE job SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq")
        .bind(id.to_string())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("numbering an event"))?;
    let seq = Columns(&row).signed("last_seq")?;
    drop(row);
    sqlx::query(
        "INSERT INTO job_event (job_id, seq, at_ns, state, done, total, message) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(seq)
    .bind(Timestamp::now().as_nanos())
    .bind(state.map(JobState::as_str))
    .bind(progress.map(|(done, _)| stored(done)))
    .bind(progress.and_then(|(_, total)| total).map(stored))
    .bind(message)
    .execute(&mut **tx)
    .await
    .map_err(Error::database("adding an event"))?;
    sqlx::query("DELETE FROM job_event WHERE job_id = $1 AND seq <= $2")
        .bind(id.to_string())
        .bind(seq - stored(MAX_EVENTS))
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("forgetting old events"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::job::Happening;
    use crate::testing::{catalog, reopen};
    use proptest::prelude::*;
    use serde_json::json;

    const LEASE: Duration = Duration::from_secs(60);

    pub(crate) fn kind() -> JobKind {
        "test.job".parse().unwrap()
    }

    pub(crate) async fn enqueue(catalog: &Catalog) -> JobId {
        catalog.enqueue(&kind(), json!({ "n": 1 }), catalog.default_project().id).await.unwrap()
    }

    async fn claim(catalog: &Catalog, owner: &str) -> Option<(Job, Hold)> {
        catalog.claim(owner, &[kind()], LEASE).await.unwrap()
    }

    fn states(events: &[JobEvent]) -> Vec<JobState> {
        let state = |event: &JobEvent| match &event.what {
            Happening::State { state, .. } => Some(*state),
            Happening::Progress(_) => None,
        };
        events.iter().filter_map(state).collect()
    }

    #[tokio::test]
    async fn a_job_goes_through_its_states() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let (job, hold) = claim(&catalog, "a").await.unwrap();
        assert_eq!((job.id, job.state, job.attempts), (id, JobState::Running, 1));
        assert!(!catalog.renew(&hold, LEASE).await.unwrap());
        let last = Progress { done: 2, total: Some(2), message: "done".into() };
        catalog.finish(&hold, Ending::Succeeded(json!(42)), Some(&last)).await.unwrap();

        let job = catalog.job(id).await.unwrap();
        assert_eq!((job.state, job.result, job.progress), (JobState::Succeeded, Some(json!(42)), last));
        let events = catalog.job_events(id, 0).await.unwrap();
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(states(&events), [JobState::Queued, JobState::Running, JobState::Succeeded]);
        assert!(claim(&catalog, "a").await.is_none());
    }

    #[tokio::test]
    async fn jobs_are_claimed_in_order_and_by_kind() {
        let (catalog, _dir) = catalog().await;
        let other = "other.kind".parse().unwrap();
        catalog.enqueue(&other, json!(null), catalog.default_project().id).await.unwrap();
        let ids = [enqueue(&catalog).await, enqueue(&catalog).await];
        for id in ids {
            assert_eq!(claim(&catalog, "a").await.unwrap().0.id, id);
        }
        assert!(claim(&catalog, "a").await.is_none());
        assert_eq!(catalog.claim("a", &[kind(), other.clone()], LEASE).await.unwrap().unwrap().0.kind, other);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_runners_one_gets_the_job() {
        let (catalog, _dir) = catalog().await;
        enqueue(&catalog).await;
        let runners = (0..20).map(|n| {
            let catalog = catalog.clone();
            tokio::spawn(async move { claim(&catalog, &n.to_string()).await.is_some() })
        });
        let got = futures::future::join_all(runners).await;
        assert_eq!(got.into_iter().filter(|got| *got.as_ref().unwrap()).count(), 1);
    }

    #[tokio::test]
    async fn after_a_crash_a_job_goes_on_from_its_checkpoint() {
        let (catalog, dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let (_, lost) = claim(&catalog, "a").await.unwrap();
        catalog.save_checkpoint(&lost, &json!({ "row": 7 })).await.unwrap();
        drop(catalog);

        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.reclaim(Timestamp::now()).await.unwrap(), 0, "the lease still holds");
        assert_eq!(catalog.reclaim(Timestamp::MAX).await.unwrap(), 1);
        let (job, hold) = claim(&catalog, "b").await.unwrap();
        assert_eq!((job.id, job.checkpoint, job.attempts), (id, Some(json!({ "row": 7 })), 2));

        // Who held it before comes back and changes nothing.
        let progress = Progress::default();
        assert!(matches!(catalog.renew(&lost, LEASE).await, Err(Error::LeaseLost { .. })));
        assert!(matches!(catalog.save_checkpoint(&lost, &json!(0)).await, Err(Error::LeaseLost { .. })));
        assert!(matches!(catalog.record_progress(&lost, &progress).await, Err(Error::LeaseLost { .. })));
        let late = catalog.finish(&lost, Ending::Succeeded(json!(0)), None).await;
        assert!(matches!(late, Err(Error::LeaseLost { .. })));
        catalog.finish(&hold, Ending::Succeeded(json!(1)), None).await.unwrap();
        assert_eq!(catalog.job(id).await.unwrap().result, Some(json!(1)));
    }

    #[tokio::test]
    async fn a_job_that_gets_nowhere_fails_in_the_end() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        for _ in 0..MAX_STALLS {
            claim(&catalog, "a").await.unwrap();
            catalog.reclaim(Timestamp::MAX).await.unwrap();
        }
        let job = catalog.job(id).await.unwrap();
        assert_eq!(job.state, JobState::Failed);
        assert!(job.error.unwrap().contains("5 times without getting further"));
    }

    #[tokio::test]
    async fn a_job_that_gets_further_may_crash_often() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        for done in 1..=u64::from(MAX_STALLS) * 3 {
            let (_, hold) = claim(&catalog, "a").await.unwrap();
            let progress = Progress { done, total: None, message: String::new() };
            catalog.record_progress(&hold, &progress).await.unwrap();
            catalog.reclaim(Timestamp::MAX).await.unwrap();
        }
        assert_eq!(catalog.job(id).await.unwrap().state, JobState::Queued);
    }

    #[tokio::test]
    async fn a_released_attempt_does_not_count() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        for _ in 0..MAX_STALLS * 2 {
            let (_, hold) = claim(&catalog, "a").await.unwrap();
            catalog.finish(&hold, Ending::Released, None).await.unwrap();
        }
        assert_eq!(catalog.job(id).await.unwrap().state, JobState::Queued);
    }

    #[tokio::test]
    async fn a_retry_waits() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let (_, hold) = claim(&catalog, "a").await.unwrap();
        let retry = |after| Ending::Retry { message: "no route to host".into(), after };
        catalog.finish(&hold, retry(Duration::from_secs(3600)), None).await.unwrap();
        assert!(claim(&catalog, "a").await.is_none());
        assert_eq!(catalog.job(id).await.unwrap().error.as_deref(), Some("no route to host"));
    }

    #[tokio::test]
    async fn cancelling() {
        let (catalog, _dir) = catalog().await;
        let waiting = enqueue(&catalog).await;
        assert_eq!(catalog.cancel(waiting).await.unwrap(), JobState::Cancelled);
        assert!(claim(&catalog, "a").await.is_none());

        let running = enqueue(&catalog).await;
        let (_, hold) = claim(&catalog, "a").await.unwrap();
        assert_eq!(catalog.cancel(running).await.unwrap(), JobState::Running);
        assert!(catalog.renew(&hold, LEASE).await.unwrap(), "the runner is told");
        let retry = Ending::Retry { message: "later".into(), after: Duration::ZERO };
        assert_eq!(catalog.finish(&hold, retry, None).await.unwrap(), JobState::Cancelled);
        assert_eq!(catalog.cancel(running).await.unwrap(), JobState::Cancelled);
        assert!(matches!(catalog.cancel(JobId::new()).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_finished_job_can_be_queued_again_unless_it_succeeded() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        assert!(matches!(catalog.requeue(id).await, Err(Error::JobState { .. })));
        catalog.cancel(id).await.unwrap();
        catalog.requeue(id).await.unwrap();
        let (_, hold) = claim(&catalog, "a").await.unwrap();
        catalog.finish(&hold, Ending::Succeeded(json!(null)), None).await.unwrap();
        assert!(matches!(catalog.requeue(id).await, Err(Error::JobState { .. })));
    }

    #[tokio::test]
    async fn jobs_are_listed_and_forgotten() {
        let (catalog, _dir) = catalog().await;
        let ids = [enqueue(&catalog).await, enqueue(&catalog).await, enqueue(&catalog).await];
        catalog.cancel(ids[1]).await.unwrap();
        let list = |filter: JobFilter, page| {
            let catalog = catalog.clone();
            async move { catalog.jobs(&filter, page).await.unwrap() }
        };
        let queued = JobFilter { state: Some(JobState::Queued), ..JobFilter::default() };
        let found = list(queued, Page::default()).await.items.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(found, [ids[2], ids[0]]);
        let first = list(JobFilter::default(), Page::first(2)).await;
        assert_eq!(first.next, Some(ids[1]));
        let rest = list(JobFilter::default(), Page::maybe_after(2, first.next)).await;
        assert_eq!(rest.items.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[0]]);

        assert_eq!(catalog.prune_jobs(Timestamp::MAX, 100).await.unwrap(), 1);
        assert!(matches!(catalog.job(ids[1]).await, Err(Error::NotFound { .. })));
        assert!(catalog.job_events(ids[1], 0).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn of_finished_jobs_the_newest_stay() {
        let (catalog, _dir) = catalog().await;
        let waiting = enqueue(&catalog).await;
        let mut finished = Vec::new();
        for _ in 0..5 {
            let id = enqueue(&catalog).await;
            catalog.cancel(id).await.unwrap();
            finished.push(id);
        }
        assert_eq!(catalog.prune_jobs(Timestamp::MIN, 5).await.unwrap(), 0);
        assert_eq!(catalog.prune_jobs(Timestamp::MIN, 2).await.unwrap(), 3);
        let left = catalog.jobs(&JobFilter::default(), Page::default()).await.unwrap();
        let left: Vec<_> = left.items.iter().map(|job| job.id).collect();
        assert_eq!(left, [finished[4], finished[3], waiting]);
    }

    #[tokio::test]
    async fn old_events_make_room() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let mut tx = catalog.db().begin("test").await.unwrap();
        for _ in 0..MAX_EVENTS + 50 {
            add_event(&mut tx, id, None, Some((1, None)), "").await.unwrap();
        }
        commit(tx, "test").await.unwrap();
        let events = catalog.job_events(id, 0).await.unwrap();
        assert_eq!((events.len() as u64, events[0].seq), (MAX_EVENTS, 52));
    }

    #[tokio::test]
    async fn work_that_comes_again_is_one_job() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        for _ in 0..2 {
            catalog.ensure_job(&kind(), project).await.unwrap();
        }
        let all = async || catalog.jobs(&JobFilter::default(), Page::default()).await.unwrap().items;
        assert_eq!(all().await.len(), 1);
        let later = Ending::Again { after: Duration::from_secs(3600) };
        for _ in 0..=MAX_STALLS {
            let (job, hold) = claim(&catalog, "a").await.expect("it waits");
            assert_eq!(catalog.finish(&hold, later.clone(), None).await.unwrap(), JobState::Queued);
            assert!(claim(&catalog, "a").await.is_none(), "not before an hour has passed");
            let job = catalog.job(job.id).await.unwrap();
            assert_eq!((job.state, job.error), (JobState::Queued, None));
            catalog.ensure_job(&kind(), project).await.unwrap();
        }
        let (job, hold) = claim(&catalog, "a").await.expect("it waits");
        catalog.cancel(job.id).await.unwrap();
        assert_eq!(catalog.finish(&hold, later, None).await.unwrap(), JobState::Cancelled);
        catalog.ensure_job(&kind(), project).await.unwrap();
        assert_eq!(all().await.len(), 2, "one that was cancelled is not begun again, another is");
    }

    #[tokio::test]
    async fn payloads_have_a_limit() {
        let (catalog, _dir) = catalog().await;
        let large = json!("x".repeat(MAX_PAYLOAD_BYTES));
        let refused = catalog.enqueue(&kind(), large, catalog.default_project().id).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })));
    }

    /// Anything that can be done to a job.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Claim,
        Cancel,
        Requeue,
        Reclaim,
        Succeed,
        Fail,
        Retry,
        Release,
    }

    fn step() -> impl Strategy<Value = Step> {
        use Step::*;
        prop::sample::select(vec![Claim, Claim, Claim, Cancel, Requeue, Reclaim, Succeed, Fail, Retry, Release])
    }

    async fn apply(catalog: &Catalog, id: JobId, step: Step, hold: &mut Option<Hold>) {
        let finish = |ending| {
            let (catalog, hold) = (catalog.clone(), hold.clone());
            async move {
                if let Some(hold) = hold {
                    let _ = catalog.finish(&hold, ending, None).await;
                }
            }
        };
        match step {
            Step::Claim => *hold = claim(catalog, "a").await.map(|(_, hold)| hold).or(hold.take()),
            Step::Cancel => drop(catalog.cancel(id).await.unwrap()),
            Step::Requeue => drop(catalog.requeue(id).await),
            Step::Reclaim => drop(catalog.reclaim(Timestamp::MAX).await.unwrap()),
            Step::Succeed => finish(Ending::Succeeded(json!(1))).await,
            Step::Fail => finish(Ending::Failed("broken".into())).await,
            Step::Retry => finish(Ending::Retry { message: "later".into(), after: Duration::ZERO }).await,
            Step::Release => finish(Ending::Released).await,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever is done, the job moves along the arrows only, and what it shows fits its state.
        #[test]
        fn only_the_arrows_are_taken(steps in prop::collection::vec(step(), 1..25)) {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let (catalog, _dir) = catalog().await;
                let id = enqueue(&catalog).await;
                let mut hold = None;
                for step in steps {
                    apply(&catalog, id, step, &mut hold).await;
                    let job = catalog.job(id).await.unwrap();
                    assert_eq!(job.finished.is_some(), job.state.is_finished());
                    assert_eq!(job.result.is_some(), job.state == JobState::Succeeded);
                    assert!(job.state != JobState::Failed || job.error.is_some());
                }
                let events = catalog.job_events(id, 0).await.unwrap();
                assert!(events.iter().enumerate().all(|(n, event)| event.seq == n as u64 + 1));
                for pair in states(&events).windows(2) {
                    assert!(pair[0].may_become(pair[1]), "{pair:?}");
                }
                assert_eq!(states(&events).last(), Some(&catalog.job(id).await.unwrap().state));
            });
        }
    }
}
