//! One nest to one native function.
//!
//! The function is `fn(buffers, begin, end, step)`: `buffers` points to one pointer a buffer slot, `begin..end` is the slice
//! of the outermost parallel loop that this call computes (`0..1` where there is none), `step` is the step of the enclosing
//! `Repeat`. Statements are emitted in order; loops test at their end, so a body that is emitted runs at least once.
//!
//! This file must never know programs, threads or memory.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::{FunctionBuilder, Variable};
use snn_loops::{BufferId, Expr, Extent, LoopKind, Reg, Scalar, Stmt, Val, Var};

use crate::canonical::Canonical;
use crate::value::{Slot, Types};

/// The lanes that statements are being emitted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// The variable of the `Lanes` loop; its value is the first lane's.
    pub var: Var,
    /// Vectors that are computed side by side.
    pub unroll: usize,
}

/// Emission of one function.
pub(crate) struct Emitter<'f> {
    /// Where instructions go.
    pub builder: FunctionBuilder<'f>,
    /// The program's types.
    pub types: Types,
    /// The step of the enclosing `Repeat`.
    pub step: Value,
    /// The open loops' variables, outermost first.
    pub open: Vec<Var>,
    /// The largest extent of every variable whose loop was opened.
    pub limits: Vec<Option<usize>>,
    /// Set inside of a `Lanes` loop that is emitted as vectors.
    pub lane: Option<Lane>,
    /// Registers of this side of the `Lanes` loop: one variable, or one a vector.
    pub regs: Vec<Option<Vec<Variable>>>,
    /// Whether instructions of the machine take vectors from memory at any address.
    pub folds_unaligned: bool,
    /// Whether the statements lie in a loop that may have no iteration, so that its loads must stay where they are.
    pub may_be_skipped: bool,
    slice: (Value, Value),
    bases: Vec<Value>,
    stored: Vec<bool>,
    vars: Vec<Option<Value>>,
    vals: Vec<Option<Slot>>,
    positive_zero: Vec<bool>,
    malformed: bool,
}

/// Emits the nest into the function that `builder` builds, which has the signature above; false if the nest is malformed.
pub(crate) fn emit<'f>(
    mut builder: FunctionBuilder<'f>,
    nest: &Canonical,
    types: Types,
    folds_unaligned: bool,
) -> (FunctionBuilder<'f>, bool) {
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let &[buffers, begin, end, step] = builder.block_params(entry) else {
        return (builder, false);
    };
    let table = MemFlagsData::trusted().with_readonly().with_can_move();
    let bases =
        (0..nest.buffers.len()).map(|slot| builder.ins().load(types::I64, table, buffers, 8 * slot as i32)).collect();
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
        vars: vec![None; n_vars],
        vals: vec![None; n_vals],
        positive_zero: vec![false; n_vals],
        malformed: false,
    };
    emitter.statements(&nest.nest.body);
    emitter.builder.ins().return_(&[]);
    (emitter.builder, !emitter.malformed)
}

impl Emitter<'_> {
    /// Emits statements in order.
    pub(crate) fn statements(&mut self, body: &[Stmt]) {
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
            LoopKind::Lanes => self.lanes(var, extent, body),
        }
        self.may_be_skipped = may_be_skipped;
        self.open.pop();
    }

    /// The body for one value of its loop's variable.
    pub(crate) fn iteration(&mut self, var: Var, index: Value, body: &[Stmt]) {
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
    pub(crate) fn always(&self, extent: Extent) -> Option<usize> {
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
    pub(crate) fn count(&mut self, extent: Extent) -> Value {
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
    pub(crate) fn ascending(&mut self, first: Value, end: Value, step: i64, body: impl FnOnce(&mut Self, Value)) {
        let (header, index) = self.header(first);
        body(self, index);
        let next = self.plus(index, step);
        let more = self.builder.ins().icmp(IntCC::SignedLessThan, next, end);
        self.back(header, next, more);
    }

    /// Emits something that runs only where `first < end`.
    pub(crate) fn unless_empty(&mut self, first: Value, end: Value, emit: impl FnOnce(&mut Self)) {
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
    fn header(&mut self, first: Value) -> (cranelift_codegen::ir::Block, Value) {
        let header = self.builder.create_block();
        let index = self.builder.append_block_param(header, types::I64);
        self.builder.ins().jump(header, &[BlockArg::from(first)]);
        self.builder.switch_to_block(header);
        (header, index)
    }

    /// Ends a loop: back to its block with the next index while `more`.
    fn back(&mut self, header: cranelift_codegen::ir::Block, next: Value, more: Value) {
        let exit = self.builder.create_block();
        self.builder.ins().brif(more, header, &[BlockArg::from(next)], exit, &[]);
        self.builder.seal_block(header);
        self.builder.switch_to_block(exit);
        self.builder.seal_block(exit);
    }

    fn expression(&mut self, expr: &Expr) -> Slot {
        match expr {
            Expr::Const(value) => Slot::Uniform(self.arithmetic(false).constant(*value)),
            Expr::Index(ix) => self.float_index(ix),
            Expr::Scalar(op, args) => self.scalar(*op, args),
            Expr::Load(access) => self.load(access),
            Expr::Get(reg) => self.get_reg(*reg),
        }
    }

    fn scalar(&mut self, op: Scalar, args: &[Val]) -> Slot {
        let slots: Vec<Slot> = args.iter().map(|val| self.val(*val)).collect();
        let uniform: Option<Vec<Value>> = slots
            .iter()
            .map(|slot| match slot {
                Slot::Uniform(value) => Some(*value),
                Slot::Lanes(_) => None,
            })
            .collect();
        if let Some(values) = uniform {
            let result = self.arithmetic(false).emit(op, &values);
            return Slot::Uniform(self.or_malformed(result));
        }
        if let (Scalar::Select, [mask, a, b]) = (op, args) {
            return self.select(*mask, *a, *b);
        }
        let vectors: Vec<Vec<Value>> =
            slots.iter().zip(op.arguments()).map(|(slot, ty)| self.widen_as(slot, *ty)).collect();
        let unroll = self.lane.map_or(0, |lane| lane.unroll);
        let results = (0..unroll).map(|at| {
            let values: Vec<Value> = vectors.iter().filter_map(|copies| copies.get(at).copied()).collect();
            let result = self.arithmetic(true).emit(op, &values);
            self.or_malformed(result)
        });
        Slot::Lanes(results.collect())
    }

    /// A selection where something has lanes, with the cheap forms for a mask without lanes and for zeros.
    fn select(&mut self, mask: Val, a: Val, b: Val) -> Slot {
        let (a_is_zero, b_is_zero) = (self.is_positive_zero(a), self.is_positive_zero(b));
        let (mask, a, b) = (self.val(mask), self.val(a), self.val(b));
        let (a, b) = (self.widen(&a), self.widen(&b));
        let pairs = a.into_iter().zip(b);
        let results = match mask {
            Slot::Uniform(mask) => pairs.map(|(a, b)| self.builder.ins().select(mask, a, b)).collect(),
            Slot::Lanes(masks) => pairs
                .zip(masks)
                .filter_map(|((a, b), mask)| {
                    let mut arithmetic = self.arithmetic(true);
                    match (a_is_zero, b_is_zero) {
                        (_, true) => Some(arithmetic.keep_where(mask, a)),
                        (true, _) => Some(arithmetic.clear_where(mask, b)),
                        _ => arithmetic.emit(Scalar::Select, &[mask, a, b]),
                    }
                })
                .collect(),
        };
        Slot::Lanes(results)
    }

    fn widen_as(&mut self, slot: &Slot, ty: snn_loops::scalar::ScalarType) -> Vec<Value> {
        match (slot, ty) {
            (Slot::Uniform(mask), snn_loops::scalar::ScalarType::Mask) => {
                let vector = self.arithmetic(true).splat_mask(*mask);
                vec![vector; self.lane.map_or(1, |lane| lane.unroll)]
            }
            (slot, _) => self.widen(slot),
        }
    }

    fn get_reg(&mut self, reg: Reg) -> Slot {
        let variables = self.reg(reg);
        let values: Vec<Value> = variables.into_iter().map(|variable| self.builder.use_var(variable)).collect();
        match (self.lane, values.as_slice()) {
            (None, [value]) => Slot::Uniform(*value),
            _ => Slot::Lanes(values),
        }
    }

    fn set_reg(&mut self, reg: Reg, slot: &Slot) {
        let variables = self.reg(reg);
        let values = match (self.lane, slot) {
            (None, Slot::Uniform(value)) => vec![*value],
            _ => self.widen(slot),
        };
        for (variable, value) in variables.into_iter().zip(values) {
            self.builder.def_var(variable, value);
        }
    }

    /// The variables behind a register, made when it is first met.
    fn reg(&mut self, reg: Reg) -> Vec<Variable> {
        if let Some(Some(variables)) = self.regs.get(reg.0 as usize) {
            return variables.clone();
        }
        let variables: Vec<Variable> = match self.lane {
            Some(lane) => (0..lane.unroll).map(|_| self.builder.declare_var(self.types.floats)).collect(),
            None => vec![self.builder.declare_var(self.types.float)],
        };
        if let Some(place) = self.regs.get_mut(reg.0 as usize) {
            *place = Some(variables.clone());
        }
        variables
    }

    fn define(&mut self, val: Val, slot: Slot, positive_zero: bool) {
        match (self.vals.get_mut(val.0 as usize), self.positive_zero.get_mut(val.0 as usize)) {
            (Some(place), Some(zero)) => (*place, *zero) = (Some(slot), positive_zero),
            _ => self.malformed = true,
        }
    }

    fn val(&mut self, val: Val) -> Slot {
        match self.vals.get(val.0 as usize) {
            Some(Some(slot)) => slot.clone(),
            _ => Slot::Uniform(self.or_malformed(None)),
        }
    }

    fn is_positive_zero(&self, val: Val) -> bool {
        self.positive_zero.get(val.0 as usize).copied().unwrap_or(false)
    }

    /// The present value of a loop variable.
    pub(crate) fn var(&mut self, var: Var) -> Value {
        match self.vars.get(var.0 as usize) {
            Some(Some(value)) => *value,
            _ => {
                self.malformed = true;
                self.step
            }
        }
    }

    /// Gives a loop variable a value.
    pub(crate) fn set_var(&mut self, var: Var, value: Value) {
        match self.vars.get_mut(var.0 as usize) {
            Some(place) => *place = Some(value),
            None => self.malformed = true,
        }
    }

    /// The address of a buffer's first element.
    pub(crate) fn base(&mut self, buffer: BufferId) -> Value {
        match self.bases.get(buffer.0 as usize) {
            Some(base) => *base,
            None => {
                self.malformed = true;
                self.step
            }
        }
    }

    /// Whether the nest stores to the buffer anywhere.
    pub(crate) fn is_stored(&self, buffer: BufferId) -> bool {
        self.stored.get(buffer.0 as usize).copied().unwrap_or(true)
    }

    /// Emission goes on with any value after something that a verified nest does not have; the result is thrown away.
    fn or_malformed(&mut self, value: Option<Value>) -> Value {
        value.unwrap_or_else(|| {
            self.malformed = true;
            self.arithmetic(false).constant(0.0)
        })
    }
}
