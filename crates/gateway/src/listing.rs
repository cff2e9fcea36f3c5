//! Which model names can be asked for: routes, installed local models, and what upstreams list.

use futures::future::join_all;
use qd_base::ProjectId;

use crate::directory::Directory;

/// One entry of the list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// The name to put into a request's `model`.
    pub id: String,
    /// Who serves it: `quarterdeck` for routes and local models, else the provider's name.
    pub owned_by: String,
    /// When it was made or installed, in seconds since 1970; 0 when nobody knows.
    pub created: i64,
}

/// The owner of what this server itself offers.
pub(crate) const OURS: &str = "quarterdeck";

/// Every name that `project` can ask for: routes, then local models, then upstreams' by provider. An upstream that cannot be
/// asked is left out: the list must not fail because one of many is down.
pub(crate) async fn list(directory: &Directory, project: ProjectId) -> Vec<ListedModel> {
    let listed = |name| ListedModel { id: name, owned_by: OURS.to_owned(), created: 0 };
    let mut list: Vec<_> = directory.route_names(project).into_iter().map(listed).collect();
    let providers = directory.providers(project);
    let answers = join_all(providers.iter().map(|provider| provider.models())).await;
    for (provider, answer) in providers.iter().zip(answers) {
        match answer {
            Ok(models) => list.extend(models),
            Err(error) => {
                tracing::warn!(provider = %provider.name(), error = error.chain(), "its models are not listed")
            }
        }
    }
    list
}
