//! On what does a judge place an answer?
//!
//! Every scale is a list of [`Label`]s, words that a judge may say, most of them with a number.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Labels of one scale at most.
pub const MOST_LABELS: usize = 101;
/// What a judge says when what it sees does not let it decide.
pub const CANNOT_TELL: &str = "cannot tell";
/// The highest value of a label, so that sums and products of values stay numbers.
const MOST_VALUE: f64 = 1e12;
/// Characters of one label at most.
const LONGEST_LABEL_CHARS: usize = 64;
/// Characters of what a label means at most.
const LONGEST_MEANING_CHARS: usize = 2_000;

/// A scale as it is written in a definition: `{"kind": "numeric", "lowest": 1, "highest": 5}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Whole numbers.
    Numeric {
        /// The lowest.
        lowest: i64,
        /// The highest.
        highest: i64,
        /// A rubric: what some of the numbers mean.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        levels: Vec<Level>,
    },
    /// Words.
    Categorical {
        /// Which.
        categories: Vec<Category>,
    },
    /// Yes or no, which are 1 and 0.
    Boolean,
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

/// A word, what it means, and the number that it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The word.
    pub name: String,
    /// The number that it counts as; without one it is counted only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
}

/// A word that a judge may say.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The word.
    pub text: String,
    /// The number that it stands for.
    pub value: Option<f64>,
    /// What it means.
    pub means: Option<String>,
}

impl Label {
    pub(crate) fn new(text: impl Into<String>, value: impl Into<Option<f64>>) -> Self {
        Self { text: text.into(), value: value.into(), means: None }
    }

    pub(crate) fn meaning(self, means: impl Into<String>) -> Self {
        Self { means: Some(means.into()), ..self }
    }
}

/// Yes and no.
pub(crate) fn yes_or_no() -> Vec<Label> {
    vec![Label::new("yes", 1.0), Label::new("no", 0.0)]
}

impl Scale {
    /// The words that a judge may say, in order.
    pub fn labels(&self) -> Vec<Label> {
        match self {
            Self::Numeric { lowest, highest, levels } => (*lowest..=*highest)
                .map(|value| {
                    let means = levels.iter().find(|level| level.value == value).map(|level| level.means.clone());
                    Label { text: value.to_string(), value: Some(value as f64), means }
                })
                .collect(),
            Self::Categorical { categories } => categories
                .iter()
                .map(|category| Label {
                    text: category.name.clone(),
                    value: category.value,
                    means: category.means.clone(),
                })
                .collect(),
            Self::Boolean => yes_or_no(),
        }
    }

    /// # Errors
    /// [`Error::Definition`] with the part that is wrong.
    pub(crate) fn check(&self, field: &str) -> Result<()> {
        if let Self::Numeric { lowest, highest, levels } = self {
            let count = highest.checked_sub(*lowest).filter(|&count| (1..MOST_LABELS as i64).contains(&count));
            if count.is_none() {
                let reason = format!("from the lowest to the highest there are 2 to {MOST_LABELS} whole numbers");
                return Err(Error::definition(field, reason));
            }
            if let Some(place) = levels.iter().position(|level| !(*lowest..=*highest).contains(&level.value)) {
                return Err(Error::definition(format!("{field}.levels[{place}].value"), "it is not on the scale"));
            }
        }
        check_labels(&self.labels(), field)
    }
}

fn check_labels(labels: &[Label], field: &str) -> Result<()> {
    if !(2..=MOST_LABELS).contains(&labels.len()) {
        return Err(Error::definition(field, format!("a scale has 2 to {MOST_LABELS} labels")));
    }
    let mut seen = HashSet::from([CANNOT_TELL.to_owned()]);
    for label in labels {
        let chars = label.text.chars().count();
        let plain = label.text.trim() == label.text && !label.text.chars().any(|c| c.is_control() || c == '"');
        if !(1..=LONGEST_LABEL_CHARS).contains(&chars) || !plain {
            let reason = format!("a label has 1 to {LONGEST_LABEL_CHARS} characters in one line, without quotes");
            return Err(Error::definition(field, reason));
        }
        if !seen.insert(label.text.to_lowercase()) {
            let reason =
                format!("the label {:?} is there already, or is what a judge says that cannot tell", label.text);
            return Err(Error::definition(field, reason));
        }
        if label.value.is_some_and(|value| !(-MOST_VALUE..=MOST_VALUE).contains(&value)) {
            let reason = format!("the value of {:?} is no number from -{MOST_VALUE} to {MOST_VALUE}", label.text);
            return Err(Error::definition(field, reason));
        }
        if label.means.as_ref().is_some_and(|means| means.chars().count() > LONGEST_MEANING_CHARS) {
            let reason = format!("what {:?} means has over {LONGEST_MEANING_CHARS} characters", label.text);
            return Err(Error::definition(field, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scale(value: Value) -> Scale {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn labels_in_order() {
        let texts = |value: Value| scale(value).labels().into_iter().map(|label| label.text).collect::<Vec<_>>();
        assert_eq!(texts(json!({"kind": "numeric", "lowest": -1, "highest": 1})), ["-1", "0", "1"]);
        assert_eq!(texts(json!({"kind": "boolean"})), ["yes", "no"]);
        let words = json!({"kind": "categorical", "categories": [{"name": "mild", "value": 0.5}, {"name": "none"}]});
        assert_eq!(texts(words.clone()), ["mild", "none"]);
        assert_eq!(scale(words).labels()[1].value, None);
    }

    #[test]
    fn scales_that_cannot_be() {
        let refused = |value: Value| scale(value).check("scale").unwrap_err().to_string();
        assert!(refused(json!({"kind": "numeric", "lowest": 5, "highest": 1})).contains("2 to 101"));
        assert!(refused(json!({"kind": "numeric", "lowest": i64::MIN, "highest": i64::MAX})).contains("2 to 101"));
        let off = json!({"kind": "numeric", "lowest": 1, "highest": 5, "levels": [{"value": 6, "means": "x"}]});
        assert!(refused(off).contains("levels[0].value"));
        let of = |names: &[&str]| {
            let categories: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"kind": "categorical", "categories": categories})
        };
        let large =
            json!({"kind": "categorical", "categories": [{"name": "a", "value": 1e308}, {"name": "b", "value": 0}]});
        assert!(refused(large).contains("\"a\" is no number from"));
        assert!(refused(of(&["one"])).contains("2 to 101"));
        assert!(refused(of(&["a", "A"])).contains("already"));
        assert!(refused(of(&["a", "Cannot Tell"])).contains("cannot tell"));
        assert!(refused(of(&["a", "b\nc"])).contains("one line"));
        assert!(
            serde_json::from_value::<Scale>(json!({"kind": "numeric", "lowest": 1, "highest": 2, "best": 1})).is_err()
        );
    }
}
