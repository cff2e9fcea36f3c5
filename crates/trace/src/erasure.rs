//! Erasing an end user: their spans, the scores of their traces, and their payloads, from one project.
//!
//! A row is the user's when it names them, or when it names nobody and belongs to a trace in which something names them:
//! instrumented programs often tell the user on the first span of a trace only. It is hidden at once and for good, which
//! is on disk before [`Eraser::erase`] returns; a job then takes it off the disk. Rows that come later are new, and stay.

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{JobId, ProjectId, ProjectName, Sha256Hex, TableName};
use qd_catalog::{Burial, Catalog, Handler, JobContext, JobError, JobFilter, JobKind, JobState, Page};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, Param, QueryLimits, TableSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::table::Rows;
use crate::{Error, Result};

/// The kind of the jobs that take erased rows off the disk.
pub const KIND: &str = "user.erase";
/// Traces of one user that are looked for at most: their names fit in memory.
const MOST_TRACES: usize = 20_000_000;
const QUERY_MEMORY_BYTES: usize = 512 << 20;
const QUERY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

/// Erases end users. Cheap to clone.
#[derive(Clone)]
pub struct Eraser {
    lake: Lake,
    catalog: Catalog,
    payloads: BlobStore,
}

/// What was hidden, and the job that takes it off the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Traces in which something named the user.
    pub traces: u64,
    /// Rows of all tables that are hidden now.
    pub rows: u64,
    /// The job; `None` when there was nothing of the user's.
    pub job: Option<JobId>,
}

/// What such a job is given: nothing of the user but a digest, by which who knows the name finds the job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Erased {
    /// The project.
    pub project: String,
    /// See [`digest`].
    pub user_sha256: Option<Sha256Hex>,
}

/// By what an erased user is called in the audit log and in jobs, where their name must not stay.
pub fn digest(user: &str) -> Sha256Hex {
    Sha256Hex::of(user.as_bytes())
}

impl Eraser {
    /// An eraser of a lake that was opened with [`crate::tables`], and of the payloads that its rows refer to.
    pub fn new(lake: Lake, catalog: Catalog, payloads: BlobStore) -> Self {
        Self { lake, catalog, payloads }
    }

    /// Hides all that there is of a user in a project, for good, and begins to take it off the disk.
    ///
    /// # Errors
    /// [`Error::Query`] when it could not be found or hidden: then nothing is. [`Error::Erasure`] when it is hidden and
    /// the job could not be begun: the next start of the program begins it.
    pub async fn erase(&self, project: &ProjectName, id: ProjectId, user: &str) -> Result<Erasure> {
        let found = self.find(project, user).await?;
        let (traces, rows) = (found.traces.len() as u64, found.rows);
        if rows == 0 {
            return Ok(Erasure { traces, rows, job: None });
        }
        let (subject, groups) = (user.to_owned(), found.traces);
        let burial = Burial { project: Some(project.to_string()), subject, groups, tables: theirs() };
        self.lake.bury(burial).await.map_err(|cause| Error::Query { operation: "erasing a user", cause })?;
        let erased = Erased { project: project.to_string(), user_sha256: Some(digest(user)) };
        let job = self.begin(id, &erased).await?;
        Ok(Erasure { traces, rows, job: Some(job) })
    }

    /// Begins again what an earlier process left: rows that are hidden and not yet off the disk.
    ///
    /// # Errors
    /// [`Error::Erasure`] when the catalog fails.
    pub async fn resume(&self) -> Result<()> {
        if !self.lake.is_purge_due(&theirs()) || self.is_under_way().await? {
            return Ok(());
        }
        let project = self.catalog.default_project();
        let erased = Erased { project: project.name.to_string(), user_sha256: None };
        self.begin(project.id, &erased).await.map(drop)
    }

    async fn is_under_way(&self) -> Result<bool> {
        for state in [JobState::Running, JobState::Queued] {
            let filter = JobFilter { project: None, kind: Some(kind()), state: Some(state) };
            if !self.catalog.jobs(&filter, Page::first(1)).await.map_err(Error::Erasure)?.items.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn begin(&self, project: ProjectId, erased: &Erased) -> Result<JobId> {
        self.catalog.enqueue(&kind(), json!(erased), project).await.map_err(Error::Erasure)
    }

    /// The user's traces, and how many rows are theirs.
    async fn find(&self, project: &ProjectName, user: &str) -> Result<Found> {
        let tables: Vec<Whose> = crate::tables().iter().filter_map(Whose::of).collect();
        let mut traces = std::collections::BTreeSet::new();
        for table in &tables {
            traces.extend(self.traces(table, project, user).await?);
        }
        let mut rows = 0;
        for table in &tables {
            rows += self.count(table, project, user).await?;
        }
        Ok(Found { traces: traces.into_iter().collect(), rows })
    }

    async fn traces(&self, table: &Whose, project: &ProjectName, user: &str) -> Result<Vec<String>> {
        let Some(group) = table.group else { return Ok(Vec::new()) };
        let (name, named) = (&table.name, table.named());
        let sql = format!("SELECT DISTINCT {group} AS trace_id FROM {name} WHERE {named} AND {group} IS NOT NULL");
        self.ask(&sql, project, user, |batch| {
            let traces = Rows::of(batch).text("trace_id")?;
            Ok((0..batch.num_rows()).filter_map(|row| traces.owned(row)).collect())
        })
        .await
    }

    /// Rows that name the user, and rows that name nobody in traces where a span or a row of the same table does.
    async fn count(&self, table: &Whose, project: &ProjectName, user: &str) -> Result<u64> {
        let (name, named) = (&table.name, table.named());
        let mut statements = vec![format!("SELECT count(*) AS found FROM {name} WHERE {named}")];
        if let Some(group) = table.group {
            let (subject, project) = (table.subject, table.project);
            statements.push(format!(
                "SELECT count(*) AS found FROM {name} WHERE {project} = $1 AND {subject} IS NULL AND {group} IN \
                 (SELECT trace_id FROM spans WHERE project = $1 AND user_id = $2 UNION SELECT {group} FROM {name} WHERE {named})"
            ));
        }
        let mut found = 0;
        for sql in statements {
            let counts = self.ask(&sql, project, user, |batch| {
                let counts = Rows::of(batch).number("found")?;
                Ok(counts.values().iter().map(|count| count.unsigned_abs()).collect())
            });
            found += counts.await?.into_iter().sum::<u64>();
        }
        Ok(found)
    }

    async fn ask<T>(
        &self,
        sql: &str,
        project: &ProjectName,
        user: &str,
        read: fn(&arrow::array::RecordBatch) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let limits = QueryLimits { timeout: QUERY_TIMEOUT, memory_bytes: QUERY_MEMORY_BYTES, max_rows: MOST_TRACES };
        let params = vec![Param::from(project.as_str()), Param::from(user)];
        // Also what retention hides: it is on disk, and is seen again where rows are kept for longer again.
        let output = self.lake.query_with_old(sql, params, limits).await;
        let output = output.map_err(|cause| Error::Query { operation: "looking for a user's rows", cause })?;
        let parts = output.batches.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// What is to be erased.
struct Found {
    traces: Vec<String>,
    rows: u64,
}

/// A table whose rows belong to users, and the columns that tell to whom.
struct Whose {
    name: String,
    subject: &'static str,
    project: &'static str,
    group: Option<&'static str>,
}

impl Whose {
    fn of(spec: &TableSpec) -> Option<Self> {
        let (subject, project) = (spec.subject_column?, spec.project_column?);
        Some(Self { name: spec.name.to_string(), subject, project, group: spec.group_column })
    }

    fn named(&self) -> String {
        format!("{} = $1 AND {} = $2", self.project, self.subject)
    }
}

/// The tables whose rows belong to users. Other rooms have tables whose subjects are something else.
fn theirs() -> Vec<TableName> {
    crate::tables().into_iter().filter(|spec| spec.subject_column.is_some()).map(|spec| spec.name).collect()
}

fn kind() -> JobKind {
    KIND.parse().expect("the word is a kind of job")
}

/// Runs `user.erase` jobs: all that is hidden for good leaves the disk, whoever's it was. One that is begun again goes on
/// with what is left.
#[derive(Clone)]
pub struct EraseHandler(Eraser);

impl EraseHandler {
    /// A handler that takes off the disk what `eraser` hid.
    pub fn new(eraser: Eraser) -> Self {
        Self(eraser)
    }

    async fn run(self, context: JobContext) -> Result<Value, JobError> {
        let Self(Eraser { lake, payloads, .. }) = self;
        let told = context.clone();
        let report = move |done, all| told.progress(done, Some(all), "looking through segments");
        let purged = lake.purge(&theirs(), context.token(), report).await.map_err(|error| JobError::failed(&error))?;
        if context.cancelled() {
            return Err(JobError::Cancelled);
        }
        context.progress(0, None, "removing payloads that no row refers to");
        let swept = crate::retention::sweep(&lake, &payloads).await.map_err(|error| JobError::failed(&error))?;
        Ok(
            json!({"quarantined_removed": purged.quarantined, "payloads_removed": swept.blobs, "payload_bytes": swept.bytes}),
        )
    }
}

impl Handler for EraseHandler {
    fn kind(&self) -> JobKind {
        kind()
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().run(context).boxed()
    }
}
