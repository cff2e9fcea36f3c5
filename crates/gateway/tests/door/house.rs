//! A gateway over real rooms in a folder of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qd_base::{ProjectName, ProviderName, Secret};
use qd_catalog::{Catalog, MasterKey, NewProvider, ProviderKind, SecretChange};
use qd_gateway::{
    Answer, CallContext, Endpoint, Error, Gateway, GatewayConfig, GatewayParts, Limits, ModelRoute, ProviderConfig,
    Reply, Target,
};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig};
use qd_model::{Models, ModelsConfig};
use qd_net::{Client, ClientOptions, Policy};
use qd_trace::{Mode, PriceTable, Recorder, RecorderConfig, Span, tables};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::upstream::Upstream;

/// What a test wants.
pub struct Settings<'a> {
    /// The one route.
    pub route: &'a str,
    /// Its targets: an upstream and the model's name there.
    pub targets: Vec<(&'a Upstream, &'a str)>,
    /// A local model that answers when no upstream does.
    pub then_local: Option<&'a str>,
    /// What the providers are called; `up0`, `up1`, … when there are too few names.
    pub names: &'a [&'a str],
    pub retries: u32,
    pub timeout_ms: Option<u32>,
    pub limits: Limits,
    pub mode: Mode,
    /// How a local model is loaded.
    pub model_options: qd_serve::ModelOptions,
    /// The environment variable that should hold the first upstream's key.
    pub key_env: Option<&'a str>,
}

impl<'a> Settings<'a> {
    pub fn route(route: &'a str, targets: &[(&'a Upstream, &'a str)]) -> Self {
        // Waits are real, so they are short.
        let limits = Limits { retry_wait_ms: 5, ..Limits::default() };
        Self {
            route,
            targets: targets.to_vec(),
            then_local: None,
            names: &[],
            retries: 2,
            timeout_ms: None,
            limits,
            mode: Mode::Async,
            model_options: qd_serve::ModelOptions::default(),
            key_env: None,
        }
    }

    fn name(&self, number: usize) -> ProviderName {
        let given = self.names.get(number).map(ToString::to_string);
        given.unwrap_or_else(|| format!("up{number}")).parse().unwrap()
    }

    fn config(&self) -> GatewayConfig {
        let targets = self.targets.iter().enumerate();
        let provider = |(number, (upstream, _)): (usize, &(&Upstream, &str))| ProviderConfig {
            name: self.name(number),
            base_url: upstream.base_url.clone(),
            api_key_env: self.key_env.filter(|_| number == 0).map(str::to_owned),
            timeout_ms: None,
        };
        let target = |(number, (_, model)): (usize, &(&Upstream, &str))| Target {
            provider: self.name(number),
            model: (*model).to_owned(),
        };
        let local = self.then_local.map(|model| Target { provider: "local".parse().unwrap(), model: model.to_owned() });
        let route = ModelRoute {
            name: self.route.to_owned(),
            targets: targets.clone().map(target).chain(local).collect(),
            retries: Some(self.retries),
            timeout_ms: self.timeout_ms,
        };
        let routes = if self.targets.is_empty() { vec![] } else { vec![route] };
        GatewayConfig { providers: targets.map(provider).collect(), routes, limits: self.limits.clone() }
    }
}

pub struct House {
    pub gateway: Gateway,
    pub context: CallContext,
    pub recorder: Recorder,
    pub models: Models,
    pub lake: Lake,
    catalog: Catalog,
    spans: tokio::sync::Mutex<broadcast::Receiver<Arc<Span>>>,
    _folder: TempDir,
}

impl House {
    /// A gateway with one route to these upstreams.
    pub async fn with_route(route: &str, targets: &[(&Upstream, &str)]) -> Self {
        Self::new(Settings::route(route, targets)).await
    }

    pub async fn new(settings: Settings<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path(), MasterKey::generate()).await.unwrap();
        let lake = Lake::open(LakeConfig::new(folder.path().join("lake")), catalog.clone(), tables()).await.unwrap();
        let blobs = BlobStore::open(&folder.path().join("blobs")).unwrap();
        let recorder = Recorder::new(
            lake.clone(),
            blobs.clone(),
            RecorderConfig { mode: settings.mode, ..RecorderConfig::default() },
        );
        let net = Client::new(Policy::public().allow("127.0.0.0/8").unwrap(), ClientOptions::default()).unwrap();
        let models = models(&catalog, &blobs, &net, folder.path());
        let spans = tokio::sync::Mutex::new(recorder.subscribe());
        let parts = GatewayParts {
            engine: qd_serve::Engine::new(qd_serve::EngineConfig::default()),
            models: models.clone(),
            catalog: catalog.clone(),
            net,
            recorder: recorder.clone(),
            prices: Arc::new(PriceTable::built_in()),
            config: settings.config(),
            model_options: settings.model_options,
        };
        let gateway = Gateway::new(parts).await.unwrap();
        let context = context(&catalog);
        Self { gateway, context, recorder, models, lake, catalog, spans, _folder: folder }
    }

    pub async fn call(&self, endpoint: Endpoint, body: &str) -> Result<Answer, Error> {
        self.call_as(&self.context, endpoint, body).await
    }

    pub async fn call_as(&self, context: &CallContext, endpoint: Endpoint, body: &str) -> Result<Answer, Error> {
        self.gateway.call(context.clone(), endpoint, Bytes::copy_from_slice(body.as_bytes())).await
    }

    /// A call whose answer is not a stream.
    pub async fn whole(&self, endpoint: Endpoint, body: &str) -> Result<Reply, Error> {
        match self.call(endpoint, body).await? {
            Answer::Whole(reply) => Ok(reply),
            Answer::Events(_) => panic!("a stream came where a whole answer was asked for"),
        }
    }

    /// The next recorded span.
    pub async fn span(&self) -> Span {
        let mut spans = self.spans.lock().await;
        let next = tokio::time::timeout(Duration::from_secs(10), spans.recv()).await;
        Span::clone(&next.expect("no span was recorded").unwrap())
    }

    /// A context of a second project.
    pub async fn other_project(&self) -> CallContext {
        let name: ProjectName = "other".parse().unwrap();
        let project = self.catalog.create_project(&name).await.unwrap();
        CallContext::of(project.id, project.name)
    }

    /// Stores a provider of a project.
    pub async fn add_provider(&self, owner: &CallContext, name: &str, base_url: &str, key: Option<&str>) {
        let spec = NewProvider {
            name: name.parse().unwrap(),
            kind: ProviderKind::OpenAi,
            base_url: base_url.parse().unwrap(),
            timeout_ms: 10_000,
            settings: serde_json::Map::new(),
        };
        let secret = key.map_or(SecretChange::Keep, |key| SecretChange::Set(Secret::new(key)));
        self.catalog.put_provider(owner.project, spec, secret).await.unwrap();
    }
}

fn models(catalog: &Catalog, blobs: &BlobStore, net: &Client, folder: &Path) -> Models {
    let config = ModelsConfig::at(folder.join("models")).unwrap();
    Models::new(catalog.clone(), blobs.clone(), net.clone(), config)
}

fn context(catalog: &Catalog) -> CallContext {
    let project = catalog.default_project();
    CallContext::of(project.id, project.name.clone())
}

/// Whether anybody asked it anything.
pub fn upstream_called(upstream: &Upstream) -> bool {
    !upstream.asked().is_empty()
}
