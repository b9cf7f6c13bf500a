//! Layers that send spikes to themselves: samples side by side, each event by event.
//!
//! What reaches the layer next is known only when its next spike is. So all neurons of the layer go from one event to the
//! next together, side by side in lanes as elsewhere: a comparison says which of them may spike before the next arrival, and
//! the first that does ends the stretch. On the way back all events are known, and only neurons that one reaches move.

mod adjoint;
mod forward;
mod queue;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use snn_loops::SweepPass;

use super::block::Found;
use super::cut::{TASKS, parts};
use super::lanes::Layer;
use super::results::Results;
use super::{Operands, Real, Work};
use crate::kernels::vector::dispatch;
use adjoint::{Adjoint, Gradients};
use forward::Forward;

/// Bytes that the sums of weights' derivatives may take in all, as far as there are more than [`FEWEST`] of them.
const SUMS: usize = 64 << 20;

/// Parts of a batch with sums of their own, if it has as many samples.
const FEWEST: usize = 8;

/// Runs all samples.
pub(super) fn run<T: Real, const D: usize>(
    work: &Work<'_, D>,
    operands: &Operands<'_, T>,
    writes: Vec<&mut [T]>,
) -> Option<()> {
    let delays: Vec<f64> =
        operands.delays.iter().map(|delay| delay.and_then(<[T]>::first).map_or(0.0, |delay| (*delay).into())).collect();
    let each = Each { work, operands, delays: &delays };
    match &work.sweep.pass {
        SweepPass::Forward { memory, counters, .. } => {
            let run = |sample| {
                let mut found = Found::default();
                dispatch(work.width, Forward { each: &each, sample, found: &mut found });
                found
            };
            let found: Vec<Found> = (0..work.sweep.batch).into_par_iter().map(run).collect();
            let mut results = Results::of(work, writes, memory.is_some(), counters.is_some())?;
            results.write(&found)?;
            results.finish();
            Some(())
        }
        SweepPass::Adjoint { .. } => adjoint_all(&each, writes),
    }
}

/// What is the same for all samples.
struct Each<'a, T, const D: usize> {
    work: &'a Work<'a, D>,
    operands: &'a Operands<'a, T>,
    delays: &'a [f64],
}

/// The parts that a batch is cut into, each with sums of its own: how many, and samples of each.
pub(super) fn parts_of_batch<const D: usize>(layer: &Layer<'_, D>, batch: usize) -> (usize, usize) {
    let bytes = layer.packed_len().saturating_mul(size_of::<f64>()).max(1);
    let most = (SUMS / bytes).clamp(FEWEST, TASKS);
    parts(batch, TASKS.div_ceil(most), TASKS)
}

fn adjoint_all<T: Real, const D: usize>(each: &Each<'_, T, D>, writes: Vec<&mut [T]>) -> Option<()> {
    let Work { sweep, layer, weights, .. } = *each.work;
    let SweepPass::Adjoint { gradients, .. } = &sweep.pass else { return None };
    let own = each.operands.own.as_ref()?;
    let (n_parts, samples) = parts_of_batch(layer, sweep.batch);
    let found: Vec<Gradients> = (0..n_parts)
        .into_par_iter()
        .map(|part| {
            let mut gradients = Gradients::of(layer, weights);
            for sample in part * samples..sweep.batch.min((part + 1) * samples) {
                dispatch(each.work.width, Adjoint { each, own, sample, gradients: &mut gradients });
            }
            gradients
        })
        .collect();
    let mut writes = writes.into_iter();
    for (group, wanted) in gradients.iter().enumerate() {
        if wanted.train.is_some() {
            let out = writes.next()?;
            out.fill(T::default());
            let trains = found.iter().flat_map(|found| &found.trains).filter(|train| train.group as usize == group);
            let senders = sweep.layer.synapses.get(group)?.senders();
            for time in trains {
                let place = (time.slot as usize * sweep.batch + time.sample) * senders + time.sender as usize;
                *out.get_mut(place)? = T::round(time.gradient);
            }
        }
        if wanted.weight.is_some() {
            let parts_of =
                |block: usize| found.iter().filter_map(|found| found.weights.get(block).map(Vec::as_slice)).collect();
            layer.unpack(group, writes.next()?, parts_of);
        }
        if wanted.delay.is_some() {
            let sum: f64 = found.iter().filter_map(|found| found.delays.get(group)).sum();
            writes.next()?.fill(T::round(sum));
        }
    }
    Some(())
}
