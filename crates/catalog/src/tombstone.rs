//! Tombstones: subjects whose rows are to be gone, before compaction has rewritten the segments that hold them.
//!
//! A tombstone holds for the rows that were staged before it. So a subject who comes back is not deleted again.

use std::sync::Arc;

use qd_base::{TableName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, StagedId, limit, staging};

/// The longest subject.
pub const MAX_SUBJECT_BYTES: usize = 1024;
/// One table has at most this many tombstones that compaction has not applied.
pub const MAX_TOMBSTONES: usize = 100_000;
/// One tombstone has at most this many groups; a subject with more gets several.
pub const MAX_GROUPS: usize = 100_000;

/// A tombstone's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TombstoneId(pub i64);

/// Whose rows are to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burial {
    /// Only in this project; in all where there is none.
    pub project: Option<String>,
    /// The subject.
    pub subject: String,
    /// Groups of rows, without line breaks in their names: rows of these without a subject are the subject's too.
    pub groups: Vec<String>,
    /// Only in these tables; in all that have subjects where none is named.
    pub tables: Vec<TableName>,
}

/// The rows of `subject` that were staged up to `staged_through` are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its number.
    pub id: TombstoneId,
    /// The table it holds for.
    pub table: TableName,
    /// The project it holds in; all where there is none.
    pub project: Option<String>,
    /// Whose rows are deleted.
    pub subject: String,
    /// Rows of these groups that have no subject are deleted too.
    pub groups: Arc<[String]>,
    /// The last batch, of any table, that was staged before the deletion; rows staged later stay.
    pub staged_through: StagedId,
    /// When the deletion was asked for.
    pub created: Timestamp,
}

impl Catalog {
    /// Deletes the rows of a subject that are staged or sealed by now, for all readers to come: in all of these tables, or
    /// in none.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_SUBJECT_BYTES`] or [`MAX_TOMBSTONES`], [`Error::Invalid`] for no subject.
    pub async fn add_tombstones(&self, tables: &[TableName], burial: &Burial) -> Result<Vec<Tombstone>> {
        const OPERATION: &str = "deleting a subject";
        if burial.subject.is_empty() {
            return Err(Error::invalid("subject", "must not be empty"));
        }
        limit::bytes("subject", burial.subject.len(), MAX_SUBJECT_BYTES)?;
        let created = Timestamp::now();
        let mut parts: Vec<Arc<[String]>> = burial.groups.chunks(MAX_GROUPS).map(Arc::from).collect();
        if parts.is_empty() {
            parts.push(Arc::default());
        }
        let mut tx = self.lake().begin(OPERATION).await?;
        let staged_through = staging::last(&mut tx).await?;
        let mut made = Vec::with_capacity(tables.len() * parts.len());
        for table in tables {
            limit::count("number of tombstones", count(&mut tx, table).await? + parts.len(), MAX_TOMBSTONES)?;
            for groups in &parts {
                let (project, subject) = (burial.project.clone(), burial.subject.clone());
                let (table, groups) = (table.clone(), Arc::clone(groups));
                let new = Tombstone { id: TombstoneId(0), table, project, subject, groups, staged_through, created };
                made.push(Tombstone { id: insert(&mut tx, &new).await?, ..new });
            }
        }
        commit(tx, OPERATION).await?;
        Ok(made)
    }

    /// The tombstones of a table, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn tombstones(&self, table: &TableName) -> Result<Vec<Tombstone>> {
        let rows = sqlx::query(
            "SELECT id, table_name, project, subject, members, staged_through, created_ns FROM tombstone \
             WHERE table_name = $1 ORDER BY id",
        )
        .bind(table.as_str())
        .fetch_all(self.lake().readers())
        .await
        .map_err(Error::database("listing tombstones"))?;
        column::all(&rows, read)
    }

    /// Forgets tombstones that compaction has applied to every row they hold for.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails; applying a tombstone twice does no harm.
    pub async fn remove_tombstones(&self, ids: &[TombstoneId]) -> Result<()> {
        const OPERATION: &str = "removing tombstones";
        let mut tx = self.lake().begin(OPERATION).await?;
        for id in ids {
            sqlx::query("DELETE FROM tombstone WHERE id = $1")
                .bind(id.0)
                .execute(&mut *tx)
                .await
                .map_err(Error::database(OPERATION))?;
        }
        commit(tx, OPERATION).await
    }
}

async fn count(tx: &mut Tx, table: &TableName) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(*) AS tombstones FROM tombstone WHERE table_name = $1")
        .bind(table.as_str())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting tombstones"))?;
    Ok(usize::try_from(Columns(&row).count("tombstones")?).unwrap_or(usize::MAX))
}

async fn insert(tx: &mut Tx, new: &Tombstone) -> Result<TombstoneId> {
    sqlx::query(
        "INSERT INTO tombstone (table_name, project, subject, members, staged_through, created_ns) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.table.as_str())
    .bind(new.project.as_deref())
    .bind(new.subject.as_str())
    .bind((!new.groups.is_empty()).then(|| new.groups.join("\n")))
    .bind(new.staged_through.0)
    .bind(new.created.as_nanos())
    .execute(&mut **tx)
    .await
    .map(|done| TombstoneId(done.last_insert_rowid()))
    .map_err(Error::database("deleting a subject"))
}

fn read(row: Columns<'_>) -> Result<Tombstone> {
    let members = row.text_opt("members")?;
    Ok(Tombstone {
        id: TombstoneId(row.signed("id")?),
        table: row.parsed("table_name")?,
        project: row.text_opt("project")?,
        subject: row.text("subject")?,
        groups: members.iter().flat_map(|members| members.split('\n')).map(str::to_owned).collect(),
        staged_through: StagedId(row.signed("staged_through")?),
        created: row.time("created_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::batch;
    use crate::testing::{catalog, reopen};

    fn tables(names: &[&str]) -> Vec<TableName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn of(subject: &str) -> Burial {
        Burial { subject: subject.to_owned(), ..Burial::default() }
    }

    #[tokio::test]
    async fn rows_staged_later_are_not_meant() {
        let (catalog, _dir) = catalog().await;
        let spans = tables(&["spans"]);
        assert_eq!(catalog.add_tombstones(&spans, &of("alice")).await.unwrap()[0].staged_through, StagedId(0));
        let ids = catalog.stage(vec![batch("spans", b"a"), batch("scores", b"b")]).await.unwrap();
        catalog.swap_segments(&[], &[], &ids).await.unwrap();
        assert_eq!(catalog.add_tombstones(&spans, &of("bob")).await.unwrap()[0].staged_through, ids[1]);
        let later = catalog.stage(vec![batch("spans", b"c")]).await.unwrap();
        assert!(later[0] > ids[1]);
    }

    #[tokio::test]
    async fn a_tombstone_stands_until_it_is_removed() {
        let (catalog, dir) = catalog().await;
        let both = tables(&["spans", "scores"]);
        let groups: Vec<String> = (0..=MAX_GROUPS).map(|n| n.to_string()).collect();
        let alice = Burial { project: Some("shop".into()), groups: groups.clone(), ..of("alice") };
        let made = catalog.add_tombstones(&both, &alice).await.unwrap();
        assert_eq!(made.len(), 4, "more groups than one tombstone takes, in two tables");
        let bob = catalog.add_tombstones(&both[..1], &of("bob")).await.unwrap();
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        let found = catalog.tombstones(&both[0]).await.unwrap();
        assert_eq!(found, [made[0].clone(), made[1].clone(), bob[0].clone()]);
        assert_eq!(found[..2].iter().flat_map(|part| part.groups.to_vec()).collect::<Vec<_>>(), groups);
        assert_eq!((found[0].project.as_deref(), found[2].project.as_deref()), (Some("shop"), None));
        catalog.remove_tombstones(&[made[0].id, made[1].id]).await.unwrap();
        assert_eq!(catalog.tombstones(&both[0]).await.unwrap(), bob);
        assert!(catalog.add_tombstones(&both, &of("")).await.is_err());
        assert!(catalog.add_tombstones(&both, &of(&"x".repeat(MAX_SUBJECT_BYTES + 1))).await.is_err());
    }
}
