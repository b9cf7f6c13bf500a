//! When the potential of a neuron next reaches its threshold.

use super::chain::Chain;
use super::modes::{Mode, modes};
use super::neuron::{LinearNeuron, Unsolvable};
use super::propagator::Propagator;
use super::search;
use super::solution::{Closed, Solution, falls};

/// A neuron and what is worked out of it once.
#[derive(Clone, Debug)]
pub struct Solver {
    neuron: LinearNeuron,
    chain: Chain,
    solution: Solution,
}

/// A potential that differs from the threshold by fewer roundings than this stands at it.
const ROUNDINGS: f64 = 64.0 * f64::EPSILON;

impl Solver {
    /// Prepares a neuron.
    ///
    /// # Errors
    /// If its parts do not fit each other, are not finite, or are too many.
    pub fn new(neuron: &LinearNeuron) -> Result<Solver, Unsolvable> {
        neuron.check()?;
        let chain = Chain::new(neuron);
        let solution = Solution::of(neuron, &chain);
        Ok(Solver { neuron: neuron.clone(), chain, solution })
    }

    /// The neuron.
    pub fn neuron(&self) -> &LinearNeuron {
        &self.neuron
    }

    /// How its spike times are found.
    pub fn solution(&self) -> &Solution {
        &self.solution
    }

    /// The excess of its potential over the threshold as a sum of exponentials, the fastest first.
    pub fn modes(&self) -> Vec<Mode> {
        modes(&self.neuron, &self.chain)
    }

    /// The largest frequency with which its potential oscillates, in radians per second; 0 if it does not. A search
    /// takes time in proportion to the half periods it runs over.
    pub fn frequency(&self) -> f64 {
        self.chain.frequency()
    }

    /// The flow over `dt >= 0` seconds.
    pub fn propagator(&self, dt: f64) -> Propagator {
        Propagator::new(&self.neuron, dt)
    }

    /// `threshold . x - theta`
    pub fn excess(&self, x: &[f64]) -> f64 {
        self.neuron.potential(x) - self.neuron.theta
    }

    /// The first time `s` in `0..=limit` at which the potential stands at or above the threshold, for a neuron with
    /// states `x` that was below it until now: 0 if an event has just lifted it there.
    ///
    /// Without rounding of the states themselves the error is a few units in the last place of the time constants,
    /// divided by the slope of the potential where it is nearly tangent to the threshold.
    pub fn first_crossing(&self, x: &[f64], limit: f64) -> Option<f64> {
        if self.excess(x) >= 0.0 {
            return Some(0.0);
        }
        self.next_rise(x, limit, true)
    }

    /// The same for a neuron that has just spiked: a potential that its reset has left at or above the threshold must
    /// fall below it first. What rounding cannot tell from the threshold stands at it.
    pub fn first_return(&self, x: &[f64], limit: f64) -> Option<f64> {
        let below =
            if self.stands_at_threshold(x) { falls(&self.chain.of(x), &self.chain) } else { self.excess(x) < 0.0 };
        self.next_rise(x, limit, below)
    }

    /// Whether the potential is below the threshold by more than rounding.
    pub fn is_below(&self, x: &[f64]) -> bool {
        self.excess(x) < 0.0 && !self.stands_at_threshold(x)
    }

    fn stands_at_threshold(&self, x: &[f64]) -> bool {
        let terms = self.neuron.threshold.iter().zip(x).map(|(weight, state)| (weight * state).abs());
        self.excess(x).abs() <= ROUNDINGS * (terms.sum::<f64>() + self.neuron.theta.abs())
    }

    /// The first rise through the threshold from states on the given side of it.
    fn next_rise(&self, x: &[f64], limit: f64, below: bool) -> Option<f64> {
        match self.solution.rise(x) {
            Closed::Never => None,
            Closed::Unknown => search::first_crossing(&self.chain, &self.chain.of(x), limit, below),
            Closed::At(time) => {
                let rising = self.neuron.slope(x) > 0.0;
                if rising && self.stands_at_threshold(x) && !below {
                    // The only rise is the one that has just been.
                    return None;
                }
                // Below and rising, the crossing is still to come, if by less than rounding.
                let time = if rising && below { time.max(0.0) } else { time };
                (0.0..=limit).contains(&time).then_some(time)
            }
        }
    }
}
