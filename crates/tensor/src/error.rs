//! Why a model could not be loaded or a text could not be embedded.

use std::io;
use std::path::PathBuf;

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the model is not there or not readable.
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// A configuration that is not JSON, or not that of a BERT model.
    #[error("{} is not the configuration of a BERT model", path.display())]
    Config {
        path: PathBuf,
        #[source]
        cause: serde_json::Error,
    },
    /// A BERT model of a kind that this encoder does not compute.
    #[error("{} asks for {what}, which this encoder does not compute", path.display())]
    Unsupported { path: PathBuf, what: String },
    /// A tokenizer that cannot be used.
    #[error("loading the tokenizer {}", path.display())]
    Tokenizer {
        path: PathBuf,
        #[source]
        cause: tokenizers::Error,
    },
    /// Weights that are missing, damaged, or of another shape than the configuration says.
    #[error("loading the weights {}", path.display())]
    Weights {
        path: PathBuf,
        #[source]
        cause: candle_core::Error,
    },
    /// A text that the tokenizer refused.
    #[error("tokenizing")]
    Tokenize(#[source] tokenizers::Error),
    /// A text that is longer than the model reads, and may not be cut.
    #[error("input {index} has {tokens} tokens, the model reads at most {limit}")]
    TooLong { index: usize, tokens: usize, limit: usize },
    /// A layer that the model has not.
    #[error("layer {layer} was asked for, the model has 1 to {layers}")]
    Layer { layer: usize, layers: usize },
    /// The graph could not be computed.
    #[error("computing embeddings")]
    Compute(#[source] candle_core::Error),
}
