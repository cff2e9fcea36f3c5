//! What happened, at what cost, how fast?
//!
//! A finished call is one [`Span`]: a wide, immutable row. [`pricing`] says what it cost, the [`Recorder`] makes it
//! durable without the caller waiting (or, in sync mode, with), and [`Traces`] finds it again.
//!
//! Reading order: [`context`] → [`payload`] → [`span`] → `large` → [`failure`] → [`pricing`] → [`table`] → [`window`] →
//! [`metrics`] → [`recorder`] → [`group`] → [`filter`] → [`traces`] → [`listing`] → [`sketch`] → `summaries` → [`overview`] →
//! [`stats`] → [`activity`] → [`score`] → [`follow`] → [`export`] → [`import`]; how it goes again: [`retention`] → [`erasure`]; and what others recorded: [`otlp`].
//!
//! What is deliberately absent: HTTP, and SQL with values in it. A filter's values are always bound parameters.

pub mod activity;
pub mod context;
pub mod erasure;
pub mod export;
pub mod failure;
pub mod filter;
pub mod follow;
pub mod group;
pub mod import;
pub mod listing;
pub mod metrics;
pub mod otlp;
pub mod overview;
pub mod payload;
pub mod pricing;
pub mod recorder;
pub mod retention;
pub mod score;
pub mod sketch;
pub mod span;
pub mod stats;
pub mod table;
pub mod traces;
pub mod window;

mod error;
mod large;
mod summaries;
#[cfg(test)]
mod tests;

pub use activity::{Activity, ActivityCursor};
pub use context::TraceContext;
pub use erasure::{EraseHandler, Eraser, Erasure};
pub use error::{Error, Result};
pub use export::Export;
pub use failure::FailureKind;
pub use filter::{Cursor, EVALUATION_TAG, EXPERIMENT_TAG, Filter, JUDGE_TAG, LEADERBOARD_TAG, Page};
pub use follow::{Ended, EndedKey, ScorePoint};
pub use group::{GroupBy, GroupFilter, Groups};
pub use listing::{Call, TraceSummary};
pub use metrics::CallMetrics;
pub use otlp::{Intake, IntakeConfig, IntakeStats};
pub use overview::{Measures, Overview, OverviewQuery, Series, Weight};
pub use payload::Payload;
pub use pricing::{PriceRow, PriceTable};
pub use recorder::{Mode, Recorder, RecorderConfig, RecorderStats};
pub use retention::{KeptFor, Retention};
pub use score::{SCORES, Score, ScoreCursor, ScoreFilter, ScoreSource, ScoreValue};
pub use span::{Span, SpanKind, Status};
pub use table::{SPANS, tables};
pub use traces::{SpanSummary, Traces};
