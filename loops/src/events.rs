//! Neurons in continuous time: the spike times of a linear neuron, to machine precision and without a time grid.
//!
//! A [`LinearNeuron`] is a linear system in numbers. A [`Solver`] is what is worked out of it once: how its states move
//! over any stretch of time ([`Propagator`]) and when its potential next reaches the threshold ([`Solution`]).
//! [`simulate`] and [`adjoint`] are what one neuron does to a list of input spikes and what the gradient of that is:
//! they are written for reading, and whoever computes whole layers must agree with them.
//!
//! Times are in seconds and always relative to the last event, so that nothing grows with the length of a sample.
//!
//! This module must never know layers, trains of many neurons, or how equations are written.

mod adjoint;
mod chain;
mod complex;
mod divided;
mod gradient;
mod lambert;
mod matrix;
mod modes;
mod neuron;
mod propagator;
mod search;
mod simulate;
mod solution;
mod solver;
mod spectrum;
#[cfg(test)]
mod tests;

pub use adjoint::{Gradient, adjoint};
pub use gradient::SpikeAdjoint;
pub use modes::Mode;
pub use neuron::{LinearNeuron, MAX_ORDER, Unsolvable};
pub use propagator::Propagator;
pub use simulate::{InputSpike, OutputSpike, Response, simulate};
pub use solution::Solution;
pub use solver::Solver;
