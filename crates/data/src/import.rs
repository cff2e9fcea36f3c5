//! Importing files from elsewhere, as a durable job.
//!
//! The files are read twice. The first time every row is looked at: what is wrong with it, and what its columns hold. Only when
//! all rows are good, or the bad ones are to be left out, they are read again and written as one file of the lake, and only
//! when that is on disk a version names it. So there is no half dataset at any moment, a process that is killed leaves a
//! temporary file which the next start removes, and no more than a batch of rows is ever in memory.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{ArtifactName, JobId, ProjectId};
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::check::{BadRow, BadRows, MAX_BAD, Place};
use crate::column::{Column, ColumnType, Role, check_roles, guess};
use crate::dataset::{Datasets, blocking};
use crate::layout::{self, Wanted, choose};
use crate::profile::{Profile, is_message};
use crate::read::{Format, Input};
use crate::upload::{UploadId, forget};
use crate::value::fit;
use crate::version::{Content, MAX_ROWS, MAX_SOURCES, Origin, Source};
use crate::write::{Ids, Repeats, Writer};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "dataset.import";

/// After so many bytes without news there are some.
const TELL_BYTES: u64 = 4 << 20;
/// The longest text of where files come from.
const LONGEST_SOURCE_CHARS: usize = 500;
/// The column that tells the split of a row, when files of several are imported.
const SPLIT: &str = "split";

/// What is to be imported, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The dataset, which comes to be when there is none; else it gets another version.
    pub dataset: ArtifactName,
    /// The files.
    pub files: Vec<ImportFile>,
    /// What all of them are; told by each file's name and beginning when absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// The field of a JSON document that holds the rows; the first array of objects when absent.
    #[serde(default)]
    pub field: Option<String>,
    /// The README of a folder of the Hugging Face hub, or its front matter.
    #[serde(default)]
    pub readme: Option<String>,
    /// The configuration of such a folder.
    #[serde(default)]
    pub config: Option<String>,
    /// Only the files of this split.
    #[serde(default)]
    pub split: Option<String>,
    /// Where the files come from, as whoever sends them says: `hub:openai/gsm8k@COMMIT`. It is noted with the version.
    #[serde(default)]
    pub source: Option<String>,
    /// What columns are for; guessed from their names for those that are not told.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// What columns hold; found out for those that are not told.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// Whether bad rows are left out. Otherwise one is enough that nothing is imported.
    #[serde(default)]
    pub skip_bad: bool,
    /// Whether the files are looked at only: no version comes to be, and the uploads stay.
    #[serde(default)]
    pub check: bool,
}

/// A file that was uploaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportFile {
    /// The upload.
    pub upload: UploadId,
    /// Its path within the folder that it comes from, or its name.
    pub path: String,
    /// How large it is, so that one which did not come whole is not imported.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// What came of an import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Imported {
    /// The dataset.
    pub dataset: ArtifactName,
    /// Its new version, or the latest when that has the very same rows.
    pub version: u32,
    /// How many rows it has.
    pub rows: u64,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Bad rows that were left out.
    pub skipped: u64,
    /// The first of them.
    pub bad: Vec<BadRow>,
    /// What a person should know about how the files were read.
    pub notes: Vec<String>,
}

/// What an import of these files would come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// Rows that can be imported.
    pub rows: u64,
    /// The columns, with what they would be for.
    pub columns: Vec<Column>,
    /// Rows that cannot.
    pub bad_count: u64,
    /// The first of them.
    pub bad: Vec<BadRow>,
    /// What a person should know about how the files were read.
    pub notes: Vec<String>,
}

impl Datasets {
    /// Queues an import. What can be found wrong without reading the files is told at once.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Missing`] for an upload that is not there, [`Error::Catalog`].
    pub async fn begin_import(&self, project: ProjectId, mut request: ImportRequest) -> Result<JobId> {
        if request.files.is_empty() || request.files.len() > layout::MAX_FILES {
            let why = format!(
                "{} were given; between 1 and {} can be imported at once",
                request.files.len(),
                layout::MAX_FILES
            );
            return Err(Error::invalid("files", why));
        }
        let fits =
            |source: &String| source.chars().count() <= LONGEST_SOURCE_CHARS && !source.chars().any(char::is_control);
        if !request.source.iter().all(fits) {
            let why = format!("it is one line of at most {LONGEST_SOURCE_CHARS} characters");
            return Err(Error::invalid("source", why));
        }
        for file in &mut request.files {
            let found = self.uploads.bytes(project, file.upload)?;
            match file.bytes {
                Some(expected) if expected != found => {
                    let message = format!("{} has {expected} bytes, of which {found} were uploaded", file.path);
                    return Err(Error::Conflict { message });
                }
                _ => file.bytes = Some(found),
            }
        }
        let (uploads, asked) = (self.uploads.clone(), request.clone());
        let check = move || {
            chosen(&asked)?;
            // Nobody sends again what is acknowledged here.
            asked.files.iter().try_for_each(|file| uploads.sync(project, file.upload))
        };
        blocking("checking an import", check).await?;
        let given: Vec<_> = request.roles.iter().map(|(name, role)| column(name, ColumnType::Text, *role)).collect();
        check_roles(&given)?;
        let kind: JobKind = KIND.parse().map_err(Error::catalog("naming the job"))?;
        let payload = serde_json::to_value(&request).map_err(|cause| Error::invalid("request", cause.to_string()))?;
        self.catalog.enqueue(&kind, payload, project).await.map_err(Error::catalog("queueing an import"))
    }

    /// Reads the files of an import into a version.
    ///
    /// # Errors
    /// [`Error::Rows`] with all rows that are bad, [`Error::File`], [`Error::Invalid`]; then there is no version.
    pub async fn import(
        &self,
        project: ProjectId,
        request: ImportRequest,
        report: impl Fn(u64, u64, String) + Send + Sync + 'static,
        stop: CancellationToken,
    ) -> Result<Imported> {
        let (datasets, asked) = (self.clone(), request.clone());
        let read = move || {
            let writing = datasets.files.writing();
            let work = Work::new(&datasets, project, &asked, &report, &stop)?;
            work.run(&writing).map(|read| (read, writing))
        };
        let (read, writing) = self.behind("importing rows", read).await?;
        let Read { content, origin, skipped, bad, notes } = read;
        let _only = self.alone(project, &request.dataset).await;
        let version = self.put(project, &request.dataset, &content, &origin, &[], writing).await?;
        let Content { rows, columns, .. } = content;
        Ok(Imported { dataset: request.dataset, version: version.number, rows, columns, skipped, bad, notes })
    }

    /// Reads the files of an import and tells what would come of it.
    ///
    /// # Errors
    /// As [`Datasets::import`], but for rows that are bad.
    pub async fn check_import(
        &self,
        project: ProjectId,
        request: ImportRequest,
        report: impl Fn(u64, u64, String) + Send + Sync + 'static,
        stop: CancellationToken,
    ) -> Result<Checked> {
        let datasets = self.clone();
        let read = move || Work::new(&datasets, project, &request, &report, &stop)?.check_all();
        self.behind("checking files", read).await
    }
}

fn column(name: &str, kind: ColumnType, role: Role) -> Column {
    Column { name: name.to_owned(), kind, role }
}

fn chosen(request: &ImportRequest) -> Result<Vec<layout::Chosen>> {
    let paths: Vec<_> = request.files.iter().map(|file| file.path.as_str()).collect();
    let wanted = Wanted {
        readme: request.readme.as_deref(),
        config: request.config.as_deref(),
        split: request.split.as_deref(),
    };
    choose(&paths, &wanted)
}

/// What the files came to.
struct Read {
    content: Content,
    origin: Origin,
    skipped: u64,
    bad: Vec<BadRow>,
    notes: Vec<String>,
}

/// A file that is read.
struct Part<'a> {
    path: PathBuf,
    file: &'a ImportFile,
    split: Option<String>,
    format: Format,
}

impl Part<'_> {
    /// A file that is shorter than when it was asked for was lost in part, and one that is longer is still being sent.
    fn check_length(&self) -> Result<()> {
        let found = std::fs::metadata(&self.path).map_err(Error::disk("reading", &self.path))?.len();
        match self.file.bytes {
            Some(expected) if expected != found => {
                let why = format!("it has {found} bytes, not the {expected} that were to be imported; upload it again");
                Err(Error::File { file: self.file.path.clone(), why })
            }
            _ => Ok(()),
        }
    }
}

/// An import under way.
struct Work<'a> {
    datasets: &'a Datasets,
    request: &'a ImportRequest,
    places: Vec<Part<'a>>,
    /// Whether rows get a column that tells their split.
    with_split: bool,
    textual: bool,
    report: &'a (dyn Fn(u64, u64, String) + Send + Sync),
    stop: &'a CancellationToken,
    done: Arc<AtomicU64>,
    total: u64,
}

/// What the first reading found.
struct Looked {
    profile: Profile,
    /// Whether the values of the column that is called like an identifier are one.
    id: Option<String>,
    /// Why they are none.
    note: Option<String>,
    bad: BadRows,
    /// Bad rows, by their numbers among all rows of all files.
    left_out: HashSet<u64>,
}

impl<'a> Work<'a> {
    fn new(
        datasets: &'a Datasets,
        project: ProjectId,
        request: &'a ImportRequest,
        report: &'a (dyn Fn(u64, u64, String) + Send + Sync),
        stop: &'a CancellationToken,
    ) -> Result<Self> {
        let mut places = Vec::new();
        for chosen in chosen(request)? {
            let file = &request.files[chosen.file];
            let path = datasets.uploads.path(project, file.upload);
            let input =
                Input { file: &path, name: &file.path, format: request.format, field: None, done: Arc::default() };
            let format = input.format()?;
            places.push(Part { path, file, split: chosen.split, format });
        }
        let textual = places.iter().any(|place| place.format == Format::Csv);
        if textual && places.iter().any(|place| place.format != Format::Csv) {
            let why = "CSV files are imported apart from others, since their values have no types; name the files of one format";
            return Err(Error::invalid("files", why));
        }
        let mut splits: Vec<_> = places.iter().map(|place| &place.split).collect();
        splits.sort();
        splits.dedup();
        let with_split = splits.len() > 1;
        let readings = if request.check { 1 } else { 2 };
        let total = readings * places.iter().filter_map(|place| place.file.bytes).sum::<u64>();
        Ok(Self { datasets, request, places, with_split, textual, report, stop, done: Arc::default(), total })
    }

    /// The first reading alone.
    fn check_all(&self) -> Result<Checked> {
        let looked = self.look()?;
        let (columns, mut notes) = self.settle(&looked)?;
        notes.sort();
        let BadRows { told: bad, count: bad_count, of } = looked.bad;
        Ok(Checked { rows: of - bad_count, columns, bad_count, bad, notes })
    }

    fn run(&self, writing: &qd_lake::Writing) -> Result<Read> {
        let looked = self.look()?;
        if looked.bad.count > 0 && (!self.request.skip_bad || looked.bad.count == looked.bad.of) {
            return Err(Error::Rows(looked.bad));
        }
        let (columns, mut notes) = self.settle(&looked)?;
        let part = self.write(&columns, &looked, writing)?;
        notes.sort();
        let origin = Origin::Import {
            source: self.request.source.clone(),
            files: self.sources()?,
            file_count: self.places.len() as u64,
            skipped: looked.bad.count,
            bad: looked.bad.told.clone(),
            notes: notes.clone(),
        };
        let content = Content { columns, rows: part.rows, bytes: part.bytes, files: vec![part] };
        Ok(Read { content, origin, skipped: looked.bad.count, bad: looked.bad.told, notes })
    }

    /// Reads all rows of all files, each with its file and its place there.
    fn each(
        &self,
        doing: &str,
        take: &mut dyn FnMut(&str, Place, Result<Map<String, Value>, String>) -> Result<()>,
    ) -> Result<()> {
        let (mut rows, before) = (0_u64, self.done.load(Ordering::Relaxed));
        let mut told = before;
        for place in &self.places {
            place.check_length()?;
            let input = Input {
                file: &place.path,
                name: &place.file.path,
                format: Some(place.format),
                field: self.request.field.as_deref(),
                done: Arc::clone(&self.done),
            };
            let read = input.read(place.format, &mut |at, row| {
                rows += 1;
                let done = self.done.load(Ordering::Relaxed);
                if rows.is_multiple_of(512) || done.saturating_sub(told) >= TELL_BYTES {
                    told = done;
                    if self.stop.is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    (self.report)(done, self.total, format!("{doing}, {rows} rows"));
                }
                take(&place.file.path, at, row.map(|row| self.with_split(row, place)))
            });
            read?;
            place.check_length()?;
        }
        // Parquet files are not read from end to end.
        let end = before + self.total / if self.request.check { 1 } else { 2 };
        self.done.store(end, Ordering::Relaxed);
        (self.report)(end, self.total, format!("{doing}, {rows} rows"));
        Ok(())
    }

    fn with_split(&self, mut row: Map<String, Value>, place: &Part<'_>) -> Map<String, Value> {
        if let Some(split) = place.split.as_ref().filter(|_| self.with_split) {
            row.entry(SPLIT).or_insert_with(|| split.as_str().into());
        }
        row
    }

    /// The first reading.
    fn look(&self) -> Result<Looked> {
        let mut profile = Profile::new(self.textual);
        let (mut bad, mut left_out) = (BadRows::default(), HashSet::new());
        let mut watch = IdWatch::new(self.request);
        self.each("checking", &mut |file, at, row| {
            bad.of += 1;
            if bad.of > MAX_ROWS {
                return Err(Error::TooLarge { what: "rows", limit: MAX_ROWS.to_string() });
            }
            let checked = row.and_then(|row| {
                // Nothing is noted of a row that is bad after all.
                self.check(&row)?;
                profile.check(&row)?;
                watch.see(&row, at, self.textual)?;
                profile.see(&row)
            });
            if let Err(why) = checked {
                bad.add(file, at, &why);
                left_out.insert(bad.of);
            }
            if bad.count > MAX_BAD { Err(Error::Rows(std::mem::take(&mut bad))) } else { Ok(()) }
        })?;
        if bad.of == 0 {
            return Err(Error::invalid("files", "they hold no rows"));
        }
        let missing = self
            .request
            .roles
            .keys()
            .chain(self.request.types.keys())
            .find(|name| !profile.columns().iter().any(|(column, _)| column == *name));
        if let Some(name) = missing.filter(|_| bad.count < bad.of) {
            let names: Vec<_> = profile.columns().iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::invalid(
                "roles",
                format!("there is no column {name:?}; there are: {}", names.join(", ")),
            ));
        }
        let (id, note) = watch.ended();
        Ok(Looked { profile, id, note, bad, left_out })
    }

    /// What was said about columns must hold in each row.
    fn check(&self, row: &Map<String, Value>) -> Result<(), String> {
        for (name, kind) in &self.request.types {
            fit(row.get(name), *kind, self.textual).map_err(|why| format!("{name}: {why}"))?;
        }
        for (name, role) in &self.request.roles {
            let value = row.get(name);
            let empty = value.is_none_or(|value| value.is_null() || (self.textual && value == ""));
            if empty && matches!(role, Role::Id | Role::Input | Role::Messages) {
                return Err(format!("it has no {name}, which is the {role}"));
            }
            if *role == Role::Messages && !self.is_conversation(value) {
                return Err(format!("{name} is no list of messages, each with a role and content"));
            }
        }
        Ok(())
    }

    fn is_conversation(&self, value: Option<&Value>) -> bool {
        let read = fit(value, ColumnType::Json, self.textual).ok().flatten();
        read.as_ref().and_then(Value::as_array).is_some_and(|items| !items.is_empty() && items.iter().all(is_message))
    }

    /// The columns, and what a person should know about them.
    fn settle(&self, looked: &Looked) -> Result<(Vec<Column>, Vec<String>)> {
        let seen = looked.profile.columns();
        let kind_of = |name: &str, kind| self.request.types.get(name).copied().unwrap_or(kind);
        let kinds: Vec<_> = seen.iter().map(|(name, seen)| kind_of(name, seen.kind(self.textual))).collect();
        let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
        let given: Vec<_> = self.request.roles.values().copied().collect();
        let may = |at: usize, role: Role| match role {
            Role::Id => looked.id.as_deref() == Some(names[at]),
            Role::Messages => seen[at].1.is_conversation(),
            Role::Input => matches!(kinds[at], ColumnType::Text),
            _ => true,
        };
        let guessed = guess(&names, &given, |at, role| !self.request.roles.contains_key(names[at]) && may(at, role));
        let (mut columns, mut notes) = (Vec::new(), Vec::from_iter(looked.note.clone()));
        for (((name, seen), kind), guessed) in seen.iter().zip(kinds).zip(guessed) {
            let role = self.request.roles.get(name).copied().unwrap_or(guessed);
            notes.extend(seen.note(name, kind).filter(|_| !self.request.types.contains_key(name)));
            columns.push(column(name, kind, role));
        }
        check_roles(&columns)?;
        let guessed = columns.iter().filter(|column| !self.request.roles.contains_key(&column.name));
        let said: Vec<_> = guessed.map(|column| format!("{} as {}", column.name, column.role)).collect();
        if !said.is_empty() {
            notes.push(format!("roles were guessed from names: {}", said.join(", ")));
        }
        Ok((columns, notes))
    }

    /// The second reading.
    fn write(&self, columns: &[Column], looked: &Looked, writing: &qd_lake::Writing) -> Result<crate::version::Part> {
        let mut writer = Writer::new(&self.datasets.files, columns, Repeats::default(), Ids::default())?;
        let mut number = 0;
        self.each("writing", &mut |file, at, row| {
            number += 1;
            if looked.left_out.contains(&number) {
                return Ok(());
            }
            let changed = |why: String| Error::File { file: file.to_owned(), why: format!("{at}: {why}") };
            let row = row.map_err(changed)?;
            let mut fitted = Map::new();
            for column in columns {
                let value = fit(row.get(&column.name), column.kind, self.textual);
                if let Some(value) = value.map_err(changed)? {
                    fitted.insert(column.name.clone(), value);
                }
            }
            writer.push(&fitted, file, at)
        })?;
        writer.finish(writing)
    }

    fn sources(&self) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        for place in self.places.iter().take(MAX_SOURCES) {
            let (sha256, bytes) = qd_lake::file::digest_of(&place.path).map_err(Error::disk("reading", &place.path))?;
            sources.push(Source { path: place.file.path.clone(), sha256, bytes, split: place.split.clone() });
        }
        Ok(sources)
    }
}

/// Watches the column that identifies rows, or is called as if it did.
struct IdWatch {
    column: Option<String>,
    /// What columns were said to hold.
    types: BTreeMap<String, ColumnType>,
    /// Whether somebody said so: then a value that is none is an error, else the column is one of many.
    said: bool,
    is_one: bool,
    begun: bool,
    ids: Ids,
    /// Why the column that is called so is none.
    note: Option<String>,
}

impl IdWatch {
    fn new(request: &ImportRequest) -> Self {
        let said = request.roles.iter().find(|(_, role)| **role == Role::Id).map(|(name, _)| name.clone());
        let types = request.types.clone();
        Self { said: said.is_some(), column: said, types, is_one: true, begun: false, ids: Ids::default(), note: None }
    }

    fn see(&mut self, row: &Map<String, Value>, at: Place, textual: bool) -> Result<(), String> {
        if !self.begun && !self.said {
            let names: Vec<_> = row.keys().map(String::as_str).collect();
            let roles = guess(&names, &[], |_, role| role == Role::Id);
            self.column = roles.iter().position(|role| *role == Role::Id).map(|at| names[at].to_owned());
        }
        self.begun = true;
        let Some(column) = self.column.as_ref().filter(|_| self.is_one) else { return Ok(()) };
        // Two texts may be the same number.
        let value = match self.types.get(column) {
            Some(kind) => fit(row.get(column), *kind, textual)?,
            None => row.get(column).filter(|value| !(textual && **value == "")).cloned(),
        };
        match self.ids.see(value.as_ref(), at) {
            Err(why) if self.said => Err(why),
            Err(why) => {
                self.note = Some(format!("column {column} is not the id: of {at}, {why}"));
                self.is_one = false;
                self.ids = Ids::default();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The column that identifies rows, and what a person should know about one that does not.
    fn ended(self) -> (Option<String>, Option<String>) {
        (self.column.filter(|_| self.is_one), self.note)
    }
}

/// Runs `dataset.import` jobs; their result is [`Imported`], or [`Checked`]. They need no checkpoint: the same files give the same version.
#[derive(Clone)]
pub struct ImportHandler {
    datasets: Datasets,
}

impl ImportHandler {
    /// A handler that imports into `datasets`.
    pub fn new(datasets: Datasets) -> Self {
        Self { datasets }
    }

    async fn import(self, context: JobContext) -> Result<Value, JobError> {
        let request: ImportRequest = context.payload()?;
        let files: Vec<_> = request.files.iter().map(|file| file.upload).collect();
        let (told, project, stop) = (context.clone(), context.project(), context.token().clone());
        let report = move |done, total, doing| told.progress(done, Some(total), doing);
        let done = |error| match error {
            Error::Cancelled => JobError::Cancelled,
            error => JobError::failed(&error),
        };
        if request.check {
            let checked = self.datasets.check_import(project, request, report, stop).await;
            return checked.map(|checked| json!(checked)).map_err(done);
        }
        let imported = self.datasets.import(project, request, report, stop).await;
        let done = imported.map(|imported| json!(imported)).map_err(done);
        tokio::spawn(forget(self.datasets, context.job().id, project, files));
        done
    }
}

impl Handler for ImportHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().import(context).boxed()
    }
}
