//! The thread of a chat model: admits sequences to slots and computes all of them together, step by step.
//!
//! A step is one batch with one token of each sequence that is generating and a chunk of the prompts that
//! are being read. All sequences share one cache of keys and values, so a prefix is copied between running
//! sequences by marking its cells, without moving data. The cells hold running sequences only: what one has
//! computed moves to host memory when it ends, and comes back when a request starts alike. When the cells do
//! not suffice, the newest sequence is put back into the queue and goes on later.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use tokio::sync::watch;

use crate::backend::backend;
use crate::error::{Cause, Error};
use crate::prefixes::Prefixes;
use crate::slot::{Placement, Prefix, Slot, Source, place};
use crate::stats::Counters;
use crate::task::{Task, Work};

/// What other threads ask of the scheduler.
pub(crate) enum Command {
    /// Generate these sequences, the choices of one request.
    Run(Vec<Work>),
    /// Finish what was accepted, then stop.
    Finish,
    /// Panic at the next step, so that tests can see what becomes of running requests.
    #[cfg(test)]
    Panic,
    /// Say how many cells hold something, so that tests can see that nothing is left behind.
    #[cfg(test)]
    CountCells(std::sync::mpsc::Sender<usize>),
}

/// Sizes of one model's context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub slots: usize,
    pub cache_tokens: u32,
    /// The largest batch of a step.
    pub batch_tokens: usize,
    /// The most prompt tokens of a step while other sequences are generating.
    pub chunk_tokens: usize,
    /// Host memory for the caches of sequences that have ended.
    pub prefix_bytes: usize,
    pub threads: usize,
}

/// Runs the scheduler of `model` until it is told to finish. Says on `ready` whether the context could be
/// made and on `stopped` when the thread ends, however it ends.
pub(crate) fn run(
    model: &LlamaModel,
    limits: Limits,
    commands: &Receiver<Command>,
    counters: &Arc<Counters>,
    ready: &std::sync::mpsc::Sender<std::result::Result<(), Cause>>,
    stopped: &watch::Sender<bool>,
) {
    match open_context(model, limits) {
        Err(cause) => drop(ready.send(Err(cause))),
        Ok(context) => {
            let _ = ready.send(Ok(()));
            let mut scheduler = Scheduler::new(model, context, limits, counters.clone());
            // The context is not used again after a panic; what waits for it is failed below.
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| scheduler.serve(commands)));
            if outcome.is_err() {
                tracing::error!("the engine thread panicked; its requests fail and the next one loads the model again");
                scheduler.fail_all("the engine thread panicked; the next request loads the model again");
            }
        }
    }
    let _ = stopped.send(true);
}

fn open_context(model: &LlamaModel, limits: Limits) -> std::result::Result<LlamaContext<'_>, Cause> {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(limits.cache_tokens))
        .with_n_batch(limits.batch_tokens as u32)
        .with_n_ubatch(limits.batch_tokens as u32)
        .with_n_seq_max(limits.slots as u32)
        .with_kv_unified(true)
        .with_n_threads(limits.threads as i32)
        .with_n_threads_batch(limits.threads as i32)
        .with_no_perf(true);
    Ok(model.new_context(backend()?, params)?)
}

struct Scheduler<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    /// What the batch holds, in its order.
    parts: Vec<Part>,
    slots: Vec<Slot>,
    prefixes: Prefixes<SeqState>,
    queue: VecDeque<Task>,
    limits: Limits,
    /// Whether a sequence can be cut back or copied in part; recurrent models keep one state only.
    reuses_prefixes: bool,
    counters: Arc<Counters>,
    admissions: u64,
    /// Set when a sequence had to go back for lack of cells: until one ends, nothing new is admitted, or
    /// it would be computed and thrown out over and over.
    crowded: bool,
    finishing: bool,
}

/// The tokens of one slot in a batch.
#[derive(Debug, Clone, Copy)]
struct Part {
    slot: usize,
    /// The place of its first token in the batch.
    start: usize,
    count: usize,
}

impl<'m> Scheduler<'m> {
    fn new(model: &'m LlamaModel, context: LlamaContext<'m>, limits: Limits, counters: Arc<Counters>) -> Self {
        Self {
            model,
            context,
            batch: LlamaBatch::new(limits.batch_tokens, 1),
            parts: Vec::with_capacity(limits.slots),
            slots: (0..limits.slots as i32).map(Slot::new).collect(),
            prefixes: Prefixes::new(limits.prefix_bytes),
            queue: VecDeque::new(),
            limits,
            reuses_prefixes: !model.is_recurrent() && !model.is_hybrid(),
            counters,
            admissions: 0,
            crowded: false,
            finishing: false,
        }
    }

    fn serve(&mut self, commands: &Receiver<Command>) {
        loop {
            // Before waiting too: then the last step has just emptied its slots.
            self.publish();
            self.listen(commands);
            self.drop_cancelled();
            self.admit();
            self.publish();
            if self.busy() == 0 && self.queue.is_empty() {
                if self.finishing {
                    return;
                }
                continue;
            }
            self.step();
        }
    }

    /// Takes what was asked since the last step; waits for it when there is nothing to compute.
    fn listen(&mut self, commands: &Receiver<Command>) {
        if self.busy() == 0 && self.queue.is_empty() && !self.finishing {
            match commands.recv() {
                Ok(command) => self.obey(command),
                // All handles are gone, so nobody can ask for more.
                Err(_) => self.finishing = true,
            }
        }
        loop {
            match commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.finishing = true;
                    return;
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Run(works) => self.queue.extend(works.into_iter().map(Task::new)),
            Command::Finish => self.finishing = true,
            #[cfg(test)]
            Command::Panic => panic!("a test asked for this panic"),
            #[cfg(test)]
            Command::CountCells(reply) => {
                let last = |slot: &Slot| self.context.kv_cache_seq_pos_max(slot.sequence);
                // Without a token the last position is -1.
                let _ = reply.send(self.slots.iter().map(|slot| (last(slot) + 1) as usize).sum());
            }
        }
    }

    fn busy(&self) -> usize {
        self.slots.iter().filter(|slot| slot.task.is_some()).count()
    }

    fn drop_cancelled(&mut self) {
        let waiting = self.queue.len();
        self.queue.retain(|task| !task.cancelled());
        let mut cancelled = waiting - self.queue.len();
        for place in 0..self.slots.len() {
            if self.slots[place].task.as_ref().is_some_and(Task::cancelled) {
                self.release(place);
                cancelled += 1;
            }
        }
        Counters::add(&self.counters.cancelled, cancelled);
    }

    /// Gives free slots to waiting tasks, in order. A task that waits for a prefix lets others pass.
    fn admit(&mut self) {
        if self.crowded && self.busy() > 0 {
            return;
        }
        let mut place_in_queue = 0;
        while let Some(task) = self.queue.get(place_in_queue) {
            let shareable = if self.reuses_prefixes { task.shareable() } else { &[] };
            match place(shareable, &self.slots, self.prefixes.tokens()) {
                Placement::Full => return,
                Placement::Later => place_in_queue += 1,
                Placement::At { slot, prefix } => {
                    if let Some(task) = self.queue.remove(place_in_queue) {
                        self.start(task, slot, prefix);
                    }
                }
            }
        }
    }

    fn start(&mut self, mut task: Task, slot: usize, prefix: Option<Prefix>) {
        let shared = prefix.map_or(0, |prefix| self.bring(slot, prefix));
        self.admissions += 1;
        let first_time = task.admitted == 0;
        task.admit(self.admissions, shared);
        if first_time {
            Counters::add(&self.counters.prompt_tokens, task.work.prompt.len());
            Counters::add(&self.counters.cached_tokens, shared);
        }
        self.slots[slot].task = Some(task);
    }

    /// Brings a prefix into an empty slot; returns its length, 0 if it could not be brought.
    fn bring(&mut self, slot: usize, prefix: Prefix) -> usize {
        let sequence = self.slots[slot].sequence;
        let brought = match prefix.source {
            Source::Running(place) => {
                let Slot { sequence: from, computed, .. } = &self.slots[place];
                let copied = self.context.kv_cache_seq_cp(*from, sequence, None, None);
                copied.is_ok().then(|| computed.clone())
            }
            Source::Kept(place) => self.prefixes.take_up(place).and_then(|(tokens, state)| {
                // Fails when the cells that running sequences leave do not suffice for all of it.
                self.context.state_seq_set(state, sequence).is_ok().then(|| tokens.to_vec())
            }),
        };
        let length = if brought.is_some() { prefix.length } else { 0 };
        self.slots[slot].computed = brought.unwrap_or_default();
        self.cut(slot, length)
    }

    /// Removes what comes after the first `length` tokens from a slot's cache; returns how many stay.
    fn cut(&mut self, slot: usize, length: usize) -> usize {
        let Slot { sequence, computed, .. } = &mut self.slots[slot];
        // A model with a sliding window lets go of what the window has passed, so that the window before an
        // earlier end may lack tokens.
        let cuttable = length == computed.len() || self.context.kv_cache_seq_pos_min(*sequence) <= 0;
        if cuttable && self.context.kv_cache_seq_rm(*sequence, Some(length as u32), None).is_ok() {
            computed.truncate(length);
        } else {
            // Removing a whole sequence never fails.
            let _ = self.context.kv_cache_seq_rm(*sequence, None, None);
            computed.clear();
        }
        computed.len()
    }

    /// Ends a slot's task and keeps what it has computed for later requests.
    fn release(&mut self, slot: usize) {
        let worth_keeping = self.slots[slot].task.take().and_then(|task| task.worth_keeping());
        if let Some(length) = worth_keeping.filter(|&length| length < self.slots[slot].computed.len()) {
            self.cut(slot, length);
        }
        self.crowded = false;
        Counters::add(&self.counters.finished, 1);
        self.put_away(slot);
    }

    /// Moves a slot's cache to host memory, if the budget takes it, and frees its cells.
    fn put_away(&mut self, slot: usize) {
        if self.reuses_prefixes {
            let Slot { sequence, computed, .. } = &mut self.slots[slot];
            let (sequence, tokens) = (*sequence, std::mem::take(computed));
            let (context, whole) = (&self.context, LlamaStateSeqFlags::empty());
            let bytes = context.state_seq_get_size_ext(sequence, whole);
            self.prefixes.keep(tokens, bytes, || context.state_seq_get(sequence, whole).ok());
            Counters::set(&self.counters.prefix_bytes, self.prefixes.bytes());
        }
        self.cut(slot, 0);
    }

    fn publish(&self) {
        Counters::set(&self.counters.slots_busy, self.busy());
    }

    fn step(&mut self) {
        let started = Instant::now();
        self.fill_batch();
        if self.parts.is_empty() {
            return;
        }
        match self.context.decode(&mut self.batch) {
            Ok(()) => {
                let generated = self.take_results();
                self.counters.step(started.elapsed(), generated);
            }
            Err(DecodeError::NoKvCacheSlot) => self.make_room(),
            Err(error) => {
                self.fail_all(&error.to_string());
                self.context.clear_kv_cache();
                self.slots.iter_mut().for_each(|slot| slot.computed.clear());
            }
        }
    }

    /// Fills the batch: first the sequences that need one token, so that no prompt delays them, then chunks
    /// of prompts in the order of their admission.
    fn fill_batch(&mut self) {
        self.batch.clear();
        self.parts.clear();
        let mut order: Vec<usize> = (0..self.slots.len()).filter(|place| self.slots[*place].remaining() > 0).collect();
        order.sort_by_key(|place| {
            let slot = &self.slots[*place];
            (!slot.needs_one(), slot.task.as_ref().map(|task| task.admitted))
        });
        let generating = order.iter().filter(|place| self.slots[**place].needs_one()).count();
        let mut prompt_budget = if generating > 0 { self.limits.chunk_tokens } else { self.limits.batch_tokens };
        prompt_budget = prompt_budget.min(self.limits.batch_tokens - generating);
        for slot in order {
            let (remaining, needs_one) = (self.slots[slot].remaining(), self.slots[slot].needs_one());
            let count = if needs_one { 1 } else { remaining.min(prompt_budget) };
            if !needs_one {
                prompt_budget -= count;
            }
            if count > 0 {
                self.add_part(slot, count);
            }
        }
    }

    fn add_part(&mut self, slot: usize, count: usize) {
        let start = self.batch.n_tokens() as usize;
        let Slot { sequence, computed, task, .. } = &self.slots[slot];
        let Some(task) = task else { return };
        for place in computed.len()..computed.len() + count {
            let logits = task.wants_logits(place);
            self.batch
                .add(task.tokens[place], place as i32, &[*sequence], logits)
                .expect("the budget keeps a step within the batch");
        }
        self.parts.push(Part { slot, start, count });
    }

    /// Hands the logits to the tasks. Returns how many tokens were generated.
    fn take_results(&mut self) -> usize {
        let mut generated = 0;
        let mut ended = Vec::new();
        let parts = std::mem::take(&mut self.parts);
        for part in &parts {
            let before = self.slots[part.slot].task.as_ref().map_or(0, |task| task.tokens.len());
            if !self.take_part(*part) {
                ended.push(part.slot);
                generated += 1;
            } else if self.slots[part.slot].task.as_ref().is_some_and(|task| task.tokens.len() > before) {
                generated += 1;
            }
        }
        self.parts = parts;
        // Keeping a cache takes milliseconds, for which no token of another sequence should wait.
        ended.into_iter().for_each(|slot| self.release(slot));
        generated
    }

    /// Hands the logits of one part to its task. Returns whether the task goes on.
    fn take_part(&mut self, part: Part) -> bool {
        let Slot { computed, task, .. } = &mut self.slots[part.slot];
        let Some(task) = task else { return true };
        let first = computed.len();
        computed.extend_from_slice(&task.tokens[first..first + part.count]);
        (0..part.count).all(|offset| {
            let place = first + offset;
            !task.wants_logits(place)
                || task.take_logits(place, self.context.get_logits_ith((part.start + offset) as i32), self.model)
        })
    }

    /// Frees cells of the full cache: the newest sequence goes back to the queue.
    fn make_room(&mut self) {
        let running =
            self.slots.iter().enumerate().filter_map(|(place, slot)| Some((place, slot.task.as_ref()?.admitted)));
        let Some((newest, _)) = running.max_by_key(|(_, admitted)| *admitted) else { return };
        let alone = self.busy() == 1;
        if let Some(task) = self.slots[newest].task.take() {
            if alone {
                task.fail(Error::backend("computing a step", "the key-value cache is too small for this request"));
            } else {
                self.queue.push_front(task);
                self.crowded = true;
            }
        }
        self.put_away(newest);
    }

    fn fail_all(&mut self, message: &str) {
        let running = self.slots.iter_mut().filter_map(|slot| slot.task.take());
        for task in running.chain(self.queue.drain(..)) {
            task.fail(Error::backend("computing a step", message));
        }
        self.publish();
    }
}
