//! Which targets a model name stands for.

use qd_base::name::ProviderName;
use serde::{Deserialize, Serialize};

/// A model name that callers ask for, and the targets that may answer, best first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRoute {
    /// The name in a request's `model`.
    pub name: String,
    /// Tried in this order.
    pub targets: Vec<Target>,
    /// Retries of each target after its first attempt; the gateway's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long one attempt may take; the provider's, else the gateway's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A model at a provider. The provider `local` is the engine in this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Who serves it.
    pub provider: ProviderName,
    /// The provider's own name of the model.
    pub model: String,
}
