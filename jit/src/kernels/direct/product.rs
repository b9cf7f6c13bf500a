//! The product of the pixels under some outputs with a panel of weights.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use crate::kernels::block::{ROWS, Sums, WIDEST_PANEL, accumulate, zeros};
use crate::kernels::lattice::Lattice;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector, WIDEST};

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
    /// The row of what lies outside of the image.
    pub outside: *const f32,
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
            // A narrow panel has too few sums in a block to keep the multipliers busy: two blocks go together.
            match (self.width / V::LANES, V::LANES) {
                (1, _) => self.parts::<V, 1, { 2 * ROWS }>(),
                (2, WIDEST) => self.parts::<V, 2, { 2 * ROWS }>(),
                (2, _) => self.parts::<V, 2, ROWS>(),
                (3, _) => self.parts::<V, 3, ROWS>(),
                _ => self.parts::<V, 4, ROWS>(),
            }
        }
    }
}

impl Product<'_> {
    /// The product with a panel of `N` vectors, `M` pixels at once and some kernel elements at a time.
    ///
    /// # Safety
    /// The machine has the vectors.
    #[inline(always)]
    unsafe fn parts<V: Vector, const N: usize, const M: usize>(&self) {
        let matrix = self.depth * N * V::LANES;
        let blocks = self.pixels.len().div_ceil(ROWS);
        assert!(self.width == N * V::LANES && self.b.len() >= self.taps * matrix);
        assert!(self.table.len() >= blocks * self.taps);
        let part = (PART / matrix.max(1)).max(1);
        let mut sink = [0.0f32; WIDEST_PANEL];
        for first in (0..self.taps.max(1)).step_by(part) {
            let taps = first..self.taps.min(first + part);
            for block in (0..blocks).step_by(M / ROWS) {
                let to: [*mut f32; M] = std::array::from_fn(|row| {
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
                    let mut sums = if first == 0 { zeros::<V, M, N>() } else { self.load(&to) };
                    for tap in taps.clone() {
                        // Behind the last block there is none: it comes twice, and goes to the sink.
                        let rows = |row: usize| (block + row / ROWS).min(blocks - 1) * self.taps + tap;
                        let rows: [*const f32; M] =
                            std::array::from_fn(|row| self.table.get_unchecked(rows(row))[row % ROWS]);
                        if rows.iter().all(|row| *row == self.outside) {
                            continue;
                        }
                        accumulate(&mut sums, &rows, self.depth, self.b.as_ptr().add(tap * matrix));
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
    unsafe fn load<V: Vector, const N: usize, const M: usize>(&self, from: &[*mut f32; M]) -> Sums<V, M, N> {
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
    unsafe fn store<V: Vector, const N: usize, const M: usize>(&self, sums: &Sums<V, M, N>, to: &[*mut f32; M]) {
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
