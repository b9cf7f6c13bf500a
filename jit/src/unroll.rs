//! Short loops inside of lanes, written out.
//!
//! A `Lanes` loop whose body walks through a few time steps becomes one without inner loops: states are values and no longer
//! registers, what one loop leaves in scratch for the next is the value itself. Bodies for wide vectors are such loops, so
//! a neuron then passes through all of its steps inside of vector registers. No bit of any result changes.
//!
//! Only what [`wide`](crate::wide) can assemble is written out; for longer time loops the other way round is better
//! ([`interchange`](crate::interchange)). Must never know cranelift.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::nest::each_use;
use snn_loops::{Access, BufferId, Expr, Extent, Ix, LoopKind, Reg, Stmt, Val, Var};

use crate::canonical::Canonical;
use crate::wide;

/// Longer loops are not written out.
const STEPS: usize = 8;
/// Nor are bodies that would have more statements.
const STATEMENTS: usize = 1024;

/// Writes out the short loops of all `Lanes` loops for which wide code can be had then.
pub(crate) fn unroll(canonical: &mut Canonical) {
    let mut body = std::mem::take(&mut canonical.nest.body);
    search(canonical, &mut body);
    canonical.nest.body = body;
}

fn search(canonical: &mut Canonical, body: &mut [Stmt]) {
    for stmt in body {
        match stmt {
            Stmt::For { var, extent, kind: LoopKind::Lanes, body } => {
                let before = canonical.nest.n_vals;
                match straight(canonical, body).filter(|straight| wide::fits(canonical, *var, *extent, straight)) {
                    Some(straight) => *body = straight,
                    None => canonical.nest.n_vals = before,
                }
            }
            Stmt::For { body, .. } => search(canonical, body),
            Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
        }
    }
}

/// A body of lanes without its inner loops; `None` if it has none, or long ones.
fn straight(canonical: &mut Canonical, body: &[Stmt]) -> Option<Vec<Stmt>> {
    if !body.iter().any(|stmt| matches!(stmt, Stmt::For { .. })) {
        return None;
    }
    let mut writer = Writer {
        canonical,
        out: Vec::new(),
        names: BTreeMap::new(),
        regs: BTreeMap::new(),
        scratch: BTreeMap::new(),
        fixed: Vec::new(),
    };
    for stmt in body {
        writer.statement(stmt)?;
    }
    Some(used(writer.out))
}

struct Writer<'c> {
    canonical: &'c mut Canonical,
    out: Vec<Stmt>,
    /// What the body's values are called here.
    names: BTreeMap<Val, Val>,
    regs: BTreeMap<Reg, Val>,
    /// What lies in each element of scratch.
    scratch: BTreeMap<(BufferId, i64), Val>,
    /// Constants, and loads that are the same in all steps.
    fixed: Vec<(Expr, Val)>,
}

impl Writer<'_> {
    fn statement(&mut self, stmt: &Stmt) -> Option<()> {
        let Stmt::For { var, extent, kind, body } = stmt else { return self.simple(stmt, None) };
        let Extent::Fixed(steps @ 0..=STEPS) = *extent else { return None };
        for step in 0..steps {
            let step = match kind {
                LoopKind::Serial => step,
                LoopKind::Reverse => steps - 1 - step,
                LoopKind::Lanes | LoopKind::Parallel => return None,
            };
            body.iter().try_for_each(|stmt| self.simple(stmt, Some((*var, step as i64))))?;
        }
        (self.out.len() <= STATEMENTS).then_some(())
    }

    /// A statement of a step; `None` for a loop.
    fn simple(&mut self, stmt: &Stmt, step: Option<(Var, i64)>) -> Option<()> {
        match stmt {
            Stmt::For { .. } => return None,
            Stmt::Let(val, expr) => {
                let name = self.value(expr, step)?;
                self.names.insert(*val, name);
            }
            Stmt::Set(reg, val) => {
                self.regs.insert(*reg, self.name(*val));
            }
            Stmt::Store(access, val) => {
                let (access, val) = (at_step(access, step), self.name(*val));
                match self.canonical.scratch(access.buffer) {
                    Some(_) => drop(self.scratch.insert(element(&access)?, val)),
                    None => self.out.push(Stmt::Store(access, val)),
                }
            }
        }
        Some(())
    }

    /// The name of an expression's value in a step.
    fn value(&mut self, expr: &Expr, step: Option<(Var, i64)>) -> Option<Val> {
        let expr = match expr {
            Expr::Get(reg) => return self.regs.get(reg).copied(),
            Expr::Load(access) => {
                let fixed = step.is_none_or(|(var, _)| !access.index.mentions(var) && access.bounds.is_empty());
                let access = at_step(access, step);
                if self.canonical.scratch(access.buffer).is_some() {
                    return self.scratch.get(&element(&access)?).copied();
                }
                let stored = self.canonical.stored.get(access.buffer.0 as usize) != Some(&false);
                if fixed && !stored {
                    return Some(self.once(Expr::Load(access)));
                }
                Expr::Load(access)
            }
            Expr::Const(_) => return Some(self.once(expr.clone())),
            Expr::Index(ix) => Expr::Index(index_at_step(ix, step)),
            Expr::Scalar(op, args) => Expr::Scalar(*op, args.iter().map(|arg| self.name(*arg)).collect()),
        };
        Some(self.define(expr))
    }

    /// The value of an expression that is the same wherever it stands.
    fn once(&mut self, expr: Expr) -> Val {
        let same = |known: &Expr| match (known, &expr) {
            // By bits: zeros have signs.
            (Expr::Const(a), Expr::Const(b)) => a.to_bits() == b.to_bits(),
            (known, expr) => known == expr,
        };
        if let Some((_, val)) = self.fixed.iter().find(|(known, _)| same(known)) {
            return *val;
        }
        let val = self.define(expr.clone());
        self.fixed.push((expr, val));
        val
    }

    fn define(&mut self, expr: Expr) -> Val {
        let val = Val(self.canonical.nest.n_vals);
        self.canonical.nest.n_vals += 1;
        self.out.push(Stmt::Let(val, expr));
        val
    }

    /// The name of a value; those from outside of the lanes keep theirs.
    fn name(&self, val: Val) -> Val {
        self.names.get(&val).copied().unwrap_or(val)
    }
}

fn index_at_step(ix: &Ix, step: Option<(Var, i64)>) -> Ix {
    let Some((var, step)) = step else { return ix.clone() };
    ix.substitute(&|v| if v == var { Ix::constant(step) } else { Ix::var(v) }, &|_| None)
}

fn at_step(access: &Access, step: Option<(Var, i64)>) -> Access {
    let bounds = access.bounds.iter().map(|(ix, extent)| (index_at_step(ix, step), *extent)).collect();
    Access { index: index_at_step(&access.index, step), bounds, ..*access }
}

/// Which element of a scratch buffer an access means, if that is known.
fn element(access: &Access) -> Option<(BufferId, i64)> {
    (access.index.terms().is_empty() && access.bounds.is_empty()).then(|| (access.buffer, access.index.base()))
}

/// Straight statements without definitions that nothing uses.
fn used(body: Vec<Stmt>) -> Vec<Stmt> {
    let mut wanted = BTreeSet::new();
    let mut kept = Vec::with_capacity(body.len());
    for stmt in body.into_iter().rev() {
        if let Stmt::Let(val, _) = &stmt
            && !wanted.contains(val)
        {
            continue;
        }
        each_use(std::slice::from_ref(&stmt), &mut |val| {
            wanted.insert(val);
        });
        kept.push(stmt);
    }
    kept.reverse();
    kept
}
