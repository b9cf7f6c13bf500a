//! Looking into a neuron: from a model whose result is its spikes to the graph of its membrane potentials and gradients.
//!
//! The loss of the layer files is `sum(gs * s) + sum(gv * v)`, where v is the membrane potential after each step. A time
//! loop gives its states before each step and after the last, which is the same sequence; the cotangent `gv` is
//! split accordingly.

use snn_graph::ops::{InputOp, Scan};
use snn_graph::passes::rewrite::{copy, copy_as, rewrite, rewrite_model};
use snn_graph::{Graph, Kind, Model, NodeId, Op, SpikeOutput, Tensor, Ty, autodiff};

use crate::files::Values;
use crate::source::prepare;
use crate::ways::{Bindings, Results, Wanted};

/// The name of the initial membrane potential.
pub const INITIAL: &str = "v0";

/// What is asked of a neuron.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe<'p> {
    /// Which state is the membrane potential, whose cotangent is `gv`; `None` where the loss knows spikes only.
    pub membrane: Option<usize>,
    /// All states whose values are wanted.
    pub states: &'p [usize],
    /// Whether the initial membrane potential is an input, [`INITIAL`].
    pub initial: bool,
    /// Whether the model is evaluated and not trained.
    pub evaluation: bool,
}

impl Probe<'_> {
    /// The graph of `s`, the states, and `g:<name>` for the inputs and the parameters.
    pub fn wanted(self, model: &Model) -> Wanted {
        let mut model = model.clone();
        if let (true, Some(state)) = (self.initial, self.membrane) {
            model = with_initial(&model, state);
        }
        for state in self.states {
            let (scan, op) = time_loop(&model);
            for (name, result) in [(before(*state), op.states_before(*state)), (last(*state), op.final_state(*state))] {
                let node = model.graph.project(scan, result).unwrap();
                // Listed with the layers of neurons, they survive the passes.
                model.spikes.push(SpikeOutput { path: name, node, max_spikes: None });
            }
        }
        self.differentiated(prepare(&model, !self.evaluation))
    }

    fn differentiated(self, model: Model) -> Wanted {
        let mut graph = model.graph;
        let mut outputs = vec![("s".to_owned(), model.output)];
        let mut seeds = vec![(model.output, cotangent(&mut graph, "gs", model.output))];
        for watched in model.spikes {
            let is = |name: String| self.membrane.is_some() && watched.path == name;
            let membrane = self.membrane.unwrap_or_default();
            if is(before(membrane)) {
                seeds.push((watched.node, cotangent(&mut graph, "gv.before", watched.node)));
            } else if is(last(membrane)) {
                seeds.push((watched.node, cotangent(&mut graph, "gv.final", watched.node)));
            }
            outputs.push((watched.path, watched.node));
        }
        let inputs = model.inputs.into_iter().map(|input| (input.name, input.node));
        let wrt: Vec<(String, NodeId)> = inputs.chain(model.parameters.into_iter().map(|p| (p.path, p.node))).collect();
        let nodes: Vec<NodeId> = wrt.iter().map(|(_, node)| *node).collect();
        let gradients = autodiff::gradients(&mut graph, &seeds, &nodes).unwrap();
        for ((name, _), gradient) in wrt.into_iter().zip(gradients) {
            outputs.extend(gradient.map(|gradient| (format!("g:{name}"), gradient)));
        }
        Wanted { graph, outputs }.simplified()
    }
}

fn before(state: usize) -> String {
    format!("before{state}")
}

fn last(state: usize) -> String {
    format!("final{state}")
}

/// An input for the gradient with respect to a node.
pub fn cotangent(graph: &mut Graph, name: &str, of: NodeId) -> NodeId {
    let ty = graph.ty(of).with_kind(Kind::Real);
    input(graph, name, &ty)
}

fn input(graph: &mut Graph, name: &str, ty: &Ty) -> NodeId {
    graph.push(InputOp { name: name.to_owned(), ty: ty.clone() }, &[]).unwrap()
}

/// The same model with the initial value of the neuron's `state` as one more input.
fn with_initial(model: &Model, state: usize) -> Model {
    let (scan, _) = time_loop(model);
    let open = |graph: &Graph, roots: &[NodeId]| {
        rewrite(graph, roots, &mut |new, id, inputs| {
            let node = graph.node(id);
            if id != scan {
                return copy(new, node, inputs);
            }
            let mut inputs = inputs.to_vec();
            let ty = new.ty(inputs[state]).with_kind(Kind::Real);
            inputs[state] = input(new, INITIAL, &ty);
            copy_as(new, node, node.op.clone(), &inputs)
        })
    };
    let mut model = rewrite_model(model, &open).unwrap();
    let (scan, _) = time_loop(&model);
    let node = model.graph.node(scan).inputs[state];
    let dims = model.graph.ty(node).dims.clone();
    model.inputs.push(snn_graph::Input { name: INITIAL.to_owned(), kind: snn_graph::InputKind::Static, dims, node });
    model
}

/// The time loop that the model's result comes from: the last one before it. What a neuron's next state does not need
/// lies behind its loop.
fn time_loop(model: &Model) -> (NodeId, Scan) {
    let needed = model.graph.reachable(&[model.output]);
    let scan = |id: NodeId| match &model.graph.node(id).op {
        Op::Scan(op) if needed[id.index()] => Some((id, op.clone())),
        _ => None,
    };
    model.graph.ids().rev().find_map(scan).expect("the result does not come from a neuron")
}

/// Binds a tensor.
pub fn bind(bindings: &mut Bindings, name: &str, values: &Values) {
    bindings.insert(name.to_owned(), Tensor { dims: values.dims.clone(), data: values.data.clone() });
}

/// Binds a number.
pub fn bind_number(bindings: &mut Bindings, name: &str, value: f64) {
    bindings.insert(name.to_owned(), Tensor { dims: Vec::new(), data: vec![value] });
}

/// Binds the cotangents of spikes and membrane potentials, both `[time][sample][...]`.
pub fn bind_cotangents(bindings: &mut Bindings, gs: &Values, gv: &Values) {
    bind(bindings, "gs", gs);
    let step: usize = gv.dims[1..].iter().product();
    let (early, latest) = gv.data.split_at(gv.data.len() - step);
    let mut shifted = vec![0.0; step];
    shifted.extend_from_slice(early);
    bind(bindings, "gv.before", &Values { dims: gv.dims.clone(), data: shifted });
    bind(bindings, "gv.final", &Values { dims: gv.dims[1..].to_vec(), data: latest.to_vec() });
}

/// The values of a state after each step.
pub fn sequence(results: &Results, state: usize) -> Vec<f64> {
    let (before, last) = (&results[&before(state)], &results[&last(state)]);
    before[last.len()..].iter().chain(last).copied().collect()
}
