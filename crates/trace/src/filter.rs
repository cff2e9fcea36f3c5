//! Which spans are asked for, and where a page begins.

use std::fmt;
use std::str::FromStr;

use qd_base::{Picodollars, ProjectName, SpanId, TimeRange, Timestamp, Usage};
use qd_lake::Param;

use crate::{Error, FailureKind, GroupFilter, Span, SpanKind, Status};

/// With what a tag of a call begins that an experiment makes; its name and version follow.
pub const EXPERIMENT_TAG: &str = "experiment:";
/// The same of a tag of a call that an evaluation makes.
pub const EVALUATION_TAG: &str = "evaluation:";
/// The same of a leaderboard's.
pub const LEADERBOARD_TAG: &str = "leaderboard:";
/// The same of a judge's.
pub const JUDGE_TAG: &str = "judge:";
/// Tags of calls that Quarterdeck makes to find something out: they are no traffic.
const TRIALS: [&str; 4] = [EXPERIMENT_TAG, EVALUATION_TAG, LEADERBOARD_TAG, JUDGE_TAG];

/// Which spans are wanted: those for which every part that is told holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Begun in this range of time.
    pub range: Option<TimeRange>,
    /// Of this kind.
    pub kind: Option<SpanKind>,
    /// Only calls of models, whatever kind: [`SpanKind::CALLS`].
    pub calls: bool,
    /// Ended so.
    pub status: Option<Status>,
    /// Answered by this model, or asking for it.
    pub model: Option<String>,
    /// Run by this provider.
    pub provider: Option<String>,
    /// In this session.
    pub session: Option<String>,
    /// For this end user.
    pub user: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Made by an experiment, an evaluation, a leaderboard or a judge, as their tags say, or by none of these.
    pub experiments: Option<bool>,
    /// Of this environment.
    pub environment: Option<String>,
    /// Of this operation.
    pub name: Option<String>,
    /// With this prompt artifact.
    pub prompt: Option<String>,
    /// That went wrong in this way.
    pub failure: Option<FailureKind>,
    /// In one of these groups of an overview.
    pub group: Option<GroupFilter>,
    /// That took at least so many milliseconds.
    pub min_latency_ms: Option<f64>,
    /// Whose first token came after at least so many milliseconds.
    pub min_ttft_ms: Option<f64>,
    /// Whose prompt had at least so many tokens.
    pub min_input_tokens: Option<u64>,
    /// Whose answer had at least so many tokens.
    pub min_output_tokens: Option<u64>,
    /// That cost at least so much.
    pub min_cost: Option<Picodollars>,
    /// With this text in the input, the output or the status message, whatever its case. Of a payload that went to a
    /// blob the preview is searched.
    pub text: Option<String>,
}

/// How much of a listing is wanted, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Entries at most; [`Page::MOST`] at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Page {
    /// Entries of a page at most.
    pub const MOST: usize = 500;

    /// The first page.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(50)
    }
}

/// The last entry of a page, newest first: the next page begins after it, whatever has been added meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Its start.
    pub start: Timestamp,
    /// Which of those that started then.
    pub span_id: SpanId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.start.as_nanos(), self.span_id)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (nanos, span_id) = text.split_once('.')?;
            Some(Self { start: Timestamp::from_nanos(nanos.parse().ok()?), span_id: span_id.parse().ok()? })
        };
        read().ok_or_else(|| Error::cursor(text))
    }
}

impl Filter {
    /// The spans of one project.
    pub fn of(project: ProjectName) -> Self {
        Self { project: Some(project), ..Self::default() }
    }

    /// Whether a span that has just finished is wanted: the filter of a live tail.
    pub fn matches(&self, span: &Span) -> bool {
        let text =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        self.project.as_ref().is_none_or(|project| *project == span.project)
            && self.range.is_none_or(|range| range.contains(span.start))
            && self.kind.is_none_or(|kind| kind == span.kind)
            && (!self.calls || SpanKind::CALLS.contains(&span.kind))
            && self.status.is_none_or(|status| status == span.status)
            && (text(&self.model, span.model.as_deref()) || text(&self.model, span.model_requested.as_deref()))
            && text(&self.provider, span.provider.as_deref())
            && text(&self.session, span.session_id.as_deref())
            && text(&self.user, span.user_id.as_deref())
            && self.tag.as_ref().is_none_or(|tag| span.tags.contains(tag))
            && self.experiments.is_none_or(|wanted| wanted == is_of_experiment(span))
            && text(&self.environment, span.environment.as_deref())
            && text(&self.name, Some(&span.name))
            && text(&self.prompt, span.prompt_name.as_deref())
            && self.failure.is_none_or(|failure| FailureKind::of(span) == Some(failure))
            && self.group.as_ref().is_none_or(|group| group.matches(span))
            && self.min_latency_ms.is_none_or(|least| span.latency_ms() >= least)
            && self.is_large_enough(span)
            && self.text.as_deref().is_none_or(|wanted| has_text(span, &wanted.to_lowercase()))
    }
}

impl Filter {
    /// What a span does not tell is not enough.
    fn is_large_enough(&self, span: &Span) -> bool {
        let tokens = |of: fn(&Usage) -> u64| span.usage.as_ref().map(of);
        self.min_ttft_ms.is_none_or(|least| span.ttft_ms >= Some(least))
            && self.min_input_tokens.is_none_or(|least| tokens(|usage| usage.input_tokens) >= Some(least))
            && self.min_output_tokens.is_none_or(|least| tokens(|usage| usage.output_tokens) >= Some(least))
            && self.min_cost.is_none_or(|least| span.cost >= Some(least))
    }
}

fn is_of_experiment(span: &Span) -> bool {
    span.tags.iter().any(|tag| TRIALS.iter().any(|trial| tag.starts_with(trial)))
}

/// The same in SQL: tags as lines, of which one begins so.
fn of_experiment_sql(wanted: bool) -> String {
    let not = if wanted { "" } else { "NOT " };
    let has = |tag| format!("contains(concat('\n', coalesce(array_to_string(tags, '\n'), '')), '\n{tag}')");
    format!("{not}({})", TRIALS.map(has).join(" OR "))
}

fn has_text(span: &Span, wanted: &str) -> bool {
    let payloads = [&span.input, &span.output].into_iter().flatten().map(|payload| payload.in_row());
    payloads.chain(span.status_message.as_deref()).any(|text| text.to_lowercase().contains(wanted))
}

/// A condition of SQL and the values that its parameters are bound to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Condition {
    parts: Vec<String>,
    params: Vec<Param>,
}

impl Condition {
    /// That a span is wanted by `filter`.
    pub fn of(filter: &Filter) -> Self {
        let mut condition = Self::default();
        condition.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        if let Some(range) = filter.range {
            condition.all("start_time >= $", Some(range.from().into()));
            condition.all("start_time < $", Some(range.to().into()));
        }
        condition.all("kind = $", filter.kind.map(|kind| kind.as_str().into()));
        if filter.calls {
            condition.one_of("kind", SpanKind::CALLS.map(|kind| kind.as_str().into()));
        }
        condition.all("status = $", filter.status.map(|status| status.as_str().into()));
        condition.all("(model = $ OR model_requested = $)", filter.model.clone().map(Param::Text));
        condition.all("provider = $", filter.provider.clone().map(Param::Text));
        condition.all("session_id = $", filter.session.clone().map(Param::Text));
        condition.all("user_id = $", filter.user.clone().map(Param::Text));
        condition.all("array_has(tags, $)", filter.tag.clone().map(Param::Text));
        if let Some(wanted) = filter.experiments {
            condition.also(of_experiment_sql(wanted));
        }
        condition.all("environment = $", filter.environment.clone().map(Param::Text));
        condition.all("name = $", filter.name.clone().map(Param::Text));
        condition.all("prompt_name = $", filter.prompt.clone().map(Param::Text));
        if let Some(failure) = filter.failure {
            condition.also("status <> 'ok'".to_owned());
            condition.one_of(&FailureKind::sql(), [failure.as_str().into()]);
        }
        if let Some(group) = &filter.group {
            group.demand(&mut condition);
        }
        condition.at_least(filter);
        let text = filter.text.as_ref().map(|text| Param::Text(text.to_lowercase()));
        condition.all(
            "(contains(lower(input), $) OR contains(lower(output), $) OR contains(lower(status_message), $))",
            text,
        );
        condition
    }

    fn at_least(&mut self, filter: &Filter) {
        // More tokens than the column can hold no span has.
        let tokens = |least: u64| Param::Int(i64::try_from(least).unwrap_or(i64::MAX));
        self.all("latency_ms >= $", filter.min_latency_ms.map(Param::Float));
        self.all("ttft_ms >= $", filter.min_ttft_ms.map(Param::Float));
        self.all("input_tokens >= $", filter.min_input_tokens.map(tokens));
        self.all("output_tokens >= $", filter.min_output_tokens.map(tokens));
        self.all("cost_picodollars >= $", filter.min_cost.map(|least| Param::Int(least.get())));
    }

    /// Also demands `part`, in which every `$` stands for `value`; without a value nothing more is demanded.
    pub fn all(&mut self, part: &str, value: Option<Param>) {
        if let Some(value) = value {
            let place = self.bind(value);
            self.parts.push(part.replace('$', &place));
        }
    }

    /// Also demands `part`, whose values are bound already.
    pub fn also(&mut self, part: String) {
        self.parts.push(part);
    }

    /// Also demands that `column` is one of `values`.
    pub fn one_of(&mut self, column: &str, values: impl IntoIterator<Item = Param>) {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        self.parts.push(format!("{column} IN ({})", places.join(", ")));
    }

    /// Also demands that `column` is none of `values`; without values nothing more is demanded.
    pub fn none_of(&mut self, column: &str, values: impl IntoIterator<Item = Param>) {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        if !places.is_empty() {
            self.parts.push(format!("{column} NOT IN ({})", places.join(", ")));
        }
    }

    /// Also demands that a span comes after `cursor` in a listing that has the newest first.
    pub fn after(&mut self, cursor: Cursor) {
        let (start, span_id) = (self.bind(cursor.start.into()), self.bind(cursor.span_id.to_string().into()));
        // The first part follows from the second; it is there so that segments can be skipped by their times.
        self.parts.push(format!("start_time <= {start} AND (start_time < {start} OR span_id < {span_id})"));
    }

    /// A condition without demands that goes on counting this one's parameters, so that one statement can hold both.
    pub fn beside(&self) -> Self {
        Self { parts: Vec::new(), params: self.params.clone() }
    }

    /// Also demands that a span comes after `cursor` in a listing that has the oldest first.
    pub fn since(&mut self, cursor: Cursor) {
        let (start, span_id) = (self.bind(cursor.start.into()), self.bind(cursor.span_id.to_string().into()));
        self.parts.push(format!("start_time >= {start} AND (start_time > {start} OR span_id > {span_id})"));
    }

    /// The name by which SQL refers to `value`.
    pub fn bind(&mut self, value: Param) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    /// The condition as SQL.
    pub fn sql(&self) -> String {
        if self.parts.is_empty() { "true".to_owned() } else { self.parts.join(" AND ") }
    }

    /// The values of its parameters.
    pub fn params(&self) -> Vec<Param> {
        self.params.clone()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::table::tests::full_span;
    use crate::{GroupBy, Groups, TraceContext};

    /// Filters of which the first of each pair takes [`full_span`] and the second does not.
    pub(crate) fn filters() -> Vec<(Filter, Filter)> {
        let text = |text: &str| Some(text.to_owned());
        let range = |from: i64, to: i64| {
            TimeRange::new(Timestamp::from_secs(1_767_225_600 + from), Timestamp::from_secs(1_767_225_600 + to)).ok()
        };
        let pair = |yes, no| (yes, no);
        let cost = |picodollars| Some(Picodollars::new(picodollars));
        let group = |by, groups| Filter { group: Some(GroupFilter { by, groups }), ..Filter::default() };
        let one = |by, name: &str| group(by, Groups::One(name.to_owned()));
        let except = |by, names: &[&str]| group(by, Groups::Except(names.iter().map(|&name| name.into()).collect()));
        let none = Filter::default;
        vec![
            pair(Filter::of("default".parse().unwrap()), Filter::of("other".parse().unwrap())),
            pair(Filter { range: range(0, 1), ..none() }, Filter { range: range(-1, 0), ..none() }),
            pair(Filter { kind: Some(SpanKind::Llm), ..none() }, Filter { kind: Some(SpanKind::Tool), ..none() }),
            pair(Filter { status: Some(Status::Error), ..none() }, Filter { status: Some(Status::Ok), ..none() }),
            pair(Filter { model: text("gpt-4o"), ..none() }, Filter { model: text("gpt"), ..none() }),
            pair(Filter { model: text("gpt-4o-2024-08-06"), ..none() }, Filter { model: text("GPT-4o"), ..none() }),
            pair(Filter { provider: text("openai"), ..none() }, Filter { provider: text("x"), ..none() }),
            pair(Filter { session: text("s-1"), ..none() }, Filter { session: text("s-2"), ..none() }),
            pair(Filter { user: text("alice@example.org"), ..none() }, Filter { user: text(""), ..none() }),
            pair(Filter { tag: text("б"), ..none() }, Filter { tag: text("c"), ..none() }),
            pair(Filter { experiments: Some(false), ..none() }, Filter { experiments: Some(true), ..none() }),
            pair(Filter { environment: text("production"), ..none() }, Filter { environment: text("x"), ..none() }),
            pair(Filter { name: text("chat"), ..none() }, Filter { name: text("x"), ..none() }),
            pair(Filter { prompt: text("greeting"), ..none() }, Filter { prompt: text("greet"), ..none() }),
            pair(Filter { calls: true, ..none() }, Filter { calls: true, kind: Some(SpanKind::Tool), ..none() }),
            pair(Filter { min_latency_ms: Some(250.0), ..none() }, Filter { min_latency_ms: Some(250.1), ..none() }),
            pair(Filter { min_ttft_ms: Some(40.5), ..none() }, Filter { min_ttft_ms: Some(40.6), ..none() }),
            pair(Filter { min_input_tokens: Some(12), ..none() }, Filter { min_input_tokens: Some(13), ..none() }),
            pair(
                Filter { min_output_tokens: Some(3), ..none() },
                Filter { min_output_tokens: Some(u64::MAX), ..none() },
            ),
            pair(Filter { min_cost: cost(55_000_000), ..none() }, Filter { min_cost: cost(55_000_001), ..none() }),
            // It says "upstream said 500", in which no rule knows a kind.
            pair(
                Filter { failure: Some(FailureKind::Other), ..none() },
                Filter { failure: Some(FailureKind::Timeout), ..none() },
            ),
            // It was asked for another name than the one that answered.
            pair(one(GroupBy::Model, "gpt-4o-2024-08-06"), one(GroupBy::Model, "gpt-4o")),
            pair(one(GroupBy::Provider, "openai"), one(GroupBy::Provider, "")),
            pair(one(GroupBy::Prompt, "greeting"), one(GroupBy::Prompt, "Greeting")),
            pair(one(GroupBy::PromptVersion, "4"), one(GroupBy::PromptVersion, "")),
            pair(one(GroupBy::User, "alice@example.org"), one(GroupBy::User, "")),
            pair(one(GroupBy::Environment, "production"), one(GroupBy::Environment, "x")),
            pair(one(GroupBy::Status, "error"), one(GroupBy::Status, "ok")),
            pair(one(GroupBy::Session, "s-1"), one(GroupBy::Session, "")),
            pair(one(GroupBy::Release, "1.2.3"), one(GroupBy::Release, "1.2")),
            pair(one(GroupBy::Name, "chat"), one(GroupBy::Name, "x")),
            pair(except(GroupBy::Model, &["gpt-4o", ""]), except(GroupBy::Model, &["x", "gpt-4o-2024-08-06"])),
            pair(except(GroupBy::User, &[]), except(GroupBy::User, &["alice@example.org"])),
            pair(Filter { text: text("HELLO"), ..none() }, Filter { text: text("hello there"), ..none() }),
            pair(Filter { text: text("said 500"), ..none() }, Filter { text: text("%"), ..none() }),
        ]
    }

    /// One span, and for each part of a filter one that takes it and one that does not; the lake is asked the same in
    /// `crate::tests`.
    #[test]
    fn every_part_of_a_filter_decides() {
        assert!(Filter::default().matches(&full_span()));
        for (taken, refused) in filters() {
            assert!(taken.matches(&full_span()), "{taken:?}");
            assert!(!refused.matches(&full_span()), "{refused:?}");
        }
    }

    /// A span that says nothing of itself is in the empty group of everything but its status and name, and in no other.
    #[test]
    fn what_a_span_does_not_say_is_its_empty_group() {
        let bare = Span::new("p".parse().unwrap(), TraceContext::root(), SpanKind::Llm, "chat", Timestamp::MIN);
        for &by in GroupBy::ALL {
            let takes = |groups| Filter { group: Some(GroupFilter { by, groups }), ..Filter::default() }.matches(&bare);
            let untold = by != GroupBy::Status && by != GroupBy::Name;
            assert_eq!(takes(Groups::One(String::new())), untold, "{by}");
            assert_eq!(takes(Groups::Except(vec![String::new()])), !untold, "{by}");
            assert!(takes(Groups::Except(vec!["gpt-4o".into()])), "{by}");
        }
        for filter in [
            Filter { min_ttft_ms: Some(0.0), ..Filter::default() },
            Filter { min_input_tokens: Some(0), ..Filter::default() },
            Filter { min_output_tokens: Some(0), ..Filter::default() },
            Filter { min_cost: Some(Picodollars::ZERO), ..Filter::default() },
        ] {
            assert!(!filter.matches(&bare), "{filter:?}");
        }
        let asked = Span { model_requested: Some("gpt-4o".into()), ..bare };
        let group = GroupFilter { by: GroupBy::Model, groups: Groups::One("gpt-4o".into()) };
        assert!(group.matches(&asked), "nothing answered, so it is told by what was asked for");
    }

    #[test]
    fn values_are_bound_and_never_part_of_the_text() {
        let evil = "x' OR true --".to_owned();
        let mut condition =
            Condition::of(&Filter { model: Some(evil.clone()), name: Some("$1".into()), ..Filter::default() });
        condition.one_of("trace_id", ["a".into(), "b".into()]);
        condition.none_of("trace_id", ["c".into()]);
        condition.none_of("span_id", []);
        assert_eq!(
            condition.sql(),
            "(model = $1 OR model_requested = $1) AND name = $2 AND trace_id IN ($3, $4) AND trace_id NOT IN ($5)"
        );
        assert_eq!(
            condition.params(),
            [Param::Text(evil), Param::Text("$1".into()), "a".into(), "b".into(), "c".into()]
        );
        assert_eq!(Condition::of(&Filter::default()).sql(), "true");
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { start: Timestamp::from_nanos(-7), span_id: "00f067aa0ba902b7".parse().unwrap() };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for text in [
            "",
            "7",
            "7.",
            ".00f067aa0ba902b7",
            "7.00f067aa0ba902b",
            "7.0000000000000000",
            "99999999999999999999.00f067aa0ba902b7",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
