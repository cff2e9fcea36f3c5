//! What can go wrong, and what the caller can do about it.

use std::path::PathBuf;

use qd_base::ModelName;

/// The cause of a failure inside llama.cpp, the embedder or a chat template, as it was reported.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Everything this crate can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model of this name is loaded.
    #[error("model {name} is not loaded")]
    UnknownModel {
        /// The name that was asked for.
        name: ModelName,
    },

    /// Another file is already loaded under this name.
    #[error("model {name} is already loaded from other files; unload it first")]
    AlreadyLoaded {
        /// The name that is taken.
        name: ModelName,
    },

    /// A chat model was asked for embeddings or the other way round.
    #[error("model {name} is loaded for {found}, not for {wanted}")]
    WrongKind {
        /// The model's name.
        name: ModelName,
        /// What the request needs, for example "chat".
        wanted: &'static str,
        /// What the model was loaded for.
        found: &'static str,
    },

    /// The model's files could not be opened or do not fit in memory.
    #[error("loading model {name} from {}", path.display())]
    Load {
        /// The model's name.
        name: ModelName,
        /// The file or folder that was read.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: Cause,
    },

    /// The prompt and the tokens asked for do not fit in the context; nothing was computed.
    #[error(
        "this model's context is {limit} tokens; the request has {prompt_tokens} prompt tokens and asks for {requested} more"
    )]
    ContextOverflow {
        /// Tokens of the rendered prompt.
        prompt_tokens: usize,
        /// Tokens the request asks to generate (at least 1).
        requested: usize,
        /// The context of one request, in tokens.
        limit: usize,
    },

    /// All slots are busy and the queue is full.
    #[error("all slots of the model are busy and its queue is full; try again in {retry_after_ms} ms")]
    QueueFull {
        /// An estimate of when a place will be free.
        retry_after_ms: u64,
    },

    /// The request cannot be served as it is written.
    #[error("{message}")]
    Invalid {
        /// What is wrong and what would be right.
        message: String,
        /// The request's field, as a path such as `response_format.json_schema.schema`.
        param: Option<String>,
    },

    /// The model's chat template refuses the messages.
    #[error("rendering the chat template of model {name}")]
    Template {
        /// The model's name.
        name: ModelName,
        /// What the template said.
        #[source]
        cause: Cause,
    },

    /// The engine failed while it served the request.
    #[error("{operation}: {message}")]
    Backend {
        /// What the engine was doing.
        operation: &'static str,
        /// What the backend reported.
        message: String,
    },
}

impl Error {
    /// An [`Error::Invalid`] about one field of the request.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), param: Some(param.into()) }
    }

    /// An [`Error::Backend`].
    pub(crate) fn backend(operation: &'static str, message: impl ToString) -> Self {
        Self::Backend { operation, message: message.to_string() }
    }
}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
