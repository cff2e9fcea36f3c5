//! Biases of a judge: does it go by the place of an answer, by its length, by who wrote it?

use serde::{Deserialize, Serialize};

use crate::bootstrap::normal_quantile;
use crate::estimate::{Estimate, Estimated, Undefined};
use crate::interval::{self, Interval, Sampling};
use crate::{Error, Result};
use crate::{linear, logistic};

/// Judgements of one calculation at most.
pub const MOST_JUDGEMENTS: usize = 200_000;

/// Which of two answers is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The first one.
    First,
    /// The second one.
    Second,
    /// Neither.
    Tie,
}

impl Preference {
    /// 1 for the first, −1 for the second, 0 for neither.
    pub fn sign(self) -> f64 {
        match self {
            Self::First => 1.0,
            Self::Second => -1.0,
            Self::Tie => 0.0,
        }
    }

    /// The same when both answers change places.
    #[must_use]
    pub fn swapped(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
            Self::Tie => Self::Tie,
        }
    }
}

/// What a judge does when the same two answers change places.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OrderBias {
    /// The share of pairs of which it says something else once they have changed places.
    pub flips: Estimate,
    /// Of the two judgements of a pair, how much more often the first than the second place wins: 1 is always the first, −1 always
    /// the second, 0 is fair.
    pub first_place: Estimate,
}

/// Pairs that were judged in both orders: what was said of (a, b), and what of (b, a), by place.
///
/// Each answer stands once in each place, so whatever answers are worth cancels in `first_place`: it is the mean over pairs of
/// the mean of both signs. Flips have Wilson's interval, the preference the bootstrap's over pairs.
///
/// Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS 2023, section 3.3 and table 2: consistency
/// and first-place preference.
///
/// # Errors
/// [`Error::Data`] for over 200,000 pairs. [`Undefined::TooFew`] for fewer than two.
pub fn order(
    pairs: &[(Preference, Preference)],
    sampling: Sampling,
) -> Result<std::result::Result<OrderBias, Undefined>> {
    checked(pairs.len())?;
    let items = pairs.len();
    if items < 2 {
        return Ok(Err(Undefined::TooFew));
    }
    let flipped = pairs.iter().filter(|(one, other)| *one != other.swapped()).count();
    let flips = Estimate {
        value: flipped as f64 / items as f64,
        interval: Some(interval::wilson(flipped as u64, items as u64)),
        items,
    };
    let signs: Vec<f64> = pairs.iter().map(|(one, other)| f64::midpoint(one.sign(), other.sign())).collect();
    let first_place = mean_estimate(&signs, (-1.0, 1.0), sampling).ok_or(Undefined::TooFew);
    Ok(first_place.map(|first_place| OrderBias { flips, first_place }))
}

/// One judgement of two answers with their lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthJudgement {
    /// What the judge said. Ties say nothing of length and are left out.
    pub judge: Preference,
    /// What people said.
    pub human: Preference,
    /// Lengths of the first and the second answer, of any one unit.
    pub lengths: (f64, f64),
}

/// By how much the judge's log-odds for an answer rise when it is twice as long, while what people say stays the same; 0 is fair.
///
/// Logistic regression of the judge's choice on a constant, which takes up a preference for a place, the logarithm to base 2 of
/// the ratio of lengths (1 is added to each, since an answer may be empty), and what people say (1, 0, −1). The interval is Wald's, on
/// the scale of log-odds. `exp` of it is the odds ratio.
///
/// What people say stands for the worth of an answer only as far as it goes: where longer answers are better in a way that three
/// values do not tell, that counts as a bias. Dubois, Galambosi, Liang, Hashimoto, "Length-Controlled AlpacaEval", COLM 2024,
/// correct a judge by such a regression.
///
/// # Errors
/// [`Error::Data`] for over 200,000 judgements, or a length that is negative or not finite. [`Undefined::TooFew`] for three
/// or fewer that are no tie, [`Undefined::Separated`] when the choices follow from length and people's word without an error,
/// [`Undefined::Collinear`] when all ratios are the same or follow from people's word.
pub fn length(judgements: &[LengthJudgement]) -> Result<Estimated> {
    checked(judgements.len())?;
    let sound = |length: f64| length.is_finite() && length >= 0.0;
    if judgements.iter().any(|judged| !sound(judged.lengths.0) || !sound(judged.lengths.1)) {
        return Err(Error::data("judgements", "a length is not a number from 0 on"));
    }
    let told: Vec<&LengthJudgement> = judgements.iter().filter(|judged| judged.judge != Preference::Tie).collect();
    let humans_differ = told.windows(2).any(|pair| pair[0].human != pair[1].human);
    let row = |judged: &&LengthJudgement| {
        let ratio = ((judged.lengths.0 + 1.0) / (judged.lengths.1 + 1.0)).log2();
        // People who always say the same are a constant, and there is one already.
        [1.0, ratio, judged.human.sign()][..if humans_differ { 3 } else { 2 }].to_vec()
    };
    let x: Vec<Vec<f64>> = told.iter().map(row).collect();
    let y: Vec<bool> = told.iter().map(|judged| judged.judge == Preference::First).collect();
    Ok(logistic::fit(&x, &y).map(|fitted| {
        let (value, half) = (fitted.coefficients[1], normal_quantile() * fitted.standard_errors[1]);
        Estimate { value, interval: Some(Interval { low: value - half, high: value + half }), items: told.len() }
    }))
}

/// How much more often a judge prefers the answers of its own model than people do: 0 is fair, and at most 1.
///
/// Each pair has one answer of the judge's own model, called the first, and one of another. A win counts 1, a tie ½; the estimate is
/// the mean of the judge's less people's, so that a model whose answers are better is not blamed for it. The interval is the
/// bootstrap's over pairs.
///
/// Zheng et al. (2023), section 3.3, who hold win rates by judges against those by people; Panickssery, Bowman, Feng, "LLM Evaluators Recognize
/// and Favor Their Own Generations", NeurIPS 2024.
///
/// # Errors
/// [`Error::Data`] for over 200,000 pairs. [`Undefined::TooFew`] for fewer than two.
pub fn own(pairs: &[(Preference, Preference)], sampling: Sampling) -> Result<Estimated> {
    checked(pairs.len())?;
    let differences: Vec<f64> = pairs.iter().map(|(judge, human)| (judge.sign() - human.sign()) / 2.0).collect();
    Ok(mean_estimate(&differences, (-1.0, 1.0), sampling).ok_or(Undefined::TooFew))
}

/// One score of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradedJudgement {
    /// What the judge said.
    pub judge: f64,
    /// What people said.
    pub human: f64,
    /// The length of the answer, of any one unit.
    pub length: f64,
    /// Whether the judge's own model wrote it, where that is known.
    pub own: Option<bool>,
}

/// What a judge of single answers goes by besides what people go by, in points of its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradedBias {
    /// How much more it gives an answer that is twice as long.
    pub length: Estimated,
    /// How much more it gives answers of its own model, where it is known of all who wrote them.
    pub own: Option<Estimated>,
}

/// What a judge gives beyond what people say: for twice the length, and for its own model's answers; 0 is fair.
///
/// Linear regression of the judge's score on a constant, what people say, the logarithm to base 2 of the length (1 is added to it),
/// and whether the answer is its own. So each of the two stands while people's word and the other stay the same. Intervals are normal,
/// with standard errors that need no even scatter (HC3). Answers of which it is not known who wrote them are left out when it is of others.
///
/// What people say stands for the worth of an answer only as far as it goes, as with [`length`].
///
/// # Errors
/// [`Error::Data`] for over 200,000 judgements, or a number that is not finite or a length below 0. [`Undefined::TooFew`] for as few as there are
/// variables, or where one answer alone has its length or writer; [`Undefined::Collinear`] when all lengths are the same or follow from people's word.
pub fn graded(judgements: &[GradedJudgement]) -> Result<GradedBias> {
    checked(judgements.len())?;
    let sound =
        |one: &GradedJudgement| [one.judge, one.human, one.length].iter().all(|n| n.is_finite()) && one.length >= 0.0;
    if !judgements.iter().all(sound) {
        return Err(Error::data("judgements", "a score or a length is not a number, or a length is below 0"));
    }
    let authored = judgements.iter().any(|one| one.own.is_some());
    let told: Vec<&GradedJudgement> = judgements.iter().filter(|one| one.own.is_some() || !authored).collect();
    let differ = |of: fn(&GradedJudgement) -> f64| told.windows(2).any(|pair| of(pair[0]) != of(pair[1]));
    let humans_differ = differ(|one| one.human);
    let writers_differ = differ(|one| f64::from(u8::from(one.own == Some(true))));
    let row = |one: &&GradedJudgement| {
        let mut row = vec![1.0, (one.length + 1.0).log2()];
        row.extend(writers_differ.then_some(f64::from(u8::from(one.own == Some(true)))));
        row.extend(humans_differ.then_some(one.human));
        row
    };
    let x: Vec<Vec<f64>> = told.iter().map(row).collect();
    let y: Vec<f64> = told.iter().map(|one| one.judge).collect();
    let fitted = linear::fit(&x, &y);
    let estimate = |place: usize| -> Estimated {
        let fitted = fitted.as_ref().map_err(|&why| why)?;
        let (value, half) = (fitted.coefficients[place], normal_quantile() * fitted.standard_errors[place]);
        Ok(Estimate { value, interval: Some(Interval { low: value - half, high: value + half }), items: told.len() })
    };
    let own = authored.then(|| if writers_differ { estimate(2) } else { Err(Undefined::TooFew) });
    Ok(GradedBias { length: estimate(1), own })
}

fn mean_estimate(values: &[f64], bounds: (f64, f64), sampling: Sampling) -> Option<Estimate> {
    let interval = Some(interval::bootstrap_mean(values, Some(bounds), sampling)?);
    Some(Estimate { value: interval::mean(values)?, interval, items: values.len() })
}

fn checked(judgements: usize) -> Result<()> {
    match judgements > MOST_JUDGEMENTS {
        true => Err(Error::data("judgements", format!("{MOST_JUDGEMENTS} are the most"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{cases, near, number};
    use Preference::{First, Second, Tie};

    #[test]
    fn order_by_hand() {
        // Of 10 pairs: 6 are consistent, 3 times the first place wins both, once a tie becomes a win of the second place.
        let pairs =
            [vec![(First, Second); 4], vec![(Second, First), (Tie, Tie)], vec![(First, First); 3], vec![(Tie, Second)]]
                .concat();
        let found = order(&pairs, Sampling::default()).unwrap().unwrap();
        // statsmodels' proportion_confint(4, 10, method="wilson") is [0.1682, 0.6873].
        near(found.flips.value, 0.4, 1e-12, "flips");
        let interval = found.flips.interval.unwrap();
        near(interval.low, 0.1682, 5e-5, "low");
        near(interval.high, 0.6873, 5e-5, "high");
        // (3·1 − ½)/10.
        near(found.first_place.value, 0.25, 1e-12, "first place");
        assert!(found.first_place.interval.unwrap().contains(0.25));
        assert_eq!(order(&pairs[..1], Sampling::default()).unwrap(), Err(Undefined::TooFew));
    }

    #[test]
    fn a_judge_that_always_takes_the_first() {
        let found = order(&[(First, First); 40], Sampling::default()).unwrap().unwrap();
        assert_eq!((found.flips.value, found.first_place.value), (1.0, 1.0));
        // 1 − 0.025^(1/40) = 0.0881 of others may not have been seen, each 2 apart.
        near(found.first_place.interval.unwrap().low, 1.0 - 2.0 * 0.0881, 1e-4, "low");
    }

    #[test]
    fn length_agrees_with_statsmodels() {
        for case in cases("length") {
            let rows = case["lengths"].as_array().unwrap().iter();
            let judgements: Vec<LengthJudgement> = rows
                .enumerate()
                .map(|(place, lengths)| LengthJudgement {
                    judge: if case["judge"][place] == 1 { First } else { Second },
                    human: [Second, Tie, First][(case["human"][place].as_i64().unwrap() + 1) as usize],
                    lengths: (number(&lengths[0]), number(&lengths[1])),
                })
                .collect();
            let found = length(&judgements).unwrap().unwrap();
            let interval = found.interval.unwrap();
            near(found.value, number(&case["value"]), 1e-7, "value");
            near(interval.low, number(&case["low"]), 1e-6, "low");
            near(interval.high, number(&case["high"]), 1e-6, "high");
            // Answers that change places change nothing but the constant's sign.
            let swapped: Vec<LengthJudgement> = judgements
                .iter()
                .map(|one| LengthJudgement {
                    judge: one.judge.swapped(),
                    human: one.human.swapped(),
                    lengths: (one.lengths.1, one.lengths.0),
                })
                .collect();
            near(length(&swapped).unwrap().unwrap().value, found.value, 1e-7, "swapped");
        }
    }

    #[test]
    fn length_without_an_estimate_has_a_name() {
        let one = |judge, human, lengths| LengthJudgement { judge, human, lengths };
        let of = |judgements: Vec<LengthJudgement>| length(&judgements).unwrap();
        let longer = (0..20)
            .map(|n| one(if n % 2 == 0 { First } else { Second }, Tie, (if n % 2 == 0 { 9.0 } else { 1.0 }, 4.0)));
        assert_eq!(of(longer.collect()), Err(Undefined::Separated), "the longer one always");
        let alike = (0..20).map(|n| one(if n % 3 == 0 { First } else { Second }, [First, Second][n % 2], (5.0, 5.0)));
        assert_eq!(of(alike.collect()), Err(Undefined::Collinear), "all of one length");
        assert_eq!(of(vec![one(Tie, First, (1.0, 2.0)); 30]), Err(Undefined::TooFew), "ties only");
        assert!(length(&[one(First, First, (-1.0, 2.0))]).is_err());
        // One side only: people always say the same, and the constant stands for them.
        let word =
            (0..40).map(|n| one(if n % 3 == 0 { First } else { Second }, First, (f64::from(n % 7), f64::from(n % 5))));
        assert!(of(word.collect()).is_ok());
    }

    #[test]
    fn graded_agrees_with_statsmodels() {
        for case in cases("graded") {
            let column = |name: &str| case[name].as_array().unwrap();
            let judgements: Vec<GradedJudgement> = (0..column("judge").len())
                .map(|at| GradedJudgement {
                    judge: number(&column("judge")[at]),
                    human: number(&column("human")[at]),
                    length: number(&column("lengths")[at]),
                    own: case["own"].as_array().map(|own| own[at] == 1),
                })
                .collect();
            let found = graded(&judgements).unwrap();
            let pairs = [("length", Some(found.length)), ("preference", found.own)];
            for (name, found) in pairs.into_iter().filter(|(name, _)| !case[name].is_null()) {
                let (found, expected) = (found.unwrap().unwrap(), &case[name]);
                let interval = found.interval.unwrap();
                near(found.value, number(&expected["value"]), 1e-9, name);
                near(interval.low, number(&expected["low"]), 1e-9, "low");
                near(interval.high, number(&expected["high"]), 1e-9, "high");
            }
            assert_eq!(found.own.is_some(), !case["preference"].is_null());
        }
    }

    #[test]
    fn graded_without_an_estimate_has_a_name() {
        let one = |judge, length, own| GradedJudgement { judge, human: 1.0, length, own };
        let same = graded(&(0..9).map(|n| one(f64::from(n), 5.0, None)).collect::<Vec<_>>()).unwrap();
        assert_eq!((same.length, same.own), (Err(Undefined::Collinear), None), "one length");
        assert_eq!(graded(&[one(1.0, 5.0, None); 2]).unwrap().length, Err(Undefined::TooFew));
        let rows: Vec<_> = (0..9).map(|n| one(f64::from(n % 4), f64::from(n), Some(n == 3))).collect();
        assert_eq!(graded(&rows).unwrap().own, Some(Err(Undefined::TooFew)), "one answer is its own");
        let rows: Vec<_> = (0..9).map(|n| one(f64::from(n % 4), f64::from(n), Some(false))).collect();
        let found = graded(&rows).unwrap();
        assert_eq!((found.own, found.length.is_ok()), (Some(Err(Undefined::TooFew)), true), "none is its own");
        assert!(graded(&[one(f64::NAN, 1.0, None)]).is_err() && graded(&[one(1.0, -1.0, None)]).is_err());
    }

    #[test]
    fn own_by_hand() {
        // The judge has 8 wins and 2 ties of 10, people 5 wins and 1 tie: 0.9 − 0.55.
        let judge = [vec![First; 8], vec![Tie; 2]].concat();
        let human = [vec![First; 5], vec![Tie], vec![Second; 4]].concat();
        let pairs: Vec<(Preference, Preference)> = judge.into_iter().zip(human).collect();
        let found = own(&pairs, Sampling::default()).unwrap().unwrap();
        near(found.value, 0.35, 1e-12, "own");
        assert!(found.interval.unwrap().low > 0.0);
        let fair = own(&[(First, First); 30], Sampling::default()).unwrap().unwrap();
        // 1 − 0.025^(1/30) = 0.1157 of others may not have been seen.
        near(fair.interval.unwrap().high, 0.1157, 1e-4, "high");
        assert_eq!(own(&[], Sampling::default()).unwrap(), Err(Undefined::TooFew));
    }
}
