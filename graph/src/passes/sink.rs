//! The pass `sink`: spikes that follow, step by step, from what a time loop yields are computed inside of it.
//!
//! Where the reset comes one step after the spike (snnTorch's `Leaky` and `Synaptic`), the spike does not lead back into
//! the neuron's loop, so it stands behind it, and the membrane potential would be written, kept for the backward pass and
//! read again to find a bit. Inside of the loop the bit is all that leaves, and the backward pass computes the potential
//! again like that of any other neuron. What the loop then yields for nobody goes with
//! [`scan_prune`](crate::passes::scan_prune).
//!
//! Only element-wise loops, and only element-wise operations with known numbers beside. Must never know neurons.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::scan::Body;
use crate::ops::{Project, Scan};
use crate::passes::fold::known_number;
use crate::passes::rewrite::{Rewritten, copy, copy_as, rewrite};
use crate::ty::{Kind, Ty};

/// The graph with spikes inside of the loops that they follow from.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let cones = Cones::of(old, roots);
    let mut scans: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, node.inputs.first()) {
            (Op::Scan(scan), _) => {
                let body = Rc::new(cones.with_spikes(old, id, &scan.body)?);
                let fresh = copy_as(new, node, Scan { body, reverse: scan.reverse }.into(), inputs)?;
                scans.insert(id, fresh);
                Ok(fresh)
            }
            (Op::Project(project), Some(scan)) => {
                let is_yielded = project.index < yields(old, *scan);
                let index = if is_yielded { project.index } else { project.index + cones.spikes_of(*scan).len() };
                copy_as(new, node, Project { index }.into(), inputs)
            }
            _ => match cones.place(id) {
                Some((scan, place)) => {
                    let fresh = scans.get(&scan).ok_or_else(|| ShapeError::new("a spike stands before its loop"))?;
                    copy_as(new, node, Project { index: yields(old, scan) + place }.into(), &[*fresh])
                }
                None => copy(new, node, inputs),
            },
        }
    })
}

/// Values that a loop yields.
fn yields(graph: &Graph, scan: NodeId) -> usize {
    match &graph.node(scan).op {
        Op::Scan(scan) => scan.body.ys.len(),
        _ => 0,
    }
}

/// What follows from loops.
struct Cones {
    /// For every node the loop that it follows from, by operations that could stand in it; yielded values included.
    source: Vec<Option<NodeId>>,
    /// Spikes to compute in a loop, in the order in which it will yield them.
    spikes: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Cones {
    fn of(graph: &Graph, roots: &[NodeId]) -> Cones {
        let needed = graph.reachable(roots);
        let mut source = vec![None; graph.len()];
        // Whether something reads a value that cannot be in the loop with it.
        let mut leaves = vec![false; graph.len()];
        for id in roots {
            leaves[id.index()] = true;
        }
        for id in graph.ids().filter(|id| needed[id.index()]) {
            source[id.index()] = follows(graph, id, &source);
            for input in &graph.node(id).inputs {
                leaves[input.index()] |= source[input.index()] != source[id.index()];
            }
        }
        let mut spikes: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for id in graph.ids().filter(|id| leaves[id.index()]) {
            let node = graph.node(id);
            if let (Some(scan), Kind::Spikes, false) = (source[id.index()], node.ty.kind, is_projection(&node.op)) {
                spikes.entry(scan).or_default().push(id);
            }
        }
        Cones { source, spikes }
    }

    fn spikes_of(&self, scan: NodeId) -> &[NodeId] {
        self.spikes.get(&scan).map_or(&[], Vec::as_slice)
    }

    /// The loop that a spike will be computed in, and its place among those.
    fn place(&self, id: NodeId) -> Option<(NodeId, usize)> {
        let scan = self.source[id.index()]?;
        Some((scan, self.spikes_of(scan).iter().position(|spike| *spike == id)?))
    }

    /// The body of a loop that yields its spikes behind what it yielded.
    fn with_spikes(&self, graph: &Graph, scan: NodeId, body: &Body) -> Result<Body, ShapeError> {
        let mut body = body.clone();
        let mut inside: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for spike in self.spikes_of(scan) {
            let behind = graph.reachable(&[*spike]);
            for id in graph.ids().filter(|id| behind[id.index()] && self.source[id.index()] == Some(scan)) {
                if !inside.contains_key(&id) {
                    let fresh = enter(graph, id, &inside, &mut body)?;
                    inside.insert(id, fresh);
                }
            }
            body.ys.extend(inside.get(spike));
        }
        Ok(body)
    }
}

fn is_projection(op: &Op) -> bool {
    matches!(op, Op::Project(_))
}

/// The loop that a node follows from, if it is one that its operands follow from or that yields it.
fn follows(graph: &Graph, id: NodeId, source: &[Option<NodeId>]) -> Option<NodeId> {
    let node = graph.node(id);
    match (&node.op, node.inputs.as_slice()) {
        (Op::Project(project), [scan]) => match &graph.node(*scan).op {
            Op::Scan(op) if project.index < op.body.ys.len() && !op.reverse && op.body.fused_ty().is_some() => {
                Some(*scan)
            }
            _ => None,
        },
        (Op::Pointwise(_) | Op::WithGradient(_) | Op::Detach(_) | Op::Broadcast(_), inputs) => {
            let scan = inputs.iter().find_map(|input| source[input.index()])?;
            let full = full_ty(graph, scan)?;
            let stands_there =
                |input: &NodeId| source[input.index()] == Some(scan) || known_number(graph, *input).is_some();
            (node.ty.same_shape(&full) && inputs.iter().all(stands_there)).then_some(scan)
        }
        _ => None,
    }
}

/// The shape of everything that an element-wise loop yields.
fn full_ty(graph: &Graph, scan: NodeId) -> Option<Ty> {
    match &graph.node(scan).op {
        Op::Scan(scan) => scan.result_ty(0),
        _ => None,
    }
}

/// A value that follows from a loop, in its body.
fn enter(graph: &Graph, id: NodeId, inside: &BTreeMap<NodeId, NodeId>, body: &mut Body) -> Result<NodeId, ShapeError> {
    let node = graph.node(id);
    if let Op::Project(project) = &node.op {
        let lost = || ShapeError::new("a loop yields less than is read of it");
        return body.ys.get(project.index).copied().ok_or_else(lost);
    }
    let to = &mut body.graph;
    let saved = (to.current_name.take(), to.current_origin, to.current_grad);
    (to.current_name, to.current_origin, to.current_grad) = (node.name.clone(), node.origin, node.grad);
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        inputs.push(match (inside.get(input), known_number(graph, *input)) {
            (Some(fresh), _) => *fresh,
            (None, Some(number)) => {
                let constant = to.constant(number)?;
                to.broadcast(constant, &Ty { time: false, ..graph.ty(*input).clone() })?
            }
            (None, None) => return Err(ShapeError::new("a loop lacks what its spikes follow from")),
        });
    }
    let fresh = match (&node.op, inputs.as_slice()) {
        (Op::Broadcast(_), [x]) => to.broadcast(*x, &Ty { time: false, ..node.ty.clone() })?,
        (op, inputs) => copy_as(to, node, op.clone(), inputs)?,
    };
    (to.current_name, to.current_origin, to.current_grad) = saved;
    Ok(fresh)
}
