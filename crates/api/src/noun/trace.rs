//! `/api/v1/traces`: what was recorded, found again, followed live, and added to.

mod export;
mod import;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, future, stream};
use qd_base::id::{SpanId, TraceId};
use qd_base::money::Picodollars;
use qd_base::time::{TimeRange, Timestamp};
use qd_base::usage::Usage;
use qd_catalog::Scope;
use qd_trace::{
    Cursor, FailureKind, Filter, GroupBy, GroupFilter, Groups, Page, Payload, Span, SpanKind, SpanSummary, Status,
    TraceContext, TraceSummary, Traces,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::sse;
use crate::state::Shared;

/// The length of `except_groups` at most, well below that of a whole request's head.
const EXCEPT_BYTES: usize = 16 << 10;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Traces", "listTraces", "Recorded traces, newest first")
        .query::<TraceQuery>()
        .gives::<TraceList>(200, "One page of them");
    let one = Doc::new("Traces", "getTrace", "One trace with its spans")
        .text("At most 10,000 spans, and 64 MiB of whole payloads: `truncated` and `payloads_cut` tell when there is more, which the outline and the single spans have.")
        .query::<ShowQuery>()
        .gives::<TraceDetail>(200, "The trace");
    let outline = Doc::new("Traces", "getTraceOutline", "All spans of a trace without what they carry")
        .text("For traces of very many spans, up to 100,000. What a span has none of is absent.")
        .gives::<TraceOutline>(200, "The spans, in the order in which they began");
    let span = Doc::new("Traces", "getSpan", "One span with its whole payloads").gives::<SpanBody>(200, "The span");
    let tail = Doc::new("Traces", "tailTraces", "Spans as they finish")
        .text("Server-sent events: `span` with a span, and `missed` with the number of spans that came faster than they were read.")
        .query::<TraceQuery>()
        .streams("text/event-stream", "The events");
    let add = Doc::new("Traces", "appendTraces", "Append finished spans")
        .text("Answered when every span is on disk. 429 with Retry-After when too much is waiting already: then none was taken.")
        .takes::<NewSpans>()
        .gives::<Appended>(200, "All spans are on disk");
    let routes = vec![
        Route::get("/api/v1/traces", read, all, list),
        Route::post("/api/v1/traces", write, add, append),
        Route::get("/api/v1/traces/tail", read, tail, follow),
        Route::get("/api/v1/traces/{trace_id}", read, one, show),
        Route::get("/api/v1/traces/{trace_id}/outline", read, outline, show_outline),
        Route::get("/api/v1/traces/{trace_id}/spans/{span_id}", read, span, show_span),
    ];
    routes.into_iter().chain(export::routes()).chain(import::routes()).collect()
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Query(query): Query<TraceQuery>,
) -> Result<Json<TraceList>> {
    let page = query.page()?;
    let filter = query.into_filter(&caller)?;
    let (found, next) = surface.app.traces.list(&filter, page).await?;
    let data = found.iter().map(TraceSummaryBody::from).collect();
    Ok(Json(TraceList { data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<TraceDetail>> {
    let trace: TraceId = id.parse().map_err(|_| Error::missing("trace", &id))?;
    let (mut spans, truncated) = surface.app.traces.trace(caller.project_name(), trace).await?;
    if spans.is_empty() {
        return Err(Error::missing("trace", trace));
    }
    let limit_bytes = surface.app.config.limits.payload_bytes;
    let payloads_cut = match query.payloads {
        Some(Payloads::Whole) => fetch_payloads(&surface.app.traces, &mut spans, limit_bytes).await?,
        Some(Payloads::Beginning) | None => false,
    };
    let spans = spans.iter().map(SpanBody::from).collect();
    Ok(Json(TraceDetail { trace_id: trace, spans, truncated, payloads_cut }))
}

async fn show_outline(
    State(surface): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TraceOutline>> {
    let trace: TraceId = id.parse().map_err(|_| Error::missing("trace", &id))?;
    let spans = surface.app.traces.outline(caller.project_name(), trace).await?;
    match spans.is_empty() {
        true => Err(Error::missing("trace", trace)),
        false => Ok(Json(TraceOutline { trace_id: trace, spans: spans.into_iter().map(OutlineSpan::from).collect() })),
    }
}

async fn show_span(
    State(surface): State<Shared>,
    caller: Caller,
    Path((trace, id)): Path<(String, String)>,
) -> Result<Json<SpanBody>> {
    let missing = || Error::missing("span", &id);
    let (Ok(trace_id), Ok(span_id)) = (trace.parse(), id.parse()) else { return Err(missing()) };
    let span = surface.app.traces.span(caller.project_name(), trace_id, span_id).await?.ok_or_else(missing)?;
    // What lies in blobs was put in already, so nothing is cut.
    let whole = Span { input_blob: None, output_blob: None, attributes_blob: None, ..span };
    Ok(Json(SpanBody::from(&whole)))
}

/// Replaces the beginnings of payloads that went to blobs by the whole, until they would take more than `limit_bytes`.
/// Returns whether some are left.
async fn fetch_payloads(traces: &Traces, spans: &mut [Span], limit_bytes: usize) -> Result<bool> {
    let mut left = limit_bytes;
    for span in spans {
        let input = (&mut span.input, &mut span.input_blob);
        let output = (&mut span.output, &mut span.output_blob);
        for (payload, blob) in [input, output] {
            let Some(sha256) = *blob else { continue };
            let whole = traces.payload(sha256).await?;
            let Some(rest) = left.checked_sub(whole.len()) else { return Ok(true) };
            left = rest;
            (*payload, *blob) = (Some(whole), None);
        }
    }
    Ok(false)
}

async fn follow(State(surface): State<Shared>, caller: Caller, Query(query): Query<TraceQuery>) -> Result<Response> {
    query.refuse_pages("A tail")?;
    let filter = query.into_filter(&caller)?;
    let spans = BroadcastStream::new(surface.app.recorder.subscribe());
    let keep_alive = surface.app.config.limits.keep_alive();
    Ok(sse::response(tail(spans, filter), keep_alive, surface.lifecycle.stopping.clone(), Bytes::new()))
}

/// The events of a tail: spans that match, and how many were missed.
fn tail(spans: BroadcastStream<Arc<Span>>, filter: Filter) -> impl Stream<Item = Bytes> {
    let greeting = stream::once(future::ready(Bytes::from_static(b": following\n\n")));
    greeting.chain(spans.filter_map(move |next| {
        let event = match next {
            Ok(span) if filter.matches(&span) => sse::event(Some("span"), None, &SpanBody::from(&*span)).ok(),
            Ok(_) => None,
            Err(BroadcastStreamRecvError::Lagged(missed)) => sse::event(Some("missed"), None, &missed).ok(),
        };
        future::ready(event)
    }))
}

async fn append(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewSpans>,
) -> Result<Json<Appended>> {
    let limit = surface.app.config.limits.append_spans;
    if new.spans.len() > limit {
        return Err(Error::parameter(
            "spans",
            "array_above_max_length",
            format!("Invalid 'spans': at most {limit} spans can be appended at once."),
        ));
    }
    let spans: Vec<Span> = new.spans.into_iter().map(|span| span.into_span(&caller)).collect();
    let appended = spans.len();
    surface.app.recorder.append(spans).await?;
    Ok(Json(Appended { appended }))
}

/// Which traces are wanted, and which page of them. Every part that is given must hold; the project is the caller's.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TraceQuery {
    /// At most this many, of 500 at most; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that began at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those that began before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `llm`, `embedding`, `retriever`, `tool`, …
    #[param(value_type = Option<String>)]
    kind: Option<SpanKind>,
    /// `true`: only calls of models, which are of the kinds `llm` and `embedding`.
    calls: Option<bool>,
    /// `ok`, `error` or `cancelled`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// The model, as asked for or as it answered.
    model: Option<String>,
    /// Who ran it.
    provider: Option<String>,
    /// The session.
    session: Option<String>,
    /// The end user.
    user: Option<String>,
    /// One of the tags.
    tag: Option<String>,
    /// `false`: without the calls that experiments, evaluations, leaderboards and judges made; `true`: only those.
    experiments: Option<bool>,
    /// The environment.
    environment: Option<String>,
    /// The operation.
    name: Option<String>,
    /// The prompt artifact.
    prompt: Option<String>,
    /// In which way they went wrong, as the statistics of errors name it: `timeout`, `rate_limited`, …
    #[param(value_type = Option<String>)]
    failure: Option<FailureKind>,
    /// With `group` or `except_groups`, what tells spans apart as in an overview: `model` (that answered, or was asked for
    /// when none did), `provider`, `prompt`, `user`, `environment`, `status`, `session`, `release` or `name`.
    #[param(value_type = Option<String>)]
    group_by: Option<GroupBy>,
    /// Only those of this group; empty for those that do not say.
    group: Option<String>,
    /// Only those of none of these groups: a JSON array of at most 10 texts.
    except_groups: Option<String>,
    /// Only those that took at least this long.
    min_latency_ms: Option<f64>,
    /// Only those whose first token came after at least this long.
    min_ttft_ms: Option<f64>,
    /// Only those whose prompt had at least so many tokens.
    min_input_tokens: Option<u64>,
    /// Only those whose answer had at least so many tokens.
    min_output_tokens: Option<u64>,
    /// Only those that cost at least so much.
    min_cost_picodollars: Option<i64>,
    /// A text within input, output or status message.
    text: Option<String>,
}

/// How much of large payloads is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ShowQuery {
    /// `beginning`, or `whole`: also of inputs and outputs that are too large for a row.
    #[param(value_type = Option<String>)]
    payloads: Option<Payloads>,
}

/// How much of a large payload is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Payloads {
    Beginning,
    Whole,
}

impl TraceQuery {
    pub(crate) fn refuse_pages(&self, what: &str) -> Result<()> {
        match self.limit.is_some() || self.cursor.is_some() {
            true => {
                let message = format!("{what} has no pages: 'limit' and 'cursor' do not belong here.");
                Err(Error::parameter("limit", "invalid_value", message))
            }
            false => Ok(()),
        }
    }

    fn page(&self) -> Result<Page> {
        let limit = self.limit.unwrap_or(50);
        if !(1..=Page::MOST).contains(&limit) {
            return Err(Error::parameter(
                "limit",
                "invalid_value",
                format!("Invalid 'limit': between 1 and {} are given at once.", Page::MOST),
            ));
        }
        let after: Option<Cursor> = self.cursor.as_deref().map(str::parse).transpose()?;
        Ok(Page { limit, after })
    }

    pub(crate) fn into_filter(self, caller: &Caller) -> Result<Filter> {
        let range = match (self.from, self.to) {
            (None, None) => None,
            (from, to) => Some(range(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX))?),
        };
        let group = group(self.group_by, self.group, self.except_groups.as_deref())?;
        Ok(Filter {
            project: Some(caller.project_name().clone()),
            range,
            kind: self.kind,
            calls: self.calls.unwrap_or(false),
            status: self.status,
            model: self.model,
            provider: self.provider,
            session: self.session,
            user: self.user,
            tag: self.tag,
            experiments: self.experiments,
            environment: self.environment,
            name: self.name,
            prompt: self.prompt,
            failure: self.failure,
            group,
            min_latency_ms: self.min_latency_ms,
            min_ttft_ms: self.min_ttft_ms,
            min_input_tokens: self.min_input_tokens,
            min_output_tokens: self.min_output_tokens,
            min_cost: self.min_cost_picodollars.map(Picodollars::new),
            text: self.text,
        })
    }
}

/// The groups that are wanted: `by` and one of the others, or none of the three.
fn group(by: Option<GroupBy>, one: Option<String>, except: Option<&str>) -> Result<Option<GroupFilter>> {
    let wrong = |param, message: &str| Err(Error::parameter(param, "invalid_value", message));
    let (by, groups) = match (by, one, except) {
        (None, None, None) => return Ok(None),
        (Some(by), Some(one), None) => (by, Groups::One(one)),
        (Some(by), None, Some(except)) => (by, Groups::Except(except_groups(except)?)),
        (Some(_), Some(_), Some(_)) => {
            return wrong("except_groups", "Invalid 'except_groups': with 'group' nothing is left to except.");
        }
        (Some(_), None, None) => {
            return wrong("group_by", "Invalid 'group_by': it needs 'group' or 'except_groups' beside it.");
        }
        (None, one, _) => {
            let param = if one.is_some() { "group" } else { "except_groups" };
            return wrong(param, &format!("Invalid '{param}': it needs 'group_by' beside it."));
        }
    };
    Ok(Some(GroupFilter { by, groups }))
}

fn except_groups(text: &str) -> Result<Vec<String>> {
    let most = Groups::MOST_EXCEPT;
    let read = |text| serde_json::from_str::<Vec<String>>(text).ok().filter(|groups| groups.len() <= most);
    (text.len() <= EXCEPT_BYTES).then(|| read(text)).flatten().ok_or_else(|| {
        let message = format!(
            "Invalid 'except_groups': it is a JSON array of at most {most} texts, as [\"a\",\"b\"], in at most {EXCEPT_BYTES} bytes."
        );
        Error::parameter("except_groups", "invalid_value", message)
    })
}

fn range(from: Timestamp, to: Timestamp) -> Result<TimeRange> {
    TimeRange::new(from, to).map_err(|error| Error::parameter("from", "invalid_value", error.to_string()))
}

/// One page of traces.
#[derive(Serialize, ToSchema)]
pub struct TraceList {
    /// The traces, newest first.
    pub data: Vec<TraceSummaryBody>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A trace as a list shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = TraceSummary)]
pub struct TraceSummaryBody {
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// Its first span among those that were asked for.
    #[schema(value_type = String)]
    pub span_id: SpanId,
    /// What kind of work that span was.
    #[schema(value_type = String)]
    pub kind: SpanKind,
    /// That span's operation.
    pub name: String,
    /// How that span ended.
    #[schema(value_type = String)]
    pub status: Status,
    /// Why it ended so.
    pub status_message: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// Who ran the model that the span called; where it called none, that of the trace's first call of a language model.
    pub provider: Option<String>,
    /// The model asked for in that call.
    pub model_requested: Option<String>,
    /// The model that answered that call.
    pub model: Option<String>,
    /// When the trace began.
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// When its last span ended.
    #[schema(value_type = String, format = DateTime)]
    pub end_time: Timestamp,
    /// From its first start to its last end.
    pub latency_ms: f64,
    /// Time from the start of that call to its first token.
    pub ttft_ms: Option<f64>,
    /// All its spans.
    pub span_count: u64,
    /// Those that failed.
    pub error_count: u64,
    /// Tokens of all prompts.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// Tokens of prompts that came from a cache.
    pub cached_tokens: u64,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: u64,
    /// What all spans whose price is known cost, in picodollars.
    pub cost_picodollars: i64,
}

impl From<&TraceSummary> for TraceSummaryBody {
    fn from(trace: &TraceSummary) -> Self {
        let (head, call) = (&trace.head, &trace.call);
        Self {
            trace_id: head.trace_id,
            span_id: head.span_id,
            kind: head.kind,
            name: head.name.clone(),
            status: head.status,
            status_message: head.status_message.clone(),
            session_id: head.session_id.clone(),
            user_id: head.user_id.clone(),
            provider: call.provider.clone(),
            model_requested: call.model_requested.clone(),
            model: call.model.clone(),
            start_time: trace.start,
            end_time: trace.end,
            latency_ms: trace.latency_ms(),
            ttft_ms: call.ttft_ms,
            span_count: trace.spans,
            error_count: trace.errors,
            input_tokens: trace.usage.input_tokens,
            output_tokens: trace.usage.output_tokens,
            cached_tokens: trace.usage.cached_tokens,
            reasoning_tokens: trace.usage.reasoning_tokens,
            cost_picodollars: trace.cost.get(),
        }
    }
}

/// A trace with its spans.
#[derive(Serialize, ToSchema)]
pub struct TraceDetail {
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// Its spans in the order in which they began.
    pub spans: Vec<SpanBody>,
    /// Whether it has more spans than are given here; its outline has them.
    pub truncated: bool,
    /// Whether whole payloads were asked for and some are beginnings all the same, since together they are too large for
    /// one answer. Those spans say so with `input_cut` and `output_cut`; asked for by itself, a span has them whole.
    pub payloads_cut: bool,
}

/// All spans of a trace without what they carry.
#[derive(Serialize, ToSchema)]
pub struct TraceOutline {
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// Its spans in the order in which they began.
    pub spans: Vec<OutlineSpan>,
}

/// A span of an outline. What it has none of is absent.
#[derive(Serialize, ToSchema)]
pub struct OutlineSpan {
    /// The span.
    #[schema(value_type = String)]
    pub span_id: SpanId,
    /// The span that caused it.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<SpanId>,
    /// What kind of work it was.
    #[schema(value_type = String)]
    pub kind: SpanKind,
    /// The operation.
    pub name: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// From start to end.
    pub latency_ms: f64,
    /// From start to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// How it ended.
    #[schema(value_type = String)]
    pub status: Status,
    /// The model that answered, or was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// What it cost, in picodollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_picodollars: Option<i64>,
}

impl From<SpanSummary> for OutlineSpan {
    fn from(span: SpanSummary) -> Self {
        Self {
            span_id: span.span_id,
            parent_id: span.parent_id,
            kind: span.kind,
            latency_ms: span.latency_ms(),
            name: span.name,
            start_time: span.start,
            ttft_ms: span.ttft_ms,
            status: span.status,
            model: span.model.or(span.model_requested),
            input_tokens: span.usage.map(|usage| usage.input_tokens),
            output_tokens: span.usage.map(|usage| usage.output_tokens),
            cost_picodollars: span.cost.map(Picodollars::get),
        }
    }
}

/// Spans to be appended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpans {
    /// The spans, each finished.
    pub spans: Vec<NewSpan>,
}

/// How many spans are on disk.
#[derive(Serialize, ToSchema)]
pub struct Appended {
    /// All that were sent.
    pub appended: usize,
}

/// A finished span to be appended, in the caller's project.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpan {
    /// The trace; a new one when absent.
    #[schema(value_type = Option<String>)]
    pub trace_id: Option<TraceId>,
    /// The span; a new one when absent.
    #[schema(value_type = Option<String>)]
    pub span_id: Option<SpanId>,
    /// The span that caused it.
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<SpanId>,
    /// `llm`, `embedding`, `retriever`, `tool`, …
    #[schema(value_type = String)]
    pub kind: SpanKind,
    /// The operation.
    pub name: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub end_time: Timestamp,
    /// Time to the first token.
    pub ttft_ms: Option<f64>,
    /// `ok`, `error` or `cancelled`; `ok` when absent.
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// Why it ended so.
    pub status_message: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// For instance `production`.
    pub environment: Option<String>,
    /// The caller's own version.
    pub release: Option<String>,
    /// Who ran the model.
    pub provider: Option<String>,
    /// The model asked for.
    pub model_requested: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Sampling parameters and the like.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Box<RawValue>>,
    /// What went in, as any JSON.
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// What came out, as any JSON.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Box<RawValue>>,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: Option<u64>,
    /// What it cost, in picodollars.
    pub cost_picodollars: Option<i64>,
    /// The prompt artifact that was used.
    pub prompt_name: Option<String>,
    /// Its version.
    pub prompt_version: Option<u32>,
    /// The deployment arm.
    pub arm: Option<String>,
    /// Whatever else is known.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

impl From<&Span> for NewSpan {
    fn from(span: &Span) -> Self {
        let body = SpanBody::from(span);
        Self {
            trace_id: Some(body.trace_id),
            span_id: Some(body.span_id),
            parent_id: body.parent_id,
            kind: body.kind,
            name: body.name,
            start_time: body.start_time,
            end_time: body.end_time,
            ttft_ms: body.ttft_ms,
            status: Some(body.status),
            status_message: body.status_message,
            session_id: body.session_id,
            user_id: body.user_id,
            tags: body.tags,
            environment: body.environment,
            release: body.release,
            provider: body.provider,
            model_requested: body.model_requested,
            model: body.model,
            parameters: body.parameters,
            input: body.input,
            output: body.output,
            input_tokens: body.input_tokens,
            output_tokens: body.output_tokens,
            cached_tokens: body.cached_tokens,
            reasoning_tokens: body.reasoning_tokens,
            cost_picodollars: body.cost_picodollars,
            prompt_name: body.prompt_name,
            prompt_version: body.prompt_version,
            arm: body.arm,
            attributes: body.attributes,
        }
    }
}

impl NewSpan {
    fn into_span(self, caller: &Caller) -> Span {
        let usage = self.usage();
        let at = TraceContext::root();
        let payload = |raw: Option<Box<RawValue>>| raw.map(|raw| Payload::from(String::from(Box::<str>::from(raw))));
        Span {
            trace_id: self.trace_id.unwrap_or(at.trace_id),
            span_id: self.span_id.unwrap_or(at.span_id),
            parent_id: self.parent_id,
            end: self.end_time,
            ttft_ms: self.ttft_ms,
            status: self.status.unwrap_or(Status::Ok),
            status_message: self.status_message,
            session_id: self.session_id,
            user_id: self.user_id,
            tags: self.tags,
            environment: self.environment,
            release: self.release,
            provider: self.provider,
            model_requested: self.model_requested,
            model: self.model,
            parameters: payload(self.parameters),
            input: payload(self.input),
            output: payload(self.output),
            usage,
            cost: self.cost_picodollars.map(Picodollars::new),
            prompt_name: self.prompt_name,
            prompt_version: self.prompt_version,
            arm: self.arm,
            attributes: self.attributes,
            ..Span::new(caller.project_name().clone(), at, self.kind, self.name, self.start_time)
        }
    }

    fn usage(&self) -> Option<Usage> {
        let told = self.input_tokens.is_some() || self.output_tokens.is_some();
        told.then(|| Usage {
            input_tokens: self.input_tokens.unwrap_or(0),
            output_tokens: self.output_tokens.unwrap_or(0),
            cached_tokens: self.cached_tokens.unwrap_or(0),
            reasoning_tokens: self.reasoning_tokens.unwrap_or(0),
        })
    }
}

/// A recorded span.
#[derive(Serialize, ToSchema)]
#[schema(as = Span)]
pub struct SpanBody {
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// The span.
    #[schema(value_type = String)]
    pub span_id: SpanId,
    /// The span that caused it.
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<SpanId>,
    /// What kind of work it was.
    #[schema(value_type = String)]
    pub kind: SpanKind,
    /// The operation.
    pub name: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub start_time: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub end_time: Timestamp,
    /// How long it took.
    pub latency_ms: f64,
    /// Time to the first token.
    pub ttft_ms: Option<f64>,
    /// How it ended.
    #[schema(value_type = String)]
    pub status: Status,
    /// Why it ended so.
    pub status_message: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// For instance `production`.
    pub environment: Option<String>,
    /// The caller's own version.
    pub release: Option<String>,
    /// Who ran the model.
    pub provider: Option<String>,
    /// The model asked for.
    pub model_requested: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Sampling parameters and the like.
    #[schema(value_type = Option<serde_json::Value>)]
    pub parameters: Option<Box<RawValue>>,
    /// What went in.
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// What came out.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Box<RawValue>>,
    /// Whether `input` is only the beginning of a large one, as text.
    pub input_cut: bool,
    /// Whether `output` is only the beginning of a large one, as text.
    pub output_cut: bool,
    /// Whether large `attributes` are only told by their beginnings; the single span has them whole.
    pub attributes_cut: bool,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: Option<u64>,
    /// What it cost, in picodollars; null when the price is not known.
    pub cost_picodollars: Option<i64>,
    /// The prompt artifact that was used.
    pub prompt_name: Option<String>,
    /// Its version.
    pub prompt_version: Option<u32>,
    /// The deployment arm.
    pub arm: Option<String>,
    /// Whatever else is known.
    #[schema(value_type = Object)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

impl From<&Span> for SpanBody {
    fn from(span: &Span) -> Self {
        let tokens = |of: fn(&Usage) -> u64| span.usage.as_ref().map(of);
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            kind: span.kind,
            name: span.name.clone(),
            start_time: span.start,
            end_time: span.end,
            latency_ms: span.latency_ms(),
            ttft_ms: span.ttft_ms,
            status: span.status,
            status_message: span.status_message.clone(),
            session_id: span.session_id.clone(),
            user_id: span.user_id.clone(),
            tags: span.tags.clone(),
            environment: span.environment.clone(),
            release: span.release.clone(),
            provider: span.provider.clone(),
            model_requested: span.model_requested.clone(),
            model: span.model.clone(),
            parameters: span.parameters.as_ref().and_then(json),
            input: span.input.as_ref().and_then(json),
            output: span.output.as_ref().and_then(json),
            input_cut: span.input_blob.is_some(),
            output_cut: span.output_blob.is_some(),
            attributes_cut: span.attributes_blob.is_some(),
            input_tokens: tokens(|usage| usage.input_tokens),
            output_tokens: tokens(|usage| usage.output_tokens),
            cached_tokens: tokens(|usage| usage.cached_tokens),
            reasoning_tokens: tokens(|usage| usage.reasoning_tokens),
            cost_picodollars: span.cost.map(Picodollars::get),
            prompt_name: span.prompt_name.clone(),
            prompt_version: span.prompt_version,
            arm: span.arm.clone(),
            attributes: span.attributes.clone(),
        }
    }
}

/// A payload as the JSON it is; the beginning of one that was cut, as text.
fn json(payload: &Payload) -> Option<Box<RawValue>> {
    RawValue::from_string(payload.as_str().to_owned())
        .or_else(|_| serde_json::value::to_raw_value(payload.as_str()))
        .ok()
}
