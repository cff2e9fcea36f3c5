//! ROUGE of many answers with how far resamples lie apart: rouge-score's `BootstrapAggregator`.

use serde::{Deserialize, Serialize};

use super::{NAME, RougeScore, RougeScores};
use crate::bootstrap::draw;
use crate::interval::quantile;
use crate::random::Random;
use crate::{Error, Result};

/// Mean ROUGE of many answers: the median of the means of resamples, and the percentiles on both sides of it.
///
/// These are the plain percentiles that rouge-score 0.1.2 tells, so that numbers can be set beside published ones. They are too narrow
/// for few answers; [`crate::interval::bootstrap_mean`] is not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RougeAggregate {
    /// The lower percentile of each measure.
    pub low: RougeScores,
    /// The median of each measure.
    pub mid: RougeScores,
    /// The upper percentile of each measure.
    pub high: RougeScores,
}

/// How it is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RougeBootstrap {
    /// The share of resamples between the percentiles.
    pub confidence: f64,
    /// Resamples.
    pub resamples: usize,
    /// The same seed gives the same result.
    pub seed: u64,
}

impl Default for RougeBootstrap {
    fn default() -> Self {
        Self { confidence: 0.95, resamples: 1_000, seed: 0 }
    }
}

/// Resamples at most.
const MOST_RESAMPLES: usize = 100_000;
/// Answers drawn in all resamples together at most, some ten seconds.
const MOST_DRAWS: usize = 200_000_000;
/// Precision, recall and F1 of four measures.
const MEASURES: usize = 12;

impl RougeBootstrap {
    /// Of the scores of all answers.
    ///
    /// # Errors
    /// [`Error::Metric`] without scores, with a confidence that is no share, or when there are too many resamples for so many answers.
    pub fn aggregate(&self, scores: &[RougeScores]) -> Result<RougeAggregate> {
        let mut random = Random::new(self.seed);
        self.with_draws(scores, |counts| draw(&mut random, counts))
    }

    /// With `draw`, which says how often each answer is in the next resample.
    fn with_draws(&self, scores: &[RougeScores], mut draw: impl FnMut(&mut [u32])) -> Result<RougeAggregate> {
        self.check(scores.len())?;
        let rows: Vec<[f64; MEASURES]> = scores.iter().map(flat).collect();
        let mut means: [Vec<f64>; MEASURES] = std::array::from_fn(|_| Vec::with_capacity(self.resamples));
        let mut counts = vec![0; rows.len()];
        for _ in 0..self.resamples {
            draw(&mut counts);
            let mut sums = [0.0; MEASURES];
            for (row, &count) in rows.iter().zip(&counts).filter(|&(_, &count)| count > 0) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * f64::from(count));
            }
            means.iter_mut().zip(sums).for_each(|(means, sum)| means.push(sum / rows.len() as f64));
        }
        means.iter_mut().for_each(|means| means.sort_unstable_by(f64::total_cmp));
        let at = |share| scores_of(std::array::from_fn(|measure| quantile(&means[measure], share)));
        let tail = (1.0 - self.confidence) / 2.0;
        Ok(RougeAggregate { low: at(tail), mid: at(0.5), high: at(1.0 - tail) })
    }

    fn check(&self, answers: usize) -> Result<()> {
        if answers == 0 {
            return Err(Error::metric(NAME, "there are no scores to aggregate"));
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(Error::metric(NAME, "confidence must be a share from 0 to 1"));
        }
        let most = MOST_RESAMPLES.min(MOST_DRAWS / answers);
        if !(1..=most).contains(&self.resamples) {
            return Err(Error::metric(NAME, format!("resamples of {answers} answers must be 1 to {most}")));
        }
        Ok(())
    }
}

fn flat(scores: &RougeScores) -> [f64; MEASURES] {
    let [one, two, l, lsum] = [scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum]
        .map(|score| [score.precision, score.recall, score.f1]);
    [one[0], one[1], one[2], two[0], two[1], two[2], l[0], l[1], l[2], lsum[0], lsum[1], lsum[2]]
}

fn scores_of(flat: [f64; MEASURES]) -> RougeScores {
    let score = |at: usize| RougeScore { precision: flat[at], recall: flat[at + 1], f1: flat[at + 2] };
    RougeScores { rouge1: score(0), rouge2: score(3), rouge_l: score(6), rouge_lsum: score(9) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Rouge;
    use crate::metric::reference::{self, close};

    fn scored(answers: usize) -> Vec<RougeScores> {
        let pairs = reference::pairs();
        pairs[..answers].iter().map(|p| Rouge::default().score(&p.answer, &p.references[0]).unwrap()).collect()
    }

    /// With the answers that numpy drew for `BootstrapAggregator`.
    #[test]
    fn percentiles_agree_with_rouge_score() {
        let expected = reference::section("rouge_aggregate");
        for case in expected.as_array().unwrap() {
            let draws: Vec<Vec<usize>> = serde_json::from_value(case["draws"].clone()).unwrap();
            let bootstrap = RougeBootstrap {
                confidence: case["confidence"].as_f64().unwrap(),
                resamples: draws.len(),
                ..RougeBootstrap::default()
            };
            let mut left = draws.iter();
            let draw = |counts: &mut [u32]| {
                counts.fill(0);
                left.next().unwrap().iter().for_each(|&answer| counts[answer] += 1);
            };
            let found = bootstrap.with_draws(&scored(draws[0].len()), draw).unwrap();
            for (found, name) in [(found.low, "low"), (found.mid, "mid"), (found.high, "high")] {
                let expected = case[name].as_array().unwrap();
                assert_eq!(expected.len(), MEASURES);
                flat(&found).iter().zip(expected).for_each(|(found, expected)| close(*found, expected, 1e-6, name));
            }
        }
    }

    /// Resamples of its own lie where those of numpy do, but for chance.
    #[test]
    fn own_draws_agree_with_rouge_score_but_for_chance() {
        let expected = reference::section("rouge_aggregate_many");
        let bootstrap = RougeBootstrap { resamples: 10_000, ..RougeBootstrap::default() };
        let found = bootstrap.aggregate(&scored(500)).unwrap();
        for (found, name) in [(found.low, "low"), (found.mid, "mid"), (found.high, "high")] {
            let allowed = expected["allowed"].as_array().unwrap();
            for ((found, expected), allowed) in flat(&found).iter().zip(expected[name].as_array().unwrap()).zip(allowed)
            {
                close(*found, expected, allowed.as_f64().unwrap(), name);
            }
        }
        assert_eq!(bootstrap.aggregate(&scored(9)).unwrap(), bootstrap.aggregate(&scored(9)).unwrap());
    }

    #[test]
    fn what_cannot_be_resampled_is_refused() {
        let bootstrap = RougeBootstrap::default();
        assert!(bootstrap.aggregate(&[]).unwrap_err().to_string().contains("no scores"));
        assert!(RougeBootstrap { confidence: 1.5, ..bootstrap }.aggregate(&scored(1)).is_err());
        assert!(RougeBootstrap { resamples: 0, ..bootstrap }.aggregate(&scored(1)).is_err());
        assert!(RougeBootstrap { resamples: 100_001, ..bootstrap }.aggregate(&scored(1)).is_err());
        // All resamples of one answer are that answer.
        let one = scored(1);
        let found = bootstrap.aggregate(&one).unwrap();
        assert_eq!((found.low, found.mid, found.high), (one[0], one[0], one[0]));
    }
}
