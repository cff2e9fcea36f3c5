//! What the server says, and what it comes to.

use std::time::Duration;

use qd_base::{Picodollars, Timestamp};
use serde_json::{Value, json};

use crate::Error;
use crate::door::{Door, query};

/// Calls that are listed.
const RECENT: &str = "20";
/// Points of the line of calls over time.
const POINTS: u64 = 60;

/// What the server said at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Who said it.
    pub place: String,
    /// Its answers: `status`, `stats`, `overview`, `traces`.
    pub told: Value,
    /// The stretch of time that the sums are of.
    pub window: Duration,
    pub at: Timestamp,
}

/// What many calls come to in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub calls_per_s: f64,
    pub errors: u64,
    pub error_share: f64,
    pub tokens_per_s: f64,
    pub dollars_per_h: f64,
}

/// The calls of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRow {
    pub model: String,
    pub rates: Rates,
    pub calls: u64,
    pub latency_ms: (Option<f64>, Option<f64>),
    pub ttft_ms: (Option<f64>, Option<f64>),
}

/// A call that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRow {
    pub clock: String,
    pub status: String,
    pub model: String,
    pub latency_ms: f64,
    pub tokens: (u64, u64),
    pub cost: Picodollars,
    pub message: String,
}

impl Snapshot {
    /// Asks the server about the last `window`.
    ///
    /// # Errors
    /// As [`Door::get`].
    pub async fn ask(door: &Door, window: Duration) -> Result<Self, Error> {
        let at = Timestamp::now();
        let from = at.saturating_sub(window).to_string();
        let step_s = (window.as_secs() / POINTS).max(1).to_string();
        let since = [("from", Some(from.as_str()))];
        let with = |more: &[(&str, Option<&str>)]| query(&[&since, more].concat());
        let status = door.get("/api/v1/status").await?;
        let stats = door.get(&format!("/api/v1/stats{}", with(&[("group_by", Some("model"))]))).await?;
        let overview = door.get(&format!("/api/v1/overview{}", with(&[("step_s", Some(&step_s))]))).await?;
        let recent = [("calls", Some("true")), ("limit", Some(RECENT))];
        let traces = door.get(&format!("/api/v1/traces{}", query(&recent))).await?;
        let told = json!({"status": status, "stats": stats, "overview": overview, "traces": traces});
        Ok(Self { place: door.place(), told, window, at })
    }

    /// All calls.
    pub fn total(&self) -> Rates {
        self.rates(&self.told["stats"]["total"])
    }

    fn rates(&self, group: &Value) -> Rates {
        let count = |name: &str| group[name].as_u64().unwrap_or(0);
        let seconds = self.window.as_secs_f64().max(1.0);
        let (calls, errors) = (count("requests"), count("errors"));
        let dollars = Picodollars::new(group["cost_picodollars"].as_i64().unwrap_or(0)).as_dollars();
        Rates {
            calls_per_s: calls as f64 / seconds,
            errors,
            error_share: if calls > 0 { errors as f64 / calls as f64 } else { 0.0 },
            tokens_per_s: count("output_tokens") as f64 / seconds,
            dollars_per_h: dollars * 3_600.0 / seconds,
        }
    }

    /// Percentiles of all calls: of `latency_ms` or `ttft_ms`, the 50th and the 95th.
    pub fn percentiles(&self, of: &str) -> (Option<f64>, Option<f64>) {
        percentiles(&self.told["stats"]["total"], of)
    }

    /// The calls of each model.
    pub fn models(&self) -> Vec<ModelRow> {
        let groups = self.told["stats"]["groups"].as_array().map_or(&[][..], Vec::as_slice);
        let row = |group: &Value| ModelRow {
            model: group["group"].as_str().filter(|name| !name.is_empty()).unwrap_or("(not told)").to_owned(),
            rates: self.rates(group),
            calls: group["requests"].as_u64().unwrap_or(0),
            latency_ms: percentiles(group, "latency_ms"),
            ttft_ms: percentiles(group, "ttft_ms"),
        };
        groups.iter().map(row).collect()
    }

    /// Calls over time, the oldest first.
    pub fn calls_over_time(&self) -> Vec<u64> {
        let points = self.told["overview"]["series"][0]["requests"].as_array().map_or(&[][..], Vec::as_slice);
        points.iter().map(|point| point.as_u64().unwrap_or(0)).collect()
    }

    /// The last calls, the newest first.
    pub fn recent(&self) -> Vec<CallRow> {
        let traces = self.told["traces"]["data"].as_array().map_or(&[][..], Vec::as_slice);
        traces.iter().map(call).collect()
    }

    /// Requests that are being answered, but for this one.
    pub fn running(&self) -> u64 {
        self.told["status"]["in_flight"].as_u64().unwrap_or(0).saturating_sub(1)
    }

    /// Spans that wait to be written, and those that were lost since the server started.
    pub fn recorder(&self) -> (u64, u64) {
        let recorder = &self.told["status"]["recorder"];
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let lost = count(&recorder["dropped"]) + count(&recorder["failed"]);
        (count(&recorder["queue_depth"]), lost + count(&self.told["status"]["unrecorded_calls"]))
    }

    /// What is wrong with the lake, if anything is; else how large it is.
    pub fn lake(&self) -> Result<String, String> {
        let lake = &self.told["status"]["lake"];
        let said = |alarm: &Value| alarm["message"].as_str().unwrap_or("something").to_owned();
        if lake["failing"].is_object() {
            return Err(format!("fails: {}", said(&lake["failing"])));
        }
        if lake["quarantined"].as_u64().unwrap_or(0) > 0 {
            return Err(format!("{} damaged files are set aside", lake["quarantined"]));
        }
        let tables = lake["tables"].as_array().map_or(&[][..], Vec::as_slice);
        let rows: u64 = tables
            .iter()
            .filter(|table| table["table"] == "spans")
            .map(|table| table["segment_rows"].as_u64().unwrap_or(0) + table["staged_rows"].as_u64().unwrap_or(0))
            .sum();
        Ok(format!("{rows} spans"))
    }

    /// Of each loaded model its name, the sequences that are computed and those that wait.
    pub fn engine(&self) -> Vec<(String, u64, u64)> {
        let loaded = self.told["status"]["engine"].as_array().map_or(&[][..], Vec::as_slice);
        let row = |model: &Value| {
            let count = |name: &str| model["stats"][name].as_u64().unwrap_or(0);
            (model["name"].as_str().unwrap_or("?").to_owned(), count("slots_busy"), count("queue_length"))
        };
        loaded.iter().map(row).collect()
    }

    /// Since the server started.
    pub fn uptime(&self) -> Duration {
        Duration::from_millis(self.told["status"]["uptime_ms"].as_u64().unwrap_or(0))
    }
}

fn percentiles(group: &Value, of: &str) -> (Option<f64>, Option<f64>) {
    (group[of]["p50"].as_f64(), group[of]["p95"].as_f64())
}

fn call(trace: &Value) -> CallRow {
    let text = |name: &str| trace[name].as_str().unwrap_or_default().to_owned();
    let count = |name: &str| trace[name].as_u64().unwrap_or(0);
    let model = ["model", "model_requested"].into_iter().map(text).find(|name| !name.is_empty());
    CallRow {
        // The time of day, by UTC as everywhere on the command line.
        clock: text("start_time").chars().skip(11).take(8).collect(),
        status: text("status"),
        model: model.unwrap_or_else(|| text("name")),
        latency_ms: trace["latency_ms"].as_f64().unwrap_or(0.0),
        tokens: (count("input_tokens"), count("output_tokens")),
        cost: Picodollars::new(trace["cost_picodollars"].as_i64().unwrap_or(0)),
        message: text("status_message"),
    }
}
