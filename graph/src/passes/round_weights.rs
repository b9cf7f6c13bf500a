//! The pass `round_weights`: rounds the weights of linear maps and convolutions that hear spikes to 8 bits, where an
//! evaluation asks for it.
//!
//! Symmetric, with one scale for each output channel: `scale = max|w| / 127` over the channel's weights (1 where all of them
//! are 0), and `w` becomes `floor(w / scale + 1/2) * scale`, a whole multiple from -127 to 127. The contraction is marked, so
//! that a back end may add up the multiples as integers; for all others the new weights are numbers like any. They depend on
//! no data, so that they are computed once ([`setup`](crate::setup)).
//!
//! It comes after the scales of norms have gone into weights: what is rounded is what is multiplied. Spikes are what is
//! packed when it is lowered; a contraction that hears numbers, or that stands in the body of a scan, keeps its weights.

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::Contract;
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::passes::rewrite::{Rewritten, copy, copy_as, rewrite};
use crate::ty::{Axes, Kind};
use snn_loops::contraction::LEVELS;
use snn_loops::{ContractionKind, WeightValues};

/// The graph with rounded weights.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::Contract(contract), [x, w]) if hears_spikes(new, contract, *x) => {
                let w = rounded(new, *w)?;
                let contract = Contract { weights: WeightValues::Int8, ..contract.clone() };
                copy_as(new, node, contract.into(), &[*x, w])
            }
            _ => copy(new, node, inputs),
        }
    })
}

fn hears_spikes(graph: &Graph, contract: &Contract, x: NodeId) -> bool {
    contract.kind == ContractionKind::Forward && graph.ty(x).kind == Kind::Spikes
}

/// WeightValues `[outputs, ...]` as whole multiples of one number for each output.
fn rounded(graph: &mut Graph, w: NodeId) -> Built {
    let ty = graph.ty(w).clone();
    let axes = Axes { dims: (1..ty.dims.len()).collect(), ..Axes::default() };
    let magnitudes = graph.pointwise(Function::Abs, &[w])?;
    let largest = graph.extremum(Reducer::Max, magnitudes, &axes)?;
    let largest = graph.keep_axes(largest, &ty, &axes)?;
    let [zero, one, half, levels] = [0.0, 1.0, 0.5, LEVELS as f64].map(|value| graph.constant(value));
    let scale = graph.div(largest, levels?)?;
    let is_zero = graph.pointwise(Function::Eq, &[scale, zero?])?;
    let scale = graph.select(is_zero, one?, scale)?;
    let multiple = graph.div(w, scale)?;
    let multiple = graph.add(multiple, half?)?;
    let multiple = graph.pointwise(Function::Floor, &[multiple])?;
    graph.mul(multiple, scale)
}
