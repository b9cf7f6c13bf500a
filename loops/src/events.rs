//! Neurons in continuous time: the spike times of a linear neuron, to machine precision and without a time grid.
//!
//! A [`LinearNeuron`] is a linear system in numbers. A [`Solver`] is what is worked out of it once: how its states move
//! over any stretch of time ([`Propagator`]) and when its membrane potential next reaches the threshold.
//!
//! Times are in seconds and always relative to the last event, so that nothing grows with the length of a sample.
//!
//! This module must never know layers, trains of many neurons, or how equations are written.

mod gradient;
mod matrix;
mod neuron;
mod propagator;
mod solver;

pub use neuron::{LinearNeuron, MAX_ORDER, Unsolvable};
pub use propagator::Propagator;
pub use solver::Solver;
