//! A neuron's equations as numbers.

use std::collections::BTreeMap;

use snn_loops::events::LinearNeuron;

use crate::eval::{EvalContext, evaluate};
use crate::graph::Graph;
use crate::op::ShapeError;
use crate::ops::dynamics::{Flow, StepFn};

/// The neuron with these initial states and constants.
pub fn linear_neuron(flow: &Flow, start: &[f64], constants: &[f64]) -> Result<LinearNeuron, ShapeError> {
    let n = flow.states.len();
    let threshold = flow.threshold.as_ref().ok_or_else(|| ShapeError::new("a neuron on events needs `spike when`"))?;
    if flow.output.is_some() {
        return Err(ShapeError::new("a neuron on events gives its spikes and nothing else"));
    }
    let (flow_matrix, drive) = affine(&flow.derivative, n, &[], constants, "equations")?;
    let (reset, kick) = affine(&threshold.reset, n, &[1.0], constants, "reset")?;
    let (row, offset) = affine(&threshold.condition, n, &[], constants, "threshold")?;
    let zero = vec![0.0; n];
    let mut inject = Vec::with_capacity(flow.n_signals);
    let rest = call(&flow.jumps, &[&zero[..], &vec![0.0; flow.n_signals], constants].concat())?;
    for port in 0..flow.n_signals {
        let mut signals = vec![0.0; flow.n_signals];
        signals[port] = 1.0;
        let jumped = call(&flow.jumps, &[&zero[..], &signals, constants].concat())?;
        inject.push(jumped.iter().zip(&rest).map(|(a, b)| a - b).collect());
    }
    Ok(LinearNeuron {
        order: n,
        flow: flow_matrix,
        drive,
        inject,
        threshold: row,
        theta: -offset[0],
        reset,
        kick,
        start: start.to_vec(),
    })
}

fn call(function: &StepFn, arguments: &[f64]) -> Result<Vec<f64>, ShapeError> {
    let mut graph = Graph::step_body(1);
    let mut nodes = Vec::with_capacity(arguments.len());
    for value in arguments {
        nodes.push(graph.constant(*value)?);
    }
    let outputs = function.inline(&mut graph, &nodes)?;
    let bindings = BTreeMap::new();
    let mut context = EvalContext::new(1, 1, &bindings);
    let values = evaluate(&graph, &outputs, &mut context).map_err(|error| ShapeError::new(error.to_string()))?;
    Ok(values.iter().map(|value| value.data.first().copied().unwrap_or(f64::NAN)).collect())
}

/// A function of states as matrix (rows first) and offset.
fn affine(
    function: &StepFn,
    n: usize,
    more: &[f64],
    constants: &[f64],
    what: &str,
) -> Result<(Vec<f64>, Vec<f64>), ShapeError> {
    let at = |x: &[f64]| call(function, &[x, more, constants].concat());
    let offset = at(&vec![0.0; n])?;
    let mut matrix = vec![0.0; offset.len() * n];
    for column in 0..n {
        let mut x = vec![0.0; n];
        x[column] = 1.0;
        for (row, (value, offset)) in at(&x)?.iter().zip(&offset).enumerate() {
            matrix[row * n + column] = value - offset;
        }
    }
    let probe: Vec<f64> = (0..n).map(|i| 0.37 + 1.3 * i as f64).collect();
    for (row, value) in at(&probe)?.iter().enumerate() {
        let linear: f64 = (0..n).map(|i| matrix[row * n + i] * probe[i]).sum::<f64>() + offset[row];
        if (value - linear).abs() > 1e-9 * (1.0 + linear.abs()) {
            return Err(ShapeError::new(format!("the neuron's {what} are not linear in its states")));
        }
    }
    Ok((matrix, offset))
}
