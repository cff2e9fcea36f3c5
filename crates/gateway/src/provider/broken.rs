//! A provider that is configured and cannot be used. It keeps its name: its calls must not reach another of that name.

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use qd_base::ProviderName;

use crate::error::{Error, Result};
use crate::listing::ListedModel;
use crate::provider::{Ask, Incoming, Provider};

/// Answers every call with why it cannot.
pub(crate) struct Broken {
    name: ProviderName,
    why: String,
}

impl Broken {
    /// Says in the log, once, what each of its calls will be told.
    pub fn new(name: ProviderName, why: String) -> Self {
        tracing::error!(provider = %name, why, "a provider cannot be used");
        Self { name, why }
    }
}

impl Provider for Broken {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn timeout_ms(&self) -> Option<u64> {
        None
    }

    fn send<'a>(&'a self, _: Ask<'a>) -> BoxFuture<'a, Result<Incoming>> {
        future::ready(Err(Error::Unusable { provider: self.name.clone(), why: self.why.clone() })).boxed()
    }

    /// None, and no error: that it is broken has been said.
    fn models(&self) -> BoxFuture<'_, Result<Vec<ListedModel>>> {
        future::ready(Ok(Vec::new())).boxed()
    }
}
