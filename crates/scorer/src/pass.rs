//! One look for one rule: reads what has ended since, scores it behind who answers, and adds it up.
//!
//! Rows come before the standing that counts them, and both have the time of the look. So after a crash it is known which rows of the lake
//! are not counted yet: those that are younger than the standing. Their calls are looked at again and counted, and nothing is written twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::AddAssign;
use std::time::Duration;

use qd_base::{ScoreId, Sha256Hex, SpanId, Timestamp, TraceId};
use qd_data::calls::answer_of;
use qd_eval::Answer;
use qd_trace::follow::MOST_SCORED;
use qd_trace::{Ended, EndedKey, JUDGE_TAG, Page, Payload, Score, ScoreSource, ScoreValue, Span};

use crate::judged::Place;
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
/// Calls that are read together.
const BATCH: usize = Page::MOST;
/// Of these so many are scored together as have answers of so many bytes: one may have 64 MiB.
const PIECE_BYTES: usize = 8 << 20;
/// Calls that are remembered as looked at, at most.
const MOST_SEEN: usize = 500_000;

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

/// A call by name.
type Key = (TraceId, SpanId);

/// What a rule has just looked at. It belongs to a standing; beside another one it says nothing.
#[derive(Debug, Default)]
pub struct Recent {
    seen: HashSet<Key>,
    order: VecDeque<EndedKey>,
    /// What ended before is not looked for when it is late: nobody knows any more whether it was seen.
    floor: Option<Timestamp>,
    /// Calls that had scores in the lake when this process began with the rule, and since when; empty once it has caught up.
    known: Option<HashMap<Key, Timestamp>>,
    /// How far the rule had come then.
    began: Option<Timestamp>,
    /// When the standing that this belongs to last found something.
    looked: Option<Timestamp>,
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
pub(crate) fn score_id(rule: &Active, trace: TraceId, span: SpanId, scorer: &str) -> ScoreId {
    let digest = Sha256Hex::of(format!("{} {trace} {span} {scorer}", rule.info.id).as_bytes()).to_string();
    // A UUID of version 8, RFC 9562, section 5.8.
    let text = format!("{}8{}8{}", &digest[..12], &digest[12..15], &digest[15..30]);
    text.parse().expect("32 hexadecimal digits are a UUID")
}

/// One look of one rule.
struct Glance<'a> {
    rule: &'a Active,
    looks: &'a [Look],
    /// What ended before is not looked at.
    since: Timestamp,
    /// The time of what is given.
    at: Timestamp,
    /// Scores that were given until then are in the standing.
    counted: Option<Timestamp>,
}

impl Glance<'_> {
    fn is_in(&self, trace: TraceId) -> bool {
        sample::is_in(trace, self.rule.info.name.as_str(), self.rule.definition.sample)
    }

    fn is_counted(&self, known: &HashMap<Key, Timestamp>, key: &EndedKey) -> bool {
        let given = known.get(&(key.trace_id, key.span_id));
        given.zip(self.counted).is_some_and(|(given, counted)| *given <= counted)
    }
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    All,
    /// Only those of which there is a score: of others nobody knows whether they were counted before.
    Scored,
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
        let since = standing.begin(rule.since);
        let begin = Ended::before(since);
        let cursor = standing.cursor.map_or(begin, |cursor| cursor.max(begin));
        if recent.looked != standing.looked {
            *recent = Recent { looked: standing.looked, ..Recent::default() };
        }
        self.find_known(rule, recent, cursor).await?;
        let until = now.saturating_sub(SETTLE);
        if until <= cursor.end {
            return Ok(Passed::default());
        }
        // Also of a clock that stands still or steps back each look has its own time.
        let at = standing.looked.map_or(now, |last| now.max(last.saturating_add(Duration::from_nanos(1))));
        // What ended just where a version took over was looked at by the one before.
        let since = if since < rule.since { since.saturating_add(Duration::from_nanos(1)) } else { since };
        let glance = Glance { rule, looks: &looks, since, at, counted: standing.looked };
        let filter = rule.definition.filter.filter(rule.project.clone());
        let spans = self.traces.ended(&filter, cursor, until, BATCH).await?;
        let more = spans.len() == BATCH;
        let reached = if more { spans.last().map(Ended::at) } else { None };
        standing.cursor = Some(reached.unwrap_or(Ended::after(until)));
        let mut has_found = !spans.is_empty();
        standing.calls += spans.len() as u64;
        self.give(&glance, spans, Counts::All, standing, recent).await?;
        let is_due = !more && recent.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY);
        if is_due {
            has_found |= self.sweep(&glance, standing, recent, until).await? > 0;
            recent.swept = Some(now);
        }
        if has_found {
            standing.looked = Some(at);
        }
        recent.looked = standing.looked;
        let had_failed = standing.error.take().is_some();
        Ok(Passed { changed: has_found || is_due || had_failed, more })
    }

    /// Reads what was scored before this process began with the rule, as far as late calls may be among it.
    async fn find_known(&self, rule: &Active, recent: &mut Recent, cursor: Ended) -> Result<()> {
        if recent.known.is_some() {
            return Ok(());
        }
        let (since, author) = (cursor.end.saturating_sub(LATE), author(&rule.info.name, rule.info.number));
        let (mut known, mut after) = (HashMap::new(), None);
        loop {
            let found = self.traces.scored_spans(&rule.project, &author, since, after, MOST_SCORED).await?;
            let is_last = found.len() < MOST_SCORED;
            after = found.last().map(|last| (last.trace_id, last.span_id));
            known.extend(found.into_iter().map(|span| ((span.trace_id, span.span_id), span.first)));
            if is_last {
                break;
            }
        }
        (recent.known, recent.began) = (Some(known), Some(cursor.end));
        Ok(())
    }

    /// Scores what became durable long after it ended, and says how many calls that were.
    async fn sweep(
        &self,
        glance: &Glance<'_>,
        standing: &mut Standing,
        recent: &mut Recent,
        until: Timestamp,
    ) -> Result<u64> {
        let rule = glance.rule;
        let is_first = recent.swept.is_none();
        // What was given before a crash and not counted is found however long nobody looked.
        let reached = recent.began.filter(|_| is_first).map_or(until, |began| began.min(until));
        let from = reached.saturating_sub(LATE).max(glance.since).max(recent.floor.unwrap_or(glance.since));
        let filter = rule.definition.filter.filter(rule.project.clone());
        let keys = self.traces.ended_keys(&filter, Ended::before(from), until).await?;
        let known = recent.known.get_or_insert_default();
        let is_new = |key: &EndedKey| {
            !recent.seen.contains(&(key.trace_id, key.span_id))
                && glance.is_in(key.trace_id)
                && !glance.is_counted(known, key)
        };
        let missed: Vec<EndedKey> = keys.into_iter().filter(is_new).collect();
        let counts = if is_first { Counts::Scored } else { Counts::All };
        let mut late = 0;
        for keys in missed.chunks(BATCH) {
            let spans = self.traces.ended_spans(&rule.project, keys).await?;
            late += self.give(glance, spans, counts, standing, recent).await?;
        }
        (standing.calls, standing.late) = (standing.calls + late, standing.late + late);
        recent.known = Some(HashMap::new());
        recent.forget_before(from);
        Ok(late)
    }

    /// Scores calls, a piece after the other, and says how many count. After an error `standing` is nothing to be kept.
    async fn give(
        &self,
        glance: &Glance<'_>,
        spans: Vec<Span>,
        counts: Counts,
        standing: &mut Standing,
        recent: &mut Recent,
    ) -> Result<u64> {
        let reads_text = glance.looks.iter().any(Look::reads_text);
        let (mut piece, mut bytes, mut counted) = (Vec::new(), 0, 0);
        for span in spans.into_iter().filter(|span| glance.is_in(span.trace_id)) {
            recent.note(&span);
            // To score those of judges would make calls of which the next are.
            if span.tags.iter().any(|tag| tag.starts_with(JUDGE_TAG)) {
                continue;
            }
            let is_written =
                recent.known.as_ref().is_some_and(|known| known.contains_key(&(span.trace_id, span.span_id)));
            let span = if reads_text { self.whole(span).await? } else { span };
            bytes += span.output.as_ref().map_or(0, Payload::len);
            piece.push((span, is_written));
            if bytes >= PIECE_BYTES {
                counted += self.give_piece(glance, std::mem::take(&mut piece), counts, standing).await?;
                bytes = 0;
            }
        }
        Ok(counted + self.give_piece(glance, piece, counts, standing).await?)
    }

    /// A call with its whole answer; without any when that is gone or damaged, as it stays then.
    async fn whole(&self, span: Span) -> Result<Span> {
        if span.output_blob.is_none() {
            return Ok(span);
        }
        match self.traces.with_output(span.clone()).await {
            Ok(whole) => Ok(whole),
            Err(error) if is_lost(&error) => Ok(Span { output: None, ..span }),
            Err(error) => Err(error.into()),
        }
    }

    /// Rows first, then what is counted of them.
    async fn give_piece(
        &self,
        glance: &Glance<'_>,
        piece: Vec<(Span, bool)>,
        counts: Counts,
        standing: &mut Standing,
    ) -> Result<u64> {
        if piece.is_empty() {
            return Ok(0);
        }
        let batch = Batch {
            rule: glance.rule.clone(),
            looks: glance.looks.to_vec(),
            counts,
            standing: std::mem::take(standing),
            at: glance.at,
            counted: 0,
            new: Vec::new(),
        };
        // Two hundred calls are milliseconds, for which nobody who waits for an answer is held up.
        let batch = self.lake.behind("scoring calls", move || batch.score_all(&piece)).await??;
        self.traces.give_scores(&batch.new).await?;
        *standing = batch.standing;
        Ok(batch.counted)
    }
}

/// Whether a payload will never be there again.
fn is_lost(error: &qd_trace::Error) -> bool {
    use qd_lake::Error::{Checksum, NoBlob};
    match error {
        qd_trace::Error::ReadPayload { cause, .. } => matches!(cause, NoBlob { .. } | Checksum { .. }),
        // It is no text.
        qd_trace::Error::Row { .. } => true,
        _ => false,
    }
}

/// Calls that are scored together, and what comes of them.
struct Batch {
    rule: Active,
    looks: Vec<Look>,
    counts: Counts,
    standing: Standing,
    at: Timestamp,
    /// How many of them count.
    counted: u64,
    /// Scores that are not in the lake yet.
    new: Vec<Score>,
}

impl Batch {
    fn score_all(mut self, piece: &[(Span, bool)]) -> Result<Self> {
        let looks = std::mem::take(&mut self.looks);
        let reads_text = looks.iter().any(Look::reads_text);
        for (span, is_written) in piece {
            let text = said(span, reads_text);
            let answer = Answer {
                text: text.as_deref(),
                references: &[],
                latency_ms: Some(span.latency_ms()),
                cost: span.cost,
                output_tokens: span.usage.map(|usage| usage.output_tokens),
            };
            let of = |look: &Look| look.score(&answer).ok().filter(|value| value.is_finite());
            let values: Vec<Option<f64>> = looks.iter().map(of).collect();
            if self.counts == Counts::All || values.iter().any(Option::is_some) {
                self.add(span, *is_written, looks.iter().zip(&values))?;
                if text.is_some() {
                    self.want(span, &looks, &values);
                }
            }
        }
        Ok(self)
    }

    /// A call that is counted waits for the judge, if the rule wants a judgement of it.
    fn want(&mut self, span: &Span, looks: &[Look], values: &[Option<f64>]) {
        let Some(judge) = &self.rule.definition.judge else { return };
        let score =
            |name: &str| looks.iter().zip(values).find(|(look, _)| look.name() == name).and_then(|(_, value)| *value);
        if judge.wants(self.rule.info.name.as_str(), span.trace_id, score) {
            self.standing.judging.want(Place { trace_id: span.trace_id, span_id: span.span_id });
        }
    }

    fn add<'a>(
        &mut self,
        span: &Span,
        is_written: bool,
        values: impl Iterator<Item = (&'a Look, &'a Option<f64>)>,
    ) -> Result<()> {
        self.counted += 1;
        self.standing.sampled += 1;
        for (look, value) in values {
            let Some(value) = *value else {
                self.standing.unscored += 1;
                continue;
            };
            self.standing.scores += 1;
            self.standing.tallies.push(span, look.name(), look.unit(), value).map_err(Error::Eval)?;
            if !is_written {
                self.new.push(score(&self.rule, span, look, value, self.at));
            }
        }
        Ok(())
    }
}

/// What a call answered. Where nobody reads it, an answer that does not lie in the row is not fetched.
fn said(span: &Span, reads_text: bool) -> Option<String> {
    match span.output_blob {
        _ if span.status != qd_trace::Status::Ok => None,
        Some(_) if !reads_text => Some(String::new()),
        _ => answer_of(span),
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
