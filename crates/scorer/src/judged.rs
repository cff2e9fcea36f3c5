//! What a rule says of a judge: which calls it is asked about and within which budget, and where that stands.
//!
//! Cheap scorers come first. A call of which the rule wants a judgement waits in the standing that counts it, so that it waits there once
//! whatever crashes. That it is asked about is kept before it is, so that nothing is paid twice; what became of it after a crash is
//! looked up, and what cannot be known counts as paid.

use std::collections::{BTreeMap, VecDeque};

use qd_base::{Picodollars, SpanId, Timestamp, TraceId, words};
use qd_eval::scorer::{Scorer, ScorerKind, ScorerSpec};
use qd_judge::Judge;
use serde::{Deserialize, Serialize};

use crate::look::Look;
use crate::sample;
use crate::{Error, Result};

/// Calls of a version that wait at most.
pub const MOST_WAITING: usize = 100;
/// Inputs that a rule names at most.
const MOST_VALUES: usize = 16;
const DAY_S: i64 = 86_400;

/// Which calls a judge is asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRule {
    /// The judge: `name`, `name@3`, `ready/NAME@MODEL`. It is pinned to a version when the rule is made.
    pub judge: String,
    /// What its scores are called.
    #[serde(default = "usual_name")]
    pub name: String,
    /// The share of traces in the rule's sample that are judged, above 0 and at most 1.
    #[serde(default = "all")]
    pub share: f64,
    /// Only calls of which a scorer of the rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What the judge's inputs are, where their names do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, CallPart>,
    /// What may be spent.
    pub budget: DayBudget,
}

fn usual_name() -> String {
    "judge".to_owned()
}

fn all() -> f64 {
    1.0
}

/// What a score has to be like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The name of a scorer of the rule.
    pub scorer: String,
    /// Less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// More than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
}

/// What may be spent in a day, by UTC; one of both at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayBudget {
    /// Dollars, of calls whose price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dollars_per_day: Option<f64>,
    /// Calls of the judge's models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_day: Option<u64>,
}

words!(
    /// A part of a call.
    CallPart, "part of a call", {
        /// What was answered.
        Answer = "answer",
        /// What was asked: the last words of the user.
        Question = "question",
    }
);

words!(
    /// Why a call of which a judgement was wanted has none.
    NotJudged, "reason", {
        /// The budget of the day was used up.
        Budget = "budget",
        /// The budget is in dollars alone, and the price of the judge's calls is not known.
        Unpriced = "unpriced",
        /// Too many calls waited already.
        Full = "full",
        /// The call, or what it said, is gone.
        Gone = "gone",
        /// The judge said that it cannot tell.
        CannotTell = "cannot_tell",
        /// What the judge said is no verdict, or one that stands for no number.
        Invalid = "invalid",
        /// The judge cannot take the call, or its model refused.
        Failed = "failed",
        /// The judge's model was not reached.
        Unreached = "unreached",
        /// The process ended while the judge was asked.
        Interrupted = "interrupted",
    }
);

fn wrong(field: &'static str, why: impl Into<String>) -> Error {
    Error::definition(field, why)
}

impl JudgeRule {
    /// Refuses what cannot be followed, whichever the judge.
    pub(crate) fn check(&self, looks: &[Look]) -> Result<()> {
        let spec = ScorerSpec { name: Some(self.name.clone()), kind: ScorerKind::Latency };
        Scorer::new(&spec).map_err(|error| wrong("judge.name", error.to_string()))?;
        if looks.iter().any(|look| look.name() == self.name) {
            return Err(wrong("judge.name", format!("a scorer is called {:?} already", self.name)));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(wrong("judge.share", "a share above 0 and at most 1"));
        }
        if self.values.len() > MOST_VALUES {
            return Err(wrong("judge.values", format!("{MOST_VALUES} inputs at most")));
        }
        if let Some(when) = &self.when {
            when.check(looks)?;
        }
        self.budget.check()
    }

    /// Which part of a call is which input of the judge, with whether the input is a list.
    pub(crate) fn inputs(&self, judge: &Judge) -> Result<Vec<(String, bool, CallPart)>> {
        let inputs = &judge.definition().inputs;
        if let Some(unknown) = self.values.keys().find(|name| inputs.iter().all(|input| input.name != **name)) {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(wrong(
                "judge.values",
                format!("the judge takes no {unknown:?}; it takes {}", names.join(", ")),
            ));
        }
        let mut found = Vec::new();
        for input in inputs {
            match self.values.get(&input.name).copied().or_else(|| part(&input.name)) {
                Some(part) => found.push((input.name.clone(), input.list, part)),
                None if input.required => {
                    let why = format!(
                        "the judge takes {:?}, and of a live call there are `answer` and `question`; say {{\"values\": {{{:?}: \"answer\"}}}}, or take a judge that needs no more",
                        input.name, input.name
                    );
                    return Err(wrong("judge.values", why));
                }
                None => {}
            }
        }
        match found.iter().any(|(_, _, part)| *part == CallPart::Answer) {
            true => Ok(found),
            false => Err(wrong("judge.values", "no input of the judge is the answer; say which one is")),
        }
    }

    /// Whether a judgement is wanted of a call that was answered, by its trace and the scores that it has.
    pub(crate) fn wants(&self, rule: &str, trace: TraceId, score: impl Fn(&str) -> Option<f64>) -> bool {
        let is_so = |when: &When| score(&when.scorer).is_some_and(|score| when.holds(score));
        sample::is_in(trace, &format!("{rule} judge"), self.share) && self.when.as_ref().is_none_or(is_so)
    }
}

/// What an input is by its name.
fn part(name: &str) -> Option<CallPart> {
    match name {
        "answer" | "output" | "response" | "completion" => Some(CallPart::Answer),
        "question" | "input" | "prompt" | "request" => Some(CallPart::Question),
        _ => None,
    }
}

impl When {
    fn check(&self, looks: &[Look]) -> Result<()> {
        if looks.iter().all(|look| look.name() != self.scorer) {
            let names: Vec<&str> = looks.iter().map(Look::name).collect();
            return Err(wrong(
                "judge.when",
                format!("no scorer is called {:?}; there are {}", self.scorer, names.join(", ")),
            ));
        }
        let bounds = [self.below, self.above];
        match bounds.iter().flatten().all(|bound| bound.is_finite()) && bounds.iter().any(Option::is_some) {
            true => Ok(()),
            false => Err(wrong("judge.when", "give `below` or `above`, a number")),
        }
    }

    fn holds(&self, score: f64) -> bool {
        self.below.is_none_or(|below| score < below) && self.above.is_none_or(|above| score > above)
    }
}

impl DayBudget {
    fn check(self) -> Result<()> {
        let DayBudget { dollars_per_day, calls_per_day } = self;
        if dollars_per_day.is_some_and(|dollars| !(dollars.is_finite() && dollars > 0.0)) || calls_per_day == Some(0) {
            return Err(wrong("judge.budget", "more than 0"));
        }
        match dollars_per_day.is_some() || calls_per_day.is_some() {
            true => Ok(()),
            false => Err(wrong("judge.budget", "give `dollars_per_day` or `calls_per_day`")),
        }
    }
}

/// A call by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its span.
    pub span_id: SpanId,
}

/// A call that a judge is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which one.
    pub place: Place,
    /// Since when.
    pub at: Timestamp,
}

/// What judgements took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// Calls of the judge's models.
    pub calls: u64,
    /// What they cost, as far as their prices are known.
    pub cost: Picodollars,
    /// Calls whose price is not known.
    pub unpriced: u64,
}

impl Paid {
    /// Of each the larger number.
    pub(crate) fn at_least(self, other: Self) -> Self {
        Self {
            calls: self.calls.max(other.calls),
            cost: self.cost.max(other.cost),
            unpriced: self.unpriced.max(other.unpriced),
        }
    }
}

impl std::ops::Add for Paid {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, cost: self.cost + other.cost, unpriced: self.unpriced + other.unpriced }
    }
}

/// Where the judging of a version stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judging {
    /// Calls that the judge is to be asked about, in this order.
    pub waiting: VecDeque<Place>,
    /// Calls that it is asked about.
    pub asked: Vec<Asked>,
    /// Calls that it gave a score.
    pub judged: u64,
    /// Calls that have none, by the reason.
    pub not_judged: BTreeMap<NotJudged, u64>,
    /// The day that is spent in, counted from 1970 on.
    pub day: i64,
    /// What was spent in it.
    pub spent: Paid,
    /// What was spent ever.
    pub spent_ever: Paid,
    /// The most that one judgement took, as far as there was one.
    pub dearest: Option<Paid>,
}

/// Whether another call may be asked about.
enum Room {
    Yes,
    /// What is under way may use up what is left.
    Wait,
    No(NotJudged),
}

impl Judging {
    /// A judgement of a call is wanted.
    pub(crate) fn want(&mut self, place: Place) {
        match self.waiting.len() < MOST_WAITING {
            true => self.waiting.push_back(place),
            false => self.note(NotJudged::Full, 1),
        }
    }

    /// Takes as many calls as may be asked about now, which count as asked from then on. When the budget of the day is used up, those
    /// that wait are not judged: tomorrow's is for tomorrow's calls.
    pub(crate) fn take(&mut self, budget: DayBudget, most_at_once: usize, now: Timestamp) -> Vec<Place> {
        self.turn(now);
        let mut taken = Vec::new();
        while self.asked.len() < most_at_once && !self.waiting.is_empty() {
            match self.room(budget) {
                Room::Yes => {
                    let Some(place) = self.waiting.pop_front() else { break };
                    self.asked.push(Asked { place, at: now });
                    taken.push(place);
                }
                Room::Wait => break,
                Room::No(why) => {
                    self.note(why, self.waiting.len() as u64);
                    self.waiting.clear();
                }
            }
        }
        taken
    }

    fn room(&self, budget: DayBudget) -> Room {
        let under_way = self.asked.len() as u64;
        let dearest = self.dearest.unwrap_or_default();
        let calls_left = budget.calls_per_day.map(|calls| calls.saturating_sub(self.spent.calls));
        let dollars = self.spent.cost.as_dollars();
        let dollars_left = budget.dollars_per_day.map(|most| most - dollars);
        if calls_left == Some(0) || dollars_left.is_some_and(|left| left <= 0.0) {
            return Room::No(NotJudged::Budget);
        }
        if calls_left.is_none() && self.spent.unpriced > 0 {
            return Room::No(NotJudged::Unpriced);
        }
        let is_blind = self.dearest.is_none() && under_way > 0;
        let no_calls = calls_left.is_some_and(|left| dearest.calls.max(1) * under_way >= left);
        let no_dollars = dollars_left.is_some_and(|left| dearest.cost.as_dollars() * under_way as f64 >= left);
        if is_blind || no_calls || no_dollars { Room::Wait } else { Room::Yes }
    }

    /// A new day has nothing spent.
    fn turn(&mut self, now: Timestamp) {
        let day = now.as_secs().div_euclid(DAY_S);
        if day != self.day {
            (self.day, self.spent) = (day, Paid::default());
        }
    }

    /// A call is asked about no more; says whether it was.
    pub(crate) fn settle(
        &mut self,
        place: Place,
        paid: Paid,
        came: std::result::Result<(), NotJudged>,
        now: Timestamp,
    ) -> bool {
        let Some(at) = self.asked.iter().position(|asked| asked.place == place) else { return false };
        self.asked.remove(at);
        self.turn(now);
        (self.spent, self.spent_ever) = (self.spent + paid, self.spent_ever + paid);
        if paid.calls > 0 {
            self.dearest = Some(Paid { unpriced: 0, ..self.dearest.unwrap_or_default().at_least(paid) });
        }
        match came {
            Ok(()) => self.judged += 1,
            Err(why) => self.note(why, 1),
        }
        true
    }

    fn note(&mut self, why: NotJudged, calls: u64) {
        *self.not_judged.entry(why).or_default() += calls;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::look;

    fn rule(change: Value) -> JudgeRule {
        let mut rule = json!({"judge": "polite@1", "budget": {"calls_per_day": 5}});
        change.as_object().unwrap().iter().for_each(|(field, value)| rule[field] = value.clone());
        serde_json::from_value(rule).unwrap()
    }

    fn looks() -> Vec<Look> {
        look::read(&[json!({"kind": "length", "name": "long"}), json!({"kind": "latency"})]).unwrap()
    }

    fn place(number: u64) -> Place {
        Place {
            trace_id: format!("{:032x}", number + 1).parse().unwrap(),
            span_id: format!("{:016x}", number + 1).parse().unwrap(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(20_000 * DAY_S + seconds)
    }

    fn one(dollars: f64) -> Paid {
        Paid { calls: 1, cost: Picodollars::new((dollars * Picodollars::PER_DOLLAR as f64) as i64), unpriced: 0 }
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let refused = |change: Value, words: &str| {
            let why = rule(change).check(&looks()).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        };
        refused(json!({"name": "latency"}), "called");
        refused(json!({"name": "No Name"}), "lower-case");
        refused(json!({"share": 0}), "share");
        refused(json!({"budget": {}}), "dollars_per_day");
        refused(json!({"budget": {"calls_per_day": 0}}), "more than 0");
        refused(json!({"when": {"scorer": "short", "below": 1}}), "long, latency");
        refused(json!({"when": {"scorer": "long"}}), "below");
        assert!(rule(json!({"when": {"scorer": "long", "above": 100}})).check(&looks()).is_ok());
    }

    #[test]
    fn inputs_are_found_by_their_names() {
        let judge = |inputs: Value| {
            let definition = json!({
                "model": "m", "instruction": "Judge.", "content": "{{ answer }}", "question": "Good?", "inputs": inputs,
                "scale": {"kind": "boolean"}, "method": {"kind": "direct"},
            });
            Judge::new(&serde_json::from_value(definition).unwrap()).unwrap()
        };
        let plain = judge(json!([{"name": "question", "required": false}, {"name": "answer"}]));
        let expected =
            [("question".to_owned(), false, CallPart::Question), ("answer".to_owned(), false, CallPart::Answer)];
        assert_eq!(rule(json!({})).inputs(&plain).unwrap(), expected);
        let needs = judge(json!([{"name": "context"}, {"name": "answer"}]));
        let refused = rule(json!({})).inputs(&needs).unwrap_err().to_string();
        assert!(refused.contains("\"context\""), "{refused}");
        assert_eq!(rule(json!({"values": {"context": "question"}})).inputs(&needs).unwrap().len(), 2);
        assert!(rule(json!({"values": {"other": "answer"}})).inputs(&plain).is_err());
        assert!(rule(json!({"values": {"answer": "question"}})).inputs(&plain).is_err(), "nothing is the answer");
    }

    #[test]
    fn a_judgement_is_wanted_of_a_share_and_where_a_score_says_so() {
        let of = |rule: &JudgeRule, number: u64, long: Option<f64>| {
            rule.wants("r", place(number).trace_id, |name| if name == "long" { long } else { None })
        };
        let below = rule(json!({"when": {"scorer": "long", "below": 10}}));
        assert_eq!([Some(9.0), Some(10.0), None].map(|long| of(&below, 1, long)), [true, false, false]);
        let half = rule(json!({"share": 0.5}));
        let count = (0..1_000).filter(|&number| of(&half, number, None)).count();
        // Five standard deviations of a binomial are 79.
        assert!((421..=579).contains(&count), "{count}");
    }

    #[test]
    fn the_budget_of_a_day_is_not_passed() {
        let budget = DayBudget { calls_per_day: Some(5), dollars_per_day: None };
        let mut judging = Judging::default();
        (0..8).for_each(|number| judging.want(place(number)));
        assert_eq!(judging.take(budget, 4, at(0)), [place(0)], "as long as nobody knows what one takes");
        assert!(judging.take(budget, 4, at(1)).is_empty());
        assert!(judging.settle(place(0), one(0.1), Ok(()), at(2)));
        assert_eq!(judging.take(budget, 9, at(3)), [place(1), place(2), place(3), place(4)], "four are left");
        for number in 1..5 {
            assert!(judging.settle(place(number), one(0.1), Err(NotJudged::CannotTell), at(4)));
        }
        assert!(!judging.settle(place(1), one(0.1), Ok(()), at(4)), "it counts once");
        assert!(judging.take(budget, 4, at(5)).is_empty() && judging.waiting.is_empty());
        assert_eq!((judging.judged, judging.spent.calls), (1, 5));
        assert_eq!(judging.not_judged, BTreeMap::from([(NotJudged::Budget, 3), (NotJudged::CannotTell, 4)]));
        judging.want(place(9));
        assert_eq!(judging.take(budget, 4, at(DAY_S)), [place(9)], "another day");
        assert_eq!((judging.spent.calls, judging.spent_ever.calls), (0, 5));
    }

    #[test]
    fn dollars_are_passed_by_no_more_than_one_judgement_and_unknown_prices_stop() {
        let budget = DayBudget { calls_per_day: None, dollars_per_day: Some(0.25) };
        let mut judging = Judging::default();
        (0..9).for_each(|number| judging.want(place(number)));
        judging.take(budget, 4, at(0));
        judging.settle(place(0), one(0.1), Ok(()), at(1));
        assert_eq!(judging.take(budget, 4, at(2)).len(), 2, "of 15 cents two may take 20");
        judging.settle(place(1), Paid { unpriced: 1, ..one(0.0) }, Ok(()), at(3));
        judging.settle(place(2), one(0.1), Ok(()), at(3));
        assert!(judging.take(budget, 4, at(4)).is_empty());
        assert_eq!(judging.not_judged, BTreeMap::from([(NotJudged::Unpriced, 6)]));
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut judging = Judging::default();
        (0..MOST_WAITING as u64 + 3).for_each(|number| judging.want(place(number)));
        assert_eq!((judging.waiting.len(), judging.not_judged[&NotJudged::Full]), (MOST_WAITING, 3));
    }
}
