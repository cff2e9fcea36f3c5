//! Rows added, replaced and removed by hand: a new version out of the latest.
//!
//! Rows that only come to others are another file beside those of the latest version, so that ten rows more cost ten rows. Anything else,
//! and columns whose type has to change, writes all rows anew: at once when these are few, else as a job, which also whoever finds the
//! dataset busy waits for. A version is kept only if the one that it was made of is still the latest, so that of two who change
//! the same version none loses the other's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{ArtifactName, JobId, ProjectId};
use qd_catalog::{Handler, JobContext, JobError, JobKind, Page, VersionInfo};
use qd_lake::Writing;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::check::{BadRows, Place};
use crate::column::{Column, ColumnType, ROW_ID, Role, check_roles, guess};
use crate::dataset::{Dataset, Datasets, blocking};
use crate::encode::ids;
use crate::profile::Profile;
use crate::upload::{UploadId, forget};
use crate::value::{EXACT_IN_DOUBLE, fit, key_of};
use crate::version::{Content, Origin, Part, id_column};
use crate::write::{Ids, Repeats, Writer};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "dataset.edit";

/// Rows that one edit adds or replaces at most.
pub const MAX_ROWS: usize = 10_000;
/// Rows that one edit removes at most.
pub const MAX_REMOVED: usize = 100_000;
/// As many rows, and as large files, are written anew while somebody waits for the answer; more are a job. 40,000 rows take a second.
pub const ROWS_AT_ONCE: u64 = 20_000;
/// See [`ROWS_AT_ONCE`].
pub const BYTES_AT_ONCE: u64 = 8 << 20;
/// So long a dataset that somebody else changes is waited for; then the change becomes a job.
const PATIENCE: Duration = Duration::from_secs(5);
/// So often a change that names no version is made again when another came first.
const TRIES: usize = 3;
/// How an edit calls itself where bad rows are told.
const FILE: &str = "rows";

/// What is to be changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Edit {
    /// The number of the version that it was thought of; when that is not the latest any more, nothing is changed.
    pub base: Option<u32>,
    /// Rows that come after those that are there.
    pub add: Vec<Map<String, Value>>,
    /// Rows in place of those with these identifiers.
    pub replace: BTreeMap<String, Map<String, Value>>,
    /// Identifiers of rows that go.
    pub remove: BTreeSet<String>,
    /// What columns are for, where that is new.
    pub roles: BTreeMap<String, Role>,
}

impl Edit {
    /// How many rows it replaces, and how many it removes.
    fn touched(&self) -> (u64, u64) {
        (self.replace.len() as u64, self.remove.len() as u64)
    }
}

/// What a change came to.
#[derive(Debug, Clone)]
pub struct Edited {
    /// The version.
    pub version: VersionInfo,
    /// How many rows it has.
    pub rows: u64,
    /// Rows that were added.
    pub added: u64,
    /// Rows that were not added since they are there.
    pub known: u64,
    /// Rows that others took the place of.
    pub replaced: u64,
    /// Rows that went.
    pub removed: u64,
}

impl Edited {
    /// As a job tells it.
    pub fn told(&self) -> Value {
        let Self { version, rows, added, known, replaced, removed } = self;
        json!({
            "dataset": version.name, "version": version.number, "rows": rows,
            "added": added, "known": known, "replaced": replaced, "removed": removed,
        })
    }
}

/// Whether a change is made.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is.
    Edited(Edited),
    /// A job makes it.
    Queued(JobId),
}

/// An edit as it waits for its job: how it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub edit: Edit,
    pub known: Known,
    /// Which recorded calls were wanted, when the rows are such.
    pub wanted: Option<Value>,
}

impl Asked {
    fn origin(&self, changed: &Changed, job: Option<JobId>) -> Origin {
        let Changed { added, known, .. } = *changed;
        match &self.wanted {
            Some(wanted) => Origin::Traces { wanted: wanted.clone(), added, known, job },
            None => {
                let (replaced, removed) = self.edit.touched();
                Origin::Edit { added, replaced, removed, job }
            }
        }
    }
}

/// What a job is given. The edit itself lies beside the uploads, since it may be larger than a job's payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EditRequest {
    /// The dataset.
    pub dataset: ArtifactName,
    /// The file that holds the edit.
    pub upload: UploadId,
    /// The latest version when it was asked for: what the job made is newer.
    pub seen: Option<u32>,
}

/// Who makes a change, hears of it and ends it.
#[derive(Clone)]
pub(crate) struct Pace {
    /// The job that makes it; without one it may not take long.
    pub job: Option<JobId>,
    pub report: Arc<dyn Fn(u64, u64) + Send + Sync>,
    pub stop: CancellationToken,
}

impl Pace {
    fn at_once() -> Self {
        Self { job: None, report: Arc::new(|_, _| {}), stop: CancellationToken::new() }
    }
}

impl Datasets {
    /// Changes a dataset, or begins one with the rows that are added. What takes long is queued as a job; what is wrong with
    /// the request is told at once all the same, and what is wrong with its rows by the job.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the latest version is another than thought, [`Error::Rows`] for rows that cannot be part of it,
    /// [`Error::Missing`] for a row to be replaced or removed that is not there.
    pub async fn edit(&self, project: ProjectId, name: &ArtifactName, edit: Edit) -> Result<Outcome> {
        check_size(&edit)?;
        self.now_or_later(project, name, Asked { edit, known: Known::Refused, wanted: None }).await
    }

    /// Makes the change, or queues it when that takes long.
    pub(crate) async fn now_or_later(&self, project: ProjectId, name: &ArtifactName, asked: Asked) -> Result<Outcome> {
        if let Ok(only) = tokio::time::timeout(PATIENCE, self.alone(project, name)).await {
            if let Some(edited) = self.attempts(project, name, &asked, &Pace::at_once()).await? {
                return Ok(Outcome::Edited(edited));
            }
            drop(only);
        }
        let latest = self.latest(project, name).await?;
        check_base(name, latest.as_ref(), asked.edit.base)?;
        let seen = latest.map(|latest| latest.info().number);
        let bytes = serde_json::to_vec(&asked).map_err(|cause| Error::invalid("rows", cause.to_string()))?;
        let upload = self.uploads.keep(project, bytes).await?;
        let request = EditRequest { dataset: name.clone(), upload, seen };
        let kind: JobKind = KIND.parse().map_err(Error::catalog("naming the job"))?;
        let payload = serde_json::to_value(&request).map_err(|cause| Error::invalid("request", cause.to_string()))?;
        let queued = self.catalog.enqueue(&kind, payload, project).await;
        if queued.is_err() {
            self.uploads.remove(project, upload)?;
        }
        queued.map(Outcome::Queued).map_err(Error::catalog("queueing a change"))
    }

    /// Makes a change that was queued, unless a process that died had made it already.
    pub(crate) async fn edit_as_job(
        &self,
        project: ProjectId,
        job: JobId,
        request: &EditRequest,
        pace: &Pace,
    ) -> Result<Edited> {
        let name = &request.dataset;
        if let Some(made) = self.made_by(project, request, job).await? {
            return Ok(made);
        }
        let (path, upload) = (self.uploads.path(project, request.upload), request.upload);
        let read = move || {
            let bytes = std::fs::read(&path).map_err(Error::disk("reading", &path))?;
            let unread = |cause: serde_json::Error| Error::File { file: upload.to_string(), why: cause.to_string() };
            serde_json::from_slice::<Asked>(&bytes).map_err(unread)
        };
        let asked = blocking("reading a change", read).await?;
        let _only = tokio::select! {
            () = pace.stop.cancelled() => return Err(Error::Cancelled),
            only = self.alone(project, name) => only,
        };
        if request.seen.is_some() && self.latest(project, name).await?.is_none() {
            return Err(Error::Missing { what: "dataset", name: name.to_string() });
        }
        let edited = self.attempts(project, name, &asked, pace).await?;
        edited.ok_or(Error::Broken { operation: "changing a dataset" })
    }

    /// The version that a job made, if it did: it may have died before it could tell.
    async fn made_by(&self, project: ProjectId, request: &EditRequest, job: JobId) -> Result<Option<Edited>> {
        let mut page = Page::first(100);
        loop {
            let versions = self.catalog.versions(project, crate::dataset::KIND, &request.dataset, page).await;
            let versions = versions.map_err(Error::catalog("looking for what a job made"))?;
            for info in versions.items {
                if request.seen.is_some_and(|seen| info.number <= seen) {
                    return Ok(None);
                }
                let (added, known, replaced, removed) = match Origin::deserialize(&info.metadata) {
                    Ok(Origin::Edit { added, replaced, removed, job: Some(by) }) if by == job => {
                        (added, 0, replaced, removed)
                    }
                    Ok(Origin::Traces { added, known, job: Some(by), .. }) if by == job => (added, known, 0, 0),
                    _ => continue,
                };
                let rows = self.open_id(info.id).await?.len();
                return Ok(Some(Edited { version: info, rows, added, known, replaced, removed }));
            }
            let Some(next) = versions.next else { return Ok(None) };
            page = Page::after(100, next);
        }
    }

    /// Makes a version of the latest one and an edit, again when another came first and the edit named no version. `None` when
    /// it would take long and no job does it. The caller is alone with the dataset, so this is rare.
    async fn attempts(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        asked: &Asked,
        pace: &Pace,
    ) -> Result<Option<Edited>> {
        for left in (0..TRIES).rev() {
            let latest = self.latest(project, name).await?;
            check_base(name, latest.as_ref(), asked.edit.base)?;
            if latest.is_none() && asked.edit.add.is_empty() {
                return Err(Error::Missing { what: "dataset", name: name.to_string() });
            }
            match self.change(project, name, latest, asked, pace).await {
                Err(Error::Catalog { cause: qd_catalog::Error::Moved { .. }, .. })
                    if left > 0 && asked.edit.base.is_none() => {}
                edited => return edited,
            }
        }
        Err(Error::Broken { operation: "changing a dataset" })
    }

    async fn change(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        latest: Option<Dataset>,
        asked: &Asked,
        pace: &Pace,
    ) -> Result<Option<Edited>> {
        let (datasets, base, edit, known) = (self.clone(), latest.clone(), asked.edit.clone(), asked.known);
        let its = pace.clone();
        let work = move || {
            let change = Change::new(&datasets, base.as_ref(), edit, known)?;
            if its.job.is_none() && change.takes_long() {
                return Ok(None);
            }
            let writing = datasets.files.writing();
            let changed = change.run(&writing, &its)?;
            Ok(Some((changed, writing)))
        };
        let Some((changed, writing)) = self.behind("changing a dataset", work).await? else { return Ok(None) };
        let origin = asked.origin(&changed, pace.job);
        let Changed { content, added, known } = changed;
        let version = self.put_after(project, name, latest.as_ref(), &content, &origin, writing).await?;
        let (replaced, removed) = asked.edit.touched();
        Ok(Some(Edited { version, rows: content.rows, added, known, replaced, removed }))
    }
}

fn check_size(edit: &Edit) -> Result<()> {
    if edit.add.len() + edit.replace.len() > MAX_ROWS {
        return Err(Error::TooLarge { what: "rows to be added and replaced at once", limit: MAX_ROWS.to_string() });
    }
    if edit.remove.len() > MAX_REMOVED {
        return Err(Error::TooLarge { what: "rows to be removed at once", limit: MAX_REMOVED.to_string() });
    }
    if edit.add.is_empty() && edit.replace.is_empty() && edit.remove.is_empty() && edit.roles.is_empty() {
        return Err(Error::invalid("rows", "there is nothing to change: give rows to add, replace or remove"));
    }
    match edit.replace.keys().find(|id| edit.remove.contains(*id)) {
        Some(id) => Err(Error::invalid("rows", format!("the row {id:?} cannot be both replaced and removed"))),
        None => Ok(()),
    }
}

fn check_base(name: &ArtifactName, latest: Option<&Dataset>, base: Option<u32>) -> Result<()> {
    let number = latest.map_or(0, |latest| latest.info().number);
    match base {
        Some(base) if base != number => {
            let message = format!("the latest version of {name} is {number}, not {base}; look at it and change that");
            Err(Error::Conflict { message })
        }
        _ => Ok(()),
    }
}

/// What becomes of a row to be added whose identifier is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Known {
    /// It is an error.
    Refused,
    /// It is not added again.
    Kept,
}

/// A change under way.
struct Change<'a> {
    datasets: &'a Datasets,
    base: Option<&'a Dataset>,
    edit: Edit,
    known: Known,
    columns: Vec<Column>,
    /// Whether rows that are there can stay in the files that they are in.
    keeps_files: bool,
}

/// What a change came to.
struct Changed {
    content: Content,
    added: u64,
    known: u64,
}

impl<'a> Change<'a> {
    fn new(datasets: &'a Datasets, base: Option<&'a Dataset>, edit: Edit, known: Known) -> Result<Self> {
        let before = base.map_or(&[][..], Dataset::columns);
        let mut columns = columns(before, &edit)?;
        if let Some(base) = base {
            keep_wide(base, &mut columns)?;
        }
        let same = before.iter().all(|old| columns.iter().any(|new| new.name == old.name && new.kind == old.kind));
        let keeps_files = same
            && id_column(before) == id_column(&columns)
            && edit.replace.is_empty()
            && edit.remove.is_empty()
            && base.is_some_and(Dataset::has_room);
        Ok(Self { datasets, base, edit, known, columns, keeps_files })
    }

    /// Whether more rows are written anew than somebody waits for.
    fn takes_long(&self) -> bool {
        let is_large = |base: &Dataset| base.len() > ROWS_AT_ONCE || base.content().bytes > BYTES_AT_ONCE;
        !self.keeps_files && self.base.is_some_and(is_large)
    }

    fn run(mut self, writing: &Writing, pace: &Pace) -> Result<Changed> {
        let (mut repeats, mut known_ids) = self.known_rows()?;
        self.check_ids(&known_ids)?;
        let before = self.edit.add.len();
        if self.known == Known::Kept {
            self.leave_out(&known_ids);
        }
        let (added, known) = (self.edit.add.len() as u64, (before - self.edit.add.len()) as u64);
        let mut files: Vec<Part> = Vec::new();
        if let Some(base) = self.base.filter(|_| self.keeps_files) {
            files.extend(&base.content().files);
        } else {
            (repeats, known_ids) = (Repeats::default(), Ids::default());
        }
        let adds = !self.edit.add.is_empty() || !self.keeps_files;
        if adds {
            let mut writer = Writer::new(&self.datasets.files, &self.columns, repeats, known_ids)?;
            if !self.keeps_files {
                self.rewrite(&mut writer, pace)?;
            }
            for (number, row) in (1..).zip(&self.edit.add) {
                let fitted = fitted(&self.columns, row).map_err(|why| bad(Place::row(number), &why))?;
                writer.push(&fitted, FILE, Place::row(number))?;
            }
            files.push(writer.finish(writing)?);
        }
        let sum = |of: fn(&Part) -> u64| files.iter().map(of).sum::<u64>();
        let (rows, bytes) = (sum(|part| part.rows), sum(|part| part.bytes));
        if rows > crate::version::MAX_ROWS {
            return Err(Error::TooLarge { what: "rows", limit: crate::version::MAX_ROWS.to_string() });
        }
        Ok(Changed { content: Content { columns: self.columns, rows, bytes, files }, added, known })
    }

    /// The identifiers of the rows that are there, by how they can be looked up.
    fn known_rows(&self) -> Result<(Repeats, Ids)> {
        let (mut repeats, mut known) = (Repeats::default(), Ids::default());
        let Some(base) = self.base else { return Ok((repeats, known)) };
        let own = id_column(base.columns()).is_some();
        let mut missing: BTreeSet<&str> =
            self.edit.replace.keys().chain(&self.edit.remove).map(String::as_str).collect();
        for batch in base.batches(vec![0..u64::MAX], Some(&[ROW_ID])) {
            for id in ids(&batch?)?.iter().flatten() {
                if !own {
                    repeats.note(id);
                }
                if self.keeps_id() && !self.edit.remove.contains(id) {
                    known.note(id);
                }
                missing.remove(id);
            }
        }
        if missing.is_empty() { Ok((repeats, known)) } else { Err(not_there(&missing)) }
    }

    /// Whether rows are identified by the column that identified them before.
    fn keeps_id(&self) -> bool {
        let before = self.base.and_then(|base| id_column(base.columns()));
        before.is_some() && before == id_column(&self.columns)
    }

    /// The identifier that a row has in the version that is made.
    fn id_of(&self, row: &Map<String, Value>) -> Option<String> {
        let column = self.columns.iter().find(|column| column.role == Role::Id)?;
        fit(row.get(&column.name), column.kind, false).ok().flatten().as_ref().map(key_of)
    }

    /// Rows that are added or replaced have identifiers, where the dataset has them, that no other row has.
    fn check_ids(&self, known: &Ids) -> Result<()> {
        let Some(column) = id_column(&self.columns) else { return Ok(()) };
        let of = (self.edit.add.len() + self.edit.replace.len()) as u64;
        let (mut seen, mut bad) = (Ids::default(), BadRows { of, ..BadRows::default() });
        for (number, row) in (1..).zip(&self.edit.add) {
            let again = || match self.id_of(row).filter(|id| self.known == Known::Refused && known.has(id)) {
                Some(id) => Err(format!("its id {id:?} is that of a row that is there")),
                None => Ok(()),
            };
            if let Err(why) = seen.see(row.get(column), Place::row(number)).and_then(|()| again()) {
                bad.add(FILE, Place::row(number), &why);
            }
        }
        for (id, row) in self.edit.replace.iter().filter(|_| self.keeps_id()) {
            let why = match self.id_of(row) {
                Some(own) if own == *id => continue,
                Some(own) => format!("it has another {column}, {own:?}"),
                None => format!("it has no {column}"),
            };
            bad.add(FILE, Place::nowhere(), &replacing(id, &why));
        }
        if bad.count == 0 { Ok(()) } else { Err(Error::Rows(bad)) }
    }

    fn leave_out(&mut self, known: &Ids) {
        let mut add = std::mem::take(&mut self.edit.add);
        add.retain(|row| self.id_of(row).is_none_or(|id| !known.has(&id)));
        self.edit.add = add;
    }

    /// Writes the rows that are there with what the edit does to them.
    fn rewrite(&self, writer: &mut Writer<'_>, pace: &Pace) -> Result<()> {
        let Some(base) = self.base else { return Ok(()) };
        let mut at = 0;
        for batch in base.batches(vec![0..u64::MAX], None) {
            if pace.stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            (pace.report)(at, base.len());
            let batch = batch?;
            let count = batch.num_rows() as u64;
            for row in crate::encode::decode(base.columns(), &batch, at..at + count)? {
                if self.edit.remove.contains(&row.id) {
                    continue;
                }
                let fitted = match self.edit.replace.get(&row.id) {
                    Some(other) => {
                        fitted(&self.columns, other).map_err(|why| bad(Place::nowhere(), &replacing(&row.id, &why)))?
                    }
                    None => fitted(&self.columns, &row.values).map_err(|why| bad(Place::row(row.index + 1), &why))?,
                };
                writer.push(&fitted, FILE, Place::row(row.index + 1))?;
            }
            at += count;
        }
        (pace.report)(base.len(), base.len());
        Ok(())
    }
}

fn bad(row: Place, why: &str) -> Error {
    let mut rows = BadRows { of: 1, ..BadRows::default() };
    rows.add(FILE, row, why);
    Error::Rows(rows)
}

/// What is wrong with a row that replaces another: it has no number, so it is told by the identifier.
fn replacing(id: &str, why: &str) -> String {
    format!("what replaces the row {id:?}: {why}")
}

/// Rows that an edit names and that are not there, the first ones.
fn not_there(ids: &BTreeSet<&str>) -> Error {
    const TOLD: usize = 20;
    let told: Vec<_> = ids.iter().take(TOLD).copied().collect();
    let more = match ids.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::Missing { what: "row", name: told.join(", ") + &more }
}

fn fitted(columns: &[Column], row: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut fitted = Map::new();
    for column in columns {
        if let Some(value) = fit(row.get(&column.name), column.kind, false)? {
            fitted.insert(column.name.clone(), value);
        }
    }
    Ok(fitted)
}

/// The columns of the version that an edit makes: those that were, as wide as the new values need, and then new ones.
fn columns(before: &[Column], edit: &Edit) -> Result<Vec<Column>> {
    let of = (edit.add.len() + edit.replace.len()) as u64;
    let (mut profile, mut bad) = (Profile::default(), BadRows { of, ..BadRows::default() });
    let mut look = |row: &Map<String, Value>| match row.is_empty() {
        true => Err("it is an object without fields".to_owned()),
        false => profile.see(row),
    };
    for (number, row) in (1..).zip(&edit.add) {
        if let Err(why) = look(row) {
            bad.add(FILE, Place::row(number), &why);
        }
    }
    for (id, row) in &edit.replace {
        if let Err(why) = look(row) {
            bad.add(FILE, Place::nowhere(), &replacing(id, &why));
        }
    }
    if bad.count > 0 {
        return Err(Error::Rows(bad));
    }
    let mut columns = before.to_vec();
    let seen = profile.columns();
    for column in &mut columns {
        let found = seen.iter().find(|(name, seen)| *name == column.name && !seen.is_empty());
        column.kind = found.map_or(column.kind, |(_, seen)| match wider(column.kind, seen.kind(false)) {
            ColumnType::Number if seen.has_wide() => ColumnType::Json,
            kind => kind,
        });
    }
    let new: Vec<_> = seen.iter().filter(|(name, _)| before.iter().all(|column| column.name != *name)).collect();
    let names: Vec<_> = new.iter().map(|(name, _)| name.as_str()).collect();
    let taken: Vec<_> = before.iter().map(|column| column.role).chain(edit.roles.values().copied()).collect();
    let may = |at: usize, role| match role {
        Role::Messages => new[at].1.is_conversation(),
        // Rows that are there have none.
        Role::Id => before.is_empty() && edit.roles.is_empty(),
        _ => true,
    };
    let roles = guess(&names, &taken, may);
    columns.extend(new.iter().zip(roles).map(|((name, seen), role)| Column {
        name: name.clone(),
        kind: seen.kind(false),
        role,
    }));
    for (name, role) in &edit.roles {
        match columns.iter_mut().find(|column| column.name == *name) {
            Some(column) => column.role = *role,
            None => return Err(Error::invalid("roles", format!("there is no column {name:?}"))),
        }
    }
    if columns.len() > crate::column::MAX_COLUMNS {
        return Err(Error::TooLarge { what: "columns", limit: crate::column::MAX_COLUMNS.to_string() });
    }
    check_roles(&columns)?;
    Ok(columns)
}

/// Whole numbers that double precision would change keep a column from becoming one of fractions: it holds JSON then.
fn keep_wide(base: &Dataset, columns: &mut [Column]) -> Result<()> {
    for column in columns.iter_mut().filter(|column| column.kind == ColumnType::Number) {
        let was_whole = base.columns().iter().any(|old| old.name == column.name && old.kind == ColumnType::Integer);
        if was_whole && has_wide(base, &column.name)? {
            column.kind = ColumnType::Json;
        }
    }
    Ok(())
}

fn has_wide(base: &Dataset, column: &str) -> Result<bool> {
    for batch in base.batches(vec![0..u64::MAX], Some(&[column])) {
        let batch = batch?;
        let numbers = batch.column_by_name(column).and_then(|array| array.as_primitive_opt::<Int64Type>());
        if numbers.is_some_and(|all| all.iter().flatten().any(|n| n.unsigned_abs() > EXACT_IN_DOUBLE)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The type that holds values of both.
fn wider(old: ColumnType, new: ColumnType) -> ColumnType {
    use ColumnType::{Integer, Json, Number};
    match (old, new) {
        (old, new) if old == new => old,
        (Number, Integer) | (Integer, Number) => Number,
        _ => Json,
    }
}

/// Runs `dataset.edit` jobs; their result is that of an edit.
#[derive(Clone)]
pub struct EditHandler {
    datasets: Datasets,
}

impl EditHandler {
    /// A handler that changes `datasets`.
    pub fn new(datasets: Datasets) -> Self {
        Self { datasets }
    }

    async fn edit(self, context: JobContext) -> Result<Value, JobError> {
        let request: EditRequest = context.payload()?;
        let (told, project, job) = (context.clone(), context.project(), context.job().id);
        let report = Arc::new(move |done, total| told.progress(done, Some(total), "writing rows"));
        let pace = Pace { job: Some(job), report, stop: context.token().clone() };
        let edited = self.datasets.edit_as_job(project, job, &request, &pace).await;
        tokio::spawn(forget(self.datasets, job, project, vec![request.upload]));
        match edited {
            Ok(edited) => Ok(edited.told()),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for EditHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().edit(context).boxed()
    }
}
