//! The distance of the potential from the threshold as a chain of linear equations, one eigenvalue a link.
//!
//! With `g = threshold . x - theta` and the eigenvalues `l0, l1, ..` that it depends on, the links are
//!
//! ```text
//! f0 = g,   f1 = (d/dt - l0) f0,   f2 = (d/dt - l1) f1, ..
//! ```
//!
//! Each is a linear function of the states, and the one behind the last is 0. A conjugate pair `r +- i w` takes two
//! links: `f(k+1) = (d/dt - r) f(k)` and `f(k+2) = (d/dt - r) f(k+1) + w^2 f(k)`. Equal eigenvalues need no care.

use super::divided::divided_exp;
use super::matrix::{Matrix, Row, SIZE};
use super::neuron::{LinearNeuron, dot};
use super::propagator::augmented;
use super::spectrum::{Eigenvalue, eigenvalues, reach};

/// The links of a neuron.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// Ascending by rate; pairs count for two links.
    pub eigenvalues: Vec<Eigenvalue>,
    /// For each link, its weights of the states and of the constant 1.
    rows: Vec<Row>,
    /// For each link, its eigenvalue and whether it is the second link of a pair.
    links: Vec<(Eigenvalue, bool)>,
}

/// What is left of a functional counts as nothing below this many roundings of what it was computed from.
const NOTHING: f64 = 256.0 * f64::EPSILON;

impl Chain {
    /// The shortest chain that describes the potential of a neuron.
    pub fn new(neuron: &LinearNeuron) -> Chain {
        let flow = augmented(neuron);
        let mut excess = [0.0; SIZE];
        excess[..neuron.order].copy_from_slice(&neuron.threshold);
        excess[neuron.order] = -neuron.theta;
        let mut eigenvalues = needed(&flow, &excess);
        eigenvalues.sort_by(|a, b| a.rate.total_cmp(&b.rate).then(a.frequency.total_cmp(&b.frequency)));
        let mut rows = Vec::new();
        let mut links = Vec::new();
        let mut row = excess;
        for eigenvalue in &eigenvalues {
            for second in [false, true].into_iter().take(eigenvalue.width()) {
                rows.push(row);
                links.push((*eigenvalue, second));
                row = next_row(&flow, &rows, *eigenvalue, second);
            }
        }
        Chain { eigenvalues, rows, links }
    }

    /// Number of links.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The eigenvalue of a link, and whether it is the second of a pair.
    pub fn link(&self, at: usize) -> (Eigenvalue, bool) {
        self.links[at]
    }

    /// The weight of a state, or of the constant 1 behind the last, in a link.
    pub fn weight(&self, at: usize, column: usize) -> f64 {
        self.rows[at][column]
    }

    /// The links' values for states `x`.
    pub fn of(&self, x: &[f64]) -> Row {
        let mut values = [0.0; SIZE];
        for (value, row) in values.iter_mut().zip(&self.rows) {
            *value = dot(&row[..x.len()], x) + row[x.len()];
        }
        values
    }

    /// The largest frequency, in radians per second; 0 if nothing oscillates.
    pub fn frequency(&self) -> f64 {
        self.eigenvalues.iter().fold(0.0, |most, e| most.max(e.frequency))
    }

    /// The values of the links `first..` after a time `s`, from their values now; those before `first` are not computed.
    pub fn after(&self, now: &Row, s: f64, first: usize) -> Row {
        if self.frequency() > 0.0 { self.after_oscillation(now, s) } else { self.after_decay(now, s, first) }
    }

    /// Without oscillations: sums over divided differences, in which nothing cancels that does not cancel in the result.
    fn after_decay(&self, now: &Row, s: f64, first: usize) -> Row {
        let n = self.len();
        let mut nodes = [0.0; SIZE];
        nodes.iter_mut().zip(&self.links).for_each(|(node, (e, _))| *node = e.rate * s);
        let mut then = [0.0; SIZE];
        for at in first..n {
            let mut power = 1.0;
            for from in at..n {
                if now[from] != 0.0 {
                    then[at] += power * divided_exp(&nodes[at..=from]) * now[from];
                }
                power *= s;
            }
        }
        then
    }

    fn after_oscillation(&self, now: &Row, s: f64) -> Row {
        let n = self.len();
        let step = Matrix::from_fn(n, |row, column| {
            let (e, second) = self.links[row];
            if column == row {
                e.rate * s
            } else if column == row + 1 {
                s
            } else if second && column + 1 == row {
                -e.frequency * e.frequency * s
            } else {
                0.0
            }
        });
        let exp = step.exp();
        let mut then = [0.0; SIZE];
        then.iter_mut().zip(&exp.rows).take(n).for_each(|(value, row)| *value = dot(row, now));
        then
    }
}

/// The link behind the last of `rows`.
fn next_row(flow: &Matrix, rows: &[Row], eigenvalue: Eigenvalue, second: bool) -> Row {
    let (last, before) = (rows.last().copied().unwrap_or([0.0; SIZE]), rows.iter().rev().nth(1));
    let square = if second { eigenvalue.frequency * eigenvalue.frequency } else { 0.0 };
    let mut row = flow.times_row(&last);
    for (at, entry) in row.iter_mut().enumerate() {
        *entry -= eigenvalue.rate * last[at];
        *entry += square * before.map_or(0.0, |before| before[at]);
    }
    row
}

/// The eigenvalues that the excess depends on: each once, and again only as often as something is left without it.
fn needed(flow: &Matrix, excess: &Row) -> Vec<Eigenvalue> {
    let (mut once, mut again): (Vec<Eigenvalue>, Vec<Eigenvalue>) = (Vec::new(), Vec::new());
    for eigenvalue in eigenvalues(flow, &seen_by(flow, excess)) {
        let known = once.iter().find(|other| other.is_close(eigenvalue));
        match known {
            Some(same) => again.push(*same),
            None => once.push(eigenvalue),
        }
    }
    let mut needed = Vec::new();
    let (mut row, mut size) = (*excess, excess.map(f64::abs));
    let sizes = Matrix { n: flow.n, rows: flow.rows.map(|row| row.map(f64::abs)) };
    for eigenvalue in once.into_iter().chain(again) {
        if row.iter().zip(&size).all(|(value, size)| value.abs() <= NOTHING * size) {
            break;
        }
        needed.push(eigenvalue);
        let mut rows = vec![row];
        let mut bounds = vec![size];
        for second in [false, true].into_iter().take(eigenvalue.width()) {
            rows.push(next_row(flow, &rows, eigenvalue, second));
            let magnitude = Eigenvalue { rate: -eigenvalue.rate.abs(), ..eigenvalue };
            bounds.push(next_row(&sizes, &bounds, magnitude, second));
        }
        row = rows.last().copied().unwrap_or(row);
        size = bounds.last().copied().unwrap_or(size);
    }
    needed
}

/// The states (and the constant) that have an effect on the excess, now or later.
fn seen_by(flow: &Matrix, excess: &Row) -> [bool; SIZE] {
    let reach = reach(flow);
    let mut seen = excess.map(|weight| weight != 0.0);
    for (row, _) in reach.iter().zip(excess).filter(|(_, weight)| **weight != 0.0) {
        seen.iter_mut().zip(row).for_each(|(seen, entry)| *seen |= entry);
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alpha, cuba};
    use super::*;

    fn rates(neuron: &LinearNeuron) -> Vec<f64> {
        Chain::new(neuron).eigenvalues.iter().map(|e| e.rate).collect()
    }

    #[test]
    fn every_time_constant_once_and_the_constant() {
        assert_eq!(rates(&cuba(2.0, 1.0)), [-1.0, -0.5, 0.0]);
        assert_eq!(rates(&alpha(2.0)), [-0.5, -0.5, 0.0]);
    }

    #[test]
    fn two_synapses_with_one_time_constant_count_once() {
        // u' = i + j - u / 2, i' = -i, j' = -j
        let mut neuron = cuba(2.0, 1.0);
        neuron.order = 3;
        neuron.flow = vec![-0.5, 1.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0];
        neuron.drive = vec![0.0; 3];
        neuron.threshold = vec![1.0, 0.0, 0.0];
        assert_eq!(rates(&neuron), [-1.0, -0.5, 0.0]);
    }

    #[test]
    fn a_state_that_nothing_depends_on_does_not_count() {
        let mut neuron = cuba(2.0, 1.0);
        neuron.threshold = vec![0.0, 1.0];
        assert_eq!(rates(&neuron), [-1.0, 0.0]);
    }
}
