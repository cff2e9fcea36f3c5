//! The one table: which attribute of which dialect tells which field of a span.
//!
//! Sources, each as it stood in November 2026:
//!
//! - [OpenTelemetry GenAI conventions](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/) and their
//!   [registry, with the deprecated names](https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/);
//!   [session](https://opentelemetry.io/docs/specs/semconv/registry/attributes/session/),
//!   [user](https://opentelemetry.io/docs/specs/semconv/registry/attributes/user/) and
//!   [deployment](https://opentelemetry.io/docs/specs/semconv/registry/attributes/deployment/) attributes.
//! - [OpenInference](https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md).
//! - [Langfuse](https://langfuse.com/integrations/native/opentelemetry#property-mapping) and the names in its Python SDK,
//!   `langfuse/_client/attributes.py`.
//! - [Vercel AI SDK](https://ai-sdk.dev/docs/ai-sdk-core/telemetry#collected-data).
//! - Traceloop: [OpenLLMetry](https://github.com/traceloop/openllmetry/blob/main/packages/opentelemetry-semantic-conventions-ai/opentelemetry/semconv_ai/__init__.py).
//! - MLflow: [`mlflow/tracing/constant.py`](https://github.com/mlflow/mlflow/blob/master/mlflow/tracing/constant.py).
//!
//! Where several attributes tell one field, the row that stands first wins; what did not win, and what could not be read as
//! its field, is kept among the attributes.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::SpanKind;

/// Whose words an attribute is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenTelemetry's own conventions, old and new.
    OpenTelemetry,
    /// Arize's OpenInference.
    OpenInference,
    /// Langfuse's clients.
    Langfuse,
    /// Vercel's AI SDK.
    Vercel,
    /// Traceloop's OpenLLMetry.
    Traceloop,
    /// MLflow's tracing.
    Mlflow,
}

impl Dialect {
    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenTelemetry => "OpenTelemetry",
            Self::OpenInference => "OpenInference",
            Self::Langfuse => "Langfuse",
            Self::Vercel => "Vercel AI SDK",
            Self::Traceloop => "Traceloop",
            Self::Mlflow => "MLflow",
        }
    }
}

/// What an attribute tells of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The kind of work, in any of the words of [`kind`].
    Kind,
    /// Who ran the model.
    Provider,
    /// The model asked for.
    ModelRequested,
    /// The model that answered.
    Model,
    /// The conversation.
    Session,
    /// The end user.
    User,
    /// Labels: a list, or a text with commas.
    Tags,
    /// The environment.
    Environment,
    /// The caller's version.
    Release,
    /// The prompt's name.
    PromptName,
    /// The prompt's version.
    PromptVersion,
    /// `ERROR` when it failed.
    Level,
    /// Why it failed.
    StatusMessage,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// All tokens: tells whether the prompt's include those from a cache.
    TotalTokens,
    /// Tokens read from a cache.
    CacheRead,
    /// Tokens written to a cache.
    CacheWrite,
    /// Tokens of hidden reasoning.
    Reasoning,
    /// An object of token counts that include each other.
    Usage,
    /// An object of token counts of which none includes another, as Langfuse's.
    DisjointUsage,
    /// What it cost, in US dollars.
    Cost,
    /// An object of costs in US dollars.
    CostDetails,
    /// Seconds to the first part of the answer.
    FirstSeconds,
    /// Milliseconds to the first part of the answer.
    FirstMillis,
    /// When the first part of the answer came.
    FirstTime,
    /// One sampling parameter, under this name.
    Parameter(&'static str),
    /// An object of parameters.
    Parameters,
    /// The system's words, which stand before the messages.
    System,
    /// What went in.
    Input,
    /// What came out.
    Output,
    /// The media type of the input.
    InputMime,
    /// The media type of the output.
    OutputMime,
    /// The text of an answer, apart from its tool calls.
    AnswerText,
    /// The tool calls of an answer.
    AnswerCalls,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The attribute.
    pub key: &'static str,
    /// What it tells.
    pub field: Field,
    /// Who says it so.
    pub dialect: Dialect,
}

const fn row(key: &'static str, field: Field, dialect: Dialect) -> Row {
    Row { key, field, dialect }
}

use Dialect::{Langfuse, Mlflow, OpenInference, OpenTelemetry, Traceloop, Vercel};
use Field::{
    AnswerCalls, AnswerText, CacheRead, CacheWrite, Cost, CostDetails, DisjointUsage, Environment, FirstMillis,
    FirstSeconds, FirstTime, Input, InputMime, InputTokens, Kind, Level, Model, ModelRequested, Output, OutputMime,
    OutputTokens, Parameter, Parameters, PromptName, PromptVersion, Provider, Reasoning, Release, Session,
    StatusMessage, System, Tags, TotalTokens, Usage, User,
};

/// The table.
pub const TABLE: &[Row] = &[
    row("openinference.span.kind", Kind, OpenInference),
    row("langfuse.observation.type", Kind, Langfuse),
    row("ai.operationId", Kind, Vercel),
    row("mlflow.spanType", Kind, Mlflow),
    row("gen_ai.operation.name", Kind, OpenTelemetry),
    row("llm.request.type", Kind, Traceloop),
    row("traceloop.span.kind", Kind, Traceloop),
    row("gen_ai.provider.name", Provider, OpenTelemetry),
    row("gen_ai.system", Provider, OpenTelemetry),
    row("llm.provider", Provider, OpenInference),
    row("llm.system", Provider, OpenInference),
    row("ai.model.provider", Provider, Vercel),
    row("mlflow.llm.provider", Provider, Mlflow),
    row("llm.vendor", Provider, Traceloop),
    row("gen_ai.request.model", ModelRequested, OpenTelemetry),
    row("llm.request.model", ModelRequested, Traceloop),
    row("ai.model.id", ModelRequested, Vercel),
    row("gen_ai.response.model", Model, OpenTelemetry),
    row("llm.response.model", Model, Traceloop),
    row("ai.response.model", Model, Vercel),
    row("llm.model_name", Model, OpenInference),
    row("embedding.model_name", Model, OpenInference),
    row("reranker.model_name", Model, OpenInference),
    row("langfuse.observation.model.name", Model, Langfuse),
    row("mlflow.llm.model", Model, Mlflow),
    row("session.id", Session, OpenTelemetry),
    row("langfuse.session.id", Session, Langfuse),
    row("gen_ai.conversation.id", Session, OpenTelemetry),
    row("traceloop.association.properties.session_id", Session, Traceloop),
    row("ai.telemetry.metadata.sessionId", Session, Vercel),
    row("mlflow.trace.session", Session, Mlflow),
    row("user.id", User, OpenTelemetry),
    row("enduser.id", User, OpenTelemetry),
    row("langfuse.user.id", User, Langfuse),
    row("traceloop.association.properties.user_id", User, Traceloop),
    row("ai.telemetry.metadata.userId", User, Vercel),
    row("mlflow.trace.user", User, Mlflow),
    row("langfuse.trace.tags", Tags, Langfuse),
    row("tag.tags", Tags, OpenInference),
    row("ai.telemetry.metadata.tags", Tags, Vercel),
    row("langfuse.environment", Environment, Langfuse),
    row("deployment.environment.name", Environment, OpenTelemetry),
    row("deployment.environment", Environment, OpenTelemetry),
    row("langfuse.release", Release, Langfuse),
    row("service.version", Release, OpenTelemetry),
    row("langfuse.observation.prompt.name", PromptName, Langfuse),
    row("gen_ai.prompt.name", PromptName, OpenTelemetry),
    row("traceloop.prompt.key", PromptName, Traceloop),
    row("langfuse.observation.prompt.version", PromptVersion, Langfuse),
    row("llm.prompt_template.version", PromptVersion, OpenInference),
    row("traceloop.prompt.version", PromptVersion, Traceloop),
    row("langfuse.observation.level", Level, Langfuse),
    row("langfuse.observation.status_message", StatusMessage, Langfuse),
    row("gen_ai.usage.input_tokens", InputTokens, OpenTelemetry),
    row("gen_ai.usage.prompt_tokens", InputTokens, OpenTelemetry),
    row("llm.token_count.prompt", InputTokens, OpenInference),
    row("ai.usage.inputTokens", InputTokens, Vercel),
    row("ai.usage.promptTokens", InputTokens, Vercel),
    row("ai.usage.tokens", InputTokens, Vercel),
    row("llm.usage.prompt_tokens", InputTokens, Traceloop),
    row("gen_ai.usage.output_tokens", OutputTokens, OpenTelemetry),
    row("gen_ai.usage.completion_tokens", OutputTokens, OpenTelemetry),
    row("llm.token_count.completion", OutputTokens, OpenInference),
    row("ai.usage.outputTokens", OutputTokens, Vercel),
    row("ai.usage.completionTokens", OutputTokens, Vercel),
    row("llm.usage.completion_tokens", OutputTokens, Traceloop),
    row("gen_ai.usage.total_tokens", TotalTokens, OpenTelemetry),
    row("llm.usage.total_tokens", TotalTokens, Traceloop),
    row("llm.token_count.total", TotalTokens, OpenInference),
    row("ai.usage.totalTokens", TotalTokens, Vercel),
    row("gen_ai.usage.cache_read.input_tokens", CacheRead, OpenTelemetry),
    row("gen_ai.usage.cache_read_input_tokens", CacheRead, Traceloop),
    row("llm.token_count.prompt_details.cache_read", CacheRead, OpenInference),
    row("ai.usage.cachedInputTokens", CacheRead, Vercel),
    row("ai.usage.inputTokenDetails.cacheReadTokens", CacheRead, Vercel),
    row("gen_ai.usage.cache_creation.input_tokens", CacheWrite, OpenTelemetry),
    row("gen_ai.usage.cache_creation_input_tokens", CacheWrite, Traceloop),
    row("llm.token_count.prompt_details.cache_write", CacheWrite, OpenInference),
    row("ai.usage.inputTokenDetails.cacheWriteTokens", CacheWrite, Vercel),
    row("gen_ai.usage.reasoning.output_tokens", Reasoning, OpenTelemetry),
    row("gen_ai.usage.reasoning_tokens", Reasoning, Traceloop),
    row("llm.usage.reasoning_tokens", Reasoning, Traceloop),
    row("llm.token_count.completion_details.reasoning", Reasoning, OpenInference),
    row("ai.usage.reasoningTokens", Reasoning, Vercel),
    row("ai.usage.outputTokenDetails.reasoningTokens", Reasoning, Vercel),
    row("mlflow.chat.tokenUsage", Usage, Mlflow),
    row("langfuse.observation.usage_details", DisjointUsage, Langfuse),
    row("gen_ai.usage.cost", Cost, OpenTelemetry),
    row("llm.cost.total", Cost, OpenInference),
    row("langfuse.observation.cost_details", CostDetails, Langfuse),
    row("mlflow.llm.cost", CostDetails, Mlflow),
    row("gen_ai.response.time_to_first_chunk", FirstSeconds, OpenTelemetry),
    row("gen_ai.server.time_to_first_token", FirstSeconds, OpenTelemetry),
    row("ai.response.msToFirstChunk", FirstMillis, Vercel),
    row("langfuse.observation.completion_start_time", FirstTime, Langfuse),
    row("gen_ai.request.temperature", Parameter("temperature"), OpenTelemetry),
    row("gen_ai.request.top_p", Parameter("top_p"), OpenTelemetry),
    row("gen_ai.request.top_k", Parameter("top_k"), OpenTelemetry),
    row("gen_ai.request.max_tokens", Parameter("max_tokens"), OpenTelemetry),
    row("gen_ai.request.frequency_penalty", Parameter("frequency_penalty"), OpenTelemetry),
    row("gen_ai.request.presence_penalty", Parameter("presence_penalty"), OpenTelemetry),
    row("gen_ai.request.stop_sequences", Parameter("stop"), OpenTelemetry),
    row("gen_ai.request.seed", Parameter("seed"), OpenTelemetry),
    row("gen_ai.openai.request.seed", Parameter("seed"), OpenTelemetry),
    row("gen_ai.request.choice.count", Parameter("n"), OpenTelemetry),
    row("gen_ai.request.encoding_formats", Parameter("encoding_formats"), OpenTelemetry),
    row("gen_ai.request.reasoning_effort", Parameter("reasoning_effort"), OpenTelemetry),
    row("gen_ai.tool.definitions", Parameter("tools"), OpenTelemetry),
    row("llm.frequency_penalty", Parameter("frequency_penalty"), Traceloop),
    row("llm.presence_penalty", Parameter("presence_penalty"), Traceloop),
    row("llm.top_k", Parameter("top_k"), Traceloop),
    row("llm.chat.stop_sequences", Parameter("stop"), Traceloop),
    row("ai.settings.temperature", Parameter("temperature"), Vercel),
    row("ai.settings.topP", Parameter("top_p"), Vercel),
    row("ai.settings.topK", Parameter("top_k"), Vercel),
    row("ai.settings.maxTokens", Parameter("max_tokens"), Vercel),
    row("ai.settings.maxOutputTokens", Parameter("max_tokens"), Vercel),
    row("ai.settings.frequencyPenalty", Parameter("frequency_penalty"), Vercel),
    row("ai.settings.presencePenalty", Parameter("presence_penalty"), Vercel),
    row("ai.settings.seed", Parameter("seed"), Vercel),
    row("ai.prompt.tools", Parameter("tools"), Vercel),
    row("mlflow.chat.tools", Parameter("tools"), Mlflow),
    row("llm.invocation_parameters", Parameters, OpenInference),
    row("embedding.invocation_parameters", Parameters, OpenInference),
    row("langfuse.observation.model.parameters", Parameters, Langfuse),
    row("gen_ai.system_instructions", System, OpenTelemetry),
    row("gen_ai.input.messages", Input, OpenTelemetry),
    row("llm.input_messages", Input, OpenInference),
    row("langfuse.observation.input", Input, Langfuse),
    row("ai.prompt.messages", Input, Vercel),
    row("ai.prompt", Input, Vercel),
    row("ai.toolCall.args", Input, Vercel),
    row("ai.values", Input, Vercel),
    row("ai.value", Input, Vercel),
    row("gen_ai.tool.call.arguments", Input, OpenTelemetry),
    row("gen_ai.prompt", Input, OpenTelemetry),
    row("mlflow.chat.messages", Input, Mlflow),
    row("mlflow.spanInputs", Input, Mlflow),
    row("traceloop.entity.input", Input, Traceloop),
    row("input.value", Input, OpenInference),
    row("input.mime_type", InputMime, OpenInference),
    row("gen_ai.output.messages", Output, OpenTelemetry),
    row("llm.output_messages", Output, OpenInference),
    row("langfuse.observation.output", Output, Langfuse),
    row("ai.response.object", Output, Vercel),
    row("ai.response.text", AnswerText, Vercel),
    row("ai.response.toolCalls", AnswerCalls, Vercel),
    row("ai.toolCall.result", Output, Vercel),
    row("gen_ai.tool.call.result", Output, OpenTelemetry),
    row("gen_ai.completion", Output, OpenTelemetry),
    row("mlflow.spanOutputs", Output, Mlflow),
    row("traceloop.entity.output", Output, Traceloop),
    row("output.value", Output, OpenInference),
    row("output.mime_type", OutputMime, OpenInference),
];

/// Attributes that come in many parts: `llm.input_messages.0.message.role` and its like. What follows the prefix is a path,
/// and the parts together are one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// What the attributes begin with.
    pub prefix: &'static str,
    /// What their parts together tell.
    pub field: Field,
    /// Who says it so.
    pub dialect: Dialect,
}

const fn family(prefix: &'static str, field: Field, dialect: Dialect) -> Family {
    Family { prefix, field, dialect }
}

/// The families. They win over single attributes of the same field but for `gen_ai.input.messages` and
/// `gen_ai.output.messages`.
pub const FAMILIES: &[Family] = &[
    family("llm.input_messages.", Input, OpenInference),
    family("gen_ai.prompt.", Input, Traceloop),
    family("llm.prompts.", Input, Traceloop),
    family("reranker.input_documents.", Input, OpenInference),
    family("embedding.embeddings.", Input, OpenInference),
    family("llm.output_messages.", Output, OpenInference),
    family("gen_ai.completion.", Output, Traceloop),
    family("llm.completions.", Output, Traceloop),
    family("retrieval.documents.", Output, OpenInference),
    family("reranker.output_documents.", Output, OpenInference),
    family("llm.tools.", Parameter("tools"), OpenInference),
    family("llm.request.functions.", Parameter("tools"), Traceloop),
];

/// The row of an attribute with its place in the table.
pub(crate) fn find(key: &str) -> Option<(usize, Field)> {
    static PLACES: LazyLock<HashMap<&str, usize>> =
        LazyLock::new(|| TABLE.iter().enumerate().map(|(place, row)| (row.key, place)).collect());
    PLACES.get(key).map(|&place| (place, TABLE[place].field))
}

/// The family of an attribute, and its path there.
pub(crate) fn find_family(key: &str) -> Option<(usize, &str)> {
    let is_part =
        key.starts_with("llm.") || key.starts_with("gen_ai.") || key.starts_with("re") || key.starts_with("embedding.");
    if !is_part {
        return None;
    }
    let found = FAMILIES.iter().enumerate().find_map(|(place, family)| Some((place, key.strip_prefix(family.prefix)?)));
    found.filter(|(_, path)| path.starts_with(|first: char| first.is_ascii_digit()))
}

/// The kind of work that a word of any dialect stands for.
pub(crate) fn kind(word: &str) -> Option<SpanKind> {
    let word = word.trim().to_ascii_lowercase();
    // Vercel: the call of a provider ends with `.doGenerate`, `.doStream` or `.doEmbed`; what is around it is a chain.
    if let Some(operation) = word.strip_prefix("ai.") {
        return Some(match operation {
            "toolcall" => SpanKind::Tool,
            _ if operation.ends_with(".doembed") => SpanKind::Embedding,
            _ if operation.ends_with(".dogenerate") || operation.ends_with(".dostream") => SpanKind::Llm,
            _ if operation.ends_with(".dorerank") => SpanKind::Reranker,
            _ => SpanKind::Chain,
        });
    }
    Some(match word.as_str() {
        "llm" | "chat_model" | "chat" | "completion" | "text_completion" | "generate_content" | "generation" => {
            SpanKind::Llm
        }
        "embedding" | "embeddings" => SpanKind::Embedding,
        "retriever" | "retrieval" | "vector_db_retrieve" => SpanKind::Retriever,
        "reranker" | "rerank" => SpanKind::Reranker,
        "tool" | "execute_tool" => SpanKind::Tool,
        "chain" | "workflow" | "task" | "span" | "event" | "parser" | "invoke_workflow" | "plan" => SpanKind::Chain,
        "agent" | "invoke_agent" | "create_agent" => SpanKind::Agent,
        "guardrail" => SpanKind::Guardrail,
        "evaluator" => SpanKind::Evaluator,
        "prompt" => SpanKind::Prompt,
        "rollout" => SpanKind::Rollout,
        _ => return None,
    })
}

/// Other names of providers, and the one that they are known by here: that of the price table where it has one.
///
/// The values of `gen_ai.provider.name` and of the older `gen_ai.system`, and what Traceloop and Vercel say.
const PROVIDERS: &[(&str, &str)] = &[
    ("azure.ai.openai", "azure"),
    ("az.ai.openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("az.ai.inference", "azure"),
    ("azure-openai", "azure"),
    ("azure_openai", "azure"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gcp.vertex_ai", "google"),
    ("gemini", "google"),
    ("google_genai", "google"),
    ("google_vertexai", "google"),
    ("vertex_ai", "google"),
    ("vertexai", "google"),
    ("google.generative-ai", "google"),
    ("google.vertex", "google"),
    ("mistral_ai", "mistral"),
    ("mistralai", "mistral"),
    ("amazon-bedrock", "aws.bedrock"),
    ("aws_bedrock", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("chatopenai", "openai"),
    ("chatanthropic", "anthropic"),
];

/// Which providers' price lists are asked about a model of this one.
pub(crate) fn priced_as(provider: &str) -> &str {
    // Azure sells OpenAI's models at OpenAI's prices.
    if provider == "azure" { "openai" } else { provider }
}

/// One name for each provider.
pub(crate) fn provider(told: &str) -> String {
    let word = told.trim().to_ascii_lowercase();
    if let Some((_, known)) = PROVIDERS.iter().find(|(other, _)| *other == word) {
        return (*known).to_owned();
    }
    // Vercel names the API after the provider: `openai.chat`, `anthropic.messages`.
    match word.split_once('.') {
        Some((provider, "chat" | "responses" | "completion" | "messages" | "embedding" | "image")) => {
            provider.to_owned()
        }
        _ => word,
    }
}

/// Who makes a model, told by how its name begins: for prices only, where a dialect names no provider.
pub(crate) fn maker(model: &str) -> Option<&'static str> {
    const MAKERS: &[(&str, &str)] = &[
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("text-embedding-", "openai"),
        ("claude-", "anthropic"),
        ("gemini-", "google"),
        ("mistral-", "mistral"),
        ("deepseek-", "deepseek"),
    ];
    MAKERS.iter().find(|(beginning, _)| model.starts_with(beginning)).map(|(_, maker)| *maker)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the user's guide says of a field, in the order of the table.
    fn told_by(field: Field) -> String {
        let families = FAMILIES.iter().filter(|family| family.field == field);
        let families = families.map(|family| format!("`{}N.…` ({})", family.prefix, family.dialect.as_str()));
        let rows = TABLE.iter().filter(|row| row.field == field);
        let rows = rows.map(|row| format!("`{}` ({})", row.key, row.dialect.as_str()));
        families.chain(rows).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_user_s_guide_has_the_table() {
        let guide = include_str!("../../../../docs/otlp.md");
        let mut fields: Vec<Field> = Vec::new();
        for field in TABLE.iter().map(|row| row.field) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        for field in fields {
            let cell = format!("| {} |", told_by(field));
            assert!(guide.contains(&cell), "docs/otlp.md lacks {field:?}: {cell}");
        }
    }

    #[test]
    fn no_attribute_stands_twice() {
        let mut keys: Vec<_> =
            TABLE.iter().map(|row| row.key).chain(FAMILIES.iter().map(|family| family.prefix)).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
        assert_eq!(find("gen_ai.system").map(|(_, field)| field), Some(Field::Provider));
        assert_eq!(find("gen_ai.systems"), None);
    }

    #[test]
    fn a_family_is_known_by_its_number() {
        let found = |key| find_family(key).map(|(place, path)| (FAMILIES[place].field, path.to_owned()));
        assert_eq!(found("llm.input_messages.0.message.role"), Some((Field::Input, "0.message.role".to_owned())));
        assert_eq!(found("gen_ai.prompt.name"), None);
        assert_eq!(found("gen_ai.completion.1.content"), Some((Field::Output, "1.content".to_owned())));
        assert_eq!(found("http.url"), None);
    }

    #[test]
    fn every_dialect_says_what_kind_of_work_it_was() {
        for (word, expected) in [
            ("LLM", Some(SpanKind::Llm)),
            ("CHAT_MODEL", Some(SpanKind::Llm)),
            ("generation", Some(SpanKind::Llm)),
            ("text_completion", Some(SpanKind::Llm)),
            ("ai.generateText", Some(SpanKind::Chain)),
            ("ai.generateText.doGenerate", Some(SpanKind::Llm)),
            ("ai.streamText.doStream", Some(SpanKind::Llm)),
            ("ai.embedMany.doEmbed", Some(SpanKind::Embedding)),
            ("ai.toolCall", Some(SpanKind::Tool)),
            ("execute_tool", Some(SpanKind::Tool)),
            ("invoke_agent", Some(SpanKind::Agent)),
            ("workflow", Some(SpanKind::Chain)),
            ("vector_db_retrieve", Some(SpanKind::Retriever)),
            ("ROLLOUT", Some(SpanKind::Rollout)),
            ("UNKNOWN", None),
            ("", None),
        ] {
            assert_eq!(kind(word), expected, "{word}");
        }
    }

    #[test]
    fn a_provider_has_one_name() {
        for (told, expected) in [
            ("OpenAI", "openai"),
            ("openai.chat", "openai"),
            ("anthropic.messages", "anthropic"),
            ("gcp.gemini", "google"),
            ("mistral_ai", "mistral"),
            ("aws.bedrock", "aws.bedrock"),
            ("my.own", "my.own"),
        ] {
            assert_eq!(provider(told), expected);
        }
        assert_eq!((maker("claude-opus-4-5"), maker("llama-3")), (Some("anthropic"), None));
    }
}
