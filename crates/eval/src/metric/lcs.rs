//! The longest common subsequence, 64 places at once.
//!
//! Row `i` of the table has a bit for each column: 0 where the length grows by one against the column before. The next row
//! follows from it by an addition, whose carry runs on where letters match.
//!
//! Hyyrö, "Bit-Parallel LCS-length Computation Revisited" (AWOCA 2004).

/// Its length. `left · right / 64` steps.
pub(crate) fn length(left: &[u32], right: &[u32], kinds: usize) -> usize {
    let (rows, columns) = if left.len() < right.len() { (right, left) } else { (left, right) };
    let mut columns = Columns::new(columns, kinds);
    let mut row = vec![u64::MAX; columns.width];
    rows.iter().for_each(|&token| columns.with_present(token, |mask| advance(&mut row, mask)));
    // What lies past the last column stays 1, since nothing matches there.
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

/// In which columns each token of a text stands, as bits.
///
/// Tokens that stand in many columns have their bits made once; the bits of others are set and cleared as they are asked for.
/// So they take memory and time in proportion to the columns, however many kinds of tokens there are.
pub(crate) struct Columns<'a> {
    text: &'a [u32],
    /// Words of 64 columns.
    pub width: usize,
    /// For each kind of token where its columns begin in `columns`.
    starts: Vec<u32>,
    columns: Vec<u32>,
    made: Vec<Option<Box<[u64]>>>,
    scratch: Vec<u64>,
    table: Vec<u64>,
}

impl<'a> Columns<'a> {
    /// Of tokens below `kinds`.
    pub fn new(text: &'a [u32], kinds: usize) -> Self {
        let mut starts = vec![0_u32; kinds + 1];
        text.iter().for_each(|&token| starts[token as usize + 1] += 1);
        (0..kinds).for_each(|kind| starts[kind + 1] += starts[kind]);
        let mut next = starts.clone();
        let mut columns = vec![0; text.len()];
        for (column, &token) in text.iter().enumerate() {
            columns[next[token as usize] as usize] = column as u32;
            next[token as usize] += 1;
        }
        let width = text.len().div_ceil(64);
        Self { text, width, starts, columns, made: vec![None; kinds], scratch: vec![0; width], table: Vec::new() }
    }

    /// Tells the places of `reference` that one of the longest common subsequences takes, the last one first.
    ///
    /// Of several it is the one that `_backtrack_norec` of rouge-score finds. Keeps a bit for each cell of the table.
    pub fn places(&mut self, reference: &[u32], tell: impl FnMut(usize)) {
        let width = self.width;
        let mut bits = std::mem::take(&mut self.table);
        bits.clear();
        bits.resize(width, u64::MAX);
        for &token in reference {
            let start = bits.len();
            bits.extend_from_within(start - width..);
            self.with_present(token, |mask| advance(&mut bits[start..], mask));
        }
        let table = Table { bits, width };
        table.back(reference, self.text, tell);
        self.table = table.bits;
    }

    /// Gives the columns of a token that some column has: others leave a row as it is.
    fn with_present(&mut self, token: u32, use_it: impl FnMut(&[u64])) {
        let kind = token as usize;
        if self.starts[kind] < self.starts[kind + 1] {
            self.with(token, use_it);
        }
    }

    /// Gives the columns of a token.
    pub fn with(&mut self, token: u32, mut use_it: impl FnMut(&[u64])) {
        let kind = token as usize;
        let columns = &self.columns[self.starts[kind] as usize..self.starts[kind + 1] as usize];
        let set = |mask: &mut [u64]| columns.iter().for_each(|&at| mask[at as usize / 64] |= 1 << (at % 64));
        if columns.len() > self.width {
            let width = self.width;
            use_it(self.made[kind].get_or_insert_with(|| {
                let mut mask = vec![0; width].into_boxed_slice();
                set(&mut mask);
                mask
            }));
            return;
        }
        set(&mut self.scratch);
        use_it(&self.scratch);
        columns.iter().for_each(|&at| self.scratch[at as usize / 64] = 0);
    }
}

/// The next row.
fn advance(row: &mut [u64], mask: &[u64]) {
    let mut carry = false;
    for (bits, mask) in row.iter_mut().zip(mask) {
        let matched = *bits & mask;
        let (sum, first) = bits.overflowing_add(matched);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *bits = sum | *bits & !mask;
    }
}

/// All rows, the empty one first.
struct Table {
    bits: Vec<u64>,
    width: usize,
}

impl Table {
    /// Whether the length grows by one at a column.
    fn grows(&self, row: usize, column: usize) -> bool {
        self.bits[row * self.width + column / 64] >> (column % 64) & 1 == 0
    }

    /// The length over the first columns.
    fn length(&self, row: usize, columns: usize) -> u32 {
        let row = &self.bits[row * self.width..(row + 1) * self.width];
        let whole: u32 = row[..columns / 64].iter().map(|word| word.count_zeros()).sum();
        let rest = columns % 64;
        whole + if rest == 0 { 0 } else { (row[columns / 64] | u64::MAX << rest).count_zeros() }
    }

    fn back(&self, reference: &[u32], candidate: &[u32], mut tell: impl FnMut(usize)) {
        let (mut row, mut column) = (reference.len(), candidate.len());
        let above_of = |row: usize, column| row.checked_sub(1).map_or(0, |above| self.length(above, column));
        let (mut here, mut above) = (self.length(row, column), above_of(row, column));
        while row > 0 && column > 0 {
            let grows = |row: usize| u32::from(self.grows(row, column - 1));
            if reference[row - 1] == candidate[column - 1] {
                tell(row - 1);
                here = above - grows(row - 1);
                (row, column) = (row - 1, column - 1);
                above = above_of(row, column);
            } else if here - grows(row) > above {
                (here, above) = (here - grows(row), above - grows(row - 1));
                column -= 1;
            } else {
                here = above;
                row -= 1;
                above = above_of(row, column);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `_lcs_table` and `_backtrack_norec` of rouge-score, word for word.
    fn by_table(reference: &[u32], candidate: &[u32]) -> (usize, Vec<usize>) {
        let mut table = vec![vec![0; candidate.len() + 1]; reference.len() + 1];
        for i in 1..=reference.len() {
            for j in 1..=candidate.len() {
                table[i][j] = if reference[i - 1] == candidate[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    usize::max(table[i - 1][j], table[i][j - 1])
                };
            }
        }
        let (mut i, mut j, mut places) = (reference.len(), candidate.len(), Vec::new());
        while i > 0 && j > 0 {
            if reference[i - 1] == candidate[j - 1] {
                places.push(i - 1);
                (i, j) = (i - 1, j - 1);
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
        (table[reference.len()][candidate.len()], places)
    }

    proptest! {
        #[test]
        fn bits_find_what_the_table_finds(
            (reference, candidate) in (1_u32..30).prop_flat_map(|kinds| {
                (prop::collection::vec(0..kinds, 0..200), prop::collection::vec(0..kinds, 0..200))
            }),
        ) {
            let (expected, path) = by_table(&reference, &candidate);
            prop_assert_eq!(length(&reference, &candidate, 30), expected);
            let mut columns = Columns::new(&candidate, 30);
            for _ in 0..2 {
                let mut places = Vec::new();
                columns.places(&reference, |place| places.push(place));
                prop_assert_eq!(&places, &path);
            }
        }
    }
}
