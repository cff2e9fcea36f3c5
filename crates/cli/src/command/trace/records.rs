//! The records of a file from elsewhere, one after the other: JSON lines, a JSON array, CSV or Parquet.
//!
//! Each comes as JSON text with its place, so that what is wrong with it can be found. A file is never held as a whole.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::Error;

/// A longer record is refused: a request could not carry it.
const RECORD_BYTES_MAX: usize = 24 << 20;
/// So much of a file is looked at to tell what it is.
const HEAD_BYTES: usize = 64 << 10;
/// Records between the thread that reads and the one that sends.
const AHEAD: usize = 64;

/// A record, or why there is none at this place.
pub struct Record {
    /// The line that it begins in, or its number where there are no lines; from 1.
    pub place: usize,
    pub json: Result<Box<RawValue>, String>,
}

/// Where a record stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    Lines,
    Records,
}

/// The records of a file and how they are counted.
pub struct Records {
    pub places: Places,
    pub received: mpsc::Receiver<Record>,
    reading: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Records {
    /// Begins to read `file`, or standard input for `-`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::doing(format!("opening {}", file.display()), cause);
        let source: Box<dyn Read + Send> = match file == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(file).map_err(failed)?),
        };
        let mut source = BufReader::with_capacity(HEAD_BYTES, source);
        let head = source.fill_buf().map_err(failed)?.to_vec();
        let form = Form::of(&head, file);
        let places = if form == Form::Lines || form == Form::Csv { Places::Lines } else { Places::Records };
        let (sender, received) = mpsc::channel(AHEAD);
        let path = file.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let mut send = |place, json| sender.blocking_send(Record { place, json }).is_ok();
            let read = match form {
                Form::Lines => lines(source, &mut send),
                Form::Csv => csv(source, &mut send),
                Form::Document => document(source, &mut send),
                Form::Parquet => parquet(&path, &mut send),
            };
            read.map_err(|why| Error::doing(format!("reading {}", path.display()), why))
        });
        Ok(Self { places, received, reading })
    }

    /// What ended the reading before the end of the file, if something did.
    ///
    /// # Errors
    /// That.
    pub async fn finish(self) -> Result<(), Error> {
        drop(self.received);
        self.reading.await.map_err(|cause| Error::doing("reading the file", cause))?
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Document,
    Csv,
    Parquet,
}

impl Form {
    fn of(head: &[u8], file: &Path) -> Self {
        if head.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Self::Document,
            // An object that ends in the line it begins in is the first of many; another is all there is, unless the name
            // says otherwise or its line goes on beyond what was looked at.
            Some(b'{') => {
                let line = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
                let complete = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
                let named = file.extension().is_some_and(|name| name == "jsonl" || name == "ndjson");
                let longer = head.len() == HEAD_BYTES && line.len() + 4 >= HEAD_BYTES;
                if complete || named || longer { Self::Lines } else { Self::Document }
            }
            Some(_) => Self::Csv,
            None => Self::Lines,
        }
    }
}

/// Hands a record on with its place; false when nobody takes them any more.
type Hand<'a> = &'a mut dyn FnMut(usize, Result<Box<RawValue>, String>) -> bool;

fn lines(mut source: impl BufRead, send: Hand<'_>) -> Result<(), String> {
    let mut line = Vec::new();
    for place in 1.. {
        line.clear();
        let read = source.by_ref().take(RECORD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(|cause| cause.to_string())? == 0 {
            return Ok(());
        }
        if line.len() > RECORD_BYTES_MAX {
            skip_line(&mut source)?;
            if !send(place, Err(too_long())) {
                return Ok(());
            }
            continue;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if !text.is_empty() && !send(place, raw(text)) {
            return Ok(());
        }
    }
    Ok(())
}

fn skip_line(source: &mut impl BufRead) -> Result<(), String> {
    source.skip_until(b'\n').map(drop).map_err(|cause| cause.to_string())
}

fn too_long() -> String {
    format!("it is longer than {RECORD_BYTES_MAX} bytes")
}

fn raw(text: &[u8]) -> Result<Box<RawValue>, String> {
    serde_json::from_slice::<Box<RawValue>>(text).map_err(|cause| format!("it is not JSON: {cause}"))
}

/// A JSON document: an array of records, one record, or what `DataFrame.to_json()` makes by default, an object of columns.
fn document(source: impl Read, send: Hand<'_>) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_reader(source);
    let result = Elements { send, next: 1 }.deserialize(&mut reader);
    match result {
        Err(cause) if !cause.to_string().contains(STOPPED) => Err(format!("it is not JSON: {cause}")),
        _ => Ok(()),
    }
}

/// What ends the reading of a document when nobody takes its records any more.
const STOPPED: &str = "nobody takes the records";

struct Elements<'a> {
    send: Hand<'a>,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records or one record")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Box<RawValue>>()? {
            let item = if item.get().len() > RECORD_BYTES_MAX { Err(too_long()) } else { Ok(item) };
            if !(self.send)(self.next, item) {
                return Err(serde::de::Error::custom(STOPPED));
            }
            self.next += 1;
        }
        Ok(())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let mut record = Map::new();
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            record.insert(name, value);
        }
        // The API of Langfuse has its records in `data`.
        let records = match record.remove("data") {
            Some(Value::Array(records)) => records,
            Some(data) => {
                record.insert("data".to_owned(), data);
                vec![Value::Object(record)]
            }
            None => rows_of_columns(record),
        };
        for record in records {
            let text = serde_json::value::to_raw_value(&record).map_err(|cause| cause.to_string());
            if !(self.send)(self.next, text) {
                return Err(serde::de::Error::custom(STOPPED));
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// The rows of an object of columns, each an object of values by row; anything else is one record.
fn rows_of_columns(record: Map<String, Value>) -> Vec<Value> {
    let is_column =
        |(name, value): (&String, &Value)| value.is_object() && !["context", "attributes"].contains(&name.as_str());
    if !record.contains_key("name") || !record.iter().all(is_column) {
        return vec![Value::Object(record)];
    }
    let mut rows: Map<String, Value> = Map::new();
    for (column, values) in record {
        let Value::Object(values) = values else { continue };
        for (row, value) in values {
            rows.entry(row).or_insert_with(|| Value::Object(Map::new()))[column.as_str()] = value;
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// RFC 4180 with a header; every value is a text.
fn csv(mut source: impl BufRead, send: Hand<'_>) -> Result<(), String> {
    let mut place = 1;
    let header = fields(&mut source, &mut place)?.map_or_else(Vec::new, |fields| fields.unwrap_or_default());
    loop {
        let begins = place;
        let Some(row) = fields(&mut source, &mut place)? else { return Ok(()) };
        let record = row.and_then(|row| match row.len() == header.len() {
            true => Ok(header.iter().cloned().zip(row.into_iter().map(Value::String)).collect::<Map<_, _>>()),
            false => Err(format!("it has {} fields, the header has {}", row.len(), header.len())),
        });
        let json =
            record.and_then(|record| serde_json::value::to_raw_value(&record).map_err(|cause| cause.to_string()));
        if !send(begins, json) {
            return Ok(());
        }
    }
}

/// The fields of the next row; none at the end. `place` is the line that comes after it.
fn fields(source: &mut impl BufRead, place: &mut usize) -> Result<Option<Result<Vec<String>, String>>, String> {
    let mut row = Vec::new();
    loop {
        let before = row.len();
        let room = (RECORD_BYTES_MAX + 1).saturating_sub(row.len()) as u64;
        let read = source.by_ref().take(room).read_until(b'\n', &mut row).map_err(|cause| cause.to_string())?;
        *place += usize::from(row.len() > before && row.ends_with(b"\n"));
        if row.len() > RECORD_BYTES_MAX {
            skip_line(source)?;
            *place += 1;
            return Ok(Some(Err(too_long())));
        }
        let quotes = row.iter().filter(|byte| **byte == b'"').count();
        match (read, quotes % 2) {
            (0, _) if row.is_empty() => return Ok(None),
            (0, 1) => return Ok(Some(Err("a field is not closed with a quotation mark".to_owned()))),
            // A line break within quotation marks belongs to the field.
            (1.., 1) => continue,
            _ if row.trim_ascii().is_empty() => row.clear(),
            _ => return Ok(Some(split(&row))),
        }
    }
}

fn split(row: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(row).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    Ok(fields)
}

fn parquet(path: &Path, send: Hand<'_>) -> Result<(), String> {
    if path == Path::new("-") {
        return Err(
            "a Parquet file is read from its end, which standard input does not allow; name the file".to_owned()
        );
    }
    let mut place = 1;
    for batch in qd_lake::read_parquet(path).map_err(|error| error.chain())? {
        let rows = qd_lake::portable::json_lines(&batch.map_err(|error| error.chain())?);
        for row in Cursor::new(rows.map_err(|error| error.chain())?).split(b'\n') {
            let row = row.map_err(|cause| cause.to_string())?;
            let json = if row.len() > RECORD_BYTES_MAX { Err(too_long()) } else { raw(&row) };
            if !send(place, json) {
                return Ok(());
            }
            place += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text, as their places and JSON or what is wrong.
    fn check(text: &str, file: &str, form: Form, expected: &[(usize, &str)]) {
        let found_form = Form::of(&text.as_bytes()[..text.len().min(HEAD_BYTES)], Path::new(file));
        assert_eq!(found_form, form, "{text}");
        let mut found = Vec::new();
        let mut send = |place, json: Result<Box<RawValue>, String>| {
            found.push((place, json.map_or_else(|why| why, |json| json.get().to_owned())));
            true
        };
        let source = Cursor::new(text.as_bytes());
        match form {
            Form::Lines => lines(source, &mut send),
            Form::Csv => csv(source, &mut send),
            Form::Document => document(source, &mut send),
            Form::Parquet => unreachable!("it is no text"),
        }
        .expect("it is readable");
        let found: Vec<_> = found.iter().map(|(place, json)| (*place, json.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn lines_have_their_numbers_and_bad_ones_do_not_end_the_file() {
        let bad = "it is not JSON: expected value at line 1 column 1";
        check(
            "{\"a\":1}\n\n what\n{\"a\": 1.50}",
            "x",
            Form::Lines,
            &[(1, "{\"a\":1}"), (3, bad), (4, "{\"a\": 1.50}")],
        );
        check("", "x", Form::Lines, &[]);
        check("\u{feff}{\"a\":1}\r\n", "x", Form::Lines, &[(1, "{\"a\":1}")]);
    }

    #[test]
    fn documents_are_read_record_by_record() {
        check("[{\"a\": 1},\n {\"b\":2}]", "x", Form::Document, &[(1, "{\"a\": 1}"), (2, "{\"b\":2}")]);
        check("{\n \"a\": 1\n}", "x.json", Form::Document, &[(1, "{\"a\":1}")]);
        check("{\n \"data\": [{\"a\":1}]\n}", "x.json", Form::Document, &[(1, "{\"a\":1}")]);
        let columns = "{\n\"name\":{\"0\":\"a\",\"1\":\"b\"},\"n\":{\"0\":1,\"1\":2}}";
        check(columns, "x.json", Form::Document, &[(1, "{\"name\":\"a\",\"n\":1}"), (2, "{\"name\":\"b\",\"n\":2}")]);
    }

    #[test]
    fn csv_follows_rfc_4180() {
        let text = "a,b\r\n1,\"x \"\"y\"\", z\"\r\n\"two\nlines\",2\r\n3\r\n";
        let wrong = "it has 1 fields, the header has 2";
        check(
            text,
            "x.csv",
            Form::Csv,
            &[(2, "{\"a\":\"1\",\"b\":\"x \\\"y\\\", z\"}"), (3, "{\"a\":\"two\\nlines\",\"b\":\"2\"}"), (5, wrong)],
        );
    }
}
