//! Which models are loaded, and the doors to them.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::RwLock;
use qd_base::ModelName;
use qd_base::chat::ChatRequest;
use qd_base::completion::CompletionRequest;
use qd_base::embedding::Embeddings;
use qd_tensor::Encoded;
use serde::Serialize;

use crate::chat::ChatHandle;
use crate::embedder::EmbedderHandle;
use crate::error::{Error, Result};
use crate::event::{ChatEvents, CompletionEvents};
use crate::options::{EngineConfig, ModelFiles, ModelOptions};
use crate::stats::ModelStats;

/// The local engine. Cheap to clone; all clones share the loaded models.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: EngineConfig,
    models: RwLock<HashMap<ModelName, Loaded>>,
    /// Held while a model is loaded, so that two loads of one name become one.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Loaded {
    files: ModelFiles,
    handle: Handle,
}

#[derive(Clone)]
enum Handle {
    Chat(Arc<ChatHandle>),
    Embedding(Arc<EmbedderHandle>),
}

/// What a model is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Chat and completions.
    Chat,
    /// Embeddings.
    Embedding,
}

impl ModelKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }
}

/// One loaded model and what it is doing.
#[derive(Debug, Clone, Serialize)]
pub struct LoadedModel {
    /// The name it was loaded under.
    pub name: ModelName,
    /// What it is loaded for.
    pub kind: ModelKind,
    /// Tokens that one request may have.
    pub context: usize,
    /// Requests that are computed together.
    pub slots: usize,
    /// Counters and gauges.
    pub stats: ModelStats,
}

impl Engine {
    /// An engine without models.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let inner = Inner { config, models: RwLock::default(), loading: tokio::sync::Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Loads a model and starts its thread. Loading the same files under the same name again does nothing, unless its
    /// thread has stopped: such a model counts as not loaded.
    ///
    /// # Errors
    /// [`Error::AlreadyLoaded`] when the name stands for other files, [`Error::Load`] when the files
    /// cannot be opened or too many models are loaded.
    pub async fn load(&self, name: ModelName, files: ModelFiles, options: ModelOptions) -> Result<()> {
        let _one_at_a_time = self.inner.loading.lock().await;
        // What a stopped model holds is given back before more is taken.
        self.inner.models.write().retain(|_, loaded| !loaded.handle.is_stopped());
        if let Some(loaded) = self.inner.models.read().get(&name) {
            return if loaded.files == files { Ok(()) } else { Err(Error::AlreadyLoaded { name }) };
        }
        self.check_room(&name, &files)?;
        let (threads, opened_name, opened_files) = (self.inner.config.threads, name.clone(), files.clone());
        let handle =
            run_blocking("loading a model", move || open(&opened_name, &opened_files, &options, threads)).await?;
        self.inner.models.write().insert(name, Loaded { files, handle });
        Ok(())
    }

    /// Refuses new requests for the model, lets the accepted ones finish, then frees its memory.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] when it is not loaded.
    pub async fn unload(&self, name: &ModelName) -> Result<()> {
        let loaded = self.inner.models.write().remove(name).ok_or_else(|| unknown(name))?;
        let stopped: BoxFuture<'_, ()> = match &loaded.handle {
            Handle::Chat(chat) => Box::pin(chat.finish()),
            Handle::Embedding(embedder) => Box::pin(embedder.finish()),
        };
        stopped.await;
        Ok(())
    }

    /// The loaded models, by name.
    #[must_use]
    pub fn loaded(&self) -> Vec<LoadedModel> {
        let models = self.inner.models.read();
        let running = models.iter().filter(|(_, loaded)| !loaded.handle.is_stopped());
        let mut list: Vec<_> = running.map(|(name, loaded)| describe(name, &loaded.handle)).collect();
        list.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        list
    }

    /// Whether the model is loaded, and for what.
    #[must_use]
    pub fn kind(&self, name: &ModelName) -> Option<ModelKind> {
        self.handle(name).ok().map(|handle| handle.kind())
    }

    /// Answers a chat. Usage is in the closing [`Event::Done`](crate::Event::Done), and also in a last chunk
    /// without choices when the request asks for `stream_options.include_usage`.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::ContextOverflow`] before any computing, [`Error::QueueFull`] when
    /// no place is free, [`Error::UnknownModel`] when the model is not loaded.
    pub async fn chat(&self, model: &ModelName, request: ChatRequest) -> Result<ChatEvents> {
        let chat = self.chat_handle(model)?;
        run_blocking("preparing a chat", move || chat.chat(request)).await
    }

    /// Continues a text. Each prompt of a batch is a choice of the answer (`n` choices each).
    ///
    /// # Errors
    /// As [`Engine::chat`].
    pub async fn complete(&self, model: &ModelName, request: CompletionRequest) -> Result<CompletionEvents> {
        let chat = self.chat_handle(model)?;
        run_blocking("preparing a completion", move || chat.complete(request)).await
    }

    /// Embeds texts with an embedding model. A text that is longer than the model's context is refused.
    ///
    /// # Errors
    /// [`Error::ContextOverflow`], [`Error::QueueFull`], [`Error::UnknownModel`], [`Error::WrongKind`].
    pub async fn embed(&self, model: &ModelName, texts: Vec<String>) -> Result<Embeddings> {
        self.embedder_handle(model)?.embed(texts).await
    }

    /// The vectors of all tokens of each text, as they come out of a layer of an embedding model; of the last one when none is said. A
    /// text that is longer than the model's context is cut.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a layer that there is not or too many texts, [`Error::QueueFull`], [`Error::UnknownModel`], [`Error::WrongKind`].
    pub async fn encode(&self, model: &ModelName, texts: Vec<String>, layer: Option<usize>) -> Result<Vec<Encoded>> {
        let embedder = self.embedder_handle(model)?;
        run_blocking("encoding", move || embedder.encode(&texts, layer)).await
    }

    /// The tokens of each text, as [`Engine::encode`] reads it.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub async fn encoder_tokens(&self, model: &ModelName, texts: Vec<String>) -> Result<Vec<Vec<u32>>> {
        let embedder = self.embedder_handle(model)?;
        run_blocking("reading tokens", move || embedder.tokens(&texts)).await
    }

    /// The tokens of a text, special tokens in it left as text.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::WrongKind`].
    pub async fn tokenize(&self, model: &ModelName, text: String) -> Result<Vec<i32>> {
        let chat = self.chat_handle(model)?;
        run_blocking("tokenizing", move || Ok(chat.tokenize(&text))).await
    }

    /// How many prompt tokens a chat has after rendering.
    ///
    /// # Errors
    /// As [`Engine::chat`].
    pub async fn count(&self, model: &ModelName, request: ChatRequest) -> Result<usize> {
        let chat = self.chat_handle(model)?;
        run_blocking("counting tokens", move || chat.count(&request)).await
    }

    /// How many prompt tokens a completion has, all of its prompts together.
    ///
    /// # Errors
    /// As [`Engine::complete`].
    pub async fn count_texts(&self, model: &ModelName, request: CompletionRequest) -> Result<usize> {
        let chat = self.chat_handle(model)?;
        run_blocking("counting tokens", move || chat.count_texts(&request)).await
    }

    fn check_room(&self, name: &ModelName, files: &ModelFiles) -> Result<()> {
        let limit = self.inner.config.max_models;
        if self.inner.models.read().len() < limit {
            return Ok(());
        }
        let cause = format!("{limit} models are loaded already; unload one first").into();
        Err(Error::Load { name: name.clone(), path: files.path().to_owned(), cause })
    }

    fn handle(&self, name: &ModelName) -> Result<Handle> {
        let models = self.inner.models.read();
        let handle = models.get(name).map(|loaded| loaded.handle.clone());
        handle.filter(|handle| !handle.is_stopped()).ok_or_else(|| unknown(name))
    }

    fn embedder_handle(&self, name: &ModelName) -> Result<Arc<EmbedderHandle>> {
        match self.handle(name)? {
            Handle::Embedding(embedder) => Ok(embedder),
            Handle::Chat(_) => Err(wrong_kind(name, ModelKind::Embedding, ModelKind::Chat)),
        }
    }

    fn chat_handle(&self, name: &ModelName) -> Result<Arc<ChatHandle>> {
        match self.handle(name)? {
            Handle::Chat(chat) => Ok(chat),
            Handle::Embedding(_) => Err(wrong_kind(name, ModelKind::Chat, ModelKind::Embedding)),
        }
    }
}

impl Handle {
    fn is_stopped(&self) -> bool {
        match self {
            Self::Chat(chat) => chat.is_stopped(),
            Self::Embedding(embedder) => embedder.is_stopped(),
        }
    }

    fn kind(&self) -> ModelKind {
        match self {
            Self::Chat(_) => ModelKind::Chat,
            Self::Embedding(_) => ModelKind::Embedding,
        }
    }
}

fn open(
    name: &ModelName,
    files: &ModelFiles,
    options: &ModelOptions,
    threads: std::num::NonZeroUsize,
) -> Result<Handle> {
    match files {
        ModelFiles::Gguf { path, chat_template } => {
            ChatHandle::open(name, path, chat_template.as_deref(), options, threads)
                .map(|chat| Handle::Chat(Arc::new(chat)))
        }
        ModelFiles::Embedder { dir } => {
            EmbedderHandle::open(name, dir, options).map(|embedder| Handle::Embedding(Arc::new(embedder)))
        }
    }
}

fn describe(name: &ModelName, handle: &Handle) -> LoadedModel {
    let (context, slots, stats) = match handle {
        Handle::Chat(chat) => (chat.context(), chat.slots(), chat.stats()),
        Handle::Embedding(embedder) => (embedder.context(), 1, embedder.stats()),
    };
    LoadedModel { name: name.clone(), kind: handle.kind(), context, slots, stats }
}

fn unknown(name: &ModelName) -> Error {
    Error::UnknownModel { name: name.clone() }
}

fn wrong_kind(name: &ModelName, wanted: ModelKind, found: ModelKind) -> Error {
    Error::WrongKind { name: name.clone(), wanted: wanted.as_str(), found: found.as_str() }
}

/// Runs work that takes milliseconds (reading a file, rendering, tokenizing) away from the async threads.
async fn run_blocking<T, F>(operation: &'static str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panicked) => Err(Error::backend(operation, panicked)),
    }
}

#[cfg(test)]
mod tests;
