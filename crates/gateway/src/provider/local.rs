//! The engine in this process, answering in the same wire form as an upstream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use qd_base::chat::{ChatChunk, ChatRequest};
use qd_base::completion::{CompletionRequest, CompletionResponse};
use qd_base::embedding::{EmbeddingInput, EmbeddingRequest, Embeddings, EncodingFormat};
use qd_base::{ModelName, ProviderName};
use qd_model::{Format, Installed, ModelRecord, Models, SamplingDefaults};
use qd_serve::{Encoded, Engine, ModelFiles, ModelOptions, Timings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Ask, Incoming, LOCAL, Piece, Pieces, Provider, Told};
use crate::call::{Call, Endpoint};
use crate::error::{Error, Result};
use crate::listing::{ListedModel, OURS};
use crate::sse::Event;

/// Runs installed models, loading them when they are first asked for.
pub(crate) struct Local {
    name: ProviderName,
    engine: Engine,
    models: Models,
    options: ModelOptions,
}

/// A version of a model that the engine has.
pub(crate) struct Loaded {
    /// What callers know it by.
    name: String,
    version: u32,
    /// What the engine knows it by.
    pub engine_name: ModelName,
    sampling: SamplingDefaults,
}

/// OpenAI's limit on the inputs of one embeddings request.
const MOST_INPUTS: usize = 2048;

impl Local {
    /// The engine, with the models that are installed.
    pub fn new(engine: Engine, models: Models, options: ModelOptions) -> Self {
        let name = LOCAL.parse().expect("the word is a provider name");
        Self { name, engine, models, options }
    }

    /// Sees to it that the version of the model that `name` stands for now is loaded. A label may have moved since the last
    /// call, so each version has a name of its own in the engine.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] or [`Error::NotInstalled`] when it is not installed, [`Error::Engine`] when it cannot be loaded.
    pub async fn load(&self, name: &str) -> Result<Loaded> {
        let installed = self.models.resolve(name).await.map_err(|cause| from_models(name, cause))?;
        let engine_name: ModelName =
            format!("{}@{}", installed.name, installed.version).parse().map_err(|_| unknown(name))?;
        let sampling = installed.manifest.sampling;
        let loaded = Loaded { name: installed.name.to_string(), version: installed.version, engine_name, sampling };
        if self.engine.kind(&loaded.engine_name).is_none() {
            let options = self.options.clone();
            self.engine.load(loaded.engine_name.clone(), files(installed), options).await.map_err(from_engine)?;
        }
        Ok(loaded)
    }

    /// The vectors of all tokens of texts, from an encoder.
    ///
    /// # Errors
    /// As [`Local::load`], and [`Error::Invalid`] for a model of another kind and a layer that there is not.
    pub async fn encode(&self, name: &str, texts: Vec<String>, layer: Option<usize>) -> Result<Vec<Encoded>> {
        let model = self.load(name).await?;
        self.engine.encode(&model.engine_name, texts, layer).await.map_err(from_engine)
    }

    /// The tokens of texts, as an encoder reads them.
    ///
    /// # Errors
    /// As [`Local::encode`].
    pub async fn tokens(&self, name: &str, texts: Vec<String>) -> Result<Vec<Vec<u32>>> {
        let model = self.load(name).await?;
        self.engine.encoder_tokens(&model.engine_name, texts).await.map_err(from_engine)
    }

    /// The tokens of a request to a model that is loaded.
    async fn counted(&self, call: &Call, name: &str) -> Option<usize> {
        let installed = self.models.resolve(name).await.ok()?;
        let engine_name: ModelName = format!("{}@{}", installed.name, installed.version).parse().ok()?;
        match call.endpoint {
            Endpoint::Chat => self.engine.count(&engine_name, read(&call.body).ok()?).await.ok(),
            Endpoint::Completions => {
                let request: CompletionRequest = read(&call.body).ok()?;
                self.engine.count_texts(&engine_name, request).await.ok()
            }
            Endpoint::Embeddings => None,
        }
    }

    /// The model that `name` stands for now, with its version.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] or [`Error::NotInstalled`] when it is not installed.
    pub async fn exact(&self, name: &str) -> Result<String> {
        let installed = self.models.resolve(name).await.map_err(|cause| from_models(name, cause))?;
        Ok(format!("{}@{}", installed.name, installed.version))
    }

    async fn installed(&self) -> Result<Vec<ListedModel>> {
        let records = self.models.list().await.map_err(Error::Model)?;
        let listed = |record: ModelRecord| {
            let created = record.installed?.created.as_nanos() / 1_000_000_000;
            Some(ListedModel { id: record.name.to_string(), owned_by: OURS.to_owned(), created })
        };
        Ok(records.into_iter().filter_map(listed).collect())
    }

    async fn attempt(&self, ask: Ask<'_>) -> Result<Incoming> {
        let model = self.load(ask.model).await?;
        let body = ask.call.body_for(ask.model, ask.call.asks_usage_itself());
        match ask.call.endpoint {
            Endpoint::Chat => self.chat(model, ask.call, &body).await,
            Endpoint::Completions => self.complete(model, ask.call, &body).await,
            Endpoint::Embeddings => self.embed(model, &body).await,
        }
    }

    async fn chat(&self, model: Loaded, call: &Call, body: &[u8]) -> Result<Incoming> {
        let mut request: ChatRequest = read(body)?;
        request.temperature = request.temperature.or(model.sampling.temperature);
        request.top_p = request.top_p.or(model.sampling.top_p);
        let events = self.engine.chat(&model.engine_name, request).await.map_err(from_engine)?;
        if call.stream {
            return Ok(Incoming::Events(pieces(events, model)));
        }
        let (mut answer, timings) = events.collect_answer().await.map_err(from_engine)?;
        answer.model = model.name;
        Ok(whole(&answer, Some(Told { timings: Some(timings), version: model.version })))
    }

    async fn complete(&self, model: Loaded, call: &Call, body: &[u8]) -> Result<Incoming> {
        let mut request: CompletionRequest = read(body)?;
        request.temperature = request.temperature.or(model.sampling.temperature);
        request.top_p = request.top_p.or(model.sampling.top_p);
        let mut events = self.engine.complete(&model.engine_name, request).await.map_err(from_engine)?;
        if call.stream {
            return Ok(Incoming::Events(pieces(events, model)));
        }
        let mut answer = None;
        while let Some(event) = events.next().await {
            match event.map_err(from_engine)? {
                qd_serve::Event::Chunk(chunk) => extend(&mut answer, chunk),
                qd_serve::Event::Done(timings) => return self.completed(answer, timings, model),
            }
        }
        Err(self.silent())
    }

    fn completed(&self, answer: Option<CompletionResponse>, timings: Timings, model: Loaded) -> Result<Incoming> {
        let mut answer = answer.ok_or_else(|| self.silent())?;
        answer.choices.sort_by_key(|choice| choice.index);
        answer.usage = Some(timings.usage());
        answer.model = model.name;
        Ok(whole(&answer, Some(Told { timings: Some(timings), version: model.version })))
    }

    fn silent(&self) -> Error {
        Error::Protocol { provider: self.name.clone(), message: "it ended without an answer".to_owned() }
    }

    async fn embed(&self, model: Loaded, body: &[u8]) -> Result<Incoming> {
        let request: EmbeddingRequest = read(body)?;
        let (format, dimensions) = (request.encoding_format.unwrap_or_default(), request.dimensions);
        let embeddings = self.engine.embed(&model.engine_name, texts(request.input)?).await.map_err(from_engine)?;
        check_dimensions(dimensions, &embeddings)?;
        let told = Told { timings: None, version: model.version };
        Ok(whole(&EmbeddingList::of(model.name, format, embeddings), Some(told)))
    }
}

impl Provider for Local {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn timeout_ms(&self) -> Option<u64> {
        None
    }

    fn send<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Incoming>> {
        self.attempt(ask).boxed()
    }

    fn count<'a>(&'a self, call: &'a Call, model: &'a str) -> BoxFuture<'a, Option<usize>> {
        self.counted(call, model).boxed()
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ListedModel>>> {
        self.installed().boxed()
    }
}

fn files(installed: Installed) -> ModelFiles {
    match installed.manifest.format {
        Format::Gguf => ModelFiles::Gguf { path: installed.path, chat_template: None },
        Format::Safetensors => ModelFiles::Embedder { dir: installed.path },
    }
}

fn unknown(name: &str) -> Error {
    Error::UnknownModel { model: name.to_owned() }
}

fn from_models(name: &str, error: qd_model::Error) -> Error {
    use qd_model::Error as Model;
    match error {
        Model::Unknown { .. } | Model::Name(_) => unknown(name),
        // These say what to do about it, which is more help than that there is no such model.
        Model::NotInstalled { .. } | Model::NoVersion { .. } => Error::NotInstalled { message: error.to_string() },
        error => Error::Model(error),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|cause| invalid(format!("the request is not as OpenAI's API says: {cause}"), None))
}

fn whole<T: Serialize>(answer: &T, told: Option<Told>) -> Incoming {
    // These types are ours and have no map with keys that are not text, so writing them cannot fail.
    let body = serde_json::to_vec(answer).expect("an answer of the engine is valid JSON");
    Incoming::Whole { body: body.into(), told }
}

/// The engine's events in wire form, closed by `[DONE]`.
fn pieces<C: Chunk>(
    events: impl Stream<Item = qd_serve::Result<qd_serve::Event<C>>> + Send + 'static,
    model: Loaded,
) -> Pieces {
    let done = futures::stream::once(async { Ok(Piece::Event(Event::done())) });
    // After an error the reader stops, so `[DONE]` never follows one.
    events.map(move |event| event.map(|event| piece(event, &model)).map_err(from_engine)).chain(done).boxed()
}

fn piece<C: Chunk>(event: qd_serve::Event<C>, model: &Loaded) -> Piece {
    match event {
        qd_serve::Event::Chunk(mut chunk) => {
            chunk.model().clone_from(&model.name);
            Piece::Event(Event::of(&serde_json::to_vec(&chunk).expect("a chunk of the engine is valid JSON")))
        }
        qd_serve::Event::Done(timings) => Piece::Told(Told { timings: Some(timings), version: model.version }),
    }
}

/// The chunks of both kinds of stream name the model that answers.
trait Chunk: Serialize + Send + 'static {
    fn model(&mut self) -> &mut String;
}

impl Chunk for ChatChunk {
    fn model(&mut self) -> &mut String {
        &mut self.model
    }
}

impl Chunk for CompletionResponse {
    fn model(&mut self) -> &mut String {
        &mut self.model
    }
}

/// Adds what a chunk of a completion says to the answer so far.
fn extend(answer: &mut Option<CompletionResponse>, chunk: CompletionResponse) {
    let Some(answer) = answer else { return *answer = Some(chunk) };
    for more in chunk.choices {
        let Some(choice) = answer.choices.iter_mut().find(|choice| choice.index == more.index) else {
            answer.choices.push(more);
            continue;
        };
        choice.text.push_str(&more.text);
        choice.extra.extend(more.extra);
        choice.finish_reason = more.finish_reason.or(choice.finish_reason.take());
        match (&mut choice.logprobs, more.logprobs) {
            (Some(logprobs), Some(more)) => {
                logprobs.tokens.extend(more.tokens);
                logprobs.token_logprobs.extend(more.token_logprobs);
                logprobs.top_logprobs.extend(more.top_logprobs);
                logprobs.text_offset.extend(more.text_offset);
            }
            (logprobs, more) => *logprobs = logprobs.take().or(more),
        }
    }
}

fn texts(input: EmbeddingInput) -> Result<Vec<String>> {
    let texts = match input {
        EmbeddingInput::Text(text) => vec![text],
        EmbeddingInput::Texts(texts) => texts,
        EmbeddingInput::Tokens(_) | EmbeddingInput::TokenLists(_) => {
            return Err(invalid(
                "this model takes text, not tokens: its tokenizer is not the one that made them".to_owned(),
                Some("input"),
            ));
        }
    };
    match texts.len() {
        0 => Err(invalid("input is empty".to_owned(), Some("input"))),
        1..=MOST_INPUTS => Ok(texts),
        count => {
            Err(invalid(format!("input has {count} texts; {MOST_INPUTS} are allowed in one request"), Some("input")))
        }
    }
}

fn check_dimensions(asked: Option<u32>, embeddings: &Embeddings) -> Result<()> {
    let width = embeddings.vectors.first().map_or(0, Vec::len);
    match asked {
        Some(asked) if asked as usize != width => Err(invalid(
            format!("this model's vectors have {width} dimensions and cannot be shortened to {asked}"),
            Some("dimensions"),
        )),
        _ => Ok(()),
    }
}

/// OpenAI's list of embeddings.
#[derive(Serialize)]
struct EmbeddingList {
    object: &'static str,
    data: Vec<EmbeddingItem>,
    model: String,
    usage: Value,
}

#[derive(Serialize)]
struct EmbeddingItem {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

impl EmbeddingList {
    fn of(model: String, format: EncodingFormat, embeddings: Embeddings) -> Self {
        let tokens = embeddings.usage.input_tokens;
        let vector = |floats: Vec<f32>| match format {
            EncodingFormat::Float => Vector::Floats(floats),
            EncodingFormat::Base64 => Vector::Base64(
                STANDARD.encode(floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<u8>>()),
            ),
        };
        let item = |(index, floats)| EmbeddingItem { object: "embedding", index, embedding: vector(floats) };
        Self {
            object: "list",
            data: embeddings.vectors.into_iter().enumerate().map(item).collect(),
            model,
            usage: json!({"prompt_tokens": tokens, "total_tokens": tokens}),
        }
    }
}

fn invalid(message: String, param: Option<&str>) -> Error {
    Error::Invalid { message, param: param.map(str::to_owned), code: None }
}

fn from_engine(error: qd_serve::Error) -> Error {
    use qd_serve::Error as Serve;
    match error {
        Serve::UnknownModel { name } => Error::UnknownModel { model: name.to_string() },
        Serve::QueueFull { retry_after_ms } => Error::Busy { retry_after_ms },
        Serve::ContextOverflow { .. } => Error::Invalid {
            message: error.to_string(),
            param: Some("messages".to_owned()),
            code: Some("context_length_exceeded"),
        },
        Serve::Invalid { message, param } => Error::Invalid { message, param, code: None },
        Serve::WrongKind { .. } => invalid(error.to_string(), Some("model")),
        Serve::Template { ref cause, .. } => invalid(format!("{error}: {cause}"), Some("messages")),
        Serve::AlreadyLoaded { .. } | Serve::Load { .. } | Serve::Backend { .. } => Error::Engine(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_in_both_forms() {
        let list = |format| {
            let embeddings = Embeddings {
                vectors: vec![vec![0.1, -2.0]],
                usage: qd_base::Usage { input_tokens: 3, ..Default::default() },
            };
            serde_json::to_string(&EmbeddingList::of("m".to_owned(), format, embeddings)).unwrap()
        };
        assert_eq!(
            list(EncodingFormat::Float),
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2.0]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
        );
        // Python: base64.b64encode(struct.pack('<2f', 0.1, -2.0))
        assert!(list(EncodingFormat::Base64).contains(r#""embedding":"zczMPQAAAMA=""#));
    }

    #[test]
    fn a_completion_is_put_together_by_choice() {
        let chunk = |json: Value| serde_json::from_value::<CompletionResponse>(json).unwrap();
        let frame = |choices: Value| {
            chunk(json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices}))
        };
        let mut answer = None;
        extend(&mut answer, frame(json!([{"index": 1, "text": "b"}])));
        extend(&mut answer, frame(json!([{"index": 0, "text": "a"}])));
        extend(&mut answer, frame(json!([{"index": 1, "text": "c", "finish_reason": "stop"}])));
        let texts: Vec<_> = answer.unwrap().choices.into_iter().map(|choice| (choice.index, choice.text)).collect();
        assert_eq!(texts, [(1, "bc".to_owned()), (0, "a".to_owned())]);
    }

    #[test]
    fn inputs_are_bounded() {
        assert!(texts(EmbeddingInput::Texts(vec![String::new(); MOST_INPUTS])).is_ok());
        assert!(texts(EmbeddingInput::Texts(vec![String::new(); MOST_INPUTS + 1])).is_err());
        assert!(texts(EmbeddingInput::Texts(Vec::new())).is_err());
        assert!(texts(EmbeddingInput::Tokens(vec![1])).is_err());
    }
}
