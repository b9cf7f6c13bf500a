//! Reverse-mode differentiation, from graph to graph.
//!
//! [`gradients`] walks the nodes backwards once and asks each op for the gradients of its operands; the result is more
//! nodes of the same graph, which carry the name and origin of the node they belong to and the mark `grad`. Results of a
//! scan are [`Project`](crate::ops::Project) nodes; their gradients are gathered and handed to the scan together.
//!
//! What a "gradient" is for a spike, a detached value or a moving average is the op's affair, never this module's.

use std::collections::BTreeMap;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, OpRule, ShapeError};

/// What a gradient rule may use: the graph to append to, and the gradients of a scan's results.
pub struct Backward<'g> {
    /// The graph that is being extended. Forward nodes are never changed.
    pub graph: &'g mut Graph,
    results: BTreeMap<(NodeId, usize), NodeId>,
    wanted: Vec<bool>,
}

impl Backward<'_> {
    /// The gradient with respect to a scan's result, if the loss depends on it.
    pub fn result(&self, scan: NodeId, index: usize) -> Option<NodeId> {
        self.results.get(&(scan, index)).copied()
    }

    /// Whether anything that gradients are wanted for lies at or behind a node; where not, a rule may answer `None`.
    pub fn wants(&self, id: NodeId) -> bool {
        self.wanted.get(id.index()).copied().unwrap_or(false)
    }
}

/// The gradients of `sum over seeds of <seed, node>` with respect to `wrt`, given pairs (node, seed of the same shape).
/// `None` for a node that nothing depends on.
pub fn gradients(
    graph: &mut Graph,
    seeds: &[(NodeId, NodeId)],
    wrt: &[NodeId],
) -> Result<Vec<Option<NodeId>>, ShapeError> {
    let forward = seeds.iter().map(|(node, _)| node.index() + 1).max().unwrap_or(0);
    let wanted = depends_on(graph, wrt);
    let mut gradient: Vec<Option<NodeId>> = vec![None; forward];
    let saved = (graph.current_name.clone(), graph.current_origin, graph.current_grad);
    graph.current_grad = true;
    for (node, seed) in seeds {
        accumulate(graph, &mut gradient, *node, *seed)?;
    }
    let mut backward = Backward { graph, results: BTreeMap::new(), wanted };
    for index in (0..forward).rev() {
        let id = NodeId(index as u32);
        let Some(upstream) = gradient[index] else { continue };
        if !backward.wants(id) {
            continue;
        }
        let node = backward.graph.node(id);
        let (op, inputs, name, origin) = (node.op.clone(), node.inputs.clone(), node.name.clone(), node.origin);
        backward.graph.current_name = name;
        backward.graph.current_origin = origin;
        if let (Op::Project(project), Some(scan)) = (&op, inputs.first()) {
            let sum = match backward.results.get(&(*scan, project.index)) {
                Some(before) => backward.graph.add(*before, upstream)?,
                None => upstream,
            };
            backward.results.insert((*scan, project.index), sum);
            // Any gradient marks the scan as reached; its own rule reads `results`.
            gradient[scan.index()] = Some(upstream);
            continue;
        }
        let parts = op.gradient(&mut backward, id, upstream)?;
        for (input, part) in inputs.iter().zip(parts) {
            if let Some(part) = part
                && backward.wants(*input)
            {
                accumulate(backward.graph, &mut gradient, *input, part)?;
            }
        }
    }
    let Backward { graph, .. } = backward;
    (graph.current_name, graph.current_origin, graph.current_grad) = saved;
    Ok(wrt.iter().map(|id| gradient.get(id.index()).copied().flatten()).collect())
}

fn accumulate(
    graph: &mut Graph,
    gradient: &mut [Option<NodeId>],
    node: NodeId,
    part: NodeId,
) -> Result<(), ShapeError> {
    debug_assert!(graph.ty(node).same_shape(graph.ty(part)), "a gradient has the shape of its value");
    let Some(slot) = gradient.get_mut(node.index()) else { return Ok(()) };
    *slot = Some(match *slot {
        Some(before) => graph.add(before, part)?,
        None => part,
    });
    Ok(())
}

/// Flags for the nodes that depend on any of `wrt`.
fn depends_on(graph: &Graph, wrt: &[NodeId]) -> Vec<bool> {
    let mut flags = vec![false; graph.len()];
    for id in wrt {
        flags[id.index()] = true;
    }
    for id in graph.ids() {
        if graph.node(id).inputs.iter().any(|input| flags[input.index()]) {
            flags[id.index()] = true;
        }
    }
    flags
}
