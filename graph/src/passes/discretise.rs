//! The pass `discretise`: from equations to steps.
//!
//! Every [`Dynamics`](crate::ops::Dynamics) node becomes a time loop. One step of length dt is, in this order: the
//! jumps of the signals (`on x`) at its start, the flow over dt ([`solution`]), one threshold test at its end, the
//! reset. The gradient is then that of the loop: backpropagation through time with the surrogate of the threshold test.
//!
//! Equations inside the body of a loop (feedback) become part of that body, and their states states of that loop.

mod body;
pub mod linear;
pub mod matrix;
pub mod phi;
pub mod solution;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::build::Built;
use crate::exact::Explanation;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::dynamics::{Flow, Threshold};
use crate::ops::scan::Body;
use crate::ops::{InputOp, Project, Scan};
use crate::passes::fold;
use crate::passes::rewrite::{Rewritten, copy, copy_as, rewrite};
use crate::ty::Ty;

use solution::Solution;

/// What one step of a neuron gives.
#[derive(Clone, Debug)]
pub struct Step {
    /// The states after it.
    pub next: Vec<NodeId>,
    /// The neuron's value.
    pub value: NodeId,
}

/// The graph with all equations discretised with steps of `dt` seconds. Without equations, no `dt` is needed.
pub fn graph(old: &Graph, roots: &[NodeId], dt: Option<f64>) -> Result<Rewritten, ShapeError> {
    // For scans that took in states: how many results lie before those that moved, and by how many places.
    let mut moved: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match &node.op {
            Op::Dynamics(dynamics) => {
                let dt = step_length(dt, id)?;
                discretise_node(new, &dynamics.flow, dt, inputs)
            }
            Op::Scan(scan) if body::has_equations(&scan.body) => {
                let dt = step_length(dt, id)?;
                let absorbed = body::absorb(new, &scan.body, inputs, dt)?;
                let grown = absorbed.body.states.len() - scan.body.states.len();
                moved.insert(id, (scan.states_before(0), grown));
                let op = Scan { body: Rc::new(absorbed.body), reverse: scan.reverse };
                copy_as(new, node, op.into(), &absorbed.inputs)
            }
            Op::Project(project) => copy_projection(new, node, inputs, &moved, project.index),
            _ => copy(new, node, inputs),
        }
    })
}

/// A projection; the states before each step come behind the final states, old and new.
fn copy_projection(
    new: &mut Graph,
    node: &Node,
    inputs: &[NodeId],
    moved: &BTreeMap<NodeId, (usize, usize)>,
    index: usize,
) -> Built {
    let place = node.inputs.first().and_then(|scan| moved.get(scan));
    let index = match place {
        Some((first, by)) if index >= *first => index + by,
        _ => index,
    };
    copy_as(new, node, Project { index }.into(), inputs)
}

fn step_length(dt: Option<f64>, node: NodeId) -> Result<f64, ShapeError> {
    dt.filter(|dt| dt.is_finite() && *dt > 0.0).ok_or_else(|| {
        ShapeError::new("a neuron given by equations needs to know how long a step is")
            .help("give the time axis a length, for example `time 100 of 1ms`")
            .at(&[node])
    })
}

/// Appends a loop over all steps in place of equations in a whole model, and gives its value.
fn discretise_node(graph: &mut Graph, flow: &Flow, dt: f64, inputs: &[NodeId]) -> Built {
    let mut inner = Graph::step_body(graph.steps);
    inner.current_name = graph.current_name.clone();
    inner.current_origin = graph.current_origin;
    let (inits, operands) = inputs.split_at(flow.states.len());
    let mut states = Vec::with_capacity(flow.states.len());
    for name in &flow.states {
        states.push(inner.push(InputOp { name: name.clone(), ty: flow.state_ty.clone() }, &[])?);
    }
    let (mut outer_xs, mut xs, mut outer_consts, mut consts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut arguments = Vec::with_capacity(operands.len());
    for (position, operand) in operands.iter().enumerate() {
        if let Some(number) = graph.constant_value(*operand) {
            arguments.push(inner.constant(number)?);
            continue;
        }
        let ty = graph.ty(*operand);
        let name = if position < flow.n_signals { "signal" } else { "constant" };
        let input = inner.push(InputOp { name: name.into(), ty: Ty { time: false, ..ty.clone() } }, &[])?;
        arguments.push(input);
        let (outer, own) = if ty.time { (&mut outer_xs, &mut xs) } else { (&mut outer_consts, &mut consts) };
        outer.push(*operand);
        own.push(input);
    }
    let (signals, constants) = arguments.split_at(flow.n_signals);
    let Step { next, value } = step(&mut inner, flow, dt, &states, signals, constants)?;
    let ys = vec![inner.broadcast(value, &flow.state_ty)?];
    let body = Body { graph: inner, states, xs, consts, next, ys };
    let scan = graph.scan(body, false, inits, &outer_xs, &outer_consts)?;
    graph.project(scan, 0)
}

/// Appends one step of a neuron to the body of a loop.
pub fn step(
    graph: &mut Graph,
    flow: &Flow,
    dt: f64,
    states: &[NodeId],
    signals: &[NodeId],
    constants: &[NodeId],
) -> Result<Step, ShapeError> {
    let with = |first: &[NodeId], second: &[NodeId]| -> Vec<NodeId> { [first, second, constants].concat() };
    let jumped = flow.jumps.inline(graph, &with(states, signals))?;
    let numbers: Vec<Option<f64>> = constants.iter().map(|id| fold::known_number(graph, *id)).collect();
    let known = linear::specialise(flow, &numbers)?;
    let mut next = solution::solve(&known, dt)?.advance(graph, &known, dt, &jumped, constants)?;
    let mut spikes = Vec::new();
    if let Some(Threshold { condition, spike, reset }) = &flow.threshold {
        let argument = condition.inline_one(graph, &with(&next, &[]))?;
        spikes.push(spike.inline_one(graph, &with(&[argument], &[]))?);
        next = reset.inline(graph, &with(&next, &spikes))?;
    }
    let value = match &flow.output {
        Some(output) => Some(output.inline_one(graph, &with(&next, &spikes))?),
        None => spikes.first().copied(),
    };
    let value = value.ok_or_else(|| ShapeError::new("a neuron without `spike when` needs a value"))?;
    for state in &mut next {
        *state = graph.broadcast(*state, &flow.state_ty)?;
    }
    Ok(Step { next, value })
}

/// How every neuron given by equations is advanced, in words; in feedback loops, too.
///
/// # Errors
/// If there is one and the length of a step is not known, or its states leave all bounds within a step.
pub fn explain(graph: &Graph, dt: Option<f64>) -> Result<Vec<Explanation>, ShapeError> {
    let mut found = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        match &node.op {
            Op::Dynamics(dynamics) => {
                let name = node.name.as_deref().unwrap_or_default().to_owned();
                found.push(Explanation { name, text: describe(&dynamics.flow, step_length(dt, id)?)? });
            }
            Op::Scan(scan) => found.extend(explain(&scan.body.graph, dt)?),
            _ => {}
        }
    }
    Ok(found)
}

/// How a neuron is advanced over steps of `dt` seconds, in words.
pub fn describe(flow: &Flow, dt: f64) -> Result<String, ShapeError> {
    let solution: Solution = solution::solve(flow, dt)?;
    let mut text = format!("steps of {dt} s; ");
    text.push_str(&solution.describe(flow));
    if flow.threshold.is_some() {
        text.push_str("  one threshold test at the end of a step, then the reset\n");
    }
    Ok(text)
}
