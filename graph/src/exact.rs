//! Neurons given by equations as linear systems in numbers, for event-exact spike times.
//!
//! A [`Flow`] whose equations are linear in its states, whose signals are added to them and whose constants are known
//! numbers becomes a [`LinearNeuron`]; anything else is an error that says which term is in the way and what to do.
//! How spike times are found from it, `snn_loops::events` knows; [`explain`] tells it to people.
//!
//! This module must never know layers or trains of spikes.

mod affine;
mod equations;
mod explain;
mod known;
mod term;

pub use explain::{Explanation, explain};

use snn_loops::events::{LinearNeuron, Solution, Solver};

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::dynamics::Flow;

/// What all errors advise who cannot change the neuron.
const GRID: &str = "or train it on a grid of steps: `time 200 of 1ms` and `gradient = stbp`";

/// The neuron of a `dynamics` node.
///
/// # Errors
/// If its spike times cannot be solved; the error names the state, term or value and shows the node.
pub fn neuron_of(graph: &Graph, node: NodeId) -> Result<LinearNeuron, ShapeError> {
    let Op::Dynamics(dynamics) = &graph.node(node).op else {
        return Err(ShapeError::new("only a neuron given by equations has spike times").at(&[node]));
    };
    let inputs = &graph.node(node).inputs;
    let flow = &*dynamics.flow;
    let numbers = known::known_numbers(graph, inputs);
    let n = flow.states.len();
    let (starts, others) = numbers.split_at(n.min(numbers.len()));
    let constants = others.get(flow.n_signals..).unwrap_or_default();
    for (position, number) in constants.iter().enumerate() {
        let input = inputs.get(n + flow.n_signals + position);
        if let (None, Some(input)) = (number, input) {
            return Err(unknown_constant(graph, *input).at(&[*input]));
        }
    }
    neuron(flow, starts, constants).map_err(|error| error.at(&[node]))
}

/// The neuron that equations describe, from the numbers that its states start with and its constants have.
///
/// # Errors
/// If its spike times cannot be solved; the error names the state, term or value.
pub fn neuron(flow: &Flow, starts: &[Option<f64>], constants: &[Option<f64>]) -> Result<LinearNeuron, ShapeError> {
    let neuron = equations::linear(flow, starts, constants)?;
    let solver = Solver::new(&neuron).map_err(|reason| {
        ShapeError::new(format!("the spike times of this neuron cannot be solved: {reason}"))
            .help(format!("check its time constants and thresholds, {GRID}"))
    })?;
    if never_rises(&solver) {
        return Err(ShapeError::new(
            "an input spike lifts the membrane potential of this neuron itself, and nothing else does: it can only spike \
             at the times of its inputs, and its weights have no gradient",
        )
        .help(format!("let inputs drive a current (`on x {{ i += x }}`) that drives the potential, {GRID}")));
    }
    Ok(neuron)
}

fn unknown_constant(graph: &Graph, constant: NodeId) -> ShapeError {
    let node = graph.node(constant);
    let what = match &node.op {
        Op::ParamOp(_) => "is learned",
        _ if node.ty.time => "changes with time",
        _ if node.ty.batch => "differs from sample to sample",
        _ => "is not a number that is known before training",
    };
    let name = match &node.op {
        Op::ParamOp(param) => Some(param.path.as_str()),
        _ => node.name.as_deref(),
    };
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    ShapeError::new(format!("a constant{name} of this neuron {what}, but event-exact spike times need numbers"))
        .help(format!("make it a setting, such as `tau = 20ms`, {GRID}"))
}

/// Whether the potential never reaches the threshold from below between events.
fn never_rises(solver: &Solver) -> bool {
    match solver.solution() {
        Solution::Logarithm { rate, level, .. } => {
            let (states, constant) = level.split_at(level.len().saturating_sub(1));
            *rate < 0.0 && states.iter().all(|weight| *weight == 0.0) && constant.iter().all(|level| *level <= 0.0)
        }
        _ => false,
    }
}
