//! How long traces are kept: by project and table, and by the operator's setting where a project says nothing.
//!
//! Time is cut at whole days (UTC): rows are kept for at least the days that were said and for less than one more. From
//! then on nobody sees them. They leave the disk when that is worth the work, at the latest when the last row beside
//! them in their segment goes too; large payloads go when no row refers to them.

use std::sync::Arc;
use std::time::Duration;

use qd_base::{ProjectId, ProjectName, TableName, Timestamp};
use qd_catalog::Catalog;
use qd_lake::blob::{BlobStore, Swept};
use qd_lake::{Horizons, Lake, Retained};
use tokio::sync::{Mutex, Notify};

use crate::{Error, Result};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Keeps to what was said about how long traces are kept. Cheap to clone.
#[derive(Clone)]
pub struct Retention {
    lake: Lake,
    catalog: Catalog,
    payloads: BlobStore,
    /// The operator's setting: days, 0 for ever.
    usual_days: u32,
    /// Tables of other rooms, whose rows are kept for ever where a project says nothing.
    others: Arc<[TableName]>,
    changed: Arc<Notify>,
    /// Held from reading what was said until the lake goes by it, so that the last word stays the last.
    saying: Arc<Mutex<()>>,
}

/// How long the rows of a table of a project are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFor {
    /// The table.
    pub table: TableName,
    /// Days; 0 keeps rows for ever.
    pub days: u32,
    /// When the project said so; `None` when it is the operator's setting.
    pub said: Option<Timestamp>,
}

/// Those of this room's tables that have a retention: all that tell a row's project.
fn tables() -> impl Iterator<Item = TableName> {
    crate::tables().into_iter().filter(|spec| spec.project_column.is_some()).map(|spec| spec.name)
}

impl Retention {
    /// Retention of a lake that was opened with [`crate::tables`]; `usual_days` is the operator's setting, 0 for ever.
    pub fn new(lake: Lake, catalog: Catalog, payloads: BlobStore, usual_days: u32) -> Self {
        Self {
            lake,
            catalog,
            payloads,
            usual_days,
            others: Arc::default(),
            changed: Arc::default(),
            saying: Arc::default(),
        }
    }

    /// The same with tables of other rooms, which the operator's setting does not touch: their rows go only where a project says
    /// so for itself.
    pub fn with_others(mut self, others: impl IntoIterator<Item = TableName>) -> Self {
        self.others = others.into_iter().collect();
        self
    }

    /// The tables that have a retention.
    pub fn tables(&self) -> impl Iterator<Item = TableName> + use<> {
        tables().chain(self.others.to_vec())
    }

    fn usual_days_of(&self, table: &TableName) -> u32 {
        if self.others.contains(table) { 0 } else { self.usual_days }
    }

    /// Resolves when something was said since the last time that this was waited for.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Goes by what was just said: hides at once what is not kept any more, and wakes who waits for [`Retention::changed`]
    /// to take it off the disk.
    ///
    /// # Errors
    /// [`Error::Retention`] when the catalog cannot be read.
    pub async fn heed(&self) -> Result<()> {
        self.hide().await?;
        self.changed.notify_one();
        Ok(())
    }

    /// How long the rows of each table of a project are kept.
    ///
    /// # Errors
    /// [`Error::Retention`] when the catalog cannot be read.
    pub async fn of(&self, project: ProjectId) -> Result<Vec<KeptFor>> {
        let said = self.catalog.retentions(Some(project)).await.map_err(Error::Retention)?;
        let of_table = |table: TableName| match said.iter().find(|one| one.table == table) {
            Some(one) => KeptFor { table, days: one.days, said: Some(one.updated) },
            None => KeptFor { days: self.usual_days_of(&table), table, said: None },
        };
        Ok(self.tables().map(of_table).collect())
    }

    /// The time before which rows of a table of a project are not kept; `None` when they are kept for ever.
    ///
    /// # Errors
    /// As [`Retention::of`].
    pub async fn horizon(&self, project: &ProjectName, table: &str) -> Result<Option<Timestamp>> {
        let horizons = self.horizons(Timestamp::now()).await?;
        let of_table = horizons.into_iter().find(|(name, _)| name.as_str() == table);
        Ok(of_table.and_then(|(_, horizons)| horizons.of(project.as_str())))
    }

    /// Hides what is not kept any more. To be called when the lake was opened, since it does not remember.
    ///
    /// # Errors
    /// [`Error::Retention`] when the catalog cannot be read.
    pub async fn hide(&self) -> Result<()> {
        self.hide_at(Timestamp::now()).await
    }

    async fn hide_at(&self, now: Timestamp) -> Result<()> {
        let _saying = self.saying.lock().await;
        for (table, horizons) in self.horizons(now).await? {
            self.lake.hide(table.as_str(), horizons).map_err(query("hiding old rows"))?;
        }
        Ok(())
    }

    /// Hides what is not kept any more, and takes off the disk what is cheap to remove.
    ///
    /// # Errors
    /// What failed; the rest is hidden all the same, and removed the next time.
    pub async fn apply(&self) -> Result<Retained> {
        self.apply_at(Timestamp::now()).await
    }

    pub(crate) async fn apply_at(&self, now: Timestamp) -> Result<Retained> {
        self.hide_at(now).await?;
        let mut all = Retained::default();
        for table in self.tables() {
            // By what is hidden then: while one table is written anew somebody may say that another is kept for longer.
            let one = self.lake.drop_hidden(table.as_str()).await.map_err(query("dropping old rows"))?;
            all = Retained {
                dropped: all.dropped + one.dropped,
                rewritten: all.rewritten + one.rewritten,
                rows: all.rows + one.rows,
            };
        }
        Ok(all)
    }

    /// Removes the payloads that no row refers to. While something is set aside as damaged nothing is removed: a person
    /// may still bring it back.
    ///
    /// # Errors
    /// What failed; no payload that a row refers to is gone.
    pub async fn sweep(&self) -> Result<Swept> {
        if self.lake.has_quarantined().await.map_err(query("sweeping payloads"))? {
            return Ok(Swept::default());
        }
        sweep(&self.lake, &self.payloads).await
    }

    async fn horizons(&self, now: Timestamp) -> Result<Vec<(TableName, Horizons)>> {
        let said = self.catalog.retentions(None).await.map_err(Error::Retention)?;
        let of_table = |table: TableName| {
            let usual = Horizons::of_all(horizon(now, self.usual_days_of(&table)));
            let own = said.iter().filter(|one| one.table == table);
            let horizons = own.fold(usual, |all, one| all.with(one.project_name.as_str(), horizon(now, one.days)));
            (table, horizons)
        };
        Ok(self.tables().map(of_table).collect())
    }
}

/// Removes the payloads that no row refers to.
pub(crate) async fn sweep(lake: &Lake, payloads: &BlobStore) -> Result<Swept> {
    payloads.sweep(|| lake.blobs_in_use()).await.map_err(query("sweeping payloads"))
}

/// The beginning of the day (UTC) so many days ago; none for ever.
fn horizon(now: Timestamp, days: u32) -> Option<Timestamp> {
    if days == 0 {
        return None;
    }
    let day = DAY.as_secs() as i64;
    let then = now.saturating_sub(DAY * days);
    Some(Timestamp::from_secs(then.as_secs().div_euclid(day) * day))
}

fn query(operation: &'static str) -> impl FnOnce(qd_lake::Error) -> Error {
    move |cause| Error::Query { operation, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_horizon_is_the_beginning_of_a_day() {
        let now = at("2026-03-01T13:14:15Z");
        assert_eq!(horizon(now, 0), None);
        assert_eq!(horizon(now, 1), Some(at("2026-02-28T00:00:00Z")));
        assert_eq!(horizon(now, 30), Some(at("2026-01-30T00:00:00Z")));
        // 1969: days are counted from 1970 in both directions.
        assert_eq!(horizon(at("1970-01-01T12:00:00Z"), 1), Some(at("1969-12-31T00:00:00Z")));
    }

    #[test]
    fn all_tables_of_traces_have_a_retention() {
        let names: Vec<_> = tables().map(|table| table.to_string()).collect();
        assert!(names.contains(&"spans".to_owned()) && names.contains(&"scores".to_owned()), "{names:?}");
    }
}
