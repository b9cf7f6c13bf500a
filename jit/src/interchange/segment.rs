//! The parts of a `Lanes` body between which lanes are regrouped, and what lives across their borders.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::nest::each_use;
use snn_loops::scalar::ScalarType;
use snn_loops::{Access, BufferId, Expr, Extent, Ix, LoopKind, Reg, Scalar, Stmt, Val, Var};

use super::fresh_val;
use crate::canonical::Canonical;

/// A part of a body.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Statements without loops.
    Straight(Vec<Stmt>),
    /// One loop.
    Loop {
        /// Its variable.
        var: Var,
        /// Its extent.
        extent: Extent,
        /// Its kind.
        kind: LoopKind,
        /// Its body.
        body: Vec<Stmt>,
    },
}

impl Segment {
    fn stmts(&self) -> &[Stmt] {
        match self {
            Segment::Straight(stmts) => stmts,
            Segment::Loop { body, .. } => body,
        }
    }
}

/// How a value that a segment defines reaches later ones.
#[derive(Clone, Debug)]
enum Carried {
    /// Cheap: computed anew.
    Again(Expr),
    /// In an array.
    Array(ScalarType),
}

/// A body in parts.
pub(super) struct Segments {
    /// Definitions that are the same for all lanes.
    pub uniform: Vec<Stmt>,
    /// The rest, in order.
    pub segments: Vec<Segment>,
    carried: BTreeMap<Val, Carried>,
    /// Registers that more than one iteration or segment uses.
    regs: BTreeSet<Reg>,
}

/// The slots of arrays.
pub(super) struct Arrays {
    vals: BTreeMap<Val, BufferId>,
    regs: BTreeMap<Reg, BufferId>,
}

impl Segments {
    /// Takes a body of the lanes of `lane` apart.
    pub fn of(canonical: &Canonical, lane: Var, body: &[Stmt]) -> Segments {
        let mut parts =
            Segments { uniform: Vec::new(), segments: Vec::new(), carried: BTreeMap::new(), regs: BTreeSet::new() };
        let mut uniform: BTreeSet<Val> = BTreeSet::new();
        let mut defined: BTreeMap<Val, (usize, Carried)> = BTreeMap::new();
        let mut straight = Vec::new();
        for stmt in body {
            match stmt {
                Stmt::For { var, extent, kind, body } => {
                    parts.end(&mut straight);
                    let (var, extent, kind, body) = (*var, *extent, *kind, body.clone());
                    parts.segments.push(Segment::Loop { var, extent, kind, body });
                }
                Stmt::Let(val, expr) if is_uniform(canonical, lane, expr, &uniform) => {
                    uniform.insert(*val);
                    parts.uniform.push(stmt.clone());
                }
                Stmt::Let(val, expr) => {
                    defined.insert(*val, (parts.segments.len(), carried(canonical, expr)));
                    straight.push(stmt.clone());
                }
                Stmt::Set(..) | Stmt::Store(..) => straight.push(stmt.clone()),
            }
        }
        parts.end(&mut straight);
        for (at, segment) in parts.segments.iter().enumerate() {
            let mut used = BTreeSet::new();
            each_use(segment.stmts(), &mut |val| {
                used.insert(val);
            });
            for (val, (home, carried)) in &defined {
                if *home != at && used.contains(val) {
                    parts.carried.insert(*val, carried.clone());
                }
            }
            each_reg(segment.stmts(), &mut |reg, _| {
                parts.regs.insert(reg);
            });
        }
        parts
    }

    fn end(&mut self, straight: &mut Vec<Stmt>) {
        if !straight.is_empty() {
            self.segments.push(Segment::Straight(std::mem::take(straight)));
        }
    }

    /// Floats a lane that live across borders.
    pub fn n_arrays(&self) -> usize {
        self.regs.len() + self.carried.values().filter(|carried| matches!(carried, Carried::Array(_))).count()
    }

    /// Arrays of `n` lanes for everything that needs one.
    pub fn arrays(&self, canonical: &mut Canonical, n: usize) -> Arrays {
        let mut arrays = Arrays { vals: BTreeMap::new(), regs: BTreeMap::new() };
        for (val, carried) in &self.carried {
            if let Carried::Array(_) = carried {
                arrays.vals.insert(*val, canonical.add_local(n));
            }
        }
        for reg in &self.regs {
            arrays.regs.insert(*reg, canonical.add_local(n));
        }
        arrays
    }

    /// A segment's statements between what fetches and what keeps its registers and values; none if nothing is left.
    pub fn body(&self, canonical: &mut Canonical, arrays: &Arrays, segment: &Segment, lane: Var) -> Option<Vec<Stmt>> {
        let stmts = segment.stmts();
        if stmts.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let place = |slot: &BufferId| Access::new(*slot, Ix::var(lane));
        let own = defined_in(stmts);
        let mut used = BTreeSet::new();
        each_use(stmts, &mut |val| {
            used.insert(val);
        });
        let mut renamed = BTreeMap::new();
        for (val, carried) in self.carried.iter().filter(|(val, _)| used.contains(val) && !own.contains(val)) {
            renamed.insert(*val, fetch(canonical, &mut out, carried, arrays.vals.get(val).map(place)));
        }
        let (mut before, mut set) = (BTreeSet::new(), BTreeSet::new());
        each_reg(stmts, &mut |reg, sets| {
            if sets {
                set.insert(reg);
            } else if !set.contains(&reg) {
                before.insert(reg);
            }
        });
        for reg in &before {
            let val = fresh_val(canonical);
            out.push(Stmt::Let(val, Expr::Load(arrays.regs.get(reg).map(place)?)));
            out.push(Stmt::Set(*reg, val));
        }
        let mut stmts = stmts.to_vec();
        rename(&mut stmts, &renamed);
        out.extend(stmts);
        for reg in &set {
            let val = fresh_val(canonical);
            out.push(Stmt::Let(val, Expr::Get(*reg)));
            out.push(Stmt::Store(arrays.regs.get(reg).map(place)?, val));
        }
        for (val, slot) in arrays.vals.iter().filter(|(val, _)| own.contains(val)) {
            let kept = match self.carried.get(val) {
                Some(Carried::Array(ScalarType::Mask)) => as_float(canonical, &mut out, *val),
                _ => *val,
            };
            out.push(Stmt::Store(place(slot), kept));
        }
        Some(out)
    }
}

/// Makes a value of an earlier segment available in this one.
fn fetch(canonical: &mut Canonical, out: &mut Vec<Stmt>, carried: &Carried, array: Option<Access>) -> Val {
    let val = fresh_val(canonical);
    match (carried, array) {
        (Carried::Array(ty), Some(access)) => {
            out.push(Stmt::Let(val, Expr::Load(access)));
            if *ty == ScalarType::Mask {
                let (zero, mask) = (fresh_val(canonical), fresh_val(canonical));
                out.push(Stmt::Let(zero, Expr::Const(0.0)));
                out.push(Stmt::Let(mask, Expr::Scalar(Scalar::Lt, vec![zero, val])));
                return mask;
            }
        }
        (Carried::Again(expr), _) => out.push(Stmt::Let(val, expr.clone())),
        (Carried::Array(_), None) => out.push(Stmt::Let(val, Expr::Const(f64::NAN))),
    }
    val
}

fn as_float(canonical: &mut Canonical, out: &mut Vec<Stmt>, mask: Val) -> Val {
    let (one, zero, float) = (fresh_val(canonical), fresh_val(canonical), fresh_val(canonical));
    out.push(Stmt::Let(one, Expr::Const(1.0)));
    out.push(Stmt::Let(zero, Expr::Const(0.0)));
    out.push(Stmt::Let(float, Expr::Scalar(Scalar::Select, vec![mask, one, zero])));
    float
}

/// Whether an expression is the same for all lanes, whenever it is computed.
fn is_uniform(canonical: &Canonical, lane: Var, expr: &Expr, known: &BTreeSet<Val>) -> bool {
    match expr {
        Expr::Const(_) => true,
        Expr::Index(ix) => !ix.mentions(lane),
        Expr::Scalar(_, args) => args.iter().all(|arg| known.contains(arg)),
        Expr::Load(access) => {
            is_readonly(canonical, access.buffer)
                && !access.index.mentions(lane)
                && !access.bounds.iter().any(|(ix, _)| ix.mentions(lane))
        }
        Expr::Get(_) => false,
    }
}

fn carried(canonical: &Canonical, expr: &Expr) -> Carried {
    match expr {
        Expr::Load(access) if is_readonly(canonical, access.buffer) => Carried::Again(expr.clone()),
        Expr::Index(_) | Expr::Const(_) => Carried::Again(expr.clone()),
        Expr::Load(_) | Expr::Get(_) => Carried::Array(ScalarType::Float),
        Expr::Scalar(op, _) => Carried::Array(op.result()),
    }
}

fn is_readonly(canonical: &Canonical, slot: BufferId) -> bool {
    canonical.stored.get(slot.0 as usize) == Some(&false) && canonical.scratch(slot).is_none()
}

fn defined_in(stmts: &[Stmt]) -> BTreeSet<Val> {
    let vals = stmts.iter().filter_map(|stmt| match stmt {
        Stmt::Let(val, _) => Some(*val),
        Stmt::For { .. } | Stmt::Set(..) | Stmt::Store(..) => None,
    });
    vals.collect()
}

/// Calls `visit` with every register that is read (false) or set (true), in order.
fn each_reg(stmts: &[Stmt], visit: &mut dyn FnMut(Reg, bool)) {
    for stmt in stmts {
        match stmt {
            Stmt::For { body, .. } => each_reg(body, visit),
            Stmt::Let(_, Expr::Get(reg)) => visit(*reg, false),
            Stmt::Set(reg, _) => visit(*reg, true),
            Stmt::Let(..) | Stmt::Store(..) => {}
        }
    }
}

fn rename(stmts: &mut [Stmt], names: &BTreeMap<Val, Val>) {
    let new = |val: &mut Val| *val = names.get(val).copied().unwrap_or(*val);
    for stmt in stmts {
        match stmt {
            Stmt::For { body, .. } => rename(body, names),
            Stmt::Let(_, Expr::Scalar(_, args)) => args.iter_mut().for_each(new),
            Stmt::Let(..) => {}
            Stmt::Set(_, val) | Stmt::Store(_, val) => new(val),
        }
    }
}

/// Calls `visit` with every access.
pub(super) fn each_access_mut(stmts: &mut [Stmt], visit: &mut dyn FnMut(&mut Access)) {
    for stmt in stmts {
        match stmt {
            Stmt::For { body, .. } => each_access_mut(body, visit),
            Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) => visit(access),
            Stmt::Let(..) | Stmt::Set(..) => {}
        }
    }
}

/// Replaces variables in every index.
pub(super) fn substitute(stmts: &mut [Stmt], replace: &dyn Fn(Var) -> Ix) {
    let new = |ix: &Ix| ix.substitute(replace, &|_| None);
    each_access_mut(stmts, &mut |access| {
        access.index = new(&access.index);
        access.bounds.iter_mut().for_each(|(ix, _)| *ix = new(ix));
    });
    fn numbers(stmts: &mut [Stmt], new: &dyn Fn(&Ix) -> Ix) {
        for stmt in stmts {
            match stmt {
                Stmt::For { body, .. } => numbers(body, new),
                Stmt::Let(_, Expr::Index(ix)) => *ix = new(ix),
                Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
            }
        }
    }
    numbers(stmts, &new);
}
