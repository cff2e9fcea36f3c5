//! Who had to be asked again: retries at one target, and fallbacks from one target to the next.
//!
//! The gateway notes the attempts of a call where there was more than one, or where the only one failed. Only such calls
//! are read, the newest first and [`MOST_READ`] at most.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use serde::Deserialize;

use super::StatsQuery;
use crate::table::Rows;
use crate::{FailureKind, Result, Status, Traces};

/// Calls whose attempts are read at most.
pub const MOST_READ: usize = 20_000;
/// Targets and paths that are told at most.
const MOST_TOLD: usize = 100;

/// What became of calls that were not answered at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Retries {
    /// All calls.
    pub requests: u64,
    /// Calls with a failed attempt.
    pub troubled: u64,
    /// Of these, calls that were asked again of the same target.
    pub retried: u64,
    /// Of these, calls that went on to another target.
    pub fell_back: u64,
    /// Of these, calls that were answered in the end.
    pub rescued: u64,
    /// Attempts at a target that had failed just before.
    pub retries: u64,
    /// Steps from one target to another.
    pub fallbacks: u64,
    /// Milliseconds that failed attempts and the waits after them took before calls that were answered in the end.
    pub lost_ms: f64,
    /// The targets that were tried in these calls, those with most failures first.
    pub targets: Vec<TargetStats>,
    /// From which target to which, those of most calls first.
    pub paths: Vec<FallbackPath>,
    /// Whether there are more than [`MOST_READ`] such calls, so that only the newest were read.
    pub truncated: bool,
}

/// How a target fared in calls with a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStats {
    /// Who was asked.
    pub provider: String,
    /// Which model of theirs.
    pub model: String,
    /// Attempts.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// In which ways, and how often.
    pub kinds: Vec<(FailureKind, u64)>,
}

/// Calls that went from one target to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackPath {
    /// `provider/model` that failed.
    pub from: String,
    /// `provider/model` that was asked next.
    pub to: String,
    /// How often.
    pub calls: u64,
}

/// An attempt as the gateway notes it.
#[derive(Debug, Deserialize)]
struct Attempt {
    provider: String,
    model: String,
    #[serde(default)]
    after_ms: f64,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    kind: Option<FailureKind>,
}

#[derive(Debug, Deserialize)]
struct Noted {
    attempts: Vec<Attempt>,
}

impl Traces {
    /// Retries and fallbacks of the calls of a query.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn retries(&self, query: &StatsQuery) -> Result<Retries> {
        const READ: usize = MOST_READ + 1;
        let query = StatsQuery { group_by: None, ..query.clone() };
        let requests = self.sum_up(&query).await?.requests;
        let mut condition = query.condition();
        condition.also("contains(attributes, '\"attempts\":[')".to_owned());
        let sql = format!(
            "SELECT status, attributes FROM spans WHERE {} ORDER BY start_time DESC LIMIT {READ}",
            condition.sql()
        );
        let limits = qd_lake::QueryLimits { max_rows: READ, ..self.limits() };
        let mut calls = self.read("reading attempts", &sql, condition, limits, read_calls).await?;
        let truncated = calls.len() > MOST_READ;
        calls.truncate(MOST_READ);
        let mut counting = Counting::default();
        calls.iter().flatten().for_each(|(status, attempts)| counting.add(*status, attempts));
        Ok(Retries { requests, truncated, ..counting.told() })
    }
}

/// A call's status and attempts; none when what is noted are no attempts of the gateway.
type Tried = Option<(Status, Vec<Attempt>)>;

fn read_calls(batch: &RecordBatch) -> Result<Vec<Tried>> {
    let rows = Rows::of(batch);
    let (status, attributes) = (rows.text("status")?, rows.text("attributes")?);
    let read = |row| {
        let noted = attributes.get(row).and_then(|text| serde_json::from_str::<Noted>(text).ok());
        Ok(match noted {
            Some(Noted { attempts }) => Some((status.required(row)?, attempts)),
            None => None,
        })
    };
    (0..batch.num_rows()).map(read).collect()
}

#[derive(Default)]
struct Counting {
    sums: Retries,
    targets: BTreeMap<String, TargetStats>,
    paths: BTreeMap<(String, String), u64>,
}

impl Counting {
    fn add(&mut self, status: Status, attempts: &[Attempt]) {
        if attempts.iter().all(|attempt| attempt.error.is_none()) {
            return;
        }
        let (mut retries, mut fallbacks) = (0, 0);
        for pair in attempts.windows(2) {
            let (from, to) = (pair[0].target(), pair[1].target());
            if from == to {
                retries += 1;
            } else {
                fallbacks += 1;
                *self.paths.entry((from, to)).or_default() += 1;
            }
        }
        attempts.iter().for_each(|attempt| self.add_attempt(attempt));
        let sums = &mut self.sums;
        sums.troubled += 1;
        sums.retried += u64::from(retries > 0);
        sums.fell_back += u64::from(fallbacks > 0);
        sums.retries += retries;
        sums.fallbacks += fallbacks;
        if status == Status::Ok {
            sums.rescued += 1;
            sums.lost_ms += attempts.last().map_or(0.0, |last| last.after_ms.max(0.0));
        }
    }

    fn add_attempt(&mut self, attempt: &Attempt) {
        let (provider, model) = (attempt.provider.clone(), attempt.model.clone());
        let empty = || TargetStats { provider, model, attempts: 0, failed: 0, kinds: Vec::new() };
        let target = self.targets.entry(attempt.target()).or_insert_with(empty);
        target.attempts += 1;
        let Some(error) = &attempt.error else { return };
        target.failed += 1;
        let kind = attempt.kind.unwrap_or_else(|| FailureKind::of_message(error));
        match target.kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, count)) => *count += 1,
            None => target.kinds.push((kind, 1)),
        }
    }

    fn told(self) -> Retries {
        let mut targets: Vec<TargetStats> = self.targets.into_values().collect();
        targets.sort_by_key(|target| std::cmp::Reverse(target.failed));
        targets.truncate(MOST_TOLD);
        let path = |((from, to), calls)| FallbackPath { from, to, calls };
        let mut paths: Vec<FallbackPath> = self.paths.into_iter().map(path).collect();
        paths.sort_by_key(|path| std::cmp::Reverse(path.calls));
        paths.truncate(MOST_TOLD);
        Retries { targets, paths, ..self.sums }
    }
}

impl Attempt {
    fn target(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(text: &str) -> Vec<Attempt> {
        let attempt = |word: &str| {
            let (target, error) = word.split_once(':').map_or((word, None), |(target, error)| (target, Some(error)));
            let (provider, model) = target.split_once('/').unwrap();
            let error = error.map(str::to_owned);
            Attempt { provider: provider.into(), model: model.into(), after_ms: 10.0, error, kind: None }
        };
        text.split(' ').map(attempt).collect()
    }

    #[test]
    fn retries_and_fallbacks_are_told_apart() {
        let mut counting = Counting::default();
        counting.add(Status::Ok, &attempts("a/m"));
        counting.add(Status::Ok, &attempts("a/m:timeout a/m:timeout b/m"));
        counting.add(Status::Ok, &attempts("a/m:overloaded a/m"));
        counting.add(Status::Error, &attempts("a/m:timeout b/m:timeout"));
        let told = counting.told();
        assert_eq!((told.troubled, told.retried, told.fell_back, told.rescued), (3, 2, 2, 2));
        assert_eq!((told.retries, told.fallbacks, told.lost_ms), (2, 2, 20.0));
        assert_eq!(told.paths, [FallbackPath { from: "a/m".into(), to: "b/m".into(), calls: 2 }]);
        let a = &told.targets[0];
        assert_eq!((a.provider.as_str(), a.attempts, a.failed), ("a", 5, 4));
        assert_eq!(a.kinds, [(FailureKind::Timeout, 3), (FailureKind::Upstream5xx, 1)]);
        assert_eq!((told.targets[1].attempts, told.targets[1].failed), (2, 1));
    }
}
