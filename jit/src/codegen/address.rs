//! Index expressions as integer arithmetic.
//!
//! Terms are added from the outermost loop inwards, so that every partial sum is invariant in all loops deeper than its
//! last term and cranelift hoists it there.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use snn_loops::{Access, Atom, Ix, Var};

use super::Emitter;

/// A byte address: a value plus a constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    /// The varying part.
    pub value: Value,
    /// The constant part in bytes.
    pub offset: i64,
}

impl Emitter<'_> {
    /// A 64-bit integer constant.
    pub(super) fn int(&mut self, value: i64) -> Value {
        self.builder.ins().iconst(types::I64, value)
    }

    /// `value + constant`
    pub(super) fn plus(&mut self, value: Value, constant: i64) -> Value {
        if constant == 0 {
            return value;
        }
        let constant = self.int(constant);
        self.builder.ins().iadd(value, constant)
    }

    /// The value of an index.
    pub(super) fn index(&mut self, ix: &Ix) -> Value {
        match self.sum(None, ix, 1) {
            Some(value) => self.plus(value, ix.base()),
            None => self.int(ix.base()),
        }
    }

    /// The byte address of an element of a buffer.
    pub(super) fn address(&mut self, access: &Access) -> Address {
        let base = self.base(access.buffer);
        let size = self.types.size;
        let value = self.sum(Some(base), &access.index, size).unwrap_or(base);
        Address { value, offset: access.index.base() * size }
    }

    /// The address as a single value.
    pub(super) fn flat(&mut self, address: Address) -> Value {
        self.plus(address.value, address.offset)
    }

    /// Whether all bounds of an access hold, as 0 or 1; `None` when they always do.
    pub(super) fn in_bounds(&mut self, access: &Access) -> Option<Value> {
        let mut all = None;
        for (ix, extent) in &access.bounds {
            if self.always_within(ix, *extent) {
                continue;
            }
            let index = self.index(ix);
            let extent = self.int(*extent);
            // A negative index is a huge unsigned one.
            let holds = self.builder.ins().icmp(IntCC::UnsignedLessThan, index, extent);
            all = Some(match all {
                Some(others) => self.builder.ins().band(others, holds),
                None => holds,
            });
        }
        all
    }

    /// Smallest and largest value of an index, where the extents of the loops tell.
    pub(super) fn range(&self, ix: &Ix) -> Option<(i64, i64)> {
        ix.range(&|var| self.limits.get(var.0 as usize).copied().flatten())
    }

    fn always_within(&self, ix: &Ix, extent: i64) -> bool {
        self.range(ix).is_some_and(|(low, high)| low >= 0 && high < extent)
    }

    /// `start + scale * (terms of ix)`, without the constant of `ix`; `None` when there is nothing to add.
    fn sum(&mut self, start: Option<Value>, ix: &Ix, scale: i64) -> Option<Value> {
        let mut terms: Vec<&(Atom, i64)> = ix.terms().iter().collect();
        terms.sort_by_key(|(atom, _)| self.depth(atom));
        let mut sum = start;
        for (atom, coefficient) in terms {
            let atom = self.atom(atom);
            let factor = coefficient * scale;
            let term = if factor == 1 {
                atom
            } else {
                let factor = self.int(factor);
                self.builder.ins().imul(atom, factor)
            };
            sum = Some(match sum {
                Some(sum) => self.builder.ins().iadd(sum, term),
                None => term,
            });
        }
        sum
    }

    fn atom(&mut self, atom: &Atom) -> Value {
        match atom {
            Atom::Var(var) => self.var(*var),
            Atom::Step => self.step,
            // Never negative, so unsigned division is the same; cranelift turns a constant divisor into a multiplication.
            Atom::Div(inner, by) => {
                let (inner, by) = (self.index(inner), self.int(*by));
                self.builder.ins().udiv(inner, by)
            }
            Atom::Mod(inner, by) => {
                let (inner, by) = (self.index(inner), self.int(*by));
                self.builder.ins().urem(inner, by)
            }
        }
    }

    /// How deep the innermost loop lies that an atom depends on; 0 for none.
    fn depth(&self, atom: &Atom) -> usize {
        match atom {
            Atom::Var(var) => self.var_depth(*var),
            Atom::Step => 0,
            Atom::Div(inner, _) | Atom::Mod(inner, _) => {
                inner.terms().iter().map(|(atom, _)| self.depth(atom)).max().unwrap_or(0)
            }
        }
    }

    fn var_depth(&self, var: Var) -> usize {
        self.open.iter().position(|open| *open == var).map_or(0, |at| at + 1)
    }
}
