//! What came of an evaluation, as JSON.

use std::collections::BTreeMap;

use qd_eval::paired::Test;
use qd_eval::{Direction, Interval, Unit, Verdict};
use qd_evaluation::Report;
use qd_evaluation::report::{
    Calibration, Classes, Compared, Corrected, JudgeReport, OneClass, ScoreReport, TargetReport,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What came of an evaluation so far.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationReport)]
pub struct ReportBody {
    /// Items of the dataset that are looked at.
    pub items: usize,
    /// What was spent, in picodollars.
    pub spent_picodollars: i64,
    /// Tokens in and out that were paid for.
    pub tokens: u64,
    /// Calls that were answered and whose price is not known.
    pub unpriced: usize,
    /// Each target.
    pub targets: Vec<TargetBody>,
    /// Pairs of targets held against each other by every score.
    pub comparisons: Vec<ComparedBody>,
}

/// What came of one target.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationTargetReport)]
pub struct TargetBody {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub label: String,
    /// Answers that are there, failed ones and empty cells included.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Rows of the dataset that have no answer in the column.
    pub empty: usize,
    /// Answers that were taken from elsewhere.
    pub cached: usize,
    /// What was spent on answers, in picodollars.
    pub spent_picodollars: i64,
    /// What was spent on judges and embeddings, in picodollars.
    pub spent_on_scorers_picodollars: i64,
    /// What its calls cost on average in dollars; null when no price is known, and for a column.
    pub cost_per_call_usd: Option<f64>,
    /// Milliseconds that half of the calls take at most.
    pub latency_p50_ms: Option<f64>,
    /// Milliseconds that 95 of 100 take at most.
    pub latency_p95_ms: Option<f64>,
    /// Tokens of a call's prompt on average.
    pub input_tokens: Option<f64>,
    /// Tokens of an answer on average.
    pub output_tokens: Option<f64>,
    /// Scores, in the order of the scorers.
    pub scores: Vec<ScoreBody>,
}

/// One score of a target.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationScore)]
pub struct ScoreBody {
    /// What it is called.
    pub name: String,
    /// The mean over items; of BLEU, chrF and TER the value of the corpus, of classes the measure that was asked for.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Items that have a score.
    pub items: usize,
    /// Items that have none. They are no 0.
    pub missing: usize,
    /// Why, each reason with how often.
    pub why: BTreeMap<String, usize>,
    /// Failed calls that count as 0, or as an answer without words.
    pub failures_as_zero: usize,
    /// `share`, `points`, `milliseconds`, `dollars` or `count`.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Which way is better: `higher` or `lower`.
    #[schema(value_type = String)]
    pub better: Direction,
    /// How the scores of items lie.
    pub distribution: Option<DistributionBody>,
    /// Of BLEU, chrF and TER: what they were made with, in sacrebleu's words.
    pub signature: Option<String>,
    /// Of these: the mean of the scores of single answers, which is another number.
    pub sentence_mean: Option<f64>,
    /// Of classes.
    pub classes: Option<ClassesBody>,
    /// Of a judge.
    pub judge: Option<JudgeBody>,
}

/// How scores lie.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationDistribution)]
pub struct DistributionBody {
    /// Where the first bin begins, and each ends.
    pub edges: Vec<f64>,
    /// How many scores lie in each.
    pub counts: Vec<usize>,
}

/// How well classes were told.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationClasses)]
pub struct ClassesBody {
    /// The share of decisions that are right.
    pub accuracy: f64,
    /// All decisions counted together.
    pub micro: ClassNumbers,
    /// Each class counted the same.
    #[serde(rename = "macro")]
    pub by_class: ClassNumbers,
    /// Each class counted as often as it is there.
    pub weighted: ClassNumbers,
    /// Each class, 50 at most.
    pub classes: Vec<ClassBody>,
    /// Of probabilities: the area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Of probabilities: average precision.
    pub average_precision: Option<f64>,
    /// Of probabilities: the mean squared difference to what is true; less is better.
    pub brier: Option<f64>,
    /// Of probabilities: how far they are from how often they come true, in ten bins; less is better.
    pub calibration_error: Option<f64>,
    /// Items with a probability.
    pub probabilities: usize,
}

/// Precision, recall and F1.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationClassNumbers)]
pub struct ClassNumbers {
    /// The share of what was told that is right.
    pub precision: f64,
    /// The share of what is there that was told.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// One class.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationClass)]
pub struct ClassBody {
    /// Its name.
    pub class: String,
    /// How well it was told.
    #[serde(flatten)]
    pub numbers: ClassNumbers,
    /// How many there are.
    pub support: u64,
    /// What was told where it is right, each class with how often.
    pub told: BTreeMap<String, u64>,
}

/// What stands beside the mean of a judge.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationJudge)]
pub struct JudgeBody {
    /// The judge, as `name@3`.
    pub judge: String,
    /// Whether its word was compared with people's.
    pub calibrated: bool,
    /// How far it agreed with people.
    pub calibration: Option<CalibrationBody>,
    /// The mean that people would have given, by prediction-powered inference.
    pub corrected: Option<CorrectedBody>,
    /// What is to be known of it.
    pub notes: Vec<String>,
}

/// The headline of a judge's card.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationCalibration)]
pub struct CalibrationBody {
    /// The dataset on which both were compared.
    pub dataset: String,
    /// Items on which they were.
    pub items: usize,
    /// How often it says what people say.
    pub accuracy: Option<f64>,
    /// The lower end of its interval.
    pub accuracy_low: Option<f64>,
    /// The upper end.
    pub accuracy_high: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// The lower end of its interval.
    pub kappa_low: Option<f64>,
    /// The upper end.
    pub kappa_high: Option<f64>,
    /// All of the card in a sentence.
    pub sentence: String,
}

/// The mean that people would have given.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationCorrected)]
pub struct CorrectedBody {
    /// The estimate.
    pub value: f64,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// What people's labels alone say.
    pub people: f64,
    /// The lower end of that.
    pub people_low: Option<f64>,
    /// The upper end.
    pub people_high: Option<f64>,
    /// Labels of people.
    pub labels: usize,
    /// How many labels people alone would have needed.
    pub effective_labels: f64,
    /// How much the judge counts, from 0 to 1.
    pub lambda: f64,
    /// Whether there are too few labels for the interval to be relied on.
    pub few_labels: bool,
    /// Whether the labels are of these very answers; otherwise they are a calibration's.
    pub same_answers: bool,
}

/// A target `b` held against a target `a` by one score.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationComparison)]
pub struct ComparedBody {
    /// The score.
    pub scorer: String,
    /// The one target.
    pub a: String,
    /// The one that is held against it.
    pub b: String,
    /// In a sentence.
    pub sentence: String,
    /// `a_better`, `b_better` or `not_shown`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// Items that both have a score for.
    pub items: usize,
    /// Items that only one of them has a score for; they do not count.
    pub left_out: usize,
    /// The value of `a` over the items compared.
    pub value_a: f64,
    /// The value of `b`.
    pub value_b: f64,
    /// `value_b − value_a`.
    pub difference: f64,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// `mcnemar`, `sign_flip`, `student_t` or `paired_bootstrap`.
    pub test: String,
    /// Its p value.
    pub p: f64,
    /// The p value after correction for all pairs of targets (Holm), by which is decided.
    pub adjusted_p: f64,
    /// How many pairs that are.
    pub family: usize,
    /// Items on which `a` is better.
    pub better_a: usize,
    /// Items on which `b` is better.
    pub better_b: usize,
    /// What the score counts.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Which way is better.
    #[schema(value_type = String)]
    pub better: Direction,
}

/// The ends of an interval, if there is one.
fn ends(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    (interval.map(|interval| interval.low), interval.map(|interval| interval.high))
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        Self {
            items: report.items,
            spent_picodollars: report.spent.get(),
            tokens: report.tokens,
            unpriced: report.unpriced,
            targets: report.targets.into_iter().map(TargetBody::from).collect(),
            comparisons: report.comparisons.into_iter().map(ComparedBody::from).collect(),
        }
    }
}

impl From<TargetReport> for TargetBody {
    fn from(report: TargetReport) -> Self {
        Self {
            name: report.name,
            label: report.label,
            answers: report.answers,
            failed: report.failed,
            empty: report.empty,
            cached: report.cached,
            spent_picodollars: report.spent.get(),
            spent_on_scorers_picodollars: report.spent_on_scorers.get(),
            cost_per_call_usd: report.cost_per_call,
            latency_p50_ms: report.latency_p50_ms,
            latency_p95_ms: report.latency_p95_ms,
            input_tokens: report.input_tokens,
            output_tokens: report.output_tokens,
            scores: report.scores.into_iter().map(|(name, score)| ScoreBody::new(name, score)).collect(),
        }
    }
}

impl ScoreBody {
    fn new(name: String, report: ScoreReport) -> Self {
        let (low, high) = ends(report.interval);
        let corpus = report.corpus;
        Self {
            name,
            value: report.value,
            low,
            high,
            items: report.items,
            missing: report.missing,
            why: report.why,
            failures_as_zero: report.failures_as_zero,
            unit: report.unit,
            better: report.direction,
            distribution: report.distribution.map(|bins| DistributionBody { edges: bins.edges, counts: bins.counts }),
            sentence_mean: corpus.as_ref().and_then(|corpus| corpus.sentence_mean),
            signature: corpus.map(|corpus| corpus.signature),
            classes: report.classes.map(ClassesBody::from),
            judge: report.judge.map(JudgeBody::from),
        }
    }
}

impl From<Classes> for ClassesBody {
    fn from(classes: Classes) -> Self {
        let numbers = |[precision, recall, f1]: [f64; 3]| ClassNumbers { precision, recall, f1 };
        Self {
            accuracy: classes.accuracy,
            micro: numbers(classes.micro),
            by_class: numbers(classes.by_class),
            weighted: numbers(classes.weighted),
            classes: classes.classes.into_iter().map(ClassBody::from).collect(),
            roc_auc: classes.roc_auc,
            average_precision: classes.average_precision,
            brier: classes.brier,
            calibration_error: classes.calibration_error,
            probabilities: classes.probabilities,
        }
    }
}

impl From<OneClass> for ClassBody {
    fn from(one: OneClass) -> Self {
        let OneClass { class, precision, recall, f1, support, told } = one;
        let numbers = ClassNumbers { precision, recall, f1 };
        Self { class, numbers, support, told: told.into_iter().collect() }
    }
}

impl From<JudgeReport> for JudgeBody {
    fn from(report: JudgeReport) -> Self {
        Self {
            judge: report.judge,
            calibrated: report.calibration.is_some(),
            calibration: report.calibration.map(CalibrationBody::from),
            corrected: report.corrected.map(CorrectedBody::from),
            notes: report.notes,
        }
    }
}

impl From<Calibration> for CalibrationBody {
    fn from(calibration: Calibration) -> Self {
        let Calibration { dataset, items, accuracy, kappa, sentence, .. } = calibration;
        let (accuracy_low, accuracy_high) = ends(accuracy.and_then(|measured| measured.interval));
        let (kappa_low, kappa_high) = ends(kappa.and_then(|measured| measured.interval));
        let (accuracy, kappa) = (accuracy.map(|measured| measured.value), kappa.map(|measured| measured.value));
        Self { dataset, items, accuracy, accuracy_low, accuracy_high, kappa, kappa_low, kappa_high, sentence }
    }
}

impl From<Corrected> for CorrectedBody {
    fn from(corrected: Corrected) -> Self {
        let (low, high) = ends(corrected.interval);
        let (people_low, people_high) = ends(corrected.people_interval);
        Self {
            value: corrected.value,
            low,
            high,
            people: corrected.people,
            people_low,
            people_high,
            labels: corrected.labels,
            effective_labels: corrected.effective_labels,
            lambda: corrected.lambda,
            few_labels: corrected.few_labels,
            same_answers: corrected.same_answers,
        }
    }
}

impl From<Compared> for ComparedBody {
    fn from(compared: Compared) -> Self {
        let Compared { scorer, a, b, comparison, verdict, sentence, family } = compared;
        let (low, high) = ends(comparison.interval);
        let test = match comparison.test {
            Test::Mcnemar { .. } => "mcnemar",
            Test::SignFlip { .. } => "sign_flip",
            Test::StudentT { .. } => "student_t",
            Test::PairedBootstrap { .. } => "paired_bootstrap",
        };
        Self {
            scorer,
            a,
            b,
            sentence,
            verdict,
            items: comparison.items,
            left_out: comparison.left_out,
            value_a: comparison.mean_a,
            value_b: comparison.mean_b,
            difference: comparison.difference,
            low,
            high,
            test: test.to_owned(),
            p: comparison.test.p(),
            adjusted_p: comparison.adjusted_p,
            family,
            better_a: comparison.better_a,
            better_b: comparison.better_b,
            unit: comparison.unit,
            better: comparison.direction,
        }
    }
}
