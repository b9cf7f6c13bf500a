//! The launch order: nests over the pool's threads, heavy kernels, repeated steps.
//!
//! Runs inside the pool, so that handing out tasks costs well below a microsecond; a program without a kernel that is
//! worth another thread has no pool and runs on the caller's.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use snn_loops::{Contraction, Draw, Dtype, EventSweep, Kernel, KernelId, Launch, Operand, RandomKey};

use crate::call::{Buffers, Span};
use crate::compile::{CompiledNest, Shared};
use crate::element::Element;
use crate::error::JitError;
use crate::kernels::events::Real;
use crate::kernels::policy::Policy;
use crate::kernels::prepared::{Prepared, Weights};
use crate::kernels::{self, Special};
use crate::steady::Steady;
use crate::watch::Watch;

/// Runs all launches of a program, those outside of a repeat at step number `step`, and tells `watch` of each.
pub(crate) fn run(
    shared: &Shared,
    buffers: &mut Buffers<'_>,
    steady: &mut Steady,
    key: RandomKey,
    step: i64,
    watch: &mut impl Watch,
) -> Result<(), JitError> {
    launch_all(shared, &shared.program.launches, buffers, steady, key, step, watch)
}

fn launch_all(
    shared: &Shared,
    launches: &[Launch],
    buffers: &mut Buffers<'_>,
    steady: &mut Steady,
    key: RandomKey,
    step: i64,
    watch: &mut impl Watch,
) -> Result<(), JitError> {
    for launch in launches {
        match launch {
            Launch::Run(kernel) => {
                watch.before(&shared.program, *kernel, buffers, step);
                launch_kernel(shared, *kernel, buffers, steady, key, step)?;
                watch.after(*kernel);
            }
            Launch::Repeat { steps, reverse, body } => {
                for at in 0..*steps {
                    let step = if *reverse { steps - 1 - at } else { at };
                    launch_all(shared, body, buffers, steady, key, step as i64, watch)?;
                }
            }
        }
    }
    Ok(())
}

fn launch_kernel(
    shared: &Shared,
    id: KernelId,
    buffers: &mut Buffers<'_>,
    steady: &mut Steady,
    key: RandomKey,
    step: i64,
) -> Result<(), JitError> {
    let at = id.0 as usize;
    let done = match (shared.program.kernels.get(at), shared.nests.get(at), shared.program.dtype) {
        (Some(Kernel::Nest(_)), Some(Some(nest)), _) => run_nest(nest, buffers, step),
        (Some(Kernel::Contraction(contraction)), _, Dtype::F32) => {
            contract::<f32>(&shared.policy, contraction, buffers, steady.slot(id), step)
        }
        (Some(Kernel::Contraction(contraction)), _, Dtype::F64) => {
            contract::<f64>(&shared.policy, contraction, buffers, steady.slot(id), step)
        }
        (Some(Kernel::EventSweep(sweep)), _, Dtype::F32) => events::<f32>(&shared.policy, sweep, buffers, step),
        (Some(Kernel::EventSweep(sweep)), _, Dtype::F64) => events::<f64>(&shared.policy, sweep, buffers, step),
        (Some(Kernel::Draw(draw)), _, Dtype::F32) => fill::<f32>(&shared.policy, draw, buffers, key, step),
        (Some(Kernel::Draw(draw)), _, Dtype::F64) => fill::<f64>(&shared.policy, draw, buffers, key, step),
        _ => None,
    };
    // Verified programs never get here without a result.
    done.ok_or_else(|| JitError::Invalid(format!("kernel k{at} does not fit its buffers")))
}

fn run_nest(nest: &CompiledNest, buffers: &mut Buffers<'_>, step: i64) -> Option<()> {
    let table = buffers.table(&nest.slots)?;
    let iterations = nest.schedule.iterations;
    if nest.schedule.is_one_task() {
        table.run(&nest.code, 0..iterations, step);
        return Some(());
    }
    let grain = nest.schedule.grain(rayon::current_num_threads());
    (0..iterations.div_ceil(grain)).into_par_iter().for_each(|task| {
        table.run(&nest.code, task * grain..iterations.min((task + 1) * grain), step);
    });
    Some(())
}

fn contract<T: Special>(
    policy: &Policy,
    contraction: &Contraction,
    buffers: &mut Buffers<'_>,
    kept: Option<&mut Prepared>,
    step: i64,
) -> Option<()> {
    let [a_len, b_len, out_len] = contraction.lengths();
    let (a, b) = (span(&contraction.a, a_len, step)?, span(&contraction.b, b_len, step)?);
    if contraction.packed {
        let (spikes, b, out) = buffers.packed_views::<T>(a, b, span(&contraction.out, out_len, step)?)?;
        return kernels::contract_spikes(policy, contraction, spikes, Weights::new(b, kept), out);
    }
    let ([a, b], out) = buffers.views::<T, 2>([a, b], span(&contraction.out, out_len, step)?)?;
    kernels::contract(policy, contraction.kind, &contraction.shape, contraction.rows, a, Weights::new(b, kept), out)
}

fn events<T: Real>(policy: &Policy, sweep: &EventSweep, buffers: &mut Buffers<'_>, step: i64) -> Option<()> {
    let place = |(operand, len): (&Operand, usize)| span(operand, len, step);
    let reads: Vec<Span> = sweep.reads().into_iter().map(place).collect::<Option<_>>()?;
    let writes: Vec<Span> = sweep.writes().into_iter().map(place).collect::<Option<_>>()?;
    let (reads, writes) = buffers.many_views::<T>(&reads, &writes)?;
    kernels::events::run(policy.width, sweep, &reads, writes)
}

fn fill<T: Element>(policy: &Policy, draw: &Draw, buffers: &mut Buffers<'_>, key: RandomKey, step: i64) -> Option<()> {
    let ([], out) = buffers.views::<T, 0>([], span(&draw.out, draw.len, step)?)?;
    let first = u64::try_from(step).ok()?.checked_mul(draw.len as u64)?;
    kernels::draw::fill(policy.width, draw.distribution, key, draw.stream, first, out);
    Some(())
}

/// The elements of an operand at a step.
pub(crate) fn span(operand: &Operand, len: usize, step: i64) -> Option<Span> {
    let offset = usize::try_from(operand.offset.evaluate(&|_| 0, step)).ok()?;
    Some(Span { buffer: operand.buffer, offset, len })
}
