//! Time loops outside of lanes.
//!
//! A nest says: for every neuron (in lanes) walk through time. Taken literally, each vector of neurons touches as many
//! distant places as there are steps, which costs caches and prefetchers more than the arithmetic. As lanes never see each
//! other, the order may be exchanged: for every step, all neurons of a chunk side by side. Registers and values that live
//! across the border become small arrays on the stack, one element a lane, that stay in the cache. Scratch
//! buffers, of which every lane has its own, become such arrays, too. No bit of any result changes.
//!
//! What is split: a `Lanes` loop whose body has a loop of some length, or scratch. Statements between loops become `Lanes`
//! loops of their own; a loop keeps its place and gets a `Lanes` loop inside. This file must never know cranelift.

mod segment;

use snn_loops::plan::each_access;
use snn_loops::{Access, BufferId, Expr, Extent, Ix, LoopKind, Stmt, Val, Var};

use crate::canonical::Canonical;
use segment::{Segment, Segments};

/// Shorter loops stay inside of their lanes.
const LONG: usize = 4;
/// Fewer lanes than this are not worth it.
const WIDE: usize = 64;
/// Bytes of all arrays of a chunk: what a second-level cache holds beside what streams through it. Long runs through each of
/// the places that steps lie at are worth more than arrays in the first level (measured: 1.4 ns instead of 1.7 ns an element
/// of 16 steps of 2^20 neurons, forward and backward).
const ARRAYS: usize = 320 * 1024;
/// Lanes of a chunk, at least and at most; both powers of two.
const CHUNK: (usize, usize) = (64, 4096);

/// Exchanges loops where that pays or is needed; `size` is the number of bytes of a float.
pub(crate) fn interchange(canonical: &mut Canonical, size: usize) {
    let body = std::mem::take(&mut canonical.nest.body);
    canonical.nest.body = block(canonical, size, body);
    canonical.widen_scratch(1);
}

fn block(canonical: &mut Canonical, size: usize, body: Vec<Stmt>) -> Vec<Stmt> {
    let mut out = Vec::with_capacity(body.len());
    for stmt in body {
        match stmt {
            Stmt::For { var, extent, kind: LoopKind::Lanes, body } => {
                out.extend(lanes(canonical, size, var, extent, body))
            }
            Stmt::For { var, extent, kind: LoopKind::Parallel, body } => {
                let (extent, body) = smaller_blocks(canonical, size, var, extent, body);
                let body = block(canonical, size, body);
                out.push(Stmt::For { var, extent, kind: LoopKind::Parallel, body });
            }
            Stmt::For { var, extent, kind, body } => {
                let body = block(canonical, size, body);
                out.push(Stmt::For { var, extent, kind, body });
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether the body of a `Lanes` loop is to be split.
fn is_split(canonical: &Canonical, extent: Extent, body: &[Stmt]) -> bool {
    let mut scratch = false;
    each_access(body, &mut |access, _| scratch |= canonical.scratch(access.buffer).is_some());
    let is_long = |stmt: &Stmt| matches!(stmt, Stmt::For { extent, .. } if extent.limit() >= LONG);
    scratch || extent.limit() >= WIDE && body.iter().any(is_long)
}

/// Lanes whose arrays fit, as a power of two.
fn chunk(canonical: &Canonical, size: usize, lane: Var, body: &[Stmt]) -> usize {
    let segments = Segments::of(canonical, lane, body);
    let mut scratch: Vec<BufferId> = Vec::new();
    each_access(body, &mut |access, _| {
        if canonical.scratch(access.buffer).is_some() && !scratch.contains(&access.buffer) {
            scratch.push(access.buffer);
        }
    });
    let of_scratch: usize = scratch.iter().filter_map(|buffer| canonical.scratch(*buffer)).sum();
    let elements = segments.n_arrays() + of_scratch;
    let fitting = (ARRAYS / size / elements.max(1)).max(1);
    let power = 1 << fitting.ilog2();
    usize::clamp(power, CHUNK.0, CHUNK.1)
}

/// A parallel loop over blocks of lanes, cut into smaller blocks so that arrays fit.
fn smaller_blocks(
    canonical: &mut Canonical,
    size: usize,
    block: Var,
    extent: Extent,
    mut body: Vec<Stmt>,
) -> (Extent, Vec<Stmt>) {
    let [
        Stmt::For {
            var,
            extent: Extent::Block { block: named, size: lanes, total },
            kind: LoopKind::Lanes,
            body: inner,
        },
    ] = body.as_mut_slice()
    else {
        return (extent, body);
    };
    if *named != block || !is_split(canonical, Extent::Fixed(*lanes), inner) {
        return (extent, body);
    }
    let (lane, count) = (*var, *lanes as i64);
    let chunk = chunk(canonical, size, lane, inner);
    let moves_along = |ix: &Ix| match (ix.stride(block), ix.stride(lane)) {
        (Some(outer), Some(inner)) => outer == inner * count,
        _ => false,
    };
    if chunk >= *lanes || !indices(inner).iter().all(moves_along) {
        return (extent, body);
    }
    let at = Ix::var(block).times(chunk as i64).plus(&Ix::var(lane));
    segment::substitute(inner, &|var| match var {
        var if var == block => Ix::constant(0),
        var if var == lane => at.clone(),
        var => Ix::var(var),
    });
    let total = *total;
    *lanes = chunk;
    (Extent::Fixed(total.div_ceil(chunk)), body)
}

/// Every index in some statements.
fn indices(body: &[Stmt]) -> Vec<Ix> {
    let mut all = Vec::new();
    let mut accesses = |access: &Access, _| {
        all.push(access.index.clone());
        all.extend(access.bounds.iter().map(|(ix, _)| ix.clone()));
    };
    each_access(body, &mut accesses);
    fn numbers(body: &[Stmt], all: &mut Vec<Ix>) {
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => numbers(body, all),
                Stmt::Let(_, Expr::Index(ix)) => all.push(ix.clone()),
                Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
            }
        }
    }
    numbers(body, &mut all);
    all
}

/// A `Lanes` loop, split if it is to be.
fn lanes(canonical: &mut Canonical, size: usize, lane: Var, extent: Extent, body: Vec<Stmt>) -> Vec<Stmt> {
    if !is_split(canonical, extent, &body) {
        return vec![Stmt::For { var: lane, extent, kind: LoopKind::Lanes, body }];
    }
    let chunk = chunk(canonical, size, lane, &body);
    match extent {
        Extent::Fixed(n) if n > chunk => {
            let (block, within) = (fresh_var(canonical), fresh_var(canonical));
            let at = Ix::var(block).times(chunk as i64).plus(&Ix::var(within));
            let mut body = body;
            segment::substitute(&mut body, &|var| if var == lane { at.clone() } else { Ix::var(var) });
            let inner = Extent::Block { block, size: chunk, total: n };
            let body = split(canonical, within, inner, chunk, body);
            vec![Stmt::For { var: block, extent: Extent::Fixed(n.div_ceil(chunk)), kind: LoopKind::Serial, body }]
        }
        // A block that could not be made smaller keeps its size: the arrays are larger then.
        _ => split(canonical, lane, extent, extent.limit(), body),
    }
}

/// The segments of a body, each in lanes of its own.
fn split(canonical: &mut Canonical, lane: Var, extent: Extent, n: usize, body: Vec<Stmt>) -> Vec<Stmt> {
    let plan = Segments::of(canonical, lane, &body);
    let mut out = plan.uniform.clone();
    let arrays = plan.arrays(canonical, n);
    for segment in &plan.segments {
        let var = fresh_var(canonical);
        let Some(mut stmts) = plan.body(canonical, &arrays, segment, lane) else { continue };
        widen_scratch(canonical, &mut stmts, lane, n);
        segment::substitute(&mut stmts, &|v| if v == lane { Ix::var(var) } else { Ix::var(v) });
        let inner = Stmt::For { var, extent, kind: LoopKind::Lanes, body: stmts };
        out.push(match segment {
            Segment::Straight(_) => inner,
            Segment::Loop { var, extent, kind, .. } => {
                Stmt::For { var: *var, extent: *extent, kind: *kind, body: vec![inner] }
            }
        });
    }
    canonical.widen_scratch(n);
    out
}

/// Gives every lane its own place in scratch buffers: element `i` of lane `l` is `i * n + l`.
fn widen_scratch(canonical: &Canonical, body: &mut [Stmt], lane: Var, n: usize) {
    segment::each_access_mut(body, &mut |access| {
        if canonical.scratch(access.buffer).is_some() {
            access.index = access.index.times(n as i64).plus(&Ix::var(lane));
        }
    });
}

fn fresh_var(canonical: &mut Canonical) -> Var {
    canonical.nest.n_vars += 1;
    Var(canonical.nest.n_vars - 1)
}

fn fresh_val(canonical: &mut Canonical) -> Val {
    canonical.nest.n_vals += 1;
    Val(canonical.nest.n_vals - 1)
}
