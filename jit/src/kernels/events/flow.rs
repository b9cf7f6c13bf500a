//! How states move over a stretch of time, at the cost of one exponential for each time constant.
//!
//! Where the time constants are real and apart, `e^(flow dt)` is a sum of one matrix for each of them (Sylvester's formula);
//! otherwise it comes from the solver, which is slower. This file must never know lanes or lists.

use snn_loops::events::{Propagator, Solver};

/// Rates nearer to each other than this, relative to the larger, are left to the solver.
const APART: f64 = 1e-3;

/// The flow over a stretch of time: `x = matrix x + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<const D: usize> {
    pub matrix: [[f64; D]; D],
    pub offset: [f64; D],
}

/// The flow of a neuron.
pub(super) struct Flow<const D: usize> {
    solver: Solver,
    terms: Option<[Term<D>; D]>,
    has_drive: bool,
    /// Whether the first rate is twice the second, and there are no more.
    is_square: bool,
}

/// One time constant.
#[derive(Clone, Copy, Debug)]
struct Term<const D: usize> {
    rate: f64,
    matrix: [[f64; D]; D],
    drive: [f64; D],
}

impl<const D: usize> Flow<D> {
    pub fn new(solver: &Solver) -> Flow<D> {
        let neuron = solver.neuron();
        let flow: [[f64; D]; D] = square(&neuron.flow);
        let mut drive = [0.0; D];
        drive.iter_mut().zip(&neuron.drive).for_each(|(entry, value)| *entry = *value);
        let terms = rates(&flow).and_then(|rates| terms(&flow, &drive, rates));
        let is_square = D == 2 && terms.as_ref().is_some_and(|terms| terms[0].rate == 2.0 * terms[D - 1].rate);
        Flow { solver: solver.clone(), terms, has_drive: drive.iter().any(|value| *value != 0.0), is_square }
    }

    /// The flow over `dt` seconds.
    #[inline]
    pub fn step(&self, dt: f64) -> Step<D> {
        let mut step = Step { matrix: [[0.0; D]; D], offset: [0.0; D] };
        let Some(terms) = &self.terms else {
            let Propagator { matrix, offset, .. } = self.solver.propagator(dt);
            step.matrix = square(&matrix);
            step.offset.iter_mut().zip(offset).for_each(|(entry, value)| *entry = value);
            return step;
        };
        let slow = libm::exp(terms[D - 1].rate * dt);
        for (at, term) in terms.iter().enumerate() {
            let factor = match (at + 1 == D, self.is_square) {
                (true, _) => slow,
                (false, true) => slow * slow,
                (false, false) => libm::exp(term.rate * dt),
            };
            for (row, from) in step.matrix.iter_mut().zip(&term.matrix) {
                row.iter_mut().zip(from).for_each(|(entry, value)| *entry += factor * value);
            }
            if self.has_drive {
                let weight = if term.rate == 0.0 { dt } else { libm::expm1(term.rate * dt) / term.rate };
                step.offset.iter_mut().zip(&term.drive).for_each(|(entry, value)| *entry += weight * value);
            }
        }
        step
    }
}

impl<const D: usize> Step<D> {
    /// States after it.
    #[inline]
    pub fn advance(&self, x: &[f64; D]) -> [f64; D] {
        let mut after = self.offset;
        for (value, row) in after.iter_mut().zip(&self.matrix) {
            for (entry, state) in row.iter().zip(x) {
                *value += entry * state;
            }
        }
        after
    }

    /// The adjoint before it.
    #[inline]
    pub fn advance_adjoint(&self, lambda: &[f64; D]) -> [f64; D] {
        let mut before = [0.0; D];
        for (row, weight) in self.matrix.iter().zip(lambda) {
            before.iter_mut().zip(row).for_each(|(sum, entry)| *sum += weight * entry);
        }
        before
    }
}

/// A matrix stored rows first.
pub(super) fn square<const D: usize>(from: &[f64]) -> [[f64; D]; D] {
    let mut matrix = [[0.0; D]; D];
    for (row, from) in matrix.iter_mut().zip(from.chunks(D)) {
        row.iter_mut().zip(from).for_each(|(entry, value)| *entry = *value);
    }
    matrix
}

/// The real eigenvalues of a triangular matrix, or of one of two rows; the fastest decay first.
fn rates<const D: usize>(flow: &[[f64; D]; D]) -> Option<[f64; D]> {
    let is_zero = |below: bool| {
        flow.iter().enumerate().all(|(row, entries)| {
            entries.iter().enumerate().all(|(column, entry)| *entry == 0.0 || row == column || (column < row) != below)
        })
    };
    let mut rates = [0.0; D];
    if is_zero(true) || is_zero(false) {
        rates.iter_mut().enumerate().for_each(|(at, rate)| *rate = flow[at][at]);
    } else if D == 2 {
        let (a, b, c, d) = (flow[0][0], flow[0][1], flow[1][0], flow[1][1]);
        let (mean, half) = (0.5 * (a + d), 0.5 * (a - d));
        let root = (half * half + b * c).sqrt();
        (rates[0], rates[1]) = (mean - root, mean + root);
    } else {
        return None;
    }
    rates.sort_by(f64::total_cmp);
    rates.iter().all(|rate| rate.is_finite()).then_some(rates)
}

/// Sylvester's formula; `None` where two rates are too near to each other.
fn terms<const D: usize>(flow: &[[f64; D]; D], drive: &[f64; D], rates: [f64; D]) -> Option<[Term<D>; D]> {
    let mut terms = [Term { rate: 0.0, matrix: [[0.0; D]; D], drive: [0.0; D] }; D];
    for (at, term) in terms.iter_mut().enumerate() {
        term.rate = rates[at];
        term.matrix.iter_mut().enumerate().for_each(|(row, entries)| entries[row] = 1.0);
        for (other, rate) in rates.iter().enumerate().filter(|(other, _)| *other != at) {
            let gap = rates[at] - rate;
            if gap.abs() <= APART * rates[at].abs().max(rates[other].abs()) {
                return None;
            }
            let mut product = [[0.0; D]; D];
            for (row, entries) in product.iter_mut().enumerate() {
                for (column, entry) in entries.iter_mut().enumerate() {
                    for (k, from) in flow.iter().enumerate() {
                        let shifted = from[column] - if k == column { *rate } else { 0.0 };
                        *entry += term.matrix[row][k] * shifted / gap;
                    }
                }
            }
            term.matrix = product;
        }
        for (value, row) in term.drive.iter_mut().zip(&term.matrix) {
            *value = row.iter().zip(drive).map(|(a, b)| a * b).sum();
        }
    }
    Some(terms)
}
