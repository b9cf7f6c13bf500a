//! Rebuilding a graph node by node: what every pass is made of.
//!
//! A pass is a rule that says which node of the new graph stands for a node of the old one. Nodes that nobody needs are
//! not visited, so every rewrite also drops what an earlier one left behind. Names, origins and gradient marks go
//! along. Nothing here knows what a pass wants.

use std::rc::Rc;

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::model::Model;
use crate::op::{Op, ShapeError};
use crate::ops::scan::Body;
use crate::ops::{InputOp, Scan};

/// A new graph and which of its nodes stand for those of the old one.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The new graph.
    pub graph: Graph,
    map: Vec<Option<NodeId>>,
}

impl Rewritten {
    /// The new node for an old one; an error where nothing needed the old one.
    pub fn node(&self, old: NodeId) -> Built {
        self.map.get(old.index()).copied().flatten().ok_or_else(|| ShapeError::new("a pass lost a node that is in use"))
    }

    /// The new nodes for old ones.
    pub fn nodes(&self, old: &[NodeId]) -> Result<Vec<NodeId>, ShapeError> {
        old.iter().map(|id| self.node(*id)).collect()
    }
}

/// A transformation of a graph that keeps the meaning of the given roots.
pub type GraphPass<'p> = dyn Fn(&Graph, &[NodeId]) -> Result<Rewritten, ShapeError> + 'p;

/// Rebuilds what `roots` need. The rule gets the new graph so far, the old node and its operands in the new graph, and
/// gives the node that stands for the old one from now on, of the same shape.
pub fn rewrite(
    graph: &Graph,
    roots: &[NodeId],
    rule: &mut dyn FnMut(&mut Graph, NodeId, &[NodeId]) -> Built,
) -> Result<Rewritten, ShapeError> {
    let needed = graph.reachable(roots);
    let empty = if graph.is_step { Graph::step_body(graph.steps) } else { Graph::new(graph.steps) };
    let mut rewritten = Rewritten { graph: empty, map: vec![None; graph.len()] };
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let inputs = rewritten.nodes(&node.inputs)?;
        let target = &mut rewritten.graph;
        target.current_name = node.name.clone();
        target.current_origin = node.origin;
        target.current_grad = node.grad;
        rewritten.map[id.index()] = Some(rule(target, id, &inputs)?);
    }
    let target = &mut rewritten.graph;
    (target.current_name, target.current_origin, target.current_grad) = Default::default();
    Ok(rewritten)
}

/// Appends an old node as it was, but for its operands; what was known about its numbers stays known.
pub fn copy(graph: &mut Graph, node: &Node, inputs: &[NodeId]) -> Built {
    copy_as(graph, node, node.op.clone(), inputs)
}

/// Appends an old node with another op that means the same.
pub fn copy_as(graph: &mut Graph, node: &Node, op: Op, inputs: &[NodeId]) -> Built {
    let id = graph.push(op, inputs)?;
    let kind = &mut graph.node_mut(id).ty.kind;
    *kind = (*kind).min(node.ty.kind);
    Ok(id)
}

/// Appends an old node; if it is a scan, with its body transformed by `pass`.
pub fn copy_with_body(graph: &mut Graph, node: &Node, inputs: &[NodeId], pass: &GraphPass<'_>) -> Built {
    match &node.op {
        Op::Scan(scan) => {
            let body = Rc::new(rewrite_body(&scan.body, pass)?);
            copy_as(graph, node, Scan { body, reverse: scan.reverse }.into(), inputs)
        }
        _ => copy(graph, node, inputs),
    }
}

/// A scan's body transformed by a pass, its signature kept.
pub fn rewrite_body(body: &Body, pass: &GraphPass<'_>) -> Result<Body, ShapeError> {
    remap_body(body, pass(&body.graph, &body_roots(body))?)
}

/// A scan's body whose graph was rewritten.
pub fn remap_body(body: &Body, rewritten: Rewritten) -> Result<Body, ShapeError> {
    Ok(Body {
        states: rewritten.nodes(&body.states)?,
        xs: rewritten.nodes(&body.xs)?,
        consts: rewritten.nodes(&body.consts)?,
        next: rewritten.nodes(&body.next)?,
        ys: rewritten.nodes(&body.ys)?,
        graph: rewritten.graph,
    })
}

/// A scan's body in which the given values, ascending, are inputs, and these inputs, which the signature lacks yet. Those
/// without a name are called `what`.
pub fn with_inputs(body: &Body, values: &[NodeId], what: &str) -> Result<(Body, Vec<NodeId>), ShapeError> {
    let mut fresh = Vec::with_capacity(values.len());
    let rewritten = rewrite(&body.graph, &body_roots(body), &mut |new, id, inputs| {
        let node = body.graph.node(id);
        if !values.contains(&id) {
            return copy(new, node, inputs);
        }
        let name = node.name.as_deref().unwrap_or(what).to_owned();
        let input = new.push(InputOp { name, ty: node.ty.clone() }, &[])?;
        fresh.push(input);
        Ok(input)
    })?;
    Ok((remap_body(body, rewritten)?, fresh))
}

/// Every node that a body's signature names.
pub fn body_roots(body: &Body) -> Vec<NodeId> {
    [&body.states, &body.xs, &body.consts, &body.next, &body.ys].into_iter().flatten().copied().collect()
}

/// A model transformed by a pass on its graph.
pub fn rewrite_model(model: &Model, pass: &GraphPass<'_>) -> Result<Model, ShapeError> {
    let rewritten = pass(&model.graph, &model_roots(model))?;
    let mut new = Model { graph: Graph::new(model.graph.steps), ..model.clone() };
    for id in model_nodes(&mut new) {
        *id = rewritten.node(*id)?;
    }
    new.graph = rewritten.graph;
    Ok(new)
}

/// Every node that a model names.
pub fn model_roots(model: &Model) -> Vec<NodeId> {
    let mut copy = Model { graph: Graph::new(model.graph.steps), ..model.clone() };
    model_nodes(&mut copy).into_iter().map(|id| *id).collect()
}

/// Every place in a model that holds a node.
fn model_nodes(model: &mut Model) -> Vec<&mut NodeId> {
    let Model { inputs, parameters, averages, spikes, output, targets, loss, prediction, .. } = model;
    let mut nodes: Vec<&mut NodeId> = vec![output];
    nodes.extend(inputs.iter_mut().chain(targets).map(|input| &mut input.node));
    nodes.extend(parameters.iter_mut().map(|parameter| &mut parameter.node));
    for average in averages {
        nodes.push(&mut average.node);
        nodes.extend(average.stored.iter_mut());
    }
    nodes.extend(spikes.iter_mut().map(|spike| &mut spike.node));
    nodes.extend(loss.iter_mut().chain(prediction));
    nodes
}
