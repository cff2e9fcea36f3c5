//! Percentiles, tokens and cost of calls, by group.

use std::collections::HashMap;

use arrow::array::RecordBatch;

use super::{MOST_GROUPS, StatsQuery};
use crate::overview::{Measures, Weight};
use crate::sketch::Sketch;
use crate::table::{Rows, number_at};
use crate::{Result, Traces};

/// Calls by group.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakdown {
    /// All calls.
    pub total: GroupStats,
    /// The groups, those of most weight first; none when calls are not told apart.
    pub groups: Vec<GroupStats>,
    /// Groups that are not among them.
    pub other_groups: usize,
}

/// The calls of one group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupStats {
    /// The group, empty for calls that do not say; none for all calls.
    pub group: Option<String>,
    /// Counts, sums, latency and time to first token.
    pub measures: Measures,
    /// Milliseconds for each token of an answer after its first.
    pub tpot_ms: Sketch,
}

/// A call's time per output token in milliseconds: from its first token to its end over the tokens after the first.
///
/// `(latency − ttft) / (output_tokens − 1)`, as `gen_ai.server.time_per_output_token` of OpenTelemetry's GenAI conventions
/// (v1.37) has it. Only for answers of two tokens or more whose first token was timed.
pub(crate) const TPOT_SQL: &str = "(latency_ms - ttft_ms) / (output_tokens - 1)";
/// Which calls have one.
pub(crate) const HAS_TPOT_SQL: &str = "ttft_ms IS NOT NULL AND output_tokens > 1 AND latency_ms >= ttft_ms";

impl Traces {
    /// Percentiles, tokens and cost of the calls of a query: of all, and of the `limit` groups of most weight.
    ///
    /// Percentiles are within [`crate::sketch::ACCURACY`] of the exact ones. The times per output token are read from the
    /// calls themselves, since no summary holds them.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn breakdown(&self, query: &StatsQuery, weight: Weight, limit: usize) -> Result<Breakdown> {
        let mut found = self.measured(query, weight, limit).await?;
        for (group, cell, count) in self.tpot_cells(query).await? {
            found.total.tpot_ms.add_cell(cell, count);
            let group = query.group(group);
            if let Some(stats) = found.groups.iter_mut().find(|stats| stats.group == group) {
                stats.tpot_ms.add_cell(cell, count);
            }
        }
        Ok(found)
    }

    /// What all calls of a query come to.
    ///
    /// # Errors
    /// As [`Traces::breakdown`].
    pub async fn sum_up(&self, query: &StatsQuery) -> Result<Measures> {
        let query = StatsQuery { group_by: None, ..query.clone() };
        Ok(self.measured(&query, Weight::Requests, 1).await?.total.measures)
    }

    /// The same as [`Traces::breakdown`] without the times per output token, of which summaries know nothing.
    pub(super) async fn measured(&self, query: &StatsQuery, weight: Weight, limit: usize) -> Result<Breakdown> {
        let overview = query.overview();
        let groups = self.groups(&overview, weight).await?;
        let shown = &groups[..groups.len().min(limit.clamp(1, MOST_GROUPS))];
        let mut found = HashMap::<Option<String>, Measures>::new();
        for cell in self.cells(&overview, shown).await? {
            found.entry(cell.group).or_default().add(&cell.measures);
        }
        let mut total = GroupStats::default();
        found.values().for_each(|measures| total.measures.add(measures));
        let named = |group: &String| {
            let group = Some(group.clone());
            GroupStats { measures: found.remove(&group).unwrap_or_default(), group, tpot_ms: Sketch::default() }
        };
        Ok(Breakdown { total, groups: shown.iter().map(named).collect(), other_groups: groups.len() - shown.len() })
    }

    /// How many calls of each group have a time per output token of each size.
    async fn tpot_cells(&self, query: &StatsQuery) -> Result<Vec<(Option<String>, i64, u64)>> {
        let condition = query.condition();
        let sql = format!(
            "SELECT {} AS grp, {} AS cell, count(*) AS n FROM spans WHERE {} AND {HAS_TPOT_SQL} GROUP BY grp, cell",
            query.group_sql(),
            Sketch::cell_sql(TPOT_SQL),
            condition.sql(),
        );
        self.read("adding up times per output token", &sql, condition, self.wide(), read_cells).await
    }
}

fn read_cells(batch: &RecordBatch) -> Result<Vec<(Option<String>, i64, u64)>> {
    let rows = Rows::of(batch);
    let (group, cell, count) = (rows.text("grp")?, rows.number("cell")?, rows.number("n")?);
    let read = |row| {
        let count = number_at(&count, row).map_or(0, i64::unsigned_abs);
        (group.owned(row), number_at(&cell, row).unwrap_or(0), count)
    };
    Ok((0..batch.num_rows()).map(read).collect())
}
