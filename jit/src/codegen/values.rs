//! Values and registers: expressions, and where their results are kept.
//!
//! What does not differ between lanes stays a single value until something with lanes needs it. This file must never know
//! loops.

use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::Variable;
use snn_loops::scalar::ScalarType;
use snn_loops::{BufferId, Expr, Reg, Scalar, Val, Var};

use super::Emitter;
use crate::value::Slot;

impl Emitter<'_> {
    /// The value of an expression.
    pub(super) fn expression(&mut self, expr: &Expr) -> Slot {
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

    fn widen_as(&mut self, slot: &Slot, ty: ScalarType) -> Vec<Value> {
        match (slot, ty) {
            (Slot::Uniform(mask), ScalarType::Mask) => {
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

    /// Gives a register a value.
    pub(super) fn set_reg(&mut self, reg: Reg, slot: &Slot) {
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

    /// Keeps a value under its name.
    pub(super) fn define(&mut self, val: Val, slot: Slot, positive_zero: bool) {
        match (self.vals.get_mut(val.0 as usize), self.positive_zero.get_mut(val.0 as usize)) {
            (Some(place), Some(zero)) => (*place, *zero) = (Some(slot), positive_zero),
            _ => self.malformed = true,
        }
    }

    /// The value of that name.
    pub(super) fn val(&mut self, val: Val) -> Slot {
        match self.vals.get(val.0 as usize) {
            Some(Some(slot)) => slot.clone(),
            _ => Slot::Uniform(self.or_malformed(None)),
        }
    }

    fn is_positive_zero(&self, val: Val) -> bool {
        self.positive_zero.get(val.0 as usize).copied().unwrap_or(false)
    }

    /// The present value of a loop variable.
    pub(super) fn var(&mut self, var: Var) -> Value {
        match self.vars.get(var.0 as usize) {
            Some(Some(value)) => *value,
            _ => {
                self.malformed = true;
                self.step
            }
        }
    }

    /// Gives a loop variable a value.
    pub(super) fn set_var(&mut self, var: Var, value: Value) {
        match self.vars.get_mut(var.0 as usize) {
            Some(place) => *place = Some(value),
            None => self.malformed = true,
        }
    }

    /// The address of a buffer's first element.
    pub(super) fn base(&mut self, buffer: BufferId) -> Value {
        match self.bases.get(buffer.0 as usize) {
            Some(base) => *base,
            None => {
                self.malformed = true;
                self.step
            }
        }
    }

    /// Whether the nest stores to the buffer anywhere.
    pub(super) fn is_stored(&self, buffer: BufferId) -> bool {
        self.stored.get(buffer.0 as usize).copied().unwrap_or(true)
    }

    /// Whether the buffer holds bits.
    pub(super) fn is_packed(&self, buffer: BufferId) -> bool {
        self.packed.get(buffer.0 as usize).copied().unwrap_or(false)
    }

    /// Emission goes on with any value after something that a verified nest does not have; the result is thrown away.
    fn or_malformed(&mut self, value: Option<Value>) -> Value {
        value.unwrap_or_else(|| {
            self.malformed = true;
            self.arithmetic(false).constant(0.0)
        })
    }
}
