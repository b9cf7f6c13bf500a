//! Bodies of `Lanes` loops for vectors wider than cranelift's.
//!
//! Cranelift has vectors of 128 bits. Where the machine has 512, a `Lanes` loop without inner loops, whose accesses go from
//! element to neighboring element, is assembled by hand instead: the generated function puts the addresses and the values
//! that all lanes share into a table and calls it. Outer loops, indices and everything unusual stay with cranelift, and
//! every scalar instruction has one meaning in both, so no bit depends on which of them computed it.
//!
//! This file prepares a body; `wide/assemble.rs` is the only one that knows instructions. Must never know programs.

#[cfg(target_arch = "x86_64")]
mod assemble;

use std::collections::BTreeMap;

use snn_loops::scalar::ScalarType;
use snn_loops::{Access, Atom, Dtype, Expr, Extent, LoopKind, Reg, Scalar, Stmt, Val, Var};

use crate::canonical::Canonical;

/// Shorter loops, and those of so few steps for all lanes together, are not worth a call: it takes as long as about fifty
/// steps of 16 lanes, where cranelift's own loop would have taken four times as many steps of 4.
const LANES: usize = 48;
const WORK: usize = 1536;
/// Longer loops ask for what lies ahead of them. Shorter ones walk through rows that follow each other, which hardware sees,
/// and would only drive each other's lines out of the caches (a seventh slower in ResNet-19's time loops).
const LONG: usize = 1024;

/// What the table of a call holds, 8 bytes each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// The address of the first lane's element; of its byte where the buffer is packed.
    Address(Access),
    /// A float that all lanes share.
    Float(Val),
    /// The bits of a float that never changes.
    Bits(u32),
}

/// Where an instruction finds a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    /// The result of an earlier step.
    Result(usize),
    /// A cell that all lanes share.
    Shared(usize),
}

/// One step of a body; steps are numbered and give at most one result, a float or a mask.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// An element.
    Load { from: Place, packed: bool },
    /// An instruction.
    Scalar { op: Scalar, args: Vec<Operand> },
    /// An element gets a float.
    Store { to: Place, packed: bool, value: Operand },
}

/// Where the first lane's element lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The cell with an address.
    cell: usize,
    /// Bytes behind it.
    offset: i32,
    /// Whether a long run of it lies in memory that the program works through, not in an array of the call.
    streams: bool,
}

/// A `Lanes` body ready to be assembled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    /// Definitions that are the same for all lanes, to be made before the call.
    pub shared: Vec<Stmt>,
    /// The table of a call.
    pub cells: Vec<Cell>,
    steps: Vec<Step>,
}

/// Machine code of a body: `extern "C" fn(table, lanes)`.
#[derive(Clone, Debug)]
pub(crate) struct Wide {
    /// What is to be called with.
    pub body: Body,
    /// The instructions; they can lie at any address.
    pub code: Vec<u8>,
}

/// The code of all `Lanes` loops of a nest that can be had this way, by their variables.
pub(crate) fn wide_loops(canonical: &Canonical, dtype: Dtype) -> BTreeMap<Var, Wide> {
    let mut found = BTreeMap::new();
    if dtype == Dtype::F32 {
        search(canonical, &canonical.nest.body, &mut found);
    }
    found
}

fn search(canonical: &Canonical, body: &[Stmt], found: &mut BTreeMap<Var, Wide>) {
    for stmt in body {
        match stmt {
            Stmt::For { var, extent, kind: LoopKind::Lanes, body } => {
                if let Some(wide) = wide(canonical, *var, *extent, body) {
                    found.insert(*var, wide);
                }
            }
            Stmt::For { body, .. } => search(canonical, body, found),
            Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
        }
    }
}

/// Whether a `Lanes` loop with this body would be assembled.
pub(crate) fn fits(canonical: &Canonical, lane: Var, extent: Extent, body: &[Stmt]) -> bool {
    wide(canonical, lane, extent, body).is_some()
}

#[cfg(target_arch = "x86_64")]
fn wide(canonical: &Canonical, lane: Var, extent: Extent, body: &[Stmt]) -> Option<Wide> {
    let body = (extent.limit() >= LANES).then(|| Preparation::of(canonical, lane, extent, body)).flatten()?;
    if extent.limit().saturating_mul(body.steps.len()) < WORK {
        return None;
    }
    let code = assemble::assemble(&body)?;
    Some(Wide { body, code })
}

#[cfg(not(target_arch = "x86_64"))]
fn wide(_canonical: &Canonical, _lane: Var, _extent: Extent, _body: &[Stmt]) -> Option<Wide> {
    None
}

/// What is known about a value.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// The same for all lanes, and defined in the body.
    Shared(ScalarType),
    /// The result of a step.
    Step(usize),
}

struct Preparation<'c> {
    canonical: &'c Canonical,
    lane: Var,
    /// Whether the lanes are a long run through memory.
    long: bool,
    body: Body,
    vals: BTreeMap<Val, Known>,
    regs: BTreeMap<Reg, Val>,
}

impl<'c> Preparation<'c> {
    /// The body in steps; `None` where something in it is not for wide vectors.
    fn of(canonical: &'c Canonical, lane: Var, extent: Extent, stmts: &[Stmt]) -> Option<Body> {
        let body = Body { shared: Vec::new(), cells: Vec::new(), steps: Vec::new() };
        let long = extent.limit() >= LONG;
        let mut this = Preparation { canonical, lane, long, body, vals: BTreeMap::new(), regs: BTreeMap::new() };
        for stmt in stmts {
            match stmt {
                Stmt::For { .. } => return None,
                Stmt::Let(val, expr) => this.define(*val, expr)?,
                Stmt::Set(reg, val) => drop(this.regs.insert(*reg, *val)),
                Stmt::Store(access, val) => {
                    let packed = this.is_packed(access);
                    let value = this.operand(*val)?;
                    let to = this.place(access, packed)?;
                    if packed {
                        this.cell(Cell::Bits(0));
                    }
                    this.body.steps.push(Step::Store { to, packed, value });
                }
            }
        }
        Some(this.body)
    }

    fn define(&mut self, val: Val, expr: &Expr) -> Option<()> {
        if let Some(ty) = self.shared(expr) {
            self.body.shared.push(Stmt::Let(val, expr.clone()));
            self.vals.insert(val, Known::Shared(ty));
            return Some(());
        }
        let known = match expr {
            Expr::Load(access) => {
                let packed = self.is_packed(access);
                let from = self.place(access, packed)?;
                if packed {
                    self.cell(Cell::Bits(1f32.to_bits()));
                }
                self.step(Step::Load { from, packed })
            }
            Expr::Scalar(op, args) => {
                for bits in constants(*op) {
                    self.cell(Cell::Bits(*bits));
                }
                let args = args.iter().map(|arg| self.operand(*arg)).collect::<Option<Vec<Operand>>>()?;
                // A mask that all lanes share has no place in a table of floats.
                let masks = op.arguments().iter().zip(&args).filter(|(ty, _)| **ty == ScalarType::Mask);
                if masks.into_iter().any(|(_, arg)| matches!(arg, Operand::Shared(_))) {
                    return None;
                }
                self.step(Step::Scalar { op: *op, args })
            }
            Expr::Get(reg) => {
                let source = self.regs.get(reg)?;
                // A register that all lanes share has no name among what is computed before the loop.
                match self.vals.get(source)? {
                    Known::Step(step) => Known::Step(*step),
                    Known::Shared(_) => return None,
                }
            }
            Expr::Const(_) | Expr::Index(_) => return None,
        };
        self.vals.insert(val, known);
        Some(())
    }

    /// The type of an expression that is the same for all lanes; `None` for any other.
    fn shared(&self, expr: &Expr) -> Option<ScalarType> {
        match expr {
            Expr::Const(_) => Some(ScalarType::Float),
            Expr::Index(ix) => (!ix.mentions(self.lane)).then_some(ScalarType::Float),
            Expr::Load(access) => {
                let moves =
                    access.index.mentions(self.lane) || access.bounds.iter().any(|(ix, _)| ix.mentions(self.lane));
                let stored = self.canonical.stored.get(access.buffer.0 as usize) != Some(&false);
                (!moves && !stored).then_some(ScalarType::Float)
            }
            Expr::Scalar(op, args) => {
                let all = args.iter().all(|arg| !matches!(self.vals.get(arg), Some(Known::Step(..))));
                all.then(|| op.result())
            }
            Expr::Get(_) => None,
        }
    }

    fn step(&mut self, step: Step) -> Known {
        self.body.steps.push(step);
        Known::Step(self.body.steps.len() - 1)
    }

    fn operand(&mut self, val: Val) -> Option<Operand> {
        match self.vals.get(&val) {
            Some(Known::Step(step)) => Some(Operand::Result(*step)),
            // What is not defined here is defined around the loop.
            Some(Known::Shared(ScalarType::Float)) | None => Some(Operand::Shared(self.cell(Cell::Float(val)))),
            Some(Known::Shared(ScalarType::Mask)) => None,
        }
    }

    fn is_packed(&self, access: &Access) -> bool {
        self.canonical.packed.get(access.buffer.0 as usize) == Some(&true)
    }

    /// The place of an access whose lanes are neighbors. Accesses at a fixed distance share an address.
    fn place(&mut self, access: &Access, packed: bool) -> Option<Place> {
        if !access.bounds.is_empty() || access.index.stride(self.lane) != Some(1) {
            return None;
        }
        let whole = |(atom, coefficient): &(Atom, i64)| coefficient % 16 == 0 || *atom == Atom::Var(self.lane);
        if packed && !(access.index.base() % 16 == 0 && access.index.terms().iter().all(whole)) {
            return None;
        }
        let near = |cell: &Cell| match cell {
            Cell::Address(known) if known.buffer == access.buffer && known.index.terms() == access.index.terms() => {
                let distance = access.index.base().checked_sub(known.index.base())?;
                i32::try_from(if packed { distance / 8 } else { distance.checked_mul(4)? }).ok()
            }
            _ => None,
        };
        let known = self.body.cells.iter().enumerate().find_map(|(cell, known)| Some((cell, near(known)?)));
        let (cell, offset) = known.unwrap_or_else(|| (self.cell(Cell::Address(access.clone())), 0));
        let streams = self.long && self.canonical.locals.get(access.buffer.0 as usize).is_none_or(Option::is_none);
        Some(Place { cell, offset, streams })
    }

    fn cell(&mut self, cell: Cell) -> usize {
        match self.body.cells.iter().position(|known| *known == cell) {
            Some(at) => at,
            None => {
                self.body.cells.push(cell);
                self.body.cells.len() - 1
            }
        }
    }
}

/// The bits of the constants that an instruction needs beside its arguments.
fn constants(op: Scalar) -> &'static [u32] {
    const TWO_23: u32 = 0x4b00_0000;
    match op {
        Scalar::Neg => &[0x8000_0000],
        Scalar::Abs => &[0x7fff_ffff],
        // 1.5 * 2^23 + 127: the sum with an integer holds the biased exponent in its low bits.
        Scalar::Pow2 => &[0x4b40_007f],
        // 2^23, and 2^23 + 127.
        Scalar::Exponent => &[TWO_23, 0x4b00_007f],
        Scalar::Mantissa => &[0x007f_ffff, 0x3f80_0000],
        _ => &[],
    }
}
