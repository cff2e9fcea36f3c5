//! What the operator decided: every setting, what it means and its default.
//!
//! A value comes from the default below, then `quarterdeck.toml`, then the environment, then the
//! command line; [`layer`] puts the four on top of each other and remembers which one won.
//! Nothing here can hold a secret: secrets are named (`api_key_env`), stored encrypted, or piped in.

pub mod layer;
mod source;

pub use layer::{Flag, Layers, Origin, Resolved};
pub use source::default_file;

use std::net::SocketAddr;
use std::path::PathBuf;

use qd_gateway::{Limits as Calls, ModelRoute, ProviderConfig};
use serde::{Deserialize, Serialize};

/// Everything `quarterdeck.toml` may say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub models: Models,
    pub engine: Engine,
    pub lake: Lake,
    pub trace: Trace,
    pub otlp: Otlp,
    pub jobs: Jobs,
    pub net: Net,
    pub limits: Limits,
    /// What one call to a model may take, upstreams included.
    pub calls: Calls,
    /// Upstreams that calls may be routed to; those added by API or CLI stand beside these.
    pub providers: Vec<ProviderConfig>,
    /// Names that clients ask for, each with the targets that answer for it, in order.
    pub routes: Vec<ModelRoute>,
}

/// Where the server listens and whom it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port; port 0 takes a free one, which `<data>/server.json` then names.
    pub address: SocketAddr,
    /// `Host` headers accepted beside the listening address and the loopback names.
    pub hosts: Vec<String>,
    /// How long a stopping server lets calls that are under way finish.
    pub drain_ms: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 4100)), hosts: Vec::new(), drain_ms: 30_000 }
    }
}

/// Where everything durable lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The data folder: catalog, lake, blobs, keys and the lock. Created when missing.
    pub dir: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: source::home().join(".local/share/quarterdeck") }
    }
}

/// Which models a fresh installation fetches and which ones a server loads at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Fetched by each start of a server that lacks them; empty fetches nothing.
    pub defaults: Vec<String>,
    /// Loaded in the background when the server starts; others load with their first call.
    pub preload: Vec<String>,
    /// A folder with model files, looked into before the network; empty for none. Files are recognised by
    /// their size and SHA-256, whatever their names.
    pub mirror: PathBuf,
}

impl Default for Models {
    fn default() -> Self {
        let defaults = vec!["smollm2-135m-instruct".to_owned(), "all-minilm-l6-v2".to_owned()];
        Self { preload: defaults.clone(), defaults, mirror: PathBuf::new() }
    }
}

/// How the embedded engine runs models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Threads for inference; 0 takes the number of cores.
    pub threads: usize,
    /// Tokens of prompt and answer that one request may have; 0 takes what the model was trained on, at
    /// most 8192.
    pub context: u32,
    /// Tokens that all running requests of one model together have in its key-value cache.
    pub cache_tokens: u32,
    /// Memory, per model, for what ended requests have computed, so that later ones which start alike need
    /// not compute it again.
    pub prefix_bytes: usize,
    /// Models loaded at one time.
    pub models: usize,
    /// Requests decoded together in one batch, per model.
    pub slots: usize,
    /// Requests that may wait for a slot, per model; the next one is answered with 429.
    pub queue: usize,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            threads: 0,
            context: 0,
            cache_tokens: 16_384,
            prefix_bytes: 256 << 20,
            models: 16,
            slots: 16,
            queue: 256,
        }
    }
}

/// How rows become durable and how segments are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lake {
    /// The longest that a row waits for others before its group is committed.
    pub commit_interval_ms: u64,
    /// A group is committed at this size even when the interval has not passed.
    pub commit_bytes: usize,
    /// Rows waiting for a commit may take this much memory; beyond it appends are refused with 429.
    pub queue_bytes: usize,
    /// Staged rows are sealed into a Parquet segment at this many rows,
    pub seal_rows: usize,
    /// or at this many bytes in memory,
    pub seal_bytes: usize,
    /// or when the oldest has waited this long.
    pub seal_age_ms: u64,
    /// Rows older than this are dropped, unless their project says otherwise; 0 keeps them for ever.
    pub retain_days: u32,
}

impl Default for Lake {
    fn default() -> Self {
        Self {
            commit_interval_ms: 5,
            commit_bytes: 1 << 20,
            queue_bytes: 64 << 20,
            seal_rows: 131_072,
            seal_bytes: 16 << 20,
            seal_age_ms: 60_000,
            retain_days: 0,
        }
    }
}

/// When a traced call counts as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceMode {
    /// The answer never waits; a crash may lose the calls of the last milliseconds.
    #[default]
    Async,
    /// The last byte of an answer waits until its span is on disk.
    Sync,
}

/// How calls are traced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trace {
    /// `async` or `sync`; `docs/durability.md` says what each promises.
    pub mode: TraceMode,
    /// Finished spans that may wait to be written; beyond it they are dropped and counted.
    pub queue: usize,
}

impl Default for Trace {
    fn default() -> Self {
        Self { mode: TraceMode::Async, queue: 65_536 }
    }
}

/// What others send by OpenTelemetry's protocol. Over HTTP it is taken at the server's own address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Whether there is a second address, for gRPC.
    pub grpc: bool,
    /// That address. Where it was not set and something else listens there, the server says so and goes without.
    pub address: SocketAddr,
    /// Requests that are being read, decoded or committed may take this much memory; more are refused with 503.
    pub queue_bytes: usize,
    /// Largest request, decompressed.
    pub message_bytes: usize,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            grpc: true,
            address: SocketAddr::from(([127, 0, 0, 1], 4317)),
            queue_bytes: 64 << 20,
            message_bytes: 32 << 20,
        }
    }
}

/// How long work that is done is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// Finished jobs older than this are forgotten; 0 remembers them for ever.
    pub keep_days: u32,
    /// The most finished jobs that are remembered; the oldest are forgotten first.
    pub keep: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { keep_days: 30, keep: 10_000 }
    }
}

/// What the server itself may reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Net {
    /// Private networks (`10.0.0.0/8`) and host names (`vllm.internal`) that may be called, also over
    /// plain HTTP. Everything else must be public and HTTPS.
    pub allow: Vec<String>,
    /// How long connecting to an upstream may take.
    pub connect_timeout_ms: u64,
}

impl Default for Net {
    fn default() -> Self {
        Self { allow: Vec::new(), connect_timeout_ms: 5_000 }
    }
}

/// What one request may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes: usize,
    /// How long a request other than a model call may take until its answer begins.
    pub request_timeout_ms: u64,
    /// Longest time a SQL query may run.
    pub sql_timeout_ms: u64,
    /// Memory that all SQL queries together may take.
    pub sql_memory_bytes: usize,
    /// Most rows that a SQL query may ask for; 10,000 are returned when it does not say.
    pub sql_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            request_timeout_ms: 120_000,
            sql_timeout_ms: 30_000,
            sql_memory_bytes: 1 << 30,
            sql_rows: 100_000,
        }
    }
}
