//! What came of an experiment: each cell's scores, costs and times, and whether there is a winner.

use std::collections::{BTreeMap, HashMap, HashSet};

use qd_base::Picodollars;
use qd_eval::interval::{self, Sampling};
use qd_eval::pareto::{self, Point};
use qd_eval::{Column, Comparison, Direction, Interval, Ranking, Scorer, Scorers, Unit, Verdict};
use serde::Serialize;

use crate::cell::Cell;
use crate::definition::{Definition, Search};
use crate::rung;
use crate::table::Scored;
use crate::{Error, Result};

/// The seed of intervals and tests: the same rows give the same report.
const SEED: u64 = 0;
/// Resamples of one cell's interval in a report.
const RESAMPLES: usize = 2_000;

/// The rows of an experiment, by what they are about.
pub struct Results<'a> {
    definition: &'a Definition,
    scorers: &'a Scorers,
    cells: &'a [Cell],
    /// The items, in the order in which they are asked.
    order: &'a [u64],
    rows: HashMap<&'a str, Vec<&'a Scored>>,
}

/// What came of an experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The scorer that cells are ranked by.
    pub metric: String,
    /// Items of the dataset that are asked about.
    pub items: usize,
    /// Answers that are there.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Answers that were taken from earlier experiments.
    pub cached: usize,
    /// What was spent on all of it.
    pub spent: Picodollars,
    /// Tokens in and out that were paid for.
    pub tokens: u64,
    /// Each cell.
    pub cells: Vec<CellReport>,
    /// Which cell is best, by identifier.
    pub best: Option<String>,
    /// Which cell beats all others.
    pub winner: Option<String>,
    /// Cells that are not told apart from the best, which is the first.
    pub not_told_apart: Vec<String>,
    /// The same in a sentence.
    pub sentence: String,
    /// Of a halving search: on how many items cells were chosen. Those items say nothing about the cells that were chosen by
    /// them, so statistics of these are made of the other items only.
    pub chosen_on: Option<usize>,
}

/// What came of one cell.
#[derive(Debug, Clone, Serialize)]
pub struct CellReport {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Answers that are there.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Answers that were taken from earlier experiments.
    pub cached: usize,
    /// Of a halving search: the rung after which it was left, from 1.
    pub left_after: Option<usize>,
    /// Scores by name.
    pub scores: BTreeMap<String, CellScore>,
    /// What was spent on it.
    pub spent: Picodollars,
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
    /// Whether no other cell is at least as good, cheap and fast, and better in one of these; by the estimates as they are.
    pub on_front: bool,
    /// The p value against the best cell, corrected for all pairs of cells.
    pub adjusted_p: Option<f64>,
}

/// One score of a cell.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CellScore {
    /// The mean over items.
    pub mean: Option<f64>,
    /// Where it lies, with 95 % confidence.
    pub interval: Option<Interval>,
    /// Items that have a score.
    pub items: usize,
    /// Answers that have none.
    pub missing: usize,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
}

/// Two cells held against each other by one score.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The score.
    pub scorer: String,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Who is better.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub sentence: String,
    /// Pairs of cells that the p value is corrected for (Holm): all that are in the race and have this score. None for a planned
    /// comparison.
    pub family: Option<usize>,
}

impl<'a> Results<'a> {
    /// The rows of an experiment.
    pub fn new(
        definition: &'a Definition,
        scorers: &'a Scorers,
        cells: &'a [Cell],
        order: &'a [u64],
        scored: &'a [Scored],
    ) -> Self {
        let mut rows: HashMap<&str, Vec<&Scored>> = HashMap::new();
        for row in scored {
            rows.entry(&row.cell).or_default().push(row);
        }
        Self { definition, scorers, cells, order, rows }
    }

    fn of(&self, cell: &Cell) -> &[&'a Scored] {
        self.rows.get(cell.id.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The scores of a cell on some of the items.
    pub fn column(&self, cell: &Cell, scorer: &Scorer, items: &HashSet<u64>) -> Column {
        let mut column = Column::new(scorer.unit(), scorer.direction());
        for row in self.of(cell).iter().filter(|row| items.contains(&row.item)) {
            if let Some(score) = self.score(row, scorer) {
                column.push(row.item, score);
            }
        }
        column
    }

    /// A failure is a score of 0 where it says that nothing was right, if the definition wants it so, and if an answer could
    /// have had a score: a failed call does not name one that no answer to the item could have.
    fn score(&self, row: &Scored, scorer: &Scorer) -> Option<f64> {
        let quality = scorer.unit().bounds().is_some() && scorer.direction() == Direction::Higher;
        let told = row.scores.get(scorer.name());
        let zero = row.error.is_some() && quality && told.is_some() && self.definition.count_failures_as_zero;
        told.copied().flatten().or_else(|| zero.then_some(0.0))
    }

    fn metric(&self) -> &Scorer {
        let name = self.definition.metric(self.scorers);
        self.scorers.find(name).unwrap_or_else(|| self.scorers.first())
    }

    /// Which cells are left after each rung whose answers are all there, the last entry being those that are left now.
    pub fn rungs(&self) -> Vec<Vec<usize>> {
        let mut alive = vec![(0..self.cells.len()).collect::<Vec<_>>()];
        let Search::Halving { factor, .. } = self.definition.search else { return alive };
        let sizes = rung::rungs(self.definition.search, self.order.len(), self.cells.len());
        for &size in &sizes[..sizes.len() - 1] {
            let now = alive.last().cloned().unwrap_or_default();
            if !now.iter().all(|&cell| self.has_answered(&self.cells[cell], size)) {
                break;
            }
            alive.push(self.survivors(&now, size, factor));
        }
        alive
    }

    fn has_answered(&self, cell: &Cell, items: usize) -> bool {
        let there: HashSet<(u64, u32)> = self.of(cell).iter().map(|row| (row.item, row.repeat)).collect();
        let repeats = self.definition.repeats;
        self.order[..items].iter().all(|&item| (0..repeats).all(|repeat| there.contains(&(item, repeat))))
    }

    fn survivors(&self, alive: &[usize], size: usize, factor: usize) -> Vec<usize> {
        let seen: HashSet<u64> = self.order[..size].iter().copied().collect();
        let columns: Vec<Column> =
            alive.iter().map(|&cell| self.column(&self.cells[cell], self.metric(), &seen)).collect();
        rung::survivors(alive, &columns.iter().collect::<Vec<_>>(), factor)
    }

    /// The items that statistics are made of: those by which no cell was chosen.
    fn fresh(&self) -> (HashSet<u64>, Option<usize>) {
        let sizes = rung::rungs(self.definition.search, self.order.len(), self.cells.len());
        let passed = self.rungs().len() - 1;
        let chosen_on = passed.checked_sub(1).map(|last| sizes[last]);
        (self.order[chosen_on.unwrap_or(0)..].iter().copied().collect(), chosen_on)
    }

    /// The whole report.
    pub fn report(&self) -> Report {
        let (fresh, chosen_on) = self.fresh();
        let all: HashSet<u64> = self.order.iter().copied().collect();
        let rungs = self.rungs();
        let left_after = |cell: usize| rungs.iter().position(|alive| !alive.contains(&cell));
        let mut cells: Vec<CellReport> = Vec::new();
        for (place, cell) in self.cells.iter().enumerate() {
            let left = left_after(place);
            cells.push(self.cell(cell, left, if left.is_some() { &all } else { &fresh }));
        }
        let ranking = self.ranking(self.metric(), &fresh);
        self.put_front(&mut cells);
        for (cell, &p) in cells.iter_mut().zip(&ranking.adjusted_p) {
            cell.adjusted_p = p;
        }
        self.told(cells, &ranking, chosen_on)
    }

    /// The cells by a score. One that was left is out of the race: it was asked about fewer items.
    fn ranking(&self, scorer: &Scorer, fresh: &HashSet<u64>) -> Ranking {
        let (rungs, none) = (self.rungs(), HashSet::new());
        let racing = |place: usize| rungs.last().is_none_or(|alive| alive.contains(&place));
        let columns: Vec<Column> = self
            .cells
            .iter()
            .enumerate()
            .map(|(place, cell)| self.column(cell, scorer, if racing(place) { fresh } else { &none }))
            .collect();
        Ranking::new(&columns.iter().collect::<Vec<_>>(), sampling())
    }

    fn told(&self, cells: Vec<CellReport>, ranking: &Ranking, chosen_on: Option<usize>) -> Report {
        let id = |place: usize| self.cells[place].id.clone();
        let labels: Vec<String> = self.cells.iter().map(|cell| format!("{} ({})", cell.id, cell.label)).collect();
        let paid = self.rows.values().flatten().filter(|row| !row.cached);
        Report {
            metric: self.metric().name().to_owned(),
            items: self.order.len(),
            answers: cells.iter().map(|cell| cell.answers).sum(),
            failed: cells.iter().map(|cell| cell.failed).sum(),
            cached: cells.iter().map(|cell| cell.cached).sum(),
            spent: cells.iter().map(|cell| cell.spent).sum(),
            tokens: paid.filter_map(|row| row.usage).map(|usage| usage.total_tokens()).sum(),
            best: ranking.best.map(id),
            winner: ranking.winner.map(id),
            not_told_apart: ranking.not_told_apart.iter().map(|&place| id(place)).collect(),
            sentence: self.sentence(ranking, &labels, &cells),
            chosen_on,
            cells,
        }
    }

    /// The ranking in a sentence; of two cells the difference itself.
    fn sentence(&self, ranking: &Ranking, labels: &[String], cells: &[CellReport]) -> String {
        if let [a, b] = self.cells
            && let Ok(compared) = self.compare(&a.id, &b.id, true)
            && let Some(compared) = compared.into_iter().find(|compared| compared.scorer == self.metric().name())
        {
            return compared.sentence;
        }
        let interval = ranking.winner.and_then(|winner| {
            let score = cells[winner].scores.get(self.metric().name())?;
            let (mean, interval) = (score.mean?, score.interval?);
            let ends = format!("{}, {}", score.unit.digits(interval.low), score.unit.digits(interval.high));
            Some(format!(", with {} [{ends}]", score.unit.words(mean)))
        });
        ranking.sentence(labels) + &interval.unwrap_or_default()
    }

    fn cell(&self, cell: &Cell, left_after: Option<usize>, items: &HashSet<u64>) -> CellReport {
        let rows = self.of(cell);
        let scores = self.scorers.iter().map(|scorer| {
            let column = self.column(cell, scorer, items);
            let missing =
                rows.iter().filter(|row| items.contains(&row.item) && self.score(row, scorer).is_none()).count();
            let score = CellScore {
                mean: column.mean(),
                interval: column.interval(sampling()),
                items: column.len(),
                missing,
                unit: column.unit,
                direction: column.direction,
            };
            (scorer.name().to_owned(), score)
        });
        let answered: Vec<&&Scored> = rows.iter().filter(|row| row.error.is_none()).collect();
        let mean = |of: &dyn Fn(&Scored) -> Option<f64>| {
            interval::mean(&answered.iter().filter_map(|row| of(row)).collect::<Vec<_>>())
        };
        let mut latencies: Vec<f64> = answered.iter().filter_map(|row| row.latency_ms).collect();
        latencies.sort_unstable_by(f64::total_cmp);
        let percentile = |share| (!latencies.is_empty()).then(|| interval::quantile(&latencies, share));
        CellReport {
            cell: cell.clone(),
            answers: rows.len(),
            failed: rows.len() - answered.len(),
            cached: rows.iter().filter(|row| row.cached).count(),
            left_after,
            scores: scores.collect(),
            spent: rows.iter().map(|row| row.spent()).sum(),
            cost_per_call: mean(&|row| row.cost.map(Picodollars::as_dollars)),
            latency_p50_ms: percentile(0.5),
            latency_p95_ms: percentile(0.95),
            input_tokens: mean(&|row| row.usage.map(|usage| usage.input_tokens as f64)),
            output_tokens: mean(&|row| row.usage.map(|usage| usage.output_tokens as f64)),
            on_front: false,
            adjusted_p: None,
        }
    }

    fn put_front(&self, cells: &mut [CellReport]) {
        let metric = self.metric();
        let points: Vec<Point> = cells
            .iter()
            .map(|cell| Point {
                loss: cell
                    .scores
                    .get(metric.name())
                    .filter(|_| cell.left_after.is_none())
                    .and_then(|score| score.mean)
                    .map(|mean| -metric.direction().oriented(mean)),
                cost: cell.cost_per_call,
                latency: cell.latency_p50_ms,
            })
            .collect();
        for (cell, on_front) in cells.iter_mut().zip(pareto::front(&points)) {
            cell.on_front = on_front;
        }
    }

    /// Holds a cell against another by every score, over the items that both answered and by which neither was chosen.
    ///
    /// Whoever picks two cells out of a sweep has looked at all pairs of those that are in the race: of each score, p values are
    /// corrected for all pairs by Holm, as the ranking does, unless `planned` says that these two were to be compared before anything
    /// was seen.
    ///
    /// # Errors
    /// [`Error::NoCell`] for a cell that there is not.
    pub fn compare(&self, a: &str, b: &str, planned: bool) -> Result<Vec<Compared>> {
        let (a, b) = (self.find(a)?, self.find(b)?);
        let (fresh, _) = self.fresh();
        let rankings = (!planned).then(|| self.rankings(&fresh));
        Ok(self.held((a, b), (&a.id, &b.id), &fresh, rankings.as_deref()))
    }

    /// Holds the cells of each pair against each other, in sentences that call them by these names. P values are corrected for
    /// all pairs of cells that are in the race.
    pub(crate) fn compare_pairs(&self, pairs: &[(&Cell, &Cell)], names: (&str, &str)) -> Vec<Vec<Compared>> {
        let (fresh, _) = self.fresh();
        let rankings = self.rankings(&fresh);
        pairs.iter().map(|&pair| self.held(pair, names, &fresh, Some(&rankings))).collect()
    }

    /// The cells by each score, in the order of the scorers.
    fn rankings(&self, fresh: &HashSet<u64>) -> Vec<Ranking> {
        self.scorers.iter().map(|scorer| self.ranking(scorer, fresh)).collect()
    }

    fn held(
        &self,
        (a, b): (&Cell, &Cell),
        names: (&str, &str),
        fresh: &HashSet<u64>,
        rankings: Option<&[Ranking]>,
    ) -> Vec<Compared> {
        let places = (self.place(a), self.place(b));
        let costs = |cell: &Cell| self.cell(cell, None, fresh).cost_per_call;
        let costs = costs(a).zip(costs(b));
        let compare = |(at, scorer): (usize, &Scorer)| {
            let (first, second) = (self.column(a, scorer, fresh), self.column(b, scorer, fresh));
            let mut comparison = Comparison::new(&first, &second, Sampling { seed: SEED, ..Sampling::default() })?;
            let ranking = rankings.map(|rankings| &rankings[at]);
            if let Some(ranking) = ranking {
                comparison.adjusted_p = ranking.corrected(places, comparison.test.p());
            }
            let costs = costs.filter(|_| scorer.unit() != Unit::Dollars);
            Some(Compared {
                scorer: scorer.name().to_owned(),
                verdict: comparison.verdict(),
                sentence: comparison.sentence(names.0, names.1, costs),
                family: ranking.map(|ranking| ranking.family()),
                comparison,
            })
        };
        self.scorers.iter().enumerate().filter_map(compare).collect()
    }

    fn place(&self, cell: &Cell) -> usize {
        self.cells.iter().position(|known| known.id == cell.id).unwrap_or(self.cells.len())
    }

    /// The cell of this identifier or label.
    pub(crate) fn find(&self, cell: &str) -> Result<&'a Cell> {
        find(self.cells, cell)
    }

    /// Items on which cells differ in a score, in the order in which they are asked.
    ///
    /// # Errors
    /// [`Error::Definition`] for a score that there is not.
    pub fn disagreements(&self, cells: &[&Cell], scorer: &str) -> Result<Vec<u64>> {
        let unknown = || Error::definition("disagree", format!("no scorer has the name {scorer:?}"));
        let scorer = self.scorers.find(scorer).ok_or_else(unknown)?;
        let all: HashSet<u64> = self.order.iter().copied().collect();
        let columns: Vec<Column> = cells.iter().map(|cell| self.column(cell, scorer, &all)).collect();
        let differ = |item: &u64| {
            let mut scores = columns.iter().filter_map(|column| column.get(*item));
            scores.next().is_some_and(|first| scores.any(|other| (other - first).abs() > 1e-9))
        };
        Ok(self.order.iter().copied().filter(differ).collect())
    }
}

/// The cell of this identifier or label.
pub(crate) fn find<'a>(cells: &'a [Cell], cell: &str) -> Result<&'a Cell> {
    let found = cells.iter().find(|known| known.id == cell || known.label == cell);
    found.ok_or_else(|| Error::NoCell { cell: cell.to_owned(), there: format!("c1 to c{}", cells.len()) })
}

fn sampling() -> Sampling {
    Sampling { seed: SEED, resamples: RESAMPLES, ..Sampling::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::tests::definition;
    use crate::table::tests::row;

    fn cell(id: &str) -> Cell {
        Cell {
            id: id.to_owned(),
            label: id.to_owned(),
            place: 0,
            prompt: "p".to_owned(),
            version: 1,
            model: "m".to_owned(),
            parameters: serde_json::Map::new(),
            shots: None,
            choose: None,
        }
    }

    /// Rows of three cells on 100 items, right or wrong by two scores.
    fn rows(right: impl Fn(&str, u64) -> bool) -> Vec<Scored> {
        let score = |cell: &str, item: u64| {
            let mut scored = Scored::from(&row(cell, item));
            let right = f64::from(u8::from(right(cell, item)));
            scored.scores =
                [("exact_match", 0.0), ("contains", right)].map(|(name, is)| (name.to_owned(), Some(is))).into();
            scored
        };
        ["c1", "c2", "c3"].iter().flat_map(|cell| (0..100).map(|item| score(cell, item)).collect::<Vec<_>>()).collect()
    }

    /// The largest of three p values counts once and not three times, by every score.
    #[test]
    fn scores_that_cells_are_not_ranked_by_are_corrected_by_holm_too() {
        let asked = definition(json!({"scorers": [{"kind": "exact_match"}, {"kind": "contains"}]}));
        let scorers = asked.check().unwrap();
        let (cells, order) = (["c1", "c2", "c3"].map(cell), (0..100).collect::<Vec<u64>>());
        let scored = rows(|cell, item| match cell {
            "c1" => false,
            "c2" => item < 40,
            _ => (2..50).contains(&item),
        });
        let results = Results::new(&asked, &scorers, &cells, &order, &scored);
        let by =
            |planned| results.compare("c2", "c3", planned).unwrap().into_iter().find(|one| one.scorer == "contains");
        let found = by(false).unwrap();
        // 2 items only c2, 10 only c3: mid-p = 2·P(X ≤ 2 of 12) − P(X = 2) = (2·79 − 66)/4096 = 0.0225. The two others are tiny.
        assert!((found.comparison.adjusted_p - 92.0 / 4096.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.verdict, found.family), (Verdict::BBetter, Some(3)), "three times it would be 0.067");
        assert_eq!(by(true).unwrap().family, None);
        // The second of three counts twice. Of 40 that only one has right: mid-p = 2·½⁴⁰ − ½⁴⁰.
        let first = results.compare("c1", "c2", false).unwrap().pop().unwrap();
        assert!((first.comparison.adjusted_p / (2.0 * 0.5_f64.powi(40)) - 1.0).abs() < 1e-6, "{first:?}");
    }

    /// A failed call says of no item that it could have been answered right when none of its answers could have a score.
    #[test]
    fn a_failure_about_an_item_without_a_reference_is_no_zero() {
        let asked = definition(json!({}));
        let scorers = asked.check().unwrap();
        let failed = |item, scores: BTreeMap<String, Option<f64>>| Scored {
            scores,
            error: Some("refused".to_owned()),
            ..Scored::from(&row("c1", item))
        };
        let scored = [failed(0, BTreeMap::new()), failed(1, [("exact_match".to_owned(), None)].into())];
        let (cells, order) = ([cell("c1")], [0, 1]);
        let results = Results::new(&asked, &scorers, &cells, &order, &scored);
        let column = results.column(&cells[0], scorers.first(), &order.into_iter().collect());
        assert_eq!((column.get(0), column.get(1)), (None, Some(0.0)));
    }
}
