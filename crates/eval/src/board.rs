//! A leaderboard as a whole: each model's score with an interval, and the places that it may take.
//!
//! Models are asked about the same documents, so documents are drawn with replacement for all models at once, within each part:
//! what is hard for all of them moves all of them.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::bootstrap::{draw, percentiles};
use crate::holm;
use crate::interval::{ALPHA, Interval, Sampling};
use crate::leaderboard::{Measured, Subtask, mean_win_rates, normalised};
use crate::random::Random;
use crate::rank_range::{RankRange, ranges};
use crate::score::Direction;
use crate::{Error, Result};

/// Numbers that are added up for one board at most, about two seconds of work.
const MOST_STEPS: usize = 400_000_000;
const RESAMPLES: usize = 2_000;
const LEAST_RESAMPLES: usize = 200;
const MOST_RESAMPLES: usize = 20_000;
/// Resamples for each pair of models of which signs are counted: what was seen in none of them is then below 5 % for all pairs together.
const RESAMPLES_EACH_PAIR: usize = 40;
/// Models of one board at most.
pub const MOST_MODELS: usize = 100;

/// How the numbers of tasks become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// As on the second Open LLM Leaderboard: each part between chance and the best, then means.
    #[default]
    Normalised,
    /// As HELM has it: the mean win rate, ties counting half.
    WinRate,
}

/// A task of a board: its parts, which are scored each by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How much it counts in a mean of normalised scores.
    pub weight: f64,
    /// Its parts; one where it has no others.
    pub parts: Vec<Part>,
}

/// A part of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which way is better.
    pub direction: Direction,
    /// What guessing gets.
    pub chance: f64,
    /// The best there is.
    pub best: f64,
    /// What each model got.
    pub scores: Vec<Scores>,
}

/// What a model got in a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Scores {
    /// Nothing.
    None,
    /// A score for each document, none for those without; what counts is their mean. All models have the documents in one order.
    Documents(Vec<Option<f64>>),
    /// A number that is no mean over documents, with its standard error where there is one.
    Value(f64, Option<f64>),
}

/// Where a model stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Its score: of 100, or for win rates of 1. None where it lacks a part, or was never held against another.
    pub score: Option<f64>,
    /// Where the score lies, with 95 % confidence: over other documents of the same kind, beside the same models.
    pub interval: Option<Interval>,
    /// The places that it may take: the ranges of all models hold together with 95 %. None without a score.
    pub ranks: Option<RankRange>,
    /// What it got in each entry: the mean of its normalised parts; none for win rates.
    pub entries: Vec<Option<f64>>,
}

/// Where each of `models` stands.
///
/// Two models are told apart by Student's test of the difference of their scores, whose error is that of the resampled differences,
/// corrected for all pairs (Holm). Differences of win rates jump where models are close, so that an error says too little of them: there
/// the share of resamples in which the difference has not the same sign counts, doubled, where it is larger. A difference that `m`
/// documents show is never surer than a test of signs could make it, `2^(1−m)`, and a number without an error shows none.
///
/// # Errors
/// [`Error::Data`] for parts that are not of so many models, for more than [`MOST_MODELS`], and as [`normalised`] and
/// [`mean_win_rates`].
pub fn standings(style: Style, models: usize, entries: &[Entry], sampling: Sampling) -> Result<Vec<Standing>> {
    let parts = || entries.iter().flat_map(|entry| &entry.parts);
    if models > MOST_MODELS || parts().any(|part| part.scores.len() != models) {
        return Err(Error::data("scores", format!("there is not one for each of at most {MOST_MODELS} models")));
    }
    let observed: Vec<Vec<Option<f64>>> = parts().map(|part| part.scores.iter().map(Scores::value).collect()).collect();
    let whole = totals(style, models, entries, &observed)?;
    let drawn = resampled(style, models, entries, sampling)?;
    let ranges = ranks(style, &whole, &drawn, entries);
    let standing = |(model, score): (usize, &Option<f64>)| Standing {
        score: *score,
        interval: score.filter(|_| !is_unsure(style, entries, model)).and_then(|_| {
            let values = drawn.iter().filter_map(|scores| scores[model]).collect();
            percentiles(values, smallest(entries, model, model), drawn.len())
        }),
        ranks: ranges[model],
        entries: entry_scores(style, entries, &observed, model),
    };
    Ok(whole.iter().enumerate().map(standing).collect())
}

impl Scores {
    fn value(&self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Documents(scores) => crate::interval::mean(&scores.iter().flatten().copied().collect::<Vec<_>>()),
            Self::Value(value, _) => Some(*value),
        }
    }

    /// Whether it is a number of which nobody knows how far it may be off.
    fn has_no_error(&self) -> bool {
        matches!(self, Self::Value(_, stderr) if !stderr.is_some_and(|stderr| stderr > 0.0))
    }

    /// In how many documents two models have scores.
    fn shared(&self, other: &Self) -> Option<usize> {
        let (Self::Documents(a), Self::Documents(b)) = (self, other) else { return None };
        Some(a.iter().zip(b).filter(|(a, b)| a.is_some() && b.is_some()).count())
    }

    /// The value when documents are drawn so often; a number that is no mean moves by its own error.
    fn drawn(&self, counts: &[u32], random: &mut Random) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Documents(scores) => {
                let (mut sum, mut n) = (0.0, 0_u32);
                for (score, &count) in scores.iter().zip(counts) {
                    if let Some(score) = score {
                        sum += score * f64::from(count);
                        n += count;
                    }
                }
                (n > 0).then(|| sum / f64::from(n))
            }
            Self::Value(value, stderr) => Some(value + stderr.unwrap_or(0.0) * normal(random)),
        }
    }
}

/// A number of the standard normal distribution.
fn normal(random: &mut Random) -> f64 {
    let share = ((random.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    Normal::standard().inverse_cdf(share)
}

impl Part {
    fn documents(&self) -> usize {
        let count = |scores: &Scores| match scores {
            Scores::Documents(scores) => scores.len(),
            Scores::None | Scores::Value(..) => 0,
        };
        self.scores.iter().map(count).max().unwrap_or(0)
    }
}

/// The fewest documents of a part that both models answered; 0 where nothing has documents.
fn smallest(entries: &[Entry], a: usize, b: usize) -> usize {
    let parts = entries.iter().flat_map(|entry| &entry.parts);
    parts.filter_map(|part| part.scores[a].shared(&part.scores[b])).min().unwrap_or(0)
}

/// Whether a number without an error decides about a score: a model's own, and for win rates those that it is held against too.
fn is_unsure(style: Style, entries: &[Entry], model: usize) -> bool {
    entries.iter().flat_map(|entry| &entry.parts).any(|part| match style {
        Style::Normalised => part.scores[model].has_no_error(),
        Style::WinRate => part.scores.iter().any(Scores::has_no_error),
    })
}

/// The score of each model from the values of all parts, by part and then by model.
fn totals(style: Style, models: usize, entries: &[Entry], values: &[Vec<Option<f64>>]) -> Result<Vec<Option<f64>>> {
    match style {
        Style::WinRate => {
            let directions = entries.iter().flat_map(|entry| &entry.parts).map(|part| part.direction);
            let measured: Vec<Measured> = directions
                .zip(values)
                .map(|(direction, values)| Measured { direction, values: values.clone() })
                .collect();
            mean_win_rates(models, &measured)
        }
        Style::Normalised => {
            let weights: f64 = entries.iter().map(|entry| entry.weight).sum();
            let total = |model| {
                let mut total = Some(0.0);
                let mut place = 0;
                for entry in entries {
                    let score = entry_score(entry, &values[place..place + entry.parts.len()], model)?;
                    total = total.zip(score).map(|(total, score)| total + entry.weight * score);
                    place += entry.parts.len();
                }
                Ok(total.filter(|_| weights > 0.0).map(|total| total / weights))
            };
            (0..models).map(total).collect()
        }
    }
}

fn entry_score(entry: &Entry, values: &[Vec<Option<f64>>], model: usize) -> Result<Option<f64>> {
    let subtask = |(part, values): (&Part, &Vec<Option<f64>>)| {
        values[model].map(|score| Subtask { score, chance: part.chance, best: part.best })
    };
    let subtasks: Option<Vec<Subtask>> = entry.parts.iter().zip(values).map(subtask).collect();
    subtasks.map_or(Ok(None), |subtasks| normalised(&subtasks))
}

fn entry_scores(style: Style, entries: &[Entry], values: &[Vec<Option<f64>>], model: usize) -> Vec<Option<f64>> {
    let mut place = 0;
    let mut scores = Vec::with_capacity(entries.len());
    for entry in entries {
        let values = &values[place..place + entry.parts.len()];
        place += entry.parts.len();
        // What cannot be normalised was refused before.
        scores.push(match style {
            Style::Normalised => entry_score(entry, values, model).unwrap_or_default(),
            Style::WinRate => None,
        });
    }
    scores
}

/// The scores of all models in each resample.
fn resampled(style: Style, models: usize, entries: &[Entry], sampling: Sampling) -> Result<Vec<Vec<Option<f64>>>> {
    let documents: usize = entries.iter().flat_map(|entry| &entry.parts).map(Part::documents).sum();
    let most = MOST_STEPS / (documents * models).max(1);
    let usual = sampling.resamples.min(RESAMPLES);
    let wanted = match style {
        Style::Normalised => usual,
        Style::WinRate => usual.max(RESAMPLES_EACH_PAIR * models * models.saturating_sub(1) / 2).min(MOST_RESAMPLES),
    };
    let resamples = wanted.min(most.max(LEAST_RESAMPLES));
    let mut random = Random::new(sampling.seed);
    let mut counts: Vec<Vec<u32>> =
        entries.iter().flat_map(|entry| &entry.parts).map(|part| vec![0; part.documents()]).collect();
    let mut resample = |_| {
        let mut values = Vec::with_capacity(counts.len());
        for (part, counts) in entries.iter().flat_map(|entry| &entry.parts).zip(&mut counts) {
            draw(&mut random, counts);
            values.push(part.scores.iter().map(|scores| scores.drawn(counts, &mut random)).collect());
        }
        totals(style, models, entries, &values)
    };
    (0..resamples).map(&mut resample).collect()
}

/// The places that each model with a score may take among them.
fn ranks(
    style: Style,
    scores: &[Option<f64>],
    drawn: &[Vec<Option<f64>>],
    entries: &[Entry],
) -> Vec<Option<RankRange>> {
    let ranked: Vec<usize> = (0..scores.len()).filter(|&model| scores[model].is_some()).collect();
    let mut pairs = Vec::new();
    let mut p = Vec::new();
    for (place, &a) in ranked.iter().enumerate() {
        for (other, &b) in ranked.iter().enumerate().skip(place + 1) {
            let difference = scores[a].zip(scores[b]).map_or(0.0, |(a, b)| a - b);
            pairs.push(if difference > 0.0 { (place, other) } else { (other, place) });
            let differences: Vec<f64> = drawn.iter().filter_map(|scores| Some(scores[a]? - scores[b]?)).collect();
            let by_error = student_p(difference, &differences, smallest(entries, a, b));
            let by_sign = match style {
                Style::Normalised => 0.0,
                Style::WinRate => sign_p(&differences),
            };
            p.push(by_error.max(by_sign).max(surest(entries, a, b)));
        }
    }
    let adjusted = holm::adjusted(&p, p.len());
    let better: Vec<(usize, usize)> =
        pairs.into_iter().zip(adjusted).filter(|(_, p)| *p <= ALPHA).map(|(pair, _)| pair).collect();
    let mut found = vec![None; scores.len()];
    for (model, range) in ranked.iter().zip(ranges(ranked.len(), &better)) {
        found[*model] = Some(range);
    }
    found
}

/// Student's test of a difference against the spread of the resampled ones.
fn student_p(difference: f64, differences: &[f64], smallest: usize) -> f64 {
    let (n, freedom) = (differences.len() as f64, smallest.saturating_sub(1).max(1) as f64);
    if difference == 0.0 || differences.len() < 2 {
        return 1.0;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Resampled means lie too close together by √((m − 1)/m).
    let error = (variance * (freedom + 1.0) / freedom).sqrt();
    let t = difference.abs() / error;
    if t.is_infinite() {
        return 0.0;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| 2.0 * (1.0 - student.cdf(t)))
}

/// Twice the share of resampled differences on the rarer side of 0, those of 0 on both: `2·min(P(d ≤ 0), P(d ≥ 0))`. The number itself counts
/// as one of them, so that what few of them did not show is not sure.
///
/// Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), section 15.4, on tests from percentile intervals.
fn sign_p(differences: &[f64]) -> f64 {
    let count = |is: fn(&&f64) -> bool| differences.iter().filter(is).count() as f64;
    let share = |is| (count(is) + 1.0) / (differences.len() as f64 + 1.0);
    (2.0 * share(|d| **d <= 0.0).min(share(|d| **d >= 0.0))).min(1.0)
}

/// The smallest p value that signs could give for a pair: `2^(1−m)` for `m` documents in which the two differ. 1 where a number has no
/// error, since nothing tells how much of the difference is chance.
fn surest(entries: &[Entry], a: usize, b: usize) -> f64 {
    let (mut differing, mut is_unknown) = (0_i32, false);
    for part in entries.iter().flat_map(|entry| &entry.parts) {
        match (&part.scores[a], &part.scores[b]) {
            (Scores::Documents(a), Scores::Documents(b)) => {
                let differ = |(a, b): (&Option<f64>, &Option<f64>)| a.zip(*b).is_some_and(|(a, b)| a != b);
                differing +=
                    i32::try_from(a.iter().zip(b).filter(|&pair| differ(pair)).count()).unwrap_or(i32::MAX / 2);
            }
            (Scores::None, _) | (_, Scores::None) => {}
            (a, b) if a.has_no_error() || b.has_no_error() => return 1.0,
            // Of numbers that are no means it is not known how many documents show the difference.
            _ => is_unknown = true,
        }
    }
    if is_unknown { 0.0 } else { 2.0_f64.powi(1 - differing).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(scores: Vec<Scores>) -> Part {
        Part { direction: Direction::Higher, chance: 0.0, best: 1.0, scores }
    }

    fn right(n: usize, of: usize) -> Scores {
        Scores::Documents((0..of).map(|place| Some(f64::from(u8::from(place < n)))).collect())
    }

    fn board(style: Style, entries: &[Entry]) -> Vec<Standing> {
        standings(style, entries[0].parts[0].scores.len(), entries, Sampling::default()).unwrap()
    }

    /// Entries of weight 1 and 3: (1·50 + 3·20)/4. The second's parts: chance 0.5 and right 0.6 is 20, and so is 0.2 of 0.
    #[test]
    fn parts_are_normalised_and_entries_weighed() {
        let entries = [
            Entry { weight: 1.0, parts: vec![part(vec![right(10, 20)])] },
            Entry {
                weight: 3.0,
                parts: vec![
                    Part { chance: 0.5, ..part(vec![right(12, 20)]) },
                    part(vec![Scores::Value(0.2, Some(0.01))]),
                ],
            },
        ];
        let found = board(Style::Normalised, &entries);
        assert!((found[0].score.unwrap() - 27.5).abs() < 1e-9);
        let inside = found[0].interval.unwrap();
        assert!(inside.low < 27.5 && 27.5 < inside.high && inside.high - inside.low < 60.0, "{inside:?}");
        assert!((found[0].entries[1].unwrap() - 20.0).abs() < 1e-9);
        assert_eq!(found[0].ranks, Some(RankRange { best: 1, worst: 1 }));
    }

    #[test]
    fn only_what_is_shown_parts_the_ranks() {
        let models = vec![right(90, 100), right(88, 100), right(30, 100), Scores::None];
        let found = board(Style::Normalised, &[Entry { weight: 1.0, parts: vec![part(models)] }]);
        let ranks: Vec<_> =
            found.iter().map(|standing| standing.ranks.map(|range| (range.best, range.worst))).collect();
        assert_eq!(ranks, [Some((1, 2)), Some((1, 2)), Some((3, 3)), None]);
        // Three documents show nothing, however clear they are: no test of signs goes below 1/4.
        let few = board(Style::Normalised, &[Entry { weight: 1.0, parts: vec![part(vec![right(3, 3), right(0, 3)])] }]);
        assert_eq!(few[0].ranks, Some(RankRange { best: 1, worst: 2 }));
    }

    /// Three models, two parts: wins of the first (1 + 1/2)/2 and 1.
    #[test]
    fn win_rates_count_ties_as_half() {
        let first = part(vec![right(9, 20), right(9, 20), right(3, 20)]);
        let second = Part { direction: Direction::Lower, ..part(vec![right(1, 20), right(5, 20), right(9, 20)]) };
        let found = board(Style::WinRate, &[Entry { weight: 1.0, parts: vec![first, second] }]);
        let scores: Vec<f64> = found.iter().map(|standing| standing.score.unwrap()).collect();
        assert_eq!(scores, [0.875, 0.625, 0.0]);
    }

    /// Boards of so many models that are alike, of 60 documents in each part, in which any two are told apart; of 200.
    fn parted(style: Style, models: usize, parts: usize) -> usize {
        let is_parted = |seed: &u64| {
            let mut random = Random::new(*seed);
            let mut made = || {
                let hard: Vec<u32> = (0..60).map(|_| (random.bits() % 100) as u32).collect();
                let mut score = |hard: &u32| Some(f64::from(u8::from(random.bits() % 100 < u64::from(*hard))));
                part((0..models).map(|_| Scores::Documents(hard.iter().map(&mut score).collect())).collect())
            };
            let entry = Entry { weight: 1.0, parts: (0..parts).map(|_| made()).collect() };
            let sampling = Sampling { seed: *seed, resamples: 300, ..Sampling::default() };
            let found = standings(style, models, &[entry], sampling).unwrap();
            let whole = RankRange { best: 1, worst: models };
            found.iter().any(|standing| standing.ranks != Some(whole))
        };
        (0..200).filter(is_parted).count()
    }

    /// At 5 % 10 of 200 boards are expected; 20 is 3.2 deviations above.
    #[test]
    fn models_that_are_alike_are_seldom_parted() {
        for (style, models, parts) in [
            (Style::Normalised, 3, 1),
            (Style::WinRate, 2, 1),
            (Style::WinRate, 3, 1),
            (Style::WinRate, 2, 3),
            (Style::WinRate, 3, 3),
        ] {
            let parted = parted(style, models, parts);
            assert!(parted <= 20, "{style:?}, {models} models, {parts} parts: {parted} of 200");
        }
    }

    /// A perplexity of 20.00 and one of 20.01, of which nobody knows how far they are off.
    #[test]
    fn a_number_without_an_error_shows_nothing() {
        let value = |value, stderr| Scores::Value(value, stderr);
        for style in [Style::WinRate, Style::Normalised] {
            let of = |scores: Vec<Scores>| {
                let found = board(
                    style,
                    &[Entry { weight: 1.0, parts: vec![part(scores), part(vec![right(9, 20), right(8, 20)])] }],
                );
                assert!(found[0].score > found[1].score);
                (found[0].ranks.unwrap(), found[0].interval.is_some())
            };
            let both = RankRange { best: 1, worst: 2 };
            assert_eq!(of(vec![value(0.2001, None), value(0.2, None)]), (both, false));
            assert_eq!(of(vec![value(0.9, Some(0.01)), value(0.2, None)]).0, both);
            assert_eq!(of(vec![value(0.9, Some(0.0)), value(0.2, Some(0.01))]).0, both);
            // Wherever it stands.
            let parts = vec![
                part(vec![value(0.5, Some(0.01)), value(0.5, Some(0.01))]),
                part(vec![value(0.9, None), value(0.2, None)]),
            ];
            assert_eq!(board(style, &[Entry { weight: 1.0, parts }])[0].ranks, Some(both));
        }
        let clear = vec![value(0.9, Some(0.01)), value(0.2, Some(0.01))];
        let found = board(
            Style::Normalised,
            &[Entry { weight: 1.0, parts: vec![part(clear), part(vec![right(9, 20), right(8, 20)])] }],
        );
        assert_eq!(found[0].ranks, Some(RankRange { best: 1, worst: 1 }));
    }

    /// Forty documents, of which the other model answered three: those cannot show more than three do.
    #[test]
    fn what_only_one_answered_shows_nothing() {
        let three = Scores::Documents((0..40).map(|place| (place < 3).then_some(0.0)).collect());
        assert_eq!(smallest(&[Entry { weight: 1.0, parts: vec![part(vec![right(30, 40), three])] }], 0, 1), 3);
    }
}
