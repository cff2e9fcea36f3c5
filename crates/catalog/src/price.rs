//! Price tables: immutable numbered versions, so that the prices of a past call can be looked up.
//!
//! What a row says is the `trace` room's business, which prices calls by it.

use qd_base::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;

use crate::column::Columns;
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit};

/// Rows of one price table.
pub const MAX_ROWS: usize = 10_000;
/// The largest price table.
pub const MAX_TABLE_BYTES: usize = 4 << 20;

/// A version of the price table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceVersion {
    /// Its number, from 1.
    pub version: u32,
    /// All its rows.
    pub rows: Vec<Value>,
    /// When it was put.
    pub created: Timestamp,
}

impl Catalog {
    /// Puts a new version of the price table in force, whole.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ROWS`] or [`MAX_TABLE_BYTES`].
    pub async fn put_prices(&self, rows: &[Value]) -> Result<PriceVersion> {
        const OPERATION: &str = "changing prices";
        limit::count("number of prices", rows.len(), MAX_ROWS)?;
        let text = json!(rows).to_string();
        limit::bytes("price table", text.len(), MAX_TABLE_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        let version = next_version(&mut tx).await?;
        let created = Timestamp::now();
        sqlx::query("INSERT INTO price_table (version, rows, created_ns) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(text)
            .bind(created.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        self.note(&mut tx, "create", "prices", &version.to_string(), json!({ "rows": rows.len() })).await?;
        commit(tx, OPERATION).await?;
        Ok(PriceVersion { version, rows: rows.to_vec(), created })
    }

    /// The prices in force; `None` when none were ever put.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be read.
    pub async fn prices(&self) -> Result<Option<PriceVersion>> {
        let row = sqlx::query("SELECT version, rows, created_ns FROM price_table ORDER BY version DESC LIMIT 1")
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading prices"))?;
        row.map(|row| read(&row)).transpose()
    }

    /// The prices of one version.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such version.
    pub async fn prices_of(&self, version: u32) -> Result<PriceVersion> {
        let row = sqlx::query("SELECT version, rows, created_ns FROM price_table WHERE version = $1")
            .bind(version)
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading prices"))?
            .ok_or_else(|| Error::not_found("price table", version))?;
        read(&row)
    }
}

async fn next_version(tx: &mut Tx) -> Result<u32> {
    let row = sqlx::query("SELECT COALESCE(MAX(version), 0) + 1 AS next FROM price_table")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("numbering prices"))?;
    Columns(&row).number("next")
}

fn read(row: &SqliteRow) -> Result<PriceVersion> {
    let row = Columns(row);
    Ok(PriceVersion { version: row.number("version")?, rows: row.json("rows")?, created: row.time("created_ns")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::catalog;

    #[tokio::test]
    async fn the_latest_prices_hold_and_the_old_stay() {
        let (catalog, _dir) = catalog().await;
        assert_eq!(catalog.prices().await.unwrap(), None);
        let row = |price: f64| json!({ "provider": "acme", "model": "*", "input": price, "output": price });
        let first = catalog.put_prices(&[row(0.15)]).await.unwrap();
        let second = catalog.put_prices(&[row(0.1), row(0.2)]).await.unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        assert_eq!(catalog.prices().await.unwrap(), Some(second));
        assert_eq!(catalog.prices_of(1).await.unwrap(), first);
        assert!(matches!(catalog.prices_of(3).await, Err(Error::NotFound { .. })));
    }
}
