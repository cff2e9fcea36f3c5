//! What the reference implementations say: `parity/metrics.json`, made by `parity/metrics.py`, of the pairs in
//! `parity/metrics_pairs.json`. For tests.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

static EXPECTED: LazyLock<Value> = LazyLock::new(|| read("metrics.json"));
static PAIRS: LazyLock<Value> = LazyLock::new(|| read("metrics_pairs.json"));

fn read(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity");
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

/// An answer and its references.
#[derive(Clone)]
pub(crate) struct Pair {
    pub answer: String,
    pub references: Vec<String>,
}

/// What one part of the script made.
pub(crate) fn section(name: &str) -> Value {
    EXPECTED[name].clone()
}

/// The pairs: those of the file, and long ones that join some of them by line ends.
pub(crate) fn pairs() -> Vec<Pair> {
    let strings =
        |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let read = |pair: &Value| {
        let mut texts: Vec<String> = strings(pair);
        let answer = texts.remove(0);
        Pair { answer, references: texts }
    };
    let mut pairs: Vec<Pair> = PAIRS["pairs"].as_array().unwrap().iter().map(read).collect();
    for range in PAIRS["joined"].as_array().unwrap() {
        let [from, until] = [0, 1].map(|end| range[end].as_u64().unwrap() as usize);
        let join = |of: fn(&Pair) -> &str| pairs[from..until].iter().map(of).collect::<Vec<_>>().join("\n");
        let joined = Pair { answer: join(|pair| &pair.answer), references: vec![join(|pair| &pair.references[0])] };
        pairs.push(joined);
    }
    assert!(pairs.len() >= 500);
    pairs
}

/// Compares what `scores` says of each pair with a section that has a list for each. `null` is what the reference was not asked
/// for, since it takes minutes.
#[track_caller]
pub(crate) fn each(name: &str, tolerance: f64, scores: impl Fn(&Pair) -> Vec<f64>) {
    let (expected, pairs) = (section(name), pairs());
    let expected = expected.as_array().unwrap();
    assert_eq!(expected.len(), pairs.len());
    for (place, (pair, expected)) in pairs.iter().zip(expected).enumerate() {
        let found = scores(pair);
        assert_eq!(found.len(), expected.as_array().unwrap().len(), "{name} of pair {place}");
        let numbers = found.iter().zip(expected.as_array().unwrap()).enumerate();
        for (number, (found, expected)) in numbers.filter(|(_, (_, expected))| !expected.is_null()) {
            close(*found, expected, tolerance, &format!("{name} {number} of pair {place}: {:?}", pair.answer));
        }
    }
}

/// Compares one number; above 1 the tolerance is a share of it, since the script writes nine digits.
#[track_caller]
pub(crate) fn close(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: {expected} is no number"));
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

/// Pairs that are scored together.
pub(crate) struct Corpus {
    pub pairs: Vec<Pair>,
    most_references: usize,
    /// The number of references in signatures.
    pub signed: Option<usize>,
}

impl Corpus {
    /// How many references of a pair count.
    pub fn references(&self, pair: &Pair) -> usize {
        pair.references.len().min(self.most_references)
    }
}

/// Pairs whose answers have fewer characters than `longest`, with their first reference; the first half of them; those with two
/// references; and all with all that they have.
pub(crate) fn corpora(pairs: &[Pair], longest: usize) -> Vec<Corpus> {
    let pairs: Vec<Pair> = pairs.iter().filter(|pair| pair.answer.chars().count() < longest).cloned().collect();
    let corpus = |pairs: Vec<Pair>, most_references, signed| Corpus { pairs, most_references, signed };
    let two: Vec<Pair> = pairs.iter().filter(|pair| pair.references.len() == 2).cloned().collect();
    vec![
        corpus(pairs.clone(), 1, Some(1)),
        corpus(pairs[..pairs.len() / 2].to_vec(), 1, Some(1)),
        corpus(two, 2, Some(2)),
        corpus(pairs, usize::MAX, None),
    ]
}
