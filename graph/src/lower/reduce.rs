//! Kernels of reductions.
//!
//! The kept axes are outside, the reduced ones inside, accumulators in registers; where the fastest axis in memory is
//! kept (statistics per channel) it runs in lanes. A reduction with few kept elements is split along its longest reduced
//! axis into a number of parts that depends on the shape alone, and a second kernel adds the parts in order: the same bits
//! for any number of threads.
//!
//! Deviations take a second sweep over what the first has just read: a part is small enough to lie in a cache by then, so
//! that a sum and its deviation cost one pass over memory.

mod parts;

use snn_loops::{Access, Expr, Extent, Ix, Kernel, Launch, LoopKind, Nest, Program, Reg, Scalar, Stmt, Val};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::emit::Emission;
use crate::lower::region::Region;
use crate::lower::space::{self, Axis};
use crate::lower::storage::Storage;
use crate::op::{Op, Point};
use crate::ops::Reduce;
use crate::ops::reduce::Reducer;
use crate::ty::{Axes, Ty};
use parts::{PART, Split};

/// What a kernel accumulates.
#[derive(Default)]
struct Accumulators {
    /// In the first sweep.
    running: Vec<Running>,
    /// In the second.
    spreads: Vec<Spread>,
}

/// A sum or an extremum.
struct Running {
    reducer: Reducer,
    operand: NodeId,
    reg: Reg,
}

/// The deviation of what one of the sums is of.
struct Spread {
    /// Which of the sums.
    sum: usize,
    mean: Reg,
    reg: Reg,
}

/// A kernel that is being put together.
struct Shape {
    /// The statements of the two sweeps for one element.
    sweeps: [Vec<Stmt>; 2],
    /// The stores of the results.
    stores: Vec<Stmt>,
    reduced: Vec<Axis>,
    kept: Vec<Axis>,
    /// A part of the reduced axes that the first kernel keeps; there is no other kept axis then.
    lanes: Option<Axis>,
}

/// The kernels that compute reductions of the same space over the same axes.
pub(super) fn lower_reduce(
    region: &mut Region<'_>,
    program: &mut Program,
    nodes: &[NodeId],
) -> Result<Vec<Launch>, LowerError> {
    let targets: Vec<(NodeId, Storage)> = nodes.iter().map(|id| (*id, region.materialize(program, *id))).collect();
    let Some((first, reduce)) = nodes.first().and_then(|id| operand(region, *id)) else {
        return Err(LowerError::new("a reduction without operand"));
    };
    let axes_spec = reduce.axes.clone();
    let ty = region.graph.ty(first).clone();
    let mut emission = Emission::new(region, program.dtype, region.label(nodes[0]));
    let (axes, point) = space::all_axes(&mut emission, region.graph, &ty, region.batch);
    let out_point = kept_point(&ty, &axes_spec, &point);
    let mut accumulators = Accumulators::default();
    let mut results = Vec::new();
    for (id, storage) in targets {
        let Some((operand, reduce)) = self::operand(region, id) else { continue };
        results.push((accumulators.result(&mut emission, reduce.reducer, operand), storage));
    }
    let sweeps = accumulators.sweeps(&mut emission, &point);
    // The stores take part in merging axes: their indices move along the kept axes only.
    for (reg, storage) in &results {
        let val = emission.builder.get(*reg);
        emission.builder.store(Access::new(storage.buffer, storage.index(&out_point)), val);
    }
    let stores = emission.take();
    let (mut nest, _) = emission.finish()?;
    let is_reduced = |axis: &Axis| {
        let var = Ix::var(axis.var);
        !(out_point.time == var || out_point.batch == var || out_point.dims.contains(&var))
    };
    let (reduced, kept): (Vec<Axis>, Vec<Axis>) = axes.into_iter().partition(is_reduced);
    let mut shape = merged(sweeps, stores, reduced, kept);
    side_by_side(&mut nest, &mut shape);
    Ok(assemble(program, nest, shape, &accumulators))
}

/// The shape with axes merged where all statements allow it.
fn merged(sweeps: [Vec<Stmt>; 2], stores: Vec<Stmt>, reduced: Vec<Axis>, kept: Vec<Axis>) -> Shape {
    let [first, second] = sweeps;
    let ends = [first.len(), first.len() + second.len()];
    let mut all: Vec<Stmt> = first.into_iter().chain(second).chain(stores).collect();
    let reduced = space::collapse(&mut all, reduced);
    let kept = space::collapse(&mut all, kept);
    let stores = all.split_off(ends[1]);
    let second = all.split_off(ends[0]);
    Shape { sweeps: [all, second], stores, reduced, kept, lanes: None }
}

impl Accumulators {
    /// The register in which the reduction of an operand ends up.
    fn result(&mut self, emission: &mut Emission<'_, '_>, reducer: Reducer, operand: NodeId) -> Reg {
        if reducer != Reducer::Deviation {
            let at = self.running(emission, reducer, operand);
            return self.running[at].reg;
        }
        let sum = self.running(emission, Reducer::Sum, operand);
        let (mean, reg) = (emission.builder.fresh_reg(), emission.builder.fresh_reg());
        self.spreads.push(Spread { sum, mean, reg });
        reg
    }

    /// The position of a running accumulator, which may be there.
    fn running(&mut self, emission: &mut Emission<'_, '_>, reducer: Reducer, operand: NodeId) -> usize {
        let same = |running: &Running| running.reducer == reducer && running.operand == operand;
        self.running.iter().position(same).unwrap_or_else(|| {
            let reg = emission.builder.fresh_reg();
            self.running.push(Running { reducer, operand, reg });
            self.running.len() - 1
        })
    }

    /// What the two sweeps do with one element.
    fn sweeps(&self, emission: &mut Emission<'_, '_>, point: &Point) -> [Vec<Stmt>; 2] {
        for running in &self.running {
            let val = emission.float(running.operand, point);
            let before = emission.builder.get(running.reg);
            let after = emission.builder.scalar(combine(running.reducer), &[before, val]);
            emission.builder.set(running.reg, after);
        }
        let first = emission.take();
        for spread in &self.spreads {
            let val = emission.float(self.running[spread.sum].operand, point);
            let mean = emission.builder.get(spread.mean);
            let distance = emission.builder.scalar(Scalar::Sub, &[val, mean]);
            let square = emission.builder.scalar(Scalar::Mul, &[distance, distance]);
            let before = emission.builder.get(spread.reg);
            let after = emission.builder.scalar(Scalar::Add, &[before, square]);
            emission.builder.set(spread.reg, after);
        }
        [first, emission.take()]
    }

    /// All registers that hold something at the end.
    fn regs(&self) -> impl Iterator<Item = Reg> {
        self.running.iter().map(|running| running.reg).chain(self.spreads.iter().map(|spread| spread.reg))
    }

    /// The start of the first sweep.
    fn start(&self, nest: &mut Nest, body: &mut Vec<Stmt>) {
        for running in &self.running {
            let start = define(nest, body, Expr::Const(running.reducer.start()));
            body.push(Stmt::Set(running.reg, start));
        }
    }

    /// The start of the second sweep, after a first over `count` elements.
    fn start_again(&self, nest: &mut Nest, body: &mut Vec<Stmt>, count: Val) {
        for spread in &self.spreads {
            let sum = define(nest, body, Expr::Get(self.running[spread.sum].reg));
            let mean = define(nest, body, Expr::Scalar(Scalar::Div, vec![sum, count]));
            body.push(Stmt::Set(spread.mean, mean));
            let start = define(nest, body, Expr::Const(Reducer::Deviation.start()));
            body.push(Stmt::Set(spread.reg, start));
        }
    }
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
    shape.sweeps.iter_mut().for_each(|sweep| space::substitute(sweep, last.var, &at));
    *last = Axis { var: outer, extent: last.extent / SIDE_BY_SIDE };
    shape.lanes = Some(Axis { var: lane, extent: SIDE_BY_SIDE });
}

fn assemble(program: &mut Program, mut nest: Nest, mut shape: Shape, accumulators: &Accumulators) -> Vec<Launch> {
    shape.kept.extend(shape.lanes);
    let n_kept: usize = shape.kept.iter().map(|axis| axis.extent).product();
    let n_reduced: usize = shape.reduced.iter().map(|axis| axis.extent).product();
    let split = Split::of(&mut nest, &mut shape, !accumulators.spreads.is_empty());
    let mut body = accumulate(&mut nest, &mut shape, split.as_ref(), accumulators);
    if let Some(split) = split {
        return split.launches(program, nest, shape, accumulators, body);
    }
    body.extend(shape.stores);
    let mut axes = shape.kept;
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

/// The sweeps over all reduced elements, or over those of a part.
fn accumulate(nest: &mut Nest, shape: &mut Shape, split: Option<&Split>, accumulators: &Accumulators) -> Vec<Stmt> {
    let [first, second] = std::mem::take(&mut shape.sweeps);
    let mut body = Vec::new();
    accumulators.start(nest, &mut body);
    body.extend(sweep(first, &shape.reduced, split));
    if accumulators.spreads.is_empty() {
        return body;
    }
    let count = match split {
        Some(split) => split.count(nest, &mut body, &shape.reduced),
        None => define(nest, &mut body, Expr::Const(shape.reduced.iter().map(|axis| axis.extent as f64).product())),
    };
    accumulators.start_again(nest, &mut body, count);
    let mut second = second;
    let again: Vec<Axis> = shape.reduced.iter().map(|axis| Axis { var: space::fresh(nest), ..*axis }).collect();
    let split_again = split.map(|split| split.again(nest));
    for (at, (axis, fresh)) in shape.reduced.iter().zip(&again).enumerate() {
        match (split, &split_again) {
            (Some(split), Some(again)) if split.at == at => {
                space::substitute(&mut second, split.counter, &Ix::var(again.counter));
            }
            _ => space::substitute(&mut second, axis.var, &Ix::var(fresh.var)),
        }
    }
    body.extend(sweep(second, &again, split_again.as_ref()));
    body
}

/// Serial loops over the reduced axes.
fn sweep(mut body: Vec<Stmt>, reduced: &[Axis], split: Option<&Split>) -> Vec<Stmt> {
    for (at, axis) in reduced.iter().enumerate().rev() {
        let (var, extent) = match split {
            Some(split) if split.at == at => (split.counter, split.extent(axis)),
            _ => (axis.var, Extent::Fixed(axis.extent)),
        };
        body = vec![space::for_loop(var, extent, LoopKind::Serial, body)];
    }
    body
}

fn operand<'g>(region: &Region<'g>, id: NodeId) -> Option<(NodeId, &'g Reduce)> {
    let node = region.graph.node(id);
    match &node.op {
        Op::Reduce(reduce) => Some((*node.inputs.first()?, reduce)),
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

/// The instruction that takes one more element, or part, into an accumulator of the first sweep.
fn combine(reducer: Reducer) -> Scalar {
    match reducer {
        Reducer::Sum | Reducer::Deviation => Scalar::Add,
        Reducer::Max => Scalar::Max,
        Reducer::Min => Scalar::Min,
    }
}
