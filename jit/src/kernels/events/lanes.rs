//! A layer prepared for lanes: which neurons lie side by side, and their weights.
//!
//! The channels of a pixel are cut into as many groups as the synapses have (the least common multiple), and each of these
//! into blocks of lanes. A *cell* is a pixel with a group: its neurons have the same arrivals. The weights of a block are
//! rows of lanes, one for each element of the kernels of all groups of synapses.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use snn_loops::EventLayer;
use snn_loops::event_sweep::Synapses;
use snn_loops::events::{Solution, Solver};

use super::Real;
use super::arrivals::Event;
use super::flow::{Flow, square};

/// Neurons side by side.
pub(super) const LANES: usize = 16;

/// A layer, prepared.
pub(super) struct Layer<'l, const D: usize> {
    pub events: &'l EventLayer,
    pub solver: Solver,
    pub flow: Flow<D>,
    /// Neurons, pixels, and groups of channels.
    pub neurons: usize,
    pub pixels: usize,
    pub groups: usize,
    /// Channels of a group, and blocks of lanes that they make.
    pub channels: usize,
    pub blocks: usize,
    /// First row of each group of synapses in the weights of a block.
    pub rows: Vec<usize>,
    pub memory_width: usize,
    pub threshold: [f64; D],
    /// The slope of the potential is `slope . x + slope_offset`.
    pub slope: [f64; D],
    pub slope_offset: f64,
    /// By port: what arrives, and its rate of change.
    pub inject: Vec<[f64; D]>,
    pub drift: Vec<[f64; D]>,
    /// Whether an arrival may move the potential at once.
    pub lifts_any: bool,
    /// See [`snn_loops::events::LinearNeuron`].
    pub reset: [[f64; D]; D],
    pub commutator: [[f64; D]; D],
    pub steady: [f64; D],
    /// Whether the potential rises and falls at most once between two events.
    pub has_single_peak: bool,
}

impl<'l, const D: usize> Layer<'l, D> {
    pub fn of(events: &'l EventLayer) -> Option<Layer<'l, D>> {
        let neuron = &events.neuron;
        let solver = Solver::new(neuron).ok()?;
        let output = events.synapses.first()?.shape;
        let groups = events.synapses.iter().fold(1, |all, synapses| least_common(all, synapses.shape.groups));
        let channels = output.cout / groups;
        let mut rows = Vec::with_capacity(events.synapses.len());
        let mut next = 0;
        for synapses in &events.synapses {
            rows.push(next);
            next += synapses.window();
        }
        let flow_of = |v: &[f64; D]| {
            let mut out = [0.0; D];
            neuron.flow_of(v, &mut out);
            out
        };
        let inject: Vec<[f64; D]> = neuron.inject.iter().map(|port| vector(port)).collect();
        let threshold: [f64; D] = vector(&neuron.threshold);
        let matrix: [[f64; D]; D] = square(&neuron.flow);
        let mut slope = [0.0; D];
        for (weight, row) in threshold.iter().zip(&matrix) {
            slope.iter_mut().zip(row).for_each(|(sum, entry)| *sum += weight * entry);
        }
        Some(Layer {
            flow: Flow::new(&solver),
            neurons: events.neurons(),
            pixels: output.output[0] * output.output[1],
            groups,
            channels,
            blocks: channels.div_ceil(LANES),
            rows,
            memory_width: events.memory_width(),
            slope,
            slope_offset: threshold.iter().zip(&neuron.drive).map(|(a, b)| a * b).sum(),
            lifts_any: inject.iter().any(|port| dot(port, &threshold) != 0.0),
            drift: inject.iter().map(flow_of).collect(),
            inject,
            threshold,
            reset: square(&neuron.reset),
            commutator: square(&neuron.commutator()),
            steady: vector(&neuron.steady_change()),
            has_single_peak: !matches!(solver.solution(), Solution::Search) || (D <= 2 && solver.frequency() == 0.0),
            solver,
            events,
        })
    }

    /// The first neuron of a block at a pixel, and how many of its lanes are neurons.
    pub fn neurons_of(&self, block: usize, pixel: usize) -> (usize, usize) {
        let (group, block) = (block / self.blocks, block % self.blocks);
        let first = (pixel * self.groups + group) * self.channels + block * LANES;
        (first, super::valid_lanes(self.channels, block))
    }

    /// The block of a neuron among those of all pixels, and its lane there.
    pub fn lane_of(&self, neuron: usize) -> (usize, usize) {
        let part = neuron / self.channels;
        let within = neuron % self.channels;
        (part * self.blocks + within / LANES, within % LANES)
    }

    /// Calls `visit` with every block that an event reaches: its place among those of all pixels and of one, and the first
    /// of the weights through which it does.
    pub fn each_block(&self, event: &Event, visit: &mut dyn FnMut(usize, usize, usize)) {
        let (group, sender) = (event.group as usize, event.sender as usize);
        let synapses = &self.events.synapses[group];
        let parts = self.reached(synapses, sender);
        synapses.each_target(sender, &mut |pixel, tap| {
            for block in parts.start * self.blocks..parts.end * self.blocks {
                visit(pixel * self.groups * self.blocks + block, block, (self.rows[group] + tap) * LANES);
            }
        });
    }

    /// Numbers in the weights of all blocks.
    pub fn packed_len(&self) -> usize {
        self.n_blocks() * self.block_len()
    }

    /// Groups of channels that a spike of a sender reaches.
    pub fn reached(&self, synapses: &Synapses, sender: usize) -> std::ops::Range<usize> {
        let channels = synapses.channels(sender);
        let each = self.channels.max(1);
        channels.start / each..channels.end.div_ceil(each)
    }

    /// The channels of a block of lanes.
    fn channels_of(&self, block: usize) -> std::ops::Range<usize> {
        let (part, within) = (block / self.blocks, block % self.blocks * LANES);
        let first = part * self.channels + within;
        first..first + (self.channels - within).min(LANES)
    }

    /// Blocks of lanes of a pixel.
    pub fn n_blocks(&self) -> usize {
        self.groups * self.blocks
    }

    /// How many weights a block has.
    pub fn block_len(&self) -> usize {
        self.events.synapses.iter().map(Synapses::window).sum::<usize>() * LANES
    }

    /// The weights of each block, rows of lanes.
    pub fn pack<T: Real>(&self, weights: &[&[T]]) -> Vec<Vec<f64>> {
        let block = |block: usize| {
            let mut packed = vec![0.0; self.block_len()];
            for ((synapses, weights), first) in self.events.synapses.iter().zip(weights).zip(&self.rows) {
                let window = synapses.window();
                let of = |channel| weights.get(channel * window..(channel + 1) * window).unwrap_or_default();
                let lanes: Vec<&[T]> = self.channels_of(block).map(of).collect();
                let rows = packed.chunks_exact_mut(LANES).skip(*first).take(window);
                for (row, slots) in rows.enumerate() {
                    for (slot, weight) in slots.iter_mut().zip(lanes.iter().filter_map(|lane| lane.get(row))) {
                        *slot = (*weight).into();
                    }
                }
            }
            packed
        };
        (0..self.n_blocks()).into_par_iter().map(block).collect()
    }

    /// Writes the weights of a group of synapses, each the sum of what the parts of its block hold, in their order.
    pub fn unpack<'p, T: Real>(&self, group: usize, out: &mut [T], parts_of: impl Fn(usize) -> Vec<&'p [f64]> + Sync) {
        let (Some(synapses), Some(first)) = (self.events.synapses.get(group), self.rows.get(group)) else { return };
        let window = synapses.window();
        // Blocks are consecutive channels, so they cut the weights into consecutive parts.
        let mut rest = out;
        let mut parts = Vec::with_capacity(self.groups * self.blocks);
        for block in 0..self.n_blocks() {
            let Some((part, behind)) = rest.split_at_mut_checked(self.channels_of(block).len() * window) else {
                return;
            };
            parts.push(part);
            rest = behind;
        }
        parts.into_par_iter().enumerate().for_each(|(block, part)| {
            let mut lanes: Vec<&mut [T]> = part.chunks_exact_mut(window.max(1)).collect();
            let parts = parts_of(block);
            for row in 0..window {
                let mut sums = [0.0; LANES];
                let at = (first + row) * LANES;
                for from in parts.iter().filter_map(|part| part.get(at..at + LANES)) {
                    sums.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
                }
                for (lane, sum) in lanes.iter_mut().zip(sums) {
                    if let Some(weight) = lane.get_mut(row) {
                        *weight = T::round(sum);
                    }
                }
            }
        });
    }
}

pub(super) fn vector<const D: usize>(from: &[f64]) -> [f64; D] {
    let mut vector = [0.0; D];
    vector.iter_mut().zip(from).for_each(|(entry, value)| *entry = *value);
    vector
}

#[inline(always)]
pub(super) fn dot<const D: usize>(a: &[f64; D], b: &[f64; D]) -> f64 {
    let mut sum = 0.0;
    for at in 0..D {
        sum += a[at] * b[at];
    }
    sum
}

fn least_common(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}
