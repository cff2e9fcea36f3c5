//! The door itself.

use std::sync::Arc;

use bytes::Bytes;
use qd_base::chat::{ChatRequest, ChatResponse};
use qd_base::embedding::{EmbeddingRequest, Embeddings};
use qd_catalog::Catalog;

use crate::answer::Answer;
use crate::call::Endpoint;
use crate::config::GatewayConfig;
use crate::context::CallContext;
use crate::error::Result;
use crate::listing::ListedModel;

/// The rooms that the gateway stands on.
pub struct GatewayParts {
    /// Runs local models.
    pub engine: qd_serve::Engine,
    /// Knows which local models are installed.
    pub models: qd_model::Models,
    /// Keeps the providers of each project.
    pub catalog: Catalog,
    /// Reaches upstreams.
    pub net: qd_net::Client,
    /// Takes finished calls.
    pub recorder: qd_trace::Recorder,
    /// Prices them.
    pub prices: Arc<qd_trace::PriceTable>,
    /// How a local model is loaded when somebody asks for it.
    pub model_options: qd_serve::ModelOptions,
    /// The operator's providers, routes and limits.
    pub config: GatewayConfig,
}

/// The one door to every model. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
}

impl Gateway {
    /// Opens the door: reads the providers' keys from the environment and the projects' providers from the catalog.
    pub async fn new(parts: GatewayParts) -> Result<Self> { todo!() }
    /// Answers one request in OpenAI's wire form; this is what HTTP callers get. `body` is the request's JSON as it came.
    pub async fn call(&self, context: CallContext, endpoint: Endpoint, body: Bytes) -> Result<Answer> { todo!() }
    /// A chat call from inside the process (evaluations, judges, pipelines).
    pub async fn chat(&self, context: CallContext, request: &ChatRequest) -> Result<ChatResponse> { todo!() }
    /// Embeddings for callers inside the process.
    pub async fn embed(&self, context: CallContext, request: &EmbeddingRequest) -> Result<Embeddings> { todo!() }
    /// Every model name that `project` can ask for now.
    pub async fn models(&self, context: &CallContext) -> Result<Vec<ListedModel>> { todo!() }
    /// Reads the projects' providers anew; to be called after a provider has changed in the catalog.
    pub async fn reload_providers(&self) -> Result<()> { todo!() }
    /// Waits until every finished call has been handed to the recorder.
    pub async fn drain(&self) { todo!() }
}
