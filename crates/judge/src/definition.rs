//! What is in a version of a judge?

use std::collections::BTreeSet;

use qd_base::{ModelName, Sha256Hex};
use qd_eval::Direction;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::item::MOST_TEXTS;
use crate::method::{Combine, Method};
use crate::scale::Scale;
use crate::{Error, Result};

/// All of a definition, as JSON.
pub const MOST_DEFINITION_BYTES: usize = 1 << 20;
/// Inputs of one judge at most.
pub const MOST_INPUTS: usize = 32;
/// Settings of one judge at most.
const MOST_SETTINGS: usize = 64;
/// Parameters of one judge at most.
const MOST_PARAMETERS: usize = 64;
/// The longest free text that an answer may be held to.
const MOST_TEXT_CHARS: u32 = 2_000;
/// The heaviest weight; the lightest is 1 by it.
const MOST_WEIGHT: f64 = 1e6;
/// The longest name of an input.
const LONGEST_NAME_BYTES: usize = 64;

/// Fields of a request that a judge says itself.
const NO_PARAMETERS: &[&str] = &[
    "messages",
    "model",
    "stream",
    "stream_options",
    "n",
    "response_format",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
];

/// A judge: who is asked, what, and how the answer becomes a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The model that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// What the judge is told before it sees anything: a template of settings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instruction: String,
    /// What it sees: a template of inputs and settings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// What it is asked after that, a template of settings and of what a method says; the instruction again when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What an item must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Values of the judge itself, which templates read. One that is null must be said before the judge is used.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// Where it places an answer, for methods that ask for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Which way is better.
    #[serde(default = "higher")]
    pub better: Direction,
    /// How it is asked.
    pub method: Method,
    /// The form of its answers.
    #[serde(default)]
    pub form: Form,
    /// Characters of a free text, such as the reasoning, at most: `maxLength` of the schema, so that a small model comes
    /// to an end. The schema is then not sent as `strict`, since some upstreams refuse the keyword there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_chars: Option<u32>,
    /// Whether it may say that it cannot tell.
    #[serde(default = "yes")]
    pub may_not_tell: bool,
    /// `temperature`, `max_tokens` and what else a request may say. Null leaves a parameter to the model.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// A text, or a list of texts, that an item has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name in templates.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether an item without it is refused.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it is a list of texts.
    #[serde(default)]
    pub list: bool,
    /// How many texts the list has, where that is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// One of several things to ask of the same item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// What its part is called.
    pub name: String,
    /// What it asks: `{{ criterion }}` in the question.
    pub text: String,
    /// How much it counts.
    #[serde(default = "one")]
    pub weight: f64,
}

/// The form of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// JSON that decoding is constrained to.
    #[default]
    Schema,
    /// JSON, as far as the model keeps to it.
    Json,
    /// Text with a last line `Verdict: …`, for models that have neither.
    Text,
}

fn higher() -> Direction {
    Direction::Higher
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

impl Definition {
    /// The content of a version: the same judge is always the same bytes.
    pub fn to_content(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a definition has string keys only")
    }

    /// A jury of this judge with each of these models.
    ///
    /// ```
    /// use qd_judge::{Judge, method::Combine, ready};
    /// let models = ["openai/gpt-4o-mini".parse()?, "smollm2-135m-instruct".parse()?, "mistral/small".parse()?];
    /// let jury = Judge::new(&ready::find("toxicity")?.jury(&models, Combine::Majority))?;
    /// assert_eq!(jury.range(), (0.0, 1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn jury(&self, models: &[ModelName], combine: Combine) -> Self {
        let jurors = models.iter().map(|model| Self { model: Some(model.clone()), ..self.clone() }).collect();
        Self {
            description: self.description.clone(),
            model: None,
            instruction: String::new(),
            content: String::new(),
            question: None,
            inputs: Vec::new(),
            settings: Map::new(),
            scale: None,
            better: self.better,
            method: Method::Jury { jurors, combine },
            form: Form::default(),
            text_chars: None,
            may_not_tell: true,
            parameters: Map::new(),
        }
    }

    /// What names the content.
    pub fn digest(&self) -> Sha256Hex {
        Sha256Hex::of(&self.to_content())
    }

    /// Everything but its templates, which are checked as they are read.
    pub(crate) fn check(&self) -> Result<()> {
        let size = self.to_content().len();
        if size > MOST_DEFINITION_BYTES {
            let reason = format!("it has {size} bytes, {MOST_DEFINITION_BYTES} are allowed");
            return Err(Error::definition("judge", reason));
        }
        self.check_names()?;
        self.check_parameters()?;
        match (&self.scale, self.method.needs_scale()) {
            (Some(scale), true) => scale.check("scale")?,
            (None, true) => return Err(Error::definition("scale", "this method needs one")),
            (Some(_), false) => return Err(Error::definition("scale", "this method has its own")),
            (None, false) => {}
        }
        if self.text_chars.is_some_and(|chars| !(1..=MOST_TEXT_CHARS).contains(&chars)) {
            return Err(Error::definition("text_chars", format!("it is 1 to {MOST_TEXT_CHARS}")));
        }
        self.method.check(self)
    }

    fn check_names(&self) -> Result<()> {
        if self.inputs.len() > MOST_INPUTS || self.settings.len() > MOST_SETTINGS {
            let reason = format!("there are at most {MOST_INPUTS} inputs and {MOST_SETTINGS} settings");
            return Err(Error::definition("inputs", reason));
        }
        let own = self.method.variables();
        let mut seen: BTreeSet<&str> = own.iter().copied().collect();
        for (place, input) in self.inputs.iter().enumerate() {
            let field = format!("inputs[{place}]");
            let plain = input.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain || !(1..=LONGEST_NAME_BYTES).contains(&input.name.len()) {
                let reason = format!("use 1 to {LONGEST_NAME_BYTES} letters, digits and '_'");
                return Err(Error::definition(format!("{field}.name"), reason));
            }
            if !seen.insert(&input.name) {
                return Err(Error::definition(format!("{field}.name"), format!("'{}' is there already", input.name)));
            }
            if input.count.is_some() && !input.list {
                return Err(Error::definition(format!("{field}.count"), "only a list has one"));
            }
            if input.count.is_some_and(|count| count > MOST_TEXTS) {
                return Err(Error::definition(
                    format!("{field}.count"),
                    format!("a list has {MOST_TEXTS} texts at most"),
                ));
            }
        }
        for (name, value) in &self.settings {
            if !seen.insert(name) {
                return Err(Error::definition(format!("settings.{name}"), "there is an input of this name"));
            }
            if value.is_null() {
                return Err(Error::definition(format!("settings.{name}"), "this judge needs it to be said"));
            }
        }
        Ok(())
    }

    fn check_parameters(&self) -> Result<()> {
        if self.parameters.len() > MOST_PARAMETERS {
            return Err(Error::definition("parameters", format!("there are at most {MOST_PARAMETERS}")));
        }
        match self.parameters.keys().find(|name| NO_PARAMETERS.contains(&name.as_str())) {
            Some(name) => Err(Error::definition(format!("parameters.{name}"), "the judge says this itself")),
            None => Ok(()),
        }
    }

    /// The input of a name.
    pub(crate) fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// That a method's input is declared, as a text or a list, and required.
    pub(crate) fn must_have(&self, field: &str, name: &str, list: bool) -> Result<()> {
        let form = if list { "a list" } else { "a text" };
        match self.input(name) {
            Some(input) if input.required && input.list == list => Ok(()),
            _ => Err(Error::definition(field, format!("'{name}' must be a required input that is {form}"))),
        }
    }
}

/// Criteria and questions have weights above 0, of which sums and products stay numbers.
pub(crate) fn check_weight(field: &str, weight: f64) -> Result<()> {
    match (1.0 / MOST_WEIGHT..=MOST_WEIGHT).contains(&weight) {
        true => Ok(()),
        false => Err(Error::definition(field, "a weight is above 0: from 0.000001 to 1000000")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Judge;

    fn refused(change: Value) -> String {
        let mut definition = json!({
            "model": "m", "instruction": "Grade.", "content": "{{ answer }}", "inputs": [{"name": "answer"}],
            "scale": {"kind": "boolean"}, "method": {"kind": "direct"},
        });
        definition.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        match serde_json::from_value(definition) {
            Ok(definition) => Judge::new(&definition).unwrap_err().in_words(),
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn check(change: Value, words: &str) {
        let error = refused(change);
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn definitions_that_cannot_be() {
        check(json!({"model": null}), "model: say which");
        check(json!({"scale": null}), "scale: this method needs one");
        check(json!({"method": {"kind": "passages", "of": "answer"}}), "scale: this method has its own");
        check(json!({"parameters": {"stream": true}}), "parameters.stream");
        check(json!({"parameters": {"max_tokens": "many"}}), "parameters");
        check(json!({"settings": {"who": null}}), "settings.who: this judge needs it");
        check(json!({"settings": {"answer": "x"}}), "settings.answer: there is an input");
        check(json!({"inputs": [{"name": "a b"}]}), "inputs[0].name: use 1 to 64");
        check(json!({"inputs": [{"name": "answer"}, {"name": "answer"}]}), "inputs[1].name: 'answer' is there already");
        check(json!({"inputs": [{"name": "answer", "count": 2}]}), "only a list has one");
        check(json!({"inputs": vec![json!({"name": "a"}); 33]}), "at most 32 inputs");
        let many = json!({"name": "answer", "list": true, "count": 1_000_000_000_000_u64});
        check(json!({"inputs": [many]}), "inputs[0].count: a list has 100");
        check(json!({"text_chars": 3000}), "text_chars: it is 1 to 2000");
        check(json!({"instrution": "x"}), "instrution");
        check(json!({"instruction": "{{ answer }}"}), "'answer' is read and not declared");
        check(json!({"content": "{{ answer | upper }}"}), "content: what is judged can be written");
        check(json!({"content": "{{ answer[:5] }}"}), "content: what is judged can be written");
        check(json!({"content": "{{ answer }} {{ answer | length }}"}), "content: what is judged can be written");
        check(json!({"content": "{% for c in answer %}{{ c }}.{% endfor %}"}), "content");
        check(json!({"content": "{{ answer"}), "content");
        check(json!({"instruction": "x".repeat(1 << 20)}), "1048576 are allowed");
    }

    #[test]
    fn methods_that_cannot_be() {
        let of = |method: Value| json!({"method": method});
        let without = |method: Value| json!({"method": method, "scale": null});
        check(of(json!({"kind": "vibes"})), "vibes");
        check(of(json!({"kind": "direct", "reasonning": true})), "reasonning");
        check(of(json!({"kind": "direct", "criteria": [{"name": "a", "text": "x", "weight": 0}]})), "above 0");
        check(of(json!({"kind": "direct", "criteria": [{"name": "a", "text": "x", "weight": 1e308}]})), "to 1000000");
        let twice = json!([{"name": "a", "text": "x"}, {"name": "a", "text": "y"}]);
        check(of(json!({"kind": "direct", "criteria": twice})), "criteria[1]: 'a' is there already");
        let many: Vec<Value> = (0..33).map(|n| json!({"name": n.to_string(), "text": "x"})).collect();
        check(of(json!({"kind": "direct", "criteria": many})), "at most 32");
        check(of(json!({"kind": "weighted", "top": 21})), "'top' is 1 to 20");
        check(of(json!({"kind": "weighted", "samples": 1})), "'samples' 2 to 100");
        let words = json!({"kind": "categorical", "categories": [{"name": "a", "value": 1}, {"name": "b"}]});
        check(json!({"method": {"kind": "weighted"}, "scale": words}), "\"b\" stands for no number");
        check(without(json!({"kind": "pairwise"})), "'answer_a' must be a required input");
        check(without(json!({"kind": "passages", "of": "answer"})), "that is a list");
        check(without(json!({"kind": "claims", "of": "answer", "most": 101})), "it is 1 to 100");
        check(without(json!({"kind": "checklist"})), "it is 1 to 100");
        check(without(json!({"kind": "checklist", "questions": [{"text": ""}]})), "questions[0]");
    }
}
