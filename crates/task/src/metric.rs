//! Which numbers a task gives: what each metric says about one document, and the names of metrics and aggregations.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use crate::aggregate::Aggregation;
use crate::fields::Fields;
use crate::python::pattern::Pattern;
use crate::request::Likelihood;
use crate::{Result, yaml};

/// A metric of a task.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub name: String,
    pub aggregation: Aggregation,
    pub higher_is_better: bool,
    exact: ExactMatch,
}

/// How `exact_match` makes texts equal before it compares them.
#[derive(Debug, Clone, Default)]
struct ExactMatch {
    ignored: Vec<Pattern>,
    ignore_case: bool,
    ignore_punctuation: bool,
    ignore_numbers: bool,
}

/// What a metric says about one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A number; the mean, or a function of it, is over all documents.
    Number(f64),
    /// A sum and what it is divided by: a log-likelihood and the words or bytes.
    Ratio(f64, f64),
    /// The right class and the one that was chosen.
    Classes(i64, i64),
    /// The right class and the probabilities of all.
    Probabilities(i64, Vec<f64>),
}

/// What a task measures from: log-likelihoods of choices, or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// Log-likelihoods of choices, the highest of which is the answer.
    MultipleChoice,
    /// The log-likelihood of one continuation.
    Loglikelihood,
    /// The log-likelihood of a whole text.
    LoglikelihoodRolling,
    /// A text.
    GenerateUntil,
}

/// The name, the output types that give it, its aggregation, and whether higher is better (`lm_eval/api/metrics.py`).
const METRICS: &[(&str, &[OutputType], Aggregation, bool)] = {
    use OutputType::{GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};
    &[
        ("acc", &[MultipleChoice, Loglikelihood], Aggregation::Mean, true),
        ("acc_norm", &[MultipleChoice], Aggregation::Mean, true),
        ("acc_bytes", &[MultipleChoice], Aggregation::Mean, true),
        ("acc_mutual_info", &[MultipleChoice], Aggregation::Mean, true),
        ("exact_match", &[MultipleChoice, GenerateUntil], Aggregation::Mean, true),
        ("f1", &[MultipleChoice], Aggregation::F1, true),
        ("mcc", &[MultipleChoice], Aggregation::Matthews, true),
        ("brier_score", &[MultipleChoice], Aggregation::Brier, false),
        ("perplexity", &[Loglikelihood], Aggregation::Perplexity, false),
        ("word_perplexity", &[LoglikelihoodRolling], Aggregation::WeightedPerplexity, false),
        ("byte_perplexity", &[LoglikelihoodRolling], Aggregation::WeightedPerplexity, false),
        ("bits_per_byte", &[LoglikelihoodRolling], Aggregation::BitsPerByte, false),
    ]
};

/// Those that the harness has and that are not here yet.
const NOT_YET: &[&str] =
    &["bleu", "chrf", "chrf++", "ter", "likelihood", "bypass", "acc_all", "pass_at_k", "rouge1", "rouge2", "rougeL"];

impl OutputType {
    const NAMES: [(&'static str, Self); 4] = [
        ("multiple_choice", Self::MultipleChoice),
        ("loglikelihood", Self::Loglikelihood),
        ("loglikelihood_rolling", Self::LoglikelihoodRolling),
        ("generate_until", Self::GenerateUntil),
    ];

    pub(crate) fn read(fields: &mut Fields) -> Result<Self> {
        let Some(name) = fields.text("output_type")? else { return Ok(Self::GenerateUntil) };
        let found = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let known = Self::NAMES.map(|(known, _)| known).join(", ");
        found.ok_or_else(|| fields.wrong("output_type", format!("{name:?} is not known; known are {known}")))
    }

    /// The metrics of a task that names none (`DEFAULT_METRIC_REGISTRY`).
    fn default_metrics(self) -> &'static [&'static str] {
        match self {
            Self::MultipleChoice => &["acc", "acc_norm"],
            Self::Loglikelihood => &["perplexity", "acc"],
            Self::LoglikelihoodRolling => &["word_perplexity", "byte_perplexity", "bits_per_byte"],
            Self::GenerateUntil => &["exact_match"],
        }
    }
}

/// The metrics of `metric_list`. With a function of results of its own (`by_function`) a task may name metrics as it likes.
pub(crate) fn read(fields: &mut Fields, output: OutputType, by_function: bool) -> Result<Vec<Metric>> {
    let Some(items) = fields.list("metric_list")? else {
        return Ok(output.default_metrics().iter().filter_map(|name| Metric::known(name)).collect());
    };
    let mut metrics: Vec<Metric> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let metric = Metric::read(fields.within(&format!("metric_list[{index}]"), item)?, output, by_function)?;
        if metrics.iter().any(|other| other.name == metric.name) {
            return Err(fields.wrong("metric_list", format!("{:?} is there twice", metric.name)));
        }
        metrics.push(metric);
    }
    if metrics.is_empty() {
        return Err(fields.wrong("metric_list", "the list is empty; remove it for the metrics of the output type"));
    }
    Ok(metrics)
}

impl Metric {
    fn known(name: &str) -> Option<Self> {
        let (name, _, aggregation, higher_is_better) = METRICS.iter().find(|(known, ..)| *known == name)?;
        Some(Self {
            name: (*name).to_owned(),
            aggregation: *aggregation,
            higher_is_better: *higher_is_better,
            exact: ExactMatch::default(),
        })
    }

    fn read(mut fields: Fields, output: OutputType, by_function: bool) -> Result<Self> {
        let name = match fields.take("metric") {
            Some(Yaml::String(name)) => name,
            Some(value) if yaml::function(&value).is_some() => {
                return Err(fields.wrong("metric", "a metric that is a Python function is not run here"));
            }
            _ => return Err(fields.wrong("metric", "write the name of a metric")),
        };
        fields.refuse(
            "hf_evaluate",
            "metrics of the library `evaluate` are fetched from the hub; name one of this room's",
        )?;
        let mut metric = match Self::known(&name) {
            Some(metric) => metric,
            None if by_function => {
                Self { name, aggregation: Aggregation::Mean, higher_is_better: true, exact: ExactMatch::default() }
            }
            None => return Err(fields.wrong("metric", Self::not_known(&name))),
        };
        if !by_function
            && !METRICS.iter().any(|(known, outputs, ..)| *known == metric.name && outputs.contains(&output))
        {
            return Err(fields.wrong("metric", format!("{:?} cannot be had from this output_type", metric.name)));
        }
        if let Some(aggregation) = Aggregation::read(&mut fields)? {
            metric.aggregation = aggregation;
        }
        metric.higher_is_better = fields.truth("higher_is_better")?.unwrap_or(metric.higher_is_better);
        if metric.name == "exact_match" {
            metric.exact = ExactMatch::read(&mut fields)?;
        }
        fields.end()?;
        Ok(metric)
    }

    fn not_known(name: &str) -> String {
        let known: Vec<&str> = METRICS.iter().map(|(known, ..)| *known).collect();
        let what = if NOT_YET.contains(&name) { "is not here yet" } else { "is not known" };
        format!("the metric {name:?} {what}; there are {}", known.join(", "))
    }

    /// `exact_match` of an answer with one target, or with any of several.
    pub(crate) fn exact_match(&self, answers: &[String], targets: &[String]) -> std::result::Result<f64, String> {
        let answers = answers.iter().map(|text| self.exact.plain(text)).collect::<std::result::Result<Vec<_>, _>>()?;
        let targets = targets.iter().map(|text| self.exact.plain(text)).collect::<std::result::Result<Vec<_>, _>>()?;
        let share = |target: &String| {
            answers.iter().filter(|answer| *answer == target).count() as f64 / answers.len().max(1) as f64
        };
        Ok(match &targets[..] {
            [one] => share(one),
            several => f64::from(u8::from(several.iter().any(|target| share(target) > 0.0))),
        })
    }

    /// Whether the texts are changed by patterns, which the harness does not do to lists.
    pub(crate) fn has_ignored_patterns(&self) -> bool {
        !self.exact.ignored.is_empty()
    }
}

impl ExactMatch {
    fn read(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            ignored: fields.patterns("regexes_to_ignore")?.unwrap_or_default(),
            ignore_case: fields.truth("ignore_case")?.unwrap_or(false),
            ignore_punctuation: fields.truth("ignore_punctuation")?.unwrap_or(false),
            ignore_numbers: fields.truth("ignore_numbers")?.unwrap_or(false),
        })
    }

    /// The text as it is compared (`exact_match_hf_evaluate`).
    fn plain(&self, text: &str) -> std::result::Result<String, String> {
        let mut text = text.to_owned();
        for pattern in &self.ignored {
            text = pattern.replace(&text, "", 0)?;
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        text.retain(|c| {
            !(self.ignore_punctuation && c.is_ascii_punctuation() || self.ignore_numbers && c.is_ascii_digit())
        });
        Ok(text)
    }
}

/// The right choice of a document, or the right ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gold {
    One(i64),
    Any(Vec<i64>),
}

/// A whole number, as Python has it: `True` is 1.
pub(crate) fn as_whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_bool().map(i64::from))
}

/// A choice that there is not: what the harness takes for a label outside the choices.
pub(crate) const NO_CHOICE: i64 = -100;

impl Gold {
    /// From `doc_to_target`: a number, a list of numbers where the task has several, or the words of a choice. A truth value is a
    /// number too, as in Python.
    pub(crate) fn of(target: &Value, choices: &[String]) -> std::result::Result<Self, String> {
        let inside = |index: i64| if index < choices.len() as i64 { index } else { NO_CHOICE };
        let whole = |value: &Value| as_whole(value).map(inside);
        match target {
            Value::String(words) => {
                let at = choices.iter().position(|choice| choice == words);
                Ok(Self::One(at.map_or(NO_CHOICE, |at| at as i64)))
            }
            Value::Array(several) => {
                let several = several.iter().map(whole).collect::<Option<Vec<_>>>();
                several
                    .map(Self::Any)
                    .ok_or_else(|| "doc_to_target gives a list with something but whole numbers".to_owned())
            }
            one => whole(one).map(Self::One).ok_or_else(|| format!("doc_to_target gives {one}, which is no choice")),
        }
    }

    fn is(&self, choice: usize) -> bool {
        match self {
            Self::One(gold) => *gold == choice as i64,
            Self::Any(golds) => golds.contains(&(choice as i64)),
        }
    }

    /// Whether a right choice is what the model would have written itself.
    fn is_greedy(&self, likelihoods: &[Likelihood]) -> bool {
        // A negative number counts from the end, as Python's indices do.
        let place = |gold: i64| if gold < 0 { gold + likelihoods.len() as i64 } else { gold };
        let greedy = |gold: i64| {
            gold != NO_CHOICE
                && usize::try_from(place(gold)).ok().and_then(|at| likelihoods.get(at)).is_some_and(|l| l.is_greedy)
        };
        match self {
            Self::One(gold) => greedy(*gold),
            Self::Any(golds) => golds.iter().any(|gold| greedy(*gold)),
        }
    }

    fn class(&self, metric: &str) -> std::result::Result<i64, String> {
        match self {
            Self::One(gold) => Ok(*gold),
            Self::Any(_) => Err(format!("{metric} needs one right choice, and the document has several")),
        }
    }
}

/// What was measured of a document with choices.
pub(crate) struct Choices<'a> {
    pub texts: &'a [String],
    pub likelihoods: &'a [Likelihood],
    /// The choices after nothing at all, for `acc_mutual_info`.
    pub unconditional: Option<&'a [Likelihood]>,
    pub gold: Gold,
}

impl Choices<'_> {
    /// What the metric says (`process_results` for `multiple_choice`).
    pub(crate) fn measure(&self, metric: &str) -> std::result::Result<Measure, String> {
        let per = |size: fn(&str) -> usize| {
            let values = self.likelihoods.iter().zip(self.texts);
            argmax(values.map(|(l, text)| l.sum / size(text) as f64))
        };
        let chosen = || argmax(self.likelihoods.iter().map(|l| l.sum));
        let truth = |truth: bool| Measure::Number(f64::from(u8::from(truth)));
        Ok(match metric {
            "acc" => truth(self.gold.is(chosen())),
            "acc_norm" => truth(self.gold.is(per(|text| text.chars().count()))),
            "acc_bytes" => truth(self.gold.is(per(str::len))),
            "exact_match" => truth(self.gold.is_greedy(self.likelihoods)),
            "f1" | "mcc" => Measure::Classes(self.gold.class(metric)?, chosen() as i64),
            "brier_score" => Measure::Probabilities(self.gold.class(metric)?, softmax(self.likelihoods)),
            "acc_mutual_info" => {
                let alone = self.unconditional.ok_or("acc_mutual_info lacks the choices by themselves")?;
                let chosen = argmax(self.likelihoods.iter().zip(alone).map(|(l, u)| l.sum - u.sum));
                truth(self.gold.is(chosen) && matches!(self.gold, Gold::One(_)))
            }
            other => return Err(format!("{other} is not measured from choices")),
        })
    }

    /// `process_results_mc2` of `truthfulqa/utils.py`: `Σ p(true) / Σ p`, with `labels` saying which are true.
    pub(crate) fn true_share(&self, labels: &[i64]) -> f64 {
        let probabilities: Vec<f64> = self.likelihoods.iter().map(|l| l.sum.exp()).collect();
        let all: f64 = probabilities.iter().sum();
        probabilities.iter().zip(labels).filter(|(_, label)| **label == 1).map(|(p, _)| p / all).sum()
    }
}

/// `numpy.argmax`: the first of the highest, or the first that is not a number.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value.is_nan() {
            return index;
        }
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

fn softmax(likelihoods: &[Likelihood]) -> Vec<f64> {
    let highest = likelihoods.iter().map(|l| l.sum).fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = likelihoods.iter().map(|l| (l.sum - highest).exp()).collect();
    let all: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices<'a>(texts: &'a [String], likelihoods: &'a [Likelihood], gold: Gold) -> Choices<'a> {
        Choices { texts, likelihoods, unconditional: None, gold }
    }

    /// By hand: sums -3 and -4; per character -3/1 and -4/2; per byte -3/1 and -4/3 ("é" has two).
    #[test]
    fn choices_are_compared_by_sum_by_character_and_by_byte() {
        let texts = ["a".to_owned(), "né".to_owned()];
        let likelihood = |sum, is_greedy| Likelihood { sum, is_greedy, tokens: 1 };
        let likelihoods = [likelihood(-3.0, false), likelihood(-4.0, true)];
        let first = choices(&texts, &likelihoods, Gold::One(0));
        assert_eq!(first.measure("acc").unwrap(), Measure::Number(1.0));
        assert_eq!(first.measure("acc_norm").unwrap(), Measure::Number(0.0));
        assert_eq!(first.measure("acc_bytes").unwrap(), Measure::Number(0.0));
        assert_eq!(first.measure("exact_match").unwrap(), Measure::Number(0.0));
        let last = choices(&texts, &likelihoods, Gold::One(-1));
        assert_eq!(last.measure("exact_match").unwrap(), Measure::Number(1.0));
        let any = choices(&texts, &likelihoods, Gold::Any(vec![1, NO_CHOICE, 0]));
        assert_eq!(any.measure("acc").unwrap(), Measure::Number(1.0));
        assert!(any.measure("mcc").is_err());
        // exp(-3) / (exp(-3) + exp(-4)) = 1 / (1 + exp(-1))
        let share = first.true_share(&[1, 0]);
        assert!((share - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
        assert_eq!(argmax([f64::NEG_INFINITY, f64::NAN, 0.0].into_iter()), 1);
        assert_eq!(argmax([-2.0, -1.0, -1.0].into_iter()), 1);
    }

    #[test]
    fn labels_outside_the_choices_are_never_right() {
        let texts = ["yes".to_owned(), "no".to_owned()];
        let gold = |value: serde_json::Value| Gold::of(&value, &texts).unwrap();
        assert_eq!(gold(2.into()), Gold::One(NO_CHOICE));
        assert_eq!(gold("no".into()), Gold::One(1));
        assert_eq!(gold("maybe".into()), Gold::One(NO_CHOICE));
        assert_eq!(gold(vec![0, 5].into()), Gold::Any(vec![0, NO_CHOICE]));
        assert_eq!((gold(true.into()), gold(false.into())), (Gold::One(1), Gold::One(0)));
        assert_eq!(gold(vec![true, false].into()), Gold::Any(vec![1, 0]));
        assert!(Gold::of(&Value::Null, &texts).is_err());
    }
}
