//! Transposed copies of weights: kernels want the weights of many outputs side by side, models keep all inputs of one
//! output together. This file must never know spikes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::kernels::geometry::Geometry;
use crate::kernels::vector::{Kernel, Vector, Width, dispatch};

/// Consecutive outputs that a kernel computes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The first output.
    pub first: usize,
    /// Outputs; the last block has fewer than its vectors hold, unless it comes out even.
    pub outputs: usize,
    /// Vectors.
    pub vectors: usize,
    /// Elements of those vectors.
    pub lanes: usize,
}

impl Block {
    /// `outputs` in blocks of at most `vectors` vectors of a width.
    pub fn all(outputs: usize, vectors: usize, width: Width) -> Vec<Block> {
        let lanes = width.lanes();
        let block = |first: usize| {
            let outputs = (outputs - first).min(vectors * lanes);
            Block { first, outputs, vectors: outputs.div_ceil(lanes), lanes: outputs.div_ceil(lanes) * lanes }
        };
        (0..outputs).step_by(vectors * lanes).map(block).collect()
    }

    /// Whether every lane is an output.
    pub fn is_full(&self) -> bool {
        self.outputs == self.lanes
    }
}

/// Floats of the packed weights of these blocks, with `window` weights an output.
pub(crate) fn packed_len(blocks: &[Block], window: usize) -> usize {
    blocks.iter().map(|block| block.lanes * window).sum()
}

/// A pointer that tasks share because each touches other elements.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub *mut f32);
// SAFETY: a bare address; whoever reads or writes through it answers for that.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address of an element.
    ///
    /// # Safety
    /// The element lies in the memory that this was made of.
    #[inline(always)]
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller vouches for the offset.
        unsafe { self.0.add(offset) }
    }
}

/// Packs weights `[cout][cin][taps]` as `[block][taps][cin][lanes]`; lanes that are no output become zeros. Nothing happens
/// if a length does not fit.
pub(crate) fn pack(width: Width, geometry: &Geometry, blocks: &[Block], weights: &[f32], packed: &mut [f32]) {
    let window = geometry.window();
    if weights.len() != geometry.cout * window || packed.len() != packed_len(blocks, window) {
        return;
    }
    let to = Shared(packed.as_mut_ptr());
    // Enough tasks for many threads also where there is only one block.
    let strips = window.div_ceil(STRIP);
    (0..blocks.len() * strips).into_par_iter().with_min_len(MIN_STRIPS).for_each(|task| {
        let (block, strip) = (blocks[task / strips], task % strips);
        let columns = [strip * STRIP, window.min((strip + 1) * STRIP)];
        // SAFETY: all blocks before this one are full, so that they hold `first * window` floats; the lengths were
        // checked, and every task writes other rows.
        let to = unsafe { to.at(block.first * window) };
        dispatch(width, PackStrip { geometry, block, columns, weights, to });
    });
}

/// Columns of a task: weights of one output.
const STRIP: usize = 256;
/// Strips that are worth a task of their own.
const MIN_STRIPS: usize = 2;

/// Some weights of every output of a block.
struct PackStrip<'a> {
    geometry: &'a Geometry,
    block: Block,
    columns: [usize; 2],
    weights: &'a [f32],
    to: *mut f32,
}

impl Kernel for PackStrip<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let PackStrip { geometry, block, columns: [begin, end], weights, to } = self;
        let (window, taps) = (geometry.window(), geometry.taps());
        let row = |column: usize| (column % taps * geometry.cin + column / taps) * block.lanes;
        let from = weights.as_ptr();
        // Sixteen outputs are read along their rows: more at a time would be more streams than the caches follow.
        for lane in (0..block.lanes).step_by(16) {
            for column in (begin..end).step_by(16) {
                if column + 16 <= end && lane + 16 <= block.outputs {
                    // SAFETY: 16 columns of 16 outputs lie in the weights, 16 lanes of 16 rows in the packed block.
                    unsafe {
                        let from = std::array::from_fn(|i| from.add((block.first + lane + i) * window + column));
                        let to = std::array::from_fn(|k| to.add(row(column + k) + lane));
                        V::transpose(&from, &to);
                    }
                    continue;
                }
                for column in column..end.min(column + 16) {
                    for lane in lane..block.lanes.min(lane + 16) {
                        let weight = weights.get((block.first + lane) * window + column);
                        let weight = weight.filter(|_| lane < block.outputs).copied().unwrap_or_default();
                        // SAFETY: the row and the lane lie in the packed block.
                        unsafe { to.add(row(column) + lane).write(weight) };
                    }
                }
            }
        }
    }
}

/// Writes sums `[rows][lanes]` of a block as columns `first_column..` of a matrix `[outputs][window]`.
///
/// # Safety
/// `sums` holds the rows, the columns of the block's outputs lie in the matrix, and nobody else touches them.
#[inline(always)]
pub(crate) unsafe fn unpack_block<V: Vector>(
    sums: *const f32,
    rows: usize,
    block: Block,
    [first_column, window]: [usize; 2],
    matrix: *mut f32,
) {
    // SAFETY: the caller vouches for both.
    let target =
        |output: usize, row: usize| unsafe { matrix.add((block.first + output) * window + first_column + row) };
    for row in (0..rows).step_by(16) {
        for lane in (0..block.outputs).step_by(16) {
            if row + 16 <= rows && lane + 16 <= block.outputs {
                // SAFETY: 16 lanes of 16 rows lie in the sums, 16 columns of 16 outputs in the matrix.
                unsafe {
                    let from = std::array::from_fn(|i| sums.add((row + i) * block.lanes + lane));
                    let to = std::array::from_fn(|k| target(lane + k, row));
                    V::transpose(&from, &to);
                }
                continue;
            }
            for row in row..rows.min(row + 16) {
                for lane in lane..block.outputs.min(lane + 16) {
                    // SAFETY: the row and the lane lie in the sums and in the matrix.
                    unsafe { target(lane, row).write(sums.add(row * block.lanes + lane).read()) };
                }
            }
        }
    }
}
