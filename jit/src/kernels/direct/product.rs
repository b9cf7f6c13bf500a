//! The product of the pixels under some outputs with a panel of weights.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use crate::kernels::block::{ROWS, Sums, WIDEST_PANEL, accumulate, zeros};
use crate::kernels::lattice::Lattice;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Elements of a panel's part that is used for all pixels before the next: it stays in the L2 cache.
const PART: usize = 96 * 1024;

/// Where the rows of a block lie, for one kernel element.
pub(super) type Rows = [*const f32; ROWS];

/// Pointers to the rows of blocks of pixels, for every kernel element: `[block][tap]`. A block that is not full repeats
/// its last pixel.
pub(super) fn table(
    lattice: &Lattice,
    pixels: Range<usize>,
    taps: usize,
    channels: usize,
    source: &[f32],
    zeros: &[f32],
) -> Vec<Rows> {
    let blocks = pixels.len().div_ceil(ROWS);
    let mut table = vec![[zeros.as_ptr(); ROWS]; blocks * taps];
    for (block, rows) in table.chunks_exact_mut(taps.max(1)).enumerate() {
        (0..ROWS).for_each(|row| {
            let pixel = (pixels.start + block * ROWS + row).min(pixels.end - 1);
            lattice.sources(pixel, |tap, at| {
                if let Some(at) = at {
                    rows[tap][row] = source[at * channels..(at + 1) * channels].as_ptr();
                }
            });
        });
    }
    table
}

/// Some pixels times a panel.
pub(super) struct Product<'a> {
    /// Rows of the blocks of pixels.
    pub table: &'a [Rows],
    /// Kernel elements.
    pub taps: usize,
    /// Channels of the source.
    pub depth: usize,
    /// The subset of pixels.
    pub lattice: &'a Lattice,
    /// Which of its pixels.
    pub pixels: Range<usize>,
    /// The panel.
    pub b: &'a [f32],
    /// Its columns: whole vectors.
    pub width: usize,
    /// The channels that it writes.
    pub channels: Range<usize>,
    /// Channels of a pixel that is written.
    pub pixel: usize,
    /// All pixels.
    pub out: Shared<'a>,
}

impl Kernel for Product<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `run` vouches for the vectors.
        unsafe {
            match self.width / V::LANES {
                1 => self.parts::<V, 1>(),
                2 => self.parts::<V, 2>(),
                3 => self.parts::<V, 3>(),
                _ => self.parts::<V, 4>(),
            }
        }
    }
}

impl Product<'_> {
    /// The product with a panel of `N` vectors, some kernel elements at a time.
    ///
    /// # Safety
    /// The machine has the vectors.
    #[inline(always)]
    unsafe fn parts<V: Vector, const N: usize>(&self) {
        let matrix = self.depth * N * V::LANES;
        let blocks = self.pixels.len().div_ceil(ROWS);
        assert!(self.width == N * V::LANES && self.b.len() >= self.taps * matrix);
        assert!(self.table.len() >= blocks * self.taps);
        let part = (PART / matrix.max(1)).max(1);
        let mut sink = [0.0f32; WIDEST_PANEL];
        for first in (0..self.taps.max(1)).step_by(part) {
            let taps = first..self.taps.min(first + part);
            for block in 0..blocks {
                let to: [*mut f32; ROWS] = std::array::from_fn(|row| {
                    let pixel = self.pixels.start + block * ROWS + row;
                    if pixel >= self.pixels.end {
                        return sink.as_mut_ptr();
                    }
                    let at = self.lattice.target(pixel) * self.pixel + self.channels.start;
                    // SAFETY: the subset's pixels are pixels of `out`, whose length the entry point checked.
                    unsafe { self.out.at(at) }
                });
                // SAFETY: all pointers of the table have `depth` elements, as the panel has for each of its taps; every
                // pixel has the channels of the panel, and the sink has as many as the widest panel.
                unsafe {
                    let mut sums = if first == 0 { zeros::<V, ROWS, N>() } else { self.load(&to) };
                    for tap in taps.clone() {
                        let rows = self.table.get_unchecked(block * self.taps + tap);
                        accumulate(&mut sums, rows, self.depth, self.b.as_ptr().add(tap * matrix));
                    }
                    self.store(&sums, &to);
                }
            }
        }
    }

    /// Sums that an earlier part left in the pixels.
    ///
    /// # Safety
    /// All pixels have the channels of the panel.
    #[inline(always)]
    unsafe fn load<V: Vector, const N: usize>(&self, from: &[*mut f32; ROWS]) -> Sums<V, ROWS, N> {
        let count = self.channels.len();
        std::array::from_fn(|row| {
            std::array::from_fn(|n| {
                // SAFETY: the caller vouches for `count` elements.
                unsafe {
                    let from = from[row].add(n * V::LANES);
                    let left = count - n * V::LANES;
                    if left >= V::LANES { V::load(from) } else { V::load_some(from, left) }
                }
            })
        })
    }

    /// Sums to the pixels.
    ///
    /// # Safety
    /// All pixels have the channels of the panel.
    #[inline(always)]
    unsafe fn store<V: Vector, const N: usize>(&self, sums: &Sums<V, ROWS, N>, to: &[*mut f32; ROWS]) {
        let count = self.channels.len();
        for (sums, to) in sums.iter().zip(to) {
            for (n, sum) in sums.iter().enumerate() {
                // SAFETY: the caller vouches for `count` elements.
                unsafe {
                    let to = to.add(n * V::LANES);
                    let left = count - n * V::LANES;
                    if left >= V::LANES { sum.store(to) } else { sum.store_some(to, left) }
                }
            }
        }
    }
}
