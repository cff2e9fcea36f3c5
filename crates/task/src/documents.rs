//! What a benchmark asks about: documents in splits, as the caller gives them or from the text of a file.
//!
//! Reading files and fetching data sets is the caller's work. What comes of a file is what `datasets.load_dataset` makes of
//! it: JSON's values; columns of a CSV file as numbers where all of them are numbers; nothing where a document lacks a field
//! that another has.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// One document: fields and their values.
pub type Document = Map<String, Value>;

/// Documents of one split at most.
pub const MAX_DOCUMENTS: usize = 1_000_000;

/// The documents of a task by the name of their split.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    splits: BTreeMap<String, Vec<Document>>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object a line.
    JsonLines,
    /// A list of objects, or an object in which a field holds the list.
    Json,
    /// Comma-separated values, with names in the first line.
    Csv,
}

impl Format {
    /// The format that a file's name promises.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit('.').next()?.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl Documents {
    /// No documents.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a split. Each document has the fields of all, null where it had none.
    #[must_use]
    pub fn with(mut self, split: &str, mut documents: Vec<Document>) -> Self {
        let mut fields = Vec::new();
        let mut seen = HashSet::new();
        for name in documents.iter().flat_map(Map::keys) {
            if seen.insert(name.clone()) {
                fields.push(name.clone());
            }
        }
        for document in documents.iter_mut().filter(|document| document.len() < fields.len()) {
            for field in &fields {
                document.entry(field.clone()).or_insert(Value::Null);
            }
        }
        self.splits.insert(split.to_owned(), documents);
        self
    }

    /// A split's documents.
    pub fn split(&self, name: &str) -> Option<&[Document]> {
        self.splits.get(name).map(Vec::as_slice)
    }

    /// The names of the splits.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.splits.keys().map(String::as_str)
    }
}

/// The documents in the text of a file; `field` is the field that holds the list, where the file is one JSON object.
///
/// # Errors
/// [`Error::Documents`] with the line or the field that is wrong, and when there are more than [`MAX_DOCUMENTS`].
pub fn read(format: Format, bytes: &[u8], field: Option<&str>) -> Result<Vec<Document>> {
    let documents = match format {
        Format::JsonLines => json_lines(bytes)?,
        Format::Json => json(bytes, field)?,
        Format::Csv => csv_table(bytes)?,
    };
    if documents.len() > MAX_DOCUMENTS {
        return Err(wrong(format!("there are {} documents, {MAX_DOCUMENTS} are allowed", documents.len())));
    }
    Ok(documents)
}

fn wrong(why: impl Into<String>) -> Error {
    Error::Documents { why: why.into() }
}

fn json_lines(bytes: &[u8]) -> Result<Vec<Document>> {
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    text.split('\n')
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| serde_json::from_str(line).map_err(|error| wrong(format!("line {}: {error}", index + 1))))
        .collect()
}

fn json(bytes: &[u8], field: Option<&str>) -> Result<Vec<Document>> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    let list = match (whole, field) {
        (Value::Object(mut object), Some(field)) => {
            object.remove(field).ok_or_else(|| wrong(format!("the object has no field {field:?}")))?
        }
        (Value::Object(_), None) => {
            return Err(wrong(
                "the file is one object; name the field that holds its documents, as dataset_kwargs.field",
            ));
        }
        (list, _) => list,
    };
    let Value::Array(items) = list else { return Err(wrong("the documents are not a list")) };
    let object = |(index, item)| match item {
        Value::Object(document) => Ok(document),
        _ => Err(wrong(format!("item {index} is not an object"))),
    };
    items.into_iter().enumerate().map(object).collect()
}

/// What pandas reads as nothing (`pandas.io.parsers`, `na_values`).
const NOTHING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

fn csv_table(bytes: &[u8]) -> Result<Vec<Document>> {
    let (names, rows) = csv_rows(bytes)?;
    let mut documents = vec![Document::new(); rows.len()];
    for (column, name) in names.iter().enumerate() {
        let cells: Vec<&str> = rows.iter().map(|row| row.get(column).unwrap_or_default()).collect();
        let kind = Kind::of(&cells);
        for (document, cell) in documents.iter_mut().zip(cells) {
            document.insert(name.to_owned(), kind.value(cell));
        }
    }
    Ok(documents)
}

/// The names in the first line, and the lines below it.
pub(crate) fn csv_rows(bytes: &[u8]) -> Result<(csv::StringRecord, Vec<csv::StringRecord>)> {
    // Spreadsheets write a mark before the first name.
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let names = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let rows =
        reader.into_records().collect::<std::result::Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    Ok((names, rows))
}

/// What all cells of a column are.
#[derive(Clone, Copy)]
enum Kind {
    Whole,
    Number,
    Truth,
    Text,
}

impl Kind {
    fn of(cells: &[&str]) -> Self {
        let mut present = cells.iter().filter(|cell| !NOTHING.contains(cell)).peekable();
        if present.peek().is_none() {
            return Self::Text;
        }
        let all_present = cells.iter().all(|cell| !NOTHING.contains(cell));
        let each = |is: fn(&str) -> bool| present.clone().all(|cell| is(cell));
        if each(|cell| cell.parse::<i64>().is_ok()) {
            // A column of whole numbers with a gap has fractions in pandas.
            return if all_present { Self::Whole } else { Self::Number };
        }
        if each(|cell| cell.parse::<f64>().is_ok()) {
            Self::Number
        } else if all_present && each(|cell| truth(cell).is_some()) {
            Self::Truth
        } else {
            Self::Text
        }
    }

    fn value(self, cell: &str) -> Value {
        if NOTHING.contains(&cell) {
            return Value::Null;
        }
        match self {
            Self::Whole => cell.parse::<i64>().map_or(Value::Null, Value::from),
            Self::Number => cell.parse::<f64>().map_or(Value::Null, Value::from),
            Self::Truth => truth(cell).map_or(Value::Null, Value::from),
            Self::Text => Value::from(cell),
        }
    }
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_give_their_documents() {
        let lines = read(Format::JsonLines, b"{\"a\": 1}\n\n{\"a\": 2}\n", None).unwrap();
        assert_eq!(json!(lines), json!([{"a": 1}, {"a": 2}]));
        let listed = read(Format::Json, br#"[{"a": 1}]"#, None).unwrap();
        assert_eq!(json!(listed), json!([{"a": 1}]));
        let inside = read(Format::Json, br#"{"canary": "x", "examples": [{"a": 1}]}"#, Some("examples")).unwrap();
        assert_eq!(json!(inside), json!([{"a": 1}]));
        assert!(
            read(Format::Json, br#"{"examples": []}"#, None).unwrap_err().to_string().contains("dataset_kwargs.field")
        );
        assert!(read(Format::JsonLines, b"{}\n[", None).unwrap_err().to_string().contains("line 2"));
    }

    /// What `pandas.read_csv` makes of the same text, which is how `datasets` reads it.
    #[test]
    fn columns_of_csv_are_what_pandas_sees() {
        let text = b"\xef\xbb\xbfn,gap,x,ok,t\n1,1,1.5,True,a\n2,,2,False,\n3,3,NA,True,\"b,\nc\"\n";
        let expected = json!([
            {"n": 1, "gap": 1.0, "x": 1.5, "ok": true, "t": "a"},
            {"n": 2, "gap": null, "x": 2.0, "ok": false, "t": null},
            {"n": 3, "gap": 3.0, "x": null, "ok": true, "t": "b,\nc"},
        ]);
        assert_eq!(json!(read(Format::Csv, text, None).unwrap()), expected);
    }

    #[test]
    fn a_field_that_one_document_has_all_have() {
        let documents = vec![json!({"a": 1}), json!({"b": 2})].into_iter().map(|v| v.as_object().unwrap().clone());
        let documents = Documents::new().with("test", documents.collect());
        assert_eq!(json!(documents.split("test").unwrap()), json!([{"a": 1, "b": null}, {"b": 2, "a": null}]));
        assert!(documents.split("train").is_none());
    }
}
