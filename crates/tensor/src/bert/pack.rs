//! Texts of different lengths in one matrix, without padding.
//!
//! Everything in BERT but the attention works on single tokens, so the tokens of many texts are simply put below each
//! other. Attention works on texts; those of equal length are neighbours, because texts are sorted by length, and are
//! computed together. So no token is computed that no text has, and a vector does not depend on its neighbours.

/// Some texts that are computed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Which texts, in the order of their tokens.
    pub texts: Vec<usize>,
    /// The tokens of all texts, below each other.
    pub ids: Vec<u32>,
    /// The position of each token in its text.
    pub positions: Vec<u32>,
    /// Runs of texts of equal length.
    pub runs: Vec<Run>,
}

/// Neighbouring texts of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first token.
    pub start: usize,
    /// How many texts.
    pub texts: usize,
    /// How many tokens each has.
    pub tokens: usize,
}

/// Puts texts, given by their tokens, into packs of at most `budget` tokens; a longer text has a pack of its own. The
/// longest come first, so that threads end at about the same time.
pub(crate) fn packs(ids: &[Vec<u32>], budget: usize) -> Vec<Pack> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(ids[text].len()));
    let mut packs: Vec<Pack> = Vec::new();
    for text in order {
        match packs.last_mut() {
            Some(pack) if pack.ids.len() + ids[text].len() <= budget => pack.add(text, &ids[text]),
            _ => packs.push(Pack::of(text, &ids[text])),
        }
    }
    packs
}

impl Pack {
    fn of(text: usize, ids: &[u32]) -> Self {
        let mut pack = Self { texts: Vec::new(), ids: Vec::new(), positions: Vec::new(), runs: Vec::new() };
        pack.add(text, ids);
        pack
    }

    fn add(&mut self, text: usize, ids: &[u32]) {
        match self.runs.last_mut() {
            Some(run) if run.tokens == ids.len() => run.texts += 1,
            _ => self.runs.push(Run { start: self.ids.len(), texts: 1, tokens: ids.len() }),
        }
        self.texts.push(text);
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lengths: &[usize]) -> Vec<Vec<u32>> {
        lengths.iter().enumerate().map(|(text, &length)| vec![text as u32; length]).collect()
    }

    #[test]
    fn equal_lengths_are_neighbours_and_packs_are_full() {
        let packs = packs(&texts(&[2, 5, 2, 9, 3, 2]), 8);
        let lengths: Vec<usize> = packs.iter().map(|pack| pack.ids.len()).collect();
        // 9 alone is over the budget; 5 + 3; then three of 2.
        assert_eq!(lengths, [9, 8, 6]);
        assert_eq!(packs[1].runs, [Run { start: 0, texts: 1, tokens: 5 }, Run { start: 5, texts: 1, tokens: 3 }]);
        assert_eq!(packs[2].runs, [Run { start: 0, texts: 3, tokens: 2 }]);
        assert_eq!(
            (&packs[2].texts[..], &packs[2].ids[..], &packs[2].positions[..]),
            (&[0, 2, 5][..], &[0, 0, 2, 2, 5, 5][..], &[0, 1, 0, 1, 0, 1][..])
        );
    }

    #[test]
    fn no_texts_are_no_packs() {
        assert_eq!(packs(&[], 8), []);
    }
}
