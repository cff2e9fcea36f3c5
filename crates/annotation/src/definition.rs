//! What is asked: which rows, which question on which scale, what is shown, and by how many an item is labelled.

use std::collections::HashSet;

use qd_data::Dataset;
use serde::{Deserialize, Serialize};

use crate::scale::Scale;
use crate::{Error, Result};

/// Items of one annotation at most.
pub const MOST_ITEMS: usize = 10_000;
/// Labels of one item at most.
pub const MOST_LABELS: u32 = 20;
/// Columns that are shown at most.
const MOST_COLUMNS: usize = 100;
/// Minutes for which an item is in hand at most: a day.
const MOST_MINUTES: u32 = 24 * 60;
const LONGEST_QUESTION_BYTES: usize = 4 << 10;
const LONGEST_GUIDELINES_BYTES: usize = 64 << 10;

/// What people are asked. The reference to the dataset is pinned to a number when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows.
    #[serde(default)]
    pub sample: Sample,
    /// What is asked of each.
    pub question: String,
    /// How it is to be answered, at length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidelines: Option<String>,
    /// What can be answered.
    pub scale: Scale,
    /// The columns that annotators see; nothing else of a row is told to them.
    #[serde(default)]
    pub show: Vec<String>,
    /// By how many an item is labelled.
    #[serde(default)]
    pub overlap: Overlap,
    /// For how long an item that an annotator was given is kept for them.
    #[serde(default = "half_an_hour")]
    pub lease_minutes: u32,
}

/// Which rows are items.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// How many, drawn at random; all when absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// What the draw, the order of items and the order of two answers follow from.
    #[serde(default)]
    pub seed: u64,
    /// A column: of the rows of each of its values the sample has its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratify: Option<String>,
}

/// How many labels items get.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// Labels of an item.
    #[serde(default = "one")]
    pub labels: u32,
    /// Which share of the items get so many; the others get one.
    #[serde(default = "all")]
    pub share: f64,
}

impl Default for Overlap {
    fn default() -> Self {
        Self { labels: one(), share: all() }
    }
}

fn one() -> u32 {
    1
}

fn all() -> f64 {
    1.0
}

fn half_an_hour() -> u32 {
    30
}

impl Overlap {
    /// How many labels an item needs. Those that need more lie evenly among the others, so that people who tire or learn are compared in
    /// all of their work.
    pub fn needed(&self, item: u32) -> u32 {
        let before = |item: u32| (f64::from(item) * self.share).floor();
        if before(item + 1) > before(item) { self.labels } else { 1 }
    }
}

impl Definition {
    /// Whether it can be asked, as far as it says by itself.
    ///
    /// # Errors
    /// [`Error::Definition`] naming what is wrong.
    pub fn check(&self) -> Result<()> {
        self.scale.check()?;
        text("question", &self.question, LONGEST_QUESTION_BYTES)?;
        if let Some(guidelines) = &self.guidelines {
            text("guidelines", guidelines, LONGEST_GUIDELINES_BYTES)?;
        }
        within("overlap.labels", self.overlap.labels as usize, 1, MOST_LABELS as usize)?;
        if !(0.0..=1.0).contains(&self.overlap.share) {
            return Err(Error::definition("overlap.share", "it is between 0 and 1"));
        }
        within("lease_minutes", self.lease_minutes as usize, 1, MOST_MINUTES as usize)?;
        if let Some(limit) = self.sample.limit {
            within("sample.limit", limit, 1, MOST_ITEMS)?;
        }
        self.check_shown()
    }

    fn check_shown(&self) -> Result<()> {
        within("show", self.show.len(), 0, MOST_COLUMNS)?;
        let mut seen = HashSet::new();
        if let Some(twice) = self.show.iter().find(|column| !seen.insert(*column)) {
            return Err(Error::definition("show", format!("{twice:?} is there twice")));
        }
        match &self.scale {
            Scale::Pairwise { a, b, .. } => match self.show.iter().find(|column| *column == a || *column == b) {
                Some(column) => {
                    let why = format!("{column:?} is compared; to show it by its name would tell which answer it is");
                    Err(Error::definition("show", why))
                }
                None => Ok(()),
            },
            _ if self.show.is_empty() => Err(Error::definition("show", "name the columns that annotators see")),
            _ => Ok(()),
        }
    }

    /// Whether it can be asked of these rows.
    ///
    /// # Errors
    /// [`Error::Definition`] for a column that there is not.
    pub fn check_columns(&self, dataset: &Dataset) -> Result<()> {
        let shown = self.show.iter().map(|column| ("show", column));
        let compared: Vec<(&str, &String)> = match &self.scale {
            Scale::Pairwise { a, b, .. } => vec![("scale.a", a), ("scale.b", b)],
            _ => Vec::new(),
        };
        let stratify = self.sample.stratify.iter().map(|column| ("sample.stratify", column));
        for (field, column) in shown.chain(compared).chain(stratify) {
            if dataset.columns().iter().all(|known| known.name != *column) {
                let names: Vec<&str> = dataset.columns().iter().map(|known| known.name.as_str()).collect();
                let why = format!("the dataset has no column {column:?}; it has {}", names.join(", "));
                return Err(Error::definition(field, why));
            }
        }
        Ok(())
    }
}

fn text(field: &str, text: &str, most: usize) -> Result<()> {
    match text.trim().is_empty() {
        true => Err(Error::definition(field, "it is empty")),
        false if text.len() > most => Err(Error::definition(field, format!("it has over {most} bytes"))),
        false => Ok(()),
    }
}

fn within(field: &str, found: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::definition(field, format!("{found} is not between {least} and {most}")))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn definition(change: Value) -> Definition {
        let mut whole = json!({
            "dataset": "d@1", "question": "Is it right?", "scale": {"kind": "boolean"}, "show": ["question"],
        });
        for (name, value) in change.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        definition(json!({})).check().unwrap();
        let why = |change: Value| definition(change).check().unwrap_err().to_string();
        assert_eq!(why(json!({"question": " "})), "Invalid 'question': it is empty.");
        assert_eq!(why(json!({"show": []})), "Invalid 'show': name the columns that annotators see.");
        assert!(why(json!({"show": ["x", "x"]})).contains("there twice"));
        assert!(why(json!({"overlap": {"labels": 21}})).contains("overlap.labels"));
        assert!(why(json!({"overlap": {"labels": 2, "share": 1.5}})).contains("overlap.share"));
        assert!(why(json!({"lease_minutes": 0})).contains("lease_minutes"));
        assert!(why(json!({"sample": {"limit": 10_001}})).contains("sample.limit"));
        let pair = json!({"scale": {"kind": "pairwise", "a": "x", "b": "y"}, "show": ["question", "y"]});
        assert!(why(pair).contains("would tell which"));
        definition(json!({"scale": {"kind": "pairwise", "a": "x", "b": "y"}, "show": []})).check().unwrap();
    }

    /// A quarter of eight items: the fourth and the eighth.
    #[test]
    fn items_of_several_lie_among_the_others() {
        let needed = |labels, share| (0..8).map(|item| Overlap { labels, share }.needed(item)).collect::<Vec<_>>();
        assert_eq!(needed(3, 0.25), [1, 1, 1, 3, 1, 1, 1, 3]);
        assert_eq!(needed(2, 1.0), [2; 8]);
        assert_eq!(needed(2, 0.0), [1; 8]);
        // 0.3 · 10 is exactly 3 in double precision, so three of ten.
        let third: Vec<u32> = (0..10).map(|item| Overlap { labels: 2, share: 0.3 }.needed(item)).collect();
        assert_eq!(third.iter().sum::<u32>(), 13);
    }
}
