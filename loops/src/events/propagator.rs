//! How the states of a neuron move over a stretch of time without events.

use super::matrix::Matrix;
use super::neuron::{LinearNeuron, MAX_ORDER, dot};

/// The flow of a neuron over a fixed time: `x(dt) = matrix x(0) + offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Propagator {
    /// Number of states, d.
    pub order: usize,
    /// `e^(flow dt)`, d x d, rows first.
    pub matrix: Vec<f64>,
    /// What the drive adds: the integral of `e^(flow s) drive` for s from 0 to dt; d.
    pub offset: Vec<f64>,
}

impl Propagator {
    /// The flow of a neuron over `dt >= 0` seconds.
    pub fn new(neuron: &LinearNeuron, dt: f64) -> Propagator {
        let n = neuron.order;
        let augmented = Matrix::from_fn(n + 1, |row, column| match (row < n, column < n) {
            (true, true) => neuron.flow[row * n + column] * dt,
            (true, false) => neuron.drive[row] * dt,
            (false, _) => 0.0,
        });
        let exp = augmented.exp();
        let matrix = (0..n * n).map(|at| exp.at(at / n, at % n)).collect();
        let offset = (0..n).map(|row| exp.at(row, n)).collect();
        Propagator { order: n, matrix, offset }
    }

    /// The states after the stretch, in place.
    pub fn advance(&self, x: &mut [f64]) {
        let mut after = [0.0; MAX_ORDER];
        for (value, (row, offset)) in after.iter_mut().zip(self.matrix.chunks_exact(self.order).zip(&self.offset)) {
            *value = dot(row, x) + offset;
        }
        x.iter_mut().zip(after).for_each(|(state, value)| *state = value);
    }

    /// The adjoint states before the stretch from those after it, in place: `matrix^T lambda`.
    pub fn advance_adjoint(&self, lambda: &mut [f64]) {
        let mut before = [0.0; MAX_ORDER];
        for (row, weight) in self.matrix.chunks_exact(self.order).zip(lambda.iter()) {
            before.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        lambda.iter_mut().zip(before).for_each(|(state, value)| *state = value);
    }
}
