//! Verdicts as a column of a dataset: of the one that was labelled, or of one of their own.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{ArtifactName, JobId, VersionId};
use qd_catalog::{Answer, ArtifactKind, Handler, JobContext, JobError, JobKind, VersionInfo, VersionRef};
use qd_data::column::check_name;
use qd_data::{Column, ColumnType, Dataset, Extension, Origin, Role, text_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::annotations::{Annotation, Annotations};
use crate::fits::Fitted;
use crate::verdict::Verdicts;
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "annotation.export";
/// How often rows are written anew when the dataset changed meanwhile.
const TRIES: usize = 3;

/// What is to be exported, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The column.
    #[serde(default = "label")]
    pub column: String,
    /// The dataset that labelled rows become a version of; when absent, the dataset that was labelled gets a version with the column.
    #[serde(default)]
    pub to: Option<ArtifactName>,
    /// What stands for a value, where it is not the value itself: `{"a": 1, "b": 2, "tie": 0}`.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// Whether columns say by what each verdict came about, and what each annotator said.
    #[serde(default)]
    pub details: bool,
}

fn label() -> String {
    "label".to_owned()
}

/// What a job is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The version of the annotation.
    pub annotation: VersionId,
    /// What is to be exported.
    pub export: Export,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exported {
    /// The dataset.
    pub dataset: ArtifactName,
    /// Its version.
    pub version: u32,
    /// How many rows it has.
    pub rows: u64,
    /// The column.
    pub column: String,
    /// How many rows have a verdict in it.
    pub labelled: u64,
    /// Items without a verdict.
    pub open: u64,
    /// Items with a verdict whose rows are not there any more, or say something else than what was labelled.
    pub changed: u64,
}

impl Annotations {
    /// Queues an export. What cannot be is refused here.
    ///
    /// # Errors
    /// [`Error::Definition`] for a column or values that cannot be.
    pub async fn begin_export(&self, annotation: &Annotation, export: Export) -> Result<JobId> {
        let dataset = self.dataset(annotation.info.project, &annotation.definition().dataset).await?;
        self.check(annotation, &export, &dataset).await?;
        let request = ExportRequest { annotation: annotation.info.id, export };
        let kind: JobKind = KIND.parse()?;
        Ok(self.catalog.enqueue(&kind, json!(request), annotation.info.project).await?)
    }

    async fn check(&self, annotation: &Annotation, export: &Export, dataset: &Dataset) -> Result<()> {
        let names = column_names(export);
        for name in &names {
            check_name(name).map_err(|why| Error::definition("column", why))?;
        }
        if let Some(taken) = dataset.columns().iter().find(|column| names.contains(&column.name)) {
            let why = format!("what was labelled has a column {:?} already; take another name", taken.name);
            return Err(Error::definition("column", why));
        }
        if let Some(to) = &export.to {
            self.check_target(annotation, to, dataset).await?;
        }
        let classes = annotation.definition().scale.classes().unwrap_or_default();
        let known: HashSet<String> = classes.iter().map(text_of).collect();
        if let Some(unknown) = export.values.keys().find(|value| !known.contains(*value)) {
            return Err(Error::definition("values", format!("{unknown:?} is nothing that is said of items")));
        }
        match export.values.values().find(|value| value.is_object() || value.is_array() || value.is_null()) {
            Some(value) => Err(Error::definition("values", format!("{value} is no text, number or truth"))),
            None => Ok(()),
        }
    }

    /// A dataset of labelled rows alone is new, or made of this annotation before, and there is a row for it.
    async fn check_target(&self, annotation: &Annotation, to: &ArtifactName, labelled: &Dataset) -> Result<()> {
        if *to == labelled.info().name {
            let why = "labelled rows alone would take the place of all rows of the dataset; leave `to` out";
            return Err(Error::definition("to", why));
        }
        let found = self.catalog.version(annotation.info.project, ArtifactKind::Dataset, to, &VersionRef::Latest).await;
        match found {
            Ok(there) if !is_made_by(annotation, &there.info, None) => {
                let why =
                    format!("the dataset {to} is not of this annotation; take the name of one that is, or a new one");
                return Err(Error::definition("to", why));
            }
            Ok(_) | Err(qd_catalog::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let version = annotation.info.id;
        let labels = self.catalog.annotation_labels(version).await?;
        let has_labels = labels.iter().any(|label| label.value.is_some());
        match has_labels || !self.catalog.annotation_decisions(version).await?.is_empty() {
            true => Ok(()),
            false => Err(nothing_labelled()),
        }
    }

    /// Columns that came to the dataset after it was labelled are replaced only if they are what this annotation made.
    async fn check_later(
        &self,
        annotation: &Annotation,
        export: &Export,
        labelled: &Dataset,
        latest: &Dataset,
    ) -> Result<()> {
        let names = column_names(export);
        let is_wanted = |column: &&Column| names.contains(&column.name);
        let mut taken: HashSet<&str> =
            later(labelled, latest).filter(is_wanted).map(|column| column.name.as_str()).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let (project, name) = (annotation.info.project, &labelled.info().name);
        let versions = self.catalog.all_versions(project, ArtifactKind::Dataset, name).await?;
        // From the newest: what this annotation made is its own as long as nobody has made the column since.
        let mut foreign: HashSet<&str> = HashSet::new();
        for info in versions.iter().filter(|info| info.number > labelled.info().number) {
            taken.retain(|column| foreign.contains(column) || !is_made_by(annotation, info, Some(*column)));
            foreign.extend(taken.iter().filter(|column| is_made_anew(info, column)));
        }
        match taken.into_iter().next() {
            Some(column) => {
                let why = format!(
                    "the dataset has a column {column:?} now that is not of this annotation; take another name"
                );
                Err(Error::definition("column", why))
            }
            None => Ok(()),
        }
    }

    /// Makes the version. Done twice it is the same one.
    ///
    /// # Errors
    /// [`Error::Restless`] when the dataset is changed again and again meanwhile, [`Error::Cancelled`], and what reading and writing
    /// fail with.
    pub async fn export(
        &self,
        request: &ExportRequest,
        actor: &str,
        report: impl Fn(u64, u64) + Clone + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Exported> {
        let annotation = self.read(self.catalog.version_by_id(request.annotation).await?).await?;
        let Fitted { verdicts: found, labels, .. } = self.verdicts(&annotation, "finding verdicts").await?;
        let mut of_item: HashMap<u32, serde_json::Map<String, Value>> = HashMap::new();
        for label in &labels {
            if let Some(value) = &label.value {
                of_item.entry(label.item).or_default().insert(label.annotator.clone(), value.clone());
            }
        }
        let verdicts = told(&annotation, &request.export, &found, &of_item);
        for _ in 0..TRIES {
            let made = self.extend(&annotation, &request.export, &verdicts, actor, report.clone(), stop.clone()).await;
            match made {
                Err(Error::Data(qd_data::Error::Catalog { cause: qd_catalog::Error::Moved { .. }, .. })) => {}
                made => {
                    let open = (annotation.items() - verdicts.len()) as u64;
                    return made.map(|made| Exported { open, ..made });
                }
            }
        }
        Err(Error::Restless { name: annotation.definition().dataset.clone() })
    }

    async fn extend(
        &self,
        annotation: &Annotation,
        export: &Export,
        verdicts: &HashMap<String, Vec<Value>>,
        actor: &str,
        report: impl Fn(u64, u64) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<Exported> {
        let project = annotation.info.project;
        let labelled = self.dataset(project, &annotation.definition().dataset).await?;
        let name = labelled.info().name.clone();
        let source = match &export.to {
            Some(_) => labelled.clone(),
            None => self.datasets.open(project, &name, &VersionRef::Latest).await?,
        };
        let export = &if export.to.is_some() { export.clone() } else { with_details(export, &labelled, &source) };
        let mut values = verdicts.clone();
        if source.info().id != labelled.info().id {
            self.check_later(annotation, export, &labelled, &source).await?;
            let same = unchanged(&labelled, &source, &annotation.content.rows).await?;
            values.retain(|row, _| same.contains(row));
        }
        let count = values.len() as u64;
        if export.to.is_some() && values.is_empty() {
            return Err(nothing_labelled());
        }
        let extension = Extension {
            columns: columns(export, &source, verdicts),
            only: export.to.is_some().then(|| values.keys().cloned().collect()),
            about: Some(annotation.content.rows.iter().cloned().collect()),
            values,
        };
        let info = &annotation.info;
        let (annotation, version) = (info.name.clone(), info.number);
        let origin =
            Origin::Annotation { annotation, version, id: info.id, columns: column_names(export), labelled: count };
        let target = export.to.as_ref().unwrap_or(&name);
        let datasets = self.datasets.acting(actor)?;
        let made = match datasets.extend(&source, target, extension, (&origin, info.id), report, stop).await {
            Err(qd_data::Error::Cancelled) => return Err(Error::Cancelled),
            made => made?,
        };
        Ok(Exported {
            dataset: made.version.name,
            version: made.version.number,
            rows: made.rows,
            column: export.column.clone(),
            labelled: count,
            open: 0,
            changed: verdicts.len() as u64 - count,
        })
    }
}

fn nothing_labelled() -> Error {
    Error::definition("to", "nothing is labelled yet, so there is no row for a dataset of its own")
}

/// Whether a version of a dataset was made of this annotation's labels; with a column, whether that was.
fn is_made_by(annotation: &Annotation, info: &VersionInfo, column: Option<&str>) -> bool {
    let made = Origin::deserialize(&info.metadata);
    matches!(made, Ok(Origin::Annotation { annotation: by, columns, .. })
        if by == annotation.info.name && column.is_none_or(|column| columns.iter().any(|made| made == column)))
}

/// Whether a version of a dataset has a column of its own: not what the version before had in it, with other rows at most.
fn is_made_anew(info: &VersionInfo, column: &str) -> bool {
    match Origin::deserialize(&info.metadata) {
        Ok(Origin::Annotation { columns, .. }) => columns.iter().any(|made| made == column),
        Ok(Origin::Edit { .. } | Origin::Traces { .. } | Origin::Columns { .. }) => false,
        Ok(Origin::Import { .. } | Origin::Split { .. }) | Err(_) => true,
    }
}

/// What rows have in the new columns, by their identifiers: the value, by what it came about, and what each annotator said.
fn told(
    annotation: &Annotation,
    export: &Export,
    found: &Verdicts,
    labels: &HashMap<u32, serde_json::Map<String, Value>>,
) -> HashMap<String, Vec<Value>> {
    let mut told = HashMap::new();
    for (item, (row, verdict)) in (0..).zip(annotation.content.rows.iter().zip(&found.of)) {
        let Some(verdict) = verdict else { continue };
        let shown = export.values.get(&text_of(&verdict.value)).unwrap_or(&verdict.value).clone();
        let said = labels.get(&item).cloned().unwrap_or_default();
        told.insert(row.clone(), vec![shown, json!(verdict.how.as_str()), Value::Object(said)]);
    }
    told
}

/// The column of verdicts, and those of details.
fn column_names(export: &Export) -> Vec<String> {
    let column = &export.column;
    let all = [column.clone(), format!("{column}_by"), format!("{column}_said")];
    all.into_iter().take(if export.details { 3 } else { 1 }).collect()
}

/// Details that were exported before are not left to tell of other verdicts.
fn with_details(export: &Export, labelled: &Dataset, source: &Dataset) -> Export {
    let details = column_names(&Export { details: true, ..export.clone() });
    let is_detail = |column: &&Column| details[1..].contains(&column.name);
    let is_there = later(labelled, source).any(|column| is_detail(&column));
    Export { details: export.details || is_there, ..export.clone() }
}

/// Columns that came to the dataset after it was labelled.
fn later<'a>(labelled: &Dataset, source: &'a Dataset) -> impl Iterator<Item = &'a Column> {
    let known: HashSet<String> = labelled.columns().iter().map(|column| column.name.clone()).collect();
    source.columns().iter().filter(move |column| !known.contains(&column.name))
}

/// The new columns: the first is the dataset's label unless it has another.
fn columns(export: &Export, source: &Dataset, told: &HashMap<String, Vec<Value>>) -> Vec<Column> {
    let names = column_names(export);
    let has_label = source.columns().iter().any(|column| column.role == Role::Label && column.name != names[0]);
    let kinds = [kind(told), ColumnType::Text, ColumnType::Json];
    let roles = [if has_label { Role::Metadata } else { Role::Label }, Role::Metadata, Role::Metadata];
    let all = names.into_iter().zip(kinds).zip(roles);
    all.map(|((name, kind), role)| Column { name, kind, role }).collect()
}

/// The type that holds what rows have in the first column; values of different kinds are JSON.
fn kind(told: &HashMap<String, Vec<Value>>) -> ColumnType {
    let all = |is: fn(&Value) -> bool| told.values().all(|values| is(&values[0]));
    match () {
        () if all(Value::is_string) => ColumnType::Text,
        () if all(Value::is_boolean) => ColumnType::Boolean,
        () if all(Value::is_i64) => ColumnType::Integer,
        () if all(|value| value.as_f64().is_some_and(|n| n.abs() <= 9_007_199_254_740_992.0)) => ColumnType::Number,
        () => ColumnType::Json,
    }
}

/// The rows that say in a later version what was labelled.
async fn unchanged(labelled: &Dataset, source: &Dataset, ids: &[String]) -> Result<HashSet<String>> {
    let before: HashMap<String, qd_data::Row> =
        labelled.rows_of(ids).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
    let is_same = |row: &qd_data::Row| {
        before.get(&row.id).is_some_and(|before| {
            before.values.iter().all(|(name, value)| row.values.get(name).unwrap_or(&Value::Null) == value)
        })
    };
    Ok(source.rows_of(ids).await?.into_iter().filter(is_same).map(|row| row.id).collect())
}

/// Runs `annotation.export` jobs.
#[derive(Clone)]
pub struct ExportHandler {
    annotations: Annotations,
}

impl ExportHandler {
    /// A handler that exports `annotations`.
    pub fn new(annotations: Annotations) -> Self {
        Self { annotations }
    }

    async fn export(self, context: JobContext) -> Answer {
        let request: ExportRequest = context.payload()?;
        let told = context.clone();
        let report = move |done, total| told.progress(done, Some(total), "writing rows");
        let actor = format!("job:{}", context.job().id);
        match self.annotations.export(&request, &actor, report, context.token().clone()).await {
            Ok(exported) => Ok(json!(exported)),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for ExportHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Answer> {
        self.clone().export(context).boxed()
    }
}
