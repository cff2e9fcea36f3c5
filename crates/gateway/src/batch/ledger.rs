//! What was spent, and whether that is enough.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qd_base::{Picodollars, Usage};
use serde::{Deserialize, Serialize};

/// Calls after which it is clear that upstreams tell no usage.
const MOST_BLIND_CALLS: u64 = 8;

/// Where to stop. What is reached stops the calls that were not begun; those under way are waited for and kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Dollars, of calls whose price is known.
    #[serde(default)]
    pub usd: Option<f64>,
    /// Tokens in and out.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Seconds of work, pauses not counted.
    #[serde(default)]
    pub seconds: Option<u64>,
}

impl Budget {
    /// A share of it.
    pub fn share(self, share: f64) -> Self {
        let part = |whole: u64| (whole as f64 * share) as u64;
        Self { usd: self.usd.map(|usd| usd * share), tokens: self.tokens.map(part), seconds: self.seconds.map(part) }
    }
}

/// Counts what answers cost against a budget.
#[derive(Debug)]
pub struct Ledger {
    budget: Budget,
    begun: Instant,
    /// Work of earlier attempts of the same job.
    before: Duration,
    spent: Mutex<Spent>,
    /// What of it no row tells.
    aside: Mutex<Spent>,
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(skip)]
    under_way: u64,
}

impl Ledger {
    /// A ledger that begins with how long was worked `before`, and with what was `spent`.
    pub fn new(budget: Budget, before: Duration, spent: Spent) -> Self {
        let aside = Mutex::default();
        Self { budget, begun: Instant::now(), before, spent: Mutex::new(spent), aside }
    }

    /// The same with what earlier attempts and jobs spent `aside`, of which no row tells.
    #[must_use]
    pub fn with_aside(self, aside: Spent) -> Self {
        self.spent.lock().join(aside);
        self.aside.lock().join(aside);
        self
    }

    /// Notes that of what was spent no row tells: a call of a judge whose next call did not reach its model, a row that another replaces. It
    /// was counted when it was spent. A job keeps what is aside with its checkpoint.
    pub fn set_aside(&self, spent: Spent) {
        self.aside.lock().join(spent);
    }

    /// What of all that was spent no row tells.
    pub fn aside(&self) -> Spent {
        *self.aside.lock()
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

    /// Counts a call that was under way. One that failed has no cost, and may have tokens.
    pub fn end(&self, answered: bool, cost: Option<Picodollars>, usage: Option<Usage>) {
        let mut spent = self.spent.lock();
        spent.under_way -= 1;
        spent.add(answered, cost, usage);
    }

    /// Counts several calls that were under way as one, as those of a judge: [`Spent::together`].
    pub fn end_together(&self, calls: Spent) {
        let mut spent = self.spent.lock();
        spent.under_way -= 1;
        spent.join(calls);
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
    /// Adds a call that ended.
    pub fn add(&mut self, answered: bool, cost: Option<Picodollars>, usage: Option<Usage>) {
        self.unpriced += u64::from(cost.is_none() && answered);
        self.pay(cost.unwrap_or_default(), usage);
    }

    /// Several calls that were begun as one, of which the price of `unpriced` is not known.
    pub fn together(unpriced: u64, cost: Option<Picodollars>, usage: Option<Usage>) -> Self {
        let mut spent = Self { unpriced, ..Self::default() };
        spent.pay(cost.unwrap_or_default(), usage);
        spent
    }

    /// Adds what was spent elsewhere.
    pub fn join(&mut self, other: Self) {
        self.cost = self.cost + other.cost;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.calls += other.calls;
        self.unpriced += other.unpriced;
    }

    /// Whether there is nothing that could be forgotten.
    pub fn is_nothing(&self) -> bool {
        self.cost == Picodollars::default() && self.tokens == 0 && self.unpriced == 0
    }

    fn pay(&mut self, cost: Picodollars, usage: Option<Usage>) {
        self.cost = self.cost + cost;
        self.tokens = self.tokens.saturating_add(usage.map_or(0, |usage| usage.total_tokens()));
        self.calls += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIME: Option<Picodollars> = Some(Picodollars::new(Picodollars::PER_DOLLAR / 10));

    fn usage() -> Option<Usage> {
        Some(Usage { input_tokens: 90, output_tokens: 10, ..Usage::default() })
    }

    fn spent(calls: usize) -> Spent {
        let mut spent = Spent::default();
        (0..calls).for_each(|_| spent.add(true, DIME, usage()));
        spent
    }

    #[test]
    fn with_a_budget_the_first_call_is_waited_for() {
        let budget = Budget { usd: Some(0.5), ..Budget::default() };
        let ledger = Ledger::new(budget, Duration::ZERO, Spent::default());
        assert!(ledger.is_blind());
        ledger.begin().unwrap();
        ledger.end(true, None, usage());
        assert!(!ledger.is_blind());
        assert!(!Ledger::new(Budget::default(), Duration::ZERO, Spent::default()).is_blind());
    }

    #[test]
    fn a_budget_stops_before_it_is_passed_by_calls_under_way() {
        let budget = Budget { usd: Some(0.5), ..Budget::default() };
        let ledger = Ledger::new(budget, Duration::ZERO, spent(2));
        // $0.20 were spent, in two calls: three more under way make 0.50.
        for _ in 0..3 {
            ledger.begin().unwrap();
        }
        assert!(ledger.begin().unwrap_err().contains("$0.5"));
        for _ in 0..3 {
            ledger.end(true, None, None);
        }
        assert!(ledger.begin().is_ok(), "they cost nothing");
        assert_eq!(ledger.spent().unpriced, 3, "whose price is not known is told");
    }

    /// A judge made two calls for a dime, one of them without a price, and its third did not reach its model.
    #[test]
    fn what_no_row_tells_counts_when_a_job_goes_on() {
        let budget = Budget { usd: Some(0.15), ..Budget::default() };
        let ledger = Ledger::new(budget, Duration::ZERO, Spent::default());
        ledger.begin().unwrap();
        let calls = Spent::together(1, DIME, usage());
        ledger.end_together(calls);
        ledger.set_aside(calls);
        assert_eq!((ledger.spent().unpriced, ledger.spent().tokens, ledger.spent().calls), (1, 100, 1));
        let kept: Spent = serde_json::from_value(serde_json::json!(ledger.aside())).unwrap();
        let again = Ledger::new(budget, Duration::ZERO, spent(1)).with_aside(kept);
        assert!(again.begin().unwrap_err().contains("$0.20"), "a dime of rows and one that is in none");
        assert_eq!(again.aside(), kept);
        assert!(Spent::together(0, None, None).is_nothing() && !kept.is_nothing());
    }

    #[test]
    fn tokens_and_time_are_budgets_too() {
        let tokens = Ledger::new(Budget { tokens: Some(200), ..Budget::default() }, Duration::ZERO, spent(1));
        tokens.begin().unwrap();
        assert!(tokens.begin().unwrap_err().contains("200 tokens"));
        let time =
            Ledger::new(Budget { seconds: Some(5), ..Budget::default() }, Duration::from_secs(5), Spent::default());
        assert!(time.begin().unwrap_err().contains("5 seconds"));
    }
}
