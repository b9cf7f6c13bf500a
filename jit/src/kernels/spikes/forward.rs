//! Convolutions of spikes: every output pixel is the sum of the weights that the spikes of its window select.
//!
//! Output pixels are cut into tiles and output channels into blocks. A tile and a block are visited once for every few
//! words of the windows, whose weights are in the L1 cache by then, while the sums wait in the L2 cache. This file must
//! never know how a visit adds.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::gather::{Entry, Gather, Pass};
use super::pack::{Block, Shared, pack, packed_len};
use super::plane::Plane;
use super::rows::{self, MARGIN, Rows};
use super::table::{self, Lookup, tables_len};
use crate::kernels::bits::{Bits, worth};
use crate::kernels::geometry::Geometry;
use crate::kernels::pool::with_scratch;
use crate::kernels::prepared::{Form, Weights};
use crate::kernels::vector::{Width, dispatch};

/// Output pixels of a tile, or about so many where tiles are whole rows.
const TILE: usize = 512;
/// Floats of the weights that one visit of a gather meets: a little more than fit in the L1 cache, because most rows are
/// rare.
const VISIT: usize = 16 * 1024;

/// Output pixels of a row, at least, for the kernel that goes along rows.
const ROW: usize = 8;

/// Words of the copied spikes; `None` if no number can tell.
pub(crate) fn words(geometry: &Geometry, bits: Bits) -> Option<usize> {
    let [height, width] = Plane::windows(geometry).size;
    geometry.rows.checked_mul(height)?.checked_mul(width)?.checked_mul(bits.pixel())
}

/// Convolves with packed spikes, by look-up tables or one addition a spike; the lengths were checked.
pub(crate) fn run(
    width: Width,
    tables: bool,
    geometry: &Geometry,
    bits: Bits,
    weights: Weights<'_, f32>,
    out: &mut [f32],
) {
    let plane = Plane::windows(geometry);
    let by_rows = !tables && wide_enough(geometry);
    let vectors = if by_rows { rows::block_vectors(width) } else { block_vectors(tables, width) };
    let blocks = Block::all(geometry.cout, vectors, width);
    with_scratch(geometry.rows * plane.pixels() * bits.pixel(), |words: &mut [u64]| {
        plane.copy(geometry, bits, words);
        let (given, len) = (weights.given, packed_len(&blocks, geometry.window()));
        let make = |packed: &mut [f32]| pack(width, geometry, &blocks, given, packed);
        weights.in_form(Form::Blocks(vectors), len, make, |packed| {
            let planes = [bits.planes, bits.words];
            let job =
                Job { width, tables, geometry, plane, blocks: &blocks, words, planes, pixel: bits.pixel(), packed };
            if by_rows { job.run_rows(out) } else { job.run(out) }
        });
    });
}

/// Whether the outputs of a row share what they add, and are enough for that to pay.
fn wide_enough(geometry: &Geometry) -> bool {
    let [kernel, stride, dilation, output] = [geometry.kernel, geometry.stride, geometry.dilation, geometry.output];
    kernel[1] == rows::COLUMNS && stride[1] == 1 && dilation[1] == 1 && output[1] >= ROW
}

/// Vectors of a block of outputs: as many sums as the registers hold, or tables as the L1 cache holds.
fn block_vectors(tables: bool, width: Width) -> usize {
    match (tables, width) {
        (false, Width::Avx512 | Width::Avx2) => 8,
        (false, Width::Plain) => 4,
        (true, Width::Avx512) => 2,
        (true, Width::Avx2 | Width::Plain) => table::VECTORS,
    }
}

/// What all tasks share.
struct Job<'a> {
    width: Width,
    tables: bool,
    geometry: &'a Geometry,
    plane: Plane,
    blocks: &'a [Block],
    /// Spikes of the plane.
    words: &'a [u64],
    /// Planes of a pixel, and words of one.
    planes: [usize; 2],
    /// Words of a pixel.
    pixel: usize,
    /// Packed weights.
    packed: &'a [f32],
}

impl Job<'_> {
    /// All tiles of all blocks; neighboring tasks share weights.
    fn run(&self, out: &mut [f32]) {
        let pixels = self.geometry.pixels();
        let tile = pixels.div_ceil(pixels.div_ceil(TILE).max(1)).max(1);
        let tiles = pixels.div_ceil(tile);
        let out = Shared(out.as_mut_ptr());
        (0..tiles * self.blocks.len()).into_par_iter().for_each(|task| {
            let first = task % tiles * tile;
            self.tile(first..pixels.min(first + tile), self.blocks[task / tiles], out);
        });
    }

    /// All tiles of all blocks, cut along rows of output pixels.
    fn run_rows(&self, out: &mut [f32]) {
        let Geometry { rows, output: [height, width], .. } = *self.geometry;
        let lines = rows * height;
        let tile = lines.div_ceil((lines * width).div_ceil(TILE).max(1)).max(1);
        let tiles = lines.div_ceil(tile);
        let out = Shared(out.as_mut_ptr());
        (0..tiles * self.blocks.len()).into_par_iter().for_each(|task| {
            let first = task % tiles * tile;
            self.tile_rows(first..lines.min(first + tile), self.blocks[task / tiles], out);
        });
    }

    /// The outputs of one block in some rows.
    fn tile_rows(&self, lines: Range<usize>, block: Block, out: Shared) {
        let Geometry { cin, cout, output: [height, width], stride: [down, _], .. } = *self.geometry;
        // SAFETY: the task owns the block's outputs of these rows.
        let target = unsafe { out.at(lines.start * width * cout + block.first) };
        // SAFETY: all blocks before this one are full.
        let packed = unsafe { self.packed.as_ptr().add(block.first * self.geometry.window()) };
        let line_len = (width + 2 * MARGIN) * block.lanes;
        with_scratch(lines.len(), |starts: &mut [u32]| {
            for (line, start) in lines.zip(starts.iter_mut()) {
                let pixel = (line / height * self.plane.size[0] + line % height * down) * self.plane.size[1];
                *start = (pixel * self.pixel) as u32;
            }
            with_scratch(starts.len() * line_len, |sums: &mut [f32]| {
                let [_, words] = self.planes;
                let visits = self.geometry.kernel[0] * words;
                for visit in 0..visits {
                    let (row, word) = (visit / words, visit % words);
                    let below = row * self.geometry.dilation[0] * self.plane.size[1] * self.pixel;
                    let weights = (row * rows::COLUMNS * cin + word * 64) * block.lanes;
                    let pass = Rows {
                        rows: starts,
                        word: below + word,
                        step: self.pixel,
                        planes: self.planes,
                        width,
                        words: self.words.as_ptr(),
                        // SAFETY: the block has weights for every kernel row and word.
                        weights: unsafe { packed.add(weights) },
                        column: cin * block.lanes,
                        first: visit == 0,
                        sums: sums.as_mut_ptr(),
                        target: (block.is_full() && visit + 1 == visits).then_some((target, cout)),
                        vectors: block.vectors,
                    };
                    dispatch(self.width, pass);
                }
                if !block.is_full() {
                    for (number, sums) in sums.chunks_exact(line_len).enumerate() {
                        for (x, sums) in sums.chunks_exact(block.lanes).skip(MARGIN).take(width).enumerate() {
                            // SAFETY: the sums have whole blocks, and the target is the task's.
                            unsafe {
                                let to = target.add((number * width + x) * cout);
                                sums.as_ptr().copy_to_nonoverlapping(to, block.outputs);
                            }
                        }
                    }
                }
            });
        });
    }

    /// The outputs of one block at some pixels.
    fn tile(&self, pixels: Range<usize>, block: Block, out: Shared) {
        let (cout, window) = (self.geometry.cout, self.geometry.window());
        // SAFETY: the task owns the block's outputs of these pixels.
        let target = unsafe { out.at(pixels.start * cout + block.first) };
        // SAFETY: all blocks before this one are full.
        let weights = unsafe { self.packed.as_ptr().add(block.first * window) };
        let entries = self.entries(block);
        let visit = if self.tables { 1 } else { (VISIT / (64 * block.lanes)).max(1) };
        let visit = visit * self.planes[0];
        with_scratch(pixels.len(), |spots: &mut [u32]| {
            self.spots(pixels, spots);
            with_scratch(spots.len() * block.lanes, |sums: &mut [f32]| {
                let (mut done, sums) = (0, sums.as_mut_ptr());
                while let Some(entries) =
                    entries.get(done..entries.len().min(done + visit)).filter(|some| !some.is_empty())
                {
                    let before = (done > 0).then_some(sums.cast_const());
                    done += entries.len();
                    let direct = block.is_full() && done == self.entry_count();
                    let (to, pitch) = if direct { (target, cout) } else { (sums, block.lanes) };
                    let words = self.words.as_ptr();
                    let vectors = block.vectors;
                    self.visit(Pass { spots, entries, words, weights, sums: before, to, pitch, vectors }, block);
                }
                if !block.is_full() {
                    for pixel in 0..spots.len() {
                        // SAFETY: the sums have whole blocks, and the target is the task's.
                        unsafe {
                            let from = sums.add(pixel * block.lanes);
                            from.copy_to_nonoverlapping(target.add(pixel * cout), block.outputs);
                        }
                    }
                }
            });
        });
    }

    /// Adds what the entries of a pass contribute.
    fn visit(&self, pass: Pass, block: Block) {
        if !self.tables {
            return dispatch(self.width, Gather(pass));
        }
        with_scratch(tables_len(block.lanes), |tables: &mut [f32]| {
            dispatch(self.width, Lookup { pass, tables: tables.as_mut_ptr() });
        });
    }

    /// Entries of every block.
    fn entry_count(&self) -> usize {
        self.geometry.taps() * self.pixel
    }

    /// The words of a window, kernel element after kernel element, those of all planes with the same weights side by side.
    fn entries(&self, block: Block) -> Vec<Entry> {
        let (cin, [_, columns]) = (self.geometry.cin, self.geometry.kernel);
        let [down, right] = self.geometry.dilation;
        let [planes, words] = self.planes;
        let entry = |at: usize| {
            let (tap, word, plane) = (at / self.pixel, at % self.pixel / planes, at % planes);
            let pixel = tap / columns * down * self.plane.size[1] + tap % columns * right;
            Entry {
                word: pixel * self.pixel + plane * words + word,
                weights: (tap * cin + word * 64) * block.lanes,
                channels: (cin - word * 64).min(64),
                worth: worth(plane),
            }
        };
        (0..self.entry_count()).map(entry).collect()
    }

    /// Where the windows of some output pixels begin.
    fn spots(&self, pixels: Range<usize>, spots: &mut [u32]) {
        let [down, right] = self.geometry.stride;
        let (mut image, mut y, mut x) = self.geometry.place(pixels.start);
        for spot in spots {
            let pixel = image * self.plane.pixels() + y * down * self.plane.size[1] + x * right;
            *spot = (pixel * self.pixel) as u32;
            x += 1;
            if x == self.geometry.output[1] {
                (x, y) = (0, y + 1);
            }
            if y == self.geometry.output[0] {
                (y, image) = (0, image + 1);
            }
        }
    }
}
