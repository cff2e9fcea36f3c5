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

qd_base::words!(
    /// What the number of a place counts.
    #[derive(Default)]
    Unit, "unit of a place", {
        /// Lines of the file, as an editor counts them.
        Line = "line",
        /// Elements of an array of JSON.
        Element = "element",
        /// Rows.
        #[default]
        Row = "row",
    }
);

/// Where a row stands in its file: in the line that it begins in, or by its number where there are no lines; from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub unit: Unit,
    pub number: u64,
}

impl Place {
    pub const fn line(number: u64) -> Self {
        Self { unit: Unit::Line, number }
    }

    pub const fn element(number: u64) -> Self {
        Self { unit: Unit::Element, number }
    }

    pub const fn row(number: u64) -> Self {
        Self { unit: Unit::Row, number }
    }

    /// Of a row that is told by its identifier, in the words that say why it is bad.
    pub const fn nowhere() -> Self {
        Self { unit: Unit::Row, number: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.unit, self.number)
    }
}

/// A row that cannot be part of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The file that it stands in, as the request names it.
    pub file: String,
    /// What `number` counts.
    #[serde(default)]
    pub unit: Unit,
    /// The line that it begins in, or its number where there are no lines; from 1. 0 for a row that `why` names.
    #[serde(alias = "row")]
    pub number: u64,
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
    pub(crate) fn add(&mut self, file: &str, place: Place, why: &str) {
        self.count += 1;
        if self.told.len() < MAX_TOLD {
            let (Place { unit, number }, why) = (place, why.chars().take(WHY_CHARS).collect());
            self.told.push(BadRow { file: file.to_owned(), unit, number, why });
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
        for BadRow { file, unit, number, why } in self.told.iter().take(IN_MESSAGE) {
            match several {
                _ if *number == 0 => write!(f, "\n  {why}")?,
                true => write!(f, "\n  {file}, {unit} {number}: {why}")?,
                false => write!(f, "\n  {unit} {number}: {why}")?,
            }
        }
        match self.count.saturating_sub(IN_MESSAGE as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
