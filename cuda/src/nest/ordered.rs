//! Long sums by few threads: what the addends need is computed by a whole warp at once, and added in the program's order.
//!
//! A thread that adds a thousand numbers waits a thousand times for memory. Here the lanes of a warp, a *team*, load and
//! compute 32 iterations side by side as far as these do not depend on the running registers; then every lane runs the
//! rest of the 32 iterations one after the other, taking each iteration's values from the lane that has them. All lanes
//! hold the same registers all the time, every bit is that of the plain loop, and memory is waited for once in 32.
//!
//! This module only says which loops go like this and how their statements split; must never know text.

use std::collections::BTreeSet;

use snn_loops::{Expr, LoopKind, Reg, Stmt, Val};

use super::threads::Threads;

/// Members of a team: a warp.
pub(super) const TEAM: u64 = 32;

/// Loops of fewer iterations are not worth it.
const LONG: usize = 64;

/// With more threads than this there is enough to do while some wait.
const FEW: u64 = 16_384;

/// More values than this from an iteration take longer to hand around than to load.
const MOST_HANDED: usize = 4;

/// A loop's statements in two parts, each in order.
pub(super) struct Split<'b> {
    /// What depends on nothing that the loop carries.
    pub free: Vec<&'b Stmt>,
    /// What does, and constants that it needs.
    pub bound: Vec<&'b Stmt>,
    /// Free values that the bound part needs.
    pub handed: Vec<Val>,
}

/// Whether threads should be teams: there are few of them, each is one element, and a long sum is among what they do.
pub(super) fn wants_teams(threads: &Threads, body: &[Stmt]) -> bool {
    !threads.votes && !threads.serial_lanes && threads.count() <= FEW && has_long_sum(body)
}

fn has_long_sum(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::For { extent, kind: LoopKind::Serial | LoopKind::Reverse, body, .. }
            if extent.limit() >= LONG && split(body).is_some() =>
        {
            true
        }
        Stmt::For { body, .. } => has_long_sum(body),
        Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => false,
    })
}

/// The parts of the body of a loop of so many iterations, if teams run it.
pub(super) fn split_long(limit: usize, body: &[Stmt]) -> Option<Split<'_>> {
    if limit < LONG { None } else { split(body) }
}

/// The parts of a loop's body; `None` where it is more than a sum: loops or stores in it, nothing that it carries, or too
/// much to hand around.
fn split(body: &[Stmt]) -> Option<Split<'_>> {
    let mut carried: BTreeSet<Reg> = BTreeSet::new();
    for stmt in body {
        match stmt {
            Stmt::Set(reg, _) => drop(carried.insert(*reg)),
            Stmt::Let(..) => {}
            Stmt::For { .. } | Stmt::Store(..) => return None,
        }
    }
    if carried.is_empty() {
        return None;
    }
    let mut parts = Split { free: Vec::new(), bound: Vec::new(), handed: Vec::new() };
    let (mut bound_vals, mut constants, mut own) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut needed: BTreeSet<Val> = BTreeSet::new();
    for stmt in body {
        match stmt {
            Stmt::Let(val, expr) => {
                own.insert(*val);
                let is_bound = match expr {
                    Expr::Get(reg) => carried.contains(reg),
                    Expr::Scalar(_, args) => args.iter().any(|arg| bound_vals.contains(arg)),
                    Expr::Const(_) | Expr::Index(_) | Expr::Load(_) => false,
                };
                if is_bound {
                    bound_vals.insert(*val);
                    if let Expr::Scalar(_, args) = expr {
                        needed.extend(args.iter().copied());
                    }
                    parts.bound.push(stmt);
                } else {
                    parts.free.push(stmt);
                    if matches!(expr, Expr::Const(_)) {
                        // As cheap to have again as to hand around.
                        constants.insert(*val);
                        parts.bound.push(stmt);
                    }
                }
            }
            Stmt::Set(_, val) => {
                needed.insert(*val);
                parts.bound.push(stmt);
            }
            Stmt::For { .. } | Stmt::Store(..) => {}
        }
    }
    parts.bound.retain(|stmt| !matches!(stmt, Stmt::Let(val, Expr::Const(_)) if !needed.contains(val)));
    let is_handed = |val: &Val| own.contains(val) && !bound_vals.contains(val) && !constants.contains(val);
    parts.handed = needed.into_iter().filter(is_handed).collect();
    (!parts.handed.is_empty() && parts.handed.len() <= MOST_HANDED).then_some(parts)
}
