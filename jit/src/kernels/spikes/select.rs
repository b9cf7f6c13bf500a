//! Sums of gradients that spikes select, for one block of outputs: the sums of an input channel stay in registers, for
//! several kernel elements at once, while the pixels of a tile are read. This file must never know shapes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use super::gather::{add, store};
use super::phases::Tap;
use crate::kernels::bits::worth;
use crate::kernels::vector::{Kernel, Vector, Width, prefetch};

/// Channels that meet a tile of gradients.
#[derive(Clone, Copy)]
pub(crate) struct Selection<'a> {
    /// Kernel elements, at most [`taps_at_once`].
    pub taps: &'a [Tap],
    /// The first channel's spikes in the tile's first group of pixels.
    pub masks: *const u64,
    /// Planes, and words from one to the next.
    pub planes: [usize; 2],
    /// Words from one group of pixels to the next.
    pub group: usize,
    /// Groups of pixels.
    pub groups: usize,
    /// Gradients `[pixels][lanes]` of the first group's first pixel; as many pixels before it as a tap is distant exist.
    pub gradients: *const f32,
    /// Sums `[channels][all_taps][lanes]`, added to.
    pub sums: *mut f32,
    /// Kernel elements of a channel's sums.
    pub all_taps: usize,
    /// Channels.
    pub channels: usize,
    /// Vectors of the block.
    pub vectors: usize,
    /// What the next tile will be copied from.
    pub ahead: Ahead,
}

/// Memory to prefetch: some lanes of consecutive pixels. It need not exist.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// The first pixel.
    pub from: *const f32,
    /// Pixels for each channel.
    pub pixels: usize,
    /// Floats from one pixel to the next.
    pub pitch: usize,
}

impl Ahead {
    /// Asks for the part that goes with a channel.
    #[inline(always)]
    fn prefetch(&self, channel: usize, lanes: usize) {
        for pixel in channel * self.pixels..(channel + 1) * self.pixels {
            for line in (0..lanes).step_by(LINE) {
                prefetch(self.from.wrapping_add(pixel * self.pitch + line));
            }
        }
    }
}

/// Floats of a cache line.
const LINE: usize = 16;

/// Kernel elements whose sums fit into the registers besides each other, for blocks of at most [`block_vectors`].
pub(crate) fn taps_at_once(width: Width) -> usize {
    match width {
        Width::Avx512 => 9,
        Width::Avx2 => 3,
        Width::Plain => 1,
    }
}

/// Vectors of a block of outputs.
pub(crate) fn block_vectors(width: Width, taps: usize) -> usize {
    match (width, taps) {
        (Width::Avx512 | Width::Avx2, 1) => 8,
        (Width::Avx512, _) => 2,
        _ => 4,
    }
}

impl Kernel for Selection<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        macro_rules! cases {
            ($($vectors:literal $taps:literal),*) => {
                match (self.vectors, self.taps.len()) {
                    // SAFETY: the caller of `dispatch` vouches for the selection.
                    $(($vectors, $taps) => unsafe { select::<V, $vectors, $taps>(self) },)*
                    _ => {}
                }
            };
        }
        cases!(1 1, 2 1, 3 1, 4 1, 5 1, 6 1, 7 1, 8 1);
        cases!(1 2, 2 2, 1 3, 2 3);
        if V::LANES == 16 {
            cases!(1 4, 2 4, 1 5, 2 5, 1 6, 2 6, 1 7, 2 7, 1 8, 2 8, 1 9, 2 9);
        } else {
            cases!(3 2, 4 2, 3 3, 4 3);
        }
    }
}

/// # Safety
/// All masks, gradients and sums that the selection names exist.
#[inline(always)]
unsafe fn select<V: Vector, const VECTORS: usize, const TAPS: usize>(selection: Selection) {
    let lanes = VECTORS * V::LANES;
    let tap: [Tap; TAPS] = std::array::from_fn(|i| selection.taps.get(i).copied().unwrap_or_default());
    // SAFETY: see above; the masks have no bits behind the last pixel.
    unsafe {
        for channel in 0..selection.channels {
            selection.ahead.prefetch(channel, lanes);
            let target = |i: usize| selection.sums.add((channel * selection.all_taps + tap[i].index) * lanes);
            let mut sums: [[V; VECTORS]; TAPS] =
                std::array::from_fn(|i| std::array::from_fn(|k| V::load(target(i).add(k * V::LANES))));
            let [planes, plane_len] = selection.planes;
            for plane in 0..planes {
                let masks = selection.masks.add(plane * plane_len + channel);
                let worth = worth(plane);
                for group in 0..selection.groups {
                    let mut mask = masks.add(group * selection.group).read();
                    let gradients = selection.gradients.add(group * 64 * lanes);
                    while mask != 0 {
                        let row = gradients.add(mask.trailing_zeros() as usize * lanes);
                        mask &= mask - 1;
                        for (sums, tap) in sums.iter_mut().zip(&tap) {
                            add(sums, row.sub(tap.distance * lanes), worth);
                        }
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                store(sums, target(i));
            }
        }
    }
}
