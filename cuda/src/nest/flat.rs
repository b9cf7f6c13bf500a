//! Nests over all elements of a tensor, which lowering cuts into blocks for the tasks of a processor, as one loop again.
//!
//! Must never know text.

use snn_loops::{Access, Atom, Expr, Extent, Ix, LoopKind, Nest, Stmt, Var};

/// A nest of blocks of lanes in which only an element's number counts, as lanes without blocks; any other as it is.
pub(super) fn flattened(nest: &Nest) -> Nest {
    let mut flat = nest.clone();
    if let Some(body) = without_blocks(&nest.body) {
        flat.body = body;
    }
    flat
}

fn without_blocks(body: &[Stmt]) -> Option<Vec<Stmt>> {
    let [Stmt::For { var: task, kind: LoopKind::Parallel, body: inside, .. }] = body else { return None };
    let [before @ .., Stmt::For { var: lane, extent, kind: LoopKind::Lanes, body: lanes }] = inside.as_slice() else {
        return None;
    };
    let Extent::Block { block, size, total } = extent else { return None };
    if block != task || mentions(before, *task) {
        return None;
    }
    let number = Number { task: *task, lane: *lane, size: i64::try_from(*size).ok()? };
    let lanes = number.statements(lanes)?;
    let all = Stmt::For { var: *lane, extent: Extent::Fixed(*total), kind: LoopKind::Lanes, body: lanes };
    Some(before.iter().cloned().chain([all]).collect())
}

/// An element's number: `size * task + lane`.
struct Number {
    task: Var,
    lane: Var,
    size: i64,
}

impl Number {
    /// The statements where the lane's variable is the number; `None` if something else of the two variables counts.
    fn statements(&self, body: &[Stmt]) -> Option<Vec<Stmt>> {
        body.iter().map(|stmt| self.statement(stmt)).collect()
    }

    fn statement(&self, stmt: &Stmt) -> Option<Stmt> {
        Some(match stmt {
            Stmt::For { extent: Extent::Block { block, .. }, .. } if *block == self.task => return None,
            Stmt::For { var, extent, kind, body } => {
                Stmt::For { var: *var, extent: *extent, kind: *kind, body: self.statements(body)? }
            }
            Stmt::Let(val, Expr::Index(index)) => Stmt::Let(*val, Expr::Index(self.index(index)?)),
            Stmt::Let(val, Expr::Load(access)) => Stmt::Let(*val, Expr::Load(self.access(access)?)),
            Stmt::Store(access, val) => Stmt::Store(self.access(access)?, *val),
            Stmt::Let(..) | Stmt::Set(..) => stmt.clone(),
        })
    }

    fn access(&self, access: &Access) -> Option<Access> {
        let bounds = access.bounds.iter().map(|(index, extent)| Some((self.index(index)?, *extent)));
        Some(Access {
            buffer: access.buffer,
            index: self.index(&access.index)?,
            bounds: bounds.collect::<Option<_>>()?,
            otherwise: access.otherwise,
        })
    }

    fn index(&self, index: &Ix) -> Option<Ix> {
        let [of_task, of_lane] = [self.task, self.lane].map(|var| coefficient(index, var));
        if of_task? != of_lane?.checked_mul(self.size)? {
            return None;
        }
        let is_task = |var| var == self.task;
        Some(index.substitute(&|var| if is_task(var) { Ix::constant(0) } else { Ix::var(var) }, &|_| None))
    }
}

/// How often a variable counts; `None` inside of quotients.
fn coefficient(index: &Ix, var: Var) -> Option<i64> {
    let mut found = 0;
    for (atom, coefficient) in index.terms() {
        match atom {
            Atom::Var(v) if *v == var => found += coefficient,
            Atom::Var(_) | Atom::Step => {}
            Atom::Div(inner, _) | Atom::Mod(inner, _) if inner.mentions(var) => return None,
            Atom::Div(..) | Atom::Mod(..) => {}
        }
    }
    Some(found)
}

fn mentions(body: &[Stmt], var: Var) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Let(_, Expr::Const(_) | Expr::Scalar(..)) => false,
        Stmt::Let(_, Expr::Index(index)) => index.mentions(var),
        Stmt::Let(_, Expr::Load(access)) => {
            access.index.mentions(var) || access.bounds.iter().any(|(index, _)| index.mentions(var))
        }
        // Registers and stores would happen once a block.
        Stmt::For { .. } | Stmt::Let(_, Expr::Get(_)) | Stmt::Set(..) | Stmt::Store(..) => true,
    })
}
