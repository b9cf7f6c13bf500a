//! The pass `plain_spikes`: moves what is done to spikes behind the linear maps and convolutions that read them, in the
//! graph and in the bodies of scans, so that the heavy kernels read spikes and counts as they are.
//!
//! - `contract(c s, w)` becomes `c contract(s, w)`, for spikes or counts `s` and a number `c`, as dropout and average
//!   pooling make them; likewise `s / c` and `-s`.
//! - `contract(a + b, w)` becomes `contract(a, w) + contract(b, w)` where both are plain spikes, as in a residual block
//!   that adds spikes. Longer sums stay: every term costs another contraction.
//!
//! Weight gradients then read plain spikes too, because they are derived from these contractions. Only roundings change.

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::passes::fold::known_number;
use crate::passes::rewrite::{Rewritten, copy, copy_with_body, rewrite};
use crate::ty::Kind;
use snn_loops::ContractionKind;

/// The graph with plain spikes before its contractions.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::Contract(contract), [x, w]) if contract.kind == ContractionKind::Forward => {
                contract_plain(new, node, *x, *w)
            }
            _ => copy_with_body(new, node, inputs, &graph),
        }
    })
}

/// What a contraction's input is made of; nodes have the shape from before any reshaping.
enum Form {
    /// A function of spikes or counts, and of a number where it takes two operands, in their order.
    Scaled(Function, NodeId, Option<(f64, bool)>),
    /// The sum of two plain spikes.
    Sum(NodeId, NodeId),
}

fn contract_plain(graph: &mut Graph, node: &Node, x: NodeId, w: NodeId) -> Built {
    let dims = graph.ty(x).dims.clone();
    match form(graph, x) {
        None => copy(graph, node, &[x, w]),
        Some(Form::Sum(a, b)) => {
            let (a, b) = (graph.reshape(a, &dims)?, graph.reshape(b, &dims)?);
            let (a, b) = (contract_plain(graph, node, a, w)?, contract_plain(graph, node, b, w)?);
            graph.add(a, b)
        }
        Some(Form::Scaled(function, spikes, factor)) => {
            let spikes = graph.reshape(spikes, &dims)?;
            let y = contract_plain(graph, node, spikes, w)?;
            match factor {
                None => graph.pointwise(function, &[y]),
                Some((number, first)) => {
                    let number = graph.constant(number)?;
                    graph.pointwise(function, &if first { [number, y] } else { [y, number] })
                }
            }
        }
    }
}

fn form(graph: &Graph, mut id: NodeId) -> Option<Form> {
    while let (Op::Reshape(_), [inner]) = (&graph.node(id).op, graph.node(id).inputs.as_slice()) {
        id = *inner;
    }
    let node = graph.node(id);
    let Op::Pointwise(pointwise) = &node.op else { return None };
    let is_signal = |id: NodeId, kinds: &[Kind]| {
        let ty = graph.ty(id);
        ty.same_shape(&node.ty) && (ty.time || ty.batch) && kinds.contains(&ty.kind)
    };
    let is_scalable = |id: NodeId| is_signal(id, &[Kind::Spikes, Kind::Scaled, Kind::Counts]);
    let number = |id: NodeId| known_number(graph, id).filter(|number| number.is_finite() && *number != 0.0);
    match (pointwise.function, node.inputs.as_slice()) {
        (Function::Add, [a, b]) if is_signal(*a, &[Kind::Spikes]) && is_signal(*b, &[Kind::Spikes]) => {
            Some(Form::Sum(*a, *b))
        }
        (Function::Neg, [s]) if is_scalable(*s) => Some(Form::Scaled(Function::Neg, *s, None)),
        (function @ (Function::Mul | Function::Div), [s, c]) if is_scalable(*s) && number(*c).is_some() => {
            Some(Form::Scaled(function, *s, number(*c).map(|c| (c, false))))
        }
        (Function::Mul, [c, s]) if is_scalable(*s) && number(*c).is_some() => {
            Some(Form::Scaled(Function::Mul, *s, number(*c).map(|c| (c, true))))
        }
        _ => None,
    }
}
