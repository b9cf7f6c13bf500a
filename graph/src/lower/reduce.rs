//! Kernels of reductions.
//!
//! The kept axes are outside, the reduced ones inside, accumulators in registers; where the fastest axis in memory is
//! kept (statistics per channel) it runs in lanes. A reduction with few kept elements is split along its longest reduced
//! axis into a number of parts that depends on the shape alone, and a second kernel adds the parts in order: the same bits
//! for any number of threads.

use snn_loops::{
    Access, BufferId, Expr, Extent, Ix, Kernel, Launch, LoopKind, Nest, Program, Reg, Role, Scalar, Stmt, Val, Var,
};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::emit::Emission;
use crate::lower::region::Region;
use crate::lower::space::{self, Axis};
use crate::lower::storage::Storage;
use crate::op::{Op, Point};
use crate::ops::reduce::Reducer;
use crate::ty::{Axes, Ty};

/// Elements one part of a split reduction covers.
const PART: usize = 16384;
/// The most parts.
const MAX_PARTS: usize = 64;

/// One accumulator of a kernel.
struct Accumulator {
    reducer: Reducer,
    reg: Reg,
    storage: Storage,
}

/// The kernels that compute reductions of the same space over the same axes.
pub(super) fn lower_reduce(
    region: &mut Region<'_>,
    program: &mut Program,
    nodes: &[NodeId],
) -> Result<Vec<Launch>, LowerError> {
    let targets: Vec<(NodeId, Storage)> = nodes.iter().map(|id| (*id, region.materialize(program, *id))).collect();
    let Some((operand, reducer)) = nodes.first().and_then(|id| operand(region, *id)) else {
        return Err(LowerError::new("a reduction without operand"));
    };
    let axes_spec = reducer.1;
    let ty = region.graph.ty(operand).clone();
    let mut emission = Emission::new(region, program.dtype, region.label(nodes[0]));
    let (axes, point) = space::all_axes(&mut emission, region.graph, &ty, region.batch);
    let out_point = kept_point(&ty, &axes_spec, &point);
    let mut accumulators = Vec::new();
    for (id, storage) in targets {
        let Some((operand, (reducer, _))) = self::operand(region, id) else { continue };
        let val = emission.value(operand, &point);
        let val = emission.as_float(region.graph.ty(operand).kind, val);
        let reg = emission.builder.fresh_reg();
        let before = emission.builder.get(reg);
        let after = emission.builder.scalar(combine(reducer), &[before, val]);
        emission.builder.set(reg, after);
        accumulators.push(Accumulator { reducer, reg, storage });
    }
    let (mut nest, _) = emission.finish()?;
    let mut inner = std::mem::take(&mut nest.body);
    // The stores take part in merging axes: their indices move along the kept axes only.
    let mut stores: Vec<Stmt> = Vec::new();
    for accumulator in &accumulators {
        let val = define(&mut nest, &mut stores, Expr::Get(accumulator.reg));
        stores.push(Stmt::Store(Access::new(accumulator.storage.buffer, accumulator.storage.index(&out_point)), val));
    }
    let is_reduced = |axis: &Axis| {
        let var = Ix::var(axis.var);
        !(out_point.time == var || out_point.batch == var || out_point.dims.contains(&var))
    };
    let (reduced, kept): (Vec<Axis>, Vec<Axis>) = axes.into_iter().partition(is_reduced);
    inner.extend(stores);
    let reduced = space::collapse(&mut inner, reduced);
    let kept = space::collapse(&mut inner, kept);
    let stores = inner.split_off(inner.len() - 2 * accumulators.len());
    let mut shape = Shape { inner, stores, reduced, kept, lanes: None };
    side_by_side(&mut nest, &mut shape);
    Ok(assemble(program, nest, shape, &accumulators))
}

/// Sums that a large reduction to a single element takes side by side.
const SIDE_BY_SIDE: usize = 16;

/// Where nothing is kept and much is reduced, neighboring elements go to different sums, which the second kernel adds up.
fn side_by_side(nest: &mut Nest, shape: &mut Shape) {
    let elements: usize = shape.reduced.iter().map(|axis| axis.extent).product();
    let Some(last) = shape.reduced.last_mut().filter(|_| shape.kept.is_empty() && elements >= 2 * PART) else { return };
    if last.extent < 2 * SIDE_BY_SIDE || !last.extent.is_multiple_of(SIDE_BY_SIDE) {
        return;
    }
    let (outer, lane) = (space::fresh(nest), space::fresh(nest));
    let at = Ix::var(outer).times(SIDE_BY_SIDE as i64).plus(&Ix::var(lane));
    space::substitute(&mut shape.inner, last.var, &at);
    *last = Axis { var: outer, extent: last.extent / SIDE_BY_SIDE };
    shape.lanes = Some(Axis { var: lane, extent: SIDE_BY_SIDE });
}

struct Shape {
    inner: Vec<Stmt>,
    stores: Vec<Stmt>,
    reduced: Vec<Axis>,
    kept: Vec<Axis>,
    /// A part of the reduced axes that the first kernel keeps; there is no other kept axis then.
    lanes: Option<Axis>,
}

/// The longest reduced axis in blocks.
struct Split {
    /// Its position among the reduced axes.
    at: usize,
    /// Counts blocks.
    block: Var,
    /// Counts elements of a block.
    counter: Var,
    size: usize,
    n_parts: usize,
}

fn assemble(program: &mut Program, mut nest: Nest, shape: Shape, accumulators: &[Accumulator]) -> Vec<Launch> {
    let Shape { mut inner, stores, reduced, mut kept, lanes } = shape;
    kept.extend(lanes);
    let n_kept: usize = kept.iter().map(|axis| axis.extent).product();
    let n_reduced: usize = reduced.iter().map(|axis| axis.extent).product();
    let split = split(&mut nest, &mut inner, &reduced, &kept);
    for (at, axis) in reduced.iter().enumerate().rev() {
        let (var, extent) = match &split {
            Some(split) if split.at == at => {
                (split.counter, Extent::Block { block: split.block, size: split.size, total: axis.extent })
            }
            _ => (axis.var, Extent::Fixed(axis.extent)),
        };
        inner = vec![space::for_loop(var, extent, LoopKind::Serial, inner)];
    }
    let mut body = Vec::new();
    for accumulator in accumulators {
        let start = define(&mut nest, &mut body, Expr::Const(neutral(accumulator.reducer)));
        body.push(Stmt::Set(accumulator.reg, start));
    }
    body.extend(inner);
    if let Some(split) = split {
        let at = kept_index(&kept).plus(&Ix::var(split.block).times(n_kept as i64));
        let (partials, to_parts) = partial_stores(program, &mut nest, accumulators, &at, n_kept * split.n_parts);
        body.extend(to_parts);
        let body = space::serial_lanes(body, kept.clone());
        nest.body = vec![space::for_loop(split.block, Extent::Fixed(split.n_parts), LoopKind::Parallel, body)];
        let kernel = program.add_kernel(Kernel::Nest(nest.clone()));
        let combine = combine_parts(program, &nest, accumulators, &partials, kept, &stores, split.n_parts, lanes);
        return vec![Launch::Run(kernel), combine];
    }
    body.extend(stores);
    let mut axes = kept;
    nest.body = match axes.pop() {
        None => body,
        Some(lanes) if axes.is_empty() && n_kept.saturating_mul(n_reduced) > PART && lanes.extent > 64 => {
            let size = (PART / n_reduced.max(1)).clamp(32, lanes.extent);
            space::blocks(&mut nest, lanes, size, LoopKind::Lanes, body)
        }
        Some(lanes) => {
            let body = vec![space::for_loop(lanes.var, Extent::Fixed(lanes.extent), LoopKind::Lanes, body)];
            space::threaded(&mut nest, body, axes, lanes.extent.saturating_mul(n_reduced))
        }
    };
    vec![Launch::Run(program.add_kernel(Kernel::Nest(nest)))]
}

/// Cuts the longest reduced axis into blocks where there is much to reduce and little to keep.
fn split(nest: &mut Nest, inner: &mut [Stmt], reduced: &[Axis], kept: &[Axis]) -> Option<Split> {
    let n_kept: usize = kept.iter().map(|axis| axis.extent).product();
    let n_reduced: usize = reduced.iter().map(|axis| axis.extent).product();
    let outer_kept: usize = kept.iter().rev().skip(1).map(|axis| axis.extent).product();
    let parts = (n_kept.saturating_mul(n_reduced) / PART).clamp(1, MAX_PARTS);
    let (at, longest) = reduced.iter().enumerate().max_by_key(|(_, axis)| axis.extent)?;
    if parts < 2 || outer_kept >= 8 || n_kept > 1 << 16 {
        return None;
    }
    let size = longest.extent.div_ceil(parts);
    let (block, counter) = (space::fresh(nest), space::fresh(nest));
    let element = Ix::var(block).times(size as i64).plus(&Ix::var(counter));
    space::substitute(inner, longest.var, &element);
    Some(Split { at, block, counter, size, n_parts: longest.extent.div_ceil(size) })
}

/// One partial buffer for each accumulator, `[part][kept]`, and the stores into them.
fn partial_stores(
    program: &mut Program,
    nest: &mut Nest,
    accumulators: &[Accumulator],
    at: &Ix,
    len: usize,
) -> (Vec<BufferId>, Vec<Stmt>) {
    let mut partials = Vec::new();
    let mut stores = Vec::new();
    for accumulator in accumulators {
        let buffer = program.add_buffer(format!("{}.parts", nest.name), len, Role::Temporary);
        partials.push(buffer);
        let val = define(nest, &mut stores, Expr::Get(accumulator.reg));
        stores.push(Stmt::Store(Access::new(buffer, at.clone()), val));
    }
    (partials, stores)
}

/// The second kernel: parts combined in order. It has the first kernel's kept axes and, for each accumulator, its store.
fn combine_parts(
    program: &mut Program,
    first: &Nest,
    accumulators: &[Accumulator],
    partials: &[BufferId],
    kept: Vec<Axis>,
    stores: &[Stmt],
    n_parts: usize,
    lanes: Option<Axis>,
) -> Launch {
    let n_kept: usize = kept.iter().map(|axis| axis.extent).product();
    let mut nest = Nest {
        name: format!("{}.combine", first.name),
        body: Vec::new(),
        n_vals: 0,
        n_regs: first.n_regs,
        n_vars: first.n_vars,
    };
    let part = space::fresh(&mut nest);
    let at = kept_index(&kept).plus(&Ix::var(part).times(n_kept as i64));
    let mut body = Vec::new();
    let mut sum = Vec::new();
    for (accumulator, buffer) in accumulators.iter().zip(partials) {
        let start = define(&mut nest, &mut body, Expr::Const(neutral(accumulator.reducer)));
        body.push(Stmt::Set(accumulator.reg, start));
        let val = define(&mut nest, &mut sum, Expr::Load(Access::new(*buffer, at.clone())));
        let before = define(&mut nest, &mut sum, Expr::Get(accumulator.reg));
        let after = define(&mut nest, &mut sum, Expr::Scalar(combine(accumulator.reducer), vec![before, val]));
        sum.push(Stmt::Set(accumulator.reg, after));
    }
    if let Some(lanes) = lanes {
        sum = vec![space::for_loop(lanes.var, Extent::Fixed(lanes.extent), LoopKind::Serial, sum)];
    }
    body.push(space::for_loop(part, Extent::Fixed(n_parts), LoopKind::Serial, sum));
    let accesses = stores.iter().filter_map(|stmt| match stmt {
        Stmt::Store(access, _) => Some(access),
        Stmt::For { .. } | Stmt::Let(..) | Stmt::Set(..) => None,
    });
    for (accumulator, access) in accumulators.iter().zip(accesses) {
        let val = define(&mut nest, &mut body, Expr::Get(accumulator.reg));
        body.push(Stmt::Store(access.clone(), val));
    }
    nest.body = space::serial_lanes(body, if lanes.is_some() { Vec::new() } else { kept });
    Launch::Run(program.add_kernel(Kernel::Nest(nest)))
}

/// Position of a kept element among all, the last axis fastest.
fn kept_index(kept: &[Axis]) -> Ix {
    let mut at = Ix::constant(0);
    let mut stride = 1;
    for axis in kept.iter().rev() {
        at = at.plus(&Ix::var(axis.var).times(stride));
        stride *= axis.extent as i64;
    }
    at
}

fn operand(region: &Region<'_>, id: NodeId) -> Option<(NodeId, (Reducer, Axes))> {
    let node = region.graph.node(id);
    match &node.op {
        Op::Reduce(reduce) => Some((*node.inputs.first()?, (reduce.reducer, reduce.axes.clone()))),
        _ => None,
    }
}

/// The point of the result: the operand's point without the reduced axes.
fn kept_point(ty: &Ty, axes: &Axes, at: &Point) -> Point {
    let zero = || Ix::constant(0);
    Point {
        time: if ty.time && !axes.time { at.time.clone() } else { zero() },
        batch: if ty.batch && !axes.batch { at.batch.clone() } else { zero() },
        dims: at.dims.iter().enumerate().filter(|(i, _)| !axes.dims.contains(i)).map(|(_, ix)| ix.clone()).collect(),
    }
}

fn define(nest: &mut Nest, body: &mut Vec<Stmt>, expr: Expr) -> Val {
    let val = Val(nest.n_vals);
    nest.n_vals += 1;
    body.push(Stmt::Let(val, expr));
    val
}

fn combine(reducer: Reducer) -> Scalar {
    match reducer {
        Reducer::Sum => Scalar::Add,
        Reducer::Max => Scalar::Max,
        Reducer::Min => Scalar::Min,
    }
}

fn neutral(reducer: Reducer) -> f64 {
    match reducer {
        Reducer::Sum => 0.0,
        Reducer::Max => f64::NEG_INFINITY,
        Reducer::Min => f64::INFINITY,
    }
}
