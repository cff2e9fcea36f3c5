//! What gates may ask for: what there will be.

use std::collections::BTreeSet;

use qd_base::ProjectId;
use qd_eval::Gate;
use qd_eval::gate::MEASURES;

use crate::definition::{Definition, Target};
use crate::plan::Desk;
use crate::scorer::{Human, JudgeScorer, Look};
use crate::{Error, Result};

/// The ends of an interval.
const ENDS: [&str; 2] = [".low", ".high"];

impl Desk {
    /// Refuses gates that ask for what there will not be, before anything is made: a score that no scorer has, the corrected mean of a judge
    /// that nobody compared with people.
    pub(crate) async fn check_gates(&self, project: ProjectId, definition: &Definition) -> Result<()> {
        if definition.gate.is_empty() {
            return Ok(());
        }
        let mut metrics: BTreeSet<String> = MEASURES.iter().map(|name| (*name).to_owned()).collect();
        let mut of_targets = BTreeSet::new();
        for reader in definition.check()? {
            metrics.extend(with_ends(reader.name()));
            let Look::Judge(judge) = &reader.look else { continue };
            let corrected = format!("{}.corrected", reader.name());
            if self.judges.is_any_calibrated(project, &judge.judge).await? {
                metrics.extend(with_ends(&corrected));
                continue;
            }
            for target in labelled(definition, judge) {
                of_targets.extend(with_ends(&corrected).map(|metric| format!("{target}.{metric}")));
                of_targets.extend(with_ends(&corrected));
            }
        }
        let there: Vec<String> = metrics.iter().cloned().collect();
        let targets = definition.all_targets();
        let is_there = |name: &str| {
            let of_target = name.split_once('.').filter(|(target, _)| targets.contains_key(*target));
            let metric = of_target.map_or(name, |(_, metric)| metric);
            of_targets.contains(name) || metrics.contains(name) || metrics.contains(metric)
        };
        for text in &definition.gate {
            let gate: Gate = text.parse()?;
            let judged = gate.judge(|name| is_there(name).then_some(None), &there);
            judged.map_err(|error| Error::definition("gate", error.to_string()))?;
        }
        Ok(())
    }
}

fn with_ends(name: &str) -> impl Iterator<Item = String> + use<'_> {
    std::iter::once(name.to_owned()).chain(ENDS.iter().map(move |end| format!("{name}{end}")))
}

/// The targets of which people labelled answers.
fn labelled(definition: &Definition, judge: &JudgeScorer) -> Vec<String> {
    match &judge.human {
        None => Vec::new(),
        Some(Human::ByTarget(by_target)) => by_target.keys().cloned().collect(),
        Some(Human::Column(_)) => {
            let columns = definition.all_targets().into_iter();
            columns.filter(|(_, target)| matches!(target, Target::Column(_))).map(|(name, _)| name).collect()
        }
    }
}
