//! What came of a rule: means with intervals that may be watched, over time, by group, and two groups held against each other.

use std::collections::BTreeMap;

use qd_base::TimeRange;
use qd_eval::{Direction, Interval, Unit};
use qd_trace::ScorePoint;

use crate::judging::judge_author;
use crate::look::Look;
use crate::scorers::{Rule, Scorers, author};
use crate::tally::{By, Tally};
use crate::{Error, Result};

/// What came of a rule.
#[derive(Debug, Clone)]
pub struct Report {
    /// For each scorer what came of all calls and of each group.
    pub scorers: Vec<Scored>,
    /// For each scorer the means over time.
    pub series: Vec<ScorePoint>,
}

/// What came of one scorer.
#[derive(Debug, Clone)]
pub struct Scored {
    /// What its scores are called.
    pub name: String,
    /// What they count.
    pub unit: Unit,
    /// Which way is better.
    pub better: Direction,
    /// Of all calls.
    pub all: Sum,
    /// Of each group of calls.
    pub groups: Vec<(By, String, Sum)>,
}

/// Some scores of one scorer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Their mean; none of nothing.
    pub mean: Option<f64>,
    /// Where the mean lies, at every moment together, with 95 %.
    pub interval: Option<Interval>,
}

impl Sum {
    fn of(tally: Option<&Tally>) -> Self {
        Self {
            count: tally.map_or(0, Tally::count),
            mean: tally.and_then(Tally::mean),
            interval: tally.and_then(Tally::interval),
        }
    }
}

/// Two groups of calls held against each other by one scorer.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What the scores are called.
    pub name: String,
    /// What they count.
    pub unit: Unit,
    /// Which way is better.
    pub better: Direction,
    /// The first group.
    pub a: Sum,
    /// The second.
    pub b: Sum,
    /// Where the second's mean less the first's lies, at every moment together, with 95 %.
    pub difference: Option<Interval>,
}

impl Compared {
    /// Which of both is better, as far as that is sure: `"a"` or `"b"`.
    pub fn winner(&self) -> Option<&'static str> {
        let Interval { low, high } = self.difference?;
        match self.better {
            _ if low <= 0.0 && high >= 0.0 => None,
            Direction::Higher => Some(if low > 0.0 { "b" } else { "a" }),
            Direction::Lower => Some(if low > 0.0 { "a" } else { "b" }),
        }
    }
}

/// What is looked at, by the name of its scores.
struct Facet {
    name: String,
    unit: Unit,
    better: Direction,
}

impl Scorers {
    /// What came of a version of a rule, with its means over time in parts of so many seconds.
    ///
    /// # Errors
    /// [`Error::Trace`] when scores cannot be read.
    pub async fn report(&self, rule: &Rule, range: TimeRange, step_s: u32) -> Result<Report> {
        let tallies = rule.standing.as_ref().map(|standing| &standing.tallies);
        let scored = self.facets(rule).await?.into_iter().map(|Facet { name, unit, better }| {
            let of = |by: By, group: &String, of: &BTreeMap<String, Tally>| {
                Some((by, group.clone(), Sum::of(Some(of.get(&name)?))))
            };
            let all_groups = tallies.iter().flat_map(|tallies| &tallies.groups);
            let each =
                all_groups.flat_map(|(by, groups)| groups.iter().map(move |(group, scores)| (*by, group, scores)));
            let groups = each.filter_map(|(by, group, scores)| of(by, group, scores)).collect();
            let all = Sum::of(tallies.and_then(|tallies| tallies.all.get(&name)));
            Scored { unit, better, all, groups, name }
        });
        let scorers = scored.collect();
        let project = self.catalog.project_by_id(rule.info.project).await?.name;
        let author = author(&rule.info.name, rule.info.number);
        let mut series = self.traces.score_series(&project, &author, range, step_s).await?;
        if rule.definition.judge.is_some() {
            series.extend(self.traces.score_series(&project, &judge_author(&rule.info), range, step_s).await?);
        }
        Ok(Report { scorers, series })
    }

    /// Two groups of calls held against each other by every scorer.
    ///
    /// # Errors
    /// [`Error::NoGroup`] for a group of which nothing was scored.
    pub async fn compare(&self, rule: &Rule, by: By, a: &str, b: &str) -> Result<Vec<Compared>> {
        let groups = rule.standing.as_ref().and_then(|standing| standing.tallies.groups.get(&by));
        let find = |group: &str| {
            let none = || Error::NoGroup { by: by.as_str(), group: group.to_owned() };
            groups.and_then(|groups| groups.get(group)).ok_or_else(none)
        };
        let (first, second) = (find(a)?, find(b)?);
        let compared = self.facets(rule).await?.into_iter().map(|Facet { name, unit, better }| {
            let (a, b) = (first.get(&name), second.get(&name));
            let difference = a.zip(b).and_then(|(a, b)| a.difference(b));
            Compared { name, unit, better, a: Sum::of(a), b: Sum::of(b), difference }
        });
        Ok(compared.collect())
    }

    /// What a rule gives scores of: by its scorers, and by its judge.
    async fn facets(&self, rule: &Rule) -> Result<Vec<Facet>> {
        let of = |look: Look| Facet { name: look.name().to_owned(), unit: look.unit(), better: look.direction() };
        let mut facets: Vec<Facet> = rule.definition.read()?.into_iter().map(of).collect();
        if let Some(of_rule) = &rule.definition.judge {
            let (unit, better) = self.scale_of(rule.info.project, of_rule).await;
            facets.push(Facet { name: of_rule.name.clone(), unit, better });
        }
        Ok(facets)
    }
}
