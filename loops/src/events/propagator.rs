//! How the states of a neuron move over a stretch of time without events.

use super::divided::divided_exp;
use super::matrix::{Matrix, Row, SIZE};
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
    ///
    /// Where no state acts back on one that it depends on, which is so in nearly all neurons, every entry is a sum of
    /// divided differences of exponentials and accurate to a few units in its last place. Otherwise it is the
    /// exponential of a matrix, and errors are relative to the largest entry.
    pub fn new(neuron: &LinearNeuron, dt: f64) -> Propagator {
        let n = neuron.order;
        let flow = augmented(neuron);
        let exp = if is_cascade(&flow) { cascade_exp(&flow, dt) } else { flow.scaled(dt).exp() };
        let matrix = exp.rows.iter().take(n).flat_map(|row| row.iter().take(n).copied()).collect();
        let offset = exp.rows.iter().take(n).filter_map(|row| row.get(n).copied()).collect();
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

/// The flow with the constant 1 as one more state, which carries the drive.
pub(super) fn augmented(neuron: &LinearNeuron) -> Matrix {
    let n = neuron.order;
    Matrix::from_fn(n + 1, |row, column| match (row < n, column < n) {
        (true, true) => neuron.flow.get(row * n + column).copied().unwrap_or(0.0),
        (true, false) => neuron.drive.get(row).copied().unwrap_or(0.0),
        (false, _) => 0.0,
    })
}

/// Whether no state depends on itself through others.
fn is_cascade(flow: &Matrix) -> bool {
    let mut settled = [false; SIZE];
    for _ in 0..flow.n {
        for at in 0..flow.n {
            let ready = |(other, entry): (usize, &f64)| other == at || *entry == 0.0 || settled[other];
            settled[at] = flow.rows[at].iter().enumerate().take(flow.n).all(ready);
        }
    }
    settled.iter().take(flow.n).all(|settled| *settled)
}

/// The exponential of a cascade: the effect of one state on another is a sum over the ways between them, each a product
/// of couplings and a divided difference over the rates on the way.
fn cascade_exp(flow: &Matrix, dt: f64) -> Matrix {
    let mut exp = Matrix::from_fn(flow.n, |_, _| 0.0);
    for (at, row) in exp.rows.iter_mut().enumerate().take(flow.n) {
        let mut way = Way { flow, dt, rates: [0.0; SIZE] };
        way.walk(at, 0, 1.0, row);
    }
    exp
}

/// A way through the states of a cascade, against the direction of influence.
struct Way<'f> {
    flow: &'f Matrix,
    dt: f64,
    /// The rates of the states on it, times the stretch of time.
    rates: [f64; SIZE],
}

impl Way<'_> {
    /// Goes on at state `at`, the `depth`-th of the way, and adds the effects of all states from there to `row`.
    fn walk(&mut self, at: usize, depth: usize, coupling: f64, row: &mut Row) {
        let couplings = self.flow.rows[at];
        self.rates[depth] = couplings[at] * self.dt;
        row[at] += coupling * divided_exp(&self.rates[..=depth]);
        for (from, strength) in couplings.iter().enumerate().take(self.flow.n) {
            if from != at && *strength != 0.0 {
                self.walk(from, depth + 1, coupling * strength * self.dt, row);
            }
        }
    }
}
