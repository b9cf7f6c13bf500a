//! Reductions in parts: one kernel for the parts, one that puts them together in order.
//!
//! Sums of parts are added. Deviations of parts are, each with the distance of its mean from the mean of all: with `n`
//! elements, sum `s` and deviation `d` a part adds `d + n * (s / n - mean)^2` (Chan, Golub, LeVeque 1979).

use snn_loops::{
    Access, BufferId, Expr, Extent, Ix, Kernel, Launch, LoopKind, Nest, Program, Role, Scalar, Stmt, Val, Var,
};

use super::{Accumulators, Shape, combine, define};
use crate::lower::space::{self, Axis};

/// Elements that a part of a split reduction covers at least.
pub(super) const PART: usize = 16384;
/// The most parts of a single sweep.
const MAX_PARTS: usize = 64;
/// Elements that a part of two sweeps covers at most: they lie in the L2 cache for the second.
const SWEPT_TWICE: usize = 65536;
/// The most parts of two sweeps.
const MAX_SWEPT_TWICE: usize = 1024;

/// The longest reduced axis in blocks.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// Its position among the reduced axes.
    pub at: usize,
    /// Counts blocks.
    block: Var,
    /// Counts elements of a block.
    pub counter: Var,
    /// Elements of a block, and of all.
    size: usize,
    total: usize,
    n_parts: usize,
}

impl Split {
    /// Cuts the longest reduced axis into blocks where there is much to reduce and little to keep.
    pub fn of(nest: &mut Nest, shape: &mut Shape, twice: bool) -> Option<Split> {
        let Shape { sweeps, reduced, kept, .. } = shape;
        let n_kept: usize = kept.iter().map(|axis| axis.extent).product();
        let n_reduced: usize = reduced.iter().map(|axis| axis.extent).product();
        let outer_kept: usize = kept.iter().rev().skip(1).map(|axis| axis.extent).product();
        let work = n_kept.saturating_mul(n_reduced);
        let few = (work / PART).clamp(1, MAX_PARTS);
        let parts = if twice { few.max((work / SWEPT_TWICE).min(MAX_SWEPT_TWICE)) } else { few };
        let (at, longest) = reduced.iter().enumerate().max_by_key(|(_, axis)| axis.extent)?;
        if parts < 2 || outer_kept >= 8 || n_kept > 1 << 16 {
            return None;
        }
        let size = longest.extent.div_ceil(parts);
        let (block, counter) = (space::fresh(nest), space::fresh(nest));
        let element = Ix::var(block).times(size as i64).plus(&Ix::var(counter));
        sweeps.iter_mut().for_each(|sweep| space::substitute(sweep, longest.var, &element));
        Some(Split { at, block, counter, size, total: longest.extent, n_parts: longest.extent.div_ceil(size) })
    }

    /// The same blocks with another counter.
    pub fn again(&self, nest: &mut Nest) -> Split {
        Split { counter: space::fresh(nest), ..*self }
    }

    /// The elements of a block of the axis.
    pub fn extent(&self, axis: &Axis) -> Extent {
        Extent::Block { block: self.block, size: self.size, total: axis.extent }
    }

    /// How many elements a part has.
    pub fn count(&self, nest: &mut Nest, body: &mut Vec<Stmt>, reduced: &[Axis]) -> Val {
        let others: f64 =
            reduced.iter().enumerate().filter(|(at, _)| *at != self.at).map(|(_, axis)| axis.extent as f64).product();
        if self.total.is_multiple_of(self.size) {
            return define(nest, body, Expr::Const(others * self.size as f64));
        }
        let left = Ix::constant(self.total as i64).plus(&Ix::var(self.block).times(-(self.size as i64)));
        let left = define(nest, body, Expr::Index(left));
        let full = define(nest, body, Expr::Const(self.size as f64));
        let length = define(nest, body, Expr::Scalar(Scalar::Min, vec![left, full]));
        let others = define(nest, body, Expr::Const(others));
        define(nest, body, Expr::Scalar(Scalar::Mul, vec![length, others]))
    }

    /// Both kernels; `body` accumulates one part of one kept element.
    pub fn launches(
        self,
        program: &mut Program,
        mut nest: Nest,
        shape: Shape,
        accumulators: &Accumulators,
        mut body: Vec<Stmt>,
    ) -> Vec<Launch> {
        let n_kept: usize = shape.kept.iter().map(|axis| axis.extent).product();
        let at = self.place(&shape.kept);
        let mut parts = Vec::new();
        for reg in accumulators.regs() {
            let buffer = program.add_buffer(format!("{}.parts", nest.name), n_kept * self.n_parts, Role::Temporary);
            parts.push(buffer);
            let val = define(&mut nest, &mut body, Expr::Get(reg));
            body.push(Stmt::Store(Access::new(buffer, at.clone()), val));
        }
        let body = space::serial_lanes(body, shape.kept.clone());
        nest.body = vec![space::for_loop(self.block, Extent::Fixed(self.n_parts), LoopKind::Parallel, body)];
        let combined = self.combined(&nest, shape, accumulators, &parts);
        [nest, combined].map(|nest| Launch::Run(program.add_kernel(Kernel::Nest(nest)))).into()
    }

    /// Where the part of a kept element lies: `[part][kept]`.
    fn place(&self, kept: &[Axis]) -> Ix {
        let mut at = Ix::constant(0);
        let mut stride = 1;
        for axis in kept.iter().rev() {
            at = at.plus(&Ix::var(axis.var).times(stride));
            stride *= axis.extent as i64;
        }
        at.plus(&Ix::var(self.block).times(stride))
    }

    /// The second kernel: parts combined in order. It has the first kernel's kept axes and its stores of results.
    fn combined(&self, first: &Nest, shape: Shape, accumulators: &Accumulators, parts: &[BufferId]) -> Nest {
        let mut nest = Nest {
            name: format!("{}.combine", first.name),
            body: Vec::new(),
            n_vals: 0,
            n_regs: first.n_regs,
            n_vars: first.n_vars,
        };
        let mut body = Vec::new();
        accumulators.start(&mut nest, &mut body);
        let mut sums = Vec::new();
        let at = self.place(&shape.kept);
        for (running, buffer) in accumulators.running.iter().zip(parts) {
            let part = define(&mut nest, &mut sums, Expr::Load(Access::new(*buffer, at.clone())));
            let before = define(&mut nest, &mut sums, Expr::Get(running.reg));
            let after = define(&mut nest, &mut sums, Expr::Scalar(combine(running.reducer), vec![before, part]));
            sums.push(Stmt::Set(running.reg, after));
        }
        body.push(self.over_parts(sums, shape.lanes));
        if !accumulators.spreads.is_empty() {
            let lanes = shape.lanes.map_or(1, |lanes| lanes.extent);
            let total: f64 = shape.reduced.iter().map(|axis| axis.extent as f64).product();
            let count = define(&mut nest, &mut body, Expr::Const(total * lanes as f64));
            accumulators.start_again(&mut nest, &mut body, count);
            let spreads = self.spread_parts(&mut nest, &shape, accumulators, parts);
            body.push(spreads);
        }
        for store in shape.stores.chunks(2) {
            let [Stmt::Let(_, Expr::Get(reg)), Stmt::Store(access, _)] = store else { continue };
            let val = define(&mut nest, &mut body, Expr::Get(*reg));
            body.push(Stmt::Store(access.clone(), val));
        }
        nest.body = space::serial_lanes(body, if shape.lanes.is_some() { Vec::new() } else { shape.kept });
        nest
    }

    /// A loop over all parts, and over what lies side by side in each.
    fn over_parts(&self, mut body: Vec<Stmt>, lanes: Option<Axis>) -> Stmt {
        if let Some(lanes) = lanes {
            body = vec![space::for_loop(lanes.var, Extent::Fixed(lanes.extent), LoopKind::Serial, body)];
        }
        space::for_loop(self.block, Extent::Fixed(self.n_parts), LoopKind::Serial, body)
    }

    /// The loop that combines deviations.
    fn spread_parts(&self, nest: &mut Nest, shape: &Shape, accumulators: &Accumulators, parts: &[BufferId]) -> Stmt {
        let again = Split { block: space::fresh(nest), ..*self };
        let lanes = shape.lanes.map(|lanes| Axis { var: space::fresh(nest), ..lanes });
        let mut kept = shape.kept.clone();
        if let (Some(last), Some(lanes)) = (kept.last_mut(), lanes) {
            *last = lanes;
        }
        let at = again.place(&kept);
        let mut body = Vec::new();
        let count = again.count(nest, &mut body, &shape.reduced);
        for (spread, buffer) in accumulators.spreads.iter().zip(parts.iter().skip(accumulators.running.len())) {
            let Some(sums) = parts.get(spread.sum) else { continue };
            let sum = define(nest, &mut body, Expr::Load(Access::new(*sums, at.clone())));
            let deviation = define(nest, &mut body, Expr::Load(Access::new(*buffer, at.clone())));
            let mean = define(nest, &mut body, Expr::Get(spread.mean));
            let before = define(nest, &mut body, Expr::Get(spread.reg));
            let mut scalar = |op, args: [Val; 2]| define(nest, &mut body, Expr::Scalar(op, args.to_vec()));
            let own = scalar(Scalar::Div, [sum, count]);
            let distance = scalar(Scalar::Sub, [own, mean]);
            let square = scalar(Scalar::Mul, [distance, distance]);
            let moved = scalar(Scalar::Mul, [square, count]);
            let part = scalar(Scalar::Add, [deviation, moved]);
            let after = scalar(Scalar::Add, [before, part]);
            body.push(Stmt::Set(spread.reg, after));
        }
        again.over_parts(body, lanes)
    }
}
