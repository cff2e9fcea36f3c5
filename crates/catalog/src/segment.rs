//! Segments: sealed, immutable files of the lake, and the one transaction that exchanges them.

use qd_base::{SegmentId, Sha256Hex, TableName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::column::{self, Columns, stored};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, StagedId, TombstoneId, limit, staging};

/// Segments that one exchange adds or removes.
pub const MAX_SEGMENTS: usize = 100_000;
/// A longer reason for a quarantine is cut.
pub const MAX_REASON_BYTES: usize = 1024;

/// A sealed file of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its identifier.
    pub id: SegmentId,
    /// The table its rows belong to.
    pub table: TableName,
    /// Where it is, relative to the lake's folder.
    pub path: String,
    /// How many rows it holds.
    pub rows: u64,
    /// How long the file is.
    pub bytes: u64,
    /// The earliest time among its rows.
    pub min_time: Timestamp,
    /// The latest time among its rows.
    pub max_time: Timestamp,
    /// The digest of the file.
    pub hash: Sha256Hex,
    /// How often its rows have been compacted.
    pub level: u32,
    /// Tombstones up to this one have been applied to its rows.
    pub tombstones_through: Option<TombstoneId>,
    /// When it was sealed.
    pub created: Timestamp,
}

/// A segment that is not read any more, since it is torn, corrupt or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The segment.
    pub segment: SegmentRecord,
    /// When it was found.
    pub since: Timestamp,
    /// What is wrong with it.
    pub reason: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, table_name, path, rows, bytes, min_time_ns, max_time_ns, hash, level, tombstones_through, created_ns, ",
            "quarantined_ns, quarantine_reason FROM segment ",
            $rest
        )
    };
}

impl Catalog {
    /// Adds segments, removes segments and forgets staged batches, all in one transaction: sealing, compaction and
    /// retention are each one such exchange, so every row is in exactly one place.
    ///
    /// # Errors
    /// [`Error::Stale`] when something to be removed is gone already; then nothing was changed, and the files that
    /// were to be added are to be deleted.
    pub async fn swap_segments(&self, add: &[SegmentRecord], remove: &[SegmentId], unstage: &[StagedId]) -> Result<()> {
        const OPERATION: &str = "exchanging segments";
        limit::count("number of segments", add.len().max(remove.len()), MAX_SEGMENTS)?;
        let mut tx = self.lake().begin(OPERATION).await?;
        all_gone("segments", delete(&mut tx, remove).await?, remove.len())?;
        all_gone("staged batches", staging::remove(&mut tx, unstage).await?, unstage.len())?;
        for segment in add {
            insert(&mut tx, segment).await?;
        }
        commit(tx, OPERATION).await
    }

    /// The segments of a table that can be read, by time.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn segments(&self, table: &TableName) -> Result<Vec<SegmentRecord>> {
        let rows = sqlx::query(select!("WHERE table_name = $1 AND quarantined_ns IS NULL ORDER BY min_time_ns, id"))
            .bind(table.as_str())
            .fetch_all(self.lake().readers())
            .await
            .map_err(Error::database("listing segments"))?;
        column::all(&rows, read)
    }

    /// Sets a segment aside: it is not read any more, and its row and file stay for a person to look at.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such segment.
    pub async fn quarantine_segment(&self, id: SegmentId, reason: &str) -> Result<()> {
        const OPERATION: &str = "quarantining a segment";
        let mut tx = self.lake().begin(OPERATION).await?;
        let changed = sqlx::query("UPDATE segment SET quarantined_ns = $2, quarantine_reason = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(Timestamp::now().as_nanos())
            .bind(limit::shorten(reason, MAX_REASON_BYTES))
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if changed == 0 {
            return Err(Error::not_found("segment", id));
        }
        commit(tx, OPERATION).await
    }

    /// The segments that were set aside, of all tables.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let rows = sqlx::query(select!("WHERE quarantined_ns IS NOT NULL ORDER BY quarantined_ns, id"))
            .fetch_all(self.lake().readers())
            .await
            .map_err(Error::database("listing quarantined segments"))?;
        column::all(&rows, read_quarantined)
    }
}

impl Catalog {
    /// Forgets segments that were set aside, whose files are gone for good.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn remove_quarantined(&self, ids: &[SegmentId]) -> Result<()> {
        const OPERATION: &str = "forgetting quarantined segments";
        let mut tx = self.lake().begin(OPERATION).await?;
        delete(&mut tx, ids).await?;
        commit(tx, OPERATION).await
    }

    /// Writes the lake's file anew, without the pages of what was deleted, and empties its log: a deleted row leaves its
    /// bytes in both until something else takes their place.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails; the file is then as it was.
    pub async fn scrub_lake(&self) -> Result<()> {
        self.lake().scrub("writing the lake's file anew").await
    }
}

fn all_gone(noun: &'static str, removed: u64, asked: usize) -> Result<()> {
    let missing = (asked as u64).saturating_sub(removed);
    if missing == 0 { Ok(()) } else { Err(Error::Stale { noun, missing }) }
}

async fn delete(tx: &mut Tx, ids: &[SegmentId]) -> Result<u64> {
    let mut removed = 0;
    for id in ids {
        removed += sqlx::query("DELETE FROM segment WHERE id = $1")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await
            .map_err(Error::database("removing a segment"))?
            .rows_affected();
    }
    Ok(removed)
}

async fn insert(tx: &mut Tx, segment: &SegmentRecord) -> Result<()> {
    sqlx::query(
        "INSERT INTO segment (id, table_name, path, rows, bytes, min_time_ns, max_time_ns, hash, level, \
         tombstones_through, created_ns) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(segment.id.to_string())
    .bind(segment.table.as_str())
    .bind(segment.path.as_str())
    .bind(stored(segment.rows))
    .bind(stored(segment.bytes))
    .bind(segment.min_time.as_nanos())
    .bind(segment.max_time.as_nanos())
    .bind(segment.hash.to_string())
    .bind(segment.level)
    .bind(segment.tombstones_through.map(|id| id.0))
    .bind(segment.created.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("adding a segment"))
}

fn read(row: Columns<'_>) -> Result<SegmentRecord> {
    Ok(SegmentRecord {
        id: row.parsed("id")?,
        table: row.parsed("table_name")?,
        path: row.text("path")?,
        rows: row.count("rows")?,
        bytes: row.count("bytes")?,
        min_time: row.time("min_time_ns")?,
        max_time: row.time("max_time_ns")?,
        hash: row.hash("hash")?,
        level: row.number("level")?,
        tombstones_through: row.signed_opt("tombstones_through")?.map(TombstoneId),
        created: row.time("created_ns")?,
    })
}

fn read_quarantined(row: Columns<'_>) -> Result<Quarantined> {
    Ok(Quarantined {
        segment: read(row)?,
        since: row.time("quarantined_ns")?,
        reason: row.text_opt("quarantine_reason")?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::tests::batch;
    use crate::testing::{catalog, reopen};

    fn segment(name: &str) -> SegmentRecord {
        SegmentRecord {
            id: SegmentId::new(),
            table: "spans".parse().unwrap(),
            path: format!("spans/{name}.parquet"),
            rows: 6,
            bytes: 400,
            min_time: Timestamp::from_nanos(-5),
            max_time: Timestamp::from_nanos(7),
            hash: Sha256Hex::of(name.as_bytes()),
            level: 0,
            tombstones_through: Some(TombstoneId(4)),
            created: Timestamp::from_secs(1),
        }
    }

    #[tokio::test]
    async fn sealing_moves_rows_once() {
        let (catalog, dir) = catalog().await;
        let spans = "spans".parse().unwrap();
        let ids = catalog.stage(vec![batch("spans", b"a"), batch("spans", b"b")]).await.unwrap();
        let sealed = segment("one");
        catalog.swap_segments(std::slice::from_ref(&sealed), &[], &ids).await.unwrap();

        let again = catalog.swap_segments(&[segment("two")], &[], &ids).await.unwrap_err();
        assert!(matches!(again, Error::Stale { noun: "staged batches", missing: 2 }));
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.segments(&spans).await.unwrap(), [sealed]);
        assert!(catalog.staged(&spans).await.unwrap().is_empty());
        let later = catalog.stage(vec![batch("spans", b"c")]).await.unwrap();
        assert!(later[0] > ids[1], "a number is not given twice");
    }

    #[tokio::test]
    async fn an_exchange_is_whole_or_not_at_all() {
        let (catalog, _dir) = catalog().await;
        let old = segment("old");
        catalog.swap_segments(std::slice::from_ref(&old), &[], &[]).await.unwrap();
        let staged = catalog.stage(vec![batch("spans", b"a")]).await.unwrap();

        // The path is taken, so the last step of the exchange fails.
        let clash = SegmentRecord { id: SegmentId::new(), ..segment("other") };
        let twice = [clash.clone(), SegmentRecord { id: SegmentId::new(), ..clash }];
        catalog.swap_segments(&twice, &[old.id], &staged).await.unwrap_err();
        assert_eq!(catalog.segments(&old.table).await.unwrap(), std::slice::from_ref(&old));
        assert_eq!(catalog.staged(&old.table).await.unwrap().len(), 1);

        let gone = catalog.swap_segments(&[], &[old.id, SegmentId::new()], &[]).await.unwrap_err();
        assert!(matches!(gone, Error::Stale { noun: "segments", missing: 1 }));
        assert_eq!(catalog.segments(&old.table).await.unwrap(), [old]);
    }

    #[tokio::test]
    async fn a_quarantined_segment_is_not_read() {
        let (catalog, _dir) = catalog().await;
        let (good, torn) = (segment("good"), segment("torn"));
        catalog.swap_segments(&[good.clone(), torn.clone()], &[], &[]).await.unwrap();
        catalog.quarantine_segment(torn.id, "footer is missing").await.unwrap();
        assert_eq!(catalog.segments(&good.table).await.unwrap(), [good]);
        let aside = catalog.quarantined().await.unwrap();
        assert_eq!((&aside[0].segment, aside[0].reason.as_str()), (&torn, "footer is missing"));
        let unknown = catalog.quarantine_segment(SegmentId::new(), "").await;
        assert!(matches!(unknown, Err(Error::NotFound { .. })));
    }
}
