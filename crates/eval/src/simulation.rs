//! Do intervals hold the truth as often as they say, and do tests cry wolf no more often than they say? Seeded.

use crate::column::Column;
use crate::comparison::{Comparison, Verdict};
use crate::interval::{self, Sampling};
use crate::paired;
use crate::random::Random;
use crate::ranking::Ranking;
use crate::score::{Direction, Unit};

/// Two cells whose accuracies are known: on a share `together` of the items both go by one draw, on the others each by
/// its own. So each is right with its own probability, and they are the more alike the larger the share.
#[derive(Debug, Clone, Copy)]
struct Cells {
    items: u64,
    a: f64,
    b: f64,
    together: f64,
}

const fn cells(items: u64, a: f64, b: f64, together: f64) -> Cells {
    Cells { items, a, b, together }
}

impl Random {
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Cells {
    fn draw(self, random: &mut Random, repeats: usize) -> (Column, Column) {
        let mut columns = [(); 2].map(|()| Column::new(Unit::Share, Direction::Higher));
        for item in 0..self.items {
            let (both, own) = (random.unit(), random.unit());
            let luck = if random.unit() < self.together { [both, both] } else { [both, own] };
            for ((column, share), luck) in columns.iter_mut().zip([self.a, self.b]).zip(luck) {
                let right = luck < share;
                column.push(item, f64::from(u8::from(right)));
                for _ in 1..repeats {
                    // A repeat says the same as before, mostly.
                    let again = if random.unit() < 0.7 { right } else { random.unit() < share };
                    column.push(item, f64::from(u8::from(again)));
                }
            }
        }
        let [a, b] = columns;
        (a, b)
    }

    /// Items of which only one is right, as expected.
    fn discordant(self) -> f64 {
        let apart = self.a * (1.0 - self.b) + self.b * (1.0 - self.a);
        self.items as f64 * ((1.0 - self.together) * apart + self.together * (self.a - self.b).abs())
    }
}

const DIFFERENT: &[Cells] = &[
    cells(50, 0.5, 0.6, 0.3),
    cells(50, 0.7, 0.75, 0.0),
    cells(80, 0.1, 0.2, 0.5),
    cells(100, 0.9, 0.95, 0.3),
    cells(120, 0.3, 0.3, 0.6),
    cells(200, 0.8, 0.85, 0.6),
    cells(300, 0.95, 0.95, 0.4),
    cells(500, 0.6, 0.63, 0.7),
];

const SAME: &[Cells] = &[
    cells(50, 0.5, 0.5, 0.0),
    cells(50, 0.7, 0.7, 0.3),
    cells(100, 0.1, 0.1, 0.2),
    cells(100, 0.9, 0.9, 0.3),
    cells(100, 0.5, 0.5, 0.7),
    cells(200, 0.3, 0.3, 0.5),
    cells(200, 0.95, 0.95, 0.2),
    cells(500, 0.8, 0.8, 0.6),
    cells(500, 0.95, 0.95, 0.5),
];

fn share(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

/// Runs `check` for each on a thread of its own.
fn for_each<T: Send>(all: &[Cells], check: impl Fn(Cells) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter()
            .map(|&cells| {
                scope.spawn({
                    let check = &check;
                    move || check(cells)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Each of these cells on its own, and all together: 93 to 97 times in 100.
#[test]
fn intervals_hold_the_truth() {
    const RUNS: usize = 1_000;
    let sampling = Sampling { seed: 1, resamples: 400, flips: 0 };
    let found = for_each(DIFFERENT, |cells| {
        let mut random = Random::new(20_260_131);
        let (mut one, mut difference) = (0, 0);
        for _ in 0..RUNS {
            let (a, b) = cells.draw(&mut random, 1);
            one += usize::from(a.interval(sampling).unwrap().contains(cells.a));
            let differences: Vec<f64> = a.pairs(&b).iter().map(|(a, b)| b - a).collect();
            let interval = interval::bootstrap_mean(&differences, Some((-1.0, 1.0)), sampling).unwrap();
            // The truth may lie exactly on the lattice of means.
            let truth = cells.b - cells.a;
            difference += usize::from(interval.low <= truth + 1e-9 && truth - 1e-9 <= interval.high);
        }
        (cells, share(one, RUNS), share(difference, RUNS))
    });
    for (cells, one, difference) in &found {
        assert!((0.93..=0.97).contains(one), "{cells:?}: one cell's interval holds {one}");
        assert!((0.93..=0.97).contains(difference), "{cells:?}: the difference's interval holds {difference}");
    }
}

/// Each of these cells on its own, where chance can reach 5 % at all, and all together: between 3 and 7 %.
#[test]
fn tests_cry_wolf_as_often_as_they_say() {
    const RUNS: usize = 4_000;
    let found = for_each(SAME, |cells| {
        let mut random = Random::new(42);
        let wolf = |random: &mut Random| {
            let (a, b) = cells.draw(random, 1);
            let only = |of: f64| a.pairs(&b).iter().filter(|(a, b)| b - a == of).count() as u64;
            paired::mcnemar(only(-1.0), only(1.0)).p() <= 0.05
        };
        (cells, share((0..RUNS).filter(|_| wolf(&mut random)).count(), RUNS))
    });
    for (cells, rate) in &found {
        assert!(cells.discordant() > 10.0, "{cells:?} is for the test below");
        assert!((0.03..=0.07).contains(rate), "{cells:?}: {rate}");
    }
}

/// Few items on which the two differ leave few outcomes: then the test errs on the side of saying nothing.
#[test]
fn with_few_differing_items_tests_are_careful() {
    let cells = cells(50, 0.95, 0.95, 0.5);
    let mut random = Random::new(5);
    let wolf = |random: &mut Random| {
        let (a, b) = cells.draw(random, 1);
        Comparison::new(&a, &b, Sampling { resamples: 100, ..Sampling::default() }).unwrap().verdict()
            != Verdict::NotShown
    };
    let rate = share((0..1_000).filter(|_| wolf(&mut random)).count(), 1_000);
    assert!(rate < 0.05, "{rate}");
}

/// Items answered three times, which are one item each: the sign-flip test, and the interval of the difference.
#[test]
fn repeats_are_no_items_of_their_own() {
    const RUNS: usize = 500;
    let sampling = Sampling { seed: 9, resamples: 300, flips: 199 };
    let found = for_each(&[cells(60, 0.5, 0.5, 0.3), cells(120, 0.8, 0.8, 0.5)], |cells| {
        let mut random = Random::new(77);
        let (mut wolf, mut held) = (0, 0);
        for _ in 0..RUNS {
            let (a, b) = cells.draw(&mut random, 3);
            let found = Comparison::new(&a, &b, sampling).unwrap();
            wolf += usize::from(found.test.p() <= 0.05);
            held += usize::from(found.interval.unwrap().contains(0.0));
        }
        (cells, share(wolf, RUNS), share(held, RUNS))
    });
    for (cells, wolf, held) in &found {
        assert!((0.03..=0.07).contains(wolf), "{cells:?}: {wolf}");
        assert!((0.93..=0.97).contains(held), "{cells:?}: {held}");
    }
}

/// Six cells that are all the same: a winner is named in at most 5 of 100 sweeps.
#[test]
fn a_sweep_over_noise_has_no_winner() {
    const SWEEPS: usize = 300;
    let mut random = Random::new(11);
    let sampling = Sampling { resamples: 100, ..Sampling::default() };
    let mut sweep = || {
        let pairs: Vec<_> = (0..3).map(|_| cells(100, 0.6, 0.6, 0.3).draw(&mut random, 1)).collect();
        let columns: Vec<&Column> = pairs.iter().flat_map(|(a, b)| [a, b]).collect();
        let ranking = Ranking::new(&columns, sampling);
        ranking.not_told_apart.len() < columns.len()
    };
    let rate = share((0..SWEEPS).filter(|_| sweep()).count(), SWEEPS);
    assert!(rate <= 0.05, "the best of six equal cells was told apart from any other in {rate}");
}
