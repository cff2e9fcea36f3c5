//! Splitting a dataset into parts, so that a row always falls into the same one.
//!
//! The place of a row in the unit interval is a digest of the seed and of what identifies the row: the value of a column that keeps
//! rows together, or its identifier, or else its values. It follows from nothing else, so rows that are added later move
//! no other, and rows with the same values are never on both sides. The price is that parts have about the size that was asked for: of
//! n rows with a fraction p, √(n·p·(1−p)) rows more or less are usual.
//!
//! Where that is too much, rows are shared out (`strata`) by the values of a column instead: then the others count, and rows that
//! are added later may move some.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::hash::Hasher;
use qd_base::{ArtifactName, JobId, ProjectId};
use qd_catalog::{Handler, JobContext, JobError, JobKind, VersionRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use arrow::array::{BooleanArray, RecordBatch};

use crate::dataset::{Dataset, Datasets, OWN};
use crate::encode::{hashes, ids, value};
use crate::strata::{Shares, Strata};
use crate::value::key_of;
use crate::version::{Content, Origin, Part as File, id_column};
use crate::write;
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "dataset.split";
/// Parts at most.
pub const MAX_PARTS: usize = 20;

/// How a dataset is to be split.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRequest {
    /// The dataset.
    pub dataset: ArtifactName,
    /// Its version: a number, a label or `latest`. A job has a number, so that it means the same when it begins again.
    pub version: String,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// Other seeds give other parts.
    #[serde(default)]
    pub seed: u64,
    /// A column: rows with the same value in it stay together.
    #[serde(default)]
    pub group: Option<String>,
    /// A column: of the rows of each of its values every part gets its share.
    #[serde(default)]
    pub stratify: Option<String>,
}

/// A part of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name, as `train`.
    pub name: String,
    /// How much of the dataset it is; the fractions of all parts are 1 together, or less.
    pub fraction: f64,
    /// The dataset that it becomes a version of; the name of the dataset and of the part with a hyphen when absent.
    #[serde(default)]
    pub dataset: Option<ArtifactName>,
}

/// A part that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// Its name.
    pub part: String,
    /// The dataset.
    pub dataset: ArtifactName,
    /// Its version.
    pub version: u32,
    /// How many rows it has.
    pub rows: u64,
    /// What a person should know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl SplitRequest {
    /// The datasets of the parts, and where in the unit interval each ends.
    fn check(&self) -> Result<Vec<(ArtifactName, f64)>> {
        if self.group.is_some() && self.stratify.is_some() {
            let why = "rows cannot both stay together and be shared out; give either group or stratify";
            return Err(Error::invalid("stratify", why));
        }
        if !(1..=MAX_PARTS).contains(&self.parts.len()) {
            return Err(Error::invalid("parts", format!("between 1 and {MAX_PARTS} are made at once")));
        }
        let (mut end, mut checked, mut names) = (0.0, Vec::new(), BTreeSet::new());
        for part in &self.parts {
            if !(part.fraction > 0.0 && part.fraction <= 1.0) {
                return Err(Error::invalid(
                    "parts",
                    format!("{} has the fraction {}; it is above 0 and at most 1", part.name, part.fraction),
                ));
            }
            end += part.fraction;
            let name = match &part.dataset {
                Some(name) => name.clone(),
                None => format!("{}-{}", self.dataset, part.name)
                    .parse()
                    .map_err(|cause: qd_base::Error| Error::invalid("parts", cause.to_string()))?,
            };
            if name == self.dataset || !names.insert(name.clone()) {
                return Err(Error::invalid("parts", format!("{name} would be two of the datasets; name each part's")));
            }
            checked.push((name, end));
        }
        // Tenths are no binary fractions: 0.7 + 0.2 + 0.1 is a little less than 1.
        const ROUNDING: f64 = 1e-9;
        if end > 1.0 + ROUNDING {
            return Err(Error::invalid("parts", format!("their fractions are {end} together; 1 at most")));
        }
        if let Some((_, last)) = checked.last_mut().filter(|(_, last)| *last > 1.0 - ROUNDING) {
            *last = 1.0;
        }
        Ok(checked)
    }
}

/// The place of a row in the unit interval.
fn place(seed: u64, key: &str) -> f64 {
    let mut hasher = Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(key.as_bytes());
    let digest = hasher.finish();
    let bits = u64::from_be_bytes(std::array::from_fn(|at| digest.as_bytes()[at]));
    // The 53 bits that double precision holds.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl Datasets {
    /// Queues a split of the version that is meant now.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parts that cannot be, [`Error::Catalog`] when there is no such version.
    pub async fn begin_split(&self, project: ProjectId, mut request: SplitRequest) -> Result<JobId> {
        request.check()?;
        let which: VersionRef =
            request.version.parse().map_err(|cause: qd_base::Error| Error::invalid("version", cause.to_string()))?;
        let dataset = self.open(project, &request.dataset, &which).await?;
        for column in request.group.iter().chain(&request.stratify) {
            dataset.require(column)?;
        }
        request.version = dataset.info().number.to_string();
        let kind: JobKind = KIND.parse().map_err(Error::catalog("naming the job"))?;
        let payload = serde_json::to_value(&request).map_err(|cause| Error::invalid("request", cause.to_string()))?;
        self.catalog.enqueue(&kind, payload, project).await.map_err(Error::catalog("queueing a split"))
    }

    /// Splits a version into versions of other datasets.
    ///
    /// # Errors
    /// As [`Datasets::begin_split`], and [`Error::Lake`] when a file cannot be read or written.
    pub async fn split(
        &self,
        project: ProjectId,
        request: SplitRequest,
        report: impl Fn(u64, u64) + Send + Sync + 'static,
        stop: CancellationToken,
    ) -> Result<Vec<Made>> {
        let parts = request.check()?;
        let which: VersionRef =
            request.version.parse().map_err(|cause: qd_base::Error| Error::invalid("version", cause.to_string()))?;
        let dataset = self.open(project, &request.dataset, &which).await?;
        let (datasets, source, asked) = (self.clone(), dataset.clone(), request.clone());
        let ends: Vec<_> = parts.iter().map(|(_, end)| *end).collect();
        let work = move || {
            let writing = datasets.files.writing();
            let split = Split { datasets: &datasets, source: &source, request: &asked, report: &report, stop: &stop };
            let (files, notes) = split.cut(&ends, &writing)?;
            Ok((files, notes, writing))
        };
        let (files, notes, writing) = self.behind("splitting a dataset", work).await?;
        let (mut made, mut begin) = (Vec::new(), 0.0);
        let of_parts = parts.into_iter().zip(files).zip(notes);
        for ((((name, end), file), notes), part) in of_parts.zip(&request.parts) {
            let origin = Origin::Split {
                dataset: request.dataset.clone(),
                version: dataset.info().number,
                id: dataset.info().id,
                part: part.name.clone(),
                interval: [begin, end],
                seed: request.seed,
                group: request.group.clone(),
                stratify: request.stratify.clone(),
                notes: notes.clone(),
            };
            begin = end;
            let content =
                Content { columns: dataset.columns().to_vec(), rows: file.rows, bytes: file.bytes, files: vec![file] };
            // Held until the last part has its version too.
            let held = self.files.writing();
            let _only = self.alone(project, &name).await;
            let info = self.put(project, &name, &content, &origin, &[dataset.info().id], held).await?;
            let (part, rows) = (part.name.clone(), file.rows);
            made.push(Made { part, dataset: name, version: info.number, rows, notes });
        }
        drop(writing);
        Ok(made)
    }
}

/// A split under way.
struct Split<'a> {
    datasets: &'a Datasets,
    source: &'a Dataset,
    request: &'a SplitRequest,
    report: &'a dyn Fn(u64, u64),
    stop: &'a CancellationToken,
}

impl Split<'_> {
    /// Writes the file of each part, of which each ends there in the unit interval, and tells what is to be said of each.
    fn cut(&self, ends: &[f64], writing: &qd_lake::Writing) -> Result<(Vec<File>, Vec<Vec<String>>)> {
        let shares = self.request.stratify.as_ref().map(|column| self.shares(column, ends)).transpose()?;
        let begun = ends.iter().map(|_| write::copy(&self.datasets.files, self.source.columns()));
        let mut files = begun.collect::<Result<Vec<_>>>()?;
        let mut done = 0;
        for batch in self.source.whole_batches() {
            self.check_stop()?;
            let batch = batch?;
            let parts: Vec<Option<usize>> = match &shares {
                Some(shares) => (done..done + batch.num_rows() as u64).map(|row| shares.part(row)).collect(),
                None => places(self.source, self.request, &batch)?.iter().map(|place| part_at(*place, ends)).collect(),
            };
            for (part, file) in files.iter_mut().enumerate() {
                let mine: BooleanArray = parts.iter().map(|of_row| Some(*of_row == Some(part))).collect();
                let rows = arrow::compute::filter_record_batch(&batch, &mine).map_err(Error::arrow("choosing rows"))?;
                file.push(&rows).map_err(Error::lake("writing rows"))?;
            }
            done += batch.num_rows() as u64;
            (self.report)(done, self.source.len());
        }
        let notes = shares.map_or_else(|| vec![Vec::new(); ends.len()], |shares| shares.notes);
        let files = files.into_iter().map(|file| write::finish(file, writing)).collect::<Result<_>>()?;
        Ok((files, notes))
    }

    /// Which part each row falls into when the rows of each value of a column are shared out.
    fn shares(&self, column: &str, ends: &[f64]) -> Result<Shares> {
        let kind = self.source.require(column)?;
        let mut strata = Strata::default();
        let columns = [OWN, &[column]].concat();
        for batch in self.source.batches(vec![0..u64::MAX], Some(&columns)) {
            self.check_stop()?;
            let batch = batch?;
            let places = places_alone(self.source, self.request, &batch)?;
            let array = batch.column_by_name(column);
            for (at, place) in places.into_iter().enumerate() {
                let value = array.map_or(Ok(Value::Null), |array| value(kind, array, at))?;
                strata.add(&value, place)?;
            }
        }
        let sizes = ends.iter().scan(0.0, |begin, end| Some(end - std::mem::replace(begin, *end)));
        let order = |key: &str| place(self.request.seed, key);
        Ok(strata.share(column, &sizes.collect::<Vec<_>>(), order))
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The part that holds a place in the unit interval, where each ends at one of `ends`.
fn part_at(place: f64, ends: &[f64]) -> Option<usize> {
    ends.iter().position(|end| place < *end)
}

/// The places of the rows of a batch.
fn places(source: &Dataset, request: &SplitRequest, batch: &RecordBatch) -> Result<Vec<f64>> {
    let mut alone = places_alone(source, request, batch)?;
    if let Some(group) = &request.group {
        let column = source.require(group)?;
        for (at, alone) in alone.iter_mut().enumerate() {
            let array = batch.column_by_name(group);
            match array.map_or(Ok(Value::Null), |array| value(column, array, at))? {
                // Rows of no group are not one.
                Value::Null => {}
                group => *alone = place(request.seed, &key_of(&group)),
            }
        }
    }
    Ok(alone)
}

/// The places of rows that belong to no group.
fn places_alone(source: &Dataset, request: &SplitRequest, batch: &RecordBatch) -> Result<Vec<f64>> {
    match id_column(source.columns()) {
        Some(_) => Ok(ids(batch)?.iter().map(|id| place(request.seed, id.unwrap_or_default())).collect()),
        // By its values, so that a row that stands there twice is not on both sides.
        None => Ok(hashes(batch)?.values().iter().map(|hash| place(request.seed, &format!("{hash:x}"))).collect()),
    }
}

/// Runs `dataset.split` jobs; their result is a list of [`Made`].
#[derive(Clone)]
pub struct SplitHandler {
    datasets: Datasets,
}

impl SplitHandler {
    /// A handler that splits `datasets`.
    pub fn new(datasets: Datasets) -> Self {
        Self { datasets }
    }

    async fn split(self, context: JobContext) -> Result<Value, JobError> {
        let request: SplitRequest = context.payload()?;
        let told = context.clone();
        let report = move |done, total| told.progress(done, Some(total), "splitting rows");
        match self.datasets.split(context.project(), request, report, context.token().clone()).await {
            Ok(made) => Ok(json!(made)),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for SplitHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().split(context).boxed()
    }
}
