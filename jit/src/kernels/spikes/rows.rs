//! Sums of the weight rows that spikes select, for kernels that are three columns wide: a spike is met once for the three
//! outputs of a row that see it, so that a visit to a word does three times the additions and the sums go through memory a
//! third as often. This file must never know shapes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use super::gather::{add, load, store};
use crate::kernels::bits::worth;
use crate::kernels::vector::{Kernel, Vector, Width};

/// Columns of the kernels.
pub(crate) const COLUMNS: usize = 3;
/// Pixels of sums in front of a row's outputs and, as many, behind them: a row of words is longer than a row of outputs.
pub(crate) const MARGIN: usize = COLUMNS - 1;

/// Vectors of a block of outputs: as many as leave room in the registers for all columns.
pub(crate) fn block_vectors(width: Width) -> usize {
    match width {
        Width::Avx512 | Width::Avx2 => 4,
        Width::Plain => 1,
    }
}

/// One pass over some rows of output pixels: adds what one word of each pixel contributes, of every plane.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The first word of every row.
    pub rows: &'a [u32],
    /// The word to add, relative to those.
    pub word: usize,
    /// Words from one pixel to the next.
    pub step: usize,
    /// Planes, and words from one to the next.
    pub planes: [usize; 2],
    /// Output pixels of a row.
    pub width: usize,
    /// Spikes, without garbage.
    pub words: *const u64,
    /// Packed weights of the word's first channel in the first column.
    pub weights: *const f32,
    /// Floats from one column's weights to the next.
    pub column: usize,
    /// Whether there are no sums yet.
    pub first: bool,
    /// Sums, `[rows][width + 2 MARGIN][lanes]`.
    pub sums: *mut f32,
    /// Where the last pass puts the outputs, and floats from one pixel to the next there.
    pub target: Option<(*mut f32, usize)>,
    /// Vectors of the block.
    pub vectors: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `dispatch` vouches for the pass.
        unsafe {
            match self.vectors {
                1 => roll::<V, 1>(self),
                2 => roll::<V, 2>(self),
                3 => roll::<V, 3>(self),
                _ => roll::<V, 4>(self),
            }
        }
    }
}

/// Goes along every row; the sums of the three outputs that the current pixel touches are in registers.
///
/// # Safety
/// All words and weights that the pass names exist, as do the sums and the target of every row.
#[inline(always)]
unsafe fn roll<V: Vector, const VECTORS: usize>(pass: Rows) {
    let lanes = VECTORS * V::LANES;
    let row_len = (pass.width + 2 * MARGIN) * lanes;
    // SAFETY: see above; bits behind the last channel are not set.
    unsafe {
        let columns: [*const f32; COLUMNS] = std::array::from_fn(|column| pass.weights.add(column * pass.column));
        for (number, row) in pass.rows.iter().enumerate() {
            let mut words = pass.words.add(*row as usize + pass.word);
            let sums = pass.sums.add(number * row_len);
            // Of the output before the pixel's own, and of the one before that.
            let [mut before, mut last] = [[V::zero(); VECTORS]; COLUMNS - 1];
            for pixel in 0..pass.width + MARGIN {
                let mut own = load((!pass.first).then_some(sums.cast_const()), pixel + MARGIN);
                let [planes, plane_len] = pass.planes;
                for plane in 0..planes {
                    let mut word = words.add(plane * plane_len).read();
                    let worth = worth(plane);
                    while word != 0 {
                        let at = word.trailing_zeros() as usize * lanes;
                        word &= word - 1;
                        add(&mut own, columns[0].add(at), worth);
                        add(&mut before, columns[1].add(at), worth);
                        add(&mut last, columns[2].add(at), worth);
                    }
                }
                words = words.wrapping_add(pass.step);
                match pass.target {
                    Some((target, pitch)) if pixel >= MARGIN => {
                        store(last, target.add((number * pass.width + pixel - MARGIN) * pitch));
                    }
                    _ => store(last, sums.add(pixel * lanes)),
                }
                (last, before) = (before, own);
            }
        }
    }
}
