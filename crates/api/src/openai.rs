//! OpenAI's surface under `/v1`: chat, completions, embeddings, models.
//!
//! A body is checked against OpenAI's documented types and ranges without being copied, and then handed to the gateway as
//! the bytes it came as, so that fields we do not know reach the model that may know them.
//!
//! Reading order: [`shape`] → [`range`] → [`chat`] → [`completions`] → [`embeddings`] → `prompted` → [`call`] → [`models`].

pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod models;
pub mod shape;

pub(crate) mod call;
pub(crate) mod prompted;
mod range;
