//! Carrying a judge's steps through the gateway.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use qd_base::{ModelName, Picodollars, TraceId, Usage};
use qd_gateway::batch::{self, Asked, Failure};
use qd_gateway::{CallContext, Endpoint, Gateway, Pinned};
use qd_judge::{Asking, Judge, Judgement, Outcome, Reply, Step};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// Requests of one step that are under way at once.
const AT_ONCE: usize = 4;

/// What came of judging one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What the judge said. Not a word of the judge when a call did not reach its model.
    pub judgement: Judgement,
    /// What all calls cost together, as far as their prices are known; none when no price is.
    pub cost: Option<Picodollars>,
    /// From the first request to the verdict.
    pub latency_ms: f64,
    /// The trace of the first call.
    pub trace: Option<TraceId>,
    /// Calls that were answered and whose price is not known.
    pub unpriced: u32,
    /// Why a call did not reach its model, if one did not: then there is no judgement of the item.
    pub unreached: Option<String>,
}

impl Judged {
    /// An item that was not asked about, with why.
    pub(crate) fn failed(why: String) -> Self {
        let paid = Paid::default();
        let judgement = paid.nothing_said(why);
        paid.judged(judgement, Instant::now(), None)
    }
}

/// Judges an item: carries the judge's steps through the gateway. Whom `context` pins is asked and nobody else. `gives_up` ends
/// the waiting for busy models, and no further requests are begun then.
///
/// A request that a model refuses is a failed reply, which the judge makes its outcome of.
///
/// # Errors
/// What [`Judge::begin`] says of an item that the judge cannot take; nobody is asked then.
pub async fn judge(
    gateway: &Gateway,
    context: &CallContext,
    judge: &Judge,
    values: &Map<String, Value>,
    gives_up: &CancellationToken,
) -> qd_judge::Result<Judged> {
    judge_pinned(gateway, context, judge, &BTreeMap::new(), values, gives_up).await
}

/// The same for a judge of several models: each name is asked as what it stands for in `models`.
///
/// # Errors
/// As [`judge`].
pub async fn judge_pinned(
    gateway: &Gateway,
    context: &CallContext,
    judge: &Judge,
    models: &BTreeMap<ModelName, Pinned>,
    values: &Map<String, Value>,
    gives_up: &CancellationToken,
) -> qd_judge::Result<Judged> {
    let asker = Asker { gateway, context, models, gives_up, lost: OnceLock::new() };
    let (begun, mut paid) = (Instant::now(), Paid::default());
    let mut step = judge.begin(values)?;
    loop {
        let asking = match step {
            Step::Done(judgement) => return Ok(paid.judged(*judgement, begun, None)),
            Step::Ask(asking) => asking,
        };
        let outcomes = asker.ask_all(requests(&asking)).await;
        paid.see(&outcomes);
        if let Some(why) = outcomes.iter().find_map(unreached) {
            let judgement = paid.nothing_said(why.clone());
            return Ok(paid.judged(judgement, begun, Some(why)));
        }
        step = asking.answer(outcomes.into_iter().map(reply).collect());
    }
}

/// Requests as they are sent, with the names of their models.
fn requests(asking: &Asking) -> Vec<(ModelName, Bytes)> {
    let body = |request| Bytes::from(serde_json::to_vec(request).expect("a request has string keys only"));
    asking.requests().iter().map(|request| (request.model.clone(), body(request))).collect()
}

fn unreached(outcome: &Result<Asked, Failure>) -> Option<String> {
    match outcome {
        Err(Failure::Unreached { why }) => Some(why.clone()),
        _ => None,
    }
}

fn reply(outcome: Result<Asked, Failure>) -> Reply {
    match outcome {
        Ok(asked) => match serde_json::from_slice(&asked.body) {
            Ok(response) => Reply::Answered(Box::new(response)),
            Err(cause) => Reply::Failed(format!("the answer is no chat completion: {cause}")),
        },
        Err(failure) => Reply::Failed(failure.to_string()),
    }
}

/// Who asks.
struct Asker<'a> {
    gateway: &'a Gateway,
    context: &'a CallContext,
    models: &'a BTreeMap<ModelName, Pinned>,
    gives_up: &'a CancellationToken,
    /// Why a model was not reached: the requests that were not begun then are not.
    lost: OnceLock<String>,
}

impl Asker<'_> {
    async fn ask_all(&self, requests: Vec<(ModelName, Bytes)>) -> Vec<Result<Asked, Failure>> {
        let calls = requests.into_iter().map(|(model, body)| self.ask(model, body));
        futures::stream::iter(calls).buffered(AT_ONCE).collect().await
    }

    async fn ask(&self, model: ModelName, body: Bytes) -> Result<Asked, Failure> {
        if let Some(why) = self.lost.get() {
            return Err(Failure::Unreached { why: why.clone() });
        }
        if self.gives_up.is_cancelled() {
            return Err(Failure::Unreached { why: "it was cancelled".to_owned() });
        }
        let pinned = self.models.get(&model).or(self.context.pinned.as_ref()).cloned();
        let context = CallContext { pinned, ..self.context.clone() };
        let asked = batch::ask(self.gateway, &context, Endpoint::Chat, body, self.gives_up.cancelled()).await;
        if let Err(Failure::Unreached { why }) = &asked {
            let _ = self.lost.set(why.clone());
        }
        asked
    }
}

/// What calls took so far.
#[derive(Default)]
struct Paid {
    cost: Option<Picodollars>,
    usage: Usage,
    answered: u32,
    unpriced: u32,
    trace: Option<TraceId>,
}

impl Paid {
    fn see(&mut self, outcomes: &[Result<Asked, Failure>]) {
        for asked in outcomes.iter().flatten() {
            match asked.cost {
                Some(cost) => self.cost = Some(self.cost.unwrap_or_default() + cost),
                None => self.unpriced += 1,
            }
            self.answered += 1;
            self.usage = self.usage + asked.usage.unwrap_or_default();
            self.trace = self.trace.or(Some(asked.served.trace));
        }
    }

    /// What stands where a judgement would, with what was paid for it.
    fn nothing_said(&self, why: String) -> Judgement {
        Judgement {
            outcome: Outcome::Failed { why },
            reasons: None,
            parts: Vec::new(),
            weighting: None,
            orders: None,
            disagreement: None,
            reference: None,
            usage: self.usage,
            calls: self.answered,
        }
    }

    fn judged(self, judgement: Judgement, begun: Instant, unreached: Option<String>) -> Judged {
        Judged {
            judgement,
            cost: self.cost,
            latency_ms: begun.elapsed().as_secs_f64() * 1e3,
            trace: self.trace,
            unpriced: self.unpriced,
            unreached,
        }
    }
}
