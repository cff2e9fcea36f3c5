//! Scores of many answers that are no means of their scores: BLEU, chrF and TER of a corpus.
//!
//! What is added up are the statistics of each answer. So an interval comes from drawing items with replacement and adding up
//! anew, as sacrebleu does with `--confidence`, and a comparison from drawing the same items for both, as with `--paired-bs`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::comparison::Comparison;
use crate::interval::{Interval, quantile};
use crate::metric::bleu::BleuStatistics;
use crate::metric::chrf::ChrfStatistics;
use crate::metric::ter::TerStatistics;
use crate::metric::{Bleu, Chrf, Ter};
use crate::paired::Test;
use crate::random::Random;
use crate::score::{Direction, Unit};

/// Resamples, as many as sacrebleu draws.
const RESAMPLES: usize = 1_000;
/// Numbers that are added up for one interval when it is alone: about a second of work.
pub const MOST_ADDED: usize = 400_000_000;
/// No fewer resamples than these, however many numbers they add up.
const LEAST_RESAMPLES: usize = 200;

/// A metric whose statistics can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "metric", rename_all = "snake_case")]
pub enum CorpusMetric {
    /// BLEU.
    Bleu(Bleu),
    /// chrF and chrF++.
    Chrf(Chrf),
    /// TER.
    Ter(Ter),
}

impl CorpusMetric {
    /// What of one answer makes the score, in one row of numbers.
    ///
    /// # Errors
    /// [`crate::Error::Metric`] without references, or when a text or an option is past its limit.
    pub fn statistics<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<Vec<f64>> {
        let counts = |lists: &[&[u64]]| lists.iter().flat_map(|list| list.iter().map(|&count| count as f64)).collect();
        Ok(match self {
            Self::Bleu(bleu) => {
                let found = bleu.statistics(answer, references)?;
                counts(&[&[found.answer_words, found.reference_words], &found.matches, &found.totals])
            }
            Self::Chrf(chrf) => {
                let found = chrf.statistics(answer, references)?;
                counts(&[&found.answer, &found.reference, &found.matches])
            }
            Self::Ter(ter) => {
                let found = ter.statistics(answer, references)?;
                vec![found.edits, found.reference_words]
            }
        })
    }

    /// The score of one answer. BLEU counts the orders that it is long enough for: others would make most answers 0.
    pub fn sentence(&self, statistics: &[f64]) -> f64 {
        match self {
            Self::Bleu(bleu) => Self::Bleu(Bleu { effective_order: true, ..*bleu }).score(statistics),
            _ => self.score(statistics),
        }
    }

    /// The score of what statistics add up to; 0 of a row that is none of this metric's.
    pub fn score(&self, statistics: &[f64]) -> f64 {
        let counts = |part: &[f64]| part.iter().map(|&count| count as u64).collect::<Vec<u64>>();
        match self {
            Self::Bleu(bleu) => {
                let (lengths, grams) = statistics.split_at(2.min(statistics.len()));
                let (matches, totals) = grams.split_at(grams.len() / 2);
                let at = |place: usize| lengths.get(place).map_or(0, |&count| count as u64);
                let added = BleuStatistics {
                    answer_words: at(0),
                    reference_words: at(1),
                    matches: counts(matches),
                    totals: counts(totals),
                };
                bleu.score(&added).map_or(0.0, |score| score.score)
            }
            Self::Chrf(chrf) => {
                let third = statistics.len() / 3;
                let part = |place: usize| counts(&statistics[place * third..(place + 1) * third]);
                let added = ChrfStatistics { answer: part(0), reference: part(1), matches: part(2) };
                chrf.score(&added).unwrap_or_default()
            }
            Self::Ter(ter) => match statistics {
                &[edits, reference_words] => ter.score(TerStatistics { edits, reference_words }),
                _ => 0.0,
            },
        }
    }

    /// What the score was made with, in sacrebleu's words. `None` stands for a number of references that differs.
    pub fn signature(&self, references: Option<usize>) -> String {
        match self {
            Self::Bleu(bleu) => bleu.signature(references),
            Self::Chrf(chrf) => chrf.signature(references),
            Self::Ter(ter) => ter.signature(references),
        }
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        match self {
            Self::Ter(_) => Direction::Lower,
            Self::Bleu(_) | Self::Chrf(_) => Direction::Higher,
        }
    }

    /// What it counts. TER may be over 100.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Ter(_) => Unit::Count,
            Self::Bleu(_) | Self::Chrf(_) => Unit::Points,
        }
    }
}

/// The statistics of many answers, by item.
#[derive(Debug, Clone)]
pub struct Corpus {
    metric: CorpusMetric,
    items: BTreeMap<u64, Vec<f64>>,
}

impl Corpus {
    /// One without answers.
    pub fn new(metric: CorpusMetric) -> Self {
        Self { metric, items: BTreeMap::new() }
    }

    /// Adds the statistics of the answer to an item.
    pub fn push(&mut self, item: u64, statistics: Vec<f64>) {
        self.items.insert(item, statistics);
    }

    /// Answers.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The score of all of them; none of none.
    pub fn score(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.metric.score(&sum(self.items.values())))
    }

    /// Where the score of a corpus of such items lies, with 95 % confidence: the percentiles of resamples, of which there are a thousand, or as
    /// many as add up no more than `most` numbers, but for the least that say something. None for fewer than two.
    pub fn interval(&self, seed: u64, most: usize) -> Option<Interval> {
        let rows: Vec<&Vec<f64>> = self.items.values().collect();
        if rows.len() < 2 {
            return None;
        }
        let scores =
            draws(&rows, seed, most).map(|drawn| self.metric.score(&sum(drawn.iter().map(|&place| rows[place]))));
        Some(percentiles(scores.collect()))
    }

    /// Holds `other` against this one over the items that both answered; none when there are none. `most` bounds resamples as in
    /// [`Corpus::interval`].
    ///
    /// The difference of resamples, in which the same items are drawn for both, has its percentiles for an interval. Shifted to the
    /// mean 0 they are what chance would give: `p = (b + 1)/(m + 1)` with `b` of `m` as far from 0 as the difference that was seen.
    ///
    /// Koehn, "Statistical Significance Tests for Machine Translation Evaluation" (EMNLP 2004); the shift is that of Riezler and
    /// Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT" (2005), as sacrebleu has it.
    pub fn compare(&self, other: &Self, seed: u64, most: usize) -> Option<Comparison> {
        let pairs: Vec<(&Vec<f64>, &Vec<f64>)> =
            self.items.iter().filter_map(|(item, first)| Some((first, other.items.get(item)?))).collect();
        if pairs.is_empty() {
            return None;
        }
        let (first, second): (Vec<&Vec<f64>>, Vec<&Vec<f64>>) = pairs.iter().copied().unzip();
        let score = |rows: &[&Vec<f64>]| self.metric.score(&sum(rows.iter().copied()));
        let (mean_a, mean_b) = (score(&first), score(&second));
        let of = |rows: &[&Vec<f64>], drawn: &[usize]| self.metric.score(&sum(drawn.iter().map(|&place| rows[place])));
        let differences: Vec<f64> =
            draws(&first, seed, most).map(|drawn| of(&second, &drawn) - of(&first, &drawn)).collect();
        let difference = mean_b - mean_a;
        let test = Test::PairedBootstrap { p: shifted_p(&differences, difference) };
        let (unit, direction) = (self.metric.unit(), self.metric.direction());
        let better = |sign: f64| {
            let gain = |(a, b): &&(&Vec<f64>, &Vec<f64>)| self.metric.sentence(b) - self.metric.sentence(a);
            pairs.iter().filter(|pair| direction.oriented(gain(pair)) * sign > 0.0).count()
        };
        Some(Comparison {
            items: pairs.len(),
            left_out: self.len() + other.len() - 2 * pairs.len(),
            mean_a,
            mean_b,
            difference,
            interval: (pairs.len() > 1).then(|| percentiles(differences)),
            adjusted_p: test.p(),
            test,
            better_a: better(-1.0),
            better_b: better(1.0),
            unit,
            direction,
        })
    }
}

fn sum<'a>(rows: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut total: Vec<f64> = Vec::new();
    for row in rows {
        total.resize(total.len().max(row.len()), 0.0);
        total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    total
}

/// Places of as many items as there are, drawn with replacement, again and again.
fn draws<'a>(rows: &[&'a Vec<f64>], seed: u64, most: usize) -> impl Iterator<Item = Vec<usize>> + use<'a> {
    let n = rows.len();
    let numbers = n * rows.first().map_or(1, |row| row.len().max(1));
    let resamples = RESAMPLES.min((most / numbers.max(1)).max(LEAST_RESAMPLES));
    let mut random = Random::new(seed);
    (0..resamples).map(move |_| (0..n).map(|_| random.below(n)).collect())
}

/// Where any number lies that is made of items, with 95 % confidence: the percentiles of what it is of `resamples` draws of as many
/// items as there are. None for fewer than two items.
pub fn resampled(n: usize, resamples: usize, seed: u64, of: impl Fn(&[usize]) -> f64) -> Option<Interval> {
    if n < 2 {
        return None;
    }
    let mut random = Random::new(seed);
    let mut draw = |_| (0..n).map(|_| random.below(n)).collect::<Vec<usize>>();
    Some(percentiles((0..resamples.max(1)).map(|one| of(&draw(one))).collect()))
}

fn percentiles(mut drawn: Vec<f64>) -> Interval {
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = crate::bootstrap::TAIL;
    Interval { low: quantile(&drawn, tail), high: quantile(&drawn, 1.0 - tail) }
}

fn shifted_p(differences: &[f64], difference: f64) -> f64 {
    let mean = differences.iter().sum::<f64>() / differences.len().max(1) as f64;
    // Two that are the same differ by nothing in each resample, which no rounding should turn into a difference.
    let reaches = |drawn: &&f64| (**drawn - mean).abs() >= difference.abs() - 1e-9;
    (differences.iter().filter(reaches).count() + 1) as f64 / (differences.len() + 1) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::metric::bleu::Smoothing;
    use crate::metric::reference;

    /// The corpus of what the script scored, by a metric.
    fn corpora(metric: CorpusMetric, longest: usize) -> Vec<(Corpus, Option<usize>)> {
        let pairs = reference::pairs();
        let build = |corpus: reference::Corpus| {
            let mut found = Corpus::new(metric);
            for (item, pair) in corpus.pairs.iter().enumerate() {
                let references = &pair.references[..corpus.references(pair)];
                found.push(item as u64, metric.statistics(&pair.answer, references).unwrap());
            }
            (found, corpus.signed)
        };
        reference::corpora(&pairs, longest).into_iter().map(build).collect()
    }

    #[track_caller]
    fn agrees(metric: CorpusMetric, section: &Value, longest: usize) {
        for ((corpus, signed), expected) in corpora(metric, longest).into_iter().zip(section.as_array().unwrap()) {
            reference::close(corpus.score().unwrap(), &expected["score"], 1e-6, "corpus");
            assert_eq!(metric.signature(signed), expected["signature"].as_str().unwrap());
        }
    }

    #[test]
    fn corpora_agree_with_sacrebleu() {
        let add_k = Bleu { smooth: Smoothing::ADD_K, ..Bleu::default() };
        agrees(CorpusMetric::Bleu(add_k), &reference::section("bleu_corpus")[5], 4_000);
        agrees(CorpusMetric::Chrf(Chrf::default()), &reference::section("chrf_corpus")[0], 4_000);
        agrees(CorpusMetric::Ter(Ter::default()), &reference::section("ter_corpus")[0], 100);
    }

    fn sums(metric: CorpusMetric, wrong: impl Fn(u64) -> bool) -> Corpus {
        let mut corpus = Corpus::new(metric);
        for item in 0..60 {
            let right = format!("the answer to question {item} is the number {}", item * 7);
            let said = if wrong(item) { "I do not know it at all, sorry".to_owned() } else { right.clone() };
            corpus.push(item, metric.statistics(&said, &[right]).unwrap());
        }
        corpus
    }

    #[test]
    fn a_difference_of_corpora_is_told_and_none_is_not() {
        for metric in [
            CorpusMetric::Bleu(Bleu::default()),
            CorpusMetric::Chrf(Chrf::default()),
            CorpusMetric::Ter(Ter::default()),
        ] {
            let (all, half) = (sums(metric, |_| false), sums(metric, |item| item % 2 == 0));
            let same = all.compare(&all, 0, MOST_ADDED).unwrap();
            assert_eq!((same.difference, same.test), (0.0, Test::PairedBootstrap { p: 1.0 }));
            assert_eq!(same.verdict(), crate::Verdict::NotShown);
            let found = all.compare(&half, 0, MOST_ADDED).unwrap();
            assert_eq!((found.verdict(), found.better_a, found.better_b), (crate::Verdict::ABetter, 30, 0));
            let interval = half.interval(0, MOST_ADDED).unwrap();
            assert!(interval.contains(half.score().unwrap()) && interval.low < interval.high, "{interval:?}");
            assert!(found.interval.unwrap().contains(found.difference));
        }
        let one = sums(CorpusMetric::Ter(Ter::default()), |_| true);
        assert!(Corpus::new(one.metric).compare(&one, 0, MOST_ADDED).is_none());
        assert_eq!(Corpus::new(one.metric).score(), None);
    }

    /// The spread of a corpus score of resamples is the one of theory where that is known: TER of words that are all replaced or
    /// not is a share. 60 answers of equal length, half of them wrong: ±1.96·√(¼/60) = ±12.65 points.
    #[test]
    fn the_interval_is_as_wide_as_theory_says() {
        let mut corpus = Corpus::new(CorpusMetric::Ter(Ter::default()));
        (0..60).for_each(|item| corpus.push(item, vec![f64::from(u8::from(item % 2 == 0)), 1.0]));
        let interval = corpus.interval(7, MOST_ADDED).unwrap();
        assert!((interval.low - 37.35).abs() < 2.5 && (interval.high - 62.65).abs() < 2.5, "{interval:?}");
    }
}
