//! How often somebody may guess: attempts to sign in, counted by account and by address.
//!
//! After a few failures in a row each further one makes the next wait twice as long, up to a minute. An attempt counts as
//! failed from its beginning, so that many at once are counted too.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qd_base::AccountName;

use crate::error::{Error, Result};

/// Failures without a wait. An address may be that of many people.
const FREE_OF_ACCOUNT: u32 = 5;
const FREE_OF_ADDRESS: u32 = 10;
/// The longest wait: somebody who guesses must not be able to lock the owner of an account out for long.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without an attempt all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Most that is remembered; then the tallies that are closest to being forgotten go first.
const MAX_TALLIES: usize = 10_000;

/// What attempts are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Account(AccountName),
    Address(Option<IpAddr>),
}

impl Subject {
    fn free(&self) -> u32 {
        match self {
            Self::Account(_) => FREE_OF_ACCOUNT,
            Self::Address(_) => FREE_OF_ADDRESS,
        }
    }
}

#[derive(Clone, Copy)]
struct Tally {
    failures: u32,
    last: Instant,
}

/// The attempts of the last minutes.
#[derive(Default)]
pub(crate) struct Attempts {
    tallies: Mutex<HashMap<Subject, Tally>>,
}

/// An attempt that was let through. Unless it succeeds, it has failed.
#[must_use]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    subjects: Vec<Subject>,
}

impl Attempts {
    /// Lets an attempt through, or says how long to wait.
    pub fn begin(&self, account: Option<AccountName>, address: Option<IpAddr>) -> Result<Attempt<'_>> {
        self.begin_at(account, address, Instant::now())
    }

    fn begin_at(&self, account: Option<AccountName>, address: Option<IpAddr>, now: Instant) -> Result<Attempt<'_>> {
        let subjects: Vec<_> =
            account.map(Subject::Account).into_iter().chain([Subject::Address(address.map(network))]).collect();
        let mut tallies = self.tallies.lock();
        let wait = subjects.iter().filter_map(|subject| wait(subject, tallies.get(subject)?, now)).max();
        if let Some(wait) = wait {
            return Err(Error::Attempts { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) });
        }
        make_room(&mut tallies, now);
        for subject in &subjects {
            let tally = tallies.entry(subject.clone()).or_insert(Tally { failures: 0, last: now });
            let forgotten = now.duration_since(tally.last) >= FORGOTTEN_AFTER;
            *tally = Tally { failures: if forgotten { 1 } else { tally.failures.saturating_add(1) }, last: now };
        }
        Ok(Attempt { attempts: self, subjects })
    }
}

impl Attempt<'_> {
    /// It was right: the account's failures are over. Those of the address stay, or whoever has one account could guess
    /// at others for ever.
    pub fn succeeded(self) {
        let mut tallies = self.attempts.tallies.lock();
        for subject in &self.subjects {
            match subject {
                Subject::Account(_) => drop(tallies.remove(subject)),
                Subject::Address(_) => {
                    tallies
                        .entry(subject.clone())
                        .and_modify(|tally| tally.failures = tally.failures.saturating_sub(1));
                }
            }
        }
    }
}

/// How long is still to be waited, if at all.
fn wait(subject: &Subject, tally: &Tally, now: Instant) -> Option<Duration> {
    let over = tally.failures.checked_sub(subject.free())?;
    let wait = Duration::from_secs(1 << over.min(16)).min(LONGEST_WAIT);
    wait.checked_sub(now.duration_since(tally.last)).filter(|left| !left.is_zero())
}

fn make_room(tallies: &mut HashMap<Subject, Tally>, now: Instant) {
    // Two may be added.
    if tallies.len() + 2 <= MAX_TALLIES {
        return;
    }
    tallies.retain(|_, tally| now.duration_since(tally.last) < FORGOTTEN_AFTER);
    while tallies.len() + 2 > MAX_TALLIES {
        let Some(oldest) = tallies.iter().min_by_key(|(_, tally)| tally.last).map(|(subject, _)| subject.clone())
        else {
            return;
        };
        tallies.remove(&oldest);
    }
}

/// The part of an address that one customer of a network has: of IPv6 the first 64 bits (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn wait_ms(begun: Result<Attempt<'_>>) -> u64 {
        match begun {
            Ok(_) => 0,
            Err(Error::Attempts { wait_ms }) => wait_ms,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let ada = || Some("ada".parse().unwrap());
        let (mut now, mut waits) = (begin, Vec::new());
        for i in 0..13 {
            // From another address each time, so that only the account is slowed down.
            let from = address(&format!("192.0.2.{i}"));
            let wait = wait_ms(attempts.begin_at(ada(), from, now));
            waits.push(wait / 1000);
            now += Duration::from_millis(wait);
            if wait > 0 {
                assert_eq!(wait_ms(attempts.begin_at(ada(), from, now)), 0);
            }
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait_ms(attempts.begin_at(Some("bob".parse().unwrap()), address("192.0.2.1"), now)), 0);
        now += FORGOTTEN_AFTER;
        for _ in 0..5 {
            assert_eq!(wait_ms(attempts.begin_at(ada(), address("192.0.2.99"), now)), 0);
        }
    }

    #[test]
    fn success_forgives_the_account_but_not_the_address() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let guess = |account: &str| attempts.begin_at(Some(account.parse().unwrap()), address("192.0.2.7"), now);
        for i in 0..FREE_OF_ADDRESS {
            assert_eq!(wait_ms(guess(&format!("victim{i}"))), 0);
            if i + 1 < FREE_OF_ADDRESS {
                guess("mine").unwrap().succeeded();
            }
        }
        assert_eq!(wait_ms(guess("mine")), 1000);
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for i in 0..FREE_OF_ADDRESS {
            assert_eq!(wait_ms(attempts.begin_at(None, address(&format!("2001:db8::{i}")), now)), 0);
        }
        assert_eq!(wait_ms(attempts.begin_at(None, address("2001:db8::ffff"), now)), 1000);
        assert_eq!(wait_ms(attempts.begin_at(None, address("2001:db8:0:1::1"), now)), 0);
        for i in 0..MAX_TALLIES as u32 + 50 {
            drop(attempts.begin_at(None, Some(IpAddr::V4(i.into())), now));
        }
        assert!(attempts.tallies.lock().len() <= MAX_TALLIES);
    }
}
