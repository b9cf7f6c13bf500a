//! Contractions that pass their sums on in registers to the neurons that hear them.
//!
//! In an evaluation a convolution's result is read by one time loop alone, and is by far the most that would go through
//! memory. Both run where the time loop stands, so what the contraction reads is kept until then.
//!
//! Must never know how either is computed.

use std::collections::BTreeMap;

use snn_loops::plan::{Touched, touched};
use snn_loops::{BufferId, Contraction, Kernel, KernelId, Launch, Program, Role};

use super::Storage;
use crate::contraction::fused;
use crate::launch::Emitted;
use crate::nest;
use crate::target::Target;

/// Two kernels that are launched as one.
pub(super) struct Pair {
    /// The contraction, which is not launched.
    pub contraction: KernelId,
    /// The time loop, in whose place both run.
    pub nest: KernelId,
    /// Where the sums would lie.
    pub between: BufferId,
    /// What the contraction reads.
    pub reads: [BufferId; 2],
    /// Both as text.
    pub emitted: Emitted,
}

/// All pairs of a program, in the order of the time loops.
pub(super) fn pairs(program: &Program, storage: &[Storage], target: &Target) -> Vec<Pair> {
    let touched: Vec<Touched> = program.kernels.iter().map(touched).collect();
    let Some(launched) = positions(program) else { return Vec::new() };
    let mut pairs = Vec::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        let Kernel::Contraction(contraction) = kernel else { continue };
        let id = KernelId(at as u32);
        let Some(reader) = only_reader(program, contraction, id, &touched) else { continue };
        let (Some(first), Some(last)) = (launched.get(&id), launched.get(&reader)) else { continue };
        let reads = [contraction.a.buffer, contraction.b.buffer];
        let is_kept = launched.iter().filter(|(_, at)| (first..=last).contains(at)).all(|(kernel, _)| {
            touched.get(kernel.0 as usize).is_some_and(|t| reads.iter().all(|read| !t.writes.contains(read)))
        });
        if first < last && is_kept {
            pairs.extend(pair(program, contraction, id, reader, storage, target));
        }
    }
    pairs.sort_by_key(|pair| launched.get(&pair.nest).copied());
    // A time loop may hear two contractions; only one passes its sums on.
    let mut seen = Vec::new();
    pairs.retain(|pair| {
        !seen.contains(&pair.nest) && {
            seen.push(pair.nest);
            true
        }
    });
    pairs
}

/// Where each kernel is launched, of those that are launched once and not in a `Repeat`; `None` if there are `Repeat`s, whose
/// kernels may touch anything at any step.
fn positions(program: &Program) -> Option<BTreeMap<KernelId, usize>> {
    let mut positions = BTreeMap::new();
    for (at, launch) in program.launches.iter().enumerate() {
        match launch {
            Launch::Run(kernel) => match positions.insert(*kernel, at) {
                None => {}
                Some(_) => return None,
            },
            Launch::Repeat { .. } => return None,
        }
    }
    Some(positions)
}

/// The only kernel besides a contraction that touches its result.
fn only_reader(program: &Program, c: &Contraction, id: KernelId, touched: &[Touched]) -> Option<KernelId> {
    let between = c.out.buffer;
    let is_temporary = program.buffers.get(between.0 as usize).is_some_and(|b| b.role == Role::Temporary);
    let mut others = touched.iter().enumerate().filter(|(at, touched)| {
        *at != id.0 as usize && (touched.reads.contains(&between) || touched.writes.contains(&between))
    });
    let (reader, how) = others.next()?;
    (is_temporary && others.next().is_none() && !how.writes.contains(&between)).then_some(KernelId(reader as u32))
}

fn pair(
    program: &Program,
    c: &Contraction,
    contraction: KernelId,
    reader: KernelId,
    storage: &[Storage],
    target: &Target,
) -> Option<Pair> {
    let Some(Kernel::Nest(nest)) = program.kernels.get(reader.0 as usize) else { return None };
    let of = |buffer: BufferId| storage.get(buffer.0 as usize).copied().unwrap_or(Storage::Float);
    let (epilogue, steps) = nest::epilogue(nest, c, program, storage)?;
    let reads = [c.a.buffer, c.b.buffer];
    let emitted = fused::emit(c, steps, &epilogue, reads.map(of), target)?;
    Some(Pair { contraction, nest: reader, between: c.out.buffer, reads, emitted })
}
