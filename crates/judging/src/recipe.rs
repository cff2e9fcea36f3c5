//! From what a judge is made: a definition, a ready judge, or a file of OpenAI Evals; with models, and with settings.

use std::collections::BTreeMap;

use qd_base::ModelName;
use qd_judge::method::{Combine, EvalType};
use qd_judge::{Definition, Form, Method, evals, ready};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Names of judges that an error tells at most.
const MOST_TOLD: usize = 20;

/// From what a judge is made. Exactly one of `definition`, `file`, `ready` and `evals` is said.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The definition itself.
    pub definition: Option<Definition>,
    /// A file that holds the definition, as YAML or JSON.
    pub file: Option<String>,
    /// A ready judge: `hallucination`.
    pub ready: Option<String>,
    /// A file of model-graded specifications.
    pub evals: Option<Evals>,
    /// Who judges: one model, or several, which are a jury.
    pub models: Vec<ModelName>,
    /// How a jury decides.
    pub combine: Option<Combine>,
    /// Values of the judge itself.
    pub settings: Map<String, Value>,
    /// Another form of answers than the definition's.
    pub form: Option<Form>,
}

/// A file of model-graded specifications of OpenAI Evals, and which of them is meant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evals {
    /// The file, as YAML.
    pub file: String,
    /// Which judge of it, where there are several: `closedqa/conciseness`.
    #[serde(default)]
    pub name: Option<String>,
    /// How many answers are compared at once.
    #[serde(default)]
    pub completions: Option<usize>,
    /// Where the choice stands, when the file does not say.
    #[serde(default)]
    pub eval_type: Option<EvalType>,
    /// Values for fields of the prompt that are not of an item.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
}

impl Recipe {
    /// The definition that it makes.
    ///
    /// # Errors
    /// [`Error::Request`] when it does not say from what, [`Error::Judge`] for a file that cannot be read.
    pub fn definition(self) -> Result<Definition> {
        let Self { definition, file, ready, evals, models, combine, settings, form } = self;
        let mut base = match (definition, file, ready, evals) {
            (Some(definition), None, None, None) => definition,
            (None, Some(file), None, None) => ready::read(&file)?,
            (None, None, Some(name), None) => ready::find(name.strip_prefix("ready/").unwrap_or(&name))?,
            (None, None, None, Some(evals)) => evals.definition()?,
            _ => return Err(Error::request("definition", "say one of definition, file, ready and evals")),
        };
        base.settings.extend(settings);
        base.form = form.unwrap_or(base.form);
        let is_jury = matches!(base.method, Method::Jury { .. });
        match models.as_slice() {
            [] => Ok(base),
            _ if is_jury => Err(Error::request("models", "the jurors of a jury name their models themselves")),
            [model] => Ok(Definition { model: Some(model.clone()), ..base }),
            models => Ok(base.jury(models, combine.unwrap_or_default())),
        }
    }
}

impl Evals {
    fn definition(self) -> Result<Definition> {
        let options = evals::Options {
            completions: self.completions,
            eval_type: self.eval_type,
            arguments: self.arguments.clone(),
        };
        let loaded = evals::load(&self.file, &options)?;
        let there = || {
            let names: Vec<&str> = loaded.iter().map(|judge| judge.name.as_str()).take(MOST_TOLD).collect();
            Error::request("evals", format!("the file has {} judges; name one of {}", loaded.len(), names.join(", ")))
        };
        let found = match (&self.name, loaded.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), loaded) => loaded.iter().find(|judge| judge.name == *name),
        };
        found.map(|judge| judge.definition.clone()).ok_or_else(there)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(recipe: Value) -> Result<Definition> {
        serde_json::from_value::<Recipe>(recipe).unwrap().definition()
    }

    const EVALS: &str = "short:\n  prompt: 'Is {completion} short? {criteria}'\n  choice_strings: YN\n  eval_type: cot_classify\n  \
                         args:\n    criteria:\n      words: few words\n      lines: few lines\n";

    #[test]
    fn judges_are_made_from_what_is_there() {
        let ready = made(json!({"ready": "use-case", "models": ["m"], "settings": {"use_case": "trains"}})).unwrap();
        assert_eq!((ready.model.unwrap().as_str(), &ready.settings["use_case"]), ("m", &json!("trains")));
        let jury = made(json!({"ready": "ready/toxicity", "models": ["a", "b"], "combine": "mean"})).unwrap();
        assert!(matches!(&jury.method, Method::Jury { jurors, combine: Combine::Mean } if jurors.len() == 2));
        let file = "instruction: Grade.\ncontent: '{{ answer }}'\ninputs: [{name: answer}]\nscale: {kind: boolean}\nmethod: {kind: direct}";
        assert_eq!(made(json!({"file": file, "form": "text"})).unwrap().form, Form::Text);
        let graded = made(json!({"evals": {"file": EVALS, "name": "short/words"}, "models": ["m"]})).unwrap();
        assert_eq!(graded.method.word(), "graded");
    }

    #[test]
    fn what_is_not_said_is_named() {
        let refused = |recipe: Value| made(recipe).unwrap_err().to_string();
        assert!(refused(json!({"models": ["m"]})).contains("say one of"));
        assert!(refused(json!({"ready": "bias", "file": "x"})).contains("say one of"));
        assert!(refused(json!({"ready": "vibes"})).contains("toxicity"));
        let several = refused(json!({"evals": {"file": EVALS}}));
        assert!(several.contains("2 judges") && several.contains("short/words"), "{several}");
    }
}
