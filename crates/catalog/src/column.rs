//! From a row's columns to typed values. A value that we would not have written is an error, never a guess.

use std::fmt::Display;
use std::str::FromStr;

use qd_base::{Sha256Hex, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Error, Result};

/// The columns of one row.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'r>(pub(crate) &'r SqliteRow);

impl<'r> Columns<'r> {
    fn get<T>(&self, column: &'static str) -> Result<T>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0.try_get(column).map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        self.get(column)
    }

    pub(crate) fn text_opt(&self, column: &'static str) -> Result<Option<String>> {
        self.get(column)
    }

    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T> {
        self.get::<&str>(column)?.parse().map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        serde_json::from_str(self.get(column)?).map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn json_opt<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|cause| corrupt(column, cause))).transpose()
    }

    pub(crate) fn signed(&self, column: &'static str) -> Result<i64> {
        self.get(column)
    }

    pub(crate) fn signed_opt(&self, column: &'static str) -> Result<Option<i64>> {
        self.get(column)
    }

    pub(crate) fn count(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.signed(column)?).map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn count_opt(&self, column: &'static str) -> Result<Option<u64>> {
        let number: Option<i64> = self.get(column)?;
        number.map(|number| u64::try_from(number).map_err(|cause| corrupt(column, cause))).transpose()
    }

    pub(crate) fn number(&self, column: &'static str) -> Result<u32> {
        u32::try_from(self.signed(column)?).map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn number_opt(&self, column: &'static str) -> Result<Option<u32>> {
        let number = self.signed_opt(column)?;
        number.map(|number| u32::try_from(number).map_err(|cause| corrupt(column, cause))).transpose()
    }

    pub(crate) fn real_opt(&self, column: &'static str) -> Result<Option<f64>> {
        self.get(column)
    }

    pub(crate) fn parsed_opt<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|cause| corrupt(column, cause))).transpose()
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool> {
        Ok(self.signed(column)? != 0)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.signed(column).map(Timestamp::from_nanos)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_nanos))
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<Vec<u8>> {
        self.get(column)
    }

    pub(crate) fn blob_opt(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        self.get(column)
    }

    pub(crate) fn digest(&self, column: &'static str) -> Result<[u8; 32]> {
        let bytes: &[u8] = self.get(column)?;
        bytes.try_into().map_err(|cause| corrupt(column, cause))
    }

    pub(crate) fn hash(&self, column: &'static str) -> Result<Sha256Hex> {
        self.parsed(column)
    }
}

/// Reads every row with `read`.
pub(crate) fn all<T>(rows: &[SqliteRow], read: impl Fn(Columns<'_>) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(|row| read(Columns(row))).collect()
}

/// A count as SQLite keeps it; more than 2⁶³ of anything is 2⁶³.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn corrupt(column: &'static str, cause: impl Display) -> Error {
    Error::Corrupt { column, reason: cause.to_string() }
}
