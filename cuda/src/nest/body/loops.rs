//! Loops of a nest inside of a thread: counted ones, lanes, and long sums that a team runs together.
//!
//! Must never know how values are loaded or stored.

use snn_loops::{Access, Extent, LoopKind, Stmt, Var};

use super::{Place, Writer};
use crate::emit::Storage;
use crate::nest::ordered::{Split, TEAM, split_long};
use crate::nest::scalar;

/// Loops of no more steps than this are written out by the compiler, so that what they carry stays in registers.
const UNROLLED: usize = 16;

impl Writer<'_> {
    pub(super) fn open_loop(&mut self, var: Var, extent: Extent, kind: LoopKind, body: &[Stmt]) {
        if extent.limit() == 0 {
            return;
        }
        match kind {
            LoopKind::Lanes if !self.threads.serial_lanes => self.lanes(var, extent, body),
            LoopKind::Lanes => {
                let outside = std::mem::replace(&mut self.place, Place::Lane { var, masked: false });
                self.counted(var, extent, false, body);
                self.place = outside;
            }
            LoopKind::Reverse => self.counted(var, extent, true, body),
            LoopKind::Parallel | LoopKind::Serial => self.counted(var, extent, false, body),
        }
    }

    fn counted(&mut self, var: Var, extent: Extent, falling: bool, body: &[Stmt]) {
        if self.threads.teams
            && let Some(parts) = split_long(extent.limit(), body)
        {
            return self.ordered(var, extent, falling, &parts);
        }
        let (i, int, count) = (var.0, self.int.name(), self.count(extent));
        let is_short = matches!(extent, Extent::Fixed(n) if n <= UNROLLED);
        if is_short {
            self.line(format_args!("#pragma unroll"));
        } else if !body.iter().any(|stmt| matches!(stmt, Stmt::For { .. } | Stmt::Store(..))) {
            // A sum waits for each addend in turn, but the loads of many need not wait for each other.
            self.line(format_args!("#pragma unroll {UNROLLED}"));
        }
        if falling {
            self.line(format_args!("for ({int} i{i} = {count} - 1; i{i} >= 0; --i{i}) {{"));
        } else {
            self.line(format_args!("for ({int} i{i} = 0; i{i} < {count}; ++i{i}) {{"));
        }
        self.block(body);
    }

    /// A loop whose iterations a team prepares side by side and then runs in order.
    fn ordered(&mut self, var: Var, extent: Extent, falling: bool, parts: &Split<'_>) {
        let (i, int, count, float) = (var.0, self.int.name(), self.count(extent), scalar::type_name(self.dtype));
        self.line(format_args!("for ({int} first{i} = 0; first{i} < {count}; first{i} += {TEAM}) {{"));
        self.depth += 1;
        self.line(format_args!("const {int} mine{i} = first{i} + member < {count} ? first{i} + member : {count} - 1;"));
        let own = if falling { format!("{count} - 1 - mine{i}") } else { format!("mine{i}") };
        self.line(format_args!("const {int} i{i} = {own};"));
        parts.free.iter().for_each(|stmt| self.statement(stmt));
        if extent.limit().is_multiple_of(TEAM as usize) && matches!(extent, Extent::Fixed(_)) {
            self.line(format_args!("#pragma unroll"));
            self.line(format_args!("for (i32 from = 0; from < {TEAM}; ++from) {{"));
        } else {
            self.line(format_args!("const i32 last{i} = (i32)({count} - first{i});"));
            self.line(format_args!("for (i32 from = 0; from < {TEAM} && from < last{i}; ++from) {{"));
        }
        self.depth += 1;
        for val in &parts.handed {
            let v = val.0;
            if self.masks.contains(val) {
                self.line(format_args!("const bool h{v} = __shfl_sync(0xffffffffu, (i32)v{v}, from) != 0;"));
            } else {
                self.line(format_args!("const {float} h{v} = __shfl_sync(0xffffffffu, v{v}, from);"));
            }
        }
        self.line(format_args!("{{"));
        self.depth += 1;
        for val in &parts.handed {
            let kind = if self.masks.contains(val) { "bool" } else { float };
            self.line(format_args!("const {kind} v{0} = h{0};", val.0));
        }
        parts.bound.iter().for_each(|stmt| self.statement(stmt));
        for _ in 0..3 {
            self.depth -= 1;
            self.line(format_args!("}}"));
        }
    }

    /// The rest of a block that was opened.
    fn block(&mut self, body: &[Stmt]) {
        self.depth += 1;
        self.statements(body);
        self.depth -= 1;
        self.line(format_args!("}}"));
    }

    /// A `Lanes` loop: this thread's lane of it.
    fn lanes(&mut self, var: Var, extent: Extent, body: &[Stmt]) {
        let (i, int) = (var.0, self.int.name());
        let votes = self.has_votes(var, body);
        let outside = std::mem::replace(&mut self.place, Place::Lane { var, masked: votes });
        if self.sums.is_some() {
            self.place = Place::Lane { var, masked: false };
            self.line(format_args!("{{"));
            self.line(format_args!("    const {int} i{i} = channel;"));
        } else if self.threads.pitch == 1 {
            self.line(format_args!("{{"));
            self.line(format_args!("    const {int} i{i} = 0;"));
        } else if votes {
            // All lanes of a warp come along, so that they can vote.
            let count = self.count(extent);
            self.line(format_args!("if (0 < {count}) {{"));
            self.line(format_args!("    const bool on{i} = lane < {count};"));
            self.line(format_args!("    const {int} i{i} = on{i} ? lane : {count} - 1;"));
        } else if extent == Extent::Fixed(self.threads.pitch as usize) {
            self.line(format_args!("{{"));
            self.line(format_args!("    const {int} i{i} = lane;"));
        } else {
            let count = self.count(extent);
            self.line(format_args!("if (lane < {count}) {{"));
            self.line(format_args!("    const {int} i{i} = lane;"));
        }
        self.block(body);
        self.place = outside;
    }

    /// Whether lanes of this loop make words together.
    fn has_votes(&self, var: Var, body: &[Stmt]) -> bool {
        let mut found = false;
        snn_loops::plan::each_access(body, &mut |access, is_store| {
            found |= is_store && self.is_vote(access, var);
        });
        found
    }

    pub(super) fn is_vote(&self, access: &Access, var: Var) -> bool {
        let is_bits = self.slots.get(&access.buffer).is_some_and(|slot| slot.storage == Storage::Bits);
        is_bits && access.index.stride(var) == Some(1)
    }
}
