//! What people would say of answers that nobody labelled, by their labels of other answers.

use super::{Corrected, FEW_LABELS, LEAST_LABELS, Sample, checked, mean, moments};
use crate::Result;
use crate::bootstrap::{student_quantile, unseen};
use crate::estimate::{Estimate, Undefined};
use crate::interval::{Interval, wilson};

/// The mean that people would give the unlabelled answers, where the labelled ones are no sample of the same: `θ̂ = mean(f̃) + mean(y − f)`.
///
/// It assumes that the judge is too high or too low on these answers by as much, on average, as on those. How good those answers were is no part of
/// it, so λ is 1: [`mean`], whose λ may be less, takes `(1 − λ)·mean(y)` of them. `humans` is of the labelled answers, and says nothing of the others.
///
/// Both parts have intervals of their own, and they are independent: with `l₁` and `l₂` from them down to their lower ends that of `θ̂` reaches
/// `√(l₁² + l₂²)` down, and as much up by the upper ends, kept within the `bounds`. Of 0 and 1 the judge's mean has Wilson's interval, and `y − f` that of the
/// difference of two shares, of +1 and of −1; of other scores it is Student's, or, where all are the same, what was not seen may lie at a bound.
/// `effective_labels` are those of the unlabelled answers that people alone would need for the same variance, if their words spread there as the
/// judge's with what it errs.
///
/// Zou, "On the estimation of additive interactions by use of the four-by-two table and beyond", American Journal of Epidemiology 168 (2008), for
/// both sums, the second with the correlation of the two shares.
///
/// # Errors
/// As [`mean`]. [`Undefined::TooFew`] for fewer than three labels, and when there is no other answer.
pub fn transferred(sample: &Sample, (least, most): (f64, f64)) -> Result<std::result::Result<Corrected, Undefined>> {
    checked(sample)?;
    let (labels, rest) = (sample.labelled.len(), sample.unlabelled.len());
    if labels < LEAST_LABELS || rest == 0 {
        return Ok(Err(Undefined::TooFew));
    }
    let alone = Sample { labelled: sample.labelled.clone(), unlabelled: Vec::new() };
    let people = match mean(&alone, Some((least, most)))? {
        Ok(people) => people,
        Err(why) => return Ok(Err(why)),
    };
    let off: Vec<f64> = sample.labelled.iter().map(|(human, judge)| human - judge).collect();
    let yes_or_no = |value: f64| value == 0.0 || value == 1.0;
    let binary = (least, most) == (0.0, 1.0) && sample.unlabelled.iter().all(|&value| yes_or_no(value));
    let binary_off = binary && sample.labelled.iter().all(|&(human, judge)| yes_or_no(human) && yes_or_no(judge));
    let (judge, judge_variance) = moments(&sample.unlabelled);
    let (shift, shift_variance) = moments(&off);
    let of_judge = if binary { share(&sample.unlabelled, 1.0) } else { spread(&sample.unlabelled, (least, most)) };
    let of_shift = if binary_off { shares(&off) } else { spread(&off, (least - most, most - least)) };
    let sum = judge + shift;
    let within = |value: f64| value.max(least).min(most);
    let low = within(sum - (judge - of_judge.low).hypot(shift - of_shift.low));
    let high = within(sum + (of_judge.high - judge).hypot(of_shift.high - shift));
    let variance = judge_variance / rest as f64 + shift_variance / labels as f64;
    let needed = (judge_variance + shift_variance) / variance;
    Ok(Ok(Corrected {
        estimate: Estimate { value: within(sum), interval: Some(Interval { low, high }), items: labels },
        humans: people.humans,
        judge,
        lambda: 1.0,
        effective_labels: if variance > 0.0 { needed } else { labels.min(rest) as f64 },
        labels,
        few_labels: labels < FEW_LABELS,
    }))
}

/// Where the share of one value lies.
fn share(values: &[f64], of: f64) -> Interval {
    wilson(values.iter().filter(|&&value| value == of).count() as u64, values.len() as u64)
}

/// Where the mean of numbers lies that are −1, 0 or 1: the share of 1 less that of −1, of which one is the smaller the larger the other.
fn shares(values: &[f64]) -> Interval {
    let part = |of: f64| values.iter().filter(|&&value| value == of).count() as f64 / values.len() as f64;
    let (up, down) = (part(1.0), part(-1.0));
    let (of_up, of_down) = (share(values, 1.0), share(values, -1.0));
    let odds = up * down / ((1.0 - up) * (1.0 - down));
    let correlation = if odds.is_finite() { -odds.sqrt() } else { 0.0 };
    let reach = |one: f64, other: f64| (one * one + other * other - 2.0 * correlation * one * other).sqrt();
    Interval {
        low: up - down - reach(up - of_up.low, of_down.high - down),
        high: up - down + reach(of_up.high - up, down - of_down.low),
    }
}

/// Where the mean of numbers within bounds lies.
fn spread(values: &[f64], (least, most): (f64, f64)) -> Interval {
    let (mean, variance) = moments(values);
    if variance == 0.0 {
        let unseen = unseen(values.len());
        return Interval { low: mean - unseen * (mean - least), high: mean + unseen * (most - mean) };
    }
    let n = values.len() as f64;
    let half = student_quantile(n - 1.0) * (variance / n).sqrt();
    Interval { low: (mean - half).max(least), high: (mean + half).min(most) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::reference::near;

    const SHARE: (f64, f64) = (0.0, 1.0);

    fn yes(n: usize, of: usize) -> Vec<f64> {
        (0..of).map(|item| f64::from(u8::from(item < n))).collect()
    }

    fn told(labelled: Vec<(f64, f64)>, unlabelled: Vec<f64>, bounds: (f64, f64)) -> Corrected {
        transferred(&Sample { labelled, unlabelled }, bounds).unwrap().unwrap()
    }

    /// A judge that never errs, nine of ten of whose labelled answers are good and three of ten of the others. PPI++ would say 0.79.
    #[test]
    fn how_good_labelled_answers_were_is_no_part_of_it() {
        let labelled: Vec<(f64, f64)> = yes(180, 200).into_iter().map(|value| (value, value)).collect();
        let found = told(labelled.clone(), yes(60, 200), SHARE);
        near(found.estimate.value, 0.3, 1e-12, "mean");
        near(found.humans.value, 0.9, 1e-12, "people");
        let interval = found.estimate.interval.unwrap();
        // Wilson's of 60 of 200 is [0.2407, 0.3667], and of 0 of 200 up to 0.0188: 0.3 − √(0.0593² + 0.0188²), 0.3 + √(0.0667² + 0.0188²).
        near(interval.low, 0.3 - 0.0622, 1e-3, "low");
        near(interval.high, 0.3 + 0.0693, 1e-3, "high");
        near(found.effective_labels, 200.0, 1e-9, "labels");
        let ours = mean(&Sample { labelled, unlabelled: yes(60, 200) }, Some(SHARE)).unwrap().unwrap();
        assert!(ours.estimate.value > 0.75, "which is why this one is needed");
    }

    #[test]
    fn nothing_to_correct_is_nothing() {
        let labelled = vec![(1.0, 1.0); 50];
        let of = |labelled: Vec<(f64, f64)>, unlabelled| transferred(&Sample { labelled, unlabelled }, SHARE).unwrap();
        assert_eq!(of(labelled.clone(), Vec::new()), Err(Undefined::TooFew));
        assert_eq!(of(vec![(1.0, 1.0); 2], vec![1.0; 9]), Err(Undefined::TooFew));
        // Five answers that are all good: 1 − 0.025^(1/5) = 0.522 of others may be elsewhere.
        let few = told(vec![(5.0, 5.0); 50], vec![5.0; 5], (1.0, 5.0)).estimate.interval.unwrap();
        assert!(few.low < 5.0 - 4.0 * 0.522 && few.high == 5.0, "{few:?}");
    }

    /// A judge from 1 to 5 that says one too much: 3.5 and 2.5 by turns become 2.5 and 1.5.
    #[test]
    fn what_the_judge_adds_is_taken_off() {
        let labelled = (0..100).map(|n| (f64::from(n % 3) + 2.0, f64::from(n % 3) + 3.0)).collect();
        let found = told(labelled, (0..100).map(|n| f64::from(n % 2) + 2.5).collect(), (1.0, 5.0));
        near(found.estimate.value, 2.0, 1e-12, "mean");
        assert!(found.estimate.interval.unwrap().contains(2.0));
    }

    /// A judge that calls one in ten of good answers bad and one in ten of bad ones good. It errs by as much where half are good and half were.
    #[test]
    fn intervals_hold_the_truth() {
        let mut random = Random::new(7);
        let mut chance = |percent: usize| f64::from(u8::from(random.below(100) < percent));
        for (good, labels, rest) in [(50, 100, 200), (50, 200, 40), (95, 100, 100)] {
            let mut answer = || {
                let human = chance(good);
                let errs = chance(10);
                (human, (human - errs).abs())
            };
            let held = (0..400)
                .filter(|_| {
                    let labelled = (0..labels).map(|_| answer()).collect();
                    let unlabelled = (0..rest).map(|_| answer().1).collect();
                    told(labelled, unlabelled, SHARE).estimate.interval.unwrap().contains(good as f64 / 100.0)
                })
                .count();
            assert!((372..=398).contains(&held), "{held} of 400 with {good} of 100 good");
        }
    }
}
