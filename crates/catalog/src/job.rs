//! Jobs: everything long, durable and resumable.
//!
//! ```text
//!            claim              handler is done
//! queued ───────────▶ running ───────────────────▶ succeeded | failed | cancelled
//!   ▲ ╲                 │                                        │
//!   │  ╲ cancel         │ lease expired, retry, shut-down        │ requeue (failed, cancelled)
//!   │   ▶ cancelled     │                                        │
//!   ╰───────────────────┴────────────────────────────────────────╯
//! ```

use std::fmt;
use std::str::FromStr;

use qd_base::{JobId, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::column::Columns;
use crate::{Error, Result};

/// The largest payload.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// The largest result.
pub const MAX_RESULT_BYTES: usize = 1 << 20;
/// The largest checkpoint.
pub const MAX_CHECKPOINT_BYTES: usize = 4 << 20;
/// A longer progress message is cut.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// A longer error is cut.
pub const MAX_ERROR_BYTES: usize = 8 << 10;
/// At most this many jobs wait at once.
pub const MAX_QUEUED: usize = 10_000;
/// Of each job the latest events are kept, this many.
pub const MAX_EVENTS: u64 = 1000;
/// A job that was begun this often without getting further fails: it may be what kills the process.
pub const MAX_STALLS: u32 = 5;

/// What a job does, which names the handler that runs it: `model.pull`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobKind(String);

impl JobKind {
    /// The rule that every kind keeps.
    pub const RULE: &str = "use 1 to 64 lower-case letters, digits, '-', '_' and '.', with a letter first";

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let valid = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
        if valid { Ok(Self(text.to_owned())) } else { Err(Error::invalid("kind of job", Self::RULE)) }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for JobKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for a runner.
    Queued,
    /// A runner holds it.
    Running,
    /// It is done and has a result.
    Succeeded,
    /// It is done and has an error.
    Failed,
    /// It was stopped before it was done.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens any more, unless somebody queues the job again.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a job in this state may come to be in `next`.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Cancelled),
            Self::Running => !matches!(next, Self::Running),
            Self::Succeeded => false,
            Self::Failed | Self::Cancelled => matches!(next, Self::Queued),
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Error::not_found("job state", crate::limit::shorten(text, 80)))
    }
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done, in the job's own unit.
    pub done: u64,
    /// How much there is to do, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is being done.
    pub message: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identifier; later jobs have larger ones.
    pub id: JobId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What it does.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// What it was given.
    pub payload: Value,
    /// Where it would go on after a crash.
    pub checkpoint: Option<Value>,
    /// What came of it, once it succeeded.
    pub result: Option<Value>,
    /// What went wrong, the last time that something did.
    pub error: Option<String>,
    /// How often a runner has begun it.
    pub attempts: u32,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// How far it is.
    pub progress: Progress,
    /// When it was queued first.
    pub created: Timestamp,
    /// When a runner last began it.
    pub started: Option<Timestamp>,
    /// When it was finished.
    pub finished: Option<Timestamp>,
}

/// Something that happened to a job. A job's events are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Happening {
    /// It entered a state.
    State {
        /// The state.
        state: JobState,
        /// Why, where there is more to say than the state itself.
        message: String,
    },
    /// It got further.
    Progress(Progress),
}

/// What listeners in this process are woken by. They read the facts from the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Some job waits for a runner.
    Queued,
    /// This job has a new event.
    Happened(JobId),
    /// Somebody asked for the end of this running job.
    CancelRequested(JobId),
}

macro_rules! columns {
    () => {
        "id, project_id, kind, state, payload, checkpoint, result, error, attempts, stalls, cancel_requested, \
         done, total, message, created_ns, started_ns, finished_ns"
    };
}
pub(crate) use columns;

impl Job {
    pub(crate) fn read(row: Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id")?,
            project: row.parsed("project_id")?,
            kind: row.parsed("kind")?,
            state: row.parsed("state")?,
            payload: row.json("payload")?,
            checkpoint: row.json_opt("checkpoint")?,
            result: row.json_opt("result")?,
            error: row.text_opt("error")?,
            attempts: row.number("attempts")?,
            cancel_requested: row.flag("cancel_requested")?,
            progress: read_progress(row)?,
            created: row.time("created_ns")?,
            started: row.time_opt("started_ns")?,
            finished: row.time_opt("finished_ns")?,
        })
    }
}

impl JobEvent {
    pub(crate) fn read(row: Columns<'_>) -> Result<Self> {
        let what = match row.text_opt("state")? {
            Some(state) => Happening::State { state: state.parse()?, message: row.text("message")? },
            None => Happening::Progress(read_progress(row)?),
        };
        Ok(Self { seq: row.count("seq")?, at: row.time("at_ns")?, what })
    }
}

fn read_progress(row: Columns<'_>) -> Result<Progress> {
    Ok(Progress { done: row.count("done")?, total: row.count_opt("total")?, message: row.text("message")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_jobs() {
        assert!("model.pull".parse::<JobKind>().is_ok());
        for text in ["", "Model", "1", "a b", &"k".repeat(65)] {
            assert!(text.parse::<JobKind>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<JobKind>("\"A\"").is_err());
    }

    #[test]
    fn an_event_has_one_flat_form() {
        let at = Timestamp::from_secs(0);
        let what = Happening::Progress(Progress { done: 1, total: Some(2), message: "fetching".into() });
        let json = serde_json::to_value(JobEvent { seq: 3, at, what }).unwrap();
        let expected = serde_json::json!({
            "seq": 3, "at": "1970-01-01T00:00:00Z", "event": "progress", "done": 1, "total": 2, "message": "fetching"
        });
        assert_eq!(json, expected);
        let what = Happening::State { state: JobState::Failed, message: "no space".into() };
        let json = serde_json::to_value(JobEvent { seq: 4, at, what }).unwrap();
        assert_eq!(json["state"], "failed");
    }

    #[test]
    fn what_is_finished_changes_by_being_queued_again_only() {
        for state in JobState::ALL.into_iter().filter(|state| state.is_finished()) {
            for next in JobState::ALL {
                assert_eq!(state.may_become(next), next == JobState::Queued && state != JobState::Succeeded);
            }
        }
    }
}
