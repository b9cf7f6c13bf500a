//! The pass `dce`: drops nodes that nothing needs, in the graph and in the bodies of scans.

use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::passes::rewrite::{Rewritten, copy_with_body, rewrite};

/// The part of a graph that `roots` need.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| copy_with_body(new, old.node(id), inputs, &graph))
}
