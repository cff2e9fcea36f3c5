//! A rule: which calls, which share of them, which scorers.

use qd_base::ProjectName;
use qd_trace::{Filter, SpanKind, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judged::JudgeRule;
use crate::look::{self, Look};
use crate::{Error, Result};

/// The longest description.
const MOST_DESCRIPTION_CHARS: usize = 1_000;
/// The longest word of a filter.
const MOST_WORD_BYTES: usize = 1_024;

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which calls are looked at.
    #[serde(default)]
    pub filter: Wanted,
    /// The share of traces that is scored, above 0 and at most 1. Whether one is follows from its identifier alone.
    #[serde(default = "all")]
    pub sample: f64,
    /// What is looked at, as [`Look`] reads it.
    pub scorers: Vec<Value>,
    /// Who is asked about some of the calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeRule>,
}

fn all() -> f64 {
    1.0
}

/// Which calls are looked at: those for which every part that is told holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// Of this kind; calls of language models when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SpanKind>,
    /// Ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Answered by this model, or asking for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Run by this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// In this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// For this end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of this environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With this prompt artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// That took at least so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_latency_ms: Option<f64>,
    /// Calls of experiments, evaluations and leaderboards too, which are left out otherwise. Those of judges always are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub experiments: bool,
}

impl Definition {
    /// The scorers, ready to use.
    ///
    /// # Errors
    /// [`Error::Definition`] for a rule that cannot be followed.
    pub fn read(&self) -> Result<Vec<Look>> {
        if self.description.as_ref().is_some_and(|text| text.chars().count() > MOST_DESCRIPTION_CHARS) {
            return Err(Error::definition("description", format!("{MOST_DESCRIPTION_CHARS} characters at most")));
        }
        if !(self.sample > 0.0 && self.sample <= 1.0) {
            return Err(Error::definition("sample", "a share above 0 and at most 1"));
        }
        self.filter.check()?;
        let looks = look::read(&self.scorers)?;
        if let Some(judge) = &self.judge {
            judge.check(&looks)?;
        }
        Ok(looks)
    }
}

impl Wanted {
    fn check(&self) -> Result<()> {
        let words = [&self.model, &self.provider, &self.session, &self.user, &self.tag, &self.environment, &self.name];
        if words.into_iter().chain([&self.prompt]).flatten().any(|word| word.len() > MOST_WORD_BYTES) {
            return Err(Error::definition("filter", format!("a word has {MOST_WORD_BYTES} bytes at most")));
        }
        if self.min_latency_ms.is_some_and(|least| !(least.is_finite() && least >= 0.0)) {
            return Err(Error::definition("filter.min_latency_ms", "0 or more milliseconds"));
        }
        Ok(())
    }

    /// The same for who reads spans.
    pub fn filter(&self, project: ProjectName) -> Filter {
        Filter {
            kind: Some(self.kind.unwrap_or(SpanKind::Llm)),
            status: self.status,
            model: self.model.clone(),
            provider: self.provider.clone(),
            session: self.session.clone(),
            user: self.user.clone(),
            tag: self.tag.clone(),
            environment: self.environment.clone(),
            name: self.name.clone(),
            prompt: self.prompt.clone(),
            min_latency_ms: self.min_latency_ms,
            experiments: (!self.experiments).then_some(false),
            ..Filter::of(project)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let refused = |change: Value, words: &str| {
            let mut rule = json!({"scorers": [{"kind": "latency"}]});
            change.as_object().unwrap().iter().for_each(|(field, value)| rule[field] = value.clone());
            let why = match serde_json::from_value::<Definition>(rule) {
                Ok(rule) => rule.read().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(why.contains(words), "{why}");
        };
        refused(json!({"sample": 0}), "sample");
        refused(json!({"sample": 1.5}), "sample");
        refused(json!({"smaple": 1}), "smaple");
        refused(json!({"filter": {"modl": "m"}}), "modl");
        refused(json!({"filter": {"min_latency_ms": -1}}), "min_latency_ms");
        refused(json!({"filter": {"tag": "x".repeat(2_000)}}), "bytes");
        refused(json!({"description": "x".repeat(2_000)}), "description");
        refused(json!({"scorers": []}), "1 to 16");
    }

    #[test]
    fn a_rule_looks_at_calls_of_language_models_that_no_experiment_made() {
        let rule: Definition =
            serde_json::from_value(json!({"filter": {"tag": "beta"}, "scorers": [{"kind": "cost"}]})).unwrap();
        let filter = rule.filter.filter("p".parse().unwrap());
        assert_eq!(
            (filter.kind, filter.experiments, filter.tag.as_deref()),
            (Some(SpanKind::Llm), Some(false), Some("beta"))
        );
        assert_eq!(rule.sample, 1.0);
        assert_eq!(serde_json::to_value(&rule).unwrap()["filter"], json!({"tag": "beta"}));
    }
}
