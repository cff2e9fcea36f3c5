//! One way to ask: a prompt, a model, parameters, and how many examples.

use std::sync::Arc;

use qd_prompt::{Stored, Strategy};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{Chosen, Definition, MOST_CELLS, Search, Shots};
use crate::{Error, Result};

/// A cell of the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What it is called in this experiment: `c1`, `c2`, …
    pub id: String,
    /// The same for people: what differs between cells.
    pub label: String,
    /// The prompt's place in the definition.
    pub place: usize,
    /// The prompt's name.
    pub prompt: String,
    /// Its version.
    pub version: u32,
    /// The model.
    pub model: String,
    /// Parameters that the experiment says; the prompt's own stand below them.
    pub parameters: Map<String, Value>,
    /// How many examples; what the prompt says when none.
    pub shots: Option<usize>,
    /// How they are chosen, where the experiment says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<Chosen>,
}

/// All cells that a definition asks for, in order: prompts outermost, numbers of examples innermost.
///
/// # Errors
/// [`Error::Definition`] when there are too many, or a prompt has no model and none is named.
pub fn cells(definition: &Definition, prompts: &[Arc<Stored>]) -> Result<Vec<Cell>> {
    let parameters = combinations(definition)?;
    let shots: Vec<Option<&Shots>> =
        if definition.shots.is_empty() { vec![None] } else { definition.shots.iter().map(Some).collect() };
    let models = definition.models.len().max(1);
    let count = prompts.len() * models * parameters.len() * shots.len();
    let random = matches!(definition.search, Search::Random { .. });
    if count > MOST_CELLS && !random {
        let why = format!("they make {count} cells, {MOST_CELLS} at most; search at random, or leave some out");
        return Err(Error::definition("prompts, models, parameters and shots", why));
    }
    let mut all = Vec::new();
    for (place, prompt) in prompts.iter().enumerate() {
        for model in models_of(definition, prompt)? {
            for parameters in &parameters {
                for &shots in &shots {
                    all.push(Cell {
                        id: String::new(),
                        label: String::new(),
                        place,
                        prompt: prompt.info.name.to_string(),
                        version: prompt.info.number,
                        model: model.clone(),
                        parameters: parameters.clone(),
                        shots: shots.map(Shots::count),
                        choose: shots.and_then(Shots::chosen).cloned(),
                    });
                }
            }
        }
    }
    let mut chosen = chosen(all, definition.search);
    name(&mut chosen, definition);
    Ok(chosen)
}

/// Every combination of the parameters' values.
fn combinations(definition: &Definition) -> Result<Vec<Map<String, Value>>> {
    /// Of a random search many are never made into cells.
    const MOST: usize = 100_000;
    let count = definition.parameters.values().try_fold(1_usize, |count, values| count.checked_mul(values.len()));
    if count.is_none_or(|count| count > MOST) {
        return Err(Error::definition("parameters", format!("their values make over {MOST} combinations")));
    }
    let mut all = vec![Map::new()];
    for (name, values) in &definition.parameters {
        let with = |before: &Map<String, Value>, value: &Value| {
            let mut with = before.clone();
            with.insert(name.clone(), value.clone());
            with
        };
        all = all.iter().flat_map(|before| values.iter().map(|value| with(before, value))).collect();
    }
    Ok(all)
}

fn models_of(definition: &Definition, prompt: &Stored) -> Result<Vec<String>> {
    if !definition.models.is_empty() {
        return Ok(definition.models.clone());
    }
    let why = || format!("the prompt {} names no model, so the experiment must", prompt.info.name);
    Ok(vec![prompt.prompt.model.clone().ok_or_else(|| Error::definition("models", why()))?])
}

/// Those that the search tries, in their order.
fn chosen(all: Vec<Cell>, search: Search) -> Vec<Cell> {
    let Search::Random { cells, seed } = search else { return all };
    let keep = shuffled(all.len(), seed, cells);
    all.into_iter().enumerate().filter(|(place, _)| keep.contains(place)).map(|(_, cell)| cell).collect()
}

/// The first `count` places of a shuffle (Fisher and Yates) by a generator whose numbers are specified.
pub(crate) fn shuffled(length: usize, seed: u64, count: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..length).collect();
    for place in 0..count.min(length.saturating_sub(1)) {
        let below = ((u128::from(random.next_u64()) * (length - place) as u128) >> 64) as usize;
        order.swap(place, place + below);
    }
    order.truncate(count);
    order
}

fn name(cells: &mut [Cell], definition: &Definition) {
    let several = |of: fn(&Cell) -> String| cells.iter().map(of).collect::<std::collections::BTreeSet<_>>().len() > 1;
    let (prompts, models) = (several(Cell::reference), several(|cell| cell.model.clone()));
    for (place, cell) in cells.iter_mut().enumerate() {
        cell.id = format!("c{}", place + 1);
        let mut parts = Vec::new();
        if prompts || !models {
            parts.push(cell.reference());
        }
        if models {
            parts.push(cell.model.clone());
        }
        for (name, value) in &cell.parameters {
            if definition.parameters.get(name).is_some_and(|values| values.len() > 1) {
                parts.push(format!("{name} {value}"));
            }
        }
        if definition.shots.len() > 1 {
            parts.push(cell.shots_text());
        }
        cell.label = parts.join(" · ");
    }
}

impl Cell {
    /// The prompt and its version.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.prompt, self.version)
    }

    fn shots_text(&self) -> String {
        let count = self.shots.unwrap_or(0);
        match &self.choose {
            None => format!("{count} shots"),
            Some(Chosen { choose: Strategy::Fixed, .. }) => format!("{count} first shots"),
            Some(Chosen { choose: Strategy::Random, seed, .. }) => {
                let seed = seed.map(|seed| format!(" (seed {seed})")).unwrap_or_default();
                format!("{count} random shots{seed}")
            }
            Some(Chosen { choose: Strategy::Similar, embedding_model, .. }) => {
                let model = embedding_model.as_ref().map(|model| format!(" by {model}")).unwrap_or_default();
                format!("{count} similar shots{model}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use qd_base::{Sha256Hex, Timestamp, VersionId};
    use qd_catalog::{ArtifactKind, VersionInfo};
    use qd_prompt::Prompt;
    use serde_json::json;

    use super::*;
    use crate::definition::tests::definition;

    fn stored(name: &str, number: u32) -> Arc<Stored> {
        let prompt = Prompt { model: Some("own".into()), ..Prompt::text("x", Vec::new()) };
        let info = VersionInfo {
            id: VersionId::new(),
            project: qd_base::ProjectId::new(),
            kind: ArtifactKind::Prompt,
            name: name.parse().unwrap(),
            number,
            hash: Sha256Hex::of(b""),
            size_bytes: 0,
            metadata: Value::Null,
            created: Timestamp::now(),
            removed: None,
        };
        Arc::new(Stored { info, prompt })
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let asked = definition(json!({
            "models": ["m", "n"], "parameters": {"temperature": [0, 0.7], "max_tokens": [9]}, "shots": [0, 1, 3],
        }));
        let cells = cells(&asked, &[stored("a", 1), stored("b", 2)]).unwrap();
        assert_eq!(cells.len(), 2 * 2 * 2 * 3);
        assert_eq!((cells[0].id.as_str(), cells[0].label.as_str()), ("c1", "a@1 · m · temperature 0 · 0 shots"));
        assert_eq!(cells[23].label, "b@2 · n · temperature 0.7 · 3 shots");
        assert_eq!(cells[23].parameters["max_tokens"], 9);
        let labels: BTreeSet<&str> = cells.iter().map(|cell| cell.label.as_str()).collect();
        assert_eq!(labels.len(), 24);
    }

    #[test]
    fn the_ways_to_choose_examples_are_an_axis() {
        let shots = json!([0, 2, {"count": 2, "choose": "random", "seed": 5}, {"count": 2, "choose": "similar"}, {"count": 2, "choose": "fixed"}]);
        let cells = cells(&definition(json!({ "shots": shots })), &[stored("a", 1)]).unwrap();
        let labels: Vec<&str> = cells.iter().map(|cell| cell.label.rsplit(" · ").next().unwrap()).collect();
        assert_eq!(labels, ["0 shots", "2 shots", "2 random shots (seed 5)", "2 similar shots", "2 first shots"]);
        assert_eq!((cells[3].shots, cells[1].choose.is_none(), cells[3].choose.is_some()), (Some(2), true, true));
    }

    #[test]
    fn a_random_search_draws_the_same_cells_again() {
        let values: Vec<u32> = (0..40).collect();
        let asked = |seed: u64| {
            let search = json!({"kind": "random", "cells": 7, "seed": seed});
            let asked = definition(
                json!({"parameters": {"seed": values, "top_p": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, "search": search}),
            );
            cells(&asked, &[stored("a", 1)]).unwrap()
        };
        assert_eq!(asked(3).len(), 7);
        assert_eq!(asked(3), asked(3));
        assert_ne!(asked(3), asked(4));
    }

    #[test]
    fn a_grid_has_a_limit_and_a_model() {
        let values: Vec<u32> = (0..40).collect();
        let many = definition(json!({"parameters": {"seed": values, "top_p": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}));
        assert!(cells(&many, &[stored("a", 1)]).unwrap_err().to_string().contains("240 cells"));
        let mut without = stored("a", 1);
        Arc::make_mut(&mut without).prompt.model = None;
        assert!(cells(&definition(json!({})), &[without]).unwrap_err().to_string().contains("names no model"));
        assert_eq!(cells(&definition(json!({})), &[stored("a", 1)]).unwrap()[0].model, "own");
    }
}
