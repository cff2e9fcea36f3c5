//! What experiments know about the difference between two versions of a prompt.

use std::collections::HashSet;

use qd_base::VersionId;
use qd_catalog::{ArtifactKind, VersionInfo};
use qd_eval::Scorers;

use crate::Result;
use crate::cell::Cell;
use crate::definition::Definition;
use crate::experiments::{Experiment, Experiments};
use crate::report::Compared;

/// Pairs of cells that are compared at most.
pub const MOST_PAIRS: usize = 8;
/// Experiments that are looked at until one has answers, the newest first.
const MOST_LOOKED_AT: usize = 8;

/// What the latest experiment found that asked two versions of a prompt the same items.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The experiment.
    pub experiment: Experiment,
    /// The score that its cells are ranked by.
    pub metric: String,
    /// Its pairs of cells that differ in the version alone, the first ones.
    pub pairs: Vec<Pair>,
    /// Pairs that are not among them.
    pub other_pairs: usize,
}

/// Two cells that differ in the version of the prompt alone.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The cell of the one version.
    pub from: Cell,
    /// The cell of the other.
    pub to: Cell,
    /// What both have in common that other pairs have not: the model, parameters, a number of examples.
    pub setting: String,
    /// What was found, by score.
    pub compared: Vec<Compared>,
}

impl Experiments {
    /// What the latest experiment says in which both versions were cells. None when there is no such experiment with answers
    /// to items that both were asked.
    ///
    /// # Errors
    /// [`crate::Error::Catalog`] and [`crate::Error::Lake`] when experiments cannot be read.
    pub async fn evidence(&self, from: &VersionInfo, to: &VersionInfo) -> Result<Option<Evidence>> {
        let known: HashSet<VersionId> = self.made_with(from.id).await?.into_iter().map(|info| info.id).collect();
        let mut both: Vec<VersionInfo> =
            self.made_with(to.id).await?.into_iter().filter(|info| known.contains(&info.id)).collect();
        both.sort_by_key(|info| std::cmp::Reverse((info.created, info.number)));
        for info in both.into_iter().take(MOST_LOOKED_AT) {
            let experiment = self.read(self.catalog.version_by_id(info.id).await?).await?;
            if let Some(found) = self.compared(experiment, from, to).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The experiments that a version of a prompt is part of.
    async fn made_with(&self, version: VersionId) -> Result<Vec<VersionInfo>> {
        let made = self.catalog.lineage(version).await?.down.into_iter();
        let direct = made.filter(|relative| relative.distance == 1).map(|relative| relative.version);
        Ok(direct.filter(|info| info.kind == ArtifactKind::Experiment && info.removed.is_none()).collect())
    }

    async fn compared(&self, experiment: Experiment, from: &VersionInfo, to: &VersionInfo) -> Result<Option<Evidence>> {
        let pairs = pairs(&experiment.content.definition, &experiment.content.cells, from, to);
        let other_pairs = pairs.len().saturating_sub(MOST_PAIRS);
        let mut pairs: Vec<Pair> = pairs.into_iter().take(MOST_PAIRS).collect();
        if pairs.is_empty() {
            return Ok(None);
        }
        let cells: Vec<(Cell, Cell)> = pairs.iter().map(|pair| (pair.from.clone(), pair.to.clone())).collect();
        let names = (format!("version {}", from.number), format!("version {}", to.number));
        let compare = move |results: &crate::report::Results<'_>| {
            let cells: Vec<(&Cell, &Cell)> = cells.iter().map(|(from, to)| (from, to)).collect();
            Ok(results.compare_pairs(&cells, (&names.0, &names.1)))
        };
        let found = self.with_results(&experiment, "comparing versions of a prompt", compare).await?;
        pairs.iter_mut().zip(found).for_each(|(pair, compared)| pair.compared = compared);
        pairs.retain(|pair| !pair.compared.is_empty());
        let definition = &experiment.content.definition;
        let metric = definition.metric(&Scorers::new(&definition.scorers)?).to_owned();
        Ok((!pairs.is_empty()).then_some(Evidence { experiment, metric, pairs, other_pairs }))
    }
}

/// The pairs of cells that differ in the version of the prompt alone. A model that each version names itself is part of the
/// version.
fn pairs(definition: &Definition, cells: &[Cell], from: &VersionInfo, to: &VersionInfo) -> Vec<Pair> {
    let of = |cell: &Cell, info: &VersionInfo| cell.prompt == info.name.as_str() && cell.version == info.number;
    let alike = |a: &Cell, b: &Cell| {
        let (same_model, shows) = (definition.models.is_empty() || a.model == b.model, (a.shots, &a.choose));
        a.parameters == b.parameters && shows == (b.shots, &b.choose) && same_model
    };
    let mut pairs = Vec::new();
    for a in cells.iter().filter(|cell| of(cell, from)) {
        pairs.extend(cells.iter().filter(|b| of(b, to) && alike(a, b)).map(|b| Pair {
            from: a.clone(),
            to: b.clone(),
            setting: setting(definition, a, b),
            compared: Vec::new(),
        }));
    }
    pairs
}

fn setting(definition: &Definition, from: &Cell, to: &Cell) -> String {
    let mut parts = Vec::new();
    match from.model == to.model {
        true => parts.push(to.model.clone()),
        false => parts.push(format!("{} → {}", from.model, to.model)),
    }
    let varied =
        to.parameters.iter().filter(|(name, _)| definition.parameters.get(*name).is_some_and(|all| all.len() > 1));
    parts.extend(varied.map(|(name, value)| format!("{name} {value}")));
    if definition.shots.len() > 1 {
        parts.push(to.shots_text());
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qd_base::{ProjectId, Sha256Hex, Timestamp};
    use qd_prompt::{Prompt, Stored};
    use serde_json::json;

    use super::*;
    use crate::cell::cells;
    use crate::definition::tests::definition;

    fn version(name: &str, number: u32) -> VersionInfo {
        VersionInfo {
            id: VersionId::new(),
            project: ProjectId::new(),
            kind: ArtifactKind::Prompt,
            name: name.parse().unwrap(),
            number,
            hash: Sha256Hex::of(b""),
            size_bytes: 0,
            metadata: json!(null),
            created: Timestamp::now(),
            removed: None,
        }
    }

    fn stored(name: &str, number: u32, model: &str) -> Arc<Stored> {
        let prompt = Prompt { model: Some(model.into()), ..Prompt::text("x", Vec::new()) };
        Arc::new(Stored { info: version(name, number), prompt })
    }

    /// The settings of the pairs of version 1 and version 3 of the prompt `a`, beside version 2 and another prompt.
    fn settings(asked: serde_json::Value, models: [&str; 2]) -> Vec<String> {
        let asked = definition(asked);
        let prompts =
            [stored("a", 1, models[0]), stored("a", 2, models[0]), stored("a", 3, models[1]), stored("b", 3, "m")];
        let found = pairs(&asked, &cells(&asked, &prompts).unwrap(), &version("a", 1), &version("a", 3));
        assert!(found.iter().all(|pair| (pair.from.version, pair.to.version) == (1, 3) && pair.to.prompt == "a"));
        found.into_iter().map(|pair| pair.setting).collect()
    }

    #[test]
    fn cells_that_differ_in_the_version_alone_are_pairs() {
        assert_eq!(settings(json!({}), ["m", "m"]), ["m"]);
        let sweep =
            json!({"models": ["m", "n"], "parameters": {"temperature": [0, 1], "top_p": [0.5]}, "shots": [0, 2]});
        let found = settings(sweep, ["m", "m"]);
        assert_eq!((found.len(), found[0].as_str()), (2 * 2 * 2, "m · temperature 0 · 0 shots"));
        assert_eq!(found[7], "n · temperature 1 · 2 shots");
    }

    #[test]
    fn cells_that_choose_their_examples_in_other_ways_are_no_pairs() {
        let sweep =
            json!({"shots": [2, {"count": 2, "choose": "similar"}, {"count": 2, "choose": "random", "seed": 1}]});
        assert_eq!(settings(sweep, ["m", "m"]), ["m · 2 shots", "m · 2 similar shots", "m · 2 random shots (seed 1)"]);
    }

    #[test]
    fn a_model_that_a_version_names_is_part_of_it() {
        assert_eq!(settings(json!({}), ["m", "n"]), ["m → n"]);
    }
}
