//! A target of one evaluation held against one of another, item by item.

use super::{Compared, MOST_ADDED_IN_ALL, MOST_DRAWN, Results, Share, held_against};
use crate::definition::ONLY_TARGET;
use crate::scorer::{EvaluationScorer, JudgeScorer, OwnScorer};
use crate::{Error, Result};

impl Results<'_> {
    /// The target that is meant by `name`; the only one when nobody says.
    pub(crate) fn meant(&self, field: &str, name: Option<&str>) -> Result<String> {
        let targets = self.definition.all_targets();
        match name {
            Some(name) if targets.contains_key(name) => Ok(name.to_owned()),
            None if targets.len() == 1 => Ok(targets.into_keys().next().unwrap_or_default()),
            _ => {
                let names: Vec<String> = targets.into_keys().collect();
                Err(Error::definition(field, format!("say which target is meant: {}", names.join(", "))))
            }
        }
    }

    /// `name@3`, and its target where that is one of several.
    fn told_as(&self, run: &str, target: &str) -> String {
        if target == ONLY_TARGET { run.to_owned() } else { format!("{run}.{target}") }
    }

    /// `there`'s target held against this one's by every score that both have in the same way, over the items that both looked at. Both are of
    /// one version of a dataset, so that an item is the same in both. There is one pair, so nothing is corrected for.
    pub(crate) fn across(
        &self,
        (run, target): (&str, &str),
        there: &Results<'_>,
        (other_run, other): (&str, &str),
    ) -> Vec<Compared> {
        let (a, b) = (self.told_as(run, target), there.told_as(other_run, other));
        let tests = self.readers.len().max(1);
        let share = Share { draws: MOST_DRAWN / (tests * self.order.len()).max(1), added: MOST_ADDED_IN_ALL / tests };
        let mut found = Vec::new();
        for (reader, scorer) in self.readers.iter().zip(&self.definition.scorers) {
            let theirs = there.readers.iter().zip(&there.definition.scorers);
            let same =
                theirs.filter(|(other, _)| other.name() == reader.name()).find(|(_, other)| is_same(scorer, other));
            let Some((other_reader, _)) = same else { continue };
            let held = held_against((self, target, reader), (there, other, other_reader), share);
            found.extend(held.map(|comparison| Compared {
                verdict: comparison.verdict(),
                sentence: comparison.sentence(&a, &b, None),
                scorer: reader.name().to_owned(),
                a: a.clone(),
                b: b.clone(),
                family: 1,
                comparison,
            }));
        }
        found
    }
}

/// Whether two scorers look at answers in the same way; what people say beside a judge changes nothing of that.
fn is_same(one: &EvaluationScorer, other: &EvaluationScorer) -> bool {
    let plain = |scorer: &EvaluationScorer| match scorer {
        EvaluationScorer::Own(OwnScorer::Judge(judge)) => {
            EvaluationScorer::Own(OwnScorer::Judge(JudgeScorer { human: None, ..judge.clone() }))
        }
        other => other.clone(),
    };
    plain(one) == plain(other)
}
