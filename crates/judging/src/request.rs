//! What a judge is compared with people on.

use std::collections::BTreeMap;

use qd_base::Sha256Hex;
use qd_gateway::batch::Budget;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::place::MOST_MEANINGS;
use crate::{Error, Result};

/// Items of one calibration at most.
pub const MOST_ITEMS: usize = 10_000;
/// People of one calibration at most.
pub const MOST_LABELS: usize = 8;
/// Items that are judged at once, at most and usually.
pub const MOST_AT_ONCE: usize = 32;
const USUAL_AT_ONCE: usize = 4;

/// What a judge is compared with people on, as it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The dataset, as `name`, `name@3` or `name@label`; pinned to a number where it is kept.
    pub dataset: String,
    /// The columns with what people said, one for each person.
    pub labels: Vec<String>,
    /// For inputs of the judge the column that each is taken from; the one of its own name otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// For words of people what of the judge's scale they mean, where they are not the judge's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub means: BTreeMap<String, String>,
    /// The column that says which model wrote the answer; of a pair, those of the first and of the second one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// What those columns call the judge's model; the model's own name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// How many items, drawn at random; all that people labelled when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The same seed draws the same items, and fewer of them are the first ones of more.
    #[serde(default)]
    pub seed: u64,
    /// Items that are judged at once.
    #[serde(default = "usual_at_once")]
    pub concurrency: usize,
    /// Where to stop.
    #[serde(default)]
    pub budget: Budget,
}

fn usual_at_once() -> usize {
    USUAL_AT_ONCE
}

impl Request {
    /// What can be seen without the dataset.
    pub(crate) fn check(&self) -> Result<()> {
        if self.labels.is_empty() || self.labels.len() > MOST_LABELS {
            return Err(Error::request("labels", format!("name 1 to {MOST_LABELS} columns with what people said")));
        }
        if (1..self.labels.len()).any(|at| self.labels[..at].contains(&self.labels[at])) {
            return Err(Error::request("labels", "a column stands there twice"));
        }
        if self.means.len() > MOST_MEANINGS {
            return Err(Error::request("means", format!("there are at most {MOST_MEANINGS}")));
        }
        if self.authors.len() > 2 {
            return Err(Error::request("authors", "name a column, or two of pairs"));
        }
        if self.limit.is_some_and(|limit| !(1..=MOST_ITEMS).contains(&limit)) {
            return Err(Error::request("limit", format!("it is 1 to {MOST_ITEMS}")));
        }
        match (1..=MOST_AT_ONCE).contains(&self.concurrency) {
            true => Ok(()),
            false => Err(Error::request("concurrency", format!("it is 1 to {MOST_AT_ONCE}"))),
        }
    }

    /// What makes rows comparable: a card is of rows that were asked for in the same way.
    pub(crate) fn setting(&self) -> Sha256Hex {
        let told = json!([self.labels, self.values, self.means, self.authors, self.own]);
        Sha256Hex::of(told.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_cannot_be() {
        let refused = |change: serde_json::Value| {
            let mut request = json!({"dataset": "d", "labels": ["human"]});
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value::<Request>(request).unwrap().check().unwrap_err().to_string()
        };
        assert!(refused(json!({"labels": []})).contains("'labels': name 1 to 8"));
        assert!(refused(json!({"labels": ["a", "b", "a"]})).contains("twice"));
        assert!(refused(json!({"authors": ["a", "b", "c"]})).contains("two of pairs"));
        assert!(refused(json!({"limit": 0})).contains("1 to 10000"));
        assert!(refused(json!({"concurrency": 33})).contains("1 to 32"));
    }
}
