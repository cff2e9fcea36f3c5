//! A whole house over a temporary folder, and requests to it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use qd_alert::Alerts;
use qd_annotation::{Annotations, ExportHandler};
use qd_api::{ApiConfig, App};
use qd_base::{ProjectName, Secret};
use qd_catalog::{Catalog, Handler, MasterKey, Runner, Running, Scope};
use qd_data::Datasets;
use qd_evaluation::{Desk, Evaluations};
use qd_experiment::plan::Sources;
use qd_experiment::{Experiments, OptimiseHandler, RunHandler};
use qd_gateway::{Gateway, GatewayConfig, GatewayParts, ProviderConfig};
use qd_judging::{CalibrateHandler, Calibrations, Judges};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig};
use qd_leaderboard::Leaderboards;
use qd_model::{Models, ModelsConfig};
use qd_prompt::Prompts;
use qd_scorer::{ScoreHandler, Scorers};
use qd_serve::{Engine, EngineConfig, ModelOptions};
use qd_trace::{Eraser, Intake, IntakeConfig, PriceTable, Recorder, RecorderConfig, Retention, Traces, tables};
use serde_json::Value;
use tower::ServiceExt;

use crate::stub::Stub;

/// The token of the operator in every test.
pub const OPERATOR: &str = "the-local-token-of-this-test";

/// Everything that a test speaks to.
pub struct House {
    pub router: Router,
    pub catalog: Catalog,
    pub recorder: Recorder,
    pub gateway: Gateway,
    pub models: Models,
    pub alerts: Alerts,
    pub datasets: Datasets,
    pub experiments: Experiments,
    pub calibrations: Calibrations,
    pub leaderboards: Leaderboards,
    pub evaluations: Evaluations,
    pub scorers: Scorers,
    pub stub: Stub,
    data: tempfile::TempDir,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl House {
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// A house whose API configuration was changed by `change`.
    pub async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let parts = Parts::open().await;
        let app = parts.app(change);
        let Parts { catalog, recorder, gateway, models, alerts, datasets, experiments, stub, data, .. } = parts;
        let Parts { calibrations, leaderboards, evaluations, scorers, .. } = parts;
        Self {
            router: qd_api::app(app),
            catalog,
            recorder,
            gateway,
            models,
            alerts,
            datasets,
            experiments,
            calibrations,
            leaderboards,
            evaluations,
            scorers,
            stub,
            data,
        }
    }

    /// A house of rooms that a test goes on to speak to.
    pub async fn of(parts: Parts) -> Self {
        let app = parts.app(|_| {});
        let Parts { catalog, recorder, gateway, models, alerts, datasets, experiments, stub, data, .. } = parts;
        let Parts { calibrations, leaderboards, evaluations, scorers, .. } = parts;
        Self {
            router: qd_api::app(app),
            catalog,
            recorder,
            gateway,
            models,
            alerts,
            datasets,
            experiments,
            calibrations,
            leaderboards,
            evaluations,
            scorers,
            stub,
            data,
        }
    }

    /// The data folder.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// The plaintext of a new key of the default project.
    pub async fn key(&self, scopes: &[Scope]) -> String {
        self.key_of("default", scopes).await
    }

    /// The plaintext of a new key of `project`, which is made when it is missing.
    pub async fn key_of(&self, project: &str, scopes: &[Scope]) -> String {
        let name: ProjectName = project.parse().unwrap();
        let project = match self.catalog.project(&name).await {
            Ok(project) => project,
            Err(_) => self.catalog.create_project(&name).await.unwrap(),
        };
        let key = self.catalog.create_key(project.id, "test", scopes.iter().copied().collect(), None).await.unwrap();
        key.secret.expose().to_owned()
    }

    pub async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn call(&self, request: Request<Body>) -> Answer {
        Answer::read(self.send(request).await).await
    }

    pub async fn get(&self, key: &str, path: &str) -> Answer {
        self.call(request(Method::GET, path, Some(key), None)).await
    }

    pub async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.call(request(Method::POST, path, Some(key), Some(body.to_string()))).await
    }

    pub async fn put(&self, key: &str, path: &str, body: Value) -> Answer {
        self.call(request(Method::PUT, path, Some(key), Some(body.to_string()))).await
    }

    pub async fn delete(&self, key: &str, path: &str) -> Answer {
        self.call(request(Method::DELETE, path, Some(key), None)).await
    }

    /// A runner of experiments.
    pub fn run_experiments(&self) -> Running {
        let run: Arc<dyn Handler> = Arc::new(RunHandler::new(self.experiments.clone()));
        let optimise = Arc::new(OptimiseHandler::new(self.experiments.clone()));
        Runner::new(self.catalog.clone(), [run, optimise]).start()
    }

    /// A runner of calibrations.
    pub fn run_calibrations(&self) -> Running {
        let handler: Arc<dyn Handler> = Arc::new(CalibrateHandler::new(self.calibrations.clone()));
        Runner::new(self.catalog.clone(), [handler]).start()
    }

    /// A runner of exports of annotations.
    pub fn run_exports(&self) -> Running {
        let annotations = Annotations::new(self.catalog.clone(), self.datasets.clone());
        let export: Arc<dyn Handler> = Arc::new(ExportHandler::new(annotations));
        Runner::new(self.catalog.clone(), [export]).start()
    }

    /// A runner of leaderboards.
    pub fn run_leaderboards(&self) -> Running {
        let run: Arc<dyn Handler> = Arc::new(qd_leaderboard::RunHandler::new(self.leaderboards.clone()));
        Runner::new(self.catalog.clone(), [run]).start()
    }

    /// A runner of evaluations.
    pub fn run_evaluations(&self) -> Running {
        let run: Arc<dyn Handler> = Arc::new(qd_evaluation::RunHandler::new(self.evaluations.clone()));
        Runner::new(self.catalog.clone(), [run]).start()
    }

    /// A runner of scoring.
    pub fn run_scorers(&self) -> Running {
        let score: Arc<dyn Handler> = Arc::new(ScoreHandler::new(self.scorers.clone()));
        Runner::new(self.catalog.clone(), [score]).start()
    }

    /// Waits until every call that was answered is in the lake.
    pub async fn settle(&self) {
        self.gateway.drain().await;
        self.recorder.drain().await;
    }
}

/// Every table of the product.
fn all_tables() -> Vec<qd_lake::TableSpec> {
    let asking = [qd_experiment::table(), qd_judging::table(), qd_leaderboard::table(), qd_evaluation::table()];
    tables().into_iter().chain(asking).collect()
}

/// The rooms, before they are behind a router.
pub struct Parts {
    pub catalog: Catalog,
    pub lake: Lake,
    pub models: Models,
    pub engine: Engine,
    pub traces: Traces,
    pub retention: Retention,
    pub eraser: Eraser,
    pub recorder: Recorder,
    pub otlp: Intake,
    pub gateway: Gateway,
    pub alerts: Alerts,
    pub datasets: Datasets,
    pub experiments: Experiments,
    pub calibrations: Calibrations,
    pub leaderboards: Leaderboards,
    pub evaluations: Evaluations,
    pub scorers: Scorers,
    pub stub: Stub,
    pub data: tempfile::TempDir,
}

impl Parts {
    pub async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let stub = Stub::start().await;
        let catalog = Catalog::open(data.path(), MasterKey::generate()).await.unwrap();
        let blobs = BlobStore::open(&data.path().join("blobs")).unwrap();
        let lake = Lake::open(LakeConfig::new(data.path().join("lake")), catalog.clone(), all_tables()).await.unwrap();
        let policy = qd_net::Policy::public().allow("127.0.0.1").unwrap();
        let net = qd_net::Client::new(policy, qd_net::ClientOptions::default()).unwrap();
        let models = Models::new(
            catalog.clone(),
            blobs.clone(),
            net.clone(),
            ModelsConfig::at(data.path().join("models")).unwrap(),
        );
        let engine = Engine::new(EngineConfig::default());
        let payloads = BlobStore::open(&data.path().join("payloads")).unwrap();
        let retention = Retention::new(lake.clone(), catalog.clone(), payloads.clone(), 0).with_others([
            qd_experiment::table::name(),
            qd_judging::table::name(),
            qd_leaderboard::table::name(),
            qd_evaluation::table::name(),
        ]);
        let eraser = Eraser::new(lake.clone(), catalog.clone(), payloads.clone());
        let recorder = Recorder::new(lake.clone(), payloads.clone(), RecorderConfig::default());
        let gateway = Gateway::new(GatewayParts {
            engine: engine.clone(),
            models: models.clone(),
            catalog: catalog.clone(),
            net: net.clone(),
            recorder: recorder.clone(),
            prices: Arc::new(PriceTable::built_in()),
            model_options: ModelOptions::default(),
            config: gateway_config(&stub),
        });
        let gateway = gateway.await.unwrap();
        let otlp = Intake::new(recorder.clone(), Arc::new(PriceTable::built_in()), IntakeConfig::default());
        let traces = Traces::new(lake.clone(), payloads);
        let datasets = Datasets::new(data.path(), catalog.clone(), lake.clone(), traces.clone()).unwrap();
        let sources = Sources { datasets: datasets.clone(), prompts: Prompts::new(catalog.clone()) };
        let experiments = Experiments::new(catalog.clone(), lake.clone(), gateway.clone(), sources.clone());
        let judges = Judges::new(catalog.clone(), lake.clone(), gateway.clone());
        let calibrations = Calibrations::new(judges.clone(), datasets.clone());
        let leaderboards =
            Leaderboards::new(catalog.clone(), lake.clone(), gateway.clone(), datasets.clone(), models.clone());
        let evaluations =
            Evaluations::new(catalog.clone(), lake.clone(), gateway.clone(), Desk { sources, judges: judges.clone() });
        let scorers = Scorers::new(catalog.clone(), lake.clone(), traces.clone()).with_judges(judges.clone());
        let alerts = Alerts::new(catalog.clone(), lake.clone(), traces.clone(), net);
        Self {
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
            alerts,
            datasets,
            experiments,
            calibrations,
            leaderboards,
            evaluations,
            scorers,
            stub,
            data,
        }
    }

    pub fn app(&self, change: impl FnOnce(&mut ApiConfig)) -> App {
        let mut config = ApiConfig { local_token: Some(Secret::new(OPERATOR)), ..ApiConfig::default() };
        change(&mut config);
        App {
            catalog: self.catalog.clone(),
            lake: self.lake.clone(),
            models: self.models.clone(),
            engine: self.engine.clone(),
            traces: self.traces.clone(),
            retention: self.retention.clone(),
            eraser: self.eraser.clone(),
            recorder: self.recorder.clone(),
            otlp: self.otlp.clone(),
            gateway: self.gateway.clone(),
            alerts: self.alerts.clone(),
            datasets: self.datasets.clone(),
            annotations: Annotations::new(self.catalog.clone(), self.datasets.clone()),
            experiments: self.experiments.clone(),
            calibrations: self.calibrations.clone(),
            leaderboards: self.leaderboards.clone(),
            evaluations: self.evaluations.clone(),
            scorers: self.scorers.clone(),
            config,
        }
    }
}

fn gateway_config(stub: &Stub) -> GatewayConfig {
    let provider = ProviderConfig {
        name: "stub".parse().unwrap(),
        base_url: stub.base_url(),
        api_key_env: None,
        timeout_ms: None,
    };
    let mut config = GatewayConfig { providers: vec![provider], ..GatewayConfig::default() };
    config.limits.retries = 0;
    config
}

pub fn request(method: Method, path: &str, key: Option<&str>, body: Option<String>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    match body {
        Some(body) => request.header(CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, bytes }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks the status, and gives the JSON.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that this is OpenAI's error object with this status and code, and gives it.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let json = self.expect(status);
        let error = json["error"].clone();
        let keys: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "type", "param", "code"], "{json}");
        assert_eq!(error["code"], code, "{json}");
        assert!(!self.header("x-request-id").is_empty(), "every answer has an id");
        error
    }
}

/// Events of a response, one by one.
pub struct Events {
    body: futures::stream::BoxStream<'static, Bytes>,
    buffer: String,
}

impl Events {
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        Self { body: response.into_body().into_data_stream().map(Result::unwrap).boxed(), buffer: String::new() }
    }

    /// The next event or comment, without its blank line.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let event = event.to_owned();
                self.buffer = rest.to_owned();
                return Some(event);
            }
            self.buffer.push_str(std::str::from_utf8(&self.body.next().await?).unwrap());
        }
    }

    /// The next event that is no comment.
    pub async fn data(&mut self) -> Option<String> {
        loop {
            let event = self.next().await?;
            if !event.starts_with(':') {
                return Some(event);
            }
        }
    }
}
