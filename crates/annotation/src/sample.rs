//! Which rows are items, and in which order: what follows from a seed.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Error, Result};

/// Values of a column that a sample is shared out by at most.
const MOST_STRATA: usize = 1_000;

/// The places of `count` of so many rows, drawn at random and in that order (Fisher and Yates, by a generator whose numbers are specified).
pub fn draw(rows: usize, seed: u64, count: usize) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<u64> = (0..rows as u64).collect();
    for place in 0..count.min(rows.saturating_sub(1)) {
        let below = ((u128::from(random.next_u64()) * (rows - place) as u128) >> 64) as usize;
        order.swap(place, place + below);
    }
    order.truncate(count);
    order
}

/// The same, with of the rows of each stratum their share: rounded down, and one more for those that lose most by that (Hamilton's method).
/// The order is that of the draw, so that the first items have all strata among them.
///
/// # Errors
/// [`Error::Definition`] for over a thousand strata.
pub fn draw_stratified(strata: &[Option<String>], seed: u64, count: usize) -> Result<Vec<u64>> {
    let mut sizes: BTreeMap<&Option<String>, usize> = BTreeMap::new();
    strata.iter().for_each(|stratum| *sizes.entry(stratum).or_default() += 1);
    if sizes.len() > MOST_STRATA {
        let why = format!("the column has {} values; a sample is shared out by at most {MOST_STRATA}", sizes.len());
        return Err(Error::definition("sample.stratify", why));
    }
    let mut left = shares(&sizes, strata.len(), count);
    let order = draw(strata.len(), seed, strata.len());
    let mut chosen = Vec::with_capacity(count);
    for place in order {
        let of_stratum = left.entry(&strata[place as usize]).or_default();
        if *of_stratum > 0 {
            *of_stratum -= 1;
            chosen.push(place);
        }
    }
    Ok(chosen)
}

/// How many of each stratum are drawn: `count` together, or all rows if they are fewer.
fn shares<'a>(
    sizes: &BTreeMap<&'a Option<String>, usize>,
    rows: usize,
    count: usize,
) -> BTreeMap<&'a Option<String>, usize> {
    let count = count.min(rows);
    let exact = |size: usize| size as u128 * count as u128;
    let mut shares: BTreeMap<_, _> =
        sizes.iter().map(|(stratum, &size)| (*stratum, (exact(size) / rows.max(1) as u128) as usize)).collect();
    let mut rest: Vec<_> = sizes.iter().map(|(stratum, &size)| (exact(size) % rows.max(1) as u128, *stratum)).collect();
    // Of strata that lose the same the first by name.
    rest.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let missing = count - shares.values().sum::<usize>();
    for (_, stratum) in rest.into_iter().take(missing) {
        *shares.entry(stratum).or_default() += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_follows_from_its_seed() {
        let first = draw(100, 7, 20);
        assert_eq!(first, draw(100, 7, 20));
        assert_ne!(first, draw(100, 8, 20));
        assert_eq!(first[..5], draw(100, 7, 5), "a smaller sample is the beginning of a larger one");
        let mut all = draw(50, 1, 80);
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<u64>>());
        assert!(draw(0, 1, 5).is_empty());
    }

    /// Of 60, 30 and 10 rows a sample of 15 has 9, 4.5 and 1.5: both lose half, and the first by name gets the one that is left.
    #[test]
    fn strata_have_their_share() {
        let of = |place: usize| match place % 10 {
            0..6 => Some("common".to_owned()),
            6..9 => Some("rare".to_owned()),
            _ => None,
        };
        let strata: Vec<Option<String>> = (0..100).map(of).collect();
        let chosen = draw_stratified(&strata, 3, 15).unwrap();
        let count =
            |wanted: Option<&str>| chosen.iter().filter(|place| strata[**place as usize].as_deref() == wanted).count();
        assert_eq!((count(Some("common")), count(Some("rare")), count(None)), (9, 4, 2));
        assert_eq!(draw_stratified(&strata, 3, 500).unwrap().len(), 100);
        let many: Vec<Option<String>> = (0..1_001).map(|n: u32| Some(n.to_string())).collect();
        assert!(draw_stratified(&many, 3, 5).is_err());
        assert!(draw_stratified(&[], 3, 5).unwrap().is_empty());
    }
}
