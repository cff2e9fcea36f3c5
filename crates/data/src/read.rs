//! The records of a file from elsewhere, one after the other: JSON lines, JSON documents, CSV or Parquet, perhaps compressed.
//!
//! Each comes with its place, so that what is wrong with it can be found. A file is never held as a whole.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::check::Place;
use crate::column::MAX_COLUMNS;
use crate::{Error, Result};

/// A larger row is refused: a page of rows could not carry it.
pub const MAX_ROW_BYTES: usize = 16 << 20;
/// What a compressed file holds at most.
const MAX_EXPANDED_BYTES: u64 = 256 << 30;
/// JSON is read in such pieces, by which more than a row may be read before it ends.
const SHORT_BYTES: usize = 64 << 10;
/// So much of a file is looked at to tell what it is.
const HEAD_BYTES: usize = 256 << 10;

qd_base::words!(
    /// What a file is.
    Format, "format", {
        /// A JSON object in each line.
        Jsonl = "jsonl",
        /// A JSON array of objects, or an object that has one.
        Json = "json",
        /// RFC 4180 with a header; with tabs in place of commas when its name ends in `.tsv`.
        Csv = "csv",
        /// Apache Parquet.
        Parquet = "parquet",
    }
);

/// A file to be read.
#[derive(Debug, Clone)]
pub(crate) struct Input<'a> {
    /// Where it lies.
    pub file: &'a Path,
    /// As the request names it.
    pub name: &'a str,
    /// What it is, if that was said.
    pub format: Option<Format>,
    /// Which field of a JSON document holds the rows, if that was said.
    pub field: Option<&'a str>,
    /// Bytes of it that were read so far.
    pub done: Arc<AtomicU64>,
}

/// Takes a record with its place, or why there is none there; an error ends the reading.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Place, Result<Map<String, Value>, String>) -> Result<()>;

impl Input<'_> {
    /// What it is.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened.
    pub fn format(&self) -> Result<Format> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let mut head = Vec::new();
        let read = self.open()?.take(HEAD_BYTES as u64).read_to_end(&mut head);
        read.map_err(|cause| self.failed(cause))?;
        self.done.store(0, Ordering::Relaxed);
        Ok(guess(&head, self.name))
    }

    /// Reads all records.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read to its end, and that of `take`.
    pub fn read(&self, format: Format, take: Take<'_>) -> Result<()> {
        match format {
            Format::Jsonl => self.lines(take),
            Format::Json => self.document(take),
            Format::Csv => self.csv(take),
            Format::Parquet => self.parquet(take),
        }
    }

    fn failed(&self, why: impl fmt::Display) -> Error {
        Error::File { file: self.name.to_owned(), why: why.to_string() }
    }

    fn open(&self) -> Result<Box<dyn BufRead>> {
        let file = File::open(self.file).map_err(|cause| self.failed(cause))?;
        let counted = BufReader::with_capacity(1 << 20, Counted { file, done: Arc::clone(&self.done) });
        let name = self.name.to_lowercase();
        let expanded: Box<dyn Read> = match name {
            name if name.ends_with(".gz") => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
            name if name.ends_with(".zst") => {
                Box::new(zstd::Decoder::with_buffer(counted).map_err(|cause| self.failed(cause))?)
            }
            _ => return Ok(Box::new(counted)),
        };
        Ok(Box::new(BufReader::with_capacity(1 << 20, Bounded { source: expanded, left: MAX_EXPANDED_BYTES })))
    }

    fn lines(&self, take: Take<'_>) -> Result<()> {
        let mut source = self.open()?;
        let mut line = Vec::new();
        for number in 1.. {
            let place = Place::line(number);
            line.clear();
            let read = source.by_ref().take(MAX_ROW_BYTES as u64 + 1).read_until(b'\n', &mut line);
            if read.map_err(|cause| self.failed(cause))? == 0 {
                break;
            }
            if line.len() > MAX_ROW_BYTES {
                // One that is too large by its newline alone has ended.
                if !line.ends_with(b"\n") {
                    source.skip_until(b'\n').map_err(|cause| self.failed(cause))?;
                }
                take(place, Err(too_long()))?;
                continue;
            }
            let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
            if !text.is_empty() {
                take(place, object(text))?;
            }
        }
        Ok(())
    }

    fn document(&self, take: Take<'_>) -> Result<()> {
        let since = Arc::new(AtomicU64::new(0));
        let source = Short { source: self.open()?, since: Arc::clone(&since), hint: "" };
        let numbers = Rc::new(RefCell::new(WideNumbers::default()));
        let source = Watched { source: BufReader::with_capacity(SHORT_BYTES, source), numbers: Rc::clone(&numbers) };
        let mut reader = serde_json::Deserializer::from_reader(source);
        let mut elements = Elements { take, place: 0, field: self.field, ended: None, since, numbers, is_lone: false };
        let read = Document(&mut elements).deserialize(&mut reader).and_then(|()| elements.rest(&mut reader));
        match (elements.ended, read) {
            (Some(error), _) => Err(error),
            (None, Err(cause)) => Err(self.failed(format!("it is not JSON: {cause}"))),
            (None, Ok(())) => Ok(()),
        }
    }

    fn csv(&self, take: Take<'_>) -> Result<()> {
        let tabs = self.name.trim_end_matches(".gz").trim_end_matches(".zst").to_lowercase().ends_with(".tsv");
        let since = Arc::new(AtomicU64::new(0));
        let hint = "; is a quotation mark left open?";
        let source = Short { source: Lines::of(self.open()?), since: Arc::clone(&since), hint };
        let mut reader = csv::ReaderBuilder::new().delimiter(if tabs { b'\t' } else { b',' }).from_reader(source);
        let header = reader.headers().map_err(|cause| self.failed(cause))?.clone();
        if header.len() > MAX_COLUMNS {
            return Err(self.failed(format!("its header has {} columns; {MAX_COLUMNS} at most", header.len())));
        }
        let names: Vec<_> = header.iter().enumerate().map(|(at, name)| named(at, name)).collect();
        let mut known = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !known.insert(name.as_str())) {
            return Err(self.failed(format!("its header has the column {twice:?} twice")));
        }
        let mut record = csv::ByteRecord::new();
        loop {
            let read = reader.read_byte_record(&mut record);
            // What was read last is the line that the record ends in.
            let within: u64 = record.iter().map(line_ends).sum();
            let place = Place::line(reader.get_ref().source.line.saturating_sub(within).max(1));
            match read {
                Ok(false) => break,
                Ok(true) => take(place, fields(&names, &record))?,
                Err(cause) => match cause.kind() {
                    csv::ErrorKind::UnequalLengths { len, expected_len, .. } => {
                        take(place, Err(format!("it has {len} fields, the header has {expected_len}")))?;
                    }
                    _ => return Err(self.failed(cause)),
                },
            }
            since.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn parquet(&self, take: Take<'_>) -> Result<()> {
        let batches = qd_lake::read_parquet(self.file).map_err(|cause| self.failed(cause.chain()))?;
        let mut number = 0;
        for batch in batches {
            let batch = batch.map_err(|cause| self.failed(cause.chain()))?;
            let lines = qd_lake::portable::whole_json_lines(&batch).map_err(|cause| self.failed(cause.chain()))?;
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                number += 1;
                take(Place::row(number), if line.len() > MAX_ROW_BYTES { Err(too_long()) } else { object(line) })?;
            }
        }
        Ok(())
    }
}

/// What a file is, by how it begins and what it is called.
fn guess(head: &[u8], name: &str) -> Format {
    if head.starts_with(b"PAR1") {
        return Format::Parquet;
    }
    let name = name.to_lowercase();
    let named = |ending: &str| name.trim_end_matches(".gz").trim_end_matches(".zst").ends_with(ending);
    if named(".csv") || named(".tsv") {
        return Format::Csv;
    }
    if named(".jsonl") || named(".ndjson") {
        return Format::Jsonl;
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text.first() {
        Some(b'[') => Format::Json,
        // An object that ends in the line it begins in is the first of many, unless nothing comes after it.
        Some(b'{') => {
            let (line, rest) = text.split_at(text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len()));
            let whole = serde_json::from_slice::<IgnoredAny>(line).is_ok();
            if whole && !(named(".json") && rest.trim_ascii().is_empty()) { Format::Jsonl } else { Format::Json }
        }
        Some(_) => Format::Csv,
        None => Format::Jsonl,
    }
}

/// The name of a column of CSV. One without is called as pandas calls it, who writes the numbers of rows under none.
fn named(at: usize, name: &str) -> String {
    match name.trim_start_matches('\u{feff}') {
        "" => format!("Unnamed: {at}"),
        name => name.to_owned(),
    }
}

fn too_long() -> String {
    format!("it is larger than {} MiB", MAX_ROW_BYTES >> 20)
}

fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if let Some(number) = wide_number(text) {
        return Err(too_wide(&number));
    }
    match serde_json::from_slice(text) {
        Ok(value) => row(value),
        Err(cause) => Err(format!("it is not JSON: {}", without_line(&cause))),
    }
}

/// A whole number in JSON that would be read as a double, which is another number.
pub fn wide_number(text: &[u8]) -> Option<String> {
    let mut numbers = WideNumbers::default();
    text.iter().for_each(|byte| numbers.see(*byte));
    numbers.end();
    numbers.found
}

/// Looks for such numbers in JSON, byte by byte.
#[derive(Default)]
struct WideNumbers {
    in_text: bool,
    escaped: bool,
    /// What may be a number, as far as it was read.
    number: Vec<u8>,
    /// The first that was found.
    found: Option<String>,
}

impl WideNumbers {
    /// One of fewer digits fits; one of more than a double holds is refused by the parser.
    const DIGITS: usize = 19;
    const MAX_DIGITS: usize = 400;

    fn see(&mut self, byte: u8) {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return;
        }
        match byte {
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' => {
                if self.number.len() <= Self::MAX_DIGITS {
                    self.number.push(byte);
                }
            }
            byte => {
                self.end();
                self.in_text = byte == b'"';
            }
        }
    }

    fn end(&mut self) {
        let digits = self.number.strip_prefix(b"-").unwrap_or(&self.number);
        if (Self::DIGITS..=Self::MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
            let number = String::from_utf8_lossy(&self.number);
            if self.found.is_none() && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                self.found = Some(number.into_owned());
            }
        }
        self.number.clear();
    }
}

fn too_wide(number: &str) -> String {
    format!("the whole number {number} has more than 64 bits; write it as a text")
}

/// A record has no lines of its own.
fn without_line(cause: &serde_json::Error) -> String {
    cause.to_string().replace(" at line 1 column ", " at character ")
}

fn row(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(row) if row.is_empty() => Err("it is an object without fields".to_owned()),
        Value::Object(row) => Ok(row),
        other => Err(format!("it is no object: {}", crate::value::shown(&other))),
    }
}

fn fields(names: &[String], record: &csv::ByteRecord) -> Result<Map<String, Value>, String> {
    let mut row = Map::new();
    for (name, field) in names.iter().zip(record) {
        let text = std::str::from_utf8(field).map_err(|_| format!("the field {name} is not UTF-8"))?;
        row.insert(name.clone(), Value::from(text));
    }
    Ok(row)
}

/// Counts what was read.
struct Counted {
    file: File,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.done.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// How many lines end within a text: by LF, CR, or both.
fn line_ends(text: &[u8]) -> u64 {
    let mut before = 0;
    let ends = text.iter().filter(|byte| {
        let is_end = **byte == b'\r' || (**byte == b'\n' && before != b'\r');
        before = **byte;
        is_end
    });
    ends.count() as u64
}

/// Hands on one line at a time at most, so that whoever has read a record knows in which line it ends.
struct Lines {
    source: Box<dyn BufRead>,
    /// The line that was handed on last, or a part of it.
    line: u64,
    next: u64,
    after_cr: bool,
}

impl Lines {
    fn of(source: Box<dyn BufRead>) -> Self {
        Self { source, line: 1, next: 1, after_cr: false }
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.source.fill_buf()?;
        let most = &buffer[..buffer.len().min(into.len())];
        let end = most.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let taken = &most[..end.map_or(most.len(), |at| at + 1)];
        into[..taken.len()].copy_from_slice(taken);
        // The LF of a CRLF whose CR was handed on before belongs to the same line.
        let ends_with = taken.last().copied();
        if !(self.after_cr && ends_with == Some(b'\n') && taken.len() == 1) {
            self.line = self.next;
            self.next += u64::from(matches!(ends_with, Some(b'\n' | b'\r')));
        }
        self.after_cr = ends_with == Some(b'\r');
        let read = taken.len();
        self.source.consume(read);
        Ok(read)
    }
}

/// Sees every byte of JSON as it is read.
struct Watched<R> {
    source: R,
    numbers: Rc<RefCell<WideNumbers>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        let mut numbers = self.numbers.borrow_mut();
        into[..read].iter().for_each(|byte| numbers.see(*byte));
        Ok(read)
    }
}

/// Ends when too much was read for one record: a quotation mark that nothing closes would take the rest of the file.
struct Short<R> {
    source: R,
    since: Arc<AtomicU64>,
    /// What may be the reason.
    hint: &'static str,
}

impl<R: Read> Read for Short<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        let since = self.since.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if since > MAX_ROW_BYTES as u64 {
            let (limit, hint) = (MAX_ROW_BYTES >> 20, self.hint);
            return Err(io::Error::other(format!("a row is larger than {limit} MiB{hint}")));
        }
        Ok(read)
    }
}

/// Fails where too much comes out of a compressed file: its end would be taken for the end of the rows.
struct Bounded {
    source: Box<dyn Read>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        let left = self.left.checked_sub(read as u64);
        let too_much = || io::Error::other(format!("it holds more than {} GiB", MAX_EXPANDED_BYTES >> 30));
        self.left = left.ok_or_else(too_much)?;
        Ok(read)
    }
}

/// The rows of a JSON document: an array of them, or an object that has one such array.
struct Elements<'a> {
    take: Take<'a>,
    place: u64,
    field: Option<&'a str>,
    /// What ended the reading before the end.
    ended: Option<Error>,
    /// Bytes since the last row.
    since: Arc<AtomicU64>,
    /// Whole numbers since the last row that a double would change.
    numbers: Rc<RefCell<WideNumbers>>,
    /// Whether the document was one row by itself, which others may follow.
    is_lone: bool,
}

struct Document<'b, 'a>(&'b mut Elements<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects, or an object that has one")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.0.take_all(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let (mut alone, mut wide) = (Map::new(), None);
        while let Some(name) = fields.next_key::<String>()? {
            match self.0.field {
                Some(wanted) if wanted == name => fields.next_value_seed(Rows(self.0))?,
                None if self.0.place == 0 => {
                    if let Some(other) = fields.next_value_seed(FirstRows(self.0))? {
                        alone.insert(name, other);
                    }
                }
                _ => fields.next_value_seed(Skipped(self.0))?,
            }
            // A number of this field is none of the rows that may come in the next.
            wide = wide.or(self.0.numbers.borrow_mut().found.take());
        }
        match (self.0.place, self.0.field) {
            (0, Some(field)) => Err(A::Error::custom(format!("it has no rows in the field {field}"))),
            // An array of rows of which there are none.
            (0, None) if alone.values().all(|value| value.as_array().is_some_and(Vec::is_empty)) => Ok(()),
            (0, None) => {
                self.0.is_lone = true;
                self.0.numbers.borrow_mut().found = wide;
                self.0.one(Value::Object(alone))
            }
            _ => Ok(()),
        }
    }
}

impl Elements<'_> {
    fn take_all<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Value>()? {
            self.one(item)?;
        }
        Ok(())
    }

    /// What comes after the document: nothing, or after an object that is a row, more of them.
    fn rest<R: Read>(
        &mut self,
        reader: &mut serde_json::Deserializer<serde_json::de::IoRead<R>>,
    ) -> serde_json::Result<()> {
        while let Err(cause) = reader.end() {
            if !self.is_lone {
                return Err(cause);
            }
            let item = <Value as serde::Deserialize>::deserialize(&mut *reader)?;
            self.one::<serde_json::Error>(item)?;
        }
        Ok(())
    }

    fn one<E: serde::de::Error>(&mut self, item: Value) -> Result<(), E> {
        self.place += 1;
        self.since.store(0, Ordering::Relaxed);
        let row = match self.numbers.borrow_mut().found.take() {
            Some(number) => Err(too_wide(&number)),
            None => row(item),
        };
        (self.take)(Place::element(self.place), row).map_err(|error| {
            self.ended = Some(error);
            E::custom("ended")
        })
    }
}

/// The array of rows of a field that was named.
struct Rows<'b, 'a>(&'b mut Elements<'a>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.0.take_all(items)
    }
}

/// A field without rows: read one element after the other, so that it may be of any length.
struct Skipped<'b, 'a>(&'b mut Elements<'a>);

impl<'de> DeserializeSeed<'de> for Skipped<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skipped<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {
            self.0.since.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.0.since.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The first array of objects is the rows; any other value is given back.
struct FirstRows<'b, 'a>(&'b mut Elements<'a>);

impl<'de> DeserializeSeed<'de> for FirstRows<'_, '_> {
    type Value = Option<Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Visits a scalar as the value that it is.
macro_rules! scalars {
    ($($visit:ident: $type:ty),* $(,)?) => {
        $(fn $visit<E>(self, value: $type) -> Result<Option<Value>, E> { Ok(Some(Value::from(value))) })*
    };
}

impl<'de> Visitor<'de> for FirstRows<'_, '_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_string: String);

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(Some(Value::Null))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Option<Value>, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = fields.next_entry()? {
            object.insert(name, value);
        }
        Ok(Some(Value::Object(object)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<Value>, A::Error> {
        match items.next_element::<Value>()? {
            Some(first @ Value::Object(_)) => {
                self.0.one(first)?;
                self.0.take_all(items)?;
                Ok(None)
            }
            first => {
                let mut list: Vec<Value> = first.into_iter().collect();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Some(Value::Array(list)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The records of a text, as their places and JSON or what is wrong.
    fn check(name: &str, text: &[u8], expected: &[(u64, Result<Value, &str>)]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, text).unwrap();
        let input = Input { file: &file, name, format: None, field: None, done: Arc::default() };
        let mut found = Vec::new();
        let mut take = |place: Place, row: Result<Map<String, Value>, String>| {
            found.push((place.number, row.map(Value::Object)));
            Ok(())
        };
        input.read(input.format().unwrap(), &mut take).unwrap();
        let expected: Vec<_> = expected.iter().cloned().map(|(n, row)| (n, row.map_err(str::to_owned))).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(input.done.load(Ordering::Relaxed), text.len() as u64, "all of {name} was read");
    }

    #[test]
    fn lines_have_their_numbers_and_bad_ones_do_not_end_the_file() {
        let bad = "it is not JSON: expected ident at character 2";
        let text = b"\xef\xbb\xbf{\"a\": 1}\n\nno\n7\n{}\n{\"a\": [1, {\"b\": null}]}";
        check(
            "x",
            text,
            &[
                (1, Ok(json!({"a": 1}))),
                (3, Err(bad)),
                (4, Err("it is no object: 7")),
                (5, Err("it is an object without fields")),
                (6, Ok(json!({"a": [1, {"b": null}]}))),
            ],
        );
    }

    #[test]
    fn documents_are_arrays_or_have_one() {
        check("x.json", b"[{\"a\": 1}, 2]", &[(1, Ok(json!({"a": 1}))), (2, Err("it is no object: 2"))]);
        // The form of BIG-Bench Hard.
        let text =
            b"{\n\"canary\": \"x\", \"tags\": [\"b\"],\n\"examples\": [{\"a\": 1}, {\"a\": 2}], \"n\": [{\"z\": 1}]}";
        check("x.json", text, &[(1, Ok(json!({"a": 1}))), (2, Ok(json!({"a": 2})))]);
        check("x.json", b"{\"a\": 1}", &[(1, Ok(json!({"a": 1})))]);
        check("x.json", b"{\"data\": []}", &[]);
        check("x.json", b"{\n\"a\": 1}\n{\n\"a\": 2}\n", &[(1, Ok(json!({"a": 1}))), (2, Ok(json!({"a": 2})))]);
        let failed = failure("x.json", b"[{\"a\": 1}]\n[{\"a\": 2}]", Format::Json);
        assert!(failed.contains("trailing characters"), "{failed}");
        let huge = format!("[{{\"a\": 1}}, {{\"a\": \"{}\"}}]", "x".repeat(MAX_ROW_BYTES + (2 << 20)));
        assert!(failure("x.json", huge.as_bytes(), Format::Json).contains("a row is larger than 16 MiB"));
        check("x.json", b"{\"a\": 1}\n{\"a\": 2}\n", &[(1, Ok(json!({"a": 1}))), (2, Ok(json!({"a": 2})))]);
    }

    #[test]
    fn csv_follows_rfc_4180() {
        let text = b"a,b\r\n1,\"x \"\"y\"\", z\"\r\n\"two\nlines\",2\r\n3\r\n";
        check(
            "x.csv",
            text,
            &[
                (2, Ok(json!({"a": "1", "b": "x \"y\", z"}))),
                (3, Ok(json!({"a": "two\nlines", "b": "2"}))),
                (5, Err("it has 1 fields, the header has 2")),
            ],
        );
        check("x.csv", b",a\n0,b\n", &[(2, Ok(json!({"Unnamed: 0": "0", "a": "b"})))]);
        check("x.tsv", b"a\tb\n1\t2,3\n", &[(2, Ok(json!({"a": "1", "b": "2,3"})))]);
    }

    #[test]
    fn records_of_csv_have_the_line_that_they_begin_in() {
        // Whatever ends the lines: empty ones are none of a record, and those within a record are its own.
        for end in ["\n", "\r\n", "\r"] {
            let text = ["\u{feff}a", "", "x", "", "", "\"1", "", "2\"", "y", ""].join(end);
            let of_three = format!("1{end}{end}2");
            check(
                "x.csv",
                text.as_bytes(),
                &[(3, Ok(json!({"a": "x"}))), (6, Ok(json!({"a": of_three}))), (9, Ok(json!({"a": "y"})))],
            );
        }
        // A header of two lines, and rows longer than what is read at once.
        let long = "z".repeat(100_000);
        let text = format!("\"a\nb\"\n{long}\n\"{long}\n{long}\"\nx");
        let row = |text: &str| Ok(json!({"a\nb": text}));
        check("x.csv", text.as_bytes(), &[(3, row(&long)), (4, row(&format!("{long}\n{long}"))), (6, row("x"))]);
    }

    #[test]
    fn elements_of_documents_have_whole_numbers_that_fit() {
        // 2^64 is the first beyond; what is a fraction or has an exponent is a double already.
        let text = b"{\"of\": 18446744073709551616, \"examples\": [{\"a\": 1e30}, {\"a\": [18446744073709551616]},\n{\"a\": -9223372036854775808}, 18446744073709551616], \"n\": 99999999999999999999}";
        let bad = "the whole number 18446744073709551616 has more than 64 bits; write it as a text";
        check(
            "x.json",
            text,
            &[(1, Ok(json!({"a": 1e30}))), (2, Err(bad)), (3, Ok(json!({"a": i64::MIN}))), (4, Err(bad))],
        );
        check("x.json", b"{\"a\": 18446744073709551616, \"b\": 1}", &[(1, Err(bad))]);
        check("x.json", b"{\"a\":\n 1}{\"a\": 18446744073709551616}", &[(1, Ok(json!({"a": 1}))), (2, Err(bad))]);
    }

    #[test]
    fn compressed_files_are_what_they_hold() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, b"{\"a\": 1}\n").unwrap();
        check("x.jsonl.gz", &gz.finish().unwrap(), &[(1, Ok(json!({"a": 1})))]);
        check("x.csv.zst", &zstd::encode_all(&b"a\n1\n"[..], 1).unwrap(), &[(2, Ok(json!({"a": "1"})))]);
    }

    /// Why a text cannot be read to its end.
    fn failure(name: &str, text: &[u8], format: Format) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, text).unwrap();
        let input = Input { file: &file, name, format: None, field: None, done: Arc::default() };
        input.read(format, &mut |_, _| Ok(())).unwrap_err().to_string()
    }

    #[test]
    fn a_line_that_is_too_large_by_its_newline_leaves_the_next() {
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_ROW_BYTES - 9));
        assert_eq!(long.len(), MAX_ROW_BYTES);
        let text = format!("{long}\n{{\"a\": 2}}\n");
        check("x.jsonl", text.as_bytes(), &[(1, Err("it is larger than 16 MiB")), (2, Ok(json!({"a": 2})))]);
    }

    #[test]
    fn what_stands_beside_the_rows_may_be_of_any_length() {
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        let others = vec![long.as_str(); 20].join(",");
        let text =
            format!("{{\"rows\": [{{\"a\": 1}}], \"list\": [{others}], \"n\": 1.5, \"of\": {{\"b\": [{long}]}}}}");
        check("x.json", text.as_bytes(), &[(1, Ok(json!({"a": 1})))]);
    }

    #[test]
    fn what_comes_out_of_a_compressed_file_has_an_end() {
        let of = |left| Bounded { source: Box::new(io::repeat(b'x').take(100)), left };
        let mut text = Vec::new();
        assert_eq!(of(100).read_to_end(&mut text).unwrap(), 100);
        assert!(of(99).read_to_end(&mut text).unwrap_err().to_string().contains("it holds more than"));
    }

    #[test]
    fn whole_numbers_that_a_double_would_change_are_bad() {
        // 2^64 is the first one beyond; -2^63 still fits.
        let text = b"{\"a\": [18446744073709551616]}\n{\"a\": 18446744073709551615, \"b\": \"\\\"18446744073709551616\"}\n{\"a\": -9223372036854775808, \"b\": 0.12345678901234567890, \"c\": 18446744073709551616.5}\n{\"a\": -9223372036854775809}";
        let bad = |number: &str| format!("the whole number {number} has more than 64 bits; write it as a text");
        check(
            "x.jsonl",
            text,
            &[
                (1, Err(&bad("18446744073709551616"))),
                (2, Ok(json!({"a": u64::MAX, "b": "\"18446744073709551616"}))),
                (3, Ok(json!({"a": i64::MIN, "b": 0.12345678901234568, "c": 18446744073709552000.0}))),
                (4, Err(&bad("-9223372036854775809"))),
            ],
        );
    }

    #[test]
    fn a_header_has_no_more_columns_than_a_dataset() {
        let failed = failure("x.csv", ",".repeat(MAX_COLUMNS).as_bytes(), Format::Csv);
        assert!(failed.contains("its header has 1001 columns; 1000 at most"), "{failed}");
    }

    #[test]
    fn a_quotation_mark_that_is_left_open_ends_the_reading() {
        let text = format!("a,b\n1,\"{}", "x".repeat(MAX_ROW_BYTES + (2 << 20)));
        let error = failure("x.csv", text.as_bytes(), Format::Csv);
        assert!(error.contains("is a quotation mark left open?"), "{error}");
    }
}
