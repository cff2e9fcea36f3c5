//! What receivers are sent.

use qd_base::{AlertEventId, Timestamp};
use qd_catalog::{AlertEvent, Severity};
use serde::Serialize;
use serde_json::Value;

/// The body of a webhook: an event of an alert, or a test.
#[derive(Debug, Clone, Serialize)]
pub struct Message<'a> {
    /// `alert.firing`, `alert.resolved`, `alert.no_data`, `alert.error`, `alert.test`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub data: Data<'a>,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
pub struct Data<'a> {
    /// The event, which is also the message's identifier.
    pub event_id: AlertEventId,
    /// The project's name.
    pub project: &'a str,
    /// The rule's name.
    pub alert: &'a str,
    /// How much it matters.
    pub severity: Severity,
    /// What was read.
    pub value: Option<f64>,
    /// The same in words, or what is wrong.
    pub message: &'a str,
    /// What there is to say of the rule: `condition` in words, the `unit` of the value, the `description`.
    #[serde(flatten)]
    pub facts: &'a Value,
}

impl<'a> Message<'a> {
    /// An event of a rule in the project of this name.
    pub fn of(event: &'a AlertEvent, project: &'a str) -> Self {
        Self {
            kind: format!("alert.{}", event.change),
            timestamp: event.at,
            data: Data {
                event_id: event.id,
                project,
                alert: event.name.as_str(),
                severity: event.severity,
                value: event.value,
                message: &event.message,
                facts: &event.facts,
            },
        }
    }

    /// A message that says nothing but that messages arrive.
    pub fn test(id: AlertEventId, at: Timestamp, project: &'a str, facts: &'a Value) -> Self {
        let message = "a test: nothing happened";
        let data = Data { event_id: id, project, alert: "test", severity: Severity::Info, value: None, message, facts };
        Self { kind: "alert.test".to_owned(), timestamp: at, data }
    }
}
