//! Which examples does a model see before its question, and how are they written?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{MessageTemplate, check_messages};
use crate::reference::Reference;
use crate::variable::Variable;
use crate::{Error, Result, template};

/// The most examples in one prompt.
pub const MAX_COUNT: usize = 50;
/// The most examples that a version itself holds.
pub const MAX_ITEMS: usize = 500;
/// The most examples that are chosen from.
pub const MAX_POOL: usize = 10_000;

/// One question with its answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The values of the variables that its template reads.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// The answer, `output` in its template.
    pub output: Value,
}

/// Where examples go, how many, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// How one example is written; it reads the example's variables and `output`.
    pub template: ExampleTemplate,
    /// How many there are at most; all of `items` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Which of them.
    #[serde(default)]
    pub strategy: Strategy,
    /// Of `random`: the same seed chooses the same ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Examples in the version itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Example>,
    /// Or a dataset that they come from: `name`, `name@label` or `name@3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Of `similar`: the variable whose text is compared; all variables when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Of `similar`: the model of the embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_model: Option<String>,
    /// What stands between two examples that are text; an empty line when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
}

/// How one example is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExampleTemplate {
    /// As text, which stands where a template says `{{ examples }}`.
    Text(String),
    /// As messages, which stand at the placeholder `examples`.
    Messages(Vec<MessageTemplate>),
}

/// Which examples are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The first ones, in their order.
    #[default]
    Fixed,
    /// Any, by a seed.
    Random,
    /// Those whose variables are nearest to the ones asked with, the nearest last: next to the question.
    Similar,
}

impl Slot {
    /// How many examples there are at most.
    pub fn count(&self) -> usize {
        self.count.unwrap_or(self.items.len()).min(MAX_COUNT)
    }

    /// The examples out of `pool`, when no similarity is asked for.
    pub fn pick(&self, pool: &[Example]) -> Vec<Example> {
        let order: Vec<usize> = match self.strategy {
            Strategy::Fixed | Strategy::Similar => (0..pool.len()).collect(),
            Strategy::Random => shuffled(pool.len(), self.seed.unwrap_or(0), self.count()),
        };
        order.into_iter().take(self.count()).map(|place| pool[place].clone()).collect()
    }

    /// The examples of `pool` that are most similar: `vectors` are their embeddings, `asked` that of the question.
    ///
    /// # Errors
    /// [`Error::Example`] for a vector that is missing or has another length than `asked`: those of two models do not
    /// compare, whatever they are cut to.
    pub fn pick_similar<V: AsRef<[f32]>>(
        &self,
        pool: &[Example],
        vectors: &[V],
        asked: &[f32],
    ) -> Result<Vec<Example>> {
        if pool.len() != vectors.len() {
            let place = pool.len().min(vectors.len());
            let reason = format!("there are {} examples and {} vectors", pool.len(), vectors.len());
            return Err(Error::Example { place, reason });
        }
        let lengths = vectors.iter().map(|vector| vector.as_ref().len());
        if let Some((place, length)) = lengths.enumerate().find(|(_, length)| *length != asked.len()) {
            let reason = format!(
                "its vector has {length} numbers and that of the question {}, so they are of two models and do not compare",
                asked.len()
            );
            return Err(Error::Example { place, reason });
        }
        let mut near = nearest(vectors, asked, self.count());
        near.reverse();
        Ok(near.into_iter().filter_map(|place| pool.get(place).cloned()).collect())
    }

    /// The text by which values are compared: of one variable, or of all.
    pub fn compared(&self, values: &Map<String, Value>) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match &self.by {
            Some(name) => values.get(name).map(text).unwrap_or_default(),
            None => {
                values.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// That the variable compared by is one of the prompt, and that the version's own examples have it.
    pub(crate) fn check_by(&self, variables: &[Variable]) -> Result<()> {
        let Some(by) = &self.by else { return Ok(()) };
        let wrong = |reason: String| Err(Error::definition("examples.by", reason));
        if variables.iter().all(|variable| variable.name != *by) {
            return wrong(format!("'{by}' is not declared in 'variables'"));
        }
        match self.items.iter().position(|item| !item.variables.contains_key(by)) {
            Some(place) => wrong(format!("items[{place}] has no '{by}'")),
            None => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |field: &str, reason: String| Err(Error::definition(format!("examples.{field}"), reason));
        if self.count.is_some_and(|count| count > MAX_COUNT) {
            return wrong("count", format!("at most {MAX_COUNT} examples go into a prompt"));
        }
        if self.items.len() > MAX_ITEMS {
            return wrong("items", format!("a version holds at most {MAX_ITEMS}; keep more in a dataset"));
        }
        match &self.dataset {
            Some(_) if !self.items.is_empty() => {
                return wrong("dataset", "examples come from 'items' or from a dataset, not from both".to_owned());
            }
            Some(_) if self.count.is_none() => {
                return wrong("count", "say how many are taken from the dataset".to_owned());
            }
            Some(dataset) => drop(dataset.parse::<Reference>()?),
            None => {}
        }
        match &self.template {
            ExampleTemplate::Text(text) => drop(template::check(text, "examples.template")?),
            ExampleTemplate::Messages(messages) => drop(check_messages(messages, "examples.template", false)?),
        }
        Ok(())
    }
}

/// The first `count` of a shuffle of `0..length`: Fisher and Yates, by ChaCha8, whose numbers never change.
fn shuffled(length: usize, seed: u64, count: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..length).collect();
    for place in 0..count.min(length.saturating_sub(1)) {
        // The bias of a remainder of 64 bits is below one in 2^50 for a pool of this size.
        let other = place + (rng.next_u64() % (length - place) as u64) as usize;
        order.swap(place, other);
    }
    order
}

/// The places of the `count` vectors with the largest cosine to `asked`, the largest first.
fn nearest<V: AsRef<[f32]>>(vectors: &[V], asked: &[f32], count: usize) -> Vec<usize> {
    let length = |vector: &[f32]| vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let dot = |vector: &[f32]| vector.iter().zip(asked).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let length_asked = length(asked);
    let cosine = |vector: &[f32]| dot(vector) / (length(vector) * length_asked).max(f64::MIN_POSITIVE);
    let mut scored: Vec<(f64, usize)> =
        vectors.iter().enumerate().map(|(place, vector)| (cosine(vector.as_ref()), place)).collect();
    scored.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    scored.into_iter().take(count).map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slot(rest: Value) -> Slot {
        let mut slot = json!({"template": "{{ q }} {{ output }}"});
        slot.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        serde_json::from_value(slot).unwrap()
    }

    fn pool(length: usize) -> Vec<Example> {
        (0..length)
            .map(|n| serde_json::from_value(json!({"variables": {"q": n.to_string()}, "output": n})).unwrap())
            .collect()
    }

    fn outputs(examples: &[Example]) -> Vec<u64> {
        examples.iter().map(|example| example.output.as_u64().unwrap()).collect()
    }

    #[test]
    fn fixed_are_the_first_and_random_are_the_same_for_a_seed() {
        assert_eq!(outputs(&slot(json!({"count": 2})).pick(&pool(5))), [0, 1]);
        assert_eq!(outputs(&slot(json!({"count": 9})).pick(&pool(2))), [0, 1]);
        assert!(slot(json!({"count": 0})).pick(&pool(5)).is_empty());
        let random =
            |seed: u64| outputs(&slot(json!({"count": 5, "strategy": "random", "seed": seed})).pick(&pool(100)));
        assert_eq!(random(7), random(7));
        assert_ne!(random(7), random(8));
        let mut all = outputs(&slot(json!({"count": 20, "strategy": "random"})).pick(&pool(20)));
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>(), "each once");
    }

    /// Of 3,000 draws of 1 out of 3, each is drawn about 1,000 times: within 4.5 standard deviations of 25.8.
    #[test]
    fn random_prefers_none() {
        let mut drawn = [0_i32; 3];
        for seed in 0..3000 {
            drawn
                [outputs(&slot(json!({"count": 1, "strategy": "random", "seed": seed})).pick(&pool(3)))[0] as usize] +=
                1;
        }
        assert!(drawn.iter().all(|count| (count - 1000).abs() < 116), "{drawn:?}");
    }

    #[test]
    fn the_nearest_stands_last() {
        let vectors = [vec![1.0, 0.0], vec![0.0, 1.0], vec![3.0, 3.0], vec![-1.0, 0.0], vec![0.0, 0.0]];
        let similar = slot(json!({"count": 3, "strategy": "similar"}));
        // Cosines to (2, 1): 0.894, 0.447, 0.949, -0.894 and none.
        assert_eq!(outputs(&similar.pick_similar(&pool(5), &vectors, &[2.0, 1.0]).unwrap()), [1, 0, 2]);
    }

    #[test]
    fn vectors_of_two_lengths_are_refused_and_not_cut() {
        let similar = slot(json!({"count": 1, "strategy": "similar"}));
        let why = |vectors: &[Vec<f32>]| similar.pick_similar(&pool(2), vectors, &[1.0, 0.0]).unwrap_err().to_string();
        let longer = why(&[vec![0.0, 1.0], vec![1.0, 0.0, 5.0]]);
        assert!(longer.starts_with("example 1: its vector has 3 numbers and that of the question 2"), "{longer}");
        assert_eq!(why(&[vec![0.0, 1.0]]), "example 1: there are 2 examples and 1 vectors");
    }

    #[test]
    fn what_is_compared() {
        let values = json!({"q": "why?", "n": 3});
        assert_eq!(slot(json!({"by": "q"})).compared(values.as_object().unwrap()), "why?");
        assert_eq!(slot(json!({})).compared(values.as_object().unwrap()), "q: why?\nn: 3");
    }

    #[test]
    fn slots_are_checked() {
        let fails = |rest: Value, words: &str| {
            let error = slot(rest).check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        fails(json!({"count": 51}), "examples.count: at most 50");
        fails(json!({"dataset": "d", "count": 1, "items": [{"output": 1}]}), "not from both");
        fails(json!({"dataset": "d"}), "say how many");
        fails(json!({"dataset": "d@", "count": 1}), "names no prompt");
        fails(json!({"template": "{{ x"}), "examples.template, line 1");
        let by = |items: Value| slot(json!({"by": "q", "items": items}));
        let declared = [Variable::new("q", crate::VariableKind::String)];
        let compared = |slot: Slot, declared: &[Variable]| slot.check_by(declared).map_err(|error| error.to_string());
        assert_eq!(compared(by(json!([])), &[]).unwrap_err(), "examples.by: 'q' is not declared in 'variables'");
        let lacking = by(json!([{"variables": {"q": "a"}, "output": 1}, {"output": 2}]));
        assert_eq!(compared(lacking, &declared).unwrap_err(), "examples.by: items[1] has no 'q'");
        assert_eq!(compared(by(json!([])), &declared), Ok(()));
    }
}
