//! Loops over lanes: the body once for several vectors side by side, once for what is left, vector by vector, and once for
//! single elements.
//!
//! Several independent vectors hide the latency of a scan's chain of dependent instructions; lanes never see each other,
//! so how many run side by side changes no bit of the result.

use cranelift_codegen::ir::{InstBuilder, Value};
use snn_loops::plan::each_access;
use snn_loops::{Expr, Extent, Stmt, Var};

use super::{Emitter, Lane};

/// Instructions of a body up to which four vectors, and up to which two, run side by side: beyond, registers run out.
const FOUR_UP_TO: usize = 24;
const TWO_UP_TO: usize = 64;

impl Emitter<'_> {
    /// A loop whose iterations become lanes.
    pub(super) fn lanes(&mut self, var: Var, extent: Extent, body: &[Stmt]) {
        let mut unroll = unroll(body);
        if self.touches_bits(body) {
            // Vectors start at whole bytes of packed buffers.
            unroll = unroll.max(8 / self.types.lanes);
        }
        match self.always(extent) {
            Some(n) => self.fixed_lanes(var, n, unroll, body),
            None => self.counted_lanes(var, extent, unroll, body),
        }
    }

    /// The number of iterations is known, and so are the parts.
    fn fixed_lanes(&mut self, var: Var, n: usize, unroll: usize, body: &[Stmt]) {
        let lanes = self.types.lanes;
        let wide = lanes * unroll;
        let wide_end = n / wide * wide;
        let vector_end = n / lanes * lanes;
        self.part(var, 0, wide_end, wide, Some(unroll), body);
        let left = vector_end - wide_end;
        self.part(var, wide_end, vector_end, left, Some(left / lanes), body);
        self.part(var, vector_end, n, 1, None, body);
    }

    /// Iterations `begin..end`, `step` at a time.
    fn part(&mut self, var: Var, begin: usize, end: usize, step: usize, unroll: Option<usize>, body: &[Stmt]) {
        if begin >= end {
            return;
        }
        let first = self.int(begin as i64);
        if end - begin == step {
            self.section(var, first, unroll, body);
        } else {
            let end = self.int(end as i64);
            self.ascending(first, end, step as i64, |e, index| e.section(var, index, unroll, body));
        }
    }

    /// The number of iterations is only known when the code runs, but it is a multiple of what divides size and total.
    fn counted_lanes(&mut self, var: Var, extent: Extent, unroll: usize, body: &[Stmt]) {
        let lanes = self.types.lanes;
        let divisor = match extent {
            Extent::Block { size, total, .. } => greatest_common_divisor(size, total),
            Extent::Fixed(n) => n,
        };
        let n = self.count(extent);
        let mut first = self.int(0);
        let mut parts = vec![(lanes * unroll, Some(unroll)), (lanes, Some(1)), (1, None)];
        if self.touches_bits(body) {
            parts.remove(1);
        }
        parts.dedup();
        for (step, copies) in parts {
            // Steps are powers of two, so masking rounds down to a multiple.
            let mask = self.int(-(step as i64));
            let end = self.builder.ins().band(n, mask);
            self.unless_empty(first, end, |e| {
                e.ascending(first, end, step as i64, |e, index| e.section(var, index, copies, body));
            });
            if divisor.is_multiple_of(step) {
                return;
            }
            first = end;
        }
    }

    /// Whether a body loads or stores bits.
    fn touches_bits(&self, body: &[Stmt]) -> bool {
        let mut found = false;
        each_access(body, &mut |access, _| found |= self.is_packed(access.buffer));
        found
    }

    /// The body for `unroll` vectors from `first` on, or for the single element there.
    fn section(&mut self, var: Var, first: Value, unroll: Option<usize>, body: &[Stmt]) {
        // Registers never cross the border of a `Lanes` loop, so each section has its own.
        let fresh = vec![None; self.regs.len()];
        let outside = std::mem::replace(&mut self.regs, fresh);
        self.lane = unroll.map(|unroll| Lane { var, unroll });
        self.iteration(var, first, body);
        self.lane = None;
        self.regs = outside;
    }
}

fn unroll(body: &[Stmt]) -> usize {
    match instructions(body) {
        n if n <= FOUR_UP_TO => 4,
        n if n <= TWO_UP_TO => 2,
        _ => 1,
    }
}

fn instructions(body: &[Stmt]) -> usize {
    body.iter()
        .map(|stmt| match stmt {
            Stmt::For { body, .. } => instructions(body),
            Stmt::Let(_, Expr::Scalar(..) | Expr::Load(_) | Expr::Index(_)) | Stmt::Store(..) => 1,
            Stmt::Let(_, Expr::Const(_) | Expr::Get(_)) | Stmt::Set(..) => 0,
        })
        .sum()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
