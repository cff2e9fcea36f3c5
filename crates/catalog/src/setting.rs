//! Settings: small JSON values by name, for what the operator decides while the system runs.

use qd_base::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::column::Columns;
use crate::database::commit;
use crate::{Catalog, Error, Result, limit};

/// The longest name.
pub const MAX_NAME_BYTES: usize = 128;
/// The largest value.
pub const MAX_VALUE_BYTES: usize = 256 << 10;

impl Catalog {
    /// The value of a setting; `None` when it is not set.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is set to something else than a `T`.
    pub async fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let row = sqlx::query("SELECT value FROM setting WHERE name = $1")
            .bind(name)
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a setting"))?;
        row.map(|row| Columns(&row).json("value")).transpose()
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the value has no JSON form, [`Error::TooLarge`] beyond the limits of this module.
    pub async fn put_setting<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        const OPERATION: &str = "changing a setting";
        limit::text("name of a setting", name, MAX_NAME_BYTES)?;
        let value: Value = serde_json::to_value(value).map_err(|cause| Error::invalid("setting", cause.to_string()))?;
        let text = value.to_string();
        limit::bytes("setting", text.len(), MAX_VALUE_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        sqlx::query(
            "INSERT INTO setting (name, value, updated_ns) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_ns = excluded.updated_ns",
        )
        .bind(name)
        .bind(text)
        .bind(Timestamp::now().as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        self.note(&mut tx, "update", "setting", name, json!({})).await?;
        commit(tx, OPERATION).await
    }

    /// Forgets a setting, and says whether it was set.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn remove_setting(&self, name: &str) -> Result<bool> {
        const OPERATION: &str = "removing a setting";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM setting WHERE name = $1")
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Ok(false);
        }
        self.note(&mut tx, "remove", "setting", name, json!({})).await?;
        commit(tx, OPERATION).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    #[tokio::test]
    async fn a_setting_is_kept_replaced_and_forgotten() {
        let (catalog, dir) = catalog().await;
        assert_eq!(catalog.setting::<u32>("retention.days").await.unwrap(), None);
        catalog.put_setting("retention.days", &30).await.unwrap();
        catalog.put_setting("retention.days", &90).await.unwrap();
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.setting("retention.days").await.unwrap(), Some(90));
        assert!(matches!(catalog.setting::<String>("retention.days").await, Err(Error::Corrupt { .. })));
        assert!(catalog.remove_setting("retention.days").await.unwrap());
        assert!(!catalog.remove_setting("retention.days").await.unwrap());
        let large = "x".repeat(MAX_VALUE_BYTES);
        assert!(matches!(catalog.put_setting("x", &large).await, Err(Error::TooLarge { .. })));
    }
}
