//! Which words are where: a summary by which a search for a text reads only the rows that may hold it.
//!
//! For each merged segment it lists every word of some text columns and, for each word, the blocks of rows that hold it.
//! A search for a text anywhere in a column looks through the words, which are far fewer than the text, finds those of
//! which the text may be made, and reads the blocks that have one for each piece of it. So it needs no other meaning
//! than `contains`: what is read is then searched as without the summary, and a word that is half of a longer one is found.
//!
//! Words are runs of letters and digits in lower case. A word that is too long, or for which there was no room, is not
//! listed; its block then counts as one that may hold anything.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringArray, StringBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use qd_base::TableName;

use crate::TableSpec;
use crate::summary::{Batches, Summary};

/// Rows that are read together: few enough that a rare word costs little, and many enough that words are listed few times.
const BLOCK_ROWS: usize = 1_024;
/// Longer words are encoded data more often than language.
const WORD_BYTES: usize = 40;
/// Different words of one segment: with their places some 100 MB while the summary is made.
const WORDS: usize = 1_000_000;
/// A text that so many words may be part of says nothing about where it is.
const CANDIDATES: usize = 50_000;
/// Words that are handed on at a time.
const BATCH_WORDS: usize = 8_192;
/// The word that stands for those that are not listed.
const UNLISTED: &str = "";

/// A summary `name` of the words in the text `columns` of a table whose times are in `time_column`.
pub fn summary(name: TableName, time_column: &'static str, columns: &[&'static str]) -> Summary {
    let table = TableSpec {
        name,
        schema: schema(),
        sort: vec!["word"],
        time_column: "first_time",
        bloom: Vec::new(),
        subject_column: None,
        project_column: None,
        group_column: None,
        identity: Vec::new(),
        summaries: Vec::new(),
    };
    let searched = columns.to_vec();
    Summary { table, columns: [&[time_column], columns].concat(), derive, searched }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("word", DataType::Utf8, false),
        Field::new("first_time", time, false),
        Field::new("blocks", DataType::Binary, false),
    ]))
}

fn derive(rows: Batches) -> Batches {
    match Words::of(rows) {
        Ok(words) => words.batches(),
        Err(cause) => Box::new(std::iter::once(Err(cause))),
    }
}

/// The words of one segment.
#[derive(Default)]
struct Words {
    places: HashMap<Box<str>, Places>,
    /// A text in lower case, kept for its memory.
    lower: String,
}

/// Where a word is.
struct Places {
    /// The earliest time of a row that has it.
    first_time: i64,
    /// The blocks, ascending, each as its distance from the one before.
    blocks: Vec<u8>,
    last: u32,
}

impl Words {
    fn of(rows: Batches) -> Result<Self, ArrowError> {
        let mut words = Self::default();
        let mut row = 0;
        for batch in rows {
            let batch = batch?;
            let times = batch.columns().iter().find_map(|column| column.as_primitive_opt::<TimestampNanosecondType>());
            let texts: Vec<_> = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>()).collect();
            for place in 0..batch.num_rows() {
                let time = times.map_or(0, |times| times.value(place));
                let texts = texts.iter().filter(|column| column.is_valid(place)).map(|column| column.value(place));
                texts.for_each(|text| words.add(text, time, block_of(row + place)));
            }
            row += batch.num_rows();
        }
        Ok(words)
    }

    /// Lists the words of a text. Blocks come in order.
    fn add(&mut self, text: &str, time: i64, block: u32) {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        if text.is_ascii() {
            lower.push_str(text);
            lower.make_ascii_lowercase();
        } else {
            // What a capital becomes depends on its place in the word, so all of it is lowered at once, as SQL does.
            lower = text.to_lowercase();
        }
        for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            self.add_word(word, time, block);
        }
        self.lower = lower;
    }

    fn add_word(&mut self, word: &str, time: i64, block: u32) {
        let listed = if word.len() <= WORD_BYTES { word } else { UNLISTED };
        if let Some(places) = self.places.get_mut(listed) {
            return places.add(time, block);
        }
        let listed = if self.places.len() < WORDS { listed } else { UNLISTED };
        self.places.entry(listed.into()).or_insert_with(|| Places::of(time, block)).add(time, block);
    }

    fn batches(self) -> Batches {
        let mut places: Vec<_> = self.places.into_iter().collect();
        places.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut places = places.into_iter().peekable();
        Box::new(std::iter::from_fn(move || {
            places.peek()?;
            Some(batch(places.by_ref().take(BATCH_WORDS)))
        }))
    }
}

impl Places {
    fn of(time: i64, block: u32) -> Self {
        let mut blocks = Vec::with_capacity(2);
        write_varint(&mut blocks, block);
        Self { first_time: time, blocks, last: block }
    }

    fn add(&mut self, time: i64, block: u32) {
        self.first_time = self.first_time.min(time);
        if let Some(distance) = block.checked_sub(self.last).filter(|distance| *distance > 0) {
            write_varint(&mut self.blocks, distance);
            self.last = block;
        }
    }
}

fn block_of(row: usize) -> u32 {
    u32::try_from(row / BLOCK_ROWS).unwrap_or(u32::MAX)
}

fn batch(places: impl Iterator<Item = (Box<str>, Places)>) -> Result<RecordBatch, ArrowError> {
    let mut words = StringBuilder::new();
    let mut times = TimestampNanosecondBuilder::new().with_timezone("UTC");
    let mut blocks = BinaryBuilder::new();
    for (word, places) in places {
        words.append_value(&*word);
        times.append_value(places.first_time);
        blocks.append_value(&places.blocks);
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(words.finish()), Arc::new(times.finish()), Arc::new(blocks.finish())];
    RecordBatch::try_new(schema(), columns)
}

fn write_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The blocks of a list that [`Places`] wrote.
fn read_blocks(mut bytes: &[u8]) -> Vec<u32> {
    let mut blocks = Vec::new();
    let mut last = 0_u32;
    while !bytes.is_empty() {
        let (mut distance, mut shift) = (0_u32, 0);
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            distance |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        last = last.saturating_add(distance);
        blocks.push(last);
    }
    blocks
}

/// A text that is looked for, as the words that rows must have which contain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sought(Vec<Piece>);

/// A run of letters and digits in the text that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    run: String,
    /// Whether a word must begin, and end, where the run does: the text goes on there with something else.
    begins: bool,
    ends: bool,
}

impl Sought {
    /// What a column in lower case has that contains `text`; `None` when `text` has no letter and no digit.
    pub fn of(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(char::is_alphanumeric) {
            let end = rest[start..].find(|letter: char| !letter.is_alphanumeric()).map(|length| start + length);
            let run = rest[start..end.unwrap_or(rest.len())].to_owned();
            pieces.push(Piece { run, begins: start > 0, ends: end.is_some() });
            rest = &rest[end.unwrap_or(rest.len())..];
        }
        (!pieces.is_empty()).then_some(Self(pieces))
    }

    /// The rows of a segment that may contain the text, by the file of its words; `None` when that tells nothing.
    pub fn rows(&self, words: &Path, rows: usize) -> Result<Option<Vec<Range<usize>>>, ParquetError> {
        let listed = Listed::read(words)?;
        let mut blocks: Option<Vec<u32>> = None;
        for piece in &self.0 {
            let Some(found) = listed.candidates(piece) else { continue };
            let found = listed.blocks(words, found)?;
            blocks = Some(match blocks {
                Some(others) => others.into_iter().filter(|block| found.binary_search(block).is_ok()).collect(),
                None => found,
            });
        }
        Ok(blocks.map(|blocks| ranges(&blocks, rows)))
    }
}

impl Piece {
    fn fits(&self, word: &str) -> bool {
        match (self.begins, self.ends) {
            (true, true) => word == self.run,
            (true, false) => word.starts_with(&self.run),
            (false, true) => word.ends_with(&self.run),
            (false, false) => word.contains(&self.run),
        }
    }
}

/// The words of a segment, in order.
struct Listed(Vec<StringArray>);

impl Listed {
    fn read(path: &Path) -> Result<Self, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["word"]);
        let reader = builder.with_projection(mask).with_batch_size(BATCH_WORDS).build()?;
        let words = reader.map(|batch| Ok(batch?.column(0).as_string::<i32>().clone()));
        words.collect::<Result<_, ParquetError>>().map(Self)
    }

    /// The places of the words that a piece may be part of, and of those that are not listed; `None` when there are too many.
    fn candidates(&self, piece: &Piece) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let mut first = 0;
        for words in &self.0 {
            for place in containing(words, &piece.run) {
                if piece.fits(words.value(place)) {
                    found.push(first + place);
                }
            }
            if found.len() > CANDIDATES {
                return None;
            }
            first += words.len();
        }
        // In the order of words the empty one is the first.
        let unlisted = self.0.first().is_some_and(|words| !words.is_empty() && words.value(0) == UNLISTED);
        if unlisted {
            found.insert(0, 0);
        }
        Some(found)
    }

    /// All blocks of the words at these places, ascending.
    fn blocks(&self, path: &Path, places: Vec<usize>) -> Result<Vec<u32>, ParquetError> {
        let words = self.0.iter().map(StringArray::len).sum();
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["blocks"]);
        let chosen = places.into_iter().map(|place| place..place + 1);
        let selection = RowSelection::from_consecutive_ranges(chosen, words);
        let reader =
            builder.with_projection(mask).with_row_selection(selection).with_batch_size(BATCH_WORDS).build()?;
        let mut blocks = Vec::new();
        for batch in reader {
            let batch = batch?;
            batch.column(0).as_binary::<i32>().iter().flatten().for_each(|list| blocks.extend(read_blocks(list)));
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(blocks)
    }
}

/// The places of the words that contain `run`. The words lie one after the other in memory and are searched as one text.
fn containing<'a>(words: &'a StringArray, run: &'a str) -> impl Iterator<Item = usize> + 'a {
    let offsets = words.value_offsets();
    let (begin, end) = (offsets[0] as usize, offsets[words.len()] as usize);
    // The values of a string array are text, and words begin where letters do.
    let text = std::str::from_utf8(&words.value_data()[begin..end]).unwrap_or_default();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = begin + from + text.get(from..)?.find(run)?;
            let place = offsets.partition_point(|offset| *offset as usize <= at) - 1;
            let word_end = offsets[place + 1] as usize;
            if at + run.len() <= word_end {
                from = word_end - begin;
                return Some(place);
            }
            // It reaches from one word into the next; look on from the next letter.
            from = at - begin + text[at - begin..].chars().next().map_or(1, char::len_utf8);
        }
    })
}

/// Blocks as ranges of rows, neighbours joined.
fn ranges(blocks: &[u32], rows: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for block in blocks {
        let start = *block as usize * BLOCK_ROWS;
        let range = start..(start + BLOCK_ROWS).min(rows);
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.start < range.end => ranges.push(range),
            _ => {}
        }
    }
    ranges
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range of rows, in a list of ranges")]
mod tests {
    use arrow::array::TimestampNanosecondArray;
    use proptest::prelude::*;

    use super::*;

    /// A segment whose rows have these texts, and the file of its words.
    fn words_of(texts: &[String]) -> (tempfile::TempDir, std::path::PathBuf) {
        let times = TimestampNanosecondArray::from_iter_values(0..texts.len() as i64).with_timezone("UTC");
        let field = Field::new("time", times.data_type().clone(), false);
        let schema = Arc::new(Schema::new(vec![field, Field::new("text", DataType::Utf8, true)]));
        let column = StringArray::from_iter_values(texts);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(times), Arc::new(column)]).unwrap();
        let batches =
            (0..batch.num_rows()).step_by(700).map(move |at| Ok(batch.slice(at, (batch.num_rows() - at).min(700))));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.parquet");
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(File::create(&path).unwrap(), super::schema(), None).unwrap();
        derive(Box::new(batches.collect::<Vec<_>>().into_iter()))
            .for_each(|batch| writer.write(&batch.unwrap()).unwrap());
        writer.close().unwrap();
        (folder, path)
    }

    fn rows_of(texts: &[String], sought: &str) -> Option<Vec<Range<usize>>> {
        let (_folder, path) = words_of(texts);
        Sought::of(sought).unwrap().rows(&path, texts.len()).unwrap()
    }

    /// Five blocks of filling, with `texts` as the first rows of the blocks from the second on.
    fn blocks(texts: &[&str]) -> Vec<String> {
        let mut rows = vec!["filling of no interest".to_owned(); 4 * BLOCK_ROWS + 100];
        texts.iter().enumerate().for_each(|(place, text)| rows[(place + 1) * BLOCK_ROWS] = (*text).to_owned());
        rows
    }

    #[test]
    fn a_text_is_looked_for_where_its_words_are() {
        let texts = blocks(&["An Order-4711, lost", "order 4712 found", "reordered"]);
        let block = |place: usize| place * BLOCK_ROWS..(place + 1) * BLOCK_ROWS;
        let check =
            |sought, expected: &[Range<usize>]| assert_eq!(rows_of(&texts, sought).unwrap(), expected, "{sought}");
        check("4711", &[block(1)]);
        check("order", &[block(1).start..block(3).end]);
        check("order 47", &[block(1).start..block(2).end]);
        check("order-4711", &[block(1)]);
        check(" reorder", &[block(3)]);
        check("ordered", &[block(3)]);
        check("order ", &[block(1).start..block(2).end]);
        check("4713", &[]);
        check("lost order", &[block(1)]);
        check("interest", &[0..texts.len()]);
        assert_eq!(Sought::of(" .,-"), None);
    }

    #[test]
    fn what_is_not_listed_may_be_anywhere_in_its_block() {
        let long = "x".repeat(WORD_BYTES + 1) + "needle";
        let texts = blocks(&["a needle", &long]);
        let expected = [BLOCK_ROWS..3 * BLOCK_ROWS];
        assert_eq!(rows_of(&texts, "needle").unwrap(), expected);
        assert_eq!(rows_of(&texts, "absent").unwrap(), [2 * BLOCK_ROWS..3 * BLOCK_ROWS]);
    }

    #[test]
    fn a_word_has_the_time_of_its_first_row() {
        let (_folder, path) = words_of(&blocks(&["needle", "needle"]));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let words = batches[0].column(0).as_string::<i32>();
        let place = (0..words.len()).find(|place| words.value(*place) == "needle").unwrap();
        assert_eq!(batches[0].column(1).as_primitive::<TimestampNanosecondType>().value(place), BLOCK_ROWS as i64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the texts: a row that contains what is looked for is among those that are read.
        #[test]
        fn no_row_is_missed(
            texts in prop::collection::vec("[aAbBςΣσİ .\\-1é]{0,12}", 1..60),
            at in any::<prop::sample::Index>(),
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            // Spread over blocks: each text stands at the beginning of one of its own.
            let rows: Vec<String> = texts.iter().flat_map(|text| {
                std::iter::once(text.clone()).chain(std::iter::repeat_n(String::new(), BLOCK_ROWS - 1))
            }).collect();
            let letters: Vec<char> = texts[at.index(texts.len())].to_lowercase().chars().collect();
            let (from, to) = (cut.0.index(letters.len() + 1), cut.1.index(letters.len() + 1));
            let sought: String = letters[from.min(to)..from.max(to)].iter().collect();
            let Some(parsed) = Sought::of(&sought) else { return Ok(()) };
            let (_folder, path) = words_of(&rows);
            if let Some(ranges) = parsed.rows(&path, rows.len()).unwrap() {
                for (place, text) in rows.iter().enumerate().step_by(BLOCK_ROWS) {
                    let read = ranges.iter().any(|range| range.contains(&place));
                    prop_assert!(read || !text.to_lowercase().contains(&sought), "{sought:?} in {text:?}");
                }
            }
        }
    }
}
