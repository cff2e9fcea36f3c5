//! Many cells: is there a winner, and who is not told apart from whom?

use serde::Serialize;

use crate::column::Column;
use crate::comparison::{Comparison, Verdict};
use crate::holm;
use crate::interval::Sampling;

/// Up to so many cells all pairs are tested; of more, only the best is held against the others.
const ALL_PAIRS_CELLS: usize = 24;
/// Signs that are flipped in one ranking at most: about a second of work.
const MOST_FLIPS: usize = 1_000_000_000;

/// Cells in order, as far as there is one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// The cell with the best mean, by its place; none without scores.
    pub best: Option<usize>,
    /// The cell that is told apart from all others, by its place.
    pub winner: Option<usize>,
    /// Cells that are not told apart from the best one, which is the first of them.
    pub not_told_apart: Vec<usize>,
    /// Items that all cells have a score for.
    pub shared_items: usize,
    /// Each cell held against the best one: the p value after correction; none for the best and those without scores.
    pub adjusted_p: Vec<Option<f64>>,
}

impl Ranking {
    /// Ranks cells by their scores.
    ///
    /// The best one was chosen by looking, so its tests against the others are corrected as part of all pairs of cells
    /// (Holm): whatever is then said of any pair is wrong in at most 5 % of such sweeps.
    pub fn new(cells: &[&Column], sampling: Sampling) -> Self {
        let shared = shared_items(cells);
        let Some(best) = best_of(cells, &shared) else {
            let none = vec![None; cells.len()];
            return Self { best: None, winner: None, not_told_apart: Vec::new(), shared_items: 0, adjusted_p: none };
        };
        let pairs = pairs_to_test(cells, best);
        let family = cells.iter().filter(|cell| !cell.is_empty()).count();
        let sampling = bounded(sampling, pairs.len(), cells[best].len());
        let mut compared: Vec<(usize, usize, Comparison)> = pairs
            .into_iter()
            .filter_map(|(a, b)| Some((a, b, Comparison::new(cells[a], cells[b], sampling)?)))
            .collect();
        let p: Vec<f64> = compared.iter().map(|(_, _, comparison)| comparison.test.p()).collect();
        for ((_, _, comparison), adjusted) in compared.iter_mut().zip(holm::adjusted(&p, family * (family - 1) / 2)) {
            comparison.adjusted_p = adjusted;
        }
        Self::told(best, cells.len(), shared.len(), &compared)
    }

    fn told(best: usize, cells: usize, shared_items: usize, compared: &[(usize, usize, Comparison)]) -> Self {
        let mut adjusted_p = vec![None; cells];
        let mut not_told_apart = vec![best];
        for (a, b, comparison) in compared.iter().filter(|(a, b, _)| *a == best || *b == best) {
            let other = if *a == best { *b } else { *a };
            adjusted_p[other] = Some(comparison.adjusted_p);
            let beaten = if *a == best { Verdict::ABetter } else { Verdict::BBetter };
            if comparison.verdict() != beaten {
                not_told_apart.push(other);
            }
        }
        let winner = (not_told_apart.len() == 1 && adjusted_p.iter().flatten().next().is_some()).then_some(best);
        Self { best: Some(best), winner, not_told_apart, shared_items, adjusted_p }
    }

    /// The same in a sentence.
    pub fn sentence(&self, names: &[String]) -> String {
        let name = |&place: &usize| names.get(place).map_or("?", String::as_str);
        match (self.winner, self.not_told_apart.as_slice()) {
            (Some(winner), _) => format!("{} beats every other cell", name(&winner)),
            (None, []) => "there are no scores yet".to_owned(),
            (None, [_]) => "there is one cell, and nothing to compare it with".to_owned(),
            (None, tied) => {
                let some: Vec<&str> = tied.iter().take(6).map(name).collect();
                let more = if tied.len() > some.len() { ", …" } else { "" };
                format!("there is no winner; these {} are not told apart: {}{more}", tied.len(), some.join(", "))
            }
        }
    }
}

/// Items that every cell with scores has one for.
fn shared_items(cells: &[&Column]) -> Vec<u64> {
    let mut scored = cells.iter().filter(|cell| !cell.is_empty());
    let Some(first) = scored.next() else { return Vec::new() };
    let rest: Vec<_> = scored.collect();
    first.items().filter(|&item| rest.iter().all(|cell| cell.get(item).is_some())).collect()
}

/// The best by the mean over the shared items; over its own where nothing is shared. The first of those that are the same.
fn best_of(cells: &[&Column], shared: &[u64]) -> Option<usize> {
    let mean = |cell: &Column| {
        let over: Vec<f64> = shared.iter().filter_map(|&item| cell.get(item)).collect();
        crate::interval::mean(&over).or_else(|| cell.mean()).map(|mean| cell.direction.oriented(mean))
    };
    let means = cells.iter().enumerate().filter_map(|(place, cell)| Some((place, mean(cell)?)));
    means.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(place, _)| place)
}

fn pairs_to_test(cells: &[&Column], best: usize) -> Vec<(usize, usize)> {
    let scored: Vec<usize> = (0..cells.len()).filter(|&place| !cells[place].is_empty()).collect();
    let pairs = scored.iter().flat_map(|&a| scored.iter().map(move |&b| (a, b))).filter(|(a, b)| a < b);
    let all = scored.len() <= ALL_PAIRS_CELLS;
    pairs.filter(|&(a, b)| all || a == best || b == best).collect()
}

/// As many flips as a correction over this many pairs asks for, as far as the time allows; and few resamples, since of
/// these intervals only the side of 0 counts.
fn bounded(sampling: Sampling, pairs: usize, items: usize) -> Sampling {
    let wanted = sampling.flips.max(pairs * 200);
    let afforded = MOST_FLIPS / (pairs.max(1) * items.max(1));
    Sampling { flips: wanted.min(afforded.max(999)), resamples: sampling.resamples.min(2_000), ..sampling }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Direction, Unit};

    fn yes(n: u64, right: impl Fn(u64) -> bool) -> Column {
        let mut column = Column::new(Unit::Share, Direction::Higher);
        for item in 0..n {
            column.push(item, f64::from(u8::from(right(item))));
        }
        column
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|place| format!("cell {place}")).collect()
    }

    #[test]
    fn a_winner_beats_all() {
        let (a, b, c) = (yes(200, |item| item < 60), yes(200, |item| item < 150), yes(200, |item| item < 70));
        let found = Ranking::new(&[&a, &b, &c], Sampling::default());
        assert_eq!((found.best, found.winner, found.shared_items), (Some(1), Some(1), 200));
        assert_eq!(found.sentence(&names(3)), "cell 1 beats every other cell");
    }

    #[test]
    fn noise_has_no_winner() {
        let (a, b, c) = (yes(100, |item| item % 2 == 0), yes(100, |item| item % 3 < 2), yes(100, |item| item < 3));
        let found = Ranking::new(&[&a, &b, &c], Sampling::default());
        // 50 and 67 of 100 with 17 only a and 34 only b: mid-p 0.0175, the largest of three and so its own.
        assert_eq!((found.best, found.winner), (Some(1), Some(1)));
        let close = yes(100, |item| item % 3 < 2 && item != 0);
        let found = Ranking::new(&[&a, &b, &close], Sampling::default());
        assert_eq!((found.best, found.winner), (Some(1), None));
        assert!(found.not_told_apart.contains(&2));
        assert!(found.sentence(&names(3)).starts_with("there is no winner; these "));
    }

    #[test]
    fn cells_without_scores_are_not_ranked() {
        let (none, some) = (yes(0, |_| true), yes(20, |_| true));
        let found = Ranking::new(&[&none, &some], Sampling::default());
        assert_eq!((found.best, found.winner, found.adjusted_p), (Some(1), None, vec![None, None]));
        assert_eq!(Ranking::new(&[&none], Sampling::default()).sentence(&names(1)), "there are no scores yet");
        assert_eq!(Ranking::new(&[], Sampling::default()).best, None);
    }

    #[test]
    fn many_cells_are_held_against_the_best() {
        let mut cells: Vec<Column> = (0..40_u64).map(|cell| yes(300, move |item| (item + cell) % 10 < 3)).collect();
        cells.push(yes(300, |item| item % 10 < 9));
        let cells: Vec<&Column> = cells.iter().collect();
        let found = Ranking::new(&cells, Sampling::default());
        assert_eq!((found.winner, found.adjusted_p.iter().flatten().count()), (Some(40), 40));
    }
}
