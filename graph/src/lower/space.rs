//! Loops around a kernel's body: neighbouring axes become one where memory allows it, the innermost runs in SIMD lanes,
//! the longest of the others is split over threads.
//!
//! The body is written for one point, with one variable an axis. Two axes become one when every index moves by the same
//! amount along the inner axis times its extent and along the outer axis; the extents never matter to the body then.

use snn_loops::{Expr, Extent, Ix, LoopKind, Nest, Stmt, Var};

use crate::graph::Graph;
use crate::lower::emit::Emission;
use crate::lower::storage::Layout;
use crate::op::Point;
use crate::ty::Ty;

/// An axis of a kernel's space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub var: Var,
    pub extent: usize,
}

/// Elements a parallel iteration should cover: enough to be worth handing to a thread, few enough to stay in cache.
const GRAIN: usize = 8192;

/// Variables for every axis of a type except time, from the slowest in memory to the fastest, and the point they make.
pub(super) fn sample_axes(emission: &mut Emission<'_, '_>, ty: &Ty, batch: usize, time: Ix) -> (Vec<Axis>, Point) {
    let mut axes = Vec::new();
    let mut axis = |extent: usize| {
        let var = emission.var(extent);
        axes.push(Axis { var, extent });
        Ix::var(var)
    };
    let batch = if ty.batch { axis(batch) } else { Ix::constant(0) };
    let mut dims = vec![Ix::constant(0); ty.dims.len()];
    for at in Layout::of(ty).order(ty.dims.len()) {
        dims[at] = axis(ty.dims[at]);
    }
    (axes, Point { time, batch, dims })
}

/// The same with the time axis in front.
pub(super) fn all_axes(emission: &mut Emission<'_, '_>, graph: &Graph, ty: &Ty, batch: usize) -> (Vec<Axis>, Point) {
    if !ty.time {
        return sample_axes(emission, ty, batch, Ix::constant(0));
    }
    let time = Axis { var: emission.var(graph.steps), extent: graph.steps };
    let (mut axes, point) = sample_axes(emission, ty, batch, Ix::var(time.var));
    axes.insert(0, time);
    (axes, point)
}

/// Merges axes where the body's indices allow it and drops those of extent 1. Keeps the order.
pub(super) fn collapse(body: &mut [Stmt], axes: Vec<Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for outer in axes.into_iter().rev() {
        if outer.extent == 1 {
            substitute(body, outer.var, &Ix::constant(0));
            continue;
        }
        let fits = |inner: &Axis, ix: &Ix| match (ix.stride(outer.var), ix.stride(inner.var)) {
            (Some(a), Some(b)) => a == b * inner.extent as i64,
            _ => false,
        };
        match merged.last_mut() {
            Some(inner) if all_indices(body, &|ix| fits(inner, ix)) => {
                substitute(body, outer.var, &Ix::constant(0));
                inner.extent *= outer.extent;
            }
            _ => merged.push(outer),
        }
    }
    merged.reverse();
    merged
}

/// Wraps a body in loops over its axes: lanes over the last, threads over the longest of the others.
pub(super) fn parallel_loops(nest: &mut Nest, mut body: Vec<Stmt>, mut axes: Vec<Axis>) -> Vec<Stmt> {
    let Some(lanes) = axes.pop() else { return body };
    if axes.is_empty() {
        if lanes.extent <= GRAIN {
            return vec![for_loop(lanes.var, Extent::Fixed(lanes.extent), LoopKind::Lanes, body)];
        }
        return blocks(nest, lanes, GRAIN, LoopKind::Lanes, body);
    }
    body = vec![for_loop(lanes.var, Extent::Fixed(lanes.extent), LoopKind::Lanes, body)];
    threaded(nest, body, axes, lanes.extent)
}

/// Wraps a body, which covers `inner` elements, in loops over axes: threads over the longest, the others serial inside.
pub(super) fn threaded(nest: &mut Nest, mut body: Vec<Stmt>, mut axes: Vec<Axis>, inner: usize) -> Vec<Stmt> {
    // The last of the longest: its blocks lie closest together in memory.
    let Some((at, _)) = axes.iter().enumerate().max_by_key(|(_, axis)| axis.extent) else { return body };
    let longest = axes.remove(at);
    let work = axes.iter().fold(inner, |n, axis| n.saturating_mul(axis.extent));
    for axis in axes.into_iter().rev() {
        body = vec![for_loop(axis.var, Extent::Fixed(axis.extent), LoopKind::Serial, body)];
    }
    let size = GRAIN.div_ceil(work.max(1)).clamp(1, longest.extent);
    blocks(nest, longest, size, LoopKind::Serial, body)
}

/// Wraps a body in serial loops over its axes, the last in lanes.
pub(super) fn serial_lanes(mut body: Vec<Stmt>, axes: Vec<Axis>) -> Vec<Stmt> {
    let mut kind = LoopKind::Lanes;
    for axis in axes.into_iter().rev() {
        body = vec![for_loop(axis.var, Extent::Fixed(axis.extent), kind, body)];
        kind = LoopKind::Serial;
    }
    body
}

/// A parallel loop over blocks of an axis around a loop over the block.
pub(super) fn blocks(nest: &mut Nest, axis: Axis, size: usize, kind: LoopKind, mut body: Vec<Stmt>) -> Vec<Stmt> {
    let block = fresh(nest);
    let element = fresh(nest);
    let at = Ix::var(block).times(size as i64).plus(&Ix::var(element));
    substitute(&mut body, axis.var, &at);
    let inside = for_loop(element, Extent::Block { block, size, total: axis.extent }, kind, body);
    vec![for_loop(block, Extent::Fixed(axis.extent.div_ceil(size)), LoopKind::Parallel, vec![inside])]
}

/// A variable that no loop of the nest has.
pub(super) fn fresh(nest: &mut Nest) -> Var {
    nest.n_vars += 1;
    Var(nest.n_vars - 1)
}

pub(super) fn for_loop(var: Var, extent: Extent, kind: LoopKind, body: Vec<Stmt>) -> Stmt {
    Stmt::For { var, extent, kind, body }
}

/// Puts an index in the place of a variable everywhere.
pub(super) fn substitute(body: &mut [Stmt], var: Var, with: &Ix) {
    let none = |_: Var| None;
    let replace = |v: Var| if v == var { with.clone() } else { Ix::var(v) };
    let rewrite = |ix: &mut Ix| {
        if ix.mentions(var) {
            *ix = ix.substitute(&replace, &none);
        }
    };
    each_index(body, &rewrite);
}

fn each_index(body: &mut [Stmt], rewrite: &dyn Fn(&mut Ix)) {
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => each_index(body, rewrite),
            Stmt::Let(_, Expr::Index(ix)) => rewrite(ix),
            Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) => {
                rewrite(&mut access.index);
                access.bounds.iter_mut().for_each(|(ix, _)| rewrite(ix));
            }
            Stmt::Let(_, Expr::Const(_) | Expr::Scalar(..) | Expr::Get(_)) | Stmt::Set(..) => {}
        }
    }
}

fn all_indices(body: &[Stmt], test: &dyn Fn(&Ix) -> bool) -> bool {
    body.iter().all(|stmt| match stmt {
        Stmt::For { body, .. } => all_indices(body, test),
        Stmt::Let(_, Expr::Index(ix)) => test(ix),
        Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) => {
            test(&access.index) && access.bounds.iter().all(|(ix, _)| test(ix))
        }
        Stmt::Let(_, Expr::Const(_) | Expr::Scalar(..) | Expr::Get(_)) | Stmt::Set(..) => true,
    })
}
