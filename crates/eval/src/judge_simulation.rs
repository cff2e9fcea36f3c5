//! Judges, annotators and arms whose truth is known: do intervals hold it as often as they say, however good the judge? Seeded.

use crate::agreement::alpha::{Ratings, Scale};
use crate::agreement::rank::RankedPairs;
use crate::agreement::{Pairs, Weights};
use crate::anytime::{self, Watched, WatchedUnbounded};
use crate::bias::Preference;
use crate::bradley_terry::{self, Match};
use crate::estimate::Estimate;
use crate::interval::{Sampling, wilson};
use crate::ppi::{self, Corrected, PairedSample, Sample, Stratum};
use crate::random::Random;

/// Runs `check` for each on a thread of its own.
fn for_each<T: Copy + Send, R: Send>(all: &[T], check: impl Fn(T) -> R + Sync) -> Vec<(T, R)> {
    std::thread::scope(|scope| {
        let check = &check;
        let threads: Vec<_> = all.iter().map(|&one| scope.spawn(move || (one, check(one)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn share(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

fn yes(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// How well a judge knows what people would say.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Judge {
    /// Right nine times in ten.
    Good,
    /// Says yes six times in ten, whatever it sees.
    Useless,
    /// Right twice in ten.
    Against,
    /// Always says yes.
    Constant,
    /// Says yes to nearly all that is right and half of what is wrong.
    Lenient,
    /// Gives grades instead of yes and no, which know something.
    Graded,
}

const JUDGES: [Judge; 6] =
    [Judge::Good, Judge::Useless, Judge::Against, Judge::Constant, Judge::Lenient, Judge::Graded];

impl Judge {
    fn says(self, truth: f64, random: &mut Random) -> f64 {
        let luck = random.unit();
        match self {
            Self::Good => {
                if luck < 0.9 {
                    truth
                } else {
                    1.0 - truth
                }
            }
            Self::Useless => yes(luck < 0.6),
            Self::Against => {
                if luck < 0.2 {
                    truth
                } else {
                    1.0 - truth
                }
            }
            Self::Constant => 1.0,
            Self::Lenient => yes(luck < if truth > 0.5 { 0.98 } else { 0.5 }),
            Self::Graded => (truth + luck) / 2.0,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    judge: Judge,
    labels: usize,
    right: f64,
}

/// Labels of people and of a judge. With grades, people say how good an answer is instead of yes or no.
fn drawn(case: Case, grades: bool, random: &mut Random) -> Sample {
    const OTHERS: usize = 1_000;
    let truth = |random: &mut Random| {
        let luck = random.unit();
        // Grades have the mean `right` as well: u^((1 − right)/right) of an even u.
        if grades { luck.powf((1.0 - case.right) / case.right) } else { yes(luck < case.right) }
    };
    let item = |random: &mut Random| {
        let truth = truth(random);
        (truth, case.judge.says(truth, random))
    };
    Sample {
        labelled: (0..case.labels).map(|_| item(random)).collect(),
        unlabelled: (0..OTHERS).map(|_| item(random).1).collect(),
    }
}

/// Of many samples: how often the truth is held, the mean width beside that of people's labels alone, labels saved.
#[derive(Debug, Clone, Copy)]
struct Found {
    held: f64,
    width: f64,
    saved: f64,
}

fn repeated(runs: usize, truth: f64, seed: u64, mut one: impl FnMut(&mut Random) -> Corrected) -> Found {
    let mut random = Random::new(seed);
    let (mut held, mut width, mut alone, mut saved) = (0, 0.0, 0.0, 0.0);
    for _ in 0..runs {
        let found = one(&mut random);
        let (interval, humans) = (found.estimate.interval.unwrap(), found.humans.interval.unwrap());
        held += usize::from(interval.low <= truth + 1e-9 && truth - 1e-9 <= interval.high);
        width += interval.high - interval.low;
        alone += humans.high - humans.low;
        saved += found.labels_saved();
    }
    Found { held: share(held, runs), width: width / alone, saved: saved / runs as f64 }
}

/// Whatever the judge is, the interval holds the truth in 93 to 97 of 100 samples, and is never much wider than people's alone; a good
/// judge makes it narrower and saves labels.
#[test]
fn corrected_means_hold_the_truth_whatever_the_judge() {
    let cases: Vec<Case> = JUDGES
        .into_iter()
        .flat_map(|judge| [(100, 0.5), (100, 0.8), (200, 0.9)].map(|(labels, right)| Case { judge, labels, right }))
        .collect();
    for (case, found) in for_each(&cases, |case| {
        repeated(2_000, case.right, 20_260_612, |random| {
            ppi::mean(&drawn(case, false, random), Some((0.0, 1.0))).unwrap().unwrap()
        })
    }) {
        assert!((0.93..=0.97).contains(&found.held), "{case:?} {found:?}");
        assert!(found.width < 1.01, "{case:?} {found:?}");
        match case.judge {
            Judge::Good | Judge::Graded => assert!(found.width < 0.9 && found.saved > 25.0, "{case:?} {found:?}"),
            Judge::Useless | Judge::Against | Judge::Constant => assert!(found.saved.abs() < 5.0, "{case:?} {found:?}"),
            Judge::Lenient => assert!(found.saved > 0.0, "{case:?} {found:?}"),
        }
    }
}

/// The same where people give grades: Student's interval.
#[test]
fn corrected_means_of_grades_hold_the_truth() {
    let cases: Vec<Case> = [Judge::Useless, Judge::Against, Judge::Constant, Judge::Graded]
        .map(|judge| Case { judge, labels: 60, right: 0.6 })
        .to_vec();
    for (case, found) in for_each(&cases, |case| {
        repeated(2_000, case.right, 5, |random| {
            ppi::mean(&drawn(case, true, random), Some((0.0, 1.0))).unwrap().unwrap()
        })
    }) {
        assert!((0.93..=0.97).contains(&found.held), "{case:?} {found:?}");
        assert!(found.width < 1.01, "{case:?} {found:?}");
    }
}

/// Two systems over the same items, and two kinds of items of which the judge knows only one.
#[test]
fn differences_and_strata_hold_the_truth() {
    let found = for_each(&[Judge::Good, Judge::Useless, Judge::Lenient], |judge| {
        let of = |right| Case { judge, labels: 120, right };
        let difference = repeated(1_500, 0.15, 9, |random| {
            let (first, second) = (drawn(of(0.6), false, random), drawn(of(0.75), false, random));
            let labelled = first.labelled.iter().zip(&second.labelled).map(|(a, b)| ((a.0, b.0), (a.1, b.1))).collect();
            let unlabelled = first.unlabelled.into_iter().zip(second.unlabelled).collect();
            ppi::difference(&PairedSample { labelled, unlabelled }, Some((0.0, 1.0))).unwrap().unwrap()
        });
        let strata = repeated(1_500, 0.3 * 0.4 + 0.7 * 0.8, 11, |random| {
            let sample = drawn(Case { judge: Judge::Useless, labels: 60, right: 0.4 }, false, random);
            let known = Stratum { share: 0.7, sample: drawn(Case { judge, labels: 140, right: 0.8 }, false, random) };
            ppi::stratified(&[Stratum { share: 0.3, sample }, known], Some((0.0, 1.0))).unwrap().unwrap()
        });
        (difference, strata)
    });
    for (judge, (difference, strata)) in found {
        assert!((0.93..=0.97).contains(&difference.held), "{judge:?} {difference:?}");
        assert!((0.93..=0.97).contains(&strata.held), "{judge:?} {strata:?}");
        assert!(difference.width < 1.01 && strata.width < 1.01, "{judge:?} {difference:?} {strata:?}");
    }
}

/// Two raters of grades from 1 to 5: each sees the item's worth with an error of its own.
fn rated(items: usize, error: f64, random: &mut Random) -> Vec<(usize, usize)> {
    let mut one = || {
        let worth = random.unit();
        let mut grade = || ((worth + error * (random.unit() - 0.5)).clamp(0.0, 0.999) * 5.0) as usize;
        (grade(), grade())
    };
    (0..items).map(|_| one()).collect()
}

/// One statistic of agreement over two raters' grades.
type Statistic = fn(&[(usize, usize)], Sampling) -> Estimate;

const STATISTICS: [(&str, Statistic); 6] = [
    ("kappa", |of, sampling| Pairs::new(of, 5).unwrap().kappa(Weights::Nominal, sampling).unwrap()),
    ("quadratic kappa", |of, sampling| Pairs::new(of, 5).unwrap().kappa(Weights::Quadratic, sampling).unwrap()),
    ("nominal alpha", |of, sampling| alphas(of, Scale::Nominal, sampling)),
    ("ordinal alpha", |of, sampling| alphas(of, Scale::Ordinal, sampling)),
    ("spearman", |of, sampling| ranked(of).spearman(sampling).unwrap()),
    ("kendall", |of, _| ranked(of).kendall().unwrap()),
];

fn alphas(of: &[(usize, usize)], scale: Scale, sampling: Sampling) -> Estimate {
    let rows: Vec<Vec<Option<f64>>> = of.iter().map(|&(a, b)| vec![Some(a as f64), Some(b as f64)]).collect();
    Ratings::new(&rows).unwrap().alpha(scale, sampling).unwrap().unwrap()
}

fn ranked(of: &[(usize, usize)]) -> RankedPairs {
    RankedPairs::new(&of.iter().map(|&(a, b)| (a as f64, b as f64)).collect::<Vec<_>>()).unwrap()
}

/// Agreement: 93 to 97 of 100, from 50 items on. The truth is that of 200,000 items.
#[test]
fn intervals_of_agreement_hold_the_truth() {
    const RUNS: usize = 800;
    let cases: Vec<(usize, usize, f64)> =
        (0..STATISTICS.len()).flat_map(|place| [(place, 50, 0.5), (place, 100, 0.9)]).collect();
    for ((place, items, error), held) in for_each(&cases, |(place, items, error)| {
        let (_, statistic) = STATISTICS[place];
        let none = Sampling { resamples: 0, ..Sampling::default() };
        let truth = statistic(&rated(200_000, error, &mut Random::new(1)), none).value;
        let mut random = Random::new(2);
        let sampling = Sampling { resamples: 300, ..Sampling::default() };
        let mut holds = || statistic(&rated(items, error, &mut random), sampling).interval.unwrap().contains(truth);
        share((0..RUNS).filter(|_| holds()).count(), RUNS)
    }) {
        assert!((0.93..=0.97).contains(&held), "{} of {items} with {error}: {held}", STATISTICS[place].0);
    }
}

/// What scores a stream has.
#[derive(Debug, Clone, Copy)]
enum Stream {
    /// Right with this chance.
    Right(f64),
    /// A score between 0 and 1 that varies little about 0.7.
    Narrow,
    /// Right with a chance that falls from 0.9 to 0.5.
    Falling,
}

impl Stream {
    /// A score and its expectation.
    fn next(self, place: usize, of: usize, random: &mut Random) -> (f64, f64) {
        let luck = random.unit();
        match self {
            Self::Right(chance) => (yes(luck < chance), chance),
            Self::Narrow => (0.6 + 0.2 * luck, 0.7),
            Self::Falling => {
                let chance = 0.9 - 0.4 * place as f64 / of as f64;
                (yes(luck < chance), chance)
            }
        }
    }
}

/// Who looks after every score sees the usual interval fail sooner or later; this one holds all along in 95 of 100 streams or more.
#[test]
fn looking_after_every_score() {
    const STREAMS: usize = 300;
    const SCORES: usize = 1_000;
    let all = [Stream::Right(0.5), Stream::Right(0.9), Stream::Right(0.99), Stream::Narrow, Stream::Falling];
    for (stream, (failed, usual)) in for_each(&all, |stream| {
        let mut random = Random::new(3);
        let (mut failed, mut usual) = (0, 0);
        for _ in 0..STREAMS {
            let mut watched = Watched::default();
            let (mut out, mut usual_out, mut expected) = (false, false, 0.0);
            for place in 0..SCORES {
                let (score, expectation) = stream.next(place, SCORES, &mut random);
                watched.push(score).unwrap();
                expected += expectation;
                let (n, truth) = (watched.count(), expected / watched.count() as f64);
                out |= !watched.holds(truth);
                let right = (watched.mean().unwrap() * n as f64).round() as u64;
                usual_out |= n >= 20 && !wilson(right, n).contains(truth);
            }
            failed += usize::from(out);
            usual += usize::from(usual_out);
        }
        (share(failed, STREAMS), share(usual, STREAMS))
    }) {
        assert!(failed <= 0.05, "{stream:?}: {failed}");
        if matches!(stream, Stream::Right(chance) if chance < 0.95) {
            assert!(usual > 0.25, "{stream:?}: the usual interval failed in {usual}");
        }
    }
}

/// Two arms of a deployment: a difference that is not there is not shown at any time in 95 of 100, and one that is, is found.
#[test]
fn two_arms_watched_all_along() {
    const STREAMS: usize = 100;
    const SCORES: usize = 600;
    // Shares right of both, and whether "worse by more than 0.05" is true.
    let all = [(0.8, 0.8, false), (0.85, 0.8, false), (0.5, 0.45, false), (0.9, 0.6, true)];
    for ((a, b, is_worse), (failed, shown)) in for_each(&all, |(a, b, _)| {
        let mut random = Random::new(4);
        let (mut failed, mut shown) = (0, 0);
        for _ in 0..STREAMS {
            let (mut first, mut second) = (Watched::default(), Watched::default());
            let (mut out, mut alarmed) = (false, false);
            for place in 0..SCORES {
                // One of three goes to the second arm.
                let (arm, chance) = if random.unit() < 1.0 / 3.0 { (&mut second, b) } else { (&mut first, a) };
                arm.push(yes(random.unit() < chance)).unwrap();
                let left_out = !anytime::holds_pair(&first, a, &second, b);
                out |= left_out;
                // The e-value is at most what bets against the true pair made, so it need be looked at only where that is much.
                let look = place % 50 == 49 || left_out;
                alarmed = alarmed || look && anytime::worse_by_more(&first, &second, 0.05).is_shown();
            }
            failed += usize::from(out);
            shown += usize::from(alarmed);
        }
        (share(failed, STREAMS), share(shown, STREAMS))
    }) {
        // The interval of the difference leaves the truth out only where the pair itself is left out.
        assert!(failed <= 0.05, "{a} {b}: {failed}");
        match is_worse {
            true => assert!(shown > 0.95, "{a} {b}: shown in {shown}"),
            false => assert!(shown <= 0.05, "{a} {b}: shown in {shown}"),
        }
    }
}

/// Milliseconds with a long tail: about 95 of 100 hold all along, from the hundredth score on.
#[test]
fn unbounded_scores_watched_all_along() {
    const STREAMS: usize = 200;
    let mut random = Random::new(6);
    let mut failed = 0;
    for _ in 0..STREAMS {
        let mut watched = WatchedUnbounded::default();
        let mut out = false;
        for _ in 0..1_000 {
            // Exponential, with the mean 200.
            watched.push(-200.0 * (1.0 - random.unit()).ln()).unwrap();
            out |= watched.interval().is_some_and(|interval| !interval.contains(200.0));
        }
        failed += usize::from(out);
    }
    assert!(share(failed, STREAMS) <= 0.06, "{failed}");
}

/// Strengths of models whose chances are known: intervals of pairs, and all ranks together.
#[test]
fn strengths_and_ranks_hold_the_truth() {
    const RUNS: usize = 400;
    const THETA: [f64; 5] = [0.9, 0.4, 0.35, -0.5, -1.15];
    const TIE: f64 = 0.6;
    let mut random = Random::new(8);
    let (mut held, mut ranks, mut pairs) = (0, 0, 0);
    for _ in 0..RUNS {
        let mut play = || {
            let first = random.below(5);
            let second = (first + 1 + random.below(4)) % 5;
            let apart = (THETA[first] - THETA[second]) / 2.0;
            let (one, other) = (apart.exp(), (-apart).exp());
            let luck = random.unit() * (one + other + TIE);
            let preferred = match () {
                () if luck < one => Preference::First,
                () if luck < one + other => Preference::Second,
                () => Preference::Tie,
            };
            Match { first, second, preferred }
        };
        let matches: Vec<Match> = (0..400).map(|_| play()).collect();
        let found = bradley_terry::fit(5, &matches, bradley_terry::RIDGE).unwrap();
        for (a, one) in THETA.iter().enumerate() {
            for (b, other) in THETA[..a].iter().enumerate() {
                held += usize::from(found.apart(a, b).1.contains(one - other));
                pairs += 1;
            }
        }
        // THETA is in descending order.
        let within = |(place, model): (usize, &bradley_terry::Strength)| {
            (model.rank.best..=model.rank.worst).contains(&(place + 1))
        };
        ranks += usize::from(found.models.iter().enumerate().all(within));
    }
    assert!((0.93..=0.97).contains(&share(held, pairs)), "pairs: {}", share(held, pairs));
    assert!(share(ranks, RUNS) >= 0.95, "ranks: {}", share(ranks, RUNS));
}
