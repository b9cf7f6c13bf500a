//! Small dense square matrices on the heap, and the exponential of one. Knows nothing of neurons.

/// A square matrix, rows first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub n: usize,
    pub data: Vec<f64>,
}

/// Terms of the Taylor series after scaling. With a norm of at most 1/2 the remainder is below 0.5^19/19! = 2e-23.
const TERMS: u32 = 18;

/// Beyond this norm the exponential is no number anyway, and scaling would take forever.
const MAX_SQUARINGS: i32 = 1100;

impl Matrix {
    /// A matrix computed from row and column.
    pub fn from_fn(n: usize, mut value: impl FnMut(usize, usize) -> f64) -> Matrix {
        Matrix { n, data: (0..n * n).map(|at| value(at / n, at % n)).collect() }
    }

    /// An element.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.data[row * self.n + column]
    }

    fn multiply(&self, other: &Matrix) -> Matrix {
        Matrix::from_fn(self.n, |row, column| (0..self.n).map(|k| self.at(row, k) * other.at(k, column)).sum())
    }

    fn map(mut self, f: impl Fn(f64) -> f64) -> Matrix {
        self.data.iter_mut().for_each(|value| *value = f(*value));
        self
    }

    fn add(&mut self, other: &Matrix) {
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += b);
    }

    /// The largest sum of absolute values in a row.
    fn norm(&self) -> f64 {
        self.data.chunks_exact(self.n.max(1)).map(|row| row.iter().map(|a| a.abs()).sum::<f64>()).fold(0.0, f64::max)
    }

    /// `exp(self)`, by scaling, a Taylor series and squaring of `exp - 1`.
    pub fn exp(&self) -> Matrix {
        let mut squarings = 0;
        let mut scaled = self.clone();
        while scaled.norm() > 0.5 && squarings < MAX_SQUARINGS {
            scaled = scaled.map(|a| 0.5 * a);
            squarings += 1;
        }
        let mut term = scaled.clone();
        let mut excess = scaled.clone();
        for k in 2..=TERMS {
            term = term.multiply(&scaled).map(|a| a / f64::from(k));
            excess.add(&term);
        }
        for _ in 0..squarings {
            let squared = excess.multiply(&excess);
            excess = excess.map(|a| 2.0 * a);
            excess.add(&squared);
        }
        for k in 0..self.n {
            excess.data[k * self.n + k] += 1.0;
        }
        excess
    }
}
