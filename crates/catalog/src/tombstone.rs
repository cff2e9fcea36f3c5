//! Tombstones: subjects whose rows are to be gone, before compaction has rewritten the segments that hold them.
//!
//! A tombstone holds for the rows that were staged before it. So a subject who comes back is not deleted again.

use qd_base::{TableName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, StagedId, limit, staging};

/// The longest subject.
pub const MAX_SUBJECT_BYTES: usize = 1024;
/// One table has at most this many tombstones that compaction has not applied.
pub const MAX_TOMBSTONES: usize = 100_000;

/// A tombstone's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TombstoneId(pub i64);

/// The rows of `subject` that were staged up to `staged_through` are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its number.
    pub id: TombstoneId,
    /// The table it holds for.
    pub table: TableName,
    /// Whose rows are deleted.
    pub subject: String,
    /// The last batch, of any table, that was staged before the deletion; rows staged later stay.
    pub staged_through: StagedId,
    /// When the deletion was asked for.
    pub created: Timestamp,
}

impl Catalog {
    /// Deletes the rows of a subject that are staged or sealed by now, for all readers to come.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_SUBJECT_BYTES`] or [`MAX_TOMBSTONES`], [`Error::Invalid`] for no subject.
    pub async fn add_tombstone(&self, table: &TableName, subject: &str) -> Result<Tombstone> {
        const OPERATION: &str = "deleting a subject";
        limit::text("subject", subject, MAX_SUBJECT_BYTES)?;
        let created = Timestamp::now();
        let mut tx = self.lake().begin(OPERATION).await?;
        limit::count("number of tombstones", count(&mut tx, table).await? + 1, MAX_TOMBSTONES)?;
        let staged_through = staging::last(&mut tx).await?;
        let id = insert(&mut tx, table, subject, staged_through, created).await?;
        commit(tx, OPERATION).await?;
        Ok(Tombstone { id, table: table.clone(), subject: subject.to_owned(), staged_through, created })
    }

    /// The tombstones of a table, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn tombstones(&self, table: &TableName) -> Result<Vec<Tombstone>> {
        let rows = sqlx::query(
            "SELECT id, table_name, subject, staged_through, created_ns FROM tombstone WHERE table_name = $1 ORDER BY id",
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

async fn insert(
    tx: &mut Tx,
    table: &TableName,
    subject: &str,
    staged_through: StagedId,
    created: Timestamp,
) -> Result<TombstoneId> {
    sqlx::query("INSERT INTO tombstone (table_name, subject, staged_through, created_ns) VALUES ($1, $2, $3, $4)")
        .bind(table.as_str())
        .bind(subject)
        .bind(staged_through.0)
        .bind(created.as_nanos())
        .execute(&mut **tx)
        .await
        .map(|done| TombstoneId(done.last_insert_rowid()))
        .map_err(Error::database("deleting a subject"))
}

fn read(row: Columns<'_>) -> Result<Tombstone> {
    Ok(Tombstone {
        id: TombstoneId(row.signed("id")?),
        table: row.parsed("table_name")?,
        subject: row.text("subject")?,
        staged_through: StagedId(row.signed("staged_through")?),
        created: row.time("created_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::batch;
    use crate::testing::{catalog, reopen};

    #[tokio::test]
    async fn rows_staged_later_are_not_meant() {
        let (catalog, _dir) = catalog().await;
        let spans: TableName = "spans".parse().unwrap();
        assert_eq!(catalog.add_tombstone(&spans, "alice").await.unwrap().staged_through, StagedId(0));
        let ids = catalog.stage(vec![batch("spans", b"a"), batch("scores", b"b")]).await.unwrap();
        catalog.swap_segments(&[], &[], &ids).await.unwrap();
        assert_eq!(catalog.add_tombstone(&spans, "bob").await.unwrap().staged_through, ids[1]);
        let later = catalog.stage(vec![batch("spans", b"c")]).await.unwrap();
        assert!(later[0] > ids[1]);
    }

    #[tokio::test]
    async fn a_tombstone_stands_until_it_is_removed() {
        let (catalog, dir) = catalog().await;
        let spans: TableName = "spans".parse().unwrap();
        let alice = catalog.add_tombstone(&spans, "alice").await.unwrap();
        let bob = catalog.add_tombstone(&spans, "bob").await.unwrap();
        catalog.add_tombstone(&"scores".parse().unwrap(), "alice").await.unwrap();
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.tombstones(&spans).await.unwrap(), [alice.clone(), bob.clone()]);
        catalog.remove_tombstones(&[alice.id]).await.unwrap();
        assert_eq!(catalog.tombstones(&spans).await.unwrap(), [bob]);
        assert!(catalog.add_tombstone(&spans, " ").await.is_err());
    }
}
