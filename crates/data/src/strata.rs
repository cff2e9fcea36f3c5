//! Sharing rows out so that every part has its share of each stratum: of the rows with the same value in a column.
//!
//! A part that is the fraction p of the whole gets ⌊n·p⌋ or ⌈n·p⌉ of the n rows of a stratum. What rounding leaves over goes to the parts
//! that are furthest behind, counted over all strata so far (a controlled rounding: Cox, "A constructive procedure for unbiased
//! controlled rounding", JASA 82 (1987), in one dimension). So a hundred strata of one row each are shared out in proportion, too,
//! instead of all going to the largest part. Which rows of a stratum these are follows from their places, and in which order the
//! strata come from their values and the seed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use qd_base::Sha256Hex;
use serde_json::Value;

use crate::value::{key_of, shown};
use crate::{Error, Result};

/// Strata at most: a column with more different values is none to share out by.
pub const MAX_STRATA: usize = 10_000;
/// Strata that a note names.
const TOLD: usize = 5;
/// A value with a longer text is known by its digest.
const KEY_BYTES: usize = 200;

/// The rows of a version by what they have in a column.
#[derive(Debug, Default)]
pub(crate) struct Strata {
    known: HashMap<String, u32>,
    strata: Vec<Stratum>,
    /// Stratum and place of each row, in the order of the version.
    rows: Vec<(u32, f64)>,
}

#[derive(Debug)]
struct Stratum {
    key: String,
    /// Its value, for a person.
    told: String,
    rows: u64,
}

/// Which part each row falls into.
#[derive(Debug)]
pub(crate) struct Shares {
    /// By row; [`NO_PART`] for those that are in none.
    parts: Vec<u8>,
    /// What is to be said of each part.
    pub notes: Vec<Vec<String>>,
}

const NO_PART: u8 = u8::MAX;

impl Shares {
    pub fn part(&self, row: u64) -> Option<usize> {
        let part = usize::try_from(row).ok().and_then(|row| self.parts.get(row)).copied();
        part.filter(|part| *part != NO_PART).map(usize::from)
    }
}

impl Strata {
    /// Adds the next row: what it has in the column, and its place in the unit interval. Rows without a value are a stratum too.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many different values.
    pub fn add(&mut self, value: &Value, place: f64) -> Result<()> {
        // Nothing and the text of nothing are two.
        let text = if value.is_null() { "\0".to_owned() } else { key_of(value) };
        let key = if text.len() > KEY_BYTES { Sha256Hex::of(text.as_bytes()).to_string() } else { text };
        let next = self.strata.len();
        let at = match self.known.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if next >= MAX_STRATA => {
                let why = format!(
                    "it has more than {MAX_STRATA} different values; take one of which many rows have the same"
                );
                return Err(Error::invalid("stratify", why));
            }
            Entry::Vacant(new) => {
                let told = if value.is_null() { "no value".to_owned() } else { shown(value) };
                self.strata.push(Stratum { key: new.key().clone(), told, rows: 0 });
                *new.insert(u32::try_from(next).unwrap_or(u32::MAX))
            }
        };
        self.strata[at as usize].rows += 1;
        self.rows.push((at, place));
        Ok(())
    }

    /// Shares the rows out to parts of these sizes, of 1 together at most. `order` gives strata a place by their keys.
    pub fn share(self, column: &str, sizes: &[f64], order: impl Fn(&str) -> f64) -> Shares {
        let mut sequence: Vec<usize> = (0..self.strata.len()).collect();
        let key = |at: &usize| (order(&self.strata[*at].key), &self.strata[*at].key);
        sequence.sort_by(|one, other| key(one).partial_cmp(&key(other)).unwrap_or(std::cmp::Ordering::Equal));
        let mut rounding = Rounding::new(sizes);
        let mut counts = vec![Vec::new(); self.strata.len()];
        for at in sequence {
            counts[at] = rounding.share(self.strata[at].rows);
        }
        let parts = self.place(&counts, sizes.len());
        let notes = (0..sizes.len()).map(|part| self.notes(column, &parts, part)).collect();
        Shares { parts, notes }
    }

    /// The part of each row: of a stratum, the rows in the order of their places fill one part after the other. Rows of the same
    /// place are the same, and stay together.
    fn place(&self, counts: &[Vec<u64>], rest: usize) -> Vec<u8> {
        let mut order: Vec<u32> = (0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)).collect();
        let row = |at: u32| self.rows[at as usize];
        order.sort_unstable_by(|one, other| {
            let ((one_of, one_at), (other_of, other_at)) = (row(*one), row(*other));
            one_of.cmp(&other_of).then(one_at.total_cmp(&other_at)).then(one.cmp(other))
        });
        let mut parts = vec![NO_PART; self.rows.len()];
        let (mut before, mut nth, mut part) = (None, 0, 0);
        for at in order {
            let (stratum, place) = row(at);
            nth = if before.is_some_and(|(last, _)| last == stratum) { nth + 1 } else { 0 };
            if before != Some((stratum, place)) {
                part = part_of(&counts[stratum as usize], nth);
            }
            before = Some((stratum, place));
            if part < rest {
                parts[at as usize] = u8::try_from(part).unwrap_or(NO_PART);
            }
        }
        parts
    }

    /// What is to be said of a part: which strata it has none of.
    fn notes(&self, column: &str, parts: &[u8], part: usize) -> Vec<String> {
        let mut has = vec![false; self.strata.len()];
        for ((stratum, _), _) in self.rows.iter().zip(parts).filter(|(_, of_row)| usize::from(**of_row) == part) {
            has[*stratum as usize] = true;
        }
        let absent: Vec<_> = self.strata.iter().zip(has).filter(|(_, has)| !has).map(|(stratum, _)| stratum).collect();
        if absent.is_empty() {
            return Vec::new();
        }
        let told: Vec<_> = absent.iter().take(TOLD).map(|of| format!("{} ({} rows)", of.told, of.rows)).collect();
        let more = if absent.len() > TOLD { ", …" } else { "" };
        let (count, all) = (absent.len(), self.strata.len());
        let named = told.join(", ");
        vec![format!("{count} of {all} values of {column} have too few rows to be in it: {named}{more}")]
    }
}

/// The part that holds the nth row of a stratum.
fn part_of(counts: &[u64], nth: u64) -> usize {
    let mut end = 0;
    counts
        .iter()
        .position(|count| {
            end += count;
            nth < end
        })
        .unwrap_or(counts.len())
}

/// Rounds the shares of one stratum after the other, so that no part falls behind.
struct Rounding {
    /// The parts, and last what is in none.
    sizes: Vec<f64>,
    /// How many rows each has too few so far.
    behind: Vec<f64>,
}

impl Rounding {
    fn new(sizes: &[f64]) -> Self {
        let rest = (1.0 - sizes.iter().sum::<f64>()).max(0.0);
        let sizes = [sizes, &[rest]].concat();
        Self { behind: vec![0.0; sizes.len()], sizes }
    }

    /// How many of the rows of a stratum each part gets.
    fn share(&mut self, rows: u64) -> Vec<u64> {
        // A product such as 10 · 0.7 may lie a little below the whole number that it is.
        const ROUNDING: f64 = 1e-6;
        let exact: Vec<f64> = self.sizes.iter().map(|size| rows as f64 * size).collect();
        let mut counts: Vec<u64> = exact.iter().map(|exact| (exact + ROUNDING).floor() as u64).collect();
        let left = rows.saturating_sub(counts.iter().sum());
        let mut order: Vec<usize> =
            (0..exact.len()).filter(|part| exact[*part] - counts[*part] as f64 > ROUNDING).collect();
        let owed = |part: &usize| self.behind[*part] + exact[*part] - counts[*part] as f64;
        order.sort_by(|one, other| owed(other).total_cmp(&owed(one)));
        for part in order.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            counts[part] += 1;
        }
        for (part, behind) in self.behind.iter_mut().enumerate() {
            *behind += exact[part] - counts[part] as f64;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// How many rows of each value each part gets.
    fn check(values: &[(&str, u64)], sizes: &[f64], expected: &[&[u64]]) -> Shares {
        let mut strata = Strata::default();
        let mut of_row = Vec::new();
        for (value, rows) in values {
            for n in 0..*rows {
                // Somewhere in the unit interval, as a digest puts it.
                strata.add(&json!(value), ((n * 7919 + 13) % 1009) as f64 / 1009.0).unwrap();
                of_row.push(*value);
            }
        }
        let shares = strata.share("label", sizes, |key| key.len() as f64);
        let count = |value: &str, part: usize| {
            let rows = of_row.iter().zip(0..).filter(|(of, row)| **of == value && shares.part(*row) == Some(part));
            rows.count() as u64
        };
        let found: Vec<Vec<u64>> =
            values.iter().map(|(value, _)| (0..sizes.len()).map(|part| count(value, part)).collect()).collect();
        assert_eq!(found, expected);
        shares
    }

    #[test]
    fn each_part_has_its_share_of_each_stratum() {
        // Whole shares are exact, also those that binary fractions miss: 0.7 + 0.2 + 0.1.
        check(&[("a", 100), ("b", 10)], &[0.7, 0.2, 0.1], &[&[70, 20, 10], &[7, 2, 1]]);
        // 5 · 0.8 = 4 and 1; 4 · 0.8 = 3.2: the one that is left goes to the part that is further behind, 0.8 of a row against 0.2.
        check(&[("a", 5), ("b", 4)], &[0.8, 0.2], &[&[4, 1], &[3, 1]]);
        // What is in no part has its share too: 10 · 0.5 rows.
        check(&[("a", 10)], &[0.3, 0.2], &[&[3, 2]]);
    }

    #[test]
    fn strata_of_one_row_are_shared_out_together() {
        let names: Vec<String> = (1..=10).map(|n| "x".repeat(n)).collect();
        let values: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        // Behind: 0.8/0.2, -0.2+0.8=0.6/0.4, 0.4/0.6 → the other, and from there as at the start: every fifth but for where it begins.
        let other: &[u64] = &[0, 1];
        let first: &[u64] = &[1, 0];
        let expected: Vec<&[u64]> = (1..=10).map(|n| if n == 3 || n == 8 { other } else { first }).collect();
        let shares = check(&values, &[0.8, 0.2], &expected);
        assert_eq!(shares.notes[0].len(), 1);
        let said = &shares.notes[1][0];
        assert!(said.starts_with("8 of 10 values of label have too few rows to be in it: \"x\" (1 rows), "), "{said}");
    }

    #[test]
    fn rows_of_one_place_stay_together() {
        let mut strata = Strata::default();
        for place in [0.1, 0.5, 0.5, 0.5, 0.5, 0.9] {
            strata.add(&json!("a"), place).unwrap();
        }
        let shares = strata.share("label", &[0.5, 0.5], |_| 0.0);
        let parts: Vec<_> = (0..6).map(|row| shares.part(row).unwrap()).collect();
        assert_eq!(parts, [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_column_of_too_many_values_is_refused() {
        let mut strata = Strata::default();
        let mut add = |n: usize| strata.add(&json!(n), 0.5);
        assert!((0..MAX_STRATA).all(|n| add(n).is_ok()));
        assert!(matches!(add(MAX_STRATA), Err(Error::Invalid { what: "stratify", .. })));
    }
}
