//! What is true of an item, by what people said of it and by what was decided.

use std::collections::BTreeMap;

use qd_catalog::{AnnotationDecision, AnnotationLabel};
use qd_eval::dawid_skene::{self, Consensus, Label, Setting};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;
use crate::scale::Scale;

/// By what a verdict came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Somebody decided.
    Adjudicated,
    /// One label says so, and there is no other.
    Single,
    /// All labels say so.
    Unanimous,
    /// More than half of the labels say so.
    Majority,
    /// Dawid and Skene's model finds it likelier than anything else.
    DawidSkene,
    /// Of numbers of a range, the middle one.
    Median,
}

impl How {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adjudicated => "adjudicated",
            Self::Single => "single",
            Self::Unanimous => "unanimous",
            Self::Majority => "majority",
            Self::DawidSkene => "dawid_skene",
            Self::Median => "median",
        }
    }
}

/// What is true of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What.
    pub value: Value,
    /// By what.
    pub how: How,
    /// How probable Dawid and Skene's model finds it, where there is one.
    pub probability: Option<f64>,
}

/// What is true of all items.
#[derive(Debug, Clone)]
pub struct Verdicts {
    /// Of each item; none where nobody said anything, or where neither votes nor the model tell two apart.
    pub of: Vec<Option<Verdict>>,
    /// Whether two labels of the item differ.
    pub differ: Vec<bool>,
    /// The model, where the scale has classes and there are labels.
    pub consensus: Option<Consensus>,
    /// The annotators, in the order of the model.
    pub annotators: Vec<String>,
    /// How unsure each item is, by which those that differ are put in order: bits of the model, else how far numbers lie apart.
    pub doubt: Vec<f64>,
}

/// Two classes of which the model finds both as probable are not told apart by it.
const TOLD_APART: f64 = 1e-6;

/// The verdicts of so many items.
///
/// # Errors
/// [`crate::Error::Eval`] beyond the limits of the model.
pub fn verdicts(
    scale: &Scale,
    items: usize,
    labels: &[AnnotationLabel],
    decisions: &[AnnotationDecision],
) -> Result<Verdicts> {
    let mut said: Vec<Vec<&Value>> = vec![Vec::new(); items];
    for label in labels {
        if let (Some(of), Some(value)) = (said.get_mut(label.item as usize), &label.value) {
            of.push(value);
        }
    }
    let decided: BTreeMap<usize, &AnnotationDecision> =
        decisions.iter().map(|decision| (decision.item as usize, decision)).collect();
    let (annotators, consensus) = model(scale, items, labels, &decided)?;
    let differ: Vec<bool> = said.iter().map(|values| values.windows(2).any(|pair| pair[0] != pair[1])).collect();
    let doubt = said.iter().enumerate().map(|(item, values)| match &consensus {
        Some(consensus) => consensus.entropy_bits(item).unwrap_or(0.0),
        None => spread(scale, values),
    });
    let doubt = doubt.collect();
    let of = said.iter().enumerate().map(|(item, values)| {
        let probability = |value: &Value| probability(scale, consensus.as_ref(), item, value);
        let found = match decided.get(&item) {
            Some(decision) => Some((decision.value.clone(), How::Adjudicated)),
            None => vote(scale, values).or_else(|| likeliest(scale, consensus.as_ref()?, item, values)),
        };
        found.map(|(value, how)| Verdict { probability: probability(&value), value, how })
    });
    Ok(Verdicts { of: of.collect(), differ, consensus, annotators, doubt })
}

/// Dawid and Skene's model of all labels, in which what was decided is known.
fn model(
    scale: &Scale,
    items: usize,
    labels: &[AnnotationLabel],
    decided: &BTreeMap<usize, &AnnotationDecision>,
) -> Result<(Vec<String>, Option<Consensus>)> {
    let mut annotators: Vec<String> =
        labels.iter().filter(|label| label.value.is_some()).map(|label| label.annotator.clone()).collect();
    annotators.sort_unstable();
    annotators.dedup();
    let Some(classes) = scale.classes().filter(|_| !annotators.is_empty()) else { return Ok((annotators, None)) };
    let class = |value: &Value| classes.iter().position(|class| class == value);
    let given = labels.iter().filter(|label| (label.item as usize) < items).filter_map(|label| {
        let annotator = annotators.binary_search(&label.annotator).ok()?;
        Some(Label { item: label.item as usize, annotator, class: class(label.value.as_ref()?)? })
    });
    let known = decided.iter().filter(|(item, _)| **item < items);
    let known: Vec<(usize, usize)> =
        known.filter_map(|(item, decision)| Some((*item, class(&decision.value)?))).collect();
    let setting = Setting::new(items, annotators.len(), classes.len());
    let consensus = dawid_skene::fit(&given.collect::<Vec<_>>(), &known, setting)?;
    Ok((annotators, Some(consensus)))
}

/// What most say: the only one, all, or more than half; of a range the middle.
fn vote(scale: &Scale, values: &[&Value]) -> Option<(Value, How)> {
    let first = *values.first()?;
    if values.len() == 1 {
        return Some((first.clone(), How::Single));
    }
    if values.iter().all(|value| *value == first) {
        return Some((first.clone(), How::Unanimous));
    }
    if let Scale::Range { .. } = scale {
        return Some((Value::from(median(scale, values)), How::Median));
    }
    let count = |wanted: &Value| values.iter().filter(|value| **value == wanted).count();
    let most = values.iter().find(|value| 2 * count(value) > values.len())?;
    Some(((*most).clone(), How::Majority))
}

/// What the model finds likeliest, if it tells it apart from what comes second.
fn likeliest(scale: &Scale, consensus: &Consensus, item: usize, values: &[&Value]) -> Option<(Value, How)> {
    if values.is_empty() {
        return None;
    }
    let (class, most) = consensus.best(item)?;
    let others = consensus.posteriors.get(item)?.iter().enumerate().filter(|(other, _)| *other != class);
    let second = others.map(|(_, p)| *p).fold(0.0, f64::max);
    let value = scale.classes()?.get(class)?.clone();
    (most - second > TOLD_APART).then_some((value, How::DawidSkene))
}

fn probability(scale: &Scale, consensus: Option<&Consensus>, item: usize, value: &Value) -> Option<f64> {
    let class = scale.classes()?.iter().position(|class| class == value)?;
    consensus?.posteriors.get(item)?.get(class).copied()
}

fn numbers(scale: &Scale, values: &[&Value]) -> Vec<f64> {
    let mut numbers: Vec<f64> = values.iter().filter_map(|value| scale.number(value)).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers
}

/// The middle number, or the mean of the two in the middle.
fn median(scale: &Scale, values: &[&Value]) -> f64 {
    qd_eval::interval::quantile(&numbers(scale, values), 0.5)
}

fn spread(scale: &Scale, values: &[&Value]) -> f64 {
    let numbers = numbers(scale, values);
    numbers.last().zip(numbers.first()).map_or(0.0, |(most, least)| most - least)
}

#[cfg(test)]
pub(crate) mod tests {
    use qd_base::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::scale::tests::scale;

    pub(crate) fn label(item: u32, annotator: &str, value: Value) -> AnnotationLabel {
        AnnotationLabel {
            item,
            annotator: annotator.to_owned(),
            skipped: value.is_null().then(|| "it is cut off".to_owned()),
            value: Some(value).filter(|value| !value.is_null()),
            comment: None,
            took_ms: Some(2_000),
            changes: 0,
            sender: "operator".to_owned(),
            labelled: Timestamp::from_secs(0),
        }
    }

    pub(crate) fn decision(item: u32, value: Value) -> AnnotationDecision {
        AnnotationDecision {
            item,
            value,
            reason: "so it is".to_owned(),
            decider: "eve".to_owned(),
            decided: Timestamp::from_secs(0),
        }
    }

    /// The labels of items, by item: what ada, bob and cyd say; null where they say nothing.
    pub(crate) fn labels(rows: &[[Value; 3]]) -> Vec<AnnotationLabel> {
        let of = |(item, row): (usize, &[Value; 3])| {
            let named = ["ada", "bob", "cyd"].into_iter().zip(row.clone());
            named.map(move |(name, value)| label(u32::try_from(item).unwrap(), name, value)).collect::<Vec<_>>()
        };
        rows.iter().enumerate().flat_map(of).collect()
    }

    fn told(verdicts: &Verdicts) -> Vec<(Value, &str)> {
        verdicts
            .of
            .iter()
            .map(|of| of.as_ref().map_or((Value::Null, ""), |of| (of.value.clone(), of.how.as_str())))
            .collect()
    }

    #[test]
    fn decisions_come_first_then_votes_then_the_model() {
        let words = scale(json!({"kind": "pairwise", "a": "x", "b": "y"}));
        let (a, b, tie, none) = (json!("a"), json!("b"), json!("tie"), Value::Null);
        let rows = [
            [a.clone(), a.clone(), a.clone()],
            [a.clone(), b.clone(), a.clone()],
            [b.clone(), none.clone(), none.clone()],
            [none.clone(), none.clone(), none.clone()],
            [b.clone(), b.clone(), tie.clone()],
            [a.clone(), tie.clone(), b.clone()],
        ];
        let given = labels(&rows);
        let found = verdicts(&words, 6, &given, &[decision(4, tie.clone())]).unwrap();
        assert_eq!(
            told(&found)[..5],
            [(a.clone(), "unanimous"), (a.clone(), "majority"), (b, "single"), (Value::Null, ""), (tie, "adjudicated")]
        );
        assert_eq!(told(&found)[5].1, "dawid_skene");
        assert_eq!(found.differ, [false, true, false, false, true, true]);
        assert_eq!(found.of[4].as_ref().unwrap().probability, Some(1.0));
        assert_eq!(found.annotators, ["ada", "bob", "cyd"]);
    }

    /// Two annotators who are right in each of eighteen items, and two who always say yes, differ two to two in a last one: the
    /// model believes those whose word tells something.
    #[test]
    fn the_model_breaks_ties_by_who_is_to_be_believed() {
        let yes_or_no = scale(json!({"kind": "boolean"}));
        let mut given = Vec::new();
        for item in 0..18 {
            for name in ["ada", "bob", "cyd"] {
                given.push(label(item, name, json!(item % 2 == 0)));
            }
            given.push(label(item, "yes-1", json!(true)));
            given.push(label(item, "yes-2", json!(true)));
        }
        for (name, value) in [("ada", false), ("bob", false), ("yes-1", true), ("yes-2", true)] {
            given.push(label(18, name, json!(value)));
        }
        let found = verdicts(&yes_or_no, 19, &given, &[]).unwrap();
        let last = found.of[18].as_ref().unwrap();
        assert_eq!((&last.value, last.how), (&json!(false), How::DawidSkene));
        assert!(last.probability.unwrap() > 0.99, "{last:?}");
    }

    #[test]
    fn what_nothing_tells_apart_is_left_open() {
        let yes_or_no = scale(json!({"kind": "boolean"}));
        let given = [label(0, "ada", json!(true)), label(0, "bob", json!(false))];
        let found = verdicts(&yes_or_no, 1, &given, &[]).unwrap();
        assert_eq!((found.of[0].clone(), found.differ[0]), (None, true));
        assert!((found.doubt[0] - 1.0).abs() < 1e-6, "one bit: {}", found.doubt[0]);
    }

    #[test]
    fn numbers_have_a_middle() {
        let range = scale(json!({"kind": "range", "lowest": 0, "highest": 10}));
        let given = labels(&[
            [json!(1.0), json!(9.0), json!(2.0)],
            [json!(4.0), json!(4.0), Value::Null],
            [json!(1.0), json!(2.0), Value::Null],
        ]);
        let found = verdicts(&range, 3, &given, &[]).unwrap();
        assert_eq!(told(&found), [(json!(2.0), "median"), (json!(4.0), "unanimous"), (json!(1.5), "median")]);
        assert_eq!(found.doubt, [8.0, 0.0, 1.0]);
        assert!(found.consensus.is_none());
    }
}
