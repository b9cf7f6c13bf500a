//! One nest to one native function.
//!
//! The function is `fn(buffers, begin, end, step)`: `buffers` points to one pointer a buffer slot, `begin..end` is the slice
//! of the outermost parallel loop that this call computes (`0..1` where there is none), `step` is the step of the enclosing
//! `Repeat`. Statements are emitted in order; loops test at their end, so a body that is emitted runs at least once.
//!
//! This file must never know programs, threads or memory.

mod access;
mod address;
mod bits;
mod lanes;
mod scalar;
mod values;
mod wide_call;

use std::collections::BTreeMap;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, FuncRef, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use snn_loops::{Expr, Extent, LoopKind, Stmt, Var};

use crate::canonical::Canonical;
use crate::value::{Slot, Types};
use crate::wide::Body;

/// Arrays on the stack start at whole cache lines of 2 to this power bytes.
const CACHE_LINE: u8 = 6;

/// The lanes that statements are being emitted for.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// The variable of the `Lanes` loop; its value is the first lane's.
    var: Var,
    /// Vectors that are computed side by side.
    unroll: usize,
}

/// Emission of one function.
pub(crate) struct Emitter<'f> {
    /// Where instructions go.
    builder: FunctionBuilder<'f>,
    /// The program's types.
    types: Types,
    /// The step of the enclosing `Repeat`.
    step: Value,
    /// The open loops' variables, outermost first.
    open: Vec<Var>,
    /// The largest extent of every variable whose loop was opened.
    limits: Vec<Option<usize>>,
    /// Set inside of a `Lanes` loop that is emitted as vectors.
    lane: Option<Lane>,
    /// Registers of this side of the `Lanes` loop: one variable, or one a vector.
    regs: Vec<Option<Vec<Variable>>>,
    /// Whether instructions of the machine take vectors from memory at any address.
    folds_unaligned: bool,
    /// Whether the statements lie in a loop that may have no iteration, so that its loads must stay where they are.
    may_be_skipped: bool,
    /// First iteration and end of the parallel loop's slice.
    slice: (Value, Value),
    /// The address of every slot's first element.
    bases: Vec<Value>,
    /// Whether the nest stores to a slot.
    stored: Vec<bool>,
    /// Whether a slot's buffer holds bits.
    packed: Vec<bool>,
    /// Present values of the loop variables.
    vars: Vec<Option<Value>>,
    /// Values by their names.
    vals: Vec<Option<Slot>>,
    /// Whether a value is the constant +0.
    positive_zero: Vec<bool>,
    /// Bodies of `Lanes` loops that are called.
    wide: BTreeMap<Var, (Body, FuncRef)>,
    /// Set when something was met that no verified nest has.
    malformed: bool,
}

/// Emits the nest into the function that `builder` builds, which has the signature above; false if the nest is malformed.
pub(crate) fn emit<'f>(
    mut builder: FunctionBuilder<'f>,
    nest: &Canonical,
    types: Types,
    folds_unaligned: bool,
    wide: BTreeMap<Var, (Body, FuncRef)>,
) -> (FunctionBuilder<'f>, bool) {
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let &[buffers, begin, end, step] = builder.block_params(entry) else {
        return (builder, false);
    };
    let table = MemFlagsData::trusted().with_readonly().with_can_move();
    let mut bases = Vec::with_capacity(nest.buffers.len());
    for (slot, local) in nest.locals.iter().enumerate() {
        bases.push(match local {
            Some(len) => {
                let bytes = len.saturating_mul(types.size as usize).next_multiple_of(1 << CACHE_LINE);
                let Ok(bytes) = u32::try_from(bytes) else { return (builder, false) };
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, CACHE_LINE);
                let array = builder.create_sized_stack_slot(data);
                builder.ins().stack_addr(types::I64, array, 0)
            }
            None => builder.ins().load(types::I64, table, buffers, 8 * slot as i32),
        });
    }
    let n_vars = nest.nest.n_vars as usize;
    let n_vals = nest.nest.n_vals as usize;
    let mut emitter = Emitter {
        builder,
        types,
        step,
        open: Vec::new(),
        limits: vec![None; n_vars],
        lane: None,
        regs: vec![None; nest.nest.n_regs as usize],
        folds_unaligned,
        may_be_skipped: false,
        slice: (begin, end),
        bases,
        stored: nest.stored.clone(),
        packed: nest.packed.clone(),
        vars: vec![None; n_vars],
        vals: vec![None; n_vals],
        positive_zero: vec![false; n_vals],
        wide,
        malformed: false,
    };
    emitter.statements(&nest.nest.body);
    emitter.builder.ins().return_(&[]);
    (emitter.builder, !emitter.malformed)
}

impl Emitter<'_> {
    /// Emits statements in order.
    fn statements(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { var, extent, kind, body } => self.open_loop(*var, *extent, *kind, body),
                Stmt::Let(val, expr) => {
                    let slot = self.expression(expr);
                    self.define(*val, slot, matches!(expr, Expr::Const(c) if c.to_bits() == 0));
                }
                Stmt::Set(reg, val) => {
                    let slot = self.val(*val);
                    self.set_reg(*reg, &slot);
                }
                Stmt::Store(access, val) => {
                    let slot = self.val(*val);
                    self.store(access, &slot);
                }
            }
        }
    }

    fn open_loop(&mut self, var: Var, extent: Extent, kind: LoopKind, body: &[Stmt]) {
        if extent.limit() == 0 {
            return;
        }
        if let Some(limit) = self.limits.get_mut(var.0 as usize) {
            *limit = Some(extent.limit());
        }
        self.open.push(var);
        let may_be_skipped = self.may_be_skipped;
        self.may_be_skipped |= self.may_be_empty(extent);
        match kind {
            LoopKind::Parallel => {
                let (begin, end) = self.slice;
                self.ascending(begin, end, 1, |e, index| e.iteration(var, index, body));
            }
            LoopKind::Serial => self.serial(var, extent, body),
            LoopKind::Reverse => self.reverse(var, extent, body),
            LoopKind::Lanes => match self.wide.get(&var).cloned() {
                Some((body, function)) => self.call_wide(var, extent, &body, function),
                None => self.lanes(var, extent, body),
            },
        }
        self.may_be_skipped = may_be_skipped;
        self.open.pop();
    }

    /// The body for one value of its loop's variable.
    fn iteration(&mut self, var: Var, index: Value, body: &[Stmt]) {
        self.set_var(var, index);
        self.statements(body);
    }

    fn serial(&mut self, var: Var, extent: Extent, body: &[Stmt]) {
        let first = self.int(0);
        match self.always(extent) {
            Some(1) => self.iteration(var, first, body),
            Some(n) => {
                let end = self.int(n as i64);
                self.ascending(first, end, 1, |e, index| e.iteration(var, index, body));
            }
            None => {
                let end = self.count(extent);
                self.unless_empty(first, end, |e| {
                    e.ascending(first, end, 1, |e, index| e.iteration(var, index, body));
                });
            }
        }
    }

    fn reverse(&mut self, var: Var, extent: Extent, body: &[Stmt]) {
        let zero = self.int(0);
        let end = self.count(extent);
        self.unless_empty(zero, end, |e| {
            let last = e.plus(end, -1);
            let (header, index) = e.header(last);
            e.iteration(var, index, body);
            let next = e.plus(index, -1);
            let more = e.builder.ins().icmp(IntCC::SignedGreaterThanOrEqual, next, zero);
            e.back(header, next, more);
        });
    }

    /// The number of iterations where it is always the same.
    fn always(&self, extent: Extent) -> Option<usize> {
        match extent {
            Extent::Fixed(n) => Some(n),
            Extent::Block { size, total, .. } => {
                (total % size.max(1) == 0 && !self.may_be_empty(extent)).then_some(size)
            }
        }
    }

    /// Whether a block may lie behind the end.
    fn may_be_empty(&self, extent: Extent) -> bool {
        match extent {
            Extent::Fixed(n) => n == 0,
            Extent::Block { block, size, total } => {
                let blocks = self.limits.get(block.0 as usize).copied().flatten();
                blocks.is_none_or(|blocks| blocks.saturating_sub(1).saturating_mul(size) >= total)
            }
        }
    }

    /// The iterations of a loop as a value.
    fn count(&mut self, extent: Extent) -> Value {
        match (self.always(extent), extent) {
            (Some(n), _) => self.int(n as i64),
            (None, Extent::Fixed(n)) => self.int(n as i64),
            (None, Extent::Block { block, size, total }) => {
                let (block, size) = (self.var(block), self.int(size as i64));
                let total = self.int(total as i64);
                let done = self.builder.ins().imul(block, size);
                let rest = self.builder.ins().isub(total, done);
                let full = self.builder.ins().icmp(IntCC::SignedLessThan, size, rest);
                self.builder.ins().select(full, size, rest)
            }
        }
    }

    /// `for index in (first..end).step_by(step)`, at least once.
    fn ascending(&mut self, first: Value, end: Value, step: i64, body: impl FnOnce(&mut Self, Value)) {
        let (header, index) = self.header(first);
        body(self, index);
        let next = self.plus(index, step);
        let more = self.builder.ins().icmp(IntCC::SignedLessThan, next, end);
        self.back(header, next, more);
    }

    /// Emits something that runs only where `first < end`.
    fn unless_empty(&mut self, first: Value, end: Value, emit: impl FnOnce(&mut Self)) {
        let (enter, skip) = (self.builder.create_block(), self.builder.create_block());
        let some = self.builder.ins().icmp(IntCC::SignedLessThan, first, end);
        self.builder.ins().brif(some, enter, &[], skip, &[]);
        self.builder.switch_to_block(enter);
        self.builder.seal_block(enter);
        emit(self);
        self.builder.ins().jump(skip, &[]);
        self.builder.switch_to_block(skip);
        self.builder.seal_block(skip);
    }

    /// Starts a loop's block; its index is `first` at the beginning.
    fn header(&mut self, first: Value) -> (Block, Value) {
        let header = self.builder.create_block();
        let index = self.builder.append_block_param(header, types::I64);
        self.builder.ins().jump(header, &[BlockArg::from(first)]);
        self.builder.switch_to_block(header);
        (header, index)
    }

    /// Ends a loop: back to its block with the next index while `more`.
    fn back(&mut self, header: Block, next: Value, more: Value) {
        let exit = self.builder.create_block();
        self.builder.ins().brif(more, header, &[BlockArg::from(next)], exit, &[]);
        self.builder.seal_block(header);
        self.builder.switch_to_block(exit);
        self.builder.seal_block(exit);
    }
}
