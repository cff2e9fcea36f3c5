//! How much of a budget its calls have used, and what they will have at the end of the period if they go on so.

use qd_base::{ProjectName, TimeRange, Timestamp, words};
use qd_catalog::{Budget, BudgetBy, BudgetLimit};

use super::StatsQuery;
use crate::{Filter, GroupBy, GroupFilter, Groups, Result, Traces};

/// Before this share of a period has passed nothing is projected: it would be a few calls many times over.
const LEAST_PASSED: f64 = 0.01;

words!(
    /// How a budget stands.
    BudgetState, "state of a budget", {
        /// Within the limit, also at the end of the period if calls go on so.
        Within = "within",
        /// Within the limit, and beyond it at the end of the period if calls go on so.
        Ahead = "ahead",
        /// The limit has been reached.
        Reached = "reached",
    }
);

/// What the calls of a budget have come to in the present period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetUse {
    /// The period.
    pub range: TimeRange,
    /// Picodollars or tokens, as the budget has them.
    pub used: i64,
    /// The share of the limit.
    pub share: f64,
    /// At the end of the period, if the rest of it is like what has passed; none at its very beginning.
    pub projected: Option<i64>,
    /// How it stands.
    pub state: BudgetState,
}

impl Traces {
    /// What the calls of a project's budget have come to in the period of `at`, until then.
    ///
    /// Calls whose price is not known cost nothing here.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn budget_use(&self, project: &ProjectName, budget: &Budget, at: Timestamp) -> Result<BudgetUse> {
        let period = budget.period.containing(at);
        let group = budget
            .scope
            .as_ref()
            .map(|scope| GroupFilter { by: group_by(scope.by), groups: Groups::One(scope.value.clone()) });
        let filter = Filter { group, ..Filter::of(project.clone()) };
        // What a clock ahead of ours has told already counts too.
        let query = StatsQuery { filter, range: period, group_by: None };
        let measures = self.sum_up(&query).await?;
        let (used, limit) = match budget.limit {
            BudgetLimit::Money(limit) => (measures.cost_picodollars, limit.get()),
            BudgetLimit::Tokens(limit) => (number(measures.input_tokens + measures.output_tokens), number(limit)),
        };
        Ok(BudgetUse::of(period, at, used, limit))
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn group_by(by: BudgetBy) -> GroupBy {
    match by {
        BudgetBy::Model => GroupBy::Model,
        BudgetBy::Provider => GroupBy::Provider,
        BudgetBy::User => GroupBy::User,
        BudgetBy::Environment => GroupBy::Environment,
        BudgetBy::Prompt => GroupBy::Prompt,
    }
}

impl BudgetUse {
    fn of(range: TimeRange, at: Timestamp, used: i64, limit: i64) -> Self {
        let seconds = |from: Timestamp, to: Timestamp| to.since(from).as_secs_f64();
        let passed = seconds(range.from(), at) / seconds(range.from(), range.to());
        let projected = (passed >= LEAST_PASSED).then(|| (used as f64 / passed.min(1.0)).round() as i64);
        let state = match used >= limit {
            true => BudgetState::Reached,
            false if projected.is_some_and(|projected| projected > limit) => BudgetState::Ahead,
            false => BudgetState::Within,
        };
        Self { range, used, share: used as f64 / limit as f64, projected, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_projected_to_the_end() {
        let day = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(86_400)).unwrap();
        let at = |hour: i64, used, limit| BudgetUse::of(day, Timestamp::from_secs(hour * 3_600), used, limit);
        // A quarter of the day has passed.
        let quarter = at(6, 30, 100);
        assert_eq!((quarter.share, quarter.projected, quarter.state), (0.3, Some(120), BudgetState::Ahead));
        assert_eq!((at(6, 25, 100).projected, at(6, 25, 100).state), (Some(100), BudgetState::Within));
        assert_eq!(at(0, 99, 100).projected, None, "nothing has passed yet");
        assert_eq!((at(12, 100, 100).state, at(12, 100, 100).projected), (BudgetState::Reached, Some(200)));
        assert_eq!((at(12, 0, 100).state, at(12, 0, 100).projected), (BudgetState::Within, Some(0)));
    }
}
