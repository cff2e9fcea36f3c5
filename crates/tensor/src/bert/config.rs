//! What a model's own files say about its shape.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// The shape of a BERT encoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// Numbers for each token.
    pub width: usize,
    /// Numbers for each token inside a feed-forward half.
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub norm_epsilon: f64,
    pub vocabulary: usize,
    pub positions: usize,
    pub segments: usize,
    /// Tokens that a text may have.
    pub max_tokens: usize,
}

/// `config.json`, as Hugging Face's transformers write it.
#[derive(Deserialize)]
struct ModelFile {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    vocab_size: usize,
    type_vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// `sentence_bert_config.json`, as sentence-transformers write it.
#[derive(Deserialize)]
struct SentenceFile {
    max_seq_length: usize,
}

impl Config {
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("config.json");
        let file: ModelFile = read(&path)?;
        if let Some(what) = file.unsupported() {
            return Err(Error::Unsupported { path, what });
        }
        let sentence = dir.join("sentence_bert_config.json");
        let told = if sentence.exists() { read::<SentenceFile>(&sentence)?.max_seq_length } else { usize::MAX };
        Ok(Self {
            width: file.hidden_size,
            inner: file.intermediate_size,
            layers: file.num_hidden_layers,
            heads: file.num_attention_heads,
            norm_epsilon: file.layer_norm_eps,
            vocabulary: file.vocab_size,
            positions: file.max_position_embeddings,
            segments: file.type_vocab_size,
            max_tokens: told.min(file.max_position_embeddings),
        })
    }
}

impl ModelFile {
    /// What of this model the encoder does not compute.
    fn unsupported(&self) -> Option<String> {
        let wrong = |name: &str, value: &str| Some(format!("{name} = {value:?}"));
        if self.model_type != "bert" {
            return wrong("model_type", &self.model_type);
        }
        if self.hidden_act != "gelu" {
            return wrong("hidden_act", &self.hidden_act);
        }
        if self.position_embedding_type != "absolute" {
            return wrong("position_embedding_type", &self.position_embedding_type);
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return wrong("num_attention_heads", &self.num_attention_heads.to_string());
        }
        // A text needs room for the token that begins it and the one that ends it.
        (self.max_position_embeddings < 2)
            .then(|| format!("max_position_embeddings = {}", self.max_position_embeddings))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    serde_json::from_slice(&text).map_err(|cause| Error::Config { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `config.json` of all-MiniLM-L6-v2, shortened.
    const MINI_LM: &str = r#"{"model_type":"bert","hidden_size":384,"intermediate_size":1536,"num_hidden_layers":6,"num_attention_heads":12,"hidden_act":"gelu","layer_norm_eps":1e-12,"vocab_size":30522,"type_vocab_size":2,"max_position_embeddings":512}"#;

    fn check(config: &str) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), config).unwrap();
        Config::load(dir.path())
    }

    #[test]
    fn sentence_transformers_may_set_a_lower_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), MINI_LM).unwrap();
        fs::write(dir.path().join("sentence_bert_config.json"), r#"{"max_seq_length":256,"do_lower_case":false}"#)
            .unwrap();
        assert_eq!(Config::load(dir.path()).unwrap().max_tokens, 256);
    }

    #[test]
    fn a_known_configuration_is_read() {
        let expected = Config {
            width: 384,
            inner: 1536,
            layers: 6,
            heads: 12,
            norm_epsilon: 1e-12,
            vocabulary: 30_522,
            positions: 512,
            segments: 2,
            max_tokens: 512,
        };
        assert_eq!(check(MINI_LM).unwrap(), expected);
    }

    #[test]
    fn what_is_not_computed_is_refused() {
        let refused = |from: &str, to: &str| match check(&MINI_LM.replace(from, to)) {
            Err(Error::Unsupported { what, .. }) => what,
            other => panic!("{to}: {other:?}"),
        };
        assert_eq!(refused(r#""bert""#, r#""roberta""#), r#"model_type = "roberta""#);
        assert_eq!(refused(r#""gelu""#, r#""gelu_new""#), r#"hidden_act = "gelu_new""#);
        assert_eq!(refused(r#"heads":12"#, r#"heads":7"#), r#"num_attention_heads = "7""#);
        assert!(matches!(check("{"), Err(Error::Config { .. })));
        assert!(matches!(Config::load(Path::new("/nowhere")), Err(Error::Read { .. })));
    }
}
