//! One look for one rule: reads what has ended since, scores it behind who answers, and adds it up.
//!
//! Rows come before the standing that counts them. After a crash the same calls are looked at again, and scores that are in the lake
//! already are found there by their identifiers, which follow from the version, the call and the scorer.

use std::collections::{HashSet, VecDeque};
use std::ops::AddAssign;
use std::time::Duration;

use qd_base::{ScoreId, Sha256Hex, SpanId, Timestamp, TraceId};
use qd_data::calls::answer_of;
use qd_eval::Answer;
use qd_trace::{Ended, EndedKey, Page, Score, ScoreSource, ScoreValue, Span};

use crate::look::Look;
use crate::sample;
use crate::scorers::{Active, Scorers, author};
use crate::standing::Standing;
use crate::{Error, Result};

/// How long after its end a call is looked at, so that those that ended before it are durable too.
pub const SETTLE: Duration = Duration::from_secs(2);
/// How long after its end a call may become durable and still be scored: exporters send late.
pub const LATE: Duration = Duration::from_secs(600);
/// How often calls that came late are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Calls that are scored together.
const BATCH: usize = Page::MOST;
/// Calls that are remembered as looked at, at most.
const MOST_SEEN: usize = 500_000;
/// With what a tag of a judge's call begins: to score those would make calls of which the next are.
const JUDGE_TAG: &str = "judge:";

/// What one look came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// There is something to be kept.
    pub changed: bool,
    /// There is more to look at now.
    pub more: bool,
}

impl AddAssign for Passed {
    fn add_assign(&mut self, other: Self) {
        self.changed |= other.changed;
        self.more |= other.more;
    }
}

/// What a rule has just looked at.
#[derive(Debug, Default)]
pub struct Recent {
    seen: HashSet<(TraceId, SpanId)>,
    order: VecDeque<EndedKey>,
    /// What ended before is not looked for when it is late: nobody knows any more whether it was seen.
    floor: Option<Timestamp>,
    /// Scores that were in the lake when this process began with the rule; empty once it has caught up.
    known: Option<HashSet<ScoreId>>,
    swept: Option<Timestamp>,
    waits: Option<Timestamp>,
}

impl Recent {
    /// Nothing, of a rule that does not look before a time.
    pub(crate) fn waiting(until: Timestamp) -> Self {
        Self { waits: Some(until), ..Self::default() }
    }

    pub(crate) fn waits(&self, now: Timestamp) -> bool {
        self.waits.is_some_and(|until| now < until)
    }

    fn note(&mut self, span: &Span) {
        if self.seen.insert((span.trace_id, span.span_id)) {
            self.order.push_back(EndedKey { trace_id: span.trace_id, span_id: span.span_id, end: span.end });
        }
        if self.order.len() > MOST_SEEN {
            self.floor = self.order.front().map(|oldest| oldest.end).max(self.floor);
            self.forget_one();
        }
    }

    fn forget_before(&mut self, end: Timestamp) {
        while self.order.front().is_some_and(|oldest| oldest.end < end) {
            self.forget_one();
        }
    }

    fn forget_one(&mut self) {
        if let Some(gone) = self.order.pop_front() {
            self.seen.remove(&(gone.trace_id, gone.span_id));
        }
    }
}

/// The identifier of a score: the same whenever the same version looks at the same call.
fn score_id(rule: &Active, trace: TraceId, span: SpanId, scorer: &str) -> ScoreId {
    let digest = Sha256Hex::of(format!("{} {trace} {span} {scorer}", rule.info.id).as_bytes()).to_string();
    // A UUID of version 8, RFC 9562, section 5.8.
    let text = format!("{}8{}8{}", &digest[..12], &digest[12..15], &digest[15..30]);
    text.parse().expect("32 hexadecimal digits are a UUID")
}

impl Scorers {
    /// Looks once. `standing` is what is to be kept then, and only then.
    ///
    /// # Errors
    /// [`Error::Trace`] when the lake does not answer or takes no scores.
    pub(crate) async fn pass(
        &self,
        rule: &Active,
        standing: &mut Standing,
        recent: &mut Recent,
        now: Timestamp,
    ) -> Result<Passed> {
        let looks = rule.definition.read()?;
        let begin = Ended::before(rule.since);
        let cursor = standing.cursor.map_or(begin, |cursor| cursor.max(begin));
        self.find_known(rule, recent, cursor).await?;
        let until = now.saturating_sub(SETTLE);
        if until <= cursor.end {
            return Ok(Passed::default());
        }
        let filter = rule.definition.filter.filter(rule.project.clone());
        let spans = self.traces.ended(&filter, cursor, until, BATCH).await?;
        let more = spans.len() == BATCH;
        let reached = if more { spans.last().map(Ended::at) } else { None };
        standing.cursor = Some(reached.unwrap_or(Ended::after(until)));
        let mut changed = !spans.is_empty();
        standing.calls += spans.len() as u64;
        self.give(rule, &looks, spans, standing, recent, now).await?;
        let is_due = recent.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY);
        if !more && is_due {
            self.sweep(rule, &looks, standing, recent, (until, now)).await?;
            (changed, recent.swept) = (true, Some(now));
        }
        if changed {
            (standing.looked, standing.error) = (Some(now), None);
        }
        Ok(Passed { changed, more })
    }

    async fn find_known(&self, rule: &Active, recent: &mut Recent, cursor: Ended) -> Result<()> {
        if recent.known.is_none() {
            let (since, author) = (cursor.end.saturating_sub(LATE), author(&rule.info.name, rule.info.number));
            let found = self.traces.scores_of(&rule.project, &author, since).await?;
            recent.known = Some(found.into_iter().map(|(id, _)| id).collect());
        }
        Ok(())
    }

    /// Scores what became durable long after it ended.
    async fn sweep(
        &self,
        rule: &Active,
        looks: &[Look],
        standing: &mut Standing,
        recent: &mut Recent,
        (until, now): (Timestamp, Timestamp),
    ) -> Result<()> {
        let from = until.saturating_sub(LATE).max(rule.since).max(recent.floor.unwrap_or(rule.since));
        let filter = rule.definition.filter.filter(rule.project.clone());
        let keys = self.traces.ended_keys(&filter, Ended::before(from), until).await?;
        let known = recent.known.take().unwrap_or_default();
        let is_known = |key: &EndedKey| {
            looks.iter().any(|look| known.contains(&score_id(rule, key.trace_id, key.span_id, look.name())))
        };
        let is_new = |key: &EndedKey| {
            !recent.seen.contains(&(key.trace_id, key.span_id))
                && sample::is_in(key.trace_id, rule.info.name.as_str(), rule.definition.sample)
                && !is_known(key)
        };
        let missed: Vec<EndedKey> = keys.into_iter().filter(is_new).collect();
        recent.known = Some(HashSet::new());
        for keys in missed.chunks(BATCH) {
            let spans = self.traces.ended_spans(&rule.project, keys).await?;
            let (before, calls) = (standing.scores, spans.len() as u64);
            self.give(rule, looks, spans, standing, recent, now).await?;
            // After a restart those that no scorer says anything of come again.
            let counted = if standing.scores > before { calls } else { 0 };
            (standing.calls, standing.late) = (standing.calls + counted, standing.late + counted);
        }
        recent.forget_before(from);
        Ok(())
    }

    /// Scores calls: rows first, then what is counted of them. After an error `standing` is nothing to be kept.
    async fn give(
        &self,
        rule: &Active,
        looks: &[Look],
        spans: Vec<Span>,
        standing: &mut Standing,
        recent: &mut Recent,
        now: Timestamp,
    ) -> Result<()> {
        let salt = rule.info.name.as_str();
        let is_in = |span: &Span| sample::is_in(span.trace_id, salt, rule.definition.sample);
        let mut whole = Vec::new();
        for span in spans.into_iter().filter(is_in) {
            recent.note(&span);
            if span.tags.iter().any(|tag| tag.starts_with(JUDGE_TAG)) {
                continue;
            }
            // A payload that is gone is no reason to look at nothing for ever: its beginning is in the row.
            whole.push(match span.output_blob {
                Some(_) => self.traces.with_output(span.clone()).await.unwrap_or(span),
                None => span,
            });
        }
        let batch = Batch {
            rule: rule.clone(),
            looks: looks.to_vec(),
            known: recent.known.take().unwrap_or_default(),
            standing: std::mem::take(standing),
            now,
            new: Vec::new(),
        };
        // Two hundred calls are milliseconds, for which nobody who waits for an answer is held up.
        let batch = self.lake.behind("scoring calls", move || batch.score_all(&whole)).await??;
        self.traces.give_scores(&batch.new).await?;
        (*standing, recent.known) = (batch.standing, Some(batch.known));
        Ok(())
    }
}

/// Calls that are scored together, and what comes of them.
struct Batch {
    rule: Active,
    looks: Vec<Look>,
    known: HashSet<ScoreId>,
    standing: Standing,
    now: Timestamp,
    /// Scores that are not in the lake yet.
    new: Vec<Score>,
}

impl Batch {
    fn score_all(mut self, spans: &[Span]) -> Result<Self> {
        let looks = std::mem::take(&mut self.looks);
        for span in spans {
            let text = (span.status == qd_trace::Status::Ok).then(|| answer_of(span)).flatten();
            let answer = Answer {
                text: text.as_deref(),
                references: &[],
                latency_ms: Some(span.latency_ms()),
                cost: span.cost,
                output_tokens: span.usage.map(|usage| usage.output_tokens),
            };
            self.standing.sampled += 1;
            for look in &looks {
                match look.score(&answer).ok().filter(|value| value.is_finite()) {
                    Some(value) => self.add(span, look, value)?,
                    None => self.standing.unscored += 1,
                }
            }
        }
        Ok(self)
    }

    fn add(&mut self, span: &Span, look: &Look, value: f64) -> Result<()> {
        self.standing.scores += 1;
        self.standing.tallies.push(span, look.name(), look.unit(), value).map_err(Error::Eval)?;
        let score = score(&self.rule, span, look, value, self.now);
        if !self.known.contains(&score.id) {
            self.new.push(score);
        }
        Ok(())
    }
}

fn score(rule: &Active, span: &Span, look: &Look, value: f64, now: Timestamp) -> Score {
    Score {
        id: score_id(rule, span.trace_id, span.span_id, look.name()),
        project: rule.project.clone(),
        trace_id: span.trace_id,
        span_id: Some(span.span_id),
        name: look.name().to_owned(),
        value: ScoreValue::Number(value),
        comment: None,
        source: ScoreSource::Code,
        author: Some(author(&rule.info.name, rule.info.number)),
        user_id: span.user_id.clone(),
        time: now,
    }
}
