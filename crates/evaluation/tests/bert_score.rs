//! BERTScore with an encoder against bert-score: `parity/bert_score.json` holds what that made of the same weights and pairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use qd_evaluation::bertscore::{TokenSimilarity, Weights};
use qd_tensor::{Embedder, Encoded};
use serde_json::{Value, json};

/// What the issue asks for; most differ by less than 1e-6.
const TOLERANCE: f64 = 1e-4;
/// So many pairs the script scores: answers of PandaLM.
const PAIRS: usize = 200;
const MEASURES: [&str; 3] = ["precision", "recall", "f1"];

static REFERENCE: LazyLock<Value> = LazyLock::new(|| read("bert_score.json"));
static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| {
    let folder = models().join("all-minilm-l6-v2");
    Embedder::load(&folder).unwrap_or_else(|error| {
        panic!("{error}: {:?}; `make models` fetches the models that tests need", std::error::Error::source(&error))
    })
});

fn models() -> PathBuf {
    match std::env::var_os("QUARTERDECK_TEST_MODELS") {
        Some(folder) => folder.into(),
        None => std::env::home_dir().unwrap().join(".cache/quarterdeck/test-models"),
    }
}

fn read(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity");
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

/// Each an answer and its references, in the order of the script.
fn pairs() -> Vec<Vec<String>> {
    let mut pairs: Vec<Vec<String>> = serde_json::from_value(read("metrics_pairs.json")["pairs"].clone()).unwrap();
    pairs.truncate(PAIRS);
    pairs
}

/// All texts of some pairs, each once, token by token.
fn encoded(pairs: &[Vec<String>], layer: Option<usize>) -> BTreeMap<String, Encoded> {
    let mut texts: Vec<String> = pairs.iter().flatten().cloned().collect();
    texts.sort_unstable();
    texts.dedup();
    let encoded = texts.chunks(64).flat_map(|texts| EMBEDDER.encode(texts, layer).unwrap());
    texts.iter().cloned().zip(encoded.collect::<Vec<_>>()).collect()
}

/// A text as it stands in a batch of bert-score: what it pads with has no length and no weight, and is the most similar one to tokens that
/// are similar to nothing. A mark weighs nothing, with idf and without.
fn padded(text: &Encoded) -> Encoded {
    let mut padded = text.clone();
    padded.ids.extend(text.ids.last());
    padded.vectors.extend(vec![0.0; text.vectors.len() / text.ids.len()]);
    padded
}

/// Compares all measures of some pairs with what the script noted of one way to score.
fn check(
    way: &str,
    options: &Value,
    (pairs, encoded): (&[Vec<String>], &BTreeMap<String, Encoded>),
    weights: &Weights,
) {
    let expected = REFERENCE[way].as_array().unwrap();
    assert_eq!(expected.len(), pairs.len());
    let mut furthest = 0.0_f64;
    for (place, (pair, expected)) in pairs.iter().zip(expected).enumerate() {
        let references: Vec<Encoded> = pair[1..].iter().map(|text| padded(&encoded[text])).collect();
        for (measure, expected) in MEASURES.iter().zip(expected.as_array().unwrap()) {
            let mut told = options.clone();
            told["measure"] = json!(measure);
            let similarity: TokenSimilarity = serde_json::from_value(told).unwrap();
            let found = similarity.score(&padded(&encoded[&pair[0]]), &references, weights);
            match (found, expected.as_f64()) {
                (Some(found), Some(expected)) => {
                    let off = (found - expected).abs();
                    furthest = furthest.max(off);
                    assert!(off < TOLERANCE, "{way}: {measure} of pair {place} {pair:?} is {found}, not {expected}");
                }
                (found, expected) => assert_eq!(found, expected, "{way}: {measure} of pair {place} {pair:?}"),
            }
        }
    }
    println!("{way}: {} pairs, at most {furthest:e} off", pairs.len());
}

#[test]
fn scores_of_the_last_layer_are_those_of_bert_score() {
    let pairs = pairs();
    let last = encoded(&pairs, None);
    check("last", &json!({}), (&pairs, &last), &Weights::even());

    let references: Vec<&[u32]> =
        pairs.iter().flat_map(|pair| &pair[1..]).map(|text| last[text].ids.as_slice()).collect();
    let rare = Weights::rare(references.iter().copied());
    let [precision, recall, f1] = [0, 1, 2].map(|place| REFERENCE["baseline"][place].clone());
    let rescaled = json!({"idf": true, "baseline": {"precision": precision, "recall": recall, "f1": f1}});
    check("idf_rescaled", &rescaled, (&pairs, &last), &rare);
}

#[test]
fn scores_of_a_layer_below_are_those_of_bert_score() {
    let pairs = &pairs()[..120];
    check("layer_3", &json!({}), (pairs, &encoded(pairs, Some(3))), &Weights::even());
}

#[test]
fn what_is_read_is_what_is_encoded() {
    let texts = ["".to_owned(), "Hello, world!".to_owned(), "word ".repeat(600)];
    let encoded = EMBEDDER.encode(&texts, Some(1)).unwrap();
    let tokens: Vec<_> = encoded.iter().map(|text| text.ids.clone()).collect();
    assert_eq!(EMBEDDER.tokens(&texts).unwrap(), tokens);
    // BERT's vocabulary has [CLS] at 101 and [SEP] at 102.
    assert_eq!((&tokens[0][..], tokens[2].len(), tokens[2].last()), (&[101, 102][..], 512, Some(&102)));
    assert!(encoded.iter().all(|text| text.vectors.len() == text.ids.len() * 384));
    for layer in [0, 7] {
        let refused = EMBEDDER.encode(&texts, Some(layer)).unwrap_err().to_string();
        assert_eq!(refused, format!("layer {layer} was asked for, the model has 1 to 6"));
    }
}
