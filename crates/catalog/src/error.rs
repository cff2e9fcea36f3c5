//! Everything that can go wrong in the catalog, with the operation that failed and its cause.

use std::path::{Path, PathBuf};

use qd_base::JobId;

/// Why the catalog could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A catalog file cannot be opened or created.
    #[error("opening {path}")]
    Open { path: PathBuf, source: sqlx::Error },
    /// A folder or file beside the catalog cannot be read or written.
    #[error("{operation} {path}")]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    /// A migration failed; the file is as it was before.
    #[error("bringing {path} up to date")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    /// The file was written by a later Quarterdeck.
    #[error("{path} was written by a newer Quarterdeck (schema {version}); run that one")]
    Newer { path: PathBuf, version: i64 },
    /// A master key that is not 32 bytes.
    #[error("the master key in {origin} is not 32 bytes as 64 hexadecimal digits or base64")]
    MasterKeyText { origin: String },
    /// A master key file that others may read.
    #[error("{path} holds the master key and others may read it (mode {mode:o}); run `chmod 600 {path}`")]
    MasterKeyMode { path: PathBuf, mode: u32 },
    /// A master key that is not the one the catalog was made with.
    #[error("{path} was made with another master key; bring back its master.key or set QUARTERDECK_MASTER_KEY")]
    WrongMasterKey { path: PathBuf },
    /// SQLite refused or failed.
    #[error("{operation}")]
    Database { operation: &'static str, source: sqlx::Error },
    /// A stored value cannot be what we wrote.
    #[error("column {column} holds a value that Quarterdeck does not write: {reason}")]
    Corrupt { column: &'static str, reason: String },
    /// There is no such thing.
    #[error("there is no {noun} {name}")]
    NotFound { noun: &'static str, name: String },
    /// There is one already.
    #[error("there is a {noun} {name} already")]
    Exists { noun: &'static str, name: String },
    /// A label is not where the caller believed it to be.
    #[error("label {label} {}, but it was expected {}; look again before you move it", at(.found), expected_at(.expected))]
    Conflict { label: String, expected: Option<u32>, found: Option<u32> },
    /// Another version of an artifact is the latest than the caller believed.
    #[error("{noun} {name} {}, but {} expected to be its latest; look again before you change it", latest(.found), expected_latest(.expected))]
    Moved { noun: &'static str, name: String, expected: Option<u32>, found: Option<u32> },
    /// A value that does not keep its rule.
    #[error("{what} {reason}")]
    Invalid { what: &'static str, reason: String },
    /// Something is larger than is kept.
    #[error("{what} is {size} {unit}, at most {limit} are kept")]
    TooLarge { what: &'static str, size: u64, limit: u64, unit: &'static str },
    /// The runner that asks does not hold the job any more.
    #[error("job {job} is not held by this runner any more")]
    LeaseLost { job: JobId },
    /// The job is in a state that does not allow this.
    #[error("job {job} is {state} and cannot be {wanted}")]
    JobState { job: JobId, state: crate::JobState, wanted: &'static str },
    /// The lake's files changed since the caller looked: nothing was changed.
    #[error("the lake changed meanwhile: {missing} of the {noun} to be removed are gone; nothing was changed")]
    Stale { noun: &'static str, missing: u64 },
    /// A password could not be hashed, or a stored hash is none.
    #[error("hashing a password: {reason}")]
    Hashing { reason: String },
    /// A stored secret cannot be decrypted: it was altered, or moved to something else of its kind.
    #[error("the secret of {noun} {name} cannot be decrypted; set it again")]
    Sealed { noun: &'static str, name: String },
}

/// Where a label is, in words.
fn at(number: &Option<u32>) -> String {
    number.map_or_else(|| "is not set".to_owned(), |number| format!("is at version {number}"))
}

fn expected_at(number: &Option<u32>) -> String {
    number.map_or_else(|| "not to be set".to_owned(), |number| format!("at version {number}"))
}

/// Which version is the latest, in words.
fn latest(number: &Option<u32>) -> String {
    number.map_or_else(|| "has no version".to_owned(), |number| format!("is at version {number}"))
}

fn expected_latest(number: &Option<u32>) -> String {
    number.map_or_else(|| "none was".to_owned(), |number| format!("{number} was"))
}

/// SQLite's primary result code for a full disk or a database at its size limit (sqlite3.h, `SQLITE_FULL`).
const SQLITE_FULL: i64 = 13;

impl Error {
    /// Whether the disk is full: then nothing was written, and a later try may succeed.
    pub fn is_disk_full(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(cause), .. } = self else { return false };
        // The low byte of an extended code is the primary code.
        cause.code().and_then(|code| code.parse::<i64>().ok()).is_some_and(|code| code & 0xff == SQLITE_FULL)
    }

    /// Turns SQLite's error into ours, for `map_err`.
    pub(crate) fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { operation, source }
    }

    /// Turns an I/O error into ours, for `map_err`.
    pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }

    pub(crate) fn not_found(noun: &'static str, name: impl ToString) -> Self {
        Self::NotFound { noun, name: name.to_string() }
    }

    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_where_the_label_is() {
        let conflict = |expected, found| Error::Conflict { label: "production".into(), expected, found }.to_string();
        assert_eq!(
            conflict(Some(1), Some(2)),
            "label production is at version 2, but it was expected at version 1; look again before you move it"
        );
        assert_eq!(
            conflict(None, Some(2)),
            "label production is at version 2, but it was expected not to be set; look again before you move it"
        );
    }
}
