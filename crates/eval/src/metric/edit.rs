//! Edit similarity: how many characters are not the same.

use super::lcs::{self, Columns};
use super::limit;
use super::vocabulary::Alphabet;
use crate::Result;

/// Characters put in, taken out or replaced to make one text the other.
///
/// Levenshtein (1966), 64 cells at once: Hyyrö, "A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances"
/// (Nordic Journal of Computing 10, 2003).
///
/// # Errors
/// [`crate::Error::Metric`] when the texts are so long that this takes over [`limit::MOST_CELLS`].
pub fn distance(answer: &str, reference: &str) -> Result<usize> {
    let texts = Texts::new(answer, reference)?;
    Ok(texts.distance())
}

/// `1 − distance / length of the longer`: rapidfuzz's `Levenshtein.normalized_similarity`. 1 for two empty texts.
///
/// # Errors
/// As [`distance`].
pub fn similarity(answer: &str, reference: &str) -> Result<f64> {
    let texts = Texts::new(answer, reference)?;
    let longer = texts.said.len().max(texts.right.len());
    Ok(if longer == 0 { 1.0 } else { 1.0 - texts.distance() as f64 / longer as f64 })
}

/// `2·LCS / (both lengths)`, where replacing counts as two edits: rapidfuzz's `fuzz.ratio` without the factor of 100, and what
/// code completion benchmarks call edit similarity. 1 for two empty texts.
///
/// # Errors
/// As [`distance`].
pub fn ratio(answer: &str, reference: &str) -> Result<f64> {
    let texts = Texts::new(answer, reference)?;
    let both = texts.said.len() + texts.right.len();
    if both == 0 {
        return Ok(1.0);
    }
    Ok(2.0 * lcs::length(&texts.said, &texts.right, texts.kinds) as f64 / both as f64)
}

struct Texts {
    said: Vec<u32>,
    right: Vec<u32>,
    kinds: usize,
}

impl Texts {
    fn new(answer: &str, reference: &str) -> Result<Self> {
        const NAME: &str = "edit similarity";
        limit::texts(NAME, answer, &[reference])?;
        let mut alphabet = Alphabet::default();
        let mut numbers = |text: &str| text.chars().map(|c| alphabet.number(c)).collect::<Vec<u32>>();
        let (said, right) = (numbers(answer), numbers(reference));
        limit::cells(NAME, said.len(), right.len(), limit::MOST_CELLS)?;
        Ok(Self { said, right, kinds: alphabet.len() })
    }

    fn distance(&self) -> usize {
        let (pattern, text) =
            if self.said.len() < self.right.len() { (&self.said, &self.right) } else { (&self.right, &self.said) };
        if pattern.is_empty() {
            return text.len();
        }
        let mut columns = Columns::new(pattern, self.kinds);
        let mut blocks = vec![Block { more: u64::MAX, less: 0 }; columns.width];
        let last = 1 << ((pattern.len() - 1) % 64);
        let mut distance = pattern.len();
        for &token in text {
            // The row above the first costs one more with each column.
            let (mut more, mut less) = (true, false);
            columns.with(token, |mask| {
                let (before, end) = blocks.split_at_mut(mask.len() - 1);
                for (block, &matched) in before.iter_mut().zip(mask) {
                    (more, less) = block.advance(matched, more, less, 1 << 63);
                }
                (more, less) = end[0].advance(mask[mask.len() - 1], more, less, last);
            });
            distance = distance + usize::from(more) - usize::from(less);
        }
        distance
    }
}

/// Where in 64 cells of a column the distance is one more, or one less, than in the cell above.
#[derive(Clone, Copy)]
struct Block {
    more: u64,
    less: u64,
}

impl Block {
    /// The next column, given whether the cell above it is one more or less than its neighbour; says the same of its cell
    /// `last`.
    fn advance(&mut self, matched: u64, more: bool, less: bool, last: u64) -> (bool, bool) {
        let across = matched | self.less;
        let matched = matched | u64::from(less);
        let down = (((matched & self.more).wrapping_add(self.more)) ^ self.more) | matched;
        let row_more = self.less | !(down | self.more);
        let row_less = self.more & down;
        let out = (row_more & last != 0, row_less & last != 0);
        let row_more = row_more << 1 | u64::from(more);
        let row_less = row_less << 1 | u64::from(less);
        self.more = row_less | !(across | row_more);
        self.less = row_more & across;
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::reference::{self, Pair};

    #[test]
    fn it_agrees_with_rapidfuzz() {
        reference::each("edit", 1e-6, |pair: &Pair| {
            let right = &pair.references[0];
            let measures = [similarity(&pair.answer, right), ratio(&pair.answer, right)];
            let distance = distance(&pair.answer, right).unwrap() as f64;
            measures.into_iter().map(Result::unwrap).chain([distance]).collect()
        });
    }

    proptest! {
        #[test]
        fn bits_find_what_the_recurrence_finds(answer in "[abc]{0,150}", reference in "[abcd]{0,150}") {
            let right: Vec<char> = reference.chars().collect();
            let mut row: Vec<usize> = (0..=right.len()).collect();
            for (line, c) in answer.chars().enumerate() {
                let mut diagonal = std::mem::replace(&mut row[0], line + 1);
                for column in 0..right.len() {
                    let replaced = diagonal + usize::from(right[column] != c);
                    diagonal = row[column + 1];
                    row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
                }
            }
            prop_assert_eq!(distance(&answer, &reference).unwrap(), row[right.len()]);
        }
    }
}
