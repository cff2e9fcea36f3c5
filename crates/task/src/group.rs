//! Numbers that tasks have in common: the mean over tasks, weighed by their documents or not, with its standard error.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;
use crate::aggregate::Aggregate;
use crate::fields::Fields;
use crate::library::Entry;
use crate::report::Report;

/// Tasks with a name.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The name that is shown.
    pub alias: Option<String>,
    /// Its tasks, and groups within it.
    pub members: Vec<Entry>,
    /// Its version.
    pub version: Option<Value>,
    pub(crate) metrics: Vec<GroupMetric>,
}

/// A metric that is taken over the tasks of a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMetric {
    metric: String,
    /// Which filters; all that the tasks have where none is named.
    filters: Option<Vec<String>>,
    weight_by_size: bool,
}

/// The numbers of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The group.
    pub group: String,
    /// Documents of all its tasks.
    pub documents: usize,
    /// Its numbers.
    pub aggregates: Vec<Aggregate>,
    /// What a reader must know: metrics that some tasks lack.
    pub notes: Vec<String>,
}

impl GroupMetric {
    pub(crate) fn read(fields: &mut Fields) -> Result<Vec<Self>> {
        let items = match fields.take("aggregate_metric_list") {
            None => return Ok(Vec::new()),
            Some(serde_yaml_ng::Value::Sequence(items)) => items,
            Some(one) => vec![one],
        };
        let metric = |(index, item)| {
            let mut fields = fields.within(&format!("aggregate_metric_list[{index}]"), item)?;
            let metric = Self {
                metric: fields.needed_text("metric")?,
                filters: fields.texts("filter_list")?,
                weight_by_size: fields.truth("weight_by_size")?.unwrap_or(true),
            };
            if fields.text("aggregation")?.is_some_and(|aggregation| aggregation != "mean") {
                return Err(fields.wrong("aggregation", "groups have means only; write mean"));
            }
            fields.end()?;
            Ok(metric)
        };
        items.into_iter().enumerate().map(metric).collect()
    }
}

impl Group {
    /// The group's numbers from the reports of its tasks, by their names (`Group.aggregate`).
    pub fn aggregate(&self, reports: &BTreeMap<String, Report>) -> GroupReport {
        let tasks: Vec<&Report> =
            self.members.iter().flat_map(Entry::tasks).filter_map(|config| reports.get(&config.name)).collect();
        let mut report = GroupReport {
            group: self.name.clone(),
            documents: tasks.iter().map(|task| task.documents).sum(),
            aggregates: Vec::new(),
            notes: Vec::new(),
        };
        for metric in &self.metrics {
            let found: BTreeSet<&str> = tasks
                .iter()
                .flat_map(|task| &task.aggregates)
                .filter(|aggregate| aggregate.metric == metric.metric)
                .map(|aggregate| aggregate.filter.as_str())
                .collect();
            let filters: Vec<&str> = match &metric.filters {
                Some(named) => named.iter().map(String::as_str).collect(),
                None => found.into_iter().collect(),
            };
            for filter in filters {
                metric.add_to(&mut report, filter, &tasks);
            }
        }
        report
    }
}

impl GroupMetric {
    fn add_to(&self, report: &mut GroupReport, filter: &str, tasks: &[&Report]) {
        let of = |task: &&Report| {
            let found = task.aggregates.iter().find(|a| a.metric == self.metric && a.filter == filter);
            found.map(|aggregate| (aggregate.clone(), task.documents))
        };
        let found: Vec<(Aggregate, usize)> = tasks.iter().filter_map(of).collect();
        if found.len() < tasks.len() {
            let lacking = tasks.len() - found.len();
            report.notes.push(format!(
                "{lacking} of {} tasks have no {} after the filter {filter}",
                tasks.len(),
                self.metric
            ));
        }
        let Some((first, _)) = found.first() else { return };
        let values: Vec<(f64, f64)> = found.iter().map(|(aggregate, size)| (aggregate.value, *size as f64)).collect();
        let errors: Option<Vec<(f64, f64)>> =
            found.iter().map(|(aggregate, size)| aggregate.stderr.map(|stderr| (stderr, *size as f64))).collect();
        report.aggregates.push(Aggregate {
            metric: self.metric.clone(),
            filter: filter.to_owned(),
            value: mean(&values, self.weight_by_size),
            stderr: errors.map(|errors| if self.weight_by_size { pooled(&errors) } else { unweighted(&errors) }),
            higher_is_better: first.higher_is_better,
            documents: found.iter().map(|(_, size)| size).sum(),
        });
    }
}

/// `Σ vᵢnᵢ / Σ nᵢ`, or with each task alike `Σ vᵢ / k` (`aggregate_subtask_metrics`).
fn mean(values: &[(f64, f64)], by_size: bool) -> f64 {
    let size = |n: f64| if by_size { n } else { 1.0 };
    values.iter().map(|(value, n)| value * size(*n)).sum::<f64>() / values.iter().map(|(_, n)| size(*n)).sum::<f64>()
}

/// `√(Σ(nᵢ − 1)·nᵢ·sᵢ² / (Σnᵢ − k) / Σnᵢ)`: the error of the mean of all documents from the pooled variance within tasks
/// (`pooled_sample_stderr`).
fn pooled(errors: &[(f64, f64)]) -> f64 {
    let n: f64 = errors.iter().map(|(_, n)| n).sum();
    let within: f64 = errors.iter().map(|(stderr, n)| (n - 1.0) * stderr.powi(2) * n).sum();
    (within / (n - errors.len() as f64) / n).sqrt()
}

/// `√(Σ sᵢ²) / k`: the error of the mean of independent means (`unweighted_mean_stderr`).
fn unweighted(errors: &[(f64, f64)]) -> f64 {
    errors.iter().map(|(stderr, _)| stderr.powi(2)).sum::<f64>().sqrt() / errors.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: sizes 4 and 2, errors 0.25 and 0.5: (3·4/16 + 1·2/4) / (6 − 2) / 6 = 1.25/24.
    #[test]
    fn tasks_count_by_their_documents_or_alike() {
        let errors = [(0.25, 4.0), (0.5, 2.0)];
        assert!((pooled(&errors) - (1.25_f64 / 24.0).sqrt()).abs() < 1e-15);
        assert!((unweighted(&errors) - 0.3125_f64.sqrt() / 2.0).abs() < 1e-15);
        assert_eq!(mean(&[(1.0, 4.0), (0.25, 2.0)], true), 0.75);
        assert_eq!(mean(&[(1.0, 4.0), (0.25, 2.0)], false), 0.625);
    }
}
