//! Loop nests: the general kernel.
//!
//! A nest is a tree of statements. Values ([`Val`]) are defined once and visible until the end of the block that defines
//! them and inside blocks nested below; registers ([`Reg`]) are mutable floats that carry a scan's state or an
//! accumulator from one iteration to the next. Inside a [`LoopKind::Lanes`] loop every value and register stands for one
//! lane each: lanes never see each other. Iterations of [`LoopKind::Parallel`] run in any order, on any thread.
//!
//! Shape of a nest (checked by [`verify`](crate::verify)): at most one `Parallel` loop, which is then the only outermost
//! statement; at most one `Lanes` loop on any path from the root, with only `Serial` and `Reverse` loops inside it; stores
//! of different parallel iterations or lanes never touch the same element; no buffer that is stored to is loaded at an
//! element that another parallel iteration or another lane stores.

use crate::index::{Ix, Var};
use crate::program::BufferId;
use crate::scalar::Scalar;

/// A value, defined exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Val(pub u32);

/// A mutable float. It must be set before it is read on every path, in the same or an enclosing block, at the same side
/// (inside or outside) of the `Lanes` loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u32);

/// How the iterations of a loop relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopKind {
    /// Independent; split over threads. Only outermost.
    Parallel,
    /// One after the other.
    Serial,
    /// One after the other, from the last to the first: the variable still counts the element, it just falls.
    Reverse,
    /// Independent; run side by side in SIMD lanes.
    Lanes,
}

/// How many iterations a loop has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Always this many.
    Fixed(usize),
    /// The part of `total` that block `block` of `size` covers: `min(size, total - block * size)`.
    Block {
        /// The variable of an enclosing loop that counts blocks.
        block: Var,
        /// Iterations of a full block.
        size: usize,
        /// Iterations of all blocks together.
        total: usize,
    },
}

impl Extent {
    /// The largest number of iterations.
    pub fn limit(self) -> usize {
        match self {
            Extent::Fixed(n) => n,
            Extent::Block { size, total, .. } => size.min(total),
        }
    }
}

/// One element of a buffer, possibly outside of the tensor that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The buffer.
    pub buffer: BufferId,
    /// The element.
    pub index: Ix,
    /// Conditions `0 <= index < extent`; where one fails a load gives `otherwise`. Empty for stores.
    pub bounds: Vec<(Ix, i64)>,
    /// What a load out of bounds gives, as bits of an f64 so that accesses can be compared.
    pub otherwise: u64,
}

impl Access {
    /// An access that is always inside.
    pub fn new(buffer: BufferId, index: Ix) -> Access {
        Access { buffer, index, bounds: Vec::new(), otherwise: 0f64.to_bits() }
    }

    /// What a load out of bounds gives.
    pub fn padding(&self) -> f64 {
        f64::from_bits(self.otherwise)
    }
}

/// What defines a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A float constant, rounded to the program's type.
    Const(f64),
    /// An index as a float.
    Index(Ix),
    /// A scalar instruction.
    Scalar(Scalar, Vec<Val>),
    /// An element of a buffer.
    Load(Access),
    /// The present value of a register.
    Get(Reg),
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// A loop.
    For {
        /// The variable that counts the iterations from 0.
        var: Var,
        /// How many.
        extent: Extent,
        /// How they relate.
        kind: LoopKind,
        /// What each does.
        body: Vec<Stmt>,
    },
    /// The definition of a value.
    Let(Val, Expr),
    /// A register gets a new value.
    Set(Reg, Val),
    /// An element of a buffer gets a new value.
    Store(Access, Val),
}

/// A kernel made of loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// A name for people: the user's name of what it computes.
    pub name: String,
    /// The statements.
    pub body: Vec<Stmt>,
    /// Number of values; ids are `0..n_vals`.
    pub n_vals: u32,
    /// Number of registers.
    pub n_regs: u32,
    /// Number of loop variables.
    pub n_vars: u32,
}

/// Builds a nest from the outside in: [`NestBuilder::open`] a loop, append, [`NestBuilder::close`] it.
#[derive(Debug)]
pub struct NestBuilder {
    name: String,
    open: Vec<(Var, Extent, LoopKind, Vec<Stmt>)>,
    done: Vec<Stmt>,
    n_vals: u32,
    n_regs: u32,
    n_vars: u32,
}

impl NestBuilder {
    /// An empty nest.
    pub fn new(name: impl Into<String>) -> NestBuilder {
        NestBuilder { name: name.into(), open: Vec::new(), done: Vec::new(), n_vals: 0, n_regs: 0, n_vars: 0 }
    }

    /// A variable that no loop has yet.
    pub fn fresh_var(&mut self) -> Var {
        self.n_vars += 1;
        Var(self.n_vars - 1)
    }

    /// A register that nothing has set yet.
    pub fn fresh_reg(&mut self) -> Reg {
        self.n_regs += 1;
        Reg(self.n_regs - 1)
    }

    /// Starts a loop over `var`; what follows goes into it until `close`.
    pub fn open(&mut self, var: Var, extent: Extent, kind: LoopKind) {
        self.open.push((var, extent, kind, Vec::new()));
    }

    /// Ends the innermost open loop.
    pub fn close(&mut self) {
        if let Some((var, extent, kind, body)) = self.open.pop() {
            self.push(Stmt::For { var, extent, kind, body });
        }
    }

    fn push(&mut self, stmt: Stmt) {
        match self.open.last_mut() {
            Some((_, _, _, body)) => body.push(stmt),
            None => self.done.push(stmt),
        }
    }

    /// Defines a value.
    pub fn define(&mut self, expr: Expr) -> Val {
        let val = Val(self.n_vals);
        self.n_vals += 1;
        self.push(Stmt::Let(val, expr));
        val
    }

    /// A constant.
    pub fn constant(&mut self, value: f64) -> Val {
        self.define(Expr::Const(value))
    }

    /// A scalar instruction.
    pub fn scalar(&mut self, op: Scalar, args: &[Val]) -> Val {
        self.define(Expr::Scalar(op, args.to_vec()))
    }

    /// A load.
    pub fn load(&mut self, access: Access) -> Val {
        self.define(Expr::Load(access))
    }

    /// The value of a register.
    pub fn get(&mut self, reg: Reg) -> Val {
        self.define(Expr::Get(reg))
    }

    /// Sets a register.
    pub fn set(&mut self, reg: Reg, val: Val) {
        self.push(Stmt::Set(reg, val));
    }

    /// Stores a value.
    pub fn store(&mut self, access: Access, val: Val) {
        self.push(Stmt::Store(access, val));
    }

    /// The statements of the innermost open loop so far, which leave it.
    pub fn take(&mut self) -> Vec<Stmt> {
        match self.open.last_mut() {
            Some((_, _, _, body)) => std::mem::take(body),
            None => std::mem::take(&mut self.done),
        }
    }

    /// The finished nest; loops still open are closed.
    pub fn finish(mut self) -> Nest {
        while !self.open.is_empty() {
            self.close();
        }
        Nest { name: self.name, body: self.done, n_vals: self.n_vals, n_regs: self.n_regs, n_vars: self.n_vars }
    }
}

/// Calls `visit` with every value that statements ask for.
pub fn each_use(stmts: &[Stmt], visit: &mut dyn FnMut(Val)) {
    for stmt in stmts {
        match stmt {
            Stmt::For { body, .. } => each_use(body, visit),
            Stmt::Let(_, Expr::Scalar(_, args)) => args.iter().for_each(|arg| visit(*arg)),
            Stmt::Let(..) => {}
            Stmt::Set(_, val) | Stmt::Store(_, val) => visit(*val),
        }
    }
}
