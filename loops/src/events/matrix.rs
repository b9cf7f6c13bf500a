//! Small square matrices on the stack, and the exponential of one. Knows nothing of neurons.

use super::neuron::MAX_ORDER;

/// The largest size: the states of a neuron and the constant 1.
pub(super) const SIZE: usize = MAX_ORDER + 1;

/// A vector; entries beyond the size at hand are 0.
pub(super) type Row = [f64; SIZE];

/// A square matrix of size `n`; entries beyond are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Matrix {
    pub n: usize,
    pub rows: [Row; SIZE],
}

/// Terms of the Taylor series after scaling. With a norm of at most 1/2 the remainder is below 0.5^19/19! = 2e-23.
const TERMS: u32 = 18;

/// Beyond this norm the exponential is no number anyway, and scaling would take forever.
const MAX_SQUARINGS: i32 = 1100;

impl Matrix {
    /// A matrix computed from row and column.
    pub fn from_fn(n: usize, mut value: impl FnMut(usize, usize) -> f64) -> Matrix {
        let mut rows = [[0.0; SIZE]; SIZE];
        for (i, row) in rows.iter_mut().enumerate().take(n) {
            for (j, entry) in row.iter_mut().enumerate().take(n) {
                *entry = value(i, j);
            }
        }
        Matrix { n, rows }
    }

    /// `row * self`
    pub fn times_row(&self, row: &Row) -> Row {
        let mut sum = [0.0; SIZE];
        for (weight, line) in row.iter().zip(&self.rows).take(self.n) {
            sum.iter_mut().zip(line).for_each(|(sum, entry)| *sum += weight * entry);
        }
        sum
    }

    /// Every entry times a number.
    pub fn scaled(mut self, by: f64) -> Matrix {
        self.rows.iter_mut().flatten().for_each(|entry| *entry *= by);
        self
    }

    fn multiply(&self, other: &Matrix) -> Matrix {
        Matrix { n: self.n, rows: self.rows.map(|row| other.times_row(&row)) }
    }

    fn add(&mut self, other: &Matrix) {
        self.rows.iter_mut().flatten().zip(other.rows.iter().flatten()).for_each(|(a, b)| *a += b);
    }

    /// The largest sum of absolute values in a row.
    pub fn norm(&self) -> f64 {
        self.rows.iter().map(|row| row.iter().map(|a| a.abs()).sum::<f64>()).fold(0.0, f64::max)
    }

    /// `exp(self)`, by scaling, a Taylor series and squaring.
    ///
    /// What is squared is `exp - 1`, by `(1 + d)^2 - 1 = 2 d + d^2`, so that a short flow keeps all its digits.
    pub fn exp(&self) -> Matrix {
        let mut squarings = 0;
        let mut base = *self;
        while base.norm() > 0.5 && squarings < MAX_SQUARINGS {
            base = base.scaled(0.5);
            squarings += 1;
        }
        let mut term = base;
        let mut excess = base;
        for k in 2..=TERMS {
            term = term.multiply(&base).scaled(1.0 / f64::from(k));
            excess.add(&term);
        }
        for _ in 0..squarings {
            let squared = excess.multiply(&excess);
            excess = excess.scaled(2.0);
            excess.add(&squared);
        }
        for (k, row) in excess.rows.iter_mut().enumerate().take(self.n) {
            if let Some(entry) = row.get_mut(k) {
                *entry += 1.0;
            }
        }
        excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_of_a_rotation_is_sine_and_cosine() {
        for angle in [0.001, 0.7, 3.0, 12.0] {
            let exp = Matrix::from_fn(2, |r, c| match (r, c) {
                (0, 1) => -angle,
                (1, 0) => angle,
                _ => 0.0,
            })
            .exp();
            assert!((exp.rows[0][0] - libm::cos(angle)).abs() < 2e-15 * (1.0 + angle), "{angle}: {exp:?}");
            assert!((exp.rows[1][0] - libm::sin(angle)).abs() < 2e-15 * (1.0 + angle), "{angle}: {exp:?}");
        }
    }

    #[test]
    fn a_matrix_that_is_not_finite_ends() {
        assert!(!Matrix::from_fn(1, |_, _| f64::INFINITY).exp().rows[0][0].is_finite());
    }
}
