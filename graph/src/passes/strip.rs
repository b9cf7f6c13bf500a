//! The pass `strip`: drops declared derivatives once nothing is left to differentiate, in the graph and in the bodies
//! of scans. A value with a gradient and a detached value become the value itself.

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::passes::rewrite::{Rewritten, copy_with_body, rewrite};

/// The graph without declared derivatives.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::WithGradient(_), [value, ..]) | (Op::Detach(_), [value]) => Ok(*value),
            _ => copy_with_body(new, node, inputs, &graph),
        }
    })
}
