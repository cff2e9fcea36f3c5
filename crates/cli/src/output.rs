//! What was asked for, on standard output: a table for people, JSON, JSON lines or CSV for programs.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Map, Value};

use crate::Error;
use crate::args::Format;

/// A column of a table or CSV file: its heading and the field it shows. A name that is no field itself is
/// a path with dots; SQL names a field `approx_percentile_cont(spans.latency_ms,Float64(0.99))`.
pub type Column<'a> = (&'a str, &'a str);

/// Prints in the format that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    format: Format,
}

impl Printer {
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether a person reads it.
    pub fn is_for_people(self) -> bool {
        self.format == Format::Table
    }

    /// Rows of one kind. Tables and CSV show `columns`, the JSON forms everything.
    pub fn rows(self, rows: &[Value], columns: &[Column<'_>]) -> Result<(), Error> {
        write(|out| match self.format {
            Format::Table => table(out, rows, columns),
            Format::Json => json(out, &Value::Array(rows.to_vec())),
            Format::Jsonl => rows.iter().try_for_each(|row| writeln!(out, "{row}")),
            Format::Csv => {
                csv_line(out, columns.iter().map(|(heading, _)| (*heading).to_owned()))?;
                rows.iter().try_for_each(|row| csv_line(out, cells(row, columns)))
            }
        })
    }

    /// One row of a feed, as it comes.
    pub fn next(self, row: &Value, columns: &[Column<'_>]) -> Result<(), Error> {
        write(|out| {
            match self.format {
                Format::Table => writeln!(out, "{}", cells(row, columns).collect::<Vec<_>>().join("  "))?,
                Format::Json | Format::Jsonl => writeln!(out, "{row}")?,
                Format::Csv => csv_line(out, cells(row, columns))?,
            }
            out.flush()
        })
    }

    /// One thing with all its fields.
    pub fn object(self, value: &Value) -> Result<(), Error> {
        write(|out| match self.format {
            Format::Table => fields(out, value),
            Format::Json => json(out, value),
            Format::Jsonl => writeln!(out, "{value}"),
            Format::Csv => {
                let empty = Map::new();
                let map = value.as_object().unwrap_or(&empty);
                csv_line(out, map.keys().cloned())?;
                csv_line(out, map.values().map(text))
            }
        })
    }
}

/// Text as it is, with a line break at the end: scripts, documents, answers.
pub fn line(text: &str) -> Result<(), Error> {
    write(|out| writeln!(out, "{text}"))
}

/// Text as it comes, at once: the pieces of a streamed answer.
pub fn piece(text: &str) -> Result<(), Error> {
    write(|out| {
        out.write_all(text.as_bytes())?;
        out.flush()
    })
}

fn write(print: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Result<(), Error> {
    print(&mut io::stdout().lock()).map_err(|cause| Error::Output { cause })
}

fn json(out: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

fn table(out: &mut impl Write, rows: &[Value], columns: &[Column<'_>]) -> io::Result<()> {
    let mut table = plain_table();
    table.set_header(columns.iter().map(|(heading, _)| heading.to_uppercase()));
    for row in rows {
        table.add_row(cells(row, columns));
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn fields(out: &mut impl Write, value: &Value) -> io::Result<()> {
    let Value::Object(map) = value else {
        return writeln!(out, "{}", text(value));
    };
    let mut table = plain_table();
    for (name, value) in map {
        table.add_row([name.clone(), text(value)]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn cells<'a>(row: &'a Value, columns: &'a [Column]) -> impl Iterator<Item = String> + 'a {
    columns.iter().map(|(_, path)| text(field(row, path)))
}

fn field<'a>(row: &'a Value, path: &str) -> &'a Value {
    row.get(path).unwrap_or_else(|| path.split('.').fold(row, |value, name| &value[name]))
}

/// A value as a person writes it: text without quotes, nothing for null, lists with commas.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// RFC 4180: a field with a comma, a quote or a line break stands in quotes, its own quotes doubled.
fn csv_line(out: &mut impl Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let quoted = fields.map(|field| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    write!(out, "{}\r\n", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn csv_follows_rfc_4180() {
        let mut out = Vec::new();
        // The fields of the RFC's own examples (section 2, rules 5 to 7).
        csv_line(&mut out, ["aaa", "b \r\nbb", "b\"bb", "c,c"].into_iter().map(str::to_owned)).expect("memory");
        assert_eq!(String::from_utf8_lossy(&out), "aaa,\"b \r\nbb\",\"b\"\"bb\",\"c,c\"\r\n");
    }

    #[test]
    fn cells_reach_into_nested_fields() {
        let row = json!({"model": "m", "usage": {"total": 7}, "tags": ["a", "b"], "cost": null});
        let found: Vec<_> =
            cells(&row, &[("m", "model"), ("t", "usage.total"), ("tags", "tags"), ("c", "cost"), ("x", "absent.x")])
                .collect();
        assert_eq!(found, ["m", "7", "a, b", "", ""]);
    }

    #[test]
    fn a_field_whose_name_has_dots_is_a_field() {
        let row = json!({"max(spans.latency_ms)": 7, "max(spans": {"latency_ms)": 8}});
        assert_eq!(cells(&row, &[("", "max(spans.latency_ms)")]).collect::<Vec<_>>(), ["7"]);
    }
}
