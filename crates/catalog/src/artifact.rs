//! Artifacts: what somebody authored, in immutable numbered versions.
//!
//! A version is JSON text, kept byte for byte and named by its SHA-256. Numbers run from 1 without gaps and are
//! never given again, not even after a removal.

use std::fmt;
use std::str::FromStr;

use qd_base::{ArtifactName, Label, ProjectId, Sha256Hex, Timestamp, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::column::{self, Columns, stored};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Listed, Page, Result, limit, lineage, project};

/// The largest content of one version; what is larger belongs into a blob that the content names.
pub const MAX_CONTENT_BYTES: usize = 8 << 20;
/// The largest metadata of one version.
pub const MAX_METADATA_BYTES: usize = 64 << 10;
/// One project has at most this many artifacts of one kind.
pub const MAX_ARTIFACTS: usize = 10_000;

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// A model that can be run here.
    Model,
    /// A template with its parameters.
    Prompt,
    /// Rows to evaluate or train on.
    Dataset,
    /// A model that judges answers, with its instructions.
    Judge,
    /// Rails on what may pass.
    GuardPolicy,
    /// Steps that run one after another.
    Pipeline,
    /// A search index.
    Index,
    /// Prompts, models and parameters compared on a dataset.
    Experiment,
    /// A question that people answer about items.
    Annotation,
    /// Answers to the rows of a dataset, with everything that is looked at in them.
    Evaluation,
    /// A page of the console with its filters, saved under a name.
    View,
    /// Models compared on tasks.
    Leaderboard,
    /// Which live calls are scored, and how.
    Scorer,
}

impl ArtifactKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Model,
        Self::Prompt,
        Self::Dataset,
        Self::Judge,
        Self::GuardPolicy,
        Self::Pipeline,
        Self::Index,
        Self::Experiment,
        Self::Annotation,
        Self::Evaluation,
        Self::View,
        Self::Leaderboard,
        Self::Scorer,
    ];

    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Dataset => "dataset",
            Self::Judge => "judge",
            Self::GuardPolicy => "guard-policy",
            Self::Pipeline => "pipeline",
            Self::Index => "index",
            Self::Experiment => "experiment",
            Self::Annotation => "annotation",
            Self::Evaluation => "evaluation",
            Self::View => "view",
            Self::Leaderboard => "leaderboard",
            Self::Scorer => "scorer",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ArtifactKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Error::not_found("kind of artifact", limit::shorten(text, 80)))
    }
}

/// Which version of an artifact is meant: `3`, `production` or `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRef {
    /// The version of this number.
    Number(u32),
    /// The version that a label points at.
    Label(Label),
    /// The version with the highest number.
    Latest,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Label(label) => label.fmt(f),
            Self::Latest => f.pad("latest"),
        }
    }
}

impl FromStr for VersionRef {
    type Err = qd_base::Error;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text == "latest" => Ok(Self::Latest),
            Err(_) => text.parse().map(Self::Label),
        }
    }
}

/// A version without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Its identifier, one in the whole catalog.
    pub id: VersionId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What it is.
    pub kind: ArtifactKind,
    /// The artifact's name.
    pub name: ArtifactName,
    /// Its number, from 1.
    pub number: u32,
    /// The digest of its content.
    pub hash: Sha256Hex,
    /// How long its content is.
    pub size_bytes: u64,
    /// What its author says about it.
    pub metadata: Value,
    /// When it was made.
    pub created: Timestamp,
    /// When it was removed, if it was; it then shows in lineage only.
    pub removed: Option<Timestamp>,
}

/// A version with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Everything about it.
    pub info: VersionInfo,
    /// Its content: JSON text, as it was put.
    pub content: Vec<u8>,
}

impl Version {
    /// The content as the type it was made from.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not such a value.
    pub fn read_content<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.content)
            .map_err(|cause| Error::Corrupt { column: "content", reason: cause.to_string() })
    }
}

/// What a version is to hold.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// JSON text.
    pub content: &'a [u8],
    /// What its author says about it.
    pub metadata: Value,
    /// The versions that it was made from.
    pub parents: &'a [VersionId],
}

/// Which version has to be the latest when another is added.
#[derive(Debug, Clone, Copy)]
enum Base {
    Any,
    Latest(Option<u32>),
}

impl Base {
    fn check(self, kind: ArtifactKind, name: &ArtifactName, last: Option<&VersionInfo>) -> Result<()> {
        let found = last.filter(|last| last.removed.is_none()).map(|last| last.number);
        match self {
            Self::Latest(expected) if expected != found => {
                Err(Error::Moved { noun: kind.as_str(), name: name.to_string(), expected, found })
            }
            _ => Ok(()),
        }
    }
}

/// An artifact in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: ArtifactName,
    /// The highest number of its versions.
    pub latest: u32,
    /// How many versions it has.
    pub versions: u64,
    /// When its first version was made.
    pub created: Timestamp,
    /// When its latest version was made.
    pub updated: Timestamp,
}

macro_rules! select {
    ($extra:literal, $rest:literal) => {
        concat!(
            "SELECT version.id, version.project_id, version.kind, version.name, version.number, version.hash, ",
            "version.size_bytes, version.metadata, version.created_ns, version.removed_ns",
            $extra,
            " FROM version ",
            $rest
        )
    };
}
pub(crate) use select;

impl Catalog {
    /// Adds a version to an artifact, which comes to be with its first. When the content is that of the latest
    /// version, nothing is added and the latest is returned, with its own metadata and parents.
    ///
    /// `parents` are the versions this one was made from; they may lie in other projects.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `content` is not JSON, [`Error::TooLarge`] beyond the limits of this module,
    /// [`Error::NotFound`] when the project or a parent is unknown.
    pub async fn put_version(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        content: &[u8],
        metadata: Value,
        parents: &[VersionId],
    ) -> Result<Version> {
        self.put(project, (kind, name), NewVersion { content, metadata, parents }, Base::Any).await
    }

    /// The same for a version that was made out of the latest: only if that is still number `base` (`None`: there is no
    /// version), so that of several who change the same version one succeeds.
    ///
    /// # Errors
    /// As there, and [`Error::Moved`] when the latest version is another.
    pub async fn put_version_after(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        base: Option<u32>,
        new: NewVersion<'_>,
    ) -> Result<Version> {
        self.put(project, (kind, name), new, Base::Latest(base)).await
    }

    async fn put(
        &self,
        project: ProjectId,
        (kind, name): (ArtifactKind, &ArtifactName),
        new: NewVersion<'_>,
        base: Base,
    ) -> Result<Version> {
        const OPERATION: &str = "adding a version";
        let NewVersion { content, metadata, parents } = new;
        check_content(content, &metadata, parents)?;
        let hash = Sha256Hex::of(content);
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        let last = last_version(&mut tx, project, kind, name).await?;
        base.check(kind, name, last.as_ref())?;
        if let Some(same) = last.as_ref().filter(|last| last.hash == hash && last.removed.is_none()) {
            return Ok(Version { info: same.clone(), content: content.to_vec() });
        }
        if last.is_none() {
            limit::count("number of artifacts", count(&mut tx, project, kind).await? + 1, MAX_ARTIFACTS)?;
        }
        let info = VersionInfo {
            id: VersionId::new(),
            project,
            kind,
            name: name.clone(),
            number: last.as_ref().map_or(0, |last| last.number) + 1,
            hash,
            size_bytes: content.len() as u64,
            metadata,
            created: Timestamp::now(),
            removed: None,
        };
        insert(&mut tx, &info, content).await?;
        lineage::insert(&mut tx, info.id, parents).await?;
        crate::annotation::keep_people(&mut tx, last.as_ref(), &info).await?;
        self.note_artifact(&mut tx, "create", &info, json!({ "number": info.number, "hash": hash })).await?;
        self.commit_artifact(tx, OPERATION).await?;
        Ok(Version { info, content: content.to_vec() })
    }

    /// One version of an artifact.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it was removed.
    pub async fn version(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        which: &VersionRef,
    ) -> Result<Version> {
        const BY_NUMBER: &str = select!(
            ", content",
            "WHERE project_id = $1 AND kind = $2 AND name = $3 AND removed_ns IS NULL AND number = $4"
        );
        const BY_LABEL: &str = select!(
            ", content",
            "JOIN label USING (project_id, kind, name, number) \
             WHERE project_id = $1 AND kind = $2 AND name = $3 AND removed_ns IS NULL AND label = $4"
        );
        const LATEST: &str = select!(
            ", content",
            "WHERE project_id = $1 AND kind = $2 AND name = $3 AND removed_ns IS NULL ORDER BY number DESC LIMIT 1"
        );
        let query = match which {
            VersionRef::Number(_) => sqlx::query(BY_NUMBER),
            VersionRef::Label(_) => sqlx::query(BY_LABEL),
            VersionRef::Latest => sqlx::query(LATEST),
        };
        let query = query.bind(project.to_string()).bind(kind.as_str()).bind(name.as_str());
        let query = match which {
            VersionRef::Number(number) => query.bind(*number),
            VersionRef::Label(label) => query.bind(label.as_str()),
            VersionRef::Latest => query,
        };
        let row = query
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a version"))?
            .ok_or_else(|| Error::not_found(kind.as_str(), format!("{name}@{which}")))?;
        read(Columns(&row))
    }

    /// The version of this identifier.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it was removed.
    pub async fn version_by_id(&self, id: VersionId) -> Result<Version> {
        let row = sqlx::query(select!(", content", "WHERE id = $1 AND removed_ns IS NULL"))
            .bind(id.to_string())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a version"))?
            .ok_or_else(|| Error::not_found("version", id))?;
        read(Columns(&row))
    }

    /// The versions of an artifact, newest first; the key of a page is a version's number.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn versions(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        page: Page<u32>,
    ) -> Result<Listed<VersionInfo, u32>> {
        let rows = sqlx::query(select!(
            "",
            "WHERE project_id = $1 AND kind = $2 AND name = $3 AND removed_ns IS NULL AND number < $4 \
             ORDER BY number DESC LIMIT $5"
        ))
        .bind(project.to_string())
        .bind(kind.as_str())
        .bind(name.as_str())
        .bind(page.key().map_or(i64::MAX, |number| i64::from(*number)))
        .bind(page.probe())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing versions"))?;
        Ok(Listed::of(column::all(&rows, read_info)?, &page, |version| version.number))
    }

    /// All versions of an artifact, newest first.
    ///
    /// # Errors
    /// As [`Catalog::versions`].
    pub async fn all_versions(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
    ) -> Result<Vec<VersionInfo>> {
        let mut found = Vec::new();
        let mut page = Page::first(Page::<u32>::MAX);
        loop {
            let more = self.versions(project, kind, name, page).await?;
            found.extend(more.items);
            match more.next {
                Some(next) => page = Page::after(Page::<u32>::MAX, next),
                None => return Ok(found),
            }
        }
    }

    /// The artifacts of one kind in a project, by name: at most [`MAX_ARTIFACTS`].
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn artifacts(&self, project: ProjectId, kind: ArtifactKind) -> Result<Vec<Artifact>> {
        let rows = sqlx::query(
            "SELECT name, MAX(number) AS latest, COUNT(*) AS versions, MIN(created_ns) AS created_ns, \
             MAX(created_ns) AS updated_ns FROM version \
             WHERE project_id = $1 AND kind = $2 AND removed_ns IS NULL GROUP BY name ORDER BY name",
        )
        .bind(project.to_string())
        .bind(kind.as_str())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing artifacts"))?;
        column::all(&rows, read_artifact)
    }

    /// Removes an artifact: its labels and the content and metadata of its versions are gone. What was made from
    /// them keeps its lineage, and their numbers are not given again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_artifact(&self, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<()> {
        const OPERATION: &str = "removing an artifact";
        let mut tx = self.db().begin(OPERATION).await?;
        let last = last_version(&mut tx, project, kind, name).await?;
        let last = last.filter(|last| last.removed.is_none()).ok_or_else(|| Error::not_found(kind.as_str(), name))?;
        crate::label::remove_all(&mut tx, project, kind, name).await?;
        forget_content(&mut tx, &last).await?;
        crate::comment::remove_all(&mut tx, project, kind, name).await?;
        crate::annotation::remove_all(&mut tx, project, kind, name).await?;
        crate::calibration::remove_all(&mut tx, project, kind, name).await?;
        self.note_artifact(&mut tx, "remove", &last, json!({ "latest": last.number })).await?;
        self.commit_artifact(tx, OPERATION).await?;
        Ok(())
    }

    /// A counter that grows with each change to an artifact or its [labels](crate::label), for who keeps them in memory:
    /// it has grown before the change is acknowledged.
    pub fn watch_artifacts(&self) -> watch::Receiver<u64> {
        self.inner().artifacts_changed.subscribe()
    }

    /// Commits a change to artifacts or labels and counts it. It goes on when the caller goes away, because SQLite commits
    /// all the same, and what others hold in memory would stay stale.
    pub(crate) async fn commit_artifact(&self, tx: Tx, operation: &'static str) -> Result<()> {
        let catalog = self.clone();
        let committed = tokio::spawn(async move {
            let committed = commit(tx, operation).await;
            // Also of one that failed: it may still be in the file.
            catalog.inner().artifacts_changed.send_modify(|changes| *changes += 1);
            committed
        });
        committed.await.unwrap_or_else(|_| Err(Error::database(operation)(sqlx::Error::WorkerCrashed)))
    }

    pub(crate) async fn note_artifact(
        &self,
        tx: &mut Tx,
        action: &str,
        version: &VersionInfo,
        mut detail: Value,
    ) -> Result<()> {
        detail["project"] = json!(version.project);
        self.note(tx, action, version.kind.as_str(), version.name.as_str(), detail).await
    }
}

fn check_content(content: &[u8], metadata: &Value, parents: &[VersionId]) -> Result<()> {
    limit::bytes("content", content.len(), MAX_CONTENT_BYTES)?;
    limit::bytes("metadata", metadata.to_string().len(), MAX_METADATA_BYTES)?;
    limit::count("number of parents", parents.len(), lineage::MAX_PARENTS)?;
    serde_json::from_slice::<serde::de::IgnoredAny>(content)
        .map(drop)
        .map_err(|cause| Error::invalid("content", format!("is not JSON: {cause}")))
}

/// The version with the highest number, removed or not.
async fn last_version(
    tx: &mut Tx,
    project: ProjectId,
    kind: ArtifactKind,
    name: &ArtifactName,
) -> Result<Option<VersionInfo>> {
    let row =
        sqlx::query(select!("", "WHERE project_id = $1 AND kind = $2 AND name = $3 ORDER BY number DESC LIMIT 1"))
            .bind(project.to_string())
            .bind(kind.as_str())
            .bind(name.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::database("reading the latest version"))?;
    row.map(|row| read_info(Columns(&row))).transpose()
}

async fn count(tx: &mut Tx, project: ProjectId, kind: ArtifactKind) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(DISTINCT name) AS names FROM version WHERE project_id = $1 AND kind = $2")
        .bind(project.to_string())
        .bind(kind.as_str())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting artifacts"))?;
    Ok(usize::try_from(Columns(&row).count("names")?).unwrap_or(usize::MAX))
}

async fn insert(tx: &mut Tx, info: &VersionInfo, content: &[u8]) -> Result<()> {
    sqlx::query(
        "INSERT INTO version (id, project_id, kind, name, number, hash, size_bytes, content, metadata, created_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(info.id.to_string())
    .bind(info.project.to_string())
    .bind(info.kind.as_str())
    .bind(info.name.as_str())
    .bind(info.number)
    .bind(info.hash.to_string())
    .bind(stored(info.size_bytes))
    .bind(content)
    .bind(info.metadata.to_string())
    .bind(info.created.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("adding a version"))
}

async fn forget_content(tx: &mut Tx, artifact: &VersionInfo) -> Result<()> {
    sqlx::query(
        "UPDATE version SET content = NULL, metadata = 'null', removed_ns = $4 \
         WHERE project_id = $1 AND kind = $2 AND name = $3 AND removed_ns IS NULL",
    )
    .bind(artifact.project.to_string())
    .bind(artifact.kind.as_str())
    .bind(artifact.name.as_str())
    .bind(Timestamp::now().as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("removing an artifact"))
}

pub(crate) fn read_info(row: Columns<'_>) -> Result<VersionInfo> {
    Ok(VersionInfo {
        id: row.parsed("id")?,
        project: row.parsed("project_id")?,
        kind: row.parsed("kind")?,
        name: row.parsed("name")?,
        number: row.number("number")?,
        hash: row.hash("hash")?,
        size_bytes: row.count("size_bytes")?,
        metadata: row.json("metadata")?,
        created: row.time("created_ns")?,
        removed: row.time_opt("removed_ns")?,
    })
}

fn read(row: Columns<'_>) -> Result<Version> {
    Ok(Version { info: read_info(row)?, content: row.blob("content")? })
}

fn read_artifact(row: Columns<'_>) -> Result<Artifact> {
    Ok(Artifact {
        name: row.parsed("name")?,
        latest: row.number("latest")?,
        versions: row.count("versions")?,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};
    use proptest::prelude::*;

    /// Puts `content` as a version of the prompt `greeting` in the default project.
    pub(crate) async fn put(catalog: &Catalog, content: &str, parents: &[VersionId]) -> VersionInfo {
        let (project, name) = greeting(catalog);
        let put = catalog.put_version(project, ArtifactKind::Prompt, &name, content.as_bytes(), json!({}), parents);
        put.await.unwrap().info
    }

    pub(crate) fn greeting(catalog: &Catalog) -> (ProjectId, ArtifactName) {
        (catalog.default_project().id, "greeting".parse().unwrap())
    }

    async fn get(catalog: &Catalog, which: &str) -> Result<Version> {
        let (project, name) = greeting(catalog);
        catalog.version(project, ArtifactKind::Prompt, &name, &which.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_version_is_kept_as_it_was_put() {
        let (catalog, dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        let content = br#"{ "text":  "Hello {{name}}" }"#;
        let metadata = json!({ "author": "alice" });
        let put = catalog.put_version(project, ArtifactKind::Prompt, &name, content, metadata, &[]).await.unwrap();
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        for which in ["1", "latest"] {
            assert_eq!(get(&catalog, which).await.unwrap(), put);
        }
        assert_eq!(catalog.version_by_id(put.info.id).await.unwrap().content, content);
        assert_eq!(put.read_content::<Value>().unwrap()["text"], "Hello {{name}}");
    }

    #[tokio::test]
    async fn what_does_not_change_adds_no_version() {
        let (catalog, _dir) = catalog().await;
        let first = put(&catalog, "1", &[]).await;
        assert_eq!(put(&catalog, "1", &[]).await, first);
        assert_eq!(put(&catalog, "2", &[]).await.number, 2);
        assert_eq!(put(&catalog, "1", &[]).await.number, 3, "only the latest is compared");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_several_who_change_a_version_one_succeeds() {
        let (catalog, _dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        let put = async |base: Option<u32>, content: String| {
            let new = NewVersion { content: content.as_bytes(), metadata: json!({}), parents: &[] };
            catalog.put_version_after(project, ArtifactKind::Prompt, &name, base, new).await
        };
        for base in [None, Some(1), Some(2)] {
            let all = futures::future::join_all((0..8).map(|n| put(base, format!("{{\"{base:?}\": {n}}}")))).await;
            let made: Vec<_> = all.iter().filter_map(|put| put.as_ref().ok()).collect();
            assert_eq!(made.len(), 1, "from {base:?}");
            assert_eq!(made[0].info.number, base.unwrap_or(0) + 1);
            let found = Some(made[0].info.number);
            for refused in all.iter().filter_map(|put| put.as_ref().err()) {
                assert!(
                    matches!(refused, Error::Moved { expected, found: at, .. } if (*expected, *at) == (base, found))
                );
            }
        }
        // Whoever saw nothing meets nothing after a removal, and the number is another all the same.
        catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await.unwrap();
        let gone = put(Some(3), "1".to_owned()).await.unwrap_err().to_string();
        assert_eq!(
            gone,
            "prompt greeting has no version, but 3 was expected to be its latest; look again before you change it"
        );
        assert_eq!(put(None, "1".to_owned()).await.unwrap().info.number, 4);
    }

    #[tokio::test]
    async fn lists_are_paged_and_per_kind() {
        let (catalog, _dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        for content in ["1", "2", "3", "4", "5"] {
            put(&catalog, content, &[]).await;
        }
        let list = |page| catalog.versions(project, ArtifactKind::Prompt, &name, page);
        let first = list(Page::first(3)).await.unwrap();
        assert_eq!(first.items.iter().map(|version| version.number).collect::<Vec<_>>(), [5, 4, 3]);
        let rest = list(Page::maybe_after(3, first.next)).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (2, None));
        let prompts = catalog.artifacts(project, ArtifactKind::Prompt).await.unwrap();
        assert_eq!((prompts.len(), prompts[0].latest, prompts[0].versions), (1, 5, 5));
        assert!(catalog.artifacts(project, ArtifactKind::Judge).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_number_is_not_given_again_after_removal() {
        let (catalog, _dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        put(&catalog, "1", &[]).await;
        put(&catalog, "2", &[]).await;
        catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await.unwrap();
        let gone = get(&catalog, "latest").await.unwrap_err().to_string();
        assert_eq!(gone, "there is no prompt greeting@latest");
        assert!(catalog.artifacts(project, ArtifactKind::Prompt).await.unwrap().is_empty());
        assert!(catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await.is_err());
        assert_eq!(put(&catalog, "2", &[]).await.number, 3);
    }

    #[tokio::test]
    async fn wrong_content_is_refused() {
        let (catalog, _dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        let try_put = |project, content: Vec<u8>, metadata: Value| {
            let (catalog, name) = (catalog.clone(), name.clone());
            async move { catalog.put_version(project, ArtifactKind::Prompt, &name, &content, metadata, &[]).await }
        };
        let error = try_put(project, b"{".to_vec(), json!({})).await.unwrap_err();
        assert!(error.to_string().starts_with("content is not JSON"), "{error}");
        let large = vec![b'1'; MAX_CONTENT_BYTES + 1];
        assert!(matches!(try_put(project, large, json!({})).await, Err(Error::TooLarge { .. })));
        let large = json!("x".repeat(MAX_METADATA_BYTES));
        assert!(matches!(try_put(project, b"1".to_vec(), large).await, Err(Error::TooLarge { .. })));
        let nowhere = try_put(ProjectId::new(), b"1".to_vec(), json!({})).await;
        assert!(matches!(nowhere, Err(Error::NotFound { noun: "project", .. })));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn numbers_have_no_gaps_however_many_write() {
        let (catalog, _dir) = catalog().await;
        let writers = (0..40).map(|content| {
            let catalog = catalog.clone();
            tokio::spawn(async move { put(&catalog, &content.to_string(), &[]).await.number })
        });
        let mut numbers: Vec<_> = futures::future::join_all(writers).await.into_iter().map(|n| n.unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The model: a list that grows when what is put differs from its end, and is cut off by a removal.
        #[test]
        fn numbers_follow_the_model(steps in prop::collection::vec(prop::option::weighted(0.8, 0_u8..3), 1..20)) {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let (catalog, _dir) = catalog().await;
                let (project, name) = greeting(&catalog);
                let (mut number, mut latest) = (0, None);
                for step in steps {
                    let Some(content) = step else {
                        let removed = catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await;
                        assert_eq!(removed.is_ok(), latest.take().is_some());
                        continue;
                    };
                    number += u32::from(latest != Some(content));
                    latest = Some(content);
                    assert_eq!(put(&catalog, &content.to_string(), &[]).await.number, number);
                }
            });
        }
    }
}
