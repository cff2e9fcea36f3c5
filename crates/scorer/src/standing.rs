//! Where a rule stands: how far it has come, what came of it. It is kept in the checkpoint of the job, whole.

use std::collections::BTreeMap;

use qd_base::{Timestamp, VersionId};
use qd_trace::Ended;
use serde::{Deserialize, Serialize};

use crate::tally::Tallies;

/// Versions of rules that are remembered at most; those that score are never forgotten.
pub const MOST_REMEMBERED: usize = 32;

/// Where a version of a rule stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The last call in the order of their ends that was looked at.
    pub cursor: Option<Ended>,
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
    /// When it last looked.
    pub looked: Option<Timestamp>,
    /// Why it could not go on, when it last tried.
    pub error: Option<String>,
    /// What came of it.
    pub tallies: Tallies,
}

/// What the job keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standings(pub BTreeMap<VersionId, Standing>);

impl Standings {
    /// Forgets the versions of which there are too many, those that looked longest ago first, and never one of `active`.
    pub fn prune(&mut self, active: &[VersionId]) {
        let mut idle: Vec<_> =
            self.0.iter().filter(|(id, _)| !active.contains(id)).map(|(id, s)| (s.looked, *id)).collect();
        idle.sort_unstable();
        let excess = (idle.len() + active.len()).saturating_sub(MOST_REMEMBERED);
        idle.iter().take(excess).for_each(|(_, id)| drop(self.0.remove(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
