//! Rules 1 and 3 to 9: inside a loop nest.
//!
//! Must never know the launches.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::range::{Scope, variables};
use crate::index::{Atom, Ix, Var};
use crate::nest::{Access, Expr, Extent, LoopKind, Nest, Reg, Stmt, Val};
use crate::program::{BufferId, Program, Role, WORD};
use crate::scalar::{Scalar, ScalarType};

/// Checks a nest that runs in at most `steps` steps.
pub(super) fn check(program: &Program, nest: &Nest, steps: usize, report: &mut Report) {
    let mut checker = Checker {
        program,
        nest,
        report,
        scope: Scope { extents: BTreeMap::new(), steps },
        loops: Vec::new(),
        visible: BTreeMap::new(),
        defined: BTreeSet::new(),
        looped: BTreeSet::new(),
        set: BTreeSet::new(),
        in_lanes: BTreeMap::new(),
    };
    checker.block(&nest.body);
}

struct Checker<'a, 'r> {
    program: &'a Program,
    nest: &'a Nest,
    report: &'a mut Report<'r>,
    scope: Scope,
    /// Enclosing loops, outermost first.
    loops: Vec<(Var, Extent, LoopKind)>,
    /// Values in scope.
    visible: BTreeMap<Val, ScalarType>,
    /// Values defined anywhere so far.
    defined: BTreeSet<Val>,
    /// Variables of loops anywhere so far.
    looped: BTreeSet<Var>,
    /// Registers that are set here on every path.
    set: BTreeSet<Reg>,
    /// For each register used so far whether it belongs inside of `Lanes`.
    in_lanes: BTreeMap<Reg, bool>,
}

impl Checker<'_, '_> {
    fn block(&mut self, stmts: &[Stmt]) {
        let (visible, set) = (self.visible.clone(), self.set.clone());
        for stmt in stmts {
            self.stmt(stmt, stmts.len());
        }
        (self.visible, self.set) = (visible, set);
    }

    fn stmt(&mut self, stmt: &Stmt, siblings: usize) {
        match stmt {
            Stmt::For { var, extent, kind, body } => {
                self.loop_head(*var, *extent, *kind, siblings);
                self.loop_body(*var, *extent, *kind, body);
            }
            Stmt::Let(val, expr) => {
                let ty = self.expr(expr);
                if val.0 >= self.nest.n_vals {
                    self.report.add(1, format!("v{} is beyond the nest's {} values", val.0, self.nest.n_vals));
                }
                if !self.defined.insert(*val) {
                    self.report.add(3, format!("v{} is defined twice", val.0));
                }
                self.visible.insert(*val, ty);
            }
            Stmt::Set(reg, val) => {
                self.float(*val, &|| format!("r{}", reg.0));
                self.register(*reg);
                self.set.insert(*reg);
            }
            Stmt::Store(access, val) => {
                self.float(*val, &|| format!("b{}", access.buffer.0));
                self.store(access);
            }
        }
    }

    fn loop_head(&mut self, var: Var, extent: Extent, kind: LoopKind, siblings: usize) {
        if var.0 >= self.nest.n_vars {
            self.report.add(1, format!("i{} is beyond the nest's {} variables", var.0, self.nest.n_vars));
        }
        if !self.looped.insert(var) {
            self.report.add(3, format!("i{} counts more than one loop", var.0));
        }
        if let Extent::Block { block, size, .. } = extent {
            if !self.scope.extents.contains_key(&block) {
                self.report
                    .add(3, format!("the block of loop i{} names i{}, which is no loop around it", var.0, block.0));
            }
            if size == 0 {
                self.report.add(3, format!("loop i{} has blocks of size 0", var.0));
            }
        }
        let lies_in = |kind: LoopKind| self.loops.iter().any(|(_, _, outer)| *outer == kind);
        let (in_any, in_lanes) = (!self.loops.is_empty(), lies_in(LoopKind::Lanes));
        if kind == LoopKind::Parallel && (in_any || siblings > 1) {
            self.report.add(6, format!("parallel loop i{} is not the only outermost statement", var.0));
        }
        if kind == LoopKind::Lanes && in_lanes {
            self.report.add(6, format!("lanes loop i{} lies in another", var.0));
        }
    }

    fn loop_body(&mut self, var: Var, extent: Extent, kind: LoopKind, body: &[Stmt]) {
        let is_independent = matches!(kind, LoopKind::Parallel | LoopKind::Lanes);
        // No iteration of an independent loop sees what was set around it.
        let outside = is_independent.then(|| std::mem::take(&mut self.set));
        self.loops.push((var, extent, kind));
        self.scope.extents.insert(var, extent);
        self.block(body);
        self.scope.extents.remove(&var);
        self.loops.pop();
        if let Some(outside) = outside {
            self.set = outside;
        }
    }

    fn expr(&mut self, expr: &Expr) -> ScalarType {
        match expr {
            Expr::Const(_) => ScalarType::Float,
            Expr::Index(index) => {
                self.index(index);
                ScalarType::Float
            }
            Expr::Scalar(op, arguments) => {
                self.arguments(*op, arguments);
                op.result()
            }
            Expr::Load(access) => {
                self.access(access, "load");
                ScalarType::Float
            }
            Expr::Get(reg) => {
                self.register(*reg);
                if !self.set.contains(reg) {
                    self.report.add(5, format!("r{} is read before it is set on every path", reg.0));
                }
                ScalarType::Float
            }
        }
    }

    fn arguments(&mut self, op: Scalar, arguments: &[Val]) {
        let wanted = op.arguments();
        if wanted.len() != arguments.len() {
            self.report.add(4, format!("`{}` takes {} arguments, not {}", op.name(), wanted.len(), arguments.len()));
        }
        for (at, argument) in arguments.iter().enumerate() {
            let ty = self.value(*argument);
            if let (Some(ty), Some(wanted)) = (ty, wanted.get(at))
                && ty != *wanted
            {
                self.report
                    .add(4, format!("argument v{} of `{}` is a {ty:?}, not a {wanted:?}", argument.0, op.name()));
            }
        }
    }

    fn value(&mut self, val: Val) -> Option<ScalarType> {
        let ty = self.visible.get(&val).copied();
        if val.0 >= self.nest.n_vals {
            self.report.add(1, format!("v{} is beyond the nest's {} values", val.0, self.nest.n_vals));
        } else if ty.is_none() {
            self.report.add(3, format!("v{} is used where it is not defined", val.0));
        }
        ty
    }

    fn float(&mut self, val: Val, target: &dyn Fn() -> String) {
        if self.value(val) == Some(ScalarType::Mask) {
            self.report.add(4, format!("{} gets v{}, which is a mask", target(), val.0));
        }
    }

    fn register(&mut self, reg: Reg) {
        if reg.0 >= self.nest.n_regs {
            self.report.add(1, format!("r{} is beyond the nest's {} registers", reg.0, self.nest.n_regs));
        }
        let here = self.loops.iter().any(|(_, _, kind)| *kind == LoopKind::Lanes);
        if *self.in_lanes.entry(reg).or_insert(here) != here {
            self.report.add(5, format!("r{} is used both inside and outside of lanes", reg.0));
        }
    }

    fn index(&mut self, index: &Ix) {
        for var in variables(index) {
            if !self.scope.extents.contains_key(&var) {
                self.report.add(3, format!("i{} is used outside of its loop", var.0));
            }
        }
    }

    fn store(&mut self, access: &Access) {
        if !access.bounds.is_empty() {
            self.report.add(8, format!("a store to b{} has bounds", access.buffer.0));
        }
        check_writable(self.program, access.buffer, self.report);
        self.access(access, "store");
        if self.program.is_packed(access.buffer) {
            self.packed_store(access);
        }
        if self.is_scratch(access.buffer) {
            return;
        }
        for (var, extent, kind) in &self.loops {
            let is_independent = matches!(kind, LoopKind::Parallel | LoopKind::Lanes);
            if is_independent && extent.limit() > 1 && !access.index.mentions(*var) {
                let message = format!("all iterations of i{} store to b{}[{}]", var.0, access.buffer.0, access.index);
                self.report.add(7, message);
            }
        }
    }

    fn is_scratch(&self, id: BufferId) -> bool {
        self.program.buffers.get(id.0 as usize).is_some_and(|buffer| buffer.role == Role::Scratch)
    }

    /// Rule 14.
    fn scratch_access(&mut self, access: &Access) {
        let is_own = |(atom, _): &(Atom, i64)| match atom {
            Atom::Var(var) => self
                .loops
                .iter()
                .any(|(loop_var, _, kind)| loop_var == var && matches!(kind, LoopKind::Serial | LoopKind::Reverse)),
            Atom::Step | Atom::Div(..) | Atom::Mod(..) => false,
        };
        if !access.bounds.is_empty() || !access.index.terms().iter().all(is_own) {
            let message = format!("scratch b{}[{}] is not the lane's own", access.buffer.0, access.index);
            self.report.add(14, message);
        }
    }

    /// Rule 13.
    fn packed_store(&mut self, access: &Access) {
        let lanes = self.loops.iter().find(|(_, _, kind)| *kind == LoopKind::Lanes).map(|(var, ..)| *var);
        let word = WORD as i64;
        let terms = access.index.terms().iter().all(|(atom, coefficient)| {
            coefficient % word == 0 || *coefficient == 1 && matches!(atom, Atom::Var(var) if Some(*var) == lanes)
        });
        if !terms || access.index.base() % word != 0 {
            self.report
                .add(13, format!("a store at b{}[{}] may share a word with another", access.buffer.0, access.index));
        }
    }

    fn access(&mut self, access: &Access, what: &str) {
        let errors = self.report.errors.len();
        self.index(&access.index);
        access.bounds.iter().for_each(|(index, _)| self.index(index));
        if self.is_scratch(access.buffer) {
            self.scratch_access(access);
        }
        let Some(buffer) = self.program.buffers.get(access.buffer.0 as usize) else {
            self.report.add(1, format!("a {what} from or to b{}, which does not exist", access.buffer.0));
            return;
        };
        for (index, extent) in access.bounds.iter().filter(|(_, extent)| *extent < 0) {
            self.report.add(9, format!("a {what} wants {index} below {extent}"));
        }
        if self.report.errors.len() > errors || self.scope.is_dead() {
            return;
        }
        let range = self.scope.range(&access.index, &access.bounds);
        let (is_empty, len) = (range.low > range.high, buffer.len as i64);
        let is_certain = access.bounds.is_empty() || range.is_exact || range.low >= len || range.high < 0;
        if !is_empty && is_certain && (range.low < 0 || range.high >= len) {
            let place = format!("b{}[{}]", access.buffer.0, access.index);
            let message = format!("a {what} at {place} reaches {} to {} of {len} elements", range.low, range.high);
            self.report.add(9, message);
        }
    }
}

/// Rule 8: a kernel's result is neither an input nor a constant.
pub(super) fn check_writable(program: &Program, id: BufferId, report: &mut Report) {
    match program.buffers.get(id.0 as usize).map(|buffer| &buffer.role) {
        Some(Role::Input) => report.add(8, format!("b{} is written but is an input", id.0)),
        Some(Role::Constant(_)) => report.add(8, format!("b{} is written but is a constant", id.0)),
        Some(Role::Output | Role::Temporary | Role::Scratch) | None => {}
    }
}
