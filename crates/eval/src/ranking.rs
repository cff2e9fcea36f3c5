//! Many cells: is there a winner, and who is not told apart from whom?

use serde::Serialize;

use crate::column::Column;
use crate::comparison::{self, Comparison, Verdict};
use crate::holm;
use crate::interval::Sampling;

/// Up to so many cells all pairs are tested; of more, only the best is held against the others.
const ALL_PAIRS_CELLS: usize = 24;
/// Signs that are flipped in one ranking at most: about a second of work.
const MOST_FLIPS: usize = 1_000_000_000;
/// Flips for each pair of the family: the smallest p value that they can give, once corrected, is a tenth of the 5 %.
const FLIPS_A_PAIR: usize = 200;
/// Resamples of the intervals in a ranking, of which only the side of 0 counts.
const RESAMPLES: usize = 2_000;
const LEAST_RESAMPLES: usize = 500;

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
    /// Every pair that was tested, by place, with its p value after correction.
    #[serde(skip)]
    pairs: Vec<(usize, usize, f64)>,
    /// Pairs of cells that the correction is for.
    #[serde(skip)]
    family: usize,
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
            return Self {
                best: None,
                winner: None,
                not_told_apart: Vec::new(),
                shared_items: 0,
                adjusted_p: none,
                pairs: Vec::new(),
                family: 0,
            };
        };
        let wanted = pairs_to_test(cells, best);
        let scored = cells.iter().filter(|cell| !cell.is_empty()).count();
        let family = scored * (scored - 1) / 2;
        let sampling = bounded(sampling, wanted.len(), family, cells[best].len());
        let (places, p): (Vec<_>, Vec<f64>) = wanted
            .into_iter()
            .filter_map(|(a, b)| Some(((a, b), comparison::test(cells[a], cells[b], sampling)?.p())))
            .unzip();
        let adjusted = holm::adjusted(&p, family);
        let pairs = places.into_iter().zip(adjusted).map(|((a, b), p)| (a, b, p)).collect();
        let found = Self {
            best: Some(best),
            winner: None,
            not_told_apart: vec![best],
            shared_items: shared.len(),
            adjusted_p: vec![None; cells.len()],
            pairs,
            family,
        };
        found.told(best, cells, sampling)
    }

    /// Who is told apart from the best. Intervals are made of these pairs only: of others nothing is said.
    fn told(mut self, best: usize, cells: &[&Column], sampling: Sampling) -> Self {
        for &(a, b, p) in self.pairs.iter().filter(|(a, b, _)| *a == best || *b == best) {
            let other = if a == best { b } else { a };
            self.adjusted_p[other] = Some(p);
            // The test was made; without flips it is not made once more.
            let compared = Comparison::new(cells[a], cells[b], Sampling { flips: 0, ..sampling });
            let beaten = if a == best { Verdict::ABetter } else { Verdict::BBetter };
            if compared.is_none_or(|compared| Comparison { adjusted_p: p, ..compared }.verdict() != beaten) {
                self.not_told_apart.push(other);
            }
        }
        let alone = self.not_told_apart.len() == 1 && self.adjusted_p.iter().any(Option::is_some);
        self.winner = alone.then_some(best);
        self
    }

    /// How many pairs of cells the correction is for: all that have scores.
    pub fn family(&self) -> usize {
        self.family
    }

    /// The p value of two cells, by place, after correction for all pairs: the one that the ranking goes by. Of a pair that was not
    /// tested, `p` counts in full: any other may have been smaller.
    pub fn corrected(&self, (a, b): (usize, usize), p: f64) -> f64 {
        let cells = (a.min(b), a.max(b));
        let tested = self.pairs.iter().find(|(a, b, _)| cells == (*a, *b));
        tested.map_or((p * self.family.max(1) as f64).min(1.0), |(_, _, adjusted)| *adjusted)
    }

    /// The same in a sentence.
    pub fn sentence(&self, names: &[String]) -> String {
        let name = |&place: &usize| names.get(place).map_or("?", String::as_str);
        match (self.winner, self.not_told_apart.as_slice()) {
            (Some(winner), _) => {
                let beaten = self.adjusted_p.iter().flatten().count();
                match beaten + 1 < names.len() {
                    true => format!("{} beats the other {beaten} of the cells that were left", name(&winner)),
                    false => format!("{} beats every other cell", name(&winner)),
                }
            }
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

/// As many flips as a correction over a family of pairs asks for, or none where they would take too long: with fewer, no
/// p value could stay small after the correction, whatever the difference.
fn bounded(sampling: Sampling, pairs: usize, family: usize, items: usize) -> Sampling {
    let wanted = sampling.flips.max(family * FLIPS_A_PAIR);
    let afforded = MOST_FLIPS / (pairs.max(1) * items.max(1));
    let flips = if wanted <= afforded { wanted } else { 0 };
    let resamples = sampling.resamples.min(RESAMPLES).min(afforded.max(LEAST_RESAMPLES));
    Sampling { flips, resamples, ..sampling }
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

    /// Scores between 0 and 1: flips are few for many cells, and a difference that is in every item is told all the same.
    #[test]
    fn a_winner_among_many_cells_whose_scores_are_no_yes_or_no() {
        for n in [33, 200] {
            let score =
                |cell: u64, item: u64| ((item * 7 + cell * 3) % 11) as f64 / 20.0 + if cell == 5 { 0.4 } else { 0.0 };
            let cells: Vec<Column> = (0..n)
                .map(|cell| {
                    let mut column = Column::new(Unit::Share, Direction::Higher);
                    (0..40).for_each(|item| column.push(item, score(cell, item)));
                    column
                })
                .collect();
            let found = Ranking::new(&cells.iter().collect::<Vec<_>>(), Sampling::default());
            assert_eq!(found.winner, Some(5), "{n} cells");
        }
    }

    #[test]
    fn cells_that_were_left_are_not_said_to_be_beaten_and_pairs_are_corrected_as_in_the_ranking() {
        let (a, b, none) = (yes(200, |item| item < 60), yes(200, |item| item < 150), yes(0, |_| true));
        let found = Ranking::new(&[&a, &b, &none], Sampling::default());
        assert_eq!(found.sentence(&names(3)), "cell 1 beats the other 1 of the cells that were left");
        assert_eq!(found.adjusted_p[0], Some(found.corrected((1, 0), 0.9)));
        let many = Ranking::new(&[&a, &b, &a], Sampling::default());
        assert_eq!(many.family(), 3);
        assert_eq!(many.corrected((0, 7), 0.2), 0.2 * 3.0, "three pairs, of which this is none");
        // The smallest of three counts three times and the largest once.
        let single = |x, y| comparison::test(x, y, Sampling::default()).unwrap().p();
        assert_eq!(many.corrected((0, 2), 0.9), single(&a, &a));
        assert_eq!(many.corrected((0, 1), 0.9), (3.0 * single(&a, &b)).min(1.0));
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
