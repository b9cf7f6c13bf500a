//! Neurons side by side: their states, how they pass a stretch of time, and their spikes.
//!
//! This file must never know where arrivals come from.

use snn_loops::event_sweep::{COUNTERS, Rise};

use super::flow::Step;
use super::lanes::{LANES, Layer};

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

/// States of lanes.
pub(super) type States<const D: usize> = [[f64; LANES]; D];

/// Where lanes are at the end of a stretch if none of them spikes in it.
pub(super) struct Ahead<const D: usize> {
    pub states: States<D>,
    /// Lanes whose potential may reach the threshold on the way.
    may: [bool; LANES],
    /// Whether any lane needs a closer look.
    pub is_busy: bool,
}

/// States of lanes, and what else they remember.
pub(super) struct Block<'a, const D: usize> {
    layer: &'a Layer<'a, D>,
    x: States<D>,
    /// The states when this moment began; kept where arrivals lift the potential.
    before: States<D>,
    /// Spikes so far.
    count: [u32; LANES],
    /// Whether the potential has been below the threshold since the last spike.
    armed: [bool; LANES],
    /// Out of budget, or no neuron at all.
    done: [bool; LANES],
    n_unarmed: usize,
    /// Whether a potential may have come to the threshold at this very moment.
    has_due: bool,
    first: usize,
    sample: usize,
}

impl<'a, const D: usize> Block<'a, D> {
    /// Before anything has happened.
    pub fn new(layer: &'a Layer<'a, D>, place: Place) -> Block<'a, D> {
        let (first, valid) = layer.neurons_of(place.block, place.pixel);
        let start: [f64; D] = super::lanes::vector(&layer.events.neuron.start);
        let armed = layer.solver.is_below(&start);
        let x = start.map(|state| [state; LANES]);
        let mut done = [true; LANES];
        done[..valid].fill(false);
        let n_unarmed = if armed { 0 } else { valid };
        let (count, armed) = ([0; LANES], [armed; LANES]);
        Block { layer, x, before: x, count, armed, done, n_unarmed, has_due: false, first, sample: place.sample }
    }

    /// The states of a lane.
    #[inline(always)]
    fn of(states: &States<D>, lane: usize) -> [f64; D] {
        std::array::from_fn(|at| states[at][lane])
    }

    #[inline(always)]
    fn set(states: &mut States<D>, lane: usize, values: [f64; D]) {
        states.iter_mut().zip(values).for_each(|(state, value)| state[lane] = value);
    }

    /// Looks over a stretch without arrivals.
    #[inline(always)]
    pub fn ahead(&self, step: &Step<D>) -> Ahead<D> {
        let layer = self.layer;
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
        Ahead { states: y, may, is_busy: any || self.n_unarmed > 0 || !layer.has_single_peak }
    }

    /// Whether a lane may spike in a stretch.
    fn is_candidate(&self, ahead: &Ahead<D>, lane: usize) -> bool {
        !self.done[lane] && (ahead.may[lane] || !self.armed[lane] || !self.layer.has_single_peak)
    }

    fn crossing(&self, lane: usize, x: &[f64; D], left: f64) -> Option<f64> {
        match self.armed[lane] {
            true => self.layer.solver.first_crossing(x, left),
            false => self.layer.solver.first_return(x, left),
        }
    }

    /// Goes on without arrivals, through any spikes; what happens at the very end belongs to the stretch or to what arrives
    /// there.
    #[inline(always)]
    pub fn pass(&mut self, from: f64, to: f64, step: &Step<D>, inclusive: bool, found: &mut Found) {
        let mut ahead = self.ahead(step);
        if ahead.is_busy {
            for lane in 0..LANES {
                if self.is_candidate(&ahead, lane) {
                    self.solve(lane, from, to - from, inclusive, &mut ahead.states, found);
                }
            }
        }
        self.settle(&ahead);
    }

    /// The spikes of a lane in a stretch; its states at the end go to `y` if it had any.
    #[cold]
    #[inline(never)]
    fn solve(&mut self, lane: usize, from: f64, dt: f64, inclusive: bool, y: &mut States<D>, found: &mut Found) {
        let mut x = Self::of(&self.x, lane);
        let (mut now, mut left, mut moved) = (from, dt, false);
        while let Some(wait) = self.crossing(lane, &x, left).filter(|wait| *wait < left || inclusive) {
            x = self.layer.flow.step(wait).advance(&x);
            (now, left, moved) = (now + wait, left - wait, true);
            if !self.spike(lane, &mut x, now, None, found) {
                return;
            }
        }
        if moved {
            Self::set(y, lane, self.layer.flow.step(left).advance(&x));
        }
    }

    /// The first spike of the lanes in a stretch: how long until then, and the lane.
    #[cold]
    #[inline(never)]
    pub fn first_spike(&self, ahead: &Ahead<D>, left: f64, inclusive: bool) -> Option<(f64, usize)> {
        let mut first: Option<(f64, usize)> = None;
        for lane in (0..LANES).filter(|lane| self.is_candidate(ahead, *lane)) {
            let limit = first.map_or(left, |(wait, _)| wait);
            let crossing = self.crossing(lane, &Self::of(&self.x, lane), limit);
            if let Some(wait) = crossing.filter(|wait| *wait < limit || (inclusive && first.is_none())) {
                first = Some((wait, lane));
            }
        }
        first
    }

    /// Goes to the end of a stretch.
    #[inline(always)]
    pub fn settle(&mut self, ahead: &Ahead<D>) {
        self.x = ahead.states;
        self.has_due = false;
        if self.layer.lifts_any {
            self.before = self.x;
        }
        if ahead.is_busy {
            self.look_closer();
        }
    }

    /// Finds out which lanes are below the threshold again, and whether one has just reached it.
    #[cold]
    #[inline(never)]
    fn look_closer(&mut self) {
        let solver = &self.layer.solver;
        for lane in (0..LANES).filter(|lane| !self.done[*lane]) {
            let x = Self::of(&self.x, lane);
            if !self.armed[lane] && solver.is_below(&x) {
                self.armed[lane] = true;
                self.n_unarmed -= 1;
            }
            self.has_due |= self.armed[lane] && solver.excess(&x) >= 0.0;
        }
    }

    /// Takes in what arrives.
    #[inline(always)]
    pub fn receive(&mut self, weights: &[f64; LANES], port: usize) {
        for (x, step) in self.x.iter_mut().zip(self.layer.inject[port]) {
            for lane in 0..LANES {
                x[lane] += weights[lane] * step;
            }
        }
    }

    /// Whether a lane may have to spike at this very moment.
    #[inline(always)]
    pub fn may_be_due(&self) -> bool {
        self.has_due || self.layer.lifts_any
    }

    /// The first lane from one on that stands at or above the threshold and has to spike at this very moment.
    #[inline(always)]
    pub fn due(&self, from: usize) -> Option<usize> {
        let mut potential = [0.0; LANES];
        for (x, threshold) in self.x.iter().zip(&self.layer.threshold) {
            for lane in 0..LANES {
                potential[lane] += threshold * x[lane];
            }
        }
        let theta = self.layer.events.neuron.theta;
        (from..LANES).find(|lane| potential[*lane] >= theta && self.armed[*lane] && !self.done[*lane])
    }

    /// The spikes of all lanes that have to spike at this very moment.
    #[inline(always)]
    pub fn fire(&mut self, now: f64, found: &mut Found) {
        let mut from = 0;
        while let Some(lane) = self.due(from) {
            self.spike_now(lane, now, 0, found);
            from = lane + 1;
        }
    }

    /// A spike of a lane where it stands, after so many arrivals from its own layer in this moment; false if there is no slot
    /// left for it.
    #[cold]
    #[inline(never)]
    pub fn spike_now(&mut self, lane: usize, now: f64, n_own: usize, found: &mut Found) -> bool {
        let mut x = Self::of(&self.x, lane);
        let is_lifted = self.layer.lifts_any
            && self.layer.solver.is_below(&Self::of(&self.before, lane))
            && self.layer.solver.excess(&x) >= 0.0;
        let has_slot = self.spike(lane, &mut x, now, is_lifted.then_some(n_own), found);
        Self::set(&mut self.x, lane, x);
        Self::set(&mut self.before, lane, x);
        has_slot
    }

    /// Notes a spike and resets the states; false if there is no slot left for it.
    fn spike(&mut self, lane: usize, x: &mut [f64; D], now: f64, lifted: Option<usize>, found: &mut Found) -> bool {
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
        let slope = events.neuron.slope(x);
        found.counters[1] += u64::from(lifted.is_none() && slope < events.slope_min);
        let rise = lifted.map_or(Rise::Slope(slope.max(events.slope_min)), Rise::Lifted);
        found.memory.push(rise.to_number());
        if layer.memory_width > 1 {
            found.memory.extend_from_slice(x);
        }
        events.neuron.spike(x);
        self.count[lane] += 1;
        self.armed[lane] = layer.solver.is_below(x);
        self.n_unarmed = self.n_unarmed + usize::from(was_armed) - usize::from(self.armed[lane]);
        true
    }
}
