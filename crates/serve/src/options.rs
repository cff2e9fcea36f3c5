//! How the engine and a model are set up: every size has a limit and a default.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// What holds for every model of one [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Threads that compute one model's step. Default: the cores this process may use.
    pub threads: NonZeroUsize,
    /// The most models that may be loaded at once.
    pub max_models: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), max_models: 16 }
    }
}

/// Where a model's weights are, and so how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFiles {
    /// A GGUF file for llama.cpp: chat and completions.
    Gguf {
        /// The file.
        path: PathBuf,
        /// A Jinja chat template that replaces the one inside the file.
        chat_template: Option<String>,
    },
    /// A folder with safetensors, `tokenizer.json` and `config.json`: embeddings.
    Embedder {
        /// The folder.
        dir: PathBuf,
    },
}

impl ModelFiles {
    /// The file or folder that is opened.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Gguf { path, .. } => path,
            Self::Embedder { dir } => dir,
        }
    }
}

/// How one model shares its memory and time between requests.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// Tokens of prompt and answer that one request may have. Default: what the model was trained on,
    /// at most 8192.
    pub context: Option<u32>,
    /// Requests that are computed together.
    pub slots: usize,
    /// Requests that may wait for a slot; one more is refused with
    /// [`Error::QueueFull`](crate::Error::QueueFull).
    pub queue: usize,
    /// Tokens that all running requests together have in the key-value cache. Never less than `context`, nor
    /// than one step computes.
    pub cache_tokens: u32,
    /// Host memory for what requests that have ended leave in the key-value cache, so that a later one which
    /// starts alike need not compute that part. The least recently used goes first; 0 keeps nothing.
    pub prefix_bytes: usize,
    /// Prompt tokens computed in one step while other requests are generating: a larger chunk fills
    /// prompts faster, a smaller one keeps the running streams smoother.
    pub chunk_tokens: usize,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self { context: None, slots: 16, queue: 256, cache_tokens: 16_384, prefix_bytes: 256 << 20, chunk_tokens: 128 }
    }
}
