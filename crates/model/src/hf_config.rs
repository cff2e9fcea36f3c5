//! What a Hugging Face `config.json` says of a model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

/// The name of the file.
pub(crate) const FILE: &str = "config.json";

/// Real ones have a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// The fields that are shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct HfConfig {
    /// `bert`, `llama`, …
    pub(crate) model_type: Option<String>,
    /// Tokens of context.
    pub(crate) max_position_embeddings: Option<u64>,
}

impl HfConfig {
    /// Reads the file at `path`, or says what is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
        read.map_err(|cause| format!("{FILE}: {cause}"))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("{FILE} has more than {MAX_BYTES} bytes"));
        }
        serde_json::from_slice(&text).map_err(|cause| format!("{FILE}: {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<HfConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, text).unwrap();
        HfConfig::read(&path)
    }

    #[test]
    fn what_it_says_and_what_is_wrong_with_it() {
        let bert = HfConfig { model_type: Some("bert".into()), max_position_embeddings: Some(512) };
        assert_eq!(check(r#"{"model_type": "bert", "max_position_embeddings": 512, "x": 1}"#), Ok(bert));
        assert!(check("[]").unwrap_err().starts_with("config.json: "));
        assert!(check(&format!("{}1", " ".repeat(MAX_BYTES as usize))).unwrap_err().contains("more than"));
    }
}
