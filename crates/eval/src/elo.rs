//! Elo's ratings: strengths that move with each match.

use crate::bias::Preference;
use crate::bootstrap;
use crate::bradley_terry::{MOST_MATCHES, MOST_MODELS, Match};
use crate::interval::{Interval, Sampling, quantile};
use crate::random::Random;
use crate::{Error, Result};

/// The rating of a model that has not played.
pub const START: f64 = 1_000.0;
/// By how much one match moves a rating at most. Chatbot Arena's value, small so that the order of matches matters little.
pub const STEP: f64 = 4.0;
/// Matches that are played again for intervals at most: about a second of work.
const MOST_REPLAYED: usize = 20_000_000;
/// Fewer orders than this give no interval.
const LEAST_ORDERS: usize = 100;

/// Ratings after all matches in their order: the winner of a match gets `step·(1 − e)`, with `e = 1/(1 + 10^((R₂ − R₁)/400))`
/// what was expected of it; a tie counts ½.
///
/// A rating depends on the order of matches. It is for models that change; for those that do not,
/// [`crate::bradley_terry`] uses every match alike.
///
/// Elo, The Rating of Chessplayers, Past and Present (1978).
///
/// # Errors
/// [`Error::Data`] for a model that is not there or held against itself, no model or over 300, over five million matches,
/// or a step that is not above 0.
pub fn ratings(models: usize, matches: &[Match], step: f64) -> Result<Vec<f64>> {
    checked(models, matches, step)?;
    Ok(played(models, matches.iter(), step))
}

/// A rating over many orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shuffled {
    /// The median.
    pub rating: f64,
    /// The percentiles at 2.5 and 97.5 %; none for fewer than a hundred orders, or a model that never played.
    pub interval: Option<Interval>,
}

/// Ratings over matches that are drawn with replacement and shuffled, as often as `sampling.resamples`, as far as a second goes: what
/// chance in the matches and in their order does.
///
/// Chiang et al., "Chatbot Arena: An Open Platform for Evaluating LLMs by Human Preference", ICML 2024, on the bootstrap of ratings.
///
/// # Errors
/// As [`ratings`].
pub fn shuffled(models: usize, matches: &[Match], step: f64, sampling: Sampling) -> Result<Vec<Shuffled>> {
    checked(models, matches, step)?;
    let orders = sampling.resamples.min((MOST_REPLAYED / matches.len().max(1)).max(1));
    let mut random = Random::new(sampling.seed);
    let mut of_model = vec![Vec::with_capacity(orders); models];
    for _ in 0..orders {
        // Drawn one by one, matches come in a random order.
        let drawn = (0..matches.len()).map(|_| &matches[random.below(matches.len())]);
        for (ratings, rating) in of_model.iter_mut().zip(played(models, drawn, step)) {
            ratings.push(rating);
        }
    }
    let played = |model: usize| matches.iter().any(|played| played.first == model || played.second == model);
    Ok(of_model.into_iter().enumerate().map(|(model, ratings)| summed_up(ratings, played(model))).collect())
}

fn summed_up(mut ratings: Vec<f64>, played: bool) -> Shuffled {
    ratings.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| if ratings.is_empty() { START } else { quantile(&ratings, share) };
    let interval = (played && ratings.len() >= LEAST_ORDERS)
        .then(|| Interval { low: at(bootstrap::TAIL), high: at(1.0 - bootstrap::TAIL) });
    Shuffled { rating: at(0.5), interval }
}

fn played<'a>(models: usize, matches: impl Iterator<Item = &'a Match>, step: f64) -> Vec<f64> {
    let mut ratings = vec![START; models];
    for &Match { first, second, preferred } in matches {
        let expected = 1.0 / (1.0 + 10.0_f64.powf((ratings[second] - ratings[first]) / 400.0));
        let got = match preferred {
            Preference::First => 1.0,
            Preference::Second => 0.0,
            Preference::Tie => 0.5,
        };
        let moved = step * (got - expected);
        ratings[first] += moved;
        ratings[second] -= moved;
    }
    ratings
}

fn checked(models: usize, matches: &[Match], step: f64) -> Result<()> {
    if !(1..=MOST_MODELS).contains(&models) || matches.len() > MOST_MATCHES {
        return Err(Error::data("matches", format!("{MOST_MATCHES} of 1 to {MOST_MODELS} models are the most")));
    }
    if !step.is_finite() || step <= 0.0 {
        return Err(Error::data("step", "it is not above 0"));
    }
    match matches.iter().all(|played| played.first.max(played.second) < models && played.first != played.second) {
        true => Ok(()),
        false => Err(Error::data("matches", "a model is not there or held against itself")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bradley_terry::tests::matches_of;
    use crate::reference::{cases, near, numbers};

    #[test]
    fn ratings_after_each_match_in_turn() {
        for case in cases("strengths") {
            let (models, matches) = matches_of(case);
            for (found, expected) in ratings(models, &matches, STEP).unwrap().iter().zip(numbers(&case["elo"])) {
                near(*found, expected, 1e-9, &case["elo"]);
            }
        }
    }

    /// Elo's step at equal ratings: the winner gets half of it.
    #[test]
    fn one_match() {
        let won = [Match { first: 1, second: 0, preferred: Preference::First }];
        assert_eq!(ratings(3, &won, 32.0).unwrap(), [984.0, 1_016.0, 1_000.0]);
        assert!(ratings(1, &won, 32.0).is_err());
        assert!(ratings(3, &[Match { first: 1, second: 1, preferred: Preference::Tie }], 32.0).is_err());
    }

    #[test]
    fn orders_that_are_drawn() {
        let preferred = |n: usize| if n.is_multiple_of(4) { Preference::Second } else { Preference::First };
        let matches: Vec<Match> = (0..400).map(|n| Match { first: 0, second: 1, preferred: preferred(n) }).collect();
        let sampling = Sampling { resamples: 400, ..Sampling::default() };
        let found = shuffled(3, &matches, STEP, sampling).unwrap();
        assert_eq!(found, shuffled(3, &matches, STEP, sampling).unwrap(), "the same seed gives the same");
        // Three of four are won: 400·log₁₀ 3 = 191 points apart, once ratings have settled.
        let apart = found[0].rating - found[1].rating;
        assert!((150.0..230.0).contains(&apart), "{apart}");
        let interval = found[0].interval.unwrap();
        assert!(interval.contains(1_095.4) && interval.low > 1_000.0, "{interval:?}");
        assert_eq!(found[2], Shuffled { rating: START, interval: None }, "who never played");
    }
}
