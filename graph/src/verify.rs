//! What is true of every graph between passes.
//!
//! 1. Every operand is an earlier node.
//! 2. A node's recorded shape is the one that its op derives from the recorded types of its operands; its recorded kind is
//!    the derived one or says more, and truth values are never numbers.
//! 3. In the body of a scan, and in a function of a neuron's equations, nothing has a time axis and nothing is a scan.
//! 4. A projection reads a result that its operand has.
//! 5. The body of a scan has as many steps as the graph around it; its states, signals and constants are all of its inputs,
//!    each listed once.
//! 6. Bodies and functions satisfy all of this themselves.
//!
//! And of every model: its inputs, parameters and averages are nodes that read a value of their name and shape; the loss
//! and the prediction are one number for each sample; names of stored values differ.
//!
//! A violation is a mistake of the compiler, never of the user.

use std::collections::BTreeSet;
use std::fmt;

use crate::graph::{Graph, Node, NodeId};
use crate::model::Model;
use crate::op::{Op, OpRule, ShapeContext};
use crate::ops::dynamics::{Flow, StepFn};
use crate::ops::scan::Body;
use crate::ty::{Kind, Ty};

/// A violated invariant.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The node at fault; inside a body, the scan around it.
    pub node: NodeId,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.message)
    }
}

impl std::error::Error for Violation {}

/// Checks a graph.
pub fn verify(graph: &Graph) -> Result<(), Violation> {
    for id in graph.ids() {
        node(graph, id).map_err(|message| Violation { node: id, message })?;
    }
    Ok(())
}

/// Checks a model and its graph.
pub fn verify_model(model: &Model) -> Result<(), Violation> {
    verify(&model.graph)?;
    let mut names = BTreeSet::new();
    let stored = model.inputs.iter().map(|input| (input.node, &input.name, &input.dims));
    let stored = stored.chain(model.targets.iter().map(|target| (target.node, &target.name, &target.dims)));
    let stored =
        stored.chain(model.parameters.iter().map(|parameter| (parameter.node, &parameter.path, &parameter.dims)));
    let stored = stored.chain(model.averages.iter().map(|average| (average.node, &average.path, &average.dims)));
    for (node, name, dims) in stored {
        let violation = |message: String| Violation { node, message };
        exists(&model.graph, node).map_err(violation)?;
        if !names.insert(name) {
            return Err(violation(format!("`{name}` names two stored values")));
        }
        reads(&model.graph, node, name, dims).map_err(violation)?;
    }
    for node in [model.loss, model.prediction].into_iter().flatten() {
        let violation = |message: String| Violation { node, message };
        exists(&model.graph, node).map_err(violation)?;
        let ty = model.graph.ty(node);
        if !ty.same_shape(&Ty::signal(false, &[])) {
            return Err(violation(format!("a loss or prediction is one number for each sample, not {ty}")));
        }
    }
    exists(&model.graph, model.output).map_err(|message| Violation { node: model.output, message })
}

/// Whether a node reads the stored value of that name, with that shape (the time axis, if any, in front).
fn reads(graph: &Graph, id: NodeId, name: &str, dims: &[usize]) -> Result<(), String> {
    let found = match &graph.node(id).op {
        Op::InputOp(input) => &input.name,
        Op::ParamOp(param) => &param.path,
        Op::AverageOp(average) => &average.path,
        other => return Err(format!("`{name}` is read by `{}`, which reads nothing", other.name())),
    };
    let ty = graph.ty(id);
    let with_time = [&[graph.steps][..], &ty.dims].concat();
    if found != name {
        return Err(format!("`{name}` is read as `{found}`"));
    }
    if dims != ty.dims && !(ty.time && dims == with_time) {
        return Err(format!("`{name}` has the shape {dims:?} but is read as {ty}"));
    }
    Ok(())
}

fn node(graph: &Graph, id: NodeId) -> Result<(), String> {
    let node = graph.node(id);
    if let Some(later) = node.inputs.iter().find(|input| **input >= id) {
        return Err(format!("the operand {later} is not an earlier node"));
    }
    recorded_type(graph, node)?;
    if graph.is_step {
        in_step(node)?;
    }
    match &node.op {
        Op::Scan(scan) => body(graph, &scan.body),
        Op::Dynamics(dynamics) => equations(&dynamics.flow),
        _ => Ok(()),
    }
}

fn recorded_type(graph: &Graph, node: &Node) -> Result<(), String> {
    let derived = match &node.op {
        Op::Project(project) => {
            let [operand] = node.inputs[..] else { return Err("a projection takes one operand".to_string()) };
            let found = graph.node(operand).op.result_ty(project.index);
            found.ok_or_else(|| format!("{operand} has no result {}", project.index))?
        }
        op => {
            let inputs: Vec<&Ty> = node.inputs.iter().map(|input| graph.ty(*input)).collect();
            let context = ShapeContext { steps: graph.steps, is_step: graph.is_step };
            op.shape(&context, &inputs).map_err(|error| error.to_string())?
        }
    };
    let recorded = &node.ty;
    let is_truth = |ty: &Ty| ty.kind == Kind::Truth;
    if !recorded.same_shape(&derived) || recorded.kind > derived.kind || is_truth(recorded) != is_truth(&derived) {
        return Err(format!("recorded as {recorded}, but its op gives {derived}"));
    }
    Ok(())
}

fn in_step(node: &Node) -> Result<(), String> {
    if node.ty.time {
        return Err("a time axis inside one step".to_string());
    }
    match &node.op {
        Op::Scan(_) | Op::Project(_) | Op::SpikeTimes(_) => Err("a time loop inside one step".to_string()),
        _ => Ok(()),
    }
}

fn body(outer: &Graph, body: &Body) -> Result<(), String> {
    let graph = &body.graph;
    if !graph.is_step || graph.steps != outer.steps {
        return Err(format!("the body of a scan over {} steps is not one of its steps", outer.steps));
    }
    let listed: Vec<NodeId> = body.states.iter().chain(&body.xs).chain(&body.consts).copied().collect();
    inputs_are(graph, &listed)?;
    body.next.iter().chain(&body.ys).try_for_each(|id| exists(graph, *id))?;
    verify(graph).map_err(|violation| format!("in its body, {violation}"))
}

fn equations(flow: &Flow) -> Result<(), String> {
    function("derivative", &flow.derivative)?;
    function("jumps", &flow.jumps)?;
    if let Some(threshold) = &flow.threshold {
        function("condition", &threshold.condition)?;
        function("spike", &threshold.spike)?;
        function("reset", &threshold.reset)?;
    }
    flow.output.as_ref().map_or(Ok(()), |output| function("output", output))
}

fn function(name: &str, function: &StepFn) -> Result<(), String> {
    if !function.graph.is_step {
        return Err(format!("its `{name}` is not a graph of one step"));
    }
    inputs_are(&function.graph, &function.inputs)?;
    function.outputs.iter().try_for_each(|id| exists(&function.graph, *id))?;
    verify(&function.graph).map_err(|violation| format!("in its `{name}`, {violation}"))
}

/// Checks that the nodes listed are the inputs of a body, each once.
fn inputs_are(graph: &Graph, listed: &[NodeId]) -> Result<(), String> {
    let set: BTreeSet<NodeId> = listed.iter().copied().collect();
    if set.len() != listed.len() {
        return Err("an input of its body is listed twice".to_string());
    }
    let inputs: BTreeSet<NodeId> = graph.ids().filter(|id| matches!(graph.node(*id).op, Op::InputOp(_))).collect();
    match set.symmetric_difference(&inputs).next() {
        Some(odd) if inputs.contains(odd) => Err(format!("the input {odd} of its body is bound to nothing")),
        Some(odd) => Err(format!("{odd} of its body is not an input")),
        None => Ok(()),
    }
}

fn exists(graph: &Graph, id: NodeId) -> Result<(), String> {
    if id.index() < graph.len() { Ok(()) } else { Err(format!("there is no node {id}")) }
}
