//! Labels: names that point at one version of an artifact and move by compare-and-swap.

use qd_base::{ArtifactName, Label, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::artifact::{VersionInfo, read_info, select};
use crate::column::{self, Columns};
use crate::database::Tx;
use crate::{ArtifactKind, Catalog, Error, Result, limit};

/// One artifact has at most this many labels.
pub const MAX_LABELS: usize = 100;

/// Where a label points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRecord {
    /// The label.
    pub label: Label,
    /// The number of the version it points at.
    pub number: u32,
    /// When it was moved there.
    pub moved: Timestamp,
}

impl Catalog {
    /// Moves a label from the version where the caller believes it (`None`: nowhere) to another. Of several who
    /// move it at once from the same place, one succeeds.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the label is elsewhere, [`Error::NotFound`] when there is no version `to`,
    /// [`Error::TooLarge`] beyond [`MAX_LABELS`].
    pub async fn set_label(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        label: &Label,
        expected: Option<u32>,
        to: u32,
    ) -> Result<()> {
        const OPERATION: &str = "moving a label";
        let mut tx = self.db().begin(OPERATION).await?;
        let target = require_version(&mut tx, project, kind, name, to).await?;
        let labels = all(&mut tx, project, kind, name).await?;
        let found = labels.iter().find(|record| record.label == *label).map(|record| record.number);
        if found != expected {
            return Err(Error::Conflict { label: label.to_string(), expected, found });
        }
        if found.is_none() {
            limit::count("number of labels", labels.len() + 1, MAX_LABELS)?;
        }
        point(&mut tx, &target, label).await?;
        let detail = json!({ "label": label, "from": expected, "to": to });
        self.note_artifact(&mut tx, "label", &target, detail).await?;
        self.commit_artifact(tx, OPERATION).await?;
        Ok(())
    }

    /// Takes a label away from the version where the caller believes it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the label is elsewhere or nowhere.
    pub async fn remove_label(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
        label: &Label,
        expected: u32,
    ) -> Result<()> {
        const OPERATION: &str = "removing a label";
        let mut tx = self.db().begin(OPERATION).await?;
        let labels = all(&mut tx, project, kind, name).await?;
        let found = labels.iter().find(|record| record.label == *label).map(|record| record.number);
        if found != Some(expected) {
            return Err(Error::Conflict { label: label.to_string(), expected: Some(expected), found });
        }
        let target = require_version(&mut tx, project, kind, name, expected).await?;
        delete(&mut tx, &target, label).await?;
        let detail = json!({ "label": label, "from": expected, "to": null });
        self.note_artifact(&mut tx, "label", &target, detail).await?;
        self.commit_artifact(tx, OPERATION).await?;
        Ok(())
    }

    /// The labels of an artifact, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn labels(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
        name: &ArtifactName,
    ) -> Result<Vec<LabelRecord>> {
        let rows = sqlx::query(LIST)
            .bind(project.to_string())
            .bind(kind.as_str())
            .bind(name.as_str())
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing labels"))?;
        column::all(&rows, read)
    }

    /// The labels of all artifacts of one kind, by the artifact's name and the label's.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn labels_of_kind(
        &self,
        project: ProjectId,
        kind: ArtifactKind,
    ) -> Result<Vec<(ArtifactName, LabelRecord)>> {
        let rows = sqlx::query(
            "SELECT name, label, number, moved_ns FROM label WHERE project_id = $1 AND kind = $2 ORDER BY name, label",
        )
        .bind(project.to_string())
        .bind(kind.as_str())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing labels"))?;
        column::all(&rows, |row| Ok((row.parsed("name")?, read(row)?)))
    }
}

const LIST: &str =
    "SELECT label, number, moved_ns FROM label WHERE project_id = $1 AND kind = $2 AND name = $3 ORDER BY label";

async fn all(tx: &mut Tx, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<Vec<LabelRecord>> {
    let rows = sqlx::query(LIST)
        .bind(project.to_string())
        .bind(kind.as_str())
        .bind(name.as_str())
        .fetch_all(&mut **tx)
        .await
        .map_err(Error::database("reading labels"))?;
    column::all(&rows, read)
}

pub(crate) async fn require_version(
    tx: &mut Tx,
    project: ProjectId,
    kind: ArtifactKind,
    name: &ArtifactName,
    number: u32,
) -> Result<VersionInfo> {
    let row = sqlx::query(select!(
        "",
        "WHERE project_id = $1 AND kind = $2 AND name = $3 AND number = $4 AND removed_ns IS NULL"
    ))
    .bind(project.to_string())
    .bind(kind.as_str())
    .bind(name.as_str())
    .bind(number)
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::database("reading a version"))?
    .ok_or_else(|| Error::not_found(kind.as_str(), format!("{name}@{number}")))?;
    read_info(Columns(&row))
}

async fn point(tx: &mut Tx, target: &VersionInfo, label: &Label) -> Result<()> {
    sqlx::query(
        "INSERT INTO label (project_id, kind, name, label, number, moved_ns) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (project_id, kind, name, label) DO UPDATE SET number = excluded.number, moved_ns = excluded.moved_ns",
    )
    .bind(target.project.to_string())
    .bind(target.kind.as_str())
    .bind(target.name.as_str())
    .bind(label.as_str())
    .bind(target.number)
    .bind(Timestamp::now().as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("moving a label"))
}

async fn delete(tx: &mut Tx, target: &VersionInfo, label: &Label) -> Result<()> {
    sqlx::query("DELETE FROM label WHERE project_id = $1 AND kind = $2 AND name = $3 AND label = $4")
        .bind(target.project.to_string())
        .bind(target.kind.as_str())
        .bind(target.name.as_str())
        .bind(label.as_str())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("removing a label"))
}

/// Takes all labels away from an artifact that is being removed.
pub(crate) async fn remove_all(tx: &mut Tx, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<()> {
    sqlx::query("DELETE FROM label WHERE project_id = $1 AND kind = $2 AND name = $3")
        .bind(project.to_string())
        .bind(kind.as_str())
        .bind(name.as_str())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("removing labels"))
}

fn read(row: Columns<'_>) -> Result<LabelRecord> {
    Ok(LabelRecord { label: row.parsed("label")?, number: row.number("number")?, moved: row.time("moved_ns")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VersionRef;
    use crate::artifact::tests::{greeting, put};
    use crate::testing::catalog;
    use proptest::prelude::*;

    async fn three_versions(catalog: &Catalog) {
        for content in ["1", "2", "3"] {
            put(catalog, content, &[]).await;
        }
    }

    async fn set(catalog: &Catalog, expected: Option<u32>, to: u32) -> Result<()> {
        let (project, name) = greeting(catalog);
        catalog.set_label(project, ArtifactKind::Prompt, &name, &"production".parse().unwrap(), expected, to).await
    }

    async fn production(catalog: &Catalog) -> Option<u32> {
        let (project, name) = greeting(catalog);
        let which = VersionRef::Label("production".parse().unwrap());
        match catalog.version(project, ArtifactKind::Prompt, &name, &which).await {
            Ok(version) => Some(version.info.number),
            Err(Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_label_moves_from_where_it_is_believed() {
        let (catalog, _dir) = catalog().await;
        three_versions(&catalog).await;
        set(&catalog, None, 1).await.unwrap();
        set(&catalog, Some(1), 3).await.unwrap();
        assert_eq!(production(&catalog).await, Some(3));
        let stale = set(&catalog, Some(1), 2).await.unwrap_err();
        assert!(matches!(stale, Error::Conflict { found: Some(3), .. }));
        assert!(matches!(set(&catalog, Some(3), 9).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_label_is_taken_away() {
        let (catalog, _dir) = catalog().await;
        three_versions(&catalog).await;
        let (project, name) = greeting(&catalog);
        let label = "production".parse().unwrap();
        set(&catalog, None, 2).await.unwrap();
        let remove = |expected| catalog.remove_label(project, ArtifactKind::Prompt, &name, &label, expected);
        assert!(matches!(remove(1).await, Err(Error::Conflict { found: Some(2), .. })));
        remove(2).await.unwrap();
        assert!(catalog.labels(project, ArtifactKind::Prompt, &name).await.unwrap().is_empty());
        set(&catalog, None, 1).await.unwrap();
        catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await.unwrap();
        assert_eq!(production(&catalog).await, None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_movers_one_wins() {
        let (catalog, _dir) = catalog().await;
        three_versions(&catalog).await;
        set(&catalog, None, 1).await.unwrap();
        let movers = (0..20).map(|n| {
            let catalog = catalog.clone();
            tokio::spawn(async move { set(&catalog, Some(1), 2 + n % 2).await })
        });
        let outcomes: Vec<_> = futures::future::join_all(movers).await.into_iter().map(|done| done.unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The model: one variable, which changes when the expectation is right and the version exists.
        #[test]
        fn moves_follow_the_model(moves in prop::collection::vec((prop::option::of(1_u32..4), 1_u32..5), 1..20)) {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let (catalog, _dir) = catalog().await;
                three_versions(&catalog).await;
                let mut at = None;
                for (expected, to) in moves {
                    let allowed = expected == at && to <= 3;
                    assert_eq!(set(&catalog, expected, to).await.is_ok(), allowed);
                    if allowed {
                        at = Some(to);
                    }
                    assert_eq!(production(&catalog).await, at);
                }
            });
        }
    }
}
