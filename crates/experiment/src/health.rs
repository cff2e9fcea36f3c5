//! How calls fare: whom it makes no sense to ask any more, and which refusals wait until that is known.
//!
//! Calls that are refused one after the other for the same reason say something of the way in which is asked (a parameter that
//! the model does not take, a key that was revoked), and nothing of what the model would have answered. So they are held back:
//! an answer makes them failures of their items, and too many make them no answers at all.

use std::collections::{BTreeMap, HashMap};

use crate::table::ItemRow;

/// A row that may wait until it is known what a refusal says: whose call it is, and why that failed.
pub trait Waiting {
    /// Who asks, as one way of asking: a cell, a target.
    fn cell(&self) -> &str;
    /// The model that is asked.
    fn model(&self) -> &str;
    /// Why the call failed.
    fn error(&self) -> Option<&str>;
}

impl Waiting for ItemRow {
    fn cell(&self) -> &str {
        &self.cell
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn error(&self) -> Option<&str> {
        self.outcome.error.as_deref()
    }
}

/// After so many refusals in a row for the same reason it makes no sense to go on.
const HOPELESS_CALLS: usize = 20;
/// The same of calls in a row that did not reach their model.
const UNREACHED_CALLS: usize = 10;
/// Reasons, and cells of one, that are told.
const MOST_TOLD: usize = 3;

/// How models and cells have fared in a job.
#[derive(Debug)]
pub struct Health<R = ItemRow> {
    models: HashMap<String, Model>,
    cells: HashMap<String, Cell<R>>,
}

impl<R> Default for Health<R> {
    fn default() -> Self {
        Self { models: HashMap::new(), cells: HashMap::new() }
    }
}

#[derive(Debug, Default)]
struct Model {
    answered: bool,
    refusals: Streak,
    unreached_in_a_row: usize,
    given_up: Option<String>,
}

#[derive(Debug)]
struct Cell<R> {
    model: String,
    refusals: Streak,
    held: Vec<R>,
    answered: bool,
    silent_in_a_row: usize,
    /// What kind of failure it was, and the words of one.
    given_up: Option<(String, String)>,
}

/// Refusals in a row for the same reason.
#[derive(Debug, Default)]
struct Streak {
    kind: String,
    length: usize,
}

impl Streak {
    /// Whether it has become too long.
    fn grows(&mut self, kind: &str) -> bool {
        if self.kind != kind {
            *self = Self { kind: kind.to_owned(), length: 0 };
        }
        self.length += 1;
        self.length >= HOPELESS_CALLS
    }
}

impl<R: Waiting> Health<R> {
    /// Whether a cell is not to be asked any more.
    pub fn is_over(&self, cell: &str, model: &str) -> bool {
        let cell = self.cells.get(cell).is_some_and(|cell| cell.given_up.is_some());
        cell || self.models.get(model).is_some_and(|model| model.given_up.is_some())
    }

    /// Whether a model is not to be asked any more.
    pub fn has_lost_a_model(&self) -> bool {
        self.models.values().any(|model| model.given_up.is_some())
    }

    /// Notes that a cell was answered before: its refusals are those of items.
    pub fn known(&mut self, cell: &str, name: &str) {
        self.models.entry(name.to_owned()).or_default().answered = true;
        self.cells.entry(cell.to_owned()).or_insert_with(|| Cell::of(name)).answered = true;
    }

    /// Notes an answer, and gives the rows that are to be kept now: it, and what was held back of its cell.
    pub fn answered(&mut self, row: R) -> Vec<R> {
        let model = self.model(&row);
        (model.answered, model.unreached_in_a_row, model.refusals) = (true, 0, Streak::default());
        let cell = self.cell(&row);
        (cell.answered, cell.silent_in_a_row) = (true, 0);
        cell.released(row)
    }

    /// The same of an answer without text. It was paid for, so it is kept at once.
    pub fn silent(&mut self, row: R) -> Vec<R> {
        self.model(&row).unreached_in_a_row = 0;
        let why = row.error().unwrap_or_default().to_owned();
        let cell = self.cell(&row);
        cell.silent_in_a_row += 1;
        if !cell.answered && cell.silent_in_a_row >= HOPELESS_CALLS {
            let told = format!("the first {HOPELESS_CALLS} calls all failed; the last one: {why}");
            cell.given_up.get_or_insert((why, told));
        }
        cell.released(row)
    }

    /// Notes a refusal, and gives the rows that are to be kept now: what was held back before for another reason.
    pub fn refused(&mut self, row: R, kind: &str) -> Vec<R> {
        let told = format!(
            "{HOPELESS_CALLS} calls in a row were refused for the same reason: {}",
            row.error().unwrap_or_default()
        );
        let name = row.model().to_owned();
        let model = self.model(&row);
        model.unreached_in_a_row = 0;
        if model.refusals.grows(kind) && !model.answered {
            model.given_up.get_or_insert(format!("{name}: {told}"));
            self.cells.values_mut().filter(|cell| cell.model == name).for_each(|cell| cell.held.clear());
            return Vec::new();
        }
        let cell = self.cell(&row);
        let before = if cell.refusals.kind == kind { Vec::new() } else { std::mem::take(&mut cell.held) };
        if cell.refusals.grows(kind) {
            cell.given_up.get_or_insert((kind.to_owned(), told));
            cell.held.clear();
        } else {
            cell.held.push(row);
        }
        before
    }

    /// Notes that a call did not reach its model.
    pub fn unreached(&mut self, name: &str, why: &str) {
        let model = self.models.entry(name.to_owned()).or_default();
        model.unreached_in_a_row += 1;
        let calls = model.unreached_in_a_row;
        if calls >= UNREACHED_CALLS {
            let told = format!("{calls} calls in a row did not reach {name}; the last one: {why}");
            model.given_up.get_or_insert(told);
        }
    }

    /// What is held back when nothing more is asked: of a cell that `has_answers` the rows to keep. A cell without any is given up
    /// if it was asked `all` that there was to ask.
    pub fn settle(&mut self, all: bool, has_answers: impl Fn(&str) -> bool) -> Vec<R> {
        let mut kept = Vec::new();
        for (id, cell) in &mut self.cells {
            let Some(last) = cell.held.last().filter(|_| cell.given_up.is_none()) else { continue };
            if has_answers(id) {
                kept.append(&mut cell.held);
            } else if all {
                let why = last.error().unwrap_or_default();
                let calls = cell.held.len();
                let told = format!("all {calls} calls were refused for the same reason: {why}");
                cell.given_up = Some((cell.refusals.kind.clone(), told));
                cell.held.clear();
            }
        }
        kept
    }

    /// Why some of these cells, each with its model, are not asked any more.
    pub fn given_up<'a>(&self, asked: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
        let mut models: Vec<&str> = Vec::new();
        // The words may name the call: cells that fail in one way are told with those of the first.
        let mut cells: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
        for (cell, model) in asked {
            models.extend(self.models.get(model).and_then(|model| model.given_up.as_deref()));
            if let Some((kind, why)) = self.cells.get(cell).and_then(|cell| cell.given_up.as_ref()) {
                cells.entry(kind).or_insert((why.as_str(), Vec::new())).1.push(cell);
            }
        }
        models.sort_unstable();
        models.dedup();
        let cells = cells.values().map(|(why, cells)| format!("{}: {why}", some(cells)));
        let all: Vec<String> = models.into_iter().map(str::to_owned).chain(cells).take(MOST_TOLD).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn model(&mut self, row: &R) -> &mut Model {
        self.models.entry(row.model().to_owned()).or_default()
    }

    fn cell(&mut self, row: &R) -> &mut Cell<R> {
        self.cells.entry(row.cell().to_owned()).or_insert_with(|| Cell::of(row.model()))
    }
}

impl<R> Cell<R> {
    fn of(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            refusals: Streak::default(),
            held: Vec::new(),
            answered: false,
            silent_in_a_row: 0,
            given_up: None,
        }
    }

    fn released(&mut self, row: R) -> Vec<R> {
        self.refusals = Streak::default();
        let mut rows = std::mem::take(&mut self.held);
        rows.push(row);
        rows
    }
}

fn some(cells: &[&str]) -> String {
    let mut names = cells.to_vec();
    names.sort_by_key(|name| (name.len(), *name));
    let more = if names.len() > MOST_TOLD { ", …" } else { "" };
    names.truncate(MOST_TOLD);
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Outcome;
    use crate::table::tests::row;

    fn refusal(cell: &str, item: u64) -> ItemRow {
        ItemRow { outcome: Outcome::refused("400", format!("no {item}")), ..row(cell, item) }
    }

    #[test]
    fn refusals_before_an_answer_are_failures_of_their_items() {
        let mut health = Health::default();
        assert!(health.refused(refusal("c1", 0), "400").is_empty());
        assert!(health.refused(refusal("c1", 1), "400").is_empty());
        let items: Vec<u64> = health.answered(row("c1", 2)).iter().map(|row| row.item).collect();
        assert_eq!(items, [0, 1, 2]);
        assert_eq!(health.given_up([("c1", "m")]), None);
    }

    #[test]
    fn too_many_in_a_row_for_one_reason_are_no_answers_also_after_answers() {
        let mut health = Health::default();
        health.answered(row("c1", 0));
        health.answered(row("c2", 0));
        for item in 1..=19 {
            assert!(health.refused(refusal("c1", item), "400").is_empty());
        }
        assert!(!health.is_over("c1", "m"));
        assert!(health.refused(refusal("c1", 20), "400").is_empty());
        assert!(health.is_over("c1", "m") && !health.is_over("c2", "m"), "the other cell goes on");
        let told = health.given_up([("c1", "m"), ("c2", "m")]).unwrap();
        assert_eq!(told, "c1: 20 calls in a row were refused for the same reason: no 20");
        assert!(health.settle(true, |_| true).is_empty(), "nothing is left that could count");
        assert!(!health.has_lost_a_model());
    }

    #[test]
    fn other_reasons_begin_anew() {
        let mut health = Health::default();
        health.answered(row("c1", 0));
        for item in 1..=60 {
            let kind = if item % 15 == 0 { "413" } else { "400" };
            health.refused(refusal("c1", item), kind);
        }
        assert_eq!(health.given_up([("c1", "m")]), None);
    }

    /// Three cells of one model that refuses everything: 20 calls, not 60.
    #[test]
    fn a_model_that_never_answers_is_given_up_across_its_cells() {
        let mut health = Health::default();
        for item in 0..20 {
            health.refused(refusal(["c1", "c2", "c3"][item as usize % 3], item), "400");
        }
        assert!(health.is_over("c2", "m") && health.has_lost_a_model());
        assert!(health.settle(true, |_| true).is_empty());
    }

    #[test]
    fn a_few_calls_that_all_failed_are_no_answers_either() {
        let mut health = Health::default();
        (0..3).for_each(|item| drop(health.refused(refusal("c1", item), "400")));
        assert!(health.settle(true, |_| false).is_empty());
        let told = health.given_up([("c1", "m")]).unwrap();
        assert_eq!(told, "c1: all 3 calls were refused for the same reason: no 2");
    }

    #[test]
    fn silence_is_kept_and_ends_a_cell_that_never_spoke() {
        let mut health = Health::default();
        let silent = |item| ItemRow { outcome: Outcome::failed("the answer has no text"), ..row("c1", item) };
        for item in 0..20 {
            assert_eq!(health.silent(silent(item)).len(), 1, "it was paid for");
        }
        assert!(health.is_over("c1", "m"));
    }
}
