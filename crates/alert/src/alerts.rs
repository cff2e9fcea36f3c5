//! What evaluating and telling need, in one place.

use qd_catalog::Catalog;
use qd_lake::Lake;
use qd_net::Client;
use qd_trace::Traces;

/// Evaluates rules and tells receivers. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) traces: Traces,
    pub(crate) net: Client,
}

impl Alerts {
    /// Over these rooms; `net` decides which receivers can be reached.
    pub fn new(catalog: Catalog, lake: Lake, traces: Traces, net: Client) -> Self {
        Self { catalog, lake, traces, net }
    }
}
