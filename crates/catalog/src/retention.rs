//! How long the rows of a project are kept, table by table. Where a project says nothing, the operator's setting holds.

use qd_base::{ProjectId, ProjectName, TableName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::column::{self, Columns, stored};
use crate::database::commit;
use crate::{Catalog, Error, Result, limit, project};

/// A century; who means for ever says 0.
pub const MAX_DAYS: u32 = 36_500;

/// How long the rows of one table of one project are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub project_name: ProjectName,
    /// The table.
    pub table: TableName,
    /// Days; 0 keeps rows for ever.
    pub days: u32,
    /// When this was said.
    pub updated: Timestamp,
}

impl Catalog {
    /// Says how long the rows of a table of a project are kept.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_DAYS`], [`Error::NotFound`] without the project.
    pub async fn put_retention(&self, project: ProjectId, table: &TableName, days: u32) -> Result<Retention> {
        const OPERATION: &str = "changing a retention";
        limit::count("days of a retention", days as usize, MAX_DAYS as usize)?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        sqlx::query(
            "INSERT INTO retention (project_id, table_name, days, updated_ns) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project_id, table_name) DO UPDATE SET days = excluded.days, updated_ns = excluded.updated_ns",
        )
        .bind(project.to_string())
        .bind(table.as_str())
        .bind(stored(days.into()))
        .bind(Timestamp::now().as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        self.note(&mut tx, "update", "retention", table.as_str(), json!({"project": project, "days": days})).await?;
        commit(tx, OPERATION).await?;
        let said = self.retentions(Some(project)).await?.into_iter().find(|said| said.table == *table);
        said.ok_or_else(|| Error::not_found("retention", table))
    }

    /// What was said about one project, or about all, by project and table.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when it cannot be listed.
    pub async fn retentions(&self, project: Option<ProjectId>) -> Result<Vec<Retention>> {
        let rows = sqlx::query(
            "SELECT r.project_id, p.name, r.table_name, r.days, r.updated_ns FROM retention r \
             JOIN project p ON p.id = r.project_id WHERE $1 IS NULL OR r.project_id = $1 \
             ORDER BY p.name, r.table_name",
        )
        .bind(project.map(|id| id.to_string()))
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing retentions"))?;
        column::all(&rows, read)
    }

    /// Forgets what was said about a table of a project, so that the operator's setting holds again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing was said.
    pub async fn remove_retention(&self, project: ProjectId, table: &TableName) -> Result<()> {
        const OPERATION: &str = "removing a retention";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM retention WHERE project_id = $1 AND table_name = $2")
            .bind(project.to_string())
            .bind(table.as_str())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(Error::not_found("retention", table));
        }
        self.note(&mut tx, "remove", "retention", table.as_str(), json!({ "project": project })).await?;
        commit(tx, OPERATION).await
    }
}

fn read(row: Columns<'_>) -> Result<Retention> {
    Ok(Retention {
        project: row.parsed("project_id")?,
        project_name: row.parsed("name")?,
        table: row.parsed("table_name")?,
        days: row.number("days")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Page;
    use crate::audit::AuditFilter;
    use crate::testing::{catalog, reopen};

    #[tokio::test]
    async fn a_project_says_it_for_itself_and_table_by_table() {
        let (catalog, dir) = catalog().await;
        let acting = catalog.acting("key:1").unwrap();
        let (spans, scores): (TableName, TableName) = ("spans".parse().unwrap(), "scores".parse().unwrap());
        let shop = catalog.create_project(&"shop".parse().unwrap()).await.unwrap();
        let default = catalog.default_project().id;
        acting.put_retention(shop.id, &spans, 30).await.unwrap();
        acting.put_retention(shop.id, &scores, 0).await.unwrap();
        acting.put_retention(default, &spans, 7).await.unwrap();
        let changed = acting.put_retention(shop.id, &spans, 14).await.unwrap();
        assert_eq!((changed.days, changed.project_name.as_str()), (14, "shop"));
        drop((catalog, acting));
        let catalog = reopen(dir.path()).await.acting("key:1").unwrap();
        let said = |said: Vec<Retention>| -> Vec<(String, String, u32)> {
            said.into_iter().map(|one| (one.project_name.to_string(), one.table.to_string(), one.days)).collect()
        };
        let row = |project: &str, table: &str, days| (project.to_owned(), table.to_owned(), days);
        let all = [row("default", "spans", 7), row("shop", "scores", 0), row("shop", "spans", 14)];
        assert_eq!(said(catalog.retentions(None).await.unwrap()), all);
        assert_eq!(said(catalog.retentions(Some(shop.id)).await.unwrap()), all[1..]);
        catalog.remove_retention(shop.id, &spans).await.unwrap();
        assert!(matches!(catalog.remove_retention(shop.id, &spans).await, Err(Error::NotFound { .. })));
        assert!(matches!(catalog.put_retention(default, &spans, MAX_DAYS + 1).await, Err(Error::TooLarge { .. })));
        let entries = catalog.audit_log(&AuditFilter::default(), Page::first(10)).await.unwrap().items;
        let of_retention: Vec<_> = entries.iter().filter(|entry| entry.noun == "retention").collect();
        assert_eq!(of_retention.len(), 5, "each change is in the audit log");
    }
}
