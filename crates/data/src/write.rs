//! Writing the rows of a version as one file, each with an identifier that no other has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use qd_base::Sha256Hex;
use qd_lake::{NewRowFile, RowFiles, Writing};
use serde_json::{Map, Value};

use crate::check::{BadRows, Place};
use crate::column::{Column, ROW_HASH, ROW_ID};
use crate::encode::{Encoder, MAX_ID_BYTES, schema};
use crate::value::{key_of, short};
use crate::version::{MAX_ROWS, Part, id_column};
use crate::{Error, Result};

/// Columns whose values do not repeat.
const UNIQUE: &[&str] = &[ROW_ID, ROW_HASH];

/// A file of a version that is being written.
pub(crate) struct Writer<'a> {
    encoder: Encoder,
    file: NewRowFile<'a>,
    repeats: Repeats,
    /// The column that identifies rows, and the identifiers of those that are written.
    id: Option<String>,
    ids: Ids,
    rows: u64,
}

impl<'a> Writer<'a> {
    /// Begins a file of rows with these columns; `known` and `ids` are of rows in other files of the version.
    pub fn new(files: &'a RowFiles, columns: &[Column], known: Repeats, ids: Ids) -> Result<Self> {
        let file = files.create(&schema(columns), UNIQUE).map_err(Error::lake("beginning a file of rows"))?;
        let id = id_column(columns).map(str::to_owned);
        Ok(Self { encoder: Encoder::new(columns), file, repeats: known, id, ids, rows: 0 })
    }

    /// Adds a row whose values fit the columns. `file` and `at` are where it comes from.
    ///
    /// # Errors
    /// [`Error::Rows`] when its identifier, as it fits the column, is that of another row, too.
    pub fn push(&mut self, row: &Map<String, Value>, file: &str, at: Place) -> Result<()> {
        if let Some(Err(why)) = self.id.as_ref().map(|id| self.ids.see(row.get(id), at)) {
            let mut bad = BadRows { of: self.rows + 1, ..BadRows::default() };
            bad.add(file, at, &why);
            return Err(Error::Rows(bad));
        }
        let repeats = &mut self.repeats;
        self.encoder.push(row, |digest| repeats.distinct(digest));
        self.rows += 1;
        if self.rows > MAX_ROWS {
            return Err(Error::TooLarge { what: "rows", limit: MAX_ROWS.to_string() });
        }
        if self.encoder.is_full() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        match self.encoder.take()? {
            Some(batch) => self.file.push(&batch).map_err(Error::lake("writing rows")),
            None => Ok(()),
        }
    }

    /// Ends the file.
    pub fn finish(mut self, writing: &Writing) -> Result<Part> {
        self.flush()?;
        finish(self.file, writing)
    }
}

/// A file of batches that are written as they were read.
pub(crate) fn copy<'a>(files: &'a RowFiles, columns: &[Column]) -> Result<NewRowFile<'a>> {
    files.create(&schema(columns), UNIQUE).map_err(Error::lake("beginning a file of rows"))
}

pub(crate) fn finish(file: NewRowFile<'_>, writing: &Writing) -> Result<Part> {
    let written = file.finish(writing).map_err(Error::lake("finishing a file of rows"))?;
    Ok(Part { sha256: written.sha256, rows: written.rows, bytes: written.bytes })
}

/// How often each digest came, of rows that have no identifier of their own: 16 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct Repeats(HashMap<[u8; 12], u32>);

impl Repeats {
    /// The identifier of a row that is known by its values: their digest, and the number of the row among those that
    /// have the same.
    fn distinct(&mut self, digest: &Sha256Hex) -> String {
        let before = self.0.entry(std::array::from_fn(|at| digest.as_bytes()[at])).or_default();
        *before += 1;
        match *before {
            1 => short(digest),
            again => format!("{}.{again}", short(digest)),
        }
    }

    /// Notes such an identifier of a row that is there already.
    pub fn note(&mut self, id: &str) {
        let (digest, again) = id.split_once('.').unwrap_or((id, "1"));
        let mut key = [0; 12];
        let digits = digest.as_bytes().chunks(2).zip(&mut key);
        for (digits, byte) in digits {
            *byte = std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok()).unwrap_or(0);
        }
        let most = self.0.entry(key).or_default();
        *most = (*most).max(again.parse().unwrap_or(1));
    }
}

/// Identifiers that were seen, each by the first 12 bytes of its digest: 16 bytes a row, whatever they are.
#[derive(Default)]
pub(crate) struct Ids(HashMap<[u8; 12], u32>);

impl Ids {
    /// Notes the identifier of a row that is there already.
    pub fn note(&mut self, id: &str) {
        self.0.insert(key(id), 0);
    }

    /// Whether a row has it.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(&key(id))
    }

    /// Notes the identifier of a row, whose number is at least 1. All that are noted have places of one unit.
    ///
    /// # Errors
    /// Why the value is none, for a person.
    pub fn see(&mut self, value: Option<&Value>, place: Place) -> Result<(), String> {
        let text = match value {
            None | Some(Value::Null) => return Err("it has no id".to_owned()),
            Some(Value::Array(_) | Value::Object(_)) => return Err("its id is neither a text nor a number".to_owned()),
            Some(value) => key_of(value),
        };
        if text.is_empty() || text.len() > MAX_ID_BYTES {
            return Err(format!("its id has {} bytes; between 1 and {MAX_ID_BYTES} are allowed", text.len()));
        }
        match self.0.entry(key(&text)) {
            Entry::Vacant(free) => {
                free.insert(u32::try_from(place.number).unwrap_or(u32::MAX));
                Ok(())
            }
            Entry::Occupied(taken) if *taken.get() == 0 => {
                Err(format!("its id {text:?} is that of a row that is there"))
            }
            Entry::Occupied(taken) => {
                let other = Place { number: u64::from(*taken.get()), ..place };
                Err(format!("its id {text:?} is that of {other} too"))
            }
        }
    }
}

fn key(text: &str) -> [u8; 12] {
    let digest = Sha256Hex::of(text.as_bytes());
    std::array::from_fn(|at| digest.as_bytes()[at])
}
