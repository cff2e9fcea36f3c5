//! Datasets and the rows of their versions, read in part.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use qd_base::{ArtifactName, ProjectId, ProjectName, Sha256Hex, VersionId};
use qd_catalog::{Artifact, ArtifactKind, Catalog, NewVersion, Page, Version, VersionInfo, VersionRef};
use qd_lake::{Lake, Param, QueryLimits, QueryOutput, RowFile, RowFiles, RowTable, Swept, Writing};
use qd_trace::Traces;
use serde_json::{Map, Value};

use crate::column::{Column, ROW_HASH, ROW_ID, Role};
use crate::diff::Kept;
use crate::encode::{Row, decode, ids};
use crate::upload::{UploadId, Uploads};
use crate::version::{Content, MAX_FILES, Origin, Part};
use crate::{Error, Result};

/// The kind of these artifacts.
pub(crate) const KIND: ArtifactKind = ArtifactKind::Dataset;
/// Rows that are given at once at most.
pub const MAX_PAGE: u64 = 10_000;
/// What the rows of a page are together at most, unless the first is larger by itself.
const PAGE_BYTES: usize = 64 << 20;
/// What the texts of a column that is read whole are together at most.
const MOST_COLUMN_BYTES: usize = 64 << 20;

/// All datasets. Cheap to clone.
#[derive(Clone)]
pub struct Datasets {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) traces: Traces,
    pub(crate) files: RowFiles,
    /// Files on their way in.
    pub uploads: Uploads,
    changing: Arc<Mutex<HashMap<(ProjectId, ArtifactName), Weak<tokio::sync::Mutex<()>>>>>,
    pub(crate) diffs: Arc<Mutex<Kept>>,
    pub(crate) comparing: Arc<tokio::sync::Mutex<()>>,
}

impl Datasets {
    /// The datasets whose rows lie below `dir`.
    ///
    /// # Errors
    /// [`Error::Lake`] or [`Error::Disk`] when the folders cannot be opened.
    pub fn new(dir: &Path, catalog: Catalog, lake: Lake, traces: Traces) -> Result<Self> {
        let files = RowFiles::open(&dir.join("datasets")).map_err(Error::lake("opening the files of datasets"))?;
        let uploads = Uploads::open(&dir.join("uploads"))?;
        let (changing, diffs, comparing) = Default::default();
        Ok(Self { catalog, lake, traces, files, uploads, changing, diffs, comparing })
    }

    /// Waits until nobody else in this process adds versions to this dataset. Held by who makes a version out of the latest, so that
    /// of two at once one need not begin anew; that none loses the other's rows is seen to where a version
    /// [follows another](Self::put_after).
    pub(crate) async fn alone(&self, project: ProjectId, name: &ArtifactName) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.changing.lock();
            locks.retain(|_, lock| lock.strong_count() > 0);
            let key = (project, name.clone());
            locks.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(key, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }

    /// The same, changing the catalog in somebody's name.
    ///
    /// # Errors
    /// [`Error::Catalog`] for a name that is too long.
    pub fn acting(&self, actor: &str) -> Result<Self> {
        let catalog = self.catalog.acting(actor).map_err(Error::catalog("naming who acts"))?;
        Ok(Self { catalog, ..self.clone() })
    }

    /// The datasets of a project, by name.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Artifact>> {
        self.catalog.artifacts(project, KIND).await.map_err(Error::catalog("listing datasets"))
    }

    /// Opens a version of a dataset for reading. What was opened can be read also when the dataset is removed meanwhile,
    /// as long as its files are not swept.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none, [`Error::Content`] or [`Error::Lake`] when it cannot be read.
    pub async fn open(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Dataset> {
        let version = self.catalog.version(project, KIND, name, which).await;
        self.opened(version.map_err(Error::catalog("finding a version of a dataset"))?).await
    }

    /// Opens the version of this identifier, in whatever project it is.
    ///
    /// # Errors
    /// As [`Datasets::open`].
    pub async fn open_id(&self, id: VersionId) -> Result<Dataset> {
        let version = self.catalog.version_by_id(id).await;
        self.opened(version.map_err(Error::catalog("finding a version of a dataset"))?).await
    }

    /// The latest version, if there is one.
    pub(crate) async fn latest(&self, project: ProjectId, name: &ArtifactName) -> Result<Option<Dataset>> {
        match self.open(project, name, &VersionRef::Latest).await {
            Err(Error::Catalog { cause: qd_catalog::Error::NotFound { .. }, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    async fn opened(&self, version: Version) -> Result<Dataset> {
        let content = content(&version)?;
        let files = self.files.clone();
        let parts = content.files.clone();
        let open = move || parts.iter().map(|part| files.file(part.sha256)).collect::<Result<Vec<_>, _>>();
        let opened =
            blocking("opening a dataset", move || open().map_err(Error::lake("opening a file of rows"))).await?;
        Ok(Dataset { info: version.info, content: Arc::new(content), files: opened.into() })
    }

    /// Keeps a version, whatever is the latest. `writing` is what its files were written under.
    pub(crate) async fn put(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        content: &Content,
        origin: &Origin,
        parents: &[VersionId],
        writing: Writing,
    ) -> Result<VersionInfo> {
        let (content, metadata) = written(content, origin)?;
        let put = self.catalog.put_version(project, KIND, name, &content, metadata, parents).await;
        // Only now are its files named by somebody.
        drop(writing);
        put.map(|version| version.info).map_err(Error::catalog("keeping a version of a dataset"))
    }

    /// Keeps a version that was made of another (`None`: there was none), if that is still the latest.
    ///
    /// # Errors
    /// [`Error::Catalog`] with [`qd_catalog::Error::Moved`] when it is not.
    pub(crate) async fn put_after(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        base: Option<&Dataset>,
        content: &Content,
        origin: &Origin,
        writing: Writing,
    ) -> Result<VersionInfo> {
        let (content, metadata) = written(content, origin)?;
        let parents: Vec<VersionId> = base.iter().map(|base| base.info.id).collect();
        let new = NewVersion { content: &content, metadata, parents: &parents };
        let put = self.catalog.put_version_after(project, KIND, name, base.map(|base| base.info.number), new).await;
        drop(writing);
        put.map(|version| version.info).map_err(Error::catalog("keeping a version of a dataset"))
    }

    /// Removes a dataset with all its versions. Its files go with the next sweep. A change under way then makes no version.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn remove(&self, project: ProjectId, name: &ArtifactName) -> Result<()> {
        self.catalog.remove_artifact(project, KIND, name).await.map_err(Error::catalog("removing a dataset"))
    }

    /// Whether an upload may be changed.
    ///
    /// # Errors
    /// [`Error::Conflict`] while an import reads it or waits to, [`Error::Catalog`].
    pub async fn check_unused(&self, id: UploadId) -> Result<()> {
        match crate::upload::in_use(&self.catalog).await?.contains(&id) {
            true => {
                Err(Error::Conflict { message: format!("a job reads the upload {id}; wait for its end or cancel it") })
            }
            false => Ok(()),
        }
    }

    /// Removes files that no version names, and uploads that nobody imported.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Lake`] or [`Error::Disk`]; what was not removed is left for the next time.
    pub async fn sweep(&self) -> Result<Swept> {
        let (uploads, needed) = (self.uploads.clone(), crate::upload::in_use(&self.catalog).await?);
        blocking("sweeping uploads", move || uploads.sweep(&needed)).await?;
        let failed = Arc::new(Mutex::new(None));
        let (catalog, told) = (self.catalog.clone(), Arc::clone(&failed));
        let used = async || {
            files_in_use(&catalog).await.map_err(|error| {
                *told.lock() = Some(error);
                qd_lake::Error::Broken { operation: "looking for files in use" }
            })
        };
        let swept = self.files.sweep(used).await;
        match failed.lock().take() {
            Some(error) => Err(error),
            None => swept.map_err(Error::lake("sweeping files of datasets")),
        }
    }

    /// Answers one statement that reads over the rows of a version, which it calls `rows`: its columns, and `__row_id`. Guard and limits
    /// are those of the lake's own SQL, and nothing else is there.
    ///
    /// # Errors
    /// [`Error::Lake`] for a statement that is refused, not understood or over its limits.
    pub async fn query(
        &self,
        dataset: &Dataset,
        sql: &str,
        params: Vec<Param>,
        limits: QueryLimits,
    ) -> Result<QueryOutput> {
        let schema = crate::encode::queried(dataset.columns());
        let rows = RowTable::new(&self.files, &dataset.files, schema).map_err(Error::lake("opening rows"))?;
        self.lake.query_over(rows, sql, params, limits).await.map_err(Error::lake("querying rows"))
    }

    /// Does work that takes a processor for a while behind who answers requests.
    pub(crate) async fn behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.lake.behind(operation, work).await.map_err(|_| Error::Broken { operation })?
    }
}

/// The files that some version of some project names.
async fn files_in_use(catalog: &Catalog) -> Result<HashSet<Sha256Hex>> {
    Ok(named_files(catalog).await?.into_keys().collect())
}

/// The same with one of the versions that name each, and its project.
pub(crate) async fn named_files(catalog: &Catalog) -> Result<HashMap<Sha256Hex, (ProjectName, VersionInfo)>> {
    let failed = |cause| Error::catalog("looking for files in use")(cause);
    let mut files = HashMap::new();
    for project in catalog.projects().await.map_err(failed)? {
        for artifact in catalog.artifacts(project.id, KIND).await.map_err(failed)? {
            let mut page = Page::default();
            loop {
                let versions = catalog.versions(project.id, KIND, &artifact.name, page).await.map_err(failed)?;
                for info in &versions.items {
                    match catalog.version_by_id(info.id).await {
                        Ok(version) => {
                            let parts = content(&version)?.files;
                            let named = parts.iter().map(|part| (part.sha256, (project.name.clone(), info.clone())));
                            files.extend(named);
                        }
                        // It was removed meanwhile.
                        Err(qd_catalog::Error::NotFound { .. }) => {}
                        Err(cause) => return Err(failed(cause)),
                    }
                }
                let Some(next) = versions.next else { break };
                page = Page::maybe_after(100, Some(next));
            }
        }
    }
    Ok(files)
}

/// A version as the catalog keeps it.
pub(crate) fn written(content: &Content, origin: &Origin) -> Result<(Vec<u8>, Value)> {
    let content = serde_json::to_vec(content).map_err(|cause| Error::invalid("columns", cause.to_string()))?;
    let origin = serde_json::to_value(origin.fitting()).map_err(|cause| Error::invalid("origin", cause.to_string()))?;
    Ok((content, origin))
}

fn content(version: &Version) -> Result<Content> {
    let info = &version.info;
    let unread = |cause: qd_catalog::Error| {
        let why = std::error::Error::source(&cause).map_or_else(|| cause.to_string(), ToString::to_string);
        Error::Content { name: info.name.to_string(), number: info.number, why }
    };
    version.read_content().map_err(unread)
}

pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { operation })?
}

/// One version of a dataset. Cheap to clone.
///
/// ```no_run
/// # async fn example(datasets: qd_data::Datasets, project: qd_base::ProjectId) -> qd_data::Result<()> {
/// use qd_catalog::VersionRef;
/// use qd_data::Role;
///
/// let name = "gsm8k".parse().expect("a name");
/// let dataset = datasets.open(project, &name, &VersionRef::Latest).await?;
/// for row in dataset.rows(0..100).await? {
///     println!("{}: {:?} → {:?}", row.id, dataset.value(&row, Role::Input), dataset.value(&row, Role::Reference));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dataset {
    info: VersionInfo,
    content: Arc<Content>,
    files: Arc<[RowFile]>,
}

impl Dataset {
    /// Which version of which dataset it is.
    pub fn info(&self) -> &VersionInfo {
        &self.info
    }

    /// What made it; `None` for a version that was made in another way than this crate's.
    pub fn origin(&self) -> Option<Origin> {
        serde_json::from_value(self.info.metadata.clone()).ok()
    }

    /// Its columns, row count and files.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Its columns.
    pub fn columns(&self) -> &[Column] {
        &self.content.columns
    }

    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.content.rows
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first column of a role.
    pub fn column(&self, role: Role) -> Option<&Column> {
        self.columns().iter().find(|column| column.role == role)
    }

    /// What a row has in the first column of a role; `None` when there is no such column, or no value in it.
    pub fn value<'a>(&self, row: &'a Row, role: Role) -> Option<&'a Value> {
        row.values.get(&self.column(role)?.name).filter(|value| !value.is_null())
    }

    /// What a row has in all columns of a role, with their names.
    pub fn values<'a>(&'a self, row: &'a Row, role: Role) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let columns = self.columns().iter().filter(move |column| column.role == role);
        columns.filter_map(|column| Some((column.name.as_str(), row.values.get(&column.name)?)))
    }

    /// The rows at these places, as many of them as there are and [`MAX_PAGE`] at most.
    ///
    /// # Errors
    /// [`Error::Lake`] or [`Error::Arrow`] when a file is damaged.
    pub async fn rows(&self, range: Range<u64>) -> Result<Vec<Row>> {
        let (from, to) = (range.start, range.end.min(self.len()).min(range.start.saturating_add(MAX_PAGE)));
        let dataset = self.clone();
        blocking("reading rows", move || dataset.read(vec![from..to.max(from)])).await
    }

    /// The rows from a place on, as [`Dataset::rows`], but fewer of them when they are large; the first is always among them.
    ///
    /// # Errors
    /// As there.
    pub async fn page(&self, range: Range<u64>) -> Result<Found> {
        let (from, to) = (range.start, range.end.min(self.len()).min(range.start.saturating_add(MAX_PAGE)));
        let dataset = self.clone();
        let read = move || {
            let (mut rows, mut bytes) = (Vec::new(), 0);
            for batch in dataset.batches(vec![from..to.max(from)], None) {
                let batch = batch?;
                let begin = from + rows.len() as u64;
                for row in decode(dataset.columns(), &batch, begin..begin + batch.num_rows() as u64)? {
                    bytes += row.size_bytes();
                    if bytes > PAGE_BYTES && !rows.is_empty() {
                        return Ok(Found { next: Some(row.index), rows });
                    }
                    rows.push(row);
                }
            }
            Ok(Found { rows, next: Some(to).filter(|to| *to < dataset.len()) })
        };
        blocking("reading rows", read).await
    }

    /// The rows at these places, in whatever order, as far as they are there; in the order of the version.
    ///
    /// # Errors
    /// As [`Dataset::rows`].
    pub async fn rows_among(&self, places: &[u64]) -> Result<Vec<Row>> {
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        self.rows_at(&places).await
    }

    /// The rows at these places, which are in order and differ.
    ///
    /// # Errors
    /// As [`Dataset::rows`].
    pub async fn rows_at(&self, places: &[u64]) -> Result<Vec<Row>> {
        let (dataset, ranges) = (self.clone(), places.iter().map(|place| *place..place + 1).collect());
        blocking("reading rows", move || dataset.read(ranges)).await
    }

    /// The rows with these identifiers, as far as they are there, in the order of the version.
    ///
    /// # Errors
    /// As [`Dataset::rows`].
    pub async fn rows_of(&self, ids: &[String]) -> Result<Vec<Row>> {
        let wanted: HashSet<String> = ids.iter().cloned().collect();
        let dataset = self.clone();
        let find = move || {
            let (mut at, mut places) = (0, Vec::new());
            for batch in dataset.batches(vec![0..u64::MAX], Some(&[ROW_ID])) {
                for id in self::ids(&batch?)?.iter().flatten() {
                    if wanted.contains(id) {
                        places.push(at..at + 1);
                    }
                    at += 1;
                }
            }
            dataset.read(places)
        };
        blocking("looking for rows", find).await
    }

    /// What every row has in a column, as text, in the order of the version; none where it has nothing.
    ///
    /// # Errors
    /// As [`Dataset::rows`], and [`Error::Invalid`] for a column that there is not, or whose texts have over 64 MiB together.
    pub async fn texts_of(&self, column: &str) -> Result<Vec<Option<String>>> {
        let (dataset, column) = (self.clone(), self.require(column)?.clone());
        let read = move || {
            let (mut texts, mut bytes) = (Vec::new(), 0);
            for batch in dataset.batches(vec![0..u64::MAX], Some(&[ROW_ID, &column.name])) {
                let batch = batch?;
                let array = batch.column_by_name(&column.name);
                for at in 0..batch.num_rows() {
                    let value = array.map_or(Ok(Value::Null), |array| crate::encode::value(&column, array, at))?;
                    let text = (!value.is_null()).then(|| crate::value::key_of(&value));
                    bytes += text.as_ref().map_or(0, String::len);
                    texts.push(text);
                }
                if bytes > MOST_COLUMN_BYTES {
                    let why =
                        format!("the texts of {:?} are too long: it needs a column of words or names", column.name);
                    return Err(Error::invalid("column", why));
                }
            }
            Ok(texts)
        };
        blocking("reading a column", read).await
    }

    /// Reads rows into memory: those in these ranges, which are in order and do not overlap.
    pub(crate) fn read(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Row>> {
        let places: Vec<_> = ranges.iter().cloned().map(|range| range.start..range.end.min(self.len())).collect();
        let mut places = places.into_iter().flatten();
        let mut rows = Vec::new();
        for batch in self.batches(ranges, None) {
            let batch = batch?;
            rows.extend(decode(self.columns(), &batch, places.by_ref().take(batch.num_rows()))?);
        }
        Ok(rows)
    }

    /// The batches of the rows in these ranges, which are in order and do not overlap. A file that lacks a column gives none of it.
    pub(crate) fn batches(
        &self,
        ranges: Vec<Range<u64>>,
        columns: Option<&[&str]>,
    ) -> impl Iterator<Item = Result<RecordBatch>> + use<> {
        let columns: Option<Vec<String>> = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let begins = self.content.files.iter().scan(0, |begin, part: &Part| {
            *begin += part.rows;
            Some(*begin - part.rows)
        });
        let files: Vec<_> = self.files.iter().cloned().zip(begins).collect();
        files.into_iter().flat_map(move |(file, begin)| {
            let end = begin + file.rows();
            let within = ranges.iter().filter(|range| range.start < end && range.end > begin);
            let within: Vec<_> =
                within.map(|range| range.start.max(begin) - begin..range.end.min(end) - begin).collect();
            let batches: Box<dyn Iterator<Item = _> + Send> = match within.is_empty() {
                true => Box::new(std::iter::empty()),
                false => match file.read(within, columns.as_deref()) {
                    Ok(batches) => Box::new(batches.map(|batch| batch.map_err(Error::lake("reading rows")))),
                    Err(cause) => Box::new(std::iter::once(Err(Error::lake("reading rows")(cause)))),
                },
            };
            batches
        })
    }

    /// The batches of all rows, each with every column of the version.
    pub(crate) fn whole_batches(&self) -> impl Iterator<Item = Result<RecordBatch>> + use<> {
        let schema = crate::encode::schema(self.columns());
        self.batches(vec![0..u64::MAX], None).map(move |batch| complete(&schema, &batch?))
    }

    /// Whether another file can be added beside those that it has.
    pub(crate) fn has_room(&self) -> bool {
        self.content.files.len() < MAX_FILES
    }
}

/// The batch with the columns of `schema`: those that it lacks are null.
pub(crate) fn complete(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).map_err(Error::arrow("reading rows"))
}

/// Which rows are looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// With this text in any column, whatever its case.
    pub text: Option<String>,
    /// With this value in this column, as text.
    pub equal: Option<(String, String)>,
}

/// Rows that were found, and from where to look on.
#[derive(Debug, Clone)]
pub struct Found {
    /// The rows.
    pub rows: Vec<Row>,
    /// The place to go on from; `None` at the end.
    pub next: Option<u64>,
}

/// Rows that one search looks through at most, so that it is answered soon.
const SEARCH_ROWS: u64 = 200_000;

impl Dataset {
    /// The first rows from a place on that are looked for. It ends after so many rows were looked through, also when none was found.
    ///
    /// # Errors
    /// As [`Dataset::rows`], and [`Error::Invalid`] for a column that there is not.
    pub async fn search(&self, search: Search, from: u64, limit: usize) -> Result<Found> {
        if let Some((column, _)) = &search.equal {
            self.require(column)?;
        }
        let dataset = self.clone();
        blocking("looking for rows", move || dataset.search_now(&search, from, limit)).await
    }

    fn search_now(&self, search: &Search, from: u64, limit: usize) -> Result<Found> {
        let text = search.text.as_ref().map(|text| text.to_lowercase());
        let (end, mut at) = (from.saturating_add(SEARCH_ROWS).min(self.len()), from);
        let (mut rows, mut bytes): (Vec<Row>, _) = (Vec::new(), 0);
        for batch in self.batches(vec![from..end.max(from)], None) {
            let batch = batch?;
            let count = batch.num_rows() as u64;
            for row in decode(self.columns(), &batch, at..at + count)? {
                if search.is_met(text.as_deref(), &row.values) {
                    bytes += row.size_bytes();
                    rows.push(row);
                }
                if let Some(last) = rows.last().filter(|_| rows.len() >= limit || bytes > PAGE_BYTES) {
                    let next = Some(last.index + 1).filter(|next| *next < self.len());
                    return Ok(Found { rows, next });
                }
            }
            at += count;
        }
        Ok(Found { rows, next: Some(end).filter(|end| *end < self.len()) })
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none, with those that there are.
    pub(crate) fn require(&self, name: &str) -> Result<&Column> {
        self.columns().iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = self.columns().iter().map(|column| column.name.as_str()).collect();
            Error::invalid("column", format!("there is no {name:?}; there are: {}", names.join(", ")))
        })
    }
}

impl Search {
    fn is_met(&self, text: Option<&str>, values: &Map<String, Value>) -> bool {
        let equal = self.equal.as_ref().is_none_or(|(column, wanted)| {
            values.get(column).is_some_and(|value| !value.is_null() && crate::value::text_of(value) == *wanted)
        });
        equal && text.is_none_or(|text| values.values().any(|value| has_text(value, text)))
    }
}

/// Whether a text stands in a value, in its texts and numbers and not in the names of its fields.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, text)),
        other => crate::value::text_of(other).to_lowercase().contains(text),
    }
}

/// The names of the two columns that every file has beside the version's own.
pub(crate) const OWN: &[&str] = &[ROW_ID, ROW_HASH];
