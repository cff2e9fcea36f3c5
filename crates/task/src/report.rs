//! What a task's answers come to: the measures of each document and the numbers of all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aggregate::Aggregate;
use crate::metric::Measure;

/// The numbers of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The task.
    pub task: String,
    /// Its version.
    pub version: Option<String>,
    /// Examples in each prompt.
    pub num_fewshot: usize,
    /// Documents that were asked about.
    pub documents: usize,
    /// Its numbers.
    pub aggregates: Vec<Aggregate>,
    /// What was measured of each document, by filter and then by document.
    pub results: Vec<DocumentResult>,
    /// What a reader must know about the numbers.
    pub notes: Vec<String>,
}

/// What was measured of one document after one filter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentResult {
    /// Its place in the split, from 0.
    pub document: usize,
    /// The filter.
    pub filter: String,
    /// What would be right: a text, the number of a choice, or a list of them.
    pub target: Value,
    /// What the filter left of a generated answer; null for log-likelihoods.
    pub answer: Value,
    /// What each metric says.
    pub measures: Vec<(String, Measure)>,
}
