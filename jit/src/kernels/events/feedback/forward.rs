//! The spikes of a layer in one sample, one event after the other.

#![allow(unsafe_code, reason = "vector instructions have no safe form")]

use snn_loops::event_sweep::Source;

use super::super::arrivals::{Event, events};
use super::super::block::{Ahead, Block, Found, Place};
use super::super::lanes::{LANES, Layer};
use super::super::{Real, Work};
use super::Each;
use super::queue::Queue;
use crate::kernels::vector::{Kernel, Vector};

/// A layer in a sample.
pub(super) struct Forward<'a, T, const D: usize> {
    pub each: &'a Each<'a, T, D>,
    pub sample: usize,
    pub found: &'a mut Found,
}

impl<T: Real, const D: usize> Kernel for Forward<'_, T, D> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Each { work, operands, delays } = *self.each;
        let Work { sweep, layer, weights, .. } = *work;
        let outer = events(layer, &operands.trains, sweep.batch, self.sample);
        let places = (0..layer.pixels).flat_map(|pixel| (0..weights.len()).map(move |block| (pixel, block)));
        let blocks: Vec<Block<'_, D>> =
            places.map(|(pixel, block)| Block::new(layer, Place { block, pixel, sample: self.sample })).collect();
        let mut walk = Walk {
            layer,
            weights,
            ahead: Vec::with_capacity(blocks.len()),
            blocks,
            queue: Queue::new(&sweep.layer, delays, &outer),
            now: 0.0,
            n_own: 0,
            found: self.found,
        };
        while walk.go_on::<T>() {}
    }
}

/// All neurons on their way.
struct Walk<'a, const D: usize> {
    layer: &'a Layer<'a, D>,
    weights: &'a [Vec<f64>],
    /// Of all pixels, the blocks of each side by side.
    blocks: Vec<Block<'a, D>>,
    /// Where they will be.
    ahead: Vec<Ahead<D>>,
    queue: Queue<'a>,
    now: f64,
    /// Arrivals from the layer itself in this moment.
    n_own: usize,
    found: &'a mut Found,
}

impl<const D: usize> Walk<'_, D> {
    /// What happens next; false if nothing more does.
    #[inline(always)]
    fn go_on<T: Real>(&mut self) -> bool {
        while let Some(event) = self.queue.take_until(self.now) {
            self.receive(&event);
        }
        let due = |(at, block): (usize, &Block<'_, D>)| Some((at, block.may_be_due().then(|| block.due(0))??));
        if let Some((block, lane)) = self.blocks.iter().enumerate().find_map(due) {
            self.spike::<T>(block, lane);
            return true;
        }
        let arrival = self.queue.peek().map(|event| event.time);
        let (to, is_end) = (arrival.unwrap_or(self.layer.events.duration), arrival.is_none());
        self.look(to - self.now);
        match self.first_spike(to - self.now, is_end) {
            Some((wait, block, lane)) => {
                if wait > 0.0 {
                    self.look(wait);
                    self.settle(self.now + wait);
                }
                self.spike::<T>(block, lane);
                true
            }
            None => {
                self.settle(to);
                !is_end
            }
        }
    }

    #[inline(always)]
    fn look(&mut self, dt: f64) {
        let step = self.layer.flow.step(dt);
        self.ahead.clear();
        self.ahead.extend(self.blocks.iter().map(|block| block.ahead(&step)));
    }

    #[inline(always)]
    fn settle(&mut self, to: f64) {
        self.blocks.iter_mut().zip(&self.ahead).for_each(|(block, ahead)| block.settle(ahead));
        (self.now, self.n_own) = (to, 0);
    }

    /// The first spike in a stretch: how long until then, its block and lane.
    #[inline(always)]
    fn first_spike(&self, left: f64, inclusive: bool) -> Option<(f64, usize, usize)> {
        let mut first: Option<(f64, usize, usize)> = None;
        for (at, (block, ahead)) in self.blocks.iter().zip(&self.ahead).enumerate().filter(|(_, (_, a))| a.is_busy) {
            let limit = first.map_or(left, |(wait, ..)| wait);
            if let Some((wait, lane)) = block.first_spike(ahead, limit, inclusive && first.is_none()) {
                first = Some((wait, at, lane));
            }
        }
        first
    }

    /// A spike at this moment, and what the layer will hear of it.
    fn spike<T: Real>(&mut self, block: usize, lane: usize) {
        let Some(target) = self.blocks.get_mut(block) else { return };
        if target.spike_now(lane, self.now, self.n_own, self.found)
            && let Some(spike) = self.found.spikes.last()
        {
            self.queue.send::<T>(spike.time, spike.neuron, spike.slot);
        }
    }

    #[inline(always)]
    fn receive(&mut self, event: &Event) {
        let Some(synapses) = self.layer.events.synapses.get(event.group as usize) else { return };
        self.n_own += usize::from(!matches!(synapses.source, Source::Train(_)));
        self.layer.each_block(event, &mut |at, block, row| {
            let weights = self.weights.get(block).and_then(|weights| weights.get(row..row + LANES));
            if let (Some(target), Some(Ok(weights))) = (self.blocks.get_mut(at), weights.map(<&[f64; LANES]>::try_from))
            {
                target.receive(weights, synapses.port);
            }
        });
    }
}
