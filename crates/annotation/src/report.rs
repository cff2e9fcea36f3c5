//! How far people are, how far they agree, and which leaning each has.

use std::collections::{BTreeMap, BTreeSet};

use qd_catalog::{AnnotationDecision, AnnotationLabel};
use qd_eval::agreement::alpha::{Ratings, Scale as Measure};
use qd_eval::agreement::{Pairs, Weights};
use qd_eval::interval::{Sampling, bootstrap_mean, mean, quantile, wilson};
use qd_eval::{Estimate, Estimated, Undefined};
use serde_json::Value;

use crate::Result;
use crate::definition::Definition;
use crate::shown;
use crate::verdict::{Verdicts, verdicts};

/// Annotators of whom each is held against each other: those with the most labels.
const MOST_PAIRED: usize = 10;
/// Resamples of the intervals of what is told of pairs of annotators.
const FEW: Sampling = Sampling { seed: 0, resamples: 2_000, flips: 0 };

/// What came of an annotation so far.
#[derive(Debug, Clone)]
pub struct Report {
    /// How many items there are.
    pub items: usize,
    /// How many labels they need together.
    pub wanted: u64,
    /// How many labels there are; what was skipped is none.
    pub labels: usize,
    /// How often an item was skipped.
    pub skipped: usize,
    /// Items with all the labels they need.
    pub complete: usize,
    /// Items of which labels differ.
    pub disagreements: usize,
    /// Those of them that nobody has decided.
    pub undecided: usize,
    /// Items that somebody decided.
    pub adjudicated: usize,
    /// How many items have a verdict, by what it came about.
    pub verdicts: BTreeMap<&'static str, usize>,
    /// How many items have which verdict, in the order of the scale; nothing where any number can be said.
    pub values: Vec<(Value, usize)>,
    /// How far people agree.
    pub agreement: Agreement,
    /// Each annotator, by name.
    pub annotators: Vec<AnnotatorReport>,
    /// What Dawid and Skene's model says of all.
    pub model: Option<ModelReport>,
}

/// How far people agree.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Items that two or more labelled.
    pub items: usize,
    /// The mean over those of the share of pairs of labels that are the same.
    pub same: Estimated,
    /// Krippendorff's alpha.
    pub alpha: Estimated,
    /// What a difference means for it.
    pub measure: Measure,
    /// Of two annotators who labelled the same items.
    pub pairs: Vec<PairReport>,
    /// What a difference means for kappa.
    pub weights: Weights,
}

/// How far two annotators agree.
#[derive(Debug, Clone)]
pub struct PairReport {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
    /// The share of items to which both gave the same.
    pub same: Estimated,
    /// Cohen's kappa.
    pub kappa: Estimated,
}

/// What is known of an annotator.
#[derive(Debug, Clone)]
pub struct AnnotatorReport {
    /// Who.
    pub name: String,
    /// Their labels.
    pub labels: usize,
    /// How often they skipped an item.
    pub skipped: usize,
    /// How often they said something else later.
    pub changes: u64,
    /// Seconds that half of their labels took at most.
    pub median_seconds: Option<f64>,
    /// The mean over items of the share of others' labels that are the same as theirs.
    pub same_as_others: Estimated,
    /// Of two answers, the share of preferences that are for the one that stood first; 0.5 is fair, since the order is random.
    pub first_place: Option<Estimated>,
    /// What Dawid and Skene's model says of them.
    pub model: Option<Bias>,
}

/// What Dawid and Skene's model says of an annotator.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    /// How often they are right.
    pub accuracy: f64,
    /// For each class, how much more often they say it than there are such items.
    pub leaning: Vec<f64>,
    /// For each true class, the probability of each class that they say.
    pub confusion: Vec<Vec<f64>>,
}

/// What Dawid and Skene's model says of all.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelReport {
    /// The classes, in the order of matrices.
    pub classes: Vec<Value>,
    /// The share of each.
    pub shares: Vec<f64>,
    /// Whether the fit ended by itself.
    pub converged: bool,
}

/// The report of an annotation with so many items.
///
/// # Errors
/// [`crate::Error::Eval`] beyond the limits of statistics.
pub fn report(
    definition: &Definition,
    items: usize,
    labels: &[AnnotationLabel],
    decisions: &[AnnotationDecision],
) -> Result<Report> {
    let found = verdicts(&definition.scale, items, labels, decisions)?;
    let mut by_item: Vec<Vec<&AnnotationLabel>> = vec![Vec::new(); items];
    for label in labels.iter().filter(|label| label.value.is_some()) {
        if let Some(of) = by_item.get_mut(label.item as usize) {
            of.push(label);
        }
    }
    let needed = |item: usize| definition.overlap.needed(u32::try_from(item).unwrap_or(u32::MAX)) as usize;
    let decided: BTreeSet<usize> = decisions.iter().map(|decision| decision.item as usize).collect();
    let differ: Vec<usize> = (0..items).filter(|&item| found.differ[item]).collect();
    Ok(Report {
        items,
        wanted: (0..items).map(|item| needed(item) as u64).sum(),
        labels: by_item.iter().map(Vec::len).sum(),
        skipped: labels.iter().filter(|label| label.skipped.is_some()).count(),
        complete: by_item.iter().enumerate().filter(|(item, of)| of.len() >= needed(*item)).count(),
        disagreements: differ.len(),
        undecided: differ.into_iter().filter(|item| !decided.contains(item)).count(),
        adjudicated: decided.len(),
        verdicts: counted(&found),
        values: values(definition, &found),
        agreement: agreement(definition, &by_item)?,
        annotators: annotators(definition, labels, &by_item, &found),
        model: found.consensus.as_ref().map(|consensus| ModelReport {
            classes: definition.scale.classes().unwrap_or_default(),
            shares: consensus.prior.clone(),
            converged: consensus.converged,
        }),
    })
}

fn counted(found: &Verdicts) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    found.of.iter().flatten().for_each(|verdict| *counts.entry(verdict.how.as_str()).or_default() += 1);
    counts
}

fn values(definition: &Definition, found: &Verdicts) -> Vec<(Value, usize)> {
    let count = |class: &Value| found.of.iter().flatten().filter(|verdict| verdict.value == *class).count();
    definition.scale.classes().into_iter().flatten().map(|class| (class.clone(), count(&class))).collect()
}

fn agreement(definition: &Definition, by_item: &[Vec<&AnnotationLabel>]) -> Result<Agreement> {
    let shared: Vec<&Vec<&AnnotationLabel>> = by_item.iter().filter(|of| of.len() > 1).collect();
    let same: Vec<f64> = shared.iter().map(|of| share_of_pairs(of)).collect();
    let scale = &definition.scale;
    let number = |label: &&AnnotationLabel| label.value.as_ref().and_then(|value| scale.number(value));
    let ratings: Vec<Vec<Option<f64>>> = shared.iter().map(|of| of.iter().map(number).collect()).collect();
    let alpha = Ratings::new(&ratings)?.alpha(scale.measure(), Sampling::default())?;
    let pairs = pairs(definition, by_item)?;
    let same = estimated(&same);
    Ok(Agreement { items: shared.len(), same, alpha, measure: scale.measure(), pairs, weights: scale.weights() })
}

/// The share of pairs of labels of an item that are the same.
fn share_of_pairs(of: &[&AnnotationLabel]) -> f64 {
    let pairs = of.len() * (of.len() - 1) / 2;
    let same = (0..of.len()).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|&(a, b)| of[a].value == of[b].value);
    same.count() as f64 / pairs as f64
}

/// The mean of shares with its interval.
fn estimated(shares: &[f64]) -> Estimated {
    let value = mean(shares).ok_or(Undefined::TooFew)?;
    Ok(Estimate { value, interval: bootstrap_mean(shares, Some((0.0, 1.0)), FEW), items: shares.len() })
}

/// Each two of the annotators with the most labels who labelled the same items.
fn pairs(definition: &Definition, by_item: &[Vec<&AnnotationLabel>]) -> Result<Vec<PairReport>> {
    let Some(classes) = definition.scale.classes() else { return Ok(Vec::new()) };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    by_item.iter().flatten().for_each(|label| *counts.entry(&label.annotator).or_default() += 1);
    let mut most: Vec<(&str, usize)> = counts.into_iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    most.truncate(MOST_PAIRED);
    most.sort_unstable();
    let class = |of: &[&AnnotationLabel], name: &str| {
        let value = of.iter().find(|label| label.annotator == name)?.value.as_ref()?;
        classes.iter().position(|class| class == value)
    };
    let mut found = Vec::new();
    for (at, (a, _)) in most.iter().enumerate() {
        for (b, _) in &most[at + 1..] {
            let both: Vec<(usize, usize)> =
                by_item.iter().filter_map(|of| Some((class(of, a)?, class(of, b)?))).collect();
            if !both.is_empty() {
                let pairs = Pairs::new(&both, classes.len())?;
                let kappa = pairs.kappa(definition.scale.weights(), FEW);
                let (a, b) = ((*a).to_owned(), (*b).to_owned());
                found.push(PairReport { a, b, same: pairs.accuracy(), kappa });
            }
        }
    }
    Ok(found)
}

fn annotators(
    definition: &Definition,
    labels: &[AnnotationLabel],
    by_item: &[Vec<&AnnotationLabel>],
    found: &Verdicts,
) -> Vec<AnnotatorReport> {
    let mut of_each: BTreeMap<&str, Vec<&AnnotationLabel>> = BTreeMap::new();
    labels.iter().for_each(|label| of_each.entry(&label.annotator).or_default().push(label));
    let report = |(name, own): (&str, Vec<&AnnotationLabel>)| {
        let given: Vec<&&AnnotationLabel> = own.iter().filter(|label| label.value.is_some()).collect();
        let mut seconds: Vec<f64> =
            given.iter().filter_map(|label| label.took_ms).map(|took_ms| took_ms as f64 / 1_000.0).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        let place = found.annotators.binary_search_by(|other| other.as_str().cmp(name)).ok();
        AnnotatorReport {
            name: name.to_owned(),
            labels: given.len(),
            skipped: own.len() - given.len(),
            changes: own.iter().map(|label| u64::from(label.changes)).sum(),
            median_seconds: (!seconds.is_empty()).then(|| quantile(&seconds, 0.5)),
            same_as_others: estimated(
                &given.iter().filter_map(|label| same_as_others(label, by_item)).collect::<Vec<_>>(),
            ),
            first_place: first_place(definition, &given),
            model: place.and_then(|place| bias(found, place)),
        }
    };
    of_each.into_iter().map(report).collect()
}

/// The share of others' labels of the same item that are the same; none where there are no others.
fn same_as_others(label: &AnnotationLabel, by_item: &[Vec<&AnnotationLabel>]) -> Option<f64> {
    let others: Vec<_> =
        by_item.get(label.item as usize)?.iter().filter(|other| other.annotator != label.annotator).collect();
    let same = others.iter().filter(|other| other.value == label.value).count();
    (!others.is_empty()).then(|| same as f64 / others.len() as f64)
}

fn first_place(definition: &Definition, given: &[&&AnnotationLabel]) -> Option<Estimated> {
    matches!(definition.scale, crate::Scale::Pairwise { .. }).then(|| {
        let places = given
            .iter()
            .filter_map(|label| shown::place(definition, label.item, &label.annotator, label.value.as_ref()?));
        let places: Vec<bool> = places.collect();
        let (first, items) = (places.iter().filter(|first| **first).count(), places.len());
        let value = if items == 0 { return Err(Undefined::TooFew) } else { first as f64 / items as f64 };
        Ok(Estimate { value, interval: Some(wilson(first as u64, items as u64)), items })
    })
}

fn bias(found: &Verdicts, annotator: usize) -> Option<Bias> {
    let consensus = found.consensus.as_ref()?;
    Some(Bias {
        accuracy: consensus.accuracy(annotator)?,
        leaning: consensus.leaning(annotator)?,
        confusion: consensus.confusion.get(annotator)?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::tests::definition;
    use crate::verdict::tests::{decision, labels};

    /// Eight items, three annotators. By hand: pairs that are the same are 3, 3, 3, 1, 1, 1 of 3, then 1 of 1; the last has one label. So
    /// the mean is (3 + 3·⅓ + 1)/7 = 5/7.
    ///
    /// Nominal alpha by hand: values of items with two or more: yes 3 + 3 + 2 + 1 + 2 + 2 = 13, no 3 + 1 + 2 + 1 = 7, n = 20. Disagreeing ordered
    /// pairs, each item's by its number less one: three items of 2·2/2 = 2, so Dₒ = 6/20 = 0.3. Dₑ = 2·13·7/(20·19) = 182/380. α = 1 − 0.3·380/182 = 0.373 63.
    #[test]
    fn agreement_is_that_of_a_hand_calculation() {
        let (y, n, none) = (json!(true), json!(false), Value::Null);
        let rows = [
            [y.clone(), y.clone(), y.clone()],
            [y.clone(), y.clone(), y.clone()],
            [n.clone(), n.clone(), n.clone()],
            [y.clone(), y.clone(), n.clone()],
            [n.clone(), y.clone(), n.clone()],
            [y.clone(), y.clone(), n.clone()],
            [y.clone(), y.clone(), none.clone()],
            [none.clone(), none.clone(), n.clone()],
        ];
        let asked = definition(json!({"overlap": {"labels": 3}}));
        let found = report(&asked, 8, &labels(&rows), &[decision(4, y)]).unwrap();
        assert_eq!((found.items, found.wanted, found.labels, found.skipped), (8, 24, 21, 3));
        assert_eq!((found.complete, found.disagreements, found.undecided, found.adjudicated), (6, 3, 2, 1));
        assert!((found.agreement.same.unwrap().value - 5.0 / 7.0).abs() < 1e-12);
        assert!((found.agreement.alpha.unwrap().value - (1.0 - 0.3 * 380.0 / 182.0)).abs() < 1e-12);
        assert_eq!(found.agreement.items, 7);
        assert_eq!(found.values, [(json!(false), 2), (json!(true), 6)]);
        let told: Vec<_> = found.verdicts.into_iter().collect();
        assert_eq!(told, [("adjudicated", 1), ("majority", 2), ("single", 1), ("unanimous", 4)]);
        // Ada and bob differ in the fifth of seven: by chance they agree in 5·6 + 2·1 of 49, so κ = (6/7 − 32/49)/(1 − 32/49) = 10/17.
        let [ada_bob, ..] = found.agreement.pairs.as_slice() else { panic!() };
        assert_eq!((ada_bob.a.as_str(), ada_bob.b.as_str()), ("ada", "bob"));
        assert!((ada_bob.same.unwrap().value - 6.0 / 7.0).abs() < 1e-12);
        assert!((ada_bob.kappa.unwrap().value - 10.0 / 17.0).abs() < 1e-12);
        let cyd = &found.annotators[2];
        assert_eq!((cyd.name.as_str(), cyd.labels, cyd.skipped, cyd.median_seconds), ("cyd", 7, 1, Some(2.0)));
        // With ada and bob: 1, 1, 1, 0, ½, 0.
        assert!((cyd.same_as_others.unwrap().value - 3.5 / 6.0).abs() < 1e-12);
        assert!(cyd.first_place.is_none());
        assert!(cyd.model.as_ref().unwrap().leaning[0] > 0.0, "who says no more often than others leans to it");
    }

    #[test]
    fn who_goes_by_the_place_of_an_answer_is_told() {
        let asked = definition(json!({"scale": {"kind": "pairwise", "a": "x", "b": "y"}, "show": []}));
        let rows: Vec<[Value; 3]> = (0..40)
            .map(|item| {
                let first = crate::shown::meant(&asked, item, "ada", &json!("first")).unwrap();
                [first, if item % 4 == 0 { json!("tie") } else { json!("a") }, Value::Null]
            })
            .collect();
        let found = report(&asked, 40, &labels(&rows), &[]).unwrap();
        let place = |at: usize| found.annotators[at].first_place.unwrap();
        assert_eq!(place(0).unwrap().value, 1.0);
        // Wilson's lower end at 40 of 40 is 1/(1 + 1.96²/40) = 0.9124.
        assert!((place(0).unwrap().interval.unwrap().low - 0.912_4).abs() < 1e-4);
        assert!(place(1).unwrap().interval.unwrap().contains(0.5), "{:?}", place(1));
        assert_eq!((place(1).unwrap().items, place(2)), (30, Err(Undefined::TooFew)));
    }

    /// What three people say of 120 pairs of PandaLM's test set, by krippendorff, scikit-learn and crowd-kit (`parity/annotations.py`). Their
    /// model has no smoothing, which moves ours by less than a hundredth.
    #[test]
    fn agreement_and_bias_are_those_of_the_reference() {
        let reference: Value = serde_json::from_str(include_str!("../../../parity/annotations.json")).unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        let words = [json!("tie"), json!("a"), json!("b")];
        let word = |said: &Value| words[usize::try_from(said.as_u64().unwrap()).unwrap()].clone();
        let rows: Vec<[Value; 3]> = reference["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| std::array::from_fn(|annotator| word(&row[annotator])))
            .collect();
        let asked = definition(json!({"scale": {"kind": "pairwise", "a": "x", "b": "y"}, "show": []}));
        let found = report(&asked, rows.len(), &labels(&rows), &[]).unwrap();
        let near = |found: f64, expected: &Value, allowed: f64| {
            assert!((found - number(expected)).abs() < allowed, "{found} and {expected}");
        };
        near(found.agreement.same.unwrap().value, &reference["same"], 1e-12);
        near(found.agreement.alpha.unwrap().value, &reference["alpha"], 1e-12);
        for (at, pair) in found.agreement.pairs.iter().enumerate() {
            near(pair.kappa.unwrap().value, &reference["kappas"][at], 1e-12);
        }
        assert_eq!((found.agreement.pairs.len(), found.annotators.len()), (3, 3));
        for (at, annotator) in found.annotators.iter().enumerate() {
            let bias = annotator.model.as_ref().unwrap();
            near(bias.accuracy, &reference["accuracy"][at], 0.01);
            bias.leaning
                .iter()
                .enumerate()
                .for_each(|(class, leaning)| near(*leaning, &reference["leaning"][at][class], 0.01));
        }
    }

    #[test]
    fn nothing_yet_says_nothing() {
        let found = report(&definition(json!({})), 3, &[], &[]).unwrap();
        assert_eq!((found.labels, found.complete, found.annotators.len()), (0, 0, 0));
        assert_eq!((found.agreement.alpha, found.agreement.same), (Err(Undefined::TooFew), Err(Undefined::TooFew)));
        assert!(found.model.is_none());
    }
}
