//! Vectors of texts: how they are asked for, and how the answer is read.

use bytes::Bytes;
use qd_base::Usage;
use serde::Deserialize;
use serde_json::json;

/// What a model of embeddings said.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// One vector for each text, in the order of the texts, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// The model that says that it answered.
    pub model: Option<String>,
    /// Tokens, where it told.
    pub usage: Option<Usage>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Vector>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    index: Option<u64>,
    embedding: Vec<f32>,
}

/// The request for the vectors of these texts.
pub fn request(model: &str, texts: &[&str]) -> Bytes {
    // A text without characters is refused by most models.
    let input: Vec<&str> = texts.iter().map(|text| if text.is_empty() { " " } else { text }).collect();
    json!({"model": model, "input": input, "encoding_format": "float"}).to_string().into()
}

/// Reads the answer to a request with so many texts. A list may come in any order when each vector says its place. Servers that
/// say the same place of all, as some do, are taken to say none.
///
/// # Errors
/// Why the vectors cannot be used, for a person.
pub fn read(body: &[u8], texts: usize) -> Result<Embeddings, String> {
    let List { mut data, model, usage } =
        serde_json::from_slice(body).map_err(|cause| format!("it is no list of embeddings: {cause}"))?;
    if data.len() != texts {
        return Err(format!("it has {} vectors for {texts} texts", data.len()));
    }
    if data.iter().any(|one| one.index != data[0].index) {
        data.sort_by_key(|one| one.index);
        let is_placed = |(place, one): (u64, &Vector)| one.index == Some(place);
        if !(0..).zip(&data).all(is_placed) {
            return Err("the places of its vectors are not those of the texts".to_owned());
        }
    }
    let length = data.first().map_or(0, |one| one.embedding.len());
    match data.iter().find(|one| one.embedding.len() != length) {
        Some(other) => Err(format!(
            "it has a vector of {length} numbers and one of {}, which do not compare",
            other.embedding.len()
        )),
        None if length == 0 && texts > 0 => Err("its vectors are empty".to_owned()),
        None => Ok(Embeddings { vectors: data.into_iter().map(|one| one.embedding).collect(), model, usage }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer with these vectors, each perhaps with its place.
    fn answer(vectors: &[(Option<u64>, &[f32])]) -> Result<Vec<Vec<f32>>, String> {
        let said = |&(index, vector): &(Option<u64>, &[f32])| match index {
            Some(index) => json!({"index": index, "embedding": vector}),
            None => json!({"embedding": vector}),
        };
        let data: Vec<_> = vectors.iter().map(said).collect();
        read(json!({"data": data, "model": "m"}).to_string().as_bytes(), 2).map(|found| found.vectors)
    }

    #[test]
    fn vectors_are_those_of_the_texts_in_their_order() {
        assert_eq!(answer(&[(Some(1), &[2.0]), (Some(0), &[1.0])]).unwrap(), [[1.0], [2.0]]);
        assert_eq!(answer(&[(None, &[2.0]), (None, &[1.0])]).unwrap(), [[2.0], [1.0]]);
        assert_eq!(answer(&[(Some(0), &[2.0]), (Some(0), &[1.0])]).unwrap(), [[2.0], [1.0]]);
    }

    #[test]
    fn vectors_that_do_not_compare_are_refused() {
        let why = |vectors: &[(Option<u64>, &[f32])]| answer(vectors).unwrap_err();
        assert!(why(&[(None, &[1.0, 2.0]), (None, &[1.0])]).ends_with("numbers and one of 1, which do not compare"));
        assert_eq!(why(&[(None, &[1.0])]), "it has 1 vectors for 2 texts");
        assert_eq!(why(&[(None, &[]), (None, &[])]), "its vectors are empty");
        let misplaced = "the places of its vectors are not those of the texts";
        assert_eq!(why(&[(Some(1), &[1.0]), (Some(2), &[2.0])]), misplaced);
        assert_eq!(why(&[(None, &[1.0]), (Some(0), &[2.0])]), misplaced);
        assert!(read(b"<html>", 2).unwrap_err().starts_with("it is no list of embeddings"));
    }

    #[test]
    fn a_text_without_characters_is_sent_as_a_space() {
        let sent: serde_json::Value = serde_json::from_slice(&request("m", &["a", ""])).unwrap();
        assert_eq!(sent, json!({"model": "m", "input": ["a", " "], "encoding_format": "float"}));
    }
}
