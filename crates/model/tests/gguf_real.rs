//! The head of the default chat model, against what the `gguf` Python package (0.17.1) reads from the same file.

use std::path::PathBuf;

use qd_model::gguf;

fn test_model(name: &str) -> PathBuf {
    let folder = std::env::var_os("QUARTERDECK_TEST_MODELS").map(PathBuf::from);
    let folder = folder
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/quarterdeck/test-models"));
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing; run `make models`", path.display());
    path
}

#[test]
fn smollm2_says_what_it_is() {
    let head = gguf::read_file(&test_model("smollm2-135m-instruct-q4_1.gguf")).unwrap();
    assert_eq!(head.architecture, "llama");
    assert_eq!(head.name.as_deref(), Some("Smollm2 135M 8k Lc100K Mix1 Ep2"));
    assert_eq!(head.licence.as_deref(), Some("apache-2.0"));
    assert_eq!((head.context_length, head.embedding_length, head.block_count), (Some(8192), Some(576), Some(30)));
    assert_eq!((head.parameter_count, head.quantisation.as_str()), (134_515_008, "Q4_1"));
    assert_eq!((head.bos_token.as_deref(), head.eos_token.as_deref()), (Some("<|im_start|>"), Some("<|im_end|>")));
    assert!(head.chat_template.unwrap().starts_with("{% for message in messages %}{% if loop.first"));
}
