//! Whom asking further is of no use: models that are not reached, and tasks that a model always refuses.

use std::collections::{BTreeMap, BTreeSet};

use crate::table::AnswerRow;

/// Calls in a row that do not reach a model before it is not asked any more.
const MOST_UNREACHED: usize = 5;
/// Refusals for one reason, with no answer to the same task, before it is not asked any more: they tell of the way in which is asked, and
/// nothing of the model.
const MOST_REFUSED: usize = 5;

/// What became of calls so far.
#[derive(Debug, Default)]
pub struct Health {
    /// Tasks that a model has answered something of.
    answered: BTreeSet<(String, String)>,
    /// Refusals of which is not known yet what they say, with their rows.
    waiting: BTreeMap<(String, String), Waiting>,
    /// Calls in a row that did not reach a model.
    unreached: BTreeMap<String, usize>,
    /// Models that are not asked any more, and why.
    lost_models: BTreeMap<String, String>,
    /// Tasks that a model is not asked any more, and why.
    lost_tasks: BTreeMap<(String, String), String>,
    /// The last reason why a model was not reached for a task.
    missed: BTreeMap<(String, String), String>,
}

#[derive(Debug, Default)]
struct Waiting {
    kind: String,
    rows: Vec<AnswerRow>,
}

impl Health {
    /// A model answered something of a task. That takes back what others under way at the same time seemed to tell.
    pub fn answered(&mut self, model: &str, task: &str) {
        let place = (model.to_owned(), task.to_owned());
        self.unreached.remove(model);
        self.lost_models.remove(model);
        self.lost_tasks.remove(&place);
        self.answered.insert(place);
    }

    /// A call did not reach its model.
    pub fn unreached(&mut self, model: &str, task: &str, why: &str) {
        self.missed.insert((model.to_owned(), task.to_owned()), why.to_owned());
        let in_a_row = self.unreached.entry(model.to_owned()).or_default();
        *in_a_row += 1;
        if *in_a_row >= MOST_UNREACHED {
            let why = format!("{model} was not reached {MOST_UNREACHED} times in a row: {why}");
            self.lost_models.entry(model.to_owned()).or_insert(why);
        }
    }

    /// A name that stands for nobody.
    pub fn unknown(&mut self, model: &str, why: &str) {
        self.lost_models.insert(model.to_owned(), format!("{model}: {why}"));
    }

    /// A model refused documents. Gives the rows that are to be kept: they wait until it has answered something of the task.
    pub fn refused(&mut self, model: &str, task: &str, kind: &str, why: &str, rows: Vec<AnswerRow>) -> Vec<AnswerRow> {
        self.unreached.remove(model);
        let place = (model.to_owned(), task.to_owned());
        let waiting = self.waiting.entry(place.clone()).or_default();
        if self.answered.contains(&place) || waiting.kind != kind && !waiting.rows.is_empty() {
            let mut all = std::mem::take(&mut waiting.rows);
            all.extend(rows);
            self.answered.insert(place);
            return all;
        }
        kind.clone_into(&mut waiting.kind);
        waiting.rows.extend(rows);
        if waiting.rows.len() >= MOST_REFUSED {
            let why = format!("{model} refuses {task}: {why}");
            self.lost_tasks.entry(place).or_insert(why);
        }
        Vec::new()
    }

    /// Whether a model is not asked about a task any more.
    pub fn has_lost(&self, model: &str, task: &str) -> bool {
        self.lost_models.contains_key(model) || self.lost_tasks.contains_key(&(model.to_owned(), task.to_owned()))
    }

    /// At the end: why something was not asked or not reached, and rows that waited and count.
    pub fn settle(&mut self) -> (Vec<String>, Vec<AnswerRow>) {
        let mut rows = Vec::new();
        for (place, waiting) in std::mem::take(&mut self.waiting) {
            if !self.lost_tasks.contains_key(&place) {
                rows.extend(waiting.rows);
            }
        }
        let mut lost: Vec<String> = self.lost_models.values().chain(self.lost_tasks.values()).cloned().collect();
        let others = self.missed.iter().filter(|((model, _), _)| !self.lost_models.contains_key(model));
        lost.extend(
            others
                .filter(|(_, why)| !why.is_empty())
                .map(|((model, task), why)| format!("{model} was not reached about all of {task}: {why}")),
        );
        (lost, rows)
    }

    /// A task of which a model has answered everything after all.
    pub fn is_whole(&mut self, model: &str, task: &str) {
        self.missed.remove(&(model.to_owned(), task.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    #[test]
    fn a_model_that_is_not_reached_is_left_alone() {
        let mut health = Health::default();
        for _ in 1..MOST_UNREACHED {
            health.unreached("m", "t", "nobody there");
        }
        assert!(!health.has_lost("m", "t"));
        health.answered("m", "t");
        for _ in 0..MOST_UNREACHED {
            health.unreached("m", "t", "nobody there");
        }
        assert!(health.has_lost("m", "other") && !health.has_lost("n", "t"));
        assert!(health.settle().0[0].contains("nobody there"));
    }

    #[test]
    fn refusals_for_one_reason_are_no_answers() {
        let mut health = Health::default();
        for document in 0..MOST_REFUSED {
            assert!(health.refused("m", "t", "no echo", "why", vec![row("m", "t", document)]).is_empty());
        }
        assert!(health.has_lost("m", "t") && !health.has_lost("m", "u"));
        let (lost, rows) = health.settle();
        assert!(lost[0].contains("m refuses t") && rows.is_empty());
    }

    #[test]
    fn a_refusal_counts_once_something_was_answered() {
        let mut health = Health::default();
        assert!(health.refused("m", "t", "too long", "why", vec![row("m", "t", 0)]).is_empty());
        health.answered("m", "t");
        assert_eq!(health.refused("m", "t", "too long", "why", vec![row("m", "t", 1)]).len(), 2);
        assert_eq!(health.settle(), (Vec::new(), Vec::new()));
    }

    /// Eight calls at once: five that are too long are refused at once, and the first answer comes after them.
    #[test]
    fn an_answer_that_comes_late_takes_a_loss_back() {
        let mut health = Health::default();
        for document in 0..MOST_REFUSED {
            health.refused("m", "t", "too long", "why", vec![row("m", "t", document)]);
            health.unreached("n", "t", "busy");
        }
        assert!(health.has_lost("m", "t") && health.has_lost("n", "t"));
        health.answered("m", "t");
        health.answered("n", "t");
        assert!(!health.has_lost("m", "t") && !health.has_lost("n", "t"));
        health.is_whole("n", "t");
        let (lost, rows) = health.settle();
        assert_eq!((lost.len(), rows.len()), (0, MOST_REFUSED));
    }

    #[test]
    fn what_was_reached_in_the_end_is_not_lost() {
        let mut health = Health::default();
        health.unreached("m", "t", "busy");
        health.is_whole("m", "t");
        assert!(health.settle().0.is_empty());
    }
}
