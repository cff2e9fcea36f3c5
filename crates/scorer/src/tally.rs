//! What is kept of scores: of each scorer three numbers for all calls and for each group of them, whatever the count.

use std::collections::{BTreeMap, BTreeSet};

use qd_base::words;
use qd_eval::anytime::{self, Watched, WatchedUnbounded};
use qd_eval::{Interval, Unit};
use qd_trace::Span;
use serde::{Deserialize, Serialize};

/// Groups of one kind that are told apart at most; calls of others are counted as [`OTHERS`].
pub const MOST_GROUPS: usize = 12;
/// Where the calls of groups beyond are counted.
pub const OTHERS: &str = "(others)";
/// The longest name of a group; what is longer is cut.
const MOST_GROUP_CHARS: usize = 200;

words!(
    /// What calls are told apart by.
    By, "way to tell calls apart", {
        /// The model that answered.
        Model = "model",
        /// Who ran it.
        Provider = "provider",
        /// The version of a prompt, as `name@3`.
        Prompt = "prompt",
        /// The arm of a deployment.
        Arm = "arm",
        /// The environment.
        Environment = "environment",
        /// The caller's own version.
        Release = "release",
        /// Each of its tags.
        Tag = "tag",
    }
);

impl By {
    /// The groups in which a call is.
    fn of(self, span: &Span) -> Vec<String> {
        let one = |told: &Option<String>| told.iter().cloned().collect();
        let groups: Vec<String> = match self {
            Self::Model => one(&span.model.clone().or_else(|| span.model_requested.clone())),
            Self::Provider => one(&span.provider),
            Self::Prompt => {
                let version = span.prompt_name.as_ref().zip(span.prompt_version);
                version.map(|(name, number)| format!("{name}@{number}")).into_iter().collect()
            }
            Self::Arm => one(&span.arm),
            Self::Environment => one(&span.environment),
            Self::Release => one(&span.release),
            Self::Tag => span.tags.clone(),
        };
        groups.into_iter().map(|group| group.chars().take(MOST_GROUP_CHARS).collect()).collect()
    }
}

/// The scores of one scorer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tally {
    /// Shares between 0 and 1.
    Share(Watched),
    /// Milliseconds, dollars and counts, which have no bound; and metrics told in hundredths.
    Number(WatchedUnbounded),
}

impl Tally {
    /// Of no scores.
    pub fn new(unit: Unit) -> Self {
        match unit {
            Unit::Share => Self::Share(Watched::default()),
            Unit::Points | Unit::Milliseconds | Unit::Dollars | Unit::Count => {
                Self::Number(WatchedUnbounded::default())
            }
        }
    }

    /// Adds a score.
    ///
    /// # Errors
    /// [`qd_eval::Error::Data`] for a number that cannot be one.
    pub fn push(&mut self, score: f64) -> qd_eval::Result<()> {
        match self {
            Self::Share(watched) => watched.push(score),
            Self::Number(watched) => watched.push(score),
        }
    }

    /// How many scores there were.
    pub fn count(&self) -> u64 {
        match self {
            Self::Share(watched) => watched.count(),
            Self::Number(watched) => watched.count(),
        }
    }

    /// Their mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        match self {
            Self::Share(watched) => watched.mean(),
            Self::Number(watched) => watched.mean(),
        }
    }

    /// Where the mean lies, at every moment together, with 95 %; of numbers without a bound none for fewer than
    /// [`anytime::LEAST_UNBOUNDED`].
    pub fn interval(&self) -> Option<Interval> {
        match self {
            Self::Share(watched) => (watched.count() > 0).then(|| watched.interval()),
            Self::Number(watched) => watched.interval(),
        }
    }

    /// Where the mean of `other` less this one's lies, at every moment together, with 95 %.
    pub fn difference(&self, other: &Self) -> Option<Interval> {
        match (self, other) {
            (Self::Share(a), Self::Share(b)) if a.count() > 0 && b.count() > 0 => Some(anytime::difference(a, b)),
            (Self::Number(a), Self::Number(b)) => anytime::difference_unbounded(a, b),
            _ => None,
        }
    }
}

/// The scores of all scorers of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tallies {
    /// Of all calls, by scorer.
    pub all: BTreeMap<String, Tally>,
    /// Of groups of calls: by what they are told apart, by group, by scorer.
    pub groups: BTreeMap<By, BTreeMap<String, BTreeMap<String, Tally>>>,
    /// Whether groups are told apart no more, since there was no room for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

impl Tallies {
    /// Adds the score of a call, to all and to each group in which the call is.
    ///
    /// # Errors
    /// As [`Tally::push`]; nothing was added then.
    pub fn push(&mut self, span: &Span, scorer: &str, unit: Unit, score: f64) -> qd_eval::Result<()> {
        add(&mut self.all, scorer, unit, score)?;
        if self.closed {
            return Ok(());
        }
        for &by in By::ALL {
            let groups = by.of(span);
            if groups.is_empty() {
                continue;
            }
            let known = self.groups.entry(by).or_default();
            // A call is in each of its groups once, whatever it says twice and however many of its groups are among the others.
            let mut into = BTreeSet::new();
            for group in groups {
                let has_room = known.contains_key(&group) || known.len() < MOST_GROUPS;
                let group = if has_room { group } else { OTHERS.to_owned() };
                known.entry(group.clone()).or_default();
                into.insert(group);
            }
            for group in into {
                add(known.entry(group).or_default(), scorer, unit, score)?;
            }
        }
        Ok(())
    }

    /// Forgets all groups and tells none apart from now on: one that began anew would seem to tell of all of its calls.
    pub fn close(&mut self) {
        self.groups.clear();
        self.closed = true;
    }
}

fn add(tallies: &mut BTreeMap<String, Tally>, scorer: &str, unit: Unit, score: f64) -> qd_eval::Result<()> {
    match tallies.get_mut(scorer) {
        Some(tally) => tally.push(score),
        None => {
            let mut tally = Tally::new(unit);
            tally.push(score)?;
            tallies.insert(scorer.to_owned(), tally);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use qd_base::Timestamp;
    use qd_trace::{SpanKind, TraceContext};

    use super::*;

    fn span(release: &str, tags: &[&str]) -> Span {
        let at = TraceContext::root();
        let mut span = Span::new("p".parse().unwrap(), at, SpanKind::Llm, "chat", Timestamp::from_secs(1));
        span.release = Some(release.to_owned());
        span.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        (span.prompt_name, span.prompt_version) = (Some("greet".to_owned()), Some(3));
        span
    }

    #[test]
    fn scores_are_counted_for_all_and_for_each_group() {
        let mut tallies = Tallies::default();
        for (release, tags, score) in [("1", &["a", "b"][..], 1.0), ("1", &["a"], 0.0), ("2", &[], 1.0)] {
            tallies.push(&span(release, tags), "ok", Unit::Share, score).unwrap();
        }
        let of = |by: By, group: &str| {
            tallies.groups[&by].get(group).map(|tallies| (tallies["ok"].count(), tallies["ok"].mean().unwrap()))
        };
        assert_eq!((tallies.all["ok"].count(), of(By::Release, "1")), (3, Some((2, 0.5))));
        assert_eq!((of(By::Tag, "a"), of(By::Tag, "b")), (Some((2, 0.5)), Some((1, 1.0))));
        assert_eq!(of(By::Prompt, "greet@3").map(|(n, _)| n), Some(3));
        assert!(!tallies.groups.contains_key(&By::Arm), "what no call says has no groups");
        assert!(tallies.push(&span("1", &[]), "ok", Unit::Share, 2.0).is_err());
        let again: Tallies = serde_json::from_value(serde_json::to_value(&tallies).unwrap()).unwrap();
        assert_eq!(again, tallies);
    }

    #[test]
    fn many_groups_are_counted_as_one() {
        let mut tallies = Tallies::default();
        for release in 0..100 {
            tallies.push(&span(&release.to_string(), &[]), "ms", Unit::Milliseconds, 5.0).unwrap();
        }
        let groups = &tallies.groups[&By::Release];
        assert_eq!((groups.len(), groups[OTHERS]["ms"].count()), (MOST_GROUPS + 1, 100 - MOST_GROUPS as u64));
    }

    #[test]
    fn a_call_is_in_a_group_once() {
        let mut tallies = Tallies::default();
        for tag in 0..MOST_GROUPS {
            tallies.push(&span("1", &[&tag.to_string()]), "ok", Unit::Share, 1.0).unwrap();
        }
        tallies.push(&span("1", &["0", "0", "new", "newer", "newest"]), "ok", Unit::Share, 0.0).unwrap();
        let tags = &tallies.groups[&By::Tag];
        assert_eq!((tags["0"]["ok"].count(), tags[OTHERS]["ok"].count()), (2, 1));
    }

    #[test]
    fn numbers_without_a_bound_say_nothing_of_few() {
        let mut tally = Tally::new(Unit::Milliseconds);
        for place in 0..99 {
            tally.push(f64::from(place % 10)).unwrap();
        }
        assert!(tally.interval().is_none());
        tally.push(0.0).unwrap();
        let found = tally.interval().unwrap();
        assert!(found.low < tally.mean().unwrap() && tally.mean().unwrap() < found.high);
        assert!(tally.difference(&tally).is_some_and(|found| found.low < 0.0 && found.high > 0.0));
        assert!(tally.difference(&Tally::new(Unit::Share)).is_none());
    }
}
