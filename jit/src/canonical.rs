//! What a nest is apart from its name and its program's buffer numbers: nests that agree in it share machine code.
//!
//! Buffers are renamed to slots in the order in which the nest first touches them; the code finds each slot's memory in
//! the table it is called with. This file must never know cranelift.

use std::hash::{Hash, Hasher};

use snn_loops::{Access, BufferId, Dtype, Expr, Nest, Program, Role, Stmt};

use crate::interchange::interchange;
use crate::options::Isa;
use crate::unroll::unroll;

/// A nest whose buffers are slots.
#[derive(Clone, Debug)]
pub(crate) struct Canonical {
    /// The nest; its buffer ids count slots.
    pub nest: Nest,
    /// The program's buffer behind every slot; none behind an array that each call has to itself.
    pub buffers: Vec<Option<BufferId>>,
    /// Whether the nest stores to a slot.
    pub stored: Vec<bool>,
    /// Whether a slot's buffer holds bits.
    pub packed: Vec<bool>,
    /// Floats of an array that each call has to itself.
    pub locals: Vec<Option<usize>>,
    /// Floats that each lane has of a scratch buffer.
    scratch: Vec<Option<usize>>,
}

/// Two nests of equal keys have the same code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Vec<u8>);

impl Canonical {
    /// A nest of a program with slots for buffers, its loops in the order that suits a machine.
    pub fn of(nest: &Nest, program: &Program, isa: Isa) -> Canonical {
        let mut canonical = Canonical {
            nest: nest.clone(),
            buffers: Vec::new(),
            stored: Vec::new(),
            packed: Vec::new(),
            locals: Vec::new(),
            scratch: Vec::new(),
        };
        let mut body = std::mem::take(&mut canonical.nest.body);
        canonical.rename(&mut body);
        canonical.nest.body = body;
        for slot in canonical.buffers.iter_mut() {
            let buffer = slot.and_then(|id| program.buffers.get(id.0 as usize));
            let scratch = buffer.filter(|buffer| buffer.role == Role::Scratch).map(|buffer| buffer.len);
            canonical.packed.push(buffer.is_some_and(|buffer| buffer.packed));
            canonical.scratch.push(scratch);
            canonical.locals.push(None);
            if scratch.is_some() {
                *slot = None;
            }
        }
        if program.dtype == Dtype::F32 && isa.has_wide_vectors() {
            unroll(&mut canonical);
        }
        interchange(&mut canonical, program.dtype.size());
        canonical
    }

    /// Floats that each lane has of a slot's scratch buffer, if it is one.
    pub fn scratch(&self, slot: BufferId) -> Option<usize> {
        self.scratch.get(slot.0 as usize).copied().flatten()
    }

    /// The slot of a new array of floats.
    pub fn add_local(&mut self, len: usize) -> BufferId {
        self.buffers.push(None);
        self.stored.push(true);
        self.packed.push(false);
        self.locals.push(Some(len));
        self.scratch.push(None);
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Makes room for `lanes` lanes in all scratch.
    pub fn widen_scratch(&mut self, lanes: usize) {
        for (local, scratch) in self.locals.iter_mut().zip(&self.scratch) {
            if let Some(len) = scratch {
                *local = (*local).max(Some(len.saturating_mul(lanes)));
            }
        }
    }

    /// Everything that the code depends on; `isa` is a name for the machine compiled for.
    pub fn key(&self, dtype: Dtype, isa: &str) -> Key {
        let mut record = Record(Vec::new());
        (dtype, isa, self.buffers.len(), &self.stored, &self.packed, &self.locals).hash(&mut record);
        (self.nest.n_vals, self.nest.n_regs, self.nest.n_vars).hash(&mut record);
        hash_body(&self.nest.body, &mut record);
        Key(record.0)
    }

    fn rename(&mut self, body: &mut [Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => self.rename(body),
                Stmt::Let(_, Expr::Load(access)) => self.slot(access, false),
                Stmt::Store(access, _) => self.slot(access, true),
                Stmt::Let(_, Expr::Const(_) | Expr::Index(_) | Expr::Scalar(..) | Expr::Get(_)) | Stmt::Set(..) => {}
            }
        }
    }

    fn slot(&mut self, access: &mut Access, stores: bool) {
        let slot = match self.buffers.iter().position(|buffer| *buffer == Some(access.buffer)) {
            Some(slot) => slot,
            None => {
                self.buffers.push(Some(access.buffer));
                self.stored.push(false);
                self.buffers.len() - 1
            }
        };
        if let Some(stored) = self.stored.get_mut(slot) {
            *stored |= stores;
        }
        access.buffer = BufferId(slot as u32);
    }
}

/// A hasher that keeps what it is fed, so that equal records mean equal values.
struct Record(Vec<u8>);

impl Hasher for Record {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Constants count by their bits, which `PartialEq` of floats does not.
fn hash_body(body: &[Stmt], record: &mut Record) {
    body.len().hash(record);
    for stmt in body {
        std::mem::discriminant(stmt).hash(record);
        match stmt {
            Stmt::For { var, extent, kind, body } => {
                (var, extent, kind).hash(record);
                hash_body(body, record);
            }
            Stmt::Let(val, expr) => {
                val.hash(record);
                hash_expr(expr, record);
            }
            Stmt::Set(reg, val) => (reg, val).hash(record),
            Stmt::Store(access, val) => (access, val).hash(record),
        }
    }
}

fn hash_expr(expr: &Expr, record: &mut Record) {
    std::mem::discriminant(expr).hash(record);
    match expr {
        Expr::Const(value) => value.to_bits().hash(record),
        Expr::Index(ix) => ix.hash(record),
        Expr::Scalar(op, args) => (op, args).hash(record),
        Expr::Load(access) => access.hash(record),
        Expr::Get(reg) => reg.hash(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snn_loops::{Extent, Ix, LoopKind, NestBuilder};

    fn doubling(name: &str, from: u32, to: u32, constant: f64) -> Canonical {
        let mut builder = NestBuilder::new(name);
        let var = builder.fresh_var();
        builder.open(var, Extent::Fixed(8), LoopKind::Lanes);
        let x = builder.load(Access::new(BufferId(from), Ix::var(var)));
        let c = builder.constant(constant);
        let y = builder.scalar(snn_loops::Scalar::Mul, &[x, c]);
        builder.store(Access::new(BufferId(to), Ix::var(var)), y);
        Canonical::of(&builder.finish(), &Program::new(Dtype::F32), Isa::Baseline)
    }

    #[test]
    fn names_and_buffer_numbers_do_not_count() {
        let key = |nest: &Canonical| nest.key(Dtype::F32, "isa");
        let one = doubling("a", 3, 5, 2.0);
        assert_eq!(key(&one), key(&doubling("b", 9, 1, 2.0)));
        assert_eq!(one.buffers, [Some(BufferId(3)), Some(BufferId(5))]);
        assert_eq!(one.stored, [false, true]);
    }

    #[test]
    fn everything_else_counts() {
        let one = doubling("a", 3, 5, 0.0);
        let key = one.key(Dtype::F32, "isa");
        assert_ne!(key, doubling("a", 3, 5, -0.0).key(Dtype::F32, "isa"), "zeros of different sign");
        assert_ne!(key, doubling("a", 3, 3, 0.0).key(Dtype::F32, "isa"), "one buffer instead of two");
        assert_ne!(key, one.key(Dtype::F64, "isa"));
        assert_ne!(key, one.key(Dtype::F32, "other"));
    }
}
