//! The projects' own providers and routes, kept in memory and read again when the catalog says that one has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qd_base::ProjectId;
use qd_catalog::Catalog;
use tokio::sync::{Mutex, watch};

use crate::config::Limits;
use crate::directory::{Directory, Own};
use crate::error::{Error, Result};
use crate::provider::{Broken, LOCAL, OpenAi, Provider, Upstream};

/// Brings what the catalog keeps of providers and routes into a [`Directory`]. This is the one place where their secrets are opened.
pub(crate) struct Tenants {
    catalog: Catalog,
    net: qd_net::Client,
    listing_ttl: Duration,
    /// A project may wait less for an attempt than the operator allows, and not more.
    attempt_timeout_ms: u64,
    changes: watch::Receiver<u64>,
    /// The change that the directory has seen last.
    seen: AtomicU64,
    reading: Mutex<()>,
}

/// No change has this number, so the first refresh always reads.
const NEVER: u64 = u64::MAX;

impl Tenants {
    /// The providers in this catalog, none of them read yet.
    pub fn new(catalog: Catalog, net: qd_net::Client, limits: &Limits) -> Self {
        Self {
            changes: catalog.watch_routing(),
            catalog,
            net,
            listing_ttl: Duration::from_millis(limits.listing_ttl_ms),
            attempt_timeout_ms: limits.attempt_timeout_ms,
            seen: AtomicU64::new(NEVER),
            reading: Mutex::default(),
        }
    }

    /// Reads them again if one has changed, so that a call that comes after a change sees it.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn refresh(&self, directory: &Directory) -> Result<()> {
        let now = *self.changes.borrow();
        if self.seen.load(Ordering::Acquire) == now {
            return Ok(());
        }
        let _one_reader = self.reading.lock().await;
        if self.seen.load(Ordering::Acquire) != now {
            directory.set_own(self.read().await?);
            self.seen.store(now, Ordering::Release);
        }
        Ok(())
    }

    async fn read(&self) -> Result<HashMap<ProjectId, Own>> {
        let mut own: HashMap<ProjectId, Own> = HashMap::new();
        for mut stored in self.catalog.routes(None).await.map_err(Error::Catalog)? {
            let most = u32::try_from(self.attempt_timeout_ms).unwrap_or(u32::MAX);
            stored.route.timeout_ms = stored.route.timeout_ms.map(|timeout_ms| timeout_ms.min(most));
            own.entry(stored.project).or_default().routes.insert(stored.route.name.clone(), stored.route);
        }
        for stored in self.catalog.providers(None).await.map_err(Error::Catalog)? {
            // One provider that cannot be used must not keep the others from working.
            let provider: Arc<dyn Provider> = match self.prepare(&stored).await {
                Ok(provider) => Arc::new(provider),
                Err(error) => Arc::new(Broken::new(stored.spec.name.clone(), error.chain())),
            };
            own.entry(stored.project).or_default().providers.insert(stored.spec.name, provider);
        }
        Ok(own)
    }

    async fn prepare(&self, stored: &qd_catalog::Provider) -> Result<OpenAi> {
        let spec = &stored.spec;
        if spec.name.as_str() == LOCAL {
            return Err(Error::Configuration { message: format!("{LOCAL:?} is the engine's name") });
        }
        let key = self.catalog.provider_secret(stored.project, &spec.name).await.map_err(Error::Catalog)?;
        self.check_unchanged(stored).await?;
        let upstream = Upstream {
            name: spec.name.clone(),
            base_url: spec.base_url.to_string(),
            key,
            timeout_ms: Some(u64::from(spec.timeout_ms).min(self.attempt_timeout_ms)),
        };
        OpenAi::new(upstream, self.net.clone(), self.listing_ttl)
    }

    /// The secret was read after the record. Had the record changed in between, a secret for the new base URL would go to
    /// the old one; so such a pair is not used, and the change that made it brings another refresh.
    async fn check_unchanged(&self, stored: &qd_catalog::Provider) -> Result<()> {
        let now = self.catalog.provider(stored.project, &stored.spec.name).await.map_err(Error::Catalog)?;
        if now == *stored { Ok(()) } else { Err(Error::Configuration { message: "it is being changed".to_owned() }) }
    }
}
