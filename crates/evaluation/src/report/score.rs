//! One score of one target: its mean or the value of the corpus, how sure that is, what is missing and why, and how scores lie.

use std::collections::BTreeMap;

use qd_eval::corpus::MOST_ADDED;
use qd_eval::{Column, Corpus, Direction, Interval, Unit};
use serde::Serialize;

use super::classes::Classes;
use super::judged::JudgeReport;
use super::{MOST_ADDED_IN_ALL, Results, SEED, sampling};
use crate::scorer::{Look, Reader};

/// Bins of a distribution.
const BINS: usize = 10;
/// By how much a score may be past its bounds since numbers are rounded: BLEU of the same texts is 100.00000000000004.
const ROUNDING: f64 = 1e-6;

/// One score of one target.
#[derive(Debug, Clone, Serialize)]
pub struct ScoreReport {
    /// The mean over items; of a corpus metric the value of the corpus, of classes the measure that was asked for.
    pub value: Option<f64>,
    /// Where it lies, with 95 % confidence.
    pub interval: Option<Interval>,
    /// Items that have a score.
    pub items: usize,
    /// Items that have none.
    pub missing: usize,
    /// Why, each reason with how often: `no_answer`, `no_reference`, `cannot_tell`, `not_done`, …
    pub why: BTreeMap<String, usize>,
    /// Failed calls that count as 0 among the items that have a score.
    pub failures_as_zero: usize,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// How the scores of items lie.
    pub distribution: Option<Bins>,
    /// Of a metric of the whole corpus.
    pub corpus: Option<CorpusReport>,
    /// Of classes.
    pub classes: Option<Classes>,
    /// Of a judge.
    pub judge: Option<JudgeReport>,
}

/// How scores lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bins {
    /// Where the first begins, and each ends.
    pub edges: Vec<f64>,
    /// How many scores lie in each; the last one holds its end too.
    pub counts: Vec<usize>,
}

/// What a metric of a corpus says beside its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CorpusReport {
    /// What it was made with.
    pub signature: String,
    /// The mean of the scores of single answers, which is another number.
    pub sentence_mean: Option<f64>,
}

impl Results<'_> {
    /// The scores of a target, by item.
    pub(super) fn column(&self, target: &str, reader: &Reader) -> Column {
        let (unit, direction) = self.kind(reader);
        let mut column = Column::new(unit, direction).within(self.bounds(reader));
        for &item in self.order {
            if let Some(score) = self.value(target, item, reader) {
                column.push(item, score);
            }
        }
        column
    }

    /// The statistics of a target's answers. Failed calls are answers without words where they count as 0.
    pub(super) fn corpus(&self, target: &str, reader: &Reader) -> Option<Corpus> {
        let Look::Plain(scorer) = &reader.look else { return None };
        let mut corpus = Corpus::new(scorer.corpus()?);
        for &item in self.order {
            if let Some(statistics) = self.statistics(target, item, reader) {
                corpus.push(item, statistics.clone());
            }
        }
        Some(corpus)
    }

    /// What an answer adds to its corpus.
    fn statistics(&self, target: &str, item: u64, reader: &Reader) -> Option<&Vec<f64>> {
        let answer = self.answer(target, item)?;
        let detail = answer.details.get(reader.name()).filter(|detail| !detail.statistics.is_empty())?;
        let failed = answer.error.is_some() && self.definition.count_failures_as_zero;
        let is_scored = answer.scores.get(reader.name()).copied().flatten().is_some();
        (failed || is_scored).then_some(&detail.statistics)
    }

    /// Whether an item counts: it has a score, or is part of the corpus.
    fn is_counted(&self, target: &str, item: u64, reader: &Reader) -> bool {
        match &reader.look {
            Look::Plain(scorer) if scorer.corpus().is_some() => self.statistics(target, item, reader).is_some(),
            _ => self.value(target, item, reader).is_some(),
        }
    }

    pub(super) fn score(&self, target: &str, reader: &Reader) -> ScoreReport {
        let column = self.column(target, reader);
        let corpus = self.corpus(target, reader);
        let classes = self.classes(target, reader);
        let (value, interval) = match (&corpus, &classes) {
            (Some(corpus), _) => {
                (corpus.score(), corpus.interval(SEED, self.share_of(MOST_ADDED_IN_ALL).min(MOST_ADDED)))
            }
            (None, Some(classes)) => (classes.value, classes.interval),
            (None, None) => (column.mean(), column.interval(sampling())),
        };
        let items = corpus.as_ref().map_or(column.len(), Corpus::len);
        let why = self.why(target, reader);
        ScoreReport {
            value,
            interval,
            items,
            missing: self.order.len() - items.min(self.order.len()),
            why,
            failures_as_zero: self.failures(target, reader),
            unit: column.unit,
            direction: column.direction,
            distribution: bins(&column),
            corpus: corpus.and_then(|_| self.corpus_report(target, reader, &column)),
            classes,
            judge: self.judge(target, reader, &column),
        }
    }

    fn corpus_report(&self, target: &str, reader: &Reader, column: &Column) -> Option<CorpusReport> {
        let Look::Plain(scorer) = &reader.look else { return None };
        let mut counts = self.order.iter().filter_map(|&item| {
            self.answer(target, item)?.details.get(reader.name())?.references.filter(|&count| count > 0)
        });
        let first = counts.next();
        let same = first.filter(|first| counts.all(|count| count == *first));
        Some(CorpusReport { signature: scorer.corpus()?.signature(same), sentence_mean: column.mean() })
    }

    /// Failed calls that count as 0, or as an answer without words.
    fn failures(&self, target: &str, reader: &Reader) -> usize {
        let failed = |item: &&u64| self.answer(target, **item).is_some_and(|answer| answer.error.is_some());
        self.order.iter().filter(failed).filter(|&&item| self.is_counted(target, item, reader)).count()
    }

    /// Why items do not count.
    fn why(&self, target: &str, reader: &Reader) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for &item in self.order {
            if self.is_counted(target, item, reader) {
                continue;
            }
            *found.entry(self.reason(target, item, reader)).or_default() += 1;
        }
        found
    }

    /// Why an item has no score, in one word.
    pub(crate) fn reason(&self, target: &str, item: u64, reader: &Reader) -> String {
        let Some(answer) = self.answer(target, item) else { return "not_done".to_owned() };
        let row = if reader.is_paid() { self.told(target, item, reader.name()) } else { Some(answer) };
        let why = row.and_then(|row| row.details.get(reader.name())?.why.clone());
        why.unwrap_or_else(|| {
            let word = match row {
                _ if answer.error.is_some() || !answer.has_text => "no_answer",
                Some(row) if row.error.is_some() => "failed",
                // It was done, and what came of it was not kept.
                Some(_) => "unknown",
                None => "not_done",
            };
            word.to_owned()
        })
    }
}

/// How scores lie: over all that is possible, or else over what was seen.
fn bins(column: &Column) -> Option<Bins> {
    let values = column.values();
    let seen =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let (low, high) =
        column.bounds().filter(|&(low, high)| low - ROUNDING <= seen.0 && seen.1 <= high + ROUNDING).unwrap_or(seen);
    if values.is_empty() || !(low.is_finite() && high.is_finite()) {
        return None;
    }
    let bins = if high > low { BINS } else { 1 };
    let width = (high - low) / bins as f64;
    let mut counts = vec![0; bins];
    for value in values {
        let place = if width > 0.0 { ((value - low) / width) as usize } else { 0 };
        counts[place.min(bins - 1)] += 1;
    }
    Some(Bins { edges: (0..=bins).map(|edge| low + width * edge as f64).collect(), counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_lie_in_bins() {
        let column = |unit, values: &[f64]| {
            let mut column = Column::new(unit, Direction::Higher);
            values.iter().enumerate().for_each(|(item, &value)| column.push(item as u64, value));
            column
        };
        let found = bins(&column(Unit::Share, &[0.0, 0.05, 0.1, 0.95, 1.0])).unwrap();
        assert_eq!(found.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((found.edges[0], found.edges[10]), (0.0, 1.0));
        assert_eq!(bins(&column(Unit::Points, &[100.000_000_000_000_04, 95.0])).unwrap().edges[0], 0.0);
        let found = bins(&column(Unit::Milliseconds, &[10.0, 20.0])).unwrap();
        assert_eq!((found.edges[0], found.counts[0], found.counts[9]), (10.0, 1, 1));
        assert_eq!(bins(&column(Unit::Count, &[3.0, 3.0])).unwrap().counts, [2]);
        assert_eq!(bins(&column(Unit::Count, &[])), None);
        let found = bins(&column(Unit::Count, &[3.0, 3.0]).within(Some((1.0, 5.0)))).unwrap();
        assert_eq!((found.edges[0], found.edges[10], found.counts[5]), (1.0, 5.0, 2));
    }
}
