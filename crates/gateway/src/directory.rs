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
use crate::pinned::Pinned;
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

    /// The one model that a name stood for when somebody looked, asked as that name's route says as far as it still leads there.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] when this project has no such provider any more.
    pub fn pinned(&self, project: ProjectId, model: &str, pinned: &Pinned, limits: &Limits) -> Result<Vec<Candidate>> {
        let is_local = pinned.provider.as_str() == LOCAL;
        let leads_there = |candidate: &Candidate| {
            *candidate.provider.name() == pinned.provider && (is_local || *candidate.model == *pinned.model)
        };
        let by_route = self.candidates(project, model, limits).ok().and_then(|all| all.into_iter().find(leads_there));
        let found = by_route.or_else(|| {
            let own = self.own.read().clone();
            let provider = self.provider(own.get(&project), pinned.provider.as_str())?;
            Some(candidate(provider, &pinned.model, None, None, limits))
        });
        let mut found = found.ok_or_else(|| Error::UnknownModel { model: pinned.to_string() })?;
        if is_local {
            // Traces and prices know a local model by its name.
            found.model = pinned.model.rsplit_once('@').map_or(&*pinned.model, |(name, _)| name).into();
            found.exact = Some(pinned.model.as_str().into());
        }
        Ok(vec![found])
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
        exact: None,
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
