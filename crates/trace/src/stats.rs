//! What people ask of many calls at once.
//!
//! Reading order: how fast, how many and how dear, by group ([`breakdown`]) → how long an answer of `n` tokens takes
//! ([`fit`] → [`length`]) → in which ways calls went wrong ([`failures`]) → who had to be asked again ([`retries`]) → what is
//! left of a budget ([`budget`]) → how the versions of a prompt fare ([`versions`]).
//!
//! All of them look at the spans that call models, unless their filter names another kind.

pub mod breakdown;
pub mod budget;
pub mod failures;
pub mod fit;
pub mod length;
pub mod retries;
pub mod versions;

pub use breakdown::{Breakdown, GroupStats};
pub use budget::{BudgetState, BudgetUse};
pub use failures::{FailureCount, FailureGroup, Failures};
pub use fit::Fit;
pub use length::{LengthFit, LengthPoint, NoFit};
pub use retries::{FallbackPath, Retries, TargetStats};
pub use versions::VersionStats;

use std::time::Duration;

use qd_base::TimeRange;

use crate::filter::Condition;
use crate::overview::OverviewQuery;
use crate::{Filter, GroupBy};

/// Groups that are told apart at most.
pub const MOST_GROUPS: usize = 200;
/// One step that holds every range: a whole number of days, so that summaries can answer, and near the longest that fits.
const WHOLE: Duration = Duration::from_secs(86_400 * 100_000);

/// Which calls are looked at, and what they are told apart by.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsQuery {
    /// Which spans; without a kind those that call models.
    pub filter: Filter,
    /// From when to when.
    pub range: TimeRange,
    /// What they are told apart by.
    pub group_by: Option<GroupBy>,
}

impl StatsQuery {
    /// The same as an overview of one point.
    fn overview(&self) -> OverviewQuery {
        let Self { filter, range, group_by } = self;
        OverviewQuery { filter: filter.clone(), range: *range, step: WHOLE, group_by: *group_by }
    }

    /// That a span is one of the calls.
    fn condition(&self) -> Condition {
        let calls = self.filter.calls || self.filter.kind.is_none();
        Condition::of(&Filter { range: Some(self.range), calls, ..self.filter.clone() })
    }

    /// The group of a span as SQL; one and the same for all when they are not told apart.
    fn group_sql(&self) -> &'static str {
        self.group_by.map_or("''", GroupBy::sql)
    }

    /// A group as the answer has it; none when calls are not told apart.
    fn group(&self, group: Option<String>) -> Option<String> {
        self.group_by.map(|_| group.unwrap_or_default())
    }
}
