//! The door itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qd_base::chat::{ChatRequest, ChatResponse};
use qd_base::completion::{CompletionRequest, CompletionResponse};
use qd_base::{ModelName, Picodollars, ProjectId, Secret, Sha256Hex, Usage};
use qd_catalog::{Catalog, ModelRoute};
use qd_serve::Encoded;
use qd_trace::PriceTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, EventStream, Reply, Served};
use crate::call::{Call, Endpoint};
use crate::config::{GatewayConfig, Limits, ProviderConfig};
use crate::context::CallContext;
use crate::directory::Directory;
use crate::dispatch::{Begun, Opened, dispatch};
use crate::embedding::{self, Embeddings};
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::listing::{self, ListedModel};
use crate::pinned::Pinned;
use crate::provider::{Broken, LOCAL, Local, OpenAi, Provider, Upstream};
use crate::record::{Recording, Scribe};
use crate::relay::relay;
use crate::tenants::Tenants;

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
    pub prices: Arc<PriceTable>,
    /// How a local model is loaded when somebody asks for it.
    pub model_options: qd_serve::ModelOptions,
    /// The operator's providers, routes and limits.
    pub config: GatewayConfig,
}

/// The one door to every model. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Directory,
    local: Arc<Local>,
    tenants: Tenants,
    limits: Limits,
    scribe: Scribe,
}

impl Gateway {
    /// Opens the door: reads the operator's keys from the environment, and what the projects keep from the catalog.
    ///
    /// # Errors
    /// [`Error::Configuration`] for what cannot work, [`Error::Catalog`] when the providers cannot be read.
    pub async fn new(parts: GatewayParts) -> Result<Self> {
        let GatewayParts { engine, models, catalog, net, recorder, prices, model_options, config } = parts;
        let limits = config.limits;
        let ttl = Duration::from_millis(limits.listing_ttl_ms);
        let shared =
            config.providers.into_iter().map(|provider| operators(provider, &net, ttl)).collect::<Result<Vec<_>>>()?;
        let local = Arc::new(Local::new(engine, models, model_options));
        let directory = Directory::new(config.routes, shared, local.clone())?;
        let scribe = Scribe::start(recorder, prices, limits.record_queue_bytes);
        let tenants = Tenants::new(catalog, net, &limits);
        tenants.refresh(&directory).await?;
        Ok(Self { inner: Arc::new(Inner { directory, local, tenants, limits, scribe }) })
    }

    /// Answers one request in OpenAI's wire form; `body` is the request's JSON as it came. This is what HTTP callers get.
    ///
    /// Dropping the future, or the stream in the answer, cancels the call wherever it is.
    ///
    /// # Errors
    /// When no target has an answer; once a stream has begun, errors are its last event instead.
    pub async fn call(&self, context: CallContext, endpoint: Endpoint, body: Bytes) -> Result<Answer> {
        let Inner { directory, tenants, limits, scribe, .. } = &*self.inner;
        let call = Call::parse(endpoint, body)?;
        tenants.refresh(directory).await?;
        let candidates = match &context.pinned {
            Some(pinned) => directory.pinned(context.project, &call.model, pinned, limits),
            None => directory.candidates(context.project, &call.model, limits),
        };
        let mut recording = scribe.begin(Exchange::new(context, call));
        let opened = match candidates {
            Ok(candidates) => dispatch(recording.exchange_mut(), &candidates, limits).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(opened) => self.answer(opened, recording).await,
            Err(error) => {
                recording.failed(&error).await;
                Err(error)
            }
        }
    }

    /// A chat call from inside the process: an evaluation, a judge, a pipeline.
    ///
    /// # Errors
    /// As [`Gateway::call`], and [`Error::Invalid`] when the request asks for a stream.
    pub async fn chat(&self, context: CallContext, request: &ChatRequest) -> Result<ChatResponse> {
        self.typed(context, Endpoint::Chat, request).await
    }

    /// A completion for callers inside the process.
    ///
    /// # Errors
    /// As [`Gateway::chat`].
    pub async fn complete(&self, context: CallContext, request: &CompletionRequest) -> Result<CompletionResponse> {
        self.typed(context, Endpoint::Completions, request).await
    }

    /// The vector of each text, in their order, from a model of embeddings.
    ///
    /// # Errors
    /// As [`Gateway::call`], and [`Error::Protocol`] for an answer that has not one vector for each text.
    pub async fn embed(&self, context: CallContext, model: &str, texts: &[&str]) -> Result<Embedded> {
        let body = embedding::request(model, texts);
        let Answer::Whole(Reply { served, body }) = self.call(context, Endpoint::Embeddings, body).await? else {
            return Err(invalid("a stream came where vectors are expected".to_owned()));
        };
        match embedding::read(&body, texts.len()) {
            Ok(embeddings) => Ok(Embedded { embeddings, served }),
            Err(message) => Err(Error::Protocol { provider: served.provider, message }),
        }
    }

    /// The vectors of all tokens of each text, as they come out of a layer of an encoder; of the last one when none is said. Only the engine in
    /// this process gives such. It is no call of anybody's API: it costs nothing and leaves no span.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another provider's model, one that is no encoder and a layer that there is not; as [`Gateway::load`].
    pub async fn encode(&self, model: &Pinned, texts: Vec<String>, layer: Option<usize>) -> Result<Vec<Encoded>> {
        self.inner.local.encode(encoder(model)?, texts, layer).await
    }

    /// The tokens of each text, as [`Gateway::encode`] reads it.
    ///
    /// # Errors
    /// As [`Gateway::encode`].
    pub async fn encoder_tokens(&self, model: &Pinned, texts: Vec<String>) -> Result<Vec<Vec<u32>>> {
        self.inner.local.tokens(encoder(model)?, texts).await
    }

    /// What a model name stands for now: of a route the first target, of a local model the version.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] or [`Error::NotInstalled`] when it stands for nothing.
    pub async fn resolve(&self, project: ProjectId, model: &str) -> Result<Pinned> {
        let Inner { directory, tenants, limits, local, .. } = &*self.inner;
        tenants.refresh(directory).await?;
        let candidates = directory.candidates(project, model, limits)?;
        let unknown = || Error::UnknownModel { model: model.to_owned() };
        let first = candidates.into_iter().next().ok_or_else(unknown)?;
        let provider = first.provider.name().clone();
        let model = if provider.as_str() == LOCAL { local.exact(&first.model).await? } else { first.model.to_string() };
        let address_sha256 = first.provider.base_url().map(|url| Sha256Hex::of(url.as_bytes()));
        Ok(Pinned { provider, model, address_sha256 })
    }

    /// Every model name that `project` can ask for now. What cannot be asked is left out and logged.
    pub async fn models(&self, project: ProjectId) -> Vec<ListedModel> {
        let Inner { directory, tenants, .. } = &*self.inner;
        if let Err(error) = tenants.refresh(directory).await {
            tracing::error!(error = error.chain(), "the list of models may be old");
        }
        listing::list(directory, project).await
    }

    /// The operator's routes, by name.
    pub fn routes(&self) -> Vec<ModelRoute> {
        let mut routes: Vec<_> = self.inner.directory.routes().cloned().collect();
        routes.sort_by(|a, b| a.name.cmp(&b.name));
        routes
    }

    /// How many tokens the engine here would read of a request, whose body is OpenAI's; none when another provider would
    /// be asked first, when the model is not loaded, which counting is no reason for, and when it cannot be said.
    pub async fn count(&self, project: ProjectId, endpoint: Endpoint, body: Bytes) -> Option<usize> {
        let Inner { directory, tenants, limits, .. } = &*self.inner;
        let call = Call::parse(endpoint, body).ok()?;
        tenants.refresh(directory).await.ok()?;
        let candidates = directory.candidates(project, &call.model, limits).ok()?;
        let first = candidates.first()?;
        first.provider.count(&call, &first.model).await
    }

    /// Loads an installed model into the engine before anyone asks for it, and returns the engine's name of it.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] or [`Error::NotInstalled`] when it is not here, [`Error::Engine`] when it cannot be loaded.
    pub async fn load(&self, model: &str) -> Result<ModelName> {
        Ok(self.inner.local.load(model).await?.engine_name)
    }

    /// What a call that was answered by `served` costs with this usage, as its span will say; none when nobody knows.
    pub fn price(&self, served: &Served, usage: Usage) -> Option<Picodollars> {
        self.inner.scribe.prices().cost(served.provider.as_str(), &served.model, usage)
    }

    /// What a call of this model would cost with this usage; none when nobody knows.
    pub fn price_of(&self, pinned: &Pinned, usage: Usage) -> Option<Picodollars> {
        self.inner.scribe.prices().cost(pinned.provider.as_str(), &pinned.model, usage)
    }

    /// Prices the calls that end from now on by another table.
    pub fn set_prices(&self, prices: Arc<PriceTable>) {
        self.inner.scribe.set_prices(prices);
    }

    /// Calls that left no trace row because too many were waiting to become one.
    pub fn unrecorded(&self) -> u64 {
        self.inner.scribe.dropped()
    }

    /// Waits until every call that has ended has been handed to the recorder.
    pub async fn drain(&self) {
        self.inner.scribe.drain().await;
    }

    async fn answer(&self, opened: Opened, mut recording: Recording) -> Result<Answer> {
        let at = recording.exchange().at;
        let version = match &opened.answer {
            Begun::Whole(_, told) => told.as_ref().map(|told| told.version),
            Begun::Events(_) => None,
        };
        let (provider, model) = (opened.provider, opened.model);
        let served = Served { trace: at.trace_id, span: at.span_id, provider, model, version };
        match opened.answer {
            Begun::Whole(body, told) => {
                recording.whole(body.clone(), told);
                recording.answered().await?;
                Ok(Answer::Whole(Reply { served, body }))
            }
            Begun::Events(events) => {
                let events = relay(events, served.provider.clone(), recording, self.inner.limits.clone());
                Ok(Answer::Events(EventStream::new(served, events)))
            }
        }
    }

    async fn typed<Q: Serialize, A: DeserializeOwned>(
        &self,
        context: CallContext,
        endpoint: Endpoint,
        request: &Q,
    ) -> Result<A> {
        let body = serde_json::to_vec(request)
            .map_err(|cause| invalid(format!("the request cannot be written as JSON: {cause}")))?;
        let Answer::Whole(reply) = self.call(context, endpoint, body.into()).await? else {
            return Err(invalid("a stream was asked for where a whole answer is expected".to_owned()));
        };
        serde_json::from_slice(&reply.body).map_err(|cause| Error::Protocol {
            provider: reply.served.provider,
            message: format!("its answer is not as OpenAI's API says: {cause}"),
        })
    }
}

/// Vectors of texts, and who made them.
#[derive(Debug)]
pub struct Embedded {
    /// What was said.
    pub embeddings: Embeddings,
    /// Who said it.
    pub served: Served,
}

/// The name of a model that the engine in this process may have.
fn encoder(model: &Pinned) -> Result<&str> {
    if model.provider.as_str() == LOCAL {
        return Ok(&model.model);
    }
    Err(invalid(format!("{model} hands out no vectors of tokens: only an encoder that is installed here does")))
}

fn invalid(message: String) -> Error {
    Error::Invalid { message, param: None, code: None }
}

/// A provider of the operator's, with its key from the environment. One whose key is not there fails its calls and nothing
/// else: a command that only reads traces needs no key.
fn operators(config: ProviderConfig, net: &qd_net::Client, listing_ttl: Duration) -> Result<Arc<dyn Provider>> {
    let key = match config.api_key_env.as_deref().map(std::env::var).transpose() {
        Ok(key) => key.map(Secret::new),
        Err(cause) => {
            let variable = config.api_key_env.unwrap_or_default();
            let why = format!("the environment variable {variable}, which should hold its key, is not usable: {cause}");
            return Ok(Arc::new(Broken::new(config.name, why)));
        }
    };
    let upstream = Upstream { name: config.name, base_url: config.base_url, key, timeout_ms: config.timeout_ms };
    Ok(Arc::new(OpenAi::new(upstream, net.clone(), listing_ttl)?))
}
