//! Cutting a function of one instant out of the graph.
//!
//! A neuron's equations are elaborated as ordinary nodes that read placeholders. What depends on a placeholder becomes the
//! body of a [`StepFn`]; what does not is a constant of the neuron, computed outside.
//! Must never know which neuron it is.

use std::collections::{BTreeMap, BTreeSet};

use snn_graph::op::{Op, ShapeError};
use snn_graph::ops::dynamics::StepFn;
use snn_graph::ops::{Broadcast, InputOp};
use snn_graph::{Graph, NodeId, Ty};

/// The parts of a graph that depend on some placeholders.
pub(super) struct Cutter<'g> {
    graph: &'g Graph,
    depends: Vec<bool>,
    /// Values from outside that any of the functions reads, in the order in which they were met.
    constants: Vec<NodeId>,
    known: BTreeSet<NodeId>,
}

impl<'g> Cutter<'g> {
    /// A cutter for functions of these placeholders.
    pub(super) fn new(graph: &'g Graph, placeholders: &[NodeId]) -> Self {
        let mut depends = vec![false; graph.len()];
        for id in graph.ids() {
            let inputs = &graph.node(id).inputs;
            let is_placeholder = placeholders.contains(&id);
            let flag = is_placeholder || inputs.iter().any(|input| depends.get(input.index()) == Some(&true));
            if let Some(slot) = depends.get_mut(id.index()) {
                *slot = flag;
            }
        }
        Cutter { graph, depends, constants: Vec::new(), known: BTreeSet::new() }
    }

    fn depends(&self, id: NodeId) -> bool {
        self.depends.get(id.index()) == Some(&true)
    }

    /// Notes the values from outside that these results read.
    pub(super) fn gather(&mut self, results: &[NodeId]) {
        let needed = self.graph.reachable(results);
        let graph = self.graph;
        for id in graph.ids() {
            if needed.get(id.index()) == Some(&true) && self.depends(id) {
                graph.node(id).inputs.iter().for_each(|input| self.note(*input));
            }
        }
        results.iter().for_each(|result| self.note(*result));
    }

    fn note(&mut self, id: NodeId) {
        if !self.depends(id) && !is_number(self.graph, id) && self.known.insert(id) {
            self.constants.push(id);
        }
    }

    /// The values from outside, in the order in which every function takes them.
    pub(super) fn constants(&self) -> &[NodeId] {
        &self.constants
    }

    /// The function from `arguments` (placeholders) and the constants to `results`, each broadcast to `ty`.
    pub(super) fn function(&self, arguments: &[NodeId], results: &[NodeId], ty: &Ty) -> Result<StepFn, ShapeError> {
        let mut body = Graph::step_body(self.graph.steps);
        let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let mut inputs = Vec::new();
        for id in arguments.iter().chain(&self.constants) {
            let node = self.graph.node(*id);
            let name = match &node.op {
                Op::InputOp(input) => input.name.clone(),
                _ => node.name.as_deref().unwrap_or("constant").to_string(),
            };
            let input = body.push(InputOp { name, ty: Ty { time: false, ..node.ty.clone() } }, &[])?;
            inputs.push(input);
            map.insert(*id, input);
        }
        let needed = self.graph.reachable(results);
        for id in self.graph.ids() {
            let wanted = needed.get(id.index()) == Some(&true) && !map.contains_key(&id);
            if wanted && (self.depends(id) || is_number(self.graph, id)) {
                let made = self.copy(&mut body, &map, id)?;
                map.insert(id, made);
            }
        }
        let mut outputs = Vec::with_capacity(results.len());
        for result in results {
            let inner = inside(&map, *result)?;
            outputs.push(body.broadcast(inner, ty)?);
        }
        Ok(StepFn { graph: body, inputs, outputs })
    }

    fn copy(&self, body: &mut Graph, map: &BTreeMap<NodeId, NodeId>, id: NodeId) -> Result<NodeId, ShapeError> {
        let node = self.graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| inside(map, *input)).collect::<Result<_, _>>()?;
        body.current_name = node.name.clone();
        body.current_origin = node.origin;
        let op = match &node.op {
            Op::Broadcast(broadcast) => Broadcast { ty: Ty { time: false, ..broadcast.ty.clone() } }.into(),
            op => op.clone(),
        };
        body.push(op, &inputs)
    }
}

fn is_number(graph: &Graph, id: NodeId) -> bool {
    graph.constant_value(id).is_some()
}

fn inside(map: &BTreeMap<NodeId, NodeId>, id: NodeId) -> Result<NodeId, ShapeError> {
    map.get(&id).copied().ok_or_else(|| ShapeError::new("an equation reads a value that does not exist at one instant"))
}
