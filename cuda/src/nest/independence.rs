//! Whether the iterations of a serial loop may run in any order: then they may be threads.
//!
//! Lowering splits rows into tasks for the threads of a processor: a `Parallel` loop over blocks, a `Serial` one over the
//! rows of a block. On a device every row is a thread of its own. A serial loop is independent if no register and no scratch
//! carries anything from one iteration to the next, if different iterations store to different elements, and if nothing
//! that is stored is loaded at another element.
//!
//! Must never know threads.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::plan::each_access;
use snn_loops::{Access, Atom, BufferId, Expr, Extent, Ix, LoopKind, Nest, Program, Reg, Role, Stmt, Var};

/// What must be known of a nest to judge its loops.
pub(super) struct Judge<'a> {
    program: &'a Program,
    limits: BTreeMap<Var, usize>,
    /// Whether everything that is stored is loaded at the same element only.
    keeps_to_itself: bool,
}

impl<'a> Judge<'a> {
    pub fn new(nest: &Nest, program: &'a Program) -> Judge<'a> {
        let mut limits = BTreeMap::new();
        collect_limits(&nest.body, &mut limits);
        Judge { program, limits, keeps_to_itself: keeps_to_itself(nest, program) }
    }

    /// The most iterations of a variable's loop.
    pub fn limit(&self, var: Var) -> Option<usize> {
        self.limits.get(&var).copied()
    }

    /// Whether lanes and parallel iterations touch nothing of each other, so that each may be a thread.
    pub fn keeps_to_itself(&self) -> bool {
        self.keeps_to_itself
    }

    /// Whether iterations of the loop over `var` with this body may run in any order.
    pub fn is_independent(&self, var: Var, body: &[Stmt]) -> bool {
        self.keeps_to_itself
            && sets_before_reading(body, &mut BTreeSet::new())
            && self.stores_apart(var, body)
            && self.fills_scratch(body)
    }

    /// Whether different values of `var` never store to the same element, whatever the loops inside do.
    fn stores_apart(&self, var: Var, body: &[Stmt]) -> bool {
        let mut inner = BTreeMap::new();
        collect_limits(body, &mut inner);
        let mut apart = true;
        each_access(body, &mut |access, is_store| {
            if is_store && !self.is_scratch(access.buffer) {
                apart &= self.is_apart(access, var, &inner);
            }
        });
        apart
    }

    /// The terms of the index that change inside of an iteration of the outer loops are digits of a number in mixed radix if
    /// each coefficient is larger than all that smaller ones add up to; then no two settings give the same number.
    fn is_apart(&self, access: &Access, var: Var, inner: &BTreeMap<Var, usize>) -> bool {
        let mut digits: Vec<(u64, u64)> = Vec::new();
        let mut counts = false;
        for (atom, coefficient) in access.index.terms() {
            let most = match atom {
                Atom::Var(v) if *v == var => {
                    counts = true;
                    self.limit(var).unwrap_or(0).saturating_sub(1) as u64
                }
                Atom::Var(v) => match inner.get(v) {
                    Some(limit) => limit.saturating_sub(1) as u64,
                    None => continue,
                },
                Atom::Step => continue,
                Atom::Div(within, _) | Atom::Mod(within, _) => {
                    if within.mentions(var) {
                        return false;
                    }
                    if !inner.keys().any(|v| within.mentions(*v)) {
                        continue;
                    }
                    let single = access_range(atom, &|v| self.limit(v));
                    match single {
                        Some(width) => width,
                        None => return false,
                    }
                }
            };
            digits.push((coefficient.unsigned_abs(), most));
        }
        digits.sort_unstable();
        let mut below = 0_u64;
        for (coefficient, most) in digits {
            if most > 0 && coefficient <= below {
                return false;
            }
            below = below.saturating_add(coefficient.saturating_mul(most));
        }
        counts
    }

    /// Whether all scratch is written whole before it is read.
    fn fills_scratch(&self, body: &[Stmt]) -> bool {
        let mut state = BTreeMap::new();
        self.follow_scratch(body, &mut Vec::new(), &mut state);
        state.values().all(|is_filled| *is_filled)
    }

    fn follow_scratch(&self, body: &[Stmt], open: &mut Vec<(Var, Extent)>, state: &mut BTreeMap<BufferId, bool>) {
        for stmt in body {
            match stmt {
                Stmt::For { var, extent, body, .. } => {
                    open.push((*var, *extent));
                    self.follow_scratch(body, open, state);
                    open.pop();
                }
                Stmt::Let(_, Expr::Load(access)) if self.is_scratch(access.buffer) => {
                    state.entry(access.buffer).or_insert(false);
                }
                Stmt::Store(access, _) if self.is_scratch(access.buffer) => {
                    let whole = self.covers(access, open);
                    state.entry(access.buffer).or_insert(whole);
                }
                Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
            }
        }
    }

    /// Whether the innermost loop around a store runs over all elements of its buffer.
    fn covers(&self, access: &Access, open: &[(Var, Extent)]) -> bool {
        let len = self.program.buffers.get(access.buffer.0 as usize).map_or(0, |buffer| buffer.len);
        if access.index.as_constant() == Some(0) {
            return len == 1;
        }
        open.last().is_some_and(|(var, extent)| *extent == Extent::Fixed(len) && access.index == Ix::var(*var))
    }

    fn is_scratch(&self, buffer: BufferId) -> bool {
        self.program.buffers.get(buffer.0 as usize).is_some_and(|buffer| buffer.role == Role::Scratch)
    }
}

/// How far apart two values of an atom can be.
fn access_range(atom: &Atom, limit: &dyn Fn(Var) -> Option<usize>) -> Option<u64> {
    let (low, high) = match atom {
        Atom::Var(var) => (0, i64::try_from(limit(*var)?).ok()? - 1),
        Atom::Step => return Some(0),
        Atom::Div(inner, by) => {
            let (low, high) = inner.range(limit)?;
            (low.div_euclid(*by), high.div_euclid(*by))
        }
        Atom::Mod(_, by) => (0, by - 1),
    };
    Some(high.abs_diff(low))
}

/// The most iterations of every loop, by its variable.
pub(super) fn collect_limits(body: &[Stmt], limits: &mut BTreeMap<Var, usize>) {
    for stmt in body {
        if let Stmt::For { var, extent, body, .. } = stmt {
            limits.insert(*var, extent.limit());
            collect_limits(body, limits);
        }
    }
}

/// The same lane of two `Lanes` loops is the same thread, so their variables count as one.
fn keeps_to_itself(nest: &Nest, program: &Program) -> bool {
    let mut lanes = BTreeSet::new();
    collect_lanes(&nest.body, &mut lanes);
    let one_lane = |var| Ix::var(if lanes.contains(&var) { Var(u32::MAX) } else { var });
    let mut stored: BTreeMap<BufferId, BTreeSet<Ix>> = BTreeMap::new();
    let mut loaded: Vec<(BufferId, Ix)> = Vec::new();
    each_access(&nest.body, &mut |access, is_store| {
        let is_scratch = program.buffers.get(access.buffer.0 as usize).is_some_and(|b| b.role == Role::Scratch);
        if is_scratch {
            return;
        }
        let index = access.index.substitute(&one_lane, &|_| None);
        if is_store {
            stored.entry(access.buffer).or_default().insert(index);
        } else {
            loaded.push((access.buffer, index));
        }
    });
    loaded.iter().all(|(buffer, index)| stored.get(buffer).is_none_or(|stores| stores.iter().all(|at| at == index)))
}

fn collect_lanes(body: &[Stmt], lanes: &mut BTreeSet<Var>) {
    for stmt in body {
        if let Stmt::For { var, kind, body, .. } = stmt {
            if *kind == LoopKind::Lanes {
                lanes.insert(*var);
            }
            collect_lanes(body, lanes);
        }
    }
}

/// Whether every register is set in the iteration before it is read there. Sets inside of a loop count only inside of it,
/// because it may have no iteration.
fn sets_before_reading(body: &[Stmt], set: &mut BTreeSet<Reg>) -> bool {
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => {
                if !sets_before_reading(body, &mut set.clone()) {
                    return false;
                }
            }
            Stmt::Let(_, Expr::Get(reg)) if !set.contains(reg) => return false,
            Stmt::Set(reg, _) => {
                set.insert(*reg);
            }
            Stmt::Let(..) | Stmt::Store(..) => {}
        }
    }
    true
}
