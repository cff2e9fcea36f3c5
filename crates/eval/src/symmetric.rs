//! Small systems of linear equations whose matrix is symmetric and positive.

/// A symmetric matrix, by rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symmetric {
    n: usize,
    cells: Vec<f64>,
}

/// A Cholesky factor: the lower triangle `L` of `A = L·Lᵀ`.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    n: usize,
    cells: Vec<f64>,
}

/// A pivot that is so small beside its diagonal is rounding.
const SINGULAR: f64 = 1e-11;

impl Symmetric {
    pub fn zero(n: usize) -> Self {
        Self { n, cells: vec![0.0; n * n] }
    }

    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.cells[row * self.n + column]
    }

    /// Adds to both of the two places.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        self.cells[row * self.n + column] += value;
        if row != column {
            self.cells[column * self.n + row] += value;
        }
    }

    /// Adds `weight · x·xᵀ`.
    pub fn add_outer(&mut self, x: &[f64], weight: f64) {
        for (row, &a) in x.iter().enumerate() {
            for (column, &b) in x[..=row].iter().enumerate() {
                self.add(row, column, weight * a * b);
            }
        }
    }

    /// Cholesky's factor; none when the matrix is not positive.
    ///
    /// Golub, Van Loan, Matrix Computations, 4th edition (2013), algorithm 4.2.1.
    pub fn factor(&self) -> Option<Factor> {
        let n = self.n;
        let mut cells = vec![0.0; n * n];
        for row in 0..n {
            for column in 0..=row {
                let known: f64 = (0..column).map(|k| cells[row * n + k] * cells[column * n + k]).sum();
                let left = self.at(row, column) - known;
                if row != column {
                    cells[row * n + column] = left / cells[column * n + column];
                    continue;
                }
                if left.is_nan() || left <= SINGULAR * self.at(row, row).abs() {
                    return None;
                }
                cells[row * n + row] = left.sqrt();
            }
        }
        Some(Factor { n, cells })
    }
}

impl Factor {
    /// `x` of `A·x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x = b.to_vec();
        for row in 0..n {
            let known: f64 = (0..row).map(|k| self.cells[row * n + k] * x[k]).sum();
            x[row] = (x[row] - known) / self.cells[row * n + row];
        }
        for row in (0..n).rev() {
            let known: f64 = (row + 1..n).map(|k| self.cells[k * n + row] * x[k]).sum();
            x[row] = (x[row] - known) / self.cells[row * n + row];
        }
        x
    }

    /// The inverse of `A`.
    pub fn inverse(&self) -> Symmetric {
        let n = self.n;
        let mut inverse = Symmetric::zero(n);
        for column in 0..n {
            let unit: Vec<f64> = (0..n).map(|row| f64::from(u8::from(row == column))).collect();
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                inverse.cells[row * n + column] = value;
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [4 2; 2 3]·x = [8; 7]: x = [10; 12]/8, and the inverse is [3 −2; −2 4]/8.
    #[test]
    fn two_equations() {
        let mut matrix = Symmetric::zero(2);
        matrix.add(0, 0, 4.0);
        matrix.add(1, 0, 2.0);
        matrix.add(1, 1, 3.0);
        let factor = matrix.factor().unwrap();
        let x = factor.solve(&[8.0, 7.0]);
        assert!((x[0] - 1.25).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        let inverse = factor.inverse();
        for (row, column, expected) in [(0, 0, 0.375), (0, 1, -0.25), (1, 0, -0.25), (1, 1, 0.5)] {
            assert!((inverse.at(row, column) - expected).abs() < 1e-12, "{row} {column}");
        }
    }

    #[test]
    fn what_is_singular_has_no_factor() {
        let mut matrix = Symmetric::zero(2);
        matrix.add_outer(&[1.0, 3.0], 2.0);
        assert!(matrix.factor().is_none());
    }
}
