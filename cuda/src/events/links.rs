//! The excess of a potential over the threshold as a chain of linear functions of the states, one rate a link.
//!
//! `f0` is the excess, `f(k+1) = (d/dt - rate k) f(k)`; a pair of rates `r +- i w` takes two links, the second
//! `(d/dt - r) f(k+1) + w^2 f(k)`. The function behind the last link is 0.

use snn_loops::events::{LinearNeuron, Solver};

/// A link.
pub(super) struct Link {
    /// Weights of the states, and last of the constant 1.
    pub row: Vec<f64>,
    /// Per second.
    pub rate: f64,
    /// Radians per second; 0 without an oscillation.
    pub frequency: f64,
    /// Whether it is the second of a pair.
    pub is_second: bool,
}

/// The links of a neuron, by ascending rates.
pub(super) fn links(neuron: &LinearNeuron, solver: &Solver) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut row: Vec<f64> = neuron.threshold.iter().copied().chain([-neuron.theta]).collect();
    for (rate, frequency) in rates(solver) {
        for is_second in [false, true].into_iter().take(if frequency > 0.0 { 2 } else { 1 }) {
            let mut next = derivative(neuron, &row);
            next.iter_mut().zip(&row).for_each(|(entry, own)| *entry -= rate * own);
            if let Some(first) = links.last().filter(|_| is_second) {
                next.iter_mut().zip(&first.row).for_each(|(entry, other)| *entry += frequency * frequency * other);
            }
            links.push(Link { row, rate, frequency, is_second });
            row = next;
        }
    }
    links
}

/// Rates and frequencies that the excess depends on, each as often as it counts.
fn rates(solver: &Solver) -> Vec<(f64, f64)> {
    // A rate that counts n times has the powers 0 to n - 1 of the time.
    let mut rates: Vec<(f64, f64)> = solver.modes().iter().map(|mode| (mode.rate, mode.frequency)).collect();
    rates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    rates
}

/// The slope of a linear function of the states and 1.
fn derivative(neuron: &LinearNeuron, row: &[f64]) -> Vec<f64> {
    let n = neuron.order;
    let mut slope = vec![0.0; n + 1];
    let flows = neuron.flow.chunks_exact(n.max(1)).zip(&neuron.drive);
    for (weight, (flow, drive)) in row.iter().zip(flows) {
        slope.iter_mut().zip(flow.iter().chain([drive])).for_each(|(sum, entry)| *sum += weight * entry);
    }
    slope
}
