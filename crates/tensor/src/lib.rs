//! Llama and BERT graphs: today the BERT encoder that turns texts, or their tokens, into embeddings.
//!
//! Reading order: [`bert`], then what it is made of: its configuration, the packing of texts into batches without
//! padding, the encoder, and the fused operations that make it fast on a processor.
//!
//! # Gradients
//!
//! What is here is for inference only. In candle these have **no backward pass and fail silently**, so that gradients
//! behind them are simply wrong: `softmax_last_dim`, `rms_norm` (which `RmsNorm` calls), `layer_norm`, `rope` in all
//! forms, and `sdpa`. The encoder uses the first, and the in-place operations of [`bert`] (bias with GELU, and residual
//! with layer norm) have none either. A trainable graph must be made of composed operations (`ops::softmax`,
//! `rms_norm_slow`, `rope_i_slow`) or of a `CustomOp` with its own `bwd`, and be checked against finite differences.
//!
//! # Unsafe
//!
//! One place: it calls functions compiled for AVX2 after the processor has been asked whether it has it.

pub mod bert;

mod error;

pub use bert::{Embedded, Embedder, Encoded};
pub use error::Error;
