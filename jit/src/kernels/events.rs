//! Layers of neurons on events.
//!
//! The arrivals of every sample are sorted once and shared by all neurons that they reach. Neurons with the same arrivals
//! (the channels of a pixel) lie side by side in lanes: how states move from one arrival to the next is computed once for
//! all of them, and whether one of them may have spiked in between is a comparison; only for those that may is the time
//! solved. States are relative to the last arrival, so nothing grows with time. The gradient walks back over the same
//! lists and keeps nothing but the adjoint of the lanes.
//!
//! How the work is cut depends on the descriptor alone, and so does the order of all sums. Layers that send spikes to
//! themselves have no lists to be known in advance; [`feedback`] takes all their neurons from one event to the next.

mod adjoint;
mod arrivals;
mod block;
mod feedback;
mod flow;
mod forward;
mod lanes;
mod needs;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use snn_loops::event_sweep::{COUNTERS, Source};
use snn_loops::{EventSweep, SweepPass};

use crate::element::Element;
use crate::kernels::vector::{Width, dispatch};
use adjoint::Adjoint;
use arrivals::Arrivals;
use block::{Found, Place};
use forward::Forward;
use lanes::{LANES, Layer};
pub use needs::SweepNeeds;

/// Floats that programs hold, as numbers to compute with.
pub(crate) trait Real: Element + Into<f64> {}

impl Real for f32 {}
impl Real for f64 {}

/// Tasks that keep the threads of most machines busy.
const TASKS: usize = 32;

/// Runs a sweep on the operands that it reads and writes, in its order, with vectors of a width.
pub(crate) fn run<T: Real>(width: Width, sweep: &EventSweep, reads: &[&[T]], writes: Vec<&mut [T]>) -> Option<()> {
    let operands = Operands::of(sweep, reads)?;
    match sweep.layer.neuron.order {
        1 => with_order::<T, 1>(width, sweep, &operands, writes),
        2 => with_order::<T, 2>(width, sweep, &operands, writes),
        3 => with_order::<T, 3>(width, sweep, &operands, writes),
        4 => with_order::<T, 4>(width, sweep, &operands, writes),
        5 => with_order::<T, 5>(width, sweep, &operands, writes),
        6 => with_order::<T, 6>(width, sweep, &operands, writes),
        7 => with_order::<T, 7>(width, sweep, &operands, writes),
        8 => with_order::<T, 8>(width, sweep, &operands, writes),
        _ => None,
    }
}

/// What a sweep reads, by meaning.
struct Operands<'a, T> {
    /// Of each group of synapses, where it has one.
    trains: Vec<Option<&'a [T]>>,
    weights: Vec<&'a [T]>,
    delays: Vec<Option<&'a [T]>>,
    /// The layer's times, what the forward pass left, and errors.
    own: Option<Own<'a, T>>,
}

/// What the adjoint reads of the layer itself.
struct Own<'a, T> {
    times: &'a [T],
    memory: &'a [T],
    errors: &'a [T],
}

impl<T: Real> Own<'_, T> {
    /// How the potential came to the threshold (see [`snn_loops::event_sweep::Rise`]) at a spike in this place of the train.
    fn rise(&self, place: usize) -> f64 {
        let width = self.memory.len() / self.times.len().max(1);
        self.memory.get(place * width).map_or(0.0, |rise| (*rise).into())
    }

    /// The derivative by its time.
    fn error(&self, place: usize) -> f64 {
        self.errors.get(place).map_or(0.0, |error| (*error).into())
    }
}

impl<'a, T: Real> Operands<'a, T> {
    fn of(sweep: &EventSweep, reads: &[&'a [T]]) -> Option<Operands<'a, T>> {
        let mut reads = reads.iter().copied();
        let mut operands = Operands { trains: Vec::new(), weights: Vec::new(), delays: Vec::new(), own: None };
        for synapses in &sweep.synapses {
            operands.trains.push(if synapses.train.is_some() { Some(reads.next()?) } else { None });
            operands.weights.push(reads.next()?);
            operands.delays.push(if synapses.delay.is_some() { Some(reads.next()?) } else { None });
        }
        if let SweepPass::Adjoint { .. } = sweep.pass {
            operands.own = Some(Own { times: reads.next()?, memory: reads.next()?, errors: reads.next()? });
        }
        Some(operands)
    }
}

fn with_order<T: Real, const D: usize>(
    width: Width,
    sweep: &EventSweep,
    operands: &Operands<'_, T>,
    writes: Vec<&mut [T]>,
) -> Option<()> {
    let layer = Layer::<D>::of(&sweep.layer)?;
    let has_feedback = sweep.layer.synapses.iter().any(|synapses| !matches!(synapses.source, Source::Train(_)));
    // Going back, weights are read for the derivatives by times alone.
    let reads_weights = match &sweep.pass {
        SweepPass::Forward { .. } => true,
        SweepPass::Adjoint { gradients, .. } => has_feedback || gradients.iter().any(|wanted| wanted.train.is_some()),
    };
    let weights = if reads_weights { layer.pack(&operands.weights) } else { vec![Vec::new(); layer.n_blocks()] };
    let work = Work { width, sweep, layer: &layer, weights: &weights };
    if has_feedback {
        return feedback::run(&work, operands, writes);
    }
    let samples: Vec<Arrivals<D>> = (0..sweep.batch)
        .into_par_iter()
        .map(|sample| Arrivals::of(&layer, &operands.trains, sweep.batch, sample))
        .collect();
    match &sweep.pass {
        SweepPass::Forward { memory, counters, .. } => {
            let found = forward_all(&work, &samples);
            write_found(&work, &found, writes, memory.is_some(), counters.is_some())
        }
        SweepPass::Adjoint { gradients, .. } => {
            let mut writes = writes.into_iter();
            let mut trains = Vec::new();
            let mut sums = Vec::new();
            for wanted in gradients {
                trains.push(if wanted.train.is_some() { Some(writes.next()?) } else { None });
                sums.push(if wanted.weight.is_some() { Some(writes.next()?) } else { None });
            }
            adjoint_all(&work, &samples, operands.own.as_ref()?, trains, sums)
        }
    }
}

/// A part of the samples and pixels, for each of the blocks of lanes that neurons of a pixel make.
fn parts(units: usize, blocks: usize) -> (usize, usize) {
    let parts = TASKS.div_ceil(blocks.max(1)).min(units).max(1);
    let each = units.div_ceil(parts);
    (units.div_ceil(each.max(1)), each)
}

/// A layer with everything that its tasks share.
struct Work<'a, const D: usize> {
    width: Width,
    sweep: &'a EventSweep,
    layer: &'a Layer<'a, D>,
    /// Of each block, as they are packed; empty where nobody reads them.
    weights: &'a [Vec<f64>],
}

fn forward_all<const D: usize>(work: &Work<'_, D>, samples: &[Arrivals<D>]) -> Vec<Found> {
    let Work { sweep, layer, weights, .. } = *work;
    let units = sweep.batch * layer.pixels;
    let (n_parts, each) = parts(units, weights.len());
    (0..weights.len() * n_parts)
        .into_par_iter()
        .map(|task| {
            let (block, part) = (task / n_parts, task % n_parts);
            let mut found = Found::default();
            for unit in part * each..units.min((part + 1) * each) {
                let (sample, pixel) = (unit / layer.pixels, unit % layer.pixels);
                let place = Place { block, pixel, sample };
                let (arrivals, weights) = (&samples[sample], &weights[block]);
                dispatch(work.width, Forward { layer, arrivals, weights, place, found: &mut found });
            }
            found
        })
        .collect()
}

/// Writes what tasks have found to the times and, where they are wanted, what the adjoint needs and the counters.
fn write_found<T: Real, const D: usize>(
    work: &Work<'_, D>,
    found: &[Found],
    writes: Vec<&mut [T]>,
    wants_memory: bool,
    wants_counters: bool,
) -> Option<()> {
    let mut writes = writes.into_iter();
    let times = writes.next()?;
    let mut memory = if wants_memory { Some(writes.next()?) } else { None };
    let counters = if wants_counters { Some(writes.next()?) } else { None };
    let (n, width) = (work.layer.neurons, work.layer.memory_width);
    fill(times, T::round(f64::INFINITY));
    if let Some(memory) = memory.as_deref_mut() {
        fill(memory, T::default());
    }
    let mut counted = [0.0; COUNTERS];
    for found in found {
        for (at, spike) in found.spikes.iter().enumerate() {
            let place = (spike.slot as usize * work.sweep.batch + spike.sample as usize) * n + spike.neuron as usize;
            *times.get_mut(place)? = T::round(spike.time);
            if let Some(memory) = memory.as_deref_mut() {
                let kept = found.memory.get(at * width..(at + 1) * width)?;
                let slots = memory.get_mut(place * width..(place + 1) * width)?;
                slots.iter_mut().zip(kept).for_each(|(slot, value)| *slot = T::round(*value));
            }
        }
        counted.iter_mut().zip(found.counters).for_each(|(sum, count)| *sum += count as f64);
    }
    if let Some(counters) = counters {
        counters.iter_mut().zip(counted).for_each(|(counter, count)| *counter = T::round(count));
    }
    Some(())
}

fn adjoint_all<T: Real, const D: usize>(
    work: &Work<'_, D>,
    samples: &[Arrivals<D>],
    own: &Own<'_, T>,
    trains: Vec<Option<&mut [T]>>,
    sums: Vec<Option<&mut [T]>>,
) -> Option<()> {
    let Work { sweep, layer, weights, .. } = *work;
    let wants_times = trains.iter().any(Option::is_some);
    let units = sweep.batch * layer.pixels;
    let (n_bands, band) = bands(weights.len(), wants_times);
    let (n_parts, each) = parts(units, n_bands);
    let found: Vec<adjoint::Found> = (0..n_bands * n_parts)
        .into_par_iter()
        .map(|task| {
            let (first, part) = (task / n_parts * band, task % n_parts);
            let range = part * each..units.min((part + 1) * each);
            let mut found = adjoint::Found::of(layer, samples, range.clone(), wants_times);
            for (block, weights) in weights.iter().enumerate().skip(first).take(band) {
                found.weights.push(vec![0.0; layer.block_len()]);
                for unit in range.clone() {
                    let (sample, pixel) = (unit / layer.pixels, unit % layer.pixels);
                    let place = Place { block, pixel, sample };
                    let (arrivals, batch) = (&samples[sample], sweep.batch);
                    dispatch(work.width, Adjoint { layer, arrivals, weights, place, own, batch, found: &mut found });
                }
            }
            found
        })
        .collect();
    for (group, out) in sums.into_iter().enumerate() {
        if let Some(out) = out {
            sum_weights(layer, group, &found, n_parts, band, out);
        }
    }
    for (group, out) in trains.into_iter().enumerate() {
        if let Some(out) = out {
            sum_times(sweep, group, samples, &found, out)?;
        }
    }
    Some(())
}

/// Bands of blocks whose derivatives by times have sums of their own, if there are as many blocks.
const BANDS: usize = 8;

/// The bands that blocks are cut into, those of each one after the other: how many, and blocks of each.
fn bands(blocks: usize, wants_times: bool) -> (usize, usize) {
    let each = if wants_times { blocks.div_ceil(BANDS).max(1) } else { 1 };
    (blocks.div_ceil(each), each)
}

/// Adds what the parts have found of a group's weights, in order.
fn sum_weights<T: Real, const D: usize>(
    layer: &Layer<'_, D>,
    group: usize,
    found: &[adjoint::Found],
    n_parts: usize,
    band: usize,
    out: &mut [T],
) {
    layer.unpack(group, out, |block| {
        let parts = found.iter().skip(block / band * n_parts).take(n_parts);
        parts.filter_map(|found| Some(found.weights.get(block % band)?.as_slice())).collect()
    });
}

/// Adds what the parts have found of the derivatives by a train's times, in order.
fn sum_times<T: Real, const D: usize>(
    sweep: &EventSweep,
    group: usize,
    samples: &[Arrivals<D>],
    found: &[adjoint::Found],
    out: &mut [T],
) -> Option<()> {
    out.fill(T::default());
    let senders = sweep.layer.synapses.get(group)?.senders();
    for (sample, arrivals) in samples.iter().enumerate() {
        let parts: Vec<&[f64]> = found.iter().filter_map(|found| found.times_of(sample)).collect();
        for (at, event) in arrivals.events.iter().enumerate().filter(|(_, event)| event.group as usize == group) {
            let sum: f64 = parts.iter().filter_map(|part| part.get(at)).sum();
            let place = (event.slot as usize * sweep.batch + sample) * senders + event.sender as usize;
            *out.get_mut(place)? = T::round(sum);
        }
    }
    Some(())
}

/// Fills slots, which are mostly empty.
fn fill<T: Real>(slots: &mut [T], value: T) {
    slots.par_chunks_mut(FILLED).for_each(|slots| slots.fill(value));
}

/// Elements that a task fills.
const FILLED: usize = 1 << 16;

/// Lanes of a block that are neurons.
fn valid_lanes(channels: usize, block: usize) -> usize {
    channels.saturating_sub(block * LANES).min(LANES)
}
