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
            let writes = touched.get(kernel.0 as usize).map(|touched| &touched.writes);
            writes.is_some_and(|writes| {
                writes.iter().all(|write| !reads.iter().any(|read| may_be(program, *write, *read)))
            })
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

/// Whether writing one buffer may change another: if it is that, or a result that replaces an input and lies over it.
fn may_be(program: &Program, written: BufferId, read: BufferId) -> bool {
    let of = |id: BufferId| program.buffers.get(id.0 as usize);
    let (Some(new), Some(old)) = (of(written), of(read)) else { return true };
    written == read || ((&new.role, &old.role) == (&Role::Output, &Role::Input) && new.len == old.len)
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
    Some(Pair { contraction, nest: reader, between: c.out.buffer, emitted })
}

#[cfg(test)]
mod tests {
    use snn_loops::{
        Access, ContractionKind, ConvShape, Dtype, Extent, Ix, LoopKind, NestBuilder, Operand, Scalar, verify,
    };

    use super::*;
    use crate::target::{Arch, Precision};

    const N: usize = 64;

    /// `to = from`, element by element.
    fn copy(program: &mut Program, from: BufferId, to: BufferId, len: usize) {
        let mut nest = NestBuilder::new("copy");
        let lane = nest.fresh_var();
        nest.open(lane, Extent::Fixed(len), LoopKind::Lanes);
        let value = nest.load(Access::new(from, Ix::var(lane)));
        nest.store(Access::new(to, Ix::var(lane)), value);
        launch(program, Kernel::Nest(nest.finish()));
    }

    fn launch(program: &mut Program, kernel: Kernel) {
        let id = program.add_kernel(kernel);
        program.launches.push(Launch::Run(id));
    }

    /// A linear map of spikes that is heard for two steps; in between something else writes `updated` numbers, if any.
    fn program(updated: Option<usize>) -> Program {
        let mut program = Program::new(Dtype::F32);
        let input = program.add_buffer("input", N, Role::Input);
        let weight = program.add_buffer("weight", N * N, Role::Input);
        let a = program.add_packed_buffer("a", N);
        let sums = program.add_buffer("sums", N, Role::Temporary);
        let spikes = program.add_packed_buffer("spikes", 2 * N);
        copy(&mut program, input, a, N);
        let [a, b, out] = [a, weight, sums].map(Operand::whole);
        let (name, kind, shape) = ("map".to_owned(), ContractionKind::Forward, ConvShape::linear(N, N));
        launch(
            &mut program,
            Kernel::Contraction(Contraction {
                name,
                kind,
                shape,
                rows: 1,
                packed: true,
                planes: 1,
                weights: snn_loops::WeightValues::Any,
                a,
                b,
                out,
            }),
        );
        if let Some(len) = updated {
            let (from, to) =
                (program.add_buffer("from", len, Role::Input), program.add_buffer("to", len, Role::Output));
            copy(&mut program, from, to, len);
        }
        let mut nest = NestBuilder::new("neurons");
        let (lane, time, membrane) = (nest.fresh_var(), nest.fresh_var(), nest.fresh_reg());
        nest.open(lane, Extent::Fixed(N), LoopKind::Lanes);
        let zero = nest.constant(0.0);
        nest.set(membrane, zero);
        nest.open(time, Extent::Fixed(2), LoopKind::Serial);
        let current = nest.load(Access::new(sums, Ix::var(lane)));
        let before = nest.get(membrane);
        let after = nest.scalar(Scalar::Add, &[before, current]);
        nest.set(membrane, after);
        nest.store(Access::new(spikes, Ix::var(lane).plus(&Ix::var(time).times(N as i64))), after);
        launch(&mut program, Kernel::Nest(nest.finish()));
        assert_eq!(verify::verify(&program), Ok(()));
        program
    }

    fn fused(program: &Program) -> usize {
        let target = Target { arch: Arch::Sm80, dtype: Dtype::F32, precision: Precision::F16 };
        let storage: Vec<Storage> =
            program.buffers.iter().map(|b| if b.packed { Storage::Bits } else { Storage::Float }).collect();
        pairs(program, &storage, &target).len()
    }

    #[test]
    fn sums_stay_in_registers_unless_weights_may_be_replaced_before_they_are_heard() {
        assert_eq!(fused(&program(None)), 1);
        assert_eq!(fused(&program(Some(N))), 1, "a result that is no weight");
        assert_eq!(fused(&program(Some(N * N))), 0, "a result that may lie over the weights");
    }

    #[test]
    fn sums_that_somebody_else_reads_go_to_memory() {
        let mut program = program(None);
        let result = program.add_buffer("result", N, Role::Output);
        copy(&mut program, BufferId(3), result, N);
        assert_eq!(fused(&program), 0);
    }
}
