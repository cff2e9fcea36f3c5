//! What is asked and what is exported, as the document describes it. What is read and written is `qd_annotation`'s own form.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Which rows are labelled, which question is asked of them on which scale, what is shown, and by how many an item is labelled.
#[derive(ToSchema)]
pub struct AnnotationDefinition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows; all when absent.
    pub sample: Option<AnnotationSample>,
    /// What is asked of each.
    pub question: String,
    /// How it is to be answered, at length; 64 KiB at most.
    pub guidelines: Option<String>,
    /// What can be answered.
    pub scale: AnnotationScale,
    /// The columns that annotators see; nothing else of a row is told to them. Of two answers nothing more need be shown.
    pub show: Option<Vec<String>>,
    /// By how many an item is labelled; by one when absent.
    pub overlap: Option<AnnotationOverlap>,
    /// For how many minutes an item that an annotator was given is kept for them, a day at most; 30 when absent.
    pub lease_minutes: Option<u32>,
}

/// Which rows are items.
#[derive(ToSchema)]
pub struct AnnotationSample {
    /// How many, drawn at random, 10,000 at most; all when absent.
    pub limit: Option<usize>,
    /// What the draw, the order of items and the order of two answers follow from; 0 when absent.
    pub seed: Option<u64>,
    /// A column: of the rows of each of its values the sample has its share.
    pub stratify: Option<String>,
}

/// How many labels items get.
#[derive(ToSchema)]
pub struct AnnotationOverlap {
    /// Labels of an item, 20 at most; 1 when absent.
    pub labels: Option<u32>,
    /// Which share of the items get so many, the others one; 1 when absent.
    pub share: Option<f64>,
}

/// What can be answered.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AnnotationScale {
    /// Yes or no.
    Boolean,
    /// Words, 64 at most.
    Categorical {
        /// Which.
        categories: Vec<AnnotationCategory>,
        /// Whether they have an order, from the first to the last; false when absent.
        ordered: Option<bool>,
    },
    /// Whole numbers, 64 at most.
    Numeric {
        /// The lowest.
        lowest: i64,
        /// The highest.
        highest: i64,
        /// What some of the numbers mean.
        levels: Option<Vec<AnnotationLevel>>,
    },
    /// Any number between two.
    Range {
        /// The lowest.
        lowest: f64,
        /// The highest.
        highest: f64,
    },
    /// Which of the answers in two columns is better. Nobody who labels learns which is which.
    Pairwise {
        /// The column of one.
        a: String,
        /// The column of the other.
        b: String,
        /// Whether neither may be better; true when absent.
        ties: Option<bool>,
    },
}

/// A word.
#[derive(Serialize, ToSchema)]
pub struct AnnotationCategory {
    /// The word.
    pub name: String,
    /// What it means.
    pub means: Option<String>,
}

/// What a number means.
#[derive(Serialize, ToSchema)]
pub struct AnnotationLevel {
    /// The number.
    pub value: i64,
    /// What it means.
    pub means: String,
}

/// What is exported, and where to.
#[derive(ToSchema)]
pub struct AnnotationExport {
    /// The column; `label` when absent.
    pub column: Option<String>,
    /// The dataset that labelled rows become a version of; when absent, the dataset that was labelled gets a version with the column.
    pub to: Option<String>,
    /// What stands for a value, where it is not the value itself: `{"a": 1, "b": 2, "tie": 0}`.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    pub values: Option<BTreeMap<String, Value>>,
    /// Whether the columns `…_by` and `…_said` tell by what each verdict came about and what each annotator said; false when absent.
    pub details: Option<bool>,
}
