//! The derivatives of a block of neurons with the same arrivals: the list once more, the last arrival first.

#![allow(unsafe_code, reason = "vector instructions have no safe form")]

use std::ops::Range;

use snn_loops::event_sweep::Rise;

use super::arrivals::Arrivals;
use super::block::Place;
use super::flow::Step;
use super::lanes::{LANES, Layer, dot};
use super::{Own, Real};
use crate::kernels::vector::{Kernel, Vector};

/// What a task has found.
pub(super) struct Found {
    /// Derivatives by the weights of each of its blocks, as they are packed.
    pub weights: Vec<Vec<f64>>,
    /// Derivatives by the times of the events of its samples; empty if nobody asks.
    times: Vec<Vec<f64>>,
    first_sample: usize,
}

impl Found {
    /// Nothing yet, for a range of the pixels of samples from one on.
    pub fn of<const D: usize>(
        layer: &Layer<'_, D>,
        (first, samples): (usize, &[Arrivals<D>]),
        units: Range<usize>,
        wants_times: bool,
    ) -> Found {
        let skipped = units.start / layer.pixels.max(1);
        let end = units.end.div_ceil(layer.pixels.max(1));
        let touched = samples.iter().take(end).skip(skipped);
        let times =
            if wants_times { touched.map(|sample| vec![0.0; sample.events.len()]).collect() } else { Vec::new() };
        Found { weights: Vec::new(), times, first_sample: first + skipped }
    }

    /// The derivatives by the times of a sample's events, if the task has any.
    pub fn times_of(&self, sample: usize) -> Option<&[f64]> {
        self.times.get(sample.checked_sub(self.first_sample)?).map(Vec::as_slice)
    }
}

/// A spike of a lane.
struct Spike {
    time: f64,
    lane: usize,
    /// Its place in the layer's train.
    place: usize,
    /// Whether arrivals lifted it: then they come before it, else behind it where they come at the same time.
    is_lifted: bool,
}

impl Spike {
    fn is_behind(&self, arrival: f64) -> bool {
        self.time > arrival || (self.is_lifted && self.time == arrival)
    }
}

/// The spikes of a block, the last first; of those at the same time the lifted ones and the one of the last slot and lane first.
fn spikes<T: Real>(own: &Own<'_, T>, first: usize, valid: usize, sample: usize, batch: usize, n: usize) -> Vec<Spike> {
    let mut spikes = Vec::new();
    let slots = own.times.len() / (batch * n).max(1);
    for slot in 0..slots {
        let row = (slot * batch + sample) * n + first;
        let before = spikes.len();
        for (lane, time) in own.times.get(row..row + valid).unwrap_or_default().iter().enumerate() {
            let time: f64 = (*time).into();
            if time.is_finite() {
                let place = row + lane;
                spikes.push(Spike { time, lane, place, is_lifted: Rise::is_lifted(own.rise(place)) });
            }
        }
        if spikes.len() == before {
            break;
        }
    }
    spikes.sort_unstable_by(|a, b| {
        b.time.total_cmp(&a.time).then_with(|| (b.is_lifted, b.place).cmp(&(a.is_lifted, a.place)))
    });
    spikes
}

/// A block on its way back through a sample; its weights' derivatives are added to the last of `found`.
pub(super) struct Adjoint<'a, T, const D: usize> {
    pub layer: &'a Layer<'a, D>,
    pub arrivals: &'a Arrivals<D>,
    /// The block's, as they are packed.
    pub weights: &'a [f64],
    pub place: Place,
    pub own: &'a Own<'a, T>,
    pub batch: usize,
    pub found: &'a mut Found,
}

impl<T: Real, const D: usize> Kernel for Adjoint<'_, T, D> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Adjoint { layer, arrivals, weights, place, own, batch, found } = self;
        let (first, valid) = layer.neurons_of(place.block, place.pixel);
        let spikes = spikes(own, first, valid, place.sample, batch, layer.neurons);
        let Some(last) = spikes.first() else { return };
        let (entries, steps) = arrivals.of_cell(place.pixel * layer.groups + place.block / layer.blocks);
        // Nothing that arrives behind the last spike has an effect.
        let heard = entries.partition_point(|entry| entry.time <= last.time);
        let mut back = Back {
            layer,
            own,
            lambda: [[0.0; LANES]; D],
            now: last.time,
            spikes: spikes.iter().peekable(),
            caused: [0.0; LANES],
            has_caused: false,
        };
        let times = found.times.get_mut(place.sample - found.first_sample);
        let Some(sums) = found.weights.last_mut() else { return };
        let mut times = times.map(Vec::as_mut_slice);
        let Some(nearest) = entries[..heard].last() else { return };
        let mut step = layer.flow.step(last.time - nearest.time);
        for (entry, before) in entries[..heard].iter().zip(steps).rev() {
            back.pass(entry.time, &step);
            step = *before;
            let (row, port) = (entry.row as usize * LANES, entry.port as usize);
            let Some(Ok(sums)) = sums.get_mut(row..row + LANES).map(<&mut [f64; LANES]>::try_from) else { continue };
            let inject = &layer.inject[port];
            for (lambda, weight) in back.lambda.iter().zip(inject) {
                for (sum, lambda) in sums.iter_mut().zip(lambda) {
                    *sum += lambda * weight;
                }
            }
            let weights = weights.get(row..row + LANES).unwrap_or_default();
            let Some(slot) = times.as_deref_mut().and_then(|times| times.get_mut(entry.event as usize)) else {
                back.caused = [0.0; LANES];
                continue;
            };
            *slot += back.by_time(weights, port);
        }
    }
}

/// The adjoint of lanes on its way back.
struct Back<'a, T, const D: usize> {
    layer: &'a Layer<'a, D>,
    own: &'a Own<'a, T>,
    lambda: [[f64; LANES]; D],
    now: f64,
    spikes: std::iter::Peekable<std::slice::Iter<'a, Spike>>,
    /// Errors of spikes that the arrivals before them have lifted.
    caused: [f64; LANES],
    has_caused: bool,
}

impl<T: Real, const D: usize> Back<'_, T, D> {
    /// Goes back to an arrival, by the flow from there to here, and through all spikes behind it.
    #[inline(always)]
    fn pass(&mut self, to: f64, step: &Step<D>) {
        let mut lambda = [[0.0; LANES]; D];
        if to < self.now {
            for (i, from) in self.lambda.iter().enumerate() {
                for (j, sum) in lambda.iter_mut().enumerate() {
                    let entry = step.matrix[i][j];
                    for lane in 0..LANES {
                        sum[lane] += entry * from[lane];
                    }
                }
            }
        } else {
            lambda = self.lambda;
        }
        if self.spikes.peek().is_some_and(|spike| spike.is_behind(to)) {
            self.through_spikes(to, &mut lambda);
        }
        (self.lambda, self.now) = (lambda, to);
    }

    /// Replaces the adjoint of lanes that spiked.
    #[cold]
    #[inline(never)]
    fn through_spikes(&mut self, to: f64, lambda: &mut [[f64; LANES]; D]) {
        // Where each of them stands on its way from `now` to `to`.
        let mut since = [f64::NAN; LANES];
        while let Some(spike) = self.spikes.next_if(|spike| spike.is_behind(to)) {
            let lane = spike.lane;
            if since[lane].is_nan() {
                since[lane] = self.now;
            }
            let mut own: [f64; D] = std::array::from_fn(|i| self.lambda[i][lane]);
            if spike.time < since[lane] {
                own = self.layer.flow.step(since[lane] - spike.time).advance_adjoint(&own);
            }
            since[lane] = spike.time;
            self.reset(spike, &mut own);
            self.lambda.iter_mut().zip(own).for_each(|(states, value)| states[lane] = value);
        }
        for (lane, since) in since.into_iter().enumerate().filter(|(_, since)| !since.is_nan()) {
            let own: [f64; D] = std::array::from_fn(|i| self.lambda[i][lane]);
            let own = if to < since { self.layer.flow.step(since - to).advance_adjoint(&own) } else { own };
            lambda.iter_mut().zip(own).for_each(|(states, value)| states[lane] = value);
        }
    }

    /// The adjoint before a spike from that behind it.
    fn reset(&mut self, spike: &Spike, lambda: &mut [f64; D]) {
        if let Some(moved) = back_through(self.layer, self.own, spike.place, self.own.error(spike.place), lambda) {
            self.caused[spike.lane] += moved;
            self.has_caused = true;
        }
    }

    /// The derivative by the time of an arrival.
    #[inline(always)]
    fn by_time(&mut self, weights: &[f64], port: usize) -> f64 {
        let drift = &self.layer.drift[port];
        let mut along = [0.0; LANES];
        for (lambda, step) in self.lambda.iter().zip(drift) {
            for lane in 0..LANES {
                along[lane] += lambda[lane] * step;
            }
        }
        let mut sum = 0.0;
        for (along, weight) in along.iter().zip(weights) {
            sum -= along * weight;
        }
        if self.has_caused {
            for caused in &mut self.caused {
                sum += std::mem::take(caused);
            }
            self.has_caused = false;
        }
        sum
    }
}

/// The adjoint before a spike from that behind it, in place; for one that was lifted, the derivative by the time at which it
/// was (see [`snn_loops::events::SpikeAdjoint`]).
pub(super) fn back_through<T: Real, const D: usize>(
    layer: &Layer<'_, D>,
    own: &Own<'_, T>,
    place: usize,
    error: f64,
    lambda: &mut [f64; D],
) -> Option<f64> {
    let width = layer.memory_width;
    let (rise, states) = own.memory.get(place * width..(place + 1) * width)?.split_first()?;
    let mut change = layer.steady;
    for (change, row) in change.iter_mut().zip(&layer.commutator) {
        for (entry, state) in row.iter().zip(states) {
            *change += entry * (*state).into();
        }
    }
    let moved = error - dot(lambda, &change);
    let mut before = [0.0; D];
    for (row, weight) in layer.reset.iter().zip(lambda.iter()) {
        before.iter_mut().zip(row).for_each(|(sum, entry)| *sum += weight * entry);
    }
    let slope: f64 = (*rise).into();
    if slope > 0.0 {
        before.iter_mut().zip(&layer.threshold).for_each(|(value, weight)| *value -= weight * moved / slope);
    }
    *lambda = before;
    Rise::is_lifted(slope).then_some(moved)
}
