//! The pass `count_planes`: contractions read small counts as planes of bits.
//!
//! Sums of a few spikes, as average pooling makes them ([`plain_spikes`](super::plain_spikes) has moved its factor away), are
//! whole numbers from 0 to a bound. Where it is below 16, `contract(x, w)` and its gradient of the weights become contractions
//! of [`planes`](crate::ops::planes) of `x`: the kernels that add up what spikes select can add up what bits of counts select,
//! and what is kept for the backward pass takes up to 4 bits in place of 32. A sum over the last axes, which is what pooling
//! is, becomes part of the op that takes it apart, so that nobody stores the counts. Where somebody else reads them, as where
//! a block adds them to what it makes of them, they lie in memory anyway, and contractions read them there.
//!
//! **Bounds.** Spikes are at most 1; a sum over axes has the bound times the elements of the axes, a sum or product of two
//! counts that of their bounds, an extremum the larger one; windows, other shapes and copies change none. Whatever else says
//! that it is counts has no bound that is known, and stays as it is.
//!
//! Where groups, few channels or more planes would make it slower, nothing changes either. Values are the same but for the
//! order of sums. Derivatives of planes do not exist, so this comes after differentiation; and machines know planes or not, so
//! it is part of lowering, by [`LowerOptions`](crate::lower::LowerOptions).

use std::collections::BTreeMap;

use snn_loops::ContractionKind;

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::lower::storage::is_packable;
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::ops::{Contract, Planes, Reduce};
use crate::passes::rewrite::{Rewritten, copy_as, copy_with_body, rewrite};
use crate::ty::{Kind, Ty};

/// The most planes: each is visited, whatever it holds.
const MOST: usize = 4;

/// The graph with planes before its contractions.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let bounds = bounds(old);
    let whole = read_whole(old, roots, &bounds);
    // Of every operand in the new graph that has them.
    let mut planes: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        let count = wanted(old, node, &bounds).filter(|_| node.inputs.first().is_some_and(|x| !whole[x.index()]));
        let made = match (&node.op, inputs, count) {
            (Op::Contract(contract), [x, other], Some(count)) => {
                let operand = match planes.get(x) {
                    Some(operand) => *operand,
                    None => {
                        let operand = planes_of(new, *x, count)?;
                        planes.insert(*x, operand);
                        operand
                    }
                };
                let contract = Contract { planes: count, ..contract.clone() };
                copy_as(new, node, contract.into(), &[operand, *other])?
            }
            _ => copy_with_body(new, node, inputs, &graph)?,
        };
        new.node_mut(made).late = node.late;
        Ok(made)
    })
}

/// How many planes a contraction is to read its input in, if in several.
fn wanted(graph: &Graph, node: &Node, bounds: &[Option<usize>]) -> Option<usize> {
    let (Op::Contract(contract), [x, _]) = (&node.op, node.inputs.as_slice()) else { return None };
    let ty = graph.ty(*x);
    let is_read_as_bits = contract.kind != ContractionKind::InputGradient
        && contract.shape.groups == 1
        && ty.dims.first() == Some(&contract.shape.cin)
        && is_packable(&ty.with_kind(Kind::Spikes));
    let bound = bounds[x.index()].filter(|bound| *bound > 1 && is_read_as_bits)?;
    Some((usize::BITS - bound.leading_zeros()) as usize).filter(|planes| *planes <= MOST)
}

/// For each node, whether anything reads it as it is.
fn read_whole(graph: &Graph, roots: &[NodeId], bounds: &[Option<usize>]) -> Vec<bool> {
    let needed = graph.reachable(roots);
    let mut whole = vec![false; graph.len()];
    for root in roots {
        whole[root.index()] = true;
    }
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let in_planes = usize::from(wanted(graph, node, bounds).is_some());
        for input in node.inputs.iter().skip(in_planes) {
            whole[input.index()] = true;
        }
    }
    whole
}

/// The planes of a node; of what it sums, if that is all it does.
fn planes_of(graph: &mut Graph, x: NodeId, planes: usize) -> Built {
    let node = graph.node(x);
    let (name, origin, grad, late) = (node.name.clone(), node.origin, node.grad, node.late);
    let (operand, summed) = match (&node.op, node.inputs.as_slice()) {
        (Op::Reduce(reduce), [operand]) if is_sum_of_last(reduce, graph.ty(*operand)) => {
            (*operand, reduce.axes.dims.len())
        }
        _ => (x, 0),
    };
    let made = graph.push(Planes { planes, summed }, &[operand])?;
    let node = graph.node_mut(made);
    (node.name, node.origin, node.grad, node.late) = (name, origin, grad, late);
    Ok(made)
}

/// Whether a reduction is a sum over the last axes of its operand.
fn is_sum_of_last(reduce: &Reduce, of: &Ty) -> bool {
    let Reduce { reducer, axes } = reduce;
    let first = of.dims.len().saturating_sub(axes.dims.len());
    *reducer == Reducer::Sum && !axes.time && !axes.batch && axes.dims.iter().copied().eq(first..of.dims.len())
}

/// For each node that is spikes or counts, what it is at most, as far as that is known.
fn bounds(graph: &Graph) -> Vec<Option<usize>> {
    let mut bounds: Vec<Option<usize>> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let node = graph.node(id);
        let bound = match node.ty.kind {
            Kind::Spikes => Some(1),
            Kind::Counts => bound_of_counts(graph, node, &|input| bounds[node.inputs.get(input)?.index()]),
            Kind::Truth | Kind::Scaled | Kind::Real => None,
        };
        bounds.push(bound);
    }
    bounds
}

/// The bound of counts from the bounds of their operands.
fn bound_of_counts(graph: &Graph, node: &Node, operand: &dyn Fn(usize) -> Option<usize>) -> Option<usize> {
    match &node.op {
        Op::Reduce(Reduce { reducer, axes }) => match reducer {
            Reducer::Max | Reducer::Min => operand(0),
            Reducer::Deviation => None,
            // How many samples there are is not known.
            Reducer::Sum if axes.batch => None,
            Reducer::Sum => {
                let of = graph.ty(*node.inputs.first()?);
                let steps = if axes.time { graph.steps } else { 1 };
                let extents = axes.dims.iter().map(|axis| of.dims.get(*axis).copied().unwrap_or(1));
                extents.chain([steps]).try_fold(operand(0)?, usize::checked_mul)
            }
        },
        Op::Windows(_) | Op::Reshape(_) | Op::Broadcast(_) | Op::Detach(_) | Op::WithGradient(_) => operand(0),
        Op::Pointwise(pointwise) => match pointwise.function {
            Function::Add => operand(0)?.checked_add(operand(1)?),
            Function::Mul => operand(0)?.checked_mul(operand(1)?),
            Function::Minimum | Function::Maximum => Some(operand(0)?.max(operand(1)?)),
            Function::Where => Some(operand(1)?.max(operand(2)?)),
            _ => None,
        },
        _ => None,
    }
}
