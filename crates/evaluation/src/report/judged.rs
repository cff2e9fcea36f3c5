//! What a judge's mean is worth: how far the judge agreed with people, and the mean that people would have given.

use std::collections::{BTreeSet, HashSet};

use qd_eval::ppi::{self, Sample};
use qd_eval::{Column, Interval, Undefined};
use qd_judging::calibrations::Comparison;
use qd_judging::card::{Pair, Stat};
use serde::Serialize;

use super::Results;
use crate::definition::{ColumnTarget, Target};
use crate::scorer::Reader;

/// How far a judge agreed with people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The dataset on which both were compared, as `name@3`.
    pub dataset: String,
    /// Items on which they were.
    pub items: usize,
    /// How often it says what people say, of what it told.
    pub accuracy: Option<Measured>,
    /// Cohen's kappa.
    pub kappa: Option<Measured>,
    /// All of its card in a sentence.
    pub sentence: String,
    /// The columns of the dataset that the judge saw.
    #[serde(skip)]
    columns: BTreeSet<String>,
    /// What people and the judge said, item by item.
    #[serde(skip)]
    pairs: Vec<Pair>,
}

impl Calibration {
    /// The headline of a card, with what both said.
    pub(crate) fn of(comparison: Comparison) -> Self {
        let Comparison { card, columns, pairs } = comparison;
        let measured = |stat: &Stat| {
            let interval = stat.low.zip(stat.high).map(|(low, high)| Interval { low, high });
            stat.value.map(|value| Measured { value, interval })
        };
        Self {
            accuracy: measured(&card.accuracy.told),
            kappa: measured(&card.kappa),
            dataset: card.dataset,
            items: card.items,
            sentence: card.sentence,
            columns,
            pairs,
        }
    }
}

impl Calibration {
    fn labelled(&self) -> Vec<(f64, f64)> {
        self.pairs.iter().map(|pair| (pair.people, pair.judge)).collect()
    }

    /// Its labels beside what the judge says of other answers.
    fn beside(&self, column: &Column) -> Sample {
        Sample { labelled: self.labelled(), unlabelled: column.values() }
    }

    /// Its labels, and what the judge says of the answers of `column` that are not among them.
    fn among(&self, column: &Column) -> Sample {
        let labelled: HashSet<u64> = self.pairs.iter().map(|pair| pair.item).collect();
        let others = column.items().filter(|item| !labelled.contains(item));
        Sample { labelled: self.labelled(), unlabelled: others.filter_map(|item| column.get(item)).collect() }
    }
}

/// A number of a card with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Where it lies, with 95 % confidence.
    pub interval: Option<Interval>,
}

/// What stands beside the mean of a judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeReport {
    /// The judge, as `name@3`.
    pub judge: String,
    /// How far it agreed with people; a judge without is uncalibrated.
    pub calibration: Option<Calibration>,
    /// The mean that people would have given, as far as their labels and the judge's word say.
    pub corrected: Option<Corrected>,
    /// What is to be known of it, in sentences.
    pub notes: Vec<String>,
}

/// The mean that people would have given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Corrected {
    /// The estimate.
    pub value: f64,
    /// Where it lies, with 95 % confidence.
    pub interval: Option<Interval>,
    /// What people's labels alone say, of the answers that they are of.
    pub people: f64,
    /// Where that lies.
    pub people_interval: Option<Interval>,
    /// Labels of people.
    pub labels: usize,
    /// How many labels of these answers people alone would have needed.
    pub effective_labels: f64,
    /// How much the judge counts, from 0 to 1.
    pub lambda: f64,
    /// Whether there are too few labels for the interval to be relied on.
    pub few_labels: bool,
    /// Whether the labels are of these very answers; otherwise of a calibration's.
    pub same_answers: bool,
}

impl Results<'_> {
    /// What stands beside the mean of a judge; none of other scorers.
    pub(super) fn judge(&self, target: &str, reader: &Reader, column: &Column) -> Option<JudgeReport> {
        let facts = self.judges.get(reader.name())?;
        let calibration = self.calibrations.get(&facts.version);
        let bounds = (facts.lowest, facts.highest);
        let own = self.labelled(target, reader);
        let mut notes = Vec::new();
        let corrected = match calibration {
            _ if !own.labelled.is_empty() => {
                notes.push("The correction holds when the labelled items are a random sample of all.".to_owned());
                corrected(ppi::mean(&own, Some(bounds)), true)
            }
            Some(calibration) if self.is_of(target, calibration) => {
                notes.push(format!(
                    "The correction takes the labels of the calibration on {}, which are of these very answers. It holds when the labelled items are a random sample of all.",
                    calibration.dataset
                ));
                corrected(ppi::mean(&calibration.among(column), Some(bounds)), true)
            }
            Some(calibration) => {
                notes.push(self.assumption(calibration));
                corrected(ppi::transferred(&calibration.beside(column), bounds), false)
            }
            None => None,
        };
        if corrected.is_none() {
            notes.clear();
        }
        if calibration.is_none() {
            let judge = &facts.reference;
            notes.push(format!("{judge} is uncalibrated: nobody has compared its word with people's."));
        }
        if corrected.as_ref().is_some_and(|corrected| corrected.few_labels) {
            notes.push(format!("Under {} labels the interval may be too narrow.", ppi::FEW_LABELS));
        }
        Some(JudgeReport { judge: facts.reference.clone(), calibration: calibration.cloned(), corrected, notes })
    }

    /// Whether the answers of a target are those that the judge saw in a calibration.
    fn is_of(&self, target: &str, calibration: &Calibration) -> bool {
        let targets = self.definition.all_targets();
        let Some(Target::Column(ColumnTarget { column })) = targets.get(target) else { return false };
        calibration.dataset == self.definition.dataset && calibration.columns.contains(column)
    }

    fn assumption(&self, calibration: &Calibration) -> String {
        let dataset = &calibration.dataset;
        let which = match *dataset == self.definition.dataset {
            true => "which are of other answers",
            false => "which is another dataset",
        };
        format!(
            "The correction takes the labels of the calibration on {dataset}, {which}, and assumes that the judge is too high or too low here by as much, on average, as it was there."
        )
    }

    /// People's labels of the answers of a target, with the judge's word, and the judge's word on the others.
    fn labelled(&self, target: &str, reader: &Reader) -> Sample {
        let mut sample = Sample::default();
        for &item in self.order {
            let Some(judge) = self.value(target, item, reader) else { continue };
            let human = self.answer(target, item).and_then(|answer| answer.details.get(reader.name())?.human);
            match human {
                Some(human) => sample.labelled.push((human, judge)),
                None => sample.unlabelled.push(judge),
            }
        }
        sample
    }
}

fn corrected(found: qd_eval::Result<Result<ppi::Corrected, Undefined>>, same_answers: bool) -> Option<Corrected> {
    let found = found.ok()?.ok()?;
    Some(Corrected {
        value: found.estimate.value,
        interval: found.estimate.interval,
        people: found.humans.value,
        people_interval: found.humans.interval,
        labels: found.labels,
        effective_labels: found.effective_labels,
        lambda: found.lambda,
        few_labels: found.few_labels,
        same_answers,
    })
}
