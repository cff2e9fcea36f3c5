//! In which ways calls went wrong, by group.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use qd_base::Timestamp;

use super::{MOST_GROUPS, StatsQuery};
use crate::overview::Weight;
use crate::table::{Rows, number_at};
use crate::{FailureKind, Result, Traces};

/// So much of a message is repeated.
const EXAMPLE_CHARS: usize = 300;

/// How calls went wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Failures {
    /// All calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls whose caller left.
    pub cancelled: u64,
    /// The kinds that there were, those of most calls first.
    pub kinds: Vec<FailureCount>,
    /// The groups in which calls went wrong, those of most failed calls first; none when calls are not told apart.
    pub groups: Vec<FailureGroup>,
}

/// The calls that went wrong in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureCount {
    /// In which way.
    pub kind: FailureKind,
    /// How many.
    pub calls: u64,
    /// When the last of them began.
    pub last: Timestamp,
    /// What one of them said.
    pub example: Option<String>,
}

/// The calls of one group that went wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureGroup {
    /// The group, empty for calls that do not say.
    pub group: String,
    /// All of its calls.
    pub requests: u64,
    /// How many went wrong in which way.
    pub kinds: Vec<(FailureKind, u64)>,
}

impl Traces {
    /// How many calls of a query went wrong in which way, of all and by group.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn failures(&self, query: &StatsQuery) -> Result<Failures> {
        let all = self.measured(query, Weight::Errors, MOST_GROUPS).await?;
        let mut kinds: Vec<FailureCount> = Vec::new();
        let mut groups = BTreeMap::<String, Vec<(FailureKind, u64)>>::new();
        for (group, counted) in self.failure_cells(query).await? {
            groups.entry(group).or_default().push((counted.kind, counted.calls));
            match kinds.iter_mut().find(|kind| kind.kind == counted.kind) {
                Some(kind) => kind.add(counted),
                None => kinds.push(counted),
            }
        }
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.calls));
        let of_group = |group: crate::stats::GroupStats| {
            let name = group.group?;
            let kinds = groups.remove(&name)?;
            Some(FailureGroup { group: name, requests: group.measures.requests, kinds })
        };
        let cancelled = kinds.iter().filter(|kind| kind.kind == FailureKind::Cancelled).map(|kind| kind.calls).sum();
        Ok(Failures {
            requests: all.total.measures.requests,
            errors: all.total.measures.errors,
            cancelled,
            kinds,
            groups: all.groups.into_iter().filter_map(of_group).collect(),
        })
    }

    async fn failure_cells(&self, query: &StatsQuery) -> Result<Vec<(String, FailureCount)>> {
        let mut condition = query.condition();
        condition.also("status <> 'ok'".to_owned());
        let sql = format!(
            "SELECT {} AS grp, {} AS failure, count(*) AS n, max(start_time) AS last_time, \
             max(substr(status_message, 1, {EXAMPLE_CHARS})) AS example FROM spans WHERE {} GROUP BY grp, failure \
             ORDER BY n DESC, grp, failure",
            query.group_sql(),
            FailureKind::sql(),
            condition.sql(),
        );
        self.read("counting what went wrong", &sql, condition, self.wide(), read_cells).await
    }
}

impl FailureCount {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.last = self.last.max(other.last);
        self.example = self.example.take().or(other.example);
    }
}

fn read_cells(batch: &RecordBatch) -> Result<Vec<(String, FailureCount)>> {
    let rows = Rows::of(batch);
    let (group, kind, count) = (rows.text("grp")?, rows.text("failure")?, rows.number("n")?);
    let (last, example) = (rows.time("last_time")?, rows.text("example")?);
    let read = |row| {
        let counted = FailureCount {
            kind: kind.required(row)?,
            calls: number_at(&count, row).map_or(0, i64::unsigned_abs),
            last: last.get(row),
            example: example.owned(row),
        };
        Ok((group.owned(row).unwrap_or_default(), counted))
    };
    (0..batch.num_rows()).map(read).collect()
}
