//! `quarterdeck stats`: what people ask of many calls at once.

use std::time::Duration;

use qd_base::{Picodollars, Timestamp};
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Stats, StatsFilter, StatsGroups};
use crate::command::budget::{self, BUDGET};
use crate::command::with_door;
use crate::context::Context;
use crate::door::{Door, query};
use crate::output::{Column, line};

const LATENCY: &[Column<'_>] = &[
    ("group", "group"),
    ("calls", "requests"),
    ("p50 ms", "latency_ms.p50"),
    ("p90", "latency_ms.p90"),
    ("p95", "latency_ms.p95"),
    ("p99", "latency_ms.p99"),
    ("ttft p50 ms", "ttft_ms.p50"),
    ("ttft p95", "ttft_ms.p95"),
    ("per token p50 ms", "tpot_ms.p50"),
    ("per token p95", "tpot_ms.p95"),
    ("tokens/s", "output_tokens_per_s"),
];

const USAGE: &[Column<'_>] = &[
    ("group", "group"),
    ("calls", "requests"),
    ("input", "input_tokens"),
    ("cached", "cached_tokens"),
    ("cached share", "cached_share"),
    ("output", "output_tokens"),
    ("cost", "cost"),
];

const COST: &[Column<'_>] = &[
    ("group", "group"),
    ("cost", "cost"),
    ("share", "cost_share"),
    ("calls", "requests"),
    ("per call", "cost_per_call"),
    ("input", "input_tokens"),
    ("output", "output_tokens"),
];

const LENGTH: &[Column<'_>] = &[
    ("group", "group"),
    ("calls", "n"),
    ("tokens", "tokens"),
    ("base ms", "fit.intercept_ms"),
    ("± ", "fit.intercept_se"),
    ("ms per token", "fit.slope_ms_per_token"),
    ("±", "fit.slope_se"),
    ("R²", "fit.r2"),
    ("beyond p5 ms", "residuals_ms.p5"),
    ("p50", "residuals_ms.p50"),
    ("p95", "residuals_ms.p95"),
    ("", "no_fit"),
];

const ERRORS: &[Column<'_>] =
    &[("kind", "kind"), ("calls", "calls"), ("share", "share"), ("last", "last"), ("example", "example")];

const ERRORS_BY_GROUP: &[Column<'_>] =
    &[("group", "group"), ("kind", "kind"), ("calls", "calls"), ("of calls", "requests"), ("share", "share")];

const TARGETS: &[Column<'_>] =
    &[("target", "target"), ("attempts", "attempts"), ("failed", "failed"), ("how", "how"), ("went on to", "to")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Stats) -> Result<(), Error> {
    with_door(context, async |door| match verb {
        Stats::Latency(groups) => by_group(context, door, groups, "requests", LATENCY).await,
        Stats::Usage(groups) => usage(context, door, groups).await,
        Stats::Cost(groups) => by_group(context, door, groups, "cost", COST).await,
        Stats::Length(filter) => length(context, door, filter).await,
        Stats::Errors(filter) => errors(context, door, filter).await,
        Stats::Retries(filter) => retries(context, door, filter).await,
    })
    .await
}

/// Tokens by group and, in a table, how far the budgets are.
async fn usage(context: &Context, door: &Door, groups: StatsGroups) -> Result<(), Error> {
    by_group(context, door, groups, "tokens", USAGE).await?;
    if !context.printer.is_for_people() {
        return Ok(());
    }
    let budgets = budget::list(door).await?;
    match budgets.is_empty() {
        true => Ok(()),
        false => {
            line("")?;
            context.printer.rows(&budgets, BUDGET)
        }
    }
}

/// The groups and, in a table, what all calls come to.
async fn by_group(
    context: &Context,
    door: &Door,
    groups: StatsGroups,
    order: &str,
    columns: &[Column<'_>],
) -> Result<(), Error> {
    let limit = groups.limit.to_string();
    let by = groups.filter.by.as_deref().unwrap_or("model");
    let more = [("group_by", Some(by)), ("limit", Some(limit.as_str())), ("order", Some(order))];
    let found = ask(door, "/api/v1/stats", &groups.filter, &more).await?;
    let total = found["total"].clone();
    let mut rows: Vec<Value> = found["groups"].as_array().cloned().unwrap_or_default();
    if context.printer.is_for_people() {
        rows.push(json!({"group": "all"}));
        merge(rows.last_mut(), &total);
    }
    rows.iter_mut().for_each(|row| with_money(row, &total));
    if context.printer.is_for_people() {
        rows.iter_mut().for_each(round);
    }
    context.printer.rows(&rows, columns)?;
    if let Some(others) = found["other_groups"].as_u64().filter(|&others| others > 0) {
        eprintln!("{others} more groups; --limit shows more");
    }
    Ok(())
}

/// Puts the fields of `total` into a row that has a group already.
fn merge(row: Option<&mut Value>, total: &Value) {
    if let (Some(Value::Object(row)), Value::Object(total)) = (row, total) {
        total.iter().filter(|(name, _)| *name != "group").for_each(|(name, value)| {
            row.insert(name.clone(), value.clone());
        });
    }
}

/// Money as text, and what it is of all and for each call.
fn with_money(row: &mut Value, total: &Value) {
    let cost = row["cost_picodollars"].as_i64().unwrap_or(0);
    let all = total["cost_picodollars"].as_i64().unwrap_or(0);
    let calls = row["requests"].as_i64().unwrap_or(0);
    row["cost"] = Picodollars::new(cost).to_string().into();
    row["cost_share"] = if all > 0 { json!(cost as f64 / all as f64) } else { Value::Null };
    row["cost_per_call"] = if calls > 0 { Picodollars::new(cost / calls).to_string().into() } else { Value::Null };
}

/// Numbers as a person reads them: shares in percent, the rest with as many digits as say something.
fn round(row: &mut Value) {
    let Value::Object(fields) = row else { return };
    for (name, value) in fields {
        match value {
            Value::Object(_) => round(value),
            Value::Number(number) if number.is_f64() => {
                let number = number.as_f64().unwrap_or(0.0);
                let text = match name.ends_with("share") || name == "error_rate" {
                    true => format!("{:.1} %", 100.0 * number),
                    false => digits(number),
                };
                *value = text.into();
            }
            _ => {}
        }
    }
}

/// Three significant digits below a thousand, whole numbers above.
fn digits(number: f64) -> String {
    match number.abs() {
        size if size == 0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 1.0 => format!("{number:.2}"),
        size if size >= 0.001 => format!("{number:.4}"),
        _ => format!("{number:.1e}"),
    }
}

async fn length(context: &Context, door: &Door, filter: StatsFilter) -> Result<(), Error> {
    // A table draws no points; programs get what the server gives.
    let points = if context.printer.is_for_people() { Some("0") } else { None };
    let more = [("group_by", filter.by.as_deref()), ("points", points)];
    let mut found = ask(door, "/api/v1/stats/length", &filter, &more).await?;
    let mut rows: Vec<Value> = found["groups"].as_array_mut().map(std::mem::take).unwrap_or_default();
    for row in &mut rows {
        row["tokens"] = format!("{}–{}", row["tokens_min"], row["tokens_max"]).into();
        if context.printer.is_for_people() {
            row["no_fit"] = match row["no_fit"].as_str() {
                Some("too_few") => json!("fewer than three calls"),
                Some("same_length") => json!("all answers are as long"),
                _ => Value::Null,
            };
            round(row);
        }
    }
    context.printer.rows(&rows, LENGTH)
}

async fn errors(context: &Context, door: &Door, filter: StatsFilter) -> Result<(), Error> {
    let found = ask(door, "/api/v1/stats/errors", &filter, &[("group_by", filter.by.as_deref())]).await?;
    let list = |name: &str| found[name].as_array().cloned().unwrap_or_default();
    let (mut rows, columns) = match filter.by {
        None => (list("kinds"), ERRORS),
        Some(_) => (list("groups").iter().flat_map(by_kind).collect(), ERRORS_BY_GROUP),
    };
    if context.printer.is_for_people() {
        rows.iter_mut().for_each(round);
        let (failed, cancelled) = (&found["errors"], &found["cancelled"]);
        eprintln!("{} calls, of which {failed} failed and {cancelled} were cancelled", found["requests"]);
    }
    context.printer.rows(&rows, columns)
}

/// A row for each kind of failure in a group.
fn by_kind(group: &Value) -> Vec<Value> {
    let kinds = group["kinds"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |kind: &Value| {
        let share = kind["calls"].as_f64().zip(group["requests"].as_f64()).map(|(calls, all)| calls / all);
        json!({
            "group": group["group"], "requests": group["requests"], "kind": kind["kind"], "calls": kind["calls"], "share": share,
        })
    };
    kinds.iter().map(row).collect()
}

async fn retries(context: &Context, door: &Door, filter: StatsFilter) -> Result<(), Error> {
    if filter.by.is_some() {
        return Err(Error::Usage {
            problem: "retries are told by target, so --by has no meaning here".to_owned(),
            help: "leave it out, or look at one model with --model".to_owned(),
        });
    }
    let found = ask(door, "/api/v1/stats/retries", &filter, &[]).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let list = |name: &str| found[name].as_array().cloned().unwrap_or_default();
    let (paths, mut rows) = (list("paths"), list("targets"));
    for row in &mut rows {
        let target = format!("{}/{}", row["provider"].as_str().unwrap_or(""), row["model"].as_str().unwrap_or(""));
        let how = list_of(&row["kinds"], |kind| format!("{} {}", kind["calls"], kind["kind"].as_str().unwrap_or("?")));
        let to: Vec<String> = paths
            .iter()
            .filter(|path| path["from"] == target.as_str())
            .map(|path| format!("{} ({})", path["to"].as_str().unwrap_or("?"), path["calls"]))
            .collect();
        row["how"] = how.into();
        row["to"] = to.join(", ").into();
        row["target"] = target.into();
    }
    eprintln!(
        "{} calls; {} had an attempt that failed: {} were asked again, {} went on to another target, {} were answered in the end",
        found["requests"], found["troubled"], found["retried"], found["fell_back"], found["rescued"]
    );
    context.printer.rows(&rows, TARGETS)
}

fn list_of(values: &Value, one: impl Fn(&Value) -> String) -> String {
    values.as_array().map_or_else(String::new, |values| values.iter().map(one).collect::<Vec<_>>().join(", "))
}

async fn ask(door: &Door, path: &str, filter: &StatsFilter, more: &[(&str, Option<&str>)]) -> Result<Value, Error> {
    let since = match &filter.last {
        Some(last) => Some(Timestamp::now().saturating_sub(*last).to_string()),
        None => filter.since.clone(),
    };
    let experiments = filter.experiments.map(|wanted| wanted.to_string());
    let parameters = [
        ("from", since.as_deref()),
        ("to", filter.until.as_deref()),
        ("model", filter.model.as_deref()),
        ("provider", filter.provider.as_deref()),
        ("prompt", filter.prompt.as_deref()),
        ("user", filter.user.as_deref()),
        ("session", filter.session.as_deref()),
        ("environment", filter.environment.as_deref()),
        ("tag", filter.tag.as_deref()),
        ("experiments", experiments.as_deref()),
    ];
    door.get(&format!("{path}{}", query(&[&parameters, more].concat()))).await
}

/// A length of time as people write it: `90s`, `15m`, `24h`, `7d` or `4w`.
///
/// # Errors
/// A sentence for the person when it is none, or longer than ten years.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    const TEN_YEARS_S: u64 = 3_653 * 86_400;
    let wrong =
        || format!("{text:?} is not a length of time: write it like 90s, 15m, 24h, 7d or 4w, ten years at most");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_s));
    seconds.filter(|&seconds| (1..=TEN_YEARS_S).contains(&seconds)).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let seconds = |text: &str| read_duration(text).map(|length| length.as_secs());
        assert_eq!((seconds("90s"), seconds("15m"), seconds("24h")), (Ok(90), Ok(900), Ok(86_400)));
        assert_eq!((seconds("7d"), seconds("4w")), (Ok(604_800), Ok(2_419_200)));
        for wrong in ["", "7", "d", "0d", "-1d", "1y", "1.5h", "99999999999999999999d", "9999w", "7 d", "é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_rounded_for_people_and_shares_are_percents() {
        let mut row =
            json!({"share": 0.1234, "latency_ms": {"p50": 1234.56, "p90": 12.345}, "n": 7, "r2": 0.98765, "x": 0.0});
        round(&mut row);
        let expected =
            json!({"share": "12.3 %", "latency_ms": {"p50": "1235", "p90": "12.3"}, "n": 7, "r2": "0.9877", "x": "0"});
        assert_eq!(row, expected);
    }
}
