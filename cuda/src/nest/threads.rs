//! Which loops of a nest become threads.
//!
//! Must never know text.

use snn_loops::plan::each_access;
use snn_loops::{BufferId, Expr, Extent, LoopKind, Nest, Program, Stmt, Var};

use super::independence::Judge;
use super::ordered::{TEAM, wants_teams};

/// A loop whose iterations are threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub var: Var,
    pub extent: Extent,
}

/// The threads of a nest: one for each setting of the outer axes and each lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Threads {
    /// Loops from the outside in; each is the last statement of the one before, with nothing but definitions beside it.
    pub outer: Vec<Axis>,
    /// How many lanes are side by side, the most of all `Lanes` loops; 1 without one.
    pub lanes: u64,
    /// Threads that are set aside for lanes: whole warps where lanes make words of bits together.
    pub pitch: u64,
    /// Whether `Lanes` loops run one after the other inside of a thread: lanes see each other's stores.
    pub serial_lanes: bool,
    /// Whether lanes make words of bits together.
    pub votes: bool,
    /// Whether each of these threads is a whole warp, whose lanes run long sums together.
    pub teams: bool,
}

impl Threads {
    /// The threads of a nest of a verified program.
    pub fn of(nest: &Nest, program: &Program) -> Threads {
        let judge = Judge::new(nest, program);
        let serial_lanes = !judge.keeps_to_itself();
        let mut outer = Vec::new();
        let rest = take_outer(&nest.body, &judge, &mut outer);
        let lanes = if serial_lanes { 1 } else { widest(rest).max(1) as u64 };
        let votes = !serial_lanes && stores_bits_of_lanes(rest, program);
        let pitch = if votes { lanes.next_multiple_of(32) } else { lanes };
        let mut threads = Threads { outer, lanes, pitch, serial_lanes, votes, teams: false };
        threads.teams = wants_teams(&threads, rest);
        threads
    }

    /// Number of threads; saturates.
    pub fn count(&self) -> u64 {
        let outer = self.outer.iter().map(|axis| axis.extent.limit() as u64);
        outer.fold(self.pitch, u64::saturating_mul).saturating_mul(if self.teams { TEAM } else { 1 })
    }
}

/// Follows the only loops of blocks as far as they can be threads, and gives the first block that has no such loop.
fn take_outer<'n>(body: &'n [Stmt], judge: &Judge<'_>, outer: &mut Vec<Axis>) -> &'n [Stmt] {
    let [before @ .., Stmt::For { var, extent, kind, body: inside }] = body else { return body };
    // A register that is set out here would be set in every thread, which is right, but a store must happen once.
    if !before.iter().all(|stmt| matches!(stmt, Stmt::Let(_, expr) if !matches!(expr, Expr::Get(_)))) {
        return body;
    }
    let is_free = match kind {
        LoopKind::Parallel => true,
        LoopKind::Serial | LoopKind::Reverse => judge.is_independent(*var, inside),
        LoopKind::Lanes => false,
    };
    if !is_free {
        return body;
    }
    outer.push(Axis { var: *var, extent: *extent });
    take_outer(inside, judge, outer)
}

/// The most lanes of a `Lanes` loop.
fn widest(body: &[Stmt]) -> usize {
    body.iter().fold(0, |most, stmt| match stmt {
        Stmt::For { extent, kind: LoopKind::Lanes, .. } => most.max(extent.limit()),
        Stmt::For { body, .. } => most.max(widest(body)),
        Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => most,
    })
}

/// Whether a bit is stored whose place follows the lane.
fn stores_bits_of_lanes(body: &[Stmt], program: &Program) -> bool {
    let mut found = false;
    each_lanes(body, &mut |var, body| {
        each_access(body, &mut |access, is_store| {
            found |= is_store && is_vote(access.buffer, access.index.stride(var), program);
        });
    });
    found
}

/// Whether neighbors store neighboring bits.
pub(super) fn is_vote(buffer: BufferId, stride: Option<i64>, program: &Program) -> bool {
    program.is_packed(buffer) && stride == Some(1)
}

fn each_lanes(body: &[Stmt], visit: &mut dyn FnMut(Var, &[Stmt])) {
    for stmt in body {
        match stmt {
            Stmt::For { var, kind: LoopKind::Lanes, body, .. } => visit(*var, body),
            Stmt::For { body, .. } => each_lanes(body, visit),
            Stmt::Let(..) | Stmt::Set(..) | Stmt::Store(..) => {}
        }
    }
}
