//! `quarterdeck trace export`: spans into a file that is whole or not there.

use crate::Error;
use crate::args::{ExportFormat, ExportPayloads, TraceExport};
use crate::command::save::save;
use crate::context::Context;
use crate::door::{Door, query};

/// Asks for the spans and writes them.
pub async fn run(context: &Context, door: &Door, wanted: TraceExport) -> Result<(), Error> {
    let path = format!("/api/v1/traces/export{}", query(&parameters(&wanted)));
    save(context, door, &path, &wanted.to, "the spans").await
}

fn parameters(wanted: &TraceExport) -> [(&'static str, Option<&str>); 10] {
    let format = match wanted.format {
        ExportFormat::Jsonl => "jsonl",
        ExportFormat::Parquet => "parquet",
    };
    let payloads = wanted.payloads.map(|payloads| match payloads {
        ExportPayloads::Whole => "whole",
        ExportPayloads::Beginning => "beginning",
    });
    [
        ("format", Some(format)),
        ("payloads", payloads),
        ("model", wanted.model.as_deref()),
        ("status", wanted.status.as_deref()),
        ("kind", wanted.kind.as_deref()),
        ("session", wanted.session.as_deref()),
        ("user", wanted.user.as_deref()),
        ("tag", wanted.tag.as_deref()),
        ("from", wanted.since.as_deref()),
        ("to", wanted.until.as_deref()),
    ]
}
