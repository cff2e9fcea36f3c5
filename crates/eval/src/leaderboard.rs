//! Many scenarios, one number for each model: how leaderboards add up.

use serde::{Deserialize, Serialize};

use crate::interval::mean;
use crate::score::Direction;
use crate::{Error, Result};

/// One metric in one scenario: of each model its value, where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Which way is better.
    pub direction: Direction,
    /// By model.
    pub values: Vec<Option<f64>>,
}

/// The mean win rate, as HELM has it: for each metric in each scenario, the share of the other models that a model is better
/// than, where a tie counts half; then the mean over all of those in which it has a value. None for a model that was never
/// held against another.
///
/// A win rate depends on who else is there, so it changes when a model is added.
///
/// Liang et al., "Holistic Evaluation of Language Models", TMLR 2023; ties as in `compute_aggregate_row_win_rates` of its code.
///
/// # Errors
/// [`Error::Data`] for a metric that is not of so many models, or a value that is not a number.
///
/// ```
/// use qd_eval::leaderboard::{Measured, mean_win_rates};
/// use qd_eval::score::Direction::{Higher, Lower};
/// let accuracy = Measured { direction: Higher, values: vec![Some(0.9), Some(0.5), Some(0.5)] };
/// let error = Measured { direction: Lower, values: vec![Some(0.1), Some(0.3), None] };
/// // (1 + 1)/2, (¼ + 0)/2, ¼.
/// assert_eq!(mean_win_rates(3, &[accuracy, error]).unwrap(), [Some(1.0), Some(0.125), Some(0.25)]);
/// ```
pub fn mean_win_rates(models: usize, metrics: &[Measured]) -> Result<Vec<Option<f64>>> {
    let mut rates = vec![Vec::new(); models];
    for metric in metrics {
        if metric.values.len() != models || metric.values.iter().flatten().any(|value| value.is_nan()) {
            return Err(Error::data("values", "there is not one number or none for each model"));
        }
        let mut sorted: Vec<f64> =
            metric.values.iter().flatten().map(|&value| metric.direction.oriented(value)).collect();
        sorted.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        if sorted.len() < 2 {
            continue;
        }
        for (rates, value) in rates.iter_mut().zip(&metric.values) {
            let Some(value) = value.map(|value| metric.direction.oriented(value)) else { continue };
            let (worse, upto) =
                (sorted.partition_point(|&other| other < value), sorted.partition_point(|&other| other <= value));
            // Itself is among those that are tied.
            rates.push((worse as f64 + (upto - worse - 1) as f64 / 2.0) / (sorted.len() - 1) as f64);
        }
    }
    Ok(rates.iter().map(|rates| mean(rates)).collect())
}

/// The score of a part of a task, with what chance and perfection would get.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Subtask {
    /// What was scored.
    pub score: f64,
    /// What guessing gets: one over the number of choices, or 0 where there are none.
    pub chance: f64,
    /// The best there is.
    pub best: f64,
}

impl Subtask {
    /// 0 at chance or below, 100 at the best: `100·(score − chance)/(best − chance)`.
    fn normalised(&self) -> f64 {
        100.0 * (self.score - self.chance).max(0.0) / (self.best - self.chance)
    }
}

/// A task's score as on the second Open LLM Leaderboard: each subtask is normalised by itself, and the mean taken
/// afterwards, since parts with two choices and with ten are not alike. The leaderboard's number is the mean over tasks. None
/// without subtasks.
///
/// Fourrier, Habib, Lozovskaya, Szafer, Wolf, "Open LLM Leaderboard v2" (2024), section on normalisation and its documentation.
///
/// # Errors
/// [`Error::Data`] where the best is not above chance, or a number is not finite.
///
/// ```
/// use qd_eval::leaderboard::{Subtask, normalised};
/// // The documentation's example: 0.6 of GPQA, which has four choices, is 46.67.
/// let found = normalised(&[Subtask { score: 0.6, chance: 0.25, best: 1.0 }]).unwrap().unwrap();
/// assert!((found - 46.67).abs() < 0.005);
/// ```
pub fn normalised(subtasks: &[Subtask]) -> Result<Option<f64>> {
    let sound = |task: &Subtask| task.score.is_finite() && task.chance.is_finite() && task.best > task.chance;
    if !subtasks.iter().all(sound) {
        return Err(Error::data("subtasks", "the best is not above chance, or a score is not finite"));
    }
    Ok(mean(&subtasks.iter().map(Subtask::normalised).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{cases, near, number};

    /// The reference draws another model at random and asks how likely it is worse, which is what a win rate is.
    #[test]
    fn win_rates_are_chances_against_another_model() {
        for case in cases("win_rates") {
            let rows = case["values"].as_array().unwrap().iter().zip(case["lower"].as_array().unwrap());
            let metrics: Vec<Measured> = rows
                .map(|(values, lower)| Measured {
                    direction: if lower.as_bool().unwrap() { Direction::Lower } else { Direction::Higher },
                    values: values.as_array().unwrap().iter().map(serde_json::Value::as_f64).collect(),
                })
                .collect();
            let expected = case["rates"].as_array().unwrap();
            for (found, expected) in mean_win_rates(expected.len(), &metrics).unwrap().iter().zip(expected) {
                match found {
                    None => assert!(expected.is_null()),
                    Some(found) => near(*found, number(expected), 1e-12, expected),
                }
            }
        }
    }

    #[test]
    fn nothing_to_compare_is_no_rate() {
        let alone = Measured { direction: Direction::Higher, values: vec![Some(1.0), None] };
        assert_eq!(mean_win_rates(2, &[alone]).unwrap(), [None, None]);
        assert!(mean_win_rates(1, &[Measured { direction: Direction::Higher, values: vec![] }]).is_err());
        let strange = Measured { direction: Direction::Higher, values: vec![Some(f64::NAN)] };
        assert!(mean_win_rates(1, &[strange]).is_err());
    }

    /// MuSR's parts have 2, 5 and 3 choices: (0.7 − 0.5)/0.5 = 40, (0.1 − 0.2) → 0, (0.5 − 1/3)/(2/3) = 25; their mean is 21.67.
    #[test]
    fn parts_are_normalised_before_their_mean() {
        let part = |score: f64, choices: f64| Subtask { score, chance: 1.0 / choices, best: 1.0 };
        let found = normalised(&[part(0.7, 2.0), part(0.1, 5.0), part(0.5, 3.0)]).unwrap().unwrap();
        near(found, 65.0 / 3.0, 1e-9, "MuSR");
        assert_eq!(normalised(&[]).unwrap(), None);
        assert!(normalised(&[part(0.5, 1.0)]).is_err());
    }

    proptest! {
        /// What one wins another loses: over all models the mean rate is ½.
        #[test]
        fn rates_are_a_half_on_the_mean(table in prop::collection::vec(prop::collection::vec(0_u8..5, 4), 1..6)) {
            let metrics: Vec<Measured> = table.iter().enumerate().map(|(place, row)| Measured {
                direction: if place % 2 == 0 { Direction::Higher } else { Direction::Lower },
                values: row.iter().map(|&value| Some(f64::from(value))).collect(),
            }).collect();
            let rates: Vec<f64> = mean_win_rates(4, &metrics).unwrap().into_iter().flatten().collect();
            prop_assert!((mean(&rates).unwrap() - 0.5).abs() < 1e-12);
        }
    }
}
