//! The encoder against PyTorch: `parity/embeddings.json` holds what transformers made of the same weights.

use std::path::PathBuf;
use std::sync::LazyLock;

use qd_tensor::{Embedded, Embedder, Error};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    max_tokens: usize,
    texts: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    text: String,
    tokens: usize,
    vector: Vec<f64>,
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../parity/embeddings.json")).unwrap());

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

fn embed(texts: &[&str]) -> Embedded {
    let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    EMBEDDER.embed(&texts, true).unwrap()
}

fn cosine_distance(a: &[f32], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let a: Vec<f64> = a.iter().map(|&x| f64::from(x)).collect();
    1.0 - dot(&a, b) / (dot(&a, &a) * dot(b, b)).sqrt()
}

fn check(expected: &[&Expected]) {
    let texts: Vec<&str> = expected.iter().map(|expected| expected.text.as_str()).collect();
    let found = embed(&texts);
    for ((vector, tokens), expected) in found.vectors.iter().zip(&found.tokens).zip(expected) {
        let start: String = expected.text.chars().take(40).collect();
        assert_eq!(*tokens, expected.tokens, "{start:?}");
        assert_eq!(vector.len(), EMBEDDER.dimensions());
        // Rounding the reference to 1e-6 alone gives distances of about 1e-11; the contract is 1e-4.
        let distance = cosine_distance(vector, &expected.vector);
        assert!(distance.abs() < 1e-6, "{start:?} is {distance} away from PyTorch's");
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{start:?} has squared length {length}");
    }
}

#[test]
fn vectors_are_those_of_pytorch_in_one_batch() {
    assert_eq!((EMBEDDER.max_tokens(), EMBEDDER.dimensions()), (REFERENCE.max_tokens, 384));
    check(&REFERENCE.texts.iter().collect::<Vec<_>>());
}

#[test]
fn vectors_are_those_of_pytorch_one_by_one_and_in_another_order() {
    REFERENCE.texts.iter().for_each(|expected| check(&[expected]));
    check(&REFERENCE.texts.iter().rev().chain(&REFERENCE.texts).collect::<Vec<_>>());
}

#[test]
fn a_long_text_is_cut_only_when_allowed() {
    let texts = vec!["short".to_owned(), "word ".repeat(600)];
    let refused = EMBEDDER.embed(&texts, false);
    assert!(matches!(refused, Err(Error::TooLong { index: 1, tokens: 602, limit: 512 })), "{refused:?}");
    assert_eq!(EMBEDDER.embed(&texts, true).unwrap().tokens, [3, 512]);
    assert_eq!(EMBEDDER.count(&texts[1]).unwrap(), 602);
}

#[test]
fn no_texts_have_no_vectors() {
    assert_eq!(embed(&[]), Embedded { vectors: vec![], tokens: vec![] });
}

#[test]
fn a_folder_that_holds_no_model_is_told_by_name() {
    let error = Embedder::load(&models().join("no-such-model")).err().unwrap();
    assert!(error.to_string().ends_with("no-such-model/config.json"), "{error}");
}
