//! What a rule is: a query over a window, a condition, and how long it has to hold.

use std::time::Duration;

use qd_base::ProjectName;
use qd_trace::{Filter, SpanKind, Status};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The shortest and the longest window: a minute, 31 days.
pub const WINDOW_S: std::ops::RangeInclusive<u64> = 60..=31 * 86_400;
/// The most and the least often that a rule is evaluated.
pub const EVERY_S: std::ops::RangeInclusive<u64> = 15..=86_400;
/// The longest that a window ends before it is evaluated.
pub const MAX_DELAY_S: u64 = 3_600;
/// The longest that a condition has to hold, or not to hold.
pub const MAX_FOR_S: u64 = 7 * 86_400;
/// The most evaluations for which a condition has to hold.
pub const MAX_FOR_EVALUATIONS: u32 = 100;
/// The longest period of a budget: a leap year.
pub const MAX_PERIOD_S: u64 = 366 * 86_400;
/// The longest text of a filter and of a description.
pub const MAX_TEXT_BYTES: usize = 1024;
/// The longest statement.
pub const MAX_SQL_BYTES: usize = 16 << 10;
/// Factors of a budget are told in thousandths.
const THOUSAND: f64 = 1e3;
/// The largest factor: a month's budget in seconds.
const MAX_FACTOR: f64 = 1e6;

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What is read.
    pub query: Query,
    /// Over all projects; the operator's only.
    #[serde(default)]
    pub everywhere: bool,
    /// Over how long.
    pub window_s: u64,
    /// How often.
    #[serde(default = "usual_every_s")]
    pub every_s: u64,
    /// How long before its evaluation a window ends: a call is recorded when it ends, and counts at its start.
    #[serde(default = "usual_delay_s")]
    pub delay_s: u64,
    /// What is wrong.
    pub condition: Condition,
    /// For how long that has to hold before the rule fires.
    #[serde(default)]
    pub for_s: u64,
    /// In how many evaluations on end.
    #[serde(default = "one")]
    pub for_evaluations: u32,
    /// For how long it must not hold before the rule is resolved.
    #[serde(default)]
    pub keep_firing_for_s: u64,
    /// What becomes of the rule when there is nothing to judge by.
    #[serde(default)]
    pub on_no_data: Missing,
    /// What becomes of it when it cannot be evaluated.
    #[serde(default = "tell")]
    pub on_error: Missing,
    /// What to know and to do when it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn usual_every_s() -> u64 {
    60
}

fn usual_delay_s() -> u64 {
    5
}

fn one() -> u32 {
    1
}

fn tell() -> Missing {
    Missing::Tell
}

/// What is read: a measure of the calls that a filter takes, or what a statement says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// What is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// Of the measure `score`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Instead of a measure: a statement that gives one number. `$1` and `$2` are the window's begin and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Of this kind; without one those that call models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SpanKind>,
    /// Ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Answered by this model, or asking for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Run by this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// In this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// For this end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of this environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With this prompt artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// What can be measured of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How many there were.
    Calls,
    /// How many failed.
    Errors,
    /// How many of a hundred failed.
    ErrorRate,
    /// Half took at most so many milliseconds.
    LatencyP50,
    /// 95 of 100 did.
    LatencyP95,
    /// 99 of 100 did.
    LatencyP99,
    /// Half had their first token after at most so many milliseconds.
    TtftP50,
    /// 95 of 100 had.
    TtftP95,
    /// Dollars.
    Cost,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Tokens of answers over the time that generating them took.
    OutputTokensPerS,
    /// The mean of scores.
    Score,
}

impl Measure {
    /// Its name in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Errors => "failed calls",
            Self::ErrorRate => "error rate",
            Self::LatencyP50 => "median latency",
            Self::LatencyP95 => "95th percentile of latency",
            Self::LatencyP99 => "99th percentile of latency",
            Self::TtftP50 => "median time to first token",
            Self::TtftP95 => "95th percentile of time to first token",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::OutputTokensPerS => "output tokens per second",
            Self::Score => "mean score",
        }
    }

    /// In what it is told; empty for what is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::ErrorRate => "%",
            Self::LatencyP50 | Self::LatencyP95 | Self::LatencyP99 | Self::TtftP50 | Self::TtftP95 => "ms",
            Self::Cost => "$",
            Self::Calls
            | Self::Errors
            | Self::Tokens
            | Self::InputTokens
            | Self::OutputTokens
            | Self::OutputTokensPerS
            | Self::Score => "",
        }
    }

    /// Whether it is used up over time, as a budget is.
    pub const fn adds_up(self) -> bool {
        matches!(self, Self::Calls | Self::Errors | Self::Cost | Self::Tokens | Self::InputTokens | Self::OutputTokens)
    }
}

/// On which side of a limit something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More than the limit.
    Above,
    /// Less than the limit.
    Below,
}

/// What a window is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The window before it.
    #[default]
    Previous,
    /// The same window a day before.
    Day,
    /// The same window a week before.
    Week,
}

/// How a difference is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeUnit {
    /// In percent of what it was before.
    #[default]
    Percent,
    /// In the measure's own unit.
    Absolute,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// What is read passes a limit.
    Threshold {
        /// To which side.
        direction: Direction,
        /// The limit.
        value: f64,
        /// The limit that it has to come back to; the same when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clear: Option<f64>,
    },
    /// What is read differs from what it was.
    Change {
        /// To which side.
        direction: Direction,
        /// By more than this; with `below` a fall is negative.
        value: f64,
        /// The difference that it has to come back to; the same when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clear: Option<f64>,
        /// In percent, or in the measure's own unit.
        #[serde(default)]
        unit: ChangeUnit,
        /// Than when.
        #[serde(default)]
        against: Against,
    },
    /// A budget is used up so many times as fast as it may be, over the window and over a shorter one as well.
    ///
    /// Beyer et al., "The Site Reliability Workbook", O'Reilly 2018, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".
    Budget {
        /// How much there is in a period: dollars, tokens, calls.
        limit: f64,
        /// The period.
        period_s: u64,
        /// So many times as fast; told in thousandths.
        factor: f64,
        /// The shorter window; a twelfth of the window when absent, as the workbook has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        short_window_s: Option<u64>,
        /// The factor that it has to fall below; the same when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clear_factor: Option<f64>,
    },
    /// There were no calls.
    Absence {
        /// For how long after it was made the rule waits for the first; the window when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_s: Option<u64>,
    },
}

/// What becomes of a rule while there is nothing to judge by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It stands so, and nobody is told.
    #[default]
    Quiet,
    /// It stands so, and that is told.
    Tell,
    /// As if its condition held.
    Firing,
    /// It stands as it stood.
    Keep,
}

impl Definition {
    /// The definition that a JSON value is, checked.
    ///
    /// # Errors
    /// [`Error::Stored`] when it is none, [`Error::Definition`] when it cannot be right.
    pub fn read(value: &serde_json::Value) -> Result<Self> {
        let read = Self::deserialize(value).map_err(|cause| Error::Stored { why: cause.to_string() })?;
        read.check()?;
        Ok(read)
    }

    /// Whether it can be right.
    ///
    /// # Errors
    /// [`Error::Definition`], which names the field.
    pub fn check(&self) -> Result<()> {
        self.query.check()?;
        within("window_s", self.window_s, WINDOW_S)?;
        within("every_s", self.every_s, EVERY_S)?;
        within("delay_s", self.delay_s, 0..=MAX_DELAY_S)?;
        within("for_s", self.for_s, 0..=MAX_FOR_S)?;
        within("for_evaluations", u64::from(self.for_evaluations), 1..=u64::from(MAX_FOR_EVALUATIONS))?;
        within("keep_firing_for_s", self.keep_firing_for_s, 0..=MAX_FOR_S)?;
        text("description", self.description.as_deref().unwrap_or("-"))?;
        self.check_condition()
    }

    fn check_condition(&self) -> Result<()> {
        match &self.condition {
            Condition::Threshold { direction, value, clear } | Condition::Change { direction, value, clear, .. } => {
                check_limit(*direction, *value, *clear)
            }
            Condition::Budget { limit, period_s, factor, short_window_s, clear_factor } => {
                if !self.query.measure.is_some_and(Measure::adds_up) {
                    let why = "a budget is of cost, tokens, input_tokens, output_tokens, calls or errors";
                    return Err(Error::definition("query.measure", why));
                }
                if !(limit.is_finite() && *limit > 0.0 && *limit <= 1e9) {
                    return Err(Error::definition("condition.limit", "it must be above 0 and at most 1,000,000,000"));
                }
                within("condition.period_s", *period_s, self.window_s..=MAX_PERIOD_S)?;
                check_factor("condition.factor", *factor)?;
                if let Some(clear) = clear_factor {
                    check_factor("condition.clear_factor", *clear)?;
                    if clear > factor {
                        return Err(Error::definition("condition.clear_factor", "it must be at most the factor"));
                    }
                }
                short_window_s.map_or(Ok(()), |short| within("condition.short_window_s", short, 15..=self.window_s))
            }
            Condition::Absence { grace_s } => {
                if self.query.sql.is_some() {
                    return Err(Error::definition("query.sql", "absence is of calls, not of what a statement says"));
                }
                grace_s.map_or(Ok(()), |grace| within("condition.grace_s", grace, 0..=MAX_FOR_S))
            }
        }
    }

    /// The window.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_s)
    }

    /// The rule in words: `error rate over 5 min above 5 %`.
    pub fn words(&self) -> String {
        let over = format!("over {}", span_of(self.window_s));
        let (what, unit) = match self.query.measure {
            Some(measure) => (measure.words(), measure.unit()),
            None => ("what the statement gives", ""),
        };
        match &self.condition {
            Condition::Threshold { direction, value, .. } => {
                format!("{what} {over} {} {}", side(*direction), amount(*value, unit))
            }
            Condition::Change { direction, value, unit: in_percent, against, .. } => {
                let unit = if *in_percent == ChangeUnit::Percent { "%" } else { unit };
                let than = match against {
                    Against::Previous => "the window before",
                    Against::Day => "a day before",
                    Against::Week => "a week before",
                };
                format!("change of {what} {over} against {than} {} {}", side(*direction), amount(*value, unit))
            }
            Condition::Budget { limit, period_s, factor, .. } => {
                let budget = amount(*limit, unit);
                let period = span_of(*period_s);
                format!("{what} {over} at {factor} times the pace of {budget} in {period}, or more")
            }
            Condition::Absence { .. } => format!("no calls {over}"),
        }
    }

    /// In what its value is told.
    pub fn unit(&self) -> &'static str {
        match (&self.condition, self.query.measure) {
            (Condition::Change { unit: ChangeUnit::Percent, .. }, _) => "%",
            (Condition::Budget { .. }, _) => "×",
            (Condition::Absence { .. }, _) | (_, None) => "",
            (_, Some(measure)) => measure.unit(),
        }
    }
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Above => "above",
        Direction::Below => "below",
    }
}

/// A length of time as people say it.
pub(crate) fn span_of(seconds: u64) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// A number with its unit, to four digits after the point at most.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    let digits = if unit == "$" && value.abs() < 0.01 { 8 } else { 4 };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    match unit {
        "$" => format!("${text}"),
        "" => text.to_owned(),
        unit => format!("{text} {unit}"),
    }
}

impl Query {
    fn check(&self) -> Result<()> {
        match (&self.measure, &self.sql) {
            (None, None) => return Err(Error::definition("query", "give a measure or sql")),
            (Some(_), Some(_)) => return Err(Error::definition("query", "give a measure or sql, not both")),
            (None, Some(sql)) => {
                if sql.trim().is_empty() || sql.len() > MAX_SQL_BYTES {
                    return Err(Error::definition("query.sql", format!("use 1 to {MAX_SQL_BYTES} bytes")));
                }
                if *self != (Self { sql: Some(sql.clone()), ..Self::default() }) {
                    return Err(Error::definition("query", "a statement filters for itself; give sql alone"));
                }
            }
            (Some(measure), None) => self.check_score(*measure)?,
        }
        let texts = [
            &self.model,
            &self.provider,
            &self.session,
            &self.user,
            &self.tag,
            &self.environment,
            &self.name,
            &self.prompt,
            &self.score,
        ];
        texts.into_iter().flatten().try_for_each(|filter| text("query", filter))
    }

    fn check_score(&self, measure: Measure) -> Result<()> {
        match (measure, &self.score) {
            (Measure::Score, None) => Err(Error::definition("query.score", "name the score whose mean is measured")),
            (Measure::Score, Some(_)) => {
                let alone = Self { measure: self.measure, score: self.score.clone(), ..Self::default() };
                match *self == alone {
                    true => Ok(()),
                    false => Err(Error::definition("query", "scores are told apart by their name only")),
                }
            }
            (_, Some(_)) => Err(Error::definition("query.score", "it belongs to the measure score")),
            (_, None) => Ok(()),
        }
    }

    /// The spans that are measured, of one project or of all.
    pub(crate) fn filter(&self, project: Option<ProjectName>) -> Filter {
        Filter {
            project,
            kind: self.kind,
            status: self.status,
            model: self.model.clone(),
            provider: self.provider.clone(),
            session: self.session.clone(),
            user: self.user.clone(),
            tag: self.tag.clone(),
            environment: self.environment.clone(),
            name: self.name.clone(),
            prompt: self.prompt.clone(),
            ..Filter::default()
        }
    }
}

fn within(field: &'static str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<()> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(Error::definition(field, format!("it must be between {} and {}", range.start(), range.end()))),
    }
}

fn text(field: &'static str, text: &str) -> Result<()> {
    match (1..=MAX_TEXT_BYTES).contains(&text.len()) {
        true => Ok(()),
        false => Err(Error::definition(field, format!("use texts of 1 to {MAX_TEXT_BYTES} bytes"))),
    }
}

fn check_limit(direction: Direction, value: f64, clear: Option<f64>) -> Result<()> {
    if !value.is_finite() || !clear.unwrap_or(0.0).is_finite() {
        return Err(Error::definition("condition.value", "it must be a number"));
    }
    let beyond = |clear: f64| match direction {
        Direction::Above => clear > value,
        Direction::Below => clear < value,
    };
    match clear.is_some_and(beyond) {
        true => Err(Error::definition("condition.clear", "it must lie on the good side of the limit")),
        false => Ok(()),
    }
}

fn check_factor(field: &'static str, factor: f64) -> Result<()> {
    match factor > 0.0 && factor <= MAX_FACTOR && thousandths(factor) > 0 {
        true if ((factor * THOUSAND).round() / THOUSAND - factor).abs() < 1e-9 => Ok(()),
        true => Err(Error::definition(field, "it is told in thousandths")),
        false => Err(Error::definition(field, format!("it must be at least 0.001 and at most {MAX_FACTOR}"))),
    }
}

/// A factor as a whole number of thousandths.
pub(crate) fn thousandths(factor: f64) -> i128 {
    (factor * THOUSAND).round() as i128
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A rule with a measure and a condition, over five minutes.
    pub(crate) fn rule(measure: &str, condition: Value) -> Definition {
        let rule = json!({"query": {"measure": measure}, "window_s": 300, "condition": condition});
        Definition::read(&rule).expect("a sound rule")
    }

    pub(crate) fn above(value: f64) -> Value {
        json!({"kind": "threshold", "direction": "above", "value": value})
    }

    #[test]
    fn a_rule_is_read_and_written_and_says_what_it_is() {
        let rule = rule("error_rate", above(5.0));
        assert_eq!((rule.every_s, rule.delay_s, rule.for_evaluations), (60, 5, 1));
        assert_eq!((rule.on_no_data, rule.on_error), (Missing::Quiet, Missing::Tell));
        let again = Definition::read(&serde_json::to_value(&rule).unwrap()).unwrap();
        assert_eq!(again, rule);
        assert_eq!(rule.words(), "error rate over 5 min above 5 %");
        let budget = json!({"kind": "budget", "limit": 100, "period_s": 2_592_000, "factor": 14.4});
        let budget = super::tests::rule("cost", budget);
        assert_eq!(budget.words(), "cost over 5 min at 14.4 times the pace of $100 in 30 d, or more");
    }

    #[test]
    fn amounts_as_people_read_them() {
        for (value, unit, text) in [
            (5.0, "%", "5 %"),
            (1234.56789, "ms", "1234.5679 ms"),
            (0.0, "", "0"),
            (100.0, "", "100"),
            (0.00012345, "$", "$0.00012345"),
            (-2.5, "$", "$-2.5"),
        ] {
            assert_eq!(amount(value, unit), text);
        }
        assert_eq!([span_of(86_400), span_of(7_200), span_of(90)], ["1 d", "2 h", "90 s"]);
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name() {
        let good = json!({"query": {"measure": "cost"}, "window_s": 3600, "condition": above(5.0)});
        assert!(Definition::read(&good).is_ok());
        let budget = |more: Value| {
            let mut budget = json!({"kind": "budget", "limit": 1.0, "period_s": 86_400, "factor": 2.0});
            budget.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"condition": budget})
        };
        for (change, field) in [
            (json!({"window_s": 59}), "window_s"),
            (json!({"window_s": 31 * 86_400 + 1}), "window_s"),
            (json!({"every_s": 14}), "every_s"),
            (json!({"delay_s": 3601}), "delay_s"),
            (json!({"for_evaluations": 0}), "for_evaluations"),
            (json!({"description": ""}), "description"),
            (json!({"query": {}}), "query"),
            (json!({"query": {"measure": "cost", "sql": "SELECT 1"}}), "query"),
            (json!({"query": {"sql": "SELECT 1", "model": "m"}}), "query"),
            (json!({"query": {"sql": " "}}), "query.sql"),
            (json!({"query": {"measure": "score"}}), "query.score"),
            (json!({"query": {"measure": "score", "score": "s", "model": "m"}}), "query"),
            (json!({"query": {"measure": "cost", "score": "s"}}), "query.score"),
            (json!({"query": {"measure": "cost", "model": ""}}), "query"),
            (
                json!({"condition": {"kind": "threshold", "direction": "above", "value": 5, "clear": 6}}),
                "condition.clear",
            ),
            (
                json!({"condition": {"kind": "threshold", "direction": "below", "value": 5, "clear": 4}}),
                "condition.clear",
            ),
            (budget(json!({"limit": 0})), "condition.limit"),
            (budget(json!({"period_s": 3599})), "condition.period_s"),
            (budget(json!({"factor": 0.0001})), "condition.factor"),
            (budget(json!({"factor": 14.4004})), "condition.factor"),
            (budget(json!({"clear_factor": 3})), "condition.clear_factor"),
            (budget(json!({"short_window_s": 3601})), "condition.short_window_s"),
            (json!({"query": {"sql": "SELECT 1"}, "condition": {"kind": "absence"}}), "query.sql"),
        ] {
            let mut wrong = good.clone();
            wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            match Definition::read(&wrong) {
                Err(Error::Definition { field: found, .. }) => assert_eq!(found, field, "{wrong}"),
                other => panic!("{wrong}: {other:?}"),
            }
        }
        for wrong in
            [json!({"windows_s": 1}), json!({"condition": {"kind": "moon"}}), json!({"query": {"modell": "m"}})]
        {
            let mut rule = good.clone();
            rule.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            assert!(matches!(Definition::read(&rule), Err(Error::Stored { .. })), "{rule}");
        }
    }
}
