//! Spans as a gateway records them, made from a seed.
//!
//! The text is drawn word by word from a vocabulary of 6,000 made-up words, the more frequent the shorter (Zipf's
//! law, exponent 1), so it compresses about as English does; one of 24 system prompts opens each conversation, as
//! in production. Identifiers are random bits, latencies log-normal by model, token counts those of the text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use qd_lake::TableSpec;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const MODELS: [&str; 8] = [
    "gpt-4o",
    "gpt-4o-mini",
    "claude-sonnet-4",
    "claude-haiku-3.5",
    "smollm2-135m-instruct",
    "gemma-3-270m-it",
    "llama-3.3-70b-instruct",
    "text-embedding-3-small",
];
const PROVIDERS: [&str; 4] = ["openai", "anthropic", "local", "vllm"];
const VOCABULARY: usize = 6000;
/// 2026-01-01T00:00:00Z.
const START_NS: i64 = 1_767_225_600_000_000_000;
/// Rows follow each other at 2,000 a second.
const STEP_NS: i64 = 500_000;
/// Spans of one trace.
const SPANS_PER_TRACE: usize = 3;

pub fn table() -> TableSpec {
    TableSpec {
        name: "spans".parse().expect("a valid name"),
        schema: schema(),
        sort: vec!["project", "start_time"],
        time_column: "start_time",
        bloom: vec!["trace_id", "span_id", "session_id"],
        subject_column: Some("user_id"),
        identity: Vec::new(),
        project_column: Some("project"),
        group_column: None,
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let mut fields: Vec<Field> = ["project", "trace_id", "span_id", "parent_id", "kind", "name"].map(text).into();
    fields.extend([
        time("start_time"),
        time("end_time"),
        Field::new("latency_ms", DataType::Float64, false),
        Field::new("ttft_ms", DataType::Float64, true),
    ]);
    fields.extend(["status", "status_message", "session_id", "user_id"].map(text));
    fields.push(Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), false));
    fields.extend(
        [
            "environment",
            "release",
            "provider",
            "model_requested",
            "model",
            "parameters",
            "input",
            "output",
            "input_blob",
            "output_blob",
        ]
        .map(text),
    );
    fields
        .extend(["input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_picodollars"].map(number));
    fields.extend([text("prompt_name"), number("prompt_version"), text("arm"), text("attributes")]);
    Arc::new(Schema::new(fields))
}

/// A batch whose identifiers and times are set anew for each append.
pub struct Template {
    seed: u64,
    rows: usize,
    fixed: RecordBatch,
}

impl Template {
    pub fn new(seed: u64, rows: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let words = vocabulary();
        let spans: Vec<_> = (0..rows).map(|_| Span::new(&mut random, &words)).collect();
        Self { seed, rows, fixed: batch_of(&spans, &mut random) }
    }

    /// Bytes of the values of all columns.
    pub fn bytes(&self) -> usize {
        self.fixed.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
    }

    /// The trace of a row in the append with this number.
    pub fn trace_id(&self, number: usize, row: usize) -> String {
        let mut random = StdRng::seed_from_u64(self.seed ^ ((number as u64 + 1) << 20));
        let traces: Vec<u128> = (0..self.rows.div_ceil(SPANS_PER_TRACE)).map(|_| random.random()).collect();
        format!("{:032x}", traces[row / SPANS_PER_TRACE])
    }

    /// The rows of the append with this number.
    pub fn batch(&self, number: usize) -> RecordBatch {
        let mut random = StdRng::seed_from_u64(self.seed ^ ((number as u64 + 1) << 20));
        let traces: Vec<u128> = (0..self.rows.div_ceil(SPANS_PER_TRACE)).map(|_| random.random()).collect();
        let spans: Vec<u64> = (0..self.rows).map(|_| random.random()).collect();
        let starts: Vec<i64> = (0..self.rows)
            .map(|row| START_NS + ((number * self.rows + row) as i64) * STEP_NS + random.random_range(0..STEP_NS))
            .collect();
        let latencies: Vec<f64> = (0..self.rows).map(|_| 80.0 * (1.1 * normal(&mut random)).exp()).collect();
        let ends = starts.iter().zip(&latencies).map(|(start, latency)| start + (latency * 1e6) as i64);
        let mut columns = self.fixed.columns().to_vec();
        let mut set = |name: &str, column: ArrayRef| {
            columns[self.fixed.schema().index_of(name).expect("the column is there")] = column
        };
        set(
            "trace_id",
            Arc::new(
                (0..self.rows)
                    .map(|row| Some(format!("{:032x}", traces[row / SPANS_PER_TRACE])))
                    .collect::<StringArray>(),
            ),
        );
        set("span_id", Arc::new(spans.iter().map(|id| Some(format!("{id:016x}"))).collect::<StringArray>()));
        let parent = |row: usize| (!row.is_multiple_of(SPANS_PER_TRACE)).then(|| format!("{:016x}", spans[row - 1]));
        set("parent_id", Arc::new((0..self.rows).map(parent).collect::<StringArray>()));
        set(
            "session_id",
            Arc::new(
                (0..self.rows)
                    .map(|row| Some(format!("session-{:012x}", traces[row / SPANS_PER_TRACE] >> 84)))
                    .collect::<StringArray>(),
            ),
        );
        set("end_time", Arc::new(ends.map(Some).collect::<TimestampNanosecondArray>().with_timezone("UTC")));
        set("start_time", Arc::new(TimestampNanosecondArray::from(starts.clone()).with_timezone("UTC")));
        set("ttft_ms", Arc::new(latencies.iter().map(|latency| Some(latency * 0.3)).collect::<Float64Array>()));
        set("latency_ms", Arc::new(Float64Array::from(latencies)));
        RecordBatch::try_new(schema(), columns).expect("the columns fit")
    }
}

/// What of a span stays the same from append to append.
struct Span {
    project: usize,
    user: u32,
    model: usize,
    input: String,
    output: String,
    input_tokens: i64,
    output_tokens: i64,
    failed: bool,
}

impl Span {
    fn new(random: &mut StdRng, words: &[String]) -> Self {
        let system = random.random_range(0..24_u64);
        let system = sentence(&mut StdRng::seed_from_u64(system), words, 20);
        let question_words = random.random_range(10..34);
        let answer_words = random.random_range(12..46);
        let question = sentence(random, words, question_words);
        let answer = sentence(random, words, answer_words);
        Self {
            project: (random.random::<f64>().powi(2) * 4.0) as usize,
            user: random.random_range(0..5000),
            model: (random.random::<f64>().powi(2) * MODELS.len() as f64) as usize,
            input: format!(r#"[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{question}"}}]"#),
            output: format!(r#"[{{"role":"assistant","content":"{answer}"}}]"#),
            input_tokens: 40 + question_words as i64 * 4 / 3,
            output_tokens: answer_words as i64 * 4 / 3,
            failed: random.random_bool(0.02),
        }
    }
}

fn batch_of(spans: &[Span], random: &mut StdRng) -> RecordBatch {
    let text =
        |of: &dyn Fn(&Span) -> Option<String>| Arc::new(spans.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let number = |of: &dyn Fn(&Span) -> Option<i64>| Arc::new(spans.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let mut tags = ListBuilder::new(StringBuilder::new());
    spans.iter().for_each(|_| {
        tags.values().append_value(["chat", "support", "batch"][random.random_range(0..3)]);
        tags.append(true);
    });
    let tags = Arc::new(tags.finish()) as ArrayRef;
    let schema = schema();
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "project" => text(&|span| Some(["acme", "globex", "initech", "umbrella"][span.project].to_owned())),
        "trace_id" | "span_id" | "session_id" => text(&|_| Some("0".repeat(20))),
        "kind" => text(&|_| Some("llm".to_owned())),
        "name" => text(&|_| Some("chat.completions".to_owned())),
        "start_time" | "end_time" => {
            Arc::new(TimestampNanosecondArray::from(vec![START_NS; spans.len()]).with_timezone("UTC"))
        }
        "latency_ms" | "ttft_ms" => Arc::new(Float64Array::from(vec![1.0; spans.len()])),
        "status" => text(&|span| Some(if span.failed { "error" } else { "ok" }.to_owned())),
        "status_message" => text(&|span| span.failed.then(|| "upstream answered 503: overloaded".to_owned())),
        "user_id" => text(&|span| Some(format!("user-{:05}", span.user))),
        "tags" => Arc::clone(&tags),
        "environment" => text(&|_| Some("production".to_owned())),
        "release" => text(&|_| Some("2026.1.3".to_owned())),
        "provider" => text(&|span| Some(PROVIDERS[span.model / 2].to_owned())),
        "model" | "model_requested" => text(&|span| Some(MODELS[span.model].to_owned())),
        "parameters" => {
            text(&|span| Some(format!(r#"{{"temperature":0.{},"max_tokens":512,"stream":true}}"#, span.user % 10)))
        }
        "input" => text(&|span| Some(span.input.clone())),
        "output" => text(&|span| Some(span.output.clone())),
        "input_tokens" => number(&|span| Some(span.input_tokens)),
        "output_tokens" => number(&|span| Some(span.output_tokens)),
        "cached_tokens" | "reasoning_tokens" => number(&|_| Some(0)),
        "cost_picodollars" => number(&|span| Some(span.input_tokens * 150_000 + span.output_tokens * 600_000)),
        "prompt_name" => text(&|span| (span.project == 0).then(|| "support-answer".to_owned())),
        "prompt_version" => number(&|span| (span.project == 0).then_some(7)),
        "attributes" => text(&|span| {
            Some(format!(
                r#"{{"http.user_agent":"openai-python/1.{}","region":"eu-{}"}}"#,
                span.user % 40,
                span.user % 3
            ))
        }),
        "parent_id" | "input_blob" | "output_blob" | "arm" => text(&|_| None),
        other => unreachable!("column {other}"),
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("the columns fit")
}

/// Made-up words of syllables, frequent ones first and shorter.
fn vocabulary() -> Vec<String> {
    const ONSETS: [&str; 16] = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr"];
    const RHYMES: [&str; 14] = ["a", "e", "i", "o", "u", "an", "er", "in", "on", "us", "at", "ing", "al", "es"];
    let mut random = StdRng::seed_from_u64(1);
    let syllable = |random: &mut StdRng| {
        format!("{}{}", ONSETS[random.random_range(0..ONSETS.len())], RHYMES[random.random_range(0..RHYMES.len())])
    };
    (0..VOCABULARY).map(|rank| (0..1 + (rank + 2).ilog10()).map(|_| syllable(&mut random)).collect()).collect()
}

fn sentence(random: &mut StdRng, words: &[String], count: usize) -> String {
    // The inverse of the distribution function of Zipf's law with exponent 1 is a power of the vocabulary's size.
    let word = |random: &mut StdRng| words[((VOCABULARY as f64).powf(random.random::<f64>()) - 1.0) as usize].as_str();
    (0..count).map(|_| word(random)).collect::<Vec<_>>().join(" ")
}

/// A standard normal number, by Box and Muller's transform.
fn normal(random: &mut StdRng) -> f64 {
    let (u, v) = (random.random_range(f64::MIN_POSITIVE..1.0), random.random::<f64>());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
