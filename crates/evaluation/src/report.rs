//! What came of an evaluation: of each target what every scorer says with how sure that is, what it took, and how targets compare.

mod across;
mod classes;
mod judged;
mod score;

use std::collections::{BTreeMap, HashMap};

use qd_base::{Picodollars, VersionId};
use qd_eval::corpus::MOST_ADDED;
use qd_eval::interval::{self, Sampling};
use qd_eval::{Comparison, Direction, Unit, Verdict, holm};
use serde::Serialize;

pub use self::classes::{Classes, OneClass};
pub use self::judged::{Calibration, Corrected, JudgeReport, Measured};
pub use self::score::{Bins, CorpusReport, ScoreReport};
use crate::definition::Definition;
use crate::plan::JudgeFacts;
use crate::scorer::{Look, Reader};
use crate::table::Scored;
use crate::{Error, Result};

/// The seed of intervals and tests: the same rows give the same report.
pub(crate) const SEED: u64 = 0;
/// Resamples of one interval.
const RESAMPLES: usize = 2_000;
/// Differences that are drawn anew or flipped for all comparisons of a report: about a second of work.
const MOST_DRAWN: usize = 500_000_000;
const LEAST_DRAWS: usize = 500;
/// Numbers that are added up for all corpora of a report, and for all of their comparisons: some seconds of work.
const MOST_ADDED_IN_ALL: usize = 5 * MOST_ADDED;

/// What came of an evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Items of the dataset that are looked at.
    pub items: usize,
    /// What was spent on all of it.
    pub spent: Picodollars,
    /// Tokens in and out that were paid for.
    pub tokens: u64,
    /// Calls that were answered and whose price is not known.
    pub unpriced: usize,
    /// Each target.
    pub targets: Vec<TargetReport>,
    /// Pairs of targets held against each other by every score.
    pub comparisons: Vec<Compared>,
}

/// What came of one target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub label: String,
    /// Answers that are there, failed ones and empty cells included.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Items of the dataset that have no answer in the column.
    pub empty: usize,
    /// Answers that were taken from elsewhere.
    pub cached: usize,
    /// What was spent on answers.
    pub spent: Picodollars,
    /// What was spent on scorers that ask models.
    pub spent_on_scorers: Picodollars,
    /// What its calls cost on average, whether they were paid for here or before; none when no price is known.
    pub cost_per_call: Option<f64>,
    /// Milliseconds that half of the calls take at most.
    pub latency_p50_ms: Option<f64>,
    /// Milliseconds that 95 of 100 take at most.
    pub latency_p95_ms: Option<f64>,
    /// Tokens of a call's prompt on average.
    pub input_tokens: Option<f64>,
    /// Tokens of an answer on average.
    pub output_tokens: Option<f64>,
    /// Scores, in the order of the scorers.
    pub scores: Vec<(String, ScoreReport)>,
}

/// Two targets held against each other by one score.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The score.
    pub scorer: String,
    /// The one target.
    pub a: String,
    /// The one that is held against it.
    pub b: String,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Who is better.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub sentence: String,
    /// Pairs of targets that the p value is corrected for (Holm).
    pub family: usize,
}

/// What one comparison may take of what all may.
#[derive(Clone, Copy)]
struct Share {
    draws: usize,
    added: usize,
}

/// The rows of an evaluation, by what they are about.
pub(crate) struct Results<'a> {
    pub definition: &'a Definition,
    pub readers: &'a [Reader],
    pub judges: &'a BTreeMap<String, JudgeFacts>,
    /// How far versions of judges agreed with people, of those that were compared.
    pub calibrations: &'a BTreeMap<VersionId, Calibration>,
    /// The items, in order.
    pub order: &'a [u64],
    answers: HashMap<(&'a str, u64), &'a Scored>,
    paid: HashMap<(&'a str, u64, &'a str), &'a Scored>,
}

impl<'a> Results<'a> {
    pub fn new(
        (definition, readers): (&'a Definition, &'a [Reader]),
        (judges, calibrations): (&'a BTreeMap<String, JudgeFacts>, &'a BTreeMap<VersionId, Calibration>),
        order: &'a [u64],
        rows: &'a [Scored],
    ) -> Self {
        let (mut answers, mut paid) = (HashMap::new(), HashMap::new());
        for row in rows {
            match row.scorer.as_deref() {
                None => drop(answers.insert((row.target.as_str(), row.item), row)),
                Some(scorer) => drop(paid.insert((row.target.as_str(), row.item, scorer), row)),
            }
        }
        Self { definition, readers, judges, calibrations, order, answers, paid }
    }

    /// The whole report.
    pub fn report(&self) -> Report {
        let targets = self.definition.all_targets();
        let rows = || self.answers.values().chain(self.paid.values()).filter(|row| !row.cached && row.was_asked);
        Report {
            items: self.order.len(),
            spent: rows().map(|row| row.spent()).sum(),
            tokens: rows().filter_map(|row| row.usage).map(|usage| usage.total_tokens()).sum(),
            unpriced: rows().filter_map(|row| row.paid()).map(|paid| paid.unpriced as usize).sum(),
            targets: targets.iter().map(|(name, target)| self.target(name, target.label())).collect(),
            comparisons: self.comparisons(&targets.keys().map(String::as_str).collect::<Vec<_>>()),
        }
    }

    fn target(&self, name: &str, label: String) -> TargetReport {
        let rows: Vec<&Scored> = self.order.iter().filter_map(|&item| self.answer(name, item)).collect();
        let told: Vec<&&Scored> = rows.iter().filter(|row| row.was_asked && row.error.is_none()).collect();
        let mean = |of: &dyn Fn(&Scored) -> Option<f64>| {
            interval::mean(&told.iter().filter_map(|row| of(row)).collect::<Vec<_>>())
        };
        let mut latencies: Vec<f64> = told.iter().filter_map(|row| row.latency_ms).collect();
        latencies.sort_unstable_by(f64::total_cmp);
        let percentile = |share| (!latencies.is_empty()).then(|| interval::quantile(&latencies, share));
        let on_scorers = self.paid.iter().filter(|((target, ..), _)| *target == name);
        TargetReport {
            name: name.to_owned(),
            label,
            answers: rows.len(),
            failed: rows.iter().filter(|row| row.error.is_some()).count(),
            empty: rows.iter().filter(|row| row.error.is_none() && !row.has_text).count(),
            cached: rows.iter().filter(|row| row.cached).count(),
            spent: rows.iter().map(|row| row.spent()).sum(),
            spent_on_scorers: on_scorers.map(|(_, row)| row.spent()).sum(),
            cost_per_call: mean(&|row| row.cost.map(Picodollars::as_dollars)),
            latency_p50_ms: percentile(0.5),
            latency_p95_ms: percentile(0.95),
            input_tokens: mean(&|row| row.usage.map(|usage| usage.input_tokens as f64)),
            output_tokens: mean(&|row| row.usage.map(|usage| usage.output_tokens as f64)),
            scores: self.readers.iter().map(|reader| (reader.name().to_owned(), self.score(name, reader))).collect(),
        }
    }

    pub fn answer(&self, target: &str, item: u64) -> Option<&'a Scored> {
        self.answers.get(&(target, item)).copied()
    }

    pub fn told(&self, target: &str, item: u64, scorer: &str) -> Option<&'a Scored> {
        self.paid.get(&(target, item, scorer)).copied()
    }

    pub fn reader(&self, scorer: &str) -> Result<&'a Reader> {
        let found = self.readers.iter().find(|reader| reader.name() == scorer);
        found.ok_or_else(|| Error::definition("scorer", format!("no scorer has the name {scorer:?}")))
    }

    /// What a score counts, and which way is better.
    pub fn kind(&self, reader: &Reader) -> (Unit, Direction) {
        match self.judges.get(reader.name()) {
            Some(facts) if (facts.lowest, facts.highest) == (0.0, 1.0) => (Unit::Share, facts.better),
            Some(facts) => (Unit::Count, facts.better),
            None => (reader.unit(), reader.direction()),
        }
    }

    /// The lowest and the highest score, where there are such: of a judge those of its scale.
    fn bounds(&self, reader: &Reader) -> Option<(f64, f64)> {
        let of_judge = self.judges.get(reader.name()).map(|facts| (facts.lowest, facts.highest));
        of_judge.or_else(|| reader.unit().bounds())
    }

    /// The score of an answer; none when there is none.
    pub fn value(&self, target: &str, item: u64, reader: &Reader) -> Option<f64> {
        let answer = self.answer(target, item)?;
        let row = if reader.is_paid() { self.told(target, item, reader.name()) } else { Some(answer) };
        let score = row.and_then(|row| row.scores.get(reader.name()).copied().flatten());
        score.or_else(|| (self.counts_as_zero(answer, reader)).then_some(0.0))
    }

    /// A failed call is a score of 0 where that is the lowest one and more is better, unless no answer to the item could have one.
    fn counts_as_zero(&self, answer: &Scored, reader: &Reader) -> bool {
        let (_, direction) = self.kind(reader);
        let could_have = answer.details.get(reader.name()).and_then(|detail| detail.why.as_deref());
        let could_have = reader.is_paid() || could_have == Some("no_answer");
        self.definition.count_failures_as_zero
            && answer.error.is_some()
            && self.bounds(reader).is_some_and(|(lowest, _)| lowest == 0.0)
            && direction == Direction::Higher
            && could_have
    }

    /// What one score of one target may take of what all may.
    fn share_of(&self, all: usize) -> usize {
        all / (self.readers.len() * self.definition.all_targets().len()).max(1)
    }

    /// Every pair of targets by every score, p values corrected for all pairs by Holm.
    fn comparisons(&self, targets: &[&str]) -> Vec<Compared> {
        let pairs: Vec<(&str, &str)> = targets
            .iter()
            .enumerate()
            .flat_map(|(place, a)| targets[place + 1..].iter().map(move |b| (*a, *b)))
            .collect();
        let tests = (pairs.len() * self.readers.len()).max(1);
        let share = Share { draws: MOST_DRAWN / (tests * self.order.len()).max(1), added: MOST_ADDED_IN_ALL / tests };
        let mut found = Vec::new();
        for reader in self.readers {
            let mut of_score: Vec<Compared> =
                pairs.iter().filter_map(|&pair| self.compared(pair, reader, share)).collect();
            let p: Vec<f64> = of_score.iter().map(|one| one.comparison.test.p()).collect();
            for (one, adjusted) in of_score.iter_mut().zip(holm::adjusted(&p, p.len())) {
                one.comparison.adjusted_p = adjusted;
                one.family = p.len();
                one.verdict = one.comparison.verdict();
                one.sentence = one.comparison.sentence(&one.a, &one.b, None);
            }
            found.extend(of_score);
        }
        found
    }

    fn compared(&self, (a, b): (&str, &str), reader: &Reader, share: Share) -> Option<Compared> {
        let comparison = held_against((self, a, reader), (self, b, reader), share)?;
        Some(Compared {
            scorer: reader.name().to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            verdict: Verdict::NotShown,
            sentence: String::new(),
            family: 1,
            comparison,
        })
    }
}

/// A target held against another by a score that both have, over the items that both have it for.
fn held_against(
    (here, a, reader): (&Results<'_>, &str, &Reader),
    (there, b, other): (&Results<'_>, &str, &Reader),
    Share { draws, added }: Share,
) -> Option<Comparison> {
    match &reader.look {
        Look::Plain(scorer) if scorer.corpus().is_some() => {
            here.corpus(a, reader)?.compare(&there.corpus(b, other)?, SEED, added.min(MOST_ADDED))
        }
        _ => {
            let flips = if draws < LEAST_DRAWS { 0 } else { draws.min(Sampling::default().flips) };
            let sampling = Sampling { seed: SEED, resamples: draws.clamp(LEAST_DRAWS, RESAMPLES), flips };
            Comparison::new(&here.column(a, reader), &there.column(b, other), sampling)
        }
    }
}

pub(crate) fn sampling() -> Sampling {
    Sampling { seed: SEED, resamples: RESAMPLES, ..Sampling::default() }
}
