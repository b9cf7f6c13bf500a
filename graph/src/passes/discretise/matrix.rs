//! Small dense matrices in f64 and the exponential of one. Knows nothing of neurons or graphs.

/// A square matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    n: usize,
    /// Row-major.
    data: Vec<f64>,
}

/// Terms of the Taylor series after scaling. With a norm of at most 1/2 the remainder is below 0.5^19/19! = 2e-23.
const TERMS: u32 = 18;

/// Beyond this norm the exponential is no number anyway, and scaling would take forever.
const MAX_SQUARINGS: i32 = 1100;

impl Matrix {
    /// All zeros.
    pub fn zero(n: usize) -> Matrix {
        Matrix { n, data: vec![0.0; n * n] }
    }

    /// Ones on the diagonal.
    pub fn identity(n: usize) -> Matrix {
        Matrix::from_fn(n, |row, column| if row == column { 1.0 } else { 0.0 })
    }

    /// A matrix computed from row and column.
    pub fn from_fn(n: usize, mut value: impl FnMut(usize, usize) -> f64) -> Matrix {
        let data = (0..n * n).map(|at| value(at / n, at % n)).collect();
        Matrix { n, data }
    }

    /// Whether no element is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|value| value.is_finite())
    }

    /// An element.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.data[row * self.n + column]
    }

    fn combine(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64) -> Matrix {
        Matrix { n: self.n, data: self.data.iter().zip(&other.data).map(|(a, b)| f(*a, *b)).collect() }
    }

    fn scale(&self, by: f64) -> Matrix {
        Matrix { n: self.n, data: self.data.iter().map(|a| a * by).collect() }
    }

    fn multiply(&self, other: &Matrix) -> Matrix {
        Matrix::from_fn(self.n, |row, column| (0..self.n).map(|k| self.at(row, k) * other.at(k, column)).sum())
    }

    /// The largest sum of absolute values in a row.
    fn norm(&self) -> f64 {
        let row_sum = |row: usize| (0..self.n).map(|column| self.at(row, column).abs()).sum::<f64>();
        (0..self.n).map(row_sum).fold(0.0, f64::max)
    }

    /// `exp(self)`, by scaling, a Taylor series and squaring.
    ///
    /// What is squared is `exp - 1`, by `(1 + d)^2 - 1 = 2 d + d^2`: a flow that hardly moves in a step keeps all its
    /// digits (compare `expm1`).
    pub fn exp(&self) -> Matrix {
        let mut squarings = 0;
        let mut scaled = self.clone();
        while scaled.norm() > 0.5 && squarings < MAX_SQUARINGS {
            scaled = scaled.scale(0.5);
            squarings += 1;
        }
        let mut term = scaled.clone();
        let mut excess = scaled.clone();
        for k in 2..=TERMS {
            term = term.multiply(&scaled).scale(1.0 / f64::from(k));
            excess = excess.combine(&term, |a, b| a + b);
        }
        for _ in 0..squarings {
            excess = excess.combine(&excess.multiply(&excess), |once, squared| 2.0 * once + squared);
        }
        excess.combine(&Matrix::identity(self.n), |a, b| a + b)
    }
}

/// The flow of `x' = a x + b` over `dt`: `(e, g)` with `x(dt) = e x(0) + g b`, where `e = exp(a dt)` and
/// `g = integral of exp(a s) ds from 0 to dt`. Both are blocks of the exponential of the augmented matrix
/// `[a 1; 0 0] dt` (Van Loan 1978).
pub fn flow(a: &Matrix, dt: f64) -> (Matrix, Matrix) {
    let n = a.n;
    let augmented = Matrix::from_fn(2 * n, |row, column| match (row < n, column < n) {
        (true, true) => a.at(row, column) * dt,
        (true, false) if row + n == column => dt,
        _ => 0.0,
    });
    let exp = augmented.exp();
    let block = |first: usize| Matrix::from_fn(n, |row, column| exp.at(row, first + column));
    (block(0), block(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_of_a_rotation_is_sine_and_cosine() {
        let angle = 3.0;
        let exp = Matrix::from_fn(2, |r, c| {
            if r == c {
                0.0
            } else if r < c {
                -angle
            } else {
                angle
            }
        })
        .exp();
        assert!((exp.at(0, 0) - libm::cos(angle)).abs() < 1e-14, "{exp:?}");
        assert!((exp.at(1, 0) - libm::sin(angle)).abs() < 1e-14, "{exp:?}");
    }

    #[test]
    fn the_flow_of_a_single_decay() {
        // tau = 2, dt = 2: exp(-1), and 2 (1 - exp(-1)).
        let (e, g) = flow(&Matrix::from_fn(1, |_, _| -0.5), 2.0);
        assert!((e.at(0, 0) - 0.367_879_441_171_442_3).abs() < 1e-15);
        assert!((g.at(0, 0) - 1.264_241_117_657_115_4).abs() < 1e-15);
    }

    #[test]
    fn a_zero_matrix_flows_in_a_straight_line() {
        let (e, g) = flow(&Matrix::zero(2), 0.25);
        assert_eq!(e, Matrix::identity(2));
        assert_eq!(g, Matrix::identity(2).scale(0.25));
    }
}
