//! Who is stronger, by who was preferred to whom? Bradley and Terry's model, with ties.

use serde::{Deserialize, Serialize};

use crate::bias::Preference;
use crate::bootstrap::normal_quantile;
use crate::interval::Interval;
use crate::rank_range::{self, RankRange};
use crate::symmetric::Symmetric;
use crate::{Error, Result};

mod pairs;
use pairs::Asked;

/// Models and matches of one fit at most.
pub const MOST_MODELS: usize = 300;
/// Matches at most.
pub const MOST_MATCHES: usize = 5_000_000;
/// With more models ranks come from Wald's test: each pair's own fit would take too long.
pub const MOST_REFITTED: usize = 32;
/// How strongly strengths are drawn to their mean: as if each came from a normal distribution with a standard deviation of 10, which is
/// 1,737 Elo. It moves nothing where there are some matches, and keeps finite what never lost.
pub const RIDGE: f64 = 0.01;

const MOST_STEPS: usize = 200;
/// A step that moves no strength by more ends the fit.
const CONVERGED: f64 = 1e-10;

/// Two models, by place, and which of them was preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The first model.
    pub first: usize,
    /// The second model.
    pub second: usize,
    /// Who was better.
    pub preferred: Preference,
}

/// One model's strength.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// `θ`, on the scale of log-odds; the mean over models is 0.
    pub theta: f64,
    /// Where it lies, with 95 %, held against the mean of all models. For itself: that of a pair of models is another.
    pub interval: Interval,
    /// Matches of this model.
    pub matches: usize,
    /// Models of one group are held against each other by the matches themselves. Those of different ones are not: between them
    /// there are no matches, or all were won by one side, and then only the ridge keeps them from being endlessly far apart.
    pub group: usize,
    /// Which places it may take in the order of all, with 95 % for all models together.
    pub rank: RankRange,
}

impl Strength {
    /// The strength as Elo's rating: 400 points are odds of ten to one, and the mean is 1,000.
    pub fn elo(&self) -> f64 {
        elo(self.theta)
    }

    /// The interval on the same scale.
    pub fn elo_interval(&self) -> Interval {
        Interval { low: elo(self.interval.low), high: elo(self.interval.high) }
    }
}

fn elo(theta: f64) -> f64 {
    1_000.0 + theta * 400.0 / std::f64::consts::LN_10
}

/// All strengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strengths {
    /// By place.
    pub models: Vec<Strength>,
    /// Davidson's `ν`: two equal models tie with `ν/(2 + ν)`. None when nothing was tied.
    pub tie: Option<f64>,
    /// The covariance of strengths, by row.
    covariance: Vec<Vec<f64>>,
}

impl Strengths {
    /// How likely the first model is preferred, how likely the second; the rest is a tie.
    pub fn chances(&self, first: usize, second: usize) -> (f64, f64) {
        let apart = self.models[first].theta - self.models[second].theta;
        // Both divided by √(π₁π₂), so that nothing overflows.
        let (one, other) = ((apart / 2.0).exp(), (-apart / 2.0).exp());
        let all = one + other + self.tie.unwrap_or(0.0);
        (one / all, other / all)
    }

    /// How much stronger the first model is than the second, on the scale of log-odds, with its interval for this pair alone.
    pub fn apart(&self, first: usize, second: usize) -> (f64, Interval) {
        let value = self.models[first].theta - self.models[second].theta;
        let half = normal_quantile() * apart_error(&self.covariance, first, second);
        (value, Interval { low: value - half, high: value + half })
    }
}

/// Strengths `θ` with `P(i beats j) = πᵢ/(πᵢ + πⱼ + ν√(πᵢπⱼ))`, `P(tie) = ν√(πᵢπⱼ)/(…)` and `π = e^θ`, by maximum likelihood less
/// `ridge/2·(Σθ² + ln²ν)`, with Newton's method: in `θ` and `ln ν` it is a concave multinomial logit. Without ties it is Bradley
/// and Terry's own model.
///
/// Intervals are those of the inverse of the Hessian with the ridge, held against the mean. They say what chance in the matches does, not
/// whether strengths are all there is: where A beats B, B beats C and C beats A, they do not show it. The more lopsided a record, the
/// less is known of how lopsided, so that 50 wins of 50 have a wider interval than 45; ranks do not come from intervals for that.
///
/// Ranks come from tests of all pairs, corrected after Holm. Of up to [`MOST_REFITTED`] models each pair is tested by the ratio of
/// likelihoods: the fit is made again with the two alike, and, since matches are whole, with half a match of the stronger of the two
/// given to the other. Of two models alone this comes to the exact binomial test, within 15 % of its p from five matches on.
/// Of more models it is Wald's test of the difference, and of pairs that met and of which one won always the exact binomial test
/// where that says more: Wald's says nothing there.
///
/// Hauck, Donner, "Wald's Test as Applied to Hypotheses in Logit Analysis", JASA 72 (1977), on why it says less of 50 wins of 50
/// than of 45; Wilks, "The Large-Sample Distribution of the Likelihood Ratio", Annals of Mathematical Statistics 9 (1938).
///
/// Bradley, Terry, "Rank Analysis of Incomplete Block Designs", Biometrika 39 (1952); Davidson, "On Extending the Bradley-Terry
/// Model to Accommodate Ties in Paired Comparison Experiments", JASA 65 (1970); on when a fit exists without a ridge Ford,
/// "Solution of a Ranking Problem from Binary Comparisons", American Mathematical Monthly 64 (1957).
///
/// # Errors
/// [`Error::Data`] for a model that is not there or held against itself, no model or over 300, over five million matches,
/// or a ridge that is not above 0.
pub fn fit(models: usize, matches: &[Match], ridge: f64) -> Result<Strengths> {
    let table = Table::new(models, matches, ridge)?;
    let found = table.newton(&Point { theta: vec![0.0; models], tie: 0.0 }, None);
    let covariance = table.covariance(&found);
    let ranks = rank_range::ranges(models, &table.beaten(&found, &covariance));
    let Point { theta, tie } = found;
    let groups = table.groups();
    let strength = |place: usize| {
        let half = normal_quantile() * covariance[place][place].sqrt();
        Strength {
            theta: theta[place],
            interval: Interval { low: theta[place] - half, high: theta[place] + half },
            matches: table.matches[place],
            group: groups[place],
            rank: ranks[place],
        }
    };
    let models = (0..models).map(strength).collect();
    Ok(Strengths { models, tie: table.any_tie.then(|| tie.exp()), covariance })
}

fn apart_error(covariance: &[Vec<f64>], first: usize, second: usize) -> f64 {
    let variance = covariance[first][first] + covariance[second][second] - 2.0 * covariance[first][second];
    variance.max(0.0).sqrt()
}

/// What matches come to: of each pair that met how often each won and how often neither.
struct Table {
    models: usize,
    ridge: f64,
    pairs: Vec<(usize, usize, Outcomes)>,
    matches: Vec<usize>,
    any_tie: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    first: f64,
    second: f64,
    tied: f64,
}

/// Strengths, and `ln ν`, which is 0 when nothing was tied.
#[derive(Debug, Clone)]
struct Point {
    theta: Vec<f64>,
    tie: f64,
}

impl Table {
    fn new(models: usize, matches: &[Match], ridge: f64) -> Result<Self> {
        if !(1..=MOST_MODELS).contains(&models) || matches.len() > MOST_MATCHES {
            return Err(Error::data("matches", format!("{MOST_MATCHES} of 1 to {MOST_MODELS} models are the most")));
        }
        if !ridge.is_finite() || ridge <= 0.0 {
            return Err(Error::data("ridge", "it is not above 0"));
        }
        let mut cells = vec![Outcomes::default(); models * models];
        let mut played = vec![0; models];
        for &Match { first, second, preferred } in matches {
            if first >= models || second >= models || first == second {
                return Err(Error::data("matches", "a model is not there or held against itself"));
            }
            played[first] += 1;
            played[second] += 1;
            let (low, high, preferred) =
                if first < second { (first, second, preferred) } else { (second, first, preferred.swapped()) };
            let cell = &mut cells[low * models + high];
            match preferred {
                Preference::First => cell.first += 1.0,
                Preference::Second => cell.second += 1.0,
                Preference::Tie => cell.tied += 1.0,
            }
        }
        let met = |(at, cell): (usize, Outcomes)| {
            (cell.first + cell.second + cell.tied > 0.0).then_some((at / models, at % models, cell))
        };
        let pairs: Vec<_> = cells.into_iter().enumerate().filter_map(met).collect();
        let any_tie = pairs.iter().any(|(_, _, cell)| cell.tied > 0.0);
        Ok(Self { models, ridge, pairs, matches: played, any_tie })
    }

    /// The most likely strengths, from some on; with what is asked of a pair of models beside the matches.
    fn newton(&self, from: &Point, asked: Option<Asked>) -> Point {
        let (mut theta, mut tie) = (from.theta.clone(), from.tie);
        let mut likelihood = self.likelihood(&theta, tie) + asked.map_or(0.0, |asked| asked.gain(&theta));
        for _ in 0..MOST_STEPS {
            let (mut slope, information) = self.slope_and_information(&theta, tie);
            let Some(factor) = information.factor() else { break };
            let step = match asked {
                Some(asked) => asked.step(&mut slope, &factor),
                None => factor.solve(&slope),
            };
            let mut share = 1.0;
            let (next, next_tie, now) = loop {
                let next: Vec<f64> = theta.iter().zip(&step).map(|(theta, step)| theta + share * step).collect();
                let next_tie = tie + step.get(self.models).map_or(0.0, |step| share * step);
                let now = self.likelihood(&next, next_tie) + asked.map_or(0.0, |asked| asked.gain(&next));
                if now >= likelihood || share < 1e-9 {
                    break (next, next_tie, now);
                }
                share /= 2.0;
            };
            (theta, tie, likelihood) = (next, next_tie, now);
            if step.iter().all(|step| (step * share).abs() < CONVERGED) {
                break;
            }
        }
        Point { theta, tie }
    }

    /// Chances of first, second and tie.
    fn chances(&self, theta: &[f64], tie: f64, first: usize, second: usize) -> [f64; 3] {
        let logs = [theta[first], theta[second], f64::midpoint(theta[first], theta[second]) + tie];
        let told = if self.any_tie { &logs[..] } else { &logs[..2] };
        let most = told.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = told.iter().map(|log| (log - most).exp()).sum();
        let chance = |log: f64| (log - most).exp() / all;
        [chance(logs[0]), chance(logs[1]), if self.any_tie { chance(logs[2]) } else { 0.0 }]
    }

    fn likelihood(&self, theta: &[f64], tie: f64) -> f64 {
        let log = |count: f64, chance: f64| if count > 0.0 { count * chance.max(f64::MIN_POSITIVE).ln() } else { 0.0 };
        let pair = |&(a, b, seen): &(usize, usize, Outcomes)| {
            let [first, second, tied] = self.chances(theta, tie, a, b);
            log(seen.first, first) + log(seen.second, second) + log(seen.tied, tied)
        };
        let drawn = theta.iter().map(|theta| theta * theta).sum::<f64>() + tie * tie;
        self.pairs.iter().map(pair).sum::<f64>() - self.ridge / 2.0 * drawn
    }

    fn slope_and_information(&self, theta: &[f64], tie: f64) -> (Vec<f64>, Symmetric) {
        let width = self.models + usize::from(self.any_tie);
        let mut slope: Vec<f64> = theta.iter().chain([&tie]).take(width).map(|value| -self.ridge * value).collect();
        let mut information = Symmetric::zero(width);
        (0..width).for_each(|place| information.add(place, place, self.ridge));
        for &(a, b, seen) in &self.pairs {
            let chances = self.chances(theta, tie, a, b);
            let n = seen.first + seen.second + seen.tied;
            // Outcomes by what they are of: θ of the first, θ of the second, ln ν.
            let rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 1.0]];
            let places = [a, b, self.models];
            let used = if self.any_tie { 3 } else { 2 };
            let mean = [0, 1, 2].map(|of| (0..3).map(|k| chances[k] * rows[k][of]).sum::<f64>());
            for of in 0..used {
                let got =
                    [seen.first, seen.second, seen.tied].iter().zip(rows).map(|(n, row)| n * row[of]).sum::<f64>();
                slope[places[of]] += got - n * mean[of];
                for with in 0..=of {
                    let square: f64 = (0..3).map(|k| chances[k] * rows[k][of] * rows[k][with]).sum();
                    information.add(places[of], places[with], n * (square - mean[of] * mean[with]));
                }
            }
        }
        (slope, information)
    }

    /// The covariance of strengths about their mean.
    fn covariance(&self, at: &Point) -> Vec<Vec<f64>> {
        let inverse = self.slope_and_information(&at.theta, at.tie).1.factor().map(|factor| factor.inverse());
        let Some(inverse) = inverse else { return vec![vec![f64::INFINITY; self.models]; self.models] };
        let n = self.models;
        let rows: Vec<f64> =
            (0..n).map(|row| (0..n).map(|column| inverse.at(row, column)).sum::<f64>() / n as f64).collect();
        let all = rows.iter().sum::<f64>() / n as f64;
        let cell = |row: usize, column: usize| inverse.at(row, column) - rows[row] - rows[column] + all;
        (0..n).map(|row| (0..n).map(|column| cell(row, column)).collect()).collect()
    }

    /// Of each model the group of those that it both has an advantage over and the other way round, through any others: by number,
    /// in the order of their first models.
    fn groups(&self) -> Vec<usize> {
        let mut ahead = vec![Vec::new(); self.models];
        let mut behind = vec![Vec::new(); self.models];
        for &(a, b, seen) in &self.pairs {
            if seen.first + seen.tied > 0.0 {
                ahead[a].push(b);
                behind[b].push(a);
            }
            if seen.second + seen.tied > 0.0 {
                ahead[b].push(a);
                behind[a].push(b);
            }
        }
        let mut groups = vec![usize::MAX; self.models];
        let mut next = 0;
        for model in 0..self.models {
            if groups[model] == usize::MAX {
                let (down, up) = (reached(model, &ahead), reached(model, &behind));
                (0..self.models).filter(|&other| down[other] && up[other]).for_each(|other| groups[other] = next);
                next += 1;
            }
        }
        groups
    }
}

fn reached(from: usize, edges: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut left = vec![from];
    reached[from] = true;
    while let Some(at) = left.pop() {
        for &next in &edges[at] {
            if !std::mem::replace(&mut reached[next], true) {
                left.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::reference::{cases, near, number, numbers};

    pub fn matches_of(case: &Value) -> (usize, Vec<Match>) {
        let one = |row: &Value| {
            let place = |at: usize| row[at].as_u64().unwrap() as usize;
            let preferred = match row[2].as_i64().unwrap() {
                1 => Preference::First,
                -1 => Preference::Second,
                _ => Preference::Tie,
            };
            Match { first: place(0), second: place(1), preferred }
        };
        (case["models"].as_u64().unwrap() as usize, case["matches"].as_array().unwrap().iter().map(one).collect())
    }

    pub fn won(first: usize, second: usize, times: usize) -> Vec<Match> {
        vec![Match { first, second, preferred: Preference::First }; times]
    }

    #[test]
    fn strengths_agree_with_choix_and_the_likelihood_of_davidson() {
        for case in cases("strengths") {
            let (models, matches) = matches_of(case);
            let found = fit(models, &matches, RIDGE).unwrap();
            let errors = numbers(&case["errors"]);
            for (place, (theta, strength)) in numbers(&case["theta"]).into_iter().zip(&found.models).enumerate() {
                near(strength.theta, theta, 1e-4, &case["theta"]);
                let error = (strength.interval.high - strength.interval.low) / (2.0 * 1.959_964);
                near(error / errors[place], 1.0, 1e-3, &case["errors"]);
            }
            let (_, interval) = found.apart(0, 1);
            near(
                (interval.high - interval.low) / (2.0 * 1.959_964) / number(&case["apart_error"]),
                1.0,
                1e-3,
                "a pair",
            );
            assert_eq!(found.tie.is_some(), !case["tie"].is_null());
            if let Some(tie) = found.tie {
                near(tie, number(&case["tie"]), 1e-4, "ties");
            } else {
                for (strength, theta) in found.models.iter().zip(numbers(&case["choix"])) {
                    near(strength.theta, theta, 1e-7, "choix");
                }
            }
        }
    }

    /// 30 of 40 won: θ is ½·ln 3 up to the ridge, and the error of the difference √(1/30 + 1/10) up to it.
    #[test]
    fn two_models() {
        let matches: Vec<Match> = won(0, 1, 30).into_iter().chain(won(1, 0, 10)).collect();
        let found = fit(2, &matches, 1e-6).unwrap();
        near(found.models[0].theta, 3.0_f64.ln() / 2.0, 1e-6, "θ");
        near(found.models[0].elo() - found.models[1].elo(), 400.0 * 3.0_f64.log10(), 1e-3, "Elo");
        let (value, interval) = found.apart(0, 1);
        near((interval.high - value) / 1.959_964, (1.0 / 30.0_f64 + 0.1).sqrt(), 1e-6, "error");
        let (first, second) = found.chances(0, 1);
        near(first, 0.75, 1e-6, "chance");
        near(second, 0.25, 1e-6, "chance");
        assert_eq!(found.models[0].rank, RankRange { best: 1, worst: 1 });
        assert_eq!((found.models[0].group, found.models[1].group), (0, 0));
    }

    #[test]
    fn perfect_records_and_models_that_never_met_are_named() {
        // 0 beats 1 always, 1 and 2 beat each other, 3 and 4 tie and never meet the others, 5 never plays.
        let mut matches = [won(0, 1, 20), won(1, 2, 10), won(2, 1, 10)].concat();
        matches.extend(vec![Match { first: 3, second: 4, preferred: Preference::Tie }; 5]);
        let found = fit(6, &matches, RIDGE).unwrap();
        let groups: Vec<usize> = found.models.iter().map(|model| model.group).collect();
        assert_eq!(groups, [0, 1, 1, 2, 2, 3]);
        assert!(found.models.iter().all(|model| model.theta.is_finite() && model.interval.low.is_finite()));
        assert!(found.models[0].theta > found.models[1].theta + 3.0);
        // The one that never played may be anywhere, and nothing pulls it: its deviation is about the ridge's 10.
        let lone = found.models[5];
        near(lone.theta, 0.0, 3.0, "nobody knows");
        assert!(lone.interval.high - lone.interval.low > 30.0, "{lone:?}");
        assert_eq!(lone.rank, RankRange { best: 1, worst: 6 });
        assert_eq!(lone.matches, 0);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(fit(0, &[], RIDGE).is_err());
        assert!(fit(2, &won(0, 2, 1), RIDGE).is_err());
        assert!(fit(2, &won(1, 1, 1), RIDGE).is_err());
        assert!(fit(2, &won(0, 1, 1), 0.0).is_err());
        assert_eq!(fit(3, &[], RIDGE).unwrap().models[1].rank, RankRange { best: 1, worst: 3 });
    }

    proptest! {
        /// Whose answer was shown first says nothing of strength, and the mean strength is 0.
        #[test]
        fn sides_say_nothing(outcomes in prop::collection::vec((0_usize..4, 1_usize..4, 0..3), 1..80)) {
            let matches: Vec<Match> = outcomes.iter().map(|&(first, further, outcome)| Match {
                first,
                second: (first + further) % 4,
                preferred: [Preference::First, Preference::Second, Preference::Tie][outcome as usize],
            }).collect();
            let swapped: Vec<Match> = matches.iter().map(|played| Match {
                first: played.second, second: played.first, preferred: played.preferred.swapped(),
            }).collect();
            let (one, other) = (fit(4, &matches, RIDGE).unwrap(), fit(4, &swapped, RIDGE).unwrap());
            for (one, other) in one.models.iter().zip(&other.models) {
                prop_assert!((one.theta - other.theta).abs() < 1e-7);
                prop_assert_eq!(one.rank, other.rank);
            }
            prop_assert!(one.models.iter().map(|model| model.theta).sum::<f64>().abs() < 1e-6);
        }
    }
}
