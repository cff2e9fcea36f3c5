//! On what do people place an item?
//!
//! Scales of words and whole numbers are written as those of judges are, so that a judge can be asked the same.

use std::collections::HashSet;

use qd_eval::agreement::Weights;
use qd_eval::agreement::alpha::Scale as Measure;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result};

/// Classes of one scale at most.
pub const MOST_CLASSES: usize = 64;
const LONGEST_NAME_CHARS: usize = 64;
const LONGEST_MEANING_CHARS: usize = 2_000;

/// What was said of two answers: the one in the first of the two columns is better, or the other.
pub const A: &str = "a";
/// See [`A`].
pub const B: &str = "b";
/// Neither is better.
pub const TIE: &str = "tie";

/// A scale as it is written in a definition: `{"kind": "numeric", "lowest": 1, "highest": 5}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Yes or no.
    Boolean {},
    /// Words.
    Categorical {
        /// Which.
        categories: Vec<Category>,
        /// Whether they have an order, from the first to the last.
        #[serde(default)]
        ordered: bool,
    },
    /// Whole numbers.
    Numeric {
        /// The lowest.
        lowest: i64,
        /// The highest.
        highest: i64,
        /// What some of the numbers mean.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        levels: Vec<Level>,
    },
    /// Any number between two.
    Range {
        /// The lowest.
        lowest: f64,
        /// The highest.
        highest: f64,
    },
    /// Which of the answers in two columns is better.
    Pairwise {
        /// The column of one.
        a: String,
        /// The column of the other.
        b: String,
        /// Whether neither may be better.
        #[serde(default = "yes")]
        ties: bool,
    },
}

/// A word and what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The word.
    pub name: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
}

/// What a number means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// The number.
    pub value: i64,
    /// What it means.
    pub means: String,
}

fn yes() -> bool {
    true
}

impl Scale {
    /// Whether it can be used.
    ///
    /// # Errors
    /// [`Error::Definition`] naming what is wrong.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Boolean {} => Ok(()),
            Self::Categorical { categories, .. } => check_categories(categories),
            Self::Numeric { lowest, highest, levels } => check_numbers(*lowest, *highest, levels),
            Self::Range { lowest, highest } if lowest < highest && (highest - lowest).is_finite() => Ok(()),
            Self::Range { .. } => Err(wrong("the highest number of a range is above the lowest")),
            Self::Pairwise { a, b, .. } if a == b => Err(wrong("two columns are compared, and they are two")),
            Self::Pairwise { .. } => Ok(()),
        }
    }

    /// What can be said, in order; nothing where any number can be.
    pub fn classes(&self) -> Option<Vec<Value>> {
        match self {
            Self::Boolean {} => Some(vec![json!(false), json!(true)]),
            Self::Categorical { categories, .. } => Some(categories.iter().map(|one| json!(one.name)).collect()),
            Self::Numeric { lowest, highest, .. } => Some((*lowest..=*highest).map(Value::from).collect()),
            Self::Range { .. } => None,
            Self::Pairwise { ties, .. } => {
                let all = [A, B, TIE];
                Some(all[..if *ties { 3 } else { 2 }].iter().map(|word| json!(word)).collect())
            }
        }
    }

    /// A value as the scale writes it: one of its classes, or a number of its range.
    ///
    /// # Errors
    /// [`Error::Definition`] for anything else, with what can be said.
    pub fn read(&self, value: &Value) -> Result<Value> {
        let Some(classes) = self.classes() else { return self.read_number(value) };
        let is_it = |class: &&Value| {
            **class == *value || matches!((class.as_f64(), value.as_f64()), (Some(a), Some(b)) if a == b)
        };
        classes.iter().find(is_it).cloned().ok_or_else(|| {
            let all: Vec<String> = classes.iter().map(Value::to_string).collect();
            Error::definition("value", format!("{} is not one of {}", shortened(value), all.join(", ")))
        })
    }

    fn read_number(&self, value: &Value) -> Result<Value> {
        let Self::Range { lowest, highest } = self else { return Err(wrong("it has no numbers")) };
        let within = value.as_f64().filter(|number| (*lowest..=*highest).contains(number));
        within.map(Value::from).ok_or_else(|| {
            Error::definition("value", format!("{} is no number from {lowest} to {highest}", shortened(value)))
        })
    }

    /// The number that a value is counted as: its place among the classes, or itself.
    pub fn number(&self, value: &Value) -> Option<f64> {
        match self {
            Self::Numeric { .. } | Self::Range { .. } => value.as_f64(),
            _ => self.classes()?.iter().position(|class| class == value).map(|place| place as f64),
        }
    }

    /// What a difference of two values means for alpha.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Categorical { ordered: true, .. } | Self::Numeric { .. } => Measure::Ordinal,
            Self::Range { .. } => Measure::Interval,
            Self::Boolean {} | Self::Categorical { .. } | Self::Pairwise { .. } => Measure::Nominal,
        }
    }

    /// What a difference of two values means for kappa.
    pub fn weights(&self) -> Weights {
        if self.measure() == Measure::Ordinal { Weights::Quadratic } else { Weights::Nominal }
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::definition("scale", why)
}

fn shortened(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

fn check_categories(categories: &[Category]) -> Result<()> {
    if !(2..=MOST_CLASSES).contains(&categories.len()) {
        return Err(wrong(format!("it has {} categories; between 2 and {MOST_CLASSES} can be told", categories.len())));
    }
    let mut names = HashSet::new();
    for category in categories {
        let length = category.name.chars().count();
        if category.name.trim().is_empty() || length > LONGEST_NAME_CHARS {
            return Err(wrong(format!("a category has a name of 1 to {LONGEST_NAME_CHARS} characters")));
        }
        if !names.insert(&category.name) {
            return Err(wrong(format!("the category {:?} is there twice", category.name)));
        }
        check_meaning(category.means.as_deref())?;
    }
    Ok(())
}

fn check_numbers(lowest: i64, highest: i64, levels: &[Level]) -> Result<()> {
    let count = highest.checked_sub(lowest).filter(|&steps| (1..MOST_CLASSES as i64).contains(&steps));
    if count.is_none() {
        let why = format!("from {lowest} to {highest} are not between 2 and {MOST_CLASSES} numbers; a range has any");
        return Err(wrong(why));
    }
    if let Some(level) = levels.iter().find(|level| !(lowest..=highest).contains(&level.value)) {
        return Err(wrong(format!("the level {} is not from {lowest} to {highest}", level.value)));
    }
    levels.iter().try_for_each(|level| check_meaning(Some(&level.means)))
}

fn check_meaning(means: Option<&str>) -> Result<()> {
    match means {
        Some(means) if means.chars().count() > LONGEST_MEANING_CHARS => {
            Err(wrong(format!("what a value means is told in at most {LONGEST_MEANING_CHARS} characters")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn scale(written: Value) -> Scale {
        serde_json::from_value(written).unwrap()
    }

    #[test]
    fn values_are_those_of_the_scale() {
        let read = |written: Value, value: Value| scale(written).read(&value).map_err(|error| error.to_string());
        assert_eq!(read(json!({"kind": "boolean"}), json!(true)), Ok(json!(true)));
        let refused = read(json!({"kind": "boolean"}), json!("yes")).unwrap_err();
        assert_eq!(refused, "Invalid 'value': \"yes\" is not one of false, true.");
        let stars = json!({"kind": "numeric", "lowest": 1, "highest": 3});
        assert_eq!(read(stars.clone(), json!(2.0)), Ok(json!(2)));
        assert!(read(stars.clone(), json!(2.5)).unwrap_err().contains("1, 2, 3"));
        assert!(read(stars, json!(null)).is_err());
        let words = json!({"kind": "categorical", "categories": [{"name": "good"}, {"name": "bad"}]});
        assert_eq!(read(words.clone(), json!("bad")), Ok(json!("bad")));
        assert!(read(words, json!("worse")).is_err());
        let range = json!({"kind": "range", "lowest": 0.0, "highest": 1.0});
        assert_eq!(read(range.clone(), json!(1)), Ok(json!(1.0)));
        assert_eq!(read(range, json!(1.5)).unwrap_err(), "Invalid 'value': 1.5 is no number from 0 to 1.");
        assert!(read(json!({"kind": "pairwise", "a": "x", "b": "y", "ties": false}), json!("tie")).is_err());
    }

    #[test]
    fn what_cannot_be_a_scale_says_why() {
        let why = |written: Value| scale(written).check().unwrap_err().to_string();
        assert!(why(json!({"kind": "categorical", "categories": [{"name": "x"}]})).contains("between 2 and 64"));
        let twice = json!({"kind": "categorical", "categories": [{"name": "x"}, {"name": "x"}]});
        assert!(why(twice).contains("there twice"));
        assert!(why(json!({"kind": "numeric", "lowest": 0, "highest": 64})).contains("a range has any"));
        let level = json!({"kind": "numeric", "lowest": 1, "highest": 5, "levels": [{"value": 6, "means": "more"}]});
        assert!(why(level).contains("the level 6"));
        assert!(why(json!({"kind": "numeric", "lowest": i64::MIN, "highest": i64::MAX})).contains("numbers"));
        assert!(why(json!({"kind": "range", "lowest": 1.0, "highest": 1.0})).contains("above the lowest"));
        assert!(why(json!({"kind": "pairwise", "a": "x", "b": "x"})).contains("they are two"));
        assert!(serde_json::from_value::<Scale>(json!({"kind": "boolean", "ties": true})).is_err());
    }

    #[test]
    fn values_count_as_numbers() {
        let stars = scale(json!({"kind": "numeric", "lowest": 1, "highest": 5}));
        assert_eq!((stars.number(&json!(4)), stars.measure()), (Some(4.0), Measure::Ordinal));
        let pair = scale(json!({"kind": "pairwise", "a": "x", "b": "y"}));
        assert_eq!((pair.number(&json!("tie")), pair.measure()), (Some(2.0), Measure::Nominal));
        assert_eq!(pair.number(&json!("c")), None);
    }
}
