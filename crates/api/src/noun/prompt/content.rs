//! The content of a version, as the document describes it. What is read and written is `qd_prompt`'s own form.

use serde_json::Value;
use utoipa::ToSchema;

/// What a version says, of which values, to which model.
#[derive(ToSchema)]
#[schema(as = PromptContent)]
pub struct PromptContent {
    /// `chat` has messages, `text` has a text; `chat` when absent.
    pub kind: Option<String>,
    /// Of a chat: its messages, 100 at most.
    pub messages: Option<Vec<PromptMessage>>,
    /// Of a text: its template.
    pub text: Option<String>,
    /// The values that it takes, 100 at most. Templates read what is declared only.
    pub variables: Option<Vec<PromptVariable>>,
    /// Few-shot examples.
    pub examples: Option<PromptExamples>,
    /// The model that is asked when a request names none.
    pub model: Option<String>,
    /// `temperature`, `max_tokens` and what else a request may say, where it does not.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Functions that the model may call, as a request has them.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    /// Which of them, as a request has it.
    #[schema(value_type = Option<Value>)]
    pub tool_choice: Option<Value>,
    /// The form of the answer, as a request has it.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
}

/// A message with a role and a template, or the place of several.
#[derive(ToSchema)]
pub struct PromptMessage {
    /// `system`, `developer`, `user` or `assistant`.
    pub role: Option<String>,
    /// A Jinja template.
    pub content: Option<String>,
    /// In place of both: the variable of type `messages` whose messages stand here, or `examples`.
    pub placeholder: Option<String>,
}

/// A value that a prompt takes.
#[derive(ToSchema)]
pub struct PromptVariable {
    /// Its name in the templates.
    pub name: String,
    /// `string`, `number`, `integer`, `boolean`, `list`, `object`, `json` or `messages`; `string` when absent.
    #[schema(rename = "type")]
    pub kind: Option<String>,
    /// Whether a call without it is refused; true when absent.
    pub required: Option<bool>,
    /// What it is when nobody says.
    #[schema(value_type = Option<Value>)]
    pub default: Option<Value>,
    /// What it is for.
    pub description: Option<String>,
}

/// Where examples go, how many, and which.
#[derive(ToSchema)]
pub struct PromptExamples {
    /// How one example is written: a text, for `{{ examples }}`, or messages, for the placeholder `examples`. It reads the
    /// example's variables and `output`.
    #[schema(value_type = Value)]
    pub template: Value,
    /// How many at most, of 50 at most; all of `items` when absent.
    pub count: Option<usize>,
    /// `fixed`, `random` or `similar`; `fixed` when absent.
    pub strategy: Option<String>,
    /// Of `random`: the same seed chooses the same ones.
    pub seed: Option<u64>,
    /// Examples in the version itself.
    pub items: Option<Vec<PromptExample>>,
    /// Or the dataset that they come from: `name`, `name@label` or `name@3`.
    pub dataset: Option<String>,
    /// Of `similar`: the variable whose text is compared; all variables when absent.
    pub by: Option<String>,
    /// Of `similar`: the model of the embeddings.
    pub embedding_model: Option<String>,
    /// What stands between two examples that are text; an empty line when absent.
    pub separator: Option<String>,
}

/// One question with its answer.
#[derive(ToSchema)]
pub struct PromptExample {
    /// The values of the variables that its template reads.
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Value>,
    /// The answer.
    #[schema(value_type = Value)]
    pub output: Value,
}
