//! What the operator decides: providers, routes and limits, as they stand in `quarterdeck.toml`.

use std::time::Duration;

use qd_base::name::ProviderName;
use qd_catalog::ModelRoute;
use serde::{Deserialize, Serialize};

/// Providers and routes of the operator; every project may use them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Upstreams that every project may use, beside those that a project keeps in the catalog.
    pub providers: Vec<ProviderConfig>,
    /// Model names that the gateway answers to, each with its ordered targets.
    pub routes: Vec<ModelRoute>,
    /// How much and how long.
    pub limits: Limits,
}

/// One OpenAI-compatible upstream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The name in `provider/model` and in routes.
    pub name: ProviderName,
    /// Where its API begins, for instance `https://api.openai.com/v1`.
    pub base_url: String,
    /// The environment variable that holds its API key; absent for upstreams that ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// How long one attempt may take, unless the route says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A bound on everything that an upstream or a client could make grow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest that one attempt may take until its whole answer, or the first event of its stream, is here.
    pub attempt_timeout_ms: u64,
    /// The longest silence inside a stream.
    pub idle_timeout_ms: u64,
    /// The longest that a call may take with all its attempts, waits and its stream.
    pub call_timeout_ms: u64,
    /// Retries of one target after its first attempt, unless the route says otherwise.
    pub retries: u32,
    /// The longest wait before a retry; an upstream that asks for more is left for the next target.
    pub retry_wait_ms: u64,
    /// The largest answer that is not a stream.
    pub response_bytes: u64,
    /// The largest single event of a stream.
    pub event_bytes: usize,
    /// The largest stream.
    pub stream_bytes: u64,
    /// How much of one stream is kept for its trace row; of the rest only usage and finish reasons are.
    pub captured_bytes: usize,
    /// How many bytes of finished calls may wait to become trace rows before calls go unrecorded (and are counted).
    pub record_queue_bytes: usize,
    /// How long an upstream's list of models is believed.
    pub listing_ttl_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // OpenAI's own clients give up after ten minutes.
            attempt_timeout_ms: 600_000,
            idle_timeout_ms: 120_000,
            call_timeout_ms: 3_600_000,
            retries: 2,
            retry_wait_ms: 10_000,
            response_bytes: 64 << 20,
            event_bytes: 8 << 20,
            stream_bytes: 1 << 30,
            captured_bytes: 16 << 20,
            record_queue_bytes: 64 << 20,
            listing_ttl_ms: 60_000,
        }
    }
}

impl Limits {
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}
