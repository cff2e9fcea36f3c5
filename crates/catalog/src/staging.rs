//! Staged batches: rows of the lake that are acknowledged and not yet sealed into a segment.

use futures::{StreamExt, TryStreamExt};
use qd_base::{TableName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::column::{Columns, stored};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit};

/// The largest staged batch.
pub const MAX_BLOB_BYTES: usize = 256 << 20;
/// Batches that one transaction stages.
pub const MAX_BATCHES: usize = 10_000;

/// A batch to be staged. The catalog does not look into its blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStaged {
    /// The table its rows belong to.
    pub table: TableName,
    /// How many rows it holds.
    pub rows: u64,
    /// How many bytes they take in memory.
    pub bytes: u64,
    /// The earliest time among the rows.
    pub min_time: Timestamp,
    /// The latest time among the rows.
    pub max_time: Timestamp,
    /// The rows themselves, as the lake encodes them.
    pub blob: Vec<u8>,
}

/// A staged batch; later batches have larger numbers, and a number is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StagedId(pub i64);

/// A batch that was staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its number.
    pub id: StagedId,
    /// What was staged.
    pub batch: NewStaged,
}

impl Catalog {
    /// Stages all batches in one transaction: when this returns `Ok` they are on disk, in this order; otherwise
    /// none is.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_BATCHES`] or [`MAX_BLOB_BYTES`]; [`Error::Database`], of which
    /// [`Error::is_disk_full`] is worth another try.
    pub async fn stage(&self, batches: Vec<NewStaged>) -> Result<Vec<StagedId>> {
        const OPERATION: &str = "staging rows";
        limit::count("number of batches", batches.len(), MAX_BATCHES)?;
        for batch in &batches {
            limit::bytes("batch", batch.blob.len(), MAX_BLOB_BYTES)?;
        }
        let mut tx = self.lake().begin(OPERATION).await?;
        let mut ids = Vec::with_capacity(batches.len());
        for batch in batches {
            ids.push(insert(&mut tx, batch).await?);
        }
        commit(tx, OPERATION).await?;
        Ok(ids)
    }

    /// What is staged for a table, in the order it was staged.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when it cannot be read.
    pub async fn staged(&self, table: &TableName) -> Result<Vec<Staged>> {
        let rows = sqlx::query(
            "SELECT id, table_name, rows, bytes, min_time_ns, max_time_ns, blob FROM staged \
             WHERE table_name = $1 ORDER BY id",
        )
        .bind(table.as_str())
        .fetch(self.lake().readers());
        // One row at a time, so that no blob is in memory twice for long.
        rows.map(|row| read(Columns(&row.map_err(Error::database("reading staged rows"))?))).try_collect().await
    }
}

impl Catalog {
    /// The numbers of what is staged for a table, without the rows.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be read.
    pub async fn staged_ids(&self, table: &TableName) -> Result<Vec<StagedId>> {
        let rows = sqlx::query("SELECT id FROM staged WHERE table_name = $1 ORDER BY id")
            .bind(table.as_str())
            .fetch_all(self.lake().readers())
            .await
            .map_err(Error::database("reading the numbers of staged rows"))?;
        rows.iter().map(|row| Columns(row).signed("id").map(StagedId)).collect()
    }
}

async fn insert(tx: &mut Tx, batch: NewStaged) -> Result<StagedId> {
    sqlx::query(
        "INSERT INTO staged (table_name, rows, bytes, min_time_ns, max_time_ns, blob) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(batch.table.as_str())
    .bind(stored(batch.rows))
    .bind(stored(batch.bytes))
    .bind(batch.min_time.as_nanos())
    .bind(batch.max_time.as_nanos())
    .bind(batch.blob)
    .execute(&mut **tx)
    .await
    .map(|done| StagedId(done.last_insert_rowid()))
    .map_err(Error::database("staging rows"))
}

fn read(row: Columns<'_>) -> Result<Staged> {
    let batch = NewStaged {
        table: row.parsed("table_name")?,
        rows: row.count("rows")?,
        bytes: row.count("bytes")?,
        min_time: row.time("min_time_ns")?,
        max_time: row.time("max_time_ns")?,
        blob: row.blob("blob")?,
    };
    Ok(Staged { id: StagedId(row.signed("id")?), batch })
}

/// Forgets staged batches that are now in a segment, and says how many were still there.
pub(crate) async fn remove(tx: &mut Tx, ids: &[StagedId]) -> Result<u64> {
    let mut removed = 0;
    for id in ids {
        removed += sqlx::query("DELETE FROM staged WHERE id = $1")
            .bind(id.0)
            .execute(&mut **tx)
            .await
            .map_err(Error::database("unstaging rows"))?
            .rows_affected();
    }
    Ok(removed)
}

/// The last number that was given, whether its batch is still staged or not; 0 before the first.
pub(crate) async fn last(tx: &mut Tx) -> Result<StagedId> {
    // `sqlite_sequence` is SQLite's own table behind AUTOINCREMENT.
    let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS last FROM sqlite_sequence WHERE name = 'staged'")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("reading the last staged batch"))?;
    Columns(&row).signed("last").map(StagedId)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};
    use proptest::prelude::*;
    use std::time::Duration;

    pub(crate) fn batch(table: &str, blob: &[u8]) -> NewStaged {
        NewStaged {
            table: table.parse().unwrap(),
            rows: 3,
            bytes: 100,
            min_time: Timestamp::from_nanos(-5),
            max_time: Timestamp::from_nanos(7),
            blob: blob.to_vec(),
        }
    }

    #[tokio::test]
    async fn what_was_staged_is_there_after_opening_again() {
        let (catalog, dir) = catalog().await;
        let batches = vec![batch("spans", b"one"), batch("scores", b"two"), batch("spans", &[0, 255, 7])];
        let ids = catalog.stage(batches.clone()).await.unwrap();
        assert!(ids.is_sorted());
        drop(catalog);

        let staged = reopen(dir.path()).await.staged(&"spans".parse().unwrap()).await.unwrap();
        let expected = [(ids[0], &batches[0]), (ids[2], &batches[2])];
        assert_eq!(staged.iter().map(|staged| (staged.id, &staged.batch)).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_full_disk_stages_nothing_and_passes() {
        let (catalog, _dir) = catalog().await;
        let spans = "spans".parse().unwrap();
        catalog.stage(vec![batch("spans", b"kept")]).await.unwrap();
        cap_pages(&catalog, 40).await;

        let too_much = vec![batch("spans", b"small"), batch("spans", &vec![1; 4 << 20])];
        let refused = catalog.stage(too_much).await.unwrap_err();
        assert!(refused.is_disk_full(), "{refused:?}");
        assert_eq!(catalog.staged(&spans).await.unwrap().len(), 1);

        cap_pages(&catalog, 1 << 20).await;
        catalog.stage(vec![batch("spans", b"after")]).await.unwrap();
        let blobs: Vec<_> = catalog.staged(&spans).await.unwrap().into_iter().map(|s| s.batch.blob).collect();
        assert_eq!(blobs, [b"kept".to_vec(), b"after".to_vec()]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_that_is_abandoned_is_whole_or_nothing() {
        let (catalog, _dir) = catalog().await;
        for wait in 0..60 {
            let three = (0..3).map(|_| batch("spans", &[7; 50_000])).collect();
            let _ = tokio::time::timeout(Duration::from_micros(wait * 40), catalog.stage(three)).await;
        }
        catalog.stage(vec![batch("scores", b"the writer still works")]).await.unwrap();
        let staged = catalog.staged(&"spans".parse().unwrap()).await.unwrap();
        assert_eq!(staged.len() % 3, 0);
        assert!(staged.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    /// SQLite answers as on a full disk when the file would grow beyond this.
    async fn cap_pages(catalog: &Catalog, pages: u32) {
        let mut tx = catalog.lake().begin("capping").await.unwrap();
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(pragma).fetch_all(&mut *tx).await.unwrap();
        commit(tx, "capping").await.unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_blob_comes_back_as_it_was(blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 1..6)) {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let (catalog, _dir) = catalog().await;
                let batches: Vec<_> = blobs.iter().map(|blob| batch("spans", blob)).collect();
                catalog.stage(batches.clone()).await.unwrap();
                let staged = catalog.staged(&"spans".parse().unwrap()).await.unwrap();
                assert_eq!(staged.into_iter().map(|s| s.batch).collect::<Vec<_>>(), batches);
            });
        }
    }
}
