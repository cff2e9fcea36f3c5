//! Which of two models is stronger for certain? Tests of all pairs of one fit.

use std::collections::HashMap;

use statrs::distribution::{ContinuousCDF, Normal};

use super::{MOST_REFITTED, Outcomes, Point, Table, apart_error};
use crate::holm;
use crate::interval::ALPHA;
use crate::symmetric::Factor;

impl Table {
    /// Pairs of which the first is stronger than the second, with 5 % for all of them together.
    pub(super) fn beaten(&self, fit: &Point, covariance: &[Vec<f64>]) -> Vec<(usize, usize)> {
        let pairs: Vec<(usize, usize)> = (0..self.models).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let ordered = |&(a, b): &(usize, usize)| if fit.theta[a] > fit.theta[b] { (a, b) } else { (b, a) };
        let p: Vec<f64> = match self.models <= MOST_REFITTED {
            true => pairs.iter().map(|pair| self.ratio_test(fit, ordered(pair))).collect(),
            false => {
                let records = self.one_sided();
                pairs
                    .iter()
                    .map(|pair| wald_test(fit, covariance, ordered(pair)).min(records.of(ordered(pair))))
                    .collect()
            }
        };
        let adjusted = holm::adjusted(&p, pairs.len());
        pairs.iter().zip(adjusted).filter(|(_, p)| *p <= ALPHA).map(|(pair, _)| ordered(pair)).collect()
    }

    /// How likely the likelihood would grow so much when two models that are alike may differ, with half a match less between them.
    fn ratio_test(&self, fit: &Point, (stronger, weaker): (usize, usize)) -> f64 {
        if fit.theta[stronger] == fit.theta[weaker] {
            return 1.0;
        }
        let less = Asked::Less { stronger, weaker };
        let apart = self.newton(fit, Some(less));
        if apart.theta[stronger] <= apart.theta[weaker] {
            return 1.0;
        }
        let mut alike = fit.clone();
        let middle = f64::midpoint(fit.theta[stronger], fit.theta[weaker]);
        (alike.theta[stronger], alike.theta[weaker]) = (middle, middle);
        let alike = self.newton(&alike, Some(Asked::Alike { stronger, weaker }));
        let gained = self.likelihood(&apart.theta, apart.tie) + less.gain(&apart.theta)
            - self.likelihood(&alike.theta, alike.tie);
        2.0 * Normal::standard().sf((2.0 * gained.max(0.0)).sqrt())
    }

    /// Pairs of which one won all matches, with how many.
    fn one_sided(&self) -> Records {
        let record = |&(a, b, seen): &(usize, usize, Outcomes)| match seen {
            Outcomes { first, second: 0.0, tied: 0.0 } => Some(((a, b), first)),
            Outcomes { first: 0.0, second, tied: 0.0 } => Some(((b, a), second)),
            _ => None,
        };
        Records(self.pairs.iter().filter_map(record).collect())
    }
}

/// What is asked of two models, beside the matches.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// That half a match of the stronger is the weaker's: `½·(θ_weaker − θ_stronger)` more on the likelihood.
    Less { stronger: usize, weaker: usize },
    /// That both are as strong as each other, which they are at the start.
    Alike { stronger: usize, weaker: usize },
}

impl Asked {
    /// What it adds to the likelihood.
    pub fn gain(self, theta: &[f64]) -> f64 {
        match self {
            Self::Less { stronger, weaker } => (theta[weaker] - theta[stronger]) / 2.0,
            Self::Alike { .. } => 0.0,
        }
    }

    /// Newton's step.
    pub fn step(self, slope: &mut [f64], factor: &Factor) -> Vec<f64> {
        match self {
            Self::Less { stronger, weaker } => {
                slope[stronger] -= 0.5;
                slope[weaker] += 0.5;
                factor.solve(slope)
            }
            // The step of all, less what of it would part the two: x − H⁻¹c·(cᵀx)/(cᵀH⁻¹c) with c = e_stronger − e_weaker.
            Self::Alike { stronger, weaker } => {
                let mut apart = vec![0.0; slope.len()];
                (apart[stronger], apart[weaker]) = (1.0, -1.0);
                let (free, along) = (factor.solve(slope), factor.solve(&apart));
                let share = (free[stronger] - free[weaker]) / (along[stronger] - along[weaker]);
                free.iter().zip(&along).map(|(free, along)| free - share * along).collect()
            }
        }
    }
}

/// By winner and loser how many matches the winner won, where it won all of them.
struct Records(HashMap<(usize, usize), f64>);

impl Records {
    /// The exact binomial test of so many wins against none; 1 where there is no such record.
    fn of(&self, pair: (usize, usize)) -> f64 {
        self.0.get(&pair).map_or(1.0, |&wins| (2.0 * 0.5_f64.powf(wins)).min(1.0))
    }
}

/// How likely a difference would be so large, if it were normal with the errors of the fit.
fn wald_test(fit: &Point, covariance: &[Vec<f64>], (stronger, weaker): (usize, usize)) -> f64 {
    let error = apart_error(covariance, stronger, weaker);
    let apart = fit.theta[stronger] - fit.theta[weaker];
    if error > 0.0 { 2.0 * Normal::standard().sf(apart / error) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::won;
    use super::super::{RIDGE, fit};
    use super::*;
    use crate::rank_range::RankRange;

    /// Of two models the exact binomial test is the reference: two-sided, by hand `2·Σ_{k≥w} C(n,k)/2ⁿ`.
    #[test]
    fn lopsided_records_are_told_apart() {
        let p = |wins: usize, losses: usize| {
            let matches = [won(0, 1, wins), won(1, 0, losses)].concat();
            let table = Table::new(2, &matches, RIDGE).unwrap();
            let fit = table.newton(&Point { theta: vec![0.0; 2], tie: 0.0 }, None);
            table.ratio_test(&fit, (0, 1))
        };
        for (wins, losses, exact) in [
            (5, 0, 0.0625),
            (4, 1, 0.375),
            (8, 2, 0.109_375),
            (9, 1, 0.021_484),
            (10, 0, 0.001_953),
            (15, 5, 0.041_389),
        ] {
            let found = p(wins, losses);
            assert!((found / exact - 1.0).abs() < 0.15, "{wins}:{losses} {found} {exact}");
        }
        // 2/2⁵⁰, and 2·51/2⁵⁰.
        for (wins, losses, exact) in [(50, 0, 1.78e-15), (49, 1, 9.06e-14), (45, 5, 4.21e-9)] {
            let found = p(wins, losses);
            assert!(found.ln() / f64::ln(exact) > 0.97, "{wins}:{losses} {found}");
            assert!(found.ln() / f64::ln(exact) < 1.03, "{wins}:{losses} {found}");
        }
        assert_eq!(fit(2, &won(0, 1, 50), RIDGE).unwrap().models[1].rank, RankRange { best: 2, worst: 2 });
        assert_eq!(fit(2, &won(0, 1, 5), RIDGE).unwrap().models[1].rank, RankRange { best: 1, worst: 2 });
    }

    /// One of 40 models won all of 50 matches against another: 2/2⁵⁰, 780 times, is small, where Wald's test has 0.14.
    #[test]
    fn a_perfect_record_counts_among_many_models() {
        let found = fit(40, &won(0, 1, 50), RIDGE).unwrap();
        assert_eq!(found.models[0].rank, RankRange { best: 1, worst: 39 });
        assert_eq!(found.models[1].rank, RankRange { best: 2, worst: 40 });
        assert_eq!(found.models[2].rank, RankRange { best: 1, worst: 40 });
        assert_eq!(fit(40, &won(0, 1, 12), RIDGE).unwrap().models[0].rank, RankRange { best: 1, worst: 40 });
    }

    /// Two who never met are told apart by whom they both met.
    #[test]
    fn matches_with_others_count() {
        let matches = [won(0, 2, 40), won(2, 0, 20), won(2, 1, 40), won(1, 2, 20)].concat();
        let found = fit(3, &matches, RIDGE).unwrap();
        assert_eq!(
            (found.models[0].rank, found.models[1].rank),
            (RankRange { best: 1, worst: 1 }, RankRange { best: 3, worst: 3 })
        );
    }
}
