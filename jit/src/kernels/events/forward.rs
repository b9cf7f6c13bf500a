//! The spikes of a block of neurons with the same arrivals.

#![allow(unsafe_code, reason = "vector instructions have no safe form")]

use super::arrivals::Arrivals;
use super::flow::Step;
use super::lanes::{LANES, Layer};
use crate::kernels::vector::{Kernel, Vector};
use snn_loops::event_sweep::COUNTERS;

/// Which neurons.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub block: usize,
    pub pixel: usize,
    pub sample: usize,
}

/// A spike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spike {
    pub time: f64,
    pub sample: u32,
    pub slot: u32,
    pub neuron: u32,
}

/// What neurons did.
#[derive(Default)]
pub(super) struct Found {
    pub spikes: Vec<Spike>,
    /// Of each spike what the adjoint needs.
    pub memory: Vec<f64>,
    pub counters: [u64; COUNTERS],
}

/// States of lanes, and what else they remember.
struct Block<'a, const D: usize> {
    layer: &'a Layer<'a, D>,
    x: [[f64; LANES]; D],
    /// Spikes so far.
    count: [u32; LANES],
    /// Whether the potential has been below the threshold since the last spike.
    armed: [bool; LANES],
    /// Out of budget, or no neuron at all.
    done: [bool; LANES],
    n_unarmed: usize,
    first: usize,
    sample: usize,
}

/// A block on its way through a sample.
pub(super) struct Forward<'a, const D: usize> {
    pub layer: &'a Layer<'a, D>,
    pub arrivals: &'a Arrivals<D>,
    /// The block's, as they are packed.
    pub weights: &'a [f64],
    pub place: Place,
    pub found: &'a mut Found,
}

impl<const D: usize> Kernel for Forward<'_, D> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Forward { layer, arrivals, weights, place, found } = self;
        let (first, valid) = layer.neurons_of(place.block, place.pixel);
        let start: [f64; D] = super::lanes::vector(&layer.events.neuron.start);
        let armed = layer.solver.is_below(&start);
        let mut block = Block {
            layer,
            x: start.map(|state| [state; LANES]),
            count: [0; LANES],
            armed: [armed; LANES],
            done: [true; LANES],
            n_unarmed: if armed { 0 } else { valid },
            first,
            sample: place.sample,
        };
        block.done[..valid].fill(false);
        let (entries, steps) = arrivals.of_cell(place.pixel * layer.groups + place.block / layer.blocks);
        let mut now = 0.0;
        for (entry, step) in entries.iter().zip(steps) {
            if entry.time > now {
                block.pass(now, entry.time, step, false, found);
                now = entry.time;
            }
            let row = entry.row as usize * LANES;
            if let Some(Ok(weights)) = weights.get(row..row + LANES).map(<&[f64; LANES]>::try_from) {
                block.receive(weights, entry.port as usize, now, found);
            }
        }
        let end = layer.events.duration;
        block.pass(now, end, &layer.flow.step(end - now), true, found);
    }
}

impl<const D: usize> Block<'_, D> {
    /// Goes on without arrivals; what happens at the very end belongs to the stretch or to what arrives there.
    #[inline(always)]
    fn pass(&mut self, from: f64, to: f64, step: &Step<D>, inclusive: bool, found: &mut Found) {
        let (layer, dt) = (self.layer, to - from);
        let mut y = [[0.0; LANES]; D];
        for (i, y) in y.iter_mut().enumerate() {
            *y = [step.offset[i]; LANES];
            for (j, x) in self.x.iter().enumerate() {
                let entry = step.matrix[i][j];
                for lane in 0..LANES {
                    y[lane] += entry * x[lane];
                }
            }
        }
        let (mut potential, mut before, mut after) =
            ([0.0; LANES], [layer.slope_offset; LANES], [layer.slope_offset; LANES]);
        for ((x, y), (threshold, slope)) in self.x.iter().zip(&y).zip(layer.threshold.iter().zip(&layer.slope)) {
            for lane in 0..LANES {
                potential[lane] += threshold * y[lane];
                before[lane] += slope * x[lane];
                after[lane] += slope * y[lane];
            }
        }
        let theta = layer.events.neuron.theta;
        let mut may = [false; LANES];
        let mut any = false;
        for (lane, may) in may.iter_mut().enumerate() {
            *may = (potential[lane] >= theta) | ((before[lane] > 0.0) & (after[lane] < 0.0));
            any |= *may;
        }
        if any || self.n_unarmed > 0 || !layer.has_single_peak {
            for (lane, may) in may.into_iter().enumerate() {
                if !self.done[lane] && (may || !self.armed[lane] || !layer.has_single_peak) {
                    self.solve(lane, from, dt, inclusive, &mut y, found);
                }
            }
        }
        self.x = y;
    }

    /// The spikes of a lane in a stretch; its states at the end go to `y` if it had any.
    #[cold]
    #[inline(never)]
    fn solve(
        &mut self,
        lane: usize,
        from: f64,
        dt: f64,
        inclusive: bool,
        y: &mut [[f64; LANES]; D],
        found: &mut Found,
    ) {
        let layer = self.layer;
        let mut x: [f64; D] = std::array::from_fn(|i| self.x[i][lane]);
        let (mut now, mut left, mut moved) = (from, dt, false);
        loop {
            let crossing = match self.armed[lane] {
                true => layer.solver.first_crossing(&x, left),
                false => layer.solver.first_return(&x, left),
            };
            let Some(wait) = crossing.filter(|wait| *wait < left || inclusive) else { break };
            x = layer.flow.step(wait).advance(&x);
            (now, left, moved) = (now + wait, left - wait, true);
            if !self.spike(lane, &mut x, now, false, found) {
                return;
            }
        }
        if moved {
            x = layer.flow.step(left).advance(&x);
            y.iter_mut().zip(x).for_each(|(y, x)| y[lane] = x);
        } else {
            x = std::array::from_fn(|i| y[i][lane]);
        }
        if !self.armed[lane] && layer.solver.is_below(&x) {
            self.armed[lane] = true;
            self.n_unarmed -= 1;
        }
    }

    /// Notes a spike and resets the states; false if the budget does not allow it.
    fn spike(&mut self, lane: usize, x: &mut [f64; D], now: f64, lifted: bool, found: &mut Found) -> bool {
        let (layer, events) = (self.layer, self.layer.events);
        let was_armed = self.armed[lane];
        if self.count[lane] as usize == events.budget {
            found.counters[0] += 1;
            self.done[lane] = true;
            self.n_unarmed -= usize::from(!was_armed);
            return false;
        }
        let (sample, slot, neuron) = (self.sample as u32, self.count[lane], (self.first + lane) as u32);
        found.spikes.push(Spike { time: now, sample, slot, neuron });
        let slope = if lifted { f64::INFINITY } else { events.neuron.slope(x) };
        found.counters[1] += u64::from(slope < events.slope_min);
        found.memory.push(slope.max(events.slope_min));
        if layer.memory_width > 1 {
            found.memory.extend_from_slice(x);
        }
        events.neuron.spike(x);
        self.count[lane] += 1;
        self.armed[lane] = layer.solver.is_below(x);
        self.n_unarmed = self.n_unarmed + usize::from(was_armed) - usize::from(self.armed[lane]);
        true
    }

    /// Takes in what arrives.
    #[inline(always)]
    fn receive(&mut self, weights: &[f64; LANES], port: usize, now: f64, found: &mut Found) {
        let inject = self.layer.inject[port];
        for (x, step) in self.x.iter_mut().zip(inject) {
            for lane in 0..LANES {
                x[lane] += weights[lane] * step;
            }
        }
        if !self.layer.lifts[port] {
            return;
        }
        for lane in 0..LANES {
            let mut x: [f64; D] = std::array::from_fn(|i| self.x[i][lane]);
            if !self.done[lane] && self.armed[lane] && self.layer.solver.excess(&x) >= 0.0 {
                let lifted = weights[lane] * super::lanes::dot(&inject, &self.layer.threshold) > 0.0;
                if self.spike(lane, &mut x, now, lifted, found) {
                    self.x.iter_mut().zip(x).for_each(|(states, x)| states[lane] = x);
                }
            }
        }
    }
}
