//! The rooms, wired: settings in, an application that answers out.

mod asking;
mod bookkeeping;
mod mirror;
mod payloads;
mod retention;
mod watch;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::{Request, StatusCode};
use http_body_util::Full;
use qd_alert::Alerts;
use qd_annotation::{Annotations, ExportHandler};
use qd_api::{ApiConfig, App};
use qd_base::Secret;
use qd_catalog::{Catalog, Handler, MasterKey, Runner, RunnerConfig, Running};
use qd_data::{Datasets, EditHandler, ImportHandler, SplitHandler};
use qd_gateway::{Gateway, GatewayConfig, GatewayParts};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig, VerifyHandler};
use qd_model::{Models, ModelsConfig, PullHandler};
use qd_net::{Client, ClientOptions, Policy};
use qd_scorer::Scorers;
use qd_serve::{Engine, EngineConfig, ModelOptions};
use qd_trace::{
    EraseHandler, Eraser, Intake, IntakeConfig, Mode, PriceTable, Recorder, RecorderConfig, Retention, Traces, tables,
};
use tower::ServiceExt as _;

use crate::Error;
use crate::config::{Config, TraceMode};
use crate::door::Answer;
use crate::error::Cause;
use crate::house::asking::{Asking, Ground};
use crate::house::bookkeeping::Bookkeeping;
use crate::house::retention::Keeping;
use crate::house::watch::Watch;
use crate::lock::Lock;

/// Everything open over one data folder.
pub struct House {
    /// What answers requests.
    pub app: App,
    /// What has to end in order.
    pub keep: Keep,
}

/// What works beside the requests, and the folder itself.
pub struct Keep {
    pub gateway: Gateway,
    recorder: Recorder,
    lake: Lake,
    catalog: Catalog,
    jobs: Running,
    asking: Vec<Running>,
    watch: Option<Watch>,
    keeping: Option<Keeping>,
    bookkeeping: Bookkeeping,
    pub lock: Lock,
}

impl House {
    /// Opens everything over the folder of `lock`, for a server on `bound` or for this process alone.
    ///
    /// # Errors
    /// When a room cannot be opened; the message says which.
    pub async fn open(config: &Config, lock: Lock, token: Secret, bound: Option<IpAddr>) -> Result<Self, Error> {
        let dir = lock.dir();
        let floor = Floor::open(config, dir).await?;
        let gateway = floor.gateway(config).await?;
        let Floor { catalog, bookkeeping, lake, net, models, engine, payloads, retention, eraser, recorder, prices } =
            floor;
        let otlp = Intake::new(recorder.clone(), prices, intake_config(config));
        let traces = Traces::new(lake.clone(), payloads);
        let datasets = Datasets::new(dir, catalog.clone(), lake.clone(), traces.clone());
        let datasets = datasets.map_err(failed("opening the datasets"))?;
        // Before the first runner, since no runner could tell later which running jobs are another's.
        catalog.take_over_jobs().await.map_err(failed("going on with jobs"))?;
        let annotations = Annotations::new(catalog.clone(), datasets.clone());
        let jobs = start_jobs(&catalog, &models, &lake, &eraser, (&datasets, &annotations), config);
        let context = model_options(config).context;
        let ground =
            Ground { catalog: &catalog, lake: &lake, gateway: &gateway, datasets: &datasets, models: &models, context };
        let rooms = Asking::open(ground);
        let asking = rooms.start(&catalog, config);
        let Asking { experiments, judges, calibrations, leaderboards, evaluations } = rooms;
        let alerts = Alerts::new(catalog.clone(), lake.clone(), traces.clone(), net);
        // A command that is answered in process is over before anything would fall due.
        let scorers = Scorers::new(catalog.clone(), lake.clone(), traces.clone()).with_judges(judges);
        let watch =
            if bound.is_some() { Some(Watch::start(&catalog, (&alerts, &scorers), config).await?) } else { None };
        let keep = Keep {
            gateway: gateway.clone(),
            recorder: recorder.clone(),
            lake: lake.clone(),
            catalog: catalog.clone(),
            jobs,
            asking,
            watch,
            // What serves one command is gone before there is anything to drop; old rows are hidden all the same.
            keeping: bound.map(|_| Keeping::start(retention.clone(), datasets.clone())),
            bookkeeping,
            lock,
        };
        let config = api_config(config, token, bound);
        Ok(Self {
            app: App {
                catalog,
                lake,
                models,
                engine,
                traces,
                retention,
                eraser,
                recorder,
                otlp,
                gateway,
                datasets,
                calibrations,
                annotations,
                experiments,
                leaderboards,
                evaluations,
                scorers,
                alerts,
                config,
            },
            keep,
        })
    }
}

/// What the other rooms stand on: the stores, what reaches outside, models, and the recorder.
struct Floor {
    catalog: Catalog,
    bookkeeping: Bookkeeping,
    lake: Lake,
    net: Client,
    models: Models,
    engine: Engine,
    payloads: BlobStore,
    retention: Retention,
    eraser: Eraser,
    recorder: Recorder,
    prices: Arc<PriceTable>,
}

impl Floor {
    async fn open(config: &Config, dir: &Path) -> Result<Self, Error> {
        let catalog = open_catalog(dir).await?;
        let bookkeeping = Bookkeeping::start()?;
        let lake = bookkeeping.host(open_lake(lake_config(config, dir), catalog.clone())).await?;
        let blobs = BlobStore::open(&dir.join("blobs")).map_err(failed("opening the blobs"))?;
        let registry = registry(config, dir)?;
        let net = client(config, &registry)?;
        let models = Models::new(catalog.clone(), blobs.clone(), net.clone(), registry);
        let engine = Engine::new(engine_config(config));
        let payloads = payloads::open(dir, &models).await?;
        let (retention, eraser) = keeping(config, &lake, &catalog, &payloads).await?;
        let (lake_of_spans, of_spans, recording) = (lake.clone(), payloads.clone(), recorder_config(config));
        let recorder = bookkeeping.host(async move { Recorder::new(lake_of_spans, of_spans, recording) }).await;
        let prices = PriceTable::in_force(&catalog).await.map_err(failed("reading the prices"))?;
        let prices = Arc::new(prices);
        Ok(Self { catalog, bookkeeping, lake, net, models, engine, payloads, retention, eraser, recorder, prices })
    }

    async fn gateway(&self, config: &Config) -> Result<Gateway, Error> {
        let parts = GatewayParts {
            engine: self.engine.clone(),
            models: self.models.clone(),
            catalog: self.catalog.clone(),
            net: self.net.clone(),
            recorder: self.recorder.clone(),
            prices: Arc::clone(&self.prices),
            model_options: model_options(config),
            config: gateway_config(config),
        };
        self.bookkeeping.host(Gateway::new(parts)).await.map_err(gateway_failed)
    }
}

/// What a person can put right in the configuration is told as such.
fn gateway_failed(cause: qd_gateway::Error) -> Error {
    match cause {
        qd_gateway::Error::Configuration { message } => Error::Configuration { why: message },
        cause => Error::doing("opening the gateway", cause),
    }
}

impl Keep {
    /// Ends everything in order: what feeds before what is fed, the folder last.
    pub async fn close(self) {
        drop(self.keeping);
        if let Some(watch) = self.watch {
            watch.shutdown().await;
        }
        for running in self.asking {
            running.shutdown().await;
        }
        self.jobs.shutdown().await;
        self.gateway.drain().await;
        self.recorder.drain().await;
        self.lake.close().await;
        self.catalog.close().await;
        drop(self.bookkeeping);
        drop(self.lock);
    }
}

/// The router in this process, for one command.
pub struct Inside {
    token: Secret,
    answer: Box<dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Answer> + Send + Sync>,
    keep: Keep,
}

impl Inside {
    /// Opens the folder of `lock` for this process.
    ///
    /// # Errors
    /// As [`House::open`].
    pub async fn open(config: &Config, lock: Lock) -> Result<Self, Error> {
        let token = crate::lock::token()?;
        let House { app, keep } = House::open(config, lock, token.clone(), None).await?;
        let router = qd_api::app(app);
        let answer = move |request: Request<Full<Bytes>>| -> BoxFuture<'static, Answer> {
            let answering = router.clone().oneshot(request);
            Box::pin(async move {
                let Ok(response) = answering.await;
                let status: StatusCode = response.status();
                let pieces = response.into_body().into_data_stream();
                let body = pieces.map(|piece| piece.map(|bytes| bytes.to_vec()).map_err(Cause::from)).boxed();
                Answer { status, body }
            })
        };
        Ok(Self { token, answer: Box::new(answer), keep })
    }

    /// What makes a request this user's own.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    pub async fn call(&self, request: Request<Full<Bytes>>) -> Answer {
        (self.answer)(request).await
    }

    /// Ends in order.
    pub async fn close(self) {
        drop(self.answer);
        self.keep.close().await;
    }
}

fn failed<E: Into<Cause>>(doing: &'static str) -> impl Fn(E) -> Error {
    move |cause| Error::doing(doing, cause)
}

fn start_jobs(
    catalog: &Catalog,
    models: &Models,
    lake: &Lake,
    eraser: &Eraser,
    (datasets, annotations): (&Datasets, &Annotations),
    config: &Config,
) -> Running {
    let handlers: [Arc<dyn Handler>; 7] = [
        Arc::new(PullHandler::new(models.clone())),
        Arc::new(VerifyHandler::new(lake.clone()).and(Arc::new(datasets.clone()))),
        Arc::new(EraseHandler::new(eraser.clone())),
        Arc::new(ImportHandler::new(datasets.clone())),
        Arc::new(SplitHandler::new(datasets.clone())),
        Arc::new(EditHandler::new(datasets.clone())),
        Arc::new(ExportHandler::new(annotations.clone())),
    ];
    Runner::new(catalog.clone(), handlers).with_config(runner_config(config)).start()
}

async fn open_catalog(dir: &Path) -> Result<Catalog, Error> {
    let master = MasterKey::load(dir).map_err(failed("reading the master key"))?;
    Catalog::open(dir, master).await.map_err(failed("opening the catalog"))
}

fn lake_config(config: &Config, dir: &Path) -> LakeConfig {
    let settings = &config.lake;
    LakeConfig {
        queue_bytes: settings.queue_bytes,
        commit_interval_ms: settings.commit_interval_ms,
        commit_bytes: settings.commit_bytes,
        seal_rows: settings.seal_rows,
        seal_bytes: settings.seal_bytes,
        seal_age_ms: settings.seal_age_ms,
        memory_limit_bytes: config.limits.sql_memory_bytes,
        ..LakeConfig::new(dir.join("lake"))
    }
}

async fn open_lake(config: LakeConfig, catalog: Catalog) -> Result<Lake, Error> {
    let tables = tables().into_iter().chain(asking::tables()).collect();
    Lake::open(config, catalog, tables).await.map_err(failed("opening the lake"))
}

/// What sees to it that rows go again: those that are old are hidden before anybody asks, and erasures that an earlier
/// process did not finish go on.
async fn keeping(
    config: &Config,
    lake: &Lake,
    catalog: &Catalog,
    payloads: &BlobStore,
) -> Result<(Retention, Eraser), Error> {
    let retention = Retention::new(lake.clone(), catalog.clone(), payloads.clone(), config.lake.retain_days)
        .with_others(asking::tables().map(|table| table.name));
    retention.hide().await.map_err(failed("hiding old rows"))?;
    let eraser = Eraser::new(lake.clone(), catalog.clone(), payloads.clone());
    eraser.resume().await.map_err(failed("going on with erasures"))?;
    Ok((retention, eraser))
}

fn registry(config: &Config, dir: &Path) -> Result<ModelsConfig, Error> {
    let mut registry = ModelsConfig::at(dir.join("models")).map_err(failed("reading the catalogue of models"))?;
    mirror::add(&mut registry.catalogue, &config.models.mirror)?;
    Ok(registry)
}

/// The outbound client of commands that fetch by themselves: the settings allow it what they allow the server.
///
/// # Errors
/// [`Error::Configuration`] when `net.allow` cannot be read.
pub fn outbound(config: &Config) -> Result<Client, Error> {
    client(config, &registry(config, &config.data.dir)?)
}

fn client(config: &Config, registry: &ModelsConfig) -> Result<Client, Error> {
    let policy = config.net.allow.iter().try_fold(Policy::public(), |policy, entry| policy.allow(entry));
    let options = ClientOptions {
        connect_timeout: Duration::from_millis(config.net.connect_timeout_ms),
        extra_roots: registry.index.certificate.iter().cloned().collect(),
        ..ClientOptions::default()
    };
    let policy = policy.map_err(|cause| Error::Configuration { why: format!("net.allow: {cause}") })?;
    Client::new(policy, options).map_err(failed("setting up the outbound client"))
}

fn engine_config(config: &Config) -> EngineConfig {
    let usual = EngineConfig::default();
    EngineConfig {
        threads: NonZeroUsize::new(config.engine.threads).unwrap_or(usual.threads),
        max_models: config.engine.models,
    }
}

fn model_options(config: &Config) -> ModelOptions {
    ModelOptions {
        context: Some(config.engine.context).filter(|context| *context > 0),
        slots: config.engine.slots,
        queue: config.engine.queue,
        cache_tokens: config.engine.cache_tokens,
        prefix_bytes: config.engine.prefix_bytes,
        ..ModelOptions::default()
    }
}

pub(super) fn runner_config(config: &Config) -> RunnerConfig {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let keep = Some(config.jobs.keep_days).filter(|days| *days > 0).map(|days| DAY * days);
    RunnerConfig { sole: false, keep, keep_most: config.jobs.keep, ..RunnerConfig::default() }
}

fn recorder_config(config: &Config) -> RecorderConfig {
    let mode = match config.trace.mode {
        TraceMode::Async => Mode::Async,
        TraceMode::Sync => Mode::Sync,
    };
    RecorderConfig { mode, queue_spans: config.trace.queue, ..RecorderConfig::default() }
}

fn intake_config(config: &Config) -> IntakeConfig {
    IntakeConfig { queue_bytes: config.otlp.queue_bytes, message_bytes: config.otlp.message_bytes }
}

fn gateway_config(config: &Config) -> GatewayConfig {
    GatewayConfig { providers: config.providers.clone(), routes: config.routes.clone(), limits: config.calls.clone() }
}

fn api_config(config: &Config, token: Secret, bound: Option<IpAddr>) -> ApiConfig {
    let limits = qd_api::Limits {
        body_bytes: config.limits.body_bytes,
        request_ms: config.limits.request_timeout_ms,
        drain_ms: config.server.drain_ms,
        sql_rows: config.limits.sql_rows,
        sql_ms: config.limits.sql_timeout_ms,
        sql_bytes: config.limits.sql_memory_bytes,
        ..qd_api::Limits::default()
    };
    ApiConfig { bound, hosts: config.server.hosts.clone(), local_token: Some(token), limits }
}
