//! What a version of a dataset is: its columns, and the files that hold its rows.

use std::collections::BTreeMap;

use qd_base::{ArtifactName, JobId, Sha256Hex, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::BadRow;
use crate::column::{Column, Role};

/// Rows of one dataset at most: their identifiers must fit into memory while a version is made.
pub const MAX_ROWS: u64 = 10_000_000;
/// Files of one version at most; what adds another rewrites them into one.
pub const MAX_FILES: usize = 64;
/// Files that an origin names; of more the first are told.
pub const MAX_SOURCES: usize = 100;

/// The content of a version. Two versions with the same rows in the same order have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its columns, in the order in which they are shown.
    pub columns: Vec<Column>,
    /// How many rows it has.
    pub rows: u64,
    /// How large its files are together.
    pub bytes: u64,
    /// Parquet files of the lake, in the order of the rows.
    pub files: Vec<Part>,
}

/// A file that holds rows of a version, and perhaps of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub sha256: Sha256Hex,
    /// How many rows it has.
    pub rows: u64,
    /// How large it is.
    pub bytes: u64,
}

/// What made a version. It is kept beside the content, as what its author says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Files from elsewhere.
    Import {
        /// Where they come from, as whoever sent them says: `hub:openai/gsm8k@COMMIT`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The first [`MAX_SOURCES`] files.
        files: Vec<Source>,
        /// How many there were.
        file_count: u64,
        /// Rows that were left out since they are bad.
        skipped: u64,
        /// Some of these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        bad: Vec<BadRow>,
        /// What a person should know about how they were read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// Recorded calls.
    Traces {
        /// Which were wanted.
        wanted: Value,
        /// How many rows were added.
        added: u64,
        /// How many were there already.
        known: u64,
        /// The job that made it, when it took long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    /// Rows by hand.
    Edit {
        /// How many were added.
        added: u64,
        /// How many were replaced.
        replaced: u64,
        /// How many were removed.
        removed: u64,
        /// The job that made it, when it took long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    /// Other columns, types or roles for the same rows.
    Columns {
        /// The roles that were given.
        roles: BTreeMap<String, Role>,
    },
    /// Columns that came to rows from what people said of them.
    Annotation {
        /// The annotation.
        annotation: ArtifactName,
        /// Its version.
        version: u32,
        /// The version's identifier.
        id: VersionId,
        /// The columns.
        columns: Vec<String>,
        /// How many rows have something in them.
        labelled: u64,
    },
    /// A part of another dataset.
    Split {
        /// That dataset.
        dataset: ArtifactName,
        /// Its version.
        version: u32,
        /// The version's identifier.
        id: VersionId,
        /// The part's name.
        part: String,
        /// From where to where in the unit interval its rows fall.
        interval: [f64; 2],
        /// What the places of rows follow from.
        seed: u64,
        /// The column of which equal values stay together.
        group: Option<String>,
        /// The column of whose values each part has its share; then rows fall into no interval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stratify: Option<String>,
        /// What a person should know about the part.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
}

/// What an origin takes at most, as JSON: the catalog keeps 64 KiB.
const ORIGIN_BYTES: usize = 60 << 10;

impl Origin {
    /// The same with less of its lists when they are too long for the catalog: first fewer bad rows, then notes, then files.
    pub(crate) fn fitting(&self) -> Self {
        let mut origin = self.clone();
        let is_long = |origin: &Self| serde_json::to_string(origin).is_ok_and(|text| text.len() > ORIGIN_BYTES);
        while is_long(&origin) {
            match &mut origin {
                Self::Import { bad, .. } if !bad.is_empty() => bad.truncate(bad.len() / 2),
                Self::Import { notes, .. } if !notes.is_empty() => notes.truncate(notes.len() / 2),
                Self::Import { files, .. } if !files.is_empty() => files.truncate(files.len() / 2),
                Self::Traces { wanted, .. } if !wanted.is_null() => *wanted = Value::Null,
                _ => break,
            }
        }
        origin
    }
}

/// A file from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As the request names it.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256Hex,
    /// How large it is.
    pub bytes: u64,
    /// The split that it belongs to.
    pub split: Option<String>,
}

/// The column whose values identify the rows.
pub(crate) fn id_column(columns: &[Column]) -> Option<&str> {
    columns.iter().find(|column| column.role == Role::Id).map(|column| column.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Unit;

    #[test]
    fn an_origin_fits_into_the_catalog() {
        let row = |number| BadRow { file: "x".repeat(1000), unit: Unit::Line, number, why: "ä".repeat(300) };
        let (bad, notes) = ((0..100).map(row).collect(), vec!["n".repeat(300); 100]);
        let origin = Origin::Import { source: None, files: Vec::new(), file_count: 7, skipped: 100, bad, notes };
        let Origin::Import { bad, notes, skipped: 100, .. } = origin.fitting() else { panic!() };
        // 100 notes of 303 bytes are 30 KB, so there is room for 12 rows of 1.7 KB and not for 25.
        assert_eq!((bad.len(), notes.len()), (12, 100));
    }
}
