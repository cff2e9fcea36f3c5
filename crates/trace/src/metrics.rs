//! Counts of calls since the start of the process, as Prometheus and OpenTelemetry have them.
//!
//! Names and bounds of buckets are those of the OpenTelemetry GenAI conventions, version 1.37:
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-metrics.md>. A call is counted where
//! its row has become durable, beside the hot path.
//!
//! Names of models come from callers, so there is a limit on what is told apart: beyond [`MOST_SERIES`], and for models that
//! nobody has, the labels say [`OTHER`].

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::{FailureKind, Span, SpanKind, Status};

/// Bounds of `gen_ai.client.token.usage`, in tokens.
pub const TOKEN_BOUNDS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bounds of `gen_ai.client.operation.duration` and `gen_ai.server.request.duration`, in seconds.
pub const DURATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of `gen_ai.server.time_to_first_token`, in seconds.
pub const TTFT_BOUNDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of `gen_ai.server.time_per_output_token`, in seconds.
pub const TPOT_BOUNDS: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// Different labels that are told apart at most. An answer to a scrape has about 20 kB of each.
pub const MOST_SERIES: usize = 300;
/// What stands for labels beyond the limit.
pub const OTHER: &str = "other";
/// Longer names are cut.
const LABEL_CHARS: usize = 128;

/// Where a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Through this server's gateway.
    Here,
    /// Elsewhere; its finished span was sent here.
    Elsewhere,
}

/// What calls are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallLabels {
    /// Whose calls.
    pub project: String,
    /// `chat`, `text_completion` or `embeddings`.
    pub operation: &'static str,
    /// Who ran the model; empty when nobody did.
    pub provider: String,
    /// The model asked for.
    pub request_model: String,
    /// The model that answered; empty when none did.
    pub response_model: String,
}

/// How many values are at most as large as each bound, and their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Values in each bucket by itself; the last is beyond all bounds.
    counts: Vec<u64>,
    sum: f64,
}

/// The calls of the same labels.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSeries {
    /// From start to end, in seconds: of each way to end, those that ended well first.
    pub durations: Vec<(Option<FailureKind>, Histogram)>,
    /// The same of calls that were made here.
    pub served: Vec<(Option<FailureKind>, Histogram)>,
    /// Tokens of prompts.
    pub input_tokens: Histogram,
    /// Tokens of answers.
    pub output_tokens: Histogram,
    /// To the first token, in seconds, of calls that were made here and ended well.
    pub ttft: Histogram,
    /// For each token after the first, in seconds; likewise.
    pub tpot: Histogram,
    /// Tokens of prompts that came from a cache.
    pub cached_tokens: u64,
    /// What they cost, in picodollars.
    pub cost_picodollars: i64,
}

/// Counts calls; shared by all that record.
#[derive(Default)]
pub struct CallMetrics {
    hasher: RandomState,
    /// By the hash of the labels, so that a call whose labels are known allocates nothing.
    series: Mutex<HashMap<u64, (CallLabels, CallSeries)>>,
}

impl CallMetrics {
    /// Counts a finished span if it is a call of a model.
    pub fn observe(&self, span: &Span, origin: Origin) {
        let Some(operation) = operation(span) else { return };
        let failure = FailureKind::of(span);
        let provider = cut(span.provider.as_deref());
        let (asked, answered) = match failure {
            // A name that nobody has is as good as any other; the gateway notes it as what was tried, too.
            Some(FailureKind::UnknownModel) => (OTHER, ""),
            _ => (cut(span.model_requested.as_deref()), cut(span.model.as_deref())),
        };
        let labels = (span.project.as_str(), operation, provider, asked, answered);
        let mut series = self.series.lock();
        let key = self.hasher.hash_one(labels);
        let known = series.contains_key(&key);
        let (labels, key) = match known || series.len() < MOST_SERIES {
            true => (labels, key),
            false => {
                let labels = (span.project.as_str(), operation, OTHER, OTHER, OTHER);
                (labels, self.hasher.hash_one(labels))
            }
        };
        let (_, counted) = series.entry(key).or_insert_with(|| (owned(labels), CallSeries::default()));
        counted.add(span, failure, origin);
    }

    /// What has been counted so far, in the order of the labels.
    pub fn series(&self) -> Vec<(CallLabels, CallSeries)> {
        let mut all: Vec<_> = self.series.lock().values().cloned().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

/// The operation as the conventions name it; none for a span that calls no model. The gateway's own names of operations are
/// told apart, those of others go by the kind.
fn operation(span: &Span) -> Option<&'static str> {
    match (span.kind, span.name.as_str()) {
        (SpanKind::Llm, "completion" | "text_completion") => Some("text_completion"),
        (SpanKind::Llm, _) => Some("chat"),
        (SpanKind::Embedding, _) => Some("embeddings"),
        _ => None,
    }
}

fn cut(name: Option<&str>) -> &str {
    let name = name.unwrap_or_default();
    name.char_indices().nth(LABEL_CHARS).map_or(name, |(end, _)| &name[..end])
}

fn owned((project, operation, provider, asked, answered): (&str, &'static str, &str, &str, &str)) -> CallLabels {
    CallLabels {
        project: project.to_owned(),
        operation,
        provider: provider.to_owned(),
        request_model: asked.to_owned(),
        response_model: answered.to_owned(),
    }
}

impl Default for CallSeries {
    fn default() -> Self {
        Self {
            durations: Vec::new(),
            served: Vec::new(),
            input_tokens: Histogram::new(&TOKEN_BOUNDS),
            output_tokens: Histogram::new(&TOKEN_BOUNDS),
            ttft: Histogram::new(&TTFT_BOUNDS),
            tpot: Histogram::new(&TPOT_BOUNDS),
            cached_tokens: 0,
            cost_picodollars: 0,
        }
    }
}

impl CallSeries {
    fn add(&mut self, span: &Span, failure: Option<FailureKind>, origin: Origin) {
        let latency_ms = span.latency_ms();
        of_ending(&mut self.durations, failure).add(latency_ms / 1e3);
        if let Some(usage) = span.usage {
            self.input_tokens.add(usage.input_tokens as f64);
            if span.kind == SpanKind::Llm {
                self.output_tokens.add(usage.output_tokens as f64);
            }
            self.cached_tokens = self.cached_tokens.saturating_add(usage.cached_tokens);
        }
        self.cost_picodollars = self.cost_picodollars.saturating_add(span.cost.map_or(0, |cost| cost.get().max(0)));
        if origin == Origin::Elsewhere {
            return;
        }
        of_ending(&mut self.served, failure).add(latency_ms / 1e3);
        if span.status != Status::Ok {
            return;
        }
        let Some(ttft_ms) = span.ttft_ms.filter(|&ttft_ms| ttft_ms >= 0.0) else { return };
        self.ttft.add(ttft_ms / 1e3);
        let tokens = span.usage.map_or(0, |usage| usage.output_tokens);
        if tokens > 1 && latency_ms >= ttft_ms {
            self.tpot.add((latency_ms - ttft_ms) / 1e3 / (tokens - 1) as f64);
        }
    }
}

/// The histogram of those that ended so; there are at most as many as there are kinds.
fn of_ending(histograms: &mut Vec<(Option<FailureKind>, Histogram)>, failure: Option<FailureKind>) -> &mut Histogram {
    let place = match histograms.iter().position(|(other, _)| *other == failure) {
        Some(place) => place,
        None => {
            histograms.push((failure, Histogram::new(&DURATION_BOUNDS)));
            histograms.len() - 1
        }
    };
    &mut histograms[place].1
}

impl Histogram {
    /// Without values.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Adds a value; one that is no number is left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.counts[self.bounds.partition_point(|&bound| bound < value)] += 1;
            self.sum += value;
        }
    }

    /// How many values are at most as large as each bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        self.bounds.iter().zip(&self.counts).map(move |(&bound, &count)| {
            so_far += count;
            (bound, so_far)
        })
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::full_span;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::new(&DURATION_BOUNDS);
        for value in [0.0, 0.01, 0.010_001, 0.02, 81.92, 100.0, f64::NAN, f64::INFINITY] {
            histogram.add(value);
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[2], counts[13]), (2, 4, 4, 5));
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum() - 181.960_001).abs() < 1e-9);
    }

    #[test]
    fn a_call_is_counted_by_what_it_says() {
        let metrics = CallMetrics::default();
        // 250 ms of which 40.5 ms to the first of three tokens.
        let well = Span { status: Status::Ok, ..full_span() };
        metrics.observe(&well, Origin::Here);
        metrics.observe(&well, Origin::Elsewhere);
        metrics.observe(&full_span(), Origin::Here);
        metrics.observe(&Span { kind: SpanKind::Tool, ..full_span() }, Origin::Here);
        let all = metrics.series();
        let [(labels, series)] = &all[..] else { panic!("{all:?}") };
        assert_eq!((labels.operation, labels.provider.as_str()), ("chat", "openai"));
        assert_eq!((labels.request_model.as_str(), labels.response_model.as_str()), ("gpt-4o", "gpt-4o-2024-08-06"));
        let counts = |histograms: &[(Option<FailureKind>, Histogram)]| {
            histograms.iter().map(|(failure, histogram)| (*failure, histogram.count())).collect::<Vec<_>>()
        };
        assert_eq!(counts(&series.durations), [(None, 2), (Some(FailureKind::Other), 1)]);
        assert_eq!(counts(&series.served), [(None, 1), (Some(FailureKind::Other), 1)]);
        assert_eq!(
            (series.input_tokens.count(), series.input_tokens.sum(), series.output_tokens.sum()),
            (3, 36.0, 9.0)
        );
        assert_eq!((series.ttft.count(), series.ttft.sum()), (1, 0.0405));
        assert!((series.tpot.sum() - 0.2095 / 2.0).abs() < 1e-12);
        assert_eq!((series.cached_tokens, series.cost_picodollars), (12, 165_000_000));
    }

    #[test]
    fn names_that_callers_make_up_do_not_grow_without_end() {
        let metrics = CallMetrics::default();
        let asked = |model: String| Span { model_requested: Some(model), ..full_span() };
        for number in 0..2 * MOST_SERIES {
            metrics.observe(&asked(number.to_string()), Origin::Here);
        }
        let all = metrics.series();
        // The last is the one for all that came beyond the limit.
        assert_eq!(all.len(), MOST_SERIES + 1);
        let (_, other) = all.iter().find(|(labels, _)| labels.request_model == OTHER).unwrap();
        assert_eq!(other.input_tokens.count(), MOST_SERIES as u64);
        // What one project makes up does not take the calls of another away from it.
        let theirs: qd_base::ProjectName = "another".parse().unwrap();
        metrics.observe(&Span { project: theirs.clone(), ..full_span() }, Origin::Here);
        assert!(metrics.series().iter().any(|(labels, _)| labels.project == theirs.as_str()));
        let known: u64 = all.iter().map(|(_, series)| series.input_tokens.count()).sum();
        assert_eq!(known, 2 * MOST_SERIES as u64, "no call is left out");

        let metrics = CallMetrics::default();
        let message =
            Some("the model `x` does not exist: no route, provider or installed model has that name".to_owned());
        for number in 0..10 {
            let (status_message, model) = (message.clone(), Some(number.to_string()));
            metrics.observe(&Span { status_message, model, ..asked(number.to_string()) }, Origin::Here);
        }
        assert_eq!(metrics.series().len(), 1);
        metrics.observe(&asked("é".repeat(1_000)), Origin::Here);
        assert!(metrics.series().iter().any(|(labels, _)| labels.request_model == "é".repeat(LABEL_CHARS)));
    }
}
