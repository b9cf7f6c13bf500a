//! Layers of neurons on events.
//!
//! The arrivals of every sample are sorted once and shared by all neurons that they reach, those of a few samples at a
//! time. Neurons with the same arrivals (the channels of a pixel) lie side by side in lanes: how states move from one
//! arrival to the next is computed once for all of them, and whether one of them may have spiked in between is a
//! comparison; only for those that may is the time solved. States are relative to the last arrival, so nothing grows with
//! time. The gradient makes the same lists, walks back over them and keeps nothing but the adjoint of the lanes.
//!
//! How the work is cut depends on the descriptor alone, and so does the order of all sums. Layers that send spikes to
//! themselves have no lists to be known in advance; [`feedback`] takes all their neurons from one event to the next.

mod adjoint;
mod arrivals;
mod block;
mod cut;
mod derivatives;
mod feedback;
mod flow;
mod forward;
mod lanes;
mod needs;
mod results;

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use snn_loops::event_sweep::Source;
use snn_loops::{EventSweep, SweepPass};

use crate::element::Element;
use crate::kernels::vector::{Width, dispatch};
use arrivals::Arrivals;
use block::{Found, Place};
use cut::parts;
use forward::Forward;
use lanes::{LANES, Layer};
pub use needs::SweepNeeds;
use results::Results;

/// Floats that programs hold, as numbers to compute with.
pub(crate) trait Real: Element + Into<f64> {}

impl Real for f32 {}
impl Real for f64 {}

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
    let weights = if reads_weights(sweep) { layer.pack(&operands.weights) } else { vec![Vec::new(); layer.n_blocks()] };
    let work = Work { width, sweep, layer: &layer, weights: &weights };
    if has_feedback(sweep) {
        return feedback::run(&work, operands, writes);
    }
    match &sweep.pass {
        SweepPass::Forward { memory, counters, .. } => {
            let mut results = Results::of(&work, writes, memory.is_some(), counters.is_some())?;
            let spikes = |samples: Range<usize>| {
                let first = samples.start;
                forward(&work, &work.arrivals(operands, samples), first)
            };
            work.each_range(spikes, |found| results.write(&found))?;
            results.finish();
            Some(())
        }
        SweepPass::Adjoint { gradients, .. } => {
            let mut writes = writes.into_iter();
            let mut trains = Vec::new();
            let mut sums = Vec::new();
            for wanted in gradients {
                trains.push(if wanted.train.is_some() { Some(writes.next()?) } else { None });
                sums.push(if wanted.weight.is_some() { Some(writes.next()?) } else { None });
            }
            derivatives::write(&work, operands, trains, sums)
        }
    }
}

/// Whether the layer sends spikes to itself.
fn has_feedback(sweep: &EventSweep) -> bool {
    sweep.layer.synapses.iter().any(|synapses| !matches!(synapses.source, Source::Train(_)))
}

/// Going back, weights are read for the derivatives by times alone.
fn reads_weights(sweep: &EventSweep) -> bool {
    match &sweep.pass {
        SweepPass::Forward { .. } => true,
        SweepPass::Adjoint { gradients, .. } => {
            has_feedback(sweep) || gradients.iter().any(|wanted| wanted.train.is_some())
        }
    }
}

/// A layer with everything that its tasks share.
struct Work<'a, const D: usize> {
    width: Width,
    sweep: &'a EventSweep,
    layer: &'a Layer<'a, D>,
    /// Of each block, as they are packed; empty where nobody reads them.
    weights: &'a [Vec<f64>],
}

impl<const D: usize> Work<'_, D> {
    /// Does something for all ranges of samples that the batch is cut into, and takes the results in order.
    fn each_range<R: Send>(
        &self,
        of: impl Fn(Range<usize>) -> R + Sync,
        mut take: impl FnMut(R) -> Option<()>,
    ) -> Option<()> {
        for together in cut::ranges(self.sweep, self.layer).chunks(cut::ABREAST) {
            let results: Vec<R> = together.par_iter().map(|samples| of(samples.clone())).collect();
            results.into_iter().try_for_each(&mut take)?;
        }
        Some(())
    }

    /// The lists of samples.
    fn arrivals<T: Real>(&self, operands: &Operands<'_, T>, samples: Range<usize>) -> Vec<Arrivals<D>> {
        let of = |sample| Arrivals::of(self.layer, &operands.trains, self.sweep.batch, sample);
        samples.into_par_iter().map(of).collect()
    }
}

/// The spikes of samples from one on.
fn forward<const D: usize>(work: &Work<'_, D>, arrivals: &[Arrivals<D>], first: usize) -> Vec<Found> {
    let Work { layer, weights, .. } = *work;
    let units = arrivals.len() * layer.pixels;
    let (n_parts, each) = parts(units, weights.len(), cut::tasks(work.sweep, layer));
    (0..weights.len() * n_parts)
        .into_par_iter()
        .map(|task| {
            let (block, part) = (task / n_parts, task % n_parts);
            let mut found = Found::default();
            for unit in part * each..units.min((part + 1) * each) {
                let (sample, pixel) = (unit / layer.pixels, unit % layer.pixels);
                let place = Place { block, pixel, sample: first + sample };
                let (arrivals, weights) = (&arrivals[sample], &weights[block]);
                dispatch(work.width, Forward { layer, arrivals, weights, place, found: &mut found });
            }
            found
        })
        .collect()
}

/// Lanes of a block that are neurons.
fn valid_lanes(channels: usize, block: usize) -> usize {
    channels.saturating_sub(block * LANES).min(LANES)
}
