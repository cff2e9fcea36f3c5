//! `quarterdeck trace`: recorded calls, listed, shown and followed.

mod export;
mod import;
mod records;

use http::Method;
use qd_base::Picodollars;
use serde_json::Value;

use crate::Error;
use crate::args::{Trace, TraceFilter};
use crate::command::{pages, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const SUMMARY: &[Column<'_>] = &[
    ("started", "start_time"),
    ("trace", "trace_id"),
    ("name", "name"),
    ("status", "status"),
    ("model", "model"),
    ("ms", "latency_ms"),
    ("in", "input_tokens"),
    ("out", "output_tokens"),
    ("cost", "cost"),
];

const SPAN: &[Column<'_>] = &[
    ("started", "start_time"),
    ("span", "span_id"),
    ("kind", "kind"),
    ("name", "name"),
    ("status", "status"),
    ("model", "model"),
    ("ms", "latency_ms"),
    ("in", "input_tokens"),
    ("out", "output_tokens"),
    ("cost", "cost"),
    ("input", "input"),
    ("output", "output"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Trace) -> Result<(), Error> {
    match verb {
        Trace::List(filter) => with_door(context, async |door| list(context, door, filter).await).await,
        Trace::Show { id } => with_door(context, async |door| show(context, door, id).await).await,
        Trace::Tail => tail(context).await,
        Trace::Export(wanted) => with_door(context, async |door| export::run(context, door, wanted).await).await,
        Trace::Import(wanted) => with_door(context, async |door| import::run(context, door, wanted).await).await,
    }
}

async fn list(context: &Context, door: &Door, filter: TraceFilter) -> Result<(), Error> {
    let except = excepted(&filter);
    let (rows, _) = pages(door, "/api/v1/traces", &parameters(&filter, except.as_deref()), filter.limit).await?;
    context.printer.rows(&readable(context, rows), SUMMARY)
}

/// For people a time to the millisecond and money in dollars; programs get what the server said, and more.
fn readable(context: &Context, mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        row["cost"] = row["cost_picodollars"].as_i64().map(|cost| Picodollars::new(cost).to_string()).into();
        if context.printer.is_for_people() {
            row["start_time"] = row["start_time"].as_str().map(|time| time.chars().take(23).collect::<String>()).into();
            row["latency_ms"] = row["latency_ms"].as_f64().map(|latency_ms| format!("{latency_ms:.1}")).into();
        }
    }
    rows
}

/// The groups that are not wanted, as the server takes them.
fn excepted(filter: &TraceFilter) -> Option<String> {
    (!filter.except_group.is_empty()).then(|| Value::from(filter.except_group.clone()).to_string())
}

fn parameters<'a>(filter: &'a TraceFilter, except: Option<&'a str>) -> [(&'static str, Option<&'a str>); 11] {
    [
        ("model", filter.model.as_deref()),
        ("status", filter.status.as_deref()),
        ("prompt", filter.prompt.as_deref()),
        ("calls", filter.calls.then_some("true")),
        ("session", filter.session.as_deref()),
        ("user", filter.user.as_deref()),
        ("group_by", filter.group_by.as_deref()),
        ("group", filter.group.as_deref()),
        ("except_groups", except),
        ("from", filter.since.as_deref()),
        ("to", filter.until.as_deref()),
    ]
}

async fn show(context: &Context, door: &Door, id: String) -> Result<(), Error> {
    let mut trace = door.get(&format!("/api/v1/traces/{}", segment(&id))).await?;
    let spans = match trace["spans"].take() {
        Value::Array(spans) => readable(context, spans),
        _ => Vec::new(),
    };
    match spans.as_slice() {
        [only] if context.printer.is_for_people() => context.printer.object(only),
        all => context.printer.rows(all, SPAN),
    }
}

/// Calls finish in a server, so this asks for one that runs.
async fn tail(context: &Context) -> Result<(), Error> {
    let door = Door::running(context).await?;
    let mut events = door.events(Method::GET, "/api/v1/traces/tail", None).await?;
    while let Some((name, value)) = events.next_json().await? {
        match name.as_str() {
            "missed" => eprintln!("{value} spans came faster than they were read"),
            _ => readable(context, vec![value]).iter().try_for_each(|row| context.printer.next(row, SUMMARY))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};
    use crate::door::query;

    fn check(flags: &[&str], expected: &str) {
        let words = ["quarterdeck", "trace", "list"].iter().chain(flags);
        let Command::Trace(Trace::List(filter)) = Arguments::try_parse_from(words).expect("it parses").command else {
            panic!("{flags:?} is a list of traces");
        };
        assert_eq!(query(&parameters(&filter, excepted(&filter).as_deref())), expected);
    }

    #[test]
    fn groups_are_asked_for_as_the_server_takes_them() {
        check(&["--group-by", "user", "--group", ""], "?group_by=user&group=");
        let except = "?group_by=model&except_groups=%5B%22a%22%2C%22b%22%5D";
        check(&["--group-by", "model", "--except-group", "a", "--except-group", "b"], except);
    }
}
