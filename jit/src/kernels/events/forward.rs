//! The spikes of a block of neurons with the same arrivals.

#![allow(unsafe_code, reason = "vector instructions have no safe form")]

use super::arrivals::Arrivals;
use super::block::{Block, Found, Place};
use super::lanes::{LANES, Layer};
use crate::kernels::vector::{Kernel, Vector};

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
        let mut block = Block::new(layer, place);
        let (entries, steps) = arrivals.of_cell(place.pixel * layer.groups + place.block / layer.blocks);
        let mut now = 0.0;
        for (at, (entry, step)) in entries.iter().zip(steps).enumerate() {
            if entry.time > now {
                block.pass(now, entry.time, step, false, found);
                now = entry.time;
            }
            let row = entry.row as usize * LANES;
            if let Some(Ok(weights)) = weights.get(row..row + LANES).map(<&[f64; LANES]>::try_from) {
                block.receive(weights, entry.port as usize);
            }
            // Everything that arrives at the same time acts first.
            if block.may_be_due() && entries.get(at + 1).is_none_or(|next| next.time > now) {
                block.fire(now, found);
            }
        }
        let end = layer.events.duration;
        block.pass(now, end, &layer.flow.step(end - now), true, found);
    }
}
