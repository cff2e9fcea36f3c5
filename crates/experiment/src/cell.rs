//! One way to ask: a prompt, a model, parameters, and how many examples.

use std::collections::HashMap;
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
    let grid = Grid::new(definition, prompts)?;
    let mut chosen: Vec<Cell> = grid.searched()?.into_iter().map(|number| grid.cell(number)).collect();
    name(&mut chosen, definition);
    Ok(chosen)
}

/// Every way to combine what a definition compares, by its number. A random search may draw from more than there is memory for.
struct Grid<'a> {
    definition: &'a Definition,
    prompts: &'a [Arc<Stored>],
    /// The models that each prompt is asked with.
    models: Vec<Vec<String>>,
    /// How many ways there are.
    count: usize,
}

impl<'a> Grid<'a> {
    fn new(definition: &'a Definition, prompts: &'a [Arc<Stored>]) -> Result<Self> {
        let models: Vec<Vec<String>> =
            prompts.iter().map(|prompt| models_of(definition, prompt)).collect::<Result<_>>()?;
        let own = [prompts.len(), definition.models.len().max(1), definition.shots.len().max(1)];
        let mut axes = own.into_iter().chain(definition.parameters.values().map(Vec::len));
        let count = axes.try_fold(1_usize, usize::checked_mul);
        let count = count.ok_or_else(|| Error::definition("parameters", "their values make too many combinations"))?;
        Ok(Self { definition, prompts, models, count })
    }

    /// The numbers of those that the search tries, in their order.
    fn searched(&self) -> Result<Vec<usize>> {
        if let Search::Random { cells, seed } = self.definition.search {
            let mut drawn = shuffled(self.count, seed, cells);
            drawn.sort_unstable();
            return Ok(drawn);
        }
        if self.count > MOST_CELLS {
            let why =
                format!("they make {} cells, {MOST_CELLS} at most; search at random, or leave some out", self.count);
            return Err(Error::definition("prompts, models, parameters and shots", why));
        }
        Ok((0..self.count).collect())
    }

    /// The cell of a number: what varies fastest is its remainder.
    fn cell(&self, mut number: usize) -> Cell {
        let mut next = |length: usize| {
            let place = number % length;
            number /= length;
            place
        };
        let Definition { shots, parameters, .. } = self.definition;
        let shots = if shots.is_empty() { None } else { shots.get(next(shots.len())) };
        let values = parameters.iter().rev().map(|(name, values)| (name.clone(), values[next(values.len())].clone()));
        let mut values: Vec<(String, Value)> = values.collect();
        values.reverse();
        let model = next(self.models.first().map_or(1, Vec::len));
        let place = next(self.prompts.len());
        let prompt = &self.prompts[place];
        Cell {
            id: String::new(),
            label: String::new(),
            place,
            prompt: prompt.info.name.to_string(),
            version: prompt.info.number,
            model: self.models[place][model].clone(),
            parameters: values.into_iter().collect(),
            shots: shots.map(Shots::count),
            choose: shots.and_then(Shots::chosen).cloned(),
        }
    }
}

fn models_of(definition: &Definition, prompt: &Stored) -> Result<Vec<String>> {
    if !definition.models.is_empty() {
        return Ok(definition.models.clone());
    }
    let why = || format!("the prompt {} names no model, so the experiment must", prompt.info.name);
    Ok(vec![prompt.prompt.model.clone().ok_or_else(|| Error::definition("models", why()))?])
}

/// The first `count` places of a shuffle (Fisher and Yates) by a generator whose numbers are specified.
pub(crate) fn shuffled(length: usize, seed: u64, count: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Only what was moved is noted: of millions a few are drawn.
    let mut moved: HashMap<usize, usize> = HashMap::new();
    let draw = |place: usize| {
        let below = ((u128::from(random.next_u64()) * (length - place) as u128) >> 64) as usize;
        let own = moved.remove(&place).unwrap_or(place);
        if below == 0 { own } else { moved.insert(place + below, own).unwrap_or(place + below) }
    };
    (0..count.min(length)).map(draw).collect()
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

    /// The number of examples, with how they are chosen where the experiment says it.
    pub(crate) fn shots_text(&self) -> String {
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

    /// As if all places were there and were exchanged one by one.
    #[test]
    fn a_shuffle_notes_only_what_was_moved() {
        for (length, seed, count) in
            [(1, 0, 1), (2, 1, 2), (10, 7, 10), (10, 8, 4), (1000, 3, 999), (5, 2, 9), (0, 0, 3)]
        {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut order: Vec<usize> = (0..length).collect();
            for place in 0..count.min(length) {
                let below = ((u128::from(random.next_u64()) * (length - place) as u128) >> 64) as usize;
                order.swap(place, place + below);
            }
            order.truncate(count);
            assert_eq!(shuffled(length, seed, count), order, "{count} of {length}");
        }
        let drawn: BTreeSet<usize> = shuffled(usize::MAX, 5, 1000).into_iter().collect();
        assert_eq!(drawn.len(), 1000, "and makes no list of all places");
    }

    /// Fifty values each of twelve parameters are more ways than there are bytes anywhere.
    #[test]
    fn a_random_search_makes_only_the_cells_that_it_draws() {
        let values: Vec<u32> = (0..50).collect();
        let parameters = |count: usize| -> Value {
            (0..count).map(|n| (format!("p{n}"), json!(values))).collect::<Map<_, _>>().into()
        };
        let asked =
            |count| definition(json!({"parameters": parameters(count), "search": {"kind": "random", "cells": 5}}));
        let found = cells(&asked(10), &[stored("a", 1)]).unwrap();
        let labels: BTreeSet<&str> = found.iter().map(|cell| cell.label.as_str()).collect();
        assert_eq!((labels.len(), found[4].parameters.len()), (5, 10));
        assert!(cells(&asked(12), &[stored("a", 1)]).unwrap_err().to_string().contains("too many combinations"));
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
