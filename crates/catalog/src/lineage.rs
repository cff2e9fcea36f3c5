//! Lineage: from which versions a version was made, and what was made from it.

use qd_base::VersionId;
use serde::{Deserialize, Serialize};

use crate::artifact::{VersionInfo, read_info, select};
use crate::column::{self, Columns};
use crate::database::Tx;
use crate::{Catalog, Error, Result};

/// A version is made from at most this many others.
pub const MAX_PARENTS: usize = 256;
/// Lineage is followed this far.
pub const MAX_DISTANCE: u32 = 32;
/// At most this many relatives are told in each direction, the nearest first.
pub const MAX_RELATIVES: u32 = 1000;

/// Where a version comes from and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// What it was made from, directly or not.
    pub up: Vec<Relative>,
    /// What was made from it, directly or not.
    pub down: Vec<Relative>,
}

/// A version that another was made from, or that was made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relative {
    /// The version; a removed one has lost its metadata.
    pub version: VersionInfo,
    /// How many steps away it is by the shortest way.
    pub distance: u32,
}

/// All relatives in one direction. Versions are made after their parents, so that there is no way round in a circle.
macro_rules! relatives {
    ($next:literal, $from:literal) => {
        concat!(
            "WITH RECURSIVE step (id, distance) AS (SELECT ",
            $next,
            ", 1 FROM lineage WHERE ",
            $from,
            " = $1 ",
            "UNION SELECT ",
            $next,
            ", distance + 1 FROM lineage JOIN step ON ",
            $from,
            " = step.id WHERE distance < $2), ",
            "nearest AS (SELECT id, MIN(distance) AS distance FROM step GROUP BY id) ",
            select!(", distance", "JOIN nearest ON nearest.id = version.id ORDER BY distance, version.id LIMIT $3")
        )
    };
}

impl Catalog {
    /// The lineage of a version.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there was never such a version.
    pub async fn lineage(&self, version: VersionId) -> Result<Lineage> {
        sqlx::query("SELECT id FROM version WHERE id = $1")
            .bind(version.to_string())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading lineage"))?
            .ok_or_else(|| Error::not_found("version", version))?;
        let up = self.relatives(version, relatives!("parent_id", "child_id")).await?;
        let down = self.relatives(version, relatives!("child_id", "parent_id")).await?;
        Ok(Lineage { up, down })
    }

    async fn relatives(&self, version: VersionId, sql: &'static str) -> Result<Vec<Relative>> {
        let rows = sqlx::query(sql)
            .bind(version.to_string())
            .bind(MAX_DISTANCE)
            .bind(MAX_RELATIVES)
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("reading lineage"))?;
        column::all(&rows, read)
    }
}

fn read(row: Columns<'_>) -> Result<Relative> {
    Ok(Relative { version: read_info(row)?, distance: row.number("distance")? })
}

/// Records from what a new version was made.
pub(crate) async fn insert(tx: &mut Tx, child: VersionId, parents: &[VersionId]) -> Result<()> {
    for parent in parents {
        let inserted = sqlx::query(
            "INSERT INTO lineage (child_id, parent_id) SELECT $1, id FROM version WHERE id = $2 AND id <> $1 \
             ON CONFLICT (child_id, parent_id) DO UPDATE SET parent_id = excluded.parent_id",
        )
        .bind(child.to_string())
        .bind(parent.to_string())
        .execute(&mut **tx)
        .await
        .map_err(Error::database("recording lineage"))?
        .rows_affected();
        if inserted == 0 {
            return Err(Error::not_found("version", parent));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArtifactKind;
    use crate::artifact::tests::{greeting, put};
    use crate::testing::catalog;

    fn numbers(relatives: &[Relative]) -> Vec<(u32, u32)> {
        relatives.iter().map(|relative| (relative.version.number, relative.distance)).collect()
    }

    #[tokio::test]
    async fn a_diamond_is_told_by_its_shortest_ways() {
        let (catalog, _dir) = catalog().await;
        // 1 → 2 → 4, 1 → 3 → 4, and 1 → 4.
        let one = put(&catalog, "1", &[]).await.id;
        let two = put(&catalog, "2", &[one]).await.id;
        let three = put(&catalog, "3", &[one]).await.id;
        let four = put(&catalog, "4", &[two, three, one, two]).await.id;

        let of_four = catalog.lineage(four).await.unwrap();
        assert_eq!(numbers(&of_four.up), [(1, 1), (2, 1), (3, 1)]);
        assert!(of_four.down.is_empty());
        assert_eq!(numbers(&catalog.lineage(one).await.unwrap().down), [(2, 1), (3, 1), (4, 1)]);
        assert_eq!(numbers(&catalog.lineage(two).await.unwrap().up), [(1, 1)]);
    }

    #[tokio::test]
    async fn removed_parents_still_show() {
        let (catalog, _dir) = catalog().await;
        let parent = put(&catalog, "1", &[]).await.id;
        let (project, name) = greeting(&catalog);
        let made_from = [parent];
        let child = catalog.put_version(project, ArtifactKind::Judge, &name, b"2", serde_json::json!({}), &made_from);
        let child = child.await.unwrap().info.id;
        catalog.remove_artifact(project, ArtifactKind::Prompt, &name).await.unwrap();
        let up = catalog.lineage(child).await.unwrap().up;
        assert_eq!(numbers(&up), [(1, 1)]);
        assert!(up[0].version.removed.is_some());
    }

    #[tokio::test]
    async fn unknown_parents_add_nothing() {
        let (catalog, _dir) = catalog().await;
        let (project, name) = greeting(&catalog);
        let orphan = [VersionId::new()];
        let put = catalog.put_version(project, ArtifactKind::Prompt, &name, b"1", serde_json::json!({}), &orphan).await;
        assert!(matches!(put, Err(Error::NotFound { noun: "version", .. })));
        assert!(catalog.artifacts(project, ArtifactKind::Prompt).await.unwrap().is_empty());
    }
}
