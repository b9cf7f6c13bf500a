//! The pass `cse`: computes equal things once (hash-consing), in the graph and in the bodies of scans.
//!
//! Two nodes are equal if their ops print the same, attributes included, and their operands are the same nodes. Random
//! numbers of one stream are equal, of different streams never. Inputs are never merged (in a body, the place in its
//! signature tells them apart and not the name), and neither are whole time loops and tables of numbers.

use std::collections::BTreeMap;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::passes::rewrite::{Rewritten, copy, copy_with_body, rewrite};

/// The graph with equal nodes merged; the first of them keeps its name.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let mut known: BTreeMap<(String, Vec<NodeId>), NodeId> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        let apart = match &node.op {
            Op::InputOp(_) | Op::Scan(_) | Op::Dynamics(_) => true,
            Op::Constant(constant) => constant.as_scalar().is_none(),
            _ => false,
        };
        if apart {
            return copy_with_body(new, node, inputs, &graph);
        }
        let key = (format!("{:?}", node.op), inputs.to_vec());
        if let Some(same) = known.get(&key) {
            let kind = &mut new.node_mut(*same).ty.kind;
            *kind = (*kind).min(node.ty.kind);
            return Ok(*same);
        }
        let fresh = copy(new, node, inputs)?;
        known.insert(key, fresh);
        Ok(fresh)
    })
}
