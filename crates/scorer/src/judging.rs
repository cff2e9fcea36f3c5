//! Asking judges about calls that wait for it: beside the scoring of all rules, so that no rule waits for a judge.
//!
//! In this order: that a call is asked about is kept, the judge is asked, its score is written, and what came of it is kept. So a call
//! is asked about once at most. One that was asked about as a process ended is settled by what there is of it: its score, and the calls of the
//! judge, which have its tag.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use qd_base::{ProjectId, Timestamp, VersionId};
use qd_data::calls::{answer_of, question_of};
use qd_eval::{Direction, Unit};
use qd_judge::{Judge, Outcome};
use qd_judging::{Judged, Stored};
use qd_trace::{Ended, Filter, Page, Score, ScoreFilter, ScoreSource, ScoreValue, Span};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::judged::{Asked, CallPart, JudgeRule, NotJudged, Paid, Place};
use crate::pass::score_id;
use crate::scorers::{Active, Scorers, author};
use crate::standing::Standings;
use crate::{Error, Result};

/// Judgements under way at once: of one rule, and of all.
const MOST_OF_RULE: usize = 2;
const MOST_OF_ALL: usize = 6;
/// How long judgements under way are waited for when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Clocks of the gateway and of a job may differ by so much.
const SLACK: Duration = Duration::from_secs(60);
/// With what a tag begins that says which call a judge is asked about.
const CALL_TAG: &str = "call:";

/// Judgements under way, from one run of the job to the next.
#[derive(Default)]
pub(crate) struct UnderWay {
    running: JoinSet<Came>,
    /// Those that ended and are not taken in yet.
    came: Vec<Came>,
    /// All of both.
    own: HashSet<(VersionId, Place)>,
    gives_up: CancellationToken,
}

/// What came of asking about a call.
pub(crate) struct Came {
    rule: Active,
    place: Place,
    paid: Paid,
    said: std::result::Result<Told, NotJudged>,
}

/// What a judge said of a call.
struct Told {
    span: Box<Span>,
    value: f64,
    unit: Unit,
    /// The judge's reasons.
    comment: Option<String>,
}

/// As whom the judge of a version gives scores.
pub fn judge_author(rule: &qd_catalog::VersionInfo) -> String {
    format!("{}:judge", author(&rule.name, rule.number))
}

/// What a judge's scores count, and which way is better.
pub(crate) fn scale(judge: &Judge) -> (Unit, Direction) {
    let unit = if judge.range() == (0.0, 1.0) { Unit::Share } else { Unit::Count };
    (unit, judge.better())
}

impl UnderWay {
    /// Waits until a judgement ends; for ever when none is under way.
    pub async fn next(&mut self) {
        match self.running.join_next().await {
            Some(Ok(came)) => self.came.push(came),
            Some(Err(error)) => tracing::error!(%error, "a judgement was broken off"),
            None => std::future::pending().await,
        }
    }

    /// Asks nothing more, and waits a little for what is under way.
    pub async fn end(&mut self) {
        self.gives_up.cancel();
        let all = async {
            while !self.running.is_empty() {
                self.next().await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
}

impl Scorers {
    /// Takes in what judges said, and settles what earlier processes left. Says whether anything is to be kept.
    ///
    /// # Errors
    /// [`Error::Trace`] when the lake fails: what was said is kept for the next time.
    pub(crate) async fn take_in(
        &self,
        active: &[Active],
        standings: &mut Standings,
        under_way: &mut UnderWay,
        now: Timestamp,
    ) -> Result<bool> {
        let mut changed = false;
        while let Some(found) = under_way.running.try_join_next() {
            under_way.came.extend(found.inspect_err(|error| tracing::error!(%error, "a judgement was broken off")));
        }
        while let Some(came) = under_way.came.last() {
            if let Ok(told) = &came.said {
                self.traces.give_scores(&[score(&came.rule, told, now)]).await?;
            }
            let Some(came) = under_way.came.pop() else { break };
            under_way.own.remove(&(came.rule.info.id, came.place));
            changed |= count(standings, came, now)?;
        }
        for rule in active {
            let Some(standing) = standings.0.get(&rule.info.id) else { continue };
            let is_left = |asked: &&Asked| !under_way.own.contains(&(rule.info.id, asked.place));
            let left: Vec<Asked> = standing.judging.asked.iter().filter(is_left).copied().collect();
            for asked in left {
                let came = self.recover(rule, asked, now).await?;
                changed |= count(standings, came, now)?;
            }
        }
        Ok(changed)
    }

    /// Chooses what is asked about now. It has to be kept before [`Scorers::ask`] asks.
    pub(crate) fn choose(
        &self,
        active: &[Active],
        standings: &mut Standings,
        under_way: &UnderWay,
        now: Timestamp,
    ) -> (Vec<(Active, Place)>, bool) {
        let (mut chosen, mut changed) = (Vec::new(), false);
        for rule in active {
            let Some(judge) = &rule.definition.judge else { continue };
            let Some(standing) = standings.0.get_mut(&rule.info.id) else { continue };
            let free = MOST_OF_ALL.saturating_sub(under_way.own.len() + chosen.len());
            let most = MOST_OF_RULE.min(standing.judging.asked.len() + free);
            let waited = standing.judging.waiting.len();
            let taken = standing.judging.take(judge.budget, most, now);
            changed |= standing.judging.waiting.len() < waited;
            chosen.extend(taken.into_iter().map(|place| (rule.clone(), place)));
        }
        (chosen, changed)
    }

    /// Asks, and waits for nothing.
    pub(crate) fn ask(&self, chosen: Vec<(Active, Place)>, under_way: &mut UnderWay) {
        for (rule, place) in chosen {
            under_way.own.insert((rule.info.id, place));
            let (scorers, gives_up) = (self.clone(), under_way.gives_up.clone());
            under_way.running.spawn(async move { scorers.ask_one(rule, place, gives_up).await });
        }
    }

    async fn ask_one(self, rule: Active, place: Place, gives_up: CancellationToken) -> Came {
        let mut paid = Paid::default();
        let asking = AssertUnwindSafe(self.judge_one(&rule, place, &mut paid, &gives_up)).catch_unwind();
        let said = match asking.await {
            Ok(Ok(said)) => said,
            Ok(Err(error)) => {
                tracing::warn!(rule = %rule.info.name, error = error.chain(), "a call could not be judged");
                Err(NotJudged::Failed)
            }
            // It is a defect, and what was paid is not known.
            Err(_) => Err(NotJudged::Interrupted),
        };
        Came { rule, place, paid, said }
    }

    async fn judge_one(
        &self,
        rule: &Active,
        place: Place,
        paid: &mut Paid,
        gives_up: &CancellationToken,
    ) -> Result<std::result::Result<Told, NotJudged>> {
        let (Some(judges), Some(of_rule)) = (&self.judges, &rule.definition.judge) else {
            return Ok(Err(NotJudged::Failed));
        };
        let stored = judges.find(rule.info.project, &of_rule.judge).await?;
        let inputs = of_rule.inputs(&stored.judge)?;
        let Some(span) = self.traces.span(&rule.project, place.trace_id, place.span_id).await? else {
            return Ok(Err(NotJudged::Gone));
        };
        let Some(values) = values(&inputs, &span) else { return Ok(Err(NotJudged::Gone)) };
        let mut context = stored.calls(rule.project.clone());
        context.tags.extend([author(&rule.info.name, rule.info.number), call_tag(place)]);
        context.user.clone_from(&span.user_id);
        let judged = judges.ask(&stored, &context, &values, gives_up).await?;
        *paid = Paid {
            calls: u64::from(judged.judgement.calls),
            cost: judged.cost.unwrap_or_default(),
            unpriced: u64::from(judged.unpriced),
        };
        Ok(told(&stored, span, judged))
    }

    /// What there is of a judgement during which a process ended.
    async fn recover(&self, rule: &Active, asked: Asked, now: Timestamp) -> Result<Came> {
        let place = asked.place;
        let tagged = Filter { tag: Some(call_tag(place)), ..Filter::of(rule.project.clone()) };
        let (since, until) = (asked.at.saturating_sub(SLACK), now.saturating_add(SLACK));
        let calls = self.traces.ended(&tagged, Ended::before(since), until, Page::MOST).await?;
        let of_rule = author(&rule.info.name, rule.info.number);
        let mut paid = Paid::default();
        for call in calls.iter().filter(|call| call.tags.contains(&of_rule)) {
            paid.calls += 1;
            paid.unpriced += u64::from(call.cost.is_none());
            paid.cost = paid.cost + call.cost.unwrap_or_default();
        }
        let said = self.said_before(rule, place).await?.ok_or(NotJudged::Interrupted);
        Ok(Came { rule: rule.clone(), place, paid, said })
    }

    /// The score of a judge that is in the lake.
    async fn said_before(&self, rule: &Active, place: Place) -> Result<Option<Told>> {
        let Some(of_rule) = &rule.definition.judge else { return Ok(None) };
        let filter = ScoreFilter {
            project: Some(rule.project.clone()),
            id: Some(score_id(rule, place.trace_id, place.span_id, &of_rule.name)),
            ..ScoreFilter::default()
        };
        let (mut scores, _) = self.traces.scores(&filter, 1, None).await?;
        let span = self.traces.span(&rule.project, place.trace_id, place.span_id).await?;
        let Some((Score { value: ScoreValue::Number(value), .. }, span)) = scores.pop().zip(span) else {
            return Ok(None);
        };
        let (unit, _) = self.scale_of(rule.info.project, of_rule).await;
        Ok(Some(Told { span: Box::new(span), value, unit, comment: None }))
    }

    /// What the judge's scores count, and which way is better; of one that is gone nothing better is known than that they are numbers.
    pub(crate) async fn scale_of(&self, project: ProjectId, of_rule: &JudgeRule) -> (Unit, Direction) {
        let unknown = (Unit::Count, Direction::Higher);
        let Some(judges) = &self.judges else { return unknown };
        judges.find(project, &of_rule.judge).await.map_or(unknown, |stored| scale(&stored.judge))
    }
}

/// Counts what came of a call. What was paid for one that was broken off is known in part at most: it counts as no less than the dearest
/// judgement so far.
fn count(standings: &mut Standings, came: Came, now: Timestamp) -> Result<bool> {
    let Came { rule, place, paid, said } = came;
    let Some(standing) = standings.0.get_mut(&rule.info.id) else { return Ok(false) };
    let is_unsure = matches!(said, Err(NotJudged::Interrupted)) || (said.is_ok() && paid.calls == 0);
    let least = standing.judging.dearest.unwrap_or(Paid { calls: 1, ..Paid::default() });
    let paid = if is_unsure { paid.at_least(least) } else { paid };
    if !standing.judging.settle(place, paid, said.as_ref().map(drop).map_err(|why| *why), now) {
        return Ok(false);
    }
    if let (Ok(told), Some(of_rule)) = (&said, &rule.definition.judge) {
        standing.tallies.push(&told.span, &of_rule.name, told.unit, told.value).map_err(Error::Eval)?;
    }
    Ok(true)
}

fn call_tag(place: Place) -> String {
    format!("{CALL_TAG}{}", place.span_id)
}

/// What the judge is shown; nothing when the call does not say it.
fn values(inputs: &[(String, bool, CallPart)], span: &Span) -> Option<Map<String, Value>> {
    let mut values = Map::new();
    for (name, is_list, part) in inputs {
        let text = match part {
            CallPart::Answer => answer_of(span)?,
            CallPart::Question => question_of(span)?,
        };
        let value = if *is_list { Value::from(vec![text]) } else { Value::from(text) };
        values.insert(name.clone(), value);
    }
    Some(values)
}

/// What a judgement says.
fn told(stored: &Stored, span: Span, judged: Judged) -> std::result::Result<Told, NotJudged> {
    if judged.unreached.is_some() {
        return Err(NotJudged::Unreached);
    }
    let value = match judged.judgement.outcome {
        Outcome::Score { value: Some(value), .. } if value.is_finite() => value,
        Outcome::Score { .. } | Outcome::Invalid { .. } => return Err(NotJudged::Invalid),
        Outcome::CannotTell { .. } => return Err(NotJudged::CannotTell),
        Outcome::Failed { .. } => return Err(NotJudged::Failed),
    };
    Ok(Told { span: Box::new(span), value, unit: scale(&stored.judge).0, comment: judged.judgement.reasons })
}

fn score(rule: &Active, told: &Told, now: Timestamp) -> Score {
    let (trace_id, span_id) = (told.span.trace_id, told.span.span_id);
    let name = rule.definition.judge.as_ref().map(|judge| judge.name.clone()).unwrap_or_default();
    Score {
        id: score_id(rule, trace_id, span_id, &name),
        project: rule.project.clone(),
        trace_id,
        span_id: Some(span_id),
        name,
        value: ScoreValue::Number(told.value),
        comment: told.comment.clone(),
        source: ScoreSource::Model,
        author: Some(judge_author(&rule.info)),
        user_id: told.span.user_id.clone(),
        time: now,
    }
}
