//! How a rule stands, as one pure function: [`next`].
//!
//! ```text
//!              holds                     held long enough: firing
//!    ┌─────── ok ───────▶ pending ──────────────────────────────▶ firing ◀──────┐
//!    │        ▲ ▲            │                                     │   holds    │
//!    │        │ ╰────────────╯                               clear │            │
//!    │        │  does not hold                                     ▼            │
//!    │        ╰──────────────────────────────────────────────── recovering ─────╯
//!    │           clear long enough: resolved
//!    │
//!    ╰── nothing to judge by ──▶ no_data      from each state; a rule that fires is resolved by it
//!    ╰── fails three times ────▶ error        from each state; a rule that fires goes on doing so
//! ```
//!
//! The terms are those of Prometheus (alerting rules: `for`, `keep_firing_for`) and Grafana (alert rule evaluation: states
//! Normal, Pending, Alerting, Recovering, NoData, Error).

use std::time::Duration;

use qd_base::Timestamp;
use qd_catalog::{AlertChange, AlertState};
use serde::{Deserialize, Serialize};

use crate::definition::{Definition, Missing};
use crate::judge::Finding;

/// A rule that cannot be read so many times on end stands as an error; before, one query that took too long is no news.
pub const FAILURES: u32 = 3;

/// How patient a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long its condition has to hold,
    pub hold: Duration,
    /// and in how many evaluations on end.
    pub evaluations: u32,
    /// How long all has to be well before it is resolved.
    pub keep_firing: Duration,
    /// What becomes of it when there is nothing to judge by.
    pub on_no_data: Missing,
    /// What becomes of it when it cannot be read.
    pub on_error: Missing,
}

impl From<&Definition> for Policy {
    fn from(rule: &Definition) -> Self {
        Self {
            hold: Duration::from_secs(rule.for_s),
            evaluations: rule.for_evaluations,
            keep_firing: Duration::from_secs(rule.keep_firing_for_s),
            on_no_data: rule.on_no_data,
            on_error: rule.on_error,
        }
    }
}

/// What is remembered from one evaluation to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// How the rule stands.
    pub state: AlertState,
    /// Since when.
    pub since: Timestamp,
    /// When it began to be evaluated.
    pub began: Timestamp,
    /// Whether it fired and has not been resolved.
    pub raised: bool,
    /// Whether receivers were told that it fires.
    pub told: bool,
    /// Since when its condition holds,
    pub holds_since: Option<Timestamp>,
    /// and in how many evaluations on end.
    pub holds: u32,
    /// Since when all is well, while it fires.
    pub clear_since: Option<Timestamp>,
    /// How often on end it could not be read.
    pub failures: u32,
}

impl Memory {
    /// That of a rule which was never evaluated.
    pub fn new(began: Timestamp) -> Self {
        Self {
            state: AlertState::Ok,
            since: began,
            began,
            raised: false,
            told: false,
            holds_since: None,
            holds: 0,
            clear_since: None,
            failures: 0,
        }
    }
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub finding: Finding,
    /// Whether a silence holds for the rule.
    pub silenced: bool,
}

/// Something that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub change: AlertChange,
    /// Whether people are told, or it is history only.
    pub told: bool,
    /// Whether a silence keeps it from the receivers.
    pub silenced: bool,
}

/// The next step: what is remembered from now on, and what changed.
pub fn next(policy: &Policy, memory: &Memory, observation: Observation) -> (Memory, Vec<Event>) {
    let mut step = Step { policy, memory: memory.clone(), now: observation, events: Vec::new() };
    match observation.finding {
        Finding::Failed => step.fails(),
        finding => {
            step.memory.failures = 0;
            match finding {
                Finding::Holds => step.holds(),
                Finding::Between => step.between(),
                Finding::Clear => step.clears(),
                Finding::NoData | Finding::Failed => step.has_nothing(),
            }
        }
    }
    (step.memory, step.events)
}

struct Step<'a> {
    policy: &'a Policy,
    memory: Memory,
    now: Observation,
    events: Vec<Event>,
}

impl Step<'_> {
    fn holds(&mut self) {
        let since = *self.memory.holds_since.get_or_insert(self.now.at);
        self.memory.holds = self.memory.holds.saturating_add(1);
        self.memory.clear_since = None;
        let long_enough = self.now.at.since(since) >= self.policy.hold && self.memory.holds >= self.policy.evaluations;
        if self.memory.raised {
            self.enter(AlertState::Firing, AlertChange::Firing);
            self.tell_after_silence();
        } else if long_enough {
            self.raise();
        } else {
            self.enter(AlertState::Pending, AlertChange::Pending);
        }
    }

    fn between(&mut self) {
        self.forget_hold();
        self.memory.clear_since = None;
        if self.memory.raised {
            self.enter(AlertState::Firing, AlertChange::Firing);
            self.tell_after_silence();
        } else {
            self.enter(AlertState::Ok, AlertChange::Ok);
        }
    }

    fn clears(&mut self) {
        self.forget_hold();
        if !self.memory.raised {
            self.enter(AlertState::Ok, AlertChange::Ok);
            return;
        }
        let since = *self.memory.clear_since.get_or_insert(self.now.at);
        if self.now.at.since(since) >= self.policy.keep_firing {
            self.resolve();
            self.stand(AlertState::Ok);
        } else {
            self.enter(AlertState::Recovering, AlertChange::Recovering);
        }
    }

    fn has_nothing(&mut self) {
        match self.policy.on_no_data {
            Missing::Keep => {}
            Missing::Firing => self.holds(),
            Missing::Quiet | Missing::Tell => {
                self.forget_hold();
                if self.memory.raised {
                    self.resolve();
                }
                self.enter_told(AlertState::NoData, AlertChange::NoData, self.policy.on_no_data);
            }
        }
    }

    /// Whether it would fire is not known, so neither is it resolved.
    fn fails(&mut self) {
        self.memory.failures = self.memory.failures.saturating_add(1);
        if self.memory.failures < FAILURES {
            return;
        }
        match self.policy.on_error {
            Missing::Keep => {}
            Missing::Firing => self.holds(),
            Missing::Quiet | Missing::Tell => {
                self.forget_hold();
                self.memory.clear_since = None;
                self.enter_told(AlertState::Error, AlertChange::Error, self.policy.on_error);
            }
        }
    }

    fn forget_hold(&mut self) {
        self.memory.holds_since = None;
        self.memory.holds = 0;
    }

    fn raise(&mut self) {
        self.memory.raised = true;
        self.memory.told = !self.now.silenced;
        self.stand(AlertState::Firing);
        self.event(AlertChange::Firing, true);
    }

    fn resolve(&mut self) {
        self.memory.raised = false;
        self.memory.told = false;
        self.memory.clear_since = None;
        self.event(AlertChange::Resolved, true);
    }

    /// What began to fire during a silence and still does after it is told then.
    fn tell_after_silence(&mut self) {
        if !self.memory.told && !self.now.silenced {
            self.memory.told = true;
            self.events.retain(|event| event.change != AlertChange::Firing);
            self.event(AlertChange::Firing, true);
        }
    }

    /// Enters a state that nobody is told of.
    fn enter(&mut self, state: AlertState, change: AlertChange) {
        if self.stand(state) {
            self.event(change, false);
        }
    }

    fn enter_told(&mut self, state: AlertState, change: AlertChange, missing: Missing) {
        if self.stand(state) {
            self.event(change, missing == Missing::Tell);
        }
    }

    /// Says whether that is news.
    fn stand(&mut self, state: AlertState) -> bool {
        let news = self.memory.state != state;
        if news {
            self.memory.state = state;
            self.memory.since = self.now.at;
        }
        news
    }

    fn event(&mut self, change: AlertChange, told: bool) {
        self.events.push(Event { change, told, silenced: self.now.silenced });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AlertChange as Change;
    use Finding::{Between, Clear, Failed, Holds, NoData};
    use proptest::prelude::*;

    const PLAIN: Policy = Policy {
        hold: Duration::ZERO,
        evaluations: 1,
        keep_firing: Duration::ZERO,
        on_no_data: Missing::Quiet,
        on_error: Missing::Tell,
    };

    fn minute(n: usize) -> Timestamp {
        Timestamp::from_secs(60 * n as i64)
    }

    /// One evaluation a minute; what each changed, `!` after what is told, `~` after what a silence kept.
    fn run(policy: &Policy, findings: impl IntoIterator<Item = (Finding, bool)>) -> (Memory, Vec<String>) {
        let mut memory = Memory::new(minute(0));
        let mut said = Vec::new();
        for (n, (finding, silenced)) in findings.into_iter().enumerate() {
            let (next, events) = next(policy, &memory, Observation { at: minute(n), finding, silenced });
            memory = next;
            let word = |event: &Event| {
                format!(
                    "{}{}{}",
                    event.change,
                    if event.told { "!" } else { "" },
                    if event.silenced { "~" } else { "" }
                )
            };
            said.push(events.iter().map(word).collect::<Vec<_>>().join(" "));
        }
        (memory, said)
    }

    #[track_caller]
    fn check(policy: &Policy, findings: &[Finding], expected: &[&str]) {
        let (_, said) = run(policy, findings.iter().map(|&finding| (finding, false)));
        assert_eq!(said, expected);
    }

    #[test]
    fn a_plain_rule_fires_at_once_and_is_resolved_at_once() {
        check(&PLAIN, &[Clear, Holds, Holds, Clear, Clear], &["", "firing!", "", "resolved!", ""]);
    }

    #[test]
    fn a_condition_has_to_hold_for_a_while() {
        let patient = Policy { hold: Duration::from_secs(120), ..PLAIN };
        check(&patient, &[Holds, Holds, Holds, Clear], &["pending", "", "firing!", "resolved!"]);
        check(&patient, &[Holds, Clear, Holds, Holds, Holds], &["pending", "ok", "pending", "", "firing!"]);
        let counting = Policy { evaluations: 3, ..PLAIN };
        check(
            &counting,
            &[Holds, Holds, Between, Holds, Holds, Holds],
            &["pending", "", "ok", "pending", "", "firing!"],
        );
    }

    #[test]
    fn between_the_limits_a_rule_goes_on_as_it_was() {
        check(&PLAIN, &[Between, Holds, Between, Clear, Between], &["", "firing!", "", "resolved!", ""]);
    }

    #[test]
    fn a_rule_recovers_for_a_while() {
        let slow = Policy { keep_firing: Duration::from_secs(120), ..PLAIN };
        check(&slow, &[Holds, Clear, Clear, Clear], &["firing!", "recovering", "", "resolved!"]);
        check(
            &slow,
            &[Holds, Clear, Holds, Clear, Clear, Between, Clear],
            &["firing!", "recovering", "firing", "recovering", "", "firing", "recovering"],
        );
    }

    #[test]
    fn nothing_to_judge_by_is_a_state_of_its_own() {
        let with = |on_no_data| Policy { on_no_data, ..PLAIN };
        let findings = [Clear, NoData, Holds, NoData, NoData, Clear];
        check(&with(Missing::Quiet), &findings, &["", "no_data", "firing!", "resolved! no_data", "", "ok"]);
        check(&with(Missing::Tell), &findings, &["", "no_data!", "firing!", "resolved! no_data!", "", "ok"]);
        check(&with(Missing::Keep), &findings, &["", "", "firing!", "", "", "resolved!"]);
        check(&with(Missing::Firing), &findings, &["", "firing!", "", "", "", "resolved!"]);
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_an_error_the_third_time() {
        let with = |on_error| Policy { on_error, ..PLAIN };
        let findings = [Clear, Failed, Failed, Clear, Failed, Failed, Failed, Failed, Clear];
        check(&with(Missing::Tell), &findings, &["", "", "", "", "", "", "error!", "", "ok"]);
        check(&with(Missing::Quiet), &findings, &["", "", "", "", "", "", "error", "", "ok"]);
        check(&with(Missing::Keep), &findings, &["", "", "", "", "", "", "", "", ""]);
        check(&with(Missing::Firing), &findings, &["", "", "", "", "", "", "firing!", "", "resolved!"]);
        let raised = [Holds, Failed, Failed, Failed, Holds, Clear];
        check(&PLAIN, &raised, &["firing!", "", "", "error!", "firing", "resolved!"]);
    }

    #[test]
    fn what_fires_through_a_silence_is_told_after_it() {
        let silenced = [(Holds, true), (Holds, true), (Holds, false), (Holds, false), (Clear, false)];
        assert_eq!(run(&PLAIN, silenced).1, ["firing!~", "", "firing!", "", "resolved!"]);
        let over = [(Holds, true), (Clear, true), (Holds, false), (Clear, true)];
        assert_eq!(run(&PLAIN, over).1, ["firing!~", "resolved!~", "firing!", "resolved!~"]);
    }

    fn finding() -> impl Strategy<Value = Finding> {
        prop::sample::select(vec![Holds, Holds, Holds, Between, Clear, Clear, NoData, Failed])
    }

    fn missing() -> impl Strategy<Value = Missing> {
        prop::sample::select(vec![Missing::Quiet, Missing::Tell, Missing::Firing, Missing::Keep])
    }

    fn policy() -> impl Strategy<Value = Policy> {
        (0_u64..4, 1_u32..4, 0_u64..4, missing(), missing()).prop_map(
            |(hold, evaluations, keep_firing, on_no_data, on_error)| Policy {
                hold: Duration::from_secs(60 * hold),
                evaluations,
                keep_firing: Duration::from_secs(60 * keep_firing),
                on_no_data,
                on_error,
            },
        )
    }

    /// What a rule does, told from all that was found so far instead of step by step: for findings that are values.
    fn raised_by(policy: &Policy, findings: &[Finding]) -> bool {
        let held = findings.iter().rev().take_while(|finding| **finding == Holds).count();
        let enough = |run: usize, least: Duration| run > 0 && Duration::from_secs(60 * (run as u64 - 1)) >= least;
        if enough(held, policy.hold) && held >= policy.evaluations as usize {
            return true;
        }
        let clear = findings.iter().rev().take_while(|finding| **finding == Clear).count();
        let before = &findings[..findings.len().saturating_sub(1)];
        !findings.is_empty() && raised_by(policy, before) && !enough(clear, policy.keep_firing)
    }

    proptest! {
        /// Firing and resolved take turns, but for what is told again after a silence; a state says the same as the flag;
        /// and a state is entered once.
        #[test]
        fn states_and_events_agree(policy in policy(), steps in prop::collection::vec((finding(), any::<bool>()), 1..60)) {
            let mut memory = Memory::new(minute(0));
            let mut told_of = false;
            for (n, (finding, silenced)) in steps.into_iter().enumerate() {
                let (after, events) = next(&policy, &memory, Observation { at: minute(n), finding, silenced });
                for event in &events {
                    match (event.change, event.told) {
                        (Change::Firing, true) if told_of => prop_assert!(!memory.told && !event.silenced),
                        (Change::Firing, true) => told_of = true,
                        (Change::Resolved, told) => {
                            prop_assert!(told && told_of, "nothing is resolved that did not fire");
                            told_of = false;
                        }
                        _ => {}
                    }
                }
                prop_assert_eq!(after.raised, told_of);
                match after.state {
                    AlertState::Firing | AlertState::Recovering => prop_assert!(after.raised),
                    AlertState::Ok | AlertState::Pending | AlertState::NoData => prop_assert!(!after.raised),
                    AlertState::Error => {}
                }
                prop_assert_eq!(after.since == minute(n) && n > 0, after.state != memory.state && n > 0);
                prop_assert!(events.len() <= 2);
                prop_assert!(!events.is_empty() || after.state == memory.state);
                memory = after;
            }
        }

        #[test]
        fn a_rule_fires_by_what_was_found(
            policy in policy(),
            findings in prop::collection::vec(prop::sample::select(vec![Holds, Holds, Between, Clear]), 1..30),
        ) {
            for length in 1..=findings.len() {
                let (memory, _) = run(&policy, findings[..length].iter().map(|&finding| (finding, false)));
                prop_assert_eq!(memory.raised, raised_by(&policy, &findings[..length]), "after {:?}", &findings[..length]);
            }
        }

        #[test]
        fn a_memory_survives_its_json(policy in policy(), steps in prop::collection::vec((finding(), any::<bool>()), 1..20)) {
            let (memory, _) = run(&policy, steps);
            let json = serde_json::to_value(&memory).unwrap();
            prop_assert_eq!(serde_json::from_value::<Memory>(json).unwrap(), memory);
        }
    }
}
