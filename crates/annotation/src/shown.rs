//! What an annotator sees of an item: the columns that are listed and, of two answers, neither which is which nor in which order they
//! stand in the dataset.

use qd_base::hash::Hasher;
use serde_json::{Map, Value, json};

use crate::definition::Definition;
use crate::scale::{A, B, Scale, TIE};
use crate::{Error, Result};

/// What is said of two answers as they are shown.
pub const FIRST: &str = "first";
/// See [`FIRST`].
pub const SECOND: &str = "second";

/// An item as an annotator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its number.
    pub item: u32,
    /// The columns that are listed.
    pub columns: Map<String, Value>,
    /// Of two answers, the one that stands first and the one that stands second.
    pub answers: Option<(Value, Value)>,
}

/// Whether the answer of column `b` stands first for this annotator. It follows from the seed, the item and the annotator, so that each
/// sees an item in the same order again, and of all pairs about a half in each.
pub fn is_swapped(seed: u64, item: u32, annotator: &str) -> bool {
    let mut hasher = Hasher::new();
    hasher.update(b"order of two answers");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&item.to_le_bytes());
    hasher.update(annotator.as_bytes());
    hasher.finish().as_bytes()[0] & 1 == 1
}

/// A row as an annotator sees it.
pub fn show(definition: &Definition, item: u32, annotator: &str, row: &Map<String, Value>) -> Shown {
    let value = |column: &String| row.get(column).cloned().unwrap_or_default();
    let columns = definition.show.iter().map(|column| (column.clone(), value(column))).collect();
    let answers = match &definition.scale {
        Scale::Pairwise { a, b, .. } if is_swapped(definition.sample.seed, item, annotator) => {
            Some((value(b), value(a)))
        }
        Scale::Pairwise { a, b, .. } => Some((value(a), value(b))),
        _ => None,
    };
    Shown { item, columns, answers }
}

/// What can be said of an item as it is shown.
pub fn choices(scale: &Scale) -> Option<Vec<Value>> {
    match scale {
        Scale::Pairwise { ties, .. } => {
            Some([FIRST, SECOND, TIE][..if *ties { 3 } else { 2 }].iter().map(|word| json!(word)).collect())
        }
        scale => scale.classes(),
    }
}

/// The scale as an annotator may know it: without the names of columns that are compared.
pub fn scale(scale: &Scale) -> Value {
    match scale {
        Scale::Pairwise { ties, .. } => json!({"kind": "pairwise", "ties": ties}),
        scale => json!(scale),
    }
}

/// What an annotator said, as it is kept: of two answers, which column's is better.
///
/// # Errors
/// [`Error::Definition`] for what cannot be said.
pub fn meant(definition: &Definition, item: u32, annotator: &str, said: &Value) -> Result<Value> {
    let Scale::Pairwise { ties, .. } = definition.scale else { return definition.scale.read(said) };
    let swapped = is_swapped(definition.sample.seed, item, annotator);
    match (said.as_str(), swapped) {
        (Some(FIRST), false) | (Some(SECOND), true) => Ok(json!(A)),
        (Some(FIRST), true) | (Some(SECOND), false) => Ok(json!(B)),
        (Some(TIE), _) if ties => Ok(json!(TIE)),
        _ => {
            let tie = if ties { ", \"tie\"" } else { "" };
            let found: String = said.to_string().chars().take(80).collect();
            Err(Error::definition("value", format!("{found} is not one of \"first\", \"second\"{tie}")))
        }
    }
}

/// Where the answer stood that was preferred: the first place or the second; none for a tie.
pub fn place(definition: &Definition, item: u32, annotator: &str, kept: &Value) -> Option<bool> {
    let swapped = is_swapped(definition.sample.seed, item, annotator);
    match kept.as_str() {
        Some(A) => Some(!swapped),
        Some(B) => Some(swapped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::tests::definition;

    #[test]
    fn only_what_is_listed_is_shown() {
        let row = json!({"question": "2 + 2?", "reference": "4", "model": "m"});
        let shown = show(&definition(json!({})), 0, "ada", row.as_object().unwrap());
        assert_eq!(Value::Object(shown.columns), json!({"question": "2 + 2?"}));
        assert_eq!(shown.answers, None);
    }

    #[test]
    fn what_is_said_of_places_is_kept_of_columns() {
        let pairs =
            definition(json!({"scale": {"kind": "pairwise", "a": "x", "b": "y"}, "show": [], "sample": {"seed": 5}}));
        let row = json!({"x": "from x", "y": "from y"});
        let (mut swapped, mut seen) = (0, 0);
        for item in 0..200 {
            for annotator in ["ada", "bob"] {
                let (first, second) = show(&pairs, item, annotator, row.as_object().unwrap()).answers.unwrap();
                let is_swapped = first == "from y";
                assert_eq!(second == "from x", is_swapped);
                let better = if is_swapped { B } else { A };
                assert_eq!(meant(&pairs, item, annotator, &json!("first")).unwrap(), better);
                assert_ne!(meant(&pairs, item, annotator, &json!("second")).unwrap(), better);
                assert_eq!(meant(&pairs, item, annotator, &json!("tie")).unwrap(), "tie");
                assert_eq!(place(&pairs, item, annotator, &json!(better)), Some(true));
                (swapped, seen) = (swapped + u32::from(is_swapped), seen + 1);
            }
        }
        // Of 400 fair tosses fewer than 160 or more than 240 are heads once in 16,000 times; these follow from the seed.
        assert!((160..=240).contains(&swapped), "{swapped} of {seen}");
        let differ = (0..200).filter(|&item| is_swapped(5, item, "ada") != is_swapped(5, item, "bob")).count();
        assert!((70..=130).contains(&differ), "annotators have orders of their own: {differ}");
        assert_eq!(scale(&pairs.scale), json!({"kind": "pairwise", "ties": true}));
        assert!(
            meant(&pairs, 0, "ada", &json!("a")).unwrap_err().to_string().contains("\"first\", \"second\", \"tie\"")
        );
    }
}
