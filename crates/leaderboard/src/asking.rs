//! Asking a model about documents: which calls their requests make, and what the answers say.
//!
//! Likelihoods of the engine here come with what stands before them computed once: all choices of some documents are one call, whose
//! field `measure` tells where each prompt's measured end begins. Of other providers they come as echoed prompts with
//! log-probabilities, which vLLM and others have and interfaces that only chat have not.

use qd_base::completion::Measured;
use qd_base::{Picodollars, TraceId, Usage};
use qd_gateway::batch::{self, Asked as Reply, Failure, Ledger};
use qd_gateway::{CallContext, Endpoint, Gateway, Pinned};
use qd_task::request::{DEFAULT_MAX_TOKENS, cut_before_tokens};
use qd_task::{Answer, Ask, Generation, Likelihood, Prompt};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::echo;
use crate::plan::LOCAL;

/// Prompts of one call, unless one document has more: enough that steps of the engine are full, few enough that a call that is
/// interrupted loses little.
pub const PROMPTS_TOGETHER: usize = 16;
/// Prompts of one call at most.
pub const MOST_PROMPTS: usize = 32;
/// Characters of an answer that are kept.
const LONGEST_ANSWER_CHARS: usize = 100_000;

/// Who is asked.
pub struct Asking<'g> {
    /// The way there.
    pub gateway: &'g Gateway,
    /// In whose name, and as which model.
    pub context: CallContext,
    /// The model's name in the leaderboard.
    pub model: &'g str,
    /// What it stands for.
    pub target: &'g Pinned,
    /// Counts each call, and says when to stop.
    pub ledger: &'g Ledger,
    /// Ends the waiting for a busy model.
    pub gives_up: &'g CancellationToken,
}

/// Why there are no answers.
#[derive(Debug)]
pub enum Missing {
    /// A call failed.
    Failed(Failure),
    /// The budget was used up before a call, for this reason.
    Stopped(String),
}

impl From<Failure> for Missing {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What some documents were answered, and what that took.
#[derive(Debug)]
pub struct Answered {
    /// For each document an answer to each of its requests.
    pub answers: Vec<Vec<Answer>>,
    /// Calls that were answered.
    pub calls: u64,
    /// Tokens, where they were told.
    pub usage: Option<Usage>,
    /// What it costs; none when the price of a call is not known.
    pub cost: Option<Picodollars>,
    /// How long the calls took, one after the other.
    pub latency_ms: f64,
    /// The trace of the last.
    pub trace: Option<TraceId>,
}

impl Default for Answered {
    /// Nothing, which costs nothing.
    fn default() -> Self {
        Self { answers: Vec::new(), calls: 0, usage: None, cost: Some(Picodollars::ZERO), latency_ms: 0.0, trace: None }
    }
}

impl Answered {
    fn add(&mut self, reply: &Reply) {
        self.calls += 1;
        self.usage = match (self.usage, reply.usage) {
            (Some(before), Some(now)) => Some(added(before, now)),
            (before, now) => before.or(now),
        };
        self.cost = self.cost.zip(reply.cost).map(|(before, now)| before + now);
        self.latency_ms += reply.latency_ms;
        self.trace = Some(reply.served.trace);
    }
}

/// A text whose end is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prompted {
    text: String,
    /// Characters before what is measured.
    from: usize,
    /// Whether it is measured in windows where it is long; its beginning is left out otherwise.
    in_windows: bool,
}

/// How many prompts are measured for these requests; none when some text is generated.
pub fn prompts(asks: &[Ask]) -> Option<usize> {
    asks.iter().try_fold(0, |sum, ask| match ask {
        Ask::Choices { continuations, .. } => Some(sum + continuations.len()),
        Ask::Rolling { .. } => Some(sum + 1),
        Ask::Generate { .. } => None,
    })
}

impl Asking<'_> {
    /// Asks about documents, and tells what that took also where it was in vain.
    ///
    /// # Errors
    /// [`Missing`] of the first call that has no answer; nothing of the documents is known then.
    pub async fn ask(&self, documents: &[&[Ask]]) -> (Answered, Result<(), Missing>) {
        let mut told = Answered::default();
        let done = self.ask_each(documents, &mut told).await;
        (told, done)
    }

    async fn ask_each(&self, documents: &[&[Ask]], told: &mut Answered) -> Result<(), Missing> {
        let measured: Vec<Prompted> = documents.iter().flat_map(|asks| asks.iter()).flat_map(prompted).collect();
        let mut likelihoods = self.likelihoods(&measured, told).await?.into_iter();
        for asks in documents {
            let mut answers = Vec::with_capacity(asks.len());
            for ask in *asks {
                answers.push(match ask {
                    Ask::Choices { continuations, .. } => {
                        Answer::Choices(likelihoods.by_ref().take(continuations.len()).collect())
                    }
                    Ask::Rolling { .. } => Answer::Rolling(likelihoods.next().ok_or_else(too_few)?),
                    Ask::Generate { prompt, generation, repeats } => {
                        let mut texts = Vec::with_capacity(*repeats);
                        for repeat in 0..*repeats {
                            texts.push(self.text(prompt, generation, repeat, told).await?);
                        }
                        Answer::Texts(texts)
                    }
                });
            }
            told.answers.push(answers);
        }
        Ok(())
    }

    /// The likelihood of each end, in order.
    async fn likelihoods(&self, prompts: &[Prompted], told: &mut Answered) -> Result<Vec<Likelihood>, Missing> {
        let mut found = vec![None; prompts.len()];
        for in_windows in [false, true] {
            let places: Vec<usize> = (0..prompts.len()).filter(|&at| prompts[at].in_windows == in_windows).collect();
            for places in places.chunks(MOST_PROMPTS) {
                let chosen: Vec<&Prompted> = places.iter().map(|&at| &prompts[at]).collect();
                let reply = self.call(Endpoint::Completions, self.measuring(&chosen, in_windows), told).await?;
                let likelihoods = read_likelihoods(&reply.body, &chosen)?;
                for (&at, likelihood) in places.iter().zip(likelihoods) {
                    found[at] = Some(likelihood);
                }
            }
        }
        Ok(found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(too_few)?)
    }

    /// The request that measures.
    fn measuring(&self, prompts: &[&Prompted], in_windows: bool) -> Value {
        let texts: Vec<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
        if self.target.provider.as_str() == LOCAL {
            let from: Vec<usize> = prompts.iter().map(|prompt| prompt.from).collect();
            let long = if in_windows { "windows" } else { "cut" };
            return json!({"prompt": texts, "max_tokens": 0, "measure": {"from": from, "long": long}});
        }
        // Not every server generates nothing; what is generated is left aside.
        json!({"prompt": texts, "max_tokens": 1, "temperature": 0, "echo": true, "logprobs": 1})
    }

    /// A text that goes on from a prompt.
    async fn text(
        &self,
        prompt: &Prompt,
        generation: &Generation,
        repeat: usize,
        told: &mut Answered,
    ) -> Result<String, Missing> {
        let mut body = generating(generation);
        // Greedy answers are the same each time; others are drawn by a seed each.
        if generation.temperature > 0.0 {
            body.insert("seed".to_owned(), json!(1234 + repeat));
        }
        let endpoint = match prompt {
            Prompt::Text(text) => {
                body.insert("prompt".to_owned(), json!(text));
                Endpoint::Completions
            }
            Prompt::Chat { messages, .. } => {
                body.insert("messages".to_owned(), json!(messages));
                Endpoint::Chat
            }
        };
        let reply = self.call(endpoint, Value::Object(body), told).await?;
        Ok(read_text(endpoint, &reply.body)?)
    }

    async fn call(&self, endpoint: Endpoint, mut body: Value, told: &mut Answered) -> Result<Reply, Missing> {
        self.ledger.begin().map_err(Missing::Stopped)?;
        body["model"] = json!(self.model);
        let body = body.to_string();
        let reply = batch::ask(self.gateway, &self.context, endpoint, body.into(), self.gives_up.cancelled()).await;
        let paid = reply.as_ref().ok();
        self.ledger.end(paid.is_some(), paid.and_then(|reply| reply.cost), paid.and_then(|reply| reply.usage));
        let reply = reply?;
        told.add(&reply);
        Ok(reply)
    }

    /// Tokens a second when nothing else is asked: `tokens` after a short prompt, with the time they took in milliseconds. `warming` has
    /// what was paid before that.
    ///
    /// # Errors
    /// [`Missing`] when it does not answer.
    pub async fn speed(&self, tokens: u64, chat: bool, warming: &mut Answered) -> Result<Answered, Missing> {
        const WORDS: &str = "Write a long story about a ship and its crew.";
        let (endpoint, field, said) = match chat {
            true => (Endpoint::Chat, "messages", json!([{"role": "user", "content": WORDS}])),
            false => (Endpoint::Completions, "prompt", json!(WORDS)),
        };
        let mut body = json!({"temperature": 0});
        body[field] = said;
        if self.target.provider.as_str() == LOCAL {
            body["ignore_eos"] = json!(true);
        }
        // The first answer loads the model and reads the prompt.
        body["max_tokens"] = json!(1);
        self.call(endpoint, body.clone(), warming).await?;
        body["max_tokens"] = json!(tokens);
        let mut told = Answered::default();
        self.call(endpoint, body, &mut told).await?;
        Ok(told)
    }
}

fn added(a: Usage, b: Usage) -> Usage {
    Usage {
        input_tokens: a.input_tokens + b.input_tokens,
        output_tokens: a.output_tokens + b.output_tokens,
        cached_tokens: a.cached_tokens + b.cached_tokens,
        reasoning_tokens: a.reasoning_tokens + b.reasoning_tokens,
    }
}

/// The texts of a request whose ends are measured. White space before a continuation belongs to it, as the harness has it.
fn prompted(ask: &Ask) -> Vec<Prompted> {
    match ask {
        Ask::Choices { context: Prompt::Text(context), continuations } => {
            let one = |continuation: &String| {
                let (context, continuation) = cut_before_tokens(context, continuation);
                Prompted { text: format!("{context}{continuation}"), from: context.chars().count(), in_windows: false }
            };
            continuations.iter().map(one).collect()
        }
        Ask::Rolling { text } => vec![Prompted { text: text.clone(), from: 0, in_windows: true }],
        // A plan has no likelihoods after messages.
        Ask::Choices { .. } | Ask::Generate { .. } => Vec::new(),
    }
}

fn generating(generation: &Generation) -> Map<String, Value> {
    let until: Vec<&String> = generation.until.iter().filter(|text| !text.is_empty()).collect();
    let mut body = Map::new();
    body.insert("max_tokens".to_owned(), json!(generation.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)));
    body.insert("temperature".to_owned(), json!(generation.temperature));
    if !until.is_empty() {
        body.insert("stop".to_owned(), json!(until));
    }
    if let Some(top_p) = generation.top_p {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if let Some(top_k) = generation.top_k {
        body.insert("top_k".to_owned(), json!(top_k));
    }
    body
}

fn refused(kind: &str, why: impl Into<String>) -> Failure {
    Failure::Refused { kind: kind.to_owned(), why: why.into() }
}

fn too_few() -> Failure {
    refused("likelihoods", "fewer likelihoods came than were asked for")
}

fn parsed(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|cause| Failure::Unreached { why: format!("the answer is no JSON: {cause}") })
}

fn read_text(endpoint: Endpoint, body: &[u8]) -> Result<String, Failure> {
    let answer = parsed(body)?;
    let choice = &answer["choices"][0];
    let text = match endpoint {
        Endpoint::Chat => choice["message"]["content"].as_str(),
        Endpoint::Completions | Endpoint::Embeddings => choice["text"].as_str(),
    };
    let text = text.ok_or_else(|| refused("text", "the answer has no text"))?;
    Ok(text.chars().take(LONGEST_ANSWER_CHARS).collect())
}

fn read_likelihoods(body: &[u8], prompts: &[&Prompted]) -> Result<Vec<Likelihood>, Failure> {
    let answer = parsed(body)?;
    let mut choices: Vec<&Value> = answer["choices"].as_array().into_iter().flatten().collect();
    choices.sort_by_key(|choice| choice["index"].as_u64());
    if choices.len() != prompts.len() {
        return Err(too_few());
    }
    choices.into_iter().zip(prompts).map(|(choice, prompt)| likelihood(choice, prompt)).collect()
}

fn likelihood(choice: &Value, prompt: &Prompted) -> Result<Likelihood, Failure> {
    match serde_json::from_value(choice["measured"].clone()) {
        Ok(Measured { sum, tokens, is_greedy }) => Ok(Likelihood { sum, is_greedy, tokens }),
        Err(_) => echo::likelihood(&choice["logprobs"], &prompt.text, prompt.from)
            .map_err(|why| refused("likelihoods", format!("{why}: only tasks that generate text can be asked of it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(context: &str, continuations: &[&str]) -> Ask {
        let continuations = continuations.iter().map(|text| (*text).to_owned()).collect();
        Ask::Choices { context: Prompt::Text(context.to_owned()), continuations }
    }

    #[test]
    fn choices_are_measured_after_their_context() {
        let found = prompted(&choices("Größe: ", &["a", "bc"]));
        let of = |text: &str| Prompted { text: text.to_owned(), from: 6, in_windows: false };
        assert_eq!(found, [of("Größe: a"), of("Größe: bc")]);
        assert_eq!(prompts(&[choices("x", &[" a", " b"]), Ask::Rolling { text: "t".to_owned() }]), Some(3));
    }

    #[test]
    fn an_answer_without_likelihoods_is_a_refusal() {
        let prompt = Prompted { text: "Q: ab".to_owned(), from: 2, in_windows: false };
        let body = json!({"choices": [{"index": 0, "text": "Q: ab!", "logprobs": null}]}).to_string();
        let Err(Failure::Refused { why, .. }) = read_likelihoods(body.as_bytes(), &[&prompt]) else { panic!() };
        assert!(why.contains("echo and logprobs"));
    }

    #[test]
    fn what_the_engine_measured_is_read_in_order() {
        let prompt = Prompted { text: "ab".to_owned(), from: 1, in_windows: false };
        let one =
            |index: u64, sum: f64| json!({"index": index, "measured": {"sum": sum, "tokens": 1, "is_greedy": true}});
        let body = json!({"choices": [one(1, -2.0), one(0, -1.0)]}).to_string();
        let found = read_likelihoods(body.as_bytes(), &[&prompt, &prompt]).unwrap();
        assert_eq!(found.iter().map(|likelihood| likelihood.sum).collect::<Vec<_>>(), [-1.0, -2.0]);
        assert!(read_likelihoods(body.as_bytes(), &[&prompt]).is_err());
    }
}
