//! How often a rule would have fired: the same readings and the same state function, over the past.

use std::time::Duration;

use futures::StreamExt;
use qd_base::{ProjectName, Timestamp};
use qd_catalog::{AlertChange, AlertState};

use crate::definition::Definition;
use crate::judge::Finding;
use crate::read::Look;
use crate::state::{Memory, Observation, Policy, next};
use crate::{Alerts, Error, Result};

/// The most evaluations of a preview.
pub const MOST_POINTS: u32 = 200;
/// The most seconds between two of them.
pub const MAX_STEP_S: u64 = 31 * 86_400;
/// Readings at once: fewer than the lake answers at once, so that others are answered too.
const AT_ONCE: usize = 2;

/// A preview.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The evaluations, the earliest first.
    pub points: Vec<PreviewPoint>,
    /// How often the rule would have begun to fire.
    pub fired: usize,
}

/// One evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewPoint {
    /// When.
    pub at: Timestamp,
    /// What would have been read.
    pub value: Option<f64>,
    /// The same in words, or why there is nothing.
    pub message: String,
    /// How the rule would have stood.
    pub state: AlertState,
}

impl Alerts {
    /// What a rule would have done at `points` evaluations, `step` apart, of which the last is at `until`.
    ///
    /// # Errors
    /// [`Error::Definition`] for a rule that cannot be right, and when not a single reading was possible: then with what
    /// is wrong.
    pub async fn preview(
        &self,
        rule: &Definition,
        project: &ProjectName,
        until: Timestamp,
        points: u32,
        step: Duration,
    ) -> Result<Preview> {
        rule.check()?;
        let points = points.clamp(1, MOST_POINTS);
        let times = (0..points).rev().map(|back| until.saturating_sub(step.saturating_mul(back)));
        let project = Some(project).filter(|_| !rule.everywhere);
        let (traces, lake) = (&self.traces, &self.lake);
        // A rule that is previewed has waited for its first call long enough.
        let look = |at| async move {
            let look = Look { traces, lake, rule, project, at, began: Timestamp::MIN };
            (at, look.observe().await)
        };
        let read: Vec<_> = futures::stream::iter(times.map(look)).buffered(AT_ONCE).collect().await;
        if let Some((_, failed)) = read.last()
            && read.iter().all(|(_, observed)| observed.finding == Finding::Failed)
        {
            return Err(Error::definition("query", failed.message.clone()));
        }
        let policy = Policy::from(rule);
        let mut memory = Memory::new(Timestamp::MIN);
        let mut preview = Preview { points: Vec::with_capacity(read.len()), fired: 0 };
        for (at, observed) in read {
            let now = Observation { at, finding: observed.finding, silenced: false };
            let (after, events) = next(&policy, &memory, now);
            preview.fired += events.iter().filter(|event| event.change == AlertChange::Firing && event.told).count();
            let state = after.state;
            preview.points.push(PreviewPoint { at, value: observed.value, message: observed.message, state });
            memory = after;
        }
        Ok(preview)
    }
}
