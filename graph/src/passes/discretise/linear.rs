//! What kind of equations a neuron has: whether they are linear in its states, and their coefficients.

use std::collections::BTreeSet;

use crate::autodiff;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::dynamics::{Flow, StepFn};
use crate::ops::pointwise::Function;
use crate::passes::{dce, fold};

/// A neuron's right-hand side together with its derivatives by the states, simplified.
#[derive(Clone, Debug)]
pub struct Jacobian {
    /// (states.., constants..) to the derivatives that are not zero, in the order of `entries`.
    pub function: StepFn,
    /// (row, column) of each result: the derivative of that state's rate by that state.
    pub entries: Vec<(usize, usize)>,
}

impl Jacobian {
    /// The derivatives as numbers, where all of them are (0 where they are left out).
    pub fn constant(&self) -> Option<Vec<((usize, usize), f64)>> {
        let value = |output: &NodeId| fold::known_number(&self.function.graph, *output);
        self.entries
            .iter()
            .copied()
            .zip(&self.function.outputs)
            .map(|(at, output)| Some((at, value(output)?)))
            .collect()
    }

    /// The part of it on the diagonal.
    pub fn diagonal(&self) -> Jacobian {
        let kept = self.entries.iter().zip(&self.function.outputs).filter(|((row, column), _)| row == column);
        let (entries, outputs): (Vec<_>, Vec<_>) = kept.map(|(at, output)| (*at, *output)).unzip();
        Jacobian { function: StepFn { outputs, ..self.function.clone() }, entries }
    }
}

/// The equations with numbers in place of those constants that are numbers; the function's arguments stay as they are.
pub fn specialise(flow: &Flow, constants: &[Option<f64>]) -> Result<Flow, ShapeError> {
    let StepFn { graph: old, inputs: arguments, .. } = &flow.derivative;
    let mut graph = Graph::step_body(old.steps);
    let mut inputs = Vec::with_capacity(arguments.len());
    for argument in arguments {
        inputs.push(graph.push(old.node(*argument).op.clone(), &[])?);
    }
    let mut values = inputs.clone();
    for (value, constant) in values.iter_mut().skip(flow.states.len()).zip(constants) {
        if let Some(number) = constant {
            *value = graph.constant(*number)?;
        }
    }
    let outputs = flow.derivative.inline(&mut graph, &values)?;
    Ok(Flow { derivative: StepFn { graph, inputs, outputs }, ..flow.clone() })
}

/// Differentiates the equations by the states, element by element.
pub fn jacobian(flow: &Flow) -> Result<Jacobian, ShapeError> {
    let mut graph = flow.derivative.graph.clone();
    let states = &flow.derivative.inputs[..flow.states.len()];
    let mut entries = Vec::new();
    let mut outputs = Vec::new();
    let one = graph.constant(1.0)?;
    let seed = graph.broadcast(one, &flow.state_ty)?;
    for (row, rate) in flow.derivative.outputs.iter().enumerate() {
        let rate = graph.broadcast(*rate, &flow.state_ty)?;
        for (column, slope) in autodiff::gradients(&mut graph, &[(rate, seed)], states)?.into_iter().enumerate() {
            if let Some(slope) = slope {
                entries.push((row, column));
                outputs.push(slope);
            }
        }
    }
    let function = simplified(&StepFn { graph, inputs: flow.derivative.inputs.clone(), outputs })?;
    // What simplifies to zero counts as left out.
    let zero = |output: &NodeId| fold::known_number(&function.graph, *output) == Some(0.0);
    let kept: Vec<_> = entries.into_iter().zip(function.outputs.clone()).filter(|(_, output)| !zero(output)).collect();
    let (entries, outputs) = kept.into_iter().unzip();
    Ok(Jacobian { function: StepFn { outputs, ..function }, entries })
}

/// The part of the right-hand side that does not depend on the states: (constants..) to one value for each state.
pub fn offset(flow: &Flow) -> Result<StepFn, ShapeError> {
    let mut graph = Graph::step_body(flow.derivative.graph.steps);
    let mut arguments = Vec::with_capacity(flow.derivative.inputs.len());
    let (states, constants) = flow.derivative.inputs.split_at(flow.states.len());
    for _ in states {
        arguments.push(graph.constant(0.0)?);
    }
    let mut inputs = Vec::with_capacity(constants.len());
    for constant in constants {
        let input = graph.push(flow.derivative.graph.node(*constant).op.clone(), &[])?;
        inputs.push(input);
        arguments.push(input);
    }
    let outputs = flow.derivative.inline(&mut graph, &arguments)?;
    simplified(&StepFn { graph, inputs, outputs })
}

fn simplified(function: &StepFn) -> Result<StepFn, ShapeError> {
    let roots: Vec<NodeId> = function.inputs.iter().chain(&function.outputs).copied().collect();
    let folded = fold::graph(&function.graph, &roots)?;
    let folded_roots = folded.nodes(&roots)?;
    let mut clean = dce::graph(&folded.graph, &folded_roots)?;
    let roots = clean.nodes(&folded_roots)?;
    let (inputs, outputs) = roots.split_at(function.inputs.len());
    // These derivatives are part of the neuron's step, not of the backward pass.
    for id in clean.graph.ids() {
        clean.graph.node_mut(id).grad = false;
    }
    Ok(StepFn { inputs: inputs.to_vec(), outputs: outputs.to_vec(), graph: clean.graph })
}

/// Whether the right-hand side is linear in the states as written: sums, differences, products with and quotients by
/// what does not depend on a state, and nothing else. (`v * v / v` is linear too, but not as written.)
pub fn is_linear(flow: &Flow) -> bool {
    let graph = &flow.derivative.graph;
    let needed = graph.reachable(&flow.derivative.outputs);
    let mut dependent: BTreeSet<NodeId> = flow.derivative.inputs[..flow.states.len()].iter().copied().collect();
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let depends: Vec<bool> = node.inputs.iter().map(|input| dependent.contains(input)).collect();
        if !depends.contains(&true) {
            continue;
        }
        let linear = match &node.op {
            Op::Broadcast(_) | Op::Reshape(_) => true,
            Op::Pointwise(pointwise) => match pointwise.function {
                Function::Add | Function::Sub | Function::Neg => true,
                Function::Mul => depends != [true, true],
                Function::Div => depends == [true, false],
                Function::Where => depends.first() == Some(&false),
                _ => false,
            },
            _ => false,
        };
        if !linear {
            return false;
        }
        dependent.insert(id);
    }
    true
}
