//! What a model name stood for when somebody looked: a call that names it asks this model and no other.

use std::fmt;

use qd_base::{ProviderName, Sha256Hex};
use serde::{Deserialize, Serialize};

/// One model at one provider. Aliases, labels and routes may point elsewhere later; this does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The provider.
    pub provider: ProviderName,
    /// The provider's own name of the model; of a local one with its version, as in `smollm2-135m-instruct@1`.
    pub model: String,
    /// The digest of the provider's base URL: another server of the same name has other models. None for the engine in this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_sha256: Option<Sha256Hex>,
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}
