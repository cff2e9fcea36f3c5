//! The real model that tests run on, loaded once for all of them.

use std::path::PathBuf;
use std::sync::LazyLock;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

use crate::backend::backend;
use crate::constraint::Constraint;

/// Where `make models` puts the models that tests need.
pub(crate) fn path(name: &str) -> PathBuf {
    let dir = std::env::var_os("QUARTERDECK_TEST_MODELS").map_or_else(default_dir, PathBuf::from);
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing; run `make models`", path.display());
    path
}

fn default_dir() -> PathBuf {
    let home = std::env::var_os("HOME").expect("HOME is set");
    PathBuf::from(home).join(".cache/quarterdeck/test-models")
}

/// SmolLM2's vocabulary, without its weights.
static VOCABULARY: LazyLock<LlamaModel> = LazyLock::new(|| {
    let params = LlamaModelParams::default().with_vocab_only(true);
    LlamaModel::load_from_file(backend().unwrap(), path("smollm2-135m-instruct-q4_1.gguf"), &params).unwrap()
});

/// Whether llama.cpp's matcher takes the whole text, and lets the answer end after it.
pub(crate) fn matches(gbnf: &str, text: &str) -> bool {
    let vocab = VOCABULARY.vocab();
    let mut constraint = Constraint::new(&VOCABULARY, gbnf).unwrap();
    let fits = vocab.tokenize(text.as_bytes(), false, false).into_iter().all(|token| {
        let allowed = constraint.allows(token);
        if allowed {
            constraint.accept(token);
        }
        allowed
    });
    fits && constraint.allows(vocab.eos())
}
