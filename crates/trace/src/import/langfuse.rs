//! Langfuse's exports: traces with their observations and scores (a trace's or session's JSON, `GET /api/public/traces`),
//! rows of observations, traces or scores alone (the tables' CSV, JSON and JSONL, the API), and the files of scheduled
//! exports, whose names are in snake case and whose times have no offset.
//!
//! Sources, as they stood in November 2026: <https://langfuse.com/faq/all/export-single-trace-or-session>,
//! <https://langfuse.com/docs/api-and-data-platform/features/export-from-ui>,
//! <https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields>, and the schemas `Trace`,
//! `Observation` and `Score` of <https://cloud.langfuse.com/generated/api/openapi.yml>.
//!
//! A trace of Langfuse's is no span, but has an input and an output: it becomes the span around its observations. Its
//! totals are not repeated as that span's usage, or each token would be counted twice.

use qd_base::{Extra, ScoreId, Sha256Hex, Timestamp};
use serde_json::{Map, Value, json};

use super::{Imported, Importer, Refused, Told, is_nothing, refused, span_id, text, time, trace_id, unfold};
use crate::{Score, ScoreSource, ScoreValue};

/// A record whose fields are found by the letters and digits of their names: `traceId`, `trace_id` and `Trace ID` are one.
struct Fields(Vec<(String, String, Value)>);

impl Fields {
    fn of(record: Map<String, Value>) -> Self {
        let named = record.into_iter().filter(|(_, value)| !is_nothing(value));
        Self(named.map(|(name, value)| (bare(&name), name, value)).collect())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(bare, _, _)| bare == name).map(|(_, _, value)| value)
    }

    fn take(&mut self, names: &[&str]) -> Option<Value> {
        let place = names.iter().find_map(|name| self.0.iter().position(|(bare, _, _)| bare == name))?;
        Some(self.0.swap_remove(place).2)
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        self.take(names).as_ref().and_then(text)
    }

    fn time(&mut self, names: &[&str]) -> Result<Option<Timestamp>, Refused> {
        let Some(value) = self.take(names) else { return Ok(None) };
        time(&value).map(Some).ok_or_else(|| refused(format!("{} is no time: {}", names[0], shown(&value))))
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(&[name]).map(unfold) {
            Some(Value::Array(list)) => list,
            Some(other) => vec![other],
            None => Vec::new(),
        }
    }

    /// What is left, under the names that it came with.
    fn rest(self, prefix: &str, attributes: &mut Extra) {
        for (_, name, value) in self.0 {
            attributes.entry(format!("{prefix}{name}")).or_insert(unfold(value));
        }
    }
}

fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// What of a trace holds for each of its observations.
#[derive(Debug, Clone, Default)]
struct Around {
    trace: Option<String>,
    shared: Extra,
    /// Whether the trace's own span is imported, around those that have no parent.
    has_span: bool,
}

/// Fields that a trace has, and that its observations have in the newer exports, by what attribute tells them.
const SHARED: [(&[&str], &str); 6] = [
    (&["sessionid"], "langfuse.session.id"),
    (&["userid"], "langfuse.user.id"),
    (&["tags", "tracetags"], "langfuse.trace.tags"),
    (&["environment"], "langfuse.environment"),
    (&["release"], "langfuse.release"),
    (&["version"], "langfuse.version"),
];

/// Whether this may be a record of Langfuse's.
pub(super) fn is_one(record: &Map<String, Value>) -> bool {
    let has = |name: &str| record.keys().any(|key| bare(key) == name);
    has("trace") || has("traces") || has("traceid") || has("observations") || (has("id") && has("timestamp"))
}

/// The spans and scores of a record, whatever of Langfuse's it is.
pub(super) fn read(importer: &Importer<'_>, record: Map<String, Value>) -> Result<Imported, Refused> {
    let mut imported = Imported::default();
    read_into(importer, Fields::of(record), &Around::default(), &mut imported)?;
    Ok(imported)
}

fn read_into(
    importer: &Importer<'_>,
    mut fields: Fields,
    around: &Around,
    imported: &mut Imported,
) -> Result<(), Refused> {
    // The JSON of one trace may have it beside its observations and scores.
    if let Some(Value::Object(trace)) = fields.get("trace").cloned() {
        fields.take(&["trace"]);
        let mut whole = Fields::of(trace);
        for name in ["observations", "scores"] {
            let list = fields.list(name);
            if !list.is_empty() {
                whole.take(&[name]);
                whole.0.push((name.to_owned(), name.to_owned(), list.into()));
            }
        }
        return read_trace(importer, whole, imported);
    }
    if fields.get("traces").is_some() {
        for trace in fields.list("traces") {
            read_trace(importer, Fields::of(object(trace, "a trace of a session")?), imported)?;
        }
        return Ok(());
    }
    let is_observation = fields.get("starttime").is_some();
    let is_score = !is_observation
        && fields.get("name").is_some()
        && (fields.get("value").is_some() || fields.get("stringvalue").is_some());
    match (is_observation, is_score) {
        (true, _) => imported.spans.push(importer.span(observation(fields, around)?)),
        (false, true) => imported.scores.push(score(importer, fields, around)?),
        (false, false) => return read_trace(importer, fields, imported),
    }
    Ok(())
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, Refused> {
    match unfold(value) {
        Value::Object(fields) => Ok(fields),
        other => Err(refused(format!("{what} is no object: {}", shown(&other)))),
    }
}

fn read_trace(importer: &Importer<'_>, mut fields: Fields, imported: &mut Imported) -> Result<(), Refused> {
    let id = fields.text(&["id", "traceid"]).ok_or_else(|| refused("it has no id of a trace"))?;
    let start = fields.time(&["timestamp", "starttime", "createdat"])?;
    let start =
        start.ok_or_else(|| refused("it has no timestamp, as a trace has, and no startTime, as an observation"))?;
    let mut around = Around { trace: Some(id.clone()), shared: Extra::new(), has_span: true };
    for (names, attribute) in SHARED {
        if let Some(value) = fields.take(names) {
            around.shared.insert(attribute.to_owned(), unfold(value));
        }
    }
    let (observations, scores) = (fields.list("observations"), fields.take(&["scores"]).map(unfold));
    let first = imported.spans.len();
    // Where there are only the names of observations, these are in another file.
    for observation in observations.into_iter().filter(Value::is_object) {
        read_into(importer, Fields::of(object(observation, "an observation")?), &around, imported)?;
    }
    read_scores(importer, scores, &around, start, imported)?;
    let ends = imported.spans[first..].iter().map(|span| span.end);
    let latency = fields.take(&["latency"]).and_then(|seconds| text(&seconds)?.parse::<f64>().ok());
    let latency = latency.map(|seconds| std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default());
    let end = ends.max().or_else(|| Some(start.saturating_add(latency?))).unwrap_or(start);
    let mut attributes = around.shared.clone();
    attributes.insert("langfuse.observation.type".to_owned(), "span".into());
    for (name, attribute) in [("input", "langfuse.observation.input"), ("output", "langfuse.observation.output")] {
        fields.take(&[name]).into_iter().for_each(|value| drop(attributes.insert(attribute.to_owned(), unfold(value))));
    }
    let name = fields.text(&["name"]).unwrap_or_else(|| "trace".to_owned());
    let trace_id = trace_id(&id);
    attributes.insert("langfuse.trace.id".to_owned(), id.clone().into());
    fields.rest("langfuse.trace.", &mut attributes);
    let span_id = span_of_trace(&id);
    let (status, status_message, parent_id) = (None, None, None);
    let told = Told { trace_id, span_id, parent_id, name, start, end, status, status_message, attributes };
    imported.spans.insert(first, importer.span(told));
    Ok(())
}

/// The span that a trace of Langfuse's becomes.
fn span_of_trace(id: &str) -> qd_base::SpanId {
    span_id(&format!("langfuse trace {id}"))
}

fn read_scores(
    importer: &Importer<'_>,
    scores: Option<Value>,
    around: &Around,
    at: Timestamp,
    imported: &mut Imported,
) -> Result<(), Refused> {
    match scores {
        Some(Value::Array(scores)) => {
            // Where there are only the names of scores, these are in another file.
            for one in scores.into_iter().filter(Value::is_object) {
                let one = score(importer, Fields::of(object(one, "a score")?), around)?;
                imported.scores.push(one);
            }
        }
        // The table of traces has a value, or a list of them, for each name.
        Some(Value::Object(by_name)) => {
            for (name, values) in by_name {
                let values = match values {
                    Value::Array(values) => values,
                    value => vec![value],
                };
                for value in values.into_iter().filter(|value| !is_nothing(value)) {
                    let fields = json!({"name": name, "value": value, "timestamp": at.to_string(), "source": "API"});
                    imported.scores.push(score(importer, Fields::of(object(fields, "a score")?), around)?);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn observation(mut fields: Fields, around: &Around) -> Result<Told, Refused> {
    let id = fields.text(&["id", "observationid", "spanid"]).ok_or_else(|| refused("the observation has no id"))?;
    let trace = fields.text(&["traceid"]).or_else(|| around.trace.clone());
    let trace = trace.ok_or_else(|| refused(format!("the observation {id} has no traceId")))?;
    let start =
        fields.time(&["starttime"])?.ok_or_else(|| refused(format!("the observation {id} has no startTime")))?;
    let end = fields.time(&["endtime"])?;
    let parent = fields.text(&["parentobservationid", "parentid"]);
    let name = fields.text(&["name"]).unwrap_or_else(|| "observation".to_owned());
    // Newer exports tell the trace's fields with each observation, and have no traces.
    let enriched = fields.get("tracename").is_some() || fields.get("userid").is_some();
    let mut attributes = Extra::new();
    for (names, attribute) in SHARED {
        fields.take(names).into_iter().for_each(|value| drop(attributes.insert(attribute.to_owned(), unfold(value))));
    }
    for (attribute, value) in &around.shared {
        attributes.entry(attribute.clone()).or_insert_with(|| value.clone());
    }
    take_call(&mut fields, &mut attributes);
    let above = (around.has_span || !enriched).then(|| span_of_trace(&trace));
    attributes.insert("langfuse.observation.id".to_owned(), id.clone().into());
    fields.rest("langfuse.observation.", &mut attributes);
    Ok(Told {
        trace_id: trace_id(&trace),
        span_id: span_id(&id),
        parent_id: parent.map(|parent| span_id(&parent)).or(above),
        name,
        start,
        end: end.unwrap_or(start),
        status: None,
        status_message: None,
        attributes,
    })
}

/// What an observation says of a call of a model, in the attributes of Langfuse's own clients.
fn take_call(fields: &mut Fields, attributes: &mut Extra) {
    const TOLD: [(&[&str], &str); 11] = [
        (&["model", "providedmodelname"], "langfuse.observation.model.name"),
        (&["modelparameters"], "langfuse.observation.model.parameters"),
        (&["input"], "langfuse.observation.input"),
        (&["output"], "langfuse.observation.output"),
        (&["metadata"], "langfuse.observation.metadata"),
        (&["usagedetails"], "langfuse.observation.usage_details"),
        (&["costdetails"], "langfuse.observation.cost_details"),
        (&["level"], "langfuse.observation.level"),
        (&["statusmessage"], "langfuse.observation.status_message"),
        (&["promptname"], "langfuse.observation.prompt.name"),
        (&["promptversion"], "langfuse.observation.prompt.version"),
    ];
    let kind = fields.text(&["type"]).map_or_else(|| "span".to_owned(), |kind| kind.to_ascii_lowercase());
    attributes.insert("langfuse.observation.type".to_owned(), kind.into());
    for (names, attribute) in TOLD {
        let value = fields.take(names).map(unfold).filter(|value| !is_empty(value));
        value.into_iter().for_each(|value| drop(attributes.insert(attribute.to_owned(), value)));
    }
    if let Some(first) = fields.take(&["completionstarttime"]).as_ref().and_then(time) {
        attributes.insert("langfuse.observation.completion_start_time".to_owned(), first.to_string().into());
    }
    take_older(fields, attributes);
}

/// Usage and cost as older exports and tables have them.
fn take_older(fields: &mut Fields, attributes: &mut Extra) {
    let mut usage = match fields.take(&["usage"]).map(unfold) {
        Some(Value::Object(usage)) => usage,
        _ => Map::new(),
    };
    usage.retain(|name, value| ["input", "output", "total"].contains(&name.as_str()) && !is_nothing(value));
    let columns = [("input", ["prompttokens", "inputusage"]), ("output", ["completiontokens", "outputusage"])];
    for (name, columns) in columns {
        let column = fields.take(&columns).and_then(|value| text(&value)?.parse::<u64>().ok());
        if let Some(count) = column {
            usage.entry(name).or_insert(count.into());
        }
    }
    if !usage.is_empty() {
        attributes.entry("langfuse.observation.usage_details").or_insert(usage.into());
    }
    let cost = fields.take(&["calculatedtotalcost", "totalcost"]);
    if let Some(dollars) = cost.and_then(|value| text(&value)?.parse::<f64>().ok()) {
        attributes.entry("langfuse.observation.cost_details").or_insert(json!({"total": dollars}));
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

fn score(importer: &Importer<'_>, mut fields: Fields, around: &Around) -> Result<Score, Refused> {
    let trace = fields.text(&["traceid"]).or_else(|| around.trace.clone());
    let trace = trace.ok_or_else(|| refused("the score is of no trace"))?;
    let name = fields.text(&["name"]).ok_or_else(|| refused("the score has no name"))?;
    let observation = fields.text(&["observationid"]);
    let label = fields.text(&["stringvalue"]);
    let categorical = fields.text(&["datatype"]).is_some_and(|kind| kind.eq_ignore_ascii_case("CATEGORICAL"));
    let number = fields.take(&["value"]);
    let value = match (number.as_ref().and_then(as_number), label) {
        (_, Some(label)) if categorical => ScoreValue::Label(label),
        (Some(number), _) => ScoreValue::Number(number),
        (None, Some(label)) => ScoreValue::Label(label),
        (None, None) => match number.as_ref().and_then(text) {
            Some(label) => ScoreValue::Label(label),
            None => return Err(refused(format!("the score {name:?} has no value"))),
        },
    };
    let source = match fields.text(&["source"]).unwrap_or_default().to_ascii_uppercase().as_str() {
        "ANNOTATION" => ScoreSource::Human,
        "EVAL" => ScoreSource::Model,
        _ => ScoreSource::Code,
    };
    let id = fields.text(&["id"]).unwrap_or_else(|| format!("{trace} {observation:?} {name} {value:?}"));
    let time = fields.time(&["timestamp", "createdat", "updatedat"])?;
    let user = around.shared.get("langfuse.user.id").and_then(text);
    Ok(Score {
        id: score_id(&id),
        project: importer.project.clone(),
        trace_id: trace_id(&trace),
        span_id: observation.map(|observation| span_id(&observation)),
        name,
        value,
        comment: fields.text(&["comment"]),
        source,
        author: fields.text(&["authoruserid"]).map(|author| format!("langfuse:{author}")),
        user_id: fields.text(&["userid"]).or(user),
        time: time.ok_or_else(|| refused("the score has no timestamp"))?,
    })
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        other => other.as_f64().or_else(|| other.as_str()?.trim().parse().ok()),
    }
    .filter(|number| number.is_finite())
}

/// The score that a name stands for: itself when it is a UUID, else a digest of it in the form of one (RFC 9562, version 8).
fn score_id(name: &str) -> ScoreId {
    name.parse().unwrap_or_else(|_| {
        let hex = Sha256Hex::of(format!("score {name}").as_bytes()).to_string();
        let uuid = format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
        uuid.parse().unwrap_or_else(|_| ScoreId::new())
    })
}
