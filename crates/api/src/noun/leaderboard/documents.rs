//! Documents of a task with what a model said about them, as JSON.

use std::collections::BTreeMap;

use qd_base::id::TraceId;
use qd_leaderboard::report::{DocumentReport, FilterReport};
use qd_task::metric::Measure;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

/// Documents of one page at most, and where nobody says.
const MOST: usize = 1_000;
const USUAL: usize = 100;

/// Which documents are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DocumentsQuery {
    /// The model, as the leaderboard names it.
    pub(super) model: String,
    /// The task, as the report names it.
    pub(super) task: String,
    /// At most this many, of 1,000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<usize>,
    /// The version of the leaderboard; the latest when absent.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}

/// A page of documents.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardDocumentPage)]
pub struct DocumentPage {
    /// The documents.
    pub data: Vec<DocumentBody>,
    /// How many there are on all pages.
    pub total: usize,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl DocumentPage {
    pub(super) fn of(documents: Vec<DocumentReport>, query: &DocumentsQuery) -> Self {
        let (from, total) = (query.cursor.unwrap_or(0), documents.len());
        let limit = query.limit.unwrap_or(USUAL).clamp(1, MOST);
        let data: Vec<DocumentBody> = documents.into_iter().skip(from).take(limit).map(DocumentBody::from).collect();
        let next = from.saturating_add(data.len());
        Self { next_cursor: (next < total && !data.is_empty()).then(|| next.to_string()), total, data }
    }
}

/// A document with what a model said about it.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardDocument)]
pub struct DocumentBody {
    /// Its place, from 0.
    pub document: usize,
    /// What would be right: a text, the number of a choice, or a list of them.
    pub target: Value,
    /// What each filter left of the answer, with what each metric says.
    pub filters: Vec<FilterBody>,
    /// What was said: log-likelihoods of choices, or texts; null when there is no answer.
    #[schema(value_type = Option<Vec<Object>>)]
    pub answers: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// The trace of its last call.
    #[schema(value_type = Option<String>)]
    pub trace: Option<TraceId>,
}

/// What was measured of a document after a filter.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardFilter)]
pub struct FilterBody {
    /// The filter.
    pub filter: String,
    /// What it left; null for likelihoods.
    pub answer: Value,
    /// Each metric's number; a list where it is no number by itself, as a sum with what it is divided by.
    pub measures: BTreeMap<String, Value>,
}

impl From<DocumentReport> for DocumentBody {
    fn from(report: DocumentReport) -> Self {
        Self {
            document: report.document,
            target: report.target,
            filters: report.filters.into_iter().map(FilterBody::from).collect(),
            answers: report.answers.map(|answers| json!(answers)),
            error: report.error,
            trace: report.trace,
        }
    }
}

impl From<FilterReport> for FilterBody {
    fn from(report: FilterReport) -> Self {
        let value = |measure| match measure {
            Measure::Number(number) => json!(number),
            Measure::Ratio(sum, size) => json!([sum, size]),
            Measure::Classes(gold, chosen) => json!([gold, chosen]),
            Measure::Probabilities(gold, probabilities) => json!([gold, probabilities]),
        };
        let measures = report.measures.into_iter().map(|(name, measure)| (name, value(measure))).collect();
        Self { filter: report.filter, answer: report.answer, measures }
    }
}
