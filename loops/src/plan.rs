//! Where temporary buffers lie in one arena, from the launches that use them.
//!
//! A buffer is alive from the first launch that touches it to the last; a `Repeat` counts as one launch, so what it touches
//! is alive during all of its steps. Buffers alive at the same time never share memory. Placement is greedy, largest
//! buffer first into the smallest gap that fits: the same program always gives the same plan.
//!
//! This module must never know the contents of kernels beyond the buffers they touch.

use std::collections::{BTreeMap, BTreeSet};

use crate::nest::{Access, Expr, Stmt};
use crate::program::{BufferId, Kernel, KernelId, Launch, Program, Role};

/// A place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First byte; a multiple of the plan's alignment.
    pub offset: usize,
    /// Bytes of the buffer's elements.
    pub bytes: usize,
}

/// Where all temporary buffers lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One entry for each buffer of the program; none for buffers that are not temporary or that no launch touches.
    pub slots: Vec<Option<Slot>>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes that are alive together at the worst launch: no plan can need less.
    pub peak_bytes: usize,
}

/// The buffers a kernel touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Buffers it loads from.
    pub reads: BTreeSet<BufferId>,
    /// Buffers it stores to.
    pub writes: BTreeSet<BufferId>,
}

/// The buffers a kernel reads and writes.
pub fn touched(kernel: &Kernel) -> Touched {
    let mut touched = Touched::default();
    match kernel {
        Kernel::Nest(nest) => each_access(&nest.body, &mut |access, is_store| {
            let set = if is_store { &mut touched.writes } else { &mut touched.reads };
            set.insert(access.buffer);
        }),
        Kernel::Contraction(c) => {
            touched.reads.extend([c.a.buffer, c.b.buffer]);
            touched.writes.insert(c.out.buffer);
        }
        Kernel::EventSweep(sweep) => {
            touched.reads.extend(sweep.reads().iter().map(|(operand, _)| operand.buffer));
            touched.writes.extend(sweep.writes().iter().map(|(operand, _)| operand.buffer));
        }
        Kernel::Draw(draw) => {
            touched.writes.insert(draw.out.buffer);
        }
    }
    touched
}

/// Calls `visit` with every load (false) and store (true) of a block, in order.
pub fn each_access(stmts: &[Stmt], visit: &mut dyn FnMut(&Access, bool)) {
    for stmt in stmts {
        match stmt {
            Stmt::For { body, .. } => each_access(body, visit),
            Stmt::Let(_, Expr::Load(access)) => visit(access, false),
            Stmt::Store(access, _) => visit(access, true),
            Stmt::Let(..) | Stmt::Set(..) => {}
        }
    }
}

/// First and last launch (positions in `Program::launches`) that touch each buffer, for all that are touched.
pub fn lifetimes(program: &Program) -> BTreeMap<BufferId, (usize, usize)> {
    lifetimes_with(program, &[])
}

/// The same where kernels read more than they say.
fn lifetimes_with(program: &Program, more: &[(KernelId, BufferId)]) -> BTreeMap<BufferId, (usize, usize)> {
    let mut of_kernels: Vec<Touched> = program.kernels.iter().map(touched).collect();
    for (kernel, buffer) in more {
        if let Some(touched) = of_kernels.get_mut(kernel.0 as usize) {
            touched.reads.insert(*buffer);
        }
    }
    let mut lifetimes = BTreeMap::new();
    for (at, launch) in program.launches.iter().enumerate() {
        each_kernel(launch, &mut |kernel| {
            let Some(touched) = of_kernels.get(kernel) else { return };
            for id in touched.reads.union(&touched.writes) {
                lifetimes.entry(*id).or_insert((at, at)).1 = at;
            }
        });
    }
    lifetimes
}

fn each_kernel(launch: &Launch, visit: &mut dyn FnMut(usize)) {
    match launch {
        Launch::Run(id) => visit(id.0 as usize),
        Launch::Repeat { body, .. } => body.iter().for_each(|launch| each_kernel(launch, visit)),
    }
}

/// A buffer that needs a place.
#[derive(Clone, Copy)]
struct Tenant {
    id: BufferId,
    bytes: usize,
    /// `bytes` up to the next multiple of the alignment.
    room: usize,
    first: usize,
    last: usize,
    offset: usize,
}

/// Plans the temporary buffers; every offset is a multiple of `align` bytes (0 counts as 1).
pub fn plan(program: &Program, align: usize) -> Plan {
    let bytes: Vec<usize> = program.buffers.iter().map(|buffer| buffer.bytes(program.dtype)).collect();
    plan_bytes(program, align, &bytes, &[])
}

/// The same where buffers take as many bytes as a back end says, one number a buffer, and where some kernels of a back end
/// read more than the program says.
pub fn plan_bytes(program: &Program, align: usize, bytes: &[usize], more: &[(KernelId, BufferId)]) -> Plan {
    let mut waiting = tenants(program, align.max(1), bytes, more);
    let peak_bytes = peak(&waiting, program.launches.len());
    waiting.sort_by_key(|tenant| (std::cmp::Reverse(tenant.room), tenant.first, tenant.id));
    let mut placed: Vec<Tenant> = Vec::with_capacity(waiting.len());
    for mut tenant in waiting {
        tenant.offset = find_gap(&placed, &tenant);
        // Kept in the order of offsets, so that gaps are found in one pass.
        let at = placed.partition_point(|other| other.offset <= tenant.offset);
        placed.insert(at, tenant);
    }
    let mut slots = vec![None; program.buffers.len()];
    for tenant in &placed {
        if let Some(slot) = slots.get_mut(tenant.id.0 as usize) {
            *slot = Some(Slot { offset: tenant.offset, bytes: tenant.bytes });
        }
    }
    let arena_bytes = placed.iter().map(|tenant| tenant.offset.saturating_add(tenant.room)).max().unwrap_or(0);
    Plan { slots, arena_bytes, peak_bytes }
}

fn tenants(program: &Program, align: usize, bytes: &[usize], more: &[(KernelId, BufferId)]) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for (id, (first, last)) in lifetimes_with(program, more) {
        let at = id.0 as usize;
        let (Some(buffer), Some(bytes)) = (program.buffers.get(at), bytes.get(at).copied()) else { continue };
        if buffer.role == Role::Temporary {
            let room = bytes.checked_next_multiple_of(align).unwrap_or(usize::MAX);
            tenants.push(Tenant { id, bytes, room, first, last, offset: 0 });
        }
    }
    tenants
}

/// The most room that is taken at once.
fn peak(tenants: &[Tenant], n_launches: usize) -> usize {
    let mut begins = vec![0usize; n_launches];
    let mut ends = vec![0usize; n_launches];
    for tenant in tenants {
        if let (Some(begin), Some(end)) = (begins.get_mut(tenant.first), ends.get_mut(tenant.last)) {
            *begin = begin.saturating_add(tenant.room);
            *end = end.saturating_add(tenant.room);
        }
    }
    let (mut alive, mut peak) = (0usize, 0);
    for (begin, end) in begins.into_iter().zip(ends) {
        alive = alive.saturating_add(begin);
        peak = alive.max(peak);
        alive = alive.saturating_sub(end);
    }
    peak
}

/// The offset of the smallest gap that holds the tenant, between those of `placed` that live at the same time; above all of
/// them if there is none.
fn find_gap(placed: &[Tenant], tenant: &Tenant) -> usize {
    let (mut best, mut end) = (None, 0usize);
    for other in placed.iter().filter(|other| other.first <= tenant.last && tenant.first <= other.last) {
        let gap = other.offset.saturating_sub(end);
        if gap >= tenant.room && best.is_none_or(|(smallest, _)| gap < smallest) {
            best = Some((gap, end));
        }
        end = end.max(other.offset.saturating_add(other.room));
    }
    best.map_or(end, |(_, offset)| offset)
}
