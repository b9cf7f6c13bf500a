//! Which nests are launched together: those that wait for each other nowhere.
//!
//! A nest may wait for a later one if nothing in between needs what it writes or writes what it touches. Results that
//! nobody in the program needs, like new weights, can wait to the end; what somebody needs waits for neighbors only. All
//! members of a group run in the place of its last one.
//!
//! Must never know text.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::plan::{Touched, touched};
use snn_loops::{BufferId, KernelId, Launch, Program, Role};

use super::super::{Moved, Storage};

/// Bytes of temporary values that may wait in memory for the nests of a launch.
const WAITING: usize = 64 << 20;

/// What a group may be made of.
pub(super) trait Limits {
    /// Whether a kernel may be launched together with others.
    fn is_member(&self, kernel: KernelId) -> bool;
    /// Whether a launch has room for these.
    fn fit(&self, members: &[KernelId]) -> bool;
}

/// Kernels that are launched together, each group in the order of the program; no group has only one member.
pub(super) fn groups(
    program: &Program,
    storage: &[Storage],
    moved: &[Moved],
    limits: &dyn Limits,
) -> Vec<Vec<KernelId>> {
    let mut groups = Vec::new();
    let bodies = program.launches.iter().filter_map(|launch| match launch {
        Launch::Repeat { body, .. } => Some(body),
        Launch::Run(_) => None,
    });
    for launches in std::iter::once(&program.launches).chain(bodies) {
        let items = items(program, launches, moved, limits);
        let last = Last::of(program, &items);
        let (open, done) = (Default::default(), Vec::new());
        let mut grouping = Grouping { program, storage, limits, items: &items, last, open, done };
        grouping.run();
        groups.extend(grouping.done);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// A launch.
struct Item {
    /// The kernel, if it may be launched together with others.
    member: Option<KernelId>,
    touched: Touched,
}

fn items(program: &Program, launches: &[Launch], moved: &[Moved], limits: &dyn Limits) -> Vec<Item> {
    let mut times = vec![0_usize; program.kernels.len()];
    program.launches.iter().for_each(|launch| {
        each_kernel(launch, &mut |kernel| {
            if let Some(times) = times.get_mut(kernel.0 as usize) {
                *times += 1;
            }
        });
    });
    let item = |launch: &Launch| {
        let mut all = Touched::default();
        each_kernel(launch, &mut |kernel| {
            // A kernel in whose place others run touches what they touch.
            let others = moved.iter().filter(|moved| moved.to == kernel).map(|moved| moved.kernel);
            let own = (!moved.iter().any(|moved| moved.kernel == kernel)).then_some(kernel);
            for kernel in own.into_iter().chain(others) {
                let of = program.kernels.get(kernel.0 as usize).map(touched).unwrap_or_default();
                all.reads.extend(of.reads);
                all.writes.extend(of.writes);
            }
        });
        let member = match launch {
            Launch::Run(kernel) => {
                let is_once = times.get(kernel.0 as usize) == Some(&1);
                let is_alone = moved.iter().all(|moved| moved.kernel != *kernel && moved.to != *kernel);
                (is_once && is_alone && limits.is_member(*kernel)).then_some(*kernel)
            }
            Launch::Repeat { .. } => None,
        };
        Item { member, touched: all }
    };
    launches.iter().map(item).collect()
}

fn each_kernel(launch: &Launch, visit: &mut dyn FnMut(KernelId)) {
    match launch {
        Launch::Run(kernel) => visit(*kernel),
        Launch::Repeat { body, .. } => body.iter().for_each(|launch| each_kernel(launch, visit)),
    }
}

/// The last launches that touch buffers, by position.
#[derive(Default)]
struct Last {
    touched: BTreeMap<BufferId, usize>,
    written: BTreeMap<BufferId, usize>,
    /// Of inputs, those whose results may lie over them.
    replaced: BTreeMap<BufferId, usize>,
}

impl Last {
    fn of(program: &Program, items: &[Item]) -> Last {
        let mut last = Last::default();
        for (at, Item { touched, .. }) in items.iter().enumerate() {
            last.touched.extend(touched.reads.union(&touched.writes).map(|id| (*id, at)));
            last.written.extend(touched.writes.iter().map(|id| (*id, at)));
            let replaces = |old: &BufferId| touched.writes.iter().any(|new| may_replace(program, *new, *old));
            last.replaced.extend(touched.reads.iter().filter(|old| replaces(old)).map(|old| (*old, at)));
        }
        last
    }

    /// Whether something behind a launch must wait for it, as [`must_wait`] says.
    fn needs(&self, touched: &Touched, at: usize) -> bool {
        let is_behind = |map: &BTreeMap<BufferId, usize>, id| map.get(id).is_some_and(|last| *last > at);
        touched.writes.iter().any(|id| is_behind(&self.touched, id))
            || touched.reads.iter().any(|id| is_behind(&self.written, id) || is_behind(&self.replaced, id))
    }
}

/// A group that may still grow.
#[derive(Default)]
struct Open {
    /// Positions of its members among the launches.
    at: Vec<usize>,
    members: Vec<KernelId>,
}

struct Grouping<'a> {
    program: &'a Program,
    storage: &'a [Storage],
    limits: &'a dyn Limits,
    items: &'a [Item],
    last: Last,
    /// Of nests that somebody waits for, and of nests that nobody waits for.
    open: [Open; 2],
    done: Vec<Vec<KernelId>>,
}

/// Positions in [`Grouping::open`].
const NEEDED: usize = 0;
const RESULTS: usize = 1;

impl Grouping<'_> {
    fn run(&mut self) {
        for (at, item) in self.items.iter().enumerate() {
            for which in [NEEDED, RESULTS] {
                let waits = |open: &Open| {
                    let mut members = open.at.iter().filter_map(|at| self.items.get(*at));
                    members.any(|member| must_wait(self.program, &member.touched, &item.touched))
                };
                if self.open.get(which).is_some_and(waits) {
                    self.close(which);
                }
            }
            if let Some(kernel) = item.member {
                let is_needed = self.last.needs(&item.touched, at);
                self.join(if is_needed { NEEDED } else { RESULTS }, at, kernel);
            }
        }
        self.close(NEEDED);
        self.close(RESULTS);
    }

    fn close(&mut self, which: usize) {
        if let Some(open) = self.open.get_mut(which) {
            self.done.push(std::mem::take(open).members);
        }
    }

    fn join(&mut self, which: usize, at: usize, kernel: KernelId) {
        let has_room = self.open.get(which).is_some_and(|open| {
            let members: Vec<KernelId> = open.members.iter().copied().chain([kernel]).collect();
            self.limits.fit(&members) && self.waiting(open, at) <= WAITING
        });
        if !has_room {
            self.close(which);
        }
        if let Some(open) = self.open.get_mut(which) {
            open.at.push(at);
            open.members.push(kernel);
        }
    }

    /// Bytes of temporary values that a group touches, with another member.
    fn waiting(&self, open: &Open, more: usize) -> usize {
        let items = open.at.iter().chain([&more]).filter_map(|at| self.items.get(*at));
        let all: BTreeSet<BufferId> =
            items.flat_map(|item| item.touched.reads.union(&item.touched.writes)).copied().collect();
        let of = |id: BufferId| {
            let buffer = self.program.buffers.get(id.0 as usize).filter(|buffer| buffer.role == Role::Temporary)?;
            Some(self.storage.get(id.0 as usize)?.bytes(buffer, self.program.dtype))
        };
        all.into_iter().filter_map(of).fold(0, usize::saturating_add)
    }
}

/// Whether what runs later needs that the earlier one is done. A result may lie over an input of the kernel that writes
/// it, so whoever else reads that input counts, too.
fn must_wait(program: &Program, earlier: &Touched, later: &Touched) -> bool {
    let meets = |a: &BTreeSet<BufferId>, b: &BTreeSet<BufferId>| !a.is_disjoint(b);
    meets(&earlier.writes, &later.reads)
        || meets(&earlier.writes, &later.writes)
        || meets(&earlier.reads, &later.writes)
        || later.writes.iter().any(|new| {
            let replaced = |old: &&BufferId| earlier.reads.contains(old) && may_replace(program, *new, **old);
            later.reads.iter().any(|old| replaced(&old))
        })
}

fn may_replace(program: &Program, new: BufferId, old: BufferId) -> bool {
    let of = |id: BufferId| program.buffers.get(id.0 as usize);
    let (Some(new), Some(old)) = (of(new), of(old)) else { return true };
    (&new.role, &old.role) == (&Role::Output, &Role::Input) && new.len == old.len
}
