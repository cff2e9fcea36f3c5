//! Where on a judge's scale lies what people said, and what the judge said?
//!
//! Classes are the words that a judge may say, in their order where they have one. A judge whose score is a share from 0 to 1 has
//! none; where people said 0 or 1 only, it is taken to say 1 from a half on.

use std::collections::BTreeMap;

use qd_judge::{Definition, Judge, Method, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// Words of people that are given a meaning at most.
pub const MOST_MEANINGS: usize = 256;
/// Characters of a word that are told in an error.
const MOST_TOLD_CHARS: usize = 80;

/// A place on a scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The word, where the scale has words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The number, where it has numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// The places that a judge and people can say.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The words with their numbers: ascending where all have one, as they stand otherwise.
    words: Vec<(String, Option<f64>)>,
    /// Whether the words have an order.
    pub ordered: bool,
    /// Whether numbers are far apart as they say, and do not only stand in an order.
    pub metric: bool,
    /// The lowest and the highest number.
    pub range: (f64, f64),
    /// Whether numbers that people said may stand for words.
    numbers: bool,
}

impl Places {
    /// Those of a judge.
    pub fn of(judge: &Judge) -> Self {
        let mut words: Vec<(String, Option<f64>)> =
            judge.labels().iter().map(|label| (label.text.clone(), label.value)).collect();
        let ordered = !words.is_empty() && words.iter().all(|(_, value)| value.is_some());
        if ordered {
            words.sort_by(|a, b| a.1.unwrap_or_default().total_cmp(&b.1.unwrap_or_default()));
        }
        let pairwise = is_of_pairs(judge.definition());
        Self { words, ordered, metric: !pairwise, range: judge.range(), numbers: !pairwise }
    }

    /// Whether there are words.
    pub fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// The words, in their order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(word, _)| word.as_str())
    }

    /// Where a person's word lies; `means` says what of it is meant, where it is another word than the judge's. Null and an empty
    /// text are no word.
    ///
    /// # Errors
    /// [`Error::Request`] when it lies nowhere.
    pub fn read(&self, said: &Value, means: &BTreeMap<String, String>) -> Result<Option<Place>> {
        let text = match said {
            Value::Null => return Ok(None),
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        let found = match means.get(&text) {
            Some(meant) => self.find(meant, true),
            None => self.find(&text, self.numbers),
        };
        found.map(Some).ok_or_else(|| Error::request("label", self.nowhere(&text)))
    }

    fn nowhere(&self, text: &str) -> String {
        let told: String = text.chars().take(MOST_TOLD_CHARS).collect();
        let there = self.in_words();
        format!(
            "people say {told:?}, which is none of the judge's places ({there}); say what it means, as in '{told}=…'"
        )
    }

    /// What can be said, in words.
    fn in_words(&self) -> String {
        match self.words.len() {
            0 => format!("a number from {} to {}", self.range.0, self.range.1),
            _ => self.words().take(12).collect::<Vec<_>>().join(", "),
        }
    }

    /// A person's word as a number of the scale, as [`Places::read`] finds it; of a scale whose numbers are far apart as they say also one
    /// between them, as a mean of several people is. None for no word, and for one that has no number.
    ///
    /// # Errors
    /// [`Error::Request`] when it lies nowhere.
    pub fn number(&self, said: &Value) -> Result<Option<f64>> {
        if let Ok(place) = self.read(said, &BTreeMap::new()) {
            return Ok(place.and_then(|place| place.value));
        }
        let text = said.as_str().map_or_else(|| said.to_string(), |text| text.trim().to_owned());
        let between = text
            .parse::<f64>()
            .ok()
            .filter(|number| self.metric && self.numbers && self.ordered && self.holds(*number));
        let told: String = text.chars().take(MOST_TOLD_CHARS).collect();
        let nowhere = || format!("people say {told:?}, which is none of the judge's places ({})", self.in_words());
        between.map(Some).ok_or_else(|| Error::request("label", nowhere()))
    }

    fn holds(&self, number: f64) -> bool {
        (self.range.0..=self.range.1).contains(&number)
    }

    /// A word, `true` and `false` for yes and no, or a number that a word stands for or that lies in the range.
    fn find(&self, text: &str, numbers: bool) -> Option<Place> {
        let plain = match text {
            "true" => "yes",
            "false" => "no",
            other => other,
        };
        let same = |word: &str| word.eq_ignore_ascii_case(text) || word.eq_ignore_ascii_case(plain);
        if let Some((word, value)) = self.words.iter().find(|(word, _)| same(word)) {
            return Some(Place { label: Some(word.clone()), value: *value });
        }
        let number: f64 = text.parse().ok().filter(|number: &f64| numbers && number.is_finite())?;
        if self.words.is_empty() {
            return self.holds(number).then_some(Place { label: None, value: Some(number) });
        }
        let (word, value) = self.words.iter().find(|(_, value)| *value == Some(number))?;
        Some(Place { label: Some(word.clone()), value: *value })
    }

    /// The class of a place: its word, or the word whose number is nearest, the lower one of two.
    pub fn class(&self, place: &Place) -> Option<usize> {
        if let Some(label) = &place.label {
            return self.words.iter().position(|(word, _)| word == label);
        }
        let value = place.value.filter(|_| self.ordered)?;
        let apart = |at: &usize| self.words[*at].1.map_or(f64::INFINITY, |number| (number - value).abs());
        (0..self.words.len()).min_by(|a, b| apart(a).total_cmp(&apart(b)))
    }
}

/// Whether a judge, or a juror of it, compares two answers: what a number means of a pair must be told.
fn is_of_pairs(definition: &Definition) -> bool {
    match &definition.method {
        Method::Pairwise { .. } => true,
        Method::Jury { jurors, .. } => jurors.iter().any(is_of_pairs),
        _ => false,
    }
}

/// Where a judge's word lies; none where it told nothing.
pub fn said(outcome: &Outcome) -> Option<Place> {
    let Outcome::Score { value, label } = outcome else { return None };
    Some(Place { label: label.clone(), value: *value })
}

/// What most people said; none where two places are said equally often, or nobody said anything. Without words it is the mean.
pub fn truth(said: &[Option<Place>]) -> Option<Place> {
    let told: Vec<&Place> = said.iter().flatten().collect();
    if told.iter().all(|place| place.label.is_none()) {
        let values: Vec<f64> = told.iter().filter_map(|place| place.value).collect();
        return qd_eval::interval::mean(&values).map(|value| Place { label: None, value: Some(value) });
    }
    let count = |place: &Place| told.iter().filter(|other| other.label == place.label).count();
    let most = told.iter().map(|place| count(place)).max()?;
    let first = told.iter().find(|place| count(place) == most)?;
    let alone = told.iter().filter(|place| count(place) == most).all(|place| place.label == first.label);
    alone.then(|| (*first).clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(definition: Value) -> Places {
        let mut whole =
            json!({"model": "m", "instruction": "Judge.", "content": "{{ answer }}", "inputs": [{"name": "answer"}]});
        whole.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
        Places::of(&Judge::new(&serde_json::from_value(whole).unwrap()).unwrap())
    }

    fn boolean() -> Places {
        places(json!({"scale": {"kind": "boolean"}, "method": {"kind": "direct"}}))
    }

    fn pair() -> Places {
        let inputs = json!([{"name": "answer_a"}, {"name": "answer_b"}]);
        places(json!({"inputs": inputs, "content": "{{ answer_a }}{{ answer_b }}", "method": {"kind": "pairwise"}}))
    }

    fn label(places: &Places, said: Value, means: &[(&str, &str)]) -> Option<String> {
        let means = means.iter().map(|&(one, other)| (one.to_owned(), other.to_owned())).collect();
        places.read(&said, &means).unwrap().and_then(|place| place.label)
    }

    #[test]
    fn words_of_people_find_their_place() {
        let places = boolean();
        assert_eq!(places.words().collect::<Vec<_>>(), ["no", "yes"]);
        for said in [json!("yes"), json!(" YES "), json!(true), json!(1), json!("1.0")] {
            assert_eq!(label(&places, said, &[]).as_deref(), Some("yes"));
        }
        assert_eq!(label(&places, json!("PASS"), &[("PASS", "no")]).as_deref(), Some("no"));
        assert_eq!(label(&places, json!("PASS"), &[("PASS", "0")]).as_deref(), Some("no"));
        assert_eq!((label(&places, Value::Null, &[]), label(&places, json!(" "), &[])), (None, None));
        let refused = places.read(&json!("maybe"), &BTreeMap::new()).unwrap_err().to_string();
        assert!(
            refused.contains("\"maybe\"") && refused.contains("no, yes") && refused.contains("'maybe=…'"),
            "{refused}"
        );
    }

    /// In one data set 1 and 2 are the answers and 0 is a tie; as numbers of the scale 0 would be the second answer.
    #[test]
    fn numbers_for_pairs_must_be_told() {
        assert!(pair().read(&json!(0), &BTreeMap::new()).is_err());
        let means = [("1", "A"), ("2", "B"), ("0", "tie")];
        assert_eq!(label(&pair(), json!(0), &means).as_deref(), Some("tie"));
        assert_eq!(label(&pair(), json!(2), &means).as_deref(), Some("B"));
        let inputs = json!([{"name": "answer_a"}, {"name": "answer_b"}]);
        let juror = json!({
            "model": "m", "instruction": "Judge.", "inputs": inputs, "content": "{{ answer_a }}{{ answer_b }}", "method": {"kind": "pairwise"},
        });
        let jury = json!({"instruction": "", "content": "", "inputs": [], "method": {"kind": "jury", "jurors": [juror, juror]}});
        let jury = Places::of(&Judge::new(&serde_json::from_value(jury).unwrap()).unwrap());
        assert!(
            jury.read(&json!(0), &BTreeMap::new()).is_err() && jury.number(&json!(0)).is_err(),
            "nor of a jury of pairs"
        );
        assert_eq!((jury.number(&json!("A")).unwrap(), jury.number(&json!("tie")).unwrap()), (Some(1.0), Some(0.5)));
        assert_eq!(pair().words().collect::<Vec<_>>(), ["B", "tie", "A"]);
    }

    #[test]
    fn shares_are_numbers_in_their_range() {
        let of = places(
            json!({"inputs": [{"name": "answer"}, {"name": "context"}], "content": "{{ context }}", "method": {"kind": "claims", "of": "answer"}}),
        );
        assert_eq!(of.read(&json!(0.25), &BTreeMap::new()).unwrap().unwrap().value, Some(0.25));
        assert!(of.read(&json!(2), &BTreeMap::new()).is_err());
        assert!(!of.has_words());
    }

    #[test]
    fn means_of_criteria_count_as_the_nearest_place() {
        let five =
            places(json!({"scale": {"kind": "numeric", "lowest": 1, "highest": 5}, "method": {"kind": "direct"}}));
        let class = |value: f64| five.class(&Place { label: None, value: Some(value) });
        assert_eq!((class(1.2), class(3.6), class(2.5)), (Some(0), Some(3), Some(1)));
    }

    #[test]
    fn labels_are_numbers_of_the_scale() {
        let five =
            places(json!({"scale": {"kind": "numeric", "lowest": 1, "highest": 5}, "method": {"kind": "direct"}}));
        let of = |said: Value| five.number(&said).ok();
        assert_eq!(
            (of(json!(4)), of(json!("4")), of(json!(3.5)), of(json!(" "))),
            (Some(Some(4.0)), Some(Some(4.0)), Some(Some(3.5)), Some(None))
        );
        assert_eq!((of(json!(0)), of(json!("good"))), (None, None));
        assert!(boolean().number(&json!("PASS")).unwrap_err().to_string().contains("no, yes"));
        assert_eq!(boolean().number(&json!(true)).unwrap(), Some(1.0));
    }

    #[test]
    fn the_truth_is_what_most_say() {
        let said = |words: &[&str]| -> Vec<Option<Place>> {
            words
                .iter()
                .map(|word| (!word.is_empty()).then(|| Place { label: Some((*word).to_owned()), value: None }))
                .collect()
        };
        let of = |words: &[&str]| truth(&said(words)).and_then(|place| place.label);
        assert_eq!(of(&["A", "B", "A"]).as_deref(), Some("A"));
        assert_eq!(of(&["A", "", "tie", "tie"]).as_deref(), Some("tie"));
        assert_eq!((of(&["A", "B", "tie"]), of(&["A", "B"]), of(&["", ""])), (None, None, None));
        let number = |value| Some(Place { label: None, value: Some(value) });
        assert_eq!(truth(&[number(1.0), None, number(0.5)]).unwrap().value, Some(0.75));
    }
}
