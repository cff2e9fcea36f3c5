//! Evaluates what is due: reads, steps, records. One rule that is slow or broken holds no other up.

use std::collections::HashMap;

use futures::StreamExt;
use qd_base::{ProjectId, ProjectName, Timestamp};
use qd_catalog::{Alert, AlertStep, NewAlertEvent, Silence, Standing};
use serde::Serialize;
use serde::de::Deserialize;

use crate::definition::Definition;
use crate::judge::Observed;
use crate::read::Look;
use crate::state::{Event, Memory, Observation, Policy, next};
use crate::{Alerts, Result};

/// Rules that are read at once: each asks the lake, which answers others as well.
const AT_ONCE: usize = 4;
/// How often a rule is evaluated whose definition cannot be read.
const EVERY_S_WHEN_BROKEN: u64 = 300;

/// What evaluating what was due came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// Rules that were evaluated.
    pub evaluated: u64,
    /// Of them those that could not be read.
    pub failed: u64,
    /// Changes.
    pub events: u64,
    /// When there is more to do.
    #[serde(skip)]
    pub next: Option<Timestamp>,
}

/// What all rules of a project share in one tick.
struct Common {
    name: ProjectName,
    silences: Vec<Silence>,
}

impl Alerts {
    /// Evaluates every rule that is due by `now`.
    ///
    /// # Errors
    /// [`crate::Error::Catalog`] when rules cannot be listed, or what they came to not be kept. What was kept is kept.
    pub async fn tick(&self, now: Timestamp) -> Result<Tick> {
        let due = self.catalog.due_alerts(now).await?;
        let common = self.common(&due, now).await?;
        let look = |alert: Alert| {
            let common = &common;
            async move { self.step(&alert, common.get(&alert.project), now).await }
        };
        let steps: Vec<_> = futures::stream::iter(due.into_iter().map(look)).buffer_unordered(AT_ONCE).collect().await;
        let mut tick = Tick::default();
        for step in steps {
            let (step, failed) = step?;
            if let Some(step) = step {
                tick.evaluated += 1;
                tick.failed += u64::from(failed);
                tick.events += step.events.len() as u64;
            }
        }
        tick.next = self.catalog.next_alert_due().await?;
        Ok(tick)
    }

    async fn common(&self, due: &[Alert], now: Timestamp) -> Result<HashMap<ProjectId, Common>> {
        let mut common = HashMap::new();
        for alert in due {
            if !common.contains_key(&alert.project) {
                let name = self.catalog.project_by_id(alert.project).await?.name;
                let silences = self.catalog.silences(alert.project, now).await?;
                common.insert(alert.project, Common { name, silences });
            }
        }
        Ok(common)
    }

    /// The step that a rule took, if it was taken, and whether reading failed.
    async fn step(&self, alert: &Alert, common: Option<&Common>, now: Timestamp) -> Result<(Option<AlertStep>, bool)> {
        let definition = Definition::read(&alert.spec.definition);
        let every_s = definition.as_ref().map_or(EVERY_S_WHEN_BROKEN, |rule| rule.every_s);
        let at = latest_beat(alert.standing.due, every_s, now);
        let memory = remembered(&alert.standing);
        let (policy, observed) = match &definition {
            Ok(rule) => {
                let project = common.map(|common| &common.name).filter(|_| !rule.everywhere);
                let (traces, lake, began) = (&self.traces, &self.lake, memory.began);
                let look = Look { traces, lake, rule, project, at, began };
                (Policy::from(rule), look.observe().await)
            }
            Err(error) => (BROKEN, Observed::failed(error.chain())),
        };
        let silenced = common.is_some_and(|common| {
            common.silences.iter().any(|silence| silence.holds(&alert.spec.name, alert.spec.severity, now))
        });
        let (after, events) = next(&policy, &memory, Observation { at, finding: observed.finding, silenced });
        let failed = observed.finding == crate::Finding::Failed;
        let step = AlertStep {
            alert: alert.id,
            revision: alert.revision,
            due: alert.standing.due,
            events: events.iter().map(|event| told(event, &observed)).collect(),
            next: standing(&after, observed, at, beat_after(at, every_s)),
        };
        let taken = self.catalog.record_alert_step(&step).await?;
        Ok((taken.then_some(step), failed))
    }
}

/// That of a rule whose definition cannot be read: it stands as an error.
const BROKEN: Policy = Policy {
    hold: std::time::Duration::ZERO,
    evaluations: 1,
    keep_firing: std::time::Duration::ZERO,
    on_no_data: crate::Missing::Keep,
    on_error: crate::Missing::Tell,
};

fn remembered(standing: &Standing) -> Memory {
    let kept = standing.memory.as_ref().and_then(|memory| Memory::deserialize(memory).ok());
    kept.unwrap_or_else(|| Memory::new(standing.since))
}

fn standing(memory: &Memory, observed: Observed, at: Timestamp, due: Timestamp) -> Standing {
    Standing {
        state: memory.state,
        since: memory.since,
        raised: memory.raised,
        memory: serde_json::to_value(memory).ok(),
        value: observed.value,
        message: observed.message,
        evaluated: Some(at),
        due,
    }
}

fn told(event: &Event, observed: &Observed) -> NewAlertEvent {
    let Event { change, told, silenced } = *event;
    NewAlertEvent { change, value: observed.value, message: observed.message.clone(), told, silenced }
}

/// When a rule is evaluated that was due at `due`: then, or at the last of its beats when several were missed. What a
/// server slept through is not evaluated afterwards.
fn latest_beat(due: Timestamp, every_s: u64, now: Timestamp) -> Timestamp {
    due.max(beat(now, every_s)).min(now)
}

/// Rules of one pace are evaluated together: a beat is a whole multiple of it since 1970.
fn beat(at: Timestamp, every_s: u64) -> Timestamp {
    let every = i64::try_from(every_s).unwrap_or(i64::MAX).max(1);
    Timestamp::from_secs(at.as_secs().div_euclid(every).saturating_mul(every))
}

fn beat_after(at: Timestamp, every_s: u64) -> Timestamp {
    beat(at, every_s).saturating_add(std::time::Duration::from_secs(every_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_one_pace_are_evaluated_together() {
        let at = Timestamp::from_secs;
        for (due, now, evaluated, then) in [
            (60, 60, 60, 120),
            (61, 61, 61, 120),
            (60, 63, 60, 120),
            (60, 119, 60, 120),
            (60, 120, 120, 180),
            (60, 7_205, 7_200, 7_260),
        ] {
            let beat = latest_beat(at(due), 60, at(now));
            assert_eq!((beat, beat_after(beat, 60)), (at(evaluated), at(then)), "due at {due}, now {now}");
        }
    }
}
