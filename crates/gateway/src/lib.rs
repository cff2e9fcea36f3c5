//! The one door to every model: which target answers this call, what happens when it fails, and what is written down about it.
//!
//! A [`Call`](call) is one JSON request, parsed once and kept as bytes. Its model name is resolved by the [`route`]s to
//! ordered targets; each target is a model at a [`provider`]: the engine in this process or any OpenAI-compatible upstream.
//! [`dispatch`] tries them with retries and fallback and yields an [`Answer`]: bytes of one JSON document, or events of a
//! stream. What was seen on the way is an [`exchange`], and becomes one trace row beside the hot path in [`record`].
//!
//! Reading order: [`config`] → [`context`] → [`call`] → [`route`] → [`provider`] → [`sse`] → [`retry`] → [`dispatch`] →
//! [`answer`] → [`exchange`] → [`record`] → [`listing`] → [`gateway`].
//!
//! What is deliberately absent: HTTP status codes (they belong to `api`), and any change to an upstream's bytes. An answer's
//! body and its events are forwarded as they came, so fields that this code does not know survive.

pub mod answer;
mod call;
pub mod config;
pub mod context;
mod dispatch;
mod error;
mod exchange;
mod gateway;
pub mod listing;
mod provider;
mod record;
mod retry;
pub mod route;
mod sse;

pub use answer::{Answer, EventStream, Reply, Served};
pub use call::Endpoint;
pub use config::{GatewayConfig, Limits, ProviderConfig};
pub use context::{CallContext, TraceContext};
pub use error::{Error, Result};
pub use gateway::{Gateway, GatewayParts};
pub use listing::ListedModel;
pub use route::{ModelRoute, Target};
