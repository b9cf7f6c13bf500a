//! Sums of weight rows by table ("four Russians"): all sixteen sums of the weights of four channels are computed once for
//! a tile, so that four channels cost one addition whatever spikes. This file must never know shapes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use super::gather::{Entry, Pass, add, load, store};
use crate::kernels::vector::{Kernel, Vector};

/// Channels that share a table.
const CHANNELS: usize = 4;
/// Rows of a table.
const ROWS: usize = 1 << CHANNELS;
/// Vectors of a block, at most.
pub(crate) const VECTORS: usize = 4;

/// Floats of the tables of one word.
pub(crate) fn tables_len(lanes: usize) -> usize {
    64 / CHANNELS * ROWS * lanes
}

/// Looks up four channels at a time; the entries of a pass have the same weights.
pub(crate) struct Lookup<'a> {
    /// What to add.
    pub pass: Pass<'a>,
    /// Room for the tables.
    pub tables: *mut f32,
}

impl Kernel for Lookup<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `dispatch` vouches for the pass.
        unsafe {
            match self.pass.vectors {
                1 => lookup::<V, 1>(self),
                2 => lookup::<V, 2>(self),
                3 => lookup::<V, 3>(self),
                _ => lookup::<V, 4>(self),
            }
        }
    }
}

/// # Safety
/// As for the gather; the tables have [`tables_len`] floats.
#[inline(always)]
unsafe fn lookup<V: Vector, const VECTORS: usize>(Lookup { pass, tables }: Lookup) {
    let lanes = VECTORS * V::LANES;
    let Some(&Entry { weights, channels, .. }) = pass.entries.first() else { return };
    // SAFETY: see above.
    unsafe {
        let weights = pass.weights.add(weights);
        for (group, first) in (0..channels).step_by(CHANNELS).enumerate() {
            let present = (channels - first).min(CHANNELS);
            build::<V, VECTORS>(weights.add(first * lanes), present, tables.add(group * ROWS * lanes));
        }
        let whole = channels == 64;
        for (pixel, spot) in pass.spots.iter().enumerate() {
            let mut sums = load::<V, VECTORS>(pass.sums, pixel);
            for entry in pass.entries {
                let mut word = pass.words.add(*spot as usize + entry.word).read();
                if whole {
                    for group in 0..64 / CHANNELS {
                        let row = tables.add((group * ROWS + (word >> (group * CHANNELS)) as usize % ROWS) * lanes);
                        add(&mut sums, row, entry.worth);
                    }
                } else {
                    let mut table = tables;
                    for _ in 0..channels.div_ceil(CHANNELS) {
                        let row = table.add(word as usize % ROWS * lanes);
                        word >>= CHANNELS;
                        table = table.add(ROWS * lanes);
                        add(&mut sums, row, entry.worth);
                    }
                }
            }
            store(sums, pass.to.add(pixel * pass.pitch));
        }
    }
}

/// Row `r` of the table becomes the sum of the weight rows whose bits are set in `r`.
///
/// # Safety
/// So many weight rows are present, and the table has room.
#[inline(always)]
unsafe fn build<V: Vector, const VECTORS: usize>(weights: *const f32, present: usize, table: *mut f32) {
    let lanes = VECTORS * V::LANES;
    for vector in (0..lanes).step_by(V::LANES) {
        // SAFETY: see above.
        unsafe {
            let weight = |channel: usize| match channel < present {
                true => V::load(weights.add(channel * lanes + vector)),
                false => V::zero(),
            };
            let pairs = |a: V, b: V| [V::zero(), a, b, a.add(b)];
            let low = pairs(weight(0), weight(1));
            let high = pairs(weight(2), weight(3));
            for row in 0..ROWS {
                low[row % 4].add(high[row / 4]).store(table.add(row * lanes + vector));
            }
        }
    }
}
