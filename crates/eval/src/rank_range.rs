//! Which places may a model take, when only some pairs are told apart?

use serde::{Deserialize, Serialize};

/// Places, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRange {
    /// The best it may have: after all that are shown to be better.
    pub best: usize,
    /// The worst it may have: before all that are shown to be worse.
    pub worst: usize,
}

/// The range of each of `models`, from the pairs of which the first is shown to be better than the second. Where all pairs were
/// tested together at 5 %, all ranges hold together with 95 %.
///
/// Al Mohamad, van Zwet, Solari, Goeman, "Simultaneous Confidence Intervals for Ranks Using the Partitioning Principle", Electronic
/// Journal of Statistics 15 (2021), section 3, on ranges from all pairwise comparisons; Klein, Wright, Wieczorek, "A Joint Confidence
/// Region for an Overall Ranking of Populations", JRSS C 69 (2020).
///
/// ```
/// use qd_eval::rank_range::{RankRange, ranges};
/// // The first is shown to be better than the last, and nothing else is shown.
/// let found = ranges(3, &[(0, 2)]);
/// assert_eq!(found[0], RankRange { best: 1, worst: 2 });
/// assert_eq!(found[1], RankRange { best: 1, worst: 3 });
/// assert_eq!(found[2], RankRange { best: 2, worst: 3 });
/// ```
pub fn ranges(models: usize, better: &[(usize, usize)]) -> Vec<RankRange> {
    let mut ranges = vec![RankRange { best: 1, worst: models }; models];
    for &(winner, loser) in better {
        ranges[winner].worst -= 1;
        ranges[loser].best += 1;
    }
    ranges
}
