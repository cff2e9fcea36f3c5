//! Which model names can be asked for: routes, installed local models, and what upstreams list.

/// One entry of the list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// The name to put into a request's `model`.
    pub id: String,
    /// Who serves it: `quarterdeck` for routes and local models, else the provider's name.
    pub owned_by: String,
    /// When the upstream says it was made, in seconds since 1970; 0 when nobody knows.
    pub created: i64,
}
