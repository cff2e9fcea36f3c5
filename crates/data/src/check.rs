//! Rows that cannot be part of a dataset, told by where they stand and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bad rows that are told of one by one; the others are counted.
pub const MAX_TOLD: usize = 100;
/// Bad rows that an error names: it is read by people.
const IN_MESSAGE: usize = 20;
/// Characters of why a row is bad.
const WHY_CHARS: usize = 300;
/// With so many bad rows the file is not what it is taken for, and is not read on.
pub const MAX_BAD: u64 = 100_000;

/// A row that cannot be part of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The file that it stands in, as the request names it.
    pub file: String,
    /// The line that it begins in, or its number where there are no lines; from 1.
    pub row: u64,
    /// Why.
    pub why: String,
}

/// All that are bad: the first ones, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRows {
    /// The first [`MAX_TOLD`].
    pub told: Vec<BadRow>,
    /// How many there are.
    pub count: u64,
    /// How many rows were looked at.
    pub of: u64,
}

impl BadRows {
    pub(crate) fn add(&mut self, file: &str, row: u64, why: &str) {
        self.count += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(BadRow { file: file.to_owned(), row, why: why.chars().take(WHY_CHARS).collect() });
        }
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} rows cannot be imported, so nothing was; leave bad rows out, or mend them:",
            self.count, self.of
        )?;
        let several = self.told.iter().any(|row| row.file != self.told[0].file);
        for BadRow { file, row, why } in self.told.iter().take(IN_MESSAGE) {
            match several {
                true => write!(f, "\n  {file}, row {row}: {why}")?,
                false => write!(f, "\n  row {row}: {why}")?,
            }
        }
        match self.count.saturating_sub(IN_MESSAGE as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
