//! Which providers there are for whom, and what a model name stands for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use qd_base::{ProjectId, ProviderName};
use qd_catalog::{ModelRoute, Target};

use crate::config::Limits;
use crate::dispatch::Candidate;
use crate::error::{Error, Result};
use crate::provider::{LOCAL, Provider};

/// Upstreams by name.
pub(crate) type Providers = HashMap<ProviderName, Arc<dyn Provider>>;

/// What a project keeps in the catalog for itself.
#[derive(Default)]
pub(crate) struct Own {
    pub providers: Providers,
    pub routes: HashMap<String, ModelRoute>,
}

/// Routes and providers. Looking up takes one lock for as long as it takes to copy a pointer.
pub(crate) struct Directory {
    routes: HashMap<String, ModelRoute>,
    local: Arc<dyn Provider>,
    /// The operator's providers, for every project.
    shared: Providers,
    /// The projects' own. A project sees its own and the operator's, and nobody else's.
    own: RwLock<Arc<HashMap<ProjectId, Own>>>,
}

impl Directory {
    /// The operator's routes and providers, and the engine.
    ///
    /// # Errors
    /// [`Error::Configuration`] when two routes have one name, a route has no target, or a provider is called `local`.
    pub fn new(routes: Vec<ModelRoute>, shared: Vec<Arc<dyn Provider>>, local: Arc<dyn Provider>) -> Result<Self> {
        let mut by_name = HashMap::with_capacity(routes.len());
        for route in routes {
            route.check().map_err(|cause| configuration(format!("route {:?}: {cause}", route.name)))?;
            if let Some(twin) = by_name.insert(route.name.clone(), route) {
                return Err(configuration(format!("there are two routes called {:?}", twin.name)));
            }
        }
        Ok(Self { routes: by_name, local, shared: by_provider_name(shared)?, own: RwLock::default() })
    }

    /// Puts what the projects keep in the place of what was known before.
    pub fn set_own(&self, own: HashMap<ProjectId, Own>) {
        *self.own.write() = Arc::new(own);
    }

    /// The targets that `model` stands for, best first: those of the project's own route of that name, or of the operator's;
    /// else the model behind the slash at
    /// the provider before it; else the local model of that name, if there is one.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] when the route's providers are all unknown to this project.
    pub fn candidates(&self, project: ProjectId, model: &str, limits: &Limits) -> Result<Vec<Candidate>> {
        let own = self.own.read().clone();
        let own = own.get(&project);
        if let Some(route) = own.and_then(|own| own.routes.get(model)).or_else(|| self.routes.get(model)) {
            let candidates: Vec<_> =
                route.targets.iter().filter_map(|target| self.of_target(own, route, target, limits)).collect();
            return if candidates.is_empty() {
                Err(Error::UnknownModel { model: model.to_owned() })
            } else {
                Ok(candidates)
            };
        }
        let at_provider =
            model.split_once('/').and_then(|(provider, rest)| Some((self.provider(own, provider)?, rest)));
        let (provider, name) = at_provider.unwrap_or_else(|| (self.local.clone(), model));
        Ok(vec![candidate(provider, name, None, None, limits)])
    }

    /// The operator's routes.
    pub fn routes(&self) -> impl Iterator<Item = &ModelRoute> {
        self.routes.values()
    }

    /// The names of every route that `project` may ask for, in order.
    pub fn route_names(&self, project: ProjectId) -> BTreeSet<String> {
        let own = self.own.read().clone();
        let own = own.get(&project).into_iter().flat_map(|own| own.routes.keys());
        own.chain(self.routes.keys()).cloned().collect()
    }

    /// Every provider that `project` may use, the engine first.
    pub fn providers(&self, project: ProjectId) -> Vec<Arc<dyn Provider>> {
        let own = self.own.read().clone();
        let own = own.get(&project);
        let hidden = |name: &ProviderName| own.is_some_and(|own| own.providers.contains_key(name));
        let shared = self.shared.iter().filter(|(name, _)| !hidden(name)).map(|(_, provider)| provider);
        let mut upstreams: Vec<_> =
            own.into_iter().flat_map(|own| own.providers.values()).chain(shared).cloned().collect();
        upstreams.sort_by(|a, b| a.name().cmp(b.name()));
        upstreams.insert(0, self.local.clone());
        upstreams
    }

    fn of_target(&self, own: Option<&Own>, route: &ModelRoute, target: &Target, limits: &Limits) -> Option<Candidate> {
        let provider = self.provider(own, target.provider.as_str())?;
        Some(candidate(provider, &target.model, route.timeout_ms.map(u64::from), route.retries, limits))
    }

    /// A project's own provider stands before the operator's of the same name, so that a project can bring its own key.
    fn provider(&self, own: Option<&Own>, name: &str) -> Option<Arc<dyn Provider>> {
        if name == LOCAL {
            return Some(self.local.clone());
        }
        own.and_then(|own| own.providers.get(name)).or_else(|| self.shared.get(name)).cloned()
    }
}

fn candidate(
    provider: Arc<dyn Provider>,
    model: &str,
    timeout_ms: Option<u64>,
    retries: Option<u32>,
    limits: &Limits,
) -> Candidate {
    let timeout_ms = timeout_ms.or(provider.timeout_ms()).unwrap_or(limits.attempt_timeout_ms);
    Candidate {
        provider,
        model: model.into(),
        timeout: Duration::from_millis(timeout_ms),
        retries: retries.unwrap_or(limits.retries),
    }
}

/// The operator's providers, found by their names.
fn by_provider_name(providers: Vec<Arc<dyn Provider>>) -> Result<Providers> {
    let mut by_name = HashMap::with_capacity(providers.len());
    for provider in providers {
        let name = provider.name().clone();
        if name.as_str() == LOCAL {
            return Err(configuration(format!("{LOCAL:?} is the engine's name; call the upstream something else")));
        }
        if by_name.insert(name.clone(), provider).is_some() {
            return Err(configuration(format!("there are two providers called {name}")));
        }
    }
    Ok(by_name)
}

fn configuration(message: String) -> Error {
    Error::Configuration { message }
}
