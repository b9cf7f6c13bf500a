//! Sums of what a time loop makes, taken inside of the loop's own kernel.
//!
//! Gradients of norms are sums for each channel over what a backward time loop yields, firing rates sums over spikes: read
//! again from memory they would cost as much as the loop that made them. Inside of it they are an addition. Every parallel
//! iteration has a row of sums for itself, one for each channel, and a second kernel adds the rows in order, so results do not
//! depend on threads. Must never know machines.

use snn_loops::{
    Access, BufferId, Expr, Extent, Ix, Kernel, Launch, LoopKind, Nest, NestBuilder, Program, Reg, Role, Scalar, Stmt,
    Val,
};

use crate::graph::{Graph, NodeId};
use crate::lower::emit::Emission;
use crate::lower::region::Region;
use crate::lower::space;
use crate::lower::storage::Storage;
use crate::op::{Lowering, Op, OpRule, Point};
use crate::ops::reduce::Reducer;
use crate::ops::scan::Scan;
use crate::ty::{Axes, Ty};

/// Fewer elements of a channel are summed by a kernel of their own.
const ELEMENTS: usize = 64;

/// Whether a node is a sum that a fused scan can take along: over time, samples and all axes, or all but the channels, of
/// something as large as what the scan yields.
pub(super) fn is_sum_along(region: &Region<'_>, id: NodeId, full: &Ty) -> bool {
    let node = region.graph.node(id);
    let (Op::Reduce(reduce), [operand]) = (&node.op, node.inputs.as_slice()) else { return false };
    let ty = region.graph.ty(*operand);
    let rest = |first: usize| Axes { time: true, batch: true, dims: (first..ty.dims.len()).collect() };
    let channels = ty.dims.first().copied().unwrap_or(1);
    reduce.reducer == Reducer::Sum
        && (reduce.axes == rest(0) || reduce.axes == rest(1))
        && ty.dims == full.dims
        && channels > 1
        && region.len(full) >= ELEMENTS * channels
}

/// The scan that makes a value step by step, if one does, and which of its results the value is.
pub(super) fn maker(graph: &Graph, id: NodeId) -> Option<(NodeId, usize, &Scan)> {
    let node = graph.node(id);
    let (Lowering::Project(index), Some(source)) = (node.op.lower(), node.inputs.first()) else { return None };
    let Op::Scan(scan) = &graph.node(*source).op else { return None };
    (index < scan.body.ys.len()).then_some((*source, index, scan))
}

/// A sum that is taken along.
struct Sum {
    operand: NodeId,
    result: Storage,
    /// Whether the result has an element for each channel.
    by_channel: bool,
    reg: Reg,
    /// `[part][channel]`; its length is known in the end.
    parts: BufferId,
}

/// The sums of a scan's kernel.
pub(super) struct Sums {
    sums: Vec<Sum>,
    channels: usize,
}

impl Sums {
    /// The sums that are nodes of a region, along a scan over elements of a type.
    pub fn plan(region: &mut Region<'_>, program: &mut Program, nodes: &[NodeId], full: &Ty) -> Sums {
        let mut sums = Vec::with_capacity(nodes.len());
        for id in nodes {
            let Some(operand) = region.graph.node(*id).inputs.first().copied() else { continue };
            let parts = program.add_buffer(format!("{}.parts", region.label(*id)), 0, Role::Temporary);
            let by_channel = !region.graph.ty(*id).dims.is_empty();
            sums.push(Sum { operand, result: region.materialize(program, *id), by_channel, reg: Reg(0), parts });
        }
        Sums { sums, channels: full.dims.first().copied().unwrap_or(1) }
    }

    /// Before the first step of an element.
    pub fn start(&mut self, emission: &mut Emission<'_, '_>) {
        for sum in &mut self.sums {
            sum.reg = emission.builder.fresh_reg();
            let zero = emission.builder.constant(0.0);
            emission.builder.set(sum.reg, zero);
        }
    }

    /// In a step.
    pub fn step(&self, emission: &mut Emission<'_, '_>, now: &Point) {
        for sum in &self.sums {
            let val = emission.float(sum.operand, now);
            let before = emission.builder.get(sum.reg);
            let after = emission.builder.scalar(Scalar::Add, &[before, val]);
            emission.builder.set(sum.reg, after);
        }
    }

    /// Behind the last step of an element: its channel's row takes it in.
    pub fn end(&self, emission: &mut Emission<'_, '_>, at: &Point) {
        let channel = at.dims.first().cloned().unwrap_or_else(|| Ix::constant(0));
        for sum in &self.sums {
            let place = Access::new(sum.parts, channel.clone());
            let before = emission.builder.load(place.clone());
            let element = emission.builder.get(sum.reg);
            let after = emission.builder.scalar(Scalar::Add, &[before, element]);
            emission.builder.store(place, after);
        }
    }

    /// The kernels: the finished loops, of which every parallel iteration gets rows of its own that start at 0, and those
    /// that add up the rows.
    pub fn kernels(self, program: &mut Program, mut nest: Nest) -> Vec<Launch> {
        let mut body = std::mem::take(&mut nest.body);
        let parts = match body.as_mut_slice() {
            [Stmt::For { var, extent: Extent::Fixed(parts), kind: LoopKind::Parallel, body }] => {
                let row = Ix::var(*var).times(self.channels as i64);
                self.move_rows(body, &row);
                self.clear(&mut nest, body, &row);
                *parts
            }
            _ => {
                self.clear(&mut nest, &mut body, &Ix::constant(0));
                1
            }
        };
        nest.body = body;
        let name = format!("{}.sums", nest.name);
        let mut launches = vec![Launch::Run(program.add_kernel(Kernel::Nest(nest)))];
        for sum in self.sums {
            if let Some(buffer) = program.buffers.get_mut(sum.parts.0 as usize) {
                buffer.len = parts * self.channels;
            }
            let combined = sum.combined(name.clone(), parts, self.channels);
            launches.push(Launch::Run(program.add_kernel(Kernel::Nest(combined))));
        }
        launches
    }

    /// Moves all accesses of rows.
    fn move_rows(&self, body: &mut [Stmt], by: &Ix) {
        let is_row = |access: &Access| self.sums.iter().any(|sum| sum.parts == access.buffer);
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => self.move_rows(body, by),
                Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) if is_row(access) => {
                    access.index = access.index.plus(by);
                }
                Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
            }
        }
    }

    /// Puts zeros into all rows, in front of a body.
    fn clear(&self, nest: &mut Nest, body: &mut Vec<Stmt>, row: &Ix) {
        if self.sums.is_empty() {
            return;
        }
        let channel = space::fresh(nest);
        let zero = Val(nest.n_vals);
        nest.n_vals += 1;
        let mut zeros = vec![Stmt::Let(zero, Expr::Const(0.0))];
        let at = row.plus(&Ix::var(channel));
        zeros.extend(self.sums.iter().map(|sum| Stmt::Store(Access::new(sum.parts, at.clone()), zero)));
        body.insert(0, space::for_loop(channel, Extent::Fixed(self.channels), LoopKind::Lanes, zeros));
    }
}

impl Sum {
    /// The kernel that adds the rows in order.
    fn combined(&self, name: String, parts: usize, channels: usize) -> Nest {
        let mut builder = NestBuilder::new(name);
        let (reg, channel, part) = (builder.fresh_reg(), builder.fresh_var(), builder.fresh_var());
        let at = Ix::var(part).times(channels as i64).plus(&Ix::var(channel));
        if self.by_channel {
            builder.open(channel, Extent::Fixed(channels), LoopKind::Lanes);
        }
        let zero = builder.constant(0.0);
        builder.set(reg, zero);
        builder.open(part, Extent::Fixed(parts), LoopKind::Serial);
        if !self.by_channel {
            builder.open(channel, Extent::Fixed(channels), LoopKind::Serial);
        }
        let before = builder.get(reg);
        let row = builder.load(Access::new(self.parts, at));
        let after = builder.scalar(Scalar::Add, &[before, row]);
        builder.set(reg, after);
        if !self.by_channel {
            builder.close();
        }
        builder.close();
        let sum = builder.get(reg);
        let dims = if self.by_channel { vec![Ix::var(channel)] } else { Vec::new() };
        let point = Point { time: Ix::constant(0), batch: Ix::constant(0), dims };
        builder.store(Access::new(self.result.buffer, self.result.index(&point)), sum);
        builder.finish()
    }
}
