//! One finished piece of work, as a wide row.

use qd_base::{Extra, Picodollars, ProjectName, Sha256Hex, SpanId, Timestamp, TraceId, Usage, words};

use crate::payload::Payload;
use crate::{TraceContext, large};

/// One finished piece of work: immutable and denormalised, so that one scan answers most questions.
///
/// Names that the caller or an upstream chose (session, user, provider, model) are text here, not validated names:
/// what happened must be recorded as it was told, and a row must always read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Whose span it is.
    pub project: ProjectName,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own identifier.
    pub span_id: SpanId,
    /// The span that caused it; perhaps one in the caller's own tracing, which is not in this lake.
    pub parent_id: Option<SpanId>,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// The operation: `chat`, `embedding`, a tool's name, …
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// From the start to the first token of the answer, in milliseconds; for streamed model calls.
    pub ttft_ms: Option<f64>,
    /// How it ended.
    pub status: Status,
    /// Why it ended so, for a person.
    pub status_message: Option<String>,
    /// Groups the traces of one conversation.
    pub session_id: Option<String>,
    /// The end user on whose behalf it was done.
    pub user_id: Option<String>,
    /// Free labels of the caller.
    pub tags: Vec<String>,
    /// For instance `production`.
    pub environment: Option<String>,
    /// The caller's own version.
    pub release: Option<String>,
    /// Who ran the model.
    pub provider: Option<String>,
    /// The model name that the caller asked for.
    pub model_requested: Option<String>,
    /// The model that answered, as its provider names it.
    pub model: Option<String>,
    /// Sampling parameters and the like: a JSON object.
    pub parameters: Option<Payload>,
    /// What went in: messages, a text, arguments. JSON.
    pub input: Option<Payload>,
    /// What came out. JSON.
    pub output: Option<Payload>,
    /// The blob that holds the whole input when the row holds only its beginning. Set by the recorder.
    pub input_blob: Option<Sha256Hex>,
    /// The blob that holds the whole output when the row holds only its beginning. Set by the recorder.
    pub output_blob: Option<Sha256Hex>,
    /// Tokens; `None` when nobody told.
    pub usage: Option<Usage>,
    /// What it cost; `None` when the price is not known, which is not the same as free.
    pub cost: Option<Picodollars>,
    /// The prompt artifact that was used.
    pub prompt_name: Option<String>,
    /// Its version.
    pub prompt_version: Option<u32>,
    /// The deployment arm that served it: `champion`, `challenger`, …
    pub arm: Option<String>,
    /// Whatever else is known.
    pub attributes: Extra,
    /// The blob that holds all attributes when the row holds only the beginnings of large ones. Set by the recorder.
    pub attributes_blob: Option<Sha256Hex>,
}

impl Span {
    /// A span at the place `at`, about which nothing else is known yet; it ends when it starts until told otherwise.
    pub fn new(
        project: ProjectName,
        at: TraceContext,
        kind: SpanKind,
        name: impl Into<String>,
        start: Timestamp,
    ) -> Self {
        Self {
            project,
            trace_id: at.trace_id,
            span_id: at.span_id,
            parent_id: None,
            kind,
            name: name.into(),
            start,
            end: start,
            ttft_ms: None,
            status: Status::Ok,
            status_message: None,
            session_id: None,
            user_id: None,
            tags: Vec::new(),
            environment: None,
            release: None,
            provider: None,
            model_requested: None,
            model: None,
            parameters: None,
            input: None,
            output: None,
            input_blob: None,
            output_blob: None,
            usage: None,
            cost: None,
            prompt_name: None,
            prompt_version: None,
            arm: None,
            attributes: Extra::new(),
            attributes_blob: None,
        }
    }

    /// From start to end, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.end.since(self.start).as_secs_f64() * 1e3
    }

    /// About how much memory it holds, for the bound of the recorder's queue.
    pub fn size_bytes(&self) -> usize {
        let payloads = [&self.parameters, &self.input, &self.output];
        let payload_bytes = payloads.into_iter().flatten().map(Payload::len).sum::<usize>();
        size_of::<Self>() + payload_bytes + large::bytes(&self.attributes)
    }
}

impl SpanKind {
    /// The kinds that are calls of models.
    pub const CALLS: [Self; 2] = [Self::Llm, Self::Embedding];
}

words!(
    /// What kind of work a span was. The words are those of OpenInference and the OpenTelemetry GenAI conventions, lower case.
    SpanKind, "kind of span", {
        /// A call of a language model.
        Llm = "llm",
        /// A call of an embedding model.
        Embedding = "embedding",
        /// A search for documents.
        Retriever = "retriever",
        /// A reordering of documents.
        Reranker = "reranker",
        /// A tool that ran.
        Tool = "tool",
        /// A fixed sequence of steps.
        Chain = "chain",
        /// A model that chooses its own steps.
        Agent = "agent",
        /// A rail that judged a text.
        Guardrail = "guardrail",
        /// A score that was computed.
        Evaluator = "evaluator",
        /// A prompt that was rendered.
        Prompt = "prompt",
        /// A rollout of a policy being trained.
        Rollout = "rollout",
    }
);

words!(
    /// How a span ended.
    Status, "status", {
        /// As it should.
        Ok = "ok",
        /// It failed.
        Error = "error",
        /// The caller left before the end.
        Cancelled = "cancelled",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_agree_with_their_json() {
        for kind in SpanKind::ALL {
            assert_eq!(kind.as_str().parse::<SpanKind>().unwrap(), *kind);
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        assert_eq!(
            "Llm".parse::<SpanKind>().unwrap_err().to_string(),
            "\"Llm\" is not a kind of span: use one of llm, embedding, retriever, reranker, tool, chain, agent, guardrail, evaluator, prompt, rollout"
        );
        assert_eq!("cancelled".parse::<Status>().unwrap(), Status::Cancelled);
    }

    #[test]
    fn latency_is_in_milliseconds() {
        let mut span = Span::new(
            "default".parse().unwrap(),
            TraceContext::root(),
            SpanKind::Llm,
            "chat",
            Timestamp::from_nanos(1_000),
        );
        span.end = Timestamp::from_nanos(1_251_000);
        assert_eq!(span.latency_ms(), 1.25);
    }
}
