//! When the potential of a neuron next reaches its threshold.

use super::neuron::{LinearNeuron, Unsolvable};
use super::propagator::Propagator;

/// A neuron and what is worked out of it once.
#[derive(Clone, Debug)]
pub struct Solver {
    neuron: LinearNeuron,
}

impl Solver {
    /// Prepares a neuron.
    pub fn new(neuron: &LinearNeuron) -> Result<Solver, Unsolvable> {
        neuron.check()?;
        Ok(Solver { neuron: neuron.clone() })
    }

    /// The neuron.
    pub fn neuron(&self) -> &LinearNeuron {
        &self.neuron
    }

    /// The flow over `dt >= 0` seconds.
    pub fn propagator(&self, dt: f64) -> Propagator {
        Propagator::new(&self.neuron, dt)
    }

    /// The first time `s` in `0..=limit` at which the potential stands at or above the threshold, for a neuron with
    /// states `x` that was below it until now: 0 if an event has just lifted it there.
    pub fn first_crossing(&self, x: &[f64], limit: f64) -> Option<f64> {
        if self.excess(x) >= 0.0 { Some(0.0) } else { self.search(x, 0.0, limit, 0) }
    }

    /// The same for a neuron that is not below its threshold, as after a spike whose reset has left it there: the first
    /// time at which the potential reaches the threshold from below again.
    pub fn first_return(&self, x: &[f64], limit: f64) -> Option<f64> {
        let scale =
            self.neuron.threshold.iter().zip(x).map(|(a, b)| (a * b).abs()).sum::<f64>() + self.neuron.theta.abs();
        if self.excess(x) < -16.0 * f64::EPSILON * scale {
            return self.search(x, 0.0, limit, 0);
        }
        let below = self.search_below(x, 0.0, limit, scale, 0)?;
        let mut from = x.to_vec();
        self.propagator(below).advance(&mut from);
        Some(below + self.search(&from, 0.0, limit - below, 0)?)
    }

    fn excess(&self, x: &[f64]) -> f64 {
        self.neuron.potential(x) - self.neuron.theta
    }

    fn excess_at(&self, x: &[f64], s: f64) -> f64 {
        let mut at = x.to_vec();
        self.propagator(s).advance(&mut at);
        self.excess(&at)
    }

    /// A bound of the slope within `from..to`.
    fn steepest(&self, x: &[f64], from: f64, to: f64) -> f64 {
        let n = self.neuron.order;
        let norm =
            self.neuron.flow.chunks_exact(n).map(|row| row.iter().map(|a| a.abs()).sum::<f64>()).fold(0.0, f64::max);
        let mut at = x.to_vec();
        self.propagator(from).advance(&mut at);
        let mut rate = vec![0.0; n];
        self.neuron.rate(&at, &mut rate);
        let largest = rate.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let weight: f64 = self.neuron.threshold.iter().map(|a| a.abs()).sum();
        weight * largest * libm::exp(norm * (to - from))
    }

    /// The first root within `from..=to` of a potential that begins below the threshold.
    fn search(&self, x: &[f64], from: f64, to: f64, depth: u32) -> Option<f64> {
        let (low, high) = (self.excess_at(x, from), self.excess_at(x, to));
        if high < 0.0 && low.max(high) + self.steepest(x, from, to) * (to - from) < 0.0 {
            return None;
        }
        let middle = 0.5 * (from + to);
        if depth == 60 || middle <= from || middle >= to {
            return (high >= 0.0).then_some(to);
        }
        self.search(x, from, middle, depth + 1).or_else(|| self.search(x, middle, to, depth + 1))
    }

    /// A time within `from..=to` at which the potential is below the threshold.
    fn search_below(&self, x: &[f64], from: f64, to: f64, scale: f64, depth: u32) -> Option<f64> {
        let high = self.excess_at(x, to);
        if depth < 12 && to > from {
            let middle = 0.5 * (from + to);
            return self
                .search_below(x, from, middle, scale, depth + 1)
                .or_else(|| self.search_below(x, middle, to, scale, depth + 1));
        }
        (high < -16.0 * f64::EPSILON * scale).then_some(to)
    }
}
