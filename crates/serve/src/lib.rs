//! Run this model here: continuous batching, prefix reuse, sampling, log-probabilities.
//!
//! An [`Engine`] holds several models. Each chat model has one thread that owns its llama.cpp context and
//! computes all running requests together, step by step: every step takes one token of each running
//! answer and a chunk of the prompts that are still being read. Each embedding model has a thread that
//! joins concurrent requests into batches. A request is checked, rendered and turned into tokens before
//! it reaches such a thread, so that what cannot be served is refused before any computing.
//!
//! Reading order: [`options`] → [`engine`] → [`event`] → [`error`], the way of a request: `prompt` and
//! `tools` → `plan` with `measure` → `chat` with `seats` → `scheduler` with `slot`, `prefixes` and `task` → `sampler`, `constraint`,
//! `logprob`, `text` → `assemble`; then what constrains an answer, [`schema`] → [`grammar`]; at last `embedder`,
//! `stats` and `backend`.

pub mod engine;
pub mod error;
pub mod event;
pub mod grammar;
pub mod options;
pub mod schema;

mod assemble;
mod backend;
mod chat;
mod constraint;
mod embedder;
mod logprob;
mod measure;
mod plan;
mod prefixes;
mod prompt;
mod sampler;
mod scheduler;
mod seats;
mod slot;
mod stats;
mod task;
#[cfg(test)]
mod test_model;
mod text;
mod tools;

pub use engine::{Engine, LoadedModel, ModelKind};
pub use error::{Error, Result};
pub use event::{ChatEvents, CompletionEvents, Event, Events, Timings};
pub use options::{EngineConfig, ModelFiles, ModelOptions};
pub use qd_tensor::Encoded;
pub use stats::ModelStats;
