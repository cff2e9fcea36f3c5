//! Labels of models, datasets and prompts: what a request says to move one.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::extract::Change;

/// Where a label is to point.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelMove {
    /// The version's number.
    #[schema(minimum = 1)]
    pub version: u32,
    /// The version where the label is believed to be now, null for nowhere: when it is elsewhere, nothing is changed and
    /// the answer is 409. Absent, it is moved from wherever it is.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub expected: Change<u32>,
}
