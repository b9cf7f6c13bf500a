//! The rewriting behind [`recompute`](super): the backward pass reads clones.

use std::collections::{BTreeMap, BTreeSet};

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::lower::replayed_states;
use crate::op::{Lowering, Op, OpRule, ShapeError};
use crate::passes::rewrite::{copy, rewrite};
use crate::training::TrainStep;

/// The step in which the backward pass computes the chosen values, and what is made of them element by element, anew.
pub(super) fn recomputing(step: &TrainStep, chosen: &BTreeSet<NodeId>) -> Result<TrainStep, ShapeError> {
    let old = &step.graph;
    let roots: Vec<NodeId> = step.outputs.iter().map(|(_, id)| *id).collect();
    let mut clones = Clones { old, cone: cone(step, chosen), placed: BTreeMap::new(), made: BTreeMap::new() };
    let rewritten = rewrite(old, &roots, &mut |new, id, inputs| {
        let node = old.node(id);
        let mut operands = inputs.to_vec();
        if reads_clones(node) {
            for (operand, input) in operands.iter_mut().zip(&node.inputs) {
                if clones.cone[input.index()] {
                    *operand = clones.of(new, *input)?;
                }
            }
        }
        let new = copy(new, node, &operands)?;
        clones.placed.insert(id, new);
        Ok(new)
    })?;
    let outputs = step.outputs.iter().map(|(name, _)| name.clone()).zip(rewritten.nodes(&roots)?).collect();
    Ok(TrainStep { graph: rewritten.graph, outputs })
}

/// Whether the backward pass reads a value, or what is made of it element by element.
pub(super) fn is_read_backward(step: &TrainStep, id: NodeId) -> bool {
    let cone = cone(step, &BTreeSet::from([id]));
    let graph = &step.graph;
    let reads = |node: &Node| reads_clones(node) && node.inputs.iter().any(|input| cone[input.index()]);
    graph.ids().any(|id| reads(graph.node(id)))
}

/// Whether a node belongs to the backward pass. A result of a time loop is where the loop is.
fn reads_clones(node: &Node) -> bool {
    node.grad && !matches!(node.op, Op::Project(_))
}

/// Flags for the chosen values and what is made of them element by element in the forward pass, or for the backward pass
/// alone: states of time loops that the backward pass computes again have to come from clones, too.
fn cone(step: &TrainStep, chosen: &BTreeSet<NodeId>) -> Vec<bool> {
    let graph = &step.graph;
    let roots: Vec<NodeId> = step.outputs.iter().map(|(_, id)| *id).collect();
    let replayed = replayed_states(graph, &roots);
    let mut runs_again = vec![false; graph.len()];
    for id in graph.ids().filter(|id| replayed[id.index()]) {
        for scan in &graph.node(id).inputs {
            runs_again[scan.index()] = true;
        }
    }
    let mut cone = vec![false; graph.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        let can_follow = match node.op.lower() {
            Lowering::Point(_) => !node.grad,
            Lowering::Scan(_) => !node.grad && runs_again[id.index()],
            Lowering::Project(_) => replayed[id.index()],
            _ => false,
        };
        let follows = || can_follow && node.inputs.iter().any(|input| cone[input.index()]);
        cone[id.index()] = chosen.contains(&id) || follows();
    }
    for (_, id) in &step.outputs {
        cone[id.index()] = false;
    }
    cone
}

/// Second computations, made when something reads them.
struct Clones<'g> {
    old: &'g Graph,
    cone: Vec<bool>,
    /// Old nodes and what stands for them in the forward pass.
    placed: BTreeMap<NodeId, NodeId>,
    made: BTreeMap<NodeId, NodeId>,
}

impl Clones<'_> {
    /// The clone of an old node of the cone. The nodes that it needs are made in the order of the graph.
    fn of(&mut self, new: &mut Graph, id: NodeId) -> Built {
        let mut needed = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            for input in &self.old.node(next).inputs {
                if self.cone[input.index()] && !self.made.contains_key(input) && needed.insert(*input) {
                    open.push(*input);
                }
            }
        }
        for id in needed {
            if !self.made.contains_key(&id) {
                let clone = self.one(new, id)?;
                self.made.insert(id, clone);
            }
        }
        self.made.get(&id).copied().ok_or_else(lost)
    }

    fn one(&self, new: &mut Graph, id: NodeId) -> Built {
        let node = self.old.node(id);
        let stands_for =
            |input: &NodeId| self.made.get(input).or_else(|| self.placed.get(input)).copied().ok_or_else(lost);
        let inputs: Vec<NodeId> = node.inputs.iter().map(stands_for).collect::<Result<_, _>>()?;
        let of_reader = (new.current_name.clone(), new.current_origin);
        (new.current_name, new.current_origin) = (node.name.clone(), node.origin);
        let clone = copy(new, node, &inputs)?;
        (new.current_name, new.current_origin) = of_reader;
        new.node_mut(clone).late = true;
        Ok(clone)
    }
}

fn lost() -> ShapeError {
    ShapeError::new("a value is computed a second time before what it needs")
}
