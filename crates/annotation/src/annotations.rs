//! All annotations: making, finding, deleting, and who takes part.

use qd_base::{AccountName, ArtifactName, ProjectId};
use qd_catalog::{AnnotationPeople, ArtifactKind, Catalog, Page, Version, VersionInfo, VersionRef};
use qd_data::{Dataset, Datasets};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::definition::{Definition, MOST_ITEMS};
use crate::fits::Fits;
use crate::report::{self, Report};
use crate::{Error, Result, sample};

pub(crate) const KIND: ArtifactKind = ArtifactKind::Annotation;
/// Annotations that a list tells at most.
const MOST_LISTED: usize = 200;
/// Rows that a sample is shared out over by a column at most: what they have in it is read.
const MOST_STRATIFIED: u64 = 1_000_000;

/// Annotations of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Annotations {
    pub(crate) catalog: Catalog,
    pub(crate) datasets: Datasets,
    pub(crate) fits: Fits,
}

/// The content of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// What was asked for, the dataset pinned to a number.
    pub definition: Definition,
    /// The items' places in the dataset: the first is item 0.
    pub places: Vec<u64>,
    /// By what the rows are known.
    pub rows: Vec<String>,
}

/// A version of an annotation.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// Which one.
    pub info: VersionInfo,
    /// What it is.
    pub content: Content,
    /// Who takes part.
    pub people: AnnotationPeople,
}

impl Annotation {
    /// What is asked.
    pub fn definition(&self) -> &Definition {
        &self.content.definition
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.content.places.len()
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.items()).unwrap_or(u32::MAX)
    }

    pub(crate) fn require(&self, item: u32) -> Result<()> {
        if item < self.count() { Ok(()) } else { Err(Error::NoItem { item, items: self.items() }) }
    }

    /// Refuses who may not label.
    pub(crate) fn let_label(&self, who: &AccountName) -> Result<()> {
        self.admit(who, "annotators", &self.people.annotators)
    }

    /// Refuses who may not decide.
    pub(crate) fn let_decide(&self, who: &AccountName) -> Result<()> {
        self.admit(who, "adjudicators", &self.people.adjudicators)
    }

    /// Whether what this one says is worth something only as long as they do not see what others say, nor which answer is whose.
    pub fn is_blind(&self, who: &AccountName) -> bool {
        self.people.annotators.contains(who.as_str()) && !self.people.adjudicators.contains(who.as_str())
    }

    fn admit(&self, who: &AccountName, role: &'static str, among: &std::collections::BTreeSet<String>) -> Result<()> {
        if among.is_empty() || among.contains(who.as_str()) {
            return Ok(());
        }
        Err(Error::NotAllowed { who: who.to_string(), role, annotation: self.info.name.to_string() })
    }
}

/// Who is to take part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Who may label; whoever may write when there is nobody.
    #[serde(default)]
    pub annotators: Vec<AccountName>,
    /// Who may decide; whoever may write when there is nobody.
    #[serde(default)]
    pub adjudicators: Vec<AccountName>,
}

impl From<People> for AnnotationPeople {
    fn from(people: People) -> Self {
        let texts = |names: Vec<AccountName>| names.iter().map(ToString::to_string).collect();
        Self { annotators: texts(people.annotators), adjudicators: texts(people.adjudicators) }
    }
}

impl Annotations {
    /// Annotations over these rooms.
    pub fn new(catalog: Catalog, datasets: Datasets) -> Self {
        Self { catalog, datasets, fits: Fits::default() }
    }

    /// Makes a version of an annotation. The same definition as the latest version's is that version, with its labels; with another
    /// definition a version begins without any. People who are given take the place of those that were.
    ///
    /// # Errors
    /// [`Error::Definition`] and others for what cannot be asked; nothing is made then.
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        mut definition: Definition,
        people: Option<People>,
        actor: &str,
    ) -> Result<Annotation> {
        definition.check()?;
        let dataset = self.dataset(project, &definition.dataset).await?;
        definition.check_columns(&dataset)?;
        definition.dataset = format!("{}@{}", dataset.info().name, dataset.info().number);
        let places = places(&dataset, &definition).await?;
        let rows = read(&dataset, &places).await?.into_iter().map(|row| row.id).collect();
        let content = Content { definition, places, rows };
        let bytes = serde_json::to_vec(&content).map_err(|cause| Error::definition("definition", cause.to_string()))?;
        let catalog = self.catalog.acting(actor)?;
        let put = catalog.put_version(project, KIND, name, &bytes, json!({}), &[dataset.info().id]).await?;
        if let Some(people) = people {
            catalog.set_annotation_people(&put.info, &people.into()).await?;
        }
        self.read(put).await
    }

    /// Says who takes part from now on. What somebody said stays when they no longer do.
    ///
    /// # Errors
    /// [`Error::Catalog`] for too many.
    pub async fn set_people(&self, annotation: &Annotation, people: People, actor: &str) -> Result<Annotation> {
        let people = AnnotationPeople::from(people);
        self.catalog.acting(actor)?.set_annotation_people(&annotation.info, &people).await?;
        Ok(Annotation { people, ..annotation.clone() })
    }

    /// A version of an annotation.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Annotation> {
        self.read(self.catalog.version(project, KIND, name, which).await?).await
    }

    pub(crate) async fn read(&self, version: Version) -> Result<Annotation> {
        let people = self.catalog.annotation_people(version.info.id).await?;
        Ok(Annotation { content: version.read_content()?, info: version.info, people })
    }

    /// The latest versions of all annotations of a project, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Annotation>> {
        let mut known = self.catalog.artifacts(project, KIND).await?;
        known.sort_by_key(|artifact| std::cmp::Reverse(artifact.updated));
        let mut found = Vec::new();
        for artifact in known.into_iter().take(MOST_LISTED) {
            found.push(self.get(project, &artifact.name, &VersionRef::Latest).await?);
        }
        Ok(found)
    }

    /// The versions of an annotation, the newest first: at most 100.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn versions(&self, project: ProjectId, name: &ArtifactName) -> Result<Vec<VersionInfo>> {
        Ok(self.catalog.versions(project, KIND, name, Page::default()).await?.items)
    }

    /// Deletes an annotation with all of its versions, labels and decisions. What was exported stays.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn delete(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        Ok(self.catalog.acting(actor)?.remove_artifact(project, KIND, name).await?)
    }

    /// What came of an annotation so far.
    ///
    /// # Errors
    /// [`Error::Catalog`] when the labels cannot be read.
    pub async fn report(&self, annotation: &Annotation) -> Result<Report> {
        let labels = self.catalog.annotation_labels(annotation.info.id).await?;
        let decisions = self.catalog.annotation_decisions(annotation.info.id).await?;
        let (definition, items) = (annotation.content.definition.clone(), annotation.items());
        let work = move || report::report(&definition, items, &labels, &decisions);
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing: "making a report" })?
    }

    /// The dataset that is meant by `name`, `name@3` or `name@label`.
    pub(crate) async fn dataset(&self, project: ProjectId, reference: &str) -> Result<Dataset> {
        let (name, which) = match reference.rsplit_once('@') {
            Some((name, which)) => (name, which.parse()),
            None => (reference, Ok(VersionRef::Latest)),
        };
        let wrong = |cause: qd_base::Error| Error::definition("dataset", cause.to_string());
        Ok(self.datasets.open(project, &name.parse().map_err(wrong)?, &which.map_err(wrong)?).await?)
    }
}

/// The places of the rows that are items, in the order of these.
async fn places(dataset: &Dataset, definition: &Definition) -> Result<Vec<u64>> {
    let rows = usize::try_from(dataset.len()).unwrap_or(usize::MAX);
    let count = definition.sample.limit.unwrap_or(rows).min(rows);
    if !(1..=MOST_ITEMS).contains(&count) {
        let why = format!("the dataset has {rows} rows; between 1 and {MOST_ITEMS} are labelled");
        return Err(Error::definition("sample.limit", why));
    }
    let seed = definition.sample.seed;
    match &definition.sample.stratify {
        None => Ok(sample::draw(rows, seed, count)),
        Some(_) if dataset.len() > MOST_STRATIFIED => {
            let why = format!("the dataset has {rows} rows; a sample of {MOST_STRATIFIED} at most is shared out");
            Err(Error::definition("sample.stratify", why))
        }
        Some(column) => sample::draw_stratified(&dataset.texts_of(column).await?, seed, count),
    }
}

/// The rows at these places, in the order of these.
pub(crate) async fn read(dataset: &Dataset, places: &[u64]) -> Result<Vec<qd_data::Row>> {
    let mut rows: std::collections::HashMap<u64, qd_data::Row> =
        dataset.rows_among(places).await?.into_iter().map(|row| (row.index, row)).collect();
    let gone = |place| Error::Gone { place, dataset: dataset.info().name.to_string() };
    places.iter().map(|&place| rows.remove(&place).ok_or_else(|| gone(place))).collect()
}
