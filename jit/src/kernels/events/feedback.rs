//! Layers that send spikes to themselves: samples side by side, each event by event.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use snn_loops::event_sweep::{COUNTERS, Sample, SampleGradients, Spikes, adjoint, forward};
use snn_loops::{EventSweep, SweepPass};

use super::{Operands, Real};

/// Runs all samples.
pub(super) fn run<T: Real>(sweep: &EventSweep, operands: &Operands<'_, T>, writes: Vec<&mut [T]>) -> Option<()> {
    let (slots, batch) = (sweep.layer.slots, sweep.batch);
    let mut writes = writes.into_iter();
    match &sweep.pass {
        SweepPass::Forward { memory, counters, .. } => {
            let found: Vec<Spikes> = (0..sweep.batch)
                .into_par_iter()
                .map(|at| forward(&sweep.layer, &sample(sweep, operands, at)).ok())
                .collect::<Option<_>>()?;
            let times = writes.next()?;
            found.iter().enumerate().for_each(|(at, spikes)| set(times, &spikes.times, slots, batch, at));
            if memory.is_some() {
                let memory = writes.next()?;
                found.iter().enumerate().for_each(|(at, spikes)| set(memory, &spikes.memory, slots, batch, at));
            }
            if counters.is_some() {
                let mut sums = [0.0; COUNTERS];
                for spikes in &found {
                    sums.iter_mut().zip(spikes.counters).for_each(|(sum, count)| *sum += count);
                }
                writes.next()?.iter_mut().zip(sums).for_each(|(counter, sum)| *counter = T::round(sum));
            }
        }
        SweepPass::Adjoint { gradients, .. } => {
            let own = operands.own.as_ref()?;
            let found: Vec<SampleGradients> = (0..sweep.batch)
                .into_par_iter()
                .map(|at| {
                    let [times, memory, errors] =
                        [own.times, own.memory, own.errors].map(|part| get(part, slots, batch, at));
                    adjoint(&sweep.layer, &sample(sweep, operands, at), &times, &memory, &errors).ok()
                })
                .collect::<Option<_>>()?;
            for (group, wanted) in gradients.iter().enumerate() {
                if wanted.train.is_some() {
                    let out = writes.next()?;
                    let slots = sweep.layer.synapses.get(group)?.slots(slots);
                    found.iter().enumerate().for_each(|(at, found)| set(out, &found.trains[group], slots, batch, at));
                }
                if wanted.weight.is_some() {
                    add(writes.next()?, found.iter().map(|found| found.weights[group].as_slice()));
                }
                if wanted.delay.is_some() {
                    add(writes.next()?, found.iter().map(|found| &found.delays[group..=group]));
                }
            }
        }
    }
    Some(())
}

fn sample<T: Real>(sweep: &EventSweep, operands: &Operands<'_, T>, at: usize) -> Sample {
    let numbers = |from: &[T]| from.iter().map(|value| (*value).into()).collect::<Vec<f64>>();
    let slots = sweep.layer.synapses.iter().map(|synapses| synapses.slots(sweep.layer.slots));
    let first = |delay: Option<&[T]>| delay.and_then(<[T]>::first).map_or(0.0, |delay| (*delay).into());
    Sample {
        trains: operands
            .trains
            .iter()
            .zip(slots)
            .map(|(train, slots)| train.map_or(Vec::new(), |train| get(train, slots, sweep.batch, at)))
            .collect(),
        weights: operands.weights.iter().map(|weights| numbers(weights)).collect(),
        delays: operands.delays.iter().map(|delay| first(*delay)).collect(),
    }
}

/// What belongs to a sample of `[slots][batch][...]`.
fn get<T: Real>(from: &[T], slots: usize, batch: usize, sample: usize) -> Vec<f64> {
    let each = (from.len() / (slots * batch).max(1)).max(1);
    let parts = from.chunks(each).skip(sample).step_by(batch.max(1));
    parts.flat_map(|part| part.iter().map(|value| (*value).into())).collect()
}

/// Writes it back.
fn set<T: Real>(to: &mut [T], values: &[f64], slots: usize, batch: usize, sample: usize) {
    let each = (to.len() / (slots * batch).max(1)).max(1);
    for (part, values) in to.chunks_mut(each).skip(sample).step_by(batch.max(1)).zip(values.chunks(each)) {
        part.iter_mut().zip(values).for_each(|(slot, value)| *slot = T::round(*value));
    }
}

/// The sum over samples, in order.
fn add<'a, T: Real>(to: &mut [T], parts: impl Iterator<Item = &'a [f64]>) {
    let mut sums = vec![0.0; to.len()];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    to.iter_mut().zip(sums).for_each(|(slot, sum)| *slot = T::round(sum));
}
