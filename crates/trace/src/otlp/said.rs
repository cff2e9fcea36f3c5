//! What events say in a chat: those within a span, and those that came as log records beside it.

use arrow::array::RecordBatch;
use qd_base::{Extra, ProjectName, SpanId, TraceId};
use serde_json::Value;

use crate::filter::Condition;
use crate::otlp::draft::Draft;
use crate::otlp::messages::{self, Side};
use crate::otlp::value::unfold;
use crate::table::Rows;
use crate::{Payload, Result, Span, SpanKind, Traces};

/// Log records of one trace that are read at most.
const MOST_RECORDS: usize = 5_000;

/// What events or log records say in a chat.
#[derive(Default)]
pub(crate) struct Said {
    input: Vec<Value>,
    output: Vec<Value>,
    /// The whole events, to be kept if their messages are not wanted.
    input_events: Vec<Value>,
    output_events: Vec<Value>,
    system: Option<Value>,
}

impl Said {
    /// Takes an event that is part of a chat; whether it is one.
    pub fn hear(&mut self, name: &str, mut attributes: Extra, whole: &Value) -> bool {
        match name {
            "gen_ai.content.prompt" => self.hear_list(Side::Input, attributes.remove("gen_ai.prompt"), whole),
            "gen_ai.content.completion" => self.hear_list(Side::Output, attributes.remove("gen_ai.completion"), whole),
            // One event for a whole call.
            "gen_ai.client.inference.operation.details" => {
                self.system = attributes.remove("gen_ai.system_instructions").or(self.system.take());
                self.hear_list(Side::Output, attributes.remove("gen_ai.output.messages"), whole)
                    | self.hear_list(Side::Input, attributes.remove("gen_ai.input.messages"), whole)
            }
            _ => {
                let body = attributes.remove("gen_ai.event.content").unwrap_or(Value::Object(attributes));
                match messages::of_event(name, body) {
                    Some((side, message)) => self.add(side, vec![message], whole),
                    None => false,
                }
            }
        }
    }

    fn hear_list(&mut self, side: Side, told: Option<Value>, whole: &Value) -> bool {
        let Some(told) = told else { return false };
        let messages = match messages::normal(told, side).0 {
            Value::Array(list) => list,
            other => vec![other],
        };
        self.add(side, messages, whole)
    }

    fn add(&mut self, side: Side, messages: Vec<Value>, whole: &Value) -> bool {
        let (all, events) = match side {
            Side::Input => (&mut self.input, &mut self.input_events),
            Side::Output => (&mut self.output, &mut self.output_events),
        };
        all.extend(messages);
        events.push(whole.clone());
        true
    }

    /// What was said as input and output, if anything was.
    fn into_payloads(mut self) -> (Option<Value>, Option<Value>) {
        if let Some(system) = self.system.take() {
            self.input = [messages::system(system), self.input].concat();
        }
        let list = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
        (list(self.input), list(self.output))
    }

    /// Tells what was said where attributes have not told it; returns the events that were not needed.
    pub fn tell(mut self, draft: &mut Draft) -> Vec<Value> {
        let mut unheard = Vec::new();
        let (input_events, output_events) =
            (std::mem::take(&mut self.input_events), std::mem::take(&mut self.output_events));
        if draft.input.is_some() {
            unheard.extend(input_events);
        }
        if draft.output.is_some() {
            unheard.extend(output_events);
        }
        let (input, output) = self.into_payloads();
        draft.input = draft.input.take().or(input);
        draft.output = draft.output.take().or(output);
        unheard.dedup();
        unheard
    }
}

impl Traces {
    /// Completes spans of a trace whose messages came as log records: their input and output are what these say.
    pub(crate) async fn hear(&self, project: &ProjectName, trace_id: TraceId, spans: &mut [Span]) -> Result<()> {
        let is_deaf = |span: &Span| span.kind == SpanKind::Llm && (span.input.is_none() || span.output.is_none());
        if !spans.iter().any(is_deaf) {
            return Ok(());
        }
        let mut condition = Condition::default();
        condition.all("project = $", Some(project.as_str().into()));
        condition.all("trace_id = $", Some(trace_id.to_string().into()));
        condition.also("starts_with(event_name, 'gen_ai.')".to_owned());
        let sql = format!(
            "SELECT span_id, event_name, body, attributes FROM logs WHERE {} ORDER BY time LIMIT {MOST_RECORDS}",
            condition.sql()
        );
        let records = self.read("reading log records of a trace", &sql, condition, self.limits(), read_records).await?;
        for span in spans.iter_mut().filter(|span| is_deaf(span)) {
            let mut said = Said::default();
            for record in records.iter().filter(|record| record.span_id == Some(span.span_id)) {
                said.hear(&record.name, record.fields.clone(), &Value::Null);
            }
            let (input, output) = said.into_payloads();
            span.input = span.input.take().or(input.map(|input| Payload::of(&input)));
            span.output = span.output.take().or(output.map(|output| Payload::of(&output)));
        }
        Ok(())
    }
}

/// A log record that is an event of GenAI.
struct Record {
    span_id: Option<SpanId>,
    name: String,
    /// Its attributes, and what its body holds.
    fields: Extra,
}

fn read_records(batch: &RecordBatch) -> Result<Vec<Record>> {
    let rows = Rows::of(batch);
    let (span_id, name) = (rows.text("span_id")?, rows.text("event_name")?);
    let (body, attributes) = (rows.text("body")?, rows.text("attributes")?);
    let read = |row| {
        let object = |text: Option<String>| match text.map(|text| unfold(Value::String(text))) {
            Some(Value::Object(fields)) => fields,
            Some(words) => Extra::from_iter([("content".to_owned(), words)]),
            None => Extra::new(),
        };
        let mut fields = object(attributes.owned(row));
        fields.extend(object(body.owned(row)));
        Ok(Record { span_id: span_id.parsed(row)?, name: name.owned(row).unwrap_or_default(), fields })
    };
    (0..batch.num_rows()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_of_one_kind_follow_each_other() {
        let mut said = Said::default();
        let object = |value: Value| value.as_object().unwrap().clone();
        assert!(said.hear("gen_ai.system.message", object(json!({"content": "Be brief."})), &Value::Null));
        assert!(said.hear(
            "gen_ai.user.message",
            object(json!({"gen_ai.event.content": "{\"content\": \"Hi\"}"})),
            &Value::Null
        ));
        assert!(said.hear(
            "gen_ai.choice",
            object(json!({"index": 0, "message": {"role": "assistant", "content": "Yo"}})),
            &Value::Null
        ));
        assert!(!said.hear("exception", Extra::new(), &Value::Null));
        let (input, output) = said.into_payloads();
        assert_eq!(input, Some(json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])));
        assert_eq!(output, Some(json!([{"role": "assistant", "content": "Yo"}])));
    }
}
