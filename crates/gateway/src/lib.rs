//! The one door to every model: which target answers this call, what happens when it fails, and what is written down about it.
//!
//! A `call` is one JSON request, parsed once and kept as bytes. Its model name is resolved by the [`ModelRoute`]s in the
//! `directory` to ordered targets; each is a model at a `provider`: the engine in this process or any OpenAI-compatible
//! upstream. `dispatch` tries them with retries and fallback; the [`Answer`] is the bytes of one JSON document, or events
//! that `relay` passes on. What was seen on the way is an `exchange`, and becomes one trace `row` beside the hot path, when
//! `record` gets to it.
//!
//! Reading order: [`config`] → [`pinned`] → [`context`] → `call` → `provider` → `sse` → `directory` → `tenants` → `exchange` →
//! `capture` → `dispatch` → `relay` → [`answer`] → `row` → `record` → [`listing`] → [`embedding`] → `gateway` → [`batch`].
//!
//! What is deliberately absent: HTTP status codes (they belong to `api`), and any change to an upstream's bytes. An answer's
//! body and its events are forwarded as they came, so fields that this code does not know survive.

pub mod answer;
pub mod batch;
mod call;
mod capture;
pub mod config;
pub mod context;
mod directory;
mod dispatch;
pub mod embedding;
mod error;
mod exchange;
mod gateway;
pub mod listing;
pub mod pinned;
mod provider;
mod record;
mod relay;
mod row;
mod sse;
mod tenants;

pub use answer::{Answer, EventStream, Reply, Served};
pub use call::Endpoint;
pub use config::{GatewayConfig, Limits, ProviderConfig};
pub use context::{Beginning, CallContext, PromptVersion};
pub use error::{Error, Result};
pub use gateway::{Embedded, Gateway, GatewayParts};
pub use listing::ListedModel;
pub use pinned::Pinned;
pub use qd_catalog::{ModelRoute, Target};
pub use qd_serve::Encoded;
pub use qd_trace::TraceContext;
