//! Where a rule stands: how far it has come, what came of it. It is kept in the checkpoint of the job, whole.

use std::collections::BTreeMap;

use qd_base::{Timestamp, VersionId};
use qd_trace::Ended;
use serde::{Deserialize, Serialize};

use crate::judged::Judging;
use crate::tally::Tallies;

/// Versions of rules that are remembered at most; those that score are never forgotten.
pub const MOST_REMEMBERED: usize = 32;
/// What is written around each version.
const AROUND_BYTES: usize = 48;

/// Where a version of a rule stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The last call in the order of their ends that was looked at.
    pub cursor: Option<Ended>,
    /// From where on it looks, where that is not when it began to score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<Succession>,
    /// Calls that the filter wants.
    pub calls: u64,
    /// Of them those in the sample.
    pub sampled: u64,
    /// Of these, calls that became durable late.
    pub late: u64,
    /// Scores that were given.
    pub scores: u64,
    /// Scores that there are not, since nothing was said or measured.
    pub unscored: u64,
    /// When it last found something to look at. Scores that were given until then are counted here, and no others.
    pub looked: Option<Timestamp>,
    /// Why it could not go on, when it last tried.
    pub error: Option<String>,
    /// What came of it.
    pub tallies: Tallies,
    /// Where the judging of some of the calls stands.
    #[serde(default, skip_serializing_if = "is_unused")]
    pub judging: Judging,
}

fn is_unused(judging: &Judging) -> bool {
    *judging == Judging::default()
}

/// How a version took the place of another while that one scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// When it began to score.
    pub since: Timestamp,
    /// How far the version before had come: what ended since is the new one's.
    pub from: Timestamp,
}

impl Standing {
    /// What ended before is not looked at by a version that scores since a time.
    pub fn begin(&self, since: Timestamp) -> Timestamp {
        self.succession.filter(|succession| succession.since == since).map_or(since, |succession| succession.from)
    }
}

/// What the job keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standings(pub BTreeMap<VersionId, Standing>);

impl Standings {
    /// Forgets the versions of which there are too many, those that looked longest ago first, and never one of `active`.
    pub fn prune(&mut self, active: &[VersionId]) {
        let idle = self.idle(active);
        let excess = (idle.len() + active.len()).saturating_sub(MOST_REMEMBERED);
        idle.iter().take(excess).for_each(|id| drop(self.0.remove(id)));
    }

    /// Lets a version that scores `since` a time go on where the one before, which scored until then, had come to: nobody else looks at
    /// what ended in between.
    pub fn hand_over(&mut self, before: VersionId, to: VersionId, since: Timestamp) {
        let Some(reached) = self.0.get(&before).and_then(|standing| standing.cursor) else { return };
        let standing = self.0.entry(to).or_default();
        if reached.end < since && standing.cursor.is_none_or(|cursor| cursor < reached) {
            standing.cursor = Some(reached);
            standing.succession = Some(Succession { since, from: reached.end });
        }
    }

    /// Versions that do not score, those that looked longest ago first.
    fn idle(&self, active: &[VersionId]) -> Vec<VersionId> {
        let mut idle: Vec<_> =
            self.0.iter().filter(|(id, _)| !active.contains(id)).map(|(id, s)| (s.looked, *id)).collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, id)| id).collect()
    }

    /// Sees to it that all of it is at most so many bytes of JSON: forgets versions that do not score, those that looked longest ago
    /// first, and then the groups of those that need most. Scores in the lake and means of all calls stay.
    pub fn fit(&mut self, active: &[VersionId], most_bytes: usize) {
        let mut sizes: BTreeMap<VersionId, usize> = self.0.iter().map(|(id, of)| (*id, size_bytes(of))).collect();
        let mut idle = self.idle(active).into_iter();
        while sizes.values().sum::<usize>() > most_bytes {
            if let Some(id) = idle.next() {
                tracing::warn!(version = %id, "too much is kept of rules; one that scores no more is forgotten");
                self.0.remove(&id);
                sizes.remove(&id);
                continue;
            }
            let open = self.0.iter_mut().filter(|(_, of)| !of.tallies.closed);
            let Some((id, largest)) = open.max_by_key(|(id, _)| sizes.get(id)) else { return };
            tracing::warn!(version = %id, "too much is kept of rules; groups of one are told apart no more");
            largest.tallies.close();
            sizes.insert(*id, size_bytes(largest));
        }
    }
}

fn size_bytes(standing: &Standing) -> usize {
    serde_json::to_vec(standing).map_or(0, |json| json.len()) + AROUND_BYTES
}

#[cfg(test)]
mod tests {
    use qd_base::ProjectName;
    use qd_catalog::job::MAX_CHECKPOINT_BYTES;
    use qd_eval::Unit;
    use qd_trace::{Span, SpanKind, TraceContext};

    use super::*;
    use crate::scorers::MOST_ACTIVE;

    /// As much as a rule may have: 16 scorers with long names, and more long groups of every kind than are told apart.
    fn largest(at: i64) -> Standing {
        let mut standing = Standing { looked: Some(Timestamp::from_secs(at)), ..Standing::default() };
        for group in 0..16 {
            let word = format!("{group:02}{}", "é".repeat(300));
            let project: ProjectName = "p".parse().unwrap();
            let mut span = Span::new(project, TraceContext::root(), SpanKind::Llm, "chat", Timestamp::from_secs(1));
            for told in [&mut span.model, &mut span.provider, &mut span.arm, &mut span.environment, &mut span.release] {
                *told = Some(word.clone());
            }
            (span.prompt_name, span.prompt_version, span.tags) = (Some(word.clone()), Some(group), vec![word]);
            for scorer in 0..16 {
                let name = format!("{scorer:02}{}", "n".repeat(62));
                standing.tallies.push(&span, &name, Unit::Milliseconds, 1_234.567_89 / f64::from(group + 1)).unwrap();
            }
        }
        standing
    }

    #[test]
    fn the_largest_rules_fit_into_a_checkpoint() {
        let ids: Vec<VersionId> = (0..MOST_REMEMBERED).map(|_| VersionId::new()).collect();
        let (active, idle) = ids.split_at(MOST_ACTIVE);
        let mut standings = Standings(ids.iter().zip(0..).map(|(id, at)| (*id, largest(at))).collect());
        let size = |standings: &Standings| serde_json::to_string(standings).unwrap().len();
        assert!(size(&standings) > MAX_CHECKPOINT_BYTES, "otherwise nothing is shown here");
        standings.fit(active, MAX_CHECKPOINT_BYTES);
        assert!(size(&standings) <= MAX_CHECKPOINT_BYTES, "{} bytes", size(&standings));
        assert!(idle.iter().all(|id| !standings.0.contains_key(id)), "they score no more");
        assert!(active.iter().all(|id| standings.0[id].tallies.all.len() == 16));
        let closed = standings.0.values().filter(|standing| standing.tallies.closed).count();
        assert!(closed > 0 && closed < active.len(), "no more than has to be: {closed}");
        let before = standings.clone();
        standings.fit(active, MAX_CHECKPOINT_BYTES);
        assert_eq!(standings, before);
    }

    #[test]
    fn those_that_looked_longest_ago_are_forgotten() {
        let mut standings = Standings::default();
        let ids: Vec<VersionId> = (0..MOST_REMEMBERED + 10).map(|_| VersionId::new()).collect();
        for (at, id) in ids.iter().enumerate() {
            let looked = Some(Timestamp::from_secs(at as i64));
            standings.0.insert(*id, Standing { looked, ..Standing::default() });
        }
        standings.prune(&ids[..5]);
        assert_eq!(standings.0.len(), MOST_REMEMBERED);
        assert!(ids[..5].iter().all(|id| standings.0.contains_key(id)), "they score");
        assert!(!standings.0.contains_key(&ids[5]) && standings.0.contains_key(&ids[15]));
    }
}
