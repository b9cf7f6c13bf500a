//! The pass `mode`: decides between training and evaluation, in the graph and in the bodies of scans.
//!
//! `training` becomes a known truth value. A `running` value becomes the value itself in training and its moving
//! average in evaluation; in evaluation the averages are no longer fed either, so that the statistics behind them
//! disappear.

use crate::graph::{Graph, NodeId};
use crate::model::Model;
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::passes::rewrite::{Rewritten, copy_with_body, rewrite, rewrite_model};

/// The model for training or for evaluation.
pub fn model(old: &Model, training: bool) -> Result<Model, ShapeError> {
    let mut new = old.clone();
    if !training {
        for average in &mut new.averages {
            average.stored.clear();
        }
    }
    rewrite_model(&new, &|old, roots| graph(old, roots, training))
}

/// The graph for training or for evaluation.
pub fn graph(old: &Graph, roots: &[NodeId], training: bool) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::Training(_), _) => {
                let one = new.constant(1.0)?;
                let other = if training { one } else { new.constant(0.0)? };
                new.pointwise(Function::Eq, &[one, other])
            }
            (Op::Running(_), [value, average]) => {
                let chosen = if training { *value } else { *average };
                new.broadcast(chosen, &node.ty)
            }
            _ => copy_with_body(new, node, inputs, &|body, roots| graph(body, roots, training)),
        }
    })
}
