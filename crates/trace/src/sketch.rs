//! Quantiles of many values in little space, that can be added up: a histogram with logarithmic cells.
//!
//! Cell `i` holds the values in (γ^(i−1), γ^i]; a quantile is answered with 2·γ^i/(γ+1), which is within the share
//! [`ACCURACY`] of every value in the cell. This is the mapping of DDSketch (Masson, Rim, Lee: DDSketch: a fast and
//! fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019, section 2.1), with γ = (1+α)/(1−α).
//! Unlike percentiles themselves, such histograms of parts add up to that of the whole.

/// The largest relative error of a quantile, α.
pub const ACCURACY: f64 = 0.01;
/// γ: each cell is so much larger than the one before.
const GAMMA: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// Smaller values count as this one, in the unit of the values.
const LEAST: f64 = 1e-3;

/// How often values of each size came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sketch {
    /// Cells with how many values each holds, ascending, none of them empty.
    cells: Vec<(i64, u64)>,
    count: u64,
}

impl Sketch {
    /// The SQL expression for the cell of the positive values that `column` holds; null where that is null.
    pub(crate) fn cell_sql(column: &str) -> String {
        format!("CAST(ceil(ln(greatest({column}, {LEAST})) / {}) AS BIGINT)", GAMMA.ln())
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.add_cell((value.max(LEAST).ln() / GAMMA.ln()).ceil() as i64, 1);
    }

    /// Adds `count` values of a cell.
    pub(crate) fn add_cell(&mut self, cell: i64, count: u64) {
        if count == 0 {
            return;
        }
        match self.cells.binary_search_by_key(&cell, |&(cell, _)| cell) {
            Ok(place) => self.cells[place].1 += count,
            Err(place) => self.cells.insert(place, (cell, count)),
        }
        self.count += count;
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        if self.cells.is_empty() {
            self.clone_from(other);
            return;
        }
        other.cells.iter().for_each(|&(cell, count)| self.add_cell(cell, count));
    }

    /// The sketch in few bytes: for each cell its distance from the one before and its count, as LEB128.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 * self.cells.len());
        let mut before = 0;
        for &(cell, count) in &self.cells {
            // Zigzag, because the first cell may be negative.
            let step = cell - before;
            write_leb128(&mut bytes, ((step << 1) ^ (step >> 63)).cast_unsigned());
            write_leb128(&mut bytes, count);
            before = cell;
        }
        bytes
    }

    /// The sketch that [`Sketch::encode`] wrote; none when the bytes are no sketch.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut sketch = Self::default();
        let mut before = 0_i64;
        while !bytes.is_empty() {
            let step = read_leb128(&mut bytes)?;
            let cell = before.checked_add((step >> 1).cast_signed() ^ -(step & 1).cast_signed())?;
            let count = read_leb128(&mut bytes)?;
            let ascending = sketch.cells.last().is_none_or(|&(last, _)| last < cell);
            if count == 0 || !ascending {
                return None;
            }
            sketch.cells.push((cell, count));
            sketch.count = sketch.count.checked_add(count)?;
            before = cell;
        }
        Some(sketch)
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value that a share `quantile` of all are at most as large as; none while there are no values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = (quantile.clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64).floor() as u64;
        let mut seen = 0;
        let found = self.cells.iter().find(|&&(_, count)| {
            seen += count;
            seen > rank
        });
        found.map(|&(cell, _)| 2.0 * GAMMA.powf(cell as f64) / (GAMMA + 1.0))
    }
}

fn write_leb128(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth_of_the_exact_ones() {
        // Log-normal, as latencies are; the exact quantile is the value of that rank.
        let mut values: Vec<f64> = (1..=10_000).map(|i| f64::exp(3.0 + 1.5 * f64::sin(f64::from(i) * 1.7))).collect();
        let mut sketch = Sketch::default();
        values.iter().for_each(|&value| sketch.add(value));
        values.sort_by(f64::total_cmp);
        for quantile in [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let exact = values[(quantile * 9_999.0) as usize];
            let found = sketch.quantile(quantile).unwrap();
            assert!((found / exact - 1.0).abs() <= ACCURACY + 1e-9, "{quantile}: {found} instead of {exact}");
        }
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn sketches_of_parts_add_up_to_that_of_the_whole() {
        let (mut whole, mut left, mut right) = (Sketch::default(), Sketch::default(), Sketch::default());
        for i in 1..=1000_i64 {
            whole.add_cell(i % 90, 1);
            if i % 3 == 0 { left.add_cell(i % 90, 1) } else { right.add_cell(i % 90, 1) }
        }
        left.merge(&right);
        assert_eq!(left, whole);
    }

    proptest::proptest! {
        #[test]
        fn a_sketch_survives_its_bytes(values in proptest::collection::vec(0.0..1e12_f64, 0..200)) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|&value| sketch.add(value));
            proptest::prop_assert_eq!(Sketch::decode(&sketch.encode()), Some(sketch));
        }

        #[test]
        fn any_bytes_are_a_sketch_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            if let Some(sketch) = Sketch::decode(&bytes) {
                proptest::prop_assert_eq!(Sketch::decode(&sketch.encode()), Some(sketch));
            }
        }
    }
}
