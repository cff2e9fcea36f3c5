//! How many n-grams of a text stand in others.

use super::vocabulary::Table;

/// Of each order from 1 to `orders`, how many n-grams of `said` stand in the references too. Each counts at most as often as
/// in the reference that has it most often.
///
/// Tokens are numbers below `kinds`. An n-gram can only be shared when what is left of it without its last token is, so each
/// order looks at the places that the one before shared, and a text of other words costs one pass.
pub(crate) fn shared(said: &[u32], references: &[&[u32]], kinds: usize, orders: usize) -> Vec<u64> {
    let mut shared = vec![0; orders];
    let mut said_places = Places::new(said);
    let mut right_places: Vec<Places<'_>> = references.iter().map(|text| Places::new(text)).collect();
    let (mut known, mut counts) = (Known::of(kinds), Counts::default());
    let mut classes = kinds;
    for (order, shared) in shared.iter_mut().enumerate() {
        if order == 0 {
            counts.count(&right_places, kinds);
            said_places.0.retain(|place| counts.meet(place.class, shared));
        } else {
            classes = extend(&mut known, classes, &mut right_places, &mut counts);
            said_places.extend(|before, token| known.find(before, token).filter(|&class| counts.meet(class, shared)));
        }
        if *shared == 0 {
            break;
        }
    }
    shared
}

/// Makes the n-grams of the references that were met in the text one token longer, and counts them. Returns of how many
/// classes they then are.
fn extend(known: &mut Known, classes: usize, right: &mut [Places<'_>], counts: &mut Counts) -> usize {
    known.reset(classes, right.iter().map(|places| places.0.len()).sum());
    let (mut next, is_one) = (0, right.len() == 1);
    // Of one reference they are counted as they come.
    counts.right.clear();
    for places in right.iter_mut() {
        places.extend(|before, token| {
            if counts.said[before as usize] == 0 {
                return None;
            }
            let class = known.insert(before, token, next);
            if class == next {
                next += 1;
                counts.right.push(0);
            }
            if is_one {
                counts.right[class as usize] += 1;
            }
            Some(class)
        });
    }
    if is_one {
        counts.said.clear();
        counts.said.resize(next as usize, 0);
    } else {
        counts.count(right, next as usize);
    }
    next as usize
}

/// The classes of n-grams, by the class of all but their last token and by that token.
struct Known {
    kinds: usize,
    /// A place for each pair, where there are few; from 1, and 0 for none.
    pairs: Option<Vec<u32>>,
    table: Table,
}

/// Pairs that have a place each at most: all pairs of the characters of English texts, as quick to empty as a table.
const MOST_PLACES: usize = 4_096;

impl Known {
    fn of(kinds: usize) -> Self {
        Self { kinds, pairs: None, table: Table::default() }
    }

    /// Forgets all, with room for so many n-grams that are longer than those of so many classes.
    fn reset(&mut self, classes: usize, grams: usize) {
        let places = classes.saturating_mul(self.kinds);
        if places <= MOST_PLACES && grams > self.kinds {
            self.pairs = Some(vec![0; places]);
        } else {
            self.pairs = None;
            self.table.reset(grams);
        }
    }

    fn insert(&mut self, class: u32, token: u32, next: u32) -> u32 {
        let Some(pairs) = &mut self.pairs else { return self.table.insert(key(class, token), next) };
        let place = &mut pairs[class as usize * self.kinds + token as usize];
        if *place == 0 {
            *place = next + 1;
        }
        *place - 1
    }

    fn find(&self, class: u32, token: u32) -> Option<u32> {
        let Some(pairs) = &self.pairs else { return self.table.find(key(class, token)) };
        pairs[class as usize * self.kinds + token as usize].checked_sub(1)
    }
}

fn key(class: u32, token: u32) -> u64 {
    u64::from(class) << 32 | u64::from(token)
}

/// Where n-grams end in a text, and of which class each is: equal n-grams are of one class.
struct Places<'a>(Vec<Place>, &'a [u32]);

struct Place {
    end: u32,
    class: u32,
}

impl<'a> Places<'a> {
    fn new(text: &'a [u32]) -> Self {
        Self(text.iter().zip(0..).map(|(&class, end)| Place { end, class }).collect(), text)
    }

    /// Makes each one token longer. `class_of` says of which class it is then, from the class before and the token.
    fn extend(&mut self, mut class_of: impl FnMut(u32, u32) -> Option<u32>) {
        let text = self.1;
        self.0.retain_mut(|place| {
            let end = place.end + 1;
            let class = text.get(end as usize).and_then(|&token| class_of(place.class, token));
            *place = Place { end, class: class.unwrap_or_default() };
            class.is_some()
        });
    }
}

/// How often each class was met in the text, and how often it stands in the reference that has it most often.
#[derive(Default)]
struct Counts {
    said: Vec<u32>,
    right: Vec<u32>,
    one: Vec<u32>,
}

impl Counts {
    fn count(&mut self, right: &[Places<'_>], classes: usize) {
        for counts in [&mut self.said, &mut self.right, &mut self.one] {
            counts.clear();
            counts.resize(classes, 0);
        }
        if let [only] = right {
            only.0.iter().for_each(|place| self.right[place.class as usize] += 1);
            return;
        }
        for places in right {
            places.0.iter().for_each(|place| self.one[place.class as usize] += 1);
            for place in &places.0 {
                let class = place.class as usize;
                self.right[class] = self.right[class].max(std::mem::take(&mut self.one[class]));
            }
        }
    }

    /// Meets a class in the text: it is shared as long as a reference has it that often. Returns whether one has it at all.
    fn meet(&mut self, class: u32, shared: &mut u64) -> bool {
        let (said, right) = (&mut self.said[class as usize], self.right[class as usize]);
        *shared += u64::from(*said < right);
        *said += 1;
        right > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word.
    fn by_definition(said: &[u32], references: &[&[u32]], order: usize) -> u64 {
        let count = |text: &[u32]| {
            let mut counts: HashMap<Vec<u32>, u64> = HashMap::new();
            text.windows(order).for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
            counts
        };
        let right: Vec<_> = references.iter().map(|text| count(text)).collect();
        let most = |gram: &Vec<u32>| right.iter().filter_map(|counts| counts.get(gram)).max().copied().unwrap_or(0);
        count(said).iter().map(|(gram, &said)| said.min(most(gram))).sum()
    }

    proptest! {
        #[test]
        fn the_quick_way_counts_what_the_definition_counts(
            said in prop::collection::vec(0_u32..4, 0..40),
            right in prop::collection::vec(prop::collection::vec(0_u32..4, 0..40), 1..4),
        ) {
            let references: Vec<&[u32]> = right.iter().map(Vec::as_slice).collect();
            let expected: Vec<u64> = (1..=5).map(|order| by_definition(&said, &references, order)).collect();
            prop_assert_eq!(shared(&said, &references, 4, 5), expected);
        }
    }
}
