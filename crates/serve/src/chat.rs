//! One loaded chat model: its door from other threads.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use futures::stream::{self, Stream};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use qd_base::ModelName;
use qd_base::chat::{ChatRequest, StreamOptions};
use qd_base::completion::{CompletionRequest, Measure};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::assemble::{Assemble, ChatAssembler, CompletionAssembler, Header, Tally, TokenTexts};
use crate::backend::backend;
use crate::error::{Cause, Error, Result};
use crate::event::{ChatEvents, CompletionEvents, Event, Events};
use crate::measure::{self, MeasureAssembler};
use crate::options::ModelOptions;
use crate::plan::{self, Plan, Room};
use crate::prompt::Prompter;
use crate::sampler::Sampling;
use crate::scheduler::{self, Command, Limits};
use crate::seats::Seats;
use crate::stats::{Counters, ModelStats};
use crate::task::{Piece, Work};
use crate::tools::Calls;

/// What a model gets as context when nothing is said and it was trained on more.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;
/// The largest batch of a step.
const BATCH_TOKENS: usize = 512;
/// llama.cpp's own limit on sequences.
const MAX_SLOTS: usize = 256;

/// A loaded chat model. Dropping the last handle ends its thread once accepted requests are finished.
pub(crate) struct ChatHandle {
    name: ModelName,
    model: Arc<LlamaModel>,
    prompter: Option<Prompter>,
    room: Room,
    slots: usize,
    commands: Sender<Command>,
    seats: Arc<Seats>,
    counters: Arc<Counters>,
    stopped: watch::Receiver<bool>,
}

impl ChatHandle {
    /// Loads the weights and starts the thread; returns when it is ready to compute.
    pub fn open(
        name: &ModelName,
        path: &Path,
        chat_template: Option<&str>,
        options: &ModelOptions,
        threads: NonZeroUsize,
    ) -> Result<Self> {
        let failed = |cause: Cause| Error::Load { name: name.clone(), path: path.to_owned(), cause };
        let model = Arc::new(open_model(path).map_err(failed)?);
        let prompter = open_template(&model, chat_template).map_err(failed)?;
        let context = options.context.unwrap_or_else(|| model.n_ctx_train().min(DEFAULT_CONTEXT_TOKENS));
        let limits = limits(options, context, threads).map_err(failed)?;
        let counters = Arc::new(Counters::default());
        Counters::set(&counters.model_bytes, model.size() as usize);
        let (commands, stopped) = start(model.clone(), limits, &counters).map_err(failed)?;
        let room = Room { context: context as usize, vocabulary: model.vocab().n_tokens() as usize };
        let seats = Seats::new(limits.slots + options.queue);
        let name = name.clone();
        Ok(Self { name, model, prompter, room, slots: limits.slots, commands, seats, counters, stopped })
    }

    /// Makes the thread panic, to see what becomes of running requests.
    #[cfg(test)]
    pub fn panic(&self) {
        self.commands.send(Command::Panic).expect("the thread runs");
    }

    /// Tokens in the key-value cache, each sequence counted by itself.
    #[cfg(test)]
    pub fn cells(&self) -> usize {
        let (reply, counted) = channel();
        self.commands.send(Command::CountCells(reply)).expect("the thread runs");
        counted.recv().expect("the thread answers")
    }

    /// Whether its thread has ended, so that it will never answer again.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub fn context(&self) -> usize {
        self.room.context
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    pub fn stats(&self) -> ModelStats {
        let stats = self.counters.read();
        // Counted by places and not by the thread, so that what it has not yet looked at counts too.
        ModelStats { queue_length: (self.seats.taken() as u64).saturating_sub(stats.slots_busy), ..stats }
    }

    pub fn tokenize(&self, text: &str) -> Vec<i32> {
        self.model.vocab().tokenize(text.as_bytes(), false, false).into_iter().map(|token| token.0).collect()
    }

    pub fn count(&self, request: &ChatRequest) -> Result<usize> {
        let calls = Calls::of(request.tools.as_deref(), request.tool_choice.as_ref())?;
        self.prompt(request, &calls).map(|prompt| prompt.len())
    }

    pub fn count_texts(&self, request: &CompletionRequest) -> Result<usize> {
        Ok(self.prompts(request)?.iter().map(Vec::len).sum())
    }

    /// Prepares a chat and hands it to the thread.
    pub fn chat(&self, request: ChatRequest) -> Result<ChatEvents> {
        let calls = Calls::of(request.tools.as_deref(), request.tool_choice.as_ref())?;
        let prompt = self.prompt(&request, &calls)?;
        let plan = plan::chat(&request, &calls, prompt, self.room)?;
        let header = self.header("chatcmpl", request.stream_options.as_ref());
        let tally = Tally::new(plan.choices as usize, plan.choices);
        let assembler = ChatAssembler::new(header, tally, TokenTexts(self.model.clone()), calls != Calls::None);
        Ok(events(self.submit(&plan)?, assembler))
    }

    /// Prepares a completion and hands it to the thread.
    pub fn complete(&self, request: CompletionRequest) -> Result<CompletionEvents> {
        if let Some(wanted) = &request.measure {
            return self.measure(&request, wanted);
        }
        let prompts = self.prompts(&request)?;
        let plan = plan::completion(&request, prompts, self.room)?;
        let echoes = if request.echo.unwrap_or(false) { self.echoes(&plan) } else { BTreeMap::new() };
        let header = self.header("cmpl", request.stream_options.as_ref());
        let tally = Tally::new(plan.prompts.len() * plan.choices as usize, plan.choices);
        let assembler = CompletionAssembler::new(header, tally, TokenTexts(self.model.clone()), echoes);
        Ok(events(self.submit(&plan)?, assembler))
    }

    /// Measures the ends of prompts after their beginnings.
    fn measure(&self, request: &CompletionRequest, wanted: &Measure) -> Result<CompletionEvents> {
        let sequences = measure::sequences(request, wanted, self.room, &self.model)?;
        let top = request.logprobs.map(|top| plan::at_most("logprobs", top, plan::MAX_TOP_LOGPROBS)).transpose()?;
        let plan = plan::measuring(&sequences, top.unwrap_or(0) as usize);
        let header = self.header("cmpl", request.stream_options.as_ref());
        let tally = Tally::new(sequences.len(), 1);
        let texts = TokenTexts(self.model.clone());
        let inner = CompletionAssembler::new(header, tally, texts, BTreeMap::new());
        let assembler = MeasureAssembler::new(inner, &sequences, top.is_some());
        Ok(events(self.submit(&plan)?, assembler))
    }

    /// Lets accepted requests finish and waits for the thread to end.
    pub async fn finish(&self) {
        // A thread that is gone has finished.
        let _ = self.commands.send(Command::Finish);
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    fn header(&self, prefix: &str, options: Option<&StreamOptions>) -> Header {
        let include_usage = options.and_then(|options| options.include_usage).unwrap_or(false);
        Header::new(prefix, self.name.to_string(), include_usage)
    }

    fn prompt(&self, request: &ChatRequest, calls: &Calls) -> Result<Vec<LlamaToken>> {
        let Some(prompter) = &self.prompter else {
            let message = format!("model {} has no chat template; it can only continue texts", self.name);
            return Err(Error::invalid("model", message));
        };
        let failed = |cause| Error::Template { name: self.name.clone(), cause: Box::new(cause) };
        let text = prompter.render(request, calls.tools())?.map_err(failed)?;
        let vocab = self.model.vocab();
        // Most templates write the first token themselves.
        let bos = vocab.token_to_piece(vocab.bos(), true, None);
        let add_special = bos.is_empty() || !text.as_bytes().starts_with(&bos);
        Ok(vocab.tokenize(text.as_bytes(), add_special, true))
    }

    fn prompts(&self, request: &CompletionRequest) -> Result<Vec<Vec<LlamaToken>>> {
        let vocab = self.model.vocab();
        plan::prompts(&request.prompt, self.room, |text: &str| vocab.tokenize(text.as_bytes(), true, true))
    }

    fn echoes(&self, plan: &Plan) -> BTreeMap<u32, String> {
        let vocab = self.model.vocab();
        let text = |prompt: &[LlamaToken]| {
            let bytes: Vec<u8> = prompt.iter().flat_map(|token| vocab.token_to_piece(*token, true, None)).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let prompts = plan.prompts.iter().flat_map(|prompt| (0..plan.choices).map(move |_| prompt));
        (0..).zip(prompts.map(|prompt| text(prompt))).collect()
    }

    fn submit(&self, plan: &Plan) -> Result<UnboundedReceiver<Result<Piece>>> {
        let count = plan.prompts.len() * plan.choices as usize;
        if count > self.seats.capacity() {
            let message =
                format!("{count} answers at once are more than the {} this model takes", self.seats.capacity());
            return Err(Error::invalid("n", message));
        }
        let Some(seats) = self.seats.take(count) else {
            return Err(Error::QueueFull {
                retry_after_ms: self.counters.retry_after_ms(self.seats.taken(), self.slots),
            });
        };
        let (replies, receiver) = unbounded_channel();
        let submitted = Instant::now();
        let mut works = Vec::with_capacity(count);
        for ((index, seat), place) in
            (0..).zip(seats).zip((0..plan.prompts.len()).flat_map(|place| (0..plan.choices).map(move |_| place)))
        {
            works.push(Work {
                index,
                prompt: plan.prompts[place].clone(),
                sampling: Sampling { seed: plan.sampling.seed.wrapping_add(u64::from(index)), ..plan.sampling.clone() },
                form: plan.shape.form(&self.model)?,
                stops: plan.stops.clone(),
                max_tokens: plan.max_tokens[place],
                top_logprobs: plan.top_logprobs,
                scored_from: plan.scored_from[place],
                ignore_end: plan.ignore_end,
                submitted,
                replies: replies.clone(),
                _seat: seat,
            });
        }
        let gone = |_| {
            Error::backend(
                "starting a request",
                "the engine thread has stopped; the next request loads the model again",
            )
        };
        self.commands.send(Command::Run(works)).map_err(gone)?;
        Ok(receiver)
    }
}

fn open_model(path: &Path) -> std::result::Result<LlamaModel, Cause> {
    if !path.is_file() {
        return Err("there is no such file".into());
    }
    Ok(LlamaModel::load_from_file(backend()?, path, &LlamaModelParams::default())?)
}

/// The template given, or the one in the model's file; a base model has none.
fn open_template(model: &LlamaModel, given: Option<&str>) -> std::result::Result<Option<Prompter>, Cause> {
    let source = match given {
        Some(source) => Some(source.to_owned()),
        None => model.chat_template(None).ok().and_then(|template| template.to_string().ok()),
    };
    let Some(source) = source else { return Ok(None) };
    let vocab = model.vocab();
    let text = |token: LlamaToken| String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned();
    Ok(Some(Prompter::new(&source, &text(vocab.bos()), &text(vocab.eos()))?))
}

fn limits(options: &ModelOptions, context: u32, threads: NonZeroUsize) -> std::result::Result<Limits, Cause> {
    if options.slots == 0 || options.slots > MAX_SLOTS {
        return Err(format!("slots must be between 1 and {MAX_SLOTS}, not {}", options.slots).into());
    }
    if context == 0 || options.chunk_tokens == 0 {
        return Err("context and chunk_tokens must be at least 1".into());
    }
    let batch_tokens = BATCH_TOKENS.max(options.slots + options.chunk_tokens);
    // llama.cpp cuts its batch to the cache and aborts the process when it gets a larger one.
    let cache_tokens = options.cache_tokens.max(context).max(batch_tokens as u32);
    Ok(Limits {
        slots: options.slots,
        cache_tokens,
        batch_tokens,
        chunk_tokens: options.chunk_tokens,
        prefix_bytes: options.prefix_bytes,
        threads: threads.get(),
    })
}

type Started = (Sender<Command>, watch::Receiver<bool>);

fn start(model: Arc<LlamaModel>, limits: Limits, counters: &Arc<Counters>) -> std::result::Result<Started, Cause> {
    let (commands, obeyed) = channel();
    let (stopping, stopped) = watch::channel(false);
    let (ready, opened) = channel();
    let counters = counters.clone();
    std::thread::Builder::new()
        .name("qd-serve".to_owned())
        .spawn(move || scheduler::run(&model, limits, &obeyed, &counters, &ready, &stopping))?;
    opened.recv().map_err(|_| Cause::from("the engine thread ended while it started"))??;
    Ok((commands, stopped))
}

/// The events of a request: what the assembler makes of the pieces, and an error when they end too early.
fn events<A: Assemble>(pieces: UnboundedReceiver<Result<Piece>>, assembler: A) -> Events<A::Chunk> {
    Events::new(unfolded(pieces, assembler))
}

fn unfolded<A: Assemble>(
    pieces: UnboundedReceiver<Result<Piece>>,
    assembler: A,
) -> impl Stream<Item = Result<Event<A::Chunk>>> + Send + 'static {
    let state = Unfold { pieces, assembler, waiting: VecDeque::new(), over: false };
    stream::unfold(state, |mut state| async move { state.next().await.map(|event| (event, state)) })
}

struct Unfold<A: Assemble> {
    pieces: UnboundedReceiver<Result<Piece>>,
    assembler: A,
    waiting: VecDeque<Event<A::Chunk>>,
    over: bool,
}

impl<A: Assemble> Unfold<A> {
    async fn next(&mut self) -> Option<Result<Event<A::Chunk>>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.over |= matches!(event, Event::Done(_));
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            match self.pieces.recv().await {
                Some(Ok(piece)) => self.waiting.extend(self.assembler.take(piece)),
                Some(Err(error)) => return self.fail(error),
                None => return self.fail(Error::backend("computing an answer", "the engine stopped before its end")),
            }
        }
    }

    fn fail(&mut self, error: Error) -> Option<Result<Event<A::Chunk>>> {
        self.over = true;
        Some(Err(error))
    }
}
