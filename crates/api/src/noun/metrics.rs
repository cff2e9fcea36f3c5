//! `/metrics`: what Prometheus scrapes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use qd_catalog::Scope;
use qd_trace::FailureKind;
use qd_trace::metrics::{CallLabels, CallSeries, Histogram};

use crate::doc::Doc;
use crate::error::Result;
use crate::exposition::{Exposition, Format, Kind};
use crate::permission::{Caller, Permission};
use crate::route::Route;
use crate::state::{Shared, Surface};

/// Clock ticks a second in `/proc`: `USER_HZ`, which is 100 on every architecture that Linux runs on today.
const TICKS_PER_S: f64 = 100.0;
/// Bytes of a page of memory in `/proc/self/statm`, of which x86-64 and most arm64 kernels have this many.
const PAGE_BYTES: f64 = 4_096.0;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let doc = Doc::new("Metrics", "metrics", "What Prometheus scrapes")
        .text("Prometheus' text format 0.0.4, or OpenMetrics 1.0 when `Accept` names it. A key that is no administrator's sees the calls of its own project only; administrators and the operator see those of all projects.")
        .streams("text/plain", "Counters, gauges and histograms since the server started");
    vec![Route::get("/metrics", read, doc, show)]
}

async fn show(State(surface): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Response> {
    let format = Format::of(&headers);
    let mut calls = surface.app.recorder.calls().series();
    if !caller.may(Scope::Admin) {
        calls.retain(|(labels, _)| labels.project == caller.project_name().as_str());
    }
    let jobs = surface.app.catalog.count_jobs().await?;
    let mut out = Exposition::new(format);
    write_calls(&mut out, &calls);
    write_recorder(&mut out, &surface);
    write_lake(&mut out, &surface);
    write_engine(&mut out, &surface);
    let mut family = out.family("quarterdeck_jobs", Kind::Gauge, "Jobs by state.");
    jobs.iter().for_each(|(state, count)| family.sample(&[("state", state.as_str())], *count as f64));
    write_process(&mut out, surface.started.elapsed());
    let mut response = Body::from(out.finish()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    Ok(response)
}

/// The labels of calls, as the conventions name them.
fn labels(of: &CallLabels) -> [(&'static str, &str); 5] {
    [
        ("project", of.project.as_str()),
        ("gen_ai_operation_name", of.operation),
        ("gen_ai_provider_name", of.provider.as_str()),
        ("gen_ai_request_model", of.request_model.as_str()),
        ("gen_ai_response_model", of.response_model.as_str()),
    ]
}

type Calls = [(CallLabels, CallSeries)];

fn write_calls(out: &mut Exposition, calls: &Calls) {
    let mut family = out.family("gen_ai_client_token_usage", Kind::Histogram, "Tokens of prompts and answers.");
    for (of, series) in calls {
        for (kind, histogram) in [("input", &series.input_tokens), ("output", &series.output_tokens)] {
            family.histogram(&[&labels(of)[..], &[("gen_ai_token_type", kind)]].concat(), histogram);
        }
    }
    let durations = |series: &CallSeries| series.durations.clone();
    write_durations(out, calls, "gen_ai_client_operation_duration_seconds", "How long calls took.", durations);
    let served = |series: &CallSeries| series.served.clone();
    let help = "How long calls took that were made through this server.";
    write_durations(out, calls, "gen_ai_server_request_duration_seconds", help, served);
    let help = "Time to the first token of calls through this server that ended well.";
    let mut family = out.family("gen_ai_server_time_to_first_token_seconds", Kind::Histogram, help);
    calls.iter().for_each(|(of, series)| family.histogram(&labels(of), &series.ttft));
    let help = "Time for each token after the first of calls through this server that ended well.";
    let mut family = out.family("gen_ai_server_time_per_output_token_seconds", Kind::Histogram, help);
    calls.iter().for_each(|(of, series)| family.histogram(&labels(of), &series.tpot));
    let mut family = out.family("quarterdeck_cost_dollars", Kind::Counter, "What calls cost whose price is known.");
    for (of, series) in calls {
        family.sample(&labels(of), qd_base::Picodollars::new(series.cost_picodollars).as_dollars());
    }
    let help = "Tokens of prompts that came from a prompt cache.";
    let mut family = out.family("quarterdeck_cached_tokens", Kind::Counter, help);
    calls.iter().for_each(|(of, series)| family.sample(&labels(of), series.cached_tokens as f64));
}

fn write_durations(
    out: &mut Exposition,
    calls: &Calls,
    name: &'static str,
    help: &str,
    histograms: impl Fn(&CallSeries) -> Vec<(Option<FailureKind>, Histogram)>,
) {
    let mut family = out.family(name, Kind::Histogram, help);
    for (of, series) in calls {
        for (failure, histogram) in histograms(series) {
            let error = failure.map_or("", FailureKind::as_str);
            family.histogram(&[&labels(of)[..], &[("error_type", error)]].concat(), &histogram);
        }
    }
}

fn write_recorder(out: &mut Exposition, surface: &Surface) {
    let stats = surface.app.recorder.stats();
    let mut family = out.family("quarterdeck_recorder_spans", Kind::Counter, "Spans by what became of them.");
    for (outcome, count) in [("durable", stats.durable), ("failed", stats.failed), ("dropped", stats.dropped)] {
        family.sample(&[("outcome", outcome)], count as f64);
    }
    let help = "Spans that wait to be written.";
    out.one("quarterdeck_recorder_queue_spans", Kind::Gauge, help, stats.queue_depth as f64);
    let help = "How long spans were not yet durable after their end.";
    let mut family = out.family("quarterdeck_recorder_crash_window_seconds", Kind::Gauge, help);
    let window = stats.crash_window;
    for (quantile, ms) in [("0.5", window.p50_ms), ("0.99", window.p99_ms), ("1", window.max_ms)] {
        family.sample(&[("quantile", quantile)], ms / 1e3);
    }
    let help = "Calls that left no trace because too many were waiting to become one.";
    out.one("quarterdeck_unrecorded_calls", Kind::Counter, help, surface.app.gateway.unrecorded() as f64);
    let help = "HTTP requests being answered, streams included.";
    out.one("quarterdeck_http_requests_in_flight", Kind::Gauge, help, surface.in_flight() as f64);
}

fn write_lake(out: &mut Exposition, surface: &Surface) {
    let stats = surface.app.lake.stats();
    let counters = [
        ("quarterdeck_lake_rows_committed", "Rows acknowledged as durable.", stats.rows_committed),
        ("quarterdeck_lake_groups_committed", "Transactions that it took.", stats.groups_committed),
        ("quarterdeck_lake_appends_refused", "Appends refused because the lake was full.", stats.appends_refused),
        ("quarterdeck_lake_seals", "Segments sealed.", stats.seals),
        ("quarterdeck_lake_compactions", "Merges of segments.", stats.compactions),
        ("quarterdeck_lake_failures", "Commits, seals and compactions that failed.", stats.failures),
    ];
    counters.into_iter().for_each(|(name, help, count)| out.one(name, Kind::Counter, help, count as f64));
    let gauges = [
        ("quarterdeck_lake_quarantined", "Damaged files and batches that are set aside.", stats.quarantined as f64),
        (
            "quarterdeck_lake_failing",
            "Whether something fails at present.",
            f64::from(u8::from(stats.failing.is_some())),
        ),
        ("quarterdeck_lake_queue_bytes", "Memory of rows that wait for their commit.", stats.queue_bytes as f64),
        ("quarterdeck_lake_queue_limit_bytes", "The most that may wait.", stats.queue_limit_bytes as f64),
        ("quarterdeck_lake_queries_running", "Queries that run.", stats.queries_running as f64),
    ];
    gauges.into_iter().for_each(|(name, help, value)| out.one(name, Kind::Gauge, help, value));
    let mut each = |name, help, value: fn(&qd_lake::TableStats) -> f64| {
        let mut family = out.family(name, Kind::Gauge, help);
        stats.tables.iter().for_each(|table| family.sample(&[("table", table.table.as_str())], value(table)));
    };
    each("quarterdeck_lake_table_rows", "Rows of a table.", |table| {
        (table.segment_rows + table.staged_rows as u64) as f64
    });
    each("quarterdeck_lake_table_segments", "Sealed files of a table.", |table| table.segments as f64);
    each("quarterdeck_lake_table_bytes", "Size of a table's sealed files.", |table| table.segment_bytes as f64);
    each("quarterdeck_lake_table_staged_rows", "Rows that are not sealed yet.", |table| table.staged_rows as f64);
}

fn write_engine(out: &mut Exposition, surface: &Surface) {
    let loaded = surface.app.engine.loaded();
    let mut each = |name, kind, help, value: fn(&qd_serve::LoadedModel) -> f64| {
        let mut family = out.family(name, kind, help);
        loaded.iter().for_each(|model| family.sample(&[("model", model.name.as_str())], value(model)));
    };
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    each("quarterdeck_engine_slots", gauge, "Sequences that a model computes together.", |model| model.slots as f64);
    each("quarterdeck_engine_slots_busy", gauge, "Sequences being computed.", |model| model.stats.slots_busy as f64);
    each("quarterdeck_engine_queue_length", gauge, "Sequences that wait for a slot.", |model| {
        model.stats.queue_length as f64
    });
    each("quarterdeck_engine_model_bytes", gauge, "Size of a model's weights.", |model| model.stats.model_bytes as f64);
    each("quarterdeck_engine_prompt_tokens", counter, "Tokens of prompts.", |model| model.stats.prompt_tokens as f64);
    each(
        "quarterdeck_engine_prompt_tokens_cached",
        counter,
        "Tokens of prompts that were not computed again.",
        |model| model.stats.cached_tokens as f64,
    );
    each("quarterdeck_engine_completion_tokens", counter, "Tokens generated.", |model| {
        model.stats.completion_tokens as f64
    });
    each("quarterdeck_engine_busy_seconds", counter, "Time spent computing.", |model| model.stats.busy_ms as f64 / 1e3);
}

fn write_process(out: &mut Exposition, uptime: Duration) {
    let mut family = out.family("quarterdeck_build_info", Kind::Gauge, "The version of this program.");
    family.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started = now.saturating_sub(uptime).as_secs_f64();
    out.one("process_start_time_seconds", Kind::Gauge, "When the server started, since 1970.", started);
    let Process { cpu_s, resident_bytes, open_fds } = Process::read();
    if let Some(cpu_s) = cpu_s {
        out.one("process_cpu_seconds", Kind::Counter, "Processor time of this process.", cpu_s);
    }
    if let Some(bytes) = resident_bytes {
        out.one("process_resident_memory_bytes", Kind::Gauge, "Memory of this process.", bytes);
    }
    if let Some(open_fds) = open_fds {
        out.one("process_open_fds", Kind::Gauge, "Open file descriptors.", open_fds);
    }
}

/// What the system says of this process; what it does not say, as outside of Linux, is left out.
struct Process {
    cpu_s: Option<f64>,
    resident_bytes: Option<f64>,
    open_fds: Option<f64>,
}

impl Process {
    fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        Self {
            cpu_s: read("/proc/self/stat").as_deref().and_then(cpu_seconds),
            resident_bytes: read("/proc/self/statm")
                .as_deref()
                .and_then(|text| Some(text.split_whitespace().nth(1)?.parse::<f64>().ok()? * PAGE_BYTES)),
            open_fds: std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
        }
    }
}

/// The 14th and 15th field of `/proc/self/stat` (proc(5)): time in user and in kernel mode. The second, the name in
/// parentheses, may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }
}
