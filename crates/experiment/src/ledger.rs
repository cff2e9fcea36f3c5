//! What was spent, and whether that is enough.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qd_base::{Picodollars, Usage};

use crate::call::Outcome;
use crate::definition::Budget;
use crate::table::Scored;

/// Calls after which it is clear that upstreams tell no usage.
const MOST_BLIND_CALLS: u64 = 8;

/// Counts what answers cost against a budget.
#[derive(Debug)]
pub struct Ledger {
    budget: Budget,
    begun: Instant,
    /// Work of earlier attempts of the same job.
    before: Duration,
    spent: Mutex<Spent>,
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Money, of calls whose price is known.
    pub cost: Picodollars,
    /// Tokens in and out.
    pub tokens: u64,
    /// Answers that were paid for.
    pub calls: u64,
    /// Calls that were answered and whose price is not known: a budget of dollars does not see them.
    pub unpriced: u64,
    /// Calls under way.
    under_way: u64,
}

impl Ledger {
    /// A ledger that begins with what rows from before have cost.
    pub fn new<'a>(budget: Budget, before: Duration, rows: impl Iterator<Item = &'a Scored>) -> Self {
        let mut spent = Spent::default();
        rows.for_each(|row| spent.add(row));
        Self { budget, begun: Instant::now(), before, spent: Mutex::new(spent) }
    }

    /// Whether another call may be begun: then it counts as under way. Otherwise why not.
    ///
    /// What calls under way will cost is taken for what calls cost so far, so that a budget is passed by little.
    pub fn begin(&self) -> Result<(), String> {
        let mut spent = self.spent.lock();
        let ahead = |done: f64| done + done / spent.calls.max(1) as f64 * spent.under_way as f64;
        let Budget { usd, tokens, seconds } = self.budget;
        if let Some(usd) = usd.filter(|&usd| ahead(spent.cost.as_dollars()) >= usd) {
            return Err(format!("its budget of ${usd} is used up: {} were spent", spent.cost));
        }
        if let Some(tokens) = tokens.filter(|&tokens| ahead(spent.tokens as f64) >= tokens as f64) {
            return Err(format!("its budget of {tokens} tokens is used up: {} were used", spent.tokens));
        }
        if let Some(seconds) = seconds.filter(|&seconds| self.worked() >= Duration::from_secs(seconds)) {
            return Err(format!("its budget of {seconds} seconds is used up"));
        }
        spent.under_way += 1;
        Ok(())
    }

    /// Whether there is a budget, and not one answer yet to tell what calls take: then they are made one after the other.
    pub fn is_blind(&self) -> bool {
        let spent = self.spent.lock();
        (self.budget.usd.is_some() || self.budget.tokens.is_some())
            && spent.tokens == 0
            && spent.calls < MOST_BLIND_CALLS
    }

    /// Counts what an earlier attempt of the job paid beside its rows.
    pub fn add_before(&self, cost: Picodollars, usage: Option<Usage>) {
        self.spent.lock().pay(cost, usage);
    }

    /// Counts a call that was under way.
    pub fn end_of(&self, outcome: &Outcome) {
        let mut spent = self.spent.lock();
        spent.under_way -= 1;
        spent.unpriced += u64::from(outcome.cost.is_none() && outcome.output.is_some());
        spent.pay(outcome.cost.unwrap_or_default(), outcome.usage);
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    /// How long was worked, in all attempts of the job.
    pub fn worked(&self) -> Duration {
        self.before + self.begun.elapsed()
    }
}

impl Spent {
    fn add(&mut self, row: &Scored) {
        if row.cached {
            return;
        }
        self.unpriced += u64::from(row.cost.is_none() && row.error.is_none());
        self.pay(row.spent(), row.usage);
    }

    fn pay(&mut self, cost: Picodollars, usage: Option<Usage>) {
        self.cost = self.cost + cost;
        self.tokens = self.tokens.saturating_add(usage.map_or(0, |usage| usage.total_tokens()));
        self.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(cached: bool) -> Scored {
        Scored {
            cell: "c1".into(),
            item: 0,
            repeat: 0,
            scores: BTreeMap::new(),
            error: None,
            cached,
            cost: Some(Picodollars::new(Picodollars::PER_DOLLAR / 10)),
            latency_ms: None,
            usage: Some(Usage { input_tokens: 90, output_tokens: 10, ..Usage::default() }),
            key: qd_base::Sha256Hex::of(b""),
        }
    }

    #[test]
    fn with_a_budget_the_first_call_is_waited_for() {
        let budget = Budget { usd: Some(0.5), ..Budget::default() };
        let ledger = Ledger::new(budget, Duration::ZERO, [].iter());
        assert!(ledger.is_blind());
        ledger.begin().unwrap();
        ledger.end_of(&Outcome { usage: row(false).usage, ..Outcome::default() });
        assert!(!ledger.is_blind());
        assert!(!Ledger::new(Budget::default(), Duration::ZERO, [].iter()).is_blind());
    }

    #[test]
    fn a_budget_stops_before_it_is_passed_by_calls_under_way() {
        let budget = Budget { usd: Some(0.5), ..Budget::default() };
        let ledger = Ledger::new(budget, Duration::ZERO, [row(false), row(true), row(false)].iter());
        // $0.20 were spent, in two calls: three more under way make 0.50.
        for _ in 0..3 {
            ledger.begin().unwrap();
        }
        assert!(ledger.begin().unwrap_err().contains("$0.5"));
        for _ in 0..3 {
            ledger.end_of(&Outcome { output: Some("free".into()), ..Outcome::default() });
        }
        assert!(ledger.begin().is_ok(), "they cost nothing");
        assert_eq!(ledger.spent().unpriced, 3, "whose price is not known is told");
    }

    #[test]
    fn tokens_and_time_are_budgets_too() {
        let tokens =
            Ledger::new(Budget { tokens: Some(200), ..Budget::default() }, Duration::ZERO, [row(false)].iter());
        tokens.begin().unwrap();
        assert!(tokens.begin().unwrap_err().contains("200 tokens"));
        let time = Ledger::new(Budget { seconds: Some(5), ..Budget::default() }, Duration::from_secs(5), [].iter());
        assert!(time.begin().unwrap_err().contains("5 seconds"));
    }
}
