//! How far people are, how far they agree, and which leaning each has, as JSON.

use std::collections::BTreeMap;

use qd_annotation::Report;
use qd_annotation::report::{Agreement, AnnotatorReport, Bias, ModelReport};
use qd_eval::agreement::Weights;
use qd_eval::agreement::alpha::Scale as Measure;
use qd_eval::{Estimated, Undefined};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What came of an annotation so far.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationReport)]
pub struct ReportBody {
    /// How many items there are.
    pub items: usize,
    /// How many labels they need together.
    pub wanted: u64,
    /// How many labels there are; what was skipped is none.
    pub labels: usize,
    /// How often an item was skipped.
    pub skipped: usize,
    /// Items with all the labels they need.
    pub complete: usize,
    /// Items of which labels differ.
    pub disagreements: usize,
    /// Those of them that nobody has decided.
    pub undecided: usize,
    /// Items that somebody decided.
    pub adjudicated: usize,
    /// How many items have a verdict, by what it came about: `adjudicated`, `single`, `unanimous`, `majority`, `dawid_skene` or `median`.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub verdicts: BTreeMap<&'static str, usize>,
    /// How many items have which verdict, in the order of the scale; nothing where any number of a range can be said.
    pub values: Vec<ValueCount>,
    /// How far people agree.
    pub agreement: AgreementBody,
    /// Each annotator, by name.
    pub annotators: Vec<AnnotatorBody>,
    /// What Dawid and Skene's model says of all; null without labels, and where any number of a range can be said.
    pub model: Option<ModelBody>,
}

/// How often a value is true.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationValueCount)]
pub struct ValueCount {
    /// The value.
    pub value: Value,
    /// Of how many items.
    pub items: usize,
}

/// A statistic with its interval, or why there is none.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationEstimate)]
pub struct EstimateBody {
    /// The statistic; null where the labels do not determine it.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Items that it is of.
    pub items: Option<usize>,
    /// Why there is none: `too_few`, `one_value`, …
    #[schema(value_type = Option<String>)]
    pub undefined: Option<Undefined>,
}

/// How far people agree.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationAgreement)]
pub struct AgreementBody {
    /// Items that two or more labelled.
    pub items: usize,
    /// The mean over those of the share of pairs of labels that are the same.
    pub same: EstimateBody,
    /// Krippendorff's alpha.
    pub alpha: EstimateBody,
    /// What a difference means for alpha: `nominal`, `ordinal` or `interval`.
    #[schema(value_type = String)]
    pub measure: Measure,
    /// What a difference means for kappa: `nominal` or `quadratic`.
    #[schema(value_type = String)]
    pub weights: Weights,
    /// Each two of the ten annotators with the most labels who labelled the same items.
    pub pairs: Vec<PairBody>,
}

/// How far two annotators agree.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationPair)]
pub struct PairBody {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
    /// The share of items to which both gave the same.
    pub same: EstimateBody,
    /// Cohen's kappa.
    pub kappa: EstimateBody,
}

/// What is known of an annotator.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationAnnotator)]
pub struct AnnotatorBody {
    /// Who.
    pub name: String,
    /// Their labels.
    pub labels: usize,
    /// How often they skipped an item.
    pub skipped: usize,
    /// How often they said something else later.
    pub changes: u64,
    /// Seconds that half of their labels took at most.
    pub median_seconds: Option<f64>,
    /// The mean over items of the share of others' labels that are the same as theirs.
    pub same_as_others: EstimateBody,
    /// Of two answers, the share of preferences that are for the one that stood first; 0.5 is fair, since the order is random.
    pub first_place: Option<EstimateBody>,
    /// What Dawid and Skene's model says of them.
    pub model: Option<BiasBody>,
}

/// What Dawid and Skene's model says of an annotator.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotatorBias)]
pub struct BiasBody {
    /// How often they are right.
    pub accuracy: f64,
    /// For each class, how much more often they say it than there are such items.
    pub leaning: Vec<f64>,
    /// For each true class, the probability of each class that they say.
    pub confusion: Vec<Vec<f64>>,
}

/// What Dawid and Skene's model says of all.
#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationModel)]
pub struct ModelBody {
    /// The classes, in the order of leanings and matrices.
    pub classes: Vec<Value>,
    /// The share of each.
    pub shares: Vec<f64>,
    /// Whether the fit ended by itself.
    pub converged: bool,
}

impl From<Estimated> for EstimateBody {
    fn from(estimated: Estimated) -> Self {
        let (found, undefined) = match estimated {
            Ok(estimate) => (Some(estimate), None),
            Err(undefined) => (None, Some(undefined)),
        };
        let interval = found.and_then(|estimate| estimate.interval);
        Self {
            value: found.map(|estimate| estimate.value),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            items: found.map(|estimate| estimate.items),
            undefined,
        }
    }
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        Self {
            items: report.items,
            wanted: report.wanted,
            labels: report.labels,
            skipped: report.skipped,
            complete: report.complete,
            disagreements: report.disagreements,
            undecided: report.undecided,
            adjudicated: report.adjudicated,
            verdicts: report.verdicts,
            values: report.values.into_iter().map(|(value, items)| ValueCount { value, items }).collect(),
            agreement: report.agreement.into(),
            annotators: report.annotators.into_iter().map(AnnotatorBody::from).collect(),
            model: report.model.map(ModelBody::from),
        }
    }
}

impl From<Agreement> for AgreementBody {
    fn from(agreement: Agreement) -> Self {
        let pairs = agreement.pairs.into_iter();
        Self {
            items: agreement.items,
            same: agreement.same.into(),
            alpha: agreement.alpha.into(),
            measure: agreement.measure,
            weights: agreement.weights,
            pairs: pairs
                .map(|pair| PairBody { a: pair.a, b: pair.b, same: pair.same.into(), kappa: pair.kappa.into() })
                .collect(),
        }
    }
}

impl From<AnnotatorReport> for AnnotatorBody {
    fn from(report: AnnotatorReport) -> Self {
        Self {
            name: report.name,
            labels: report.labels,
            skipped: report.skipped,
            changes: report.changes,
            median_seconds: report.median_seconds,
            same_as_others: report.same_as_others.into(),
            first_place: report.first_place.map(EstimateBody::from),
            model: report.model.map(BiasBody::from),
        }
    }
}

impl From<Bias> for BiasBody {
    fn from(bias: Bias) -> Self {
        let Bias { accuracy, leaning, confusion } = bias;
        Self { accuracy, leaning, confusion }
    }
}

impl From<ModelReport> for ModelBody {
    fn from(model: ModelReport) -> Self {
        let ModelReport { classes, shares, converged } = model;
        Self { classes, shares, converged }
    }
}
