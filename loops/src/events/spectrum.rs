//! The eigenvalues of a flow: decay rates of its states and frequencies of its oscillations.
//!
//! States that do not act back on each other keep their own rates, digit by digit; two that do are solved as a quadratic,
//! more as a polynomial.

use super::complex::Complex;
use super::matrix::{Matrix, SIZE};

/// One eigenvalue, or a conjugate pair of them: `rate`, or `rate +- i frequency`, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Eigenvalue {
    pub rate: f64,
    /// 0 for a real one, else positive: radians per second.
    pub frequency: f64,
}

impl Eigenvalue {
    /// A real eigenvalue.
    pub fn real(rate: f64) -> Eigenvalue {
        Eigenvalue { rate, frequency: 0.0 }
    }

    /// How many it counts for.
    pub fn width(self) -> usize {
        if self.frequency > 0.0 { 2 } else { 1 }
    }

    /// Whether both are the same but for rounding.
    pub fn is_close(self, other: Eigenvalue) -> bool {
        let size = |e: Eigenvalue| e.rate.abs() + e.frequency;
        let gap = (self.rate - other.rate).abs() + (self.frequency - other.frequency).abs();
        gap <= 16.0 * f64::EPSILON * size(self).max(size(other))
    }
}

/// A discriminant this small against its terms is rounding: both eigenvalues are one.
const DOUBLE: f64 = 32.0 * f64::EPSILON;

/// The eigenvalues of those states that are marked, which must be closed under "depends on".
pub(super) fn eigenvalues(flow: &Matrix, marked: &[bool; SIZE]) -> Vec<Eigenvalue> {
    let reach = reach(flow);
    let mut done = [false; SIZE];
    let mut found = Vec::new();
    for first in 0..flow.n {
        if !marked[first] || done[first] {
            continue;
        }
        let block: Vec<usize> =
            (0..flow.n).filter(|other| *other == first || (reach[first][*other] && reach[*other][first])).collect();
        block.iter().for_each(|state| done[*state] = true);
        match block.as_slice() {
            [at] => found.push(Eigenvalue::real(flow.rows[*at][*at])),
            [a, b] => found.extend(of_two(flow, *a, *b)),
            _ => found.extend(of_many(&Matrix::from_fn(block.len(), |i, j| flow.rows[block[i]][block[j]]))),
        }
    }
    found
}

/// `reach[i][j]`: whether state i depends on state j, at once or through others.
pub(super) fn reach(flow: &Matrix) -> [[bool; SIZE]; SIZE] {
    let mut reach = flow.rows.map(|row| row.map(|entry| entry != 0.0));
    for through in 0..flow.n {
        let onwards = reach[through];
        for row in reach.iter_mut().filter(|row| row[through]) {
            row.iter_mut().zip(onwards).for_each(|(entry, next)| *entry |= next);
        }
    }
    reach
}

fn of_two(flow: &Matrix, a: usize, b: usize) -> Vec<Eigenvalue> {
    let middle = 0.5 * (flow.rows[a][a] + flow.rows[b][b]);
    let half = 0.5 * (flow.rows[a][a] - flow.rows[b][b]);
    let coupling = flow.rows[a][b] * flow.rows[b][a];
    let discriminant = half * half + coupling;
    if discriminant.abs() <= DOUBLE * (half * half + coupling.abs()) {
        return vec![Eigenvalue::real(middle); 2];
    }
    if discriminant < 0.0 {
        return vec![Eigenvalue { rate: middle, frequency: (-discriminant).sqrt() }];
    }
    let large = middle + discriminant.sqrt().copysign(middle);
    let product = flow.rows[a][a] * flow.rows[b][b] - coupling;
    let small = if large == 0.0 { 0.0 } else { product / large };
    vec![Eigenvalue::real(large), Eigenvalue::real(small)]
}

/// The roots of the characteristic polynomial, one by one, each divided out (Laguerre's method).
fn of_many(block: &Matrix) -> Vec<Eigenvalue> {
    let scale = block.norm();
    if scale == 0.0 || !scale.is_finite() {
        return vec![Eigenvalue::real(0.0); block.n];
    }
    let mut polynomial = characteristic(&block.scaled(1.0 / scale));
    let mut found = Vec::new();
    while polynomial.len() > 1 {
        let root = laguerre(&polynomial);
        if polynomial.len() == 2 || root.im.abs() <= 1e-14 * root.size() {
            found.push(Eigenvalue::real(root.re * scale));
            polynomial = divide(&polynomial, &[-root.re]);
        } else {
            found.push(Eigenvalue { rate: root.re * scale, frequency: root.im.abs() * scale });
            polynomial = divide(&polynomial, &[-2.0 * root.re, root.re * root.re + root.im * root.im]);
        }
    }
    found
}

/// Coefficients of `det(x - block)`, the highest power first (Faddeev and LeVerrier).
fn characteristic(block: &Matrix) -> Vec<f64> {
    let n = block.n;
    let mut coefficients = vec![1.0];
    let mut power = Matrix::from_fn(n, |_, _| 0.0);
    for k in 1..=n {
        let last = coefficients.last().copied().unwrap_or(1.0);
        let mut shifted = Matrix { n, rows: block.rows.map(|row| power.times_row(&row)) };
        for (at, row) in shifted.rows.iter_mut().enumerate().take(n) {
            row[at] += last;
        }
        let trace: f64 = (0..n).map(|at| block.rows.map(|row| shifted.times_row(&row))[at][at]).sum();
        coefficients.push(-trace / k as f64);
        power = shifted;
    }
    coefficients
}

/// A root of a polynomial, by Laguerre's method from 0, which converges from nearly everywhere.
fn laguerre(polynomial: &[f64]) -> Complex {
    let degree = (polynomial.len() - 1) as f64;
    let mut at = Complex::real(0.0);
    for round in 1..=80 {
        let (mut value, mut slope, mut bend) = (Complex::real(0.0), Complex::real(0.0), Complex::real(0.0));
        let mut bound = 0.0;
        for coefficient in polynomial {
            bend = bend * at + slope;
            slope = slope * at + value;
            value = value * at + Complex::real(*coefficient);
            bound = bound * at.size() + coefficient.abs();
        }
        if value.size() <= f64::EPSILON * bound {
            break;
        }
        let g = slope / value;
        let h = g * g - (bend / value).scaled(2.0);
        let root = ((h.scaled(degree) - g * g).scaled(degree - 1.0)).sqrt();
        let (plus, minus) = (g + root, g - root);
        let divisor = if plus.size() > minus.size() { plus } else { minus };
        // Out of the rare cycles a fractional step leads.
        let length = if round % 10 == 0 { 0.37 * degree } else { degree };
        let step = if divisor.size() > 0.0 { Complex::real(length) / divisor } else { Complex { re: 0.5, im: 0.5 } };
        at = at - step;
        if step.size() <= 1e-17 * at.size() {
            break;
        }
    }
    at
}

/// A polynomial divided by a monic one, given without its leading 1; the remainder is rounding.
fn divide(polynomial: &[f64], by: &[f64]) -> Vec<f64> {
    let mut quotient = polynomial.to_vec();
    for at in 1..polynomial.len() {
        for (back, factor) in by.iter().enumerate().take(at) {
            quotient[at] -= factor * quotient[at - back - 1];
        }
    }
    quotient.truncate(polynomial.len() - by.len());
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[f64]]) -> Vec<Eigenvalue> {
        let mut found = eigenvalues(&Matrix::from_fn(rows.len(), |i, j| rows[i][j]), &[true; SIZE]);
        found.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        found
    }

    #[test]
    fn a_cascade_keeps_its_own_rates() {
        let found = of(&[&[-1.0 / 0.26, 1.0, 0.3], &[0.0, -1.0 / 0.13, 2.0], &[0.0, 0.0, -7.0]]);
        let rates: Vec<f64> = found.iter().map(|e| e.rate).collect();
        assert_eq!(rates, [-1.0 / 0.13, -7.0, -1.0 / 0.26]);
    }

    #[test]
    fn two_states_that_act_on_each_other() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-14 * b.abs();
        // x^2 + 3 x + 2, x^2 + 2 x + 5 and a double root written as u' = v, v' = -u / tau^2 - 2 v / tau.
        let real = of(&[&[0.0, 1.0], &[-2.0, -3.0]]);
        assert!(close(real[0].rate, -2.0) && close(real[1].rate, -1.0), "{real:?}");
        assert_eq!(of(&[&[0.0, 1.0], &[-5.0, -2.0]]), [Eigenvalue { rate: -1.0, frequency: 2.0 }]);
        let tau: f64 = 0.013;
        let double = of(&[&[0.0, 1.0], &[-1.0 / (tau * tau), -2.0 / tau]]);
        assert_eq!(double, [Eigenvalue::real(-1.0 / tau); 2]);
    }

    #[test]
    fn four_states_in_a_ring() {
        // The companion matrix of (x + 1)(x + 3)(x^2 + 2 x + 17).
        let found =
            of(&[&[0.0, 1.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 0.0], &[0.0, 0.0, 0.0, 1.0], &[-51.0, -74.0, -28.0, -6.0]]);
        let expected = [(-3.0, 0.0), (-1.0, 0.0), (-1.0, 4.0)];
        assert_eq!(found.len(), 3);
        for (e, (rate, frequency)) in found.iter().zip(expected) {
            let close = (e.rate - rate).abs() < 1e-13;
            assert!(close || e.frequency > 0.0, "{found:?}");
            assert!(e.frequency == 0.0 || (e.frequency - 4.0).abs() < 1e-13, "{found:?} {frequency}");
        }
    }
}
